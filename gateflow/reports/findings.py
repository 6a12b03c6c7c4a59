"""What a report says: for each gate its class, its order, its law and its times; for all of them together, which to
choose. Everything is asked of lower layers, and what they cannot answer is kept as their reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np

from gateflow import record
from gateflow.asymptotics.clauses import Membership
from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.order import Order, order
from gateflow.asymptotics.ranking import rank
from gateflow.asymptotics.rate import Rate, rate
from gateflow.asymptotics.saturation import SaturationOrder, saturation_order
from gateflow.descents import Crossover, crossover
from gateflow.descents.recommendation import Recommendation, edge_of_plateau, recommend, start_of
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import HittingTime, hitting_time
from gateflow.gates.gate import GATES, Gate
from gateflow.guards.arguments import AT_LEAST_1, IN_UNIT, number
from gateflow.progress import silence, track
from gateflow.results.byvalue import by_value

HORIZONS = (1.0, 10.0, 100.0, 1e3, 1e4, 1e6)
GAPS = (1e-1, 1e-2, 1e-4, 1e-8, 1e-16, 1e-32)
TIMESCALE = 1000.0
SECONDS = 10.0
"""Time allowed for each proof."""

REFERENCE = "sigmoid"
"""What the gates are measured by where it is not among them."""

MOST = 8
"""As many lines as a figure can keep apart."""

Unknown: TypeAlias = str
"""Why there is no answer, in one line."""


@by_value
@dataclass(frozen=True)
class GateFindings:
    """What was found of one gate.

    Attributes
    ----------
    gate : Gate
    name : str
        What the report calls it.
    membership : Membership
    order : SaturationOrder
    against : tuple of Order
        The gate against each gate of the catalogue.
    law : Rate
    times : HittingTime or str
        By horizon and gap, from the time constant T.
    """

    gate: Gate
    name: str
    membership: Membership
    order: SaturationOrder
    against: tuple[Order, ...]
    law: Rate
    times: HittingTime | Unknown

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "gate": self.name,
            "formula": self.gate.text,
            "parameters": {name: str(value) for name, value in self.gate.parameters.items()},
            "membership": self.membership.to_json(),
            "order": self.order.to_json(),
            "against": [found.to_json() for found in self.against],
            "rate": self.law.to_json(),
            **self._times(),
        }

    def _times(self) -> dict[str, Any]:
        if isinstance(self.times, str):
            return {"log_tau": None, "status": _as_json(self.times)}
        return {"log_tau": self.times.log_tau, "status": np.asarray(self.times.status, dtype=str)}


@by_value
@dataclass(frozen=True)
class Findings:
    """What was found of all gates of a report.

    Attributes
    ----------
    gates : tuple of GateFindings
    catalogue : tuple of tuple of str
        The classes of equal order in the catalogue, highest first; last, each gate that has no order.
    among : tuple of Order
        Each of the gates against each that comes after it.
    advice : Recommendation or str
        For ``timescale``; sigmoid is among its gates in any case.
    crossings : tuple of (str, str, Crossover or str)
        The first of the gates against each other one, and each against sigmoid, on the problem of ``timescale``.
    left_out : dict of str to str
        The gates that no advice can be given of, and why.
    horizons, gaps : tuple of float
    timescale : float
    made : dict
        The record.
    """

    gates: tuple[GateFindings, ...]
    catalogue: tuple[tuple[str, ...], ...]
    among: tuple[Order, ...]
    advice: Recommendation | Unknown
    crossings: tuple[tuple[str, str, Crossover | Unknown], ...]
    left_out: dict[str, str]
    horizons: tuple[float, ...]
    gaps: tuple[float, ...]
    timescale: float
    made: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "gates": [one.to_json() for one in self.gates],
            "catalogue": self.catalogue,
            "among": [found.to_json() for found in self.among],
            "horizons": self.horizons,
            "gaps": self.gaps,
            "recommendation": self._recommended(),
            "crossings": [{"gate": one, "against": other, **_as_json(found)} for one, other, found in self.crossings],
            "record": self.made,
        }

    def name_of(self, gate: Gate) -> str:
        """What the report calls a gate."""
        return next((one.name for one in self.gates if one.gate is gate), gate.label)

    def _recommended(self) -> dict[str, Any]:
        kept = ("bias", "target", "own_lr", "own_steps", "steps", "floor", "reason")
        rows = [] if isinstance(self.advice, str) else list(self.advice)
        return {
            "timescale": self.timescale,
            "gates": [{"gate": self.name_of(one.gate), **{key: getattr(one, key) for key in kept}} for one in rows],
            "left_out": self.left_out,
        }


def _as_json(found: Any) -> Any:
    """An answer as plain data, or why there is none."""
    return {"reason": found} if isinstance(found, str) else found.to_json()


def findings(
    gates: Sequence[Gate],
    *,
    names: Sequence[str] | None = None,
    horizons: Sequence[float] = HORIZONS,
    gaps: Sequence[float] = GAPS,
    timescale: float = TIMESCALE,
    seconds: float = SECONDS,
    command: str | None = None,
) -> Findings:
    """Ask all there is to ask of these gates.

    Parameters
    ----------
    gates : sequence of Gate
        One to eight, each with numbers for its parameters.
    names : sequence of str, optional
        What to call them.
    horizons, gaps : sequence of float
        T and ``1 - lambda*`` of the table of learning times.
    timescale : float
        What to recommend gates for.
    seconds : float
        For each proof.
    command : str, optional
        The command line to record.

    Raises
    ------
    InvalidArgument
        No gate, too many, two of one name, one with an open parameter, or a number out of range.
    """
    called = tuple(names) if names is not None else tuple(gate.label for gate in gates)
    _check(gates, called, horizons, gaps, timescale)
    made = record.record(
        command=command, horizons=list(horizons), gaps=list(gaps), timescale=timescale, seconds_per_proof=seconds
    )
    named = dict(zip(called, gates, strict=True))
    questions: list[Callable[[], Any]] = [
        *(partial(_gate_findings, gate, name, horizons, gaps, seconds) for name, gate in named.items()),
        partial(catalogue_classes, seconds),
        partial(_orders_among, named, seconds),
        partial(_advice, named, timescale),
        partial(_crossings, named, timescale),
    ]
    *of_gates, classes, among, (advice, left_out), crossings = map(_silently, track(questions, "report"))
    return Findings(
        gates=tuple(of_gates),
        catalogue=classes,
        among=among,
        advice=advice,
        crossings=crossings,
        left_out=left_out,
        horizons=tuple(horizons),
        gaps=tuple(gaps),
        timescale=timescale,
        made=made,
    )


def _check(
    gates: Sequence[Gate], names: Sequence[str], horizons: Sequence[float], gaps: Sequence[float], timescale: float
) -> None:
    if not 1 <= len(gates) <= MOST:
        raise InvalidArgument(f"a report is of one to {MOST} gates; got {len(gates)}")
    twice = next((name for name in names if list(names).count(name) > 1), None)
    if twice is not None:
        raise InvalidArgument(f"two of the gates are called {twice}; name each gate once")
    for one, name in zip(gates, names, strict=True):
        if len(one.expr.free_symbols) > 1:
            raise InvalidArgument(f"{name} has an open parameter: a report needs a number for it")
    if not len(horizons) or not len(gaps):
        raise InvalidArgument("give at least one horizon and one gap")
    number("horizon", horizons, *AT_LEAST_1)
    number("gap", gaps, *IN_UNIT)
    number("timescale", timescale, lambda v: (v >= 2) & (v <= 1e250), "from 2 to 1e250")


def _silently(ask: Callable[[], Any]) -> Any:
    """The answer, with no progress of its own."""
    with silence():
        return ask()


def _gate_findings(
    gate: Gate, name: str, horizons: Sequence[float], gaps: Sequence[float], seconds: float
) -> GateFindings:
    """All about one gate."""
    against = (replace(order(gate, other, seconds), names=(name, other)) for other in GATES)
    return GateFindings(
        gate,
        name,
        replace(membership(gate, seconds), gate=name),
        saturation_order(gate, seconds),
        tuple(against),
        replace(rate(gate, seconds=seconds), name=name),
        _answer(lambda: learning_times(gate, horizons, gaps)),
    )


def _orders_among(named: dict[str, Gate], seconds: float) -> tuple[Order, ...]:
    """The gates against each other."""
    return tuple(
        replace(order(named[one], named[other], seconds), names=(one, other)) for one, other in combinations(named, 2)
    )


def _advice(named: dict[str, Gate], timescale: float) -> tuple[Recommendation | Unknown, dict[str, str]]:
    """Which gate to take, and of which gates nothing can be said."""
    answers = {name: _answer(partial(recommend, timescale, gates=[gate])) for name, gate in named.items()}
    left_out = {name: answer for name, answer in answers.items() if isinstance(answer, str)}
    fit = [gate for name, gate in named.items() if name not in left_out]
    if not any(gate.name == REFERENCE for gate in named.values()):
        fit.insert(0, GATES[REFERENCE]())
    return (recommend(timescale, gates=fit) if fit else "no gate is left to choose from"), left_out


def _crossings(named: dict[str, Gate], timescale: float) -> tuple[tuple[str, str, Crossover | Unknown], ...]:
    """Where the first gate is ahead of the others, and each of the reference."""
    reference = next((name for name, gate in named.items() if gate.name == REFERENCE), REFERENCE)
    known = {**named, reference: GATES[REFERENCE]()}
    first, *others = named
    pairs = [(first, other) for other in others]
    pairs += [(name, reference) for name in named if name != reference and {name, reference} != {first, reference}]
    pairs += [(first, reference)] if reference not in named else []
    return tuple((one, other, _answer(partial(_crossing, known, (one, other), timescale))) for one, other in pairs)


def _crossing(known: dict[str, Gate], names: tuple[str, str], timescale: float) -> Crossover:
    one, other = (known[name] for name in names)
    problem = LearningProblem(one, horizon=timescale, timescale=timescale)
    start = edge_of_plateau(timescale, timescale)
    return crossover(one, other, problem, (start_of(one, start), start_of(other, start)), names=names)


def catalogue_classes(seconds: float = SECONDS) -> tuple[tuple[str, ...], ...]:
    """The catalogue by order of saturation, highest class first; last, each gate that has no order.

    Examples
    --------
    >>> catalogue_classes()[0], catalogue_classes()[-1]
    (('iterated-sinh',), ('hard-sigmoid',))
    """
    placed = [name for name in GATES if saturation_order(name).g is not None]
    classes = tuple(tuple(names) for names in rank(placed, seconds).classes)
    return (*classes, *((name,) for name in GATES if name not in placed))


def learning_times(gate: Gate, horizons: Sequence[float], gaps: Sequence[float]) -> HittingTime:
    """Learning times by horizon and gap, from a unit of time constant T, where ``phi^T = 1/e``.

    Examples
    --------
    >>> from gateflow.gates.gate import gate
    >>> learning_times(gate("fast"), [1.0, 10.0], [1e-2, 1e-4, 1e-8]).log_tau.shape
    (2, 3)
    """
    horizon = np.asarray(horizons, dtype=float)[:, None]
    gap = np.asarray(gaps, dtype=float)[None, :]
    z0 = gate.inverse_c(-np.expm1(-1 / horizon))
    return hitting_time(LearningProblem(gate, horizon=horizon, gap=gap), z0)


def _answer(ask: Callable[[], Any]) -> Any:
    """The answer, or in one line why there is none."""
    try:
        return ask()
    except GateflowError as why:
        return str(why)
