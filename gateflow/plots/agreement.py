"""Time constants that linear units reached in training, beside those predicted, for three optimisers.

A row a gate, a column an optimiser, a mark a unit; the diagonal is agreement, and the number bounds the relative
error of nine units in ten. Units of softsign and of the sigmoid go where they are predicted; those of the fast gate
stray farther, since a noisy step moves their time constants more.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, GATE_STYLES, OPTIMIZER_LABELS, READABLE, name_panel
from gateflow.plots._table import FigureTable
from gateflow.study import kept

LIMITS = (4.0, 400.0)

MEANING = {
    "optimizer": "optimiser",
    "gate": "name of the gate",
    "step": "steps of the optimiser made",
    "wanted": "time constant that the unit is asked for, in steps",
    "predicted": "time constant predicted by the optimiser on the mean loss, median over seeds",
    "reached": "time constant reached, median over seeds",
    "low": "least over seeds",
    "high": "greatest over seeds",
}


def compute(results: Path | None = None) -> FigureTable:
    """Medians over seeds, unit by unit, at every step that was looked at."""
    found = kept.read("memory", results)
    blocks = []
    for optimizer in OPTIMIZER_LABELS:
        for gate in GATE_STYLES:
            runs = [run for run in found["runs"] if (run["optimizer"], run["gate"]) == (optimizer, gate)]
            reached = np.array([run["reached"] for run in runs])
            predicted = np.median([run["predicted"] for run in runs], axis=0)
            for k, step in enumerate(found["at"]):
                blocks.append(
                    {
                        "optimizer": optimizer,
                        "gate": gate,
                        "step": float(step),
                        "wanted": np.array(found["wanted"]),
                        "predicted": predicted[k],
                        "reached": np.median(reached[:, k], axis=0),
                        "low": reached[:, k].min(axis=0),
                        "high": reached[:, k].max(axis=0),
                    }
                )
    seeds = len({run["seed"] for run in found["runs"]})
    return FigureTable.of(blocks, MEANING, seeds=seeds, start=found["start"], results=found["command"])


def draw(axes: Any, table: FigureTable) -> None:
    """A row a gate, a column an optimiser; the diagonal is agreement. The number is the ninth decile of the errors."""
    for row, (gate, style) in zip(axes, GATE_STYLES.items(), strict=True):
        for panel, (optimizer, name) in zip(row, OPTIMIZER_LABELS.items(), strict=True):
            panel.plot(LIMITS, LIMITS, **AUXILIARY)
            part = table.rows(optimizer=optimizer, gate=gate)
            points = {"color": style.colour, "markersize": 2.2, "markerfacecolor": "none", "markeredgewidth": 0.5}
            panel.plot(part["predicted"], part["reached"], style.marker, **points)
            error = np.quantile(np.abs(np.log(part["reached"] / part["predicted"])), 0.9)
            words = {"ha": "right", "fontsize": 6, "transform": panel.transAxes}
            panel.text(0.95, 0.2, style.label, color=READABLE.get(style.colour, style.colour), **words)
            panel.text(0.95, 0.07, f"9 of 10 within {100 * error:.1f} %", **words)
            panel.set(xscale="log", yscale="log", xlim=LIMITS, ylim=LIMITS, box_aspect=1)
            panel.text(0.22, 0.95, name, transform=panel.transAxes, va="top")
            panel.label_outer()
    for letter, panel in zip("abcdefghi", axes.flat, strict=True):
        name_panel(panel, letter)
    axes[1, 0].set_ylabel("time constant reached (steps)")
    axes[-1, 1].set_xlabel("time constant predicted (steps)")


FIGURE = Figure(compute, draw, height=3.5, panels=(3, 3), kept=("memory",))
