"""How every figure looks: fit for one column of a paper, read as well in grey as in colour, the same on any machine.

Colours are from Okabe and Ito's palette, chosen so that a gate of higher order of saturation is darker; each gate has a
marker of its own and its name beside its line. Fonts are vector outlines of STIX, which Matplotlib carries with it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

COLUMN = 3.35
"""Width of one column of a paper, in inches."""

STYLE: dict[str, Any] = {
    "font.family": "STIXGeneral",
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.5,
    "axes.labelpad": 2,
    "xtick.direction": "in",
    "ytick.direction": "in",
    "xtick.top": True,
    "ytick.right": True,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.35,
    "ytick.minor.width": 0.35,
    "xtick.major.size": 3,
    "ytick.major.size": 3,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 1.1,
    "lines.markersize": 3.2,
    "lines.markeredgewidth": 0.7,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "savefig.dpi": 300,
    "figure.constrained_layout.h_pad": 0.02,
    "figure.constrained_layout.w_pad": 0.02,
    "figure.constrained_layout.hspace": 0.03,
    "figure.constrained_layout.wspace": 0.03,
    "svg.fonttype": "path",
    "svg.hashsalt": "gateflow",
    "pdf.fonttype": 42,
}
"""Over Matplotlib's own defaults, whatever the user's settings file says."""

_TEXT = ("font.size", "fontsize", "labelsize", "titlesize")

SCREEN: dict[str, Any] = STYLE | {name: 1.3 * size for name, size in STYLE.items() if name.endswith(_TEXT)}
"""The same for a page of a notebook, which is read from further away."""

AUXILIARY: dict[str, Any] = {"color": "0.45", "linewidth": 0.5, "zorder": 0.5}
"""Lines that only guide the eye."""

LAW: dict[str, Any] = {"color": "black", "linewidth": 0.8, "linestyle": (0, (4, 2)), "zorder": 3}
"""Lines that theory predicts, beside what was computed."""


class Look(NamedTuple):
    """How a gate is drawn, and what it is called in a figure."""

    colour: str
    marker: str
    label: str

    def line(self, every: Any = None) -> dict[str, Any]:
        """Keywords of ``Axes.plot`` for its line; with ``every``, marked as Matplotlib's ``markevery`` says."""
        marks = {} if every is None else {"marker": self.marker, "markevery": every, "markerfacecolor": "white"}
        return {"color": self.colour, **marks}


LOOKS = {
    "softsign": Look("#56B4E9", "^", "softsign"),
    "sigmoid": Look("#D55E00", "s", "sigmoid"),
    "fast": Look("#000000", "o", "fast"),
}
"""The gates of the figures, by rising order of saturation."""


READABLE = {"softsign": "#1F78A8"}
"""Colours of words, where that of the line is too light to read."""


def name_line(axes: Any, gate: str, x: float, y: float, more: str = "", **keywords: Any) -> None:
    """Write the gate's name, and ``more``, at (x, y) in data coordinates, in a colour dark enough to read."""
    axes.text(x, y, LOOKS[gate].label + more, color=READABLE.get(gate, LOOKS[gate].colour), fontsize=7, **keywords)


def name_panel(axes: Any, letter: str, x: float = 0.03, y: float = 0.95) -> None:
    """Write a panel's letter into its corner."""
    axes.text(x, y, f"({letter})", transform=axes.transAxes, ha="left", va="top")
