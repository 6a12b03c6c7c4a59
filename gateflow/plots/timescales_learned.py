"""Time constants over training: linear units beside what is predicted of them, and the units of an LSTM that copies.

Lines are the ninth decile of the units, the median over the seeds; bands go from the least to the greatest seed. Above,
with gradient descent, linear units follow the dashed prediction, those of fast from some distance; step 1 stands for
the start. Below, in an LSTM, the fast gate soon has long time constants and then loses some, while the sigmoid gains
some.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gateflow.plots._figure import Figure
from gateflow.plots._style import GATE_STYLES, draw_band, name_panel
from gateflow.plots._table import FigureTable
from gateflow.study import kept

OPTIMIZER = "sgd"
ARM = "rmsprop"
SHARE = 0.9
LINEAR = {"linear": "reached", "predicted": "predicted"}

MEANING = {
    "what": "linear: units that are asked for a time constant each, by SGD; predicted: what is predicted of them; "
    "LSTM: the first layer on copying, by RMSprop",
    "gate": "name of the gate",
    "step": "steps of the optimiser made; of linear units 1 stands for the start",
    "ninth": "ninth decile of the units' time constants, median over seeds, in steps",
    "low": "least over the seeds",
    "high": "greatest over the seeds",
}


def compute(results: Path | None = None) -> FigureTable:
    """The linear units at the steps that were looked at, the LSTM at every evaluation."""
    linear, networks = kept.read("memory", results), kept.read("study-copying", results)
    blocks = [_linear(linear, gate, what) for what in LINEAR for gate in GATE_STYLES]
    blocks += [_network(runs, gate) for gate in GATE_STYLES if (runs := networks["runs"].get(f"{gate}, {ARM}"))]
    return FigureTable.of(blocks, MEANING, results=[linear["command"], networks["command"]])


def _linear(found: dict[str, Any], gate: str, what: str) -> dict[str, Any]:
    runs = [run for run in found["runs"] if (run["optimizer"], run["gate"]) == (OPTIMIZER, gate)]
    start = np.full((len(runs), 1), float(found["start"]))
    ninth = np.hstack([start, np.quantile([run[LINEAR[what]] for run in runs], SHARE, axis=2)])
    return {"what": what, "gate": gate, "step": np.array([1, *found["at"]], dtype=float), **_over_seeds(ninth)}


def _network(runs: list[dict[str, Any]], gate: str) -> dict[str, Any]:
    length = min(len(run["steps"]) for run in runs)
    ninth = np.array([run["timescales"]["ninth decile"][:length] for run in runs])
    return {
        "what": "LSTM",
        "gate": gate,
        "step": np.array(runs[0]["steps"][:length], dtype=float),
        **_over_seeds(ninth),
    }


def _over_seeds(values: np.ndarray) -> dict[str, np.ndarray]:
    return {"ninth": np.median(values, axis=0), "low": values.min(axis=0), "high": values.max(axis=0)}


def draw(axes: Any, table: FigureTable) -> None:
    """Measured as lines with bands over seeds, predicted as dashes; the LSTM below."""
    for panel, letter, what in zip(axes.flat, "ab", ("linear", "LSTM"), strict=True):
        for gate, style in GATE_STYLES.items():
            part = table.rows(what=what, gate=gate)
            draw_band(panel, part, "ninth", style, 1 if what == "linear" else (0.1, 0.2))
        panel.set(yscale="log", ylabel="time constant (steps)")
        panel.margins(x=0)
        panel.yaxis.set_minor_formatter("")
        name_panel(panel, letter, x=0.92)
    predicted = {"color": "#009E73", "linewidth": 0.8, "linestyle": (0, (3, 2)), "zorder": 4}
    for gate in GATE_STYLES:
        part = table.rows(what="predicted", gate=gate)
        axes.flat[0].plot(part["step"], part["ninth"], label="predicted" if gate == "fast" else None, **predicted)
    axes.flat[0].set(xscale="log", ylim=(4, 100), xlabel="step, linear units, SGD")
    axes.flat[0].legend(loc="upper left", ncols=2)
    axes.flat[1].set_xlabel("step, LSTM, RMSprop")


FIGURE = Figure(compute, draw, height=3.8, panels=(2, 1), kept=("memory", "study-copying"))
