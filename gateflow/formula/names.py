"""What a formula may call things: functions, constants, their second names, and the names its caller declares."""

from __future__ import annotations

import keyword
import math
import numbers
import unicodedata
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp

from gateflow.errors import InvalidArgument, shown
from gateflow.formula.vocabulary import CONSTANTS, FUNCTIONS, SYMBOLIC, Z

ALIASES = {"σ": "sigmoid", "sigma": "sigmoid", "π": "pi"}
"""Second names; a declared variable or parameter of the same name wins."""


def declared(variables: Iterable[str], parameters: Mapping[str, Any]) -> dict[str, sp.Expr]:
    """Every name a formula may use for a value. Keys are in `plain` form."""
    names: dict[str, sp.Expr] = {}
    for name in (variables,) if isinstance(variables, str) else variables:
        symbol = sp.Symbol(name, real=True) if isinstance(name, str) and name != Z.name else Z
        _declare(names, "variable", name, symbol)
    for name, value in parameters.items():
        _declare(names, "parameter", name, _parameter(name, value))
    return CONSTANTS | {alias: CONSTANTS[name] for alias, name in ALIASES.items() if name in CONSTANTS} | names


def _declare(names: dict[str, sp.Expr], kind: str, name: Any, value: sp.Expr) -> None:
    if not isinstance(name, str) or not is_identifier(name):
        called = ascii(name) if isinstance(name, str) else shown(name)
        raise InvalidArgument(f"{kind} {called} has no usable name; letters, digits and '_', and no Python keyword")
    if is_taken(name):
        raise InvalidArgument(f"{kind} '{name}' has the name of a function or constant of the formula language")
    if plain(name) in names:
        raise InvalidArgument(f"{kind} '{name}' is declared twice")
    names[plain(name)] = value


def _parameter(name: str, value: Any) -> sp.Expr:
    if isinstance(value, str) and value in SYMBOLIC:
        return sp.Symbol(str(name), **{value: True})
    number = _exact(value)
    if number is None:
        raise InvalidArgument(
            f"parameter {name} = {ascii(value)[:60]} is neither a finite real number, 'real' nor 'positive'"
        )
    return number


def _exact(value: Any) -> sp.Expr | None:
    """The number a parameter stands for, or None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, sp.Float):
        value = Fraction(str(value)) if value.is_finite else math.nan
    if isinstance(value, sp.Expr):
        return value if value.is_number and value.is_real else None
    if isinstance(value, numbers.Rational):
        return sp.Rational(int(value.numerator), int(value.denominator))
    if isinstance(value, numbers.Real) and math.isfinite(value):
        return sp.Rational(repr(float(value)))
    return None


def plain(name: str) -> str:
    """The form to which Python brings identifiers."""
    return name if name.isascii() else unicodedata.normalize("NFKC", name)


def function_name(name: str, names: Mapping[str, Any]) -> str | None:
    """The canonical name of a function, or None; a declared name is never a function."""
    known = plain(name)
    if known in names:
        return None
    known = ALIASES.get(known, known)
    return known if known in FUNCTIONS or known == "where" else None


def is_identifier(name: str) -> bool:
    """Whether Python reads the text as one name."""
    return name.isidentifier() and not keyword.iskeyword(plain(name))


def is_taken(name: str) -> bool:
    """Whether the name means something in every formula."""
    return plain(name) in FUNCTIONS or plain(name) in CONSTANTS or plain(name) == "where"
