"""Intervals that contain the true value: the arithmetic in which a sign is a proof.

A number is a pair of big floats ``lo <= hi`` (infinities allowed), and every operation rounds outward. A monotone
function of an interval is the interval of its values at the two ends, so wide boxes and half-lines stay tight; the
values at the ends come from python-flint's ball arithmetic.

An operation that leaves its domain, even for part of an interval, gives an interval of two nan, about which every
comparison is unknown: nothing is ever proved from it.

Source: W. Tucker, *Validated Numerics* (2011), ch. 2-3.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from mpmath import libmp

from gateflow.arithmetic.composites import Composing
from gateflow.arithmetic.enclosed import Raw, accurate, bounds, ends
from gateflow.errors import InvalidArgument
from gateflow.formula.functions import ELEMENTARY, Elementary
from gateflow.formula.vocabulary import expression

ZERO, ONE, INF, NINF, NAN = libmp.fzero, libmp.fone, libmp.finf, libmp.fninf, libmp.fnan
_CAP = libmp.from_man_exp(1, 60)
"""Functions are bounded, not evaluated, past this argument."""


class Truth:
    """True, False or unknown (None), with ``&``, ``|`` and ``~``."""

    __slots__ = ("value",)

    def __init__(self, value: bool | None) -> None:
        self.value = value

    def __and__(self, other: Truth) -> Truth:
        pair = (self.value, other.value)
        return Truth(False if False in pair else None if None in pair else True)

    def __or__(self, other: Truth) -> Truth:
        return ~(~self & ~other)

    def __invert__(self) -> Truth:
        return Truth(None if self.value is None else not self.value)

    def __bool__(self) -> bool:
        return self.value is True

    def __repr__(self) -> str:
        return f"Truth({self.value})"


class Interval:
    """The real numbers from ``lo`` to ``hi``, of one `Intervals` arithmetic.

    Examples
    --------
    >>> intervals = Intervals(53)
    >>> x = intervals.interval(1, 2)
    >>> x * x - x, 1 / x
    ([-1, 3], [0.5, 1])
    """

    __array_ufunc__ = None
    __slots__ = ("hi", "home", "lo")

    def __init__(self, home: Intervals, lo: Raw, hi: Raw) -> None:
        self.home, self.lo, self.hi = home, lo, hi

    @property
    def valid(self) -> bool:
        """Whether it is a set of real numbers at all."""
        return self.lo != NAN

    @property
    def positive(self) -> bool:
        """Whether every member is > 0."""
        return self.valid and libmp.mpf_gt(self.lo, ZERO)

    @property
    def negative(self) -> bool:
        """Whether every member is < 0."""
        return self.valid and libmp.mpf_lt(self.hi, ZERO)

    @property
    def sign(self) -> int:
        """1 or -1 where all members have that sign; 0 says nothing."""
        return int(self.positive) - int(self.negative)

    @property
    def bounded(self) -> bool:
        """Whether both ends are finite."""
        return not {INF, NINF, NAN} & {self.lo, self.hi}

    @property
    def ends(self) -> tuple[float, float]:
        """The ends as floats, rounded outward."""
        return _float(self.lo, "f"), _float(self.hi, "c")

    def __contains__(self, x: Any) -> bool:
        point = self.home.lift(x)
        return self.valid and libmp.mpf_le(self.lo, point.lo) and libmp.mpf_le(point.hi, self.hi)

    def __repr__(self) -> str:
        return "[" + ", ".join(f"{e:.9g}" for e in self.ends) + "]"

    def __pos__(self) -> Interval:
        return self

    def __neg__(self) -> Interval:
        return Interval(self.home, libmp.mpf_neg(self.hi), libmp.mpf_neg(self.lo))

    def __add__(self, other: Any) -> Interval:
        a, b, prec = self, self.home.lift(other), self.home.prec
        return self.home.made(libmp.mpf_add(a.lo, b.lo, prec, "f"), libmp.mpf_add(a.hi, b.hi, prec, "c"))

    def __sub__(self, other: Any) -> Interval:
        return self + -self.home.lift(other)

    def __rsub__(self, other: Any) -> Interval:
        return self.home.lift(other) + -self

    def __mul__(self, other: Any) -> Interval:
        b = self.home.lift(other)
        if not (self.valid and b.valid):
            return self.home.nothing
        prec = self.home.prec
        if not (self.lo[0] or b.lo[0]):  # the sign bits: no end is negative
            return Interval(self.home, _times(self.lo, b.lo, prec, "f"), _times(self.hi, b.hi, prec, "c"))
        low = [_times(x, y, prec, "f") for x in (self.lo, self.hi) for y in (b.lo, b.hi)]
        high = [_times(x, y, prec, "c") for x in (self.lo, self.hi) for y in (b.lo, b.hi)]
        return Interval(self.home, _least(low), _most(high))

    def __truediv__(self, other: Any) -> Interval:
        return self * self.home.reciprocal(self.home.lift(other))

    def __rtruediv__(self, other: Any) -> Interval:
        return self.home.lift(other) / self

    __radd__ = __add__
    __rmul__ = __mul__


def _times(x: Raw, y: Raw, prec: int, rounding: str) -> Raw:
    """A product of ends; 0 times infinity is 0, since the infinite end is no member."""
    return ZERO if ZERO in (x, y) else libmp.mpf_mul(x, y, prec, rounding)


def _least(values: list[Raw]) -> Raw:
    best = values[0]
    for v in values[1:]:
        best = v if libmp.mpf_lt(v, best) else best
    return best


def _most(values: list[Raw]) -> Raw:
    best = values[0]
    for v in values[1:]:
        best = v if libmp.mpf_gt(v, best) else best
    return best


def _float(x: Raw, rounding: str) -> float:
    y = libmp.to_float(x, strict=False)
    back = libmp.from_float(y)
    if rounding == "f" and libmp.mpf_gt(back, x):
        return float(np.nextafter(y, -np.inf))
    if rounding == "c" and libmp.mpf_lt(back, x):
        return float(np.nextafter(y, np.inf))
    return y


class Intervals(Composing):
    """Interval arithmetic in ``prec`` bits.

    Parameters
    ----------
    prec : int
        Bits of the ends.

    Examples
    --------
    >>> intervals = Intervals(53)
    >>> intervals.tanh(intervals.interval(0, np.inf))
    [0, 1]
    >>> intervals.cos(intervals.interval(3, 4)), intervals.log(intervals.interval(-1, 1)).valid
    ([-1, -0.653643621], False)
    """

    large, tiny = math.inf, 0.0
    """Exponents have no end."""

    def __init__(self, prec: int = 80) -> None:
        if not 24 <= prec <= 100_000:
            raise InvalidArgument(f"prec = {prec}: the ends of an interval have 24 to 100000 bits")
        self.prec = prec
        self.name = f"intervals{prec}"
        self._known_limits: dict[str, dict[Raw, Interval]] = {}
        self._scalar = lru_cache(maxsize=4096)(bounds(prec))
        self.nothing = Interval(self, NAN, NAN)
        self.everything = Interval(self, NINF, INF)
        self._constant = lru_cache(maxsize=1024)(self._evaluated)

    # --- numbers ---

    def made(self, lo: Raw, hi: Raw) -> Interval:
        """An interval from its ends; nothing, if one is nan."""
        return self.nothing if NAN in (lo, hi) else Interval(self, lo, hi)

    def interval(self, lo: Any, hi: Any) -> Interval:
        """The interval from ``lo`` to ``hi``, floats or exact numbers."""
        return self.hull(self.lift(lo), self.lift(hi))

    def lift(self, x: Any) -> Interval:
        """A float as the interval that holds only it."""
        if isinstance(x, Interval):
            return x
        if isinstance(x, sp.Basic):
            return self.constant(x)
        raw = libmp.from_int(x) if isinstance(x, int) else libmp.from_float(float(x))
        return self.made(raw, raw)

    def constant(self, c: Any) -> Interval:
        """A real constant, enclosed."""
        return self.lift(c) if isinstance(c, float) else self._constant(expression(c))

    def _evaluated(self, c: Any) -> Interval:
        if c in (sp.oo, -sp.oo):
            raw = INF if c > 0 else NINF
            return Interval(self, raw, raw)
        if c.is_Rational:
            low, high = (libmp.from_rational(int(c.p), int(c.q), self.prec, r) for r in "fc")
            return Interval(self, low, high)
        ball = accurate(c, self.prec + 20)
        if ball is not None:
            return Interval(self, *ends(ball, self.prec))
        digits = int((self.prec + 40) * 0.30103)
        value = sp.N(c, digits)
        if not (value.is_Float and value.is_finite and value._prec > self.prec):
            return self.nothing
        raw = sp.Float(value, digits)._mpf_
        return self._widened(raw, raw)

    def _widened(self, lo: Raw, hi: Raw, bits: int = 0) -> Interval:
        """Outward by a relative 2^-prec (2^bits times that)."""
        pair = []
        for raw, rounding in ((lo, "f"), (hi, "c")):
            slack = libmp.mpf_shift(libmp.mpf_abs(raw), bits - self.prec)
            step = libmp.mpf_neg(slack) if rounding == "f" else slack
            pair.append(libmp.mpf_add(raw, step, self.prec, rounding))
        return Interval(self, *pair)

    def round(self, x: Any) -> np.ndarray:
        """Both ends as float64, rounded outward."""
        return np.array(self.lift(x).ends)

    def hull(self, *parts: Interval) -> Interval:
        """The smallest interval that holds all parts."""
        if not all(x.valid for x in parts):
            return self.nothing
        return Interval(self, _least([x.lo for x in parts]), _most([x.hi for x in parts]))

    def common(self, x: Interval, y: Interval) -> Interval:
        """What two enclosures of one number leave."""
        if not (x.valid and y.valid):
            return x if x.valid else y
        return Interval(self, _most([x.lo, y.lo]), _least([x.hi, y.hi]))

    def at(self, name: str, x: Raw) -> tuple[Raw, Raw]:
        """Bounds below and above the function's value at one end, or its limit at an end of its domain."""
        limit = self._limits(name).get(x)
        if limit is not None:
            return limit.lo, limit.hi
        if libmp.mpf_gt(libmp.mpf_abs(x), _CAP):
            edge = self.at(name, libmp.mpf_neg(_CAP) if libmp.mpf_lt(x, ZERO) else _CAP)
            end = self.at(name, NINF if libmp.mpf_lt(x, ZERO) else INF)
            return _least([edge[0], end[0]]), _most([edge[1], end[1]])
        return self._scalar(name, x)

    def _limits(self, name: str) -> dict[Raw, Interval]:
        """The limits of a function at the ends of its domain."""
        if name not in self._known_limits:
            known = ELEMENTARY.get(name)
            pairs = zip(known.domain, known.ends, strict=True) if known and known.ends else ()
            self._known_limits[name] = {self.constant(x).lo: self.constant(y) for x, y in pairs}
        return self._known_limits[name]

    # --- functions of one number ---

    def __getattr__(self, name: str) -> Callable[..., Interval]:
        """A function that is monotone, on its right half if it is even, by its values at the ends; else a composite."""
        known = ELEMENTARY.get(name)
        if known is None or not known.direction:
            return super().__getattr__(name)
        function = self.__dict__[name] = self._monotone(known)
        return function

    def _monotone(self, known: Elementary) -> Callable[[Any], Interval]:
        low, high = (self.constant(end) for end in known.domain)

        def function(x: Any) -> Interval:
            x = self.abs(x) if known.even else self.lift(x)
            if not x.valid or libmp.mpf_lt(x.lo, low.lo) or libmp.mpf_gt(x.hi, high.hi):
                return self.nothing
            left, right = (x.lo, x.hi) if known.direction > 0 else (x.hi, x.lo)
            return self.made(self.at(known.name, left)[0], self.at(known.name, right)[1])

        return function

    def sqrt(self, x: Any) -> Interval:
        """Square root on [0, oo)."""
        x = self.lift(x)
        if not x.valid or libmp.mpf_lt(x.lo, ZERO):
            return self.nothing
        return Interval(self, *(libmp.mpf_sqrt(e, self.prec, r) for e, r in ((x.lo, "f"), (x.hi, "c"))))

    def abs(self, x: Any) -> Interval:
        """Absolute value."""
        x = self.lift(x)
        if not x.valid or libmp.mpf_ge(x.lo, ZERO):
            return x
        return -x if libmp.mpf_le(x.hi, ZERO) else Interval(self, ZERO, _most([libmp.mpf_neg(x.lo), x.hi]))

    def sign(self, x: Any) -> Interval:
        """-1, 0 or 1."""
        x = self.lift(x)
        low, high = (libmp.from_int(libmp.mpf_sign(e)) for e in (x.lo, x.hi))
        return Interval(self, low, high) if x.valid else x

    def loggamma(self, x: Any) -> Interval:
        """Logarithm of the gamma function on (0, oo), which falls to its minimum near 1.46 and rises from there."""
        x = self.lift(x)
        if not x.valid or libmp.mpf_lt(x.lo, ZERO):
            return self.nothing
        ends = [self.at("loggamma", e) for e in (x.lo, x.hi)]
        low = _least([e[0] for e in ends])
        if 1.4616321449 in x or 1.4616321450 in x or x.lo == ZERO:
            low = _least([low, libmp.from_float(-0.121486290536)])
        return Interval(self, low, _most([e[1] for e in ends]))

    def polygamma(self, x: Any, n: int) -> Interval:
        """The n-th derivative of the digamma function on (0, oo), n >= 1: monotone, of one sign."""
        x = self.lift(x)
        if not x.valid or not libmp.mpf_gt(x.lo, ZERO):
            return self.nothing
        ends = [self._psi(e, n) for e in (x.lo, x.hi)]
        return Interval(self, _least([e[0] for e in ends]), _most([e[1] for e in ends]))

    def _psi(self, x: Raw, n: int) -> tuple[Raw, Raw]:
        """Bounds at one point, or the limit at oo; past the cap by ``0 < |psi^(n)| < 2 n!/x^n``."""
        if x == INF:
            return ZERO, ZERO
        if libmp.mpf_gt(x, _CAP):
            size = libmp.mpf_mul_int(libmp.mpf_pow_int(x, -n, self.prec, "c"), 2 * math.factorial(n), self.prec, "c")
            return (ZERO, size) if n % 2 else (libmp.mpf_neg(size), ZERO)
        return self._scalar(f"polygamma{n}", x)

    # --- periodic functions ---

    def cos(self, x: Any) -> Interval:
        """Cosine: its values at the ends, with the extremes at the multiples of pi inside."""
        x = self.lift(x)
        if not x.valid:
            return x
        whole = self.made(libmp.fnone, ONE)
        if not x.bounded or libmp.mpf_gt(_most([libmp.mpf_neg(x.lo), x.hi]), _CAP):
            return whole
        turns = x / self.constant(sp.pi)
        first, last = libmp.to_int(libmp.mpf_ceil(turns.lo)), libmp.to_int(libmp.mpf_floor(turns.hi))
        ends = [self._scalar("cos", e) for e in (x.lo, x.hi)]
        low, high = _least([e[0] for e in ends]), _most([e[1] for e in ends])
        if last > first:
            return whole
        if last == first:
            low, high = (libmp.fnone, high) if first % 2 else (low, ONE)
        return self.common(Interval(self, low, high), whole)

    def sin(self, x: Any) -> Interval:
        """Sine."""
        return self.cos(self.lift(x) - self.constant(sp.pi / 2))

    # --- two arguments ---

    def reciprocal(self, x: Interval) -> Interval:
        """``1/x``; an end that is 0 gives an infinite end, a 0 inside gives nothing."""
        if not x.valid or (libmp.mpf_lt(x.lo, ZERO) and libmp.mpf_gt(x.hi, ZERO)) or x.lo == x.hi == ZERO:
            return self.nothing
        low = NINF if x.hi == ZERO else libmp.mpf_div(ONE, x.hi, self.prec, "f")
        high = INF if x.lo == ZERO else libmp.mpf_div(ONE, x.lo, self.prec, "c")
        return Interval(self, low, high)

    def integer_power(self, x: Any, n: int) -> Interval:
        """``x**n`` for an integer n of either sign."""
        x = self.lift(x)
        if n < 0:
            return self.reciprocal(self.integer_power(x, -n))
        x = self.abs(x) if n % 2 == 0 else x
        if not x.valid or n == 0:
            return self.lift(1) if x.valid else x
        return Interval(self, *(libmp.mpf_pow_int(e, n, self.prec, r) for e, r in ((x.lo, "f"), (x.hi, "c"))))

    def power(self, x: Any, y: Any) -> Interval:
        """``x**y`` for x >= 0."""
        x, y = self.lift(x), self.lift(y)
        if x.valid and x.lo == ZERO and not y.positive:
            return self.nothing
        return self.exp(y * self.log(x))

    def maximum(self, x: Any, y: Any) -> Interval:
        """The larger of two."""
        x, y = self.lift(x), self.lift(y)
        both = x.valid and y.valid
        return Interval(self, _most([x.lo, y.lo]), _most([x.hi, y.hi])) if both else self.nothing

    def minimum(self, x: Any, y: Any) -> Interval:
        """The smaller of two."""
        return -self.maximum(-self.lift(x), -self.lift(y))

    def less(self, x: Any, y: Any) -> Truth:
        """Whether ``x < y`` for all, for none, or it depends."""
        return self._compared(self.lift(y) - self.lift(x), libmp.mpf_gt)

    def less_equal(self, x: Any, y: Any) -> Truth:
        """Whether ``x <= y`` for all, for none, or it depends."""
        return self._compared(self.lift(y) - self.lift(x), libmp.mpf_ge)

    def _compared(self, gap: Interval, holds: Callable[[Raw, Raw], bool]) -> Truth:
        if not gap.valid:
            return Truth(None)
        low, high = holds(gap.lo, ZERO), holds(gap.hi, ZERO)
        return Truth(low if low == high else None)

    def isfinite(self, x: Any) -> Truth:
        """Whether all members are surely finite."""
        return Truth(self.lift(x).bounded)

    def where(self, mask: Truth, x: Any, y: Any) -> Interval:
        """``x`` where the mask holds, ``y`` where it fails, and both where it is unknown."""
        if mask.value is None:
            return self.hull(self.lift(x), self.lift(y))
        return self.lift(x if mask.value else y)


__all__ = ["Interval", "Intervals", "Truth"]
