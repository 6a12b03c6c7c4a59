"""Expanding and factoring, of expressions small enough for it: of a short text, SymPy would make millions of terms."""

from __future__ import annotations

import math

import sympy as sp

from gateflow.vocabulary import Expr

MOST_TERMS = 1000
"""Terms that an expression, or any part of it, may have when expanded; the gates of the catalogue have below fifty."""


def expand(expr: Expr) -> Expr:
    """``sympy.expand``, or the expression as it is where that would take too long.

    Examples
    --------
    >>> from gateflow.vocabulary import Z
    >>> expand((1 + Z) ** 2), expand((1 + Z) ** 5000)
    (z**2 + 2*z + 1, (z + 1)**5000)
    """
    return sp.expand(expr) if terms(expr) <= MOST_TERMS else expr


def factor(expr: Expr) -> Expr:
    """``sympy.factor``, or the expression as it is where that would take too long.

    SymPy takes ``exp(0.3215 z)`` for the power 643 of ``exp(z/2000)``.

    Examples
    --------
    >>> from gateflow.vocabulary import Z
    >>> factor(Z + Z**2), factor(Z + Z * sp.exp(sp.Rational(3, 10**9) * Z))
    (z*(z + 1), z*exp(3*z/1000000000) + z)
    """
    return sp.factor(expr) if terms(expr) <= MOST_TERMS and _largest_power(expr) <= MOST_TERMS else expr


def _largest_power(expr: Expr) -> int:
    """The largest numerator or denominator in an exponent."""
    exponents = [node.exp for node in expr.atoms(sp.Pow)] + [node.args[0] for node in expr.atoms(sp.exp)]
    numbers = (number for exponent in exponents for number in exponent.atoms(sp.Rational))
    return max((max(abs(number.p), number.q) for number in numbers), default=0)


def terms(expr: Expr) -> int:
    """How many terms the expression, or the largest of its parts, has when expanded; at least.

    Examples
    --------
    >>> from gateflow.vocabulary import Z
    >>> terms(sp.atan((1 + Z + sp.exp(Z)) ** 3))
    10
    """
    return _counted(expr)[1]


def _counted(expr: Expr) -> tuple[int, int]:
    """Terms of the expression when expanded, and the most of any part of it."""
    parts = [_counted(arg) for arg in expr.args]
    if expr.is_Add:
        own = sum(count for count, _ in parts)
    elif expr.is_Mul:
        own = math.prod(count for count, _ in parts)
    elif expr.is_Pow and expr.exp.is_Integer and (count := parts[0][0]) > 1:
        n = min(abs(int(expr.exp)), 10 * MOST_TERMS)
        own = math.comb(n + min(count, n) - 1, n) if n else 1
    else:
        own = 1
    own = min(own, 10 * MOST_TERMS)
    return own, max([own, *(most for _, most in parts)])
