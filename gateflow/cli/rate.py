"""How fast a gate learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import NOT_REACHED, PROOF, GateText, ProofOptions, Seconds, gate_of, left_of, no_gate
from gateflow.cli._terminal import Listing, pairs, title

if TYPE_CHECKING:
    from gateflow.asymptotics.rate import Rate
    from gateflow.gates.gate import Gate

Tail = Annotated[
    Literal["right", "left"],
    Parameter(name="--tail", help="right: learning, phi to 1; left: forgetting, phi to 0."),
]

MEANING = {
    "rate": "l(tau) ~",
    "next_order": "with next term",
    "distance": "1 - phi ~",
    "slope": "phi' ~",
    "h": "h(l) ~",
    "kappa": "kappa",
    "logarithms": "logarithms",
    "hitting_time": "time to a gap ~",
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

    T is the horizon, c the scale of the loss, tau learning time; kappa is 1 at the barrier that no gate passes. The
    exit code is 3 where no law was proved.

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
    facts = {**found.to_json(), "gate": gate.strip(), **warning, "certificate": certificate}
    proof.show(found, lambda: facts, lambda: _text(gate.strip(), found, beware))
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


def _text(name: str, found: Rate, beware: str | None) -> list[Any]:
    facts: dict[str, Any] = found.to_json()
    rows = [(meaning, None if facts[key] is None else str(facts[key])) for key, meaning in MEANING.items()]
    rows.insert(2, ("implicit", found.pair))
    rows.append(("beware", beware))
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    heading = f"{name}, {found.tail} tail" + (": undecided" if not found.implicit else "")
    return [title(heading), pairs(rows), "", Listing(("limit", "of", "is"), steps)]
