"""Steps of optimisers that divide by a running mean square of the gradient: Adam, RMSprop.

Where v changes slowly their step is ``eta v/(v + eps)``, so that ``N = (|z* - z0| + eps tau)/eta``. But the mean square
``s`` cannot fall faster than beta2 a step: past the largest v the step shrinks until log v falls by ``|log beta2|/2`` a
step, and ``N = 2 log(v_max/v*)/(1 - beta2)``. Both are limits of one flow, with the variables swapped so that it takes
the same work whatever N is: along the path, with v geometric on each of its pieces,

    dk = ds (sqrt(s^) + eps)/(eta m^),   m and s relaxing towards v and v^2 at rates |log beta1|, |log beta2| a step.

On a piece the time k solves ``length = eta k (mean of m^/(sqrt(s^) + eps) at its ends)``.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from gateflow.descents.optimizers._optimizer import InNoise, Optimizer, Prediction, judged, over_root
from gateflow.descents.precision import Format
from gateflow.flows.batch import Array
from gateflow.flows.sampled_path import Band, SampledPath

OFF = 0.03
"""Part of the steps by which a prediction that is called valid may be off, and 2 steps more."""

ROOT_START = 0.5331596
"""``(zeta(1/2)/2)^2``: from here on the integral of ``k^(-1/2)`` is its sum over 1, 2, ..., N, up to N + 1/2."""

TRIES = 60
"""Steps of the secant method for the time on a piece, at most."""

CLOSE = 1e-11
"""Relative error of that time."""


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
        """log of ``m^/(sqrt(s^) + eps)``, with both means corrected: the step per step size, without :meth:`boost`."""
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


class Normalised(Optimizer):
    """An optimiser whose steps have the size of lr: it divides by the root of a running mean square."""

    is_sign_like: ClassVar = True

    @property
    @abstractmethod
    def averages(self) -> Averages:
        """How gradients are averaged."""

    @property
    def in_noise(self) -> InNoise:
        """While an s without correction fills, steps are longer by ``(1 - beta2^k)^(-1/2)``; that adds up."""
        how = self.averages
        scale = over_root(how.eps, how.beta2)
        gained = 0.0 if how.corrected else 2 * float(np.log(2) / np.log(how.beta2))
        return InNoise(scale, how.beta1 / (1 - how.beta1), how.beta2 / (1 - how.beta2), start=gained)

    def log_pace(self, log_v: Array) -> Array:
        """``log v/(v + eps)``."""
        return log_v - np.logaddexp(log_v, np.log(max(self.averages.eps, 1e-320)))

    def largest_lr(self, path: SampledPath) -> Array:
        """``(1-beta1)/max u'``, where coasting moves u by 1; less where the first steps are longer."""
        how = self.averages
        early = 0.0 if how.corrected else -0.5 * np.log1p(-how.beta2)
        reach = np.maximum(np.max(path.log_du, axis=1), path.log_du[:, 0] + early)
        return (1 - how.beta1) * np.exp(-reach)

    def chatter_lr(self, band: Band) -> Array:
        """The band's radius, or a little less: around a kink s is at least the square of the least slope in it."""
        return band.radius * np.exp(-band.spread)

    def log_way(self, log_tau: Array, length: Array) -> Array:
        """log of ``length + eps tau``: steps of ``eta v/(v + eps)``."""
        eps = self.averages.eps
        return np.logaddexp(np.log(length), log_tau + np.log(eps)) if eps else np.log(length)

    @property
    def chatter(self) -> float:
        """Size of the steps to and fro around the target, per step size: there s is ``v*^2``."""
        return 1.0

    def predict(self, path: SampledPath, lr: Array, fmt: Format) -> Prediction:
        """The flow of the means along the path."""
        how = self.averages
        log_step, steps = _march(path, lr, how)
        pace = np.exp((log_step[:, 1:] + log_step[:, :-1]) / 2)
        coarse = np.max(np.minimum(pace, path.length[:, None]) * np.abs(path.steepness), axis=1)
        rounding = fmt.unit * np.max(np.abs(path.z), axis=1) / lr * steps / np.maximum(path.length / lr, 1.0)
        return judged(
            path,
            log_step,
            fmt,
            steps=steps,
            error=OFF * steps + 2,
            coarse=coarse > 0.25,
            rounds=rounding > 0.05,
            longest_step=np.exp(np.max(log_step + path.log_du, axis=1)) / (1 - how.beta1),
            chatter=lr * self.chatter * np.ones_like(steps),
            largest_lr=self.largest_lr(path),
        )


