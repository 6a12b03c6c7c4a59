"""Loss times tau (log tau)^2 along the flow to lambda* = 1: no gate stays in the shaded region for ever."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.flow.problem import LearningProblem
from gateflow.flow.time import hitting_time
from gateflow.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import LAW, LOOKS
from gateflow.plots._table import Table

COLOURS = {
    "sigmoid": LOOKS["sigmoid"].colour,
    "linear-cubic": "#CC79A7",
    "fast": LOOKS["fast"].colour,
    "iterated-sinh": "#009E73",
    "iterated-sinh(3)": "#0072B2",
}
"""The gates shown. From no sinh (sigmoid) to three, each rung gains one more squared iterated logarithm (T3)."""

SPAN = (20.0, 1e8)
"""Values of log tau shown; at the last, tau has forty million digits."""

FLOOR = 1e-7

EXTRA = 2.0
"""The eps of theorem T2: l = O(1/(tau (log tau)^2 (log log tau)^(2 + eps))) is what no gate reaches."""

MEANING = {
    "gate": "name of the gate",
    "log_tau": "logarithm of the learning time from z = 0, c = T = 1",
    "log_loss": "logarithm of the loss l at that time, for lambda* = 1",
    "scaled": "tau l (log tau)^2",
    "law": "the same for the proved law of the gate",
}


def compute() -> Table:
    """The time at which each loss is reached; short of the kink the flow does not know its target."""
    return Table.of((_block(name) for name in COLOURS), MEANING, horizon=1.0, start=0.0, scale=1.0, extra=EXTRA)


def _block(name: str) -> dict[str, Any]:
    log_loss = -np.geomspace(0.5 * SPAN[0], 1.1 * SPAN[1], 140)
    log_tau = np.asarray(hitting_time(LearningProblem(gate(name), horizon=1, log_gap=log_loss), 0.0).log_tau)
    shown = (log_tau >= SPAN[0]) & (log_tau <= SPAN[1])
    log_tau, log_loss = log_tau[shown], log_loss[shown]
    scaled = np.exp(log_tau + log_loss + 2 * np.log(log_tau))
    return {"gate": name, "log_tau": log_tau, "log_loss": log_loss, "scaled": scaled, "law": law(name, log_tau)}


def law(name: str, log_tau: Any) -> Any:
    """``tau l (log tau)^2`` with the ``l(tau)`` of theory.md §4 and of T3."""
    if name == "sigmoid":
        return log_tau**2
    if name == "linear-cubic":
        return log_tau ** (2 / 3) / 9
    scaled, level = np.ones_like(log_tau), log_tau
    for _ in range({"fast": 0, "iterated-sinh": 1, "iterated-sinh(3)": 2}[name]):
        level = np.log(level)
        scaled = scaled / level**2
    return scaled


def draw(axes: Any, table: Table) -> None:
    """Both scales logarithmic; laws dashed."""
    for name in COLOURS:
        part = table.rows(gate=name)
        axes.plot(part["log_tau"], part["scaled"], color=COLOURS[name])
        axes.plot(part["log_tau"], part["law"], **{**LAW, "color": COLOURS[name]})
    x = np.geomspace(*SPAN, 200)
    edge = np.log(x) ** (-2 - EXTRA)
    axes.fill_between(x, FLOOR, edge, color="0.88", zorder=0)
    axes.set(xscale="log", yscale="log", xlim=SPAN, ylim=(FLOOR, 1e10))
    axes.set(xlabel=r"$\log\,\tau$", ylabel=r"$\tau\,l\,(\log\,\tau)^2$")
    places = {
        "sigmoid": (4e3, 1e8, "sigmoid"),
        "linear-cubic": (1e6, 2e4, r"$\sigma(z + z^3)$"),
        "fast": (1e6, 3.0, "fast"),
        "iterated-sinh": (2e5, 2e-2, "two sinh"),
        "iterated-sinh(3)": (6e7, 4.5e-5, "three sinh"),
    }
    for name, (across, up, label) in places.items():
        axes.text(across, up, label, color=COLOURS[name], fontsize=7, ha="right")
    axes.text(60, 3e-6, "no gate stays here", fontsize=7)


FIGURE = Figure(compute, draw, height=3.0)
