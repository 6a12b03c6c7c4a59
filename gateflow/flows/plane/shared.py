"""Several samples share a weight and a bias: ``z_i = w x_i + b``, each with its own horizon and target.

::

    L(w, b) = (1/n) sum_i c |phi(w x_i + b)^T_i - lambda*_i|

Its kinks are the straight lines ``w x_i + b = z*_i``. Between them the flow is smooth: the sides are frozen, so that no
solver sees a sign flip. On a line the velocity is minus the shortest element of the subdifferential, ``G + sum theta_k
a_k`` with ``|theta_k| <= 1``, where G is the pull of the other samples and ``a_k`` that of the samples on the line
(Filippov, *Differential Equations with Discontinuous Righthand Sides*, 1988, for sliding; L is a sum of absolute values
of smooth functions, hence regular in the sense of Clarke, and its steepest descent is that shortest element). With
theta inside the flow slides along the line; at its bound the sample leaves the line to that side; where no pull is
left, as where two lines cross and hold, the flow rests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from scipy.optimize import lsq_linear

from gateflow.errors import InvalidArgument, NotReached
from gateflow.flows.critical import refuse_if_no_gate
from gateflow.flows.density import Array, decay_of_profile
from gateflow.flows.plane._contract import Force, Leg, PlanarSolution, Plane, Tolerances, TurningPoint
from gateflow.flows.plane._march import FAR, Event, Marched, least_pull, march, softened
from gateflow.flows.problem import WAYS, LearningProblem, Target, plain, positions
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import FINITE, broadcast, number, reals
from gateflow.losses import Loss
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status

ON_KINK = 1e-11
"""Distance in z, relative, at which a sample is on its kink."""
GRACE = 1e-4
"""Parameter over which a sample that has left its kink is not caught again: it moves off with no speed at first."""
MOST_TURNS = 1000


@by_value
@dataclass(frozen=True)
class SharedProblem(Plane):
    """Learn several time scales by one gate with a shared weight and bias: ``z_i = w x_i + b``.

    Parameters
    ----------
    gate : Gate or str
        phi.
    inputs : array, shape (samples,)
        x_i.
    horizon, target, gap, log_gap, decay, timescale : float or array, shape (samples,)
        See :class:`~gateflow.flows.problem.LearningProblem`; one for all samples or one each.
    scale : float
        c.
    loss : Loss or str
        One with a kink at its target.

    Raises
    ------
    InvalidArgument
        A number is out of range, lengths differ, or a target has no finite minimiser.

    Examples
    --------
    >>> problem = SharedProblem("sigmoid", inputs=[0.0, 1.0], horizon=[10, 100], gap=0.1)
    >>> from gateflow.flows.plane import flow
    >>> path = flow(problem, (0.0, 0.0))
    >>> for turn in path.turns:
    ...     print(turn.what)
    sample 0 crosses its target
    sample 1 reaches its target and stays on it
    sample 0 reaches its target and stays on it
    >>> print(path.loss[-1], abs(path.phi[-1]**[10, 100] - 0.9).max() < 1e-12)
    0.0 True
    """

    names: ClassVar[tuple[str, str]] = ("w", "b")
    each: LearningProblem
    inputs: Array

    def __init__(
        self,
        gate: Gate | str = "sigmoid",
        *,
        inputs: Any,
        scale: float = 1.0,
        loss: Loss | str = "absolute",
        **task: Any,
    ) -> None:
        x = np.asarray(number("inputs", inputs, *FINITE))
        if x.ndim != 1 or not x.size:
            raise InvalidArgument(f"inputs must be a list of numbers, one a sample; got shape {x.shape}")
        columns = _columns(task, x.size)
        if "horizon" not in columns:
            raise InvalidArgument("horizon must be a number, or one for each input; got none")
        each = LearningProblem(gate, scale=scale, loss=loss, **columns)
        refuse_if_no_gate(each.gate)
        if not each.loss.arrives:
            raise InvalidArgument(f"samples that share parameters need a loss with a kink; {each.loss.name} has none")
        if np.ndim(each.scale):
            raise InvalidArgument("scale must be one number for all samples")
        lost = np.flatnonzero(~np.isfinite(each.z_star))
        if lost.size:
            raise InvalidArgument(f"sample {lost[0]} has no finite z to go to; give it a target below 1 in range")
        object.__setattr__(self, "each", each)
        object.__setattr__(self, "inputs", x)

    @property
    def samples(self) -> int:
        """How many samples there are."""
        return self.inputs.size

    @property
    def z_star(self) -> Array:
        """The pre-activation each sample is to have."""
        return np.asarray(self.each.z_star)

    def pre_activation(self, w: Any, b: Any) -> Array:
        """``z_i = w x_i + b``, samples along the last axis."""
        w, b = broadcast(w=positions(w, "w"), b=positions(b, "b"))
        return w[..., None] * self.inputs + b[..., None]

    def phi(self, w: Any, b: Any) -> Array:
        """The gate of each sample, along the last axis."""
        return np.asarray(self.each.gate.phi(self.pre_activation(w, b)))

    def loss_at(self, w: Any, b: Any) -> Any:
        """The mean loss of the samples."""
        return plain(np.mean(self.each.loss_at(self.pre_activation(w, b)), axis=-1))

    def sides(self, w: Any, b: Any) -> Array:
        """1 for a sample below its target, -1 above it, 0 on it."""
        return np.sign(self.z_star - self.pre_activation(w, b))

    def force(self, w: Any, b: Any) -> Force:
        """Minus the gradient; on a kink, without the samples that are on it."""
        return self._force(self.pre_activation(w, b), self.sides(w, b))

    def _force(self, z: Array, sides: Array) -> Force:
        """The sum of the pulls, by sides given."""
        logs = self._log_pulls(z)
        top = np.max(logs, axis=-1, initial=-np.inf, where=np.broadcast_to(sides != 0, logs.shape))
        with np.errstate(under="ignore", invalid="ignore", over="ignore"):
            pulls = np.where(sides != 0, sides * np.exp(logs - top[..., None]), 0.0)
        return Force(pulls @ self.inputs, np.sum(pulls, axis=-1), top)

    def _log_pulls(self, z: Array) -> Array:
        """log of each sample's share of the slope of the loss in its z."""
        numbers, each = self.each.gate.float64, self.each
        with np.errstate(all="ignore"):
            decay = decay_of_profile(each.horizon, each.log_horizon, numbers.u(z))
            front = np.log(each.scale / self.samples) + each.log_horizon
            slope = numbers.log_dphi(z) - numbers.log_phi(z)
            return front + slope + each.loss.log_slope(decay, each.target_decay)

    def solve(self, start: tuple[float, float], settings: Tolerances) -> PlanarSolution:
        """Leg by leg, from kink to kink.

        ``check`` is how far samples come off the lines they slide along, in z over ``1 + |z*|``, before they are
        put back.
        """
        return _Walk(self, settings, least_pull(settings.tolerance)).from_start(start)

    def __repr__(self) -> str:
        horizon, target = (np.asarray(part).tolist() for part in (self.each.horizon, self.each.target.value))
        return (
            f"SharedProblem({self.each.gate.name!r}, inputs={self.inputs.tolist()}, "
            f"horizon={horizon}, {self.each.target.way}={target}, scale={self.each.scale:g})"
        )


