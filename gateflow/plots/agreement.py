"""Time constants that linear units reached in training, beside those predicted, for three optimisers."""

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
    """A panel an optimiser; the diagonal is agreement. Beside each gate the ninth decile of its relative errors."""
    for panel, letter, (optimizer, name) in zip(axes.flat, "abc", OPTIMIZER_LABELS.items(), strict=True):
        panel.plot(LIMITS, LIMITS, **AUXILIARY)
        for place, (gate, style) in enumerate(GATE_STYLES.items()):
            part = table.rows(optimizer=optimizer, gate=gate)
            points = {"color": style.colour, "markersize": 2.2, "markerfacecolor": "none", "markeredgewidth": 0.5}
            panel.plot(part["predicted"], part["reached"], style.marker, **points, zorder=3 - 0.1 * place)
            error = np.quantile(np.abs(np.log(part["reached"] / part["predicted"])), 0.9)
            words = {"ha": "right", "fontsize": 6, "color": READABLE.get(style.colour, style.colour)}
            panel.text(0.95, 0.24 - 0.09 * place, f"{style.label} {error:.1%}", transform=panel.transAxes, **words)
        panel.set(xscale="log", yscale="log", xlim=LIMITS, ylim=LIMITS, box_aspect=1)
        name_panel(panel, letter)
        panel.text(0.22, 0.95, name, transform=panel.transAxes, va="top")
    axes.flat[0].set_ylabel("reached (steps)")
    axes.flat[1].set_xlabel("time constant predicted (steps)")
    for panel in axes.flat[1:]:
        panel.tick_params(labelleft=False)


FIGURE = Figure(compute, draw, height=1.4, panels=(1, 3), kept=("memory",))
