"""A gate cut into smooth pieces, how they join, and signs on a whole piece."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from itertools import pairwise
from typing import Any

import sympy as sp

from gateflow.arithmetic import decimals
from gateflow.arithmetic.enclosed import accurate, enclosed
from gateflow.arithmetic.intervals import Interval, Intervals
from gateflow.asymptotics.clauses import Clause
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Field
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.asymptotics.signs.pieces import (
    DIVISION,
    SmoothPiece,
    around_unsolved_breaks,
    beside,
    changes_once,
    conditions,
    pieces,
    real_zeros,
    resolve_at,
    some_breaks,
    unmet,
    value_at,
)
from gateflow.asymptotics.signs.sign import (
    Finding,
    Signed,
    Tail,
    Tools,
    by_exponentials,
    by_roots,
    on_compact,
    on_tail,
    slope_in_x,
)
from gateflow.asymptotics.signs.tails import X, in_words
from gateflow.codegen import Tape
from gateflow.errors import GateflowError
from gateflow.formula.functions import log_add
from gateflow.formula.vocabulary import FUNCTIONS, Expr, Z, derivative, expm1, expression, log1p, logit, sigmoid


@dataclass(frozen=True)
class Joint:
    """Where two pieces meet.

    Attributes
    ----------
    z : sympy number
    left, right : SmoothPiece
    low, high : sympy number or None
        The limits of phi from the left and from the right; None where they are not found.
    at : sympy number or None
        phi(z); None where the formula has no value, or it is not found.
    hole : bool
        Whether the formula has no value at z, but a limit, which is taken for it.
    clause : Clause
        Whether phi is differentiable there.
    """

    z: Expr
    left: SmoothPiece
    right: SmoothPiece
    low: Any
    high: Any
    at: Any
    hole: bool = False
    clause: Clause = field(default_factory=lambda: Clause("differentiable", "undecided", ""))


class PiecewiseGate:
    """One gate under examination: its pieces, and the clause of differentiability."""

    def __init__(self, gate: Any, seconds: float) -> None:
        self.gate = gate
        self.tools = Tools.new(seconds)
        self.ball = self.tools.ball
        profile = profile_of(gate)
        self._profile = None if isinstance(profile, logit) else profile
        self.is_profile = self._profile is not None
        self.warnings: list[str] = []
        self._slopes: dict[SmoothPiece, Signed] = {}
        self._bends: dict[SmoothPiece, Signed] = {}
        self._tapes: dict[tuple[SmoothPiece, int, bool], Tape] = {}

    # --- pieces ---

    @cached_property
    def expr(self) -> Expr:
        """The profile where it is known, else phi; in z, with its limits where a tangent has poles that it has not."""
        found = self._expr
        plain = without_removable_poles(found)
        if plain != found:
            self.warnings.append(
                "the formula has no value where a tangent in it has none; it is read as its limit there"
            )
        return plain

    @property
    def _expr(self) -> Expr:
        if self._profile is not None:
            return without_hidden_zeros(self._profile)
        written = profile_of(self.gate)
        if written is not None and isinstance(written, logit):  # phi is its argument, in (0, 1) or not
            return without_hidden_zeros(written.args[0])
        return without_hidden_zeros(1 - self.gate.expr if self.gate.declared == "complement" else self.gate.expr)

    @cached_property
    def _cut(self) -> tuple[list[SmoothPiece], list[Expr]]:
        return pieces(self.expr)

    @property
    def pieces(self) -> list[SmoothPiece]:
        return self._cut[0]

    def slope(self, piece: SmoothPiece) -> Signed:
        """An expression with the sign of phi' on a piece."""
        if piece not in self._slopes:
            self._slopes[piece] = Signed(piece.side * slope_in_x(piece.expr), self.tools)
        return self._slopes[piece]

    def bend(self, piece: SmoothPiece) -> Signed:
        """An expression with the sign of phi''."""
        if piece not in self._bends:
            slope = slope_in_x(piece.expr)
            curve = slope_in_x(slope)
            bent = curve - slope**2 * sp.tanh(piece.expr / 2) if self.is_profile else curve
            self._bends[piece] = Signed(bent, self.tools)
        return self._bends[piece]

    def phi_of(self, value: Expr) -> Expr:
        """phi from the value of the expression."""
        return sigmoid(value) if self.is_profile else value

    def value_at(self, piece: SmoothPiece, x: Any, order: int = 0, *, profile: bool = False) -> Interval:
        """An enclosure of phi (or its derivative by z, or of the profile) at a point of a piece."""
        key = (piece, order, profile)
        if key not in self._tapes:
            f = piece.expr
            if order == 1 and (profile or self.is_profile):
                value = slope_in_x(f) if profile else slope_in_x(f) * sigmoid(f) * sigmoid(-f)
            else:
                value = derivative(f if profile else self.phi_of(f), X, order)
            self._tapes[key] = Tape([piece.side**order * value], [X])
        tape = self._tapes[key]
        for ball in (self.ball, *(Intervals(n * self.ball.prec) for n in (4, 16, 64))):
            value = tape(ball, ball.lift(x))[0]
            if value.sign or not value.valid:
                break
        return value

    # --- clause 1 ---

    def differentiable(self) -> Clause:
        name = "differentiable"
        try:
            faults = [
                clause for clause in (self._domain, *(joint.clause for joint in self.joints)) if clause is not None
            ]
        except Undecided as why:
            faults = [Clause(name, "undecided", why.reason)]
        for verdict in ("refuted", "undecided"):
            found = next((clause for clause in faults if clause.verdict == verdict), None)
            if found is not None:
                return found if verdict == "refuted" else self._fault_among_many() or self._fault_between() or found
        holes = [text_of(joint.z) for joint in self.joints if joint.hole]
        self.warnings += [f"the formula has no value at z = {z}; it is read as its limit there" for z in holes]
        where = ", ".join(text_of(joint.z) for joint in self.joints)
        agree = "where the value and both slopes agree"
        return Clause(name, "proved", f"smooth except at z = {where}, {agree}" if where else "smooth")

    def _fault_among_many(self) -> Clause | None:
        """A jump, a kink or a pole at one of many points, of which not all are known."""

        def sign_of_germ(e: Expr) -> int:
            return 0 if e == 0 else Field(X, self.tools.clock.budget(1.0)).sign(in_words(e))

        for z in sorted(some_breaks(self.expr), key=lambda z: abs(float(z))):
            try:
                clause = self._joint(z, *beside(self.expr, z, sign_of_germ)).clause
            except Undecided:
                continue
            if clause.verdict == "refuted":
                return clause
        return None

    def _fault_between(self) -> Clause | None:
        """A jump or a kink at a point that is not known exactly, from the ranges of both branches around it."""
        for low, high in around_unsolved_breaks(self.expr):
            try:
                if not changes_once(self.expr, low, high, self.ball):
                    continue
                sides = [resolve_at(self.expr, end) for end in (low, high)]
                box = self.ball.hull(self.ball.lift(low), self.ball.lift(high))
                for kind, order in (("jump", 0), ("kink", 1)):
                    left, right = self._ranges(sides, order, box)
                    if not (left.valid and right.valid):
                        break
                    if (left - right).sign:  # of phi as well as of its profile
                        shown = self._ranges([self.phi_of(side) for side in sides], order, box)
                        return _torn_between(kind, low, high, *(inside(each.ends) for each in shown))
            except GateflowError:
                continue
        return None

    def _ranges(self, sides: list[Expr], order: int, box: Interval) -> list[Interval]:
        return [Tape([derivative(side, Z, order)], [Z])(self.ball, box)[0] for side in sides]

    @property
    def settled(self) -> bool:
        """Whether phi is proved to have a value everywhere, which is continuous except at joints that are known."""
        return self._domain is None and all(j.clause.verdict != "undecided" and j.at is not None for j in self.joints)

    @property
    def continuous(self) -> bool:
        """Whether phi is proved to be continuous on the whole line."""
        return self.settled and not self.jumps

    @property
    def jumps(self) -> list[Joint]:
        """The joints at which phi is not continuous."""
        return [j for j in self.joints if (j.clause.witness or {}).get("kind") in ("jump", "undefined")]

    @cached_property
    def _domain(self) -> Clause | None:
        """What keeps the formula of a piece from being smooth inside it; None where nothing does."""
        return next((problem for piece in self.pieces if (problem := self._leaves_domain(piece)) is not None), None)

    def _leaves_domain(self, piece: SmoothPiece) -> Clause | None:
        """The first sub-formula that is not proved to stay inside its domain on the piece."""
        closed = sp.Dummy("x", nonnegative=True) if piece.left == 0 else sp.Dummy("x", positive=True)
        for raw in conditions(piece.written):
            if raw.positive.xreplace({Z: piece.side * closed}).is_positive:
                continue
            condition = raw.positive.xreplace({Z: piece.side * X})
            found = self.on_piece(Signed(condition, self.tools, strict=True), piece, 1)
            if found.verdict == "refuted" and found.where is not None and found.where[0] < found.where[1]:
                z = piece.z(inside(found.where))
                at = decimals.shortest(z, partial(_is_between, *sorted(map(piece.z, found.where))))
                reason = f"phi is not defined at z = {at}: {raw.words} there"
                return Clause("differentiable", "refuted", reason, {"kind": "undefined", "z": z})
            if found.verdict != "proved":
                return self._may_vanish(condition, piece)
        return None

    def _may_vanish(self, condition: Expr, piece: SmoothPiece) -> Clause:
        try:
            zeros = [r for r in real_zeros(condition, X) if piece.holds(r)]
        except Undecided:
            zeros = []
        if not zeros:
            return Clause("differentiable", "undecided", f"{text_in_z(condition, piece)} may vanish")
        z = piece.z(zeros[0])
        witness = {"kind": "undefined", "z": float(z)}
        return Clause("differentiable", "undecided", f"the formula is not defined at z = {text_of(z)}", witness)

    @cached_property
    def joints(self) -> list[Joint]:
        """How the pieces join at the break points, from left to right."""
        found = []
        for left, right in pairwise(self.pieces):
            z = right.left if right.side > 0 else -right.right
            if z in self._cut[1] or not self._smooth_at_zero(left, right):
                found.append(self._joint(z, left, right))
        return found

    def _smooth_at_zero(self, left: SmoothPiece, right: SmoothPiece) -> bool:
        """Whether the formula on both sides of 0 is one, and analytic there."""
        zero = self.ball.lift(0)
        for piece in (left, right):
            if not all(isinstance(node, _WORDS) for node in piece.expr.atoms(sp.Function)):
                value = piece.expr.subs(X, 0)
                if value.has(sp.nan, sp.zoo, sp.oo) or not value.is_finite:
                    return False
            for condition in conditions(piece.written):
                if not Tape([condition.positive], [Z])(self.ball, zero)[0].positive:
                    return False
        return True

    def _joint(self, z: Expr, left: SmoothPiece, right: SmoothPiece) -> Joint:
        joint = Joint(z, left, right, None, None, None)
        try:
            sides = [self.one_sided(p, z, 0) for p in (left, right)]
            joint = replace(joint, low=self.phi_of(sides[0]), high=self.phi_of(sides[1]))
            torn = self._jump(joint)
            try:
                at = value_at(self.expr, z)
            except Undecided:
                if torn is not None:  # whatever the value
                    return replace(joint, clause=torn)
                raise
            if at is None and torn is None and (constants.is_enclosed(sides[0]) or sides[0].is_finite):
                return self._filled(joint, sides[0])
            joint = replace(joint, at=None if at is None else self.phi_of(at))
            torn = torn or self._jump_by_limits(joint, any(map(constants.is_infinite, sides)))
            return replace(joint, clause=torn or self._kink(joint, sides[0]))
        except GateflowError as error:
            return replace(joint, clause=Clause("differentiable", "undecided", f"at z = {text_of(z)}: {error}"))

    def _filled(self, joint: Joint, value: Expr) -> Joint:
        """A point at which the formula has no value, but a limit; that is taken for it where only a quotient is 0/0."""
        smooth = self._kink(joint, value)
        if smooth.verdict == "refuted":
            return replace(joint, clause=smooth)
        if set(unmet(self.expr, joint.z)) <= {DIVISION}:
            return replace(joint, at=self.phi_of(value), hole=True, clause=smooth)
        return replace(joint, clause=self._jump_by_limits(joint, False) or smooth)

    def _jump(self, joint: Joint) -> Clause | None:
        if equal(joint.low, joint.high):
            return None
        words = f"jump at z = {text_of(joint.z)}: {from_to(joint.low, joint.high)}"
        return Clause("differentiable", "refuted", words, {"kind": "jump", **_ends(joint)})

    def _jump_by_limits(self, joint: Joint, runs_off: bool) -> Clause | None:
        """Where phi is not continuous, or has no value."""
        name, at, z = "differentiable", text_of(joint.z), joint.z
        if joint.at is None and runs_off:
            words = f"the formula has no value at z = {at}, where phi tends to {short(joint.low)}"
            return Clause(name, "refuted", words, {"kind": "undefined", "z": float(z)})
        if joint.at is None:
            witness = {"kind": "undefined", "z": float(z)}
            return Clause(name, "undecided", f"the formula has no value at z = {at}", witness)
        if not equal(joint.low, joint.at):
            words = f"jump at z = {at}: phi({at}) is {apart(joint.at, joint.low)}, its limit there"
            return Clause(name, "refuted", words, {"kind": "jump", **_ends(joint)})
        return None

    def _kink(self, joint: Joint, value: Expr) -> Clause:
        """Whether the slopes of two neighbours agree."""
        name, at, z = "differentiable", text_of(joint.z), joint.z
        slopes = [self.one_sided(p, z, 1) for p in (joint.left, joint.right)]
        if any(map(constants.is_infinite, slopes)):
            witness = {"kind": "vertical", "z": float(z), "point": at}
            return Clause(name, "refuted", f"vertical tangent at z = {at}", witness)
        if not equal(*slopes):
            low, high = (s * self._weight(value) for s in slopes)
            words = f"kink at z = {at}: left slope {short(low)}, right slope {short(high)}"
            if alike(low, high):
                words = f"kink at z = {at}: the slope goes {from_to(low, high)}"
            ends = {"z": float(z), "point": at, "left": as_float(low), "right": as_float(high)}
            return Clause(name, "refuted", words, {"kind": "kink", **ends})
        return Clause(name, "proved", "")

    def _weight(self, value: Expr) -> Expr:
        """dphi/du at a value of the profile."""
        return sigmoid(value) * sigmoid(-value) if self.is_profile else sp.S.One

    def one_sided(self, piece: SmoothPiece, z: Expr, order: int) -> Expr:
        """The limit, from inside the piece, of its expression or of the derivative by z."""
        f = piece.side**order * derivative(piece.expr, X, order).replace(sp.tan, lambda g: sp.sin(g) / sp.cos(g))
        x = piece.side * z
        if f.has(sp.I):
            raise Undecided("the formula is not real beside it")
        if not x.is_Rational and constants.longest_number(x) > _LONG:
            raise Undecided("the numbers in a point where branches change are too long")
        try:
            value = f.subs(X, x)
            if not value.has(sp.nan, sp.zoo, sp.oo, sp.AccumBounds) and constants.is_real(value):
                return value
        except (ValueError, TypeError, ZeroDivisionError):
            pass
        step = 1 / X if x == piece.left else -1 / X
        return Field(X, self.tools.clock.budget(3.0)).limit(in_words(f).subs(X, x + step))

    # --- signs on a piece ---

    def on_piece(self, f: Signed, piece: SmoothPiece, want: int) -> Finding:
        """Whether ``f`` has the sign ``want`` on the piece, except at isolated points."""
        if f.zero:
            return Finding("refuted", where=(float(piece.left), float(piece.right)), flat=True)
        found = self._of_one_sign(f, piece, want)
        if found.verdict == "proved" and not f.strict and not f.vanishes_at_points(_some_points(piece)):
            return Finding("undecided", "it may vanish throughout")
        return found

    def _of_one_sign(self, f: Signed, piece: SmoothPiece, want: int) -> Finding:
        if f.everywhere(want):
            return Finding("proved")
        exact = by_roots(f, piece.left, piece.right, want)
        if exact is not None:
            return exact
        found = self._by_bounds(f, piece, want)
        if found.verdict == "undecided":
            return by_exponentials(f, piece.left, piece.right, want) or found
        return found

    def _by_bounds(self, f: Signed, piece: SmoothPiece, want: int) -> Finding:
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


