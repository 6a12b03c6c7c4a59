"""Rung 3, unit by unit: how well the flow, and a constant speed, go on with the path that a unit has begun.

A unit of a network has a loss of its own that nobody wrote down. The flow says only how its mean pre-activation
moves: ``dz/dn = c_k T phi^(T-1) phi'`` (theory.md, eq. 15), with the horizon T of the task and one number ``c_k``. That
number is measured from the first part of the unit's path, so that what is left of the path is a prediction. Beside it
stand two laws that know nothing of the gate: a constant speed in z, as of an optimiser whose step does not shrink with
the gradient (T7, theory.md §5), and a unit that stays where it was.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.flows.trajectories import flow
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.results.byvalue import by_value
from gateflow.study.agreement import rank_correlation

BEGINNING = 1 / 3
"""Part of a run's steps from which c_k is measured."""

LAWS = ("flow", "constant speed", "still")

UP, DOWN = 1e-15, 1e4
"""Targets out of reach: the gap of those that rise, the total decay of those that fall."""


@by_value
@dataclass(frozen=True)
class Units:
    """The units of a run at its end, beside what each law says.

    Parameters
    ----------
    steps : tuple of int
        Where the laws begin to predict, and the last evaluation.
    measured : array, shape (units,)
        Time constants at the end, in steps.
    predicted : dict of str to array, shape (units,)
        By law; nan where the law has no number.
    soon : array, shape (units,)
        Steps until a unit had the time scale it was followed to; infinite where it had not.
    predicted_soon : array, shape (units,)
        The same by the flow.
    """

    steps: tuple[int, int]
    measured: np.ndarray
    predicted: dict[str, np.ndarray]
    soon: np.ndarray
    predicted_soon: np.ndarray

    def errors(self) -> dict[str, float]:
        """Median size of the error in log time constant of each law, over the units of which all laws speak."""
        logs = {law: np.abs(np.log(constants / self.measured)) for law, constants in self.predicted.items()}
        spoken = np.isfinite(list(logs.values())).all(axis=0)
        return {law: float(np.median(size[spoken])) if spoken.any() else math.nan for law, size in logs.items()}

    def rank(self) -> float:
        """Rank correlation of the steps to the time scale, measured and by the flow; who never arrives comes last."""
        known = ~np.isnan(self.predicted_soon)
        if known.sum() < 3:
            return math.nan
        return rank_correlation(self.soon[known], self.predicted_soon[known])


def units(metrics: list[dict[str, Any]], gate: str | Gate, horizon: float, *, layer: int = 0) -> Units:
    """The units of one layer of a run that recorded them.

    Parameters
    ----------
    metrics : list of dict
        The lines of the run's ``metrics.jsonl``, recorded with ``record_units``.
    gate : str or Gate
        The forget gate.
    horizon : float
        T, the steps over which the task asks to remember.
    layer : int

    Raises
    ------
    InvalidArgument
        The run recorded no units, or too few evaluations.

    Examples
    --------
    >>> def line(z):  # a sigmoid unit with T = 1: e^z + 2z - e^-z = n
    ...     unit = {"z": [z], "timescale": [1 / math.log1p(math.exp(-z))]}
    ...     return {"kind": "gates", "step": math.exp(z) + 2 * z - math.exp(-z), "layers": [{"units": unit}]}
    >>> found = units([line(z) for z in (0.0, 1.0, 2.0, 3.0)], "sigmoid", 1)
    >>> {law: round(error, 3) for law, error in found.errors().items()}
    {'flow': 0.0, 'constant speed': ..., 'still': ...}
    """
    lines = [line for line in metrics if line["kind"] == "gates" and "units" in line["layers"][layer]]
    if len(lines) < 4:
        raise InvalidArgument(f"units need 4 evaluations with record_units; this run has {len(lines)}")
    at = np.array([line["step"] for line in lines], dtype=float)
    z = np.array([line["layers"][layer]["units"]["z"] for line in lines])
    constants = np.array([line["layers"][layer]["units"]["timescale"] for line in lines])
    made = as_gate(gate)
    early = max(1, int(np.searchsorted(at, at[0] + BEGINNING * (at[-1] - at[0]), side="right")) - 1)
    share = (at[-1] - at[0]) / (at[early] - at[0])
    aim = math.sqrt(max(float(np.median(constants[0])), 1.0) * horizon)
    flowed, soon = _flow(made, horizon, z[0], z[early], share, aim)
    ends = {"flow": flowed, "constant speed": z[0] + (z[early] - z[0]) * share, "still": z[early]}
    there = constants >= aim
    first = np.where(there.any(axis=0), at[there.argmax(axis=0)], np.inf)
    # The mean of log f over inputs is not log f at the mean z: a law says by what factor the constant changes.
    offset = constants[early] / _constants(made, z[early])
    predicted = {law: offset * _constants(made, end) for law, end in ends.items()}
    return Units((int(at[early]), int(at[-1])), constants[-1], predicted, first, soon * (at[early] - at[0]))


def _constants(gate: Gate, z: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore", divide="ignore"):
        return -1 / np.asarray(gate.log_phi(z), dtype=float)


def _flow(
    gate: Gate, horizon: float, z0: np.ndarray, z1: np.ndarray, share: float, aim: float
) -> tuple[np.ndarray, np.ndarray]:
    """Where units that went from z0 to z1 are after ``share`` times as long, and when they had the time constant.

    The second in units of the time from z0 to z1.
    """
    end, soon = z1.copy(), np.where(_constants(gate, z0) >= aim, 0.0, np.inf)
    away = LearningProblem(gate, horizon=horizon, gap=UP), LearningProblem(gate, horizon=horizon, decay=DOWN)
    for moved, beyond in zip((z1 > z0, z1 < z0), away, strict=True):
        if not moved.any():
            continue
        here = LearningProblem(gate, horizon=horizon, decay=horizon / _constants(gate, z1[moved]))
        spent = np.asarray(hitting_time(here, z0[moved]).log_tau)
        path = flow(beyond, z0[moved])
        end[moved] = path.at(log_tau=spent + math.log(share)).z
    late = (z1 > z0) & (soon > 0)
    if late.any():
        here = LearningProblem(gate, horizon=horizon, decay=horizon / _constants(gate, z1[late]))
        there = LearningProblem(gate, horizon=horizon, timescale=aim)
        needed, spent = (np.asarray(hitting_time(each, z0[late]).log_tau) for each in (there, here))
        with np.errstate(over="ignore"):
            soon[late] = np.exp(needed - spent)
    return end, soon
