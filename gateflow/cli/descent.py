"""How many steps an optimiser takes, simulated and predicted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import (
    LR,
    SGD,
    Backend,
    Dtype,
    GateText,
    Json,
    OptimizerOptions,
    ProblemOptions,
    exit_code,
    gate_of,
)
from gateflow.cli._terminal import Listing, number, pairs, picked, print_json, say

if TYPE_CHECKING:
    from gateflow.descents.simulation import Descent

Steps = Annotated[int | None, Parameter(name="--steps", help="Steps given; by default twice those predicted.")]
Slope = Annotated[
    str, Parameter(name="--gradient", help="stable, or naive: phi^(T-1) phi' as written, rounded at each operation.")
]


def run(
    gate: GateText,
    /,
    *,
    given: ProblemOptions,
    lr: Annotated[float, LR],
    optimizer: OptimizerOptions = SGD,
    steps: Steps = None,
    dtype: Dtype = "float64",
    gradient: Slope = "stable",
    backend: Backend = None,
    json: Json = False,
) -> int:
    """Descend from z0 to the target with an optimiser, beside what theory predicts of it.

    The longest step on the way, in the logit profile, is 1 for the largest useful step size; above 2 a step may run
    through the target. The exit code is 3 where the target is not reached.

    Examples
    --------
    $ gateflow descent fast --horizon 10 --gap 0.1 --lr 0.05
    $ gateflow descent sigmoid --horizon 100 --timescale 1000 --z0 3 --optimizer adam --lr 1e-3 --json
    $ gateflow descent fast --horizon 10 --gap 0.1 --lr 0.05 --loss log-decay --backend numpy
    $ gateflow descent fast --horizon 10 --gap 0.01 --lr 0.1 --optimizer momentum --beta 0.95  # exit code 3
    """
    from gateflow.descents.simulation import descent

    problem = given.problem(gate_of(gate))
    found = descent(
        problem, given.z0, optimizer.chosen(), lr=lr, steps=steps, dtype=dtype, gradient=gradient, backend=backend
    )
    if json:
        inputs = {**given.inputs(gate), "lr": lr, "dtype": found.dtype, "gradient": gradient}
        print_json({**inputs, **_answer(optimizer, found)})
    else:
        _print(optimizer, found, given.z0)
    return exit_code(found.status)


def _answer(optimizer: OptimizerOptions, found: Descent) -> dict[str, Any]:
    run = picked(found, "status", "backend", "steps", "z", "overshoot", "overshoot_u", "chatter")
    said = ("steps", "error", "valid", "reason", "chatter", "longest_step", "largest_lr", "stalls_at")
    return {"optimizer": optimizer.inputs(), **run, "predicted": picked(found.predicted, *said)}


def _print(optimizer: OptimizerOptions, found: Descent, z0: float) -> None:
    said = found.predicted
    about = [
        ("problem", f"{found.problem!r} from z0 = {number(z0)}"),
        ("optimizer", f"{optimizer.sentence()}, lr {found.lr:g}, in {found.dtype}"),
        ("status", f"{found.status}: {found.status.sentence}"),
        ("z", f"{number(found.z, 12)}, z* {number(found.problem.z_star, 12)}"),
    ]
    rows = [
        ["steps", str(found.steps), number(said.steps, 12)],
        ["chatter in z", _size(found.chatter), _size(said.chatter)],
        ["overshoot in u", number(found.overshoot_u), f"at most about {_size(said.longest_step)}"],
    ]
    holds = "yes" if said.valid else f"no: {said.reason}"
    more = [
        ("prediction holds", f"{holds}; to {number(said.error, 2)} steps"),
        ("largest useful lr", _size(said.largest_lr)),
        ("longest step in u", _size(said.longest_step)),
    ]
    say(pairs(about), "", Listing(["", "simulated", "predicted"], rows), "", pairs(more))


def _size(size: float) -> str:
    """A size, or a dash where there is none: the run did not settle around the target, or no way leads there."""
    return "-" if size != size else number(size)
