"""The flow of one problem or of many; of many at any learning times, by inversion of the exact integral.

All problems of a gate share one coordinate (:mod:`gateflow.flows.path`), so that the panels of many are integrated
together, and the times of many are inverted together.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, overload

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.critical import cuts, goes_by_decay, z_of_u
from gateflow.flows.density import Coordinate, Position, WholePath, decay_of_profile, profile_of_decay
from gateflow.flows.panels import Panels, along, in_rows
from gateflow.flows.path import FORGOTTEN, marks
from gateflow.flows.problem import LearningProblem, check_problem, plain, positions
from gateflow.flows.solvers import METHODS
from gateflow.flows.solvers.exact import within_panels
from gateflow.flows.time import hitting_time
from gateflow.flows.trajectory import FARTHEST, State, Trajectory, follow, learning_times, left_off
from gateflow.guards.arguments import together
from gateflow.losses import Decay, log_distance
from gateflow.notebook import cards
from gateflow.progress import track
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended

CHUNK = 256
"""Problems integrated together."""
QUERIES = 4096
"""Times inverted together."""
OFFSETS = np.concatenate([10.0 ** np.arange(-8, 0), [0.4, 1.5], 4.0 * 2.1 ** np.arange(28)])
"""Distances of edges from either end of a path, in units of the density's scale."""
LOST = float(np.log(2.0))
"""What a path's log tau is off by where no digit of its times is known."""


@overload
def flow(
    problem: LearningProblem,
    z0: float,
    *,
    tau_max: float | None = ...,
    tolerance: float | None = ...,
    method: str = ...,
    rtol: float = ...,
    atol: float = ...,
) -> Trajectory: ...
@overload
def flow(
    problem: LearningProblem,
    z0: Any,
    *,
    tau_max: float | None = ...,
    tolerance: float | None = ...,
    method: str = ...,
    rtol: float = ...,
    atol: float = ...,
) -> Trajectory | Trajectories: ...
def flow(
    problem: LearningProblem,
    z0: Any,
    *,
    tau_max: float | None = None,
    tolerance: float | None = None,
    method: str = "exact",
    rtol: float = 1e-10,
    atol: float = 1e-14,
) -> Trajectory | Trajectories:
    """Follow the gradient flow from ``z0`` (theory.md, eq. 15).

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays.
    z0 : float or array
        Where learning starts; broadcast against the problem.
    tau_max : float, optional
        Stop at this learning time. By default the flow is followed to the target; where it never arrives, until the
        total decay (or the distance to a flat point) has fallen by 36 factors of e, and below them.
    tolerance : float, optional
        For losses smooth at their least value, which only approach it: where to leave off, as ``|h - h*|/h*``; by
        default 1e-12.
    method : str
        "exact" inverts the integral; "radau", "bdf", "lsoda" and "dop853" are SciPy's solvers on the frozen branch, for
        one problem.
    rtol, atol : float
        Relative tolerance of tau for the solvers, and the absolute one while tau is small against the time scale at the
        start, in units of that.

    Returns
    -------
    Trajectory or Trajectories
        Of one problem from one start with the nodes of its way; of arrays one answer for each, which are followed as
        far as they are asked for.

    Raises
    ------
    InvalidArgument
        z0 or a tolerance is out of range, or a solver is to follow many problems.
    UnknownName
        No such method.
    NotReached
        A solver gives up, or the flow of one problem ends past the floats or the gate's range.

    Examples
    --------
    >>> path = flow(LearningProblem("fast", horizon=100, gap=0.01), 0.0, method="lsoda")
    >>> path.status.sentence, path.check < 1e-9
    ('the target is reached', True)
    >>> many = flow(LearningProblem("sigmoid", horizon=[1, 10, 100], gap=0.01), 0.0)
    >>> many.at([[1.0], [50.0]]).z.shape
    (2, 3)
    >>> z = many.at(50.0).z[0]  # e^z + 2z - e^-z = tau for T = 1
    >>> bool(abs(np.exp(z) + 2 * z - np.exp(-z) - 50) < 1e-11)
    True
    """
    check_problem("flow", problem)
    z0 = positions(z0, "z0")
    if not problem.shape_with(z0=z0):
        return follow(problem, z0, tau_max=tau_max, tolerance=tolerance, method=method, rtol=rtol, atol=atol)
    METHODS[method]  # complains about one it does not know
    if method.strip().lower() != "exact":
        raise InvalidArgument(f"{method} follows one problem from one start; many are followed by the method 'exact'")
    found = hitting_time(problem, z0, tolerance=left_off(problem, tolerance), tau_max=tau_max)
    return Trajectories(problem, z0, found.status, found.tau, found.log_tau, tolerance)


