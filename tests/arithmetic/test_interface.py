"""Every arithmetic has the same functions, the same limits at the ends and the same silence."""

from __future__ import annotations

import inspect
import math

import numpy as np
import pytest
import sympy as sp

from gateflow.arithmetic import ARITHMETICS, FUNCTIONS, OPERATIONS, BigFloat, named
from gateflow.errors import InvalidArgument, UnknownName

INF, NAN, PI = math.inf, math.nan, math.pi

LIMITS: dict[str, dict[float, float]] = {
    "abs": {-INF: INF, INF: INF, -2.0: 2.0, -0.0: 0.0},
    "sign": {-INF: -1.0, INF: 1.0, 0.0: 0.0, -5e-324: -1.0},
    "sqrt": {0.0: 0.0, INF: INF, -1.0: NAN, -INF: NAN, 4.0: 2.0},
    "exp": {-INF: 0.0, INF: INF, 0.0: 1.0, 1e308: INF, -1e308: 0.0, 709.0: 8.218407461554972e307, 710.0: INF},
    "expm1": {-INF: -1.0, INF: INF, 0.0: 0.0, 1e308: INF, -1e308: -1.0},
    "log": {0.0: -INF, INF: INF, 1.0: 0.0, -1.0: NAN, -INF: NAN, -1e-300: NAN},
    "log1p": {-1.0: -INF, INF: INF, 0.0: 0.0, -2.0: NAN, -INF: NAN},
    "sin": {INF: NAN, -INF: NAN, 0.0: 0.0},
    "cos": {INF: NAN, -INF: NAN, 0.0: 1.0},
    "tan": {INF: NAN, -INF: NAN, 0.0: 0.0},
    "sinh": {-INF: -INF, INF: INF, 0.0: 0.0, 1e308: INF, -711.0: -INF, 710.0: 1.1169973830808557e308},
    "cosh": {-INF: INF, INF: INF, 0.0: 1.0, 1e308: INF, -711.0: INF, 710.0: 1.1169973830808557e308},
    "tanh": {-INF: -1.0, INF: 1.0, 0.0: 0.0, 1e308: 1.0},
    "asinh": {-INF: -INF, INF: INF, 0.0: 0.0, 1e308: 308 * math.log(10) + math.log(2)},
    "acosh": {1.0: 0.0, INF: INF, 0.5: NAN, -1.0: NAN, -1e20: NAN, -INF: NAN, 1e308: 308 * math.log(10) + math.log(2)},
    "atanh": {-1.0: -INF, 1.0: INF, 0.0: 0.0, 2.0: NAN, -1e300: NAN, INF: NAN},
    "atan": {-INF: -PI / 2, INF: PI / 2, 0.0: 0.0, 1e308: PI / 2},
    "acot": {-INF: PI, INF: 0.0, 0.0: PI / 2, 1e308: 1e-308, -1e308: PI},
    "erf": {-INF: -1.0, INF: 1.0, 0.0: 0.0, 1e308: 1.0},
    "erfc": {-INF: 2.0, INF: 0.0, 0.0: 1.0, 28.0: 0.0, 1e308: 0.0, -1e308: 2.0},
    "log_erfc": {-INF: math.log(2), INF: -INF, 0.0: 0.0, 1e150: -1e300, 1e200: -INF},
    "loggamma": {INF: INF, 0.0: INF, -1.0: INF, 1.0: 0.0, 2.0: 0.0, 5e-324: 744.4400719213812},
    "digamma": {INF: INF, 0.0: -INF, -1.0: NAN},
    "trigamma": {INF: 0.0, 0.0: INF, -1.0: INF, 1e308: 1e-308},
    "sigmoid": {-INF: 0.0, INF: 1.0, 0.0: 0.5, 1e308: 1.0, -1e308: 0.0},
    "softplus": {-INF: 0.0, INF: INF, 1e308: 1e308, -1e308: 0.0, 0.0: math.log(2)},
    "softsign": {-INF: -1.0, INF: 1.0, 1e308: 1.0, 0.0: 0.0, -1.0: -0.5},
    "logit": {0.0: -INF, 1.0: INF, 0.5: 0.0, -0.1: NAN, 1.5: NAN, INF: NAN, -INF: NAN, 5e-324: -744.4400719213812},
    "log_cosh": {-INF: INF, INF: INF, 0.0: 0.0, 1e308: 1e308},
    "erfcx": {0.0: 1.0, INF: 0.0, 1e308: 1e-308 / math.sqrt(PI)},
    "log_erfcx": {-INF: INF, 0.0: 0.0, INF: -INF, 1e160: -math.log(1e160 * math.sqrt(PI))},
    "log_expm1": {-INF: 0.0, 0.0: -INF, INF: INF, 1e308: 1e308, -800.0: 0.0},
    "log_hypot": {-INF: INF, 0.0: 0.0, INF: INF, 1e308: 308 * math.log(10), -1e200: 200 * math.log(10)},
    "log_softplus": {-INF: -INF, INF: INF, -1e308: -1e308, -1000.0: -1000.0, 1e308: 308 * math.log(10)},
    "log_cloglog": {-INF: -INF, INF: 0.0, -1e308: -1e308, -1000.0: -1000.0, 0.0: math.log(-math.expm1(-1))},
    "log_atan_exp": {-INF: -INF, INF: math.log(PI / 2), -1000.0: -1000.0, 1e308: math.log(PI / 2)},
    "log_atan_ratio": {-INF: 0.0, INF: -INF, -1000.0: 0.0, 1000.0: math.log(PI / 2) - 1000.0},
    "log1mexp": {0.0: -INF, INF: 0.0, -1.0: NAN, -INF: NAN, 5e-324: -744.4400719213812, 800.0: 0.0},
}


