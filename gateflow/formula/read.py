"""From text to SymPy, through the four walls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp

from gateflow.errors import FormulaError, InvalidArgument, shown
from gateflow.formula.build import Builder, Demand
from gateflow.formula.grammar import Grammar
from gateflow.formula.limits import MAX_LENGTH
from gateflow.formula.names import declared, function_name, plain
from gateflow.formula.tree import syntax_tree
from gateflow.formula.words import Word, tidied, words_of
from gateflow.guards.arguments import items


def parse(text: str, variables: Iterable[str] = ("z",), parameters: Mapping[str, Any] | None = None) -> sp.Expr:
    """Read a formula.

    Parameters
    ----------
    text : str
        Arithmetic, ``**``, the functions of `gateflow.formula.vocabulary.FUNCTIONS`, the constants ``pi`` and ``e``,
        and ``where(a < b, x, y)``. Numbers are exact: ``0.9`` is nine tenths.
    variables : iterable of str
        The names that become real symbols.
    parameters : mapping, optional
        Name to value. A number is put in exactly, a float as the decimal that prints it (0.9 is nine tenths);
        ``"real"`` or ``"positive"`` leaves a symbol with that assumption.

    Returns
    -------
    sympy.Expr
        Made of rationals, ``pi``, ``E``, symbols, sums, products, powers, the functions of the vocabulary and
        ``Piecewise``; free of infinities and of ``I``. A formula without variables gives a constant.

    Raises
    ------
    FormulaError
        The text is not a formula, or too large a one; the error points at the fault.
    InvalidArgument
        A variable or a parameter has an impossible name or value.

    Examples
    --------
    >>> parse("0.1*z + sinh(a*z)/a", parameters={"a": 0.5})
    z/10 + 2*sinh(z/2)
    >>> parse("where(z < 0, 0, σ(λ*z))", parameters={"λ": "positive"})
    Piecewise((0, z < 0), (sigmoid(z*λ), True))
    """
    return _builder(text, variables, parameters)[1]


def demands(text: str, variables: Iterable[str] = ("z",), parameters: Mapping[str, Any] | None = None) -> list[Demand]:
    """What the formula asks for as it is written: arguments of logarithms above 0, no division by 0, and the like.

    `parse` gives the formula as SymPy keeps it, which may ask for less.

    Examples
    --------
    >>> parse("exp(log(z))"), [(d.expr, d.node) for d in demands("exp(log(z))")]
    (z, [(z, 'log(z)')])
    """
    return _builder(text, variables, parameters)[0].demands


def open_names(text: str, variables: Iterable[str] = ("z",)) -> list[str]:
    """The names in a formula that stand for values and mean nothing yet, sorted: its open parameters.

    Raises
    ------
    FormulaError
        The text is too long, or has a character that no formula has.

    Examples
    --------
    >>> open_names("sigmoid(1e3*k*z + pi)")
    ['k']
    """
    known, words = declared(variables, {}), _words(text)[1]
    called = [after.text == "(" for after in words[1:]] + [False]
    values = {word.text for word, calls in zip(words, called, strict=False) if word.kind == "name" and not calls}
    return sorted(name for name in values if plain(name) not in known and function_name(name, known) is None)


def _words(text: str) -> tuple[str, list[Word]]:
    """The text with plain blanks and signs, and its words."""
    if not isinstance(text, str):
        raise FormulaError(f"a formula is a text, not {type(text).__name__}")
    if len(text) > MAX_LENGTH:
        raise FormulaError(f"the formula is too large: {len(text)} characters, at most {MAX_LENGTH}", text[:MAX_LENGTH])
    tidy = tidied(text)
    return tidy, words_of(text, tidy)


def _builder(text: str, variables: Iterable[str], parameters: Mapping[str, Any] | None) -> tuple[Builder, sp.Expr]:
    """What has built the formula, and the formula."""
    if parameters is not None and not isinstance(parameters, Mapping):
        raise InvalidArgument(f"parameters must be a mapping of names to values; got {shown(parameters)}")
    names = declared(variables if isinstance(variables, str) else items("variables", variables), parameters or {})
    tidy, words = _words(text)
    Grammar(text, words, names).check()
    builder = Builder(text, tidy, names)
    return builder, builder.formula(syntax_tree(text, tidy))
