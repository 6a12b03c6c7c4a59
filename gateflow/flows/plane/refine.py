"""The refine gate's plane: two pre-activations, one gate (Gu, Gulcehre, Paine, Hoffman and Pascanu, ICML 2020).

With ``f = phi(z)``, ``r = psi(w)`` and complements ``f_c``, ``r_c``, the effective gate (arXiv 1910.09890) and its
complement are products of sums of positive terms::

    g   = r (1 - (1 - f)^2) + (1 - r) f^2 = f A        A = f + 2 r f_c
    1-g = f_c B                                        B = f_c + 2 r_c f

and so are the slopes of its logit profile ``U = log g - log(1 - g)``::

    U_z = 2 (f r_c + r f_c) u'(z)/(A B)                U_w = 2 r r_c v'(w)/(A B)

The loss is a function of U alone. So the curve that the flow runs along, ``d(z, w)/dU = grad U/|grad U|^2``, knows
neither horizon, target, scale nor loss, and along it the learning time is the integral of the one-parameter flow with
the weight ``W = 1/|grad U|^2``: that of a sigmoid gate whose pre-activation is U, times W. U increases along the whole
curve, and ``U_z >= u'``, so that z moves by no more than it would without refinement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.critical import limits, reach, refuse_if_no_gate, slope_minima
from gateflow.flows.density import Array, Followed
from gateflow.flows.path import Path, path_of, resting_path
from gateflow.flows.plane._contract import Force, Leg, PlanarSolution, Plane, Tolerances
from gateflow.flows.plane._march import Marched, Rates, march
from gateflow.flows.problem import LearningProblem, plain, positions
from gateflow.flows.time import hitting_time
from gateflow.flows.trajectory import followed, left_off
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import broadcast
from gateflow.losses import Decay, Loss, log_saturation
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status

MENDING = 2
"""Newton steps that bring a point of the dense output to its level."""

FOLLOWED = (Status.REACHED, Status.ASYMPTOTIC)


class Slopes(NamedTuple):
    """The logit profile U of the effective gate and the logarithms of its slopes, which are not negative."""

    u: Array
    log_z: Array
    log_w: Array

    @property
    def log_weight(self) -> Array:
        """``log W = -log |grad U|^2``."""
        return -np.logaddexp(2 * self.log_z, 2 * self.log_w)


class EffectivePlane(Plane):
    """A plane whose loss is that of one effective gate, which rises with both parameters.

    A problem gives :meth:`_slopes`, the gate's logit profile and its slopes; the curve and the time along it follow.
    """

    names: ClassVar[tuple[str, str]] = ("z", "w")
    effective: LearningProblem
    """The problem in the profile U: that of the sigmoid."""

    @property
    def horizon(self) -> float:
        """T."""
        return self.effective.horizon

    @property
    def loss(self) -> Loss:
        """The loss, per unit scale."""
        return self.effective.loss

    def _slopes(self, z: Array, w: Array) -> Slopes:
        """U and its slopes, in logarithms."""
        raise NotImplementedError

    def _slopes_at(self, z: Any, w: Any) -> Slopes:
        return self._slopes(*broadcast(z=positions(z, "z"), w=positions(w, "w")))

    def profile(self, z: Any, w: Any) -> Any:
        """The logit profile ``U = log g - log(1 - g)``."""
        return plain(self._slopes_at(z, w).u)

    def weight(self, z: Any, w: Any) -> Any:
        """``W = 1/|grad U|^2``: how much longer learning takes here than for a sigmoid gate with pre-activation U."""
        return plain(np.exp(self._slopes_at(z, w).log_weight))

    # --- the plane ---

    def loss_at(self, z: Any, w: Any) -> Any:
        """``c |g^T - lambda*|``, or what the loss is."""
        return self.effective.loss_at(self.profile(z, w))

    def force(self, z: Any, w: Any) -> Force:
        """The flow's velocity over a common factor, and the logarithm of that."""
        slopes = self._slopes_at(z, w)
        top = np.maximum(slopes.log_z, slopes.log_w)
        with np.errstate(under="ignore"):
            side = -np.asarray(self.effective.side(slopes.u))
            first, second = side * np.exp(slopes.log_z - top), side * np.exp(slopes.log_w - top)
        return Force(first, second, np.asarray(self.effective.log_abs_grad(slopes.u)) + top)

    def solve(self, start: tuple[float, float], settings: Tolerances) -> PlanarSolution:
        """Along the curve, in the coordinate of the one-parameter path, whose end is the target to the last digit.

        ``check`` is the relative difference between the time that the solver found and the integral along its curve.
        """
        u0 = self.profile(*start)
        tolerance = left_off(self.effective, settings.tolerance)
        found = hitting_time(self.effective, u0, tolerance=tolerance)
        if found.status not in FOLLOWED:
            raise InvalidArgument(f"the flow from {start} cannot be followed: {found.status.sentence}")
        rests = found.log_tau == -np.inf
        path = resting_path(self.effective, u0) if rests else path_of(self.effective, u0, found.status, tolerance)

        def along(path: Path, *_: float) -> Marched:
            curve = _Curve(self, path)
            made = march(curve.rates, curve.loss, start, settings, abs(path.end - path.start))
            return replace(made, leg=curve.mended(made.leg))

        path, marched, spent = followed(path, along, settings.rtol, settings.atol, settings.tau_max)
        leg, stop = marched.leg, path.status
        check = _Curve(self, path).check(leg)
        return PlanarSolution((leg,), stop, (), spent, check)


