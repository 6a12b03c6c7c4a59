"""Where a formula changes branch, and whether its two halves mirror each other."""

from __future__ import annotations

import functools
import itertools
import math
import operator
from typing import Any

import flint
import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape, stable
from gateflow.codegen.expand import MOST_TERMS, expand, terms
from gateflow.formula.vocabulary import Expr, Z, softsign

MOST_KINKS = 32
"""Changes of branch that are kept where a formula has no end of them."""
HIGHEST_DEGREE = 150
"""Of a polynomial whose roots are enclosed: a tenth of a second's work where it has all powers."""
MOST_FACTORED = 300
"""Degree of a polynomial that is split into its factors, at most."""
MOST_EVALUATED = 1000
"""Degree of a polynomial that is evaluated at a float exactly, at most."""
MOST_BITS = 200_000
"""Degree times bits of the largest coefficient, up to which that is tried: it runs in C, and is not stopped."""
HIGHEST_IN_RADICALS = 4
"""Degree of an irreducible polynomial for which radicals are looked for, at most."""
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
    if not expr.is_polynomial(Z):
        return _changes_of_sign(expr)
    found: dict[Any, None] = {}
    for part in _bases(expr):  # whose product is not written out
        roots = _roots_of_part(part)
        if roots is None:
            return _changes_of_sign(expr)
        found.update(dict.fromkeys(roots))
    return list(found)


def _bases(expr: Expr) -> list[Expr]:
    """What has a zero wherever a polynomial has one: the bases of its factors."""
    if expr.is_Mul:
        return [base for part in expr.args if part.has(Z) for base in _bases(part)]
    return _bases(expr.base) if expr.is_Pow else [expr]


