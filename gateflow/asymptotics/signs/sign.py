"""The sign of an expression on an interval or a half-line: proved, refuted by a point, or not settled.

On a compact part boxes are bisected; on a half-line `tails` gives one box. Terms that oscillate for ever, like
``sin(3 z)``, are followed through one period of their phase while everything else is bounded on the half-line.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

import sympy as sp
from mpmath import libmp

from gateflow.arithmetic.enclosed import accurate, rational
from gateflow.arithmetic.intervals import Interval, Intervals
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.plain import polynomial
from gateflow.asymptotics.signs.pieces import Factors, by_complements, factored_forms, in_tanh
from gateflow.asymptotics.signs.tails import Clock, HalfLine, LimitCache, X, in_words
from gateflow.codegen import Tape
from gateflow.codegen.expand import MOST_TERMS, terms
from gateflow.codegen.exponentials import in_exponential
from gateflow.errors import GateflowError
from gateflow.formula.functions import ELEMENTARY, NAMES, R
from gateflow.formula.vocabulary import Expr, derivative
from gateflow.guards import bounded

STARTS = tuple(sp.Rational(s) for s in ("1/2", 1, 2, 4, 8, 16, 64, 256, 4096, 2**20, 2**40, 2**120))
"""Where half-lines may begin."""

EDGE_SECONDS = 0.5
"""Seconds of the processor for the question whether a factor vanishes at an edge; most take a thousandth of one."""

LARGE = 300
"""Operations of the largest expression that is written in another form, where the plain ones do not settle its sign."""

BOXES = 6000
"""Boxes looked at before an interval is given up."""


@dataclass(frozen=True)
class Finding:
    """What is known about "``expr`` has the wanted sign on the whole piece, except at isolated points".

    Attributes
    ----------
    verdict : str
        ``proved``, ``refuted`` or ``undecided``.
    reason : str
        One line, where undecided.
    where : tuple of float or None
        An interval of x on all of which the sign is wrong (its right end may be inf).
    flat : bool
        The expression vanishes there, rather than having the opposite sign.
    at : sympy Rational or None
        A point of the interval, where one is known exactly.
    """

    verdict: str
    reason: str = ""
    where: tuple[float, float] | None = None
    flat: bool = False
    at: Expr | None = None


PROVED = Finding("proved")


class Signed:
    """An expression in `X` whose sign is asked for, in all its factored forms.

    Where ``strict``, it must not vanish at all; else it may at isolated points.
    """

    def __init__(self, expr: Expr, tools: Tools, strict: bool = False) -> None:
        expr = in_tanh(expr)
        self.expr, self.tools, self.strict = expr, tools, strict
        self.forms = list(factored_forms(expr))
        self.zero = expr == 0 or any(0 in f.odd for f in self.forms) or self._vanishes()
        self._parts: dict[Expr, Part] = {}

    def _vanishes(self) -> bool:
        """Whether the expression is identically zero; False where that is not proved."""
        ball = self.tools.ball
        try:
            tape = Tape([self.expr], [X])
            if any(tape(ball, ball.lift(x))[0].sign for x in (0.7, 2.3, 5.9)):
                return False
        except GateflowError:
            return False
        if sp.count_ops(self.expr) >= 100:
            return False
        plain = self.expr.rewrite(sp.exp)
        return terms(plain) <= MOST_TERMS and sp.expand(plain) == 0

    def part(self, factor: Expr) -> Part:
        """The numerical side of a factor."""
        if factor not in self._parts:
            self._parts[factor] = Part(factor, self.tools.ball)
        return self._parts[factor]

    def on(self, box: Interval, edges: Sequence[Expr] = ()) -> int:
        """The sign on a box, its edges excepted."""
        signs = (form.sign_by(lambda factor: self.part(factor).sign(box, edges), self.strict) for form in self.forms)
        return next((sign for sign in signs if sign), 0)

    def at(self, point: Expr) -> int:
        """The sign at a rational point, by values alone: derivatives say nothing more there."""
        ball = self.tools.ball
        x = ball.constant(point)

        def sign_of(factor: Expr) -> int:
            return self.part(factor).value(x).sign

        return next((sign for form in self.forms if (sign := form.sign_by(sign_of, self.strict))), 0)

    def everywhere(self, want: int) -> bool:
        """Whether the sign is plain from the form of the expression alone."""
        return any(not f.odd and f.sign == want and not (self.strict and f.even) for f in self.forms)

    def vanishes_at_points(self, points: Sequence[Expr]) -> bool:
        """Whether what may touch zero is seen not to do so at one of these, so that, being analytic, it does at points.

        Nothing is asked of the other factors: their signs are found on boxes.
        """
        balls = (self.tools.ball, Intervals(16 * self.tools.ball.prec))
        return all(
            any(Tape([base], [X])(ball, ball.constant(x))[0].sign for ball in balls for x in points)
            for base in {base for form in self.forms for base in form.even}
        )

    def on_half_line(self, half: HalfLine) -> int:
        """The sign on a half-line."""
        return _form_sign(self.forms, half, self.strict)

    @cached_property
    def by_complements(self) -> Signed | None:
        """The same in what is left of tanh, erf and atan to their limits, where it has any of them."""
        if not self.expr.has(sp.tanh, sp.erf, sp.atan) or sp.count_ops(self.expr) > LARGE:
            return None
        found = Signed(by_complements(self.expr), self.tools, self.strict)
        found.by_complements = None
        return found

    @cached_property
    def in_exponential(self) -> tuple[Any, Expr] | None:
        """The polynomial of one exponential with this sign, where it is one."""
        return None if self.zero else in_exponential(in_words(self.expr), X)

    @cached_property
    def in_many_digits(self) -> Signed:
        """The same expression, computed in `FINE_BITS`, or in more where its numbers are longer."""
        longest = max((int(q.p).bit_length() + int(q.q).bit_length() for q in self.expr.atoms(sp.Rational)), default=0)
        bits = min(max(FINE_BITS, longest + FINE_BITS // 4), MOST_BITS)
        found = copy(self)
        found.tools, found._parts = replace(self.tools, ball=Intervals(bits)), {}
        return found

    def beyond(self, point: Expr, way: int) -> Signed:
        """The expression beside a point, as one on a half-line of ``1/|x - point|``."""
        return Signed(self.expr.subs(X, point + way / X), self.tools, self.strict)


@dataclass(frozen=True)
class Tools:
    """What all questions about one gate share."""

    ball: Intervals
    clock: Clock
    limits: LimitCache

    @classmethod
    def new(cls, seconds: float) -> Tools:
        """Fresh tools with a deadline."""
        clock = Clock(seconds)
        return cls(Intervals(), clock, LimitCache(clock))


LONG_POLYNOMIAL = 8
"""Operations beyond which a polynomial is multiplied out before its derivative is taken.