@by_value
@dataclass(frozen=True)
class Trajectories(Ended, columns=("z0", "tau", "log_tau", "status"), plots=("z0", ["log_tau"])):
    """Gradient flows of many problems.

    Parameters
    ----------
    problem : LearningProblem
        What is learned.
    z0 : float or array
        Where the flows start.
    status : Status or array of Status
        How each flow ends.
    tau, log_tau : float or array
        The learning time of its arrival and its logarithm; infinite where it never arrives.
    tolerance : float, optional
        As it was given.
    """

    problem: LearningProblem
    z0: Any
    status: Any
    tau: Any
    log_tau: Any
    tolerance: float | None

    @property
    def shape(self) -> tuple[int, ...]:
        """That of the problems and starts."""
        return np.shape(self.log_tau)

    def at(self, tau: Any = None, *, log_tau: Any = None) -> State:
        """The flows at given learning times, broadcast against the problems.

        Times in an array of the problems' shape are one for each; with further axes in front, many for each. After its
        arrival a flow rests on the target. Flows that end past the floats, or outside the gate's range, have the
        status to say so and are nan here; so are flows whose times lie between two floats, as at a narrow dip of u'.

        Parameters
        ----------
        tau : float or array
            Learning times, at least 0.
        log_tau : float or array, in place of tau
            Their logarithms.

        Raises
        ------
        InvalidArgument
            A time is negative or not a number, or a flow without an end cannot be followed so far.
        """
        tau, wanted = learning_times(tau, log_tau)
        shape = together(problems=np.empty(self.shape), tau=wanted)
        tau, wanted = (np.array(np.broadcast_to(part, shape)) for part in (tau, wanted))
        count = int(np.prod(self.shape, dtype=int))
        owner = np.broadcast_to(np.arange(count).reshape(self.shape), shape).reshape(-1)
        z, loss, log_gap = self._states(owner, wanted.reshape(-1))
        return State(plain(tau), *(plain(part.reshape(shape)) for part in (z, loss, log_gap)))

    def _states(self, owner: Any, wanted: Array) -> tuple[Array, Array, Array]:
        """z, loss and log gap of the problems numbered ``owner`` at the log times wanted."""
        out = tuple(np.full(wanted.size, np.nan) for _ in range(3))
        order = np.argsort(owner, kind="stable")
        alone = self._alone
        for k in np.unique(owner[alone[owner]]):
            here = np.flatnonzero(owner == k)
            for array, part in zip(out, self._one(int(k), wanted[here]), strict=True):
                array[here] = part
        order = order[self._together[owner[order]]]
        batch, arrival = self._batch, np.reshape(self.log_tau, -1)
        for chunk in track(list(_chunks(order, owner)), "trajectories"):
            numbers, local = np.unique(owner[chunk], return_inverse=True)
            with np.errstate(all="ignore"):
                bundle = _Bundle(batch.take(numbers), arrival[numbers], _furthest(local, wanted[chunk]))
                parts = bundle.states(local, wanted[chunk])
                lost = bundle.lost[local]
            for array, part in zip(out, parts, strict=True):
                array[chunk] = np.where(lost, np.nan, part)
        return out[0], out[1], out[2]

    @property
    def _alone(self) -> Any:
        """Flows followed one by one: those that creep up to a flat point, or approach a smooth loss."""
        status = np.asarray(self.status, dtype=object).reshape(-1)
        smooth = np.full(status.shape, not self.problem.loss.arrives)
        followed = np.isin(status, (Status.REACHED, Status.ASYMPTOTIC))
        return (status == Status.STUCK) | (smooth & followed)

    @property
    def _together(self) -> Any:
        status = np.asarray(self.status, dtype=object).reshape(-1)
        ends = np.isfinite(self._batch.z_star) | (status == Status.ASYMPTOTIC)
        return np.isin(status, (Status.REACHED, Status.ASYMPTOTIC)) & ends & ~self._alone

    @property
    def _batch(self) -> ProblemBatch:
        return ProblemBatch.towards(self.problem, self.z0, self.shape)

    def _one(self, k: int, wanted: Array) -> tuple[Any, Any, Any]:
        """The states of one flow, by a trajectory of its own."""
        p = self.problem
        horizon, value, scale, z0 = (
            float(np.broadcast_to(part, self.shape).reshape(-1)[k])
            for part in (p.horizon, p.target.value, p.scale, self.z0)
        )
        given: dict[str, Any] = {p.target.way: value}
        one = LearningProblem(p.gate, horizon=horizon, scale=scale, loss=p.loss, **given)
        with np.errstate(over="ignore"):
            last = float(np.exp(np.max(wanted)))
        end = last if 0 < last < np.inf else None
        found = follow(one, z0, tolerance=self.tolerance, tau_max=end).at(log_tau=wanted)
        return found.z, found.loss, found.log_gap

    def __repr__(self) -> str:
        return f"<Trajectories of {self.problem.gate.name}: {int(np.prod(self.shape, dtype=int))} problems>"

    def _repr_html_(self) -> str:
        about = [
            ("problems", " x ".join(map(str, self.shape)) or "1"),
            ("status", cards.counts(self.status)),
            ("z0", cards.number(self.z0)),
            ("log tau", cards.number(self.log_tau)),
        ]
        return cards.framed(f"Trajectories of {self.problem.gate.name}", cards.facts(about))


