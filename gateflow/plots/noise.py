"""Gradient noise: when runs reach a time scale at one step size, and how the time scale they learn spreads."""

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
    "panel": "a: arrival; b: spread",
    "steps": "steps in which the share of runs gets from a time constant of 3 to one of 8, at the common step size",
    "share": "of runs",
    "lr": "step size",
    "spread": "log of the 95th over the 5th percentile of the time constant that is learned",
    "by_formula": "the same to first order in the step size, 3.29 k sqrt(lr/4)",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """The law of arrival by the backward equation, and the law about the target by quadrature."""
    problem = LearningProblem(gate, horizon=HORIZON, target=0.5)
    empty = dict.fromkeys(MEANING, np.nan)
    start = float(z_at(gate, np.array([START]))[0])
    try:
        steps = NoisyDescent(problem, Samples(target=TARGETS), COMMON).steps(start, SHARES, REACHED)
        yield {**empty, "panel": "a", "steps": np.where(np.isfinite(steps), steps, np.nan), "share": SHARES}
    except GateflowError:
        pass
    spread = [_spread(NoisyDescent(problem, Samples(target=TARGETS), float(lr))) for lr in RATES]
    yield {
        **empty,
        "panel": "b",
        "lr": RATES,
        "spread": [one for one, _ in spread],
        "by_formula": [x for _, x in spread],
    }


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
    styles.plot(upper, table.rows(panel="a"), "steps", "share", marks=(5, 4, 15))
    styles.plot(lower, table.rows(panel="b"), "lr", "spread", marks=(0, 0, 2), law="by_formula")
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
    arrival, about = part.rows(panel="a"), part.rows(panel="b")
    middle = at(arrival["share"][::-1], 0.5, arrival["steps"][::-1]) if len(arrival) else "not shown"
    spread = at(about["lr"][::-1], 1e-3, about["spread"][::-1])
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
