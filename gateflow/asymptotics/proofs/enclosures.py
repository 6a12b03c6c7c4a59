"""Enclosures of the values of a formula, for the checker: its own, beside the ball arithmetic of the search.

A *box* is a range of x with exact ends, the right one perhaps infinite. Functions that increase are evaluated at the
ends of the range of their argument in big floats, and widened by 1e-10 of the last digits kept, which is far more than
mpmath's error. What has no value somewhere on the box is `Undefined`; what is not known here is `Unproved`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from gateflow.formula.vocabulary import Expr, expm1, log1p, logit, sigmoid, softplus, softsign

X = sp.Symbol("x", positive=True)
"""The distance from 0, on either half of the line."""

DIGITS = 40
"""Digits that enclosures are computed in unless more are asked for."""

_INF = mpmath.inf


class Unproved(Exception):
    """Something was not proved here; that says nothing about whether it is right."""


class Undefined(Exception):
    """Somewhere on the box a part of the formula may have no value."""


class Box(NamedTuple):
    """``low < x <= high``; exact ends, high perhaps oo."""

    low: Expr
    high: Expr


class ValueRange(NamedTuple):
    """``low <= value <= high``; an end that is infinite is not attained."""

    low: Any
    high: Any


# --- enclosures -------------------------------------------------------------------------------------------------------

_STEEP = mpmath.mpf(10) ** 5
"""Beyond this, exponentials are only bounded, not formed."""


class _Rising(NamedTuple):
    """A function that increases between its limits; `steep`: not to be formed far out."""

    value: Callable[[Any], Any]
    bottom: Any
    top: Any
    steep: bool = False


_RISING: dict[Any, _Rising] = {
    sp.exp: _Rising(mpmath.exp, 0, _INF, True),
    sp.sinh: _Rising(mpmath.sinh, -_INF, _INF, True),
    sp.tanh: _Rising(mpmath.tanh, -1, 1, True),
    sp.asinh: _Rising(mpmath.asinh, -_INF, _INF),
    sp.atan: _Rising(mpmath.atan, -2, 2),
    softsign: _Rising(lambda u: u / (1 + abs(u)), -1, 1),
    expm1: _Rising(mpmath.expm1, -1, _INF, True),
    sp.erf: _Rising(mpmath.erf, -1, 1, True),
    sigmoid: _Rising(lambda u: 1 / (1 + mpmath.exp(-u)), 0, 1, True),
    softplus: _Rising(lambda u: mpmath.log1p(mpmath.exp(u)), 0, _INF, True),
}


def enclosure(e: Expr, box: Box, digits: int = DIGITS) -> ValueRange:
    """Bounds of the values on a box.

    Raises
    ------
    Undefined
        A logarithm, a root or a quotient may have no value there.
    Unproved
        The formula holds a function that is not bounded here.

    Examples
    --------
    >>> print(*(mpmath.nstr(end, 5) for end in enclosure(X + sp.exp(-X), Box(sp.S.One, sp.Integer(2)))))
    1.1353 2.3679
    """
    with mpmath.workdps(digits):
        return _bounds(e, box)


def sign_of(c: Expr, digits: tuple[int, ...] = (40, 120, 400, 1200)) -> int:
    """1 or -1 where a constant is proved to have that sign; 0 says nothing.

    Examples
    --------
    >>> sign_of(sp.pi - sp.Rational(355, 113)), sign_of(sp.sqrt(2) * sp.sqrt(3) - sp.sqrt(6) + sp.exp(-1000))
    (-1, 1)
    """
    for many in digits:
        try:
            low, high = enclosure(c, Box(sp.S.One, sp.S.One), many)
        except (Undefined, Unproved, OverflowError):
            continue
        if low > 0 or high < 0:
            return 1 if low > 0 else -1
    return 0


def _margin() -> Any:
    """The part by which a value is widened: 1e-10 of what the digits in use can hold."""
    return mpmath.mpf(10) ** (10 - mpmath.mp.dps)


def _bounds(e: Expr, box: Box) -> ValueRange:
    if e == X:
        low, high = _number(box.low), _number(box.high)
        exact = box.low.is_Rational and (box.high.is_Rational or box.high == sp.oo)
        return ValueRange(low, high) if exact else _widen(low, high)
    if not e.args or isinstance(e, sp.CRootOf):
        return _widen(_number(e), _number(e))
    if isinstance(e, sp.log):
        low, high = _bounds(e.args[0], box)
        if low <= 0:
            raise Undefined
        return _widen(mpmath.log(low), mpmath.log(high))
    if e.is_Pow:
        return _power(e.base, e.exp, box)
    if e.is_Add and box.high == sp.oo and (split := _over_largest_power(e)) is not None:
        return _product([_bounds(part, box) for part in split])
    parts = [_bounds(a, box) for a in e.args]
    if e.is_Add:
        return _sum(parts)
    if e.is_Mul:
        return _product(parts)
    return _function(e.func, parts)


def _number(e: Expr) -> Any:
    if e is sp.nan or e.is_extended_real is False:  # as 1/0 is, or the root of -1
        raise Undefined
    if e == sp.oo or e.is_Rational:
        return _INF if e == sp.oo else mpmath.mpf(e.p) / e.q
    value = sp.N(e, mpmath.mp.dps + 5)
    if not value.is_Float or value._prec < mpmath.mp.prec:  # SymPy gave up: the digits that it looked at cancel
        raise Unproved(f"the value of {e}")
    return mpmath.mpf(value)


def _widen(low: Any, high: Any) -> ValueRange:
    low, high = mpmath.mpf(low), mpmath.mpf(high)
    down, up = (abs(end) * _margin() if abs(end) < _INF else 0 for end in (low, high))
    return ValueRange(low - down, high + up)


def _sum(parts: list[ValueRange]) -> ValueRange:
    """Widened by the size of the terms, as they may cancel."""
    low, high = sum(p.low for p in parts), sum(p.high for p in parts)
    slack = _margin() * sum(abs(end) for p in parts for end in p if abs(end) < _INF)
    return ValueRange(low - slack, high + slack)


@lru_cache(maxsize=1024)
def _over_largest_power(e: Expr) -> tuple[Expr, Expr] | None:
    """A sum of powers of x as the largest of them and the rest: no term is infinite then that another would cancel."""
    terms = [term.as_coeff_exponent(X) for term in e.args]
    most = max((p for _, p in terms), key=lambda p: p if p.is_Rational else -sp.oo)
    if not most.is_Rational or most <= 0 or any(c.has(X) or not p.is_Rational for c, p in terms):
        return None
    return X**most, sp.Add(*(c * X ** (p - most) for c, p in terms))


def _product(parts: list[ValueRange]) -> ValueRange:
    low, high = parts[0]
    for other in parts[1:]:
        ends = [mpmath.mpf(0) if 0 in (a, b) else a * b for a in (low, high) for b in other]
        low, high = _widen(min(ends), max(ends))
    return ValueRange(low, high)


def _power(base: Expr, exponent: Expr, box: Box) -> ValueRange:
    if not exponent.is_Rational:
        return _bounds(sp.exp(exponent * sp.log(base)), box)
    low, high = _bounds(base, box)
    if exponent.is_Integer and exponent > 0:
        ends = [_raise_to(end, int(exponent)) for end in (low, high)]
        touches = exponent % 2 == 0 and low < 0 < high
        return _widen(mpmath.mpf(0) if touches else min(ends), max(ends))
    if low < 0 and exponent.is_Integer and high < 0:
        flip = (-1) ** int(exponent)
        return _product([_widen(mpmath.mpf(flip), mpmath.mpf(flip)), _positive_power(-high, -low, exponent)])
    if low <= 0:
        raise Undefined
    return _positive_power(low, high, exponent)


def _raise_to(x: Any, n: int) -> Any:
    return (_INF if x > 0 or n % 2 == 0 else -_INF) if abs(x) == _INF else x**n


def _positive_power(low: Any, high: Any, exponent: Any) -> ValueRange:
    p = _number(exponent)
    ends = [(mpmath.mpf(0) if p < 0 else _INF) if end == _INF else end**p for end in (low, high)]
    return _widen(min(ends), max(ends))


class _Within(NamedTuple):
    """A function that increases on an interval, and has no value outside."""

    value: Callable[[Any], Any]
    low: Any
    high: Any


_INSIDE: dict[Any, _Within] = {
    sp.atanh: _Within(mpmath.atanh, -1, 1),
    logit: _Within(lambda p: mpmath.log(p / (1 - p)), 0, 1),
    log1p: _Within(mpmath.log1p, -1, _INF),
}


def _function(func: Any, parts: list[ValueRange]) -> ValueRange:
    low, high = parts[0]
    if func in _INSIDE:
        rule = _INSIDE[func]
        if not rule.low < low <= high < rule.high:
            raise Undefined
        return _widen(rule.value(low), rule.value(high))
    if func is sp.acosh:
        if not low >= 1:
            raise Undefined
        slack = mpmath.sqrt(_margin())  # its slope is infinite at 1
        return ValueRange(max(mpmath.acosh(low) - slack, mpmath.mpf(0)), mpmath.acosh(high) + slack)
    if func is sp.tan:
        return _product([_function(sp.sin, parts), _invert(_function(sp.cos, parts))])
    if func is sp.Abs:
        return ValueRange(mpmath.mpf(0) if low <= 0 <= high else min(abs(low), abs(high)), max(abs(low), abs(high)))
    if func is sp.loggamma:
        return _loggamma(low, high)
    if func in _RISING:
        rule = _RISING[func]
        return _widen(_at_low(rule, low), _at_high(rule, high))
    if func is sp.erfc:
        rule = _Rising(lambda u: mpmath.erfc(-u), 0, 2, True)
        return _widen(_at_low(rule, -high), _at_high(rule, -low))
    if func is sp.cosh:
        near = mpmath.mpf(0) if low <= 0 <= high else min(abs(low), abs(high))
        rule = _Rising(mpmath.cosh, 1, _INF, True)
        return _widen(_at_low(rule, near), _at_high(rule, max(abs(low), abs(high))))
    if func in (sp.sin, sp.cos):
        return ValueRange(mpmath.mpf(-1), mpmath.mpf(1)) if high - low > 3 else _wave(func, low, high)
    raise Unproved(f"bounds of {func.__name__}")


def _invert(of: ValueRange) -> ValueRange:
    if not (of.low > 0 or of.high < 0):
        raise Undefined
    return _widen(1 / of.high, 1 / of.low)


def _loggamma(low: Any, high: Any) -> ValueRange:
    """It falls to its minimum, which is above -0.1215, near 1.46, and rises from there."""
    if not (low > 0 and high < _INF):
        raise Undefined
    ends = [mpmath.loggamma(end) for end in (low, high)]
    slack = _margin() * (1 + sum(map(abs, ends)))
    bottom = mpmath.mpf(-0.1215) if low < 1.47 and high > 1.46 and low != high else min(ends)
    return ValueRange(min(bottom, *ends) - slack, max(ends) + slack)


def _wave(func: Any, low: Any, high: Any) -> ValueRange:
    """Bounds of sin or cos from the value in the middle, as its slope is at most 1."""
    middle, half = (low + high) / 2, (high - low) / 2
    value = mpmath.sin(middle) if func is sp.sin else mpmath.cos(middle)
    half += _margin() * (1 + abs(middle))
    return ValueRange(max(value - half, mpmath.mpf(-1)), min(value + half, mpmath.mpf(1)))


def _at_low(rule: _Rising, x: Any) -> Any:
    if x == -_INF or (rule.steep and x < -_STEEP):
        return mpmath.mpf(rule.bottom)
    return rule.value(min(x, _STEEP) if rule.steep else x)


def _at_high(rule: _Rising, x: Any) -> Any:
    if x == _INF or (rule.steep and x > _STEEP):
        return mpmath.mpf(rule.top)
    return rule.value(max(x, -_STEEP) if rule.steep else x)


__all__ = ["DIGITS", "Box", "Undefined", "Unproved", "ValueRange", "X", "enclosure", "sign_of"]
