"""The gradient of one sample as a random number: its mean and its deviation, in a form that is the same for all gates.

With ``y = -log phi`` a sample's gradient is ``dl/dz = -(dl/dy) sigma(-u) u'``. Of a gate only u and u' enter (a gate is
a metric, theory.md section 6); the law of ``dl/dy`` is one function of u, whatever the gate. From it the part
``exp(-fade y)`` is taken out, by which every sample fades on a plateau, so that what is left changes slowly.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.losses import Decay
from gateflow.noise.elements import Array
from gateflow.noise.samples import Samples

AT_ONCE = 200_000
"""Gradients of samples computed at a time."""


@dataclass(frozen=True, eq=False)
class Gradients:
    """Gradients of a learning problem whose samples vary."""

    problem: LearningProblem
    samples: Samples

    @cached_property
    def fade(self) -> float:
        """The power of phi like which every sample fades on a plateau: the shortest horizon; 0 for losses that do not.

        A loss that fades far below its target is a function of ``exp(-h)``, such as the absolute one.
        """
        slopes = self.problem.loss.log_slope(Decay(h=np.array([100.0, 200.0])), Decay(h=np.ones(2)))
        if not slopes[1] - slopes[0] < -99:
            return 0.0
        if self.samples.horizon is None:
            return float(self.problem.horizon)
        return float(max(self.samples.horizon.support()[0], 0.0))

    def moments(self, u: Array) -> tuple[Array, Array]:
        """Mean and deviation of a sample's gradient, per ``sigma(-u) u' exp(-fade y)``, at profiles of any shape."""
        flat = u.ravel()
        width = AT_ONCE // max(1, self._nodes) + 1
        parts = [self._of_unit_scale(flat[i : i + width]) for i in range(0, flat.size, width)]
        mean, deviation = (np.concatenate(part).reshape(u.shape) for part in zip(*parts, strict=True))
        c, of_c = (float(self.problem.scale), 0.0) if self.samples.scale is None else self._scale
        return c * mean, np.hypot(np.hypot(c, np.sqrt(of_c)) * deviation, np.sqrt(of_c) * mean)

    def _of_unit_scale(self, u: Array) -> tuple[Array, Array]:
        """The same for c = 1, at an axis of profiles."""
        p = self.problem
        y = np.logaddexp(0.0, -u)[:, None]  # -log phi
        if self.samples.target is not None:
            kept = np.exp(-p.horizon * y[:, 0])
            alike = p.loss.name == "absolute"  # its slope asks on which side the target is, and no more
            wanted, weights = self.samples.target.sides(kept) if alike else self.samples.target.nodes(kept)
            horizon, h_star = np.full_like(wanted, p.horizon), -np.log(np.clip(wanted, 1e-300, 1.0))
        elif self.samples.horizon is not None:
            split = p.h_star / y[:, 0] if p.target.way != "timescale" else np.zeros(u.size)
            horizon, weights = self.samples.horizon.nodes(split)
            h_star = horizon / p.target.value if p.target.way == "timescale" else np.full_like(horizon, p.h_star)
        else:
            horizon, weights = np.full(y.shape, float(p.horizon)), np.ones(y.shape)
            h_star = np.full(y.shape, float(p.h_star))
        decay, goal = Decay(h=horizon * y), Decay(h=h_star)
        with np.errstate(all="ignore"):
            size = np.exp(p.loss.log_slope(decay, goal) + self.fade * y + np.log(horizon))
            slope = np.where(decay.h >= h_star, -1.0, 1.0) * size  # at a target as just below it
        mean = np.sum(weights * slope, axis=1)
        about = slope - mean[:, None]
        largest = np.max(np.abs(about), axis=1, keepdims=True)  # squares of it may be past the floats
        with np.errstate(divide="ignore", invalid="ignore"):
            spread = np.sqrt(np.sum(weights * np.where(largest > 0, about / largest, 0.0) ** 2, axis=1))
        return mean, largest[:, 0] * spread

    @cached_property
    def _scale(self) -> tuple[float, float]:
        return self.samples.scale.moments()

    @cached_property
    def _nodes(self) -> int:
        varying = self.samples.target or self.samples.horizon
        return 1 if varying is None else varying.nodes(np.zeros(1))[0].shape[-1]


def log_share(gate: Gate, z: Array, fade: float) -> tuple[Array, Any]:
    """u, and the logarithm of what :meth:`Gradients.moments` is multiplied by for a gate."""
    numbers = gate.float64
    u = np.broadcast_to(numbers.u(z), z.shape)
    rest = -np.logaddexp(0.0, u) - fade * np.logaddexp(0.0, -u)
    return u, rest + np.broadcast_to(numbers.log_du(z), z.shape)
