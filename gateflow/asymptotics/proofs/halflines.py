"""Signs of formulas on half-lines, for the checker: it shares nothing with the search's `signs` and `tails`.

The line is cut at 0 and each half is written in x = |z| > 0. A sign is found on a box, which may reach to infinity:

* by structure: products, even powers, exp, cosh, sigmoid and such have the sign of their parts; a sum of terms of one
  sign has it;
* by an enclosure of the values (`enclosures`);
* on a box to infinity, for a sum: by its enclosure once a positive factor of one of its terms is taken out;
* where the formula vanishes exactly at the left end of the box: by the sign of its derivative.

A box with no sign is halved. "Positive" here means: at least 0, and 0 at isolated points only; sums and products keep
that meaning. What is not found ends in a number up to which the sign was proved, never in a guess.

What it takes for granted: SymPy's derivatives and algebra, and mpmath's functions to within that margin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import lru_cache

import sympy as sp

from gateflow.asymptotics.proofs.enclosures import Box, Undefined, Unproved, X, enclosure
from gateflow.formula.vocabulary import Expr, Z, derivative, sigmoid, softplus, softsign

_FAR = sp.Integer(2) ** 40
"""Boxes that reach to infinity start no later than here."""

_LARGE = 300
"""Formulas of more operations are not factored."""

_HIGH = 24
"""Nor are those of higher powers: it would take long."""

_NARROW = sp.Rational(1, 2**20)
_BOXES = 3000


# --- signs ------------------------------------------------------------------------------------------------------------

_POSITIVE = (sp.exp, sp.cosh, sp.erfc, sigmoid, softplus)
_ODD = (sp.sinh, sp.tanh, sp.asinh, sp.atan, sp.erf)


def sign(e: Expr, box: Box, depth: int = 0) -> int:
    """1 or -1 where the formula has that sign on the box but for isolated zeros; 0 where that is not seen."""
    if not e.has(X):
        return 1 if e.is_positive else -1 if e.is_negative else 0
    if e == X or isinstance(e, _POSITIVE):
        return 1
    if e.is_Mul:
        return _product_of_signs(e.args, box, depth)
    if isinstance(e, _ODD):
        return sign(e.args[0], box, depth)
    if isinstance(e, sp.log):
        return sign(e.args[0] - 1, box, depth)
    if e.is_Pow:
        if e.exp.is_Integer and e.exp % 2 == 0:
            return 1 if _somewhere_nonzero(e.base, box) else 0
        up = sign(e.base, box, depth)
        return up if up > 0 or e.exp.is_Integer else 0
    if e.is_Add:
        seen = {sign(a, box, depth) for a in e.args}
        if len(seen) == 1 and 0 not in seen:
            return seen.pop()
    return _sign_by_bounds(e, box) or _sign_over_a_term(e, box) or _sign_from_zero(e, box, depth)


def _product_of_signs(factors: tuple[Expr, ...], box: Box, depth: int) -> int:
    outcome = 1
    for factor in factors:
        outcome *= sign(factor, box, depth)
    return outcome


def _somewhere_nonzero(e: Expr, box: Box) -> bool:
    """At one point; as the formula is analytic, its zeros are then isolated."""
    inner = box.low + 1 if box.high == sp.oo else (box.low + 2 * box.high) / 3
    return _sign_by_bounds(e, Box(inner, inner)) != 0


def _sign_by_bounds(e: Expr, box: Box) -> int:
    try:
        low, high = enclosure(e, box)
    except Undefined:
        return 0
    return 1 if low > 0 else -1 if high < 0 else 0


def _sign_from_zero(e: Expr, box: Box, depth: int) -> int:
    """Where ``e`` has values on the whole box and is exactly 0 at its left end, the sign of its derivative."""
    if depth == 4 or e.subs(X, box.low) != 0 or not defined(e, box):
        return 0
    return sign(sp.diff(e, X), box, depth + 1)


def _sign_over_a_term(e: Expr, box: Box) -> int:
    """On a box to infinity, the sign once a positive factor is taken out: one term may then outdo the others."""
    if box.high != sp.oo or not e.is_Add:
        return 0
    return next((found for found in (_sign_by_bounds(q, box) for q in _over_factors(e)) if found), 0)


@lru_cache(maxsize=512)
def _over_factors(e: Expr) -> tuple[Expr, ...]:
    """The sum over each of those factors of its terms that are positive for all x > 0."""
    factors = {b for term in sp.Add.make_args(e) for b in sp.Mul.make_args(term)}
    kinds = (sp.Symbol, sp.exp, sp.cosh, sp.Pow)
    taken = [b for b in sorted(factors, key=sp.default_sort_key) if b.has(X) and isinstance(b, kinds)]
    return tuple(sp.expand(e / b) for b in taken if sign(b, Box(sp.S.Zero, sp.oo), 4) > 0)


def how_far(holds: Callable[[Box], bool], low: Expr, end: float) -> Expr:
    """How far to the right of ``low`` something holds, box by box: oo, or the last end that was how_far."""
    ends = [sp.oo]
    for _ in range(_BOXES):
        if time.monotonic() > end:
            return low
        high = ends[-1]
        if holds(Box(low, high)):
            low = ends.pop()
            if not ends:
                return sp.oo
        elif high == sp.oo and low < _FAR:
            ends.append(2 * low + 1)
        elif high != sp.oo and high - low > _NARROW * (1 + low):
            ends.append((low + high) / 2)
        else:
            return low
    return low


# --- gates ------------------------------------------------------------------------------------------------------------


def half(phi: Expr, side: int) -> Expr:
    """``phi(side x)`` for x > 0, free of branches.

    Raises
    ------
    Unproved
        It has branches elsewhere than at 0.
    """
    written = phi.replace(softsign, softsign.written_out).xreplace({Z: side * X})
    if written.has(sp.Abs, sp.sign, sp.Piecewise):
        raise Unproved("the gate has branches elsewhere than at 0")
    return written


def slope(phi_of_x: Expr) -> Expr:
    """The derivative in x, as a product where it is one: tanh and sigmoid are written in sigmoids and factored."""
    s: dict[Expr, Expr] = {}

    def named(u: Expr) -> Expr:
        flip = u.could_extract_minus_sign()
        letter = s.setdefault(-u if flip else u, sp.Dummy("s", positive=True))
        return 1 - letter if flip else letter

    plain = derivative(phi_of_x, X).replace(sp.tanh, lambda u: 2 * sigmoid(2 * u) - 1).replace(sigmoid, named)
    whole = _factor(plain)
    for u, t in s.items():
        whole = whole.xreplace({1 - t: sigmoid(-u), t - 1: -sigmoid(-u)})
    while whole.has(*s.values()):  # one may stand inside another's argument
        whole = whole.xreplace({t: sigmoid(u) for u, t in s.items()})
    return whole


def _factor(e: Expr) -> Expr:
    """The formula as a product; with exp, cosh and such as letters where their powers would be high to SymPy."""
    if sp.count_ops(e) > _LARGE:
        return e
    letters: dict[Expr, Expr] = {}
    if not _low(e):
        outer = [f for f in e.atoms(sp.Function) if not any(f != g and g.has(f) for g in e.atoms(sp.Function))]
        letters = {f: sp.Dummy("f", positive=f.is_positive) for f in sorted(outer, key=sp.default_sort_key)}
        e = e.xreplace(letters)
    whole = sp.factor(sp.powsimp(sp.together(e))) if _low(e) else sp.factor_terms(e)
    return whole.xreplace({letter: f for f, letter in letters.items()})


def _low(e: Expr) -> bool:
    """Whether all powers are low, those of exponentials among them: exp(1000 x) is a power of exp(x) to SymPy."""
    powers = [abs(p.exp) for p in e.atoms(sp.Pow) if p.exp.is_Rational]
    for node in e.atoms(sp.exp):
        terms = sp.Add.make_args(sp.expand(node.args[0]) if sp.count_ops(node.args[0]) < 60 else 100 * X)
        powers += [max(abs(c.p), c.q) for c in (term.as_coeff_Mul()[0] for term in terms) if c.is_Rational]
    return max(powers, default=0) <= _HIGH and len(e.atoms(sp.Function)) <= 12


def bend(phi: Expr) -> Expr:
    """``z phi''/phi'`` for z > 0, from the logarithm of phi'; in z."""
    powers = [factor.as_base_exp() for factor in sp.Mul.make_args(slope(half(phi, 1)))]
    logarithmic = sp.Add(*(_log_slope(b, e) for b, e in _pairs(powers)))
    return sp.expand(X * logarithmic).xreplace({X: Z})


def _pairs(powers: list[tuple[Expr, Expr]]) -> Iterator[tuple[Expr, Expr]]:
    """``sigmoid(u) sigmoid(-u)`` is ``1/(4 cosh(u/2)^2)``, whose logarithmic slope does not cancel."""
    known = dict(powers)
    for base, exponent in powers:
        turned = sigmoid(-base.args[0]) if isinstance(base, sigmoid) else None
        shared = min(exponent, known[turned]) if turned in known else 0
        yield base, exponent - shared
        if shared:
            yield sp.cosh(base.args[0] / 2), -shared  # once for each of the two


def _log_slope(base: Expr, exponent: Expr) -> Expr:
    if base == sp.E:
        return sp.diff(exponent, X)
    if isinstance(base, sigmoid):
        return exponent * sigmoid(-base.args[0]) * sp.diff(base.args[0], X)
    if isinstance(base, sp.cosh):
        return exponent * sp.tanh(base.args[0]) * sp.diff(base.args[0], X)
    return exponent * sp.diff(base, X) / base


def rises(phi: Expr, side: int, end: float) -> Expr:
    """How far from 0 phi is proved to be defined, differentiable and to increase in z, on one half of the line."""
    written = half(phi, side)
    up = slope(written)

    def holds(box: Box) -> bool:
        return sign(up, box) == side and defined(written, box)

    return how_far(holds, sp.S.Zero, end)


def defined(e: Expr, box: Box) -> bool:
    """Whether every part of the formula has a value, and is analytic, on the box with its left end."""
    try:
        enclosure(e, box)
    except Undefined:
        return False
    return True


def smooth_at_zero(phi: Expr) -> bool:
    """Whether the two halves meet at 0 with one slope, and with one value, which is phi(0)."""
    right, left = half(phi, 1), half(phi, -1)
    at = phi.replace(softsign, softsign.written_out).subs(Z, 0)
    jumps = (right - left, right - at, derivative(right, X) + derivative(left, X))
    return all(sp.simplify(jump.subs(X, 0)) == 0 for jump in jumps)


def bends_down(phi: Expr, z0: Expr, end: float) -> Expr:
    """How far to the right of ``z0`` it is proved that phi'' <= 0, or at least where phi' > 0."""
    forms = list(_forms(bend(phi).xreplace({Z: X})))
    return how_far(lambda box: any(sign(form, box) < 0 for form in forms), z0, end)


def _forms(e: Expr) -> Iterator[Expr]:
    """The formula over positive factors of its terms: one of them may outdo the others on a whole half-line."""
    yield e
    yield sp.expand(e / X)
    yield _factor(sp.expand(e / X))
    whole = Box(sp.S.Zero, sp.oo)
    factors = {b for term in sp.Add.make_args(e) for b in sp.Mul.make_args(term)}
    for factor in sorted(factors, key=sp.default_sort_key):
        if factor.has(X) and isinstance(factor, sp.exp | sp.cosh | sp.Pow) and sign(factor, whole) > 0:
            yield sp.expand(e / X / factor)
