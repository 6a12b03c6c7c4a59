"""The largest step size that a target allows."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import (
    NOT_REACHED,
    SGD,
    Accuracy,
    GateText,
    Json,
    OptimizerOptions,
    ProblemOptions,
    gate_of,
)
from gateflow.cli._terminal import duration, number, pairs, picked, print_json, say

if TYPE_CHECKING:
    from gateflow.descents import StepSize

Most = Annotated[int, Parameter(name="--most", help="Steps simulated at most; past them the integral stands alone.")]


def run(
    gate: GateText,
    /,
    *,
    given: ProblemOptions,
    tolerance: Accuracy = 0.05,
    optimizer: OptimizerOptions = SGD,
    most: Most = 100_000,
    json: Json = False,
) -> int:
    """Compute the largest step size that the target allows, and the steps that learning takes with it.

    The step size is the largest that keeps the time scale within the tolerance once there, and whose steps do not run
    through the target. Steps are simulated until the time scale is within the tolerance and stays there, and predicted
    by the integral of the flow; counts past 1e308 are given by their logarithm. T8 is a theorem of docs/theory.md, on
    the order of gates at such step sizes. gateflow recommend names the bias to start from. The exit code is 3 where the
    time scale is never reached.

    Examples
    --------
    $ gateflow step-size fast --horizon 100 --timescale 100 --z0 1.81
    $ gateflow step-size sigmoid --horizon 100 --timescale 100 --z0 2.97 --optimizer momentum --beta 0.95 --json
    $ gateflow step-size fast --horizon 10 --gap 0  # exit code 3
    """
    from gateflow.descents import step_size

    problem = given.problem(gate_of(gate))
    found = step_size(problem, given.z0, tolerance, optimizer.chosen(), most=most)
    if json:
        answer = picked(found, "lr", "set_by", "by_target", "steps", "by_integral", "log_by_integral")
        print_json({**given.inputs(gate), "tolerance": tolerance, "optimizer": optimizer.inputs(), **answer})
    else:
        about = [*given.about(gate), ("optimizer", optimizer.sentence())]
        say(pairs([*about, *_rows(found), ("next", _next(found))]))
    return 0 if float(found.log_by_integral) < float("inf") else NOT_REACHED


def _rows(found: StepSize) -> list[tuple[str, str | None]]:
    if found.lr != found.lr:
        return [("largest lr", "none: the target is at no finite z")]
    if not 0 < float(found.lr) < float("inf"):
        return [("largest lr", "past the floats")]
    steps = float(found.steps)
    return [
        ("largest lr", number(found.lr)),
        ("set by", _set_by(found)),
        ("steps", "not simulated: too many" if steps != steps else number(steps, 12)),
        ("by the integral", duration(found.by_integral, found.log_by_integral)),
    ]


def _set_by(found: StepSize) -> str:
    if found.set_by == "way":
        return "the way to the target, where T8 says nothing"
    return "the target" + ("" if found.by_target else ", with steps too large for T8")


def _next(found: StepSize) -> str | None:
    """The command that names a bias to start from, for this time scale."""
    horizon, decay = found.problem.horizon, float(found.problem.h_star)
    if not 2 <= (timescale := horizon / decay if decay else 0.0) <= 1e250:
        return None
    gate = found.problem.gate
    named = shlex.quote(gate.name if gate.label == gate.name else gate.spelled)
    return (
        f"gateflow recommend --timescale {timescale:.6g} --horizon {horizon:g} --gates {named} (the bias to start from)"
    )
