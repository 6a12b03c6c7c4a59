"""One gate: what it is, and all that was found of it."""

from __future__ import annotations

from gateflow.gate import Gate
from gateflow.markup import Markup, join, tag
from gateflow.report.findings import Findings, GateFindings
from gateflow.report.mathml import formula
from gateflow.report.sections._parts import display
from gateflow.report.sections.law import law
from gateflow.report.sections.membership import clauses
from gateflow.report.sections.order import standing
from gateflow.report.sections.times import times


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
