"""Rung 2 (:mod:`gateflow.study.memory`): time constants reached and predicted, by gate, optimiser, seed and step."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateflow.files import folder_for
from gateflow.runs.grid import product, run

GATES = ("softsign", "sigmoid", "fast")
OPTIMIZERS = ("sgd", "rmsprop", "adam")
SEEDS = 5
AT = (10, 30, 100, 300, 1000, 2000)


def make(runs: Path, stop: Callable[[], bool]) -> dict[str, Any] | None:
    """Each gate, optimiser and seed as a job of its own, to ``runs/memory.json``.

    Returns
    -------
    dict
        ``wanted`` time constants of the units, ``start``, ``at``, the steps; ``runs``, each with ``gate``,
        ``optimizer``, ``lr``, ``seed``, and ``reached`` and ``predicted``, (steps, units).
    """
    from gateflow.study.memory import START, spectrum

    jobs = product(seed=range(SEEDS), optimizer=OPTIMIZERS, gate=GATES, at=[list(AT)])
    found = run(trained, jobs, out=folder_for(runs) / "memory.json", stop=stop)
    found.refuse_failures()
    if not found.whole:
        return None
    return {
        "command": "gateflow figures agreement timescales-learned --retrain",
        "start": START,
        "wanted": spectrum().tolist(),
        "at": list(AT),
        "runs": list(found.values.values()),
    }


def trained(gate: str, optimizer: str, seed: int, at: list[int]) -> dict[str, Any]:
    """One run, to the digits that are kept."""
    from gateflow.study.memory import memory
    from gateflow.study.outcomes import short

    made = memory(gate, optimizer, seed=seed, at=at)
    tables = {name: [[short(x) for x in row] for row in getattr(made, name)] for name in ("reached", "predicted")}
    return {"gate": gate, "optimizer": optimizer, "lr": made.lr, "seed": seed, **tables}
