"""Loss times tau (log tau)^2 along the flow to lambda* = 1: no gate stays in the shaded region for ever.

Thin lines are proved laws, horizontal ones fall as the barrier does. Each further sinh lowers the curve at one step
size, and every curve leaves the shaded region again: no gate is the best.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate
from gateflow.plots._gates import at, figure_of_gates
from gateflow.plots._laws import log_law
from gateflow.plots._style import LineStyles
from gateflow.plots._table import FigureTable

SHOWN = ("sigmoid", "linear-cubic", "fast", "iterated-sinh", "iterated-sinh(3)")
"""The gates shown. From no sinh (sigmoid) to three, each rung gains one more squared iterated logarithm (T3)."""

SPAN = (20.0, 1e8)
"""Values of log tau shown; at the last, tau has forty million digits."""

FLOOR = 1e-7

EXTRA = 2.0
"""The eps of theorem T2: l = O(1/(tau (log tau)^2 (log log tau)^(2 + eps))) is what no gate reaches."""

MEANING = {
    "log_tau": "logarithm of the learning time from phi = 1/2, c = T = 1",
    "log_loss": "logarithm of the loss l at that time, for lambda* = 1",
    "scaled": "tau l (log tau)^2",
    "law": "the same for the proved law of the gate; nan where none was proved",
}

PLACES = {
    "sigmoid": (4e3, 1e8),
    "linear-cubic": (1e6, 2e4),
    "fast": (1e6, 3.0),
    "iterated-sinh": (2e5, 2e-2),
    "iterated-sinh(3)": (6e7, 4.5e-5),
}
"""Where the name of each line ends."""


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """The time at which each loss is reached; short of the kink the flow does not know its target."""
    log_loss = -np.geomspace(0.5 * SPAN[0], 1.1 * SPAN[1], 140)
    problem = LearningProblem(gate, horizon=1, log_gap=log_loss)
    log_tau = np.asarray(hitting_time(problem, gate.inverse_c(0.5)).log_tau)
    shown = (log_tau >= SPAN[0]) & (log_tau <= SPAN[1])
    log_tau, log_loss = log_tau[shown], log_loss[shown]
    by_log = 2 * np.log(log_tau)
    with np.errstate(over="ignore"):
        scaled = np.exp(log_tau + log_loss + by_log)
        law = np.exp(log_law(gate, log_tau) + log_tau + by_log)
    yield {"log_tau": log_tau, "log_loss": log_loss, "scaled": scaled, "law": law}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Both scales logarithmic; laws as thin lines."""
    styles.plot(axes, table, "log_tau", "scaled", marks=(5, 4, 24), law="law")
    x = np.geomspace(*SPAN, 200)
    edge = np.log(x) ** (-2 - EXTRA)
    axes.fill_between(x, FLOOR, edge, color="0.88", zorder=0)
    axes.set(xscale="log", yscale="log", xlim=SPAN, ylim=(FLOOR, 1e10))
    axes.set(xlabel=r"$\log\,\tau$", ylabel=r"$\tau\,l\,(\log\,\tau)^2$")
    for name in styles.named(PLACES):
        styles.name_line(axes, name, *PLACES[name], ha="right")
    axes.text(60, 3e-6, "no gate stays here", fontsize=7)


def describe(part: FigureTable) -> str:
    """Where one gate stands late, in words."""
    if not len(part):
        return "its learning times lie outside the figure"
    return f"at log tau = 1e4 the scaled loss is {at(1 / part['log_tau'], 1e-4, part['scaled'])}"


FIGURE = figure_of_gates(
    rows,
    draw,
    MEANING,
    {"horizon": 1.0, "start": "phi = 1/2", "scale": 1.0, "extra": EXTRA},
    height=3.0,
    gates=SHOWN,
    describe=describe,
)
