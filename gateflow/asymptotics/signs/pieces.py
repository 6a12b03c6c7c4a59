"""A formula with abs, sign and where as smooth formulas between exact break points.

Each piece lives on one side of 0 and is written in ``x = |z| > 0``, so that SymPy's assumptions know the range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cmp_to_key, partial
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.arithmetic.enclosed import arb, enclosed, precisions, rational
from gateflow.arithmetic.intervals import Intervals
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Field
from gateflow.asymptotics.signs.tails import X, in_words
from gateflow.codegen import Tape, rewrite, stable
from gateflow.codegen.expand import common_unit, expand, is_quick_to_factor, quick_factor, too_long_to_factor
from gateflow.codegen.expand import factor as with_factors
from gateflow.errors import Exceeded, GateflowError
from gateflow.formula.vocabulary import (
    Expr,
    Z,
    derivative,
    expm1,
    expression,
    log1p,
    logit,
    sigmoid,
    softplus,
    softsign,
)
from gateflow.gates.kinks import switches
from gateflow.guards import bounded

FEW = 4
"""Changes of sign of one expression that are looked at."""


@dataclass(frozen=True)
class SmoothPiece:
    """A smooth formula for ``z = side * x``, ``left <= x <= right``.

    Attributes
    ----------
    side : int
        1 or -1.
    left, right : sympy number
        In x; right may be oo.
    expr : sympy.Expr
        In `X`.
    written : sympy.Expr
        In z, as it stands: in x SymPy makes of ``sqrt(-x)`` a complex number.
    """

    side: int
    left: Expr
    right: Expr
    expr: Expr
    written: Expr

    def z(self, x: Any) -> Any:
        """The pre-activation at x."""
        return self.side * x + 0

    def holds(self, x: Any) -> bool:
        """Whether x lies strictly inside."""
        return constants.below(self.left, x) and constants.below(x, self.right)


def break_points(expr: Expr) -> list[Expr]:
    """The z, in order, at which abs, sign, where, Max or Min may change branch, or the formula may leave its domain.

    Raises
    ------
    Undecided
        They are not found exactly.

    Examples
    --------
    >>> break_points(sp.Abs(Z**2 - 2) + sp.sign(Z))
    [-sqrt(2), 0, sqrt(2)]
    """
    edges = switches(expr)
    roots = [root for edge in edges for root in real_zeros(edge)]
    roots += [root for edge in edges for condition in conditions(edge) for root in real_zeros(condition.positive)]
    for condition in conditions(expr):
        try:
            roots += real_zeros(condition.positive)
        except Undecided:  # it may have none: the clause of differentiability looks at its sign
            continue
    return in_order(roots)


def in_order(points: Iterable[Expr]) -> list[Expr]:
    """Exact numbers from left to right, each once."""
    ordered = sorted(dict.fromkeys(points), key=cmp_to_key(_sorts))
    return [b for i, b in enumerate(ordered) if not i or _sorts(ordered[i - 1], b)]


def _sorts(a: Expr, b: Expr) -> int:
    """The exact sign of ``a - b``."""
    if a.is_infinite or b.is_infinite:
        return 0 if a == b else 1 if a == sp.oo or b == -sp.oo else -1
    return constants.compare(constants.number(a), constants.number(b))


_BRANCHING = (sp.Abs, sp.sign, sp.Piecewise, sp.Max, sp.Min, softsign)


def real_zeros(expr: Expr, z: sp.Symbol = Z) -> list[Expr]:
    """All real zeros of ``expr``, exactly; raises `Undecided` where they are not found.

    Examples
    --------
    >>> real_zeros(sp.cosh(Z) - 2), real_zeros(sp.exp(2 * Z) - 3 * sp.exp(Z) + 2), real_zeros(Z - sp.sinh(Z))
    ([-acosh(2), acosh(2)], [0, log(2)], [0])
    """
    return in_order(_zeros(expr, z))


def _zeros(expr: Expr, z: sp.Symbol, by_slopes: bool = True) -> list[Expr]:
    if expr.is_positive or expr.is_negative or not expr.has(z):
        return []
    if expr.has(*_BRANCHING):
        return _zeros_by_branch(expr, z)
    zeros: list[Expr] = []
    expr = expression(expr)
    for part in sp.Mul.make_args(quick_factor(expr)):
        base, exponent = part.as_base_exp() if part.is_Pow else (part, sp.S.One)
        if base.has(z) and exponent.is_positive and not (base.is_positive or base.is_negative):
            try:
                zeros += _zeros_of_factor(base, z)
            except Undecided:
                if not by_slopes:
                    raise
                zeros += _zeros_by_slopes(base, z)
        elif base.has(z) and not exponent.is_real:
            raise Undecided(f"where {expr} is zero is not found exactly")
    return zeros


def _zeros_by_branch(expr: Expr, z: sp.Symbol) -> list[Expr]:
    """Between the break points of ``expr`` itself; what vanishes on a whole interval changes sign at its ends only."""
    if z != Z:
        raise Undecided(f"where {expr} is zero is not found exactly")
    ends = [-sp.oo, *break_points(expr), sp.oo]
    found = list(ends[1:-1])
    for low, high in pairwise(ends):
        inner = resolve_at(expr, _between(low, high))
        if inner != 0:
            found += [r for r in _zeros(inner, z) if _sorts(low, r) < 0 < _sorts(high, r)]
    return found


HIGHEST = 1500
"""Degree of the largest polynomial whose zeros are looked for: FLINT factors it in half a second."""


def _zeros_of_factor(expr: Expr, z: sp.Symbol) -> list[Expr]:
    if expr.is_polynomial(z):
        poly = sp.Poly(expr, z)
        if poly.degree() > HIGHEST:
            raise Undecided(f"the zeros of a polynomial of degree {poly.degree()}")
        if all(c.is_Rational for c in poly.all_coeffs()):
            return list(dict.fromkeys(sp.real_roots(poly)))
        if poly.degree() <= 2:
            return _zeros_of_quadratic(*[sp.S.Zero] * (2 - poly.degree()), *poly.all_coeffs())
    constant, rest = expr.as_independent(z, as_Add=True)
    factor, kernel = rest.as_independent(z, as_Add=False)
    if constant != 0 or factor != 1:
        level = -constant / factor
        if kernel.is_Pow and kernel.exp.is_Rational:
            return _zeros_of_power(kernel, level, z)
        return _where_equal(kernel, level, z) if kernel.func in _PREIMAGES else _zeros_by_kernel(expr, z)
    return _where_equal(expr, sp.S.Zero, z) if expr.func in _PREIMAGES else _zeros_by_kernel(expr, z)


def _zeros_of_quadratic(a: Expr, b: Expr, c: Expr) -> list[Expr]:
    """With any real coefficients, the first of which may be 0."""
    if a == 0:
        return [-c / b]
    discriminant = b**2 - 4 * a * c
    side = constants.sign(constants.number(discriminant))
    if side <= 0:
        return [] if side else [-b / (2 * a)]
    return [(-b + way * sp.sqrt(discriminant)) / (2 * a) for way in (1, -1)]


def _where_equal(kernel: Expr, level: Expr, z: sp.Symbol) -> list[Expr]:
    """The zeros of ``kernel - level`` for a function of which all preimages are known."""
    return [root for value in _PREIMAGES[kernel.func](level) for root in _zeros(kernel.args[0] - value, z)]


def _zeros_of_power(kernel: Expr, level: Expr, z: sp.Symbol) -> list[Expr]:
    """Where ``base^(p/q) = level``."""
    n, side = kernel.exp, constants.sign(constants.number(level))
    if side == 0:
        return _zeros(kernel.base, z) if n > 0 else []
    size = sp.Abs(level) ** (1 / n)
    bases = [size] if side > 0 else []
    if n.is_Integer and (n % 2 == 0) == (side > 0):
        bases.append(-size)
    return [root for value in bases for root in _zeros(kernel.base - value, z)]


def _zeros_by_kernel(expr: Expr, z: sp.Symbol) -> list[Expr]:
    """Of a polynomial with rational coefficients in one exponential."""
    nodes = [node for node in expr.atoms(sp.exp) if node.has(z)]
    w = sp.Dummy("w", positive=True)
    if nodes:
        exponents = [node.args[0].as_coeff_Mul() for node in nodes]
        if len({rest for _, rest in exponents}) == 1:
            unit = common_unit([c for c, _ in exponents]) if all(c.is_Rational for c, _ in exponents) else None
            if unit:
                rest = exponents[0][1]
                poly = sp.numer(
                    sp.together(expr.xreplace({n: w ** (n.args[0].as_coeff_Mul()[0] / unit) for n in nodes}))
                )
                if not poly.has(z) and poly.is_polynomial(w):
                    values = [r for r in _zeros_of_factor(poly, w) if constants.sign(constants.number(r)) > 0]
                    return [root for r in values for root in _zeros(unit * rest - sp.log(r), z)]
    raise Undecided(f"where {expr} is zero is not found exactly")


_DERIVATIVES, _INVOLVED = 4, 100
"""Derivatives that are looked at for zeros, and operations of the largest."""

_LOOK = 1.0
"""Seconds for the sign of a function far out."""

_PLAIN = tuple(map(sp.Rational, (0, 1, -1, 2, -2, "1/2", "-1/2")))
"""Numbers that are tried where there is one zero."""


def _zeros_by_slopes(expr: Expr, z: sp.Symbol) -> list[Expr]:
    """Of a smooth function: between two neighbouring zeros of its derivative there is at most one."""
    if z != Z:
        return _zeros_by_slopes(expr.xreplace({z: Z}), Z)
    unknown = Undecided(f"where {expr} is zero is not found exactly")
    chain = [expr]
    while len(chain) <= _DERIVATIVES:
        slope = derivative(chain[-1])
        smooth = not any(True for part in (chain[-1], slope) for _ in conditions(part))
        if not smooth or not slope.has(Z) or sp.count_ops(slope) > _INVOLVED:
            break
        chain.append(slope)
        try:
            turns = [] if not _factors(quick_factor(slope)).odd else in_order(_zeros(slope, Z, by_slopes=False))
        except Undecided:
            continue
        for slope, function in pairwise(reversed(chain)):
            turns = _zeros_between(function, slope, turns)
        return turns
    raise unknown


def _far_out(function: Expr, side: int) -> int:
    """The sign of a function for large z, or for large -z."""
    return Field(X, _LOOK).sign(in_words(function.xreplace({Z: side * X})))


def _zeros_between(function: Expr, slope: Expr, turns: list[Expr]) -> list[Expr]:
    """The zeros of a function, from all those of its derivative."""
    signs = {turn: _sign_at(function, turn) for turn in turns}
    found = [turn for turn in turns if signs[turn] == 0]
    for low, high in pairwise([-sp.oo, *turns, sp.oo]):
        middle = _between(low, high)
        way = _sign_at(slope, middle) or _sign_at(slope, _between(middle, high))  # it may touch 0 somewhere
        if way == 0:
            raise Undecided(f"the sign of {slope} is not known between {low} and {high}")
        before, after = signs.get(low, -way), signs.get(high, way)  # at an infinite end as if there were a zero
        if (before, after) != (-way, way):
            continue
        plain = [c for c in _PLAIN if _sorts(low, c) < 0 < _sorts(high, c) and _sign_at(function, c) == 0]
        far = [side for side, end in ((-1, low), (1, high)) if end.is_infinite]
        if not plain and all(_far_out(function, side) == side * way for side in far):
            raise Undecided(f"where {function} is zero is not found exactly")
        found += plain
    return in_order(found)


def _within(low: Any, high: Any, inverse: Callable[[Expr], Expr]) -> Callable[[Expr], list[Expr]]:
    """The preimage under an increasing function with values in an open interval."""

    def preimages(level: Expr) -> list[Expr]:
        ends = [
            sp.S.One if end in (sp.oo, -sp.oo) else constants.sign(constants.number(side * (level - end)))
            for side, end in ((1, low), (-1, high))
        ]
        return [inverse(level)] if min(ends) > 0 else []

    return preimages


def _of_cosh(level: Expr) -> list[Expr]:
    above = constants.sign(constants.number(level - 1))
    return [] if above < 0 else [sp.S.Zero] if not above else [sp.acosh(level), -sp.acosh(level)]


def _of_wave(level: Expr) -> list[Expr]:
    if constants.compare(constants.number(sp.Abs(level)), 1) > 0:
        return []
    raise Undecided(f"a sine is {level} at points without end")


_PREIMAGES: dict[Any, Callable[[Expr], list[Expr]]] = {
    sp.sin: _of_wave,
    sp.cos: _of_wave,
    sp.exp: _within(0, sp.oo, sp.log),
    sp.log: _within(-sp.oo, sp.oo, sp.exp),
    sp.sinh: _within(-sp.oo, sp.oo, sp.asinh),
    sp.cosh: _of_cosh,
    sp.tanh: _within(-1, 1, sp.atanh),
    sp.asinh: _within(-sp.oo, sp.oo, sp.sinh),
    sp.atan: _within(-sp.pi / 2, sp.pi / 2, sp.tan),
    sp.erf: _within(-1, 1, sp.erfinv),
    sp.erfc: _within(0, 2, lambda level: sp.erfinv(1 - level)),
    sp.acosh: lambda level: [sp.cosh(level)] if constants.sign(constants.number(level)) >= 0 else [],
    sp.atanh: _within(-sp.oo, sp.oo, sp.tanh),
    sigmoid: _within(0, 1, logit.written_out),
    logit: _within(-sp.oo, sp.oo, sigmoid.written_out),
    softplus: _within(0, sp.oo, lambda level: sp.log(sp.exp(level) - 1)),
    softsign: _within(-1, 1, lambda level: level / (1 - sp.Abs(level))),
    expm1: _within(-1, sp.oo, lambda level: sp.log(1 + level)),
    log1p: _within(-sp.oo, sp.oo, lambda level: sp.exp(level) - 1),
}
"""By function, all arguments at which it takes a value."""


def some_breaks(expr: Expr) -> list[Expr]:
    """Some of the z at which ``expr`` may change branch, or leave its domain, where there is no end of them.

    Examples
    --------
    >>> some_breaks(sp.Abs(sp.sin(Z)))
    [-pi, 0, pi]
    """
    edges = [*switches(expr), *(condition.positive for condition in conditions(expr))]
    return in_order(z for edge in edges if not edge.has(*_BRANCHING) for z in _some_zeros(edge))


def around_unsolved_breaks(expr: Expr) -> Iterator[tuple[Expr, Expr]]:
    """Rational points around some of the z at which ``expr`` may change branch, of those that are not known exactly.

    Examples
    --------
    >>> low, high = next(around_unsolved_breaks(sp.sign(Z + sp.exp(Z) - 3)))
    >>> float(low) < 0.7920599684 < float(high), high - low == sp.Rational(3, 2**20)
    (True, True)
    """
    grid = np.sinh(np.linspace(-12.0, 12.0, 2001))
    for edge in switches(expr):
        if edge.has(*_BRANCHING):
            continue
        try:
            real_zeros(edge)
        except Undecided:
            tape = Tape([edge], [Z])
            side = np.sign(tape(float64, grid)[0])
            for k in np.flatnonzero(side[1:] * side[:-1] < 0)[:FEW]:
                root = _bisected(lambda z: float(tape(float64, np.array([z]))[0][0]), *grid[k : k + 2].tolist())  # noqa: B023
                for step in (sp.Rational(1, 2**20), sp.Rational(1, 2**36)):
                    low = sp.floor(sp.Rational(root) / step) - 1
                    yield low * step, (low + 3) * step


def _bisected(function: Callable[[float], float], low: float, high: float) -> float:
    falls = function(low) > 0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if (function(middle) < 0) == falls else (middle, high)
    return low


def changes_once(expr: Expr, low: Expr, high: Expr, ball: Intervals) -> bool:
    """Whether one expression that decides between branches vanishes between two rational points, once, and no other.

    Examples
    --------
    >>> broken = sp.Abs(Z + sp.exp(Z) - 3)
    >>> changes_once(broken, sp.S.Half, sp.S.One, Intervals()), changes_once(broken, sp.S.One, sp.S(2), Intervals())
    (True, False)
    """
    box, changing = ball.hull(ball.lift(low), ball.lift(high)), set()
    for edge in switches(expr):
        sides = [resolve_at(edge, end) for end in (low, high)]
        if all(Tape([side], [Z])(ball, box)[0].sign for side in sides):
            continue
        slope = Tape([derivative(sides[0], Z)], [Z])(ball, box)[0]
        if sides[0] != sides[1] or not slope.sign or _sign_at(edge, low) * _sign_at(edge, high) != -1:
            return False
        changing.add(max(sides[0], -sides[0], key=sp.default_sort_key))
    return len(changing) == 1


def _some_zeros(expr: Expr) -> Iterator[Expr]:
    """Of factors ``c + k f(g)`` with a periodic f: where g is one of the values nearest to 0 at which they vanish."""
    for part in sp.Mul.make_args(quick_factor(expr)):
        base = part.base if part.is_Pow and part.exp.is_positive else part
        constant, rest = base.as_independent(Z, as_Add=True)
        factor, kernel = rest.as_independent(Z, as_Add=False)
        if kernel.func not in _ARCS:
            continue
        try:
            arcs = _ARCS[kernel.func](-constant / factor)
            yield from (z for arc in arcs for z in _zeros(kernel.args[0] - arc, Z))
        except Undecided:
            continue


def _arcs_of_sine(level: Expr) -> list[Expr]:
    if constants.compare(constants.number(sp.Abs(level)), 1) > 0:
        return []
    return [arc + turn for turn in (-2 * sp.pi, 0, 2 * sp.pi) for arc in (sp.asin(level), sp.pi - sp.asin(level))]


def _size(z: Expr) -> float:
    return abs(float(z))


_ARCS: dict[Any, Callable[[Expr], list[Expr]]] = {
    sp.sin: lambda level: sorted(set(_arcs_of_sine(level)), key=_size)[:3],
    sp.cos: lambda level: sorted({arc - sp.pi / 2 for arc in _arcs_of_sine(level)}, key=_size)[:4],
    sp.tan: lambda level: [sp.atan(level) + turn for turn in (-sp.pi, 0, sp.pi)],
}
"""By function, the arguments nearest to 0 at which it takes a value."""


def pieces(expr: Expr) -> tuple[list[SmoothPiece], list[Expr]]:
    """The smooth pieces of ``expr`` from left to right, and its break points."""
    breaks = break_points(expr)
    ends = in_order([-sp.oo, *breaks, sp.S.Zero, sp.oo])
    return [_piece(expr, a, b) for a, b in pairwise(ends)], breaks


def _piece(expr: Expr, low: Expr, high: Expr) -> SmoothPiece:
    inside = _between(low, high)
    return _smooth(resolve_at(expr, inside), low, high, 1 if inside > 0 else -1)


def _smooth(written: Expr, low: Expr, high: Expr, side: int) -> SmoothPiece:
    left, right = (low, high) if side > 0 else (-high, -low)
    return SmoothPiece(side, left, right, written.xreplace({Z: side * X}), written)


def beside(expr: Expr, z: Expr, sign_of_germ: Callable[[Expr], int]) -> tuple[SmoothPiece, SmoothPiece]:
    """The smooth formulas that hold close to z, on the left and on the right; ``sign_of_germ`` is asked in `X`, at oo.

    So a point can be looked at though others, of which there may be no end, are not known. How far a piece reaches is
    not given: its other end is 0 or infinite.
    """
    found = []
    for way in (-1, 1):
        written = resolved(
            expr, lambda e, way=way: sign_of_germ(e.subs(Z, z + way / X)) if e.has(Z) else sign_of_germ(e)
        )
        side = _sorts(z, sp.S.Zero) or way
        low, high = (z, sp.oo if side > 0 else sp.S.Zero) if way > 0 else (sp.S.Zero if side > 0 else -sp.oo, z)
        found.append(_smooth(written, low, high, side))
    return found[0], found[1]


def _between(low: Expr, high: Expr) -> Expr:
    """A rational number strictly between."""
    if low == -sp.oo:
        return -constants.integer_above(-high) if high != sp.oo else sp.S.One
    if high == sp.oo:
        return constants.integer_above(low)
    width, middle = _apart(low, high)
    digits = max(2, 2 - math.floor(float(width.log() / arb(10).log())))  # after the point
    return sp.Rational(sp.floor(middle * 10**digits), 10**digits)


def _apart(low: Expr, high: Expr) -> tuple[Any, sp.Rational]:
    """A ball that holds the distance of two numbers, low the lower, and what is nearly their middle."""
    for prec in (200, *precisions(low + high)[2:]):
        a, b = enclosed(low, prec), enclosed(high, prec)
        if a is None or b is None or not (a.is_finite() and b.is_finite()):
            continue
        if a < b and (width := b - a).rel_accuracy_bits() >= 20:
            return width, rational(a) + rational(width) / 2
    raise Undecided(f"a number between {low} and {high} was not found")


def value_at(expr: Expr, z: Expr) -> Expr | None:
    """The value of the formula at one point, branches and all; None where a part of it has none."""
    if unmet(expr, z):
        return None
    value = resolve_at(expr, z).subs(Z, z)
    if value.has(sp.nan, sp.zoo, sp.oo, -sp.oo) or not (constants.is_enclosed(value) or value.is_real is not False):
        return None
    return value


DIVISION = "a division by zero"


def unmet(expr: Expr, z: Expr) -> list[str]:
    """What keeps the formula from having a value at one point."""
    found = []
    for condition in conditions(resolve_at(expr, z)):
        value = condition.positive.subs(Z, z)
        side = -1 if value.has(sp.nan, sp.zoo, sp.oo, -sp.oo) else constants.sign(constants.number(value))
        if side < 0 or (side == 0 and not condition.closed):
            found.append(condition.words)
    return found


def resolve_at(expr: Expr, at: Expr) -> Expr:
    """The branches of ``expr`` that hold at the point ``at``, as a formula free of branches."""
    return resolved(expr, partial(_sign_at, at=at))


def resolved(expr: Expr, sign_of: Callable[[Expr], int]) -> Expr:
    """``expr`` free of branches: those that hold where an expression without branches has the sign that is given."""
    if not expr.args or not expr.has(*_BRANCHING):
        return expr
    if isinstance(expr, sp.Piecewise):
        for value, condition in expr.args:
            if _holds(condition, sign_of):
                return resolved(value, sign_of)
        raise Undecided(f"no branch of {expr} holds")
    args = [resolved(a, sign_of) for a in expr.args]
    if isinstance(expr, sp.Abs):
        return args[0] * (sign_of(args[0]) or 1)
    if isinstance(expr, sp.sign):
        return sp.Integer(sign_of(args[0]))
    if isinstance(expr, softsign):
        return args[0] / (1 + args[0] * (sign_of(args[0]) or 1))
    if isinstance(expr, sp.Max | sp.Min):
        want = 1 if isinstance(expr, sp.Max) else -1
        best = args[0]
        for other in args[1:]:
            best = other if sign_of(other - best) == want else best
        return best
    if expr.is_Mul and sp.S.Zero in args and any(a.has(sp.Pow, sp.Function) for a in args):
        return sp.Mul(*args, evaluate=False)  # a sign that is 0 here does not hide what else has no value here
    return expr.func(*args)


def _holds(condition: Any, sign_of: Callable[[Expr], int]) -> bool:
    return constants.holds(condition, lambda difference: sign_of(resolved(difference, sign_of)))


def _sign_at(expr: Expr, at: Expr) -> int:
    """The exact sign of an expression without branches at a point."""
    if expr == 0:
        return 0
    value = expr.subs(Z, at)
    if value.has(sp.nan, sp.zoo):
        raise Undecided(f"{expr} has no value at z = {at}")
    return constants.sign(constants.number(value))


# --- domains ---


class Condition(NamedTuple):
    """What a formula asks of one of its parts.

    Attributes
    ----------
    positive : sympy.Expr
        Must be > 0 for the formula to be smooth.
    words : str
        What is wrong where it is negative.
    closed : bool
        Whether the formula still has a value where it is 0.
    """

    positive: Expr
    words: str
    closed: bool = False


def conditions(expr: Expr) -> Iterator[Condition]:
    """What must be positive for the formula to be smooth."""
    for node in sorted(sp.postorder_traversal(expr), key=sp.count_ops):
        g: Any = node.args[0] if node.args else None
        if node.is_Pow and not isinstance(node, sp.exp):
            base, n = node.args
            if n.is_Integer and n < 0:
                yield from (Condition(base**2, DIVISION),) if not base.is_nonzero else ()
            elif not n.is_Integer and not base.is_positive:
                yield Condition(base, "a root of a negative number", bool(n.is_positive))
        elif isinstance(node, sp.log) and not g.is_positive:
            yield Condition(g, "the logarithm of a negative number")
        elif node.func.__name__ == "log1p" and not g.is_nonnegative:
            yield Condition(1 + g, "the logarithm of a negative number")
        elif isinstance(node, sp.loggamma) and not g.is_positive:
            yield Condition(g, "loggamma of a negative number")
        elif isinstance(node, sp.acosh):
            yield Condition(g - 1, "acosh below 1", True)
        elif isinstance(node, sp.atanh):
            yield Condition(1 - g**2, "atanh outside (-1, 1)")
        elif node.func.__name__ == "logit":
            yield Condition(stable(g) * stable(1 - g), "logit outside (0, 1)")
        elif isinstance(node, sp.tan):
            yield Condition(sp.cos(g) ** 2, "a pole of tan")


# --- factors ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Factors:
    """``sign * product of odd * positive * even powers``: all that the sign of an expression depends on.

    ``even`` holds the bases of even powers: where they vanish, the expression touches zero and keeps its sign.
    """

    sign: int
    odd: tuple[Expr, ...]
    even: tuple[Expr, ...]

    def sign_by(self, sign_of: Callable[[Expr], int], strict: bool = False) -> int:
        """The sign of the product from those of its factors, 0 where one is not known.

        Where ``strict``, even powers must be seen not to vanish.
        """
        sign = self.sign
        for factor in self.odd:
            sign *= sign_of(factor)
            if not sign:
                return 0
        return sign if not strict or all(sign_of(base) for base in self.even) else 0


def factored_forms(expr: Expr) -> Iterator[Factors]:
    """Ways to read off the sign of ``expr`` (in `X` > 0), the plain one first."""
    seen = [_factors(expr)]
    yield seen[0]
    if sp.count_ops(expr) < 300:
        builders = (_by_factor, _by_complement, _by_logistic, _by_conjugate)
        for builder in builders if is_quick_to_factor(expr) else (quick_factor,):
            found = _factors(builder(expr))
            if found not in seen:
                seen.append(found)
                yield found


def in_tanh(expr: Expr) -> Expr:
    """The same function with ``sinh(g)^m/cosh(g)^n`` in powers of tanh, of which bounds know that it stays below 1.

    Examples
    --------
    >>> in_tanh(1 - sp.sinh(X) ** 2 / sp.cosh(X) ** 2)
    1 - tanh(x)**2
    """

    def merged(product: Expr) -> Expr:
        powers = product.as_powers_dict()
        for node in [node for node in powers if isinstance(node, sp.sinh)]:
            below = sp.cosh(node.args[0])
            m, n = powers[node], -powers.get(below, sp.S.Zero)
            if m.is_Integer and n.is_Integer and m > 0 and n > 0:
                shared = min(m, n)
                product = product * (sp.tanh(node.args[0]) * below / node) ** shared
        return product

    if not (expr.has(sp.sinh) and expr.has(sp.cosh)):
        return expr
    return expr.replace(lambda node: node.is_Mul and node.has(sp.sinh), merged)


def by_complements(expr: Expr) -> Expr:
    """The same function, multiplied out, in what is left of tanh, erf and atan to their limits where x is large.

    Examples
    --------
    >>> by_complements(X - X**2 * (1 - sp.tanh(X) ** 2))
    4*x**2*sigmoid(-2*x)**2 - 4*x**2*sigmoid(-2*x) + x
    """
    stand_in: dict[Expr, sp.Symbol] = {}

    def written_out(e: Expr) -> Expr:
        return e.xreplace({s: small for small, s in stand_in.items()})

    def rest(node: Expr) -> Expr:
        g = written_out(node.args[0])
        side = -1 if _far_side(g) < 0 else 1
        whole, small = _REST[node.func](side * g)
        return side * (whole - stand_in.setdefault(small, sp.Dummy("s", positive=True)))

    return written_out(expand(expr.replace(lambda node: node.func in _REST, rest)))


_REST: dict[Any, Callable[[Expr], tuple[Expr, Expr]]] = {
    sp.tanh: lambda g: (sp.S.One, 2 * sigmoid(-2 * g)),
    sp.erf: lambda g: (sp.S.One, sp.erfc(g)),
    sp.atan: lambda g: (sp.pi / 2, rewrite.acot(g)),
}
"""By function, its limit at oo, and what is left to that."""

_FAR = 2.0**40
"""An x at which the side is looked at to which an argument goes: a wrong one makes no false statement."""


def _far_side(g: Expr) -> float:
    try:
        return float(np.sign(np.broadcast_to(Tape([g], [X])(float64, np.array([_FAR]))[0], (1,))[0]))
    except GateflowError:
        return 1.0


def _factors(expr: Expr) -> Factors:
    sign, odd, even = 1, [], []
    for factor in sp.Mul.make_args(sp.Mul(*[_touching(a) for a in sp.Mul.make_args(expr)])):
        base, n = (factor.base, factor.exp) if factor.is_Pow and not isinstance(factor, sp.exp) else (factor, sp.S.One)
        if known := _known_sign(factor):
            sign *= known
        elif n.is_Integer and n % 2 == 0:
            even.append(base)
        elif n.is_Integer and (held := outweighed(base)) and (held.clear or n > 0):
            sign *= held.sign
            even += [] if held.clear else [base]
        elif n.is_Integer:
            odd.append(base)
        elif n.is_Rational:  # positive where it has a value, and 0 with its base
            even.append(base)
        else:
            odd.append(factor)
    return Factors(sign, tuple(odd), tuple(even))


MANY_TERMS = 12
"""Terms from which on SymPy, which takes one derivative after the other, is not asked for the sign of a polynomial."""


def _known_sign(factor: Expr) -> int:
    """The sign that a factor has for all x > 0, where SymPy knows it or all coefficients share it; else 0."""
    if factor.is_Add and len(factor.args) >= MANY_TERMS and factor.is_polynomial(X) and factor.free_symbols == {X}:
        signs = {1 if c > 0 else -1 for c in (term.as_coeff_Mul()[0] for term in factor.args)}
        plain = all(part == X or part.is_Rational or part.as_base_exp()[0] == X for part in _parts(factor))
        return signs.pop() if plain and len(signs) == 1 else 0
    if factor.is_Add and factor.has(sp.tanh):
        factor = factor.replace(_is_slope_of_tanh, lambda node: node.args[0] * sp.Dummy(positive=True))
    return 1 if factor.is_positive else -1 if factor.is_negative else 0


def _is_slope_of_tanh(node: Expr) -> bool:
    """Whether it is a rational times ``1 - tanh(g)^2``, which is positive."""
    if not node.is_Add or len(node.args) != 2 or not node.args[0].is_Rational:
        return False
    c, square = node.args[1].as_coeff_Mul()
    return c == -node.args[0] and square.is_Pow and square.exp == 2 and isinstance(square.base, sp.tanh)


def _parts(total: Expr) -> Iterator[Expr]:
    """The factors of the terms of a sum."""
    return (part for term in total.args for part in sp.Mul.make_args(term))


class Outweighed(NamedTuple):
    """The sign of a sum in which a rational number outweighs all else; `clear` where it never vanishes."""

    sign: int
    clear: bool


_WITHIN_ONE = (sp.sin, sp.cos, sp.tanh, sp.erf)
"""Functions whose values are at most 1 in size."""


def outweighed(expr: Expr) -> Outweighed | None:
    """The sign of a rational plus rational multiples of products of sines and such, by exact arithmetic.

    Bounds in floats lose it where the two sides are close. Where they are equal the sum may be 0, as the base of an
    even power may: at isolated points, unless it is a constant that does not look like one.

    Examples
    --------
    >>> outweighed(1 - sp.Rational(999999, 1000000) * sp.cos(X)), outweighed(sp.sin(X) - 1)
    (Outweighed(sign=1, clear=True), Outweighed(sign=-1, clear=False))
    >>> outweighed(1 - 2 * sp.cos(X))
    """
    level, waves = expr.as_coeff_Add()
    if not level.is_Rational or not waves.has(*_WITHIN_ONE):
        return None
    low = high = level
    for term in sp.Add.make_args(waves):
        factor, wave = term.as_coeff_Mul()
        powers = wave.as_powers_dict().items()
        known = all(
            isinstance(base, _WITHIN_ONE) and n.is_Integer and n > 0 and base.free_symbols for base, n in powers
        )
        if not known or not factor.is_Rational:
            return None
        ends = (factor, sp.S.Zero if all(n % 2 == 0 for _, n in powers) else -factor)
        low, high = low + min(ends), high + max(ends)
    if low >= 0:
        return Outweighed(1, bool(low > 0))
    return Outweighed(-1, bool(high < 0)) if high <= 0 else None


def _touching(factor: Expr) -> Expr:
    """``a + a cos g`` as ``2 a cos(g/2)^2``, ``exp(g) - exp(h)`` as ``g - h``, and ``P + c sqrt(Q)`` by its conjugate.

    What is returned has the same sign, and the same zeros.
    """
    if not factor.is_Add or len(factor.args) != 2:
        return factor
    (c, g), (d, h) = map(_exponential, factor.args)
    if g is not None and h is not None and c * d < 0:
        return sp.sign(c) * (g - h - sp.log(-d / c))
    for a, b in (factor.args, factor.args[::-1]):
        c, node = b.as_coeff_Mul()
        if isinstance(node, sp.cos) and a in (c, -c):
            half = node.args[0] / 2
            return 2 * a * (sp.cos(half) if a == c else sp.sin(half)) ** 2
        if b.has(sp.sqrt) or any(p.is_Pow and p.exp == sp.S.Half for p in sp.Mul.make_args(b)):
            if b.is_positive and a.is_negative:
                return _touching(with_factors(expand(b**2 - a**2)))
            if b.is_negative and a.is_positive:
                return _touching(with_factors(expand(a**2 - b**2)))
    return factor


def _exponential(term: Expr) -> tuple[Expr, Expr | None]:
    """c and g of a term ``c exp(g)``, c rational; g is None where it is no such term."""
    c, node = term.as_coeff_Mul()
    return c, node.args[0] if isinstance(node, sp.exp) else sp.S.Zero if node == 1 else None


def _by_complement(expr: Expr) -> Expr:
    """As `_by_factor`, in ``sigmoid(-g)`` in place of ``sigmoid(g)``: one of the two is small on a half-line."""
    return _by_factor(expr, -1)


def _by_conjugate(expr: Expr) -> Expr:
    """With ``(p**2 - q**2*a)/(p - q*sqrt(a))`` for ``p + q*sqrt(a)``, of which the terms cancel where x is large.

    Only where what stands above has no zero for x > 0, so that what stands below has none.

    Examples
    --------
    >>> _by_conjugate((sp.sqrt(X**2 + 1) - X) ** 3)
    -1/(-x - sqrt(x**2 + 1))**3
    """

    def conjugated(total: Expr) -> Expr:
        found = _around_root(total)
        if found is None:
            return total
        rest, with_root = found
        above = sp.expand(rest**2 - with_root**2)
        if _far_side(rest) * _far_side(with_root) > 0 or not _never_vanishes(above):
            return total
        return _factored(above) / (rest - with_root)

    return expr.replace(lambda node: node.is_Add, conjugated) if expr.has(sp.Pow) else expr


def _never_vanishes(polynomial: Expr) -> bool:
    """Whether a polynomial in x, of a moderate degree and with rational coefficients, has no zero for x > 0."""
    found = sp.Poly(polynomial, X)
    if not 0 <= found.degree() <= _DEGREE_ABOVE or not all(c.is_Rational for c in found.all_coeffs()):
        return False
    apart = sp.Poly(found.terms_gcd()[1], X)
    return apart.degree() == 0 or apart.count_roots(0, None) == 0


_DEGREE_ABOVE = 24
"""Degree of the largest polynomial of which the zeros are counted for the sake of another form."""


def _around_root(total: Expr) -> tuple[Expr, Expr] | None:
    """A sum as a polynomial and a multiple of one square root of another, if it is such."""
    roots = {a for a in total.atoms(sp.Pow) if a.exp == sp.S.Half and a.has(X)}
    if len(roots) != 1:
        return None
    (root,) = roots
    with_root = [term for term in total.args if term.has(root)]
    slope, rest = sp.Add(*with_root) / root, total - sp.Add(*with_root)
    slope = sp.expand(slope)
    return (rest, slope * root) if all(part.is_polynomial(X) for part in (root.base, slope, rest)) else None


def _by_logistic(expr: Expr) -> Expr:
    """As `_by_factor`, with tanh as a logistic function: ``1 - tanh(g)^2`` then shows its sign."""
    return _by_factor(expr.replace(sp.tanh, lambda g: 2 * sigmoid(2 * g) - 1))


def _by_factor(expr: Expr, side: int = 1) -> Expr:
    """``expr`` factored, as a rational function of its logistic, exponential and other nodes."""
    arguments = {side * _without_sign(node.args[0]) for node in expr.atoms(sigmoid)}
    stand_in = {g: sp.Dummy("s", positive=True) for g in arguments}
    for g, s in stand_in.items():
        expr = expr.xreplace({sigmoid(g): s, sigmoid(-g): 1 - s})
    expr = _factored(expr)
    for g, s in stand_in.items():
        # 1 - s is positive and 2 s - 1 = tanh(g/2): said so, both keep their sign where s rounds to 1 or g is near 0.
        special = {s - 1: -sigmoid(-g), 1 - s: sigmoid(-g), 2 * s - 1: sp.tanh(g / 2), 1 - 2 * s: -sp.tanh(g / 2)}
        parts = [a.as_base_exp() for a in sp.Mul.make_args(expr)]
        expr = sp.Mul(*[special.get(base, base) ** n for base, n in parts]).xreplace({s: sigmoid(g)})
    return expr


def _factored(expr: Expr) -> Expr:
    """``sympy.factor``, or the expression as it is where that takes long: it is one way among several."""
    if too_long_to_factor(expr):
        return expr
    try:
        return bounded.call(partial(sp.factor, expr), FACTORING, processor=True)
    except Exceeded:
        return expr


FACTORING = 0.3
"""Seconds of the processor that a factorisation may take; those of the gates of the catalogue take a twentieth."""


def _without_sign(g: Expr) -> Expr:
    return -g if g.could_extract_minus_sign() else g


__all__ = [
    "DIVISION",
    "Condition",
    "Factors",
    "SmoothPiece",
    "around_unsolved_breaks",
    "beside",
    "break_points",
    "by_complements",
    "changes_once",
    "conditions",
    "factored_forms",
    "in_order",
    "in_tanh",
    "pieces",
    "real_zeros",
    "some_breaks",
    "unmet",
    "value_at",
]
