"""How fast a gate learns."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, PROOF, GateText, ProofOptions, Seconds, gate_of, left_of, no_gate
from gateflow.cli._terminal import Listing, pairs, title
from gateflow.errors import GateflowError
from gateflow.guards import bounded

if TYPE_CHECKING:
    from gateflow.asymptotics.rate import Rate
    from gateflow.gates.gate import Gate

Tail = Annotated[
    Literal["right", "left"],
    Parameter(name="--tail", help="right: learning, phi to 1; left: forgetting, phi to 0."),
]

RATIOS = 2.0
"""Seconds of the processor that comparing the computed loss with its law may take."""

MEANING = {
    "rate": "l(tau) ~",
    "next_order": "with next term",
    "distance": "1 - phi ~",
    "slope": "phi' ~",
    "h": "h(l) ~",
    "kappa": "kappa",
    "logarithms": "logarithms",
    "hitting_time": "time to a gap ~",
    "over_law": "l over its law",
    "reason": "reason",
}


def run(
    gate: GateText,
    /,
    *,
    tail: Tail = "right",
    seconds: Seconds = 10.0,
    proof: ProofOptions = PROOF,
) -> int:
    """Give the law of learning for lambda* = 1: how l = 1 - phi falls with learning time, with its constant.

    T is the horizon, c the scale of the loss, tau learning time; kappa is 1 at the barrier that no gate passes. Beside
    the law stands how near it is: l by computed times over it, for T = 1. The exit code is 3 where no law was proved.

    Examples
    --------
    $ gateflow rate fast
    $ gateflow rate erf --json
    $ gateflow rate softsign --tail left --latex
    """
    from gateflow.asymptotics.rate import rate

    proof.check()
    chosen = gate_of(gate, numeric=False)
    found = rate(chosen, tail, seconds)
    certificate = _certificate(chosen, found, seconds, proof)
    beware = no_gate(chosen)
    warning = {} if beware is None else {"beware": beware}
    over_law = _over_law(chosen, found, seconds)
    facts = {**found.to_json(), "gate": gate.strip(), "over_law": over_law, **warning, "certificate": certificate}
    proof.show(found, lambda: facts, lambda: _text(gate.strip(), found, over_law, beware))
    return NOT_REACHED if found.verdict == "undecided" else 0


def _certificate(chosen: Gate, found: Rate, seconds: float, proof: ProofOptions) -> dict[str, Any] | None:
    """The certificate, written to a file if one is given; None where none is asked for, or none could be printed."""
    from gateflow.asymptotics.certificates import rate_certificate
    from gateflow.asymptotics.limits.constants import Undecided

    if proof.certificate is None and not proof.json:
        return None
    try:
        made = rate_certificate(chosen, found.tail, found, left_of(seconds, found.seconds))
    except Undecided:
        if proof.certificate is not None:
            raise
        return None
    proof.certify(lambda _: made)
    return made


def _over_law(chosen: Gate, found: Rate, seconds: float) -> list[dict[str, float]] | None:
    """l over its law at the times when l is 1e-16, 1e-64 and 1e-256, for T = c = 1 and from l = 0.01.

    None where there is no law, or no time is left.
    """
    if found.rate is None or found.tail == "left":
        return None
    try:
        return bounded.call(
            lambda: _ratios(chosen, found), min(left_of(seconds, found.seconds), RATIOS), processor=True
        )
    except (GateflowError, OverflowError):
        return None


def _ratios(chosen: Gate, found: Rate) -> list[dict[str, float]] | None:
    from gateflow.flows.problem import LearningProblem
    from gateflow.flows.time import hitting_time

    ratios = []
    start = float(LearningProblem(chosen, horizon=1, gap=0.01).z_star)
    for digits in (16, 64, 256):
        log_l = -digits * math.log(10)
        time = hitting_time(LearningProblem(chosen, horizon=1, log_gap=log_l), z0=start)
        ratio = math.exp(log_l - float(found.log_distance(float(time.log_tau))))
        if not math.isfinite(ratio):
            return None
        ratios.append({"l": float(f"1e-{digits}"), "ratio": ratio})
    return ratios


def _text(name: str, found: Rate, over_law: list[dict[str, float]] | None, beware: str | None) -> list[Any]:
    far = over_law and ", ".join(f"{one['ratio']:.4g} at l = {one['l']:g}" for one in over_law)
    facts: dict[str, Any] = {**found.to_json(), "over_law": far}
    rows = [(meaning, None if facts[key] is None else str(facts[key])) for key, meaning in MEANING.items()]
    rows.insert(2, ("implicit", found.pair))
    rows.append(("beware", beware))
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    heading = f"{name}, {found.tail} tail" + (": undecided" if not found.implicit else "")
    return [title(heading), pairs(rows), "", Listing(("limit", "of", "is"), steps)]
