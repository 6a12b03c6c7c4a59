"""A gate at a glance: a card for notebooks, plain HTML and SVG for light and dark pages; a sketch for terminals."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from html import escape
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from gateflow.gate import Gate

REACH = 6.0
"""The plot runs over z from -REACH to REACH."""

POINTS = 121
WIDTH, HEIGHT, MARGIN = 260, 150, 22
GREY = "rgba(128,128,128,.5)"
"""Seen on white and on black alike; all else is drawn in the page's own text colour."""

_FRAME = (
    "display:inline-flex;flex-wrap:wrap;gap:1em;align-items:center;max-width:100%;"
    f"padding:.6em .9em;border:1px solid {GREY};border-radius:6px"
)
_DRAWN_OUT = 'stroke-width="1.6"'
_DASHED = 'stroke-width="1.2" stroke-dasharray="4 3"'


def card(gate: Gate) -> str:
    """The card as HTML.

    Examples
    --------
    >>> from gateflow.gate import gate
    >>> card(gate("fast")).startswith("<div")
    True
    """
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts(gate))
    return (
        f'<div class="gateflow-card" style="{_FRAME}"><div style="max-width:32em">'
        f'<strong>{escape(label(gate))}</strong><div style="margin:.5em 0">${escape(gate.latex(), quote=False)}$</div>'
        f'<table style="font-size:90%">{rows}</table></div>{plot(gate) if has_numbers(gate) else ""}</div>'
    )


def has_numbers(gate: Gate) -> bool:
    """Whether the gate has values to draw: no parameter was left a symbol."""
    return len(gate.expr.free_symbols) == 1


def label(gate: Gate) -> str:
    """The gate's name, with the values of those parameters that it does not tell.

    Examples
    --------
    >>> from gateflow.gate import gate
    >>> label(gate("fast", alpha=2)), label(gate("sigmoid(k*z); k=2"))
    ('fast(alpha=2)', 'sigmoid(k*z), k = 2')
    """
    untold = (f"{name} = {value}" for name, value in gate.parameters.items() if f"{name}={value}" not in gate.name)
    return ", ".join([gate.name, *untold])


def facts(gate: Gate) -> Iterator[tuple[str, str]]:
    """Name and value of each line on the card."""
    closed = gate.formulas.inverse is not None
    yield "inverse", "in closed form" if closed else "by root search"
    yield "odd", "yes" if gate.odd else "no"
    if has_numbers(gate):
        yield "1 - phi(5)", f"{gate.phi_c(5.0):.3g}"
    if has_numbers(gate) and gate.digits_lost:
        yield "digits", gate.digits_sentence
    if gate.reference:
        yield "source", gate.reference


def plot(gate: Gate) -> str:
    """phi, drawn out, and its derivative, dashed, as an SVG picture with a text in place of sight."""
    z = np.linspace(-REACH, REACH, POINTS)
    phi, slope = gate.phi(z), gate.dphi(z)
    finite = slope[np.isfinite(slope)]
    top = max(1.0, float(finite.max(initial=0.0)))
    told = (
        f"phi rises from {gate.phi(-REACH):.3g} at z = {-REACH:g} to {gate.phi(REACH):.3g} at z = {REACH:g}; "
        f"its slope is at most {finite.max(initial=0.0):.3g} here"
    )
    return (
        f'<svg role="img" aria-label="{escape(label(gate))}: {escape(told)}" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" fill="none" stroke="currentColor" style="max-width:100%">'
        f"<title>{escape(label(gate))}</title><desc>{escape(told)}</desc>"
        f"{_frame(top)}{_curve(z, phi, top, _DRAWN_OUT)}{_curve(z, slope, top, _DASHED)}</svg>"
    )


def _frame(top: float) -> str:
    """Axes, the line phi = 1, and their labels."""
    left, middle, right = _x(-REACH), _x(0.0), _x(REACH)
    bottom, one = _y(0.0, top), _y(1.0, top)
    lines = [(left, bottom, right, bottom), (left, one, right, one), (middle, bottom, middle, _y(top, top))]
    drawn = "".join(f'<path d="M{x0:.1f} {y0:.1f}L{x1:.1f} {y1:.1f}" stroke="{GREY}"/>' for x0, y0, x1, y1 in lines)
    words = [
        _word(left, bottom + 13, f"{-REACH:g}", "middle"),
        _word(middle, bottom + 13, "z = 0", "middle"),
        _word(right, bottom + 13, f"{REACH:g}", "middle"),
        _word(left - 5, bottom + 3, "0", "end"),
        _word(left - 5, one + 3, "1", "end"),
        _word(right, _y(top, top) - 5, "phi; dashed: phi'", "end"),
    ]
    return f'{drawn}<g fill="currentColor" stroke="none" font-size="10" font-family="sans-serif">{"".join(words)}</g>'


def _word(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _curve(z: Sequence[float] | np.ndarray, values: np.ndarray, top: float, style: str) -> str:
    """One polyline for each unbroken run of finite values."""
    points = [(_x(x), _y(y, top)) if math.isfinite(y) else None for x, y in zip(z, values, strict=True)]
    runs = (" ".join(f"{x:.1f},{y:.1f}" for x, y in run) for run in _runs(points))
    return "".join(f'<polyline {style} points="{run}"/>' for run in runs)


def _runs(points: Iterable[tuple[float, float] | None]) -> Iterator[list[tuple[float, float]]]:
    """The stretches between gaps that have at least two points."""
    marks = [None, *points, None]
    gaps = [i for i, point in enumerate(marks) if point is None]
    for start, end in pairwise(gaps):
        if end - start > 2:
            yield [point for point in marks[start + 1 : end] if point is not None]


def _x(z: float) -> float:
    return MARGIN + (z + REACH) / (2 * REACH) * (WIDTH - 2 * MARGIN)


def _y(value: float, top: float) -> float:
    return HEIGHT - MARGIN - value / top * (HEIGHT - 2 * MARGIN)


# --- for a terminal ---------------------------------------------------------------------------------------------------

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character (Unicode U+2800), by row and column."""


def sketch(gate: Gate, width: int = 48, height: int = 7) -> str:
    """phi over z from -REACH to REACH, in braille dots.

    Examples
    --------
    >>> from gateflow.gate import gate
    >>> print(sketch(gate("hard-sigmoid"), width=12, height=2))
    1 ⠀⠀⠀⠀⠀⠀⣀⠔⠊⠉⠉⠉
    0 ⣀⣀⣀⡠⠔⠉⠀⠀⠀⠀⠀⠀
      -6         6
    """
    bottom = 4 * height - 1
    phi = np.clip(gate.phi(np.linspace(-REACH, REACH, 2 * width)), 0, 1)
    rows = np.rint(bottom * (1 - phi)).astype(int)
    cells = np.zeros((height, width), dtype=int)
    for x, (row, before) in enumerate(zip(rows, [rows[0], *rows[:-1]], strict=True)):
        # from the row after the last column's, so that a steep curve stays in one piece
        for y in range(min(row, before + 1), max(row, before - 1) + 1) if row != before else (row,):
            cells[y // 4, x // 2] |= _DOTS[y % 4][x % 2]
    lines = ["".join(chr(0x2800 + int(cell)) for cell in line) for line in cells]
    marks = ["1", *("" for _ in lines[2:]), "0"]
    axis = f"  {-REACH:g}{f'{REACH:g}':>{width - len(f'{-REACH:g}')}}"
    return "\n".join([*(f"{mark:2}{line}" for mark, line in zip(marks, lines, strict=True)), axis])
