"""Rational functions of one exponential as polynomials, whose signs are theirs."""

from __future__ import annotations

from functools import lru_cache, partial
from typing import Any

import sympy as sp

from gateflow.codegen.expand import common_unit
from gateflow.errors import Exceeded
from gateflow.formula.vocabulary import Expr, sigmoid, softplus
from gateflow.guards import bounded

DEGREE = 40
"""The largest exponent, in the common unit of all; a polynomial may have a few times as much."""

SECONDS = 1.0
"""Of the processor, for writing an expression so; the gates of the catalogue take a hundredth."""

OPERATIONS = 400
"""Of the largest expression that is tried."""

W = sp.Dummy("w", positive=True)


@lru_cache(maxsize=512)
def in_exponential(expr: Expr, x: Expr) -> tuple[Any, Expr] | None:
    """A polynomial p with rational coefficients and a rate c > 0, so that ``expr`` is of the sign of p(exp(-c x)).

    Except at the isolated points where ``expr`` has no value. None where there is none, or it is not found at once.

    Parameters
    ----------
    expr : sympy.Expr
    x : sympy.Symbol
        The only one in it.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> polynomial, rate = in_exponential(1 - sp.sinh(x) / (1 + sp.cosh(x)), x)
    >>> sp.factor_list(polynomial.as_expr())[1][0][1], rate
    (1, 1)
    >>> in_exponential(x + sp.exp(x), x) is None
    True
    """
    if expr.free_symbols != {x} or sp.count_ops(expr) > OPERATIONS:
        return None
    try:
        return bounded.call(partial(_in_exponential, expr, x), SECONDS, processor=True)
    except Exceeded:
        return None


def _in_exponential(expr: Expr, x: Expr) -> tuple[Any, Expr] | None:
    written = expr.replace(softplus, lambda g: sp.log(1 + sp.exp(g)))
    written = written.replace(sp.tanh, lambda g: 1 - 2 * sigmoid(-2 * g))  # of log(...)/2 exp has a root
    written = written.replace(sigmoid, lambda g: 1 / (1 + sp.exp(-g))).rewrite(sp.exp)
    nodes = [node for node in written.atoms(sp.exp) if node.has(x)]
    rates = [node.args[0].expand().coeff(x) for node in nodes]
    if not nodes or not all(
        rate.is_Rational and sp.expand(node.args[0] - rate * x) == 0 for node, rate in zip(nodes, rates, strict=True)
    ):
        return None
    unit = common_unit(rates)
    if max(abs(rate / unit) for rate in rates) > DEGREE:
        return None
    found = written.xreplace({node: W ** (-rate / unit) for node, rate in zip(nodes, rates, strict=True)})
    if found.free_symbols != {W} or not found.is_rational_function(W):
        return None
    top, bottom = sp.fraction(sp.together(found))
    polynomial = sp.Poly(top, W) * sp.Poly(bottom, W)
    if not all(c.is_Rational for c in polynomial.all_coeffs()) or polynomial.degree() > 8 * DEGREE:
        return None
    return polynomial, unit


__all__ = ["W", "in_exponential"]
