"""Values and derivatives of the three gates: same value and slope at 0, different ways to saturate."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, LOOKS, name_line, name_panel
from gateflow.plots._table import Table

REACH = 6.0
"""Largest pre-activation shown."""

MEANING = {
    "gate": "name of the gate",
    "z": "pre-activation",
    "phi": "value of the gate, phi(z)",
    "dphi": "derivative of the gate, phi'(z)",
}


def compute() -> Table:
    """phi and phi' on an even grid of z."""
    z = np.linspace(-REACH, REACH, 241)
    gates = ((name, gate(name)) for name in LOOKS)
    return Table.of(({"gate": name, "z": z, "phi": g.phi(z), "dphi": g.dphi(z)} for name, g in gates), MEANING)


def draw(axes: Any, table: Table) -> None:
    """Values above, derivatives below."""
    for panel, column, label in zip(
        axes, ("phi", "dphi"), (r"value $\phi$", r"derivative $\mathrm{d}\phi/\mathrm{d}z$"), strict=True
    ):
        for k, (name, look) in enumerate(LOOKS.items()):
            part = table.rows(gate=name)
            panel.plot(part["z"], part[column], **look.line(every=(10 + 4 * k, 20)))
        panel.set(xlim=(-REACH, REACH), ylabel=label)
    upper, lower = axes
    upper.axhline(0, **AUXILIARY)
    upper.axhline(1, **AUXILIARY)
    upper.tick_params(labelbottom=False)
    lower.set(xlabel=r"pre-activation $z$", ylim=(0, None))
    name_line(upper, "fast", 1.3, 0.9, ha="right")
    name_line(upper, "sigmoid", 3.0, 0.87)
    name_line(upper, "softsign", 2.7, 0.7)
    for letter, panel in zip("ab", axes, strict=True):
        name_panel(panel, letter)


FIGURE = Figure(compute, draw, height=3.2, panels=(2, 1))
