"""How objects show themselves in notebooks: a frame, facts, tables and small curves, for light and dark pages alike.

Everything is drawn in the page's own text colour and a half-transparent grey; ``$...$`` is typeset by the notebook.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from gateflow.notebook.html import Html, card_part

Line: TypeAlias = tuple[str, bool]
"""The points of a polyline, and whether it is dashed."""

Word: TypeAlias = tuple[float, float, str, str]
"""A place in pixels, what is written there, and which part of it is there: start, middle or end."""


SENTENCE = 60
"""Characters of a cell from which on it is read as a sentence."""


def framed(title: Any, *parts: Any, picture: Any = None) -> Html:
    """A card: its title, what it says, and at its side a picture; a part that is None is left out.

    Examples
    --------
    >>> framed("a < b", facts([("tau", 3.0)])).count("<td")
    2
    """
    return card_part("framed", title, parts, picture)


def mathematics(latex: str) -> Html:
    """A formula on a line of its own."""
    return card_part("mathematics", latex)


def code(text: str) -> Html:
    """Text of a program or a formula of the language, within a line."""
    return card_part("code", text)


def verbatim(text: str) -> Html:
    """Text with its lines as they are."""
    return card_part("verbatim", text)


def facts(pairs: Iterable[tuple[str, Any]]) -> Html:
    """Names and values, one pair a line; what has no value is left out."""
    return card_part("facts", [(name, value) for name, value in pairs if value is not None and value != ""])


def listed(headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> Html:
    """A table with headings; a column of sentences keeps the width to read them."""
    kept = [tuple(cells) for cells in rows]
    sentences = [any(isinstance(x, str) and len(x) > SENTENCE for x in column) for column in zip(*kept, strict=True)]
    return card_part("listed", headings, kept, sentences)


def folded(summary: str, *parts: Any) -> Html:
    """What is shown when asked for."""
    return card_part("folded", summary, parts)


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


def exponential(log: Any, digits: int = 5) -> str:
    """``exp(log)``, past the range of floats too; of an array the range.

    Examples
    --------
    >>> exponential(0.0), exponential(1000.0), exponential(None), exponential(np.array([0.0, 1000.0]))
    ('1', '1.9701e+434', '', '1 to 1.9701e+434')
    """
    if log is not None and np.ndim(log):
        known = np.asarray(log, dtype=float)[~np.isnan(log)]
        return " to ".join(exponential(float(end), digits) for end in (known.min(), known.max())) if known.size else ""
    if log is None or math.isnan(log):
        return ""
    if math.isinf(log):
        return "inf" if log > 0 else "0"
    return f"{math.exp(log):.{digits}g}" if abs(log) < 700 else f"{Decimal(log).exp():.{digits - 1}e}"


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

    def rule(self, x0: float, y0: float, x1: float, y1: float) -> str:
        """The path of a straight line between two points of the plane."""
        return f"M{self.x(x0):.1f} {self.y(y0):.1f}L{self.x(x1):.1f} {self.y(y1):.1f}"

    def lines(self, x: Sequence[float] | np.ndarray, y: np.ndarray, *, dashed: bool = False) -> Iterator[Line]:
        """A polyline for each unbroken run of finite values."""
        points = [
            (self.x(a), self.y(b)) if math.isfinite(a) and math.isfinite(b) else None for a, b in zip(x, y, strict=True)
        ]
        for run in _runs(points):
            yield " ".join(f"{a:.1f},{b:.1f}" for a, b in run), dashed

    def picture(
        self, label: str, description: str, *, rules: Iterable[str], lines: Iterable[Line], words: Iterable[Word]
    ) -> Html:
        """The whole, with a text in place of sight."""
        return card_part("picture", label, description, self.width, self.height, rules, lines, words)


def curve(x: Any, y: Any, *, label: str, across: str, up: str) -> Html | None:
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
    foot, edge = axes.height - axes.margin + 13, axes.width - axes.margin
    words = [
        (axes.margin, foot, f"{left:.3g}", "start"),
        (axes.width / 2, foot, across, "middle"),
        (edge, foot, f"{right:.3g}", "end"),
        (axes.margin, axes.margin - 6, f"{up}: {low:.3g} to {high:.3g}", "start"),
    ]
    return axes.picture(
        label,
        f"{up} goes from {y[seen][0]:.4g} at {across} = {x[seen][0]:.4g} to {y[seen][-1]:.4g} at {x[seen][-1]:.4g}",
        rules=(axes.rule(left, bottom, right, bottom), axes.rule(left, bottom, left, top)),
        lines=axes.lines(x, y),
        words=words,
    )


def _runs(points: Iterable[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    """The stretches between gaps that have at least two points."""
    marks = [None, *points, None]
    gaps = [i for i, point in enumerate(marks) if point is None]
    for start, end in pairwise(gaps):
        if end - start > 2:
            yield [point for point in marks[start + 1 : end] if point is not None]
