"""The path of one flow: a frozen branch of the loss from the start to where the flow goes, never across the kink.

Learning time is a function of a coordinate along the path, ``tau(v)``: the variables are swapped. On a plateau of
length 1e19 the escape takes a time of order 1, so ``tau + dtau == tau``, and no method that steps in tau can do it.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.flows.batch import ProblemBatch
from gateflow.flows.critical import goes_by_decay, reach, slope_minima, z_of_u
from gateflow.flows.density import (
    Approach,
    Array,
    Coordinate,
    FromAbove,
    FromBelow,
    Nearing,
    Position,
    WholePath,
    decay_of_profile,
    profile_of_decay,
)
from gateflow.flows.panels import Panels, integrate
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.gates.inversion import increasing_root
from gateflow.losses import Decay
from gateflow.results.status import Status

FORGOTTEN = -36.0
"""log h at which a flow without an end is left off by default: ``1 - phi^T`` is then below half an ulp of 1."""
PROFILES = np.array([0.0, 1.2, -1.2, 4.0, -4.0, 10.0, -10.0])
"""Profiles at which there is an edge: the weight bends there."""


def marks(batch: ProblemBatch) -> Array:
    """Where the weight bends, and the gate's own kinks, on the whole path: one row a problem."""
    with np.errstate(all="ignore"):
        own = np.asarray(batch.float64.u(np.asarray(batch.gate.kinks, dtype=np.float64))).reshape(-1)
        u = np.concatenate([PROFILES, own[np.isfinite(own)]])
        return WholePath().at_decay(decay_of_profile(batch.horizon[:, None], batch.log_horizon[:, None], u))


