"""How a gate shows itself: a card for notebooks, plain HTML and SVG for any page; a sketch for terminals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from gateflow.notebook.cards import Axes, Word, framed, mathematics
from gateflow.notebook.cards import facts as table
from gateflow.notebook.html import Html

if TYPE_CHECKING:
    from gateflow.gates.gate import Gate

REACH = 6.0
"""The plot runs over z from -REACH to REACH."""

POINTS = 121


def card(gate: Gate) -> Html:
    """The card as HTML.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
    >>> card(gate("fast")).startswith("<div")
    True
    """
    picture = plot(gate) if has_numbers(gate) else None
    return framed(gate.label, mathematics(gate.latex()), table(facts(gate)), picture=picture)


def has_numbers(gate: Gate) -> bool:
    """Whether the gate has values to draw: no parameter was left a symbol."""
    return len(gate.expr.free_symbols) == 1


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


def plot(gate: Gate) -> Html:
    """phi, drawn out, and its derivative, dashed, as an SVG picture with a text in place of sight."""
    z = np.linspace(-REACH, REACH, POINTS)
    phi, slope = gate.phi(z), gate.dphi(z)
    finite = slope[np.isfinite(slope)]
    top = max(1.0, float(finite.max(initial=0.0)))
    description = (
        f"phi rises from {gate.phi(-REACH):.3g} at z = {-REACH:g} to {gate.phi(REACH):.3g} at z = {REACH:g}; "
        f"its slope is at most {finite.max(initial=0.0):.3g} here"
    )
    axes = Axes(-REACH, REACH, 0.0, top)
    rules = ((-REACH, 0.0, REACH, 0.0), (-REACH, 1.0, REACH, 1.0), (0.0, 0.0, 0.0, top))
    return axes.picture(
        gate.label,
        description,
        rules=[axes.rule(*ends) for ends in rules],
        lines=[*axes.lines(z, phi), *axes.lines(z, slope, dashed=True)],
        words=_words(axes),
    )


def _words(axes: Axes) -> Iterator[Word]:
    """What stands at the axes."""
    left, right, bottom = axes.x(-REACH), axes.x(REACH), axes.y(0.0)
    yield left, bottom + 13, f"{-REACH:g}", "middle"
    yield axes.x(0.0), bottom + 13, "z = 0", "middle"
    yield right, bottom + 13, f"{REACH:g}", "middle"
    yield left - 5, bottom + 3, "0", "end"
    yield left - 5, axes.y(1.0) + 3, "1", "end"
    yield right, axes.y(axes.top) - 5, "phi; dashed: phi'", "end"


# --- for a terminal ---------------------------------------------------------------------------------------------------

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bits of a braille character (Unicode U+2800), by row and column."""


def sketch(gate: Gate, width: int = 48, height: int = 7) -> str:
    """phi over z from -REACH to REACH, in braille dots.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
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
