"""What is proved of the gates of a page, in parts: class and law of each, the order of each pair, where it turns.

Proofs take from a moment to many seconds, which is why they are not among `answers`. What was proved once is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import combinations
from typing import Any

from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.order import order
from gateflow.asymptotics.rate import rate
from gateflow.descents.crossing import crossover
from gateflow.errors import GateflowError
from gateflow.explorer.answers import attempted, made, start_of
from gateflow.explorer.asked import Asked
from gateflow.flows.problem import LearningProblem
from gateflow.reports.mathml import formula

PROOF = 15.0
"""Seconds for each proof."""

CROSSING = 20.0
"""Seconds of the processor for the search of where an order turns."""

FEW = 3
"""The most gates of which every pair has its crossing; of more, those with the first: all would take too long."""


def theory(asked: Asked) -> Iterator[dict[str, Any] | None]:
    """The parts of what is proved; None where it may be left off.

    Examples
    --------
    >>> [part["part"] for part in theory(Asked(gates=("fast", "sigmoid"))) if part]
    ['about', 'about', 'order', 'crossing', 'proved']
    """
    gates = [text for text in dict.fromkeys(asked.gates) if _is_gate(text)]
    pairs = list(combinations(gates, 2))
    for text in gates:
        yield None
        yield {"part": "about", "gate": text, **_about(text)}
    for pair in pairs:
        yield None
        yield {"part": "order", "gates": pair, **_order(*pair)}
    for pair in pairs if len(gates) <= FEW else pairs[: len(gates) - 1]:
        yield None
        yield {"part": "crossing", "gates": pair, **attempted(lambda pair=pair: _crossing(*pair, asked), CROSSING)}
    yield {"part": "proved"}


def _is_gate(text: str) -> bool:
    try:
        made(text)
    except Exception:  # which `answers` reports
        return False
    return True


@lru_cache(maxsize=128)
def _about(text: str) -> dict[str, Any]:
    """Class and law of learning."""

    def ask() -> dict[str, Any]:
        gate = made(text)
        found, law = membership(gate, PROOF), rate(gate, seconds=PROOF)
        clauses = [{"statement": one.statement, "verdict": one.verdict, "reason": one.reason} for one in found.clauses]
        return {
            "verdict": found.verdict,
            "clauses": clauses,
            "warnings": list(found.warnings),
            "law": None if law.rate is None else {"text": law.rate, "markup": str(formula(law.rate, left="ℓ(τ) ~"))},
            "law_reason": law.reason,
            "steps": _steps(law.steps),
        }

    return attempted(ask, 4 * PROOF)


@lru_cache(maxsize=256)
def _order(one: str, other: str) -> dict[str, Any]:
    """The order of saturation of two gates."""

    def ask() -> dict[str, Any]:
        found = replace(order(made(one), made(other), PROOF), names=(one, other))
        return {"verdict": found.verdict, "reason": found.reason, "steps": _steps(found.steps)}

    return attempted(ask, 4 * PROOF)


def _steps(steps: list[dict[str, str]]) -> list[dict[str, str]]:
    """The limits of a proof, as text and set for a browser."""
    return [{**step, "markup": str(formula(step["expr"], flat=True)), "limit": step["limit"]} for step in steps]


def _crossing(one: str, other: str, asked: Asked) -> dict[str, Any]:
    """From which gap, time scale or start on the gate of higher order is ahead."""
    starts = start_of(one, asked.start), start_of(other, asked.start)
    problem = LearningProblem(made(one), horizon=asked.horizon, gap=asked.gap)
    found = crossover(
        made(one), made(other), problem, starts, names=(one, other), optimizer=asked.optimizer, known=_known(one, other)
    )
    return {"names": list(found.names), "lines": [list(line) for line in found.lines()]}


@lru_cache(maxsize=256)
def _known(one: str, other: str) -> Any:
    try:
        return order(made(one), made(other), PROOF)
    except GateflowError:
        return None
