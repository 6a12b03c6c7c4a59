"""How a gate with parameters is written in one text, on the command line, in files and in Python alike.

``fast(alpha=2)`` and ``student-t(6)``: a name of the catalogue, its parameters in brackets, by name or in order.
``sigmoid(k*z); k=2``: a formula, or a name, and the values of its parameters after a semicolon.
A value is a number, a ratio of two (``1/3``), or ``real`` or ``positive``, which leave the parameter a symbol.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

from gateflow.errors import FormulaError, InvalidArgument
from gateflow.formula.vocabulary import FUNCTIONS, SYMBOLIC
from gateflow.guards.calls import Argument, arguments, call

LONGEST = 40
"""Characters in a value."""

_VALUE = re.compile(r"[+-]?(\d+(/\d+)?|(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?)")


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
    given = list(arguments(tail, len(head) + 1)) if semicolon else []
    found = call(head)
    if found and found[0] in catalogue and _is_call(*found):
        head, given = found[0], [*found[1], *given]
    in_order, by_name = [], {}
    for name, value, place in _values(text, given):
        if name is None:
            in_order.append(value)
        elif name in by_name:
            raise FormulaError(f"{name} is given twice", text, place)
        else:
            by_name[name] = value
    return head.strip(), in_order, by_name


def placed(what: str, known: Sequence[str], in_order: Sequence[Any], by_name: Mapping[str, Any]) -> dict[str, Any]:
    """The values of parameters by their names.

    Raises
    ------
    InvalidArgument
        There is no such parameter, there are more values than parameters, or one has two.

    Examples
    --------
    >>> placed("gate 'fast'", ["alpha"], [2], {})
    {'alpha': 2}
    """
    listed = f"it has {', '.join(known)}" if known else "it has none"
    for name in by_name:
        if name not in known:
            raise InvalidArgument(f"{what} has no parameter {name!r}; {listed}")
    if len(in_order) > len(known) or set(known[: len(in_order)]) & set(by_name):
        raise InvalidArgument(f"{what}: too many parameters; {listed}")
    return {**dict(zip(known, in_order, strict=False)), **by_name}


def _is_call(name: str, given: list[Argument]) -> bool:
    """Whether the brackets hold parameters: ``erf(z)`` and ``sigmoid(2*z)`` are formulas."""
    if any(bracket in each.text for each in given for bracket in "()"):
        return False
    is_value = len(given) == 1 and _VALUE.fullmatch(given[0].text) is not None
    return name not in FUNCTIONS or any(each.name for each in given) or is_value


def _values(text: str, given: Iterable[Argument]) -> Iterable[tuple[str | None, Any, int]]:
    """Name or None, value and place of each parameter."""
    for name, value, place, end in given:
        if not _VALUE.fullmatch(value) and value not in SYMBOLIC:
            raise FormulaError(f"{name or 'a parameter'} needs a number, or 'real' or 'positive'", text, place, end)
        if len(value) > LONGEST:
            raise FormulaError(f"{name or 'a parameter'} is too long: at most {LONGEST} digits", text, place, end)
        yield name, _value(text, value, place, end), place


def _value(text: str, value: str, place: int, end: int) -> Any:
    if value in SYMBOLIC:
        return value
    if "/" in value:
        try:
            return Fraction(value)
        except ZeroDivisionError:
            raise FormulaError("division by zero", text, place, end) from None
    return int(value) if value.lstrip("+-").isdigit() else float(value)
