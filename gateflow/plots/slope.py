"""Slope of a gate against its own output: at the same distance to 1, a gate that saturates faster is steeper."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import LOOKS, name_line
from gateflow.plots._table import Table

SMALLEST = 1e-10
"""The loss nearest to saturation."""

MEANING = {
    "gate": "name of the gate",
    "loss": "distance of the gate's value to 1, l = 1 - phi",
    "slope": "slope of the gate there, h(l) = phi'(phi^-1(1 - l))",
}

LAWS = {"softsign": "$l^2$", "sigmoid": "$l$", "fast": r"$l\,\log(1/l)$"}
"""Leading orders of h(l) for small l (theory.md §4)."""


def compute() -> Table:
    """h(l) on a grid even in log l, from one half, where every gate starts, down."""
    loss = np.geomspace(0.5, SMALLEST, 121)
    return Table.of(({"gate": name, "loss": loss, "slope": gate(name).slope_at(loss)} for name in LOOKS), MEANING)


def draw(axes: Any, table: Table) -> None:
    """Both scales logarithmic, saturation to the right."""
    for k, (name, look) in enumerate(LOOKS.items()):
        part = table.rows(gate=name)
        axes.plot(part["loss"], part["slope"], **look.line(every=(5 + 5 * k, 20)))
    axes.set(xscale="log", yscale="log", xlim=(0.5, SMALLEST), ylim=(1e-20, 1))
    axes.set(
        xlabel=r"distance to saturation, $l = 1 - \phi$", ylabel=r"slope there, $h(l) = \mathrm{d}\phi/\mathrm{d}z$"
    )
    for gate_name, place in {"fast": (1e-5, 5e-3), "sigmoid": (3e-7, 1e-9), "softsign": (1e-5, 1e-14)}.items():
        side = "right" if gate_name == "softsign" else "left"
        name_line(axes, gate_name, *place, f", {LAWS[gate_name]}", ha=side)


FIGURE = Figure(compute, draw)
