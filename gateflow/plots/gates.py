"""Values and derivatives of gates over the pre-activation: different ways to saturate.

Above the values, below the slopes. From the same value and slope at 0 the fast gate saturates soonest, softsign
latest.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.gates.gate import Gate
from gateflow.plots._gates import figure_of_gates
from gateflow.plots._style import AUXILIARY, LineStyles, name_panels
from gateflow.plots._table import FigureTable

REACH = 6.0
"""Largest pre-activation shown."""

MEANING = {
    "z": "pre-activation",
    "phi": "value of the gate, phi(z)",
    "dphi": "derivative of the gate, phi'(z); nan where it is infinite or there is none",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """phi and phi' on an even grid of z."""
    z = np.linspace(-REACH, REACH, 241)
    slope = np.asarray(gate.dphi(z))
    yield {"z": z, "phi": gate.phi(z), "dphi": np.where(np.isfinite(slope), slope, np.nan)}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Values above, derivatives below."""
    for panel, column, label in zip(
        axes, ("phi", "dphi"), (r"value $\phi$", r"derivative $\mathrm{d}\phi/\mathrm{d}z$"), strict=True
    ):
        styles.plot(panel, table, "z", column, marks=(10, 4, 20))
        panel.set(xlim=(-REACH, REACH), ylabel=label)
    upper, lower = axes
    upper.axhline(0, **AUXILIARY)
    upper.axhline(1, **AUXILIARY)
    upper.tick_params(labelbottom=False)
    lower.set(xlabel=r"pre-activation $z$", ylim=(0, None))
    styles.name_line(upper, "fast", 1.3, 0.9, ha="right")
    styles.name_line(upper, "sigmoid", 3.0, 0.87)
    styles.name_line(upper, "softsign", 2.7, 0.7)
    name_panels(axes)


def describe(part: FigureTable) -> str:
    """Ends and steepest place of one gate, in words."""
    steepest = int(np.nanargmax(part["dphi"]))
    return (
        f"phi goes from {part['phi'][0]:.3g} at z = {-REACH:g} to {part['phi'][-1]:.6g} at z = {REACH:g}; "
        f"steepest at z = {part['z'][steepest]:.3g}, with slope {part['dphi'][steepest]:.3g}"
    )


FIGURE = figure_of_gates(rows, draw, MEANING, height=3.2, panels=(2, 1), describe=describe)
