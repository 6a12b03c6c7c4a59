"""Where each gate learns sooner than the reference, and where it does not."""

from __future__ import annotations

from collections.abc import Iterator

from gateflow.descents import Crossover
from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.findings import REFERENCE, Findings
from gateflow.reports.sections._parts import box
from gateflow.reports.typography import number, prose


def crossing(found: Findings) -> Markup:
    """One line a gate and question; nothing where the reference is the only gate."""
    rows = [row for name, crossed in found.crossings for row in _rows(name, crossed)]
    if not rows:
        return join([])
    caption = [
        *("The problem: a time constant of ", number(found.timescale), " steps, over as many, "),
        "from the edge of the plateau. One small step size for all gates is what gradient flow stands for; ",
        "a step size of its own is the largest that keeps the time constant of that gate within 5 %. ",
        "The answers may be opposite.",
    ]
    return box(
        table(["gate", "question", f"against {REFERENCE}"], rows, caption=join(caption), class_="words-table"),
        "Where it is ahead",
    )


def _rows(name: str, crossed: Crossover | str) -> Iterator[list[str | Markup]]:
    if isinstance(crossed, str):
        yield [tag("b", name), "", prose(crossed)]
        return
    for heading, sentence in crossed.lines():
        yield [tag("b", name), heading, prose(sentence)]
