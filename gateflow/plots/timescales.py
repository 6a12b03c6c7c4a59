"""Time constant of a cell against the pre-activation: what z each gate needs for a given memory in steps.

The fast gate reaches a memory of 100,000 steps at z near 3, the sigmoid near 12, softsign only near 100,000.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.gates.gate import Gate
from gateflow.plots._gates import at, figure_of_gates
from gateflow.plots._style import AUXILIARY, LineStyles
from gateflow.plots._table import FigureTable

DECADES = 6
"""Time constants are shown up to 10 to this power."""

PER_DECADE = 24

OFFSETS = {"softsign": (3.0, -1.5), "sigmoid": (5.0, 1.0), "fast": (-4.0, 1.0)}
"""Where the z of a mark is written, in points from it, clear of all lines."""

MEANING = {
    "time_constant": "steps after which a cell has decayed to 1/e of its value, -1/log(phi)",
    "z": "pre-activation that gives it",
}


def rows(gate: Gate) -> Iterator[dict[str, Any]]:
    """z for time constants even in their logarithm, powers of ten among them.

    The complement ``1 - exp(-1/steps)`` goes into the inverse, for ``exp(-1/steps)`` loses digits near 1.
    """
    steps = 10.0 ** (np.arange(4, DECADES * PER_DECADE + 1) / PER_DECADE)
    yield {"time_constant": steps, "z": gate.inverse_c(-np.expm1(-1 / steps))}


def draw(axes: Any, table: FigureTable, styles: LineStyles) -> None:
    """Both scales logarithmic; a mark at each power of ten, with the z it needs where no legend names the lines."""
    for name, style in styles.items():
        part = table.rows(gate=name)
        decades = np.flatnonzero(np.isin(part["time_constant"], 10.0 ** np.arange(1, DECADES)))
        axes.plot(part["z"], part["time_constant"], label=style.label, **style.line(every=decades.tolist()))
        for k in () if styles.legend else decades:
            _name_point(axes, part["z"][k], part["time_constant"][k], OFFSETS[name])
    for k in range(1, DECADES):
        axes.axhline(10.0**k, **AUXILIARY)
    styles.name_line(axes, "fast", 2.5, 10**5.4, ha="right")
    styles.name_line(axes, "sigmoid", 15, 10**5.4)
    styles.name_line(axes, "softsign", 1e3, 10**2.3)
    axes.set(xscale="log", yscale="log", xlim=(0.3, 10.0**DECADES), ylim=(1, 10.0**DECADES))
    axes.set(xlabel=r"pre-activation $z$", ylabel=r"time constant $-1/\log\,\phi(z)$ (steps)")


def _name_point(axes: Any, z: float, steps: float, offset: tuple[float, float]) -> None:
    """Write z with three digits beside its mark, ``offset`` points away."""
    right, up = offset
    align = {"ha": "left" if right > 0 else "right", "va": "bottom" if up > 0 else "top"}
    digits, power = f"{z:.2e}".split("e")
    text = f"{z:#.3g}".rstrip(".") if z < 1000 else rf"${digits} \cdot 10^{{{int(power)}}}$"
    axes.annotate(text, (z, steps), xytext=offset, textcoords="offset points", fontsize=6, **align)


def describe(part: FigureTable) -> str:
    """The pre-activations of one gate for two time constants, in words."""
    first, second = (at(1 / part["time_constant"], 1 / steps, part["z"]) for steps in (10.0, 1000.0))
    return f"a time constant of 10 steps needs z = {first}, one of 1000 needs z = {second}"


FIGURE = figure_of_gates(rows, draw, MEANING, height=2.7, describe=describe)
