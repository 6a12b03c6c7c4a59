"""What a step of training costs: every backend against the plain loop over time, in one run."""

from __future__ import annotations

import math

import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.speed import SpeedReport, Step, least_times, report
from gateflow.training.folder import RunMemory
from gateflow.training.loop import Trainer, settle

STEP = "adding(horizon=1000)"
"""The task whose training step is timed."""

EAGER = ("reference", "torch", "auto")
"""The backends of a training step; the first is the baseline."""


def time_step(task: str = STEP, *, threads: int = 1, repeats: int = 3) -> SpeedReport:
    """Time a whole step of the trainer: data, forward, loss, backward, optimiser; with the settings it has by itself.

    Parameters
    ----------
    task : str
    threads, repeats : int
        As in :func:`gateflow.nn.speed.time_layers`.

    Raises
    ------
    InvalidArgument
        There is no such task; sizes below 1.
    """
    if min(threads, repeats) < 1:
        raise InvalidArgument(f"threads and repeats must be at least 1; got {threads}, {repeats}")
    steps: dict[str, Step] = {}
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with torch.random.fork_rng([]):
            for backend in EAGER:
                torch.manual_seed(0)
                settings, made = settle(task, {"backend": backend, "threads": threads, "device": "cpu"})
                trainer = Trainer(settings, made, RunMemory(), math.inf)
                steps[f"{backend}: {settings.cell}, {settings.forget_gate}"] = trainer.descend
            rows = least_times(steps, repeats)
    finally:
        torch.set_num_threads(before)
    of = f"a training step of {task}: batch {settings.batch}, hidden {settings.hidden}, {settings.optimizer}"
    counted = f"least of {repeats}, {settings.precision}: data, forward, loss, backward, optimiser"
    facts = {"of": of, "shape": None, "counted": counted, "threads": threads, "repeats": repeats}
    return report(rows, next(iter(rows)), **facts, keeps_pages=False)
