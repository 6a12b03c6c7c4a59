"""The parameter of a gate that learns time scales in the fewest steps."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, SGD, Accuracy, Json, OptimizerOptions, several
from gateflow.cli._terminal import number, pairs, picked, print_json, say
from gateflow.errors import InvalidArgument

if TYPE_CHECKING:
    from gateflow.descents import Fit, Steps

Family = Annotated[
    str,
    Parameter(
        name="GATE",
        completer=GATE_NAMES,
        help="A gate with one open parameter: 'fast(alpha)', or a formula, 'sigmoid(k*z)'.",
    ),
]
Timescales = Annotated[list[float], several("--timescales", "The time constants wanted, in steps; T is as many.")]
Starts = Annotated[
    list[float] | None,
    several(
        "--starts",
        "The time constant to start from, one for each of these or one for all; by default the edge of its plateau.",
    ),
]
Range = Annotated[list[float] | None, several("--within", "The range of the parameter: --within 0.1 10, the default.")]


def run(
    gate: Family,
    /,
    *,
    timescales: Timescales,
    starts: Starts = None,
    within: Range = None,
    tolerance: Accuracy = 0.05,
    optimizer: OptimizerOptions = SGD,
    json: Json = False,
) -> None:
    """Find the value of a gate's parameter with which it learns these time scales in the fewest steps.

    Each gate takes the largest step size that its target allows (gateflow step-size); the objective is the mean
    logarithm of the steps over the time scales. Where the best value is an end of the range, a better one may lie
    beyond.

    Examples
    --------
    $ gateflow fit "fast(alpha)" --timescales 100 1000 --within 0.25 4
    $ gateflow fit "fast(alpha)" --timescales 100 100 --starts 20 150 --within 0.05 20 --json
    """
    from gateflow.descents import Steps, fit
    from gateflow.notebook.cards import exponential

    ends = [0.1, 10.0] if within is None else within
    if len(ends) != 2:
        raise InvalidArgument(f"--within takes two numbers, the lower first; got {len(ends)}")
    begins = None if starts is None else tuple(starts)
    objective = Steps(tuple(timescales), begins, tolerance, optimizer.chosen())
    found = fit(gate, objective, within=(ends[0], ends[1]))
    if json:
        inputs = {"gate": gate.strip(), "timescales": timescales, "starts": objective.begins, "within": ends}
        answer = picked(found, "parameter", "value", "least", "at_bound", "flat", "evaluations")
        return print_json({**inputs, "tolerance": tolerance, "optimizer": optimizer.inputs(), **answer})
    return say(
        pairs(
            [
                ("gate", _gate(found)),
                ("from", _begun(objective)),
                (found.parameter, f"{number(found.value)}, {found.where} {ends[0]:g} to {ends[1]:g}"),
                ("steps", f"{exponential(found.least, 6)}, the geometric mean over the time scales"),
                ("tried", f"{found.evaluations} gates"),
            ]
        )
    )


def _gate(found: Fit) -> str:
    """The gate as commands take it, the parameter found included."""
    name = found.gate.name
    return name if f"{found.parameter}=" in name else f"{name}; {found.parameter}={found.value:.12g}"


def _begun(objective: Steps) -> str:
    """What each time scale starts from; one start for all is said to be so."""
    begins = objective.begins
    if objective.starts is not None and len(begins) > len(objective.starts):
        return f"a time constant of {begins[0]:g} for each time scale"
    each = ", ".join(f"{begin:.4g}" for begin in begins)
    return f"time constants {each}" + (", the edges of the plateaus" if objective.starts is None else "")
