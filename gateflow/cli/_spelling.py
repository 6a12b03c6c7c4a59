"""A gate with parameters in one argument: a formula or a name, a semicolon, and what its letters stand for.

As in ``sigmoid(k*z); k=2``. A value is a number, a ratio of two (``1/3``), or ``real`` or ``positive``, which leave the
letter a symbol. Names of the catalogue also take their parameters in brackets, ``fast(alpha=2)``, which is
:func:`gateflow.gate.gate`'s own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from gateflow.errors import FormulaError

SYMBOLIC = ("real", "positive")
"""Words for a parameter without a value."""

LONGEST = 40
"""Characters in a value."""

_VALUE = re.compile(r"[+-]?(\d+(/\d+)?|(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?)", re.ASCII)
_PARAMETER = re.compile(r"\s*((?P<name>[^\W\d]\w*)\s*=)?\s*(?P<value>.*?)\s*", re.DOTALL)


def taken_apart(text: str) -> tuple[str, dict[str, Any]]:
    """The formula or name before the semicolon, and the parameters after it.

    Raises
    ------
    FormulaError
        A parameter has no name or no value, or is given twice.

    Examples
    --------
    >>> taken_apart("sigmoid(k*z); k=0.5")
    ('sigmoid(k*z)', {'k': 0.5})
    >>> taken_apart("sigmoid(k*z); k=two")
    Traceback (most recent call last):
    gateflow.errors.FormulaError: k needs a number, or 'real' or 'positive'
        sigmoid(k*z); k=two
                        ^^^
    """
    head, _, tail = text.partition(";")
    values: dict[str, Any] = {}
    for name, value, place in _parameters(text, len(head) + 1, tail):
        if name in values:
            raise FormulaError(f"{name} is given twice", text, place)
        values[name] = value
    return head.strip(), values


def _parameters(text: str, start: int, tail: str) -> Iterator[tuple[str, Any, int]]:
    """Name, value and place of each parameter in ``tail``, which begins at ``start`` of ``text``."""
    for piece in tail.split(",") if tail.strip() else ():
        match = _PARAMETER.fullmatch(piece)
        assert match is not None  # the pattern takes any text
        place = start + match.start("value")
        if match["name"] is None:
            raise FormulaError(
                "a parameter is written with its name, as in k=2", text, place, start + match.end("value")
            )
        yield match["name"], _value(text, match["name"], match["value"], place), start + match.start("name")
        start += len(piece) + 1


def _value(text: str, name: str, written: str, place: int) -> Any:
    end = place + len(written)
    if written in SYMBOLIC:
        return written
    if not _VALUE.fullmatch(written):
        raise FormulaError(f"{name} needs a number, or 'real' or 'positive'", text, place, end)
    if len(written) > LONGEST:
        raise FormulaError(f"{name} is too long: at most {LONGEST} digits", text, place, end)
    if "/" in written:
        above, below = written.split("/")
        if int(below) == 0:
            raise FormulaError("division by zero", text, place, end)
        return Fraction(int(above), int(below))
    return int(written) if written.lstrip("+-").isdigit() else float(written)
