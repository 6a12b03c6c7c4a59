"""Functions put together from others, once for every arithmetic: each in the form that keeps its digits.

An arithmetic that has no version of its own of one of these (see `Composing`) plays it by its own operations. So a
function is written once, and has its numbers in float64, double-double, big floats, intervals, C, Triton and in the
text for NumPy or PyTorch. An arithmetic has its own version only where that is faster or more accurate by measurement.

An arithmetic says with two numbers where its exponents end: ``large``, past which squares may overflow, and ``tiny``,
below which numbers may lose digits (``inf`` and 0 where they have no end). What a branch that is not taken computes may
be anything, but for autograd it should be finite.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

LARGE, TINY = 2.0**60, 2.0**-110
"""``large`` and ``tiny`` of float32 to double-double: to 106 bits, 1 + large**2 is large**2, and 1 + tiny is 1."""

LN2, HALF_PI = sp.log(2), sp.pi / 2

Composite = Callable[..., Any]


# --- hyperbolic and circular ------------------------------------------------------------------------------------------


def tan(a: Any, x: Any) -> Any:
    """The tangent."""
    return a.sin(x) / a.cos(x)


def sinh(a: Any, x: Any) -> Any:
    """The hyperbolic sine; overflows where exp does."""
    return 0.5 * (a.expm1(x) - a.expm1(-x))


def cosh(a: Any, x: Any) -> Any:
    """The hyperbolic cosine; overflows where exp does."""
    return 0.5 * (a.exp(x) + a.exp(-x))


def tanh(a: Any, x: Any) -> Any:
    """The hyperbolic tangent."""
    t = a.expm1(-2.0 * a.abs(x))
    size = -t / (2.0 + t)
    return a.where(a.less(x, 0.0), -size, size)


def asinh(a: Any, x: Any) -> Any:
    """``log(x + sqrt(1 + x**2))``; past ``large`` the root is x."""
    r = a.abs(x)
    far = a.less(a.large, r)
    t = a.where(far, 1.0, r)
    y = a.log1p(a.where(far, r, t + t * t / (1.0 + a.sqrt(1.0 + t * t))))
    size = a.where(far, y + a.constant(LN2), y)
    return a.where(a.less(x, 0.0), -size, size)


def acosh(a: Any, x: Any) -> Any:
    """``log(x + sqrt(x**2 - 1))``; past ``large`` the root is x."""
    far = a.less(a.large, x)
    t = a.where(far, 1.0, x - 1.0)
    y = a.log1p(a.where(far, x, t + a.sqrt(t * (t + 2.0))))
    return a.where(far, y + a.constant(LN2), y)


def atanh(a: Any, x: Any) -> Any:
    """``log((1 + x)/(1 - x))/2``."""
    return 0.5 * (a.log1p(x) - a.log1p(-x))


def acot(a: Any, x: Any) -> Any:
    """The inverse cotangent with values in (0, pi)."""
    return a.where(a.less(0.0, x), a.atan(1.0 / x), a.constant(HALF_PI) - a.atan(x))


# --- logistic ---------------------------------------------------------------------------------------------------------


def sigmoid(a: Any, x: Any) -> Any:
    """``1/(1 + exp(-x))``, exact to the last subnormal."""
    t = a.exp(-a.abs(x))
    return a.where(a.less(x, 0.0), t, 1.0) / (1.0 + t)


def softplus(a: Any, x: Any) -> Any:
    """``log(1 + exp(x))``."""
    return a.maximum(x, 0.0) + a.log1p(a.exp(-a.abs(x)))


def softsign(a: Any, x: Any) -> Any:
    """``x/(1 + |x|)``."""
    return a.where(a.isfinite(x), x / (1.0 + a.abs(x)), a.sign(x))


def logit(a: Any, p: Any) -> Any:
    """``log(p/(1 - p))``; near its zero p = 1/2 through log1p."""
    near = a.log1p((2.0 * p - 1.0) / (1.0 - p))
    return a.where(a.less(a.abs(p - 0.5), 0.25), near, a.log(p / (1.0 - p)))


# --- error function ---------------------------------------------------------------------------------------------------

_SPLITTER = 1.5 * 2.0**40
"""Added and taken away again, it rounds a float64 to a multiple of 2^-12, whose square is exact."""


def erfc(a: Any, x: Any) -> Any:
    """``1 - erf(x)``; in the tail by erfcx, with x**2 in two parts: its rounding would cost hundreds of ulps."""
    right = a.minimum(a.maximum(x, 0.5), a.large)
    head = (right + _SPLITTER) - _SPLITTER
    half = a.exp(-0.5 * (head * head))
    rest = a.minimum((head - right) * (head + right), 1.0)  # past 4096 it is large, and half is 0
    tail = half * (a.exp(rest) * a.erfcx(right)) * half
    return a.where(a.less(x, 0.5), 1.0 - a.erf(x), tail)


def log_erfc(a: Any, x: Any) -> Any:
    """``log(erfc(x))``, relative accuracy also where erfc underflows (x > 26.5) and near its zero x = 0."""
    right = a.maximum(x, 0.5)
    return a.where(a.less(x, 0.5), a.log1p(-a.erf(a.minimum(x, 0.5))), a.log(a.erfcx(right)) - right * right)


def log_erfcx(a: Any, x: Any) -> Any:
    """``log(exp(x**2) erfc(x))``."""
    left = a.minimum(x, 0.5)
    return a.where(a.less(x, 0.5), a.log1p(-a.erf(left)) + left * left, a.log(a.erfcx(a.maximum(x, 0.5))))


# --- logarithms of what would over- or underflow ----------------------------------------------------------------------


def log1mexp(a: Any, x: Any) -> Any:
    """``log(1 - exp(-x))`` for x > 0 (Mächler 2012)."""
    return a.where(a.less(x, a.constant(LN2)), a.log(-a.expm1(-x)), a.log1p(-a.exp(-x)))


def log_expm1(a: Any, x: Any) -> Any:
    """``log |exp(x) - 1|``: ``x + log(1 - e^-x)`` on the right, ``log(1 - e^x)`` on the left."""
    size = a.log1mexp(a.abs(x))
    return a.where(a.less(0.0, x), x + size, size)


def log_cosh(a: Any, x: Any) -> Any:
    """``log(cosh(x))``; near its double zero x = 0 through sinh."""
    r = a.abs(x)
    near = a.less(r, 1.0)
    s = a.sinh(a.minimum(r, 1.0))
    y = a.log1p(a.where(near, s * s, a.exp(-2.0 * r)))
    return a.where(near, 0.5 * y, (r - a.constant(LN2)) + y)


def log_hypot(a: Any, x: Any) -> Any:
    """``log(1 + x**2)/2``; past ``large`` it is ``log |x|``."""
    r = a.abs(x)
    far = a.less(a.large, r)
    t = a.where(far, 1.0, r)
    return a.where(far, a.log(r), 0.5 * a.log1p(t * t))


def log_add(a: Any, x: Any, y: Any) -> Any:
    """``log(exp(x) + exp(y))``, from the larger; infinities are not taken from each other."""
    large = a.maximum(x, y)
    apart = a.where(a.isfinite(large), a.minimum(x, y) - large, 0.0)
    return large + a.log1p(a.exp(apart))


def _share(a: Any, value: Any, w: Any) -> Any:
    """``value/w``, which is 1 where w vanishes."""
    vanished = a.less_equal(w, a.tiny)
    return a.where(vanished, 1.0, value / a.where(vanished, 1.0, w))


def log_softplus(a: Any, x: Any) -> Any:
    """``log(log(1 + exp(x)))``; for x < 0 it is ``x + log(log(1 + w)/w)``, w = exp(x)."""
    w = a.exp(-a.abs(x))
    tail = a.log1p(w)
    return a.log(a.where(a.less(x, 0.0), _share(a, tail, w), x + tail)) + a.minimum(x, 0.0)


def log_cloglog(a: Any, x: Any) -> Any:
    """``log(1 - exp(-exp(x)))``; for x < 0 it is ``x + log((1 - exp(-w))/w)``, w = exp(x)."""
    w = a.exp(x)
    left = x + a.log(_share(a, -a.expm1(-w), w))
    return a.where(a.less(x, 0.0), left, a.log1p(-a.exp(-w)))


def log_atan_ratio(a: Any, x: Any) -> Any:
    """``log(atan(w)/w)``, w = exp(x)."""
    w = a.exp(x)
    angle = a.atan(w)
    return a.log(a.where(a.less(0.0, x), angle, _share(a, angle, w))) - a.maximum(x, 0.0)


def log_atan_exp(a: Any, x: Any) -> Any:
    """``log(atan(w))``, w = exp(x); for x < 0 it is ``x + log(atan(w)/w)``."""
    w = a.exp(x)
    angle = a.atan(w)
    return a.log(a.where(a.less(0.0, x), angle, _share(a, angle, w))) + a.minimum(x, 0.0)


# --- how an arithmetic comes by them ----------------------------------------------------------------------------------

COMPOSITES: dict[str, Composite] = {
    name: thing
    for name, thing in list(globals().items())
    if getattr(thing, "__module__", "") == __name__ and not name.startswith("_")
}
"""Every function above, by name: of an arithmetic and one number, `log_add` of two."""


def composed(arithmetic: Any, name: str) -> Callable[..., Any]:
    """The function of an arithmetic that has no version of its own of it, without floating-point warnings.

    Raises
    ------
    AttributeError
        It is no composite.
    """
    if name not in COMPOSITES:
        raise AttributeError(f"{getattr(arithmetic, 'name', arithmetic)} has no {name!r}")
    composite = COMPOSITES[name]

    def function(*numbers: Any) -> Any:
        with np.errstate(all="ignore"):
            return composite(arithmetic, *numbers)

    function.__name__, function.__doc__ = name, composite.__doc__
    return function


class Inside:
    """The functions of an arithmetic as its composites call them: without the care that is taken of the whole.

    Parameters
    ----------
    arithmetic : module
    bare : callable
        What a function of its own is without that care.
    """

    def __init__(self, arithmetic: Any, bare: Callable[[Any], Any]) -> None:
        self._arithmetic, self._bare = arithmetic, bare

    def __getattr__(self, name: str) -> Any:
        own = getattr(self._arithmetic, name)
        composite = name in COMPOSITES and not hasattr(own, "bare")
        found = functools.partial(COMPOSITES[name], self) if composite else self._bare(own) if callable(own) else own
        self.__dict__[name] = found
        return found


class Composing:
    """An arithmetic as a class: the composites that it does not define are played over it."""

    large, tiny = LARGE, TINY

    def __getattr__(self, name: str) -> Callable[..., Any]:
        function = composed(self, name)
        self.__dict__[name] = function
        return function


# --- for arithmetics whose library has a log Gamma that is wrong near its zeros ---------------------------------------


def loggamma(a: Any, library: Callable[[Any], Any], x: Any) -> Any:
    """``log|Gamma(x)|``; near its zeros 1 and 2 by a Taylor series, near its pole 0 by the pole, else the library's."""
    below = a.less(x, 1.5)
    h = a.maximum(a.minimum(a.where(below, x - 1.0, x - 2.0), 0.5), -0.5)
    series = 0.0 * h
    for coefficient in reversed(_about_two()):
        series = series * h + coefficient
    central = a.where(below, h * series - a.log1p(h), h * series)
    outer = a.where(a.less(a.abs(x), a.tiny), -a.log(a.abs(x)), library(x))
    return a.where(a.less_equal(a.abs(x - 1.5), 1.0), central, outer)


@functools.cache
def _about_two() -> list[float]:
    """``log Gamma(2 + h)/h`` in powers of h: 1 - gamma, then ``(-1)^k (zeta(k) - 1)/k`` for k from 2."""
    import scipy

    k = np.arange(2.0, 40.0)
    return [1.0 - np.euler_gamma, *((-1.0) ** k * scipy.special.zeta(k, 2.0) / k).tolist()]