@by_value
@dataclass(frozen=True)
class Mode:
    """On which side each sample is held to be: 1 below its target, -1 above it, 0 on its kink and to stay there."""

    sides: Array
    rests: bool = False
    left: frozenset[int] = frozenset()
    """Samples that have just left their kinks: they hardly move off at first, and are not to be caught again."""

    @property
    def held(self) -> Any:
        """The samples on their kinks."""
        return np.flatnonzero(self.sides == 0)


class _Walk:
    """A flow from kink to kink."""

    def __init__(self, problem: SharedProblem, settings: Tolerances, least: float) -> None:
        self.problem, self.settings, self.least = problem, settings, least
        self.normals = np.stack([problem.inputs, np.ones(problem.samples)], axis=1)
        self.unit = self.normals / np.linalg.norm(self.normals, axis=1, keepdims=True)
        self.log_end = np.inf if settings.tau_max is None else float(np.log(settings.tau_max))
        self.legs: list[Leg] = []
        self.turns: list[TurningPoint] = []
        self.log_tau, self.evaluations, self.drift = -np.inf, 0, 0.0

    def from_start(self, start: tuple[float, float]) -> PlanarSolution:
        """The whole flow."""
        mode = self.met(np.asarray(start), Mode(self.problem.sides(*start)), [])
        point, stop = np.asarray(start), None
        while stop is None:
            point, mode, stop = self.step(point, mode)
            if len(self.turns) > MOST_TURNS:
                raise NotReached(f"the flow meets over {MOST_TURNS} kinks; it has come to {point.tolist()}")
        return PlanarSolution(tuple(self.legs), stop, tuple(self.turns), self.evaluations, self.drift)

    def step(self, point: Array, mode: Mode) -> tuple[Array, Mode, Status | None]:
        """One leg, and what comes after it."""
        if mode.rests and self.legs:
            return point, mode, self.resting(mode)
        events = [self.until_kink(i, mode) for i in self.free(mode)]
        events += [self.until_balance(mode), self.until_leaving(mode)]
        rates, length = softened(lambda at: self.velocity(at, mode)), 0.0 if mode.rests else FAR
        marched = march(rates, self.loss, tuple(point), self.settings, length, events)
        self.add(marched, mode)
        point = self.on_lines(self.legs[-1].points(self.legs[-1].q[-1]), mode)
        if mode.rests or self.log_tau >= self.log_end:
            return point, mode, self.resting(mode)
        hit = marched.event
        if hit == len(events) - 2:
            return point, mode, Status.ASYMPTOTIC
        if hit == len(events) - 1:
            return point, self.left(point, mode), None
        return point, self.met(point, mode, [int(self.free(mode)[hit])]), None

    def add(self, marched: Marched, mode: Mode) -> None:
        """Keep a leg; what slides is put back on its line, and how far it was off is remembered."""
        leg = marched.leg
        if mode.held.size and not mode.rests:
            off = self.off(leg.points(leg.q), mode.held) / (1 + np.abs(self.problem.z_star[mode.held]))
            self.drift = max(self.drift, float(np.max(np.abs(off))))
            drifting = leg.points
            leg = replace(leg, points=lambda q: self.on_lines(drifting(q), mode))
        self.legs.append(leg)
        self.evaluations += marched.evaluations
        self.log_tau = float(np.logaddexp(self.log_tau, leg.log_tau[-1]))

    def resting(self, mode: Mode) -> Status:
        """How a flow that rests has ended."""
        return Status.REACHED if mode.held.size == self.problem.samples else Status.BALANCED

    # --- kinks ---

    def met(self, point: Array, mode: Mode, arrived: list[int]) -> Mode:
        """The mode after some samples have come to their kinks: the shortest element of the subdifferential."""
        sides = mode.sides.copy()
        near = np.abs(self.off(point, slice(None))) <= ON_KINK * (1 + np.abs(self.problem.z_star))
        sides[near] = 0.0
        sides[arrived] = 0.0
        on = np.flatnonzero(sides == 0)
        if not on.size:
            return replace(mode, sides=sides, rests=bool(self.pull(point, sides).size <= self.least))
        pull = self.pull(point, sides)
        most = self.strength(point, on, pull.log_scale)
        found = lsq_linear(self.unit[on].T, [-pull.first, -pull.second], (-most, most), method="bvls", tol=1e-15)
        sides[on] = found.active_mask
        rest = np.hypot(*(self.unit[on].T @ found.x + [pull.first, pull.second]))
        changed = Mode(sides, bool(rest <= self.least))
        self.tell(on, mode, changed, point)
        return changed

    def left(self, point: Array, mode: Mode) -> Mode:
        """The mode after the samples that were held have been pulled off their kinks."""
        sides, pull = mode.sides.copy(), self.pull(point, mode.sides)
        sides[mode.held] = -np.sign(self.normals[mode.held] @ [pull.first, pull.second])
        changed = Mode(sides, left=frozenset(mode.held.tolist()))
        self.tell(mode.held, mode, changed, point)
        return changed

    def tell(self, samples: Any, before: Mode, after: Mode, point: Array) -> None:
        """Note what became of samples on their kinks."""
        for i in samples:
            was, now = before.sides[i], after.sides[i]
            if was == now and self.turns:
                continue
            what = "reaches its target and stays on it" if now == 0 else "crosses its target"
            what = "leaves its target" if was == 0 and now != 0 else what
            self.turns.append(TurningPoint(self.log_tau, (float(point[0]), float(point[1])), f"sample {i} {what}"))

    # --- pulls ---

    def free(self, mode: Mode) -> Any:
        return np.flatnonzero(mode.sides != 0)

    def pre(self, point: Array) -> Array:
        return point[..., :1] * self.problem.inputs + point[..., 1:]

    def off(self, point: Array, samples: Any) -> Array:
        """``z - z*``."""
        return (self.pre(point) - self.problem.z_star)[..., samples]

    def pull(self, point: Array, sides: Array) -> Force:
        """The pull of the samples that are not held."""
        return self.problem._force(self.pre(point), sides)

    def strength(self, point: Array, held: Any, log_scale: float) -> Array:
        """The most that each held sample can pull, in units of ``exp(log_scale)``."""
        logs = self.problem._log_pulls(self.pre(point))[..., held] + np.log(np.linalg.norm(self.normals[held], axis=1))
        return np.exp(np.clip(logs - (0.0 if np.isneginf(log_scale) else log_scale), -600.0, 600.0))

    def velocity(self, point: Array, mode: Mode) -> Force:
        """The pull of the free samples, along the line if some are held."""
        pull = self.pull(point, mode.sides)
        if not mode.held.size:
            return pull
        x, one = self.unit[mode.held[0]]
        along = pull.first * one - pull.second * x
        return Force(along * one, -along * x, pull.log_scale)

    def on_lines(self, point: Array, mode: Mode) -> Array:
        """A point put back on the line of the samples that are held."""
        for i in mode.held:
            normal = self.normals[i]
            point = point - self.off(point, [i]) * normal / (normal @ normal)
        return point

    def loss(self, _: Array, points: Array) -> Array:
        return np.asarray(self.problem.loss_at(points[..., 0], points[..., 1]))

    # --- events: above 0 while the leg goes on ---

    def until_kink(self, i: int, mode: Mode) -> Event:
        def event(q: float, point: Array) -> float:
            return 1.0 if i in mode.left and q < GRACE else -mode.sides[i] * float(self.off(point, i))

        return event

    def until_balance(self, mode: Mode) -> Event:
        return lambda _, point: float(self.velocity(point, mode).size) - self.least

    def until_leaving(self, mode: Mode) -> Event:
        def event(_: float, point: Array) -> float:
            if not mode.held.size:
                return 1.0
            pull = self.pull(point, mode.sides)
            most = self.strength(point, mode.held, float(pull.log_scale)).sum()
            return 1.0 - abs(float(self.unit[mode.held[0]] @ [pull.first, pull.second])) / most

        return event


def _columns(task: dict[str, Any], samples: int) -> dict[str, Any]:
    """The horizon and the target with one value a sample."""
    made = {}
    for name, value in task.items():
        if value is None:
            continue
        if isinstance(value, Target):
            raise InvalidArgument(f"give the targets of samples by one of {', '.join(WAYS)}")
        column = reals(name, value) if not isinstance(value, str) else value
        if np.ndim(column) > 1 or np.size(column) not in (1, samples):
            raise InvalidArgument(f"{name} must be one number or {samples}, one for each input; got {np.size(column)}")
        made[name] = np.broadcast_to(column, (samples,)) if not isinstance(value, str) else value
    return made
