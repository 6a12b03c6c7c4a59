"""Signs of formulas on half-lines, for the checker: it shares nothing with the search's `signs` and `tails`.

The line is cut at 0 and wherever a branch changes (`stretches`), and each part is written in x = |z| > 0, free of
branches. A sign is found on a box, which may reach to infinity:

* by structure: products, even powers, exp, cosh, sigmoid and such have the sign of their parts; a sum of terms of one
  sign has it;
* by an enclosure of the values (`enclosures`);
* on a box to infinity, for a sum: by its enclosure once a positive factor of one of its terms is taken out;
* on a box to infinity, for a rational function of one exponential: by Descartes' rule;
* where the formula vanishes exactly at an end of the box: by the sign of its derivative;
* for a rational plus rational multiples of sines and cosines: by exact arithmetic on these.

A box with no sign is halved. "Positive" here means: at least 0, and 0 at isolated points only; sums and products keep
that meaning. What is not found ends in a number up to which the sign was proved, never in a guess.

What it takes for granted: SymPy's derivatives and algebra, and mpmath's functions to within that margin.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cmp_to_key, lru_cache
from itertools import pairwise
from typing import NamedTuple

import sympy as sp

from gateflow.asymptotics.proofs import statements
from gateflow.asymptotics.proofs.enclosures import Box, Undefined, Unproved, X, enclosure
from gateflow.codegen.expand import quick_factor
from gateflow.codegen.exponentials import in_exponential
from gateflow.formula.vocabulary import Expr, Z, derivative, sigmoid, softplus, softsign

_FAR = sp.Integer(2) ** 40
"""Boxes that reach to infinity start no later than here."""

_LARGE = 300
"""Formulas of more operations are not factored."""

_NARROW = sp.Rational(1, 2**20)
_BOXES = 3000


# --- signs ------------------------------------------------------------------------------------------------------------

_POSITIVE = (sp.exp, sp.cosh, sp.erfc, sigmoid, softplus)
_ODD = (sp.sinh, sp.tanh, sp.asinh, sp.atan, sp.erf)


def sign(e: Expr, box: Box, depth: int = 0) -> int:
    """1 or -1 where the formula has that sign on the box except at isolated zeros; 0 where that is not seen."""
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
    found = _sign_by_bounds(e, box) or _sign_over_a_term(e, box) or _sign_beside_zero(e, box, depth)
    found = found or _sign_by_amplitudes(e, box)
    return found or (0 if depth else _sign_by_descartes(e, box))


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


def _sign_beside_zero(e: Expr, box: Box, depth: int) -> int:
    """Where ``e`` has values on the whole box and is exactly 0 at an end of it, from the sign of its derivative."""
    if depth == 4:
        return 0
    for end, way in ((box.low, 1), (box.high, -1)):
        if end.is_finite and e.subs(X, end) == 0 and defined(e, box):
            return way * sign(sp.diff(e, X), box, depth + 1)
    return 0


def _sign_by_amplitudes(e: Expr, box: Box) -> int:
    """Of a rational plus rational multiples of sines and cosines, exactly: bounds round, and lose the last digits."""
    level, waves = e.as_coeff_Add()
    terms = [term.as_coeff_Mul() for term in sp.Add.make_args(waves)]
    if not level.is_Rational or not all(c.is_Rational and isinstance(wave, (sp.sin, sp.cos)) for c, wave in terms):
        return 0
    outweighs = abs(level) >= sum(abs(c) for c, _ in terms)
    return int(sp.sign(level)) if outweighs and defined(e, box) and _somewhere_nonzero(e, box) else 0


def _sign_over_a_term(e: Expr, box: Box) -> int:
    """On a box to infinity, the sign once a positive factor is taken out: one term may then outdo the others."""
    if box.high != sp.oo or not e.is_Add:
        return 0
    return next((found for found in (_sign_by_bounds(q, box) for q in _over_factors(e)) if found), 0)


def _sign_by_descartes(e: Expr, box: Box) -> int:
    """On a box to infinity, of a polynomial p(w) of w = exp(-c x), where none of its roots can be seen to lie there.

    By w = b/(1 + t) the part from 0 to b >= exp(-c low) is that of all t > 0, and a polynomial whose coefficients are
    of one sign has no zero there.
    """
    if box.high != sp.oo or not box.low.is_Rational or (found := in_exponential(e, X)) is None:
        return 0
    polynomial, rate = found
    most = sp.Rational(str(sp.exp(-rate * box.low).evalf(30))) * (1 + sp.Rational(1, 10**20)) if box.low else sp.S.One
    t = sp.Dummy("t")
    n = polynomial.degree()
    terms = [c * most**k * sp.Poly(1 + t, t) ** (n - k) for (k,), c in polynomial.terms()]
    sides = {sp.sign(c) for c in sum(terms[1:], terms[0]).all_coeffs()} - {sp.S.Zero}
    return int(sides.pop()) if len(sides) == 1 else 0


@lru_cache(maxsize=512)
def _over_factors(e: Expr) -> tuple[Expr, ...]:
    """The sum over each of those factors of its terms that are positive for all x > 0."""
    factors = {b for term in sp.Add.make_args(e) for b in sp.Mul.make_args(term)}
    kinds = (sp.Symbol, sp.exp, sp.cosh, sp.Pow)
    taken = [b for b in sorted(factors, key=sp.default_sort_key) if b.has(X) and isinstance(b, kinds)]
    return tuple(sp.expand(e / b) for b in taken if sign(b, Box(sp.S.Zero, sp.oo), 4) > 0)


def how_far(holds: Callable[[Box], bool], low: Expr, end: float, high: Expr = sp.oo) -> Expr:
    """How far from ``low`` to ``high`` something holds, box by box: high, or the last end up to which it does."""
    ends = [high]
    for _ in range(_BOXES):
        if time.monotonic() > end:
            return low
        high = ends[-1]
        if holds(Box(low, high)):
            low = ends.pop()
            if not ends:
                return low
        elif high == sp.oo and low < _FAR:
            ends.append(sp.ceiling(2 * low) + 1)
        elif high != sp.oo and _is_wide(low, high):
            middle = (low + high) / 2
            ends.append(middle if middle.is_Rational else _between(low, high))
        else:
            return low
    return low


def _is_wide(low: Expr, high: Expr) -> bool:
    """Whether a box is to be cut further."""
    room = high - low - _NARROW * (1 + low)
    return room > 0 if room.is_Rational else statements.sign(room) > 0


# --- gates ------------------------------------------------------------------------------------------------------------


class Stretch(NamedTuple):
    """A part of the line in which no branch changes: phi is ``formula`` at ``z = side x``, ``low < x < high``."""

    side: int
    low: Expr
    high: Expr
    formula: Expr

    def at(self, z: Expr, order: int = 0) -> Expr:
        """The formula, or its derivative in z, at a point of the stretch or an end of it."""
        return (self.side**order * derivative(self.formula, X, order)).subs(X, self.side * z)


def stretches(phi: Expr) -> list[Stretch]:
    """phi from left to right, cut at 0 and wherever one of its branches changes.

    Raises
    ------
    Unproved
        A branch changes where something is 0 that is no polynomial with rational coefficients, and not linear.
    """
    written = _in_branches(phi)
    left = [Stretch(-1, -b, -a, f.xreplace({Z: -X})) for a, b, f in _cut(written, -sp.oo, sp.S.Zero)]
    return left + [Stretch(1, a, b, f.xreplace({Z: X})) for a, b, f in _cut(written, sp.S.Zero, sp.oo)]


def _in_branches(phi: Expr) -> Expr:
    return phi.replace(softsign, softsign.written_out)


def _cut(phi: Expr, low: Expr, high: Expr) -> list[tuple[Expr, Expr, Expr]]:
    """Ends and formulas of the parts of an interval in which no branch of phi changes."""
    edge = _edge(phi)
    if edge is None:
        return [(low, high, phi)]
    found = []
    for a, b in pairwise([low, *_zeros_between(edge, low, high), high]):
        found += _cut(_with_side(phi, edge, statements.sign(edge.subs(Z, _between(a, b)))), a, b)
    return found


def _edge(phi: Expr) -> Expr | None:
    """Something whose sign decides between branches, itself free of branches; None where there are no branches."""
    edges = {node.args[0] for node in phi.atoms(sp.Abs, sp.sign)}
    edges |= {r.lhs - r.rhs for r in phi.atoms(sp.core.relational.Relational)}
    inner = sorted((edge for edge in edges if not edge.has(*_BRANCHING)), key=sp.default_sort_key)
    if not inner and phi.has(*_BRANCHING):
        raise Unproved("the branches of the gate are not understood")
    return inner[0] if inner else None


_BRANCHING = (sp.Abs, sp.sign, sp.Piecewise, sp.Max, sp.Min, sp.core.relational.Relational)


def _with_side(phi: Expr, edge: Expr, side: int) -> Expr:
    """phi where the edge has this sign."""
    holds = {"==": side == 0, "!=": side != 0, ">": side > 0, ">=": side >= 0, "<": side < 0, "<=": side <= 0}
    chosen = {sp.Abs(edge): side * edge, sp.sign(edge): sp.Integer(side)}
    for relation in phi.atoms(sp.core.relational.Relational):
        if relation.lhs - relation.rhs == edge:
            chosen[relation] = sp.true if holds[relation.rel_op] else sp.false
    return phi.xreplace(chosen)


_DEGREE = 12
"""Polynomials up to this degree have their roots taken as places where branches change."""


def _zeros_between(edge: Expr, low: Expr, high: Expr) -> list[Expr]:
    """All zeros of an edge strictly between two points, in order; none where it vanishes everywhere."""
    poly = sp.Poly(edge, Z) if edge.is_polynomial(Z) else None
    if poly is None or poly.degree() > _DEGREE:
        raise Unproved(f"where {edge} is 0, and a branch of the gate changes")
    if all(c.is_Rational for c in poly.all_coeffs()):
        roots = list(dict.fromkeys(sp.real_roots(poly))) if poly.degree() > 0 else []
    elif poly.degree() == 1:
        roots = [-poly.coeff_monomial(1) / poly.coeff_monomial(Z)]
    else:
        raise Unproved(f"where {edge} is 0, and a branch of the gate changes")
    inner = [r for r in roots if _precedes(low, r) < 0 and _precedes(r, high) < 0]
    return sorted(inner, key=cmp_to_key(_precedes))


def _precedes(a: Expr, b: Expr) -> int:
    """-1 where a < b, 1 where a > b, 0 where they are one number; either may be infinite."""
    if a.is_infinite or b.is_infinite:
        return 0 if a == b else -1 if a == -sp.oo or b == sp.oo else 1
    return statements.sign(a - b)


def _between(low: Expr, high: Expr) -> Expr:
    """A rational number strictly between."""
    if high == sp.oo:
        return sp.S.One if low == -sp.oo else sp.ceiling(low) + 1
    if low == -sp.oo:
        return sp.floor(high) - 1
    for digits in (15, 60, 240):
        middle = sp.Rational(str(((low + high) / 2).evalf(digits)))
        if _precedes(low, middle) < 0 and _precedes(middle, high) < 0:
            return middle
    raise Unproved(f"a number between {low} and {high}")


def value_at(phi: Expr, z: Expr) -> Expr:
    """``phi(z)``, of the branch that holds there."""
    phi = _in_branches(phi)
    while (edge := _edge(phi)) is not None:
        phi = _with_side(phi, edge, statements.sign(edge.subs(Z, z)))
    return phi.subs(Z, z)


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
    return e if sp.count_ops(e) > _LARGE else quick_factor(e, lambda part: sp.factor(sp.powsimp(sp.together(part))), 12)


def bend(phi_of_x: Expr) -> Expr:
    """``z phi''/phi'`` for z > 0; in z."""
    return sp.expand(X * _bend(phi_of_x)).xreplace({X: Z})


