"""Whether a gate is in class F, clause by clause."""

from __future__ import annotations

from collections.abc import Iterator

from gateflow.asymptotics.clauses import CLAUSES
from gateflow.notebook.markup import Markup, table, tag
from gateflow.reports.findings import GateFindings
from gateflow.reports.sections._parts import box, verdict
from gateflow.reports.typography import prose


def clauses(one: GateFindings) -> Iterator[Markup]:
    """The verdict, and a row for each clause of Definition 4.1."""
    found = one.membership
    said = {
        "in F": "The gate is in class F: all four clauses of Definition 4.1 are proved.",
        "not in F": "The gate is not in class F. What is said below holds for its formula all the same.",
    }.get(found.verdict, "Whether the gate is in class F is not decided.")
    yield tag("p", said)
    rows = [[prose(CLAUSES[clause.name]), verdict(clause.verdict), prose(clause.reason)] for clause in found.clauses]
    caption = "The clauses of the class, by ball arithmetic."
    yield box(
        table(["clause", "verdict", "why"], rows, caption=caption, row_heads=True, class_="words-table"), "Clauses"
    )
    yield from (tag("p", "Beware: ", prose(warning), ".") for warning in found.warnings)
