"""Arithmetic in as many digits as asked for, element by element: an oracle, and for those who want digits.

Every function is evaluated with guard digits and rounded once: by ball arithmetic, which is several times as fast,
where its ball is narrow enough, else by mpmath. Composites are played over big floats of more digits.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from functools import cached_property
from typing import Any

import mpmath
import numpy as np
import sympy as sp

from gateflow.arithmetic import enclosed
from gateflow.arithmetic.composites import COMPOSITES, composed
from gateflow.arithmetic.float64 import quiet, real_value
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import expression

_HUGE = 2.0**60
"""exp is 0 or infinite for arguments beyond this; mpmath would try to write down the exponent."""


_MODERATE = 60
"""Bits before the point up to which numbers are put to ball arithmetic, whose exponents have no end."""

_FAR = 2**16
"""Bits before the point up to which sin, cos and tan of a number are computed: as many of pi are needed."""


GUARD = 12
"""Digits beyond those asked for, in which composites are computed."""


class Big:
    """An array of big floats; operators broadcast, and division by zero follows IEEE 754."""

    __array_ufunc__ = None
    __slots__ = ("home", "values")

    def __init__(self, home: BigFloat, values: Any) -> None:
        self.home, self.values = home, values

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.values)

    def __getitem__(self, index: Any) -> Big:
        return Big(self.home, self.values[index])

    def __repr__(self) -> str:
        return f"Big({self.values!r})"

    def __pos__(self) -> Big:
        return self

    def __neg__(self) -> Big:
        return self.home._map(lambda a: -a, self)

    def __add__(self, other: Any) -> Big:
        return self.home._map(lambda a, b: a + b, self, other)

    def __sub__(self, other: Any) -> Big:
        return self.home._map(lambda a, b: a - b, self, other)

    def __rsub__(self, other: Any) -> Big:
        return self.home._map(lambda a, b: b - a, self, other)

    def __mul__(self, other: Any) -> Big:
        return self.home._map(lambda a, b: a * b, self, other)

    def __truediv__(self, other: Any) -> Big:
        return self.home._map(self.home._quotient, self, other)

    def __rtruediv__(self, other: Any) -> Big:
        return self.home._map(self.home._quotient, self.home.lift(other), self)

    __radd__ = __add__
    __rmul__ = __mul__


def _unary(scalar: Callable[[Any, Any], Any], ball: str = "") -> Any:
    """A method over arrays from a function of the context and one big float, and its name in ball arithmetic."""

    @functools.wraps(scalar)
    def method(self: BigFloat, x: Any) -> Big:
        return self._map(lambda v: self._real(scalar, v, ball), x)

    return method


class BigFloat:
    """The arithmetic of big floats with a given number of decimal digits.

    Parameters
    ----------
    digits : int
        Decimal digits of every result, at least 15.

    Examples
    --------
    >>> big = BigFloat(40)
    >>> print(big.exp(big.lift(1.0)).values)
    2.718281828459045235360287471352662497757
    """

    large, tiny = math.inf, 0.0
    """Exponents have no end."""

    def __init__(self, digits: int) -> None:
        if not 15 <= digits <= 100_000 + GUARD:
            raise InvalidArgument(f"digits = {digits}: a big float has 15 to 100000 decimal digits")
        self.digits = digits
        self.name = f"bigfloat{digits}"
        self.context = mpmath.MPContext()
        self.context.dps = digits
        self._constant = functools.lru_cache(maxsize=1024)(self._evaluated)

    @quiet
    def _map(self, scalar: Callable[..., Any], *args: Any) -> Big:
        arrays = [self.lift(a).values for a in args]
        values = np.frompyfunc(scalar, len(arrays), 1)(*arrays)
        return Big(self, values)

    def _real(self, scalar: Callable[[Any, Any], Any], v: Any, ball: str) -> Any:
        mp = self.context
        if mp.isnan(v):
            return v
        found = enclosed.rounded(ball, v._mpf_, mp.prec) if ball and mp.mag(v) <= _MODERATE else None
        if found is not None:
            return mp.make_mpf(found)
        with mp.extraprec(30):
            y = scalar(mp, v)
        return +y if isinstance(y, mp.mpf) else mp.nan

    def _own(self, v: Any) -> Any:
        return +self.context.make_mpf(v._mpf_)

    def _quotient(self, a: Any, b: Any) -> Any:
        if b != 0:
            return a / b
        return self.context.nan if a == 0 or self.context.isnan(a) else self.context.inf * self.context.sign(a)

    def _evaluated(self, c: Any) -> Big:
        value = real_value(c, self.digits + 10)
        if value in (sp.oo, -sp.oo):
            return Big(self, self.context.inf if value == sp.oo else -self.context.inf)
        return Big(self, self.context.make_mpf(sp.Float(value, self.digits + 10)._mpf_))

    def constant(self, c: Any) -> Big:
        """A real constant to the full precision."""
        return self.lift(c) if isinstance(c, float) else self._constant(expression(c))

    @quiet
    def lift(self, x: Any) -> Big:
        """The big floats with the float64 values ``x``."""
        if isinstance(x, Big):
            return x if x.home is self else Big(self, np.frompyfunc(self._own, 1, 1)(x.values))
        return Big(self, np.frompyfunc(self.context.mpf, 1, 1)(np.asarray(x, dtype=np.float64).astype(object)))

    @quiet
    def round(self, x: Any) -> np.ndarray:
        """The nearest float64 numbers."""
        return np.asarray(np.frompyfunc(_to_float, 1, 1)(self.lift(x).values), dtype=np.float64)

    abs = _unary(lambda mp, v: abs(v))
    sign = _unary(lambda mp, v: mp.mpf(mp.sign(v)))
    sqrt = _unary(lambda mp, v: mp.sqrt(v))
    exp = _unary(lambda mp, v: _exp(mp, v), "exp")
    expm1 = _unary(lambda mp, v: mp.expm1(v) if abs(v) < 1 else _exp(mp, v) - 1, "expm1")
    log = _unary(lambda mp, v: _log(mp, v), "log")
    log1p = _unary(lambda mp, v: mp.log1p(v) if abs(v) < 0.5 else _log(mp, 1 + v), "log1p")
    sin = _unary(lambda mp, v: mp.sin(v) if _has_phase(mp, v) else mp.nan, "sin")
    cos = _unary(lambda mp, v: mp.cos(v) if _has_phase(mp, v) else mp.nan, "cos")
    asinh = _unary(lambda mp, v: mp.asinh(v) if mp.isfinite(v) else v, "asinh")
    acosh = _unary(lambda mp, v: mp.acosh(v) if 1 <= v < mp.inf else (v if v > 0 and mp.isinf(v) else mp.nan), "acosh")
    atan = _unary(lambda mp, v: mp.atan(v), "atan")
    erf = _unary(lambda mp, v: mp.erf(v), "erf")
    erfc = _unary(lambda mp, v: _erfc(mp, v))
    erfcx = _unary(lambda mp, v: _erfcx(mp, v))
    loggamma = _unary(lambda mp, v: _loggamma(mp, v), "loggamma")
    digamma = _unary(lambda mp, v: _pole(mp, v, lambda: mp.digamma(v), mp.nan if v < 0 else -mp.inf), "digamma")
    trigamma = _unary(lambda mp, v: mp.zero if v == mp.inf else _pole(mp, v, lambda: mp.psi(1, v), mp.inf))

    @cached_property
    def _with_guard(self) -> BigFloat:
        return BigFloat(self.digits + GUARD)

    def __getattr__(self, name: str) -> Callable[..., Big]:
        """A composite, played over big floats of some digits more."""
        if name not in COMPOSITES:
            raise AttributeError(f"{self.name} has no {name!r}")
        wide = self._with_guard

        def function(*numbers: Any) -> Big:
            return self.lift(composed(wide, name)(*map(wide.lift, numbers)))

        self.__dict__[name] = function
        return function

    def maximum(self, x: Any, y: Any) -> Big:
        """The larger of two; nan if either is."""
        return self._map(lambda a, b: a if a > b or self.context.isnan(a) else b, x, y)

    def minimum(self, x: Any, y: Any) -> Big:
        """The smaller of two; nan if either is."""
        return self._map(lambda a, b: a if a < b or self.context.isnan(a) else b, x, y)

    def integer_power(self, x: Any, n: int) -> Big:
        """``x**n`` for an integer n of either sign."""

        def raised(v: Any) -> Any:
            if n == 0:
                return self.context.one
            return v**n if n > 0 or v != 0 else self._quotient(self.context.one, v ** (-n))

        return self._map(raised, x)

    def power(self, x: Any, y: Any) -> Big:
        """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0."""
        return self._map(self._power, x, y)

    def _power(self, a: Any, b: Any) -> Any:
        mp = self.context
        if mp.isnan(a) or mp.isnan(b) or a < 0:
            return mp.nan
        if b == 0 or a == 1:
            return mp.one
        with mp.extraprec(80):
            y = _exp(mp, b * _log(mp, a))
        return +y

    def less(self, x: Any, y: Any) -> np.ndarray:
        """Where ``x < y``."""
        return np.asarray(self._map(lambda a, b: a < b, x, y).values, dtype=bool)

    def less_equal(self, x: Any, y: Any) -> np.ndarray:
        """Where ``x <= y``."""
        return np.asarray(self._map(lambda a, b: a <= b, x, y).values, dtype=bool)

    def isfinite(self, x: Any) -> np.ndarray:
        """Where ``x`` is neither infinite nor nan."""
        return np.asarray(self._map(lambda a: self.context.isfinite(a), x).values, dtype=bool)

    def where(self, mask: Any, x: Any, y: Any) -> Big:
        """``x`` where the mask holds, ``y`` elsewhere."""
        return Big(self, np.where(mask, self.lift(x).values, self.lift(y).values))


def _to_float(v: Any) -> float:
    """The nearest float64; on the grid of the subnormal numbers too, where mpmath rounds twice."""
    return float(v) if not abs(v) < 2.0**-1000 else math.ldexp(float(v.context.nint(v.context.ldexp(v, 1074))), -1074)


def _has_phase(mp: Any, v: Any) -> bool:
    """Whether the argument of a circular function is a number of moderate size."""
    return bool(mp.isfinite(v)) and mp.mag(v) < _FAR


def _exp(mp: Any, v: Any) -> Any:
    if v > _HUGE:
        return mp.inf
    return mp.zero if v < -_HUGE else mp.exp(v)


def _log(mp: Any, v: Any) -> Any:
    return mp.log(v) if v > 0 else (-mp.inf if v == 0 else mp.nan)


def _erfc(mp: Any, v: Any) -> Any:
    return mp.erfc(v) if abs(v) < 1e8 else (mp.zero if v > 0 else mp.mpf(2))


def _erfcx(mp: Any, v: Any) -> Any:
    if v < 1e6:
        return mp.exp(v * v) * mp.erfc(v)
    if mp.isinf(v):
        return mp.zero
    # Past 1e6 by the asymptotic series, whose terms fall by 1e12 each.
    t, term, total = 1 / (2 * v * v), mp.one, mp.one
    for n in range(1, mp.prec // 30 + 2):
        term *= -(2 * n - 1) * t
        total += term
    return total / (v * mp.sqrt(mp.pi))


def _loggamma(mp: Any, v: Any) -> Any:
    if mp.isinf(v) or (v <= 0 and v == mp.floor(v)):
        return mp.inf
    return mp.re(mp.loggamma(v))


def _pole(mp: Any, v: Any, value: Callable[[], Any], at_pole: Any) -> Any:
    if v == -mp.inf:
        return mp.nan
    return at_pole if v <= 0 and v == mp.floor(v) else value()
