"""Certificates re-checked by separate, small code: nothing here imports the search (`growth`, `saturation`, `rate`).

A certificate is plain JSON: the statement with the gates as formulas, germs (what -log(1 - phi) comes to for large z),
the chain of limits that proves the statement, and a digest. `verify` goes through it as a reader would:

1. *Digest.* SHA-256 over everything else, as canonical JSON: any altered field shows. This alone protects what carries
   no mathematics (``made``: versions, seconds, the gates' display names). A digest can be computed anew, so the rest
   does not lean on it.
2. *Re-derived.* From the statement alone, `order_walk` and `rate_walk` say which limit must come next, and what
   expression it is of; the certificate's step must say the same, no step may be missing or left over, and the verdict,
   threshold, exponent and ratio that follow from the limits must be those claimed.
3. *Proved.* Each limit is found anew by `mrv`, another algorithm than the search's. Where it cannot, the certificate
   is reported as *open*, neither verified nor refuted.
4. *Numeric.* Each expression is evaluated in big floats at several z so large that f is 10, 100, ... 1e64 (digits are
   raised until two evaluations agree). Convergence may be as slow as 1/log z, so the test is of the trend: the error
   must fall along the last rungs, or an infinite limit grow on the right side. This proves nothing; it is there to
   catch a wrong step in 2 and 3 that went the same way in both. Where nothing can be evaluated the check has not held,
   and the certificate is open.

A certificate that a gate is *not* in class F holds a witness instead of a chain: a point where phi is smooth and its
slope negative, two points with one value, a value outside (0, 1), limits other than 0 and 1, a point at which phi is
not its own limit or its difference quotients have two limits, or two phases at which phi'' has opposite signs for
ever. It is enclosed, or its limits and signs are proved, anew.

A certificate that a gate *is* in class F claims three limits, ``phi(-oo) = 0``, ``phi(oo) = 1`` and that of ``z
phi''/phi'``, which is negative: so phi' decreases for all large z. That phi is differentiable and increases on the
whole line is proved by `halflines`, box by box, and so is that phi' decreases beyond the claimed z0. Where the boxes
come to a stop on the way to infinity the certificate is *open*: points, however many, prove nothing.

A certificate of a ranking holds as its chain the certificates of the orders it rests on: of neighbours in a class,
which are equal, and of the first gates of neighbouring classes. The rest follows, as the order is transitive.

There are no certificates of incomparable gates, nor of orders decided between the bounds of an oscillating profile.

What is proved, then, is the statement given the theorems of docs/theory.md and the correctness of `mrv` and of SymPy's
algebra; a fault in SymPy's simplification is the one thing that search and checker could have in common.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from gateflow.asymptotics import enclosures, halflines
from gateflow.asymptotics.mrv import Limits, Unproved
from gateflow.errors import GateflowError, InvalidArgument, cut, shown
from gateflow.files import read_json
from gateflow.formula import parse, unparse
from gateflow.formula.vocabulary import Expr, Z, derivative, logit, sigmoid, softplus, softsign
from gateflow.guards import bounded
from gateflow.notebook.cards import counts, facts, folded, framed, listed
from gateflow.results.byvalue import by_value

FORMAT = 1
C, T = sp.symbols("c T", positive=True)
TAU, GAP, L, A = sp.symbols("tau gap l a", positive=True)
_PARAMETERS = {str(s): "positive" for s in (C, T, TAU, GAP, L)}

Ask = Callable[[str, str, Expr], Expr]
"""``ask(name, sentence, expression)`` returns the limit of the expression at +infinity."""


class Refuted(Exception):
    """The certificate says something that is not so."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: what, how (digest, re-derived, proved, numeric), whether it held."""

    what: str
    how: str
    ok: bool | None
    detail: str = ""


@by_value
@dataclass(frozen=True)
class Verification:
    """The outcome of `verify`.

    Attributes
    ----------
    status : str
        ``verified``; ``refuted``: some check failed; ``open``: nothing failed, but a limit could not be proved anew.
    statement : str
    checks : list of Check
    """

    status: str
    statement: str
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return self.status == "verified"

    @property
    def reason(self) -> str:
        """The first check that failed, or that was left open."""
        for wanted in (False, None):
            for check in self.checks:
                if check.ok is wanted:
                    return f"{check.how}: {check.what}" + (f" ({check.detail})" if check.detail else "")
        return ""

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return {
            "status": self.status,
            "statement": self.statement,
            "reason": self.reason,
            "checks": [vars(check) for check in self.checks],
        }

    def __repr__(self) -> str:
        return f"<Verification {cut(str(self))}; {len(self.checks)} checks>"

    def __str__(self) -> str:
        return f"{self.status}: {self.statement}" + (f"; {self.reason}" if self.reason else "")

    def _repr_html_(self) -> str:
        words = {True: "held", False: "failed", None: "open"}
        rows = [[words[check.ok], check.how, check.what, check.detail] for check in self.checks]
        counted = facts([("checks", counts([words[check.ok] for check in self.checks])), ("note", self.reason)])
        table = folded("one by one", listed(("outcome", "how", "what", "detail"), rows))
        return framed(f"{self.status}: {self.statement}", counted, table)


# --- what must be shown -----------------------------------------------------------------------------------------------