@pytest.fixture(params=ARITHMETICS)
def arithmetic(request):
    return ARITHMETICS[request.param]


def test_limits_cover_every_function():
    assert set(LIMITS) == set(FUNCTIONS)


def test_interface_is_complete(arithmetic):
    for name in (*FUNCTIONS, *OPERATIONS, "lift", "constant", "round"):
        assert callable(getattr(arithmetic, name)), name
    assert arithmetic.name.startswith(tuple(ARITHMETICS))


def test_no_arithmetic_has_functions_the_others_lack():
    """A module's public functions of one number are those of the list, so none is forgotten in the others."""
    for arithmetic in (ARITHMETICS["float64"], ARITHMETICS["doubledouble"]):
        listed = {*FUNCTIONS, *OPERATIONS, "lift", "constant", "round", "quiet", "real_value", "expression"}
        public = {
            name
            for name, value in vars(arithmetic).items()
            if not name.startswith("_") and inspect.isfunction(value) and value.__module__.startswith("gateflow")
        }
        assert public <= listed


@pytest.mark.parametrize("name", FUNCTIONS)
def test_limits_at_the_ends(arithmetic, name):
    arguments = np.array([*LIMITS[name], NAN])
    wanted = np.array([*LIMITS[name].values(), NAN])
    found = arithmetic.round(getattr(arithmetic, name)(arithmetic.lift(arguments)))
    np.testing.assert_allclose(found, wanted, rtol=1e-15, err_msg=str(arguments))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_shapes_and_scalars(arithmetic, name):
    function = getattr(arithmetic, name)
    column = np.linspace(1.1, 3.0, 6).reshape(3, 2) if name not in ("atanh", "logit") else np.full((3, 2), 0.3)
    found = arithmetic.round(function(arithmetic.lift(column)))
    assert found.shape == (3, 2)
    assert arithmetic.round(function(arithmetic.lift(np.empty(0)))).shape == (0,)
    assert arithmetic.round(function(arithmetic.lift(column[0, 0]))) == found[0, 0]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_chunk_of_a_long_array_is_computed_alike(name):
    a = ARITHMETICS["doubledouble"]
    x = np.linspace(0.05, 0.95, 10_007).reshape(-1, 1) + (name == "acosh")
    whole = getattr(a, name)(a.lift(x))
    for start in (0, 4090, 8000, 9990):
        part = getattr(a, name)(a.lift(x[start : start + 17]))
        np.testing.assert_array_equal(part.hi, whole.hi[start : start + 17])
        np.testing.assert_array_equal(part.lo, whole.lo[start : start + 17])


def test_log_add(arithmetic):
    a = arithmetic
    x, y = np.array([1000.0, -INF, INF, 0.0, -INF, 3.0, NAN]), np.array([1000.0, 2.0, INF, -1e308, -INF, INF, 1.0])
    wanted = [1000.0 + math.log(2), 2.0, INF, 0.0, -INF, INF, NAN]
    for pair in ((x, y), (y, x)):
        np.testing.assert_allclose(a.round(a.log_add(*map(a.lift, pair))), wanted, rtol=1e-15)


def test_operators(arithmetic):
    a = arithmetic
    x, y = a.lift(np.array([3.0, -0.5])), a.constant(2)
    np.testing.assert_array_equal(a.round(x + y), [5.0, 1.5])
    np.testing.assert_array_equal(a.round(y - x), [-1.0, 2.5])
    np.testing.assert_array_equal(a.round(x * y), [6.0, -1.0])
    np.testing.assert_array_equal(a.round(x / y), [1.5, -0.25])
    np.testing.assert_array_equal(a.round(-x), [-3.0, 0.5])
    np.testing.assert_array_equal(a.round(1.0 - x * 2.0), [-5.0, 2.0])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(a.round(x / a.lift(0.0)), [INF, -INF])
        np.testing.assert_array_equal(a.round(a.lift(0.0) / a.lift(np.zeros(1))), [NAN])


