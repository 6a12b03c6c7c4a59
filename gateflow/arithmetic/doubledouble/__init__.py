"""Double-double arithmetic: 106 bits in pairs of float64, vectorised; the working precision for float64 inputs.

`errorfree` has the number and its operations; `exponential`, `logarithm` and `trigonometric` the elementary functions;
`gaussian` the error functions; `gamma` log Gamma and its derivatives; the rest are composites. Each
brings its argument so near to a table point that a short series is left, its first terms in double-double and the rest,
2^-47 times smaller, in float64.

Relative errors are at most 2^-102 for ``+ - * /`` and `sqrt`, 2^-101 for most functions of one variable, 2^-98 for
`expm1`, `sinh`, `tanh` and `log_cosh` (worst near x = 2^-23), 2^-96 for `loggamma` and `digamma`, and 2^-101 times
``1 + |y log x|`` for `power`. The bounds hold wherever nothing under- or overflows: below 2^-968 the low part is cut
off by underflow, within 2^-26 of overflow it may be 0, and the results are then right to the float64 grid. Exceptions:
`sin`, `cos`, `tan` beyond 1e15 and the Gamma functions at negative arguments have the accuracy of float64; `digamma` is
right to 2^-100 absolutely near its zero 1.4616.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import composites
from gateflow.arithmetic.doubledouble.errorfree import DD
from gateflow.arithmetic.doubledouble.errorfree import choose as _choose
from gateflow.arithmetic.doubledouble.errorfree import guarded as _guarded
from gateflow.arithmetic.doubledouble.errorfree import magnitude as _magnitude
from gateflow.arithmetic.doubledouble.exponential import cosh, exp, expm1, sinh, tanh
from gateflow.arithmetic.doubledouble.gamma import digamma, loggamma, trigamma
from gateflow.arithmetic.doubledouble.gaussian import erf, erfc, erfcx, log_erfc
from gateflow.arithmetic.doubledouble.logarithm import (
    acosh,
    asinh,
    atanh,
    log,
    log1mexp,
    log1p,
    log_cosh,
    logit,
    softplus,
    sqrt,
)
from gateflow.arithmetic.doubledouble.trigonometric import acot, atan, cos, sin, tan
from gateflow.arithmetic.float64 import quiet, real_value
from gateflow.formula.vocabulary import expression

name = "doubledouble"
large, tiny = composites.LARGE, composites.TINY
abs = _guarded(_magnitude, np.abs)


def lift(x: Any) -> DD:
    """The double-double numbers with the float64 values ``x``."""
    return DD.of(x)


@functools.lru_cache(maxsize=1024)
def _symbolic(c: Any) -> DD:
    hi = float(real_value(c, 50))
    lo = float(real_value(c - sp.Rational(hi), 50)) if np.isfinite(hi) else 0.0
    return DD(np.float64(hi), np.float64(lo))


def constant(c: Any) -> DD:
    """A real constant to the full precision; ``c`` may be an int, a float or a SymPy number such as ``2/pi``.

    Examples
    --------
    >>> constant(sp.pi)
    DD(np.float64(3.141592653589793), np.float64(1.2246467991473532e-16))
    """
    return DD.of(c) if isinstance(c, float) else _symbolic(expression(c))


@quiet
def round(x: DD) -> np.ndarray:
    """The nearest float64 numbers."""
    return np.asarray(x.hi + x.lo)


@quiet
def sign(x: Any) -> DD:
    """-1, 0 or 1."""
    return DD.of(np.sign(DD.of(x).hi))


@quiet
def less(x: Any, y: Any) -> np.ndarray:
    """Where ``x < y``."""
    x, y = DD.of(x), DD.of(y)
    return (x.hi < y.hi) | ((x.hi == y.hi) & (x.lo < y.lo))


@quiet
def less_equal(x: Any, y: Any) -> np.ndarray:
    """Where ``x <= y``."""
    x, y = DD.of(x), DD.of(y)
    return (x.hi < y.hi) | ((x.hi == y.hi) & (x.lo <= y.lo))


@quiet
def isfinite(x: Any) -> np.ndarray:
    """Where ``x`` is neither infinite nor nan."""
    return np.isfinite(DD.of(x).hi)


def where(mask: Any, x: Any, y: Any) -> DD:
    """``x`` where the mask holds, ``y`` elsewhere."""
    return _choose(mask, DD.of(x), DD.of(y))


@quiet
def maximum(x: Any, y: Any) -> DD:
    """The larger of two; nan if either is."""
    x, y = DD.of(x), DD.of(y)
    return _choose(less(y, x) | np.isnan(x.hi), x, y)


@quiet
def minimum(x: Any, y: Any) -> DD:
    """The smaller of two; nan if either is."""
    x, y = DD.of(x), DD.of(y)
    return _choose(less(x, y) | np.isnan(x.hi), x, y)


@quiet
def integer_power(x: Any, n: int) -> DD:
    """``x**n`` for an integer n of either sign, by repeated squaring; the relative error is about ``|n|`` 2^-103."""
    x = DD.of(x)
    if n < 0:
        grown = integer_power(x, -n)
        # Where x^-n leaves the range, 1/x^-n may not: there the inverse is taken first.
        ample = (np.abs(grown.hi) > 2.0**-900) & (np.abs(grown.hi) < 2.0**1020)
        return _choose(ample, 1.0 / grown, integer_power(1.0 / x, -n))
    result = DD.of(np.ones_like(x.hi))
    while n:
        if n & 1:
            result = result * x
        n >>= 1
        if n:
            x = x * x
    return result


@quiet
def power(x: Any, y: Any) -> DD:
    """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0. The relative error is 2^-101 times ``1 + |y log x|``."""
    x, y = DD.of(x), DD.of(y)
    one = ((y.hi == 0.0) & (x.hi >= 0.0)) | ((x.hi == 1.0) & (x.lo == 0.0) & ~np.isnan(y.hi))
    return where(one, 1.0, exp(y * log(x)))


def __getattr__(name: str) -> Callable[..., DD]:
    function = globals()[name] = composites.composed(sys.modules[__name__], name)
    return function


__all__ = [
    "DD",
    "abs",
    "acosh",
    "acot",
    "asinh",
    "atan",
    "atanh",
    "constant",
    "cos",
    "cosh",
    "digamma",
    "erf",
    "erfc",
    "erfcx",
    "exp",
    "expm1",
    "integer_power",
    "isfinite",
    "less",
    "less_equal",
    "lift",
    "log",
    "log1mexp",
    "log1p",
    "log_cosh",
    "log_erfc",
    "loggamma",
    "logit",
    "maximum",
    "minimum",
    "name",
    "power",
    "round",
    "sign",
    "sin",
    "sinh",
    "softplus",
    "sqrt",
    "tan",
    "tanh",
    "trigamma",
    "where",
]