def reach(piece: SmoothPiece, tail: Tail) -> Expr:
    """How far the compact part goes: to the proved half-line, or where a witness is likely to be found."""
    far = piece.left + 20
    if tail.start is None:
        return far
    return far if tail.phases and constants.below(tail.start, far) else tail.start


_LONG = 2000
"""Bits of a number in a root that is put into a formula: SymPy looks for factors of what comes of it."""


_WORDS = (*(word for word in FUNCTIONS.values() if isinstance(word, type)), expm1, log1p)
"""Functions that have a value wherever what `conditions` says of them holds."""


def without_hidden_zeros(expr: Expr) -> Expr:
    """The same function with ``sqrt(1 + sinh^2)`` as cosh, ``cosh + sinh`` as exp, and erfc beside erf as ``1 - erf``.

    Examples
    --------
    >>> without_hidden_zeros(Z + sp.sqrt(1 + sp.sinh(Z) ** 2) - sp.cosh(Z))
    z
    >>> without_hidden_zeros(Z * (sp.erf(Z) + sp.erfc(Z) - 1))
    0
    """

    def is_cosh(node: Any) -> bool:
        return bool(node.is_Pow and node.exp.is_Rational and node.exp.q == 2 and _is_square_of_sinh(node.base - 1))

    expr = expr.replace(is_cosh, lambda node: sp.cosh((node.base - 1).base.args[0]) ** (2 * node.exp))
    expr = expr.replace(lambda node: node.is_Add and node.has(sp.sinh, sp.cosh), _with_exponentials)
    both = {node.args[0] for node in expr.atoms(sp.erf)} & {node.args[0] for node in expr.atoms(sp.erfc)}
    return expr.xreplace({sp.erfc(g): 1 - sp.erf(g) for g in both})


