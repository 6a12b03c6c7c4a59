"""A formula with abs, sign and where as smooth formulas between exact break points.

Each piece lives on one side of 0 and is written in ``x = |z| > 0``, so that SymPy's assumptions know the range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import sympy as sp

from gateflow.arithmetic.ball import Intervals
from gateflow.asymptotics import constants
from gateflow.asymptotics.constants import Undecided
from gateflow.asymptotics.tails import X
from gateflow.emit import Tape
from gateflow.errors import GateflowError
from gateflow.formula import unparse
from gateflow.inversion import closed_inverse
from gateflow.vocabulary import Expr, U, Z, sigmoid


@dataclass(frozen=True)
class Piece:
    """A smooth formula for ``z = side * x``, ``left <= x <= right``.

    Attributes
    ----------
    side : int
        1 or -1.
    left, right : sympy number
        In x; right may be oo.
    expr : sympy.Expr
        In `X`.
    """

    side: int
    left: Expr
    right: Expr
    expr: Expr

    def z(self, x: Any) -> Any:
        """The pre-activation at x."""
        return self.side * x + 0


def text_of(expr: Expr) -> str:
    """A formula that `gateflow.formula.parse` reads back, where it has words for it."""
    try:
        return unparse(expr)
    except GateflowError:
        return str(expr)


def break_points(expr: Expr) -> list[Expr]:
    """The z, in order, at which abs, sign, where, Max or Min may change branch.

    Raises
    ------
    Undecided
        They are not found exactly.

    Examples
    --------
    >>> break_points(sp.Abs(Z**2 - 2) + sp.sign(Z))
    [-sqrt(2), 0, sqrt(2)]
    """
    roots = {root for edge in _edges(expr) for root in real_zeros(edge)}
    return sorted(roots, key=lambda r: sp.N(r, 30))


def _edges(expr: Expr) -> set[Expr]:
    edges = {node.args[0] for node in expr.atoms(sp.Abs, sp.sign)}
    edges |= {r.lhs - r.rhs for r in expr.atoms(sp.core.relational.Relational)}
    for node in expr.atoms(sp.Max, sp.Min):
        edges |= {a - b for i, a in enumerate(node.args) for b in node.args[:i]}
    return {e for e in edges if e.has(Z)}


def real_zeros(expr: Expr, z: sp.Symbol = Z) -> list[Expr]:
    """All real zeros of ``expr``, exactly; raises `Undecided` where they are not found."""
    if expr.is_positive or expr.is_negative:
        return []
    zeros: list[Expr] = []
    for factor in sp.Mul.make_args(sp.factor(expr)):
        base = factor.base if factor.is_Pow and factor.exp.is_positive else factor
        if base.has(z) and not (base.is_positive or base.is_negative):
            zeros += _zeros_of_factor(base, z)
    return zeros


def _zeros_of_factor(expr: Expr, z: sp.Symbol) -> list[Expr]:
    if isinstance(expr, sp.Abs | sp.sign | sp.sinh | sp.tanh | sp.asinh | sp.atan | sp.erf):
        return real_zeros(expr.args[0], z)
    if expr.is_polynomial(z):
        poly = sp.Poly(expr, z)
        if all(c.is_Rational for c in poly.all_coeffs()):
            return list(dict.fromkeys(sp.real_roots(poly)))
        if poly.degree() <= 2:
            return [r for r in sp.roots(poly, z) if r.is_real]
    root = closed_inverse(expr, z)
    if root is not None:
        value = root.subs(U, 0)
        if not value.is_real:
            return []
        if constants.is_zero(constants.number(expr.subs(z, value))):
            return [value]
    raise Undecided(f"where {expr} is zero is not found exactly")


def pieces(expr: Expr, ball: Intervals) -> tuple[list[Piece], list[Expr]]:
    """The smooth pieces of ``expr`` from left to right, and its break points."""
    breaks = break_points(expr)
    ends = [-sp.oo, *sorted({*breaks, sp.S.Zero}, key=lambda r: sp.N(r, 30)), sp.oo]
    return [_piece(expr, a, b, ball) for a, b in pairwise(ends)], breaks


def _piece(expr: Expr, low: Expr, high: Expr, ball: Intervals) -> Piece:
    inside = _between(low, high)
    side = 1 if inside > 0 else -1
    left, right = (low, high) if side > 0 else (-high, -low)
    return Piece(side, left, right, _resolved(expr, inside, ball).xreplace({Z: side * X}))


def _between(low: Expr, high: Expr) -> Expr:
    """A rational number strictly between."""
    if low == -sp.oo:
        return sp.Integer(sp.floor(high)) - 1
    if high == sp.oo:
        return sp.Integer(sp.ceiling(low)) + 1
    width = sp.N(high - low, 30)
    digits = max(2, 2 - int(sp.floor(sp.log(width, 10))))
    return sp.Rational(sp.floor(sp.N((low + high) / 2, digits + 20) * 10**digits), 10**digits)


def _resolved(expr: Expr, at: Expr, ball: Intervals) -> Expr:
    """The branch of ``expr`` that holds around the point ``at``."""
    if not expr.args or not expr.has(sp.Abs, sp.sign, sp.Piecewise, sp.Max, sp.Min):
        return expr
    if isinstance(expr, sp.Piecewise):
        for value, condition in expr.args:
            if _holds(condition, at, ball):
                return _resolved(value, at, ball)
        raise Undecided(f"no branch of {expr} holds at z = {at}")
    args = [_resolved(a, at, ball) for a in expr.args]
    if isinstance(expr, sp.Abs):
        return args[0] * (_sign_at(args[0], at, ball) or 1)
    if isinstance(expr, sp.sign):
        return sp.Integer(_sign_at(args[0], at, ball))
    if isinstance(expr, sp.Max | sp.Min):
        want = 1 if isinstance(expr, sp.Max) else -1
        best = args[0]
        for other in args[1:]:
            best = other if _sign_at(other - best, at, ball) == want else best
        return best
    return expr.func(*args)


def _holds(condition: Any, at: Expr, ball: Intervals) -> bool:
    if condition in (sp.true, sp.false):
        return condition == sp.true
    if isinstance(condition, sp.And | sp.Or):
        parts = [_holds(c, at, ball) for c in condition.args]
        return all(parts) if isinstance(condition, sp.And) else any(parts)
    if isinstance(condition, sp.Not):
        return not _holds(condition.args[0], at, ball)
    s = _sign_at(_resolved(condition.lhs - condition.rhs, at, ball), at, ball)
    return {">": s > 0, ">=": s >= 0, "<": s < 0, "<=": s <= 0, "==": s == 0, "!=": s != 0}[condition.rel_op]


def _sign_at(expr: Expr, at: Expr, ball: Intervals) -> int:
    if expr == 0:
        return 0
    found = Tape([expr])(ball, ball.constant(at))[0].sign
    if not found:
        raise Undecided(f"the sign of {expr} at z = {at} is not known")
    return found


# --- domains ---


def conditions(expr: Expr) -> Iterator[tuple[Expr, str]]:
    """Expressions that must be positive for the formula to be smooth, and what is wrong where they are not."""
    for node in sorted(sp.postorder_traversal(expr), key=sp.count_ops):
        g: Any = node.args[0] if node.args else None
        if node.is_Pow and not isinstance(node, sp.exp):
            base, n = node.args
            if n.is_Integer and n < 0:
                yield from ((base**2, "a division by zero"),) if not base.is_nonzero else ()
            elif not n.is_Integer and not base.is_positive:
                yield base, "a root of a negative number"
        elif isinstance(node, sp.log) and not g.is_positive:
            yield g, "the logarithm of a negative number"
        elif node.func.__name__ == "log1p" and not g.is_nonnegative:
            yield 1 + g, "the logarithm of a negative number"
        elif isinstance(node, sp.loggamma) and not g.is_positive:
            yield g, "loggamma of a negative number"
        elif isinstance(node, sp.acosh):
            yield g - 1, "acosh below 1"
        elif isinstance(node, sp.atanh):
            yield 1 - g**2, "atanh outside (-1, 1)"
        elif node.func.__name__ == "logit":
            yield g * (1 - g), "logit outside (0, 1)"
        elif isinstance(node, sp.tan):
            yield sp.cos(g) ** 2, "a pole of tan"


# --- factors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factors:
    """``sign * product of odd * positive * even powers``: all that the sign of an expression depends on.

    ``even`` holds the bases of even powers: where they vanish, the expression touches zero and keeps its sign.
    """

    sign: int
    odd: tuple[Expr, ...]
    even: tuple[Expr, ...]


def factored_forms(expr: Expr) -> Iterator[Factors]:
    """Ways to read off the sign of ``expr`` (in `X` > 0), the plain one first."""
    seen = [_factors(expr)]
    yield seen[0]
    if sp.count_ops(expr) < 300:
        for builder in (_by_factor, _by_complement, _by_logistic) if _is_easy_to_factor(expr) else (sp.factor_terms,):
            found = _factors(builder(expr))
            if found not in seen:
                seen.append(found)
                yield found


def _is_easy_to_factor(expr: Expr) -> bool:
    """SymPy's factorisation has no deadline: few generators and low degrees keep it short."""
    degrees = [abs(p.exp) for p in expr.atoms(sp.Pow) if p.exp.is_Rational]
    return len(expr.atoms(sp.Function)) <= 10 and max(degrees, default=0) <= 24


