"""Rung 3: whole networks. How soon the runs of an experiment reach a level, and by what law their units move."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.study.agreement import Arrival, exact_test, interval, restricted_mean, sooner
from gateflow.study.experiment import Experiment, folder_of
from gateflow.study.experiments import EXPERIMENTS

ORDER = ("softsign", "sigmoid", "fast")
"""From the lowest order of saturation to the highest, as ``gateflow rank`` proves."""

COMPARED = (*ORDER, "refine")
"""Gates whose arms are held against each other; the refine gate has no place in the order."""


def summary(plan: Experiment, folder: Path, *, reduced: bool = False) -> list[dict[str, Any]]:
    """What became of each arm: least loss on "valid" with its interval over seeds, and when the level was reached.

    Returns
    -------
    list of dict
        ``runs`` that have ended, and their ``seeds``; ``loss``, the mean over seeds of the least loss on "valid", from
        ``low`` to ``high``, and ``losses`` one by one; ``arrived``, runs that fell below ``plan.level`` of ``chance``;
        ``mean_step``, the mean of the steps until then, cut off at the last step; ``arrivals``, one by one; ``pace``,
        see :func:`pace`; ``units``, for each run the errors of the laws of :mod:`gateflow.study.units` and the rank
        correlation, where units were recorded.
    """
    from gateflow.training.settings import Settings, make_task

    found = []
    for arm in plan.arms_of(reduced):
        settings = Settings.of(plan.settings(arm, reduced=reduced))
        chance = make_task(settings.task).chance or math.nan
        ended = _metrics_by_seed(plan, folder, arm, reduced)
        runs = list(ended.values())
        curves = [_losses(run) for run in runs]
        arrivals = [_arrival(curve, plan.level * chance, settings.steps) for curve in curves]
        losses = [min(value for _, value in curve) for curve in curves]
        loss, low, high = interval(losses)
        found.append(
            {
                "arm": arm,
                "runs": len(runs),
                "seeds": list(ended),
                "chance": chance,
                "loss": loss,
                "low": low,
                "high": high,
                "losses": losses,
                "arrived": sum(each.arrived for each in arrivals),
                "mean_step": restricted_mean(arrivals, settings.steps),
                "arrivals": [vars(each) for each in arrivals],
                "pace": [pace(run) for run in runs],
                "units": [_units(run, settings) for run in runs],
            }
        )
    return found


@dataclass(frozen=True)
class Contrast:
    """Two arms that differ in their gate only, beside what the order of saturation lets expect.

    Parameters
    ----------
    condition : str
        What the two share.
    first, second : str
        The gates; where one has the higher order of saturation, it is the first.
    ordered : bool
        Whether that is so: then theory expects the first to be sooner. The refine gate has two pre-activations and no
        place in the order.
    sooner : float
        The probability that a run of the first arrives before one of the second; ties count half.
    p : float
        Two-sided, of Gehan's exact test.
    gain, low, high : float
        Mean over seeds of log(least loss of the second/least loss of the first), and its interval of 95 %; both
        have the same data for the same seed.
    """

    condition: str
    first: str
    second: str
    ordered: bool
    sooner: float
    p: float
    gain: float
    low: float
    high: float

    @property
    def verdict(self) -> str:
        """What the interval of the gain says: "first", "second" or "open"."""
        return "first" if self.low > 0 else "second" if self.high < 0 else "open"


def contrasts(rows: list[dict[str, Any]], order: Sequence[str] = ORDER) -> list[Contrast]:
    """The pairs of gates of a :func:`summary`, condition by condition: arms are named ``gate, condition``.

    Only seeds that both have run are compared. ``order`` has the gates from the lowest order of saturation to the
    highest.
    """
    conditions: dict[str, dict[str, dict[str, Any]]] = {}
    for row in rows:
        gate, _, condition = row["arm"].partition(", ")
        conditions.setdefault(condition, {})[gate] = row
    place = {gate: k for k, gate in enumerate(order)}  # what has none comes last
    return [
        _contrast(condition, *pair, arms, set(pair) <= set(order))
        for condition, arms in conditions.items()
        for pair in itertools.combinations(sorted(arms, key=lambda gate: place.get(gate, -1), reverse=True), 2)
        if set(arms[pair[0]]["seeds"]) & set(arms[pair[1]]["seeds"])
    ]


def _contrast(condition: str, first: str, second: str, arms: dict[str, dict[str, Any]], ordered: bool) -> Contrast:
    seeds = sorted(set(arms[first]["seeds"]) & set(arms[second]["seeds"]))
    runs = [[arms[name]["seeds"].index(seed) for seed in seeds] for name in (first, second)]
    one, other = (
        [Arrival(**arms[name]["arrivals"][k]) for k in rows] for name, rows in zip((first, second), runs, strict=True)
    )
    losses = [[arms[name]["losses"][k] for k in rows] for name, rows in zip((first, second), runs, strict=True)]
    gains = np.log(losses[1]) - np.log(losses[0])
    return Contrast(
        condition, first, second, ordered, sooner(one, other), exact_test(one, other), *interval(gains.tolist())
    )


def trial(gate: str, optimizers: Sequence[str], against: str = "sigmoid") -> Experiment:
    """The experiment study-copying for a gate of your own beside another, with some of its optimisers.

    ``gate`` is its text, parameters and all.

    Raises
    ------
    InvalidArgument
        The experiment has no learning rate for an optimiser, or the two gates are one.
    """
    plan = EXPERIMENTS["study-copying"]
    arms = {arm.partition(", ")[2]: settings for arm, settings in plan.arms.items() if arm.startswith(f"{against}, ")}
    unknown = [name for name in optimizers if name not in arms]
    if unknown or not optimizers:
        raise InvalidArgument(f"networks are trained with {', '.join(arms)}; got {', '.join(unknown) or 'none'}")
    if gate.strip() == against:
        raise InvalidArgument(f"{against} is what a gate is compared with; give another")
    gates = ((named(gate), gate.strip()), (against, against))
    made = {f"{n}, {o}": {**arms[o], "forget_gate": text} for o in optimizers for n, text in gates}
    return replace(plan, arms=made, reduced_seeds=plan.seeds)


def named(gate: str) -> str:
    """What the arms of a gate are called: without ", ", after which a condition would begin."""
    return gate.strip().replace(", ", ",")


def ordered(gate: str, against: str = "sigmoid") -> tuple[str, ...]:
    """The two gates by order of saturation, the lower first; none where neither is the higher."""
    from gateflow.asymptotics.order import order

    verdict = order(gate, against).verdict
    return {"higher": (against, named(gate)), "lower": (named(gate), against)}.get(verdict, ())


def _metrics_by_seed(plan: Experiment, folder: Path, arm: str, reduced: bool) -> dict[int, list[dict[str, Any]]]:
    """The metrics of the runs of an arm that have ended, by seed."""
    from gateflow.training.folder import outcome, read_metrics

    most = max(plan.seeds_of(reduced), len(list(folder.glob(f"{folder_of(arm, 0).parent}/seed-*"))))
    paths = {seed: folder / folder_of(arm, seed) for seed in range(plan.first, plan.first + most)}
    return {seed: read_metrics(path) for seed, path in paths.items() if outcome(path) is not None}


def _units(metrics: list[dict[str, Any]], settings: Any) -> dict[str, float] | None:
    """How the laws of one unit do; None for gates that are no function of one pre-activation, or not recorded."""
    from gateflow.nn.inits.matched import Matched
    from gateflow.study.units import units
    from gateflow.training.settings import make_init, make_task

    recorded = [line for line in metrics if line["kind"] == "gates" and "units" in line["layers"][0]]
    if len(recorded) < 4 or "z_refine" in recorded[0]["layers"][0]["units"] or settings.forget_gate is None:
        return None
    task = make_task(settings.task)
    start = make_init(settings.init, task.length)
    gate = start.gate(settings.forget_gate) if isinstance(start, Matched) else settings.forget_gate
    found = units(metrics, gate, getattr(task, "horizon", task.length))
    return {**found.errors(), "rank": found.rank()}


def _losses(metrics: list[dict[str, Any]]) -> list[tuple[int, float]]:
    return [(line["step"], float(line["loss"])) for line in metrics if line["kind"] == "valid"]


def _arrival(curve: list[tuple[int, float]], below: float, last: int) -> Arrival:
    """The first evaluation below the level; a run that stopped early without it is counted up to the last step."""
    step = next((step for step, loss in curve if loss < below), None)
    return Arrival(last, False) if step is None else Arrival(step, True)


def pace(metrics: list[dict[str, Any]]) -> float:
    """The exponent p in ``|dz per step| ~ |gradient in z|^p``, over the units and evaluations of a run's first layer.

    For a gradient flow it is 1; for steps that do not shrink with the gradient (T7, theory.md §5) it is 0. In networks
    both ends are blurred: the gradient is that of one batch, dz is the net way between two evaluations and comes from
    all weights, not the bias alone, and clipping bounds the step of gradient descent too. Noise in the gradient pulls
    p towards 0. Least squares of logarithms; nan where units were not recorded, or for fewer than 10 pairs.
    """
    lines = [line for line in metrics if line["kind"] == "gates" and "units" in line["layers"][0]]
    if len(lines) < 2:
        return math.nan
    z = np.array([line["layers"][0]["units"]["z"] for line in lines])
    gradient = np.abs([line["layers"][0]["units"]["gradient"] for line in lines])[:-1]
    steps = np.diff([line["step"] for line in lines])[:, None]
    moved = np.abs(np.diff(z, axis=0)) / steps
    kept = (moved > 0) & (gradient > 0)
    if kept.sum() < 10:
        return math.nan
    return float(np.polyfit(np.log(gradient[kept]), np.log(moved[kept]), 1)[0])
