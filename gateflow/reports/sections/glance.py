"""All gates of a report in one table."""

from __future__ import annotations

from gateflow.asymptotics.order import SaturationOrder, text_of
from gateflow.asymptotics.rate import Rate
from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.findings import Findings
from gateflow.reports.mathml import formula
from gateflow.reports.sections._parts import box, verdict


def glance(found: Findings) -> Markup:
    """All gates in one table."""
    rows = [
        [
            tag("a", one.name, href=f"#gate-{i}"),
            verdict(one.membership.verdict),
            _order_of(one.order),
            _law_of(one.law),
            _barrier(one.law),
        ]
        for i, one in enumerate(found.gates, 1)
    ]
    headings = ["gate", "class F", "order of saturation", "law of learning", "κ"]
    return box(table(headings, rows, row_heads=True, class_="words-table"), "Summary")


def _order_of(found: SaturationOrder | str) -> Markup:
    if isinstance(found, str):
        return tag("span", "not named", class_="quiet")
    return join(["O(", formula(text_of(found.g), flat=True), ")"])


def _law_of(found: Rate | str) -> Markup:
    if isinstance(found, str):
        return tag("span", "none proved", class_="quiet")
    return formula(found.rate, left="l(τ) ~") if found.rate else tag("span", "in implicit form", class_="quiet")


def _barrier(found: Rate | str) -> Markup | None:
    return tag("span", "–") if isinstance(found, str) else formula(text_of(found.kappa), flat=True)
