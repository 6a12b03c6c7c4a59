"""Gates by order of saturation (theory.md §3)."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gateflow.asymptotics.order import Order, escaped, order
from gateflow.errors import InvalidArgument, cut
from gateflow.gates.gate import gate as as_gate
from gateflow.guards import bounded
from gateflow.guards.arguments import items
from gateflow.notebook.cards import facts, framed, listed
from gateflow.results.byvalue import by_value

RANKING_SECONDS = 30.0
"""Time allowed for a ranking."""


HIGHEST_FIRST = "Order of saturation, highest first"


@by_value
@dataclass(frozen=True)
class Ranking:
    """Gates by order of saturation.

    Attributes
    ----------
    classes : list of list of str
        Gates of equal order together, highest first: each is proved to be above the next.
    covers : list of (int, int)
        The Hasse diagram: ``(i, j)`` where class i is directly above class j.
    open : list of Order
        The pairs that are incomparable or undecided.
    apart : list of list of str
        Gates of equal order together that have no place among the classes, as some pair with them is open.
    known : list of (str, str)
        What is known of them all the same: the first is higher than the second.
    """

    classes: list[list[str]]
    covers: list[tuple[int, int]]
    open: list[Order]
    apart: list[list[str]] = field(default_factory=list)
    known: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """A heading, and one line a class, highest first; then what has no place among them, and why."""
        ranked = [f"{i + 1}. " + " = ".join(names) for i, names in enumerate(self.classes)]
        apart = [f"not ranked: {' = '.join(names)}" for names in self.apart]
        known = [f"{high} is higher than {low}" for high, low in self.known]
        return "\n".join([HIGHEST_FIRST, *ranked, *apart, *known, *(str(o) for o in self.open)])

    def __repr__(self) -> str:
        return f"<Ranking, highest first: {cut('; '.join(' = '.join(names) for names in self.classes))}>"

    def __str__(self) -> str:
        return self.text

    def latex(self) -> str:
        """The classes as a chain."""
        labels = [r" \asymp ".join(rf"\text{{{escaped(n)}}}" for n in names) for names in self.classes]
        return r" \succ ".join(labels)

    def _repr_latex_(self) -> str:
        return f"${self.latex()}$"

    def _repr_html_(self) -> str:
        rows = [[str(i + 1), ", ".join(names)] for i, names in enumerate(self.classes)]
        left_open = [(f"{found.names[0]}, {found.names[1]}", f"{found.verdict}: {found.reason}") for found in self.open]
        apart = [("not ranked", ", ".join(names)) for names in self.apart]
        table = listed(("rung", "gates of equal order"), rows)
        return framed(HIGHEST_FIRST, table, facts([*apart, *left_open]))

    def to_json(self) -> dict[str, Any]:
        """Classes, covers, open pairs and what stands apart as plain data."""
        return {
            "classes": self.classes,
            "covers": [list(c) for c in self.covers],
            "open": [o.to_json() for o in self.open],
            "apart": self.apart,
            "known": [list(pair) for pair in self.known],
        }


def rank(gates: Iterable[Any], seconds: float = RANKING_SECONDS) -> Ranking:
    """Sort gates by order of saturation, highest first.

    Parameters
    ----------
    gates : iterable of Gate or str
    seconds : float
        Time allowed for all pairs together; those that are not decided by then are open.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> print(rank([Gate("sigmoid(sinh(z))"), Gate("sigmoid(z)"), Gate("sigmoid(2*z)")]))
    Order of saturation, highest first
    1. sigmoid(sinh(z))
    2. sigmoid(z) = sigmoid(2*z)
    >>> print(rank(["fast", "hard-sigmoid", "sigmoid"]).text.partition(" against ")[0])
    Order of saturation, highest first
    1. fast
    2. sigmoid
    not ranked: hard-sigmoid
    hard-sigmoid
    """
    if isinstance(gates, str):
        raise InvalidArgument("rank takes a list of gates, such as rank(['fast', 'sigmoid'])")
    end = time.monotonic() + bounded.checked(seconds)
    classes, pairs = _classes_and_pairs([as_gate(gate) for gate in items("gates", gates)], end)
    ranked = _without_open_pairs(len(classes), pairs)
    chain = sorted(ranked, key=lambda i: sum(_is_higher(pairs, j, i) for j in ranked))
    names = [[gate.name for gate in members] for members in classes]
    apart = [i for i in range(len(classes)) if i not in chain]
    beside = [(i, j) for i in range(len(classes)) for j in range(len(classes)) if {i, j} & {*apart}]
    return Ranking(
        [names[i] for i in chain],
        list(itertools.pairwise(range(len(chain)))),
        [found for found in pairs.values() if _is_open(found)],
        [names[i] for i in apart],
        [(names[i][0], names[j][0]) for i, j in beside if _is_higher(pairs, i, j)],
    )


Pairs = dict[tuple[int, int], Order]


def _classes_and_pairs(gates: Sequence[Any], end: float) -> tuple[list[list[Any]], Pairs]:
    """Gates of equal order together, and the order of each class against each before it; no pair is asked twice."""
    classes: list[list[Any]] = []
    pairs: Pairs = {}
    for gate in gates:
        found: dict[int, Order] = {}
        for i, members in enumerate(classes):
            found[i] = order(gate, members[0], max(end - time.monotonic(), _LEAST))
            if found[i].verdict == "equal":
                members.append(gate)
                break
        else:
            pairs.update({(len(classes), i): answer for i, answer in found.items()})
            classes.append([gate])
    return classes, pairs


_LEAST = 0.01
"""Seconds for each pair that is asked when the time is up: it is left open."""


def _is_open(found: Order) -> bool:
    return found.verdict not in ("higher", "lower")


def _is_higher(pairs: Pairs, i: int, j: int) -> bool:
    """Whether class i is proved to be above class j."""
    if (i, j) in pairs:
        return pairs[i, j].verdict == "higher"
    return (j, i) in pairs and pairs[j, i].verdict == "lower"


def _without_open_pairs(count: int, pairs: Pairs) -> list[int]:
    """Classes of which each pair is decided: those with the most open pairs are left out, the last of them first."""
    kept = list(range(count))
    while True:
        open_pairs = [pair for pair, found in pairs.items() if _is_open(found) and set(pair) <= set(kept)]
        if not open_pairs:
            return kept
        kept.remove(max(kept, key=lambda i: (sum(i in pair for pair in open_pairs), i)))
