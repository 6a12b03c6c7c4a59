"""Numbers in few digits that still are what is said of them: a rounding must not make a true sentence false."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal
from fractions import Fraction

FEW = 6
"""Digits that are enough for a reader where they are enough for the claim."""

MANY = 400
"""Digits of a number that needs more than its own 17."""


def shortest(x: Fraction | float, holds: Callable[[Fraction], bool]) -> str | None:
    """The decimal near ``x`` with the fewest digits, six or more, of which ``holds`` is true; None if there is none.

    Examples
    --------
    >>> shortest(2.9999999998835847, lambda z: z < 3), shortest(Fraction(1, 3), lambda z: z <= 1)
    ('2.9999999999', '0.333333')
    """
    return next((text for text in _roundings(x, ROUND_HALF_EVEN) if holds(Fraction(text))), None)


def inner(low: float, high: float) -> tuple[str, str]:
    """Two ends, in as few digits as tell them apart, of an interval that lies within ``[low, high]``.

    Examples
    --------
    >>> inner(1.2345678, 2.0), inner(1.00000012, 1.00000034)
    (('1.23457', '2'), ('1.0000002', '1.0000003'))
    """
    for ends in zip(_roundings(low, ROUND_CEILING), _roundings(high, ROUND_FLOOR), strict=True):
        if Fraction(ends[0]) < Fraction(ends[1]):
            return ends
    return repr(low), repr(high)


def above(x: float, digits: int = FEW) -> str:
    """The least decimal of a given number of digits that is not below ``x``.

    Examples
    --------
    >>> above(1.2345671), above(-1.2345671), above(5.03125)
    ('1.23457', '-1.23456', '5.03125')
    """
    return _text(_rounded(x, digits, ROUND_CEILING)) if math.isfinite(x) else f"{x:g}"


def below(x: float, digits: int = FEW) -> str:
    """The greatest decimal of a given number of digits that is not above ``x``.

    Examples
    --------
    >>> below(0.9999999), below(0.25)
    ('0.999999', '0.25')
    """
    return _text(_rounded(x, digits, ROUND_FLOOR)) if math.isfinite(x) else f"{x:g}"


def _roundings(x: Fraction | float, way: str) -> Iterator[str]:
    return (_text(_rounded(x, digits, way)) for digits in range(FEW, MANY))


def _rounded(x: Fraction | float, digits: int, way: str) -> Decimal:
    exact = Fraction(x)
    context = Context(prec=digits, rounding=way, Emin=-(10**9), Emax=10**9)
    return context.divide(Decimal(exact.numerator), Decimal(exact.denominator))


def _text(x: Decimal) -> str:
    """As floats are written, in whole where that is short."""
    x = x.normalize(Context(prec=MANY, Emin=-(10**9), Emax=10**9))
    if x == 0 or -4 <= x.adjusted() < 16:
        return f"{x:f}"
    digits, _, exponent = f"{x:e}".partition("e")
    return f"{digits}e{int(exponent):+03d}"


__all__ = ["above", "below", "inner", "shortest"]
