"""The law of learning of a gate, and how it comes about."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sympy as sp

from gateflow.asymptotics.order import text_of
from gateflow.asymptotics.rate import Rate
from gateflow.notebook.markup import Markup, facts, join, tag
from gateflow.reports.findings import GateFindings
from gateflow.reports.mathml import formula
from gateflow.reports.sections._parts import display, proof
from gateflow.reports.typography import prose


def law(one: GateFindings) -> Iterator[Markup]:
    """The law, what goes with it, and the limits that prove it; or why there is none."""
    found = one.law
    if isinstance(found, str):
        yield tag("p", "No law was proved: ", prose(found), ".")
        return
    yield tag(
        "p",
        "For λ* = 1 the distance l = 1 − φ falls with learning time τ so that its ratio to the law tends to 1; "
        "T is the horizon, c the scale of the loss.",
    )
    yield display(_law_display(found))
    yield facts(_law_facts(found), class_="law")
    yield tag("p", "Along the flow ds = dz/φ′, where s = c T τ. So, up to factors that tend to 1,")
    implicit = (formula(found.implicit[name], left=f"{name} ~", block=True) for name in ("s", "l"))
    yield display(*implicit)
    yield tag("p", "and z eliminated from both gives the law." if found.rate else f"{_sentence(found.reason)}.")
    yield proof(found.steps, "The limits that prove the law, as z tends to infinity.", "Proof of the law")


def _law_display(found: Rate) -> Markup:
    if found.rate is not None:
        return formula(found.rate, left="l(τ) ~", block=True)
    return formula(found.implicit["l"], left="l =", block=True)


def _law_facts(found: Rate) -> Iterator[tuple[Any, Any]]:
    yield "with its next term", found.next_order and formula(found.next_order, left="l(τ) ~")
    yield "distance to 1", formula(found.distance, left="1 - φ ~")
    yield "slope", formula(found.slope, left="φ' ~")
    yield "slope at distance l", found.h and formula(found.h, left="h(l) ~")
    yield "time to a small gap", found.hitting_time and formula(found.hitting_time, left="τ ~")
    yield "barrier", join([formula(text_of(found.kappa), left="κ =", flat=True), ", ", _place(found)])
    if found.rate is None:
        yield "beware", prose(found.reason)
    elif found.next_order is not None:
        yield "beware", "the ratio tends to 1 slowly: in a plot, take the next term too, or the implicit form below"


def _place(found: Rate) -> str:
    """Where the law stands on the ladder that no gate climbs to its end."""
    if found.logarithms:
        count = f"{found.logarithms} iterated logarithms of τ, each" if found.logarithms > 1 else "the logarithm of τ,"
        return f"at the barrier, which no gate passes: 1/τ is divided by {count} squared"
    if found.kappa == 1:
        return "at the barrier, which no gate passes, up to factors slower than any power of log τ"
    if found.kappa == -sp.oo:
        return "far from the barrier, which is 1: slower than 1/τ by more than any power of log τ"
    return "short of the barrier, which is 1"


def _sentence(reason: str) -> str:
    return reason[:1].upper() + reason[1:]
