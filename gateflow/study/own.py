"""A gate of your own in the design of part A: is it sooner than the sigmoid and fast, at equal value and slope?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from gateflow.study.experiment import Experiment, Question
from gateflow.study.experiments import EXPERIMENTS
from gateflow.study.networks import named, ordered

SLOPES = ("1", "3.11")
"""du/dz at f = .95: that of the sigmoid, and that of the fast gate."""

OTHERS = ("sigmoid", "fast")
"""What it is compared with."""

FIRST = 655_000
"""The first seed: none of the study's own."""


def design(gates: Mapping[str, str], pairs: Mapping[str, Sequence[tuple[str, str]]], first: int) -> Experiment:
    """The design of part A, study-slopes, for any gates.

    Parameters
    ----------
    gates : mapping of str to str
        Names, without ", ", to gates.
    pairs : mapping of str to list of (str, str)
        Names that are compared at slope 1, by the role of the question
        (:class:`gateflow.study.experiment.Question`); for ``order`` the first has the higher order of saturation.
    first : int
        The first seed.

    Examples
    --------
    >>> gates = {"softsign": "softsign", "sigmoid": "sigmoid", "fast": "fast"}
    >>> pairs = {"order": [("fast", "sigmoid"), ("fast", "softsign")], "equivalence": [("sigmoid", "softsign")]}
    >>> design(gates, pairs, 611_000).arms == EXPERIMENTS["study-slopes"].arms
    True
    """
    arms = {
        f"{name}, slope {slope}": {"forget_gate": gate, "init": f"matched(f=0.95, slope={slope})"}
        for slope in SLOPES
        for name, gate in gates.items()
    }
    questions = [
        Question(f"{one} against {other}", (f"{one}, slope 1",), (f"{other}, slope 1",), role)
        for role, some in pairs.items()
        for one, other in some
    ]
    flat, steep = (tuple(f"{name}, slope {slope}" for name in gates) for slope in SLOPES)
    slopes = Question("slope 3.11 against 1", steep, flat, "slope")
    return replace(EXPERIMENTS["study-slopes"], arms=arms, first=first, questions=(*questions, slopes))


def own(gate: str, *, seeds: int = 40, **more: Any) -> Experiment:
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
    from gateflow.nn.inits.matched import rescale

    name = named(gate)
    for slope in SLOPES:
        rescale(gate, f=0.95, slope=float(slope))
    others = [other for other in OTHERS if other != name]
    orders = {other: ordered(gate, other) for other in others}  # the lower first, or none
    pairs = [(order[1], order[0]) for order in orders.values() if order]
    plain = [(name, other) for other, order in orders.items() if not order]
    gates = {name: gate.strip(), **{other: other for other in others}}
    plan = design(gates, {"order": pairs, "plain": plain}, FIRST)
    return replace(plan, seeds=seeds, base={**plan.base, **more})
