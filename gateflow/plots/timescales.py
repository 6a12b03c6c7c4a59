"""Time constant of a cell against the pre-activation: what z each gate needs to remember for so many steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, LOOKS, name_line
from gateflow.plots._table import Table

DECADES = 6
"""Time constants are shown up to 10 to this power."""

PER_DECADE = 24

OFFSETS = {"softsign": (3.0, -1.5), "sigmoid": (5.0, 1.0), "fast": (-3.0, -1.5)}
"""Where the z of a mark is written, in points from it, clear of all lines."""

MEANING = {
    "gate": "name of the gate",
    "time_constant": "steps after which a cell has decayed to 1/e of its value, -1/log(phi)",
    "z": "pre-activation that gives it",
}


def compute() -> Table:
    """z for time constants even in their logarithm, powers of ten among them.

    The complement ``1 - exp(-1/steps)`` goes into the inverse, for ``exp(-1/steps)`` loses digits near 1.
    """
    steps = 10.0 ** (np.arange(4, DECADES * PER_DECADE + 1) / PER_DECADE)
    complement = -np.expm1(-1 / steps)
    return Table.of(
        ({"gate": name, "time_constant": steps, "z": gate(name).inverse_c(complement)} for name in LOOKS), MEANING
    )


def draw(axes: Any, table: Table) -> None:
    """Both scales logarithmic; a mark at each power of ten, with the z it needs."""
    for name, look in LOOKS.items():
        part = table.rows(gate=name)
        decades = np.flatnonzero(np.isin(part["time_constant"], 10.0 ** np.arange(1, DECADES)))
        axes.plot(part["z"], part["time_constant"], **look.line(every=decades.tolist()))
        for k in decades:
            _name_point(axes, part["z"][k], part["time_constant"][k], OFFSETS[name])
    for k in range(1, DECADES):
        axes.axhline(10.0**k, **AUXILIARY)
    name_line(axes, "fast", 2.5, 10**5.4, ha="right")
    name_line(axes, "sigmoid", 15, 10**5.4)
    name_line(axes, "softsign", 1e3, 10**2.3)
    axes.set(xscale="log", yscale="log", xlim=(0.3, 10.0**DECADES), ylim=(1, 10.0**DECADES))
    axes.set(xlabel=r"pre-activation $z$", ylabel=r"time constant $-1/\log\,\phi(z)$ (steps)")


def _name_point(axes: Any, z: float, steps: float, offset: tuple[float, float]) -> None:
    """Write z beside its mark, ``offset`` points away."""
    right, up = offset
    align = {"ha": "left" if right > 0 else "right", "va": "bottom" if up > 0 else "top"}
    text = f"{z:.2f}" if z < 10 else f"{z:.1f}"
    axes.annotate(text, (z, steps), xytext=offset, textcoords="offset points", fontsize=6, **align)


FIGURE = Figure(compute, draw, height=2.7)