def _bend(phi_of_x: Expr) -> Expr:
    """``phi''/phi'``, from the logarithm of phi'."""
    powers = [factor.as_base_exp() for factor in sp.Mul.make_args(slope(phi_of_x))]
    return sp.Add(*(_log_slope(b, e) for b, e in _pairs(powers)))


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
    """How far from 0 phi is proved to be defined, differentiable and to increase in z, on one half of the line.

    Where branches change it is differentiable by `joined`.
    """
    far = sp.S.Zero
    for stretch in stretches(phi)[::side]:
        if stretch.side != side:
            continue
        up = slope(stretch.formula)

        def holds(box: Box, stretch: Stretch = stretch, up: Expr = up) -> bool:
            return sign(up, box) == side and defined(stretch.formula, box)

        far = how_far(holds, stretch.low, end, stretch.high)
        if far != stretch.high:
            break
    return far


def defined(e: Expr, box: Box) -> bool:
    """Whether every part of the formula has a value, and is analytic, on the box with its left end."""
    try:
        enclosure(e, box)
    except Undefined:
        return False
    return True


def unjoined(phi: Expr) -> Expr | None:
    """The first point between two stretches where they are not seen to meet with one slope and one value, phi's."""
    for left, right in pairwise(stretches(phi)):
        z = right.low if right.side > 0 else -right.high
        at = value_at(phi, z)
        pairs = ((left.at(z), right.at(z)), (right.at(z), at), (left.at(z, 1), right.at(z, 1)))
        if not all(statements.same(a, b) for a, b in pairs):
            return z
    return None


def bends_down(phi: Expr, z0: Expr, end: float) -> Expr:
    """How far to the right of ``z0`` it is proved that phi'' <= 0, or at least where phi' > 0.

    phi' is continuous where branches change.
    """
    for stretch in beyond(phi, z0):
        forms = list(_forms(_bend(stretch.formula)))

        def holds(box: Box, forms: list[Expr] = forms) -> bool:
            return any(sign(form, box) < 0 for form in forms)

        z0 = how_far(holds, z0, end, stretch.high)
        if z0 != stretch.high:
            break
    return z0


def beyond(phi: Expr, z0: Expr) -> list[Stretch]:
    """The stretches to the right of ``z0 >= 0``; it lies in the first of them, or is its left end."""
    return [s for s in stretches(phi) if s.side > 0 and _precedes(z0, s.high) < 0]


def _forms(bent: Expr) -> Iterator[Expr]:
    """The formula as it is, times x, and over positive factors of its terms: one may outdo the others far out."""
    e = sp.expand(X * bent)
    yield bent
    yield e
    yield sp.expand(e / X)
    yield _factor(sp.expand(e / X))
    yield from (sp.expand(part / X) for part in _over_factors(e))
