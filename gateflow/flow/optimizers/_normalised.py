"""Steps of optimisers that divide by a running mean square of the gradient: Adam, RMSprop.

Where v changes slowly their step is ``eta v/(v + eps)``, so that ``N = (|z* - z0| + eps tau)/eta``. But the mean square
``s`` cannot fall faster than beta2 a step: past the largest v the step shrinks until log v falls by ``|log beta2|/2`` a
step, and ``N = 2 log(v_max/v*)/(1 - beta2)``. Both are limits of one flow, with the variables swapped so that it takes
the same work whatever N is: along the path, with v geometric on each of its pieces,

    dk = ds (sqrt(s^) + eps)/(eta m^),   m and s relaxing towards v and v^2 at rates |log beta1|, |log beta2| a step.

On a piece the time k solves ``length = eta k (mean of m^/(sqrt(s^) + eps) at its ends)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.flow.optimizers._optimizer import (
    EDGE,
    Prediction,
    counted,
    reasons,
    stalls_at,
)
from gateflow.flow.precision import Format
from gateflow.flow.road import Array, Road

OFF = 0.03
"""Part of the steps by which a prediction that is called valid may be off, and 2 steps more."""

ROOT_START = 0.5331596
"""``(zeta(1/2)/2)^2``: from here on the integral of ``k^(-1/2)`` is its sum over 1, 2, ..., N, up to N + 1/2."""

HALVINGS = 36
"""Halvings of the bracket in log k on a piece."""


@dataclass(frozen=True)
class Averages:
    """How the optimiser averages gradients.

    Parameters
    ----------
    beta1, beta2 : float
        Decay rates of the running means of the gradient and of its square.
    eps : float
        What is added to the root mean square.
    corrected : bool
        Whether the means are divided by the part of them that is filled.
    """

    beta1: float
    beta2: float
    eps: float
    corrected: bool

    @property
    def lag(self) -> float:
        """Steps by which the gradient is older than in the flow: half a step, and what the discrete mean of it adds."""
        return 0.5 + self.beta1 / (1 - self.beta1) + 1 / _log(self.beta1)

    def speed(self, log_m: Array, log_s: Array, k: Array) -> Array:
        """log of ``m^/(sqrt(s^) + eps)``, with both means corrected: the step per step size, but for :meth:`boost`."""
        log_m = log_m - np.log(-np.expm1(k * _log(self.beta1)))
        log_s = log_s - np.log(-np.expm1(k * _log(self.beta2)))
        log_eps = np.log(max(self.eps, 1e-320))
        if not self.corrected:
            log_eps = log_eps - np.log(-np.expm1(k * _log(self.beta2))) / 2
        return log_m - np.logaddexp(log_s / 2, log_eps)

    def boost(self, k: Array, spent: Any) -> Array:
        """log of the mean of ``1/sqrt(1 - beta2^k)`` over ``spent`` steps from k on; 0 where s is corrected."""
        if self.corrected:
            return np.zeros(np.broadcast_shapes(np.shape(k), np.shape(spent)))
        rate = -_log(self.beta2)
        filled, more = (np.sqrt(-np.expm1(-rate * t)) for t in (k, k + spent))
        way = spent + 2 / rate * (np.log1p(more) - np.log1p(filled))
        return np.where(spent > 1e-6 * k, np.log(way / spent), -np.log(filled))


def _log(beta: float) -> float:
    return float(np.log(max(beta, 1e-300)))


def _log_mean(x: Array) -> Array:
    """``log((1 - exp(-x))/x)``."""
    size = np.abs(x)
    small = size < 1e-8
    base = np.where(small, 0.0, np.log(-np.expm1(-np.where(small, 1.0, size)) / np.where(small, 1.0, size)))
    return base + np.maximum(-x, 0.0)


def _relaxed(log_mean: Array, log_end: Array, rise: Array, rate: float, k: Array) -> Array:
    """log of a running mean after k steps, during which the logarithm of what it follows rises by ``rise``.

    ``exp(-rate k) mean + rate k end (1 - exp(-x))/x`` with ``x = rate k + rise``.
    """
    return np.logaddexp(log_mean - rate * k, log_end + np.log(rate * k) + _log_mean(rate * k + rise))


def log_pace(log_v: Array, how: Averages) -> Array:
    """log of ``v/(v + eps)``: the step in z per step size while v does not change."""
    return log_v - np.logaddexp(log_v, np.log(max(how.eps, 1e-320)))


def largest_lr(road: Road, how: Averages) -> Array:
    """``(1-beta1)/max u'``: coasting of ``1/(1-beta1)`` steps moves u by 1; less where the first steps are longer."""
    early = 0.0 if how.corrected else -0.5 * np.log1p(-how.beta2)
    reach = np.maximum(np.max(road.log_du, axis=1), road.log_du[:, 0] + early)
    return (1 - how.beta1) * np.exp(-reach)


