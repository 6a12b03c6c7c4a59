"""How objects show themselves in notebooks: a frame, facts, tables and small curves, for light and dark pages alike.

Everything is drawn in the page's own text colour and a half-transparent grey; ``$...$`` is typeset by the notebook.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any

import numpy as np

from gateflow.notebook.markup import Markup, join, tag

GREY = "rgba(128,128,128,.5)"
"""Seen on white and on black alike."""

DRAWN_OUT: dict[str, Any] = {"stroke_width": "1.6"}
DASHED: dict[str, Any] = {"stroke_width": "1.2", "stroke_dasharray": "4 3"}

_FRAME = (
    "display:inline-flex;flex-wrap:wrap;gap:1em;align-items:center;max-width:100%;"
    f"padding:.6em .9em;border:1px solid {GREY};border-radius:6px"
)
_CELL = "text-align:left;vertical-align:baseline;padding:.15em .9em .15em 0"

_NAME = f"{_CELL};white-space:nowrap"
_VALUE = f"{_CELL};overflow-wrap:anywhere"


def framed(title: Any, *parts: Any, picture: Any = None) -> Markup:
    """A card: its title, what it says, and at its side a picture.

    Examples
    --------
    >>> framed("a < b", facts([("tau", 3.0)])).count("<td")
    2
    """
    room = "46em" if picture is None else "32em"
    said = tag("div", tag("strong", title), *parts, style=f"max-width:{room};overflow-x:auto")
    return tag("div", said, picture, class_="gateflow-card", style=_FRAME)


def mathematics(latex: str) -> Markup:
    """A formula on a line of its own."""
    return tag("div", f"${latex}$", style="margin:.5em 0")


def facts(pairs: Iterable[tuple[str, Any]]) -> Markup:
    """Names and values, one pair a line; what has no value is left out."""
    kept = ((name, value) for name, value in pairs if value is not None and value != "")
    rows = (tag("tr", tag("td", name, style=_NAME), tag("td", value, style=_VALUE)) for name, value in kept)
    return tag("table", *rows, style="font-size:90%")


def listed(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Markup:
    """A table with headings."""
    head = tag("tr", *(tag("th", cell, style=_CELL) for cell in headings))
    body = (tag("tr", *(tag("td", cell, style=_CELL) for cell in row)) for row in rows)
    return tag("table", head, *body, style="font-size:90%")


def folded(summary: str, *parts: Any) -> Markup:
    """What is shown when asked for."""
    return tag("details", tag("summary", summary), *parts)


def number(x: Any, digits: int = 6) -> str:
    """A number in few digits, or the range of an array.

    Examples
    --------
    >>> number(1234.5678), number(np.array([1.0, 2.5e8])), number(None)
    ('1234.57', '1 to 2.5e+08', '')
    """
    if x is None:
        return ""
    array = np.asarray(x, dtype=float)
    if not array.ndim:
        return f"{float(array):.{digits}g}"
    if not array.size or np.isnan(array).all():
        return "none"
    low, high = np.nanmin(array), np.nanmax(array)
    return f"{low:.{digits}g}" if low == high else f"{low:.{digits}g} to {high:.{digits}g}"


def exponential(log: float | None) -> str:
    """``exp(log)`` with five digits, past the range of floats too.

    Examples
    --------
    >>> exponential(0.0), exponential(1000.0), exponential(None)
    ('1', '1.9701e+434', '')
    """
    if log is None or math.isnan(log):
        return ""
    if math.isinf(log):
        return "inf" if log > 0 else "0"
    return f"{math.exp(log):.5g}" if abs(log) < 700 else f"{Decimal(log).exp():.4e}"


def counts(words: Any) -> str:
    """How many of each word an array holds.

    Examples
    --------
    >>> counts(np.array(["reached", "stuck", "reached"]))
    'reached: 2, stuck: 1'
    """
    listed, found = np.unique(np.asarray(words, dtype=str), return_counts=True)
    return ", ".join(f"{word}: {count}" for word, count in zip(listed, found, strict=True))


# --- pictures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Axes:
    """A picture of part of the plane; lengths in pixels."""

    left: float
    right: float
    bottom: float
    top: float
    width: int = 260
    height: int = 150
    margin: int = 22

    def x(self, value: float) -> float:
        return self.margin + (value - self.left) / (self.right - self.left) * (self.width - 2 * self.margin)

    def y(self, value: float) -> float:
        return (
            self.height
            - self.margin
            - (value - self.bottom) / (self.top - self.bottom) * (self.height - 2 * self.margin)
        )

    def rule(self, x0: float, y0: float, x1: float, y1: float) -> Markup:
        """A straight line, in grey, between two points of the plane."""
        ends = f"M{self.x(x0):.1f} {self.y(y0):.1f}L{self.x(x1):.1f} {self.y(y1):.1f}"
        return tag("path", d=ends, stroke=GREY)

    def line(self, x: Sequence[float] | np.ndarray, y: np.ndarray, style: dict[str, Any]) -> Markup:
        """A polyline for each unbroken run of finite values."""
        points = [
            (self.x(a), self.y(b)) if math.isfinite(a) and math.isfinite(b) else None for a, b in zip(x, y, strict=True)
        ]
        runs = (" ".join(f"{a:.1f},{b:.1f}" for a, b in run) for run in _runs(points))
        return join(tag("polyline", **style, points=run) for run in runs)

    def picture(self, label: str, told: str, words: Iterable[Markup], *drawn: Markup) -> Markup:
        """The whole, with a text in place of sight."""
        text = tag("g", *words, fill="currentColor", stroke="none", font_size="10", font_family="sans-serif")
        return tag(
            "svg",
            tag("title", label),
            tag("desc", told),
            *drawn,
            text,
            role="img",
            aria_label=f"{label}: {told}",
            viewBox=f"0 0 {self.width} {self.height}",
            width=self.width,
            height=self.height,
            fill="none",
            stroke="currentColor",
            style="max-width:100%",
        )


def word(x: float, y: float, text: str, anchor: str) -> Markup:
    """A word at a place in pixels."""
    return tag("text", text, x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def curve(x: Any, y: Any, *, label: str, across: str, up: str) -> Markup | None:
    """A curve through points, with the numbers at the ends of both axes; None where there are fewer than two.

    Parameters
    ----------
    x, y : array, shape (n,)
        Points that are not finite break the curve.
    label : str
        What it is a curve of.
    across, up : str
        What the axes hold.

    Examples
    --------
    >>> curve([0, 1], [2, 4], label="up", across="z", up="loss").count("<polyline")
    1
    """
    x, y = np.asarray(x, dtype=float).ravel(), np.asarray(y, dtype=float).ravel()
    seen = np.isfinite(x) & np.isfinite(y)
    if seen.sum() < 2 or np.ptp(x[seen]) == 0:
        return None
    left, right, low, high = x[seen].min(), x[seen].max(), y[seen].min(), y[seen].max()
    bottom, top = (low, high) if high > low else (low - 0.5, high + 0.5)
    axes = Axes(left, right, bottom, top)
    told = f"{up} goes from {y[seen][0]:.4g} at {across} = {x[seen][0]:.4g} to {y[seen][-1]:.4g} at {x[seen][-1]:.4g}"
    foot, edge = axes.height - axes.margin + 13, axes.width - axes.margin
    words = [
        word(axes.margin, foot, f"{left:.3g}", "start"),
        word(axes.width / 2, foot, across, "middle"),
        word(edge, foot, f"{right:.3g}", "end"),
        word(axes.margin, axes.margin - 6, f"{up}: {low:.3g} to {high:.3g}", "start"),
    ]
    rules = (axes.rule(left, bottom, right, bottom), axes.rule(left, bottom, left, top))
    return axes.picture(label, told, words, *rules, axes.line(x, y, DRAWN_OUT))


def _runs(points: Iterable[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    """The stretches between gaps that have at least two points."""
    marks = [None, *points, None]
    gaps = [i for i, point in enumerate(marks) if point is None]
    for start, end in pairwise(gaps):
        if end - start > 2:
            yield [point for point in marks[start + 1 : end] if point is not None]
