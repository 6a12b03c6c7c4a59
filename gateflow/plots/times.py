"""Learning time from phi = 1/2 to a target lambda* for T = 10, and the ratio to sigmoid's at one step size.

Below, the dashed law is that of fast. At one step size fast gains on the sigmoid the more, the smaller the gap is;
for large gaps all wait on the plateau and it gains little.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate, gate
from gateflow.plots._gates import at, figure_of_gates
from gateflow.plots._style import AUXILIARY, LAW, LineStyles, name_panels
from gateflow.plots._table import FigureTable

HORIZON = 10

NARROWEST = 1e-16
"""Smallest gap shown."""

MEANING = {
    "gap": "1 - lambda*",
    "tau": "learning time from phi = 1/2 to the target, for c = 1",
    "speed_up": "learning time with sigmoid over that with this gate",
}


def rows(chosen: Gate) -> Iterator[dict[str, Any]]:
    """Hitting times on a grid even in the logarithm of the gap."""
    gap = np.geomspace(0.5, NARROWEST, 161)
    tau = _times(chosen, gap)
    yield {"gap": gap, "tau": tau, "speed_up": _times(gate("sigmoid"), gap) / tau}


def _times(chosen: Gate, gap: np.ndarray) -> np.ndarray:
    """Learning times, nan where there are none."""
    problem = LearningProblem(chosen, horizon=HORIZON, gap=gap)
    tau = np.asarray(hitting_time(problem, chosen.inverse_c(0.5)).tau)
    return np.where(np.isfinite(tau), tau, np.nan)


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Times above, speed-up below with its law for the fast gate; all scales logarithmic."""
    for panel, column in zip(axes, ("tau", "speed_up"), strict=True):
        styles.plot(panel, table, "gap", column, marks=(10, 4, 20))
        panel.set(xscale="log", yscale="log", xlim=(0.5, NARROWEST))
    upper, lower = axes
    lower.axhline(1, **AUXILIARY)
    upper.set(ylim=(10, 1e24), ylabel=r"learning time $\tau$")
    lower.set(ylim=(1e-3, 1e4), ylabel="speed-up over sigmoid", xlabel=r"gap to the target $1 - \lambda\!^*$")
    upper.tick_params(labelbottom=False)
    if "fast" in styles:
        gap = table.rows(gate="fast")["gap"]
        lower.plot(gap, np.log(HORIZON / gap) ** 2, **LAW)
        lower.text(1e-9, 2e3, r"$\log^2\,(T/(1 - \lambda\!^*\!))$", fontsize=7)
    styles.name_line(upper, "softsign", 1e-5, 1e18, ha="right")
    styles.name_line(upper, "sigmoid", 1e-9, 1e11, ha="right")
    styles.name_line(upper, "fast", 1e-9, 1e4)
    styles.name_line(lower, "softsign", 6e-2, 1e-2)
    styles.name_line(lower, "sigmoid", 1e-9, 0.7, va="top")
    styles.name_line(lower, "fast", 1e-9, 100, va="top")
    name_panels(axes)


def describe(part: FigureTable) -> str:
    """Two learning times of one gate, in words."""
    first, second = (at(part["gap"], gap, part["tau"]) for gap in (1e-2, 1e-8))
    return f"tau is {first} for a gap of 0.01 and {second} for 1e-8"


FIGURE = figure_of_gates(
    rows,
    draw,
    MEANING,
    {"horizon": HORIZON, "start": "phi = 1/2", "scale": 1.0},
    height=3.4,
    panels=(2, 1),
    describe=describe,
)
