"""A gate cut into smooth pieces, how they join, and signs on a whole piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from itertools import pairwise
from typing import Any

import sympy as sp

from gateflow.arithmetic.ball import Interval
from gateflow.asymptotics import constants
from gateflow.asymptotics.clauses import Clause, Witness
from gateflow.asymptotics.constants import Undecided
from gateflow.asymptotics.growth import Budget, Field
from gateflow.asymptotics.pieces import Piece, conditions, pieces, real_zeros, text_of
from gateflow.asymptotics.signs import Finding, Signed, Tail, Tools, on_compact, on_tail
from gateflow.asymptotics.tails import X, in_words
from gateflow.emit import Tape
from gateflow.vocabulary import Expr, Z, sigmoid


class Examined:
    """One gate under examination: its pieces, and the clause of differentiability."""

    def __init__(self, gate: Any, seconds: float) -> None:
        self.gate = gate
        self.tools = Tools.new(seconds)
        self.ball = self.tools.ball
        self._profile = profile_of(gate)
        self.is_profile = self._profile is not None
        self.warnings: list[str] = []

    # --- pieces ---

    @cached_property
    def expr(self) -> Expr:
        """The profile where it is known, else phi; in z."""
        if self._profile is not None:
            return self._profile
        return 1 - self.gate.expr if self.gate.declared == "complement" else self.gate.expr

    @cached_property
    def _cut(self) -> tuple[list[Piece], list[Expr]]:
        return pieces(self.expr, self.ball)

    @property
    def pieces(self) -> list[Piece]:
        return self._cut[0]

    @cached_property
    def slopes(self) -> list[Signed]:
        """For each piece an expression with the sign of phi'."""
        return [Signed(p.side * p.expr.diff(X), self.tools) for p in self.pieces]

    def bend(self, piece: Piece) -> Signed:
        """An expression with the sign of phi''."""
        slope = piece.expr.diff(X)
        curve = slope.diff(X)
        return Signed(curve - slope**2 * sp.tanh(piece.expr / 2) if self.is_profile else curve, self.tools)

    def phi_of(self, value: Expr) -> Expr:
        """phi from the value of the expression."""
        return sigmoid(value) if self.is_profile else value

    def value_at(self, piece: Piece, x: Any, order: int = 0) -> Interval:
        """An enclosure of phi (or its derivative by z) at a point of a piece."""
        phi = self.phi_of(piece.expr)
        return Tape([piece.side**order * phi.diff(X, order)], [X])(self.ball, self.ball.lift(x))[0]

    # --- clause 1 ---

    def differentiable(self) -> Clause:
        name = "differentiable"
        for piece in self.pieces:
            problem = self._leaves_domain(piece)
            if problem is not None:
                return problem
        if not self._defined_at_zero():
            return self._undefined_at_zero()
        joined = [self.join(*pair) for pair in self.joints()]
        for verdict in ("refuted", "undecided"):
            for clause in joined:
                if clause.verdict == verdict:
                    return clause
        where = ", ".join(text_of(b) for b in self._cut[1])
        return Clause(name, "proved", f"smooth but for z = {where}, where both slopes agree" if where else "smooth")

    def _leaves_domain(self, piece: Piece) -> Clause | None:
        """The first sub-formula that is not proved to stay inside its domain on the piece."""
        closed = sp.Dummy("x", nonnegative=True) if piece.left == 0 else sp.Dummy("x", positive=True)
        for raw, words in conditions(piece.expr.xreplace({X: closed})):
            condition = raw.xreplace({closed: X})
            found = self.on_piece(Signed(condition, self.tools), piece, 1)
            if found.verdict == "refuted" and found.where is not None and found.where[0] < found.where[1]:
                z = piece.z(inside(found.where))
                reason = f"phi is not defined at z = {z:.6g}: {words} there"
                return Clause("differentiable", "refuted", reason, {"kind": "undefined", "z": z})
            if found.verdict != "proved":
                return Clause("differentiable", "undecided", f"{text_in_z(condition, piece)} may vanish")
            zero = self._zero_of_even(condition, piece)
            if zero is not None:
                return Clause("differentiable", *zero)
        return None

    def _zero_of_even(self, condition: Expr, piece: Piece) -> tuple[str, str, Witness | None] | None:
        """A condition like ``z^2 > 0`` fails at isolated points, which the sign on boxes does not show."""
        for form in Signed(condition, self.tools).forms[:1]:
            for base in form.even:
                bare = Signed(base, self.tools)
                if any(self.on_piece(bare, piece, s).verdict == "proved" for s in (1, -1)):
                    continue
                zeros = [r for r in real_zeros(base, X) if r > piece.left and r < piece.right]
                if zeros:
                    z = piece.z(zeros[0])
                    words = f"the formula is not defined at z = {text_of(z)}"
                    return "undecided", words, {"kind": "undefined", "z": float(z)}
        if piece.left == 0 and not Tape([condition], [X])(self.ball, self.ball.lift(0))[0].sign:
            self._doubtful_zero = True
        return None

    _doubtful_zero = False

    def _defined_at_zero(self) -> bool:
        """Whether the formulas on both sides of 0 have a value there."""
        sides = [p for p in self.pieces if p.left == 0]
        return all(
            p.expr.subs(X, 0).is_finite or Tape([p.expr], [X])(self.ball, self.ball.lift(0))[0].bounded for p in sides
        )

    def _undefined_at_zero(self) -> Clause:
        left, right = sorted((p for p in self.pieces if p.left == 0), key=lambda p: p.side)
        self._doubtful_zero = True
        clause = self.join(sp.S.Zero, left, right)
        if clause.verdict == "refuted":
            return clause
        witness = {"kind": "undefined", "z": 0.0}
        return Clause("differentiable", "undecided", "the formula has no value at z = 0", witness)

    def joints(self) -> Iterator[tuple[Expr, Piece, Piece]]:
        """Break points with the pieces on their left and right."""
        breaks = {*self._cut[1], *([sp.S.Zero] if self._doubtful_zero else [])}
        for a, b in pairwise(self.pieces):
            z = b.left if b.side > 0 else -b.right
            if z in breaks:
                yield z, a, b

    def join(self, z: Expr, left: Piece, right: Piece) -> Clause:
        """Whether values and slopes of two neighbours agree."""
        name, at = "differentiable", text_of(z)
        values = [self.one_sided(p, z, 0) for p in (left, right)]
        phi = [self.phi_of(v) for v in values]
        if any(v.is_infinite for v in values) and phi[0] == phi[1]:
            reason = f"the formula has no value at z = {at}, where phi tends to {short(phi[0])}"
            return Clause(name, "refuted", reason, {"kind": "undefined", "z": float(z)})
        if not equal(*phi):
            reason = f"jump at z = {at}: from {short(phi[0])} to {short(phi[1])}"
            witness = {"kind": "jump", "z": float(z), "left": float(phi[0]), "right": float(phi[1])}
            return Clause(name, "refuted", reason, witness)
        slopes = [self.one_sided(p, z, 1) for p in (left, right)]
        weight = self._weight(values[0])
        phi_slopes = [s * weight for s in slopes]
        if any(s.is_infinite for s in slopes):
            witness = {"kind": "vertical", "z": float(z)}
            return Clause(name, "refuted", f"vertical tangent at z = {at}", witness)
        if not equal(*slopes):
            reason = f"kink at z = {at}: left slope {short(phi_slopes[0])}, right slope {short(phi_slopes[1])}"
            witness = {"kind": "kink", "z": float(z), "left": float(phi_slopes[0]), "right": float(phi_slopes[1])}
            return Clause(name, "refuted", reason, witness)
        return Clause(name, "proved", "")

    def _weight(self, value: Expr) -> Expr:
        """dphi/du at a value of the profile."""
        return sigmoid(value) * sigmoid(-value) if self.is_profile else sp.S.One

    def one_sided(self, piece: Piece, z: Expr, order: int) -> Expr:
        """The limit, from inside the piece, of its expression or of the derivative by z."""
        f = piece.side**order * piece.expr.diff(X, order)
        x = piece.side * z
        try:
            value = f.subs(X, x)
            if value.is_finite and value.is_real:
                return value
        except (ValueError, TypeError, ZeroDivisionError):
            pass
        step = 1 / X if x == piece.left else -1 / X
        return Field(X, Budget(min(3.0, self.tools.clock.left))).limit(in_words(f).subs(X, x + step))

    # --- signs on a piece ---

    def on_piece(self, f: Signed, piece: Piece, want: int) -> Finding:
        """Whether ``f`` has the sign ``want`` on the piece, but for isolated points."""
        if f.zero:
            return Finding("refuted", where=(float(piece.left), float(piece.right)), flat=True)
        if any(not form.odd and form.sign == want for form in f.forms):
            return Finding("proved")
        if piece.right.is_finite:
            return on_compact(f, piece.left, piece.right, want)
        tail = on_tail(f, piece.left, want)
        if tail.sign == -want and tail.start is not None:
            near = on_compact(f, piece.left, tail.start, want)
            return near if near.verdict == "refuted" else Finding("refuted", where=(float(tail.start), float("inf")))
        near = on_compact(f, piece.left, reach(piece, tail), want)
        if near.verdict == "refuted":
            return near
        if tail.phases:
            return Finding("refuted", where=self._around(f, self.meets(f, tail, -want), -want))
        if tail.sign == 0:
            return Finding("undecided", tail.reason)
        return near

    def _around(self, f: Signed, point: float, sign: int) -> tuple[float, float]:
        """An interval around the point on which the sign is proved."""
        half = 1.0
        while half > 1e-9:
            if f.on(self.ball.interval(point - half, point + half)) == sign:
                return point - half, point + half
            half *= 0.5
        return point, point

    def meets(self, f: Signed, tail: Tail, sign: int) -> float:
        """A point past the start where an oscillating expression is proved to have ``sign``."""
        phase = next(p for p, s in tail.phases if s == sign)
        assert tail.base is not None
        assert tail.start is not None
        for point in with_phase(tail.base, phase, float(tail.start)):
            if f.on(self.ball.lift(point)) == sign:
                return point
        raise Undecided(f"no number was found at which the sign is {sign}")


