"""Is a gate in class F (theory.md §2, Definition 4.1)? Each clause proved, refuted with a witness, or undecided.

A gate with a floor, ``phi(-oo) = a`` in (0, 1), is in F on (a, 1) where it is onto (a, 1) in place of (0, 1).

The gate is cut into smooth pieces at the exact points where its formula changes branch. On a piece ``phi'`` has the
sign of ``u'`` and ``phi''`` that of ``u'' - u'^2 tanh(u/2)``, u the logit profile where it is known; both are followed
by interval arithmetic, on half-lines by `tails` and between by bisection. Factors that SymPy knows to be positive and
even powers are taken out first, so that a slope which only touches zero, like that of ``sigma(z^3)``, is no obstacle.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from fractions import Fraction
from functools import cached_property, partial
from itertools import combinations, pairwise
from typing import Any, TypeVar

import sympy as sp
from mpmath import libmp

from gateflow.arithmetic import decimals
from gateflow.arithmetic.enclosed import accurate, rational
from gateflow.arithmetic.intervals import Interval
from gateflow.asymptotics.clauses import CLAUSES, Clause, Membership, Witness
from gateflow.asymptotics.limits import constants, plain
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import GRACE, Field
from gateflow.asymptotics.proofs.statements import on_interval, text_of
from gateflow.asymptotics.signs.pieces import SmoothPiece, real_zeros
from gateflow.asymptotics.signs.sign import Finding, Signed, Tail, on_compact, on_tail, oscillating, squeezed
from gateflow.asymptotics.signs.smoothness import (
    Joint,
    PiecewiseGate,
    alike,
    apart,
    as_float,
    equal,
    from_to,
    inside,
    short,
    text_in_z,
)
from gateflow.asymptotics.signs.tails import HalfLine, X, in_words
from gateflow.codegen import Tape
from gateflow.errors import Exceeded, GateflowError
from gateflow.formula.vocabulary import Expr, Z
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded

T = TypeVar("T")

SECONDS = 20.0
"""Time allowed for one gate."""

NEARER = 100
"""Boxes looked at for a z0 nearer to the last change of sign, each time."""

MOST_NESTED = 8
"""Exponentials in each other whose bounds are looked for: with one more no number on a half-line has a value."""

REST = 1 / 6
"""The part of it that the other clauses may take of the processor, once one is refuted: the gate is not in F anyway."""


def membership(gate: Any, seconds: float = SECONDS) -> Membership:
    """Decide each clause of Definition 4.1 for a gate.

    Parameters
    ----------
    gate : Gate or str
        A gate, or its name or formula.
    seconds : float
        Time allowed; what is not settled by then is undecided.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> print(membership(Gate("0.05 + 0.9*sigmoid(z)")).clause("onto"))
    phi is onto (0, 1): refuted (phi(-oo) = 1/20 and phi(oo) = 19/20)
    >>> membership(Gate("sigmoid(sinh(z))")).verdict
    'in F'
    >>> print(membership(Gate("0.3 + 0.7*sigmoid(z)")).clause("onto"))
    phi is onto (3/10, 1): proved (continuous, with phi(-oo) = 3/10 and phi(oo) = 1)
    """
    gate, seconds = as_gate(gate), bounded.checked(seconds)
    start = time.monotonic()
    try:
        case = bounded.call(lambda: _Case(gate, seconds), seconds)
    except Exceeded as error:
        clauses = tuple(Clause(name, "undecided", error.reason) for name in CLAUSES)
        return Membership(gate.name, "undecided", clauses, seconds=time.monotonic() - start)
    return case.decide(start)


_NOT_PURSUED = "not pursued: another clause is refuted"


def _overall(clauses: list[Clause]) -> str:
    verdicts = {c.verdict for c in clauses}
    if "refuted" in verdicts:
        return "not in F"
    return "undecided" if "undecided" in verdicts else on_interval(clauses[list(CLAUSES).index("onto")].floor)


class _Case(PiecewiseGate):
    """One gate, clause by clause."""

    def _differentiable(self) -> Clause:
        return self.differentiable()

    def decide(self, start: float) -> Membership:
        clauses: list[Clause] = []
        clock, known = self.tools.clock, False
        for name in CLAUSES:
            try:
                clauses.append(self._within_bounds(partial(self._clause, name)))
            except GateflowError as error:
                why = _NOT_PURSUED if known and str(error).startswith("no answer") else self._explain(str(error))
                clauses.append(Clause(name, "undecided", why))
            if clauses[-1].verdict == "refuted" and not known:
                known = True
                clock.allow(REST * clock.seconds)
        if self.gate.lost_domain is not None:
            self.warnings.insert(0, self.gate.lost_domain)
        last = clauses[-1].witness or {}
        if _overall(clauses).startswith("in F"):
            self._within_bounds(self._warn_of_critical_points)
        return Membership(
            self.gate.name,
            _overall(clauses),
            tuple(clauses),
            tuple(self.warnings),
            last.get("z0"),
            last.get("z0_left"),
            time.monotonic() - start,
        )

    def _within_bounds(self, work: Callable[[], T]) -> T:
        """What the work returns, if it does so in the time left or shortly after."""
        clock = self.tools.clock
        if (allowed := clock.allowed) is not None:
            work = partial(bounded.call, work, allowed + GRACE, processor=True, error=Undecided, asked=clock.seconds)
        return bounded.call(work, clock.left + GRACE, error=Undecided, asked=clock.seconds)

    def _explain(self, reason: str) -> str:
        """The reason in the user's terms: what x is, and that parameters are open."""
        loose = sorted(map(str, self.expr.free_symbols - {Z}))
        if loose:
            return f"it may depend on {', '.join(loose)}"
        return reason + (" (x = |z|)" if re.search(r"\bx\b", reason) else "")

    def _increasing(self) -> Clause:
        name = "increasing"
        open_: Finding | None = None
        for piece in reversed(self.pieces):
            finding = self.on_piece(self.slope(piece), piece, 1)
            if finding.verdict == "refuted":
                return self._not_increasing(piece, finding)
            open_ = finding if finding.verdict == "undecided" else open_
        if open_ is not None:
            return Clause(name, "undecided", f"the sign of phi': {open_.reason}")
        fallen = next((fall for joint in self.joints if (fall := self._falls(joint)) is not None), None)
        if fallen is not None:
            return fallen
        if not self.settled:
            raise Undecided("phi' > 0 wherever phi is defined, but phi may be undefined somewhere")
        touching = ", except possibly at isolated points" if self.joints or self._may_touch_zero() else ""
        return Clause(name, "proved", "phi' > 0" + touching)

    def _may_touch_zero(self) -> bool:
        """Whether phi' may vanish somewhere inside a piece, or at 0."""
        if any(form.even for piece in self.pieces for form in self.slope(piece).forms):
            return True
        try:
            return not all(self.value_at(p, 0, 1).positive for p in self.pieces if p.left == 0)
        except GateflowError:
            return True

    def _falls(self, joint: Joint) -> Clause | None:
        """Whether phi falls at a break point, on the way from one side to the value or from there to the other side."""
        if joint.low is None or joint.high is None:
            raise Undecided(joint.clause.reason)
        at, way = text_of(joint.z), [joint.low, *([] if joint.at is None else [joint.at]), joint.high]
        if all(constants.sign(constants.number(b - a)) >= 0 for a, b in pairwise(way)):
            return None
        if joint.at is not None and equal(joint.low, joint.high):
            reason = f"phi({at}) is {apart(joint.at, joint.low)}, its limit there"
        else:
            reason = f"phi falls at z = {at}: {_through(way)}"
        return Clause("increasing", "refuted", reason, {"kind": "fall", "z": float(joint.z), "point": at})

    def _not_increasing(self, piece: SmoothPiece, finding: Finding) -> Clause:
        assert finding.where is not None
        low, high = sorted(piece.z(x) for x in finding.where)
        if finding.flat:
            reason = f"flat for {_range(low, high)}"
            return Clause("increasing", "refuted", reason, {"kind": "flat", "interval": [low, high]})
        exact = finding.at if low == high else None
        x = inside(finding.where) if exact is None else exact
        slope = self.value_at(piece, x, 1)
        profile = self.is_profile and not slope.negative  # far out phi' is below all numbers, and u' is not
        falls = partial(self._falls_at, piece, profile=profile)
        near = None
        if falls(x):
            near = self._printable_point(piece, x, lambda x: (low <= piece.z(x) <= high or low == high) and falls(x))
        if near is None:
            raise Undecided(f"phi may have no value for {_range(low, high)}")
        span = _range(low, high) if low < high else f"z = {near[0]}"
        value = _middle(self.value_at(piece, near[1], 1, profile=profile))
        reason = (
            f"phi' < 0 for {span}: " + ("phi = sigmoid(u), and u'" if profile else "phi'") + f"({near[0]}) = {value}"
        )
        witness: Witness = {"kind": "negative_slope", "interval": [low, high], "z": float(piece.z(x))}
        witness["slope"] = list(slope.ends)
        if exact is not None:
            witness["point"] = text_of(piece.z(x))
        return Clause("increasing", "refuted", reason, witness)

    def _falls_at(self, piece: SmoothPiece, x: Expr, *, profile: bool) -> bool:
        return self.value_at(piece, x, 1, profile=profile).negative

    def _has_sign(self, f: Signed, sign: int, x: Expr) -> bool:
        return f.on(self.ball.lift(x)) == sign

    def _printable_point(self, piece: SmoothPiece, x: Any, holds: Callable[[Any], bool]) -> tuple[str, Expr] | None:
        """A point near x of which the claim is true too, as the z to print, in few digits, and as an x; or None."""

        def true_of(z: Fraction) -> bool:
            x = piece.side * sp.Rational(z)
            return self._is_inside(piece, x) and holds(x)

        z = Fraction(sp.Rational(piece.z(x)))
        brief = str(z) if len(str(z)) <= 12 and not isinstance(x, float) else decimals.shortest(z, true_of)
        return None if brief is None else (brief, piece.side * sp.Rational(Fraction(brief)))

    def _is_inside(self, piece: SmoothPiece, x: Expr) -> bool:
        """Whether phi is the formula of the piece at x: at a break point it may be another."""
        return piece.holds(x) or (x == 0 == piece.left and 0 not in self._cut[1])

    # --- clause 3 ---

    @cached_property
    def limits(self) -> dict[int, Expr]:
        """The limits of phi at -oo and oo, exactly."""
        return {p.side: self._limit(p) for p in (self.pieces[0], self.pieces[-1])}

    def _limit(self, piece: SmoothPiece) -> Expr:
        f = in_words(piece.expr)
        found = self._plain_limit(f)
        if found is not None:
            value = found
        elif not oscillating(f, self.tools.limits):
            value = Field(X, self.tools.clock.budget(5.0)).limit(f)
        else:
            value = self._limit_of_oscillating(piece)
        if self.is_profile and value.is_infinite:
            return sp.S.One if value > 0 else sp.S.Zero
        return self.phi_of(value)

    @staticmethod
    def _plain_limit(f: Expr) -> Expr | None:
        """The limit where no series is needed; no other way is tried past many nested exponentials."""
        try:
            return plain.limit(f, X)
        except plain.TooLarge:
            if _nested(f) > MOST_NESTED:
                raise
            return None

    def _limit_of_oscillating(self, piece: SmoothPiece) -> Expr:
        """oo or -oo where the growing part outdoes the oscillation, and a number where that dies away."""
        f = piece.expr
        nodes = oscillating(f, self.tools.limits)
        stand_in = {node: sp.Dummy("s", real=True) for node in nodes}
        whole = dict.fromkeys(stand_in.values(), self.ball.interval(-1, 1))
        start = max(sp.Integer(16), 2 * constants.integer_above(piece.left) - 1)
        c, d = HalfLine(start, self.ball, self.tools.limits, whole).bound(f.xreplace(stand_in))
        if d != 0 and c.sign and self.tools.limits(d) == sp.oo:
            return sp.oo * c.sign
        return squeezed(in_words(f), self.tools.limits)

    def _onto(self) -> Clause:
        name = "onto"
        outside = self._value_outside() or self._bounded_away()
        if outside is not None:
            return outside
        low, high = self.limits[-1], self.limits[1]
        words = f"phi(-oo) = {_beside(low)} and phi(oo) = {_beside(high)}"
        floor = self._floor(low, high)
        if not (floor or (equal(low, sp.S.Zero) and equal(high, sp.S.One))):
            backwards = equal(low, sp.S.One) and equal(high, sp.S.Zero)
            if not backwards and self.continuous:
                return Clause(
                    name, "refuted", words, {"kind": "limits", "left": as_float(low), "right": as_float(high)}
                )
            if not backwards:
                raise Undecided(words)
        if not self.continuous:
            return self._onto_without_continuity()
        if (self.is_profile and not floor) or self._is("increasing"):
            return Clause(name, "proved", f"continuous, with {words}", floor)
        raise Undecided(f"whether phi stays between {_beside(low)} and {_beside(high)} is not settled")

    def _floor(self, low: Expr, high: Expr) -> Witness | None:
        """The limit on the left where it is in (0, 1), and that on the right is 1."""
        if low.free_symbols or low.is_infinite or not equal(high, sp.S.One):
            return None
        value = constants.number(low)
        if constants.sign(value) <= 0 or constants.compare(value, 1) >= 0:
            return None
        return {"kind": "floor", "floor": text_of(_plain(low)), "value": as_float(low)}

    def _is(self, name: str) -> bool:
        return self._clause(name).verdict == "proved"

    def _clause(self, name: str) -> Clause:
        if name not in self.__dict__.setdefault("_memo", {}):
            self.__dict__["_memo"][name] = getattr(self, "_" + name)()
        return self.__dict__["_memo"][name]

    def _onto_without_continuity(self) -> Clause:
        if self.settled and self._is("increasing"):
            reason = f"{self.jumps[0].clause.reason}: no value between is taken"
            return Clause("onto", "refuted", reason, self.jumps[0].clause.witness)
        raise Undecided("continuity is not settled")

    def _bounded_away(self) -> Clause | None:
        """Bounds that keep an oscillating phi away from 0 or from 1."""
        if not oscillating(self.pieces[-1].expr, self.tools.limits):
            return None
        bounds = [self._range(p) for p in self.pieces]
        if any(b is None for b in bounds):
            return None
        low, high = self.ball.hull(*[b for b in bounds if b is not None]).ends
        if low <= 0 and high >= 1:
            return None
        reason = f"phi stays within [{decimals.below(low)}, {decimals.above(high)}]"
        return Clause("onto", "refuted", reason, {"kind": "range", "interval": [low, high]})

    def _range(self, piece: SmoothPiece) -> Interval | None:
        """An enclosure of phi on a piece, oscillating terms taken as anything in [-1, 1]."""
        stand_in = {node: sp.Dummy("s", real=True) for node in piece.expr.atoms(sp.sin, sp.cos)}
        whole = dict.fromkeys(stand_in.values(), self.ball.interval(-1, 1))
        f = self.phi_of(piece.expr).xreplace(stand_in)
        near = 1 + piece.left
        box = self.ball.interval(piece.left, near if constants.below(near, piece.right) else piece.right)
        try:
            near = Tape([f], [X, *whole])(self.ball, box, *whole.values())[0]
            if piece.right.is_finite:
                return near if box.hi == self.ball.constant(piece.right).hi else None
            far = HalfLine(1 + piece.left, self.ball, self.tools.limits, whole).values(f)
        except GateflowError:
            return None
        return self.ball.hull(near, far) if near.valid and far.valid else None

    def _value_outside(self) -> Clause | None:
        """A point where phi is not between 0 and 1."""
        if self.is_profile:
            return None
        for piece in self.pieces:
            for x in _samples(piece):
                value = self.value_at(piece, x)
                if _is_outside(value):
                    near = self._printable_point(piece, x, lambda x, piece=piece: _is_outside(self.value_at(piece, x)))
                    if near is None:
                        continue
                    reason = f"phi({near[0]}) = {_middle(self.value_at(piece, near[1]))} is not in (0, 1)"
                    witness = {"kind": "value", "z": piece.z(x), "phi": list(value.ends)}
                    return Clause("onto", "refuted", reason, witness)
        return next((found for joint in self.joints if (found := self._outside(joint)) is not None), None)

    def _outside(self, joint: Joint) -> Clause | None:
        """The same at a break point, exactly."""
        if joint.at is None:
            return None
        value = constants.number(joint.at)
        if constants.sign(value) > 0 and constants.compare(value, 1) < 0:
            return None
        at, ends = text_of(joint.z), self.ball.constant(joint.at).ends
        witness = {"kind": "value", "z": float(joint.z), "point": at, "phi": list(ends)}
        return Clause("onto", "refuted", f"phi({at}) = {short(joint.at)} is not in (0, 1)", witness)

    # --- clause 4 ---

    def _monotone_slope(self) -> Clause:
        left, piece = self.pieces[0], self.pieces[-1]
        tail, turned = self._tail(piece), -piece.expr if self.is_profile else 1 - piece.expr
        odd = left.left == piece.left and left.expr == turned
        tails = {1: (piece, tail), -1: (left, _mirrored(tail) if odd else self._tail(left))}
        sides = {side: self._tail_of_slope(*found) for side, found in tails.items()}
        right = sides[1]
        if right.witness is not None and right.verdict == "proved" and sides[-1].witness is not None:
            right.witness["z0_left"] = sides[-1].witness.get("z0") if sides[-1].verdict == "proved" else None
        if right.verdict == sides[-1].verdict == "proved":
            return Clause(right.name, "proved", f"{right.reason}, {sides[-1].reason}", right.witness)
        if sides[-1].verdict == "refuted":
            self.warnings.append(f"on the left {sides[-1].reason} (Definition 4.1 asks for z >= z0 only)")
        return right

    def _tail(self, piece: SmoothPiece) -> Tail | Undecided | None:
        """The sign of phi'' far out, from a z0 on that is near to its last change; None where phi is straight there."""
        if _is_out_of_range(piece.expr):
            return Undecided(f"more than {MOST_NESTED} nested exponentials")
        f = self.bend(piece)
        if f.zero:
            return None
        try:
            tail = on_tail(f, piece.left)
        except Undecided as error:
            return error
        if not tail.sign:
            return tail
        try:
            return replace(tail, start=self._tighten(f, piece, tail))
        except Undecided:  # out of time: the start of the tail will do
            return tail

    def _tail_of_slope(self, piece: SmoothPiece, tail: Tail | Undecided | None) -> Clause:
        name = "monotone_slope"
        if tail is None:
            z0 = _float_above(piece.left)
            return Clause(name, "proved", f"phi' is constant for |z| >= {decimals.above(z0)}", {"kind": "z0", "z0": z0})
        if isinstance(tail, Undecided):
            return Clause(name, "undecided", tail.reason)
        if tail.phases:
            return self._never_monotone(piece, self.bend(piece), tail)
        if not tail.sign:
            return self._eventually_by_germ(piece, tail)
        z0 = float(tail.start or 0)
        if math.isinf(z0):
            return self._eventually_by_germ(piece, replace(tail, reason="from where on is past the floats"))
        fall = "decreases" if tail.sign < 0 else "increases"
        span = f"z >= {decimals.above(z0)}" if piece.side > 0 else f"z <= {decimals.below(0.0 - z0)}"
        return Clause(name, "proved", f"phi' {fall} for {span}", {"kind": "z0", "z0": z0})

    def _eventually_by_germ(self, piece: SmoothPiece, tail: Tail) -> Clause:
        """The sign for all large z without a number from where on."""
        f = in_words(self.bend(piece).expr)
        sign = Field(X, self.tools.clock.budget(5.0)).sign(f)
        fall = "decreases" if sign < 0 else "increases"
        return Clause("monotone_slope", "proved", f"phi' {fall} for all large |z|; {tail.reason}", {"kind": "germ"})

    def _never_monotone(self, piece: SmoothPiece, f: Signed, tail: Tail) -> Clause:
        points = {s: piece.z(self.meets(f, tail, s)) for s in (1, -1)}
        base = text_in_z(tail.base, piece) if tail.base is not None else "?"
        shown = [self._printable_point(piece, piece.side * z, partial(self._has_sign, f, s)) for s, z in points.items()]
        above, below = (
            f"{z:.17g}" if near is None else near[0] for z, near in zip(points.values(), shown, strict=True)
        )
        reason = f"phi'' changes sign for ever, with the phase of {base}: phi''({above}) > 0, phi''({below}) < 0"
        phases = {s: p for p, s in tail.phases}
        witness: Witness = {
            "kind": "oscillation",
            "from": float(tail.start or 0),
            "positive": points[1],
            "negative": points[-1],
            "base": base,
        }
        witness["phases"] = {"positive": phases[1]}
        witness["phases"]["negative"] = phases[-1]
        return Clause("monotone_slope", "refuted", reason, witness)

    def _tighten(self, f: Signed, piece: SmoothPiece, tail: Tail) -> Expr:
        """A z0 nearer to the last change of sign than the start of the tail."""
        assert tail.start is not None
        if any(not form.odd for form in f.forms):
            return sp.Rational(_float_above(piece.left))
        if self._reaches(f, piece.left, tail.start, tail.sign):
            return sp.Rational(_float_above(piece.left))
        low, high = sp.Rational(piece.left) if piece.left.is_Rational else sp.Integer(0), tail.start
        for step in range(8):
            middle = (low + high) / 2
            if middle > piece.left and self._reaches(f, middle, high, tail.sign):
                high = middle
            elif step == 2 and high == tail.start:  # no nearer, or by little
                break
            else:
                low = middle
        return high

    @staticmethod
    def _reaches(f: Signed, low: Expr, high: Expr, sign: int) -> bool:
        return on_compact(f, low, high, sign, explain=False, boxes=NEARER).verdict == "proved"

    # --- warnings ---

    def _warn_of_critical_points(self) -> None:
        for piece in self.pieces:
            for z in self._critical_points(piece, self.slope(piece)):
                line = f"phi' vanishes at z = {text_of(z)}: a flow started below {text_of(z)} never crosses it"
                if line not in self.warnings:
                    self.warnings.append(line)

    def _critical_points(self, piece: SmoothPiece, slope: Signed) -> Iterator[Expr]:
        try:
            if equal(self.one_sided(piece, piece.z(piece.left), 1), sp.S.Zero):
                yield piece.z(piece.left)
            for form in slope.forms:
                for base in form.even:
                    yield from (piece.z(r) for r in real_zeros(base, X) if piece.holds(r))
        except GateflowError:
            return


