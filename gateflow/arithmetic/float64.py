"""Float64 arithmetic: thin wrappers over NumPy and SciPy, with the formulas that keep their digits.

This is the working precision for float32 inputs. Over the whole range errors are at most 4 ulps of float64, and 10 for
erfc, log_erfc, loggamma and trigamma (x > 0). Every function is silent and follows IEEE 754 at the ends of its domain;
the operators are NumPy's own and warn as NumPy does. See `gateflow.arithmetic` for the interface.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy  # its part special is imported when first used, and costs what all of NumPy costs
import sympy as sp

from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import expression

name = "float64"

Call = TypeVar("Call", bound=Callable[..., Any])


def quiet(function: Call) -> Call:
    """Run ``function`` without floating-point warnings: infinities and nans are its answers, not its accidents."""

    @functools.wraps(function)
    def silent(*args: Any, **keywords: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **keywords)

    return silent  # type: ignore[return-value]


def lift(x: Any) -> np.ndarray:
    """The numbers of this arithmetic with the values ``x``."""
    return np.asarray(x, dtype=np.float64)


def real_value(c: Any, digits: int) -> sp.Expr:
    """A real constant as a SymPy float of so many digits, or an infinity.

    Raises
    ------
    InvalidArgument
        If ``c`` is not a real number.

    Examples
    --------
    >>> real_value(sp.sqrt(2), 30)
    1.41421356237309504880168872421
    """
    value = sp.N(c, digits)
    if not (value.is_Float or value.is_Integer or value in (sp.oo, -sp.oo)):
        raise InvalidArgument(f"the constant {c} is not a real number")
    return value


@functools.lru_cache(maxsize=1024)
def _symbolic(c: Any) -> np.ndarray:
    return np.float64(real_value(c, 50))  # type: ignore[return-value]


def constant(c: Any) -> np.ndarray:
    """A real constant, rounded once; ``c`` may be an int, a float or a SymPy number such as ``2/pi``.

    Examples
    --------
    >>> float(constant(2 / sp.pi))
    0.6366197723675814
    """
    return np.float64(c) if isinstance(c, float) else _symbolic(expression(c))  # type: ignore[return-value]


def round(x: Any) -> np.ndarray:
    """The nearest float64 numbers."""
    return np.asarray(x, dtype=np.float64)


exp = quiet(np.exp)
expm1 = quiet(np.expm1)
log = quiet(np.log)
log1p = quiet(np.log1p)
sqrt = quiet(np.sqrt)
sin = quiet(np.sin)
cos = quiet(np.cos)
tan = quiet(np.tan)
sinh = quiet(np.sinh)
cosh = quiet(np.cosh)
tanh = quiet(np.tanh)
asinh = quiet(np.arcsinh)
acosh = quiet(np.arccosh)
atanh = quiet(np.arctanh)
atan = quiet(np.arctan)
abs = quiet(np.abs)
sign = quiet(np.sign)

maximum = quiet(np.maximum)
minimum = quiet(np.minimum)
less = quiet(np.less)
less_equal = quiet(np.less_equal)
isfinite = quiet(np.isfinite)
where = np.where


@quiet
def erf(x: Any) -> Any:
    """The error function."""
    return scipy.special.erf(x)


@quiet
def digamma(x: Any) -> Any:
    """The derivative of log Gamma."""
    return scipy.special.psi(x)


@quiet
def acot(x: Any) -> np.ndarray:
    """The inverse cotangent with values in (0, pi)."""
    return np.arctan2(1.0, x)


@quiet
def erfc(x: Any) -> np.ndarray:
    """``1 - erf(x)``; in the tail by erfcx and a split exponent, where SciPy's erfc is wrong by hundreds of ulps."""
    right = np.clip(x, 0.5, 28.0)
    head = right.astype(np.float32).astype(np.float64)
    half = np.exp(-0.5 * head * head)
    tail = half * (np.exp((head - right) * (head + right)) * scipy.special.erfcx(right)) * half
    return np.where(np.less(x, 0.5), 1.0 - scipy.special.erf(x), tail)


