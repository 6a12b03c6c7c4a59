"""The gate that learns soonest at one small step size, by start and time constant wanted, for T = 100.

A shade is where the gate written on it is ahead, by default of sigmoid, fast and sigma(z + z^3); one that is nowhere
ahead has none. Below the thin line the time constant wanted is shorter than the one at the start. At one step size the
gate that saturates faster is ahead for long enough time constants only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate
from gateflow.plots._gates import figure_of_gates, z_at
from gateflow.plots._style import AUXILIARY, LineStyles
from gateflow.plots._table import FigureTable

HORIZON = 100

STARTS = np.geomspace(1, 1e4, 41)
SCALES = np.geomspace(20, 2e15, 57)

GATES = ("sigmoid", "fast", "linear-cubic")
"""Neither of the last two is ahead of the other from everywhere; the sigmoid is first nowhere."""

MEANING = {
    "start": "time constant to start from, in steps",
    "timescale": "time constant wanted, in steps",
    "log_tau": "log of the learning time, for c = 1; from above where the start is past the target",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """Learning times on a grid even in the logarithms of both."""
    start, scale = (x.ravel() for x in np.meshgrid(STARTS, SCALES, indexing="ij"))
    problem = LearningProblem(gate, horizon=HORIZON, timescale=scale)
    log_tau = np.asarray(hitting_time(problem, z_at(gate, start)).log_tau)
    yield {"start": start, "timescale": scale, "log_tau": np.where(np.isfinite(log_tau), log_tau, np.nan)}


def leads(table: FigureTable, names: list[str]) -> np.ndarray:
    """By gate, start and time constant: log of the least time of the others over that of the gate; 0 on a border."""
    log_tau = np.array([table.rows(gate=name)["log_tau"] for name in names])
    known = np.where(np.isnan(log_tau), np.inf, log_tau)
    with np.errstate(invalid="ignore"):
        others = [np.min(np.delete(known, k, axis=0), axis=0, initial=np.inf) for k in range(len(names))]
        lead = np.array(others) - known
    return np.where(np.isinf(lead), np.sign(lead) * 1e3, lead).reshape(-1, STARTS.size, SCALES.size)


def heart(ahead: np.ndarray) -> tuple[int, int]:
    """Indices of the start and the time constant farthest from the border of a region: there its name has room."""
    from scipy.ndimage import distance_transform_edt

    depth = np.asarray(distance_transform_edt(np.pad(ahead, 1)))[1:-1, 1:-1]
    deepest = np.argwhere(depth == depth.max())
    return tuple(deepest[len(deepest) // 2])


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """A shade a gate, where it is the first."""
    from matplotlib.colors import to_rgb

    for style, lead in zip(styles.values(), leads(table, list(styles)), strict=True):
        pale = tuple(1 - 0.4 * (1 - np.array(to_rgb(style.colour))))
        axes.fill_between([], [], label=style.label, color=pale)
        if np.nanmax(lead, initial=-1) > 0:
            axes.contourf(STARTS, SCALES, lead.T, [0, np.inf], colors=[pale])
            axes.contour(STARTS, SCALES, lead.T, [0], colors="black", linewidths=0.6)
            start, scale = heart(lead > 0)
            if not styles.legend or np.sum(lead[:, scale] > 0) > 0.8 * len(style.label):  # else the legend names it
                axes.text(STARTS[start], SCALES[scale], style.label, fontsize=7, ha="center", va="center")
    axes.set(xscale="log", yscale="log", xlim=STARTS[[0, -1]], ylim=SCALES[[0, -1]])
    axes.set_yticks([10.0**k for k in range(3, 16, 3)])
    axes.plot(STARTS, STARTS, **{**AUXILIARY, "zorder": 3})
    axes.set(xlabel="time constant at the start (steps)", ylabel="time constant wanted (steps)")


def describe(part: FigureTable) -> str:
    """How many of the problems have an answer, in words."""
    return (
        f"{int(np.isfinite(part['log_tau']).sum())} of {part['log_tau'].size} starts and targets have a learning time"
    )


FIGURE = figure_of_gates(
    rows, draw, MEANING, {"horizon": HORIZON, "scale": 1.0}, height=2.6, gates=GATES, describe=describe
)
