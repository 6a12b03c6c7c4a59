"""Gradient descent beside the flow from phi = 1/2 to lambda* = 0.9 over T = 10 steps, and how far behind it runs.

Above, lines are the flow and marks are gradient descent. Below, descent lags behind the flow by the dashed law,
within a few steps; open marks have four times the step size of filled ones.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate, gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, GATE_STYLES, LAW, name_line, name_panel
from gateflow.plots._table import FigureTable

HORIZON = 10
TARGET = 0.9
START = 0.0
"""The pre-activation all runs start from: phi = 1/2 with slope 1/4 for each gate."""

STIFFNESSES = (1 / 16, 1 / 4)
"""Step sizes, times the largest ``v u'`` on the path: near 1 descent would begin to overshoot (numerics.md)."""

STATES = 121
"""States of a run that are kept, where it has more; evenly spread in the log-odds of phi^T."""

MEANING = {
    "gate": "name of the gate",
    "stiffness": "step size times the largest v u' on the path",
    "step_size": "eta",
    "step": "k, gradient steps taken",
    "z": "pre-activation after them",
    "kept": "phi(z)^T, what the cell keeps of its value over T steps; the target is lambda*",
    "flow_time": "learning time tau at which the flow is at z",
    "lag": "k - tau/eta: steps that descent has taken beyond those of the flow",
    "predicted_lag": "log(v/v0)/2, with v = |dL/dz|",
}


def compute() -> FigureTable:
    """Runs of descent for each gate and step size, up to the first state at the target or past it."""
    blocks = (_run(name, stiffness) for name in GATE_STYLES for stiffness in STIFFNESSES)
    return FigureTable.of(blocks, MEANING, horizon=HORIZON, target=TARGET, start=START, scale=1.0)


def speed(gate: Gate, z: Any) -> Any:
    """``v = |dL/dz| = T phi^(T-1) phi'``, from logarithms."""
    numbers = gate.float64
    return HORIZON * np.exp((HORIZON - 1) * numbers.log_phi(z) + numbers.log_dphi(z))


def _run(name: str, stiffness: float) -> dict[str, Any]:
    g = gate(name)
    z_star = LearningProblem(g, horizon=HORIZON, target=TARGET).z_star
    path = np.linspace(START, z_star, 1001)
    eta = stiffness / np.max(speed(g, path) * g.float64.du(path))
    z = descend(g, eta, z_star)
    step = spread(log_odds(-HORIZON * g.float64.log_phi(z)))
    z = z[step]
    decay = -HORIZON * g.log_phi(z)
    tau = hitting_time(LearningProblem(g, horizon=HORIZON, decay=decay), START).tau
    v = speed(g, z)
    return {
        "gate": name,
        "stiffness": stiffness,
        "step_size": eta,
        "step": step.astype(np.float64),
        "z": z,
        "kept": np.exp(-decay),
        "flow_time": tau,
        "lag": step - tau / eta,
        "predicted_lag": np.log(v / v[0]) / 2,
    }


def descend(gate: Gate, eta: float, z_star: float) -> np.ndarray:
    """The states of gradient descent ``z + eta v(z)``, from the start to the first at ``z_star`` or past it."""
    states = [np.float64(START)]
    while states[-1] < z_star:
        states.append(states[-1] + eta * speed(gate, states[-1]))
    return np.array(states)


def log_odds(decay: np.ndarray) -> np.ndarray:
    """The log-odds of ``exp(-decay)``."""
    return -np.log(np.expm1(decay))


def spread(rising: np.ndarray) -> np.ndarray:
    """Positions of about ``STATES`` values, the last among them, evenly spread over those of a rising sequence."""
    wanted = np.linspace(rising[0], rising[-1], STATES)
    return np.unique(np.minimum(np.searchsorted(rising, wanted), rising.size - 1))


def draw(axes: Any, table: FigureTable) -> None:
    """Above, what the cell keeps along the flow (lines) and under descent (marks); below, the lag of descent."""
    upper, lower = axes
    for name, style in GATE_STYLES.items():
        coarse, fine = (table.rows(gate=name, stiffness=stiffness) for stiffness in STIFFNESSES[::-1])
        upper.plot(fine["flow_time"], fine["kept"], color=style.colour, linewidth=0.5)
        upper.plot(coarse["step"] * coarse["step_size"], coarse["kept"], **style.line(every=7), linestyle="none")
        lower.plot(fine["kept"], fine["predicted_lag"], **{**LAW, "zorder": 1})
        lower.plot(coarse["kept"], coarse["lag"], **style.line(every=8), linestyle="none")
        filled = {**style.line(every=(4, 8)), "markerfacecolor": style.colour}
        lower.plot(fine["kept"], fine["lag"], **filled, linestyle="none")
    upper.axhline(TARGET, **AUXILIARY)
    upper.set(xscale="log", xlim=(10, 1e5), ylim=(0, 1.05), ylabel=r"kept, $\phi^T$")
    upper.set(xlabel=r"learning time: $\tau$ of the flow, $\eta k$ after $k$ steps")
    upper.text(12, TARGET, r"$\lambda\!^*$", va="bottom")
    lower.set(xscale="log", ylim=(-1.2, 3.2), xlabel=r"kept, $\phi^T$", ylabel=r"lag in steps, $k - \tau/\eta$")
    lower.text(9e-4, -0.6, r"dashed: $\frac{1}{2}\log(v/v_0)$", fontsize=7)
    lower.text(9e-4, -1.0, r"open marks: 4 times the $\eta$ of filled ones", fontsize=7)
    name_line(upper, "fast", 45, 0.5, ha="right")
    name_line(upper, "sigmoid", 68, 0.5)
    name_line(upper, "softsign", 520, 0.5)
    name_panel(upper, "a", y=0.8)
    name_panel(lower, "b")


FIGURE = Figure(compute, draw, height=3.6, panels=(2, 1))
