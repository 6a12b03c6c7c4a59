"""Following a planar flow: its trajectory, the state at given learning times, its portrait."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument, shown
from gateflow.flows.density import Array
from gateflow.flows.plane._contract import Leg, Plane, Tolerances, TurningPoint
from gateflow.flows.plane._march import solver
from gateflow.flows.problem import plain
from gateflow.flows.trajectory import learning_times, refuse_later
from gateflow.guards.arguments import ABOVE_0, BELOW_1, RTOL, one, whole
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended, Tabulated


class _Named:
    """Points whose two numbers can be asked for by the names of the plane's parameters."""

    problem: Plane
    points: Array

    def __getattr__(self, name: str) -> Any:
        names = () if name.startswith("_") or name == "problem" else self.problem.names
        if name in names:
            return plain(self.points[..., names.index(name)])
        raise AttributeError(f"{type(self).__name__} has no {name!r}; the parameters are {' and '.join(names)}")


PLACES = {
    "points": lambda found: dict(zip(found.problem.names, np.moveaxis(found.points, -1, 0), strict=True)),
    "loss": "loss",
}
"""Columns of points of the plane as a table, the parameters by their names."""


def _way(found: _Named) -> tuple[str, list[str]]:
    across, up = found.problem.names
    return across, [up]


@by_value
@dataclass(frozen=True)
class PlanarState(_Named, Tabulated, columns={"tau": "tau", **PLACES}, plots=_way):
    """A planar flow at given learning times; its parameters by their names, such as ``state.z``."""

    problem: Plane
    tau: Any
    points: Array
    loss: Any
    phi: Any


@by_value
@dataclass(frozen=True)
class PlanarTrajectory(_Named, Ended, columns={"tau": "tau", "log_tau": "log_tau", **PLACES}, plots=_way):
    """A planar gradient flow; its parameters by their names, such as ``path.z`` and ``path.w``.

    Parameters
    ----------
    problem : Plane
        What is learned.
    start : tuple of float
        Where it starts.
    tau, log_tau : array, shape (nodes,)
        Learning times, from 0, and their logarithms, which do not overflow.
    points : array, shape (nodes, 2)
        The parameters there.
    loss : array, shape (nodes,)
        The loss there.
    phi : array, shape (nodes,) or (nodes, samples)
        The value of the gate there.
    status : Status
        How the flow ends.
    turns : tuple of TurningPoint
        Where it met kinks, and what it did.
    evaluations : int
        Evaluations of the force.
    check : float
        How far the solver is off an independent measure; see the problem's ``solve``.
    settings : Tolerances
        How it was followed.
    """

    problem: Plane
    start: tuple[float, float]
    tau: Array
    log_tau: Array
    points: Array
    loss: Array
    phi: Array
    status: Status
    turns: tuple[TurningPoint, ...]
    evaluations: int
    check: float
    settings: Tolerances
    _legs: tuple[Leg, ...] = field(repr=False, compare=False)
    _begins: Array = field(repr=False, compare=False)

    def __reduce__(self) -> tuple[Any, ...]:
        return _followed, (self.problem, self.start, self.settings)  # its legs are functions, which are found anew

    @property
    def rests(self) -> bool:
        """Whether the flow has come to rest at the end."""
        return self.status in (Status.REACHED, Status.BALANCED)

    def at(self, tau: Any = None, *, log_tau: Any = None) -> PlanarState:
        """The flow at any learning time from 0 to the end of the trajectory; past it, where the flow rests.

        Parameters
        ----------
        tau : float or array
            Learning times, at least 0.
        log_tau : float or array, in place of tau
            Their logarithms, for times that overflow.

        Raises
        ------
        InvalidArgument
            A time is negative, not a number, or past the end of a trajectory that has not come to rest.

        Examples
        --------
        >>> from gateflow.flows.plane import RefineProblem, flow
        >>> path = flow(RefineProblem(horizon=10, gap=1e-3), (0.0, 0.0))
        >>> print(path.at([0.0, path.tau[-1]]).loss)
        [0.99802344 0.        ]
        """
        tau, wanted = learning_times(tau, log_tau)
        if not self.rests:
            refuse_later(self, wanted)
        points, loss = self._states(wanted.reshape(-1))
        points = points.reshape(*tau.shape, 2)
        phi = self.problem.phi(points[..., 0], points[..., 1])
        return PlanarState(self.problem, plain(tau), points, plain(loss.reshape(tau.shape)), phi)

    def along(self, count: int = 200) -> Array:
        """Points from start to end, equally many on each leg, evenly spaced in the parameter it was followed in.

        They do not depend on the steps that the solver took, and show the way off a plateau, which no time resolves.
        """
        count = whole("count", count, 2)
        return np.concatenate([leg.points(np.linspace(leg.q[0], leg.q[-1], count)) for leg in self._legs])

    def _states(self, log_tau: Array) -> tuple[Array, Array]:
        points = np.broadcast_to(self.points[-1], (log_tau.size, 2)).copy()
        loss = np.full(log_tau.shape, self.loss[-1])
        owner = np.searchsorted(self._begins, log_tau, side="right") - 1
        for k, leg in enumerate(self._legs):
            mine = (owner == k) & (log_tau < self.log_tau[-1])
            if mine.any():
                local = _less(log_tau[mine], self._begins[k])
                q = np.where(np.isneginf(local), leg.q[0], leg.invert(np.minimum(local, leg.log_tau[-1])))
                points[mine], loss[mine] = leg.points(q), leg.loss(q)
        return points, loss

    def __repr__(self) -> str:
        end = f"tau = {self.tau[-1]:.10g}" if np.isfinite(self.tau[-1]) else f"tau = exp({self.log_tau[-1]:.10g})"
        first, last = (f"({a:.8g}, {b:.8g})" for a, b in self.points[[0, -1]])
        return (
            f"<PlanarTrajectory of {self.problem!r} in ({', '.join(self.problem.names)}) from {first} to {last} at "
            f"{end}: {self.status.sentence}; by {self.settings.method}, rtol {self.settings.rtol:g}, "
            f"{self.evaluations} evaluations>"
        )

    def _repr_html_(self) -> str:
        (first, second), (across, up) = self.points.T, self.problem.names
        about = [
            ("problem", repr(self.problem)),
            ("status", self.status.sentence),
            *((name, f"{x[0]:g} to {x[-1]:.10g}") for name, x in ((across, first), (up, second))),
            ("log tau", f"{self.log_tau[-1]:.10g}"),
            ("method", f"{self.settings.method}, rtol {self.settings.rtol:g}"),
            ("evaluations", self.evaluations),
        ]
        picture = cards.curve(first, second, label=f"{up} over {across}", across=across, up=up)
        return cards.framed("Trajectory in the plane", cards.facts(about), picture=picture)


