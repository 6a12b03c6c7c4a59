"""Signs of rational functions of one exponential against roots that are known."""

from __future__ import annotations

import math
from typing import Any

import mpmath
import pytest
import sympy as sp

from gateflow.asymptotics.certificates import membership_certificate
from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.proofs.checker import verify
from gateflow.asymptotics.proofs.statements import digest_of
from gateflow.asymptotics.signs.sign import Signed, Tools, _until_last_change, by_exponentials
from gateflow.asymptotics.signs.tails import X
from gateflow.codegen.exponentials import W
from gateflow.gates.gate import gate


@pytest.mark.parametrize("rate", [sp.Integer(1), sp.Rational(1, 3), sp.Integer(7)])
@pytest.mark.parametrize("least", [sp.Rational(1, 3), sp.Rational(2, 10**30), sp.Rational(99, 100)])
def test_the_start_is_just_past_the_last_root(least: Any, rate: Any) -> None:
    polynomial = sp.Poly(-W * (W - least) ** 3 * (W - sp.Rational(999, 1000)) ** 2 * (W + 5) * (W - 3), W)
    sign, start = _until_last_change(polynomial, rate)
    last = -(math.log(least.p) - math.log(least.q)) / float(rate)
    assert sign == -1  # of -(w - a)^3 (w - 3) for small w: of -(-1) (-1)
    assert last < float(start) < last + 0.2 * max(1, 1 / float(rate))


@pytest.mark.parametrize(("gap", "verdict"), [(sp.Rational(1, 10**60), "proved"), (0, "proved"), (-1, "refuted")])
def test_a_dip_of_any_depth_is_decided(gap: Any, verdict: str) -> None:
    dip = (sp.exp(X) - 2) ** 2 + (gap if gap != -1 else -sp.Rational(1, 100))
    found = by_exponentials(Signed(dip, Tools.new(10.0)), sp.S.Zero, sp.oo, 1)
    assert found is not None
    assert found.verdict == verdict
    if verdict == "refuted":
        assert abs(math.exp(float(found.at)) - 2) < 0.1  # type: ignore[arg-type]


def test_signs_on_a_part_of_the_line() -> None:
    f = Signed(sp.exp(-X) - sp.Rational(1, 2), Tools.new(10.0))  # positive until log 2 = .693
    for low, high, want, verdict in [
        (sp.S.Zero, sp.Rational(69, 100), 1, "proved"),
        (sp.S.Zero, sp.oo, 1, "refuted"),
        (sp.Rational(70, 100), sp.oo, -1, "proved"),
        (sp.Rational(70, 100), sp.Integer(3), 1, "refuted"),
    ]:
        found = by_exponentials(f, low, high, want)
        assert found is not None
        assert found.verdict == verdict


@pytest.mark.parametrize(
    ("text", "floor"),
    [
        ("sigmoid(z+log(cosh(z)+1))", 1 / 3),  # u' = 1 + tanh(z/2), which bounds see as 1 - 1 on the left
        ("sigmoid(z+log(cosh(z)+2))", 1 / 3),  # 1 + sinh/(cosh + 2) > 0, as cosh + 2 > -sinh
        ("sigmoid(log(cosh(2*z)+cosh(z))+2*z)", 1 / 3),
    ],
)
def test_what_is_left_where_two_exponentials_cancel_is_decided(text: str, floor: float) -> None:
    found = membership(gate(text))
    assert found.verdict.startswith("in F on (")
    with mpmath.workdps(30):
        assert abs(float(gate(text).phi(-60.0)) - floor) < 1e-12
    assert f"({sp.Rational(floor).limit_denominator(100)}, 1)" in found.verdict


@pytest.mark.parametrize("text", ["sigmoid(z+log(cosh(z)+1)-z/10)", "sigmoid(9*z/10+log(cosh(z)+1/10))"])
def test_where_they_do_not_the_slope_is_refuted(text: str) -> None:
    assert membership(gate(text)).verdict == "not in F"  # u' is 9/10 - 1 at the far left


def test_such_a_membership_has_a_certificate_and_one_from_an_earlier_z0_is_refuted() -> None:
    made = membership_certificate(gate("sigmoid(z+log(cosh(z)+1))"))
    assert verify(made).ok
    true_at_0 = {"z0": "0", "value": "0.66666666666666666667", "slope": "0.22222222222222222222"}
    made["statement"] |= true_at_0  # but phi'' changes its sign at .18
    made["digest"] = digest_of(made)
    assert not verify(made).ok
