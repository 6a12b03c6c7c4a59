"""Convergence times, for any number of problems at once: what is asked, and what is answered."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.integral import integrals_of
from gateflow.flows.near import refined
from gateflow.flows.problem import LearningProblem, check_problem, plain, starts
from gateflow.guards.arguments import IN_UNIT, number, one
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.status import BY_CODE, CODE, Status
from gateflow.results.tabulated import Ended


@by_value
@dataclass(frozen=True)
class HittingTime(Ended, columns=("tau", "log_tau", "status", "error", "evaluations"), plots=(None, ["log_tau"])):
    """Learning times from z0 to the target; scalars for one problem, else arrays.

    Parameters
    ----------
    tau : float or array
        The learning time; infinite where the target is never reached, and where it overflows.
    log_tau : float or array
        Its logarithm, finite where tau overflows or underflows; ``-inf`` for a start on the target.
    status : Status or array of Status
        Whether the target is reached, and if not, why; "unresolved" where the error is 1 or more.
    error : float or array
        Estimate of the relative error of tau: quadrature, rounding, and the conditioning of z0 and of the target.
        Also the digits that the gate's own formula loses in float64, as far as samples of it show.
    evaluations : int or array
        Evaluations of the gate.
    backend : {"numpy", "compiled"}
        What computed them; the two differ in the last bits.
    """

    tau: Any
    log_tau: Any
    status: Any
    error: Any
    evaluations: Any
    backend: str = "numpy"

    @property
    def overflowed(self) -> Any:
        """Where tau is finite but past the largest float, so that only ``log_tau`` holds it."""
        return np.isinf(self.tau) & np.isfinite(self.log_tau)

    def at(self, index: int) -> HittingTime:
        """That of one problem."""
        parts = (self.tau, self.log_tau, self.status, self.error, self.evaluations)
        return HittingTime(*(plain(part[index]) for part in parts), backend=self.backend)

    def __repr__(self) -> str:
        if np.ndim(self.tau):
            return f"<HittingTime of {np.size(self.tau)} problems; {cards.counts(self.status)}>"
        size = f"tau = {self.tau:.15g}" if not self.overflowed else f"tau = exp({self.log_tau:.15g})"
        return f"<HittingTime {size} to {self.error:.1g}; {self.status.sentence}>"

    def _repr_html_(self) -> str:
        many = np.ndim(self.tau) > 0
        about = [
            ("status", cards.counts(self.status) if many else self.status.sentence),
            ("tau", "overflows" if np.all(self.overflowed) else cards.number(self.tau, 15)),
            ("log tau", cards.number(self.log_tau, 15)),
            ("relative error", cards.number(self.error, 2)),
            ("evaluations", cards.number(self.evaluations)),
        ]
        title = f"Learning times of {np.size(self.tau)} problems" if many else "Learning time"
        return cards.framed(title, cards.facts(about), picture=self._curve())

    def _curve(self) -> Any:
        """log tau of problems in a row, in their order."""
        if np.ndim(self.tau) != 1:
            return None
        return cards.curve(np.arange(np.size(self.tau)), self.log_tau, label="Times", across="problem", up="log tau")


def hitting_time(
    problem: LearningProblem,
    z0: Any,
    *,
    tolerance: Any = None,
    tau_max: float | None = None,
    backend: str | None = None,
) -> HittingTime:
    """The learning time the flow takes from ``z0`` to the target (theory.md §4).

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays.
    z0 : float or array
        Where learning starts, on either side of the target; broadcast against the problem.
    tolerance : float or array, optional
        Stop where ``|h - h*| <= tolerance h*``, with ``h = -T log phi``: the time scale is then right to that relative
        tolerance. Losses that are smooth at their least value never arrive and need one, in (0, 1).
    tau_max : float, optional
        Stop at this learning time; arrivals past it get the status "time limit".
    backend : {"auto", "numpy", "compiled"}, optional
        "compiled" is a kernel in C, made from the gate's formula on its first use on a machine, some five times as fast
        as NumPy where the profile has a closed inverse and a hundred times where it has none. "auto" takes it for many
        problems, where there is a compiler. By default ``GATEFLOW_BACKEND`` in the environment, where "compiled" is a
        wish for few problems too, else "auto".

    Raises
    ------
    InvalidArgument
        z0 is not a finite number, a tolerance is missing or out of range, tau_max is not above 0, or the gate is none.
    NoCompiler
        "compiled" is asked for and cannot be had: no compiler, a gate without a form in C, or a loss other than the
        absolute one.

    Examples
    --------
    Sigmoid with T = 1 has the closed form e^z + 2z - e^-z = c tau + const.

    >>> problem = LearningProblem("sigmoid", horizon=1, gap=0.01)
    >>> time = hitting_time(problem, 0.0)
    >>> z = problem.z_star
    >>> bool(abs(time.tau / (np.exp(z) + 2 * z - np.exp(-z)) - 1) < 1e-13)
    True
    >>> hitting_time(LearningProblem("fast", horizon=1e6, gap=1e-12), [-50.0, 0.0, 3.0]).status.tolist()
    [<Status.REACHED: 'reached'>, <Status.REACHED: 'reached'>, <Status.REACHED: 'reached'>]
    """
    check_problem("hitting_time", problem)
    if tau_max is not None:
        tau_max = one("tau_max", tau_max, lambda v: v > 0, "above 0")
    if tolerance is not None:
        tolerance = number("tolerance", tolerance, *IN_UNIT)
    z0 = starts(problem.gate, z0)
    problem.shape_with(z0=z0, **({} if tolerance is None else {"tolerance": tolerance}))
    found = hitting_times(ProblemBatch.of(problem, z0, tolerance=tolerance), tau_max=tau_max, backend=backend)
    return finished(problem, z0, found) if tolerance is None else _with_unresolved(found)


def finished(problem: LearningProblem, z0: Any, found: HittingTime) -> HittingTime:
    """What :func:`hitting_times` has found of a problem, as :func:`hitting_time` gives it.

    Starts so near the target that float64 loses the way between are put right, and times of which nothing is known are
    called so.
    """
    return _with_unresolved(refined(problem, z0, found))


def _with_unresolved(found: HittingTime) -> HittingTime:
    """The same, with arrivals of whose time not one digit is known called so; the claimed errors stay.

    Of times far beyond any float the logarithm is the answer: it is known where six digits of it are.
    """
    timed = np.isin(np.asarray(found.status, dtype=object), (Status.REACHED, Status.TIME_LIMIT))
    allowed = np.maximum(1.0, 1e-6 * np.abs(found.log_tau))
    unknown = timed & np.isfinite(found.log_tau) & ~(np.asarray(found.error) < allowed)
    if not unknown.any():
        return found
    status = np.array(found.status, dtype=object)
    status[unknown] = Status.UNRESOLVED
    return replace(found, status=status[()])


def hitting_times(batch: ProblemBatch, *, tau_max: float | None = None, backend: str | None = None) -> HittingTime:
    """The kernel of :func:`hitting_time`: nothing is checked but that the flow ends.

    Raises
    ------
    InvalidArgument
        The loss is smooth at its least value, and the batch has no other end.
    """
    gate, loss = batch.gate, batch.loss
    if not loss.arrives and batch.tolerance is None and batch.stop is batch.target:
        raise InvalidArgument(
            f"the {loss.name} loss is smooth at its least value, so its flow never arrives there: give a tolerance"
        )
    (log_tau, code, error, evaluations), name = integrals_of(gate, loss).times(batch, backend)
    with np.errstate(all="ignore"):
        tau = np.exp(log_tau)
    if tau_max is not None:
        code[(code == CODE[Status.REACHED]) & (tau > tau_max)] = CODE[Status.TIME_LIMIT]
    status = np.array(BY_CODE, dtype=object)[code].reshape(batch.shape)
    results = [plain(array.reshape(batch.shape)) for array in (tau, log_tau, error, evaluations)]
    return HittingTime(results[0], results[1], status[()], results[2], results[3], name)
