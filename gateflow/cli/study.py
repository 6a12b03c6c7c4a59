"""Theory beside training, for any gate."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, NOT_REACHED, Json, gate_of, words
from gateflow.cli._terminal import Listing, number, print_json, say, title

Rung = Annotated[
    str, Parameter(name="RUNG", completer=words("exact", "memory"), help="exact or memory; both by default.")
]
GateOption = Annotated[
    str, Parameter(name="--gate", completer=GATE_NAMES, help="A name of the catalogue or a formula in z.")
]
Optimisers = Annotated[str, Parameter(name="--optimizers", help="With commas between.")]
Horizons = Annotated[str, Parameter(name="--horizons", help="T of the exact problem, with commas between.")]
Noise = Annotated[float, Parameter(name="--noise", help="Of what enters the units of the memory at each step.")]
Seeds = Annotated[int, Parameter(name="--seeds", help="Runs of each optimiser of the memory.")]
Steps = Annotated[int, Parameter(name="--steps", help="Steps of the memory.")]

RUNGS = ("exact", "memory")


def run(
    rung: Rung = "all",
    /,
    *,
    gate: GateOption = "fast",
    optimizers: Optimisers = "sgd,adam,rmsprop",
    horizons: Horizons = "10,100,1000",
    noise: Noise = 0.0,
    seeds: Seeds = 5,
    steps: Steps = 2000,
    json: Json = False,
) -> int:
    """Train a gate on small problems, and compare with what is predicted.

    exact: the learning problem itself as a PyTorch model; steps to the target against those predicted. memory: linear
    units that learn a spectrum of time scales from samples; time constants reached against those predicted. Whole
    networks: gateflow experiment. The exit code is 3 where a prediction that is said to hold does not.

    Examples
    --------
    $ gateflow study exact --gate "sigmoid(z+z**3)" --optimizers sgd --horizons 10
    $ gateflow study memory --gate fast --optimizers adam --seeds 1 --steps 60
    $ gateflow study --gate sigmoid --optimizers sgd --horizons 10 --seeds 1 --steps 60 --json
    """
    from gateflow.errors import InvalidArgument

    if rung not in ("all", *RUNGS):
        raise InvalidArgument(f"RUNG is exact or memory; got {rung!r}")
    if not 1 <= seeds <= 1000 or not 1 <= steps <= 10**7:
        raise InvalidArgument("seeds and steps must be whole numbers from 1 on")
    chosen = gate_of(gate)
    names = [name.strip() for name in optimizers.split(",") if name.strip()]
    told: dict[str, Any] = {"gate": gate.strip()}
    parts: list[Any] = []
    good = True
    if rung in ("all", "exact"):
        from gateflow.study.exact import exact

        found = exact(chosen, names, horizons=_numbers(horizons))
        good = found.holds
        told["exact"] = {"holds": good, "runs": [{**vars(each), "agrees": each.agrees} for each in found.runs]}
        parts += [title("the exact problem as a PyTorch model"), _exact(found)]
    if rung in ("all", "memory"):
        from gateflow.study.memory import memory

        at = sorted({max(1, steps // 20), max(1, steps // 4), steps})
        runs = [memory(chosen, name, noise=noise, seed=s, at=at) for name in names for s in range(seeds)]
        told["memory"] = [each.to_json() for each in runs]
        parts += ["" if parts else None, title("a memory with a spectrum of time scales"), _memory(runs)]
    if json:
        print_json(told)
    else:
        say(*(part for part in parts if part is not None))
    return 0 if good else NOT_REACHED


def _numbers(text: str) -> list[float]:
    from gateflow.errors import InvalidArgument

    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise InvalidArgument(f"--horizons takes numbers with commas between; got {text!r}") from None


def _exact(found: Any) -> Listing:
    rows = [
        [
            each.optimizer,
            each.side,
            number(each.horizon),
            number(each.lr, 4),
            "-" if each.steps is None else str(each.steps),
            number(each.predicted),
            each.reason or ("yes" if each.agrees else "no"),
        ]
        for each in found.runs
    ]
    columns = ["optimizer", "start", "T", "lr", "steps", "predicted", "agrees"]
    return Listing(columns, rows, numeric=["T", "lr", "steps", "predicted"])


def _memory(runs: list[Any]) -> Listing:
    rows = [
        [
            each.optimizer,
            str(each.seed),
            str(step),
            number(fit.median, 3),
            number(fit.ninth, 3),
            number(fit.rank, 4),
            number(fit.distance, 3),
        ]
        for each in runs
        for step, fit in zip(each.at, each.agreement(), strict=True)
    ]
    columns = ["optimizer", "seed", "step", "median error", "9th decile", "rank", "distance"]
    return Listing(columns, rows, numeric=columns[1:])
