"""The error-free transforms and the four operations, against exact rational arithmetic."""

from __future__ import annotations

import math
import operator
from fractions import Fraction

import numpy as np
import pytest

from gateflow.arithmetic.doubledouble import DD, integer_power, sqrt
from gateflow.arithmetic.doubledouble.errorfree import fast_two_sum, scale_by_two, split, two_prod, two_square, two_sum

OPERATIONS = {"+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv}
SPECIALS = [0.0, -0.0, 1.0, -2.0, 5e-324, 1e-310, 1e300, 1.7976931348623157e308, -1e308, math.inf, -math.inf, math.nan]


def floats(rng, size, low=-300, high=300):
    """Floats of either sign, log-uniform between powers of two."""
    return np.ldexp(rng.uniform(0.5, 1.0, size) * rng.choice([-1, 1], size), rng.integers(low, high, size))


def pairs(rng, size, low=-300, high=300):
    hi = floats(rng, size, low, high)
    return DD(hi, np.spacing(hi) * rng.uniform(-0.5, 0.5, size))


def exact(x):
    return [Fraction(float(h)) + Fraction(float(v)) for h, v in zip(np.ravel(x.hi), np.ravel(x.lo), strict=True)]


@pytest.mark.parametrize("distance", [0, 3, 60, 300])
def test_two_sum_is_exact(rng, distance):
    a = floats(rng, 300, -5, 5)
    b = floats(rng, 300, -5 - distance, 5 - distance)
    for x, y in ((a, b), (b, a)):
        s, e = two_sum(x, y)
        assert all(
            Fraction(p) + Fraction(q) == Fraction(u) + Fraction(v) for p, q, u, v in zip(x, y, s, e, strict=True)
        )
    large, small = np.where(np.abs(a) >= np.abs(b), a, b), np.where(np.abs(a) >= np.abs(b), b, a)
    assert np.array_equal(fast_two_sum(large, small), two_sum(large, small))


def test_split_and_products_are_exact(rng):
    a, b = floats(rng, 500, -400, 1023), floats(rng, 500, -400, 0)
    h, low = split(a)
    assert np.array_equal(h + low, a)
    assert all(int(abs(v) / math.ulp(v) / 2.0**27) * 2.0**27 == abs(v) / math.ulp(v) for v in h)
    p, e = two_prod(a, b)
    assert all(Fraction(x) * Fraction(y) == Fraction(u) + Fraction(v) for x, y, u, v in zip(a, b, p, e, strict=True))
    p, e = two_square(b)
    assert all(Fraction(x) ** 2 == Fraction(u) + Fraction(v) for x, u, v in zip(b, p, e, strict=True))


@pytest.mark.parametrize("symbol", OPERATIONS)
def test_operations_have_the_published_bounds(rng, symbol):
    bound = {"+": 3, "-": 3, "*": 5, "/": 15}[symbol] * Fraction(2) ** -106 * (1 + Fraction(2) ** -40)
    operation = OPERATIONS[symbol]
    x, y = pairs(rng, 2000), pairs(rng, 2000)
    x.hi[:500] = -y.hi[:500] * (1 + 2.0 ** -rng.integers(1, 53, 500))  # sums that cancel
    x.lo[:500] = np.spacing(x.hi[:500]) * rng.uniform(-0.5, 0.5, 500)
    x = DD(*two_sum(x.hi, x.lo))
    for found, p, q in zip(exact(operation(x, y)), exact(x), exact(y), strict=True):
        assert abs(found - operation(p, q)) <= bound * abs(operation(p, q))


@pytest.mark.parametrize("magnitude", [-1073, -1040, -1000, -960, 960, 1000, 1020])
def test_quotients_of_extreme_numbers_keep_their_digits(rng, magnitude):
    x, y = floats(rng, 300, magnitude - 1, magnitude + 1), floats(rng, 300, magnitude - 1, magnitude + 1)
    for found, p, q in zip(exact(DD.of(x) / DD.of(y)), exact(DD.of(x)), exact(DD.of(y)), strict=True):
        assert abs(found - p / q) <= Fraction(2) ** -102 * abs(p / q)


@pytest.mark.parametrize("magnitude", [-1073, -1000, -960, -300, 0, 1, 300, 1020])
def test_square_root(rng, magnitude):
    x = np.abs(floats(rng, 300, magnitude - 1, magnitude + 1))
    for found, p in zip(exact(sqrt(DD.of(x))), exact(DD.of(x)), strict=True):
        assert abs(found * found / p - 1) <= 2 * Fraction(2) ** -104


@pytest.mark.parametrize("symbol", OPERATIONS)
def test_ends_are_those_of_ieee(symbol):
    operation = OPERATIONS[symbol]
    x, y = np.meshgrid(SPECIALS, SPECIALS)
    with np.errstate(all="ignore"):
        wanted = operation(x, y)
    found = operation(DD.of(x), DD.of(y))
    np.testing.assert_array_equal(found.hi, wanted)
    assert np.isfinite(found.lo).all()
    assert not found.lo[~np.isfinite(wanted)].any()


def test_products_near_overflow_are_numbers():
    x = DD.of(np.array([1.7976931348623157e308, 2.0**1000, -1.5e308]))
    for factor in (0.5, 0.3, 1.0, 2.0**-1000):
        y = x * factor
        np.testing.assert_array_equal(y.hi, x.hi * factor)
        assert np.isfinite(y.lo).all()


def test_operators_broadcast_and_mix_with_arrays_and_numbers():
    x = DD.of(np.arange(1.0, 4.0)[:, None])
    y = np.array([1.0, 3.0])
    assert (x * y).shape == (y + x).shape == (y / x).shape == (x - y).shape == (3, 2)
    np.testing.assert_array_equal((y - x).hi, -(x - y).hi)
    np.testing.assert_array_equal((1 / x).hi, 1 / x.hi)
    np.testing.assert_array_equal((2 * x + 1 - 3.0).hi, 2 * x.hi - 2)
    assert exact(DD.of(1.0) / 3)[0] != Fraction(1 / 3)


@pytest.mark.parametrize("n", [-1, -3, -40, 0, 1, 2, 7, 64])
def test_integer_powers(rng, n):
    x = pairs(rng, 200, -6, 6)
    for found, p in zip(exact(integer_power(x, n)), exact(x), strict=True):
        assert abs(found / p**n - 1) <= (abs(n) + 1) * Fraction(2) ** -102


def test_negative_integer_powers_reach_the_subnormal_numbers():
    assert float(integer_power(DD.of(10.0), -310).hi) == pytest.approx(1e-310, rel=1e-13)
    assert float(integer_power(DD.of(0.1), -300).hi) == pytest.approx(1e300, rel=1e-13)
    assert float(integer_power(DD.of(0.0), -2).hi) == math.inf


def test_scaling_rounds_once_into_the_subnormal_numbers(rng):
    x, k = floats(rng, 500, 0, 1), rng.integers(-1085, -1015, 500)
    wanted = [float(Fraction(v) * Fraction(2) ** int(n)) for v, n in zip(x, k, strict=True)]
    np.testing.assert_array_equal(scale_by_two(x, k), wanted)