def flow(
    problem: Plane,
    start: tuple[float, float],
    *,
    tau_max: float | None = None,
    tolerance: float | None = None,
    method: str = "lsoda",
    rtol: float = 1e-10,
    atol: float = 1e-12,
) -> PlanarTrajectory:
    """Follow a planar gradient flow ``d(x, y)/dtau = -grad L`` from a start to where it stops.

    Parameters
    ----------
    problem : Plane
        What is learned.
    start : pair of float
        The two parameters at tau = 0.
    tau_max : float, optional
        Stop at this learning time; by default the flow is followed to its stop.
    tolerance : float, optional
        Where a flow that never rests is left off; its meaning is the problem's.
    method : str
        "lsoda", "radau", "bdf" or "dop853", SciPy's solvers.
    rtol, atol : float
        Relative and absolute tolerances of the parameters.

    Raises
    ------
    InvalidArgument
        The start is not a pair of finite numbers, or a tolerance is out of range.
    NotReached
        The solver gives up.

    Examples
    --------
    >>> from gateflow.flows.plane import RefineProblem
    >>> path = flow(RefineProblem("fast", "sigmoid", horizon=100, gap=0.01), (0.0, 0.0))
    >>> path.status.sentence, path.check < 1e-9
    ('the target is reached', True)
    """
    if not isinstance(problem, Plane):
        raise InvalidArgument(f"flow takes a planar problem; got {type(problem).__name__}")
    settings = Tolerances(
        solver(method),
        one("rtol", rtol, *RTOL),
        one("atol", atol, *BELOW_1),
        None if tau_max is None else one("tau_max", tau_max, *ABOVE_0),
        tolerance,
    )
    return _followed(problem, pair("start", start), settings)