@quiet
def log_erfc(x: Any) -> np.ndarray:
    """``log(erfc(x))``, relative accuracy also where erfc underflows (x > 26.5) and near its zero x = 0."""
    head = np.log1p(-scipy.special.erf(np.minimum(x, 0.5)))
    right = np.maximum(x, 0.5)
    return np.where(np.less(x, 0.5), head, np.log(scipy.special.erfcx(right)) - right * right)


@quiet
def loggamma(x: Any) -> np.ndarray:
    """``log|Gamma(x)|``; near its zeros 1 and 2 by a Taylor series, near its pole 0 by the pole."""
    below = np.less(x, 1.5)
    h = np.clip(np.where(below, x - 1.0, x - 2.0), -0.5, 0.5)
    about_two = h * np.polynomial.polynomial.polyval(h, _about_two())
    central = np.where(below, about_two - np.log1p(h), about_two)
    outer = np.where(np.abs(x) < 1e-300, -np.log(np.abs(x)), scipy.special.gammaln(x))
    return np.where(np.abs(x - 1.5) <= 1.0, central, outer)


@functools.cache
def _about_two() -> np.ndarray:
    """``log Gamma(2 + h)/h`` in powers of h: 1 - gamma, then ``(-1)^k (zeta(k) - 1)/k`` for k from 2."""
    k = np.arange(2.0, 40.0)
    return np.concatenate([[1.0 - np.euler_gamma], (-1.0) ** k * scipy.special.zeta(k, 2.0) / k])


@quiet
def trigamma(x: Any) -> np.ndarray:
    """The second derivative of log Gamma; the reflection formula serves negative arguments."""
    turn = x - np.rint(x)
    reflected = (np.pi / np.sin(np.pi * turn)) ** 2 - scipy.special.zeta(2.0, np.where(np.less(x, 0.0), 1.0 - x, 1.0))
    return np.where(np.less(x, 0.0), reflected, scipy.special.zeta(2.0, np.where(np.less(x, 0.0), 1.0, x)))


@quiet
def sigmoid(x: Any) -> np.ndarray:
    """``1/(1 + exp(-x))``, exact to the last subnormal."""
    t = np.exp(-np.abs(x))
    return np.where(np.less(x, 0.0), t, 1.0) / (1.0 + t)


@quiet
def softplus(x: Any) -> np.ndarray:
    """``log(1 + exp(x))``."""
    return np.maximum(x, 0.0) + np.log1p(np.exp(-np.abs(x)))


@quiet
def softsign(x: Any) -> np.ndarray:
    """``x/(1 + |x|)``."""
    return np.where(np.isinf(x), np.sign(x), x / (1.0 + np.abs(x)))


@quiet
def logit(p: Any) -> np.ndarray:
    """``log(p/(1 - p))``; near its zero p = 1/2 through log1p."""
    return np.where(np.abs(p - 0.5) < 0.25, np.log1p((2.0 * p - 1.0) / (1.0 - p)), np.log(p / (1.0 - p)))


@quiet
def log_cosh(x: Any) -> np.ndarray:
    """``log(cosh(x))``; near its double zero x = 0 through sinh."""
    r = np.abs(x)
    near = 0.5 * np.log1p(np.sinh(np.minimum(r, 1.0)) ** 2)
    return np.where(r < 1.0, near, r - np.log(2.0) + np.log1p(np.exp(-2.0 * r)))


@quiet
def log1mexp(x: Any) -> np.ndarray:
    """``log(1 - exp(-x))`` for x > 0 (Mächler 2012)."""
    return np.where(np.less(x, np.log(2.0)), np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))


@quiet
def integer_power(x: Any, n: int) -> np.ndarray:
    """``x**n`` for an integer n of either sign."""
    return np.power(x, float(n))


@quiet
def power(x: Any, y: Any) -> np.ndarray:
    """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0."""
    return np.where(np.less(x, 0.0) | np.isnan(x) | np.isnan(y), np.nan, np.power(np.abs(x), y))
