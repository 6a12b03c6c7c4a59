"""Noise of batches of 1, T = 10, targets U(0, 1): arrival at a time constant of 8 from 3 at lr 0.02; spread learned.

At one step size the gate that arrives sooner (above) spreads more about its target (below; thin lines are the first
order).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.errors import GateflowError
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.noise import NoisyDescent, Samples
from gateflow.noise.formulas import settles
from gateflow.plots._gates import at, figure_of_gates, z_at
from gateflow.plots._style import LineStyles, name_panels
from gateflow.plots._table import FigureTable

HORIZON = 10
START, REACHED = 3.0, 8.0
"""Time constants, in steps."""

TARGETS = "uniform(0, 1)"
"""The law of a sample's target; its median asks for a time constant of 14.4."""

COMMON = 2e-2
"""The step size of all gates, above."""

RATES = np.geomspace(1e-4, 1e-1, 7)
SHARES = np.linspace(0.01, 0.99, 50)
MIDDLE = 1.6448536
"""Deviations of a normal law from its median to where a twentieth is left."""

MEANING = {
    "panel": "arrival, spread, or spread to first order: the formula 3.29 k sqrt(lr/4)",
    "x": "steps from a time constant of 3 to one of 8 at the common step size (arrival); step size (spread)",
    "y": "share of the runs (arrival); log of the 95th over the 5th percentile of the time constant learned (spread)",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """The law of arrival by the backward equation, and the law about the target by quadrature."""
    problem = LearningProblem(gate, horizon=HORIZON, target=0.5)
    start = float(z_at(gate, np.array([START]))[0])
    try:
        steps = NoisyDescent(problem, Samples(target=TARGETS), COMMON).steps(start, SHARES, REACHED)
        yield _finite("arrival", steps, SHARES)
    except GateflowError:
        pass
    spread = [_spread(NoisyDescent(problem, Samples(target=TARGETS), float(lr))) for lr in RATES]
    yield _finite("spread", RATES, [one for one, _ in spread])
    yield _finite("spread to first order", RATES, [x for _, x in spread])


def _finite(panel: str, x: Any, y: Any) -> dict[str, Any]:
    there = np.isfinite(x) & np.isfinite(y)
    return {"panel": panel, "x": np.asarray(x)[there], "y": np.asarray(y)[there]}


def _spread(noisy: NoisyDescent) -> tuple[float, float]:
    """By quadrature and by the formula; nan where steps are too long for a law."""
    gate, z = noisy.problem.gate, float(noisy.problem.z_star)
    steep = float(gate.dphi(z)) / float(-gate.phi(z) * gate.log_phi(z))  # of log time constant in z
    by_formula = 2 * MIDDLE * steep * settles(noisy).value
    try:
        return float(np.diff(np.log(noisy.spread([0.05, 0.95])))[0]), by_formula
    except GateflowError:
        return np.nan, by_formula


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Above, the share of runs that have arrived; below, the spread, with the first order as a thin line."""
    upper, lower = axes
    styles.plot(upper, table.rows(panel="arrival"), "x", "y", marks=(5, 4, 15))
    styles.plot(lower, table.rows(panel="spread"), "x", "y", marks=(0, 0, 2))
    for name, style in styles.items():
        first_order = table.rows(gate=name, panel="spread to first order")
        lower.plot(first_order["x"], first_order["y"], **style.law())
    upper.set(xscale="log", ylim=(0, 1), xlabel="steps", ylabel="share of runs arrived")
    lower.set(xscale="log", yscale="log", xlim=(RATES[0], RATES[-1]))
    lower.set(xlabel=r"step size $\eta$", ylabel="spread of the time constant")
    styles.name_line(upper, "fast", 150, 0.5)
    styles.name_line(upper, "sigmoid", 410, 0.5)
    styles.name_line(upper, "softsign", 7000, 0.5, ha="right")
    styles.name_line(lower, "fast", 2e-3, 0.3, ha="right")
    styles.name_line(lower, "sigmoid", 2e-3, 0.03)
    styles.name_line(lower, "softsign", 2e-3, 2e-3)
    name_panels(axes)


def describe(part: FigureTable) -> str:
    """The median arrival and a spread, in words."""
    arrival, about = part.rows(panel="arrival"), part.rows(panel="spread")
    middle = at(arrival["y"][::-1], 0.5, arrival["x"][::-1]) if len(arrival) else "not shown"
    spread = at(about["x"][::-1], 1e-3, about["y"][::-1])
    return f"half of the runs arrive by step {middle}; at a step size of 1e-3 the log time constant spreads by {spread}"


FIGURE = figure_of_gates(
    rows,
    draw,
    MEANING,
    {
        "horizon": HORIZON,
        "start": START,
        "reached": REACHED,
        "targets": TARGETS,
        "batch": 1,
        "lr": COMMON,
        "scale": 1.0,
    },
    height=3.6,
    panels=(2, 1),
    describe=describe,
)