def _factors(expr: Expr) -> Factors:
    sign, odd, even = 1, [], []
    for factor in sp.Mul.make_args(sp.Mul(*[_touching(a) for a in sp.Mul.make_args(expr)])):
        base, n = (factor.base, factor.exp) if factor.is_Pow and not isinstance(factor, sp.exp) else (factor, sp.S.One)
        if factor.is_positive or factor.is_negative:
            sign *= 1 if factor.is_positive else -1
        elif n.is_Integer and n % 2 == 0:
            even.append(base)
        elif n.is_Integer:
            odd.append(base)
        else:
            odd.append(factor)
    return Factors(sign, tuple(odd), tuple(even))


def _touching(factor: Expr) -> Expr:
    """``a + a cos g`` as ``2 a cos(g/2)^2``, and ``P + c sqrt(Q)`` by its conjugate where only the roots cancel."""
    if not factor.is_Add or len(factor.args) != 2:
        return factor
    for a, b in (factor.args, factor.args[::-1]):
        c, node = b.as_coeff_Mul()
        if isinstance(node, sp.cos) and a in (c, -c):
            half = node.args[0] / 2
            return 2 * a * (sp.cos(half) if a == c else sp.sin(half)) ** 2
        if b.has(sp.sqrt) or any(p.is_Pow and p.exp == sp.S.Half for p in sp.Mul.make_args(b)):
            if b.is_positive and a.is_negative:
                return _touching(sp.factor(sp.expand(b**2 - a**2)))
            if b.is_negative and a.is_positive:
                return _touching(sp.factor(sp.expand(a**2 - b**2)))
    return factor


