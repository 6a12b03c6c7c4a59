"""Slope of gates against their own output: near enough to 1, a gate that saturates faster is steeper.

The fast gate has the steepest approach to 1, softsign the flattest; the labels are the leading orders.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.asymptotics.rate import rate
from gateflow.gates.gate import Gate
from gateflow.plots._gates import at, figure_of_gates
from gateflow.plots._laws import tex_of
from gateflow.plots._style import LineStyles
from gateflow.plots._table import FigureTable

SMALLEST = 1e-10
"""The loss nearest to saturation."""

FLATTEST = 1e-45
"""Slopes below this are left out: they would press all others together."""

MEANING = {
    "loss": "distance of the gate's value to 1, l = 1 - phi",
    "slope": "slope of the gate there, h(l) = phi'(phi^-1(1 - l)); nan below 1e-45",
}

PLACES = {"fast": (1e-5, 5e-3, "left"), "sigmoid": (3e-7, 1e-9, "left"), "softsign": (1e-5, 1e-14, "right")}
"""Where the name of each line stands, with its leading order of h(l), and on which side of it."""


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """h(l) on a grid even in log l, from one half down."""
    loss = np.geomspace(0.5, SMALLEST, 121)
    slope = np.asarray(gate.slope_at(loss))
    yield {"loss": loss, "slope": np.where(slope > FLATTEST, slope, np.nan)}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Both scales logarithmic, saturation to the right."""
    styles.plot(axes, table, "loss", "slope", marks=(5, 5, 20))
    axes.set(xscale="log", yscale="log", xlim=(0.5, SMALLEST), ylim=None if styles.legend else (1e-20, 1))
    axes.set(
        xlabel=r"distance to saturation, $l = 1 - \phi$", ylabel=r"slope there, $h(l) = \mathrm{d}\phi/\mathrm{d}z$"
    )
    for name in styles.named(PLACES):
        x, y, side = PLACES[name]
        styles.name_line(axes, name, x, y, f", ${tex_of(rate(name).h or '')}$", ha=side)


def describe(part: FigureTable) -> str:
    """The slope of one gate close to 1, in words."""
    return f"at distance 1e-6 from 1 the slope is {at(part['loss'], 1e-6, part['slope'])}"


FIGURE = figure_of_gates(rows, draw, MEANING, describe=describe)