def predict(road: Road, lr: Array, fmt: Format, how: Averages, chatter: float) -> Prediction:
    """What is predicted of a normalised optimiser."""
    log_step, steps = _march(road, lr, how)
    stall = stalls_at(road, log_step, fmt)
    kappa = np.exp(np.max(log_step + road.log_du, axis=1)) / (1 - how.beta1)
    pace = np.exp((log_step[:, 1:] + log_step[:, :-1]) / 2)
    coarse = np.max(np.minimum(pace, road.length[:, None]) * np.abs(road.steepness), axis=1)
    rounding = fmt.unit * np.max(np.abs(road.z), axis=1) / lr * steps / np.maximum(road.length / lr, 1.0)
    reason = reasons(
        NEVER=~road.arrives,
        STALL=~np.isnan(stall),
        OVERSHOOT=kappa > EDGE,
        COARSE=coarse > 0.25,
        ROUNDING=rounding > 0.05,
    )
    return Prediction(
        steps=counted(road, steps),
        error=OFF * steps + 2,
        reason=reason,
        chatter=lr * chatter * np.ones_like(steps),
        kappa=kappa,
        largest_lr=largest_lr(road, how),
        stalls_at=stall,
    )


def _march(road: Road, lr: Array, how: Averages) -> tuple[Array, Array]:
    """log of the step in z at the nodes, and the steps to the end of the road."""
    rate1, rate2 = -_log(how.beta1), -_log(how.beta2)
    log_v, log_lr = road.log_v, np.log(lr)
    # steps 1 to N are the time from 1/2 to N + 1/2, by the midpoint rule
    k = np.full(lr.size, 0.5 if how.corrected else ROOT_START)
    log_m = log_v[:, 0] + np.log(-np.expm1(-rate1 * k))
    log_s = 2 * log_v[:, 0] + np.log(-np.expm1(-rate2 * k))
    speed = how.speed(log_m, log_s, k)
    speeds = [speed + how.boost(k, 1.0)]
    for j in range(log_v.shape[1] - 1):
        left, rise = road.pieces[:, j], log_v[:, j + 1] - log_v[:, j]
        going = left > 0
        low, high = np.full(k.size, -60.0), np.full(k.size, 120.0)
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            spent = np.exp(middle)
            m = _relaxed(log_m, log_v[:, j + 1], rise, rate1, spent)
            s = _relaxed(log_s, 2 * log_v[:, j + 1], 2 * rise, rate2, spent)
            mean = np.logaddexp(speed, how.speed(m, s, k + spent)) - np.log(2.0) + how.boost(k, spent)
            mean = mean - how.lag * np.clip(rise / spent, -1.0, 1.0)
            far = log_lr + middle + mean > np.log(left)
            high, low = np.where(far, middle, high), np.where(far, low, middle)
        log_m, log_s = np.where(going, m, log_m), np.where(going, s, log_s)
        k = k + np.where(going, spent, 0.0)
        speed = how.speed(log_m, log_s, k)
        speeds.append(speed + how.boost(k, 1.0))
    return log_lr[:, None] + np.stack(speeds, axis=1), k - 0.5
