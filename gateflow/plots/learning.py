"""Loss along the flow towards lambda* = 1 from phi = 1/2, for horizons T = 1, 10, 30; laws of leading order dashed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gateflow.flow.problem import LearningProblem
from gateflow.flow.time import hitting_time
from gateflow.plots._figure import Figure
from gateflow.plots._style import LAW, LOOKS, name_line
from gateflow.plots._table import Table

HORIZONS = (1, 10, 30)
START = 0.0
"""The pre-activation all flows start from: phi = 1/2 with slope 1/4 for each gate."""

SPAN = (float(np.e), 1e16)
"""Learning times shown: from where the law of the fast gate begins to fall."""

MEANING = {
    "gate": "name of the gate",
    "horizon": "T, steps",
    "tau": "learning time",
    "loss": "loss at that time, 1 - phi(z)^T, for lambda* = 1 and c = 1",
    "law": "leading order of the loss for large tau",
}

LAWS: dict[str, Callable[[Any, Any], Any]] = {
    "softsign": lambda tau, horizon: horizon * (3 * horizon * tau) ** (-1 / 3),
    "sigmoid": lambda tau, horizon: 1 / tau,
    "fast": lambda tau, horizon: 1 / (tau * np.log(tau) ** 2),
}
"""``T l(tau)`` with the ``l(tau)`` of theory.md §4."""


def compute() -> Table:
    """The time at which each loss is reached.

    Short of the kink the flow does not know its target: the loss with lambda* = 1 falls to L at the very time at which
    a flow to ``lambda* = 1 - L`` arrives.
    """
    return Table.of((_block(name, horizon) for horizon in HORIZONS for name in LOOKS), MEANING, start=START, scale=1.0)


def _block(name: str, horizon: int) -> dict[str, Any]:
    """Total decays ``h = -T log phi`` close to the first one, which make the plateau, then ever smaller ones."""
    first = horizon * np.log(2.0)
    decay = first * np.concatenate([1 - np.geomspace(1e-9, 0.1, 140), np.geomspace(0.9, 1e-19, 300)[1:]])
    tau = hitting_time(LearningProblem(name, horizon=horizon, decay=decay), START).tau
    shown = (tau >= SPAN[0]) & (tau <= 10 * SPAN[1])
    loss, tau = -np.expm1(-decay[shown]), tau[shown]
    return {"gate": name, "horizon": float(horizon), "tau": tau, "loss": loss, "law": LAWS[name](tau, horizon)}


def draw(axes: Any, table: Table) -> None:
    """A panel a horizon, both scales logarithmic."""
    for panel, horizon in zip(axes, HORIZONS, strict=True):
        for name, look in LOOKS.items():
            part = table.rows(gate=name, horizon=horizon)
            panel.plot(part["tau"], part["loss"], color=look.colour)
            panel.plot(part["tau"], part["law"], **{**LAW, "color": look.colour})
        panel.set(xscale="log", yscale="log", xlim=SPAN, ylim=(1e-16, 30), ylabel="loss")
        panel.text(0.03, 0.06, f"$T = {horizon}$", transform=panel.transAxes)
        panel.label_outer()
    axes[-1].set(xlabel=r"learning time $\tau$")
    name_line(axes[0], "softsign", 1e15, 2e-3, r", $T^{2/3}(3\tau)^{-1/3}$", ha="right", va="bottom")
    name_line(axes[0], "sigmoid", 5e12, 1e-11, r", $\tau^{-1}$")
    name_line(axes[0], "fast", 3e6, 1e-10, r", $\tau^{-1}(\log\,\tau)^{-2}$", ha="right", va="top")


FIGURE = Figure(compute, draw, height=4.2, panels=(3, 1))
