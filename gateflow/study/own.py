"""A gate of one's own in the design of part A: is it sooner than the sigmoid and fast, at equal value and slope?"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from gateflow.study.experiments.study_slopes import SLOPES, design
from gateflow.study.networks import named, ordered
from gateflow.study.plan import Plan

OTHERS = ("sigmoid", "fast")
"""What it is compared with."""

FIRST = 655_000
"""The first seed: none of the study's own."""


def own(gate: str, *, seeds: int = 40, **more: Any) -> Plan:
    """The design of part A for a gate beside the sigmoid and fast; at both slopes, all from f = .95.

    Parameters
    ----------
    gate : str
        A name or a formula.
    seeds : int
        40 see a factor of 1.5 with a probability of .76 to .99 (docs/study/protocol.md).
    **more
        Settings of every run over those of part A.

    Raises
    ------
    InvalidArgument
        The gate cannot be matched.

    Examples
    --------
    >>> plan = own("sigmoid(z+z**3)")
    >>> [question.name for question in plan.questions]
    ['sigmoid(z+z**3) against sigmoid', 'fast against sigmoid(z+z**3)', 'slope 3.11 against 1']
    """
    from gateflow.nn.inits.matched import rescaled

    name = named(gate)
    for slope in SLOPES:
        rescaled(gate, f=0.95, slope=float(slope))
    others = [other for other in OTHERS if other != name]
    orders = {other: ordered(gate, other) for other in others}  # the lower first, or none
    pairs = [(order[1], order[0]) for order in orders.values() if order]
    plain = [(name, other) for other, order in orders.items() if not order]
    plan = design({name: gate.strip(), **{other: other for other in others}}, pairs, [], FIRST, plain)
    return replace(plan, seeds=seeds, base={**plan.base, **more})
