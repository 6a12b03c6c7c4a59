"""The third wall: Python's syntax tree, never compiled, with nothing in it but what a whitelist names."""

from __future__ import annotations

import ast

import sympy as sp
from sympy.core.relational import Relational

from gateflow.errors import FormulaError
from gateflow.formula.limits import MAX_NODES

_BINARY = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow)
_UNARY = (ast.UAdd, ast.USub)
COMPARISONS: dict[type[ast.cmpop], type[Relational]] = {
    ast.Lt: sp.StrictLessThan,
    ast.LtE: sp.LessThan,
    ast.Gt: sp.StrictGreaterThan,
    ast.GtE: sp.GreaterThan,
    ast.Eq: sp.Equality,
    ast.NotEq: sp.Unequality,
}
_WHITELIST = (ast.BinOp, ast.UnaryOp, ast.Call, ast.Compare, ast.Name, ast.Constant, ast.Load)
_WHITELIST += (*_BINARY, *_UNARY, *COMPARISONS)


def syntax_tree(text: str, tidy: str) -> ast.expr:
    """The syntax tree, with nothing in it but what the whitelist names."""
    try:
        # Leading blanks would be an indent to Python; the columns are put right in the builder.
        tree = ast.parse(tidy.lstrip(" "), filename="<formula>", mode="eval").body
    except SyntaxError as fault:  # the grammar pass leaves none that we know of
        raise FormulaError(f"not a formula: {fault.msg}", text, 0, len(text)) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise FormulaError("the formula is too large: nested too deep", text, 0, len(text)) from None
    nodes = list(ast.walk(tree))
    for node in nodes:
        if not isinstance(node, _WHITELIST):
            raise FormulaError(f"{type(node).__name__} is not part of a formula", text, 0, len(text))
    if (count := sum(isinstance(node, ast.expr) for node in nodes)) > MAX_NODES:
        raise FormulaError(f"the formula is too large: {count} parts, at most {MAX_NODES}", text, 0, len(text))
    return tree
