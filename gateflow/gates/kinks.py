"""Where a formula changes branch, and whether its two halves mirror each other."""

from __future__ import annotations

import itertools
from typing import Any

import flint
import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape, stable
from gateflow.codegen.expand import expand
from gateflow.formula.vocabulary import Expr, Z, softsign

MOST_KINKS = 32
"""Changes of branch that are kept where a formula has no end of them."""
HIGHEST_DEGREE = 150
"""Of a polynomial whose roots are enclosed: a second's work where it has all powers."""
ROOT_DIGITS, SAME_ROOT = 40, 1e-30
"""Decimal digits of an enclosed root, and up to which relative distance from a closed form it is that."""


def switches(expr: Expr) -> list[Expr]:
    """What a formula changes branch at where it is 0: arguments of ``abs`` and its like, sides of comparisons."""
    found = {node.args[0] for node in expr.atoms(sp.Abs, sp.sign, softsign)}
    found |= {condition.lhs - condition.rhs for condition in expr.atoms(sp.core.relational.Relational)}
    for node in expr.atoms(sp.Max, sp.Min):
        found |= {a - b for i, a in enumerate(node.args) for b in node.args[:i]}
    return sorted((each for each in found if each.has(Z)), key=sp.default_sort_key)


def changes_of_branch(expr: Expr) -> tuple[float, ...]:
    """The z at which ``abs``, ``sign``, ``softsign`` or ``where`` change branch, in order."""
    return tuple(sorted({float(root) for edge in switches(expr) for root in roots_of(edge)}))


def is_mirrored(value: Expr, complement: Expr, kinks: tuple[float, ...]) -> bool:
    """Whether ``value(-z) = complement(z)`` is seen: as formulas, or branch by branch between the kinks."""
    if not value.has(sp.Piecewise):
        return _vanishes(value.subs(Z, -Z), complement)
    if tuple(-kink for kink in reversed(kinks)) != kinks:
        return False
    inner = [(a + b) / 2 for a, b in itertools.pairwise(kinks)]
    beyond = [kinks[0] - 1, kinks[-1] + 1] if kinks else []
    return all(
        _vanishes(branch_at(value, -z).subs(Z, -Z), branch_at(complement, z)) for z in map(sp.Float, [*inner, *beyond])
    )


def roots_of(expr: Expr) -> list[Any]:
    """The real z at which an expression is 0, if a polynomial, or changes sign; none where it has other symbols.

    Roots that have no form in radicals, or one of which SymPy does not see that it is real, are floats.
    """
    if expr.free_symbols != {Z}:
        return []
    found = real_roots_of(sp.Poly(expr, Z)) if expr.is_polynomial(Z) else None
    return _changes_of_sign(expr) if found is None else found


def real_roots_of(polynomial: sp.Poly) -> list[Any] | None:
    """All real roots of a polynomial, those without a closed form as floats; None where some may be missing.

    Examples
    --------
    >>> real_roots_of(sp.Poly((Z**2 - 2) * (Z**5 - Z - 1), Z))
    [-sqrt(2), sqrt(2), 1.16730397826141...]
    """
    closed = sp.roots(polynomial, Z)
    real = [root for root in closed if root.is_real]
    if sum(closed.values()) == polynomial.degree() and all(root.is_real is not None for root in closed):
        return real
    if not (polynomial.domain.is_ZZ or polynomial.domain.is_QQ) or polynomial.degree() > HIGHEST_DEGREE:
        return None
    whole = [int(c) for c in polynomial.clear_denoms(convert=True)[1].all_coeffs()]
    with flint.ctx.workdps(ROOT_DIGITS):
        roots: Any = flint.fmpz_poly(whole[::-1]).complex_roots()
        balls = [root.real for root, _ in roots if root.imag == 0]
    known = [sp.N(root, ROOT_DIGITS) for root in real]
    numbers = [sp.Float(ball.str(ROOT_DIGITS, radius=False), ROOT_DIGITS) for ball in balls]
    return real + [float(x) for x in numbers if not any(abs(x - y) <= SAME_ROOT * abs(x) for y in known)]


def _changes_of_sign(expr: Expr) -> list[float]:
    """Floats beside which an expression changes sign."""
    tape, z = Tape([stable(expr)], [Z]), np.linspace(-30.0, 30.0, 1201)

    def sign(x: np.ndarray) -> np.ndarray:
        return np.sign(np.broadcast_to(tape(float64, x)[0], x.shape))

    signs = sign(z)
    at = np.flatnonzero(signs[:-1] * signs[1:] < 0)
    low, high, left = z[at], z[at + 1], signs[at]
    for _ in range(1100):
        middle = low + (high - low) / 2
        if np.all((middle == low) | (middle == high)):
            break
        same = sign(middle) == left
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return sorted([*z[signs == 0].tolist(), *high.tolist()], key=abs)[:MOST_KINKS]


def _vanishes(one: Expr, other: Expr) -> bool:
    """Whether two formulas are seen to be the same."""
    return bool(expand(stable(one) - other) == 0)


def branch_at(expr: Expr, z: Expr) -> Expr:
    """The branch of a formula with cases that holds around z; a comparison of what is no real number holds not.

    Examples
    --------
    >>> branch_at(sp.Piecewise((1, sp.sqrt(Z**7) < 2), (Z, True)), sp.Integer(-2))
    z
    """

    def holds(condition: Any) -> bool:
        try:
            return bool(condition.subs(Z, z) == sp.true)
        except TypeError:
            return False

    return expr.replace(
        lambda node: isinstance(node, sp.Piecewise),
        lambda node: next((value for value, condition in node.args if holds(condition)), sp.nan),
    )