@by_value
@dataclass(frozen=True)
class RefineProblem(EffectivePlane):
    """Learn a time scale by a gate and its refine gate: bring ``g(z, w)^T`` to ``lambda*``.

    Parameters
    ----------
    gate, refine : Gate or str
        phi and psi, two gates onto (0, 1).
    horizon, target, gap, log_gap, decay, timescale, scale, loss
        See :class:`~gateflow.flows.problem.LearningProblem`; one problem, without arrays.

    Raises
    ------
    InvalidArgument
        A number is out of range, or a gate is not onto (0, 1).

    Examples
    --------
    >>> problem = RefineProblem(horizon=10, gap=1e-3)
    >>> print(problem.phi_c(300.0, 400.0))
    2.65...e-261
    """

    gate: Gate
    refine: Gate
    effective: LearningProblem

    def __init__(self, gate: Gate | str = "sigmoid", refine: Gate | str = "sigmoid", **task: Any) -> None:
        put = object.__setattr__
        put(self, "gate", onto(as_gate(gate)))
        put(self, "refine", onto(as_gate(refine)))
        put(self, "effective", effective_problem(**task))

    # --- the effective gate ---

    def phi(self, z: Any, w: Any) -> Any:
        """The effective gate ``g``, to a few units in the last place wherever it is a float."""
        return self._product(self.gate.phi, self.gate.phi_c, self.refine.phi, z, w)

    def phi_c(self, z: Any, w: Any) -> Any:
        """``1 - g``, to a few units in the last place wherever it is a float."""
        return self._product(self.gate.phi_c, self.gate.phi, self.refine.phi_c, z, w)

    def log_phi(self, z: Any, w: Any) -> Any:
        """``log g``, finite also where g underflows."""
        return self._log_product(self.gate.log_phi, self.gate.log_phi_c, self.refine.log_phi, self.phi_c, z, w)

    def log_phi_c(self, z: Any, w: Any) -> Any:
        """``log(1 - g)``, finite also where ``1 - g`` underflows."""
        return self._log_product(self.gate.log_phi_c, self.gate.log_phi, self.refine.log_phi_c, self.phi, z, w)

    @staticmethod
    def _product(near: Any, far: Any, refine: Any, z: Any, w: Any) -> Any:
        z, w = positions(z, "z"), positions(w, "w")
        value = np.asarray(near(z))
        with np.errstate(under="ignore"):
            return plain(value * (value + 2 * (refine(w) * far(z))))

    @staticmethod
    def _log_product(near: Any, far: Any, refine: Any, rest: Any, z: Any, w: Any) -> Any:
        """The logarithm of the product of a value and its sum; near 1, from the complement, where the sum cancels."""
        complement = np.asarray(rest(z, w))
        value = np.asarray(near(positions(z, "z")))
        with np.errstate(divide="ignore", under="ignore"):
            far_out = value + np.logaddexp(value, np.log(2.0) + refine(positions(w, "w")) + far(z))
            return plain(np.where(complement < 0.5, np.log1p(-complement), far_out))

    def level(self, z: Any, profile: float | None = None) -> Any:
        """w on the curve where the profile is so much (by default, that of the target); NaN where it has no point.

        The effective gate is linear in r: ``r = (g - f^2)/(2 f f_c)`` and ``1 - r = ((1 - g) - f_c^2)/(2 f f_c)``.
        """
        z = np.asarray(positions(z, "z"))
        u = self.effective.u_star if profile is None else profile
        f, f_c = self.gate.phi(z), self.gate.phi_c(z)
        sigmoid = self.effective.gate
        with np.errstate(all="ignore"):
            r = _difference_of_squares(sigmoid.phi(u), f) / (2 * f * f_c)
            r_c = _difference_of_squares(sigmoid.phi_c(u), f_c) / (2 * f * f_c)
        inside = (r > 0) & (r_c > 0)
        near = inside & (r < 0.5)
        low, high = np.where(near, r, 0.5), np.where(inside & ~near, r_c, 0.5)
        found = np.where(near, self.refine.inverse(low), self.refine.inverse_c(high))
        return plain(np.where(inside, found, np.nan))

    def _slopes(self, z: Array, w: Array) -> Slopes:
        """U and its slopes, from the two profiles, in logarithms."""
        with np.errstate(all="ignore"):
            u, v = self.gate.float64.u(z), self.refine.float64.u(w)
            f, f_c, r, r_c = (-np.logaddexp(0.0, x) for x in (-u, u, -v, v))
            a, b = np.logaddexp(f, r + f_c + np.log(2.0)), np.logaddexp(f_c, r_c + f + np.log(2.0))
            common = np.log(2.0) - a - b
            log_z = common + np.logaddexp(f + r_c, r + f_c) + self.gate.float64.log_du(z)
            log_w = common + r + r_c + self.refine.float64.log_du(w)
            return Slopes(u + (a - b), log_z, log_w)

    def __repr__(self) -> str:
        inner = repr(self.effective).partition(", ")[2]
        return f"RefineProblem({self.gate.name!r}, {self.refine.name!r}, {inner}"


