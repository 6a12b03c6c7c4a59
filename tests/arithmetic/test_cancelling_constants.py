"""Constants that cancel past a hundred digits, where SymPy's numbers have none right: against mpmath with enough."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.arithmetic.bigfloat import BigFloat
from gateflow.arithmetic.intervals import Intervals
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.proofs.enclosures import Unproved, _number
from gateflow.asymptotics.rate import rate
from gateflow.asymptotics.signs.pieces import _between
from gateflow.cli import main
from gateflow.errors import InvalidArgument
from gateflow.gates.gate import gate

CANCELLING = {
    "pi - 2*atan(10**200)": sp.pi - 2 * sp.atan(10**200),
    "1/(pi - 2*atan(10**200))": 1 / (sp.pi - 2 * sp.atan(10**200)),
    "sqrt(2) - sqrt(2 + 1e-300)": sp.sqrt(2) - sp.sqrt(2 + sp.Rational(1, 10**300)),
    "log(1 + 1e-200)": sp.log(1 + sp.Rational(1, 10**200)),
    "exp(1e-200) - 1": sp.exp(sp.Rational(1, 10**200)) - 1,
    "1 - tanh(300)": 1 - sp.tanh(300),
}


def true(c: sp.Expr) -> mpmath.mpf:
    with mpmath.workdps(1000):
        return sp.lambdify([], c, "mpmath")()


@pytest.mark.parametrize("c", CANCELLING.values(), ids=CANCELLING)
def test_digits_of_constants_are_right_in_every_arithmetic(c):
    with mpmath.workdps(1000):
        truth = true(c)
        assert float64.constant(c) == pytest.approx(float(truth), rel=2**-52, abs=0)
        arithmetic = Intervals(80)
        box = arithmetic.constant(c)
        low, high = map(mpmath.mp.make_mpf, (box.lo, box.hi))
        assert low <= truth <= high
        assert high - low <= abs(truth) * mpmath.mpf(2) ** -76


def test_what_is_below_all_floats_is_0_and_what_may_be_anything_is_refused():
    assert float64.constant(1 - sp.erf(216)) == 0
    assert float64.constant(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6))) == 0
    with pytest.raises(InvalidArgument, match="not a real number"):
        float64.constant(sp.sqrt(-2))


BESIDE_1 = {
    sp.S.One: lambda: 0,
    sp.erf(216): lambda: mpmath.erfc(216),
    sp.tanh(1000): lambda: 2 / (1 + mpmath.exp(2000)),
}
"""Numbers, and how far each lies below 1."""


@pytest.mark.parametrize(("low", "high"), [(sp.erf(216), 1), (sp.tanh(1000), sp.erf(216)), (sp.tanh(1000), 1)])
def test_numbers_that_agree_in_thousands_of_digits_are_told_apart(low, high):
    low, high = sp.sympify(low), sp.sympify(high)
    assert constants.below(low, high)
    assert not constants.below(high, low)
    apart = 1 - _between(low, high)
    assert apart.is_Rational
    assert BESIDE_1[high]() < mpmath.mpf(apart.p) / apart.q < BESIDE_1[low]()


def test_a_number_between_0_and_a_small_constant():
    middle = _between(sp.S.Zero, CANCELLING["pi - 2*atan(10**200)"])
    assert 0 < middle < sp.Rational(2, 10**200)


def test_the_checker_takes_no_digits_that_sympy_has_not():
    with pytest.raises(Unproved), mpmath.workdps(40):
        _number(sp.pi - 2 * sp.atan(10**200))


def test_a_gate_with_such_a_constant_has_its_own_values():
    """u = (pi - 2 atan(1e200)) 1e200 z is 2 z to two hundred digits."""
    found = gate("sigmoid((pi - 2*atan(1e200))*1e200*z)")
    assert found.phi(0.75) == pytest.approx(1 / (1 + mpmath.exp(-1.5)), rel=4e-16)
    assert str(rate("sigmoid((pi - 2*atan(1e200))*1e200*z)").kappa) == "0"


@pytest.mark.parametrize("at", ["erf(216)", "tanh(1000)", "sigmoid(2000)", "(1 - exp(-exp(6)))"])
def test_kinks_where_sympy_cannot_compare(at):
    found = membership(f"sigmoid(z + abs(z - {at})/2)", seconds=10)
    assert (found.clause("increasing").verdict, found.clause("differentiable").verdict) == ("proved", "refuted")
    assert membership(f"sigmoid(where(z < {at}, z, 2*z - {at}))", seconds=10).clause("increasing").verdict == "proved"


def test_the_size_of_a_law_with_a_tiny_factor():
    """l = 1/(log(1 + 1e-200)^2 tau): at tau = e^1000 that is e^(400 log 10 - 1000)."""
    found = rate("sigmoid(log(1 + 1e-200)*z)")
    assert found.log_distance(1000.0) == pytest.approx(400 * float(mpmath.log(10)) - 1000, rel=1e-14)


def test_big_floats_have_them_too():
    value = BigFloat(40).constant(CANCELLING["pi - 2*atan(10**200)"]).values
    with mpmath.workdps(60):
        assert abs(value / true(CANCELLING["pi - 2*atan(10**200)"]) - 1) < 1e-39


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("show", "sigmoid(cosh(where(sqrt((4*z)**7) <= z**2, tanh(z), 1/2)))"),  # no real number is compared for z < 0
        ("show", "sigmoid(z + (1 - tanh(sigmoid(2))**2)*sigmoid(z)/4)"),
        ("show", "sigmoid(z*softsign(sinh(log(cosh(where(z <= 1000/z, atan(z/z), z))**40))))"),
        ("rate", "sigmoid(z*log(2)*1e-30 + 82/30*log(5/7))"),
        ("check", "sigmoid(log(asinh(log(z + erf(216)) - 9*z))**15)"),
        ("check", "sigmoid(where((pi - 2*atan(1e200))*z < 1, z, z + 1))"),
        ("check", "sigmoid(tan(z - atan(1e300)))"),
        ("check", "sigmoid(where(abs(z) - z**2 < 1e-251, sin(z), z))"),
        ("order", "sigmoid(z*where(sqrt(sin(exp(9))*(z + exp(2))/z) < z**40, z, (1 - z)**2))"),  # sin(exp(9)) < 0
    ],
)
def test_they_are_no_fault(command, text, capsys):
    more = {"show": [], "order": ["sigmoid", "--seconds", "2"]}.get(command, ["--seconds", "2"])
    assert main([command, text, *more]) in (0, 3)
    assert "fault" not in capsys.readouterr().err
