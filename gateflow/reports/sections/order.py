"""How a gate stands to those of the catalogue, and the gates of a report to each other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from gateflow.asymptotics.order import Order, SaturationOrder, text_of
from gateflow.notebook.markup import Markup, join, table, tag
from gateflow.reports.findings import Findings, GateFindings
from gateflow.reports.mathml import formula
from gateflow.reports.sections._parts import box, display, proof, verdict
from gateflow.reports.typography import prose

ITSELF = "itself"
"""In place of a verdict, where a gate of the catalogue meets itself."""


class _Step(NamedTuple):
    """A step of the ladder: gates against which the verdict is the same."""

    members: list[str]
    verdict: str
    why: Markup | None = None


def standing(one: GateFindings, found: Findings) -> Iterator[Markup]:
    """Against the classes of the catalogue, the highest first."""
    if isinstance(one.order, SaturationOrder):
        line = formula(text_of(one.order.g), block=True, left="g(z) =")
        yield tag("p", "It saturates like O(g(z)), with the simplest such g:")
        yield display(line)
    else:
        yield tag("p", "Its order has no name: ", prose(one.order), ".")
    reasons = {other.reason for other in one.against if other.verdict == "undecided" and other.names[1] != one.name}
    if all(other.verdict == "undecided" for other in one.against) and len(reasons) == 1:
        yield tag("p", "Against the catalogue it is undecided throughout: ", prose(reasons.pop()), ".")
        return
    steps = [step for names in found.ladder for step in _against_class(one, names)]
    made = table(
        ["gates of the catalogue", "the gate is", "decided by"],
        [[", ".join(step.members), verdict(step.verdict), step.why] for step in steps],
        marked=[step.verdict in ("equal", ITSELF) for step in steps],
        caption="Against the catalogue, the gate of highest order at the top; gates in one row saturate alike.",
        row_heads=True,
        class_="words-table ladder",
    )
    yield box(made, "Order against the catalogue")


def _against_class(one: GateFindings, names: Sequence[str]) -> Iterator[_Step]:
    """The members of one class, those together that have one verdict."""
    by_name = {other.names[1]: other for other in one.against}
    own = [name for name in names if name == one.gate.name]
    if own:
        yield _Step(own, ITSELF)
    verdicts = dict.fromkeys(by_name[name].verdict for name in names if name not in own)
    for word in verdicts:
        members = [name for name in names if name not in own and by_name[name].verdict == word]
        why = _thresholds([by_name[name] for name in members]) if word == "equal" else _decider(by_name[members[0]])
        yield _Step(members, word, why)


def _thresholds(orders: Iterable[Order]) -> Markup:
    """For gates of equal order, by how much z has to be stretched."""
    parts: list[Any] = []
    for found in orders:
        if found.threshold is not None:
            fact = formula(text_of(found.threshold), left="a* =")
        elif found.ratio is not None and found.exponent is not None:
            fact = formula(_power_of_a(found.ratio, found.exponent), left="R(a) =")
        else:
            continue
        parts += [", " if parts else None, fact, f" ({found.names[1]})"]
    return join(parts)


def _power_of_a(ratio: Any, exponent: Any) -> str:
    """``ratio*a**exponent`` as a formula; factors and exponents 1 go without saying."""
    power = "a" if exponent == 1 else f"a**({text_of(exponent)})"
    return power if ratio == 1 else f"({text_of(ratio)})*{power}"


def _decider(found: Order) -> Markup:
    """The last limit of the chain; without one the reason."""
    if not found.steps or found.verdict not in ("higher", "lower"):
        return prose(found.reason)
    step = found.steps[-1]
    name, equals, limit = step["statement"].partition(" = ")
    if equals:
        return join([prose(limit), " = ", formula(step["limit"])])
    return join([prose(name), ", which is ", formula(step["limit"])])


def side_by_side(found: Findings) -> Markup:
    """Each pair of gates, with the limits that decide it."""
    rows = [[tag("b", a), verdict(o.verdict), tag("b", b), _reason(o)] for o in found.among for a, b in [o.names]]
    summary = table(["gate", "order", "than", "why"], rows, class_="words-table")
    proofs = (_proof(pair) for pair in found.among if pair.steps and pair.verdict != "undecided")
    return tag("section", tag("h2", "Side by side"), box(summary, "Orders of the gates"), *proofs, id="side-by-side")


def _reason(found: Order) -> Markup:
    equal = _thresholds([found]) if found.verdict == "equal" else None
    return join([prose(found.reason), ". " if equal else None, equal])


def _proof(found: Order) -> Markup:
    first, second = found.names
    caption = f"φ is {first}, ψ is {second}: {found.verdict}. The limits that decide it, as z tends to infinity."
    return proof(found.steps, caption, f"Proof of the order of {first} and {second}")
