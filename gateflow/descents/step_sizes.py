"""The largest step size that a target allows, and the steps taken with it: each gate at a step size of its own.

By theory.md §6, T8, a gate of higher order of saturation needs *more* steps from below, at a step size of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.descents.optimizers import Optimizer
from gateflow.descents.simulation import MOST, optimizer_named, steps_to_stay
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.density import decay_of_profile
from gateflow.flows.problem import LearningProblem, check_problem, positions
from gateflow.flows.sampled_path import Band, sampled_path
from gateflow.guards.arguments import IN_UNIT, number, together, whole
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.tabulated import Tabulated

TOLERANCE = 0.05
"""Relative error of the time scale that counts as arrived."""


COLUMNS = ("z0", "tolerance", "lr", "set_by", "by_target", "steps", "by_integral", "log_by_integral")
"""Columns of step sizes as a table."""


@by_value
@dataclass(frozen=True)
class StepSize(
    Tabulated,
    columns=COLUMNS,
    plots=("lr", ["steps", "by_integral"]),
):
    """Step sizes and steps of many problems; scalars for one, else arrays of one shape.

    Parameters
    ----------
    problem : LearningProblem
    z0 : float or array
        Where learning starts.
    tolerance : float or array
        Relative error of the time scale that counts as arrived.
    optimizer : Optimizer
    lr : float or array
        The largest admissible step size; nan where the target is at no finite z.
    set_by : str or array
        "target" where the chatter at the target sets it, "way" where a larger one might run through the target.
    by_target : bool or array
        Whether theory.md §6, T8 applies: the target sets it, and steps along the gradient are small enough,
        ``lr L'' <= (1 - sqrt(beta))^2``. Of Adam and RMSprop T8 speaks in the limit of small steps only.
    steps : float or array
        Steps until the time scale is within the tolerance and stays there, by simulation with ``lr``; infinite where
        that never comes, nan where the integral predicts more steps than are simulated.
    by_integral : float or array
        The same in the limit of small steps, by the integral of theory.md §6, T8; infinite past the floats.
    log_by_integral : float or array
        Its logarithm, which is known there too.
    """

    problem: LearningProblem
    z0: Any
    tolerance: Any
    optimizer: Optimizer
    lr: Any
    set_by: Any
    by_target: Any
    steps: Any
    by_integral: Any
    log_by_integral: Any

    def __repr__(self) -> str:
        name = type(self.optimizer).__name__
        if np.ndim(self.lr):
            return f"<StepSize of {np.size(self.lr)} problems by {name}>"
        by_integral = cards.exponential(self.log_by_integral, 4)
        return f"<StepSize {self.lr:.4g} by {name}: {self.steps:g} steps, {by_integral} by the integral>"

    def _repr_html_(self) -> str:
        about = [
            ("problem", repr(self.problem)),
            ("largest step size", cards.number(self.lr)),
            ("steps, simulated", cards.number(self.steps)),
            ("steps by the integral", cards.exponential(self.log_by_integral)),
        ]
        return cards.framed(f"A step size of its own, {type(self.optimizer).__name__}", cards.facts(about))


def step_size(
    problem: LearningProblem,
    z0: Any,
    tolerance: Any = TOLERANCE,
    optimizer: str | Optimizer = "sgd",
    *,
    most: int = MOST,
    **hyper: float,
) -> StepSize:
    """The largest admissible step size, and the steps that learning takes with it.

    A step size is admissible where the chatter at the target keeps the time scale within the tolerance, and where no
    step on the way runs through the target. For a loss that is smooth at its least value it is, to first order, half
    the edge of stability ``2/L''``.

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays.
    z0 : float or array
        Where learning starts.
    tolerance : float or array
        Relative error of the time scale that counts as arrived, in (0, 1): ``|h - h*| <= tolerance h*``.
    optimizer : str or Optimizer
        As in :func:`gateflow.descents.simulation.descent`, with ``hyper``.
    most : int
        Steps simulated, at most; where more are predicted, there is the integral only.
    **hyper : float
        Hyperparameters of an optimiser given by its name: ``beta``; ``beta1``, ``beta2``, ``eps``; or ``alpha``.

    Raises
    ------
    InvalidArgument
        A number is out of range.
    UnknownName
        No such optimiser.

    Examples
    --------
    From a time constant of 20 to one of 100 the sigmoid needs fewer steps than the fast gate, each at its own
    step size.

    >>> for name, z0 in (("sigmoid", 2.97), ("fast", 1.81)):
    ...     own = step_size(LearningProblem(name, horizon=100, timescale=100), z0)
    ...     print(f"{own.lr:.3g} {own.steps:g} {own.by_integral:.4g}")
    0.134 88 86.58
    0.00602 156 154.2
    """
    check_problem("step_size", problem)
    z0 = positions(z0, "z0")
    tolerance = number("tolerance", tolerance, *IN_UNIT)
    most = min(whole("most", most), 10**12)
    chosen = optimizer_named(optimizer, hyper)
    shape = together(
        horizon=problem.horizon, target=problem.target.value, scale=problem.scale, z0=z0, tolerance=tolerance
    )
    batch = ProblemBatch.towards(problem, z0, shape)
    with np.errstate(all="ignore"):
        band = Band.of(batch, np.array(np.broadcast_to(tolerance, shape)).reshape(-1))
        end = decay_of_profile(batch.horizon, batch.log_horizon, batch.float64.u(band.near))
        path = sampled_path(batch, end)
        lr = np.where(np.isfinite(batch.z_star), chosen.admissible_lr(path, band), np.nan)
        largest = (1 - np.sqrt(getattr(chosen, "beta", 0.0))) ** 2 / path.sharpest
        at_target = lr >= chosen.chatter_lr(band)
        by_target = at_target & (chosen.is_sign_like | (lr <= largest))
        log_way = chosen.log_way(path.log_tau, np.abs(band.near - batch.z0))
        log_by_integral = np.where(band.holds(batch.z0), -np.inf, log_way) - np.log(lr)
        log_by_integral = np.where(np.isinf(lr), np.nan, log_by_integral)
        by_integral = np.exp(log_by_integral)
        can = by_integral <= most
        bounded = np.where(can, np.minimum(2 * by_integral + 1000, 2 * most), 0).astype(np.int64)
        steps = steps_to_stay(batch, chosen, np.where(can, lr, np.nan), band, bounded)
        steps = np.where(can, steps, np.where(np.isfinite(log_by_integral), np.nan, np.inf))
    set_by = np.where(at_target, "target", "way").astype(object)
    found = (lr, set_by, by_target, steps, by_integral, log_by_integral)
    results = (array.reshape(shape)[()] for array in found)
    return StepSize(problem, z0, tolerance, chosen, *results)
