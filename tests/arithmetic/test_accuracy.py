"""Accuracy is the contract: every function of every arithmetic against big floats, over the whole range."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from gateflow.arithmetic import FUNCTIONS, BigFloat, doubledouble, float64
from gateflow.arithmetic.doubledouble import DD

from .references import ABSOLUTE, MP, arguments, reference

BITS = {"expm1": 98, "sinh": 98, "tanh": 98, "log_cosh": 98, "loggamma": 96, "digamma": 96, "log_erfc": 100}
"""Bits to which double-double is right; 101 where nothing else is said."""

ULPS = {"erfc": 10.0, "erfcx": 10.0, "log_erfc": 10.0, "log_erfcx": 12.0, "loggamma": 10.0, "trigamma": 10.0}
"""Errors of the float64 arithmetic in ulps of float64; 4 where nothing else is said."""

EXACT = ("abs", "sign")
HARD = tuple(name for name in FUNCTIONS if name not in EXACT)


def size(name, wanted):
    """What an error is held to: the value, or 1 near a zero that is no special point."""
    return max(abs(wanted), MP.one) if name in ABSOLUTE else abs(wanted)


def with_low_parts(x, rng):
    """Each x once as it is, and once with digits beyond float64."""
    lo = np.spacing(x) * rng.uniform(-0.5, 0.5, x.shape)
    return DD(np.concatenate([x, x]), np.concatenate([np.zeros_like(x), lo]))


COUNTS = [15, pytest.param(60, marks=pytest.mark.slow)]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", HARD)
def test_double_double_is_right_to_98_bits(name, count, rng):
    x = with_low_parts(arguments(name, rng, count), rng)
    y = getattr(doubledouble, name)(x)
    bound = 2.0 ** -BITS.get(name, 101)
    for hi, lo, found_hi, found_lo in zip(x.hi, x.lo, y.hi, y.lo, strict=True):
        wanted = reference(name, hi, lo)
        assert abs((MP.mpf(found_hi) + MP.mpf(found_lo)) - wanted) <= bound * size(name, wanted), (hi, lo)


@pytest.mark.parametrize("name", HARD)
def test_double_double_parts_do_not_overlap(name, rng):
    y = getattr(doubledouble, name)(with_low_parts(arguments(name, rng, 60), rng))
    np.testing.assert_array_equal(y.hi + y.lo, y.hi)


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("name", HARD)
def test_float64_is_right_to_a_few_ulps(name, count, rng):
    x = arguments(name, rng, count)
    for hi, found in zip(x, getattr(float64, name)(x), strict=True):
        wanted = reference(name, hi)
        assert abs(MP.mpf(float(found)) - wanted) <= ULPS.get(name, 4.0) * np.spacing(float(size(name, wanted))), hi


@pytest.mark.parametrize("name", HARD)
def test_big_floats_are_right_to_all_their_digits(name, rng):
    big = BigFloat(50)
    x = rng.permutation(arguments(name, rng, 20))[:40]
    y = getattr(big, name)(big.lift(x))
    for hi, found in zip(x, y.values, strict=True):
        wanted = reference(name, hi)
        assert abs(MP.mpf(found._mpf_) - wanted) <= MP.mpf(10) ** -49 * size(name, wanted), hi


@pytest.mark.parametrize("name", ["exp", "sigmoid", "softplus", "erfc"])
@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_results_reach_down_to_the_last_subnormal(name, count, rng):
    x = rng.uniform(26.0, 27.4, count) if name == "erfc" else -rng.uniform(700.0, 746.0, count)
    for arithmetic in (doubledouble, float64):
        y = arithmetic.round(getattr(arithmetic, name)(arithmetic.lift(x)))
        for hi, found in zip(x, y, strict=True):
            wanted = reference(name, hi)
            assert abs(MP.mpf(found) - wanted) <= 2 * 5e-324 + 10 * abs(wanted) * 2.0**-53, (arithmetic.name, hi)


@pytest.mark.parametrize(
    "name",
    ["expm1", "log1p", "sin", "tan", "sinh", "tanh", "asinh", "atanh", "atan", "erf", "softsign"],
)
@pytest.mark.parametrize("tiny", [5e-324, 3e-320, 2.3e-308, 1e-305, 1e-290])
def test_faint_arguments_keep_their_relative_accuracy(name, tiny):
    slope = 2 / np.sqrt(np.pi) if name == "erf" else 1.0
    for x in (tiny, -tiny):
        for arithmetic in (float64, doubledouble):
            y = float(arithmetic.round(getattr(arithmetic, name)(arithmetic.lift(x))))
            assert y == pytest.approx(slope * x, rel=4e-16, abs=5e-324)
            assert y / x > 0


@pytest.mark.parametrize("x", [0.3, 40.0, 1e8, 3.7e60, 1e150])
def test_log_erfc_far_out(x):
    MP.prec = 400 if x < 1000 else 1200
    v = MP.mpf(x)
    wanted = MP.log(MP.erfc(v)) if x < 1000 else -v * v - MP.log(v * MP.sqrt(MP.pi)) + MP.log1p(-1 / (2 * v * v))
    y = doubledouble.log_erfc(doubledouble.lift(x))
    assert abs(MP.mpf(float(y.hi)) + MP.mpf(float(y.lo)) - wanted) <= 2.0**-98 * abs(wanted)


@pytest.mark.parametrize("count", [10, pytest.param(40, marks=pytest.mark.slow)])
def test_log_odds_of_the_probit_gate_keep_all_digits(count, rng):
    """u = log phi - log phi_c with phi = (1 + erf z)/2: the reason for erfc in double-double."""
    z = rng.uniform(-30, 30, count)
    a = doubledouble
    u = a.log_erfc(-a.lift(z)) - a.log_erfc(a.lift(z))
    for point, hi, lo in zip(z, u.hi, u.lo, strict=True):
        MP.prec = 3500
        wanted = MP.log(MP.erfc(-MP.mpf(point)) / MP.erfc(MP.mpf(point)))
        assert abs(MP.mpf(hi) + MP.mpf(lo) - wanted) <= 2.0**-98 * abs(wanted)


@pytest.mark.parametrize("name", ["sin", "cos", "tan"])
def test_trigonometric_functions_fall_back_to_float64_far_out(name, rng):
    x = np.exp(rng.uniform(np.log(1.1e15), np.log(1e22), 50))
    y = doubledouble.round(getattr(doubledouble, name)(doubledouble.lift(x)))
    wanted = [float(reference(name, v)) for v in x]
    np.testing.assert_allclose(y, wanted, rtol=1e-15)


@pytest.mark.parametrize("name", ["loggamma", "digamma", "trigamma"])
def test_gamma_functions_at_negative_arguments_are_those_of_float64(name, rng):
    x = -rng.uniform(0.05, 0.95, 40) - rng.integers(0, 12, 40)
    MP.prec = 200
    wanted = [float(mpmath.re(reference(name, v))) for v in x]
    for arithmetic in (float64, doubledouble):
        y = arithmetic.round(getattr(arithmetic, name)(arithmetic.lift(x)))
        np.testing.assert_allclose(y, wanted, rtol=1e-11, atol=1e-13)


def test_power(rng):
    x = np.exp(rng.uniform(-20, 20, 300))
    y = rng.uniform(-30, 30, 300)
    y.flat[:20] = np.rint(y.flat[:20])
    found = doubledouble.power(doubledouble.lift(x), doubledouble.lift(y))
    MP.prec = 300
    for p, q, hi, lo in zip(x, y, found.hi, found.lo, strict=True):
        wanted = MP.mpf(p) ** MP.mpf(q)
        bound = 2.0**-101 * (1 + abs(q * np.log(p)))
        assert abs(MP.mpf(hi) + MP.mpf(lo) - wanted) <= bound * wanted


def test_erfc_keeps_the_low_part_of_a_large_square(rng):
    """The low part of x^2 is near 1.4e-13 here: more than half an ulp of its high part."""
    x = rng.uniform(23.5, 24.5, 300)
    lo = np.spacing(x) * rng.choice([-0.5, 0.5], 300)
    y = doubledouble.erfc(DD(x, lo))
    for hi, low, found, rest in zip(x, lo, y.hi, y.lo, strict=True):
        wanted = reference("erfc", hi, low)
        assert abs(MP.mpf(found) + MP.mpf(rest) - wanted) <= 2.0**-101 * wanted


def test_digamma_is_absolutely_right_near_its_zero(rng):
    x = 1.4616321449683622 + rng.choice([-1, 1], 60) * np.exp(rng.uniform(np.log(1e-16), np.log(0.2), 60))
    y = doubledouble.digamma(doubledouble.lift(x))
    for hi, found, rest in zip(x, y.hi, y.lo, strict=True):
        assert abs(MP.mpf(found) + MP.mpf(rest) - reference("digamma", hi)) <= 2.0**-100
