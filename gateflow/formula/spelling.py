"""How a gate with parameters is written in one text, on the command line, in files and in Python alike.

``fast(alpha=2)`` and ``student-t(6)``: a name of the catalogue, its parameters in brackets, by name or in order.
``sigmoid(k*z); k=2``: a formula, or a name, and the values of its parameters after a semicolon.
A value is a number, a ratio of two (``1/3``), or ``real`` or ``positive``, which leave the parameter a symbol.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from fractions import Fraction
from typing import Any

from gateflow.errors import FormulaError
from gateflow.formula.vocabulary import FUNCTIONS, SYMBOLIC

LONGEST = 40
"""Characters in a value."""

_NAMED = re.compile(r"\s*(?P<name>[^\W\d][\w-]*)\s*\((?P<inside>[^()]*)\)\s*")
_VALUE = re.compile(r"[+-]?(\d+(/\d+)?|(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?)")
_PARAMETER = re.compile(r"\s*((?P<name>[^\W\d]\w*)\s*=)?\s*(?P<value>.*?)\s*", re.DOTALL)


def spelled(text: str, catalogue: Container[str]) -> tuple[str, list[Any], dict[str, Any]]:
    """A gate's text taken apart: its name or formula, parameters in order, parameters by name.

    Raises
    ------
    FormulaError
        A value is no number, or a parameter is given twice.

    Examples
    --------
    >>> spelled("fast(alpha=1/3)", {"fast"}), spelled("student-t(6)", {"student-t"})
    (('fast', [], {'alpha': Fraction(1, 3)}), ('student-t', [6], {}))
    >>> spelled("sigmoid(k*z); k=0.5", {"sigmoid"})
    ('sigmoid(k*z)', [], {'k': 0.5})
    >>> spelled("fast(alpha=two)", {"fast"})
    Traceback (most recent call last):
    gateflow.errors.FormulaError: alpha needs a number, or 'real' or 'positive'
        fast(alpha=two)
                   ^^^
    """
    head, semicolon, tail = text.partition(";")
    given = list(_parameters(text, len(head) + 1, tail)) if semicolon else []
    match = _NAMED.fullmatch(head)
    if match and match["name"] in catalogue and _is_call(match["name"], match["inside"]):
        given = [*_parameters(text, match.start("inside"), match["inside"]), *given]
        head = match["name"]
    in_order, by_name = [], {}
    for name, value, place in given:
        if name is None:
            in_order.append(value)
        elif name in by_name:
            raise FormulaError(f"{name} is given twice", text, place)
        else:
            by_name[name] = value
    return head.strip(), in_order, by_name


def _is_call(name: str, inside: str) -> bool:
    """Whether the brackets hold parameters: ``erf(z)`` and ``sigmoid(2*z)`` are formulas."""
    return name not in FUNCTIONS or "=" in inside or _VALUE.fullmatch(inside.strip()) is not None


def _parameters(text: str, start: int, part: str) -> Iterator[tuple[str | None, Any, int]]:
    """Name or None, value and place of each parameter in ``part``, which begins at ``start`` of ``text``."""
    for piece in part.split(",") if part.strip() else ():
        match = _PARAMETER.fullmatch(piece)
        assert match is not None  # the pattern takes any text
        place, end = start + match.start("value"), start + match.end("value")
        name, value = match["name"], match["value"]
        if not _VALUE.fullmatch(value) and value not in SYMBOLIC:
            raise FormulaError(f"{name or 'a parameter'} needs a number, or 'real' or 'positive'", text, place, end)
        if len(value) > LONGEST:
            raise FormulaError(f"{name or 'a parameter'} is too long: at most {LONGEST} digits", text, place, end)
        yield name, _value(text, value, place, end), start + match.start()
        start += len(piece) + 1


def _value(text: str, value: str, place: int, end: int) -> Any:
    if value in SYMBOLIC:
        return value
    if "/" in value:
        try:
            return Fraction(value)
        except ZeroDivisionError:
            raise FormulaError("division by zero", text, place, end) from None
    return int(value) if value.lstrip("+-").isdigit() else float(value)