@dataclass(frozen=True)
class Path:
    """A path, from ``start`` to ``end`` in its ``coordinate``.

    Parameters
    ----------
    problem : LearningProblem
        One problem.
    z0 : float
        Where the flow starts.
    coordinate : Coordinate
        What the path is measured in.
    start, end : float
        Its ends in that coordinate; ``end`` is the kink exactly, or where a path without an end is left off.
    z_end : float
        The position at ``end``.
    status : Status
        Whether the target, a flat point, or nothing lies at the end.
    """

    problem: LearningProblem
    z0: float
    coordinate: Coordinate
    start: float
    end: float
    z_end: float
    status: Status

    def __getstate__(self) -> dict[str, Any]:
        """Without what is made from the rest."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)

    @cached_property
    def batch(self) -> ProblemBatch:
        """The problem and its start as a batch of one."""
        return ProblemBatch.of(self.problem, np.array([self.z0]))

    @property
    def log_scale(self) -> float:
        """log c."""
        return float(np.log(self.problem.scale))

    def log_density(self, v: Array) -> Array:
        """log |dtau/dv|."""
        with np.errstate(all="ignore"):
            return self.coordinate.log_density(self.batch, v) - self.log_scale

    def log_time(self, edges: Array, coordinate: Coordinate | None = None) -> float:
        """log of the learning time between the first and the last of these edges, in any coordinate of this path."""
        owner = np.zeros(edges.size - 1, dtype=np.intp)
        panels = Panels(self.coordinate if coordinate is None else coordinate, owner, edges[:-1], edges[1:])
        with np.errstate(all="ignore"):
            return float(integrate(self.batch, [panels]).log_total[0] - self.log_scale)

    def decay(self, v: Array) -> Decay:
        """The total decay at v."""
        with np.errstate(all="ignore"):
            return self.coordinate.decay(self.batch, v)

    def position(self, v: Array) -> Array:
        """z at v; the two ends exactly."""
        with np.errstate(all="ignore"):
            if isinstance(self.coordinate, Position):
                z = self.coordinate.position(v)
            else:
                z = np.asarray(self.batch.float64.z_of_u(self.coordinate.profile(self.batch, v)))
        return np.where(v == self.start, self.z0, np.where(v == self.end, self.z_end, z))


def path_of(problem: LearningProblem, z0: float, status: Status, tolerance: float | None = None) -> Path:
    """The path of the flow from z0 that ends, or does not, as ``status`` says.

    A smooth loss is followed up to the relative ``tolerance`` of the decay.
    """
    if status is Status.STUCK:
        return _stuck_path(problem, z0)
    if tolerance is not None and problem.h_star > 0:
        return _approaching_path(problem, z0, float(np.log(tolerance) + problem.log_h_star))
    asymptotic = status is Status.ASYMPTOTIC
    start = decay_of_profile(problem.horizon, problem.log_horizon, _one(problem.gate.float64.u, z0))
    log_end = min(FORGOTTEN, float(start.log) + FORGOTTEN) if asymptotic else float(problem.log_h_star)
    return _regular_path(problem, z0, start, log_end, status)


def resting_path(problem: LearningProblem, z0: float, status: Status = Status.REACHED) -> Path:
    """The path of length 0 of a flow that does not move."""
    here = float(np.arcsinh(z0))
    return Path(problem, z0, Position(), here, here, z0, status)


def followed_further(path: Path, units: float) -> Path:
    """A path without an end, left off ``units`` further down in log h, or in log distance from its flat point."""
    if isinstance(path.coordinate, FromBelow | FromAbove | Nearing):
        return _approaching_path(path.problem, path.z0, float(path.decay(np.asarray([path.end])).apart[0]) - units)
    if isinstance(path.coordinate, Approach):
        point = path.coordinate.point
        floor = np.log(max(abs(point) * 2.0**-51, 1e-290))
        end = max(path.end - units, floor)
        return Path(
            path.problem, path.z0, path.coordinate, path.start, end, _approached(path.coordinate, end), path.status
        )
    start = decay_of_profile(path.problem.horizon, path.problem.log_horizon, _one(path.problem.gate.float64.u, path.z0))
    log_end = float(path.decay(np.asarray([path.end])).log[0]) - units
    return _regular_path(path.problem, path.z0, start, log_end, path.status)


def _regular_path(problem: LearningProblem, z0: float, start: Decay, log_end: float, status: Status) -> Path:
    with np.errstate(under="ignore"):
        end = Decay(log=log_end) if status is Status.ASYMPTOTIC else problem.target_decay
        u_end = profile_of_decay(problem.horizon, problem.log_horizon, end)
    if status is Status.ASYMPTOTIC:
        z_end = float(z_of_u(problem.gate, np.asarray([u_end]))[0])
    else:
        z_end = float(problem.z_star)
    if goes_by_decay(problem.gate):
        first, last = (float(WholePath().at_decay(decay)) for decay in (start, end))
        return Path(problem, z0, WholePath(), first, last, z_end, status)
    return Path(problem, z0, Position(), float(np.arcsinh(z0)), float(np.arcsinh(z_end)), z_end, status)


def _approaching_path(problem: LearningProblem, z0: float, log_apart: float) -> Path:
    """The path up to where ``log |h - h*|`` is so much."""
    if _is_smooth(problem.gate) and not goes_by_decay(problem.gate):
        return _nearing_path(problem, z0, log_apart)
    start = decay_of_profile(problem.horizon, problem.log_horizon, _one(problem.gate.float64.u, z0))
    coordinate = FromBelow() if start.log > problem.log_h_star else FromAbove()
    goal = problem.target_decay
    side = 1.0 if start.log > goal.log else -1.0
    with np.errstate(all="ignore"):
        last = Decay(log=goal.log + np.log1p(side * np.exp(log_apart - goal.log)), apart=log_apart)
        first, final = (float(coordinate.at_decay(at, goal)) for at in (start, last))
        u_end = profile_of_decay(problem.horizon, problem.log_horizon, last)
    z_end = float(z_of_u(problem.gate, np.atleast_1d(u_end))[0])
    return Path(problem, z0, coordinate, first, final, z_end, Status.ASYMPTOTIC)


def _is_smooth(gate: Gate) -> bool:
    """Whether the gate is without kinks, also at a finite z where it would become 0 or 1."""
    return not gate.kinks and not np.any(np.isfinite(reach(gate)))


def _nearing_path(problem: LearningProblem, z0: float, log_apart: float) -> Path:
    """The same in z: a root is sought for the end of the way only."""
    point = float(problem.z_star)
    coordinate = Nearing(point, 1.0 if z0 > point else -1.0)
    start = float(np.log(abs(z0 - point)))
    path = Path(problem, z0, coordinate, start, start, z0, Status.ASYMPTOTIC)

    def log_slope(v: Array) -> Array:
        """log of d(log |h - h*|)/dv."""
        z, decay = coordinate.position(v), path.decay(v)
        u = problem.gate.float64.u(z)
        return v + problem.log_horizon - np.logaddexp(0.0, u) + problem.gate.float64.log_du(z) - decay.apart

    found = increasing_root(lambda v: np.asarray(path.decay(v).apart), log_slope, np.array([log_apart]))
    end = min(float(found[0]), start)
    return replace(path, end=end, z_end=_approached(coordinate, end))


def _stuck_path(problem: LearningProblem, z0: float) -> Path:
    """The path up to the first flat point on the way; of length 0 for a start on one, or outside the gate's range."""
    if not np.isfinite(_one(problem.gate.float64.u, z0)):
        return resting_path(problem, z0, Status.STUCK)
    side = 1.0 if problem.side(z0) < 0 else -1.0
    ahead = [point for point in slope_minima(problem.gate).flat if side * (point - z0) >= 0]
    point = min(ahead, key=lambda p: side * (p - z0), default=z0)
    if point == z0:
        return resting_path(problem, z0, Status.STUCK)
    coordinate = Approach(point, -side)
    start = float(np.log(abs(point - z0)))
    end = max(start + FORGOTTEN, float(np.log(max(abs(point) * 2.0**-51, 1e-290))))
    return Path(problem, z0, coordinate, start, end, _approached(coordinate, end), Status.STUCK)


def _approached(coordinate: Approach, end: float) -> float:
    return float(coordinate.position(np.asarray(end)))


def _one(function: Any, x: Any) -> float:
    with np.errstate(all="ignore"):
        return float(np.broadcast_to(function(np.array([x], dtype=np.float64)), (1,))[0])