def _is_out_of_range(expr: Expr) -> bool:
    """Whether more exponentials than that stand in each other, and grow: then no number has a value on the way."""
    if _nested(expr) <= MOST_NESTED:
        return False
    try:
        found = plain.limit(expr, X)
    except plain.TooLarge:
        return True
    return found is not None and bool(found.is_infinite)


def _nested(expr: Expr) -> int:
    """How many exponentials in x stand in each other."""
    inner = max((_nested(arg) for arg in expr.args), default=0)
    return inner + (isinstance(expr, (sp.exp, sp.sinh, sp.cosh)) and expr.has(X))


def _mirrored(tail: Tail | Undecided | None) -> Tail | Undecided | None:
    """The tail of ``-f``, which is that of phi'' on the left where ``phi(-z) = 1 - phi(z)``."""
    if not isinstance(tail, Tail):
        return tail
    return replace(tail, sign=-tail.sign, phases=tuple((phase, -sign) for phase, sign in tail.phases))


def _through(way: list[Expr]) -> str:
    """The values that phi goes through at a break point."""
    if len(way) < 3 or any(alike(a, b) for a, b in combinations(way, 2)):
        return from_to(way[0], way[-1])
    left, at, right = map(short, way)
    return f"from {left} on the left to {at}, and {right} on the right"


