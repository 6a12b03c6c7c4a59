"""Losses of LSTMs that learn to copy, by forget gate and optimiser: means over seeds, bands from least to greatest.

A loss of 1 is that of the best answer without memory; losses above 1.4, as at the start and in spikes, are cut off.
With SGD no mean falls to 0.99; with RMSprop and Adam the bands of sigmoid, fast and refine overlap. The seeds are few,
and the pilot decides nothing.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, GATE_STYLES, OPTIMIZER_LABELS, LineStyle, draw_band
from gateflow.plots._table import FigureTable
from gateflow.study import kept

GATES = {**GATE_STYLES, "refine": LineStyle("#009E73", "D", "refine")}

MEANING = {
    "optimizer": "optimiser",
    "gate": "forget gate",
    "step": "steps of the optimiser made",
    "mean": "loss on the validation split over that of the best answer without memory, mean over the seeds",
    "low": "least over the seeds",
    "high": "greatest over the seeds",
    "runs": "seeds",
}


def compute(results: Path | None = None) -> FigureTable:
    """Curves at every evaluation; a run that has stopped because its task is solved stays where it was."""
    found = kept.read("study-copying", results)
    about = {name: value for name, value in found["settings"].items() if name in ("task", "hidden", "batch", "init")}
    blocks = [_curve(arm, runs, found["chance"][arm]) for arm, runs in found["runs"].items() if runs]
    return FigureTable.of(blocks, MEANING, **about, results=found["command"])


def _curve(arm: str, runs: list[dict[str, Any]], chance: float) -> dict[str, Any]:
    gate, _, optimizer = arm.partition(", ")
    steps = max((run["steps"] for run in runs), key=len)
    losses = np.array([run["values"] + run["values"][-1:] * (len(steps) - len(run["values"])) for run in runs])
    mean, low, high = (what(losses / chance, axis=0) for what in (np.mean, np.min, np.max))
    where = {"optimizer": optimizer, "gate": gate, "step": np.array(steps, dtype=float)}
    return {**where, "mean": mean, "low": low, "high": high, "runs": float(len(runs))}


def draw(axes: Any, table: FigureTable) -> None:
    """A panel an optimiser, one above the other, all over the same steps; a line where nothing is remembered."""
    for panel, letter, (optimizer, name) in zip(axes.flat, "abc", OPTIMIZER_LABELS.items(), strict=True):
        panel.axhline(1, **AUXILIARY)
        for place, (gate, style) in enumerate(GATES.items()):
            part = table.rows(optimizer=optimizer, gate=gate)
            draw_band(panel, part, "mean", style, (0.1 + 0.05 * place, 0.25))
        panel.text(0.03, 0.05, f"({letter})  {name}", transform=panel.transAxes, ha="left", va="bottom")
        panel.set(xlim=(0, table["step"].max()), ylim=(0.35, 1.4), ylabel="loss / loss at chance")
    for panel in axes.flat[:-1]:
        panel.tick_params(labelbottom=False)
    axes.flat[-1].set_xlabel("step")
    axes.flat[0].legend(loc="lower right", ncols=2)


FIGURE = Figure(compute, draw, height=4.2, panels=(3, 1), kept=("study-copying",))