def _followed(problem: Plane, start: tuple[float, float], settings: Tolerances) -> PlanarTrajectory:
    solved = problem.solve(start, settings)
    if settings.tau_max is not None:
        solved = solved.until(float(np.log(settings.tau_max)))
    begins = np.concatenate([[-np.inf], np.logaddexp.accumulate([leg.log_tau[-1] for leg in solved.legs])])
    # each leg but the first begins where the one before ended
    cut = [slice(0 if k == 0 else 1, None) for k in range(len(solved.legs))]
    log_tau = np.concatenate(
        [np.logaddexp(begin, leg.log_tau[c]) for begin, leg, c in zip(begins, solved.legs, cut, strict=False)]
    )
    points = np.concatenate([leg.points(leg.q[c]) for leg, c in zip(solved.legs, cut, strict=True)])
    loss = np.concatenate([leg.loss(leg.q[c]) for leg, c in zip(solved.legs, cut, strict=True)])
    points[0] = start
    if solved.stop is Status.REACHED:
        loss[-1] = 0.0
    with np.errstate(over="ignore", under="ignore"):
        tau = np.exp(log_tau)
    return PlanarTrajectory(
        problem, start, tau, log_tau, points, loss, np.asarray(problem.phi(points[:, 0], points[:, 1])), solved.stop,
        solved.turns, solved.evaluations, solved.check, settings, solved.legs, begins[:-1],
    )  # fmt: skip


@by_value
@dataclass(frozen=True)
class Portrait:
    """The phase portrait of a plane on a grid: where the flow goes, how fast, and the loss.

    Parameters
    ----------
    first, second : array, shape (count,)
        The grid.
    across, up : array, shape (count, count)
        The direction of the flow, of length 1, or 0 where it rests; rows run along ``second``.
    log_speed : array, shape (count, count)
        The logarithm of its speed.
    loss : array, shape (count, count)
        The loss.
    """

    first: Array
    second: Array
    across: Array
    up: Array
    log_speed: Array
    loss: Array

    def __repr__(self) -> str:
        (left, right), (low, high) = (each[[0, -1]] for each in (self.first, self.second))
        size = f"{self.second.size} x {self.first.size} points"
        return f"<Portrait of {size}, {left:g} to {right:g} by {low:g} to {high:g}>"


def portrait(
    problem: Plane, first: tuple[float, float] = (-6.0, 6.0), second: tuple[float, float] = (-6.0, 6.0), count: int = 25
) -> Portrait:
    """The phase portrait between two bounds of each parameter.

    Raises
    ------
    InvalidArgument
        Bounds are not a pair of increasing numbers, or the count is below 2.

    Examples
    --------
    >>> from gateflow.flows.plane import RefineProblem
    >>> print(portrait(RefineProblem(horizon=1, gap=0.1), count=3).up[1])
    [ 0.4472136  0.4472136 -0.4472136]
    """
    if not isinstance(problem, Plane):
        raise InvalidArgument(f"a portrait is of a problem of two parameters; got {shown(problem)}")
    count = whole("count", count, 2, 2000)
    bounds = [pair("bounds", first), pair("bounds", second)]
    if any(not low < high for low, high in bounds):
        raise InvalidArgument(f"bounds must increase; got {bounds[0]} and {bounds[1]}")
    x, y = (np.linspace(low, high, count) for low, high in bounds)
    grid = np.meshgrid(x, y)
    force = problem.force(*grid)
    size = np.asarray(force.size)
    safe = np.where(size > 0, size, 1.0)
    with np.errstate(divide="ignore"):
        log_speed = np.log(size) + force.log_scale
    return Portrait(x, y, force.first / safe, force.second / safe, log_speed, np.asarray(problem.loss_at(*grid)))


def pair(name: str, value: Any) -> tuple[float, float]:
    """Two finite numbers; else one line that says so."""
    if not isinstance(value, (tuple, list, np.ndarray)) or len(value) != 2:
        raise InvalidArgument(f"{name} must be a pair of numbers; got {shown(value)}")
    first, second = (one(name, part, np.isfinite, "a pair of finite numbers") for part in value)
    return first, second


def _less(log_tau: Array, log_begin: float) -> Array:
    """``log(tau - begin)``."""
    if np.isneginf(log_begin):
        return log_tau
    with np.errstate(divide="ignore"):
        return log_tau + np.log(-np.expm1(np.minimum(log_begin - log_tau, 0.0)))
