"""How long an experiment takes at most on this machine, from a few steps of each kind of run."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateflow.study.experiment import Experiment

SECONDS = 0.5
"""Of measuring each kind of run; at least three steps."""

KINDS = ("task", "cell", "hidden", "layers", "batch", "accumulate", "precision", "backend", "device", "method")
"""Settings on which the time of a step depends."""


@dataclass(frozen=True)
class Duration:
    """The time of an experiment, if every run takes all its steps.

    Parameters
    ----------
    runs : int
    steps : int
        Of all runs together.
    seconds : float
        On one core, at the pace at which this machine runs now.
    step : float
        Of the slowest kind of step.
    """

    runs: int
    steps: int
    seconds: float
    step: float

    def __str__(self) -> str:
        hours = f"{self.seconds / 3600:.1f} h" if self.seconds >= 3600 else f"{self.seconds / 60:.1f} min"
        return f"{self.runs} runs take at most {hours} of one core, up to {1e3 * self.step:.1f} ms a step"


def estimate(plan: Experiment, *, reduced: bool = False, seeds: int | None = None, data_dir: Any = None) -> Duration:
    """Measure some steps and one evaluation of each kind of run; nothing of what they learn is kept.

    Runs that stop early take less, so that this is an upper bound, of this moment's load.

    Examples
    --------
    >>> small = {"task": "adding(horizon=5, held_out=8)", "hidden": 2, "steps": 4, "device": "cpu"}
    >>> found = estimate(Experiment(base=small, arms={"fast": {}}, seeds=3))
    >>> found.runs, found.steps, found.seconds > 0
    (3, 12, True)
    """
    count = plan.seeds_of(reduced, seeds)
    paces: dict[str, tuple[float, float]] = {}
    seconds, steps = 0.0, 0
    for arm in plan.arms_of(reduced):
        settings = plan.settings(arm, reduced=reduced)
        kind = repr([settings.get(key) for key in KINDS])
        if kind not in paces:
            paces[kind] = _pace(settings, data_dir)
        made, (step, look) = _settle_run(settings, data_dir)[0], paces[kind]
        seconds += count * (made.steps * step + (1 + math.ceil(made.steps / made.evaluate_every)) * look)
        steps += count * made.steps
    return Duration(count * len(plan.arms_of(reduced)), steps, seconds, max(step for step, _ in paces.values()))


def _settle_run(settings: Any, data_dir: Any) -> Any:
    from gateflow.training.loop import settle

    return settle(dict(settings), {}, data_dir)


def _pace(settings: Any, data_dir: Any) -> tuple[float, float]:
    """Seconds of a step, and of an evaluation."""
    from gateflow.training.folder import RunMemory
    from gateflow.training.loop import Trainer, global_state

    made, task = _settle_run(settings, data_dir)
    with global_state(made):
        trainer = Trainer(made, task, RunMemory(), math.inf)
        trainer.descend()
        return _mean_time(trainer.descend, 3), _mean_time(trainer.evaluate, 1)


def _mean_time(what: Callable[[], Any], least: int) -> float:
    began, count = time.perf_counter(), 0
    while count < least or time.perf_counter() - began < SECONDS / 2:
        what()
        count += 1
    return (time.perf_counter() - began) / count
