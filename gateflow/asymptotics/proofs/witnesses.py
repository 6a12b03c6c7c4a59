"""What must be shown for membership of class F, and which witnesses break it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from typing import Any

import sympy as sp

from gateflow.asymptotics.proofs import enclosures, halflines
from gateflow.asymptotics.proofs.mrv import Gruntz, Unproved
from gateflow.asymptotics.proofs.outline import Prover, require
from gateflow.asymptotics.proofs.statements import (
    ENDS,
    MARK,
    Check,
    Refuted,
    agree,
    constant,
    differ,
    floor_of,
    formula,
    require_fields,
    same,
    text_of,
)
from gateflow.formula.vocabulary import Expr, Z, derivative


def prove_refutation(statement: Mapping[str, Any], prover: Prover) -> None:
    """That the witness breaks a clause of Definition 4.1, so that the gate is not in class F."""
    phi, witness = formula(statement["gate"]), statement["witness"]
    agree(phi.subs(Z, MARK), statement["value"])
    kind = (statement["clause"], witness.get("kind"))
    if kind not in _WITNESSES:
        raise Refuted("no such clause with such a witness")
    require_fields(witness, _WITNESSES[kind], "the witness")
    if witness["kind"] == "limits":
        ends = [prover.ask(f"{side} end", f"lim phi at the {side} end", phi.xreplace({Z: z})) for side, z in ENDS]
        if not all(same(end, constant(witness[side])) for end, (side, _) in zip(ends, ENDS, strict=True)):
            raise Refuted("the limits of phi are others than the witness says")
        # a continuous phi comes near a floor, or 0, and 1 without taking them at the ends only
        if phi.has(sp.Piecewise, sp.sign) or not _never_zero_and_one(*ends) or _may_have_a_floor(*ends):
            raise Refuted("phi may jump, or tends to 0, or to a floor, and to 1")
    elif witness["kind"] == "flat":
        low, high = (phi.subs(Z, constant(witness[end])) for end in ("from", "to"))
        if constant(witness["from"]) >= constant(witness["to"]) or not same(low, high):
            raise Refuted("phi takes two values at the two points, or they are not in order")
        agree(low, witness["phi"])
    elif witness["kind"] == "oscillation":
        _never_monotone(phi, witness)
    elif witness["kind"] in ("jump", "kink"):
        _check_jump_or_kink(phi, witness, prover)
    elif witness["kind"] == "break":
        check_break(phi, constant(witness["from"]), constant(witness["to"]))
    elif witness["kind"] == "slope":
        z = constant(witness["z"])
        if not _is_smooth_at(phi, z):
            raise Refuted("phi is not shown to be smooth at the witness, and a formal derivative is no slope")
        slope = derivative(phi).subs(Z, z)
        agree(slope, witness["value"])
        if enclosures.sign_of(slope) >= 0:
            raise Refuted("the slope at the witness is not shown to be negative")
    else:
        value = phi.subs(Z, constant(witness["z"]))
        agree(value, witness["value"])
        if not _is_outside(value):
            raise Refuted("the value at the witness is not shown to be outside (0, 1)")


def _is_outside(value: Expr) -> bool:
    """Whether a number is shown not to lie in (0, 1)."""
    if enclosures.sign_of(value) < 0 or enclosures.sign_of(value - 1) > 0:
        return True
    return any(same(value, end) for end in (sp.S.Zero, sp.S.One))


def _never_zero_and_one(*ends: Expr) -> bool:
    """Whether two limits are shown not to be 0 and 1, in some order."""
    if any(end.is_infinite or (differ(end, sp.S.Zero) and differ(end, sp.S.One)) for end in ends):
        return True
    return same(*ends)


def _may_have_a_floor(left: Expr, right: Expr) -> bool:
    """Whether the limits are not shown to be other than a in (0, 1) and 1."""
    if left.is_infinite or differ(right, sp.S.One):
        return False
    return not (same(left, sp.S.Zero) or same(left, sp.S.One) or enclosures.sign_of(left * (1 - left)) < 0)


def _is_smooth_at(phi: Expr, z: Expr) -> bool:
    """Whether no branch of the formula changes at z, as each expression that decides between them is not 0 there."""
    edges = {node.args[0] for node in phi.atoms(sp.Abs, sp.sign)}
    edges |= {r.lhs - r.rhs for r in phi.atoms(sp.core.relational.Relational)}
    for edge in edges:
        if edge.has(Z) and not enclosures.sign_of(_without_branches(edge.subs(Z, z))):
            return False
    try:
        enclosures.enclosure(_without_branches(phi.subs(Z, z)), enclosures.Box(sp.S.One, sp.S.One))
    except enclosures.Undefined:
        return False
    return True


def _without_branches(c: Expr) -> Expr:
    """A constant in which SymPy has chosen all branches; else nothing is shown of it."""
    if c.has(sp.Piecewise, sp.sign):
        raise Refuted("a branch is not settled at the witness")
    return c


def _check_jump_or_kink(phi: Expr, witness: Mapping[str, Any], prover: Prover) -> None:
    """That phi is not continuous at z, by value and one-sided limits; or not smooth, by its difference quotients."""
    z, jumps = constant(witness["z"]), witness["kind"] == "jump"
    at = phi.subs(Z, z)
    _without_branches(at)
    agree(at, witness["at"])
    sides = []
    for side, way in (("left", -1), ("right", 1)):
        near = phi.subs(Z, z + way / Z)
        words = f"lim phi at z from the {side}" if jumps else f"lim of the difference quotients of phi from the {side}"
        limit = prover.ask(f"from the {side}", words, near if jumps else way * Z * (near - at))
        if not same(limit, constant(witness[side])):
            raise Refuted(f"the limit from the {side} is another than the witness says")
        sides.append(limit)
    if jumps and not any(differ(limit, at) for limit in sides):
        raise Refuted("phi is not shown to differ from its limits")
    if not jumps and not (any(limit.is_infinite for limit in sides) or differ(*sides)):
        raise Refuted("the difference quotients are not shown to have two limits")


def check_break(phi: Expr, low: Expr, high: Expr) -> None:
    """That phi is torn or bent at one point between two rational ones, where that point has no closed form.

    One expression that decides between branches vanishes there, once, as it is seen to be monotone; all others have one
    sign. The branches to its left and right then have no value in common between the two points, so that phi jumps; or
    no slope, so that it has two one-sided derivatives or is not continuous.

    Raises
    ------
    Refuted
        That is not seen; it says nothing about whether phi is torn.

    Examples
    --------
    >>> check_break(sp.Abs(Z**3 + Z - 3), sp.S.One, sp.S(2))
    >>> check_break(sp.Abs(Z**3 + Z - 3), sp.S(2), sp.S(3))
    Traceback (most recent call last):
    gateflow.asymptotics.proofs.statements.Refuted: no branch is seen to change between the two points
    """
    if not (low.is_Rational and high.is_Rational and low < high):
        raise Refuted("a break lies between two rational numbers in order")
    box = enclosures.Box(sp.S.Zero, high - low)
    left, right = _Branches(phi.xreplace({Z: low + enclosures.X}), box).sides()
    for order in (0, 1):
        sides = [sp.diff(side, enclosures.X, order) if order else side for side in (left, right)]
        try:
            one, other = (enclosures.enclosure(side, box) for side in sides)
        except (enclosures.Undefined, enclosures.Unproved, OverflowError):
            break
        if one.high < other.low or other.high < one.low:
            return
    raise Refuted("the two branches are not seen to differ in value or in slope at the break")


class _Branches:
    """The branches of a formula in x left and right of the one break on a box."""

    def __init__(self, phi: Expr, box: enclosures.Box) -> None:
        self.phi, self.box, self.edge = phi, box, None

    def sides(self) -> tuple[Expr, Expr]:
        """Both, free of pieces and absolute values; neither is looked at but by its enclosures.

        Raises
        ------
        Refuted
            There is not seen to be one break.
        """
        found = self._both(self.phi)
        if self.edge is None:
            raise Refuted("no branch is seen to change between the two points")
        return found

    def _both(self, e: Any) -> tuple[Any, Any]:
        if not e.has(sp.Piecewise, sp.Abs, sp.sign, sp.core.relational.Relational):
            return e, e
        if isinstance(e, sp.Piecewise):
            chosen: list[Any] = [None, None]
            for value, condition in e.args:
                for k, holds in enumerate(self._both(condition)):
                    if chosen[k] is None and holds == sp.true:
                        chosen[k] = value
            if None in chosen:
                raise Refuted("no branch is settled beside the break")
            if chosen[0] is chosen[1]:
                return self._both(chosen[0])
            return self._both(chosen[0])[0], self._both(chosen[1])[1]
        if isinstance(e, sp.core.relational.Relational):
            one, other = self._signs(*self._both(e.lhs - e.rhs))
            return e.func(one, 0), e.func(other, 0)
        parts = [self._both(a) for a in e.args]
        if isinstance(e, sp.Abs | sp.sign):
            (left, right), (one, other) = parts[0], self._signs(*parts[0])
            return (one * left, other * right) if isinstance(e, sp.Abs) else (sp.Integer(one), sp.Integer(other))
        return e.func(*(a for a, _ in parts)), e.func(*(b for _, b in parts))

    def _signs(self, left: Expr, right: Expr) -> tuple[int, int]:
        """Of what decides between branches, left and right of the break."""
        low, high = (self._sign(side) for side in (left, right))
        if low and high:
            return low, high
        if left != right or self.edge not in (None, left, -left):
            raise Refuted("more than one branch may change between the two points")
        self.edge = left
        ends = [enclosures.sign_of(left.xreplace({enclosures.X: end})) for end in self.box]
        if not self._sign(sp.diff(left, enclosures.X)) or ends[0] * ends[1] != -1:
            raise Refuted("what decides between the branches is not seen to vanish once")
        return ends[0], ends[1]

    def _sign(self, e: Expr) -> int:
        try:
            low, high = enclosures.enclosure(e, self.box)
        except (enclosures.Undefined, enclosures.Unproved, OverflowError):
            return 0
        return 1 if low > 0 else -1 if high < 0 else 0


def prove_membership(statement: Mapping[str, Any], prover: Prover) -> None:
    """The limits of a gate in class F, or in it from a floor on; the rest is for `check_membership`."""
    floor = floor_of(statement["verdict"])
    phi = formula(statement["gate"])
    agree(phi.subs(Z, MARK), statement["value"])
    if statement["z0"] is not None:
        z0 = constant(statement["z0"])
        if not z0.is_Rational or z0 < 0:
            raise Refuted("z0 must be a number that is not negative")
        agree(slope_at(phi, z0), statement["slope"])
    elif statement["slope"] is not None:
        raise Refuted("there is no slope where there is no z0")
    require(prover, "left end", f"lim phi at the left end = {text_of(floor)}", phi.xreplace({Z: -Z}), floor)
    require(prover, "right end", "lim phi at the right end = 1", phi, sp.S.One)
    limit = prover.ask("bend", "lim z phi''/phi' < 0", halflines.bend(halflines.stretches(phi)[-1].formula))
    if limit != -sp.oo and not limit.is_negative:
        raise Refuted(f"z phi''/phi' tends to {limit}, which is not negative")


def slope_at(phi: Expr, z0: Expr) -> Expr:
    """``phi'(z0)``, from the right."""
    return halflines.slope(halflines.beyond(phi, z0)[0].formula).subs(halflines.X, z0)


