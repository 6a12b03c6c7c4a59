"""How fast a gate learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import (
    NOT_REACHED,
    CertificateFile,
    Force,
    GateText,
    Json,
    Latex,
    Seconds,
    gate_of,
    left_of,
    may_write,
    no_gate,
)
from gateflow.cli._terminal import Listing, pairs, print_json, say, title

if TYPE_CHECKING:
    from pathlib import Path

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
    certificate: CertificateFile = None,
    force: Force = False,
    latex: Latex = False,
    json: Json = False,
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
    from gateflow.asymptotics.limits.constants import Undecided
    from gateflow.asymptotics.rate import rate

    if certificate is not None:
        may_write(certificate, force)
    chosen = gate_of(gate, numeric=False)
    try:
        found = rate(chosen, tail, seconds)
    except Undecided as why:
        if json:
            unknown = dict.fromkeys(("rate", "kappa", "implicit", "certificate"))
            print_json({"gate": gate.strip(), "tail": tail, **unknown, "reason": str(why)})
            return NOT_REACHED
        raise
    proof = _proof(chosen, found, certificate, seconds, force) if certificate is not None or json else None
    if json:
        beware = {} if (why := no_gate(chosen)) is None else {"beware": why}
        print_json({**found.to_json(), "gate": gate.strip(), **beware, "certificate": proof})
    elif latex:
        print(found.latex())
    else:
        _print(gate.strip(), found, no_gate(chosen))
    return 0


def _proof(chosen: Gate, found: Rate, file: Path | None, seconds: float, force: bool) -> dict[str, Any] | None:
    """The certificate, written to ``file`` if one is given; None where there is none and no file to write it to."""
    from gateflow.asymptotics.certificates import rate_certificate, write
    from gateflow.asymptotics.limits.constants import Undecided

    try:
        made = rate_certificate(chosen, found.tail, found, left_of(seconds, found.seconds))
    except Undecided:
        if file is not None:
            raise
        return None
    if file is not None:
        write(made, file, force=force)
    return made


def _print(name: str, found: Rate, beware: str | None) -> None:
    facts: dict[str, Any] = found.to_json()
    implicit = found.implicit
    rows = [(meaning, None if facts[key] is None else str(facts[key])) for key, meaning in MEANING.items()]
    rows.insert(2, ("implicit", f"c T tau = {implicit['s']}, l = {implicit['l']}" if implicit else None))
    rows.append(("beware", beware))
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    say(title(f"{name}, {found.tail} tail"), pairs(rows), "", Listing(("limit", "of", "is"), steps))