def _chunks(order: Any, owner: Any) -> Iterator[Any]:
    """Queries sorted by problem, cut into parts of a bounded number of problems and queries."""
    begin = 0
    while begin < order.size:
        problems = owner[order[begin : begin + QUERIES]]
        size = int(np.searchsorted(problems, problems[0] + CHUNK))
        yield order[begin : begin + size]
        begin += size


def _furthest(local: Any, wanted: Array) -> Array:
    """The largest of the times wanted of each problem."""
    last = np.full(int(local.max()) + 1, -np.inf)
    np.maximum.at(last, local, wanted)
    return last


class _Bundle:
    """The paths of some problems of one gate, cut into panels over which tau is known."""

    def __init__(self, batch: ProblemBatch, arrival: Array, last: Array) -> None:
        self.batch, self.arrival, self.gate = batch, arrival, batch.gate
        self.coordinate: Coordinate = WholePath() if goes_by_decay(self.gate) else Position()
        self.arrives = np.isfinite(batch.target.log)
        self._lay(last)

    @property
    def lost(self) -> Any:
        """Where floats along the path do not tell one digit of the learning time."""
        with np.errstate(invalid="ignore"):
            return self.arrives & np.isfinite(self.arrival) & ~(np.abs(self.cumulative[:, -1] - self.arrival) < LOST)

    def _lay(self, last: Array) -> None:
        """Lay out the panels; flows without an end are followed until their last time."""
        u0 = np.asarray(self.batch.float64.u(self.batch.z0))
        start = decay_of_profile(self.batch.horizon, self.batch.log_horizon, u0)
        log_end = np.minimum(FORGOTTEN, start.log + FORGOTTEN)
        units = 64.0
        while True:
            self._integrate(start, Decay(log=np.where(self.arrives, self.batch.target.log, log_end)))
            short = ~self.arrives & (self.cumulative[:, -1] < last)
            if not short.any():
                return
            if units > FARTHEST:
                raise InvalidArgument(f"log tau must be at most {self.cumulative[short, -1].min():g} here")
            log_end = np.where(short, log_end - units, log_end)
            units *= 2

    def _integrate(self, start: Decay, end: Decay) -> None:
        u_end = profile_of_decay(self.batch.horizon, self.batch.log_horizon, end)
        self.z_end = np.where(self.arrives, self.batch.z_star, z_of_u(self.gate, u_end))
        if isinstance(self.coordinate, WholePath):
            self.first, self.end = self.coordinate.at_decay(start), self.coordinate.at_decay(end)
        else:
            self.first, self.end = np.arcsinh(self.batch.z0), np.arcsinh(self.z_end)
        edges = self._edges()
        owner, column = np.nonzero(np.diff(edges, axis=1) != 0)
        a, b = edges[owner, column], edges[owner, column + 1]
        panels, logs, _ = along(self.batch, Panels(self.coordinate, owner, a, b))
        self.a, self.b = (in_rows(panels.owner, ends, self.end) for ends in (panels.a, panels.b))
        self.logs = in_rows(panels.owner, logs, np.full(self.end.size, -np.inf))
        self.cumulative = np.logaddexp.accumulate(self.logs, axis=1)

    def _edges(self) -> Array:
        """Edges in the order of the flow, one row a problem: near both ends, at the marks of W and at the kinks."""
        first, end = self.first[:, None], self.end[:, None]
        side = np.sign(end - first)
        if isinstance(self.coordinate, WholePath):
            between = marks(self.batch)
        else:
            own = np.arcsinh(cuts(self.gate))
            own = own[(own > min(self.first.min(), self.end.min())) & (own < max(self.first.max(), self.end.max()))]
            between = np.broadcast_to(own, (self.first.size, own.size))
        spacing = np.maximum(1.0, 4e8 * np.spacing(np.abs(first) + np.abs(end)))
        inner = np.concatenate([first + side * OFFSETS * spacing, end - side * OFFSETS * spacing, between], axis=1)
        inner = np.clip(inner, np.minimum(first, end), np.maximum(first, end))
        return side * np.sort(side * np.concatenate([first, inner, end], axis=1), axis=1)

    def states(self, owner: Any, wanted: Array) -> tuple[Array, Array, Array]:
        """z, loss and log gap of these problems at the log times wanted."""
        there = self.arrives[owner] & (wanted >= np.minimum(self.cumulative[owner, -1], self.arrival[owner]))
        before = np.sum(self.cumulative[owner] < wanted[:, None], axis=1)
        k = np.minimum(before, self.cumulative[0].size - 1)
        log_before = np.where(k > 0, self.cumulative[owner, np.maximum(k - 1, 0)], -np.inf)

        def log_density(which: Any, v: Array) -> Array:
            who = owner[which]
            nodes = v if v.ndim == 2 else v[:, None]
            density = self.coordinate.log_density(self.batch.at_nodes(who), nodes) - self.batch.log_scale[who, None]
            return density if v.ndim == 2 else density[:, 0]

        v = within_panels(log_density, self.a[owner, k], self.b[owner, k], log_before, self.logs[owner, k], wanted)
        v = np.where(np.isneginf(wanted), self.first[owner], v)
        batch = self.batch.at_nodes(owner)
        if isinstance(self.coordinate, Position):
            z = self.coordinate.position(v)
        else:
            z = np.asarray(self.batch.float64.z_of_u(self.coordinate.profile(batch, v[:, None])))[:, 0]
        decay, goal = self.coordinate.decay(batch, v[:, None]), batch.target
        log_gap = np.asarray(log_distance(decay, goal))[:, 0]
        loss = np.asarray(self.batch.loss.value(decay, goal))[:, 0] * self.batch.scale[owner]
        z = np.where(np.isneginf(wanted), self.batch.z0[owner], np.where(there, self.z_end[owner], z))
        return z, np.where(there, 0.0, loss), np.where(there, -np.inf, log_gap)
