"""Steps to a time scale from the edge of its plateau: each gate at a step size of its own, and all at one.

Above, with the largest step size that keeps the time scale within 5 %, softsign needs the fewest steps and fast the
most; below, at one small step size, the order is the opposite one.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.descents import step_size
from gateflow.descents.recommendation import edge_of_plateau
from gateflow.descents.simulation import predict
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.plots._gates import at, figure_of_gates, z_at
from gateflow.plots._style import LineStyles, name_panels
from gateflow.plots._table import FigureTable

SCALES = np.geomspace(10, 1e5, 41)
"""Time constants wanted, in steps; T is as many."""

TOLERANCE = 0.05
COMMON = 1e-4
"""The step size of all gates, below."""

MEANING = {
    "timescale": "time constant wanted, in steps, and T",
    "own_lr": "largest step size whose chatter keeps the time constant within 5 %",
    "own_steps": "steps to that with it, simulated",
    "steps": "steps predicted with the common step size",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """Steps of gradient descent on the absolute loss."""
    problem = LearningProblem(gate, horizon=SCALES, timescale=SCALES)
    z0 = z_at(gate, np.array([edge_of_plateau(scale, scale) for scale in SCALES]))
    own = step_size(problem, z0, TOLERANCE)
    steps = predict(problem, z0, lr=COMMON).steps
    columns = {"own_lr": own.lr, "own_steps": own.steps, "steps": steps}
    finite = {column: np.where(np.isfinite(values), values, np.nan) for column, values in columns.items()}
    yield {"timescale": SCALES, **finite}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Above, each gate at its own step size; below, all at one."""
    upper, lower = axes
    for panel, column in ((upper, "own_steps"), (lower, "steps")):
        styles.plot(panel, table, "timescale", column, marks=(2, 3, 10))
        panel.set(xscale="log", xlim=(SCALES[0], SCALES[-1]))
    upper.set(ylim=(0, 250), ylabel="steps, own step size")
    upper.tick_params(labelbottom=False)
    lower.set(yscale="log", ylim=(150, 1e9), ylabel=r"steps, $\eta = 10^{-4}$ for all")
    lower.set(xlabel="time constant wanted (steps)")
    styles.name_line(upper, "fast", 2e3, 118)
    styles.name_line(upper, "sigmoid", 2e3, 56)
    styles.name_line(upper, "softsign", 2e3, 24)
    styles.name_line(lower, "fast", 3e3, 1e3, va="top")
    styles.name_line(lower, "sigmoid", 3e3, 3e5)
    styles.name_line(lower, "softsign", 100, 2e7)
    name_panels(axes, x=0.93)


def describe(part: FigureTable) -> str:
    """Both numbers of steps for one time constant, in words."""
    own, common = (at(part["timescale"], 1e4, part[column]) for column in ("own_steps", "steps"))
    return f"to a time constant of 10,000 it takes {own} steps at its own step size and {common} at {COMMON:g}"


FIGURE = figure_of_gates(
    rows,
    draw,
    MEANING,
    {"tolerance": TOLERANCE, "common_lr": COMMON, "scale": 1.0},
    height=3.4,
    panels=(2, 1),
    describe=describe,
)