def test_comparison_and_choice(arithmetic):
    a = arithmetic
    x, y = a.lift(np.array([1.0, 2.0, 3.0, NAN, -INF])), a.lift(np.array([2.0, 2.0, NAN, 1.0, 0.0]))
    assert a.less(x, y).tolist() == [True, False, False, False, True]
    assert a.less_equal(x, y).tolist() == [True, True, False, False, True]
    assert a.isfinite(x).tolist() == [True, True, True, False, False]
    np.testing.assert_array_equal(a.round(a.maximum(x, y)), [2.0, 2.0, NAN, NAN, 0.0])
    np.testing.assert_array_equal(a.round(a.minimum(x, y)), [1.0, 2.0, NAN, NAN, -INF])
    chosen = a.where(np.array([True, False, True, False, True]), x, y)
    np.testing.assert_array_equal(a.round(chosen), [1.0, 2.0, 3.0, 1.0, -INF])


@pytest.mark.parametrize("n", [-3, -1, 0, 1, 2, 9])
def test_integer_power(arithmetic, n):
    x = np.array([2.0, -3.0, 0.5, 0.0, INF])
    with np.errstate(all="ignore"):
        wanted = x ** float(n)
    np.testing.assert_allclose(arithmetic.round(arithmetic.integer_power(arithmetic.lift(x), n)), wanted, rtol=1e-15)


def test_power_at_the_ends(arithmetic):
    cases = {
        (0.0, 2.0): 0.0,
        (0.0, -2.0): INF,
        (0.0, 0.0): 1.0,
        (1.0, INF): 1.0,
        (INF, 0.5): INF,
        (INF, -0.5): 0.0,
        (2.0, INF): INF,
        (2.0, -INF): 0.0,
        (-8.0, 2.0): NAN,
        (-8.0, 0.0): NAN,
        (NAN, 0.0): NAN,
        (1.0, NAN): NAN,
        (2.0, 0.5): math.sqrt(2),
        (2.0, 2000.0): INF,
    }
    x, y = np.array(list(cases)).T
    found = arithmetic.round(arithmetic.power(arithmetic.lift(x), arithmetic.lift(y)))
    np.testing.assert_allclose(found, list(cases.values()), rtol=1e-15)


@pytest.mark.parametrize("c", [sp.pi, 2 / sp.pi, sp.E, sp.Rational(1, 3), sp.sqrt(2), sp.Integer(2) ** 80 + 1, 7, 0.1])
def test_constants_have_the_full_precision(arithmetic, c):
    a = arithmetic
    digits = {"float64": 15, "doubledouble": 30, "bigfloat50": 49}[a.name]
    number = a.constant(c)
    if a.name == "float64":
        value = sp.Float(float(number), 60)
    elif a.name == "doubledouble":
        value = sp.Float(float(number.hi), 60) + sp.Float(float(number.lo), 60)
    else:
        value = sp.Float(number.values._mpf_, precision=200)
    exact = sp.Float(c, 60) if isinstance(c, float) else sp.N(c, 60)
    assert abs(value / exact - 1) < sp.Float(10) ** -digits


def test_constants_may_be_infinite_but_not_complex_or_symbolic(arithmetic):
    assert arithmetic.round(arithmetic.constant(-sp.oo)) == -INF
    for c in (sp.I, sp.Symbol("x")):
        with pytest.raises(InvalidArgument, match="not a real number"):
            arithmetic.constant(c)


def test_lifting_and_rounding_are_inverse(arithmetic, rng):
    x = np.concatenate([rng.integers(0, 2**63, 500).view(np.float64), [0.0, 5e-324, 2.2e-308, INF, -INF]])
    np.testing.assert_array_equal(arithmetic.round(arithmetic.lift(x)), x)


def test_arithmetics_are_found_by_name():
    assert named("float64") is ARITHMETICS["float64"]
    assert named("bigfloat80").digits == 80
    with pytest.raises(UnknownName, match="unknown arithmetic 'quad'"):
        named("quad")
    with pytest.raises(InvalidArgument, match="digits = 3"):
        BigFloat(3)


def test_big_floats_round_once_into_the_subnormal_numbers():
    big = BigFloat(60)
    # Just above the middle between two subnormal numbers: rounding to 53 bits first would land on the middle.
    x = big.lift(2.0**-1074) * (big.lift(2.0**30) + 0.5) + big.lift(2.0**-1074) * big.lift(2.0**-40)
    assert big.round(x) == math.ldexp(2.0**30 + 1, -1074)