def order_walk(f: Expr, g: Expr, ask: Ask) -> dict[str, Any]:
    """The decision on R(a) for germs f of phi and g of psi (docs/theory.md, "Order of saturation"), limit by limit.

    Returns verdict, threshold, exponent and ratio.
    """
    p = ask("p", "p = lim z g'", Z * sp.diff(g, Z))
    if p.is_finite:
        gap = ask("gap", "log R(1) = lim (g - f)", g - f)
        if gap.is_finite:
            return _found("equal", exponent=p, ratio=sp.exp(gap))
        return _found("higher" if gap == -sp.oo else "lower")
    F, G = f, g
    for _ in range(12):
        rho = ask("rho", "rho = lim log G/log z", sp.log(G) / sp.log(Z))
        if rho.is_finite:
            return _at_level(F, G, rho, ask)
        F, G = sp.log(F), sp.log(G)
    raise Refuted("more than 12 logarithms")


def _at_level(F: Expr, G: Expr, rho: Expr, ask: Ask) -> dict[str, Any]:
    kappa = ask("kappa", "kappa = lim F/G", F / G)
    if kappa in (0, sp.oo):
        return _found("higher" if kappa == sp.oo else "lower")
    if rho != 0:
        return _found("equal", threshold=kappa ** (1 / rho))
    if not _same(kappa, sp.S.One):
        side = enclosures.sign_of(kappa - 1)
        if not side:
            raise Unproved(f"whether {kappa} is above 1")
        return _found("higher" if side > 0 else "lower")
    shift = ask("shift", "log a* = lim (F - G)/(z G')", (F - G) / (Z * sp.diff(G, Z)))
    if shift.is_finite:
        return _found("equal", threshold=sp.exp(shift))
    return _found("higher" if shift == sp.oo else "lower")


def _found(
    verdict: str, threshold: Expr | None = None, exponent: Expr | None = None, ratio: Expr | None = None
) -> dict[str, Any]:
    return {"verdict": verdict, "threshold": threshold, "exponent": exponent, "ratio": ratio}


def swapped(found: Mapping[str, Any]) -> dict[str, Any]:
    """The same fact with phi and psi exchanged: R(a) becomes 1/R(1/a)."""
    turned = {"higher": "lower", "lower": "higher"}
    return {
        "verdict": turned.get(found["verdict"], found["verdict"]),
        "threshold": None if found["threshold"] is None else 1 / found["threshold"],
        "exponent": found["exponent"],
        "ratio": None if found["ratio"] is None else 1 / found["ratio"],
    }


def germ_walk(letter: str, phi: Expr, germ: Expr, ask: Ask, tail: str = "right") -> None:
    """That ``germ`` stands for ``-log(1 - phi)``, or at the left end for ``-log phi(-z)``, and tends to infinity."""
    rest = 1 - phi if tail == "right" else phi.xreplace({Z: -Z})
    words = "1 - phi" if tail == "right" else "phi(-z)"
    _demand(ask(f"{letter} is the gate's", f"lim ({words}) exp({letter}) = 1", rest * sp.exp(germ)), sp.S.One)
    _demand(ask(f"{letter} is infinite", f"lim {letter} = oo", germ), sp.oo)


def rate_walk(statement: Mapping[str, Any], f: Expr, ask: Ask) -> None:
    """What proves a rate: s(z) is the scaled time c T tau, and ``f + log l_hat(s(z))`` tends to 0."""
    phi, left = formula(statement["gate"]), statement["tail"] == "left"
    rest = phi.xreplace({Z: -Z}) if left else 1 - phi
    slope = -derivative(rest)
    s = formula(statement["implicit"]["s"])
    germ_walk("f", phi, f, ask, statement["tail"])
    log_s = _log_of_product(s)
    _demand(ask("time is infinite", "lim log s = oo", log_s), sp.oo)
    weight = (T - 1) * sp.log(rest) + sp.log(slope) if left else sp.log(slope)
    words = "phi(-z)^(T-1) phi'(-z) ds/dz" if left else "phi' ds/dz"
    _demand(ask("time", f"lim log({words}) = 0", weight + log_s + sp.log(sp.diff(log_s, Z))), sp.S.Zero)
    for name, of in (("l", rest), ("distance", rest), ("slope", slope)):
        claimed = statement["implicit"]["l"] if name == "l" else statement[name]
        _demand(ask(name, f"lim of the gate's over the claimed {name} = 1", of / formula(claimed)), sp.S.One)
    kappa = ask("kappa", "kappa = lim log f'/log f", sp.log(sp.diff(f, Z)) / sp.log(f))
    if not _same(kappa, constant(statement["kappa"])):
        raise Refuted(f"kappa is {kappa}")
    if statement["h"] is not None:
        h = formula(statement["h"]).xreplace({L: rest})
        _demand(ask("h", "lim h(l)/phi' = 1", h / slope), sp.S.One)
    if statement["hitting_time"] is not None:
        gap = rest**T if left else 1 - phi**T
        tau = formula(statement["hitting_time"]).xreplace({GAP: gap})
        _demand(ask("hitting time", "lim c T tau(gap)/s = 1", C * T * tau / s), sp.S.One)
    if statement["rate"] is not None:
        _explicit_walk(statement, f, s, ask)
    if statement["logarithms"] and (left or statement["rate"] is None):
        raise Refuted("only a rate at the right end is put on the ladder of logarithms")


