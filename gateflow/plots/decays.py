"""Time constants at the published start of linear recurrences: from 2 % to 98 % of the channels, and the median.

A dot is the median, and a dot alone means that all channels start alike. To the right of the vertical line a bfloat16
number cannot hold the decay: part of the channels of some models starts there.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.descents.decays import longest, times_at_start
from gateflow.descents.precision import FORMATS
from gateflow.gates.published import DECAYS
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY
from gateflow.plots._table import FigureTable

QUANTILES = np.linspace(0.02, 0.98, 49)

MEANING = {
    "model": "name of the model",
    "quantile": "part of the channels whose time constant is at most this",
    "timescale": "time constant at the published start, in steps",
}


def compute() -> FigureTable:
    """The models in the order of their medians."""
    found = {name: times_at_start(name, QUANTILES) for name in DECAYS}
    names = sorted(found, key=lambda name: float(found[name][len(QUANTILES) // 2]))
    blocks = [{"model": name, "quantile": QUANTILES, "timescale": found[name]} for name in names]
    return FigureTable.of(blocks, MEANING, bfloat16=longest("a", FORMATS["bfloat16"]))


def draw(axes: Any, table: FigureTable) -> None:
    """A line a model; models whose channels start alike have a point only."""
    names = list(dict.fromkeys(table["model"].tolist()))
    for y, name in enumerate(names):
        times = table.rows(model=name)["timescale"]
        (line,) = axes.plot(times[[0, -1]], [y, y], color="C0", linewidth=1.0)
        axes.plot(times[len(times) // 2], y, "o", color=line.get_color(), markersize=3.0)
    limit = table.parameters["bfloat16"]
    axes.axvline(limit, **AUXILIARY)
    axes.text(limit * 1.15, 0.0, "longest that $a$\nholds in bfloat16", fontsize=6, va="center")
    axes.set_yticks(range(len(names)), names)
    axes.set(xscale="log", xlim=(0.05, 1e4), ylim=(-0.7, len(names) - 0.3))
    axes.set_xlabel("time constant at the start (steps)")


FIGURE = Figure(compute, draw, height=2.4)
