"""Float64 arithmetic: thin wrappers over NumPy and SciPy; what they lack is put together in `composites`.

This is the working precision for float32 inputs. Over the whole range errors are at most 4 ulps of float64, 10 for
erfc, erfcx, log_erfc, loggamma and trigamma (x > 0), and 12 for log_erfcx. Every function is silent and follows
IEEE 754 at the ends of its domain; the operators are NumPy's own and warn as NumPy does. See `gateflow.arithmetic` for
the interface.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy  # its part special is imported when first used, and costs what all of NumPy costs
import sympy as sp
from mpmath import libmp
from mpmath.libmp import dps_to_prec

from gateflow.arithmetic import composites, enclosed
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import expression

name = "float64"
large, tiny = composites.LARGE, composites.TINY

Call = TypeVar("Call", bound=Callable[..., Any])


def quiet(function: Call) -> Call:
    """Run ``function`` without floating-point warnings: infinities and nans are its answers, not its accidents."""

    @functools.wraps(function)
    def silent(*args: Any, **keywords: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*args, **keywords)

    silent.bare = function  # type: ignore[attr-defined]
    return silent  # type: ignore[return-value]


def lift(x: Any) -> np.ndarray:
    """The numbers of this arithmetic with the values ``x``."""
    return np.asarray(x, dtype=np.float64)


def real_value(c: Any, digits: int) -> sp.Expr:
    """A real constant as a SymPy float of a given number of digits, or an infinity.

    Raises
    ------
    InvalidArgument
        If ``c`` is not a real number, or one whose digits all cancel; what is surely below all floats is 0.

    Examples
    --------
    >>> real_value(sp.sqrt(2), 30)
    1.41421356237309504880168872421
    >>> real_value(sp.pi - 2 * sp.atan(10**200), 15)
    2.00000000000000e-200
    """
    bits = dps_to_prec(digits)
    if c.is_Rational or c.is_infinite or (ball := enclosed.accurate(c, bits)) is None:
        value = sp.N(c, digits)
    else:
        value = sp.Float._new(libmp.from_man_exp(*map(int, ball.mid().man_exp()), bits), bits)
    if not (value.is_Float or value.is_Integer or value in (sp.oo, -sp.oo)):
        raise InvalidArgument(f"the constant {c} is not a real number")
    if value.is_Float and value._prec < bits:
        if not enclosed.is_below_all_floats(c):
            raise InvalidArgument(f"the constant {c} is a difference of numbers that agree in all digits looked at")
        return sp.Float(0, digits)
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
    """The inverse cotangent with values in (0, pi): one call where the composite takes two."""
    return np.arctan2(1.0, x)


@quiet
def erfcx(x: Any) -> np.ndarray:
    """``exp(x**2) erfc(x)``."""
    return scipy.special.erfcx(x)


def loggamma(x: Any) -> np.ndarray:
    """``log|Gamma(x)|``."""
    return quiet(composites.loggamma)(sys.modules[__name__], scipy.special.gammaln, x)


@quiet
def trigamma(x: Any) -> np.ndarray:
    """The second derivative of log Gamma; the reflection formula serves negative arguments."""
    turn = x - np.rint(x)
    reflected = (np.pi / np.sin(np.pi * turn)) ** 2 - scipy.special.zeta(2.0, np.where(np.less(x, 0.0), 1.0 - x, 1.0))
    return np.where(np.less(x, 0.0), reflected, scipy.special.zeta(2.0, np.where(np.less(x, 0.0), 1.0, x)))


@quiet
def integer_power(x: Any, n: int) -> np.ndarray:
    """``x**n`` for an integer n of either sign."""
    return np.power(x, float(n))


@quiet
def power(x: Any, y: Any) -> np.ndarray:
    """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0."""
    return np.where(np.less(x, 0.0) | np.isnan(x) | np.isnan(y), np.nan, np.power(np.abs(x), y))


def __getattr__(name: str) -> Callable[..., Any]:
    function = globals()[name] = composites.composed(INSIDE, name)
    return function


INSIDE = composites.Inside(sys.modules[__name__], lambda function: getattr(function, "bare", function))
"""For what silences warnings as a whole: one by one costs a tenth of the time of a composite of a thousand numbers."""
