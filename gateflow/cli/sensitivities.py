"""What a learning time depends on, and how much."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from gateflow.cli._options import NOT_REACHED, GateText, Json, ProblemOptions, gate_of
from gateflow.cli._terminal import Listing, number, pairs, picked, print_json, say

if TYPE_CHECKING:
    from gateflow.descents import Sensitivities


def run(gate: GateText, /, *, given: ProblemOptions, json: Json = False) -> int:
    """Differentiate the logarithm of the learning time by horizon, target, start, scale and the gate's parameters.

    Each derivative holds all else. That by the target is by the number it was given as: gap, target, time scale, log
    gap or decay. In the last column it is by the logarithm of that number: the power of it that the time grows by. The
    loss is the absolute one. The exit code is 3 where the target is not reached.

    Examples
    --------
    $ gateflow sensitivities fast --horizon 100 --gap 0.01
    $ gateflow sensitivities "sigmoid(k*z); k=2" --horizon 10 --timescale 1000 --z0 -1 --json
    $ gateflow sensitivities fast --horizon 10 --gap 0  # exit code 3
    """
    from gateflow.descents import sensitivities

    problem = given.problem(gate_of(gate))
    found = sensitivities(problem, given.z0)
    arrives = found.z0 == found.z0  # nan where it does not
    if json:
        answer = {"derivatives": _derivatives(found), "by_log": found.by_log, "error": found.error}
        print_json({**given.inputs(gate), "log_tau": found.log_tau, **answer})
    else:
        about = [*given.about(gate), ("log tau", number(found.log_tau, 12))]
        say(pairs(about), "", _table(found, problem.target.way) if arrives else "The target is not reached.")
    return 0 if arrives else NOT_REACHED


def _derivatives(found: Sensitivities) -> dict[str, Any]:
    return picked(found, "horizon", "target", "z0", "scale", "parameters")


def _table(found: Sensitivities, way: str) -> Listing:
    derivatives = _derivatives(found)
    by = derivatives | derivatives.pop("parameters")
    rows = []
    for name, value in by.items():
        power = number(found.by_log[name]) if name in found.by_log else ""
        rows.append([way.replace("_", " ") if name == "target" else name, number(value), power])
    return Listing(["by", *HEADINGS], rows, numeric=HEADINGS)


HEADINGS = ("d log tau", "by its logarithm")
"""Of the numbers of the table."""
