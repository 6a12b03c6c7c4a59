"""What several sections are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.mathml import formula
from gateflow.reports.typography import prose

SIGNS = {
    "in F": "✓", "proved": "✓", "not in F": "✗", "refuted": "✗", "undecided": "?",
    "higher": "≻", "lower": "≺", "equal": "≍", "incomparable": "∥", "itself": "•",
}  # fmt: skip
"""A sign beside each verdict, which is said in words too."""


def verdict(word: str) -> Markup:
    """A verdict with its sign."""
    return tag("span", tag("span", SIGNS.get(word, "?"), aria_hidden="true"), " ", tag("b", word), class_="verdict")


def box(inside: Any, label: str) -> Markup:
    """What may be wider than the page, in a box that scrolls by itself, by keyboard too."""
    return tag("div", inside, class_="box", role="region", aria_label=label, tabindex="0")


def display(*parts: Markup) -> Markup:
    """Formulas on lines of their own."""
    return join(tag("div", part, class_="display") for part in parts)


def proof(steps: Sequence[dict[str, str]], caption: str, label: str) -> Markup:
    """A chain of limits, each with its formula and its value."""
    rows = [[prose(step["statement"]), formula(step["expr"]), formula(step["limit"])] for step in steps]
    return box(table(["limit", "of", "is"], rows, caption=caption, class_="words-table proof"), label)
