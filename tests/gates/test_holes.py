"""Holes, where a part of a formula is 0/0: values and slopes there and beside, against series and big floats."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.arithmetic import doubledouble, float64
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import Gate
from gateflow.gates.holes import Filled

BESIDE = np.array([0.0, 1e-300, 1e-30, 1e-17, 1e-12, -1e-9, 1e-5, -1e-3, 0.1, -0.3, 0.45, 0.6])
QUOTIENTS = {
    "sine": (sp.sin(Z) / Z, lambda t: mpmath.sinc(t), 0),
    "its slope": (sp.diff(sp.sin(Z) / Z, Z), lambda t: -mpmath.hyp0f1(2.5, -(t**2) / 4) * t / 3, 0),
    "exponential": ((sp.exp(Z - 2) - 1) / (Z - 2), lambda t: mpmath.hyp1f1(1, 2, t), 2),
    "its slope at a third": (
        sp.diff((sp.exp(Z - sp.Rational(1, 3)) - 1) / (Z - sp.Rational(1, 3)), Z),
        lambda t: mpmath.hyp1f1(2, 3, t) / 2,
        Fraction(1, 3),
    ),
    "half a square": ((1 - sp.cos(Z)) / Z**2, lambda t: mpmath.sinc(t / 2) ** 2 / 2, 0),
}


@pytest.mark.parametrize("name", QUOTIENTS)
def test_values_in_and_beside_a_hole_are_right_in_both_precisions(name):
    """sin(t)/t, (e^t - 1)/t and their derivatives as hypergeometric functions, which divide by nothing."""
    expr, true, at = QUOTIENTS[name]
    one = Filled([expr])
    assert [float(filling.at) for filling in one.fillings] == [float(at)]
    with mpmath.workdps(40):
        at = mpmath.mpf(at) if at in (0, 2) else mpmath.mpf(at.numerator) / at.denominator
        z = [float(at + mpmath.mpf(x)) for x in BESIDE]
        expected = [true(mpmath.mpf(x) - at) for x in z]
        plain, double = one(float64, np.array(z))[0], one(doubledouble, doubledouble.lift(np.array(z)))[0]
        for y, x, high, low in zip(expected, plain, double.hi, double.lo, strict=True):
            assert abs(mpmath.mpf(float(x)) - y) <= 1e-15 * abs(y) + mpmath.mpf(2) ** -1074
            assert abs(mpmath.mpf(float(high)) + mpmath.mpf(float(low)) - y) <= 1e-28 * abs(y) + mpmath.mpf(2) ** -1074


@pytest.mark.parametrize("expr", [sp.Abs(Z) / Z, 1 / Z, sp.log(sp.Abs(Z)), sp.sin(Z) / Z**2, sp.sqrt(sp.Abs(Z)) / Z])
def test_a_jump_or_a_pole_is_no_hole(expr):
    assert Filled([expr]).fillings == []


def test_a_kink_in_a_hole_has_a_polynomial_a_side():
    (filling,) = Filled([sp.Abs(Z) * sp.sin(Z) / Z]).fillings
    assert len(filling.sides) == 2


def test_a_hole_at_a_zero_of_a_polynomial_too_large_to_be_split():
    """The slope of the sine over that of the divisor, 2*301 + 1: the zero 1/2 is known as a float alone."""
    half = sp.Rational(1, 2)
    value = Filled([sp.sin(Z - half) / ((2 * Z) ** 301 + Z - 3 * half)])(float64, np.array([0.5]))[0]
    assert value == pytest.approx([1 / 603], rel=1e-15)


def test_a_value_given_by_cases_is_kept():
    assert Gate("sigmoid(where(z == 0, 7, z + sin(z)/z))").u(np.array([0.0, 1e-9])) == pytest.approx([7.0, 1.0])


def test_a_gate_s_second_derivative_beside_a_hole():
    """u = z + sin(z)/z: u'' = -1/3 at 0, u' = 1, phi = sigmoid(1)."""
    s = 1 / (1 + mpmath.exp(-1))
    expected = float(s * (1 - s) * (mpmath.mpf(-1) / 3 - (2 * s - 1)))
    assert Gate("sigmoid(z + sin(z)/z)").d2phi(np.array([0.0, 1e-200, 1e-25])) == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("numbers", [lambda gate: gate.float64, lambda gate: gate], ids=["float64", "twice"])
def test_the_slope_beside_a_hole_has_the_right_sign(numbers):
    """u' = 1 at 18/5, where tanh(t)/t is level; over a common divisor t^2 all digits of the slope cancel beside it."""
    gate = Gate("sigmoid(z + tanh(z - 18/5)/9/(z - 18/5))")
    z = 3.6 + np.concatenate([np.arange(-40, 41) * np.spacing(3.6), [-1e-9, 1e-9, -3e-8, 3e-8, 1e-6]])
    u = 3.6 + 1 / 9
    assert numbers(gate).du(z) == pytest.approx(1 + 0 * z, rel=1e-5)
    assert numbers(gate).dphi(z) == pytest.approx(np.exp(-u) / (1 + np.exp(-u)) ** 2 + 0 * z, rel=1e-5)