def _explicit_walk(statement: Mapping[str, Any], f: Expr, s: Expr, ask: Ask) -> None:
    l_hat = formula(statement["rate"])
    log_s = _log_of_product(s)
    at = {TAU: s / (C * T), sp.log(TAU): log_s - sp.log(C) - sp.log(T), sp.log(C * T * TAU): log_s}
    error = f + _log_of_product(l_hat.xreplace(at))
    _demand(ask("rate", "lim (f + log l_hat(s)) = 0", error), sp.S.Zero)
    if statement["next_order"] is not None:
        corrected = f + _log_of_product(formula(statement["next_order"]).xreplace(at))
        name, words = "next order", "lim (f + log l_next(s))/(f + log l_hat(s)) = 0"
        _demand(ask(name, words, corrected / error), sp.S.Zero)
    if statement["tail"] == "right":
        _ladder_walk(int(statement["logarithms"]), l_hat, ask)


def _ladder_walk(count: int, l_hat: Expr, ask: Ask) -> None:
    """The squared iterated logarithms in the rate, one by one; z stands for tau, and c = T = 1."""
    rest = sp.log(l_hat.xreplace({TAU: Z, C: sp.S.One, T: sp.S.One})) + sp.log(Z)
    level = sp.log(Z)
    for k in range(1, count + 2):
        level = sp.log(level)
        power = ask(
            f"ladder {k}", f"the power of L_{k}: lim of log(l tau (L_1 ... L_{k - 1})^2)/log L_{k}", rest / level
        )
        if (power == -2) != (k <= count):
            raise Refuted(f"the power of L_{k} is {power}")
        rest += 2 * level


def refutation_walk(statement: Mapping[str, Any], ask: Ask) -> None:
    """That the witness breaks a clause of Definition 4.1, so that the gate is not in class F."""
    phi, witness = formula(statement["gate"]), statement["witness"]
    _agree(phi.subs(Z, MARK), statement["value"])
    kind = (statement["clause"], witness.get("kind"))
    if kind not in _WITNESSES:
        raise Refuted("no such clause with such a witness")
    _fields(witness, _WITNESSES[kind], "the witness")
    if witness["kind"] == "limits":
        ends = [ask(f"{side} end", f"lim phi at the {side} end", phi.xreplace({Z: z})) for side, z in ENDS]
        if not all(_same(end, constant(witness[side])) for end, (side, _) in zip(ends, ENDS, strict=True)):
            raise Refuted("the limits of phi are others than the witness says")
        # a continuous phi comes near 0 and 1 without taking them at the ends only
        if phi.has(sp.Piecewise, sp.sign) or not _never_zero_and_one(*ends):
            raise Refuted("phi may jump, or tends to 0 and to 1")
    elif witness["kind"] == "flat":
        low, high = (phi.subs(Z, constant(witness[end])) for end in ("from", "to"))
        if constant(witness["from"]) >= constant(witness["to"]) or not _same(low, high):
            raise Refuted("phi takes two values at the two points, or they are not in order")
        _agree(low, witness["phi"])
    elif witness["kind"] == "oscillation":
        _never_monotone(phi, witness)
    elif witness["kind"] in ("jump", "kink"):
        _torn_or_bent(phi, witness, ask)
    elif witness["kind"] == "slope":
        z = constant(witness["z"])
        if not _is_smooth_at(phi, z):
            raise Refuted("phi is not shown to be smooth at the witness, and a formal derivative is no slope")
        slope = derivative(phi).subs(Z, z)
        _agree(slope, witness["value"])
        if enclosures.sign_of(slope) >= 0:
            raise Refuted("the slope at the witness is not shown to be negative")
    else:
        value = phi.subs(Z, constant(witness["z"]))
        _agree(value, witness["value"])
        if not _is_outside(value):
            raise Refuted("the value at the witness is not shown to be outside (0, 1)")


def _is_outside(value: Expr) -> bool:
    """Whether a number is shown not to lie in (0, 1)."""
    return bool(value.is_zero) or value == 1 or enclosures.sign_of(value) < 0 or enclosures.sign_of(value - 1) > 0


def _never_zero_and_one(*ends: Expr) -> bool:
    """Whether two limits are shown not to be 0 and 1, in some order."""
    if any(end.is_infinite or (_differ(end, sp.S.Zero) and _differ(end, sp.S.One)) for end in ends):
        return True
    return _same(*ends)


def _differ(a: Expr, b: Expr) -> bool:
    """Whether two constants are shown to differ."""
    if a.is_infinite or b.is_infinite:
        return a != b
    return enclosures.sign_of(a - b) != 0


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


def _torn_or_bent(phi: Expr, witness: Mapping[str, Any], ask: Ask) -> None:
    """That phi is not continuous at z, by value and one-sided limits; or not smooth, by its difference quotients."""
    z, jumps = constant(witness["z"]), witness["kind"] == "jump"
    at = phi.subs(Z, z)
    _without_branches(at)
    _agree(at, witness["at"])
    sides = []
    for side, way in (("left", -1), ("right", 1)):
        near = phi.subs(Z, z + way / Z)
        words = f"lim phi at z from the {side}" if jumps else f"lim of the difference quotients of phi from the {side}"
        limit = ask(f"from the {side}", words, near if jumps else way * Z * (near - at))
        if not _same(limit, constant(witness[side])):
            raise Refuted(f"the limit from the {side} is another than the witness says")
        sides.append(limit)
    if jumps and not any(_differ(limit, at) for limit in sides):
        raise Refuted("phi is not shown to differ from its limits")
    if not jumps and not (any(limit.is_infinite for limit in sides) or _differ(*sides)):
        raise Refuted("the difference quotients are not shown to have two limits")


