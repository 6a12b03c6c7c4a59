"""The time constants in a checkpoint, layer by layer: from 2 % to 98 % of the units, and the median."""

from __future__ import annotations

import math
from typing import Any

from gateflow.descents.audit import Audit
from gateflow.errors import InvalidArgument
from gateflow.plots._figure import empty_picture
from gateflow.plots._style import COLUMN

MOST = 200
"""Layers that are drawn: more have no names that can be read."""

LONGEST_NAME = 40

RED = "#D55E00"
"""Okabe and Ito's vermilion."""


def audited(found: Audit) -> Any:
    """A line a layer; those that are flagged in red. A layer without finite time constants has its name only.

    Raises
    ------
    InvalidArgument
        There is no layer, or there are over 200.
    """
    layers = found.layers
    if not 1 <= len(layers) <= MOST:
        raise InvalidArgument(f"a figure shows 1 to {MOST} layers; this file has {len(layers)}")
    with empty_picture(1, 1, width=1.6 * COLUMN, height=0.8 + 0.16 * len(layers)) as (canvas, axes):
        for y, layer in enumerate(reversed(layers)):
            colour = RED if layer.flags else "black"
            low, median, high = layer.times
            if all(math.isfinite(time) and time > 0 for time in (low, high)):
                axes.plot([low, high], [y, y], color=colour, linewidth=1.0)
            if math.isfinite(median) and median > 0:
                axes.plot(median, y, "o", color=colour, markersize=3.0)
        axes.set_yticks(range(len(layers)), [_called(layer.name) for layer in reversed(layers)], fontsize=6)
        axes.set(xscale="log", ylim=(-0.7, len(layers) - 0.3))
        axes.set_xlabel("time constant (steps)")
    return canvas


def _called(name: str) -> str:
    """The end of a long name, without what a picture cannot show and what it would read as a formula."""
    plain = "".join(letter if letter.isprintable() else "?" for letter in name)
    plain = plain if len(plain) <= LONGEST_NAME else f"...{plain[3 - LONGEST_NAME :]}"
    return plain.replace("$", r"\$")