def without_removable_poles(expr: Expr) -> Expr:
    """The formula with tangents as quotients, where none of their divisors is left; else as it is.

    Examples
    --------
    >>> without_removable_poles(Z + sp.tan(Z) * sp.cos(Z)), without_removable_poles(Z + sp.tan(Z))
    (z + sin(z), z + tan(z))
    """
    nodes = expr.atoms(sp.tan)
    divisors = {sp.cos(node.args[0]) for node in nodes}
    written = expr.xreplace({node: sp.sin(node.args[0]) / sp.cos(node.args[0]) for node in nodes})
    left = (power.base for power in written.atoms(sp.Pow) if not power.exp.is_nonnegative)
    return expr if any(base.has(*divisors) for base in left) else written


def _with_exponentials(total: Expr) -> Expr:
    """``c cosh(g) + c sinh(g)`` in a sum as ``c exp(g)``, and ``c cosh(g) - c sinh(g)`` as ``c exp(-g)``."""
    for node in total.atoms(sp.cosh):
        g = node.args[0]
        c = total.coeff(node)
        for side in (1, -1):
            if c != 0 and total.coeff(sp.sinh(g)) == side * c:
                total = total - c * node - side * c * sp.sinh(g) + c * sp.exp(side * g)
                break
    return total


def _is_square_of_sinh(expr: Expr) -> bool:
    return bool(expr.is_Pow and expr.exp == 2 and isinstance(expr.base, sp.sinh))


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
    # one with a sum of exponentials in it is a logarithm; phi as it was declared has none
    return gate.formulas.u if gate.is_profile and not gate.formulas.u.has(log_add) else None


