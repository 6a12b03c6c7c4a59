"""What all layers share: the functions and constants of the formula language, its symbols, derivatives."""

from __future__ import annotations

from typing import Any, TypeAlias

import sympy as sp

from gateflow.errors import InvalidArgument, shown
from gateflow.formula.functions import FUNCTIONS, expm1, log1p, logit, sigmoid, softplus, softsign

Expr: TypeAlias = Any
"""A SymPy expression. SymPy's own annotations call the same object Basic here and Expr there, so none is checked."""

Z = sp.Symbol("z", real=True)
"""The pre-activation (theory.md §1)."""

U = sp.Symbol("u", real=True)
"""The logit profile as an independent variable (theory.md §2)."""


CONSTANTS: dict[str, Any] = {"pi": sp.pi, "e": sp.E}

SYMBOLIC = ("real", "positive")
"""Words in place of a parameter's value, which leave it a symbol."""


def expression(x: Any) -> Any:
    """A number or a formula as SymPy's object; a text is refused, for SymPy would evaluate it as code.

    Raises
    ------
    InvalidArgument
        It is neither.

    Examples
    --------
    >>> expression(3) + expression(Z / 2)
    z/2 + 3
    >>> expression("z + 1")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: 'z + 1' is no expression; a text is read by gateflow.formula.parse
    """
    if isinstance(x, sp.Basic):
        return x
    try:
        return sp.sympify(x, strict=True)
    except (sp.SympifyError, TypeError):
        hint = "; a text is read by gateflow.formula.parse" if isinstance(x, str) else ""
        raise InvalidArgument(f"{shown(x)} is no expression{hint}") from None


def derivative(expr: Expr, symbol: sp.Symbol = Z, order: int = 1) -> Expr:
    """The classical derivative: what SymPy gives, without the point masses that kinks leave behind.

    Examples
    --------
    >>> derivative(sp.sign(Z) * sp.log(1 + sp.Abs(Z)))
    1/(Abs(z) + 1)
    """
    for _ in range(order):
        expr = _diff(expr, symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
        expr = expr.replace(
            lambda node: node.is_Pow and isinstance(node.base, sp.sign) and node.exp.is_integer,
            lambda node: node.base if node.exp % 2 else sp.S.One,
        )
    return expr


MOST_FACTORS = 12
"""Factors of a product of which each term of the derivative is written out: n of them make n products of n - 1."""


def _diff(expr: Expr, symbol: sp.Symbol) -> Expr:
    """What SymPy gives; of a long product, the derivative of either half times the other, kept so."""
    if not _has_long_product(expr, symbol):
        return _by_rules(expr, symbol, {})
    if expr.is_Add:
        return sp.Add(*(_diff(term, symbol) for term in expr.args))
    if expr.is_Mul:
        fixed, moving = expr.as_independent(symbol, as_Add=False)
        factors = sp.Mul.make_args(moving)
        if len(factors) < 3:
            return fixed * sp.Add(
                *(
                    sp.Mul(_diff(part, symbol), *factors[:i], *factors[i + 1 :], evaluate=True)
                    for i, part in enumerate(factors)
                )
            )
        left, right = sp.Mul(*factors[: len(factors) // 2]), sp.Mul(*factors[len(factors) // 2 :])
        return fixed * (_diff(left, symbol) * right + left * _diff(right, symbol))
    if isinstance(expr, sp.Piecewise):
        return sp.Piecewise(*((_diff(value, symbol), condition) for value, condition in expr.args), evaluate=False)
    inside = [arg for arg in expr.args if arg.has(symbol)]
    if len(inside) != 1:
        return expr.diff(symbol)
    stand_in = sp.Dummy(real=True)
    outer = expr.func(*(stand_in if arg == inside[0] else arg for arg in expr.args)).diff(stand_in)
    return outer.xreplace({stand_in: inside[0]}) * _diff(inside[0], symbol)


def _by_rules(expr: Expr, symbol: sp.Symbol, known: dict[Expr, Expr]) -> Expr:
    """What SymPy gives, in the same form, in a quarter of the time: each part that occurs twice is derived once."""
    if expr not in known:
        known[expr] = _by_rule(expr, symbol, known)
    return known[expr]


def _by_rule(expr: Expr, symbol: sp.Symbol, known: dict[Expr, Expr]) -> Expr:
    if not expr.args:
        return sp.S.One if expr == symbol else sp.S.Zero
    if isinstance(expr, sp.Piecewise):
        return sp.Piecewise(*((_by_rules(value, symbol, known), condition) for value, condition in expr.args))
    if not (expr.is_Add or expr.is_Mul or type(expr) is sp.Pow or _has_chain_rule(expr)):
        return expr.diff(symbol)
    parts = expr.args
    slopes = [_by_rules(part, symbol, known) for part in parts]
    moving = [i for i, slope in enumerate(slopes) if slope != 0]
    if not moving:
        return sp.S.Zero
    if expr.is_Add:
        return sp.Add(*slopes)
    if expr.is_Mul:
        return sp.Add(*(sp.Mul(*parts[:i], slopes[i], *parts[i + 1 :]) for i in moving))
    if type(expr) is sp.Pow:
        return expr * (slopes[1] * sp.log(expr.base) + slopes[0] * expr.exp / expr.base)
    return sp.Add(*(expr.fdiff(i + 1) * slopes[i] for i in moving))


def _has_chain_rule(expr: Expr) -> bool:
    """Whether a function leaves its derivative to the general rule; those of abs and sign have their own."""
    return isinstance(expr, sp.Function) and type(expr)._eval_derivative is sp.Function._eval_derivative


def _has_long_product(expr: Expr, symbol: sp.Symbol) -> bool:
    return any(sum(arg.has(symbol) for arg in node.args) > MOST_FACTORS for node in expr.atoms(sp.Mul))


__all__ = [
    "CONSTANTS",
    "FUNCTIONS",
    "SYMBOLIC",
    "Expr",
    "U",
    "Z",
    "derivative",
    "expm1",
    "expression",
    "log1p",
    "logit",
    "sigmoid",
    "softplus",
    "softsign",
]
