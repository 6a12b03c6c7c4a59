"""Certificates: what was decided, as JSON that `checker.verify` can follow step by step.

The search decides. Then the outlines in `proofs` are gone through once more for the gates as they are written, each
limit answered by the search's engine; that chain is the certificate. One that does not give the search's own verdict is
never written.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sympy as sp

from gateflow import record
from gateflow.asymptotics.clauses import Membership
from gateflow.asymptotics.germs import germ_of, plain_germ
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import GRACE, Chain, Field, SearchBudget
from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.order import Order, order
from gateflow.asymptotics.proofs import checker, outline, statements, witnesses
from gateflow.asymptotics.proofs.mrv import Unproved
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.asymptotics.ranking import Ranking, rank
from gateflow.asymptotics.rate import Rate, at_end, rate
from gateflow.errors import FormulaError, GateflowError
from gateflow.files import Output, from_json
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Expr, Z, derivative
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded

SECONDS = 20.0
PACKAGES = ("gateflow", "sympy", "mpmath")

_NO_CHAIN = "this verdict rests on more than a chain of limits, and no certificate is written for it yet"


def gate_text(gate: Any) -> str:
    """The gate as one formula in z, its parameters put in.

    Raises
    ------
    Undecided
        A parameter has no number.
    """
    loose = sorted(map(str, gate.expr.free_symbols - {Z}))
    if loose:
        raise Undecided(f"no certificate: it would need a number for {', '.join(loose)}")
    return gate.as_phi(unparse(gate.expr))


def certificate(phi: Any, psi: Any, found: Order | None = None, seconds: float = SECONDS) -> dict[str, Any]:
    """A certificate of the order of saturation of ``phi`` against ``psi``.

    Parameters
    ----------
    phi, psi : Gate or str
    found : Order, optional
        What `order` said, if it was asked already.
    seconds : float

    Raises
    ------
    Undecided
        There is no verdict to certify, or none that a chain of limits proves.

    Examples
    --------
    >>> proof = certificate("softsign", "arctan")
    >>> proof["statement"]["ratio"], [step["name"] for step in proof["chain"][4:]]
    ('pi', ['p', 'gap'])
    """
    phi, psi = as_gate(phi), as_gate(psi)
    found = order(phi, psi, seconds) if found is None else found
    if found.verdict not in ("higher", "lower", "equal"):
        said = f"{found.names[0]} and {found.names[1]} are {found.verdict}"
        raise Undecided(f"no certificate: {said}{f' ({found.reason})' if found.reason else ''}")
    return _bounded(lambda: _make_order(phi, psi, found, seconds), seconds)


def _make_order(phi: Any, psi: Any, found: Order, seconds: float) -> dict[str, Any]:
    field = Field(Z, SearchBudget(seconds))
    f, g = plain_germ(germ_of(phi), field), plain_germ(germ_of(psi), field)
    statement = {
        "kind": "order",
        "phi": gate_text(phi),
        "psi": gate_text(psi),
        **{key: found.to_json()[key] for key in ("verdict", "threshold", "exponent", "ratio", "convex")},
    }
    why: Undecided | None = None
    for swap in (False, True):
        chain = Chain(field, readable=True)
        try:
            checker.check_order({**statement, "swapped": swap}, f, g, chain)
        except Undecided as error:
            why = why or error
            continue
        except (statements.Refuted, Unproved) as error:
            raise Undecided(f"{_NO_CHAIN}: {error}") from None
        texts = {"f": unparse(f), "g": unparse(g)}
        made = {"gates": list(found.names), "seconds": found.seconds}
        return seal({**statement, "swapped": swap}, texts, chain, made)
    assert why is not None
    raise Undecided(f"no certificate: {why.reason}")


def rate_certificate(
    gate: Any, tail: str = "right", found: Rate | None = None, seconds: float = SECONDS
) -> dict[str, Any]:
    """A certificate of the rate of ``gate`` at one end.

    Raises
    ------
    Undecided
        There is no rate to certify.

    Examples
    --------
    >>> rate_certificate("erf")["statement"]["rate"]
    '1/(4*c*T*tau*log(tau))'
    """
    gate, germ = as_gate(gate), at_end(tail)[0]
    found = rate(gate, tail, seconds) if found is None else found
    if found.verdict == "undecided":
        raise _no_certificate(f"the rate is undecided ({found.reason})")
    return _bounded(lambda: _make_rate(gate, germ, found, seconds), seconds)


def _bounded(make: Callable[[], dict[str, Any]], seconds: float) -> dict[str, Any]:
    """The certificate, or `Undecided` where it takes longer."""
    try:
        return bounded.call(make, bounded.checked(seconds) + GRACE, error=_no_certificate, asked=seconds)
    except FormulaError as error:  # digamma has no word
        raise _no_certificate(str(error)) from None


def _no_certificate(reason: str) -> Undecided:
    return Undecided(f"no certificate: {reason}")


def _make_rate(gate: Any, germ: Callable[[Any], Expr], found: Rate, seconds: float) -> dict[str, Any]:
    field = Field(Z, SearchBudget(seconds))
    f = plain_germ(germ(gate), field)
    facts = found.to_json()
    kept = ("tail", "rate", "next_order", "implicit", "distance", "slope", "h", "kappa", "logarithms", "hitting_time")
    statement = {"kind": "rate", "gate": gate_text(gate), **{key: facts[key] for key in kept}}
    chain = Chain(field, readable=True)
    try:
        outline.prove_rate(statement, f, chain)
    except (statements.Refuted, Unproved) as error:
        raise Undecided(f"the rate was not confirmed: {error}; last asked: {chain[-1]}") from None
    return seal(statement, {"f": unparse(f)}, chain, {"gates": [gate.name], "seconds": found.seconds})


def membership_certificate(gate: Any, found: Membership | None = None, seconds: float = SECONDS) -> dict[str, Any]:
    """A certificate that a gate is in class F, or that it is not.

    Parameters
    ----------
    gate : Gate or str
    found : Membership, optional
        What `membership` said, if it was asked already.
    seconds : float

    Raises
    ------
    Undecided
        Membership is not decided, or rests on more than the checker can prove anew.

    Examples
    --------
    >>> membership_certificate("fast")["statement"]["z0"]
    '61/64'
    >>> membership_certificate("sigmoid(z**2)")["statement"]["kind"]
    'refutation'
    """
    gate = as_gate(gate)
    found = membership(gate, seconds) if found is None else found
    if found.verdict == "not in F":
        return refutation_certificate(gate, found, seconds)
    if found.verdict == "undecided":
        raise Undecided("nothing to certify: whether the gate is in class F is undecided")
    return _bounded(lambda: _make_membership(gate, found, seconds), seconds)


def _make_membership(gate: Any, found: Membership, seconds: float) -> dict[str, Any]:
    statement: dict[str, Any] = {"kind": "membership", "gate": gate_text(gate), "verdict": found.verdict}
    phi = statements.formula(statement["gate"])
    statement["value"] = str(phi.subs(Z, statements.MARK).evalf(20))
    chain = Chain(Field(Z, SearchBudget(seconds)), readable=True)
    try:
        z0 = None if found.z0 is None else sp.Rational(repr(float(found.z0)))
        statement["z0"] = None if z0 is None else text_of(z0)
        statement["slope"] = None if z0 is None else str(witnesses.slope_at(phi, z0).evalf(20))
        witnesses.prove_membership(statement, chain)
        lacking = next((check for check in witnesses.check_membership(statement, seconds) if not check.ok), None)
    except Undecided as error:
        raise Undecided(f"no certificate: {error.reason}") from None
    except (statements.Refuted, Unproved) as error:
        raise Undecided(f"{_NO_CHAIN}: {error}") from None
    if lacking is not None:
        raise Undecided(f"no certificate: the checker does not prove that {lacking.what} ({lacking.detail})")
    return seal(statement, {}, chain, {"gates": [gate.name], "seconds": found.seconds})


def ranking_certificate(gates: Iterable[Any], found: Ranking | None = None, seconds: float = SECONDS) -> dict[str, Any]:
    """A certificate of a ranking, made of those of the orders it rests on.

    Parameters
    ----------
    gates : iterable of Gate or str
    found : Ranking, optional
        What `rank` said of them, if it was asked already.
    seconds : float
        For each pair.

    Raises
    ------
    Undecided
        There are fewer than two gates, the classes form no chain, or one of the orders has no certificate.

    Examples
    --------
    >>> ranking = ranking_certificate(["fast", "sigmoid", "scaled-tanh"])
    >>> [[part["statement"]["verdict"] for part in ranking["chain"]], ranking["statement"]["classes"][1]]
    [['equal', 'higher'], ['sigmoid(sinh(z))']]
    """
    named = {gate.name: gate for gate in map(as_gate, gates)}
    found = rank(named.values(), seconds) if found is None else found
    if found.open:
        raise Undecided(f"no certificate: the gates form no chain ({found.open[0]})")
    if len(named) < 2:
        raise Undecided("no certificate: a ranking takes two gates")
    upwards = found.classes[::-1]  # as certificates list them
    parts = [certificate(named[a], named[b], seconds=seconds) for a, b, _ in checker.ranking_pairs(upwards)]
    classes = [[gate_text(named[name]) for name in members] for members in upwards]
    return seal({"kind": "ranking", "classes": classes}, {}, parts, {"gates": list(named)})


def refutation_certificate(gate: Any, found: Membership | None = None, seconds: float = SECONDS) -> dict[str, Any]:
    """A certificate that a gate is not in class F: one clause of Definition 4.1, and a witness that breaks it.

    Raises
    ------
    Undecided
        The gate is not refuted, or its witness is of a kind that the checker does not know.

    Examples
    --------
    >>> refutation_certificate("sigmoid(z**3 - z)")["statement"]["clause"]
    'increasing'
    """
    gate = as_gate(gate)
    found = membership(gate, seconds) if found is None else found
    return _bounded(lambda: _make_refutation(gate, found, seconds), seconds)


def _make_refutation(gate: Any, found: Membership, seconds: float) -> dict[str, Any]:
    field = Field(Z, SearchBudget(seconds))
    refuted = [c for c in found.clauses if c.verdict == "refuted" and c.witness is not None]
    text = gate_text(gate)
    value = str(statements.formula(text).subs(Z, statements.MARK).evalf(20))
    for clause in sorted(refuted, key=lambda c: c.name == "differentiable"):  # its witnesses take limits
        try:
            for witness in _witnesses(gate, clause.witness or {}):
                shared = {"kind": "refutation", "gate": text, "value": value, "clause": clause.name}
                chain = Chain(field, readable=True)
                try:
                    witnesses.prove_refutation({**shared, "witness": witness}, chain)
                except statements.Refuted:
                    continue
                made = {"gates": [gate.name], "seconds": found.seconds}
                return seal({**shared, "witness": witness}, {}, chain, made)
        except (GateflowError, Unproved):
            continue
    raise Undecided("no clause is refuted by a witness that the checker knows")


def _witnesses(gate: Any, seen: Mapping[str, Any]) -> Iterator[dict[str, str]]:
    """What the search saw, as the checker reads it."""
    phi = statements.formula(gate_text(gate))
    if seen["kind"] in ("negative_slope", "value"):
        z = _exact_point(seen)
        slope = seen["kind"] == "negative_slope"
        value = (derivative(phi) if slope else phi).subs(Z, z).evalf(20)
        yield {"kind": "slope" if slope else "value", "z": text_of(z), "value": str(value)}
    elif seen["kind"] in ("jump", "kink", "vertical"):
        if "between" in seen:
            yield {"kind": "break", "from": seen["between"][0], "to": seen["between"][1]}
            return
        with contextlib.suppress(FormulaError):  # a root without a closed form
            yield _torn_at(phi, _exact_point(seen), seen["kind"] == "jump")
        for step in (sp.Rational(1, 2**bits) for bits in (6, 16, 32)):
            low = sp.floor(sp.Rational(repr(float(seen["z"]))) / step) - 1
            yield {"kind": "break", "from": text_of(low * step), "to": text_of((low + 3) * step)}
    elif seen["kind"] == "flat":
        low, high = (sp.Rational(repr(float(z))) for z in _finite(seen["interval"]))
        value = str(phi.subs(Z, low).evalf(20))
        yield {"kind": "flat", "from": text_of(low), "to": text_of(high), "phi": value}
    elif seen["kind"] == "limits":
        field = Field(Z, SearchBudget(SECONDS))
        yield {"kind": "limits"} | {side: text_of(field.limit(phi.xreplace({Z: z}))) for side, z in statements.ENDS}
    elif seen["kind"] == "oscillation":
        phases = [text_of(sp.pi * k / 4) for k in range(8)]
        for base in {text_of(node.args[0]) for node in phi.atoms(sp.sin, sp.cos)}:
            for above, below in itertools.permutations(phases, 2):
                yield {"kind": "oscillation", "base": base, "above": above, "below": below}


def _torn_at(phi: Expr, z: Expr, jumps: bool) -> dict[str, str]:
    """The witness of a jump or a kink at a point that has a closed form: the limits there."""
    at = phi.subs(Z, z)
    ends = {}
    for side, way in (("left", -1), ("right", 1)):
        near = phi.subs(Z, z + way / Z)
        limit = Field(Z, SearchBudget(SECONDS)).limit(near if jumps else way * Z * (near - at))
        ends[side] = text_of(sp.simplify(limit))
    return {"kind": "jump" if jumps else "kink", "z": text_of(z), "at": str(at.evalf(20)), **ends}


def _exact_point(seen: Mapping[str, Any]) -> Expr:
    """Where the search saw it: as it wrote the point, else its float as it is."""
    return statements.constant(seen["point"]) if "point" in seen else sp.Rational(repr(float(seen["z"])))


def _finite(interval: Any) -> tuple[float, float]:
    """Two points of an interval that may be a half-line."""
    low, high = interval
    if math.isinf(low):
        low = high - 1 if math.isfinite(high) else 0.0
    return low, low + 1 if math.isinf(high) else high


def seal(
    statement: Mapping[str, Any], germs: Mapping[str, str], chain: list[dict[str, Any]], made: Mapping[str, Any]
) -> dict[str, Any]:
    """The parts put together, with versions and digest."""
    certificate = {
        "format": statements.FORMAT,
        "statement": dict(statement),
        "germs": dict(germs),
        "chain": list(chain),
        "made": {**made, "versions": record.versions(PACKAGES)},
    }
    return {**certificate, "digest": statements.digest_of(certificate)}


def output(path: str | Path, *, force: bool = False) -> Output:
    """The file that a certificate is to be written to.

    Raises
    ------
    InvalidArgument
        Something is there that is no certificate, and ``force`` is not given.
    """
    return Output(path, force=force, ours=_is_certificate, what="certificate", early=True)


def write(certificate: Mapping[str, Any], path: str | Path, *, force: bool = False) -> None:
    """Write a certificate to a file, whole or not at all; over a certificate, or with ``force`` over any file."""
    output(path, force=force).write(record.to_json(certificate))


def _is_certificate(data: bytes) -> bool:
    found = from_json(data)
    return isinstance(found, dict) and "statement" in found and found.get("digest") == statements.digest_of(found)
