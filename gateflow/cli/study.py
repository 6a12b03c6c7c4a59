"""Theory beside training, for any gate."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GATE_NAMES, NOT_REACHED, OUT, Estimate, Json, gate_of, several, switch, words
from gateflow.cli._terminal import Columns, Listing, number, print_json, say, span, title
from gateflow.cli._training import analysed, arrived, asked_to_stop, by_unit, compared, ending, tell

Rung = Annotated[
    str,
    Parameter(
        name="RUNG",
        completer=words("exact", "memory", "networks", "slopes"),
        help="exact, memory, networks or slopes; the first two by default.",
    ),
]
GateOption = Annotated[
    str, Parameter(name="--gate", completer=GATE_NAMES, help="A name of the catalogue or a formula in z.")
]
Optimizers = Annotated[list[str] | None, several("--optimizers", "By default sgd, adam and rmsprop.")]
Horizons = Annotated[list[float] | None, several("--horizons", "T of the exact problem; by default 10, 100, 1000.")]
Noise = Annotated[float, Parameter(name="--noise", help="Of what enters the units of the memory at each step.")]
Seeds = Annotated[
    int | None,
    Parameter(name="--seeds", help="Runs of each optimiser, 5, or of each arm of slopes, 40.", show_default=False),
]
Steps = Annotated[int | None, Parameter(name="--steps", help="Of the memory, 2000, or the networks, as declared.")]
Full = Annotated[bool, switch("--full", "Networks as large as study-copying's: hours.")]
Out = Annotated[Path | None, Parameter(name=OUT, help="Folder of the networks; in runs by default.")]

STEPS = 2000
RUNGS = ("exact", "memory", "networks", "slopes")
SEEDS = 5


def run(
    rung: Rung = "all",
    /,
    *,
    gate: GateOption = "fast",
    optimizers: Optimizers = None,
    horizons: Horizons = None,
    noise: Noise = 0.0,
    seeds: Seeds = None,
    steps: Steps = None,
    full: Full = False,
    out: Out = None,
    estimate: Estimate = False,
    json: Json = False,
) -> int | None:
    """Train a gate on small problems, and compare with what is predicted.

    exact: the learning problem itself as a PyTorch model; steps to the target against those predicted. memory: linear
    units that learn a spectrum of time scales from samples; time constants reached against those predicted. networks:
    LSTMs that copy, with the gate and with the sigmoid; who was sooner, and the law their units move by. slopes: part A
    of docs/study/protocol.md with the gate beside the sigmoid and fast, at equal value and slope at the start, with its
    tests; it takes hours, and says how many before it begins. The same command resumes what was stopped. The exit code
    is 3 where a prediction that is said to hold does not.

    Examples
    --------
    $ gateflow study exact --gate "sigmoid(z+z**3)" --optimizers sgd --horizons 10
    $ gateflow study memory --gate fast --optimizers adam --seeds 1 --steps 60
    $ gateflow study networks --gate "sigmoid(z+z**3)" --optimizers rmsprop --seeds 1 --steps 4
    $ gateflow study slopes --gate "sigmoid(z+z**3)" --estimate
    $ gateflow study --gate sigmoid --optimizers sgd --horizons 10 --seeds 1 --steps 60 --json
    """
    from gateflow.errors import InvalidArgument

    if rung not in ("all", *RUNGS):
        raise InvalidArgument(f"RUNG is exact, memory, networks or slopes; got {rung!r}")
    if rung == "slopes":
        return _slopes(gate, {} if seeds is None else {"seeds": seeds}, steps, out, estimate, as_json=json)
    seeds = SEEDS if seeds is None else seeds
    if not 1 <= seeds <= 1000 or not 1 <= (1 if steps is None else steps) <= 10**7:
        raise InvalidArgument("seeds and steps must be whole numbers from 1 on")
    chosen = gate_of(gate)
    names = optimizers or ["sgd", "adam", "rmsprop"]
    if rung == "networks":
        more = {} if steps is None else {"steps": steps}
        return _networks(gate, names, seeds, more, out, reduced=not full, as_json=json)
    answer: dict[str, Any] = {"gate": gate.strip()}
    parts: list[Any] = []
    good = True
    if rung in ("all", "exact"):
        from gateflow.study.exact import exact

        found = exact(chosen, names, horizons=horizons or [10, 100, 1000])
        good = found.holds
        answer["exact"] = {"holds": good, "runs": [{**vars(each), "agrees": each.agrees} for each in found.runs]}
        parts += [title("the exact problem as a PyTorch model"), _exact(found)]
    if rung in ("all", "memory"):
        from gateflow.study.memory import memory

        last = steps or STEPS
        at = sorted({max(1, last // 20), max(1, last // 4), last})
        runs = [memory(chosen, name, noise=noise, seed=s, at=at) for name in names for s in range(seeds)]
        answer["memory"] = [each.to_json() for each in runs]
        parts += ["" if parts else None, title("a memory with a spectrum of time scales"), _memory(runs)]
    if json:
        print_json(answer)
    else:
        say(*(part for part in parts if part is not None))
    return 0 if good else NOT_REACHED


def _networks(
    gate: str, names: list[str], seeds: int, more: dict[str, int], out: Path | None, *, reduced: bool, as_json: bool
) -> int:
    from gateflow.study.experiment import carry_out, folder_of
    from gateflow.study.networks import contrasts, named, ordered, summary, trial

    plan = trial(gate, names)
    small = {**plan.reduced, **more} if reduced else {}
    plan = replace(plan, base={**plan.base, **more}, reduced=small)
    size = "reduced" if reduced else "full"
    folder = out or Path("runs") / "study-networks" / size / folder_of(named(gate), 0).parent
    with asked_to_stop() as stop:
        statuses = carry_out(plan, folder, reduced=reduced, seeds=seeds, stop=stop, tell=tell)
    rows = [row for row in summary(plan, folder, reduced=reduced) if row["runs"]]
    pairs = contrasts(rows, ordered(gate))
    if as_json:
        print_json({"folder": folder.as_posix(), "arms": rows, "contrasts": [vars(each) for each in pairs]})
    else:
        parts = [title("LSTMs that copy"), arrived(rows), "", title("gate against gate"), compared(pairs)]
        say(*parts, "", title("unit by unit"), by_unit(rows), "", f"folder  {folder.as_posix()}")
    return ending(statuses)


def _slopes(
    gate: str, seeds: dict[str, int], steps: int | None, out: Path | None, only_estimate: bool, *, as_json: bool
) -> int | None:
    from gateflow.errors import InvalidArgument
    from gateflow.study.analysis import analysis_of, to_json
    from gateflow.study.estimate import estimate
    from gateflow.study.experiment import carry_out, folder_of
    from gateflow.study.networks import named
    from gateflow.study.own import own
    from gateflow.study.stored import ended

    if not 2 <= seeds.get("seeds", 2) <= 1000 or not 1 <= (1 if steps is None else steps) <= 10**7:
        raise InvalidArgument("slopes needs 2 to 1000 seeds, and steps from 1 on")
    plan = own(gate, **seeds, **({} if steps is None else {"steps": steps}))
    duration = str(estimate(plan))
    if only_estimate:
        return say(duration)
    print(f"gateflow: {duration}", file=sys.stderr, flush=True)
    folder = out or Path("runs") / "study-slopes" / folder_of(named(gate), 0).parent
    with asked_to_stop() as stop:
        statuses = carry_out(plan, folder / "runs", stop=stop)
    runs = ended(plan, folder / "runs")
    if sum(map(len, runs.values())) < len(list(plan.runs())):
        return ending(dict.fromkeys(statuses, "interrupted"))
    found = analysis_of("results", plan, runs)
    return print_json(to_json(found)) if as_json else say(*analysed(found))


def _exact(found: Any) -> Listing:
    columns: Columns = {
        "optimizer": lambda each: each.optimizer,
        "start": lambda each: each.side,
        "T": lambda each: number(each.horizon),
        "lr": lambda each: number(each.lr, 4),
        "steps": lambda each: "-" if each.steps is None else str(each.steps),
        "predicted": lambda each: number(each.predicted),
        "agrees": lambda each: each.reason or ("yes" if each.agrees else "no"),
    }
    return Listing.of(found.runs, columns, ["optimizer", "start", "agrees"])


def _memory(runs: list[Any]) -> Listing:
    """By optimiser and step, means over the runs; the interval is that of the median error."""
    from gateflow.study.agreement import interval

    groups: dict[tuple[str, int], list[Any]] = {}
    chances: dict[tuple[str, int], list[Any]] = {}
    for each in runs:
        for k, (step, fit) in enumerate(zip(each.at, each.agreement(), strict=True)):
            groups.setdefault((each.optimizer, step), []).append(fit)
            chances.setdefault((each.optimizer, step), []).append((each.reached[k], each.typical[k], each.share[k]))
    rows = []
    for (optimizer, step), fits in groups.items():
        middle, low, high = interval([fit.median for fit in fits])
        others = (interval([getattr(fit, name) for fit in fits])[0] for name in ("ninth", "rank", "distance"))
        between = "" if len(fits) < 2 else span(low, high)
        cells = (number(each, digits) for each, digits in zip(others, (3, 4, 3), strict=True))
        chance = _chance(chances[optimizer, step])
        rows.append([optimizer, str(step), str(len(fits)), number(middle, 3), between, *cells, *chance])
    columns = ["optimizer", "step", "n", "median error", "95 %", "9th decile", "rank", "distance"]
    columns += ["with noise", "in 90 %", "p"]
    return Listing(columns, rows, numeric=columns[1:])


def _chance(units: list[Any]) -> list[str]:
    """Median error of what noise theory predicts, the part of units in its middle 90 per cent, and p of its shares."""
    import numpy as np
    from scipy import stats

    reached, typical, share = np.array(units).transpose(1, 0, 2)
    error = number(float(np.median(np.abs(np.log(reached / typical)))), 3)
    known = share[np.isfinite(share)]
    if not known.size:
        return [error, "", ""]
    inside = np.mean((known > 0.05) & (known < 0.95))
    return [error, f"{inside:.0%}", number(float(stats.kstest(known, "uniform").pvalue), 2)]
