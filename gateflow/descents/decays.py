"""Today's decays side by side: class, order of saturation, start, steps, and what a float format can hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.asymptotics.membership import membership
from gateflow.asymptotics.order import order
from gateflow.descents.precision import FORMATS, Format
from gateflow.descents.recommendation import recommend
from gateflow.errors import GateflowError
from gateflow.gates.gate import gate as as_gate
from gateflow.gates.published import DECAYS, Published
from gateflow.guards.arguments import items

REFERENCES = ("sigmoid", "fast")
"""What each order of saturation is against."""

QUANTILES = (0.02, 0.5, 0.98)
"""Of the published start: low, median and high."""


@dataclass(frozen=True)
class DecayRow:
    """One decay, as a gate of one variable.

    Attributes
    ----------
    model, gate, z : str
        Its name, the gate by name or formula, and what z is in the authors' code.
    membership : str
        The verdict of :func:`gateflow.membership`.
    against_sigmoid, against_fast : str
        Its order of saturation against these.
    start : tuple of float
        Time constants in steps at the quantiles 2 %, 50 % and 98 % of the published start; nan where none is published
        of this variable.
    slope : float
        phi' at the median of the start.
    common_steps, own_steps, own_lr : float
        Gradient-descent steps between two time constants, at the sigmoid's own step size and at the decay's own, and
        that; nan where there are none.
    handed : str
        As what the decay is handed to the recurrence: ``a`` or ``log a``.
    longest : dict of str to float
        The longest time constant in steps that this holds short of for ever, by float format.
    input, input_slope : str
        The factor of the input, and its derivative where a comes to 1.
    """

    model: str
    gate: str
    z: str
    membership: str
    against_sigmoid: str
    against_fast: str
    start: tuple[float, ...]
    slope: float
    common_steps: float
    own_steps: float
    own_lr: float
    handed: str
    longest: dict[str, float]
    input: str
    input_slope: str


@dataclass(frozen=True)
class DecayTable:
    """Decays of published models, a row each, and one more for each further variable that they are gates of.

    Attributes
    ----------
    timescale, start, lr : float
        The steps are from a time constant to another, the common ones at this step size, the sigmoid's own.
    rows : tuple of DecayRow
    """

    timescale: float
    start: float
    lr: float
    rows: tuple[DecayRow, ...]

    def to_json(self) -> dict[str, Any]:
        """Everything as plain data."""
        return {**vars(self), "rows": [vars(row) for row in self.rows]}


def decays(names: Iterable[str] | None = None, *, timescale: float = 100.0, start: float = 20.0) -> DecayTable:
    """The decays of published models side by side.

    Parameters
    ----------
    names : iterable of str, optional
        Models; by default all of :data:`gateflow.gates.published.DECAYS`.
    timescale, start : float
        Gradient descent goes from the time constant ``start`` to ``timescale``, within 5 %, in steps of the recurrence.

    Raises
    ------
    UnknownName
        No such model.
    InvalidArgument
        A number is out of range.

    Examples
    --------
    >>> table = decays(["lru", "retnet"])
    >>> [(row.model, row.membership, row.against_fast) for row in table.rows]
    [('lru', 'in F', 'lower'), ('retnet', 'not learned', '')]
    """
    models = {DECAYS.spelled(name): DECAYS[name] for name in (DECAYS if names is None else items("names", names))}
    lr = recommend(timescale, start=start, gates=["sigmoid"], dtype="float64").advice[0].own_lr
    rows = (row for name, model in models.items() for row in _rows(name, model, timescale, start, lr))
    return DecayTable(timescale, start, lr, tuple(rows))


def longest(handed: str, form: Format) -> float:
    """The longest finite time constant that a float format holds, the decay given as ``a`` or as ``log a``.

    Examples
    --------
    >>> f"{longest('a', FORMATS['bfloat16']):.4g}", f"{longest('log a', FORMATS['bfloat16']):.4g}"
    ('255.5', '8.507e+37')
    """
    return float(-1 / np.log1p(-form.unit)) if handed == "a" else 2.0**-form.lowest


def times_at_start(name: str, p: Any) -> np.ndarray:
    """Time constants in steps at quantiles of a model's published start.

    Examples
    --------
    >>> times_at_start("mamba", [0.0, 0.5, 1.0]).round(6)
    array([  10.,  100., 1000.])
    """
    model, at = DECAYS[name], DECAYS[name].start_at(p)
    return np.asarray(-1 / (as_gate(name).log_phi(at) if model.gate else np.log(at)))


def _rows(name: str, model: Published, timescale: float, start: float, lr: float) -> Iterator[DecayRow]:
    shared = {
        "handed": model.handed,
        "longest": {form: longest(model.handed, FORMATS[form]) for form in ("float32", "bfloat16")},
        "input": model.input,
        "input_slope": str(model.input_slope),
    }
    times = tuple(map(float, times_at_start(name, QUANTILES)))
    nothing = {"slope": np.nan, "common_steps": np.nan, "own_steps": np.nan, "own_lr": np.nan}
    if not model.gate:
        verdicts = {"membership": "not learned", "against_sigmoid": "", "against_fast": ""}
        yield DecayRow(name, model.starts, "", **verdicts, start=times, **nothing, **shared)
        return
    facts = (
        nothing
        | _proved(name)
        | _steps(name, timescale, start, lr)
        | {"slope": float(as_gate(name).dphi(model.start_at(0.5)))}
    )
    yield DecayRow(name, model.gate, model.z, start=times, **facts, **shared)
    for other in model.also:
        facts = nothing | _proved(other.gate) | _steps(other.gate, timescale, start, lr)
        yield DecayRow(name, other.gate, other.z, start=(np.nan,) * 3, **facts, **shared)


def _proved(text: str) -> dict[str, str]:
    gate = as_gate(text)
    found = membership(gate).verdict
    against = [order(gate, other).verdict if found.startswith("in F") else "" for other in REFERENCES]
    return {"membership": found, "against_sigmoid": against[0], "against_fast": against[1]}


def _steps(text: str, timescale: float, start: float, lr: float) -> dict[str, float]:
    """Steps at the common step size and at one's own; none where the gate does not have both values."""
    try:
        (advice,) = recommend(timescale, start=start, gates=[text], lr=lr, dtype="float64").advice
    except GateflowError:
        return {}
    if not np.isfinite([advice.bias, advice.target]).all():
        return {}
    return {"common_steps": advice.steps, "own_steps": advice.own_steps, "own_lr": advice.own_lr}