def check_membership(statement: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """Clauses 1, 2 and 4 of Definition 4.1 on half-lines; clause 3 follows with the limits at the ends."""
    end = time.monotonic() + seconds
    phi = formula(statement["gate"])
    torn = halflines.unjoined(phi)
    where = "" if torn is None else f"this is not seen at z = {torn}"
    yield Check(
        "the parts of phi meet with one value, that of phi, and one slope", "proved", torn is None or None, where
    )
    for side, words in ((1, "z > 0"), (-1, "z < 0")):
        far = halflines.rises(phi, side, end)
        detail = "by boxes on the whole half-line" if far == sp.oo else f"only as far as |z| = {far.evalf(6)}"
        what = f"phi is differentiable and increases for {words}"
        yield Check(what, "proved", True if far == sp.oo else None, detail)
    if statement["z0"] is not None:
        yield from _check_decrease(phi, constant(statement["z0"]), end)


def _check_decrease(phi: Expr, z0: Expr, end: float) -> Iterator[Check]:
    far = halflines.bends_down(phi, z0, end)
    what = f"phi' decreases for z >= {z0.evalf(6)}"
    if far == sp.oo:
        yield Check(what, "proved", True, "by boxes to infinity")
        return
    yield Check(what, "proved", None, f"only up to z = {far.evalf(6)}, by boxes")


_WITNESSES = {
    ("differentiable", "jump"): {"kind", "z", "at", "left", "right"},
    ("differentiable", "kink"): {"kind", "z", "at", "left", "right"},
    ("differentiable", "break"): {"kind", "from", "to"},
    ("increasing", "slope"): {"kind", "z", "value"},
    ("increasing", "flat"): {"kind", "from", "to", "phi"},
    ("onto", "value"): {"kind", "z", "value"},
    ("onto", "limits"): {"kind", "left", "right"},
    ("monotone_slope", "oscillation"): {"kind", "base", "above", "below"},
}
"""By clause, the kinds of witness that break it, and their fields."""


def _never_monotone(phi: Expr, witness: Mapping[str, Any]) -> None:
    """phi'' > 0 wherever ``base`` is at one phase and < 0 at another; base runs off to infinity, so both recur."""
    base, limits = formula(witness["base"]), Gruntz(20.0)
    second = derivative(phi, order=2)
    try:
        if not limits.limit(base).is_infinite:
            raise Refuted("the phase does not run off to infinity")
        for key, wanted in (("above", 1), ("below", -1)):
            phase = constant(witness[key])
            if not (4 * phase / sp.pi).is_integer or not 0 <= phase.evalf() < 2 * sp.pi.evalf():
                raise Refuted("a phase is a multiple of pi/4, below 2 pi")
            there = second.xreplace({sp.sin(base): sp.sin(phase), sp.cos(base): sp.cos(phase)})
            if there.has(sp.sin, sp.cos) or limits.sign(there) != wanted:
                raise Refuted(f"phi'' has not the sign it should where the phase is {witness[key]}")
    except Unproved as why:
        raise Refuted(f"the sign of phi'' was not proved: {why}") from None
