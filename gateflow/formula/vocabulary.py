"""The words of the formula language: names, the SymPy nodes they stand for, and the symbols that all layers share.

SymPy has no logistic function, softplus, softsign or logit of its own. Written out in exponentials they lose their
digits and their meaning, so they are nodes here, with exact derivatives and a ``rewrite(exp)`` into elementary ones.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import sympy as sp
from sympy.codegen import cfunctions

from gateflow.errors import InvalidArgument, shown

Expr: TypeAlias = Any
"""A SymPy expression. SymPy's own annotations call the same object Basic here and Expr there, so none is checked."""

Z = sp.Symbol("z", real=True)
"""The pre-activation (theory.md §1)."""

U = sp.Symbol("u", real=True)
"""The logit profile as an independent variable (theory.md §2)."""


expm1: Any = cfunctions.expm1
log1p: Any = cfunctions.log1p


class _Node(sp.Function):
    nargs = 1
    is_real = True

    @classmethod
    def written_out(cls, x: Any) -> Expr:
        """The node in elementary functions of ``x``."""
        raise AssertionError(cls)

    def _eval_rewrite_as_exp(self, x: Any, **_: Any) -> Expr:
        return self.written_out(x)

    def _eval_evalf(self, prec: int) -> Any:
        return self.written_out(self.args[0])._eval_evalf(prec)


class sigmoid(_Node):
    """The logistic function ``1/(1 + exp(-x))``."""

    is_positive = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return {sp.S.Zero: sp.S.Half, sp.S.Infinity: sp.S.One, sp.S.NegativeInfinity: sp.S.Zero}.get(x)

    @classmethod
    def written_out(cls, x: Any) -> Expr:
        return 1 / (1 + sp.exp(-x))

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0]) * sigmoid(-self.args[0])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return rf"\sigma{'^{' + exp + '}' if exp else ''}\left({printer._print(self.args[0])}\right)"


class softplus(_Node):
    """``log(1 + exp(x))``."""

    is_positive = True

    @classmethod
    def written_out(cls, x: Any) -> Expr:
        return sp.log(1 + sp.exp(x))

    def fdiff(self, argindex: int = 1) -> Expr:
        return sigmoid(self.args[0])


class softsign(_Node):
    """``x/(1 + |x|)``."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        return {sp.S.Zero: sp.S.Zero, sp.S.Infinity: sp.S.One, sp.S.NegativeInfinity: sp.S.NegativeOne}.get(x)

    @classmethod
    def written_out(cls, x: Any) -> Expr:
        return x / (1 + sp.Abs(x))

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (1 + sp.Abs(self.args[0])) ** 2


class logit(_Node):
    """``log(p/(1 - p))``, the inverse of the logistic function."""

    @classmethod
    def eval(cls, p: Any) -> Any:
        return sp.S.Zero if p == sp.S.Half else p.args[0] if isinstance(p, sigmoid) else None

    @classmethod
    def written_out(cls, p: Any) -> Expr:
        return sp.log(p / (1 - p))

    def fdiff(self, argindex: int = 1) -> Expr:
        return 1 / (self.args[0] * (1 - self.args[0]))


FUNCTIONS: dict[str, Any] = {
    "exp": sp.exp,
    "log": sp.log,
    "sqrt": sp.sqrt,
    "sin": sp.sin,
    "cos": sp.cos,
    "tan": sp.tan,
    "sinh": sp.sinh,
    "cosh": sp.cosh,
    "tanh": sp.tanh,
    "asinh": sp.asinh,
    "acosh": sp.acosh,
    "atanh": sp.atanh,
    "atan": sp.atan,
    "erf": sp.erf,
    "erfc": sp.erfc,
    "loggamma": sp.loggamma,
    "abs": sp.Abs,
    "sign": sp.sign,
    "sigmoid": sigmoid,
    "softplus": softplus,
    "softsign": softsign,
    "logit": logit,
}
"""Every function a formula may call, by name; ``where(condition, a, b)`` is syntax, not a function."""

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
        expr = expr.diff(symbol).replace(sp.DiracDelta, lambda *_: sp.S.Zero)
        expr = expr.replace(
            lambda node: node.is_Pow and isinstance(node.base, sp.sign) and node.exp.is_integer,
            lambda node: node.base if node.exp % 2 else sp.S.One,
        )
    return expr


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