def reach(piece: Piece, tail: Tail) -> Expr:
    """How far the compact part goes: to the proved half-line, or where a witness is likely to be found."""
    far = sp.Max(piece.left + 20, 20)
    if tail.start is None:
        return far
    return sp.Max(far, tail.start) if tail.phases else tail.start


def profile_of(gate: Any) -> Expr | None:
    """The logit profile as declared or recognised, in the words of the declaration where it has them."""
    if gate.declared == "profile":
        return gate.expr
    if gate.declared == "phi":
        if isinstance(gate.expr, sigmoid):
            return gate.expr.args[0]
        cases = gate.expr.args if gate.expr.is_Piecewise else ()
        if cases and all(isinstance(value, sigmoid) for value, _ in cases):
            return sp.Piecewise(*((value.args[0], condition) for value, condition in cases))
    return gate.formulas.u if gate.is_profile else None


# --- helpers ----------------------------------------------------------------------------------------------------------


def equal(a: Expr, b: Expr) -> bool:
    return a == b or constants.is_zero(constants.number(sp.sympify(a - b).rewrite(sp.exp)))


def short(value: Expr) -> str:
    text = text_of(value)
    return text if value.is_Rational and len(text) <= 12 else f"{float(value):.9g}"


def text_in_z(expr: Expr, piece: Piece) -> str:
    """An expression of a piece, in z."""
    return text_of(expr.xreplace({X: piece.side * Z}))


def inside(where: tuple[float, float]) -> float:
    low, high = where
    return low + 1.0 if high == float("inf") else 0.5 * low + 0.5 * high


def with_phase(base: Expr, phase: float, start: float) -> Iterator[float]:
    """x past ``start`` at which the growing ``base`` has this phase, by bisection."""

    def g(x: float) -> float:
        return float(base.subs(X, x))

    first = g(start)
    step = 2 * math.pi
    k = math.ceil((min(first, g(start * 2)) - phase) / step)
    sign = 1 if g(4 * start) > first else -1
    for i in range(1, 40):
        target = phase + step * (k + sign * i)
        low, high = start, start * 2
        while sign * (g(high) - target) < 0 and high < 1e12:
            high *= 2
        for _ in range(80):
            m = 0.5 * (low + high)
            low, high = (m, high) if sign * (g(m) - target) < 0 else (low, m)
        yield 0.5 * (low + high)


__all__ = ["Examined", "equal", "inside", "short", "text_in_z"]
