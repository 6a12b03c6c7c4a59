"""Heavy ball: ``m <- beta m + dL/dz``, ``z <- z - eta m``, with m = 0 at the start.

Prediction. On its slow manifold the ball moves by ``W = w - b w w' + ...`` a step, with ``w = eta v/(1-beta)`` and
``b = beta/(1-beta)``. Counting steps as for gradient descent, with the b steps that getting under way costs::

    N = (1-beta) tau/eta + b + (1/2 + b) log(v*/v0)
        - ((1 + 10 beta + beta^2)/12 [w' + integral of w'^2/w dz] + (3/2) beta w'0)/(1-beta)^2 + O(eta^2)

The last line is the estimate of the error; in a run of N steps only ``b (1 - beta^N)`` of b is spent.

When the gradient stops, the ball coasts by ``b w``: what keeps overshoot in bounds is the longest step, ``max(v u')
eta/(1-beta)^2``. At the target it swings through, and friction brings it down to a cycle of n steps up and n down; the
largest that lasts is the one whose last step alone still crosses the target (see :func:`cycle`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

import numpy as np

from gateflow.descents.optimizers._optimizer import InNoise, Optimizer, Prediction, Rounding, State, expanded
from gateflow.descents.precision import Format
from gateflow.flows.batch import Array
from gateflow.flows.sampled_path import Band, SampledPath
from gateflow.guards.arguments import BELOW_1


@dataclass(frozen=True)
class HeavyBall(Optimizer):
    """Gradient descent with momentum, as PyTorch's SGD has it.

    Parameters
    ----------
    beta : float
        Part of the velocity kept in a step, in [0, 1).
    """

    beta: float = 0.9
    UPDATE_C: ClassVar = "  m = hyper[0] * m + g;\n  taken = lr * m;"
    RANGES: ClassVar = {"beta": BELOW_1}

    @property
    def memory(self) -> float:
        return 1 / (1 - self.beta)

    @property
    def in_noise(self) -> InNoise:
        """Each gradient moves z by ``eta/(1-beta)`` in all, b steps late on average."""
        b = self.beta / (1 - self.beta)
        return InNoise(lambda square: np.full_like(square, 1 / (1 - self.beta)), delay=b, start=b)

    def start(self, count: int) -> State:
        return (np.zeros(count),)

    def update(self, state: State, gradient: Array, k: Array, lr: Array, fl: Rounding) -> tuple[State, Array]:
        m = fl(fl(self.beta * state[0]) + gradient)
        return (m,), fl(lr * m)

    def log_pace(self, log_v: Array) -> Array:
        """``log v/(1-beta)``."""
        return log_v - np.log(1 - self.beta)

    def largest_lr(self, path: SampledPath) -> Array:
        """``(1-beta)^2/max(v u')``."""
        return (1 - self.beta) ** 2 * np.exp(-path.log_stiffness)

    def chatter_lr(self, band: Band) -> Array:
        """``radius/v`` over :func:`excursion`."""
        return band.radius * np.exp(-band.log_v) / excursion(self.beta)

    def log_way(self, log_tau: Array, length: Array) -> Array:
        """log of ``(1 - beta) tau``."""
        return log_tau + np.log(1 - self.beta)

    def predict(self, path: SampledPath, lr: Array, fmt: Format) -> Prediction:
        """``(1-beta) tau/eta + b (1 - beta^N) + (1/2 + b) log(v*/v0)``."""
        beta, rest = self.beta, 1 - self.beta
        b, log_eta = beta / rest, np.log(lr) - np.log(rest)
        moving = np.exp(path.log_tau - log_eta) + (0.5 + b) * path.growth
        steps = fading = np.zeros(lr.shape)
        for _ in range(60):
            fading = beta**steps
            steps = np.maximum(moving + b * (1 - fading), 1.0)
        bent = (1 + 10 * beta + beta**2) / 12 * path.curvature + 1.5 * beta * np.abs(path.first_slope)
        return expanded(
            path,
            log_eta,
            fmt,
            steps=steps,
            expansion=np.exp(log_eta) * bent / rest**2 + b * fading * np.abs(path.growth),
            chatter=np.exp(np.log(lr) + path.log_v_star) * cycle(beta),
            largest_lr=self.largest_lr(path),
            rest=rest,
        )


def _lasting(beta: float) -> Iterator[Array]:
    """The upward half, step by step and per ``eta v*``, of each cycle around a kink that lasts.

    Of n steps up, the last is ``m = (1 - beta^n)/((1 - beta)(1 + beta^n))``, and they add up to
    ``(n - 2 beta m)/(1 - beta)``. The last step alone must cross the middle of it: ``2 m > n``.
    """
    n, last = 1, 1 / (1 + beta)
    while n == 1 or 2 * last > n:
        fading = beta ** np.arange(1, n + 1)
        yield -last * fading + (1 - fading) / (1 - beta)
        n += 1
        last = (1 - beta**n) / ((1 - beta) * (1 + beta**n))


@lru_cache(maxsize=256)
def cycle(beta: float) -> float:
    """The mean step around a kink, per ``eta v*``, of the largest cycle that lasts.

    Examples
    --------
    >>> cycle(0.0)
    1.0
    """
    *_, longest = _lasting(beta)
    return float(np.mean(np.abs(longest)))


@lru_cache(maxsize=256)
def excursion(beta: float) -> float:
    """The farthest from a kink, per ``eta v*``, that a cycle around it leads, wherever the kink lies within the cycle.

    The last of n steps up crosses the kink; then the ball coasts as far up as, in the other half, it coasts down.
    Cycles of unlike halves, which are not looked at, lead a few per cent farther for some beta.

    Examples
    --------
    >>> excursion(0.0)
    1.0
    """
    return max(float(np.sum(np.maximum(-m, 0.0)) + min(m[-1], np.sum(m))) for m in _lasting(beta))


OPTIMIZER = HeavyBall