def _ends(joint: Joint) -> dict[str, Any]:
    """The three values at a break point, as a witness."""
    at = None if joint.at is None else as_float(joint.at)
    ends = {"left": as_float(joint.low), "right": as_float(joint.high), "at": at}
    return {"z": float(joint.z), "point": text_of(joint.z), **ends}


def _torn_between(kind: str, low: Expr, high: Expr, left: float, right: float) -> Clause:
    z = float((low + high) / 2)
    what = f"from {left:.4g} to {right:.4g}"
    if f"{left:.4g}" == f"{right:.4g}":
        size = f"{right - left:.2g}" if left != right else "less than floats tell"
        what = f"by {size}, from {left:.4g}"
    words = "" if kind == "jump" else "the slope goes "
    witness = {"kind": kind, "z": z, "between": [text_of(low), text_of(high)], "left": left, "right": right}
    return Clause("differentiable", "refuted", f"{kind} near z = {z:.6g}: {words}{what}", witness)


# --- helpers ----------------------------------------------------------------------------------------------------------


def equal(a: Expr, b: Expr) -> bool:
    return a == b or constants.is_zero(constants.number(expression(a - b)))


def short(value: Expr) -> str:
    text = text_of(value) if value.is_Rational else ""
    if text and len(text) <= 12:
        return text
    near = as_float(value)
    if near or value == 0:
        return f"{near:.9g}"
    return "almost 0" if _size(value) == _TINY else _with_sign(value)


