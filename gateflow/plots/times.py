"""Learning time from phi = 1/2 to a target lambda* for T = 10, and how much faster than with sigmoid that is."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.flow.problem import LearningProblem
from gateflow.flow.time import hitting_time
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, LAW, LOOKS, name_line, name_panel
from gateflow.plots._table import Table

HORIZON = 10
START = 0.0
"""The pre-activation all flows start from: phi = 1/2 with slope 1/4 for each gate."""

NARROWEST = 1e-16
"""Smallest gap shown."""

MEANING = {
    "gate": "name of the gate",
    "gap": "1 - lambda*",
    "tau": "learning time from the start to the target, for c = 1",
    "speed_up": "learning time with sigmoid over that with this gate",
}


def compute() -> Table:
    """Hitting times on a grid even in the logarithm of the gap."""
    gap = np.geomspace(0.5, NARROWEST, 161)
    problems = {name: LearningProblem(name, horizon=HORIZON, gap=gap) for name in LOOKS}
    tau = {name: hitting_time(problem, START).tau for name, problem in problems.items()}
    blocks = ({"gate": name, "gap": gap, "tau": tau[name], "speed_up": tau["sigmoid"] / tau[name]} for name in LOOKS)
    return Table.of(blocks, MEANING, horizon=HORIZON, start=START, scale=1.0)


def draw(axes: Any, table: Table) -> None:
    """Times above, speed-up below with its law for the fast gate; all scales logarithmic."""
    for panel, column in zip(axes, ("tau", "speed_up"), strict=True):
        for k, (name, look) in enumerate(LOOKS.items()):
            part = table.rows(gate=name)
            panel.plot(part["gap"], part[column], **look.line(every=(10 + 4 * k, 20)))
        panel.set(xscale="log", yscale="log", xlim=(0.5, NARROWEST))
    upper, lower = axes
    gap = table.rows(gate="fast")["gap"]
    lower.plot(gap, np.log(HORIZON / gap) ** 2, **LAW)
    lower.axhline(1, **AUXILIARY)
    upper.set(ylim=(10, 1e24), ylabel=r"learning time $\tau$")
    lower.set(ylim=(1e-3, 1e4), ylabel="speed-up over sigmoid", xlabel=r"gap to the target $1 - \lambda\!^*$")
    upper.tick_params(labelbottom=False)
    name_line(upper, "softsign", 1e-5, 1e18, ha="right")
    name_line(upper, "sigmoid", 1e-9, 1e11, ha="right")
    name_line(upper, "fast", 1e-9, 1e4)
    name_line(lower, "softsign", 6e-2, 1e-2)
    name_line(lower, "sigmoid", 1e-9, 0.7, va="top")
    name_line(lower, "fast", 1e-9, 100, va="top")
    lower.text(1e-9, 2e3, r"$\log^2\,(T/(1 - \lambda\!^*\!))$", fontsize=7)
    for letter, panel in zip("ab", axes, strict=True):
        name_panel(panel, letter)


FIGURE = Figure(compute, draw, height=3.4, panels=(2, 1))
