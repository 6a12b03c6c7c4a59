"""Which of two gates saturates faster."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import (
    GATE_NAMES,
    NOT_REACHED,
    PROOF,
    OneZ,
    ProofOptions,
    Seconds,
    Small,
    StartScale,
    gate_of,
    left_of,
    no_gate,
    z0_or_start,
)
from gateflow.cli._terminal import Listing, pairs, title

if TYPE_CHECKING:
    from gateflow.asymptotics.order import Order
    from gateflow.descents import Crossover
    from gateflow.gates.gate import Gate

First = Annotated[str, Parameter(name="GATE", completer=GATE_NAMES, help="phi: a gate, by name or formula.")]
Second = Annotated[str, Parameter(name="OTHER", completer=GATE_NAMES, help="psi: the gate to compare with.")]
Horizon = Annotated[float | None, Parameter(name="--horizon", help="T: also find the gap below which the order holds.")]
Timescale = Annotated[
    float | None, Parameter(name="--timescale", help="The target as a time constant, for step sizes of their own.")
]


def run(
    gate: First,
    other: Second,
    /,
    *,
    horizon: Horizon = None,
    gap: Small = None,
    timescale: Timescale = None,
    z0: OneZ = None,
    start: StartScale = None,
    seconds: Seconds = 10.0,
    proof: ProofOptions = PROOF,
) -> int:
    """Decide which of two gates has the higher order of saturation, with the limits that prove it.

    R(a) is the limit of (1 - phi(z))/(1 - psi(a z)), phi being GATE and psi OTHER: 0 for every a > 0 where GATE is
    higher. Equal gates have a threshold a*, or power tails with R(a) = ratio a^exponent. For small enough gaps, at one
    small step size, the gate of higher order learns sooner. With --horizon, and --gap or --timescale, the answer names
    the gap below which this holds, and what remains of it at step sizes of their own. The exit code is 3 where the
    question is left undecided.

    Examples
    --------
    $ gateflow order fast sigmoid
    $ gateflow order fast "sigmoid(z**3)" --json
    $ gateflow order fast erf --certificate order.json
    $ gateflow order "sigmoid(2*z)" sigmoid --latex
    $ gateflow order fast sigmoid --horizon 100 --timescale 100
    $ gateflow order fast sigmoid --horizon 100 --timescale 100 --start 20
    """
    from gateflow.asymptotics.order import order

    proof.check()
    phi, psi = gate_of(gate, numeric=False), gate_of(other, numeric=False)
    found = replace(order(phi, psi, seconds), names=(gate.strip(), other.strip()))
    crossed, begun = None, z0_or_start(z0, start)
    if horizon is not None or gap is not None or timescale is not None:
        crossed = _crossing(phi, psi, found, horizon, gap, timescale, begun)
    beware = "; ".join(why for why in map(no_gate, (phi, psi)) if why)
    extra = {"beware": beware, "crossing": crossed.to_json() if crossed else None}
    facts = {name: value for name, value in extra.items() if value}
    proof.show(found, lambda: {**found.to_json(), **facts}, lambda: _text(found, beware, crossed))
    proof.certify(lambda made: made.certificate(phi, psi, found, left_of(seconds, found.seconds)))
    return NOT_REACHED if found.verdict == "undecided" else 0


def _crossing(
    phi: Gate,
    psi: Gate,
    found: Order,
    horizon: float | None,
    gap: float | None,
    timescale: float | None,
    begun: dict[str, float],
) -> Crossover:
    from gateflow.descents import crossover
    from gateflow.descents.recommendation import start_of
    from gateflow.errors import InvalidArgument
    from gateflow.flows.problem import LearningProblem
    from gateflow.guards.arguments import ABOVE_0, one

    if horizon is None:
        raise InvalidArgument("--gap and --timescale need a --horizon")
    if "start" in begun:
        start = one("--start", begun["start"], *ABOVE_0)
        z0 = (start_of(phi, start), start_of(psi, start))
    else:
        z0 = begun["z0"]
    problem = LearningProblem(phi, horizon=horizon, gap=gap, timescale=timescale)
    return crossover(phi, psi, problem, z0, names=found.names, known=found)


def _text(found: Order, beware: str, crossed: Crossover | None) -> list[Any]:
    facts = found.to_json()
    convex = {True: "yes", False: "no", None: None}[found.convex]
    about = [
        ("reason", facts["reason"]),
        ("threshold", facts["threshold"]),
        ("exponent", facts["exponent"]),
        ("ratio", facts["ratio"]),
        ("convex", convex),
        ("beware", beware),
        *(crossed.lines() if crossed else []),
    ]
    steps = [[step["statement"], step["expr"], step["limit"]] for step in facts["steps"]]
    first, second = facts["gates"]
    heading = title(f"{first} against {second}: {found.verdict}")
    return [heading, pairs(about), "", Listing(("limit", "of", "is"), steps)]