def _beside(limit: Expr) -> str:
    """A limit, distinct from 0 and from 1 however near."""
    for end in (sp.S.Zero, sp.S.One):
        if limit != end and alike(limit, end) and not equal(limit, end):
            return apart(limit, end)
    return short(limit)


def _range(low: float, high: float) -> str:
    """An interval in words, rounded inwards; one that floats do not resolve is a place."""
    if high == float("inf"):
        return f"z >= {decimals.above(low)}"
    if low == -float("inf"):
        return f"z <= {decimals.below(high)}"
    ends = decimals.inner(low, high)
    return f"z beside {ends[0]}" if ends[0] == ends[1] else "z in [{}, {}]".format(*ends)


def _middle(value: Interval) -> str:
    """The middle in six digits, beyond the range of floats too."""
    return libmp.to_str(libmp.mpf_shift(libmp.mpf_add(value.lo, value.hi), -1), 6)


def _float_above(x: Expr) -> float:
    """The nearest float, or the next one where that is below ``x``."""
    near = float(x)
    return near if constants.compare(constants.number(x), sp.Rational(near)) <= 0 else math.nextafter(near, math.inf)


MOST_DENOMINATOR = 10**6
"""Of a rational number that a constant is tried to be."""


def _plain(c: Expr) -> Expr:
    """The constant as a rational number, where its digits are those of a short one and it is proved to be it."""
    ball = accurate(c, 100)
    if c.is_Rational or ball is None:
        return c
    digits = rational(ball)
    near = Fraction(int(digits.p), int(digits.q)).limit_denominator(MOST_DENOMINATOR)
    short = sp.Rational(near.numerator, near.denominator)
    try:
        return short if abs(digits - short) < sp.Rational(1, 2**90) and equal(c, short) else c
    except Undecided:
        return c


def _is_outside(value: Interval) -> bool:
    return value.valid and (value.ends[1] <= 0 or value.ends[0] >= 1)


def _samples(piece: SmoothPiece) -> list[float]:
    low = float(piece.left)
    high = float(piece.right) if piece.right.is_finite else max(2 * low, 0.0) + 40.0
    inner = [low + (high - low) * i / 64 for i in range(65)]
    return [low + 1.0, *inner] if low + 1.0 <= high else inner


__all__ = ["CLAUSES", "Clause", "Membership", "membership"]