def as_float(value: Expr) -> float:
    """The float next to a constant: by ball arithmetic, where SymPy would look for digits one by one."""
    ball = None if value.free_symbols else accurate(value, 70)
    try:
        return float(value) if ball is None else float(ball)
    except TypeError:
        raise Undecided("a value or slope there is not seen to be real") from None


def alike(a: Expr, b: Expr) -> bool:
    """Whether two numbers are the same in nine digits."""
    return f"{as_float(a):.9g}" == f"{as_float(b):.9g}"


def from_to(low: Expr, high: Expr) -> str:
    """Two values that differ, or by how much where they look the same."""
    if not alike(low, high):
        return f"from {short(low)} to {short(high)}"
    return f"by {_with_sign(high - low)}, from {short(low)}"


def apart(value: Expr, other: Expr) -> str:
    """One value beside another, or their difference where they look the same."""
    if not alike(value, other):
        return f"{short(value)}, not {short(other)}"
    side = "above" if constants.sign(constants.number(value - other)) > 0 else "below"
    return f"{_size(value - other)} {side} {short(other)}"


def _with_sign(difference: Expr) -> str:
    size, side = _size(difference), constants.sign(constants.number(difference))
    if size == _TINY:
        return f"{size} {'downward' if side < 0 else 'upward'}"
    return f"-{size}" if side < 0 else size


