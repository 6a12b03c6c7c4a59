"""What needs no series: polynomials, and limits that follow from continuity and from sums and products of signs.

A tower of exponentials, a product of sixty factors or ten nested arctangents has a limit that is seen at once; its
expansion, which would say far more, may never end.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import sympy as sp

from gateflow.arithmetic.enclosed import enclosed
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.formula.vocabulary import Expr, expm1, log1p, sigmoid, softplus, softsign


class TooLarge(Undecided):
    """A constant on the way is so large that it is not even put into a function."""


# --- polynomials ------------------------------------------------------------------------------------------------------

MOST_DEGREE = 120
"""Degree of the largest polynomial that is multiplied out."""

MOST_BITS = 20_000
"""Bits that its coefficients may have, each."""


def polynomial(expr: Expr, z: sp.Symbol) -> sp.Poly | None:
    """The expression multiplied out, where it is a polynomial in z with rational coefficients, and no huge one.

    The product is formed factor by factor: to SymPy's ``expand`` one of forty factors is the work of a second.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> polynomial((Z + 1) * (Z - 1) * Z**2, Z).as_expr(), polynomial((Z + 1) ** 9999, Z), polynomial(sp.sin(Z), Z)
    (z**4 - z**2, None, None)
    """
    size = _size(expr, z)
    if size is None or size[0] > MOST_DEGREE or size[1] > MOST_BITS:
        return None
    return _multiplied(expr, z)


def _size(expr: Expr, z: sp.Symbol) -> tuple[int, int] | None:
    """Degree and bits of the coefficients, at most; None for what is no polynomial with rational coefficients."""
    if expr == z:
        return 1, 1
    if expr.is_Rational:
        return 0, int(expr.p).bit_length() + int(expr.q).bit_length()
    if expr.is_Add or expr.is_Mul:
        sizes = []
        for arg in expr.args:
            size = _size(arg, z)
            if size is None:
                return None
            sizes.append(size)
        if expr.is_Mul:
            return sum(d for d, _ in sizes), sum(b + 1 for _, b in sizes)
        return max(d for d, _ in sizes), sum(b for d, b in sizes if d == 0) + max(b for _, b in sizes) + len(sizes)
    if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        size, n = _size(expr.base, z), int(expr.exp)
        return None if size is None else (n * size[0], n * (size[1] + 1))
    return None


def _multiplied(expr: Expr, z: sp.Symbol) -> sp.Poly:
    if expr.is_Add or expr.is_Mul:
        total, *others = (_multiplied(arg, z) for arg in expr.args)
        for other in others:
            total = total + other if expr.is_Add else total * other
        return total
    if expr.is_Pow:
        return _multiplied(expr.base, z) ** int(expr.exp)
    return sp.Poly(expr, z, domain=sp.QQ)


# --- limits -----------------------------------------------------------------------------------------------------------

LARGEST = 10_000
"""Size of the largest constant that is put into a function: of larger ones SymPy may try to find digits without end."""

MOST_DIGITS = 20_000
"""Bits of the largest power of a rational number that is formed."""

_HALF_PI = sp.pi / 2

_ENDS: dict[Any, tuple[Expr | None, Expr | None]] = {
    sp.exp: (sp.S.Zero, sp.oo),
    sp.sinh: (-sp.oo, sp.oo),
    sp.cosh: (sp.oo, sp.oo),
    sp.tanh: (sp.S.NegativeOne, sp.S.One),
    sp.asinh: (-sp.oo, sp.oo),
    sp.atan: (-_HALF_PI, _HALF_PI),
    sp.erf: (sp.S.NegativeOne, sp.S.One),
    sp.erfc: (sp.S(2), sp.S.Zero),
    sp.Abs: (sp.oo, sp.oo),
    sp.sin: (None, None),
    sp.cos: (None, None),
    softplus: (sp.S.Zero, sp.oo),
    sigmoid: (sp.S.Zero, sp.S.One),
    softsign: (sp.S.NegativeOne, sp.S.One),
    expm1: (sp.S.NegativeOne, sp.oo),
}
"""Of functions that are continuous on the whole line, the limits at both ends."""

_FROM_POSITIVE: dict[Any, Expr] = {sp.log: sp.oo, log1p: sp.oo, sp.acosh: sp.oo, sp.loggamma: sp.oo}
"""The limits at oo of functions that have a value for large arguments at least."""


def limit(expr: Expr, z: sp.Symbol) -> Expr | None:
    """The limit as z tends to oo, where continuity and signs show it: a constant, oo or -oo; else None.

    Raises
    ------
    TooLarge
        The limit of a part is a constant above `LARGEST`, of which a function is to be taken.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> limit(sp.exp(sp.sinh(sp.exp(Z))) + Z, Z), limit(sp.tanh(sp.cosh(sp.exp(-Z))), Z), limit(Z - sp.sqrt(Z), Z)
    (oo, tanh(1), None)
    """
    return _limit(expr, z, {})


def _limit(expr: Expr, z: sp.Symbol, known: dict[Expr, Expr | None]) -> Expr | None:
    if expr not in known:
        known[expr] = _found(expr, z, known)
    return known[expr]


def _found(expr: Expr, z: sp.Symbol, known: dict[Expr, Expr | None]) -> Expr | None:
    if expr == z:
        return sp.oo
    if not expr.has(z):
        return expr if _ball(expr) is not None else None
    if expr.is_Add or expr.is_Mul:
        values = []
        for arg in expr.args:
            value = _limit(arg, z, known)
            if value is None:
                return _of_polynomial(expr, z)
            values.append(value)
        found = _sum(values) if expr.is_Add else _product(values)
        return _of_polynomial(expr, z) if found is None else found
    if isinstance(expr, sp.exp):
        return _of_function(sp.exp, _limit(expr.args[0], z, known))
    if expr.is_Pow:
        return None if expr.exp.has(z) else _power(_limit(expr.base, z, known), expr.exp)
    if len(expr.args) == 1:
        return _of_function(expr.func, _limit(expr.args[0], z, known))
    return None


def _of_polynomial(expr: Expr, z: sp.Symbol) -> Expr | None:
    found = polynomial(expr, z)
    if found is None:
        return None
    return sp.oo * found.LC() if found.degree() > 0 else found.LC()


def _ball(x: Expr) -> Any:
    """A ball that holds the constant; None where it is not shown to be real, or is out of all range."""
    ball = None if x.free_symbols else enclosed(x, 80)
    return ball if ball is not None and ball.is_finite() else None


def _sign(x: Expr) -> int | None:
    """The sign of a limit; None where one look does not show it."""
    if x.is_infinite:
        return 1 if x == sp.oo else -1
    if x == 0:
        return 0
    ball = _ball(x)
    return None if ball is None or not (ball > 0 or ball < 0) else 1 if ball > 0 else -1


def _sum(values: list[Expr]) -> Expr | None:
    infinite = {value for value in values if value.is_infinite}
    if infinite:
        return infinite.pop() if len(infinite) == 1 else None
    return sp.Add(*values)


def _product(values: list[Expr]) -> Expr | None:
    if not any(value.is_infinite for value in values):
        return sp.Mul(*values)
    signs = [_sign(value) for value in values]
    return None if None in signs or 0 in signs else sp.oo * math.prod(s for s in signs if s is not None)


def _power(base: Expr | None, n: Expr) -> Expr | None:
    up = None if base is None else _sign(base)
    way = _sign(n)
    if base is None or not up or not way:
        return sp.S.Zero if base == 0 and n.is_Integer and n > 0 else None
    if up < 0 and not n.is_Integer:
        return None
    if base.is_infinite:
        return sp.S.Zero if way < 0 else sp.oo * (up ** int(n) if n.is_Integer else 1)
    if base.is_Rational and n.is_Rational:
        bits = int(base.p).bit_length() + int(base.q).bit_length()
        return base**n if bits * abs(Fraction(int(n.p), int(n.q))) <= MOST_DIGITS else None
    ball = _ball(n)
    return base**n if ball is not None and abs(ball) < 100 else None


def _of_function(function: Any, x: Expr | None) -> Expr | None:
    if x is None:
        return None
    if x == sp.oo and function in _FROM_POSITIVE:
        return _FROM_POSITIVE[function]
    if function not in _ENDS:
        up = _sign(x) if function == sp.log and x.is_finite else None
        return _value(function, x) if up == 1 else None
    return _ENDS[function][x == sp.oo] if x.is_infinite else _value(function, x)


def _value(function: Any, x: Expr) -> Expr | None:
    ball = _ball(x)
    if ball is None or not abs(ball) < LARGEST:
        raise TooLarge("a number on the way is too large to be written out")
    return function(x)


def is_softplus_beside_its_argument(expr: Expr, z: sp.Symbol) -> bool:
    """Whether the expression is ``softplus(u) - u`` with a u that tends to oo, so that it tends to 0.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> is_softplus_beside_its_argument(softplus(sp.sinh(Z) - 1) - sp.sinh(Z) + 1, Z)
    True
    """
    if not expr.is_Add:
        return False
    nodes = [term for term in expr.args if isinstance(term, softplus) and term.has(z)]
    if len(nodes) != 1:
        return False
    u = nodes[0].args[0]
    rest = expr - nodes[0] + u
    return rest == 0 and limit(u, z) == sp.oo


__all__ = ["TooLarge", "is_softplus_beside_its_argument", "limit", "polynomial"]
