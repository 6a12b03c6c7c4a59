"""Rung 2 (:mod:`gateflow.study.memory`): time constants reached and predicted, by gate, optimiser, seed and step."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import Output, folder_for, is_sealed, read_json
from gateflow.progress import track

GATES = ("softsign", "sigmoid", "fast")
OPTIMIZERS = ("sgd", "rmsprop", "adam")
SEEDS = 5
AT = (10, 30, 100, 300, 1000, 2000)


def make(runs: Path, stop: Callable[[], bool]) -> dict[str, Any] | None:
    """Each gate, optimiser and seed in a file of its own in ``runs/memory`` until all are there.

    Returns
    -------
    dict
        ``wanted`` time constants of the units, ``start``, ``at``, the steps; ``runs``, each with ``gate``,
        ``optimizer``, ``lr``, ``seed``, and ``reached`` and ``predicted``, (steps, units).
    """
    from gateflow.study.memory import START, spectrum

    found = []
    every = list(product(range(SEEDS), OPTIMIZERS, GATES))
    for seed, optimizer, gate in track(every, "runs"):
        path = runs / "memory" / f"{gate}-{optimizer}-{seed}.json"
        if not path.exists():
            if stop():
                return None
            folder_for(path.parent)
            Output(path).write(record.to_json(record.sealed(_run(gate, optimizer, seed))))
        found.append(_read(path))
    return {
        "command": "gateflow figures agreement timescales-learned --retrain",
        "start": START,
        "wanted": spectrum().tolist(),
        "at": list(AT),
        "runs": found,
    }


def _read(path: Path) -> dict[str, Any]:
    """A run that was kept, or a complaint."""
    try:
        found = read_json(path)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict) or not is_sealed(found):
        raise InvalidArgument(f"{path} is no run of the memory, or was altered; move it away")
    return {name: value for name, value in found.items() if name != "digest"}


def _run(gate: str, optimizer: str, seed: int) -> dict[str, Any]:
    from gateflow.study.memory import memory
    from gateflow.study.outcomes import short

    made = memory(gate, optimizer, seed=seed, at=AT)
    tables = {name: [[short(x) for x in row] for row in getattr(made, name)] for name in ("reached", "predicted")}
    return {"gate": gate, "optimizer": optimizer, "lr": made.lr, "seed": seed, **tables}