def membership_walk(statement: Mapping[str, Any], ask: Ask) -> None:
    """The limits of a gate in class F; the rest of Definition 4.1 is for `membership_checks`."""
    if statement["verdict"] != "in F":
        raise Refuted("the verdict must be in F")
    phi = formula(statement["gate"])
    _agree(phi.subs(Z, MARK), statement["value"])
    if statement["z0"] is not None:
        z0 = constant(statement["z0"])
        if not z0.is_Rational or z0 < 0:
            raise Refuted("z0 must be a number that is not negative")
        _agree(slope_at(phi, z0), statement["slope"])
    elif statement["slope"] is not None:
        raise Refuted("there is no slope where there is no z0")
    _demand(ask("left end", "lim phi at the left end = 0", phi.xreplace({Z: -Z})), sp.S.Zero)
    _demand(ask("right end", "lim phi at the right end = 1", phi), sp.S.One)
    limit = ask("bend", "lim z phi''/phi' < 0", halflines.bend(phi))
    if limit != -sp.oo and not limit.is_negative:
        raise Refuted(f"z phi''/phi' tends to {limit}, which is not negative")


def slope_at(phi: Expr, z0: Expr) -> Expr:
    """``phi'(z0)``, from the right."""
    return halflines.slope(halflines.half(phi, 1)).subs(halflines.X, z0)