_TINY = "less than 1e-2000"
_LONGEST_EXPONENT = 12
"""Characters of the longest exponent that is written out."""


def _size(difference: Expr) -> str:
    """The size of a number that is not 0, in six digits, beyond the range of floats too."""
    ball = enclosed(difference, 8000)
    if ball is None:
        return f"{float(abs(difference)):.6g}"
    size = abs(ball)
    digits, _, exponent = size.str(6, radius=False).partition("e")
    if not size > 0 or (len(exponent) > _LONGEST_EXPONENT and exponent[0] == "-"):
        return _TINY
    return (digits.rstrip("0").rstrip(".") if "." in digits else digits) + (f"e{exponent}" if exponent else "")


def _is_between(low: float, high: float, z: Any) -> bool:
    return low < z < high


def text_in_z(expr: Expr, piece: SmoothPiece) -> str:
    """An expression of a piece, in z."""
    return text_of(expr.xreplace({X: piece.side * Z}))


def _some_points(piece: SmoothPiece) -> list[Expr]:
    """Some x inside a piece, at which nothing in particular happens."""
    width = piece.right - piece.left if piece.right.is_finite else 16
    return [piece.left + width * sp.Rational(k, 13) for k in (2, 5, 11)]


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


__all__ = [
    *("Joint", "PiecewiseGate", "alike", "apart", "as_float", "equal", "from_to", "inside", "short", "text_in_z"),
]
