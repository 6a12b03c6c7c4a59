"""Trajectories: the gradient flow from a start, by inversion of the exact integral or by a stiff solver."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from gateflow.errors import InvalidArgument, NotReached
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.density import Array, Position, WholePath
from gateflow.flows.panels import EPS
from gateflow.flows.path import Path, followed_further, path_of, resting_path
from gateflow.flows.problem import LearningProblem, plain, starts
from gateflow.flows.solvers import METHODS
from gateflow.flows.time import hitting_time, hitting_times
from gateflow.guards.arguments import ABOVE_0, BELOW_1, IN_UNIT, RTOL, number, one
from gateflow.losses import log_distance
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended, Tabulated

if TYPE_CHECKING:
    from gateflow.flows.plane import PlanarTrajectory

PANELS = 4096
"""Panels of the integral a trajectory is held against, at first, at most."""
CHUNK = 8192
"""Times at which a trajectory is evaluated together."""
CLOSE = 1e-12
"""Relative tolerance of the decay at which the flow of a smooth loss is left off by default."""
FARTHEST = 1e7
"""How far a path without an end is followed in log h before a given learning time is held to be out of reach."""


@by_value
@dataclass(frozen=True)
class State(Tabulated, columns=("tau", "z", "loss", "log_gap"), plots=("tau", ["z"]), scales=("symlog", "linear")):
    """The flow at given learning times; scalars or arrays of one shape."""

    tau: Any
    z: Any
    loss: Any
    log_gap: Any


@by_value
@dataclass(frozen=True)
class Trajectory(
    Ended, columns=("tau", "log_tau", "z", "loss", "log_gap"), plots=("tau", ["z"]), scales=("symlog", "linear")
):
    """A gradient flow ``dz/dtau = -dL/dz`` from ``z0``.

    Parameters
    ----------
    problem : LearningProblem
        What is learned.
    z0 : float
        Where it starts.
    method : str
        How it was found.
    tau, log_tau : array
        Learning times of the nodes, from 0, and their logarithms, which do not overflow.
    z, loss : array
        Position and loss there.
    log_gap : array
        ``log |h - h*|`` there, the distance still to go in the total decay; ``-inf`` on the target.
    status : Status
        How the flow ends.
    evaluations : int
        Evaluations of the density.
    check : float
        Relative difference between the last time the method found and the integral for the same path.
    rtol, atol : float
        Tolerances asked for; the exact method works to the last digit whatever they are.
    """

    problem: LearningProblem
    z0: float
    method: str
    tau: Array
    log_tau: Array
    z: Array
    loss: Array
    log_gap: Array
    status: Status
    evaluations: int
    check: float
    rtol: float
    atol: float
    _path: Path = field(repr=False, compare=False)
    _invert: Callable[[Array], Array] = field(repr=False, compare=False)
    _last: float = field(repr=False, compare=False)

    def at(self, tau: Any = None, *, log_tau: Any = None) -> State:
        """The flow at any learning time from 0 to the end of the trajectory.

        Parameters
        ----------
        tau : float or array
            Learning times, at least 0. Past the arrival the flow rests on the target.
        log_tau : float or array, in place of tau
            Their logarithms, for times that overflow.

        Raises
        ------
        InvalidArgument
            A time is negative, not a number, or past the end of a trajectory that has not arrived.

        Examples
        --------
        >>> path = follow(LearningProblem("sigmoid", horizon=1, gap=0.01), 0.0)
        >>> z = path.at(50.0).z
        >>> bool(abs(np.exp(z) + 2 * z - np.exp(-z) - 50) < 1e-11)
        True
        """
        tau, wanted = learning_times(tau, log_tau)
        rests = self.status in (Status.REACHED, Status.STUCK) and self.z[-1] == self._path.z_end
        if not rests:
            refuse_later(self, wanted)
        v = self._coordinates(wanted.reshape(-1)).reshape(wanted.shape)
        return _state(self._path, tau, v)

    def _coordinates(self, wanted: Array) -> Array:
        v = np.empty(wanted.shape)
        for begin in range(0, wanted.size, CHUNK):
            part = slice(begin, begin + CHUNK)
            v[part] = self._invert(wanted[part])
        v = np.where(np.isneginf(wanted), self._path.start, v)
        return np.where(wanted >= self._last, self._path.end, v)

    def __repr__(self) -> str:
        end = f"tau = {self.tau[-1]:.10g}" if np.isfinite(self.tau[-1]) else f"tau = exp({self.log_tau[-1]:.10g})"
        tolerance = "to the last digit" if self.method == "exact" else f"rtol {self.rtol:g}"
        return (
            f"<Trajectory of {self.problem.gate.name} from z = {self.z0:g} to z = {self.z[-1]:.10g} at {end}: "
            f"{self.status.sentence}; by {self.method}, {tolerance}, {self.evaluations} evaluations, "
            f"{self.check:.1g} off the integral>"
        )

    def _repr_html_(self) -> str:
        about = [
            ("status", self.status.sentence),
            ("z", f"{self.z0:g} to {self.z[-1]:.10g}"),
            ("log tau", f"{self.log_tau[-1]:.10g}"),
            ("method", "exact, to the last digit" if self.method == "exact" else f"{self.method}, rtol {self.rtol:g}"),
            ("off the integral", f"{self.check:.1g}"),
            ("evaluations", self.evaluations),
        ]
        with np.errstate(all="ignore"):
            loss = np.log10(self.loss)
        picture = cards.curve(self.log_tau, loss, label="Loss along the flow", across="log tau", up="log10 loss")
        return cards.framed(f"Trajectory of {self.problem.gate.name}", cards.facts(about), picture=picture)


def learning_times(tau: Any, log_tau: Any) -> tuple[Array, Array]:
    """Learning times and their logarithms, of which one is given.

    Raises
    ------
    InvalidArgument
        Both are given or none, or a time is negative or not a number.
    """
    if (tau is None) == (log_tau is None):
        raise InvalidArgument("give exactly one of tau, log_tau")
    with np.errstate(divide="ignore", over="ignore", under="ignore"):
        if tau is not None:
            tau = np.asarray(number("tau", tau, lambda v: v >= 0, "at least 0"))
            return tau, np.log(tau)
        wanted = np.asarray(number("log_tau", log_tau, lambda v: ~np.isnan(v), "a number"))
        return np.exp(wanted), wanted


def refuse_later(path: Trajectory | PlanarTrajectory, log_tau: Array) -> None:
    """Complain of a learning time past the end of a trajectory that would go on from there."""
    last = path.log_tau[-1]
    if np.any(log_tau > last + 1e-14 * (1 + abs(last))):
        raise InvalidArgument(f"tau must be at most {path.tau[-1]:g}, the end of this trajectory; see tau_max")


def follow(
    problem: LearningProblem,
    z0: float,
    *,
    tau_max: float | None = None,
    tolerance: float | None = None,
    method: str = "exact",
    rtol: float = 1e-10,
    atol: float = 1e-14,
) -> Trajectory:
    """The flow of one problem from one start: see :func:`gateflow.flows.flow`, which takes arrays too."""
    z0, tau_max = _checked(problem, z0, tau_max, rtol, atol)
    tolerance = left_off(problem, tolerance)
    solve = METHODS[method]
    name = method.strip().lower().replace("_", "-")
    found = hitting_time(problem, z0, tolerance=tolerance)
    if found.status in (Status.OVERFLOW, Status.OUTSIDE, Status.UNRESOLVED):
        raise NotReached(f"the flow from z0 = {z0:g} cannot be followed: {found.status.sentence}")
    if found.status is Status.REACHED and not np.isfinite(problem.z_star):
        raise NotReached(f"the flow from z0 = {z0:g} cannot be followed: {Status.OVERFLOW.sentence}")
    rests = found.log_tau == -np.inf or abs(z0 - problem.z_star) <= 4 * EPS * abs(z0)
    path = resting_path(problem, z0) if rests else path_of(problem, z0, found.status, tolerance)
    path, solved, spent = followed(path, solve, rtol, atol, tau_max)
    log_end = np.inf if tau_max is None else float(np.log(tau_max))
    last = float(solved.log_tau[-1])
    v, log_tau, status = solved.v, solved.log_tau, path.status
    if log_end < last:
        keep = log_tau < log_end
        v = np.append(v[keep], solved.invert(np.array([log_end])))
        log_tau = np.append(log_tau[keep], log_end)
        status = Status.TIME_LIMIT if status is Status.REACHED else status
    with np.errstate(over="ignore", under="ignore"):
        state = _state(path, np.exp(log_tau), v)
    check = _check(path, last, found)
    if name == "exact" and (check >= 1 or np.isnan(last)):
        raise NotReached(
            f"the flow from z0 = {z0:g} cannot be followed: floats along it do not tell one digit of its time"
        )
    return Trajectory(
        problem, z0, name, state.tau, log_tau, state.z, state.loss, state.log_gap, status, spent, check, rtol, atol,
        path, solved.invert, last,
    )  # fmt: skip


def left_off(problem: LearningProblem, tolerance: Any) -> float | None:
    """Where to leave off a flow that does not arrive; None for one that does."""
    if problem.loss.arrives:
        if tolerance is not None:
            raise InvalidArgument(f"the flow of the {problem.loss.name} loss arrives; it needs no tolerance")
        return None
    wanted = CLOSE if tolerance is None else tolerance
    return one("tolerance", wanted, *IN_UNIT)


def _checked(problem: LearningProblem, z0: Any, tau_max: Any, rtol: Any, atol: Any) -> tuple[float, float | None]:
    z0 = starts(problem.gate, z0)
    if problem.shape_with(z0=z0):
        raise InvalidArgument("a trajectory is of one problem and one start; flow takes arrays")
    number("rtol", rtol, *RTOL)
    number("atol", atol, *BELOW_1)
    if tau_max is not None:
        tau_max = one("tau_max", tau_max, *ABOVE_0)
    return float(z0), tau_max


class Timed(Protocol):
    """What a method finds, as far as it matters here how far it has come."""

    @property
    def log_tau(self) -> Array: ...

    @property
    def evaluations(self) -> int: ...


Found = TypeVar("Found", bound=Timed)


def followed(
    path: Path, solve: Callable[[Path, float, float], Found], rtol: float, atol: float, tau_max: float | None
) -> tuple[Path, Found, int]:
    """The path solved; one without an end is followed further until it takes ``tau_max``."""
    solved = solve(path, rtol, atol)
    spent, units = solved.evaluations, 64.0
    if tau_max is None or path.status is Status.REACHED or path.start == path.end:
        return path, solved, spent
    while solved.log_tau[-1] < np.log(tau_max) and units < FARTHEST:
        longer = followed_further(path, units)
        if longer.end == path.end:
            break
        path, units = longer, 2 * units
        solved = solve(path, rtol, atol)
        spent += solved.evaluations
    return path, solved, spent


def _state(path: Path, tau: Any, v: Array) -> State:
    problem = path.problem
    decay = path.decay(v)
    at_end = (v == path.end) & (path.status is Status.REACHED)
    goal = problem.target_decay
    with np.errstate(all="ignore"):
        log_gap = np.where(at_end, -np.inf, log_distance(decay, goal))
        loss = np.where(at_end, 0.0, problem.scale * problem.loss.value(decay, goal))
    return State(*(plain(_of_shape(part, v.shape)) for part in (tau, path.position(v), loss, log_gap)))


def _of_shape(part: Any, shape: tuple[int, ...]) -> Any:
    """A number for all, or one for each, as an array of that shape."""
    part = np.asarray(part)
    whole = part.reshape(shape) if part.size == np.prod(shape, dtype=int) else np.broadcast_to(part, shape)
    return np.array(whole)


def _check(path: Path, log_tau: float, found: Any) -> float:
    """How far the time over the whole path is from the integral over it."""
    if path.start == path.end:
        return 0.0
    if path.status is Status.REACHED:
        log_integral = found.log_tau
    elif type(path.coordinate) in (WholePath, Position):
        found = hitting_times(ProblemBatch.of(path.problem, path.z0, stop=path.decay(np.asarray([path.end]))))
        log_integral = found.log_tau[0]
    else:
        edges = np.linspace(path.start, path.end, 1 + min(PANELS, max(8, int(abs(path.end - path.start) / 4))))
        log_integral = path.log_time(edges)
    return float(abs(np.expm1(log_tau - log_integral)))
