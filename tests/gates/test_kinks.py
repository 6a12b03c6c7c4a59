"""Zeros of polynomials, exact where they have a form in radicals that is seen to be real."""

from __future__ import annotations

import math

import mpmath
import pytest
import sympy as sp

from gateflow.formula.vocabulary import Z
from gateflow.gates.kinks import real_roots_of, roots_of

PRODUCT = sp.Mul(*(Z + i for i in range(1, 49)))

EXACT = {
    "a product that is not written out": (PRODUCT, {sp.Integer(-i) for i in range(1, 49)}),
    "a power of it": (PRODUCT**999, {sp.Integer(-i) for i in range(1, 49)}),
    "a root of a high order": (Z**9999 - 3, {3 ** sp.Rational(1, 9999)}),
    "two of them": (2 * Z**50 - 7, {sign * sp.Rational(7, 2) ** sp.Rational(1, 50) for sign in (-1, 1)}),
    "none": (1 + Z**162, set()),
    "units": (Z**60 - 1, {sp.Integer(-1), sp.Integer(1)}),
    "a quadratic of cubes": (
        Z**6 - Z**3 - 1,
        {((1 + sp.sqrt(5)) / 2) ** sp.Rational(1, 3), -(((sp.sqrt(5) - 1) / 2) ** sp.Rational(1, 3))},
    ),
    "coefficients that are no fractions": (
        3 * Z**2 + Z - sp.sqrt(3),
        {-sp.Rational(1, 6) + sign * sp.sqrt(1 + 12 * sp.sqrt(3)) / 6 for sign in (-1, 1)},
    ),
    "a constant": ((Z**200 + 1) * (Z**200 - 1) - Z**400, set()),
    "a constant that is no fraction": ((Z**200 + sp.sqrt(2)) * (Z**200 - sp.sqrt(2)) - Z**400, set()),
    "nothing but a power": (Z**9999 * (Z + 1) ** 5000, {sp.Integer(0), sp.Integer(-1)}),
}


@pytest.mark.parametrize("name", EXACT)
def test_roots_with_a_closed_form_are_exact(name):
    expr, roots = EXACT[name]
    found = roots_of(expr)
    assert len(found) == len(roots)
    for root in roots:
        assert min(abs(sp.N(root - other, 30)) for other in found) < 1e-25


def _log_slope(z):
    return mpmath.fsum(1 / (z + i) for i in range(1, 49))


def test_roots_without_a_closed_form_are_the_nearest_floats():
    """Between two neighbouring zeros -i - 1 and -i of the product its derivative has one, and nowhere else."""
    with mpmath.workdps(30):
        ends = [(mpmath.mpf(-i - 1) + 1e-9, mpmath.mpf(-i) - 1e-9) for i in range(1, 48)]
        between = [float(mpmath.findroot(_log_slope, each, solver="anderson", tol=1e-25)) for each in ends]
    found = sorted(float(root) for root in roots_of(sp.diff(PRODUCT, Z)))
    assert found == pytest.approx(sorted(between), rel=1e-15)


@pytest.mark.parametrize("n", [7, 10, 14])
def test_products_whose_slope_is_a_polynomial_of_a_square_have_all_its_roots(n):
    """About its middle the slope of (z + 1)...(z + n) is even or odd: its zeros are mirrored there."""
    found = sorted(float(root) for root in roots_of(sp.diff(sp.Mul(*(Z + i for i in range(1, n + 1))), Z)))
    assert len(found) == n - 1
    assert [-n - 1 - z for z in found[::-1]] == pytest.approx(found, rel=1e-13)
    assert all(abs(math.fsum(1 / (z + i) for i in range(1, n + 1))) < 1e-9 for z in found)


def test_a_polynomial_that_is_too_large_says_so():
    """Of degree 301, without a form in radicals: nothing is said, instead of too little."""
    assert real_roots_of(sp.Poly(Z**301 - Z - 1, Z)) is None
