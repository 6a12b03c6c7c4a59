"""Rational functions of one exponential, whose signs are those of a polynomial: decided by its roots, exactly."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import sympy as sp

from gateflow.asymptotics.signs.tails import X, in_words
from gateflow.codegen.expand import common_unit
from gateflow.errors import Exceeded
from gateflow.formula.vocabulary import Expr, sigmoid
from gateflow.guards import bounded

DEGREE = 40
"""The largest exponent, in the common unit of all; a polynomial may have a few times as much."""

SECONDS = 1.0
"""Of the processor, for writing an expression so; the gates of the catalogue take a hundredth."""

OPERATIONS = 400
"""Of the largest expression that is tried."""

W = sp.Dummy("w", positive=True)


def in_exponential(expr: Expr) -> tuple[Any, Expr] | None:
    """A polynomial p with rational coefficients and a rate c > 0, so that ``expr`` is of the sign of p(exp(-c x)).

    Except at the isolated points where ``expr`` has no value. None where there is none, or it is not found at once.

    Parameters
    ----------
    expr : sympy.Expr
        In `X`.

    Examples
    --------
    >>> polynomial, rate = in_exponential(1 + sp.sinh(-X) / (1 + sp.cosh(X)))
    >>> sp.factor_list(polynomial.as_expr())[1][0][1], rate
    (1, 1)
    >>> in_exponential(X + sp.exp(X)) is None
    True
    """
    if expr.free_symbols != {X} or sp.count_ops(expr) > OPERATIONS:
        return None
    try:
        return bounded.call(partial(_in_exponential, expr), SECONDS, processor=True)
    except Exceeded:
        return None


def _in_exponential(expr: Expr) -> tuple[Any, Expr] | None:
    written = in_words(expr).replace(sigmoid, lambda g: 1 / (1 + sp.exp(-g))).rewrite(sp.exp)
    nodes = [node for node in written.atoms(sp.exp) if node.has(X)]
    rates = [node.args[0].expand().coeff(X) for node in nodes]
    if not nodes or not all(
        rate.is_Rational and sp.expand(node.args[0] - rate * X) == 0 for node, rate in zip(nodes, rates, strict=True)
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


def until_last_change(polynomial: Any, rate: Expr) -> tuple[int, Expr]:
    """The sign of p(exp(-c x)) for large x, which is not 0, and a rational from which on it is that.

    Examples
    --------
    >>> until_last_change(sp.Poly(W * (W - 1) * (3 * W - 1), W), sp.Integer(1))
    (1, 19/16)
    """
    _, factors = polynomial.sqf_list()
    width = sp.Rational(1, 2**10)
    while True:
        ends = [ends for p, _ in factors for ends, _ in p.intervals(eps=width, inf=0, sup=1) if ends != (0, 0)]
        if all(a > 0 for a, _ in ends):
            break
        width /= 2**20
    nearest = min((a for a, _ in ends), default=sp.S.One)
    sign = int(sp.sign(polynomial.eval(nearest / 2)))
    far = (math.log(nearest.q) - math.log(nearest.p)) / float(rate)
    return sign, sp.Rational(math.floor(16 * far) + 2, 16)


__all__ = ["W", "in_exponential", "until_last_change"]
