"""Slope of gates against their own output: near enough to 1, a gate that saturates faster is steeper."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.gates.gate import Gate
from gateflow.plots._figure import Figure
from gateflow.plots._gates import Gates, at, table_of_gates
from gateflow.plots._style import THREE, Looks
from gateflow.plots._table import Table

SMALLEST = 1e-10
"""The loss nearest to saturation."""

FLATTEST = 1e-45
"""Slopes below this are left out: they would press all others together."""

MEANING = {
    "gate": "name of the gate",
    "loss": "distance of the gate's value to 1, l = 1 - phi",
    "slope": "slope of the gate there, h(l) = phi'(phi^-1(1 - l)); nan below 1e-45",
}

LAWS = {"softsign": "$l^2$", "sigmoid": "$l$", "fast": r"$l\,\log(1/l)$"}
"""How the leading orders of h(l) are set beside their lines; a test holds them against those proved."""


def compute(gates: Gates = THREE) -> Table:
    """h(l) on a grid even in log l, from one half down."""
    return table_of_gates(gates, _block, MEANING)


def _block(name: str, gate: Gate) -> Iterator[dict[str, Any]]:
    loss = np.geomspace(0.5, SMALLEST, 121)
    slope = np.asarray(gate.slope_at(loss))
    yield {"gate": name, "loss": loss, "slope": np.where(slope > FLATTEST, slope, np.nan)}


def draw(axes: Any, table: Table, looks: Looks) -> None:
    """Both scales logarithmic, saturation to the right."""
    for k, (name, look) in enumerate(looks.items()):
        part = table.rows(gate=name)
        axes.plot(part["loss"], part["slope"], label=look.label, **look.line(every=(5 + 5 * k, 20)))
    axes.set(xscale="log", yscale="log", xlim=(0.5, SMALLEST), ylim=None if looks.legend else (1e-20, 1))
    axes.set(
        xlabel=r"distance to saturation, $l = 1 - \phi$", ylabel=r"slope there, $h(l) = \mathrm{d}\phi/\mathrm{d}z$"
    )
    for name, place in {"fast": (1e-5, 5e-3), "sigmoid": (3e-7, 1e-9), "softsign": (1e-5, 1e-14)}.items():
        side = "right" if name == "softsign" else "left"
        looks.name_line(axes, name, *place, f", {LAWS[name]}", ha=side)


def tell(part: Table) -> str:
    """The slope of one gate close to 1, in words."""
    return f"at distance 1e-6 from 1 the slope is {at(part['loss'], 1e-6, part['slope'])}"


FIGURE = Figure(compute, draw, gates=THREE, tell=tell)
