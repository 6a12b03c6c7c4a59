"""Intervals of float64 in arrays: how far a formula can range over many stretches of z at once.

They are a guide to where a formula changes quickly, not a proof: ends are not rounded outward. What a function does
outside its domain is clipped to the domain, and what is not known is the whole line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gateflow.arithmetic import float64
from gateflow.formula.functions import ELEMENTARY, Elementary

INF = np.inf


class Span:
    """The numbers from ``low`` to ``high``, one pair an element."""

    __array_ufunc__ = None
    __slots__ = ("high", "low")

    def __init__(self, low: Any, high: Any) -> None:
        self.low, self.high = np.asarray(low, dtype=np.float64), np.asarray(high, dtype=np.float64)

    def __neg__(self) -> Span:
        return Span(-self.high, -self.low)

    def __add__(self, other: Any) -> Span:
        return _known(self.low + other.low, self.high + other.high)

    def __sub__(self, other: Any) -> Span:
        return _known(self.low - other.high, self.high - other.low)

    def __mul__(self, other: Any) -> Span:
        a, b, c, d = self.low, self.high, other.low, other.high
        with np.errstate(all="ignore"):
            first, second = (a * c, a * d), (b * c, b * d)
            low = np.minimum(np.minimum(*first), np.minimum(*second))
            if not np.isnan(low).any():
                return Span(low, np.maximum(np.maximum(*first), np.maximum(*second)))
            products = [np.where(np.isnan(p), 0.0, p) for p in (*first, *second)]  # 0 times infinity
        products = np.broadcast_arrays(*products)
        return Span(np.minimum.reduce(products), np.maximum.reduce(products))

    def __truediv__(self, other: Any) -> Span:
        with np.errstate(all="ignore"):
            ends = 1 / other.low, 1 / other.high
            meets = (other.low <= 0) & (other.high >= 0)
            low = np.where(meets, np.where(other.low == 0, ends[1], -INF), np.minimum(*ends))
            high = np.where(meets, np.where(other.high == 0, ends[0], INF), np.maximum(*ends))
        return self * Span(low, high)


class Maybe:
    """Whether something holds: surely, possibly."""

    __slots__ = ("possibly", "surely")

    def __init__(self, surely: Any, possibly: Any) -> None:
        self.surely, self.possibly = surely, possibly

    def __and__(self, other: Maybe) -> Maybe:
        return Maybe(self.surely & other.surely, self.possibly & other.possibly)

    def __or__(self, other: Maybe) -> Maybe:
        return Maybe(self.surely | other.surely, self.possibly | other.possibly)

    def __invert__(self) -> Maybe:
        return Maybe(~self.possibly, ~self.surely)


def _known(low: Any, high: Any) -> Span:
    """A span, the whole line where an end is no number."""
    return Span(np.where(np.isnan(low), -INF, low), np.where(np.isnan(high), INF, high))


LEAST_OF_LOGGAMMA = 1.4616321449683622
"""Where loggamma, on the positive numbers, is least."""


class Spans:
    """The arithmetic of spans; see :mod:`gateflow.arithmetic` for what an arithmetic is.

    Examples
    --------
    >>> x = Span([-1.0, 2.0], [2.0, 3.0])
    >>> found = spans.tanh(x * x - x)
    >>> found.low.round(3).tolist(), found.high.round(3).tolist()
    ([-0.999, 0.762], [1.0, 1.0])
    """

    name = "spans"

    def lift(self, x: Any) -> Span:
        return Span(x, x)

    def constant(self, c: Any) -> Span:
        return self.lift(float64.constant(c))

    def __getattr__(self, name: str) -> Callable[[Span], Span]:
        known = ELEMENTARY.get(name)
        if known is not None and known.direction:
            return lambda x: self._monotone(known, self.abs(x) if known.even else x)
        if name.startswith("_"):
            raise AttributeError(name)
        return lambda x: _known(np.full(np.shape(x.low), np.nan), np.full(np.shape(x.high), np.nan))

    def _monotone(self, known: Elementary, x: Span) -> Span:
        first, last = map(float, known.domain)
        low, high = (_values(known.name, np.clip(end, first, last)) for end in (x.low, x.high))
        return _known(low, high) if known.direction > 0 else _known(high, low)

    def abs(self, x: Span) -> Span:
        low = np.where((x.low <= 0) & (x.high >= 0), 0.0, np.minimum(np.abs(x.low), np.abs(x.high)))
        return Span(low, np.maximum(np.abs(x.low), np.abs(x.high)))

    def sign(self, x: Span) -> Span:
        return Span(np.sign(x.low), np.sign(x.high))

    def log_expm1(self, x: Span) -> Span:
        """``log |exp(x) - 1|``: not monotone, but its size is."""
        return self.log(self.abs(self.expm1(x)))

    def loggamma(self, x: Span) -> Span:
        low, high = np.clip(x.low, 0.0, INF), np.clip(x.high, 0.0, INF)
        ends = _values("loggamma", low), _values("loggamma", high)
        least = _values("loggamma", np.clip(LEAST_OF_LOGGAMMA, low, high))
        return _known(least, np.maximum(*ends))

    def log_add(self, x: Span, y: Span) -> Span:
        return Span(np.logaddexp(x.low, y.low), np.logaddexp(x.high, y.high))

    def sin(self, x: Span) -> Span:
        return self.cos(x - self.constant(np.pi / 2))

    def cos(self, x: Span) -> Span:
        with np.errstate(all="ignore"):
            ends = np.cos(x.low), np.cos(x.high)
            top = np.floor(x.high / (2 * np.pi)) >= np.ceil(x.low / (2 * np.pi))
            bottom = np.floor(x.high / (2 * np.pi) - 0.5) >= np.ceil(x.low / (2 * np.pi) - 0.5)
            lost = ~(np.abs(x.low) + np.abs(x.high) < 1e15)
            low = np.where(bottom | lost, -1.0, np.minimum(*ends))
            return Span(low, np.where(top | lost, 1.0, np.maximum(*ends)))

    def tan(self, x: Span) -> Span:
        return self.sin(x) / self.cos(x)

    def integer_power(self, x: Span, n: int) -> Span:
        if n < 0:
            return self.constant(1) / self.integer_power(x, -n)
        with np.errstate(all="ignore"):
            base = x if n % 2 else self.abs(x)
            return _known(np.power(base.low, float(n)), np.power(base.high, float(n)))

    def power(self, x: Span, y: Span) -> Span:
        return self.exp(y * self.log(x))

    def maximum(self, x: Span, y: Span) -> Span:
        return Span(np.maximum(x.low, y.low), np.maximum(x.high, y.high))

    def minimum(self, x: Span, y: Span) -> Span:
        return Span(np.minimum(x.low, y.low), np.minimum(x.high, y.high))

    def less(self, x: Span, y: Span) -> Maybe:
        return Maybe(x.high < y.low, x.low < y.high)

    def less_equal(self, x: Span, y: Span) -> Maybe:
        return Maybe(x.high <= y.low, x.low <= y.high)

    def isfinite(self, x: Span) -> Maybe:
        return Maybe(np.isfinite(x.low) & np.isfinite(x.high), np.full(np.shape(x.low), True))

    def where(self, test: Maybe, x: Span, y: Span) -> Span:
        low = np.where(test.surely, x.low, np.where(test.possibly, np.minimum(x.low, y.low), y.low))
        return Span(low, np.where(test.surely, x.high, np.where(test.possibly, np.maximum(x.high, y.high), y.high)))


def _values(name: str, x: Any) -> Any:
    with np.errstate(all="ignore"):
        return getattr(float64, name)(x)


spans = Spans()