The derivative of a product has the square of its length, and on its way SymPy looks for roots of each part.
"""


def slope_in_x(f: Expr) -> Expr:
    """The derivative in `X`; that of a long polynomial as a sum of powers."""
    found = polynomial(f, X) if sp.count_ops(f) > LONG_POLYNOMIAL else None
    return derivative(f, X) if found is None else found.diff(X).as_expr()


class Part:
    """One factor, with its derivatives, as tapes."""

    def __init__(self, factor: Expr, ball: Intervals) -> None:
        self.factor, self.ball = factor, ball
        self._value = Tape([factor], [X])
        self._edge_orders: dict[Expr, tuple[int, Tape] | None] = {}

    @cached_property
    def _slope(self) -> Tape:
        """Made where it is first asked for: the value alone settles most boxes."""
        return Tape([slope_in_x(self.factor)], [X])

    def value(self, box: Interval) -> Interval:
        """The range on the box, without the slope."""
        return self._value(self.ball, box)[0]

    def sign(self, box: Interval, edges: Sequence[Expr] = ()) -> int:
        """The sign on the box: by its range, by value and slope, or from an edge where it is 0."""
        value = self._value(self.ball, box)[0]
        if value.sign or box.lo == box.hi:
            return value.sign
        centre = _exact_middle(box)
        centred = self._value(self.ball, centre)[0] + self._slope(self.ball, box)[0] * (box - centre)
        if centred.sign:
            return centred.sign
        return next((s for i, e in enumerate(edges) if (s := self._from_edge(box, e, bool(i)))), 0)

    def _from_edge(self, box: Interval, edge: Expr, right: bool) -> int:
        """The sign on a box that ends at a zero of the factor: that of the first derivative which does not vanish."""
        at = self.ball.constant(edge)
        if (at.hi != box.hi) if right else (at.lo != box.lo):
            return 0
        if edge not in self._edge_orders:
            self._edge_orders[edge] = self._edge_order(edge)
        found = self._edge_orders[edge]
        if found is None:
            return 0
        n, tape = found
        return tape(self.ball, box)[0].sign * ((-1) ** n if right else 1)

    def _edge_order(self, edge: Expr) -> tuple[int, Tape] | None:
        f = self.factor
        for n in range(7):
            tape = Tape([f], [X])
            if tape(self.ball, self.ball.constant(edge))[0].sign:
                return (n, tape) if n else None
            fine = Intervals(16 * self.ball.prec)
            near = tape(fine, fine.constant(edge))[0]
            if sp.count_ops(f) > 250 or near.sign or not near.bounded or not self._is_zero_at(edge, f):
                return None
            f = slope_in_x(f)
        return None

    @staticmethod
    def _is_zero_at(edge: Expr, f: Expr) -> bool:
        """Whether it is shown to vanish there, exactly; a proof that takes long is not worth its time."""

        def vanishes() -> bool:
            value = f.subs(X, edge)
            known = constants.is_enclosed(value) or value.is_finite
            return bool(known) and constants.is_zero(constants.number(value))

        try:
            return bounded.call(vanishes, EDGE_SECONDS, processor=True)
        except GateflowError:
            return False


def middle(box: Interval) -> Interval:
    """A point near the middle."""
    low, high = box.ends
    return box.home.lift(0.5 * low + 0.5 * high)


def _exact_middle(box: Interval) -> Interval:
    """The middle itself, which lies in the box however narrow it is."""
    raw = libmp.mpf_shift(libmp.mpf_add(box.lo, box.hi), -1)
    return box.home.made(raw, raw)


# --- compact part -----------------------------------------------------------------------------------------------------


def on_compact(f: Signed, low: Expr, high: Expr, want: int, explain: bool = True, boxes: int = BOXES) -> Finding:
    """Whether ``f`` has the sign ``want`` on [low, high], both finite, except at isolated points.

    A refutation names an interval only if it is to ``explain``. It is given up after ``boxes`` of them. What is not
    settled soon may turn so fast that a point says nothing in few digits: now and then one is looked at in many.
    """
    ball, edges = f.tools.ball, (low, high)
    if explain and sp.count_ops(f.expr) > LARGE:
        looked = _looked_at(f, low, high, want)
        if looked is not None:
            return looked
    stack = [ball.interval(low, high)]
    for count in range(boxes):
        if not stack:
            return PROVED
        f.tools.clock.check()
        box = stack.pop()
        found = f.on(box, edges)
        if found == want:
            continue
        centre = middle(box)
        if found == -want or f.on(centre) == -want:
            return Finding("refuted", where=_widest(f, box, -want) if explain else None)
        a, b = box.ends
        m = centre.ends[0]
        if explain and count % LOOKED_AT == LOOKED_AT - 1:
            exact = sp.Rational(_fraction(centre.lo))
            if f.in_many_digits.at(exact) == -want:
                return Finding("refuted", where=(float(exact), float(exact)), at=exact)
        if not a < m < b or b - a < 1e-13 * max(1.0, abs(m)):
            closer = (_beside_edge(f, box, edges, want) or _on_narrow(f, box, edges, want)) if explain else None
            if closer is None:
                return Finding("undecided", f"a zero near x = {m:.9g} that is not resolved")
            if closer.verdict == "refuted":
                return closer
            continue
        stack += [ball.hull(centre, ball.made(box.hi, box.hi)), ball.hull(ball.made(box.lo, box.lo), centre)]
    return Finding("undecided", f"not settled with {boxes} boxes, near x = {stack[-1].ends[0]:.6g}")


def _looked_at(f: Signed, low: Expr, high: Expr, want: int) -> Finding | None:
    """A point of an interval at which the sign is wrong, or that none is seen even in many digits; else None."""
    points = [x for k in range(1, SAMPLES) if (x := low + (high - low) * sp.Rational(k, SAMPLES)).is_Rational]
    for g, some in ((f, points), (f.in_many_digits, points[::4])):
        f.tools.clock.check()
        signs = []
        for x in some:
            signs.append(g.at(x))
            if signs[-1] == -want:
                return Finding("refuted", where=(float(x), float(x)), at=x)
    return (
        None if any(signs) or not signs else Finding("undecided", "at no point is its sign seen, even in many digits")
    )


SAMPLES = 32
"""Parts of an interval, between which a long expression is looked at first: its derivative is longer still."""

LOOKED_AT = 32
"""One in this number of boxes that are not settled is looked at, at its middle, in many digits."""

MOST_BITS = 4000

FINE_BITS = 640
"""Bits of the numbers by which a box as narrow as floats is looked at."""

FINE_BOXES = 1500


def _on_narrow(f: Signed, box: Interval, edges: Sequence[Expr], want: int) -> Finding | None:
    """The same on a box as narrow as floats, halved further at exact numbers; None where that settles nothing."""
    fine = f.in_many_digits
    ball = fine.tools.ball
    narrowest = Fraction(1, 2 ** (FINE_BITS // 2))
    stack = [(_fraction(box.lo), _fraction(box.hi))]
    for _ in range(FINE_BOXES):
        if not stack:
            return PROVED
        f.tools.clock.check()
        a, b = stack.pop()
        m = (a + b) / 2
        found = fine.on(ball.interval(sp.Rational(a), sp.Rational(b)), edges)
        if found == want:
            continue
        if found == -want or fine.on(ball.constant(sp.Rational(m))) == -want:
            return Finding("refuted", where=(float(m), float(m)), at=sp.Rational(m))
        if b - a < narrowest:
            return None
        stack += [(m, b), (a, m)]
    return None


def _beside_edge(f: Signed, box: Interval, edges: Sequence[Expr], want: int) -> Finding | None:
    """The same where the narrow box ends at an edge: by bounds on the half-line of the reciprocal distance from it."""
    for edge, way, end in ((edges[0], 1, box.lo), (edges[1], -1, box.hi)):
        at = f.tools.ball.constant(edge)
        if end != (at.lo if way > 0 else at.hi) or not edge.is_Rational:
            continue
        width = abs(_fraction(box.hi if way > 0 else box.lo) - Fraction(int(edge.p), int(edge.q)))
        if width == 0:
            continue
        beside, start = f.beyond(edge, way), sp.Rational(1, 1) / sp.Rational(width.numerator, width.denominator)
        for half in (HalfLine(start, f.tools.ball, f.tools.limits), HalfLine(start**4, f.tools.ball, f.tools.limits)):
            sign = beside.on_half_line(half)
            if sign == want and half.start == start:
                return PROVED
            if sign == -want:
                z = edge + way / (2 * half.start)
                return Finding("refuted", where=(float(z), float(z)), at=z)
    return None


def _fraction(raw: Any) -> Fraction:
    """An end of a box, exactly."""
    return Fraction(*map(int, libmp.to_rational(raw)))


# --- polynomials ------------------------------------------------------------------------------------------------------

_DEGREE, _BITS = 40, 4000
"""Polynomials up to this degree, with numbers of no more bits, have their roots isolated."""


def by_roots(f: Signed, low: Expr, high: Expr, want: int) -> Finding | None:
    """Whether ``f`` has the sign ``want`` on (low, high) where that is the sign of a polynomial; else None."""
    if f.strict or not low.is_Rational or not (high.is_Rational or high == sp.oo):
        return None
    for form in f.forms:
        poly = _polynomial(form)
        if poly is not None:
            return _by_isolated_roots(f, poly, low, high, want)
    return None


def _polynomial(form: Factors) -> Any:
    """The squarefree polynomial with the sign of the form, up to isolated points."""
    product = sp.Mul(form.sign, *form.odd)
    if not form.odd or not all(factor.is_polynomial(X) for factor in form.odd) or product.free_symbols != {X}:
        return None
    poly = polynomial(product, X) or sp.Poly(product, X)
    numbers = poly.all_coeffs()
    if poly.degree() > _DEGREE or not all(
        c.is_Rational and max(c.p.bit_length(), c.q.bit_length()) <= _BITS for c in numbers
    ):
        return None
    constant, factors = poly.sqf_list()
    odd = [q for q, k in factors if k % 2]
    return sp.Poly(sp.sign(constant), X) * math.prod(odd, start=sp.Poly(1, X)) if odd else sp.Poly(sp.sign(constant), X)


def _by_isolated_roots(f: Signed, poly: Any, low: Expr, high: Expr, want: int) -> Finding:
    inner = poly
    for end in (low, high):
        if end != sp.oo and poly.eval(end) == 0:
            inner = sp.quo(inner, sp.Poly(X - end, X))
    last = None if high == sp.oo else high
    width = sp.Rational(1, 2**20)
    while True:
        roots = [ends for ends, _ in inner.intervals(eps=width, inf=low, sup=last)] if inner.degree() > 0 else []
        if all(low < a and (last is None or b < last) for a, b in roots):
            break
        width /= 2**20
    gaps = list(zip([low, *(b for _, b in roots)], [*(a for a, _ in roots), high], strict=True))
    for a, b in gaps:
        at = simplest_between(a, b) if a != b else a
        if sp.sign(poly.eval(at)) == -want:
            return Finding("refuted", where=_around(f, a, b, at, -want), at=at)
    return PROVED


def by_exponentials(f: Signed, low: Expr, high: Expr, want: int) -> Finding | None:
    """The same where that is the sign of a polynomial of one exponential."""
    if f.strict or f.in_exponential is None:
        return None
    polynomial, rate = f.in_exponential
    ball = f.tools.ball
    ends = [ball.constant(sp.exp(-rate * x)) for x in (high, low)]
    first, last = (sp.Rational(*_fraction(raw).as_integer_ratio()) for raw in (ends[0].lo, ends[1].hi))
    constant, factors = polynomial.sqf_list()
    odd: Any = math.prod((q for q, k in factors if k % 2), start=sp.Poly(1, *polynomial.gens))
    width = sp.Rational(1, 2**40)
    roots = sorted(pair for pair, _ in odd.intervals(eps=width, inf=first, sup=last)) if odd.degree() > 0 else []
    gaps = zip([first, *(b for _, b in roots)], [*(a for a, _ in roots), last], strict=True)
    for a, b in gaps:
        if a == b:
            continue
        w = (a + b) / 2
        if sp.sign(constant * odd.eval(w)) == -want:
            x = (sp.Rational(math.log(w.q) - math.log(w.p)) / _rational(rate)).limit_denominator(10**6)
            inside = constants.below(low, x) and constants.below(x, high) and f.on(ball.constant(x)) == -want
            return Finding("refuted", where=(float(x), float(x)), at=x) if inside else None
    return PROVED


def _around(f: Signed, a: Expr, b: Expr, at: Expr, sign: int) -> tuple[float, float]:
    """An interval in floats on which the sign is proved; the point, where floats are too far apart."""
    low, high = float(a), float(b) if b != sp.oo else math.inf
    inner = (0.75 * low + 0.25 * high, 0.25 * low + 0.75 * high) if high < math.inf else (float(at), float(at) + 1)
    inner = (min(inner[0], float(at)), max(inner[1], float(at)))
    fits = inner[0] < inner[1] and f.on(f.tools.ball.interval(*inner)) == sign
    return inner if fits else (float(at), float(at))


def simplest_between(low: Expr, high: Expr) -> Expr:
    """The rational with the smallest denominator strictly between two rationals, the right one perhaps oo.

    Examples
    --------
    >>> simplest_between(sp.Rational(31, 100), sp.Rational(34, 100)), simplest_between(sp.Integer(2), sp.oo)
    (1/3, 3)
    """
    whole = sp.floor(low) + 1
    if whole < high:
        return whole
    base = whole - 1
    upper = sp.oo if low == base else 1 / (low - base)
    return base + 1 / simplest_between(1 / (high - base), upper)


def _widest(f: Signed, box: Interval, sign: int) -> tuple[float, float]:
    """A large part of the box, around its middle, on which the sign is proved."""
    low, high = box.ends
    if f.on(box) == sign:
        return low, high
    m = middle(box).ends[0]
    half = 0.5 * (high - low)
    for _ in range(50):
        inner = f.tools.ball.interval(m - half, m + half)
        if f.on(inner) == sign:
            return m - half, m + half
        half *= 0.5
    return m, m


# --- half-lines -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tail:
    """The proved sign of an expression for all ``x >= start``; or, for ``sign`` 0, why there is none.

    Attributes
    ----------
    sign : int
    start : sympy Rational or None
    phases : tuple
        Pairs (phase, sign): the expression has this sign wherever ``x >= start`` and the oscillating argument has
        this phase, so each sign comes back for ever.
    base : sympy.Expr or None
        The oscillating argument.
    """

    sign: int
    start: Expr | None = None
    reason: str = ""
    phases: tuple[tuple[float, int], ...] = ()
    base: Expr | None = None


def on_tail(f: Signed, left: Expr = sp.S.Zero, want: int = 0) -> Tail:
    """The eventual sign of ``f`` from an explicit start on; a phase with the sign ``-want`` ends the search."""
    nodes = oscillating(f.expr, f.tools.limits)
    starts = [s for s in STARTS if constants.below(left, s)] or [constants.integer_above(2 * left)]
    if nodes:
        return _oscillating_tail(f, nodes, starts[2::2] or starts, want)
    for start in starts:
        half = HalfLine(start, f.tools.ball, f.tools.limits)
        sign = f.on_half_line(half)
        if sign:
            return Tail(sign, start)
    found = on_tail(f.by_complements, left, want) if f.by_complements is not None else Tail(0)
    if not found.sign and f.in_exponential is not None:
        sign, start = _until_last_change(*f.in_exponential)
        return Tail(sign, start if constants.below(left, start) else starts[0])
    return found if found.sign else Tail(0, reason="no half-line was found on which bounds settle the sign")


def _until_last_change(polynomial: Any, rate: Expr) -> tuple[int, Expr]:
    """The sign of p(exp(-c x)) for large x, which is not 0, and a rational from which on it is that."""
    _, factors = polynomial.sqf_list()
    width = sp.Rational(1, 2**10)
    while True:
        ends = [ends for p, _ in factors for ends, _ in p.intervals(eps=width, inf=0, sup=1) if ends != (0, 0)]
        if all(a > 0 for a, _ in ends):
            break
        width /= 2**20
    nearest = min((a for a, _ in ends), default=sp.S.One)
    sign = int(sp.sign(polynomial.eval(nearest / 2)))
    far = sp.Rational(math.log(nearest.q) - math.log(nearest.p)) / _rational(rate)
    return sign, sp.Rational(math.floor(16 * far) + 2, 16)


def _rational(rate: Expr) -> sp.Rational:
    """A positive constant, or a rational next to it; it may be too small for a float."""
    if rate.is_Rational:
        return rate
    ball = accurate(rate, 60)
    return sp.Rational(float(rate)) if ball is None else rational(ball)


def _form_sign(forms: Sequence[Factors], half: HalfLine, strict: bool) -> int:
    return next((sign for form in forms if (sign := form.sign_by(half.sign, strict))), 0)


def oscillating(expr: Expr, limits: LimitCache) -> list[Expr]:
    """The sin and cos nodes whose argument does not settle."""
    return [n for n in sorted(expr.atoms(sp.sin, sp.cos), key=str) if not _settles(n.args[0], limits)]


def squeezed(expr: Expr, limits: LimitCache) -> Expr:
    """The limit of what oscillates less and less, part by part: what is bounded does not matter beside 0 or oo.

    Raises
    ------
    Undecided
        A part has no limit that is seen.
    """
    if not oscillating(expr, limits):
        return limits(expr)
    waves = [a for a in expr.args if oscillating(a, limits)]
    if expr.is_Add or expr.is_Mul:
        steady = expr.func(*(a for a in expr.args if a not in waves))
        end = limits(steady)
        if (end == 0 if expr.is_Mul else end.is_infinite) and all(_is_bounded(a, limits) for a in waves):
            return end
        ends = [end, *(squeezed(a, limits) for a in waves)]
        if all(end.is_finite for end in ends):
            return expr.func(*ends)
    elif (facts := ELEMENTARY.get(NAMES.get(expr.func, ""))) and facts.domain == R and facts.ends and not facts.even:
        end = squeezed(expr.args[0], limits)
        if end.is_infinite:
            return facts.ends[0 if end == -sp.oo else 1]
        if end.is_finite:
            return expr.func(end)
    raise Undecided("phi oscillates as z grows, and may have no limit")


def _is_bounded(expr: Expr, limits: LimitCache) -> bool:
    """Whether all parts are seen to be bounded for large x."""
    facts = ELEMENTARY.get(NAMES.get(expr.func, ""))
    if isinstance(expr, sp.sin | sp.cos) or (
        facts and facts.domain == R and facts.ends and sp.oo not in map(abs, facts.ends)
    ):
        return True
    if expr.is_Add or expr.is_Mul or (expr.is_Pow and expr.exp.is_Integer and expr.exp > 0):
        return all(_is_bounded(a, limits) for a in expr.args)
    return not oscillating(expr, limits) and _settles(expr, limits)


def _settles(g: Expr, limits: LimitCache) -> bool:
    try:
        return bool(limits(g).is_finite)
    except Undecided:
        return False


def _grows(g: Expr, limits: LimitCache) -> bool:
    """Whether the argument tends to oo or -oo, so that it takes every phase for ever."""
    try:
        return bool(limits(g).is_infinite)
    except Undecided:
        return False


def _ratio(g: Expr, base: Expr) -> Expr:
    """The quotient of two arguments, simplified only where its values at two points do not show that it varies."""
    found = g / base
    if found.has(X):
        ball = Intervals()
        try:
            first, second = (Tape([found], [X])(ball, ball.constant(sp.Rational(x)))[0] for x in ("37/7", "113/9"))
            if (first - second).sign:
                return found
        except GateflowError:
            pass
        found = sp.simplify(found)
    return found


class _Phases:
    """Oscillating nodes as symbols; those with commensurable arguments follow one phase."""

    def __init__(self, nodes: list[Expr], ball: Intervals, grows: bool) -> None:
        self.ball = ball
        self.symbols = {node: sp.Dummy("s", real=True) for node in nodes}
        self.base = nodes[0].args[0]
        ratios = {node: _ratio(node.args[0], self.base) for node in nodes}
        self.single = all(r.is_Rational for r in ratios.values()) and grows
        self.ratios = ratios
        self.period = 2 * math.pi * (math.lcm(*[int(r.q) for r in ratios.values()]) if self.single else 1)

    def at(self, phase: Interval | None) -> dict[sp.Symbol, Interval]:
        """Values of the symbols for a range of the phase; [-1, 1] without one."""
        if phase is None or not self.single:
            return dict.fromkeys(self.symbols.values(), self.ball.interval(-1, 1))
        return {
            symbol: getattr(self.ball, node.func.__name__)(phase * self.ball.constant(self.ratios[node]))
            for node, symbol in self.symbols.items()
        }


def _oscillating_tail(f: Signed, nodes: list[Expr], starts: Sequence[Expr], want: int) -> Tail:
    phases = _Phases(nodes, f.tools.ball, _grows(nodes[0].args[0], f.tools.limits))
    forms = [
        Factors(form.sign, *(tuple(a.xreplace(phases.symbols) for a in part) for part in (form.odd, form.even)))
        for form in f.forms
    ]

    def sign_at(start: Expr, phase: Interval | None) -> int:
        return _form_sign(forms, HalfLine(start, f.tools.ball, f.tools.limits, phases.at(phase)), f.strict)

    for start in starts:
        sign = sign_at(start, None)
        if sign:
            return Tail(sign, start)
    if not phases.single:
        return Tail(0, reason="several oscillations without a common period")
    for start in starts:
        points = [phases.period * (i + 0.5) / 48 for i in range(48)]
        signs = {p: s for p in points if (s := sign_at(start, f.tools.ball.lift(p)))}
        found = set(signs.values())
        if found == {1, -1} or (want and -want in found):
            witness = tuple(_central(signs, target) for target in sorted(found))
            return Tail(0, start, "the sign changes for ever", witness, phases.base)
        if len(found) == 1 and _every_phase(sign_at, start, phases, f.tools, next(iter(found))):
            return Tail(found.pop(), start)
    return Tail(0, reason=f"the sign depends on the phase of {phases.base}, and is not settled")


def _central(signs: dict[float, int], target: int) -> tuple[float, int]:
    """The phase in the middle of the longest run with this sign."""
    best: list[float] = []
    run: list[float] = []
    for phase in [*signs, *signs]:
        run = [*run, phase] if signs[phase] == target else []
        best = run if len(run) > len(best) else best
    return best[len(best) // 2], target


def _every_phase(sign_at: Any, start: Expr, phases: _Phases, tools: Tools, want: int) -> bool:
    ball = tools.ball
    stack = [(Fraction(i, 16), Fraction(i + 1, 16)) for i in range(16)]
    period = ball.constant(sp.pi) * ball.lift(round(phases.period / math.pi))
    for _ in range(2000):
        if not stack:
            return True
        tools.clock.check()
        a, b = stack.pop()
        box = ball.hull(period * ball.constant(sp.Rational(a)), period * ball.constant(sp.Rational(b)))
        if sign_at(start, box) == want:
            continue
        if b - a < Fraction(1, 4096):
            return False
        m = (a + b) / 2
        stack += [(a, m), (m, b)]
    return False


__all__ = [
    "Finding",
    "Signed",
    "Tail",
    "Tools",
    "by_exponentials",
    "by_roots",
    "on_compact",
    "on_tail",
    "oscillating",
    "slope_in_x",
]
