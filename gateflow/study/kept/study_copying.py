"""Rung 3 (the experiment study-copying): losses and time constants of LSTMs over training, by gate and optimiser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def make(runs: Path, stop: Callable[[], bool]) -> dict[str, Any] | None:
    """What :func:`gateflow.study.outcomes.collected` gives of the whole experiment, which takes hours."""
    from gateflow.study.experiment import carry_out
    from gateflow.study.experiments import EXPERIMENTS
    from gateflow.study.outcomes import collected

    name = "study-copying"
    folder = runs / name
    found = carry_out(EXPERIMENTS[name], folder, stop=stop)
    if {"interrupted", "not begun", "elsewhere"} & set(found.values()):
        return None
    return collected(name, EXPERIMENTS[name], folder)
