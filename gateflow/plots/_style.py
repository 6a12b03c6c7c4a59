"""How every figure looks: fit for one column of a paper, read as well in grey as in colour, the same on any machine.

Colours are from Okabe and Ito's palette, chosen so that a gate of higher order of saturation is darker; each gate has a
marker of its own and its name beside its line. Fonts are vector outlines of STIX, which Matplotlib carries with it.
"""

from __future__ import annotations

from collections.abc import Iterable
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


class LineStyle(NamedTuple):
    """How a gate is drawn, and what it is called in a figure."""

    colour: str
    marker: str
    label: str
    dashes: Any = "-"

    def line(self, every: Any = None) -> dict[str, Any]:
        """Keywords of ``Axes.plot`` for its line; with ``every``, marked as Matplotlib's ``markevery`` says."""
        marks = {} if every is None else {"marker": self.marker, "markevery": every, "markerfacecolor": PAPER}
        dashes = {} if self.dashes == "-" else {"linestyle": self.dashes}
        return {"color": self.colour, **dashes, **marks}

    def law(self) -> dict[str, Any]:
        """Keywords of ``Axes.plot`` for what theory predicts of it: a thin line without marks."""
        return {"color": self.colour, "linewidth": 0.5, "zorder": 0.8}


PAPER = "#fdfcfb"
"""The inside of open markers: white, except for a trace by which a page knows it from other white."""

GATE_STYLES = {
    "softsign": LineStyle("#56B4E9", "^", "softsign"),
    "sigmoid": LineStyle("#D55E00", "s", "sigmoid"),
    "fast": LineStyle("#000000", "o", "fast"),
}
"""The gates of the figures, by rising order of saturation."""

DEFAULT_GATES = tuple(GATE_STYLES)

OTHER_GATE_STYLES = {
    "linear-cubic": LineStyle("#CC79A7", "D", r"$\sigma(z + z^3)$"),
    "iterated-sinh": LineStyle("#009E73", "v", "two sinh"),
    "iterated-sinh(3)": LineStyle("#0072B2", "P", "three sinh"),
}
"""Gates of single figures."""

OPTIMIZER_LABELS = {"sgd": "SGD", "rmsprop": "RMSprop", "adam": "Adam"}
"""Panels of the figures of training."""

READABLE = {"#56B4E9": "#1F78A8"}
"""Colours of words, where that of the line is too light to read."""

STROKES = (
    ("#111213", "o", "-"),
    ("#b5480a", "s", (0, (5, 1.5))),
    ("#0a66a3", "^", (0, (1, 1))),
    ("#00704f", "D", (0, (6, 1.5, 1, 1.5))),
    ("#8a3f74", "v", (0, (3, 1))),
    ("#7d6608", "P", (0, (8, 2))),
    ("#4a3fa0", "X", (0, (4, 1, 1, 1, 1, 1))),
    ("#5a5f66", "*", (0, (2, 2))),
    ("#767a80", "h", (0, (1, 2))),
)
"""Colour, marker and dashes where a legend names the lines: black and white describe them apart twice over."""

EDGES = {marker: dashes for _, marker, dashes in STROKES}
"""Dashes of the edge of a band, by the marker of the line within."""

FIXED = {"fast": 0, "sigmoid": 1, "softsign": 2}
"""The strokes of the three gates, the same in every figure."""

LONGEST = 38
"""Characters of a name in a legend."""


class LineStyles(dict[str, LineStyle]):
    """The style of each gate of a figure, in the order drawn.

    Parameters
    ----------
    names : iterable of str
        At most as many as there are :data:`STROKES`.
    legend : bool
        Whether a legend names the lines, which then differ in dashes too; else names stand beside them.
    """

    def __init__(self, names: Iterable[str], *, legend: bool) -> None:
        self.legend: bool = legend
        wanted = list(names)
        known = GATE_STYLES | OTHER_GATE_STYLES
        super().__init__(_strokes(wanted) if legend else {name: known[name] for name in wanted})

    def plot(
        self, axes: Any, table: Any, x: str, y: str, marks: tuple[float, float, float], law: str | None = None
    ) -> None:
        """The line of each gate, and thinner what theory predicts of it.

        Parameters
        ----------
        axes : matplotlib.axes.Axes
        table : FigureTable
        x, y, law : str
            Columns of the table.
        marks : tuple
            Where the first line is marked first, how much later each next one is, and how far marks are apart: in
            points, or as floats in shares of the diagonal of the axes.
        """
        first, later, apart = marks
        for k, (name, style) in enumerate(self.items()):
            part = table.rows(gate=name)
            axes.plot(part[x], part[y], label=style.label, **style.line(every=(first + later * k, apart)))
            if law is not None:
                axes.plot(part[x], part[law], **style.law())

    def named(self, places: Iterable[str]) -> list[str]:
        """Those of these gates whose names stand beside their lines; none where a legend names them."""
        return [] if self.legend else [gate for gate in places if gate in self]

    def name_line(self, axes: Any, gate: str, x: float, y: float, more: str = "", **keywords: Any) -> None:
        """Write a gate's name, and ``more``, at (x, y) in data coordinates; nothing where a legend does."""
        if not self.named([gate]):
            return
        colour = READABLE.get(self[gate].colour, self[gate].colour)
        axes.text(x, y, self[gate].label + more, color=colour, fontsize=7, **keywords)


def _strokes(names: list[str]) -> dict[str, LineStyle]:
    free = iter(k for k in range(len(STROKES)) if k not in {FIXED.get(name) for name in names})
    places = {name: FIXED[name] if name in FIXED else next(free) for name in names}
    return {name: LineStyle(STROKES[k][0], STROKES[k][1], in_legend(name), STROKES[k][2]) for name, k in places.items()}


def in_legend(name: str) -> str:
    """A name short enough for a legend, of which Matplotlib reads nothing as mathematics."""
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return short.replace("$", r"\$").removeprefix("_")


def name_line(axes: Any, gate: str, x: float, y: float, more: str = "", **keywords: Any) -> None:
    """Write the name of one of the three gates, and ``more``, at (x, y) in data coordinates."""
    LineStyles(GATE_STYLES, legend=False).name_line(axes, gate, x, y, more, **keywords)


def draw_band(axes: Any, rows: Any, middle: str, style: LineStyle, every: Any) -> None:
    """A line over steps, in a band from the least to the greatest over the seeds, with edges in dashes."""
    axes.fill_between(rows["step"], rows["low"], rows["high"], color=style.colour, alpha=0.12, linewidth=0)
    for edge in ("low", "high"):
        axes.plot(rows["step"], rows[edge], color=style.colour, linewidth=0.5, linestyle=EDGES[style.marker])
    axes.plot(rows["step"], rows[middle], label=style.label, **style.line(every=every))


def name_panels(axes: Any, x: float = 0.03, y: float = 0.95) -> None:
    """Write a letter into the corner of each panel, in their order."""
    for letter, panel in zip("abcdefgh", axes.flat, strict=False):
        name_panel(panel, letter, x, y)


def name_panel(axes: Any, letter: str, x: float = 0.03, y: float = 0.95) -> None:
    """Write a panel's letter into its corner."""
    axes.text(x, y, f"({letter})", transform=axes.transAxes, ha="left", va="top")
