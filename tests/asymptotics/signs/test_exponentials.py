"""Signs of rational functions of one exponential against big floats and roots that are known."""

from __future__ import annotations

import math
import random
from typing import Any

import mpmath
import pytest
import sympy as sp

from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.signs.exponentials import W, in_exponential, until_last_change
from gateflow.asymptotics.signs.sign import Signed, Tools, by_exponentials
from gateflow.asymptotics.signs.tails import X
from gateflow.formula.vocabulary import sigmoid
from gateflow.gates.gate import gate


def drawn(rng: random.Random, depth: int = 2) -> Any:
    """A rational function of exponentials of small multiples of x, by the words that users have for them."""
    if depth == 0:
        rate = sp.Rational(rng.choice([1, -1, 2, -3, 1, 1]), rng.choice([1, 1, 2]))
        return rng.choice([sp.exp, sp.tanh, sp.cosh, sp.sinh, sigmoid])(rate * X)
    a, b = drawn(rng, depth - 1), drawn(rng, depth - 1)
    share = sp.Rational(rng.randint(-5, 5), rng.randint(1, 4))
    return rng.choice([a + share * b, a * b, a + share, share - a, a / (b**2 + 1)])


@pytest.mark.parametrize("seed", range(40))
def test_the_polynomial_has_the_sign_of_the_expression(seed: int) -> None:
    expr = drawn(random.Random(seed))
    found = in_exponential(expr)
    if found is None:
        assert not expr.has(X) or sp.count_ops(expr) > 40
        return
    polynomial, rate = found
    of_x = sp.lambdify(X, expr.replace(sigmoid, lambda g: 1 / (1 + sp.exp(-g))), "mpmath")
    with mpmath.workdps(60):
        for n in range(1, 30):
            x = mpmath.mpf(n) / 7
            value = of_x(x)
            w = mpmath.exp(-x * mpmath.mpf(rate.p) / rate.q)
            other = mpmath.polyval([mpmath.mpf(int(c.p)) / int(c.q) for c in polynomial.all_coeffs()], w)
            assert abs(value) < 1e-50 or mpmath.sign(value) == mpmath.sign(other)


@pytest.mark.parametrize("expr", [X + sp.exp(X), sp.exp(sp.sqrt(2) * X) - sp.exp(X), sp.exp(X**2), sp.exp(X + 1) - 1])
def test_what_is_no_such_function_with_rational_numbers_is_left_alone(expr: Any) -> None:
    assert in_exponential(expr) is None


@pytest.mark.parametrize("rate", [sp.Integer(1), sp.Rational(1, 3), sp.Integer(7)])
@pytest.mark.parametrize("least", [sp.Rational(1, 3), sp.Rational(2, 10**30), sp.Rational(99, 100)])
def test_the_start_is_just_past_the_last_root(least: Any, rate: Any) -> None:
    polynomial = sp.Poly(-W * (W - least) ** 3 * (W - sp.Rational(999, 1000)) ** 2 * (W + 5) * (W - 3), W)
    sign, start = until_last_change(polynomial, rate)
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
