"""Inverses of increasing functions, in closed form and by search."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.formula.vocabulary import U, Z, log1p, logit, sigmoid, softplus, softsign
from gateflow.gates.gate import Gate
from gateflow.gates.inversion import closed_inverse, increasing_root

CLOSED = [
    Z,
    3 * Z - 2,
    sp.sinh(2 * Z) / 2,
    sp.sinh(sp.sinh(Z)),
    sp.asinh(Z),
    sp.exp(Z) + 1,
    Z**3,
    Z**5 / 7,
    softplus(2 * Z),
    softsign(Z),
    logit(sigmoid(3 * Z + 1)),
    sp.sign(Z) * log1p(sp.Abs(Z)),
    sp.sign(Z) * sp.Abs(Z) ** sp.Rational(3, 2),
    sp.sign(Z) * log1p(log1p(sp.Abs(Z))),
]


@pytest.mark.parametrize("expr", CLOSED, ids=str)
def test_the_closed_inverse_undoes_the_function(expr: sp.Expr) -> None:
    inverse = closed_inverse(expr)
    assert inverse is not None
    for z in (-1.75, -0.5, 0.25, 1.5):
        u = sp.N(expr.rewrite(sp.exp).subs(Z, sp.Rational(z)), 40)
        back = inverse.subs(U, u).rewrite(sp.exp)
        assert abs(sp.N(back, 30) - sp.Rational(z)) < 1e-20


@pytest.mark.parametrize("expr", [Z + Z**3, Z * sp.exp(Z**2), Z**2, Z**4 + 1, Z + sp.sin(Z)], ids=str)
def test_where_there_is_none_none_is_claimed(expr: sp.Expr) -> None:
    assert closed_inverse(expr) is None


def test_roots_of_every_magnitude() -> None:
    target = np.concatenate([-(10.0 ** np.arange(-300, 301, 20)), [0.0], 10.0 ** np.arange(-300, 301, 20)])
    with np.errstate(all="ignore"):
        root = increasing_root(lambda z: z + z**3, lambda z: np.log1p(3 * z * z), target)
    for z, u in zip(root, target, strict=True):
        with mpmath.workdps(40):
            slope = 1 + 3 * mpmath.mpf(z) ** 2
            # to where the function, in float64, has three roundings of its own
            assert abs(mpmath.mpf(z) + mpmath.mpf(z) ** 3 - u) <= 2.3e-16 * (abs(z) * slope + 3 * abs(u))


def test_infinities_are_their_own_roots() -> None:
    root = increasing_root(np.arcsinh, lambda z: -0.5 * np.log1p(z * z), np.array([-np.inf, np.inf]))
    assert list(root) == [-np.inf, np.inf]


def test_a_value_that_is_never_taken_has_no_root() -> None:
    root = increasing_root(np.tanh, lambda z: -2 * np.log(np.cosh(np.clip(z, -300, 300))), np.array([0.5, 2.0]))
    assert root[0] == pytest.approx(np.arctanh(0.5), rel=1e-15)
    assert np.isnan(root[1])


def test_flat_points_do_not_stop_the_search() -> None:
    with np.errstate(all="ignore"):
        root = increasing_root(lambda z: z**3, lambda z: np.log(3 * z * z), np.array([-8.0, 1e-30, 27.0]))
    assert np.allclose(root, [-2.0, 1e-10, 3.0], rtol=1e-14)


def test_a_root_between_two_floats_ends_the_search() -> None:
    """Each of the two leads to the other for ever: 200 steps would be taken where six find the root."""
    target = np.linspace(0.1, 12.5, 318)
    asked = []

    def cubic(z: np.ndarray) -> np.ndarray:
        asked.append(z.size)
        return z + z**3

    root = increasing_root(cubic, lambda z: np.log1p(3 * z * z), target)
    assert len(asked) < 40
    for z, u in zip(root, target, strict=True):
        with mpmath.workdps(40):
            exact = mpmath.findroot(lambda x, u=u: x + x**3 - u, mpmath.mpf(z))
            assert abs(z - exact) <= 4 * np.spacing(z)


@pytest.mark.parametrize("steps", range(30, 42))
def test_it_is_where_that_many_steps_end(steps: int) -> None:
    """Of two floats that lead to each other it is the one that the last step finds, found without the steps."""
    target = np.linspace(0.1, 12.5, 318)
    with np.errstate(all="ignore"):
        found = increasing_root(lambda z: z + z**3, lambda z: np.log1p(3 * z * z), target, steps)
        longer = increasing_root(lambda z: z + z**3, lambda z: np.log1p(3 * z * z), target, steps + 2)
    assert np.array_equal(found, longer)
    with mpmath.workdps(40):
        exact = [
            float(mpmath.findroot(lambda z, t=t: z + z**3 - mpmath.mpf(float(t)), float(x)))
            for t, x in zip(target, found, strict=True)
        ]
    assert np.all(np.abs(found - exact) <= 2 * np.spacing(np.abs(exact)))  # z + z**3 is rounded itself


@pytest.mark.parametrize("kink", [0.3, 0.7, 1.9, 2.5, 5.1, -3.3, -7.0])
def test_two_places_apart_that_lead_to_each_other_do_not_end_the_search(kink: float) -> None:
    """Beside the root of ``sign(x) sqrt(abs(x))`` Newton goes from x to -x, at any distance, and back."""
    root = Gate(f"sigmoid(sign(z - ({kink}))*sqrt(abs(z - ({kink}))))").inverse(np.array([0.5, 0.9]))
    assert root == pytest.approx([kink, kink + math.log(9) ** 2], rel=1e-15)
