"""Axes of a sweep: one number, a list of them, or a text such as ``1:1e6:61:log``.

The points of a range are the floats nearest to the exact ones, so that ``0:1:11`` holds 0.3 and ``1:1e6:7:log`` holds
1000, and ``data.sel(horizon=1000)`` finds it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument, shown
from gateflow.guards.arguments import items, number
from gateflow.guards.calls import listed

MOST = 1_000_000
"""Points on one axis."""

SHOWN = 2000
"""Characters of an axis that a record repeats in full."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_COUNT = re.compile(r"\d{1,9}", re.ASCII)
_SYNTAX = "a number, numbers with commas between, or a range start:stop:count or start:stop:count:log"
_PRECISE = Context(prec=40)


@dataclass(frozen=True, eq=False)
class Axis:
    """The values along one axis, and a text for them."""

    name: str
    values: np.ndarray
    text: str

    def __len__(self) -> int:
        return self.values.size


def axis(name: str, given: Any) -> Axis:
    """The axis ``name`` through the values ``given``.

    Parameters
    ----------
    name : str
        What it is called, here and in messages.
    given : float, sequence of float, or str
        A text is a number, numbers with commas between, or a range, both ends in it.

    Raises
    ------
    InvalidArgument
        There is no value, one that is no number, or one that is given twice.

    Examples
    --------
    >>> axis("gap", "1e-3:1e-1:3:log").values.tolist()
    [0.001, 0.01, 0.1]
    >>> axis("z0", "-3:3:7").values.tolist()
    [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    >>> axis("z0", [0, 0.5]).text
    '0,0.5'
    """
    text = "".join(given.split()) if isinstance(given, str) else None
    values = np.atleast_1d(number(name, given if text is None else list(_points(name, text)), _all, "a number"))
    if values.ndim != 1 or values.size == 0:
        raise InvalidArgument(f"{name} must be a number or a list of at least one; got an array of {values.shape}")
    if values.size > MOST:
        raise InvalidArgument(f"{name} has {values.size} points; at most {MOST} fit on an axis")
    again = np.flatnonzero(np.diff(np.sort(values)) == 0)
    if again.size:
        raise InvalidArgument(f"{name} holds {np.sort(values)[again[0]]:g} twice")
    return Axis(name, values, _spelled(values) if text is None else text)


def texts(name: str, given: Any) -> Axis:
    """The axis ``name`` through texts: one, several with commas between, or a list.

    Raises
    ------
    InvalidArgument
        There is none, or one that is no text or is given twice.

    Examples
    --------
    >>> texts("against", "fast(alpha=2), sigmoid").values.tolist()
    ['fast(alpha=2)', 'sigmoid']
    """
    found = listed(given) if isinstance(given, str) else items(name, given, "must be texts")
    if not found or not all(isinstance(each, str) and each.strip() for each in found):
        raise InvalidArgument(f"{name} must be a text or a list of at least one; got {shown(given)}")
    words = [each.strip() for each in found]
    for word in words:
        if words.count(word) > 1:
            raise InvalidArgument(f"{name} holds {word!r} twice")
    return Axis(name, np.array(words, dtype=object), ",".join(words))


def _all(values: np.ndarray) -> np.ndarray:
    return np.full(values.shape, True)


def _spelled(values: np.ndarray) -> str:
    """As one writes them on a command line: 1, not 1.0, so that both make the same record."""
    text = ",".join(repr(value).removesuffix(".0") for value in values.tolist())
    return text if len(text) <= SHOWN else f"<{values.size} values>"


def _points(name: str, text: str) -> Iterator[float]:
    if ":" in text:
        return _range(name, text)
    return (_as_float(name, _decimal(name, text, piece)) for piece in text.split(","))


def _as_float(name: str, value: Decimal) -> float:
    """The nearest float, unless that is 0 and the value is not: a gap of 0 is another question."""
    if value != 0 and float(value) == 0:
        hint = "; give its logarithm, log_gap" if name == "gap" else ""
        raise InvalidArgument(f"{name} {value} is below the smallest float{hint}")
    return float(value)


def _decimal(name: str, text: str, piece: str) -> Decimal:
    if not _NUMBER.fullmatch(piece):
        raise InvalidArgument(f"{name} takes {_SYNTAX}; got {text[:60]!r}")
    return Decimal(piece)


def _range(name: str, text: str) -> Iterator[float]:
    pieces = text.split(":")
    if len(pieces) not in (3, 4) or pieces[3:] not in ([], ["log"]) or not _COUNT.fullmatch(pieces[2]):
        raise InvalidArgument(f"{name} takes {_SYNTAX}; got {text[:60]!r}")
    first, last, count = _decimal(name, text, pieces[0]), _decimal(name, text, pieces[1]), int(pieces[2])
    for end in (first, last):
        _as_float(name, end)
    if not 2 <= count <= MOST:
        raise InvalidArgument(f"{name}: a range has 2 to {MOST} points; got {count}")
    if pieces[3:] and (first <= 0 or last <= 0):
        raise InvalidArgument(f"{name}: a logarithmic range lies above 0; got {text[:60]}")
    return _even_in_log(first, last, count) if pieces[3:] else _even(first, last, count)


def _even(first: Decimal, last: Decimal, count: int) -> Iterator[float]:
    start, step = Fraction(first), (Fraction(last) - Fraction(first)) / (count - 1)
    return (float(start + k * step) for k in range(count))


def _even_in_log(first: Decimal, last: Decimal, count: int) -> Iterator[float]:
    """Forty digits, rounded once."""
    c = _PRECISE
    step = c.divide(c.ln(c.divide(last, first)), Decimal(count - 1))
    yield float(first)
    yield from (float(c.multiply(first, c.exp(c.multiply(step, Decimal(k))))) for k in range(1, count - 1))
    yield float(last)
