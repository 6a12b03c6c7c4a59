"""What the tables of a report say of findings, where that takes more than to write them down."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import sympy as sp
from markupsafe import Markup

from gateflow.asymptotics.order import Order
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.asymptotics.rate import Rate
from gateflow.flows.time import HittingTime
from gateflow.notebook.cards import exponential
from gateflow.reports.findings import GateFindings
from gateflow.reports.mathml import formula
from gateflow.reports.typography import number, prose, scientific
from gateflow.results.status import Status

ITSELF = "itself"
"""In place of a verdict, where a gate of the catalogue meets itself."""


class CatalogueRow(NamedTuple):
    """Gates of the catalogue of equal order, against which the verdict is the same."""

    members: list[str]
    verdict: str
    why: str = ""


def catalogue_rows(one: GateFindings, classes: Iterable[Sequence[str]]) -> Iterator[CatalogueRow]:
    """How a gate stands to each class of the catalogue; the members of one that have one verdict are together."""
    by_name = {other.names[1]: other for other in one.against}
    for names in classes:
        if one.gate.name in names:
            yield CatalogueRow([one.gate.name], ITSELF)
        others = [name for name in names if name != one.gate.name]
        for word in dict.fromkeys(by_name[name].verdict for name in others):
            members = [name for name in others if by_name[name].verdict == word]
            found = [by_name[name] for name in members]
            yield CatalogueRow(members, word, thresholds(found) if word == "equal" else _decider(found[0]))


def undecided_throughout(one: GateFindings) -> str | None:
    """Why a gate is undecided against all of the catalogue, where that is so for one reason."""
    reasons = {other.reason for other in one.against if other.verdict == "undecided" and other.names[1] != one.name}
    undecided = all(other.verdict == "undecided" for other in one.against)
    return reasons.pop() if undecided and len(reasons) == 1 else None


def thresholds(orders: Iterable[Order]) -> Markup:
    """For gates of equal order, by how much z has to be stretched."""
    facts = ((_threshold(found), found.names[1]) for found in orders)
    return Markup(", ").join(Markup("{} ({})").format(fact, name) for fact, name in facts if fact)


def _threshold(found: Order) -> Markup | None:
    if found.threshold is not None:
        return formula(text_of(found.threshold), left="a* =")
    if found.ratio is not None and found.exponent is not None:
        return formula(_power_of_a(found.ratio, found.exponent), left="R(a) =")
    return None


def _power_of_a(ratio: Any, exponent: Any) -> str:
    """``ratio*a**exponent`` as a formula; factors and exponents 1 go without saying."""
    power = "a" if exponent == 1 else f"a**({text_of(exponent)})"
    return power if ratio == 1 else f"({text_of(ratio)})*{power}"


def _decider(found: Order) -> str:
    """The last limit of the chain; without one the reason."""
    if not found.steps or found.verdict not in ("higher", "lower"):
        return prose(found.reason)
    step = found.steps[-1]
    name, equals, limit = step["statement"].partition(" = ")
    between = " = " if equals else ", which is "
    return Markup("{}{}{}").format(prose(limit or name), between, formula(step["limit"]))


def place(found: Rate) -> str:
    """Where a law stands to the barrier, which no gate passes."""
    if found.logarithms:
        count = f"{found.logarithms} iterated logarithms of τ, each" if found.logarithms > 1 else "the logarithm of τ,"
        return f"at the barrier, which no gate passes: 1/τ is divided by {count} squared"
    if found.kappa == 1:
        return "at the barrier, which no gate passes, up to factors slower than any power of log τ"
    if found.kappa == -sp.oo:
        return "far from the barrier, which is 1: slower than 1/τ by more than any power of log τ"
    return "short of the barrier, which is 1"


def time_headings(gaps: Sequence[float]) -> list[str]:
    """The headings of a table of learning times."""
    return ["horizon", *(Markup("gap {}").format(number(gap)) for gap in gaps)]


def time_cells(times: HittingTime, i: int) -> list[str]:
    """For one horizon, tau and log tau by gap; what became of the flow where it does not arrive at such a time."""
    return [_time(status, float(log_tau)) for status, log_tau in zip(times.status[i], times.log_tau[i], strict=True)]


def _time(status: Status, log_tau: float) -> str:
    if status is not Status.REACHED or not np.isfinite(log_tau):
        return "at once" if log_tau == -np.inf else str(status)
    small = f"{log_tau:.4f}".replace("-", "−")
    return Markup("{}<small>{}</small>").format(scientific(exponential(log_tau)), small)


def whole(steps: float) -> str:
    """A number of steps."""
    return "never" if np.isinf(steps) else number(round(steps))


def class_name(thing: Any) -> str:
    """The name of a thing's class as words.

    Examples
    --------
    >>> class_name(ValueError()), class_name(1j)
    ('value error', 'complex')
    """
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(thing).__name__)
    return words.lower() if " " in words else words
