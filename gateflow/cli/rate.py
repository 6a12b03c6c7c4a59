"""How fast a gate learns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import GateText, Json, Latex, Seconds, gate_of
from gateflow.cli._terminal import Listing, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.asymptotics.rate import Rate

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
    gate: GateText, /, *, tail: Tail = "right", seconds: Seconds = 10.0, latex: Latex = False, json: Json = False
) -> None:
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

    found = rate(gate_of(gate, numeric=False), tail, seconds)
    if json:
        return print_json({**found.to_json(), "gate": gate.strip()})
    if latex:
        return print(found.latex())
    return _print(gate.strip(), found)


def _print(name: str, found: Rate) -> None:
    facts: dict[str, Any] = found.to_json()
    implicit = found.implicit
    rows = [(meaning, None if facts[key] is None else str(facts[key])) for key, meaning in MEANING.items()]
    rows.insert(2, ("implicit", f"c T tau = {implicit['s']}, l = {implicit['l']}" if implicit else None))
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    say(title(f"{name}, {found.tail} tail"), pairs(rows), "", Listing(("limit", "of", "is"), steps))