def membership_checks(statement: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """Clauses 1, 2 and 4 of Definition 4.1 on half-lines; clause 3 follows with the limits at the ends."""
    end = time.monotonic() + seconds
    phi = formula(statement["gate"])
    same = halflines.smooth_at_zero(phi)
    yield Check("both halves of phi meet at 0 with one value and one slope", "proved", same or None)
    for side, words in ((1, "z > 0"), (-1, "z < 0")):
        far = halflines.rises(phi, side, end)
        detail = "by boxes on the whole half-line" if far == sp.oo else f"only as far as |z| = {far.evalf(6)}"
        what = f"phi is differentiable and increases for {words}"
        yield Check(what, "proved", True if far == sp.oo else None, detail)
    if statement["z0"] is not None:
        yield from _decreasing_checks(phi, constant(statement["z0"]), end)


def _decreasing_checks(phi: Expr, z0: Expr, end: float) -> Iterator[Check]:
    far = halflines.bends_down(phi, z0, end)
    what = f"phi' decreases for z >= {z0.evalf(6)}"
    if far == sp.oo:
        yield Check(what, "proved", True, "by boxes to infinity")
        return
    yield Check(what, "proved", None, f"only up to z = {far.evalf(6)}, by boxes")


def ranking_pairs(classes: list[list[str]]) -> Iterator[tuple[str, str, str]]:
    """phi, psi and verdict of each order that a ranking rests on; classes from the lowest up."""
    for members in classes:
        yield from ((phi, psi, "equal") for phi, psi in itertools.pairwise(members))
    yield from ((upper[0], lower[0], "higher") for lower, upper in itertools.pairwise(classes))


def ranking_checks(certificate: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """Each order of a ranking, by its own certificate, up to one that is refuted."""
    classes, parts = certificate["statement"]["classes"], certificate["chain"]
    if not all(classes):
        raise Refuted("a class is empty")
    pairs = list(ranking_pairs(classes))
    if not pairs or len(pairs) != len(parts):
        raise Refuted(f"the ranking rests on {len(pairs)} orders, and {len(parts)} are certified")
    for (phi, psi, verdict), part in zip(pairs, parts, strict=True):
        said = part["statement"]
        if (said["kind"], said["phi"], said["psi"], said["verdict"]) != ("order", phi, psi, verdict):
            raise Refuted(f"the next order must be {phi} against {psi}: {verdict}")
    end = time.monotonic() + seconds
    for part in parts:
        found = verify(part, max(end - time.monotonic(), 0.0))
        yield Check(found.statement, "proved", {"verified": True, "refuted": False}.get(found.status), found.reason)
        if found.status == "refuted":
            return


MARK = sp.Rational(1, 3)
"""Where statements hold the value of phi, so that no other gate of which they are true can be put in its place."""

ENDS = (("left", -Z), ("right", Z))

_WITNESSES = {
    ("differentiable", "jump"): {"kind", "z", "at", "left", "right"},
    ("differentiable", "kink"): {"kind", "z", "at", "left", "right"},
    ("increasing", "slope"): {"kind", "z", "value"},
    ("increasing", "flat"): {"kind", "from", "to", "phi"},
    ("onto", "value"): {"kind", "z", "value"},
    ("onto", "limits"): {"kind", "left", "right"},
    ("monotone_slope", "oscillation"): {"kind", "base", "above", "below"},
}
"""By clause, the kinds of witness that break it, and their fields."""


def _agree(value: Expr, claimed: Any) -> None:
    """A claimed value is right to 12 digits."""
    said = constant(claimed)
    if (
        not _same(value, said)
        and enclosures.sign_of(sp.Abs(value - said) - sp.Rational(1, 10**12) * sp.Abs(value)) >= 0
    ):
        raise Refuted("the value at the witness is another")


def _never_monotone(phi: Expr, witness: Mapping[str, Any]) -> None:
    """phi'' > 0 wherever ``base`` is at one phase and < 0 at another; base runs off to infinity, so both recur."""
    base, limits = formula(witness["base"]), Limits(20.0)
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


def _demand(limit: Expr, wanted: Expr) -> None:
    if not _same(limit, wanted):
        raise Refuted(f"the limit is {limit}, not {wanted}")


def _log_of_product(x: Expr) -> Expr:
    """``log x`` as a sum over the factors; what stands under a power that is no integer is positive."""
    parts = [(factor, *factor.as_base_exp()) for factor in sp.Mul.make_args(sp.powsimp(x))]
    return sp.Add(*(sp.expand_log(sp.log(a)) if e.is_integer else e * _log_of_power(b) for a, b, e in parts))


def _log_of_power(base: Expr) -> Expr:
    return _log_of_product(base) if base.is_Mul else sp.expand_log(sp.log(base))


def _same(a: Expr, b: Expr) -> bool:
    if a == b:
        return True
    return bool(a.is_finite and b.is_finite) and not _differ(a, b) and any(form(a - b) == 0 for form in _FORMS)


_FORMS: tuple[Callable[[Expr], Expr], ...] = (
    lambda c: sp.expand(sp.numer(sp.together(_in_exponentials(c)))),
    sp.simplify,
    lambda c: sp.minimal_polynomial(c, Z) - Z if c.is_algebraic and sp.count_ops(c) <= 60 else sp.S.One,
)
"""Ways to see that a constant is 0."""


def _in_exponentials(c: Expr) -> Expr:
    for node in (sigmoid, softplus, softsign, logit):
        c = c.replace(node, node.written_out)
    return c.replace(sp.acosh, lambda a: sp.log(a + sp.sqrt(a**2 - 1))).rewrite(sp.exp)


# --- text -------------------------------------------------------------------------------------------------------------


def formula(text: Any) -> Expr:
    """A formula of a certificate, in z and the letters c, T, tau, gap and l."""
    return parse(text, parameters=_PARAMETERS)


def constant(text: Any) -> Expr:
    """A limit: a constant, or ``oo`` or ``-oo``."""
    if text in ("oo", "-oo"):
        return sp.oo if text == "oo" else -sp.oo
    return parse(text, variables=(), parameters=_PARAMETERS)


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 over all fields but the digest, as JSON with sorted keys and no blanks."""
    rest = {key: value for key, value in certificate.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


# --- big floats -------------------------------------------------------------------------------------------------------

_LEVELS = (10, 30, 100, 300, 1000, 10**4, 10**8, 10**16, 10**32, 10**64)
_DIGITS = 700
"""No evaluation takes more digits than this; rungs that would are left out."""

_HUGE = mpmath.mpf(10) ** 500
"""Exponentials of more than this are not formed: their exponents are the size of books."""


def _bounded(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def evaluated(x: Any) -> Any:
        if abs(x) > _HUGE:
            raise OverflowError
        return function(x)

    return evaluated


def _exp(x: Any) -> Any:
    if x < -_HUGE:
        return mpmath.mpf(0)
    return _bounded(mpmath.exp)(x)


_NUMERIC: dict[Any, Callable[..., Any]] = {
    sp.exp: _exp,
    sp.log: mpmath.log,
    sp.sin: mpmath.sin,
    sp.cos: mpmath.cos,
    sp.tan: mpmath.tan,
    sp.sinh: _bounded(mpmath.sinh),
    sp.cosh: _bounded(mpmath.cosh),
    sp.tanh: lambda x: mpmath.sign(x) if abs(x) > _HUGE else mpmath.tanh(x),
    sp.asinh: mpmath.asinh,
    sp.acosh: mpmath.acosh,
    sp.atanh: mpmath.atanh,
    sp.atan: mpmath.atan,
    sp.erf: _bounded(mpmath.erf),
    sp.erfc: _bounded(mpmath.erfc),
    sp.loggamma: _bounded(mpmath.loggamma),
    sp.Abs: abs,
    sp.sign: mpmath.sign,
    sp.polygamma: mpmath.psi,
    softplus: lambda x: max(x, mpmath.mpf(0)) + mpmath.log1p(_exp(-abs(x))),
    sigmoid: lambda x: mpmath.mpf(0) if x < -_HUGE else 1 / (1 + _exp(-x)),
    softsign: lambda x: x / (1 + abs(x)),
    logit: lambda p: mpmath.log(p / (1 - p)),
}


def number(e: Expr, z: Any) -> Any:
    """The expression at z in mpmath's working precision."""
    if e == Z:
        return z
    if e.is_Symbol:
        return mpmath.mpf({C: 2, T: 3}[e])
    if e.is_Rational:
        return mpmath.mpf(e.p) / e.q
    if not e.args:
        return {sp.pi: mpmath.pi, sp.E: mpmath.e}[e] + mpmath.mpf(0)
    if isinstance(e, sp.Piecewise):
        return next(number(v, z) for v, condition in e.args if _holds(condition, z))
    if isinstance(e, sp.log):
        return _logarithm(e.args[0], z)
    values = [number(a, z) for a in e.args]
    if e.is_Add:
        return _sum(values)
    if e.is_Mul:
        return mpmath.fprod(values)
    if e.is_Pow:
        return values[0] ** (int(e.exp) if e.exp.is_Integer else values[1])
    return _NUMERIC[e.func](*values)


def _logarithm(e: Expr, z: Any) -> Any:
    """``log e``, without forming an e that is too large."""
    if isinstance(e, sp.exp):
        return number(e.args[0], z)
    if isinstance(e, sp.sinh | sp.cosh):
        u = number(e.args[0], z)
        if u > 1:
            return u + mpmath.log1p((-1 if isinstance(e, sp.sinh) else 1) * _exp(-2 * u)) - mpmath.log(2)
    if isinstance(e, sp.log) and isinstance(e.args[0], sp.exp | sp.sinh | sp.cosh):
        try:
            return mpmath.log(number(e, z))
        except OverflowError:  # log log sinh u = log(u - log 2), and u is past _HUGE
            if mpmath.mp.dps > 450:
                raise
            return _logarithm(e.args[0].args[0], z)
    if e.is_Mul and e.has(sp.exp):
        inner = [a for a in e.args if isinstance(a, sp.exp)]
        return mpmath.fsum([number(a.args[0], z) for a in inner] + [mpmath.log(number(e / sp.Mul(*inner), z))])
    return mpmath.log(number(e, z))


def _sum(values: list[Any]) -> Any:
    """The sum, where some of its digits are left."""
    total = mpmath.fsum(values)
    if abs(total) <= max(map(abs, values)) * mpmath.eps * 1000:
        raise ValueError("all digits cancelled")
    return total


def _holds(condition: Any, z: Any) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    return bool(condition.func(sp.Integer(int(mpmath.sign(number(condition.lhs - condition.rhs, z)))), 0))


class Rung(NamedTuple):
    """A large z; the digits that the germs take there; and those that 1 - phi takes where it is formed as written."""

    z: Any
    digits: int
    saturated: int


def settled_number(e: Expr, rung: Rung) -> Any:
    """The expression to some ten digits, or None: two evaluations, one in twice the digits, must agree."""
    for digits in sorted({40, rung.digits, rung.saturated}):
        if digits <= _DIGITS:
            values = [_value(e, rung.z, d) for d in (digits, 2 * digits)]
            if all(v is not None and v != 0 for v in values):  # a zero may be lost digits
                small = mpmath.mpf(10) ** (-digits // 3)
                if abs(values[1] - values[0]) <= max(abs(values[1]) * mpmath.mpf(10) ** -10, small):
                    return values[1]
    return None


def _value(e: Expr, z: Any, digits: int) -> Any:
    try:
        with mpmath.workdps(digits):
            value = mpmath.fsum(number(a, +z) for a in e.args) if e.is_Add else number(e, +z)
    except (ZeroDivisionError, OverflowError, ValueError, MemoryError):
        return None
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None


def ladders(*germs: Expr) -> list[list[Rung]]:
    """For each germ, numbers z at which it is about 10, 100, 1e4, ..., found by bisection in log z."""
    found = [[_at_level_of(f, level) for level in _LEVELS] for f in germs]
    return [[_rung(z, germs) for z in zs if z is not None] for zs in found]


@functools.lru_cache(maxsize=1024)
def _at_level_of(f: Expr, level: int) -> Any:
    a, b = mpmath.log(2), mpmath.mpf(10) ** 80
    high = b
    while b / a > 1 + mpmath.mpf(10) ** -6:
        middle = mpmath.sqrt(a * b)
        a, b = (a, middle) if _beyond(f, middle, level) else (middle, b)
    with mpmath.workdps(60):
        return mpmath.exp(+b) if b < high else None


def _rung(z: Any, germs: tuple[Expr, ...]) -> Rung:
    sizes = [_value(f, z, 40) for f in germs]
    top = max((abs(f) for f in sizes if f is not None), default=mpmath.mpf(1))
    return Rung(z, 40 + 2 * int(mpmath.log10(top + 1)), 40 + int(min(top / 2, _DIGITS)))


def _beyond(f: Expr, log_z: Any, level: int) -> bool:
    """Whether f is past a level; what overflows is."""
    try:
        with mpmath.workdps(30 + len(str(level))):
            value = number(f, mpmath.exp(log_z))
    except (OverflowError, MemoryError, ValueError, ZeroDivisionError):
        return True
    return not mpmath.isfinite(value) or value > level


def trend(values: list[Any], limit: Expr) -> bool | None:
    """Whether three values go to the limit; None for too few of them.

    The distance to a finite limit must fall; and where the values settle (the last step at most half of the one
    before, the distance not yet a quarter), what Aitken extrapolates them to must be nearer to the limit than they are.
    """
    if len(values) < 3:
        return None
    if limit.is_infinite:
        side = 1 if limit == sp.oo else -1
        return bool(0 < side * values[0] < side * values[1] < side * values[2])
    goal = mpmath.mpf(sp.N(limit.xreplace({C: sp.Integer(2), T: sp.Integer(3)}), 30))
    errors = [value - goal for value in values]
    if abs(errors[2]) <= mpmath.mpf(10) ** -9 * (1 + abs(goal)):
        return True
    if not (abs(errors[0]) > abs(errors[1]) > abs(errors[2]) and abs(errors[2]) < 0.97 * abs(errors[0])):
        return False
    first, second = errors[1] - errors[0], errors[2] - errors[1]
    if abs(second) > 0.5 * abs(first) or abs(errors[2]) < 0.25 * abs(errors[1]):
        return True
    return bool(abs(errors[2] - second**2 / (second - first)) <= 0.8 * abs(errors[2]))


def _shown(values: list[Any]) -> str:
    try:
        return ", ".join(mpmath.nstr(v, 6) for v in values)
    except ValueError:  # an exponent of thousands of digits
        return "of huge exponents"


# --- reading a certificate --------------------------------------------------------------------------------------------


class _Reader:
    """Goes through a chain: each limit asked for must be the next step of the certificate."""

    def __init__(self, chain: list[Any]) -> None:
        self.chain = list(chain)
        self.read: list[tuple[str, Expr, Expr]] = []

    def ask(self, name: str, sentence: str, expr: Expr) -> Expr:
        """The limit that the certificate claims, once the step is found to be the right one."""
        place = len(self.read)
        if place == len(self.chain):
            raise Refuted(f"the chain ends before: {sentence}")
        step = self.chain[place]
        _fields(step, {"name", "statement", "expr", "limit"}, f"step {place + 1}")
        if (step["name"], step["statement"]) != (name, sentence):
            raise Refuted(f"step {place + 1} must be: {sentence}")
        if not _same_formula(step["expr"], expr):
            raise Refuted(f"step {place + 1}: the expression is not that of: {sentence}")
        self.read.append((sentence, expr, constant(step["limit"])))
        return self.read[-1][2]

    def finish(self) -> list[tuple[str, Expr, Expr]]:
        """The claims read; nothing may be left over."""
        if len(self.read) != len(self.chain):
            raise Refuted(f"the chain has {len(self.chain) - len(self.read)} steps too many")
        return self.read


def _proved(sentence: str, expr: Expr, limit: Expr, limits: Limits) -> Check:
    try:
        found = limits.limit(expr)
    except Unproved as why:
        return Check(sentence, "proved", None, str(why))
    if _same(found, limit):
        return Check(sentence, "proved", True, str(found))
    parameters = (found - limit).free_symbols if found.is_finite and limit.is_finite else set()
    if not parameters and not _differ(found, limit):
        return Check(sentence, "proved", None, f"whether {found} is {limit}")
    return Check(sentence, "proved", False, f"the limit is {found}, not {limit}")


def _evaluated(sentence: str, expr: Expr, limit: Expr, germs: list[Expr]) -> Check:
    """The last three numbers on a ladder go to the limit; one ladder may be too short to show it, not all."""
    seen: list[tuple[bool | None, str]] = []
    for ladder in ladders(sp.log(Z)) if sentence.startswith("the power of") else ladders(*germs):
        found = (settled_number(expr, rung) for rung in reversed(ladder))
        values = list(itertools.islice((v for v in found if v is not None), 3))[::-1]
        seen.append((trend(values, limit), _shown(values)))
        if seen[-1][0]:
            break
    ok, shown = min(seen, key=lambda one: (not one[0], one[0] is None))
    if ok is None and limit.is_finite:
        ok, shown = _enclosed_trend(expr, limit)
    if ok is None:
        return Check(sentence, "numeric", None, "out of reach of big floats")
    return Check(sentence, "numeric", ok, shown if ok else f"the numbers {shown} do not go to {limit}")


def _enclosed_trend(expr: Expr, limit: Expr) -> tuple[bool | None, str]:
    """The same by enclosures, which have a value where all digits cancel or an exponential leaves the big floats."""
    at = expr.xreplace({C: sp.Integer(2), T: sp.Integer(3), Z: enclosures.X})
    values = []
    for k in range(1, 5):
        z = sp.Integer(10) ** k
        try:
            low, high = enclosures.enclosure(at, enclosures.Box(z, z), 80)
        except (enclosures.Undefined, Unproved, OverflowError):
            continue
        if high - low < mpmath.mpf(10) ** -15 * (1 + abs(low)):
            values.append((low + high) / 2)
    return trend(values[-3:], limit), _shown(values[-3:])


def _same_formula(text: Any, expr: Expr) -> bool:
    if text == unparse(expr):
        return True
    written = formula(text)
    points = [Rung(mpmath.mpf(p) / 16, 60, 600) for p in (21, 37, 53, 85)]
    pairs = [(settled_number(written, z), settled_number(expr, z)) for z in points]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return len(known) >= 2 and all(abs(a - b) <= abs(b) * mpmath.mpf(10) ** -9 for a, b in known)


def _fields(part: Any, wanted: set[str], where: str) -> None:
    if not isinstance(part, dict) or set(part) != wanted:
        raise Refuted(f"{where} must have exactly the fields {', '.join(sorted(wanted))}")


_STATEMENT = {
    "refutation": {"kind", "gate", "value", "clause", "witness"},
    "membership": {"kind", "gate", "verdict", "value", "z0", "slope"},
    "ranking": {"kind", "classes"},
    "order": {"kind", "phi", "psi", "verdict", "threshold", "exponent", "ratio", "convex", "swapped"},
    "rate": {
        "kind",
        "gate",
        "tail",
        "rate",
        "next_order",
        "implicit",
        "distance",
        "slope",
        "h",
        "kappa",
        "logarithms",
        "hitting_time",
    },
}


def verify(source: str | Path | Mapping[str, Any], seconds: float = 60.0) -> Verification:
    """Check a certificate: its digest, that each step is the one the statement asks for, and each limit anew.

    Parameters
    ----------
    source : path or dict
    seconds : float
        Time for the proofs; what is not proved by then leaves the outcome *open*.

    Raises
    ------
    InvalidArgument
        The file cannot be read, or is not JSON.

    Examples
    --------
    >>> from gateflow.asymptotics.certificate import certify
    >>> from gateflow.gates.gate import gate
    >>> certificate = certify(gate("fast"), gate("sigmoid"))
    >>> print(verify(certificate))
    verified: sigmoid(sinh(z)) against sigmoid(z): higher
    >>> certificate["statement"]["verdict"] = "lower"
    >>> verify(certificate).status
    'refuted'
    """
    if not isinstance(source, (str, Path, Mapping)):
        raise InvalidArgument(f"a certificate is a file or what was read from one; got {shown(source)}")
    seconds = bounded.checked(seconds)
    certificate = source if isinstance(source, Mapping) else _read(Path(source))
    checks: list[Check] = []
    told = "no statement"
    try:
        _fields(certificate, {"format", "statement", "germs", "chain", "made", "digest"}, "a certificate")
        told = _sentence(certificate["statement"])
        same = certificate["digest"] == digest_of(certificate)
        checks.append(Check("the fields are those that were written", "digest", same))
        bounded.call(
            lambda: checks.extend(_looked_at(certificate, seconds)), seconds + 1, error=Unproved, asked=seconds
        )
    except Unproved as why:
        checks.append(Check(f"not proved here: {why}", "proved", None))
    except Refuted as why:
        checks.append(Check(str(why), "re-derived", False))
    except (GateflowError, KeyError, TypeError, ValueError, AttributeError) as why:
        checks.append(Check(f"the certificate is malformed: {why}", "re-derived", False))
    held = [check.ok for check in checks]
    status = "refuted" if False in held else "open" if None in held else "verified"
    return Verification(status, told, checks)


def _looked_at(certificate: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """The checks of the mathematics, one after the other; the latter are left out where one has failed."""
    germs, claims = _walk(certificate)
    yield Check("each step is the one that the statement asks for", "re-derived", True)
    limits, failed = Limits(seconds), False
    for claim in claims:
        for check in (_proved(*claim, limits), _evaluated(*claim, germs)):
            failed = failed or check.ok is False
            yield check
    if certificate["statement"]["kind"] == "ranking":
        yield from ranking_checks(certificate, seconds)
    if certificate["statement"]["kind"] == "membership" and not failed:
        yield from membership_checks(certificate["statement"], seconds)


def _read(path: Path) -> dict[str, Any]:
    try:
        return read_json(path)
    except OSError as problem:
        raise InvalidArgument(f"cannot read {str(path)!r}: {problem.strerror or problem}") from None
    except (ValueError, RecursionError):
        raise InvalidArgument(f"{str(path)!r} is not a certificate: not JSON") from None


def _sentence(statement: Any) -> str:
    if not isinstance(statement, dict) or statement.get("kind") not in _STATEMENT:
        raise Refuted("the statement must be of a known kind: " + ", ".join(_STATEMENT))
    _fields(statement, _STATEMENT[statement["kind"]], "the statement")
    if statement["kind"] == "order":
        return f"{statement['phi']} against {statement['psi']}: {statement['verdict']}"
    if statement["kind"] == "refutation":
        return f"{statement['gate']} is not in class F: {statement['clause']} fails"
    if statement["kind"] == "ranking":
        return " < ".join(" = ".join(members) for members in statement["classes"])
    if statement["kind"] == "membership":
        beyond = "" if statement["z0"] is None else f", with z0 = {statement['z0']}"
        return f"{statement['gate']} is in class F{beyond}"
    return f"{statement['gate']}, {statement['tail']} end: l ~ {statement['rate'] or 'the implicit pair'}"


_GERMS: dict[str, set[str]] = {
    "order": {"f", "g"},
    "rate": {"f"},
    "refutation": set(),
    "membership": set(),
    "ranking": set(),
}


def _walk(certificate: Mapping[str, Any]) -> tuple[list[Expr], list[tuple[str, Expr, Expr]]]:
    """The germs, and each limit that is claimed, once the chain is found to be the one that the statement needs."""
    if certificate["format"] != FORMAT or certificate["format"] is True:
        raise Refuted(f"the format must be {FORMAT}")
    statement, germs = certificate["statement"], certificate["germs"]
    _fields(germs, _GERMS[statement["kind"]], "the germs")
    read = [formula(germs[letter]) for letter in sorted(germs)]
    if statement["kind"] == "ranking":  # its chain is of certificates
        return [Z], []
    reader = _Reader(certificate["chain"])
    if statement["kind"] == "refutation":
        refutation_walk(statement, reader.ask)
    elif statement["kind"] == "membership":
        membership_walk(statement, reader.ask)
    elif statement["kind"] == "order":
        check_order(statement, read[0], read[1], reader.ask)
    else:
        if statement["tail"] not in ("right", "left"):
            raise Refuted("the tail must be right or left")
        if type(statement["logarithms"]) is not int or statement["logarithms"] < 0:
            raise Refuted("logarithms must be a whole number")
        _fields(statement["implicit"], {"s", "l"}, "the implicit form")
        rate_walk(statement, read[0], reader.ask)
    return read or [Z], reader.finish()


def check_order(statement: Mapping[str, Any], f: Expr, g: Expr, ask: Ask) -> None:
    """That the limits answered by ``ask`` give what the statement says of two gates."""
    germ_walk("f", formula(statement["phi"]), f, ask)
    germ_walk("g", formula(statement["psi"]), g, ask)
    if type(statement["swapped"]) is not bool:
        raise Refuted("swapped must be true or false")
    found = swapped(order_walk(g, f, ask)) if statement["swapped"] else order_walk(f, g, ask)
    if found["verdict"] != statement["verdict"]:
        raise Refuted(f"the limits say {found['verdict']}, not {statement['verdict']}")
    for name in ("threshold", "exponent", "ratio"):
        claimed = None if statement[name] is None else constant(statement[name])
        if (claimed is None) != (found[name] is None) or (claimed is not None and not _same(claimed, found[name])):
            raise Refuted(f"the limits give {name} {found[name]}, not {statement[name]}")
    convex = True if found["verdict"] in ("higher", "lower") else None
    if statement["convex"] is not convex:
        raise Refuted("germs of one Hardy field are convex through each other exactly where the order is strict")