def _by_complement(expr: Expr) -> Expr:
    """As `_by_factor`, in ``sigmoid(-g)`` in place of ``sigmoid(g)``: one of the two is small on a half-line."""
    return _by_factor(expr, -1)


def _by_logistic(expr: Expr) -> Expr:
    """As `_by_factor`, with tanh as a logistic function: ``1 - tanh(g)^2`` then shows its sign."""
    return _by_factor(expr.replace(sp.tanh, lambda g: 2 * sigmoid(2 * g) - 1))


def _by_factor(expr: Expr, side: int = 1) -> Expr:
    """``expr`` factored, as a rational function of its logistic, exponential and other nodes."""
    arguments = {side * _without_sign(node.args[0]) for node in expr.atoms(sigmoid)}
    stand_in = {g: sp.Dummy("s", positive=True) for g in arguments}
    for g, s in stand_in.items():
        expr = expr.xreplace({sigmoid(g): s, sigmoid(-g): 1 - s})
    expr = sp.factor(expr)
    for g, s in stand_in.items():
        # 1 - s is positive and 2 s - 1 = tanh(g/2): said so, both keep their sign where s rounds to 1 or g is near 0.
        special = {s - 1: -sigmoid(-g), 1 - s: sigmoid(-g), 2 * s - 1: sp.tanh(g / 2), 1 - 2 * s: -sp.tanh(g / 2)}
        parts = [a.as_base_exp() for a in sp.Mul.make_args(expr)]
        expr = sp.Mul(*[special.get(base, base) ** n for base, n in parts]).xreplace({s: sigmoid(g)})
    return expr


def _without_sign(g: Expr) -> Expr:
    return -g if g.could_extract_minus_sign() else g


__all__ = ["Factors", "Piece", "break_points", "conditions", "factored_forms", "pieces", "real_zeros", "text_of"]