@dataclass(frozen=True)
class _Curve:
    """The curve from a start along the path that U takes; q is the length of that path in its own coordinate."""

    problem: EffectivePlane
    path: Path

    @cached_property
    def direction(self) -> float:
        return float(np.sign(self.path.end - self.path.start))

    def coordinate(self, q: Array) -> Array:
        """The coordinate of the path; its end exactly."""
        v = self.path.start + self.direction * np.asarray(q)
        return np.where(q == abs(self.path.end - self.path.start), self.path.end, v)

    @cached_property
    def ascends(self) -> float:
        """1 where U grows along the flow, -1 where it falls."""
        ends = self.path.decay(np.array([self.path.start, self.path.end]))
        return float(np.sign(ends.log[0] - ends.log[1]))

    def rates(self, q: Array, points: Array) -> Rates:
        """``d(z, w)/dq = (dU/dq) grad U/|grad U|^2``, and the density of the learning time."""
        v = self.coordinate(np.reshape(q, -1))
        slopes = self.problem._slopes(points[..., 0], points[..., 1])
        log_weight = slopes.log_weight
        log_pace, log_density = (f(v).reshape(np.shape(q)) for f in (self.log_pace, self.path.log_density))
        with np.errstate(over="ignore", under="ignore"):
            steps = np.exp(np.stack([slopes.log_z, slopes.log_w], axis=-1) + (log_weight + log_pace)[..., None])
        return self.ascends * steps, log_density + log_weight

    def log_pace(self, v: Array) -> Array:
        """``log |dU/dv|``, from ``U = -log expm1(h/T)``."""
        path, horizon = self.path, self.problem.effective
        with np.errstate(all="ignore"):
            decay = path.decay(v)
            log_rest = log_saturation(decay.h / horizon.horizon, decay.log - horizon.log_horizon)
            return path.coordinate.log_pace(path.batch, v) + decay.log - horizon.log_horizon - log_rest

    def loss(self, q: Array, _: Array) -> Array:
        """The loss, from the decay, which is known better than from z and w."""
        effective = self.problem.effective
        return effective.scale * effective.loss.value(self.path.decay(self.coordinate(q)), effective.target_decay)

    def mended(self, leg: Leg) -> Leg:
        """The leg with its points brought to the level of U that belongs to them, along the gradient."""
        if leg.q.size < 2:
            return leg

        def points(q: Array) -> Array:
            found = leg.points(q)
            level = self.path.position(self.coordinate(q))
            for _ in range(MENDING):
                slopes = self.problem._slopes(found[..., 0], found[..., 1])
                logs = np.stack([slopes.log_z, slopes.log_w], axis=-1) + slopes.log_weight[..., None]
                found = found + (level - slopes.u)[..., None] * np.exp(logs)
            return found

        return replace(leg, points=points)

    def check(self, leg: Leg) -> float:
        """How far the time over the leg is from the integral over its curve, panel by panel between the nodes."""
        if leg.q.size < 2:
            return 0.0
        log_integral = self.path.log_time(self.coordinate(leg.q), _Weighted(self, leg))
        return float(abs(np.expm1(leg.log_tau[-1] - log_integral)))


@dataclass(frozen=True)
class _Weighted(Followed):
    """The coordinate of a path, with the density that the weight along a curve gives it."""

    curve: _Curve
    leg: Leg

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        return self.curve.path.coordinate.decay(batch, v)

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        return self.curve.path.coordinate.log_pace(batch, v)

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        points = self.leg.points(np.abs(v - self.curve.path.start))
        weight = self.curve.problem._slopes(points[..., 0], points[..., 1]).log_weight
        return super().log_density(batch, v) + weight  # the sigmoid's own weight is 1


def effective_problem(**task: Any) -> LearningProblem:
    """The problem of an effective gate in its profile, which is that of a sigmoid; one, without arrays."""
    made = LearningProblem("sigmoid", **task)
    if any(np.ndim(part) for part in (made.horizon, made.target.value, made.scale)):
        raise InvalidArgument("a planar flow is of one problem; give one horizon, one target and one scale")
    return made


def onto(gate: Gate) -> Gate:
    """A gate onto (0, 1), or one line that says it is not."""
    refuse_if_no_gate(gate)
    if not np.all(np.isinf([*limits(gate), *reach(gate)])):
        raise InvalidArgument(f"{gate.name} is not onto (0, 1); this plane needs gates that are")
    if flat := slope_minima(gate).flat:
        raise InvalidArgument(f"{gate.name} has slope 0 at {flat[0]:g}, which no planar flow crosses")
    return gate


def _difference_of_squares(square: Any, root: Any) -> Any:
    """``square - root^2``, without overflow and with one cancellation only."""
    return (np.sqrt(square) - root) * (np.sqrt(square) + root)
