"""Gradient descent on a learning problem whose samples vary: its drift and diffusion, and what follows from them.

A step moves z by minus eta times the mean gradient of a batch. Its states are those of the diffusion
``dz = (b - (eta/2) b b') dtau + sqrt(eta) s(z) dW`` at the learning time ``tau = eta k``, with ``b = -L'``, L the mean
loss and ``s^2`` the variance of the batch's gradient: in law, to second order in eta where all is smooth.

Source: Q. Li, C. Tai and W. E, *Stochastic modified equations and dynamics of stochastic gradient algorithms*, JMLR 20
(2019), theorem 9.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem, number
from gateflow.losses import Decay
from gateflow.noise.diffusion import DEPTH, Diffusion, StationaryLaw
from gateflow.noise.elements import Array, Unresolved
from gateflow.noise.passage import Passage
from gateflow.noise.paths import Paths
from gateflow.noise.samples import Samples

PROFILES = np.concatenate([np.linspace(-60.0, 60.0, 2401), np.geomspace(60.1, 650.0, 400)])
"""Logit profiles at which the law about the target is looked for."""

TOLERANCE = 1e-9
"""To which drift and variance are followed; quantile functions of SciPy are not known better."""

NEARBY = 1e-6
"""Over so much of 1 + |z| the drift is differentiated."""

AT_ONCE = 200_000
"""Gradients of samples computed at a time."""


@dataclass(frozen=True, eq=False)
class NoisyDescent:
    """Gradient descent with batches.

    Parameters
    ----------
    problem : LearningProblem
        One problem; what varies takes the place of its number.
    samples : Samples
    lr : float
        eta, above 0.

    Raises
    ------
    InvalidArgument
        The problem is of arrays, or lr is out of range.

    Examples
    --------
    >>> problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    >>> noisy = NoisyDescent(problem, Samples(scale="normal(1, 3)"), lr=0.01)
    >>> found = noisy.spread([0.025, 0.5, 0.975])
    >>> bool(found[0] < 10 / np.log(2) < found[2])
    True
    """

    problem: LearningProblem
    samples: Samples
    lr: float

    def __post_init__(self) -> None:
        problem = self.problem
        if not isinstance(problem, LearningProblem) or not isinstance(self.samples, Samples):
            raise InvalidArgument("a noisy descent is of a LearningProblem and of Samples")
        if any(np.ndim(part) for part in (problem.horizon, problem.target.value, problem.scale)):
            raise InvalidArgument("noise is of one problem; give numbers, not arrays")
        lr = number("lr", self.lr, lambda v: (v > 0) & np.isfinite(v), "finite and above 0")
        if np.ndim(lr):
            raise InvalidArgument("lr must be one number")
        object.__setattr__(self, "lr", lr)

    # --- moments of the gradient ---

    def _unscaled(self, z: Array) -> tuple[Array, Array]:
        """Mean and variance of ``dl/dz`` for c = 1, at an axis of positions."""
        p, numbers = self.problem, self.problem.gate.float64
        u = np.broadcast_to(numbers.u(z), z.shape)[:, None]
        log_rest = -np.logaddexp(0.0, u)  # log(1 - phi)
        y = np.logaddexp(0.0, -u)  # -log phi
        step = log_rest + np.broadcast_to(numbers.log_du(z), z.shape)[:, None]
        if self.samples.target is not None:
            kept = np.exp(-p.horizon * y[:, 0])
            alike = p.loss.name == "absolute"  # its slope asks on which side the target is, and no more
            wanted, weights = self.samples.target.sides(kept) if alike else self.samples.target.nodes(kept)
            horizon, h_star = np.full_like(wanted, p.horizon), -np.log(np.clip(wanted, 1e-300, 1.0))
        elif self.samples.horizon is not None:
            split = p.h_star / y[:, 0] if p.target.way != "timescale" else np.zeros(z.size)
            horizon, weights = self.samples.horizon.nodes(split)
            h_star = horizon / p.target.value if p.target.way == "timescale" else np.full_like(horizon, p.h_star)
        else:
            horizon, weights = np.full(y.shape, float(p.horizon)), np.ones(y.shape)
            h_star = np.full(y.shape, float(p.h_star))
        decay, goal = Decay(h=horizon * y), Decay(h=h_star)
        with np.errstate(all="ignore"):
            size = np.exp(p.loss.log_slope(decay, goal) + np.log(horizon) + step)
            slope = np.where(decay.h >= h_star, -1.0, 1.0) * size  # at a target as just below it
        mean = np.sum(weights * slope, axis=1)
        return mean, np.sum(weights * (slope - mean[:, None]) ** 2, axis=1)

    def _moments(self, z: Any) -> tuple[Array, Array]:
        """Mean and variance of the gradient of one sample."""
        z = np.asarray(number("z", z, np.isfinite, "finite"), dtype=float)
        flat = z.ravel()
        width = max(1, self._nodes)
        parts = [self._unscaled(flat[i : i + AT_ONCE // width + 1]) for i in range(0, flat.size, AT_ONCE // width + 1)]
        mean, variance = (np.concatenate(part).reshape(z.shape) for part in zip(*parts, strict=True))
        c, of_c = (self.problem.scale, 0.0) if self.samples.scale is None else self._scale
        return c * mean, (c**2 + of_c) * variance + of_c * mean**2

    @cached_property
    def _scale(self) -> tuple[float, float]:
        return self.samples.scale.moments()

    @cached_property
    def _nodes(self) -> int:
        varying = self.samples.target or self.samples.horizon
        return 1 if varying is None else varying.nodes(np.zeros(1))[0].shape[-1]

    def drift(self, z: Any) -> Array:
        """``b - (eta/2) b b'`` with ``b = -L'``, per unit of learning time: what steps of size eta are nearest to.

        The derivative is a difference of second order over a small way, to one side close to a kink.
        """
        z = np.asarray(number("z", z, np.isfinite, "finite"), dtype=float)
        way = NEARBY * (1 + np.abs(z))
        kinks = np.asarray(self.kinks)
        apart = z - (kinks[np.argmin(np.abs(z[..., None] - kinks), axis=-1)] if kinks.size else np.inf)
        aside = np.where(np.abs(apart) < 2 * way, np.where(apart < 0, -1.0, 1.0), 0.0)
        first, second = np.where(aside == 0, -way, aside * way), np.where(aside == 0, way, 2 * aside * way)
        at, b1, b2 = (-self._moments(x)[0] for x in (z, z + first, z + second))
        slope = np.where(aside == 0, (b2 - b1) / (2 * way), aside * (4 * b1 - 3 * at - b2) / (2 * way))
        return at * (1 - self.lr / 2 * slope)

    def gradient(self, z: Any) -> Array:
        """``L'(z)``, the mean gradient."""
        return self._moments(z)[0]

    def variance(self, z: Any) -> Array:
        """``eta s(z)^2``, per unit of learning time."""
        return self.lr / self.samples.batch * self._moments(z)[1]

    @cached_property
    def kinks(self) -> tuple[float, ...]:
        """Positions at which drift or variance is not smooth: of the gate, of a law's ends, of the targets."""
        p, gate = self.problem, self.problem.gate
        found: list[Any] = [*gate.kinks]
        if self.samples.target is not None:
            varying = self.samples.target
            kept = np.array(varying.values if varying.values is not None else varying.support())
            kept = kept[(kept > 0) & (kept < 1)]
            found += list(gate.inverse_c(-np.expm1(np.log(kept) / p.horizon)))
        elif self.samples.horizon is not None and p.target.way != "timescale":
            varying = self.samples.horizon
            lags = np.array(varying.values if varying.values is not None else varying.support())
            lags = lags[(lags > 0) & np.isfinite(lags)]
            if p.h_star > 0:
                found += list(gate.inverse_c(-np.expm1(-p.h_star / lags)))
        else:
            found.append(p.z_star)
        return tuple(sorted({float(z) for z in found if np.isfinite(z)}))

    # --- what follows ---

    def diffusion(self, low: float, high: float) -> Diffusion:
        """The diffusion of z between two ends."""
        return Diffusion(self.drift, self.variance, float(low), float(high), self.kinks, TOLERANCE)

    def stationary(self) -> StationaryLaw:
        """The law of z about the target, to which descent settles, by quadrature.

        Raises
        ------
        InvalidArgument
            There is none: no noise, or the gradient cannot hold z.
        Unresolved
            The law is narrower than a step of descent, which then leaps to and fro across the target.
        """
        found = self.diffusion(*self._held).stationary()
        near = found.mean + found.deviation * np.array([-2.0, -1.0, 1.0, 2.0])
        step = self.lr * float(np.max(np.abs(self.gradient(near))))
        if found.deviation < step:
            raise Unresolved(
                f"a step is {step:.2g} long in z, the law of the diffusion {found.deviation:.2g} wide: descent leaps "
                "to and fro across the target, which a diffusion does not describe; take a smaller lr or batch"
            )
        return found

    @cached_property
    def _held(self) -> tuple[float, float]:
        """Where all but exp(-60) of the stationary law is."""
        z = np.unique(np.concatenate([self.problem.gate.float64.z_of_u(PROFILES), self.kinks]))
        z = z[np.isfinite(z)]
        middle = (z[1:] + z[:-1]) / 2
        mean, variance = self._moments(middle)
        if not np.any(variance > 0):
            raise InvalidArgument("there is no noise: samples do not differ in their gradients")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            spread = self.lr / self.samples.batch * variance
            slope = np.where(spread > 0, -2 * mean / spread, -np.inf * np.sign(mean))
        center = int(np.argmax(np.where(np.diff(np.sign(-mean)) < 0, 1, 0))) + 1
        rise = np.clip(slope * np.diff(z), -1e6, 1e6)
        above = np.flatnonzero(np.cumsum(rise[center:]) < -DEPTH)
        below = np.flatnonzero(np.cumsum(-rise[:center][::-1]) < -DEPTH)
        if not above.size or not below.size:
            side = "above" if not above.size else "below"
            raise InvalidArgument(f"z settles to no law: the gradient does not hold it from {side}")
        low, high = z[center - 1 - below[0]], z[center + 1 + above[0]]
        return self._with_noise(float(low), float(high), float(z[center]))

    def _with_noise(self, low: float, high: float, inside: float) -> tuple[float, float]:
        """The part of an interval about a point where there is noise."""
        ends = []
        for end in (low, high):
            places = np.linspace(inside, end, 2001)
            quiet = np.flatnonzero(~(self.variance((places[1:] + places[:-1]) / 2) > 0))
            ends.append(float(places[quiet[0]]) if quiet.size and quiet[0] else float(end))
        return ends[0], ends[1]

    def spread(self, p: Any) -> Array:
        """Quantiles of the time constant to which descent settles, in steps."""
        return -1 / self.problem.gate.log_phi(self.stationary().quantile(p))

    def arrival(self, z0: float, timescale: float | None = None) -> Passage:
        """The law of the learning time at which a time constant is first reached; steps are that over lr.

        Parameters
        ----------
        z0 : float
            Where descent starts.
        timescale : float, optional
            In steps; by default the problem's target.

        Raises
        ------
        InvalidArgument
            A number is out of range, or the target is no place of the gate.
        Unresolved
            One or two steps may cover the way.
        """
        z0 = float(number("z0", z0, np.isfinite, "finite"))
        gate = self.problem.gate
        if timescale is None:
            level = float(self.problem.z_star)
        else:
            scale = number("timescale", timescale, lambda v: (v > 0) & np.isfinite(v), "finite and above 0")
            level = float(gate.inverse_c(-np.expm1(-1 / scale)))
        if not np.isfinite(level):
            raise InvalidArgument("the target is no place of the gate; name a time scale that is")
        step = self.lr * abs(float(self.gradient(z0))) + float(np.sqrt(self.lr * self.variance(z0)))
        if 2 * step > abs(level - z0):
            raise Unresolved(
                f"a step is about {step:.2g} long in z, the way {abs(level - z0):.2g}: what one or two steps do is not "
                "described by a diffusion; take a smaller lr or larger batches"
            )
        reach = self._back_from(z0, level)
        return Passage(self.diffusion(min(reach, level), max(reach, level)), z0, level)

    def _back_from(self, z0: float, level: float) -> float:
        """A position far behind the start, short of where floats end."""
        gate, side = self.problem.gate, np.sign(z0 - level)
        u = float(gate.float64.u(np.array([z0]))[0])
        far = float(gate.float64.z_of_u(np.array([np.clip(u + side * 30.0, -600.0, 600.0)]))[0])
        return far if np.isfinite(far) and far != z0 else z0 + side

    def paths(self, z0: float, count: int, *, seed: int = 0) -> Paths:
        """Many runs of descent with Gaussian gradients of the same mean and variance, from one start.

        Raises
        ------
        InvalidArgument
            A number is out of range.
        """
        z0 = float(number("z0", z0, np.isfinite, "finite"))
        z_star = float(self.problem.z_star)
        other = z_star if np.isfinite(z_star) else z0 + 1
        low, high = sorted((z0, other))
        try:
            held = self._held
            low, high = min(low, held[0]), max(high, held[1])
        except InvalidArgument:
            pass
        margin = 0.25 * (high - low) + 1e-3
        return Paths(self, z0, count, seed, (low - margin, high + margin))
