"""One gate: what it is, and all that was found of it."""

from __future__ import annotations

from gateflow.gates.gate import Gate
from gateflow.notebook.markup import Markup, join, tag
from gateflow.reports.findings import Findings, GateFindings
from gateflow.reports.mathml import formula
from gateflow.reports.sections._parts import display
from gateflow.reports.sections.law import law
from gateflow.reports.sections.membership import clauses
from gateflow.reports.sections.order import standing
from gateflow.reports.sections.times import times


def of_gate(one: GateFindings, place: int, found: Findings) -> Markup:
    """All about one gate."""
    return tag(
        "section",
        tag("h2", one.name if len(found.gates) > 1 else "The gate"),
        _declaration(one.gate),
        tag("h3", "Class F"),
        *clauses(one),
        tag("h3", "Order of saturation"),
        *standing(one, found),
        tag("h3", "Law of learning"),
        *law(one),
        tag("h3", "Learning times"),
        *times(one, found),
        id=f"gate-{place}",
    )


def _declaration(gate: Gate) -> Markup:
    values = join((formula(str(value), left=f"{name} =") for name, value in gate.parameters.items()), ", ")
    return join(
        [
            display(formula(gate.text, left="φ(z) =", block=True)),
            tag("p", "with ", values, class_="quiet") if values else None,
            tag("p", "Source: ", gate.reference, class_="quiet") if gate.reference else None,
        ]
    )
