"""Gradient descent: ``z <- z - eta dL/dz``.

Prediction. Let A(z) count steps, ``A(z + eta v) = A(z) + 1``. In powers of eta (Euler–Maclaurin), with
``tau = integral of dz/v``::

    A = tau/eta + (1/2) log v - (eta/12) (v' + integral of v'^2/v dz) + O(eta^2)

so that the target is reached in ``N = tau/eta + (1/2) log(v*/v0)`` steps; the third term is the estimate of its error.
There z chatters with steps of ``eta v*`` (theory.md §6). A step moves the profile by ``eta v u'``: the greatest of
these on the way is the longest step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gateflow.descents.optimizers._optimizer import InNoise, Optimizer, Prediction, Rounding, State, expanded
from gateflow.descents.precision import Format
from gateflow.flows.batch import Array
from gateflow.flows.sampled_path import Band, SampledPath


@dataclass(frozen=True)
class GradientDescent(Optimizer):
    """Plain gradient descent."""

    UPDATE_C: ClassVar = "  taken = lr * g;"

    @property
    def memory(self) -> float:
        return 1.0

    @property
    def in_noise(self) -> InNoise:
        return InNoise(np.ones_like)

    def start(self, count: int) -> State:
        return ()

    def update(self, state: State, gradient: Array, k: Array, lr: Array, fl: Rounding) -> tuple[State, Array]:
        return (), fl(lr * gradient)

    def log_pace(self, log_v: Array) -> Array:
        """``log v``."""
        return log_v

    def largest_lr(self, path: SampledPath) -> Array:
        """``1/max(v u')``."""
        return np.exp(-path.log_stiffness)

    def chatter_lr(self, band: Band) -> Array:
        """``radius/v``."""
        return band.radius * np.exp(-band.log_v)

    def log_way(self, log_tau: Array, length: Array) -> Array:
        """``log tau``."""
        return log_tau

    def predict(self, path: SampledPath, lr: Array, fmt: Format) -> Prediction:
        """``tau/eta + (1/2) log(v*/v0)``."""
        log_lr = np.log(lr)
        return expanded(
            path,
            log_lr,
            fmt,
            steps=np.exp(path.log_tau - log_lr) + path.growth / 2,
            expansion=lr * path.curvature / 12,
            chatter=np.exp(log_lr + path.log_v_star),
            largest_lr=self.largest_lr(path),
        )


OPTIMIZER = GradientDescent