def _roots_of_part(expr: Expr) -> list[Any] | None:
    """The real roots of a polynomial; None where some may be missing, or it is too large to be written out."""
    high = _degree(expr)
    if high <= MOST_FACTORED:
        whole = _rational(expr)
        if whole is not None:
            return _real_roots(whole.numer())
    if terms(expr) > MOST_TERMS:
        return None
    if high <= MOST_FACTORED:
        return real_roots_of(sp.Poly(expr, Z))
    exponents: dict[int, Expr] = {}
    for term in sp.Add.make_args(expand(expr)):
        c, power = term.as_independent(Z, as_Add=False)
        n = int(power.as_base_exp()[1]) if power.has(Z) else 0
        exponents[n] = exponents.get(n, sp.S.Zero) + c
    step = math.gcd(*exponents)
    if not step:  # all powers cancel
        return []
    if max(exponents) > step * MOST_FACTORED:
        return None
    inner = _roots_of_part(sp.Add(*(c * Z ** (n // step) for n, c in exponents.items())))
    return None if inner is None or any(isinstance(y, float) for y in inner) else _roots_of_powers(inner, step)


def _degree(expr: Expr) -> int:
    """The degree of a polynomial as it stands, at most."""
    if not expr.has(Z):
        return 0
    if expr.is_Pow:
        return int(expr.exp) * _degree(expr.base)
    if expr.is_Mul:
        return sum(map(_degree, expr.args))
    return max(map(_degree, expr.args), default=0) if expr.is_Add else int(expr == Z)


def _rational(expr: Expr) -> Any:
    """The polynomial, if its coefficients are rational numbers, by FLINT; None otherwise."""
    if expr.is_Rational:
        return flint.fmpq_poly([flint.fmpq(int(expr.p), int(expr.q))])
    if expr == Z:
        return flint.fmpq_poly([0, 1])
    if not expr.has(Z) or not (expr.is_Add or expr.is_Mul or expr.is_Pow):
        return None
    parts = [_rational(arg) for arg in (expr.args[:1] if expr.is_Pow else expr.args)]
    if any(part is None for part in parts):
        return None
    if expr.is_Pow:
        return parts[0] ** int(expr.exp)
    return functools.reduce(operator.add if expr.is_Add else operator.mul, parts)


def vanishes_exactly(polynomial: Expr, x: float) -> bool:
    """Whether a polynomial with rational coefficients, of degree 1000 at most, is 0 at a float: without rounding.

    Examples
    --------
    >>> vanishes_exactly(4 * Z**2 - 1, 0.5), vanishes_exactly(Z**2 - 2, 2**0.5)
    (True, False)
    """
    whole = _rational(polynomial) if _degree(polynomial) <= MOST_EVALUATED else None
    return whole is not None and whole(flint.fmpq(*x.as_integer_ratio())) == 0


def real_roots_of(polynomial: sp.Poly) -> list[Any] | None:
    """All real roots of a polynomial, those without a closed form as floats; None where some may be missing.

    Examples
    --------
    >>> real_roots_of(sp.Poly((Z**2 - 2) * (Z**5 - Z - 1), Z))
    [-sqrt(2), sqrt(2), 1.16730397826141...]
    """
    if polynomial.domain.is_ZZ or polynomial.domain.is_QQ:
        if polynomial.degree() > MOST_FACTORED:
            return None
        return _real_roots(
            flint.fmpz_poly([int(c) for c in polynomial.clear_denoms(convert=True)[1].all_coeffs()[::-1]])
        )
    if polynomial.degree() > HIGHEST_IN_RADICALS:
        return None
    closed = sp.roots(polynomial, Z)
    if sum(closed.values()) == polynomial.degree() and all(root.is_real is not None for root in closed):
        return [root for root in closed if root.is_real]
    return None


def _real_roots(whole: Any) -> list[Any] | None:
    """Those of a polynomial of FLINT with integer coefficients, from each of its factors."""
    if whole.degree() < 1:
        return []
    if whole.degree() * max(int(c).bit_length() for c in whole.coeffs()) > MOST_BITS:
        return None
    factors = sorted((factor for factor, _ in whole.factor()[1]), key=lambda factor: (factor.degree(), str(factor)))
    found = [_roots_of_factor([int(c) for c in factor.coeffs()]) for factor in factors]
    return None if None in found else [root for roots in found for root in roots]  # type: ignore[union-attr]


def _roots_of_factor(coefficients: list[int]) -> list[Any] | None:
    """The real roots of an irreducible polynomial, by its coefficients from low to high."""
    high = len(coefficients) - 1
    if high == 1:
        return [sp.Rational(-coefficients[0], coefficients[1])]
    if all(c >= 0 for c in coefficients) and not any(coefficients[1::2]):
        return []
    if high > HIGHEST_DEGREE:
        return None
    with flint.ctx.workdps(ROOT_DIGITS):
        roots: Any = flint.fmpz_poly(coefficients).complex_roots()
        numbers = [sp.Float(r.real.str(ROOT_DIGITS, radius=False), ROOT_DIGITS) for r, _ in roots if r.imag == 0]
    if not numbers:
        return []
    step = math.gcd(*(n for n, c in enumerate(coefficients) if c))
    if step > 1:
        inner = _roots_of_factor(coefficients[::step])
        exact = inner is not None and not any(isinstance(y, float) for y in inner)
        return _roots_of_powers(inner, step) if exact else [float(x) for x in numbers]  # type: ignore[arg-type]
    if high > HIGHEST_IN_RADICALS:
        return [float(x) for x in numbers]
    closed = sp.roots(sp.Poly(coefficients[::-1], Z), Z)
    real = [root for root in closed if root.is_real]
    if sum(closed.values()) == high and all(root.is_real is not None for root in closed):
        return real
    known = [sp.N(root, ROOT_DIGITS) for root in real]
    return real + [float(x) for x in numbers if not any(abs(x - y) <= SAME_ROOT * abs(x) for y in known)]


def _roots_of_powers(powers: list[Any], n: int) -> list[Any]:
    """The real z with ``z**n`` one of some exact numbers."""
    found = []
    for y in powers:
        size = abs(y) ** sp.Rational(1, n)
        if n % 2:
            found.append(size if y >= 0 else -size)
        elif y >= 0:
            found += [-size, size] if y != 0 else [size]
    return found


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
