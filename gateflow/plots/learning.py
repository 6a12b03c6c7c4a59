"""Loss along the flow towards lambda* = 1 from phi = 1/2, for horizons T = 1, 10, 30; thin lines: proved laws.

On the plateau all gates wait; after it the loss falls by the law of each gate, and the gate that saturates faster
falls faster, at one vanishing step size.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate
from gateflow.plots._gates import at, figure_of_gates
from gateflow.plots._laws import log_law, loss_in_tex
from gateflow.plots._style import LineStyles
from gateflow.plots._table import FigureTable

HORIZONS = (1, 10, 30)

SPAN = (float(np.e), 1e16)
"""Learning times shown: from where the law of the fast gate begins to fall."""

MEANING = {
    "horizon": "T, steps",
    "tau": "learning time from phi = 1/2",
    "loss": "loss at that time, 1 - phi(z)^T, for lambda* = 1 and c = 1",
    "law": "leading order of the loss for large tau, as it was proved; nan where it was not",
}

PLACES: dict[str, tuple[float, float, dict[str, str]]] = {
    "softsign": (1e15, 2e-3, {"ha": "right", "va": "bottom"}),
    "sigmoid": (5e12, 1e-11, {}),
    "fast": (3e6, 1e-10, {"ha": "right", "va": "top"}),
}
"""Where the name of each line is written, with its law."""


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """The time at which each loss is reached.

    Short of the kink the flow does not know its target: the loss with lambda* = 1 falls to L at the very time at which
    a flow to ``lambda* = 1 - L`` arrives.

    Total decays ``h = -T log phi`` close to the first one, which make the plateau, then ever smaller ones.
    """
    z0 = gate.inverse_c(0.5)
    for horizon in HORIZONS:
        first = horizon * np.log(2.0)
        decay = first * np.concatenate([1 - np.geomspace(1e-9, 0.1, 140), np.geomspace(0.9, 1e-19, 300)[1:]])
        tau = np.asarray(hitting_time(LearningProblem(gate, horizon=horizon, decay=decay), z0).tau)
        shown = (tau >= SPAN[0]) & (tau <= 10 * SPAN[1])
        loss, tau = -np.expm1(-decay[shown]), tau[shown]
        law = np.exp(log_law(gate, np.log(tau), horizon=horizon))
        yield {"horizon": float(horizon), "tau": tau, "loss": loss, "law": law}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """A panel a horizon, both scales logarithmic."""
    for panel, horizon in zip(axes, HORIZONS, strict=True):
        styles.plot(panel, table.rows(horizon=horizon), "tau", "loss", marks=(0.05, 0.05, 0.2), law="law")
        panel.set(xscale="log", yscale="log", xlim=SPAN, ylim=(1e-16, 30), ylabel="loss")
        panel.text(0.03, 0.06, f"$T = {horizon}$", transform=panel.transAxes)
        panel.label_outer()
    axes[-1].set(xlabel=r"learning time $\tau$")
    for name in styles.named(PLACES):
        x, y, sides = PLACES[name]
        styles.name_line(axes[0], name, x, y, f", ${loss_in_tex(name)}$", **sides)


def describe(part: FigureTable) -> str:
    """When one gate is at two losses for T = 10, in words."""
    part = part.rows(horizon=10.0)
    first, second = (at(part["loss"], loss, part["tau"]) for loss in (0.1, 1e-6))
    return f"for T = 10 the loss is 0.1 at tau = {first} and 1e-6 at tau = {second}"


FIGURE = figure_of_gates(
    rows, draw, MEANING, {"start": "phi = 1/2", "scale": 1.0}, height=4.2, panels=(3, 1), describe=describe
)
