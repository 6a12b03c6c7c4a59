"""Which gate, bias and step size suit a time scale."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, NOT_REACHED, OPTIMIZER_NAMES, Json, gate_of
from gateflow.cli._terminal import Listing, number, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.flow.recommend import Advice, Recommendation

Scale = Annotated[float, Parameter(name="--timescale", help="The time constant wanted, in steps.")]
Optimiser = Annotated[
    str, Parameter(name="--optimizer", completer=OPTIMIZER_NAMES, help="sgd, momentum, adam or rmsprop.")
]
Rate = Annotated[float | None, Parameter(name="--lr", help="The step size; by default PyTorch's for the optimizer.")]
Dtype = Annotated[str, Parameter(name="--dtype", help="float64, float32, float16 or bfloat16.")]
Gates = Annotated[
    list[str] | None,
    Parameter(
        name="--gates",
        negative="",
        consume_multiple=1,
        completer=GATE_NAMES,
        help="Which gates; by default the whole catalogue.",
    ),
]
Horizon = Annotated[float | None, Parameter(name=["--horizon", "-T"], help="T; by default the time scale.")]
From = Annotated[
    float | None,
    Parameter(name="--start", help="The time constant to start from; by default the edge of the plateau."),
]


def run(
    *,
    timescale: Scale,
    optimizer: Optimiser = "sgd",
    lr: Rate = None,
    dtype: Dtype = "float32",
    gates: Gates = None,
    horizon: Horizon = None,
    start: From = None,
    json: Json = False,
) -> int:
    """Rank gates for a wanted time scale by the steps that learning it is predicted to take.

    bias is where to start, target where the time scale is held. largest lr is the largest useful step size of a gate:
    past twice that a step may run through the target into saturation, and not come back. floor is the longest time
    scale that steps of lr reach in dtype. The exit code is 3 where no gate holds the time scale, or a saturation trap
    waits for each that does.

    Examples
    --------
    $ gateflow recommend --timescale 1000 --gates sigmoid fast softsign
    $ gateflow recommend --timescale 1000 --optimizer adam --lr 1e-3 --dtype float32 --gates sigmoid fast --json
    $ gateflow recommend --timescale 1e4 --horizon 100 --lr 1 --dtype bfloat16 --gates sigmoid fast  # exit code 3
    """
    from gateflow.flow.optimizers import OPTIMIZERS
    from gateflow.flow.recommend import recommend

    chosen = None if gates is None else [gate_of(text) for text in gates]
    found = recommend(timescale, optimizer, lr, dtype, gates=chosen, horizon=horizon, start=start)
    if json:
        print_json(_answer(optimizer, found))
    else:
        _print(OPTIMIZERS.spelled(optimizer), found)
    return 0 if found.best.steps < float("inf") and not found.best.trapped else NOT_REACHED


def _answer(name: str, found: Recommendation) -> dict[str, Any]:
    return {
        "timescale": found.timescale,
        "horizon": found.horizon,
        "start": found.start,
        "optimizer": {"name": name, **vars(found.optimizer)},
        "lr": found.lr,
        "dtype": found.dtype,
        "warnings": list(found.warnings),
        "gates": [_facts(one) for one in found],
    }


def _facts(one: Advice) -> dict[str, Any]:
    return {
        "gate": one.gate.name,
        "bias": one.bias,
        "target": one.target,
        "steps": one.steps,
        "error": one.error,
        "largest_lr": one.largest_lr,
        "fewest_steps": one.fewest,
        "kappa": float(one.prediction.kappa),
        "floor": one.floor,
        "resolution": one.resolution,
        "trapped": bool(one.trapped),
        "reason": one.reason,
    }


def _print(name: str, found: Recommendation) -> None:
    hyper = "".join(f", {name} {value:g}" for name, value in vars(found.optimizer).items())
    about = [
        (
            "time scale",
            f"{number(found.timescale)} steps, over T = {number(found.horizon)}, from {number(found.start, 4)}",
        ),
        ("optimizer", f"{name}, lr {found.lr:g}{hyper}; z in {found.dtype}"),
    ]
    headings = ["gate", "bias", "target", "steps", "largest lr", "floor", "why"]
    rows = [
        [
            one.gate.name,
            *(number(x, 4) for x in (one.bias, one.target, one.steps, one.largest_lr, one.floor)),
            one.reason,
        ]
        for one in found
    ]
    beware = [("beware", text) for text in found.warnings]
    say(pairs(about), "", Listing(headings, rows, numeric=headings[1:-1]), *(["", pairs(beware)] if beware else []))