@dataclass(frozen=True)
class _Moment:
    """Where the runs are: steps behind them, and the logarithms of the means."""

    how: Averages
    k: Array
    log_m: Array
    log_s: Array

    @property
    def speed(self) -> Array:
        """log of the step per step size, without the boost."""
        return self.how.speed(self.log_m, self.log_s, self.k)

    def after(self, spent: Array, log_v: Array, rise: Array) -> _Moment:
        """After more steps, in which log v has risen to ``log_v``."""
        how = self.how
        m = _relaxed(self.log_m, log_v, rise, -_log(how.beta1), spent)
        s = _relaxed(self.log_s, 2 * log_v, 2 * rise, -_log(how.beta2), spent)
        return _Moment(how, self.k + spent, m, s)

    def log_way(self, log_spent: Array, log_v: Array, rise: Array) -> Array:
        """log of the way made, per step size, in a number of steps."""
        spent = np.exp(log_spent)
        mean = np.logaddexp(self.speed, self.after(spent, log_v, rise).speed) - np.log(2.0)
        lag = self.how.lag * np.clip(rise / spent, -1.0, 1.0)
        return log_spent + mean + self.how.boost(self.k, spent) - lag


def _march(path: SampledPath, lr: Array, how: Averages) -> tuple[Array, Array]:
    """log of the step in z at the nodes, and the steps to the end of the path."""
    log_v = path.log_v
    # steps 1 to N are the time from 1/2 to N + 1/2, by the midpoint rule
    k = np.full(lr.size, 0.5 if how.corrected else ROOT_START)
    log_m = log_v[:, 0] + np.log(-np.expm1(k * _log(how.beta1)))
    log_s = 2 * log_v[:, 0] + np.log(-np.expm1(k * _log(how.beta2)))
    now = _Moment(how, k, log_m, log_s)
    speeds = [now.speed + how.boost(now.k, 1.0)]
    for j in range(log_v.shape[1] - 1):
        now = _past(now, path.pieces[:, j] / lr, log_v[:, j + 1], log_v[:, j + 1] - log_v[:, j])
        speeds.append(now.speed + how.boost(now.k, 1.0))
    return np.log(lr)[:, None] + np.stack(speeds, axis=1), now.k - 0.5


def _past(now: _Moment, way: Array, log_v: Array, rise: Array) -> _Moment:
    """The moment a piece is passed; pieces without length are passed at once."""
    going = way > 0
    if not going.any():
        return now
    log_way = np.log(np.where(going, way, 1.0))
    log_spent = _rising_root(lambda x: now.log_way(x, log_v, rise) - log_way, log_way - now.speed)
    then = now.after(np.exp(log_spent), log_v, rise)
    rows = (np.where(going, getattr(then, name), getattr(now, name)) for name in ("k", "log_m", "log_s"))
    return _Moment(now.how, *rows)


def _rising_root(f: Callable[[Array], Array], guess: Array) -> Array:
    """Where a rising function is 0: the secant method, held in a bracket."""
    low, high = np.full(guess.shape, -60.0), np.full(guess.shape, 120.0)
    before, x = np.clip(guess, -59.0, 119.0), guess
    value_before = f(before)
    x = np.clip(before - value_before, -59.0, 119.0)
    for _ in range(TRIES):
        value = f(x)
        above = value > 0
        low, high = np.where(above, low, np.maximum(low, x)), np.where(above, np.minimum(high, x), high)
        if np.all((np.abs(value) < CLOSE) | ~np.isfinite(value)):
            break
        new = x - value * (x - before) / (value - value_before)
        before, value_before = x, value
        x = np.where(np.abs(value) < CLOSE, x, np.where((new > low) & (new < high), new, (low + high) / 2))
    return x
