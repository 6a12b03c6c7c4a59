"""Which gate, bias and step size suit a time scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import HORIZON, LR, NOT_REACHED, SGD, Dtype, Json, OptimizerOptions, gate_of, gates_flag
from gateflow.cli._terminal import Listing, number, pairs, picked, print_json, say, title

if TYPE_CHECKING:
    from gateflow.descents.recommendation import Advice, Recommendation

Scale = Annotated[float, Parameter(name="--timescale", help="The time constant wanted, in steps.")]
Gates = Annotated[list[str] | None, gates_flag("Which gates; by default the whole catalogue.")]
Horizon = Annotated[float | None, Parameter(name=HORIZON, help="T; by default the time scale.")]
From = Annotated[
    float | None,
    Parameter(name="--start", help="The time constant to start from; by default the edge of the plateau."),
]


def run(
    *,
    timescale: Scale,
    optimizer: OptimizerOptions = SGD,
    lr: Annotated[float | None, LR] = None,
    dtype: Dtype = "float32",
    gates: Gates = None,
    horizon: Horizon = None,
    start: From = None,
    json: Json = False,
) -> int:
    """Rank gates for a wanted time scale by the steps that learning it is predicted to take.

    bias is where to start, target where the time scale is held. Steps are predicted until the target itself is
    reached; gateflow step-size simulates them, until the time scale is within 5 % for good. own lr is the largest step
    size whose chatter keeps the time scale of that gate within 5 %; gates are ranked by the steps at it. With --lr they
    are ranked by the steps at that one step size for all; without it, the table also has the steps at PyTorch's
    default. The two orders may be opposite: only training shows which counts for a network. floor is the longest time
    scale that steps of lr reach in dtype. The exit code is 3 where no gate holds the time scale, or each that does may
    be trapped in saturation.

    Examples
    --------
    $ gateflow recommend --timescale 1000 --gates sigmoid fast softsign
    $ gateflow recommend --timescale 1000 --optimizer adam --lr 1e-3 --dtype float32 --gates sigmoid fast --json
    $ gateflow recommend --timescale 1e4 --horizon 100 --lr 1 --dtype bfloat16 --gates sigmoid fast  # exit code 3
    """
    from gateflow.descents.recommendation import recommend

    chosen = None if gates is None else [gate_of(text) for text in gates]
    found = recommend(timescale, optimizer.chosen(), lr, dtype, gates=chosen, horizon=horizon, start=start)
    if json:
        print_json(_answer(optimizer, found))
    else:
        _print(optimizer, found)
    holds = found.ranked_by(found.best) < float("inf") and not (found.is_given and found.best.trapped)
    return 0 if holds else NOT_REACHED


def _answer(optimizer: OptimizerOptions, found: Recommendation) -> dict[str, Any]:
    ranked_by = "steps" if found.is_given else "own_steps"
    return {
        **picked(found, "timescale", "horizon", "start"),
        "optimizer": optimizer.inputs(),
        "lr": found.lr,
        "ranked_by": ranked_by,
        **picked(found, "dtype", "in_words", "warnings"),
        "gates": [_facts(one) for one in found],
    }


def _facts(one: Advice) -> dict[str, Any]:
    steps = picked(one, "bias", "target", "steps", "error", "largest_lr", "own_lr", "own_steps")
    limits = picked(one, "floor", "resolution", "trapped", "reason")
    return {"gate": one.gate.name, **steps, "longest_step": one.prediction.longest_step, **limits}


def _print(optimizer: OptimizerOptions, found: Recommendation) -> None:
    about = [
        (
            "time scale",
            f"{number(found.timescale)} steps, over T = {number(found.horizon)}, from {number(found.start, 4)}",
        ),
        ("optimizer", f"{optimizer.sentence()}; z in {found.dtype}"),
        ("ranked by", f"steps at lr {found.lr:g} for all" if found.is_given else "steps at each gate's own lr"),
    ]
    headings = ["gate", "bias", "target", *found.columns, "floor", "why"]
    rows = [
        [
            one.gate.name,
            *(number(x, 4) for x in (one.bias, one.target, one.own_lr, one.own_steps, one.steps, one.floor)),
            one.reason,
        ]
        for one in found
    ]
    words = [("in words", found.in_words)] if found.in_words else []
    notes = [*words, *(("beware", text) for text in found.warnings)]
    table = Listing(headings, rows, numeric=headings[1:-1])
    say(pairs(about), "", title("Gates, best first"), table, *(["", pairs(notes)] if notes else []))
