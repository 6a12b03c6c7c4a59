"""Gradient descent on a learning problem whose samples vary: its drift and diffusion, and what follows from them.

A step moves z by minus eta times the mean gradient of a batch. Its states are those of the diffusion
``dz = (b - (eta/2) b b') dtau + sqrt(eta) s(z) dW`` at the learning time ``tau = eta k``, with ``b = -L'``, L the mean
loss and ``s^2`` the variance of the batch's gradient: in law, to second order in eta where all is smooth.

Source: Q. Li, C. Tai and W. E, *Stochastic modified equations and dynamics of stochastic gradient algorithms*, JMLR 20
(2019), theorem 9.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.descents.optimizers import InNoise
from gateflow.descents.optimizers.sgd import GradientDescent
from gateflow.descents.simulation import optimizer_named
from gateflow.errors import InvalidArgument
from gateflow.flows.problem import LearningProblem, positions
from gateflow.guards.arguments import ABOVE_0, FINITE, number, one
from gateflow.noise.diffusion import DEPTH, Diffusion, StationaryLaw
from gateflow.noise.elements import Array, Unresolved
from gateflow.noise.gradients import Gradients, log_share
from gateflow.noise.passage import Passage
from gateflow.noise.paths import Course, Paths
from gateflow.noise.samples import Samples
from gateflow.noise.steady import settled

PROFILES = np.concatenate([np.linspace(-60.0, 60.0, 2401), np.geomspace(60.1, 650.0, 400)])
"""Logit profiles at which the law about the target is looked for."""

FARTHEST = 600.0
"""Logit profiles past which a start is in saturation."""

TOLERANCE = 1e-9
"""To which drift and variance are followed; quantile functions of SciPy are not known better."""

NEARBY = 1e-6
"""The drift is differentiated over this share of 1 + |z|."""

CHANGES = 1.5
"""What the logarithm of a gradient may change by over a step by the gate alone, at most."""

FINER = 12
"""Times that the grid on which the law about the target is looked for is made finer, at most."""

LAGS = 0.2
"""The part of a step that the lag of a mean square may change, at most."""

OVERSTEP = 1.0326
"""``-zeta(1/2)/sqrt(2)``. Times ``sqrt(1/pi)`` it is the deviations of a step by which a random walk oversteps a level
on average (M. Broadie, P. Glasserman and S. Kou, Mathematical Finance 7, 1997); times ``sqrt(delay)`` that by which a
walk does whose velocity is kept for so long, if that is long (T. W. Marshall and E. J. Watson, J. Phys. A 18, 1985).
Between the two the squares are added."""

WIDEST = 1.25
"""Steps that a stationary law is wide, at least."""

NEAR = 10.0
"""Steps from which on a stationary law is the diffusion's, to a quarter of a per cent in its deviation."""

WAY = 203
"""Places on the way at which that is looked at."""


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
    optimizer : str or Optimizer
        By name, or with hyperparameters of its own as an object of :data:`gateflow.descents.optimizers.OPTIMIZERS`.

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
    optimizer: Any = "sgd"

    def __post_init__(self) -> None:
        problem = self.problem
        if not isinstance(problem, LearningProblem) or not isinstance(self.samples, Samples):
            raise InvalidArgument("a noisy descent is of a LearningProblem and of Samples")
        if any(np.ndim(part) for part in (problem.horizon, problem.target.value, problem.scale)):
            raise InvalidArgument("noise is of one problem; give numbers, not arrays")
        object.__setattr__(self, "lr", one("lr", self.lr, *ABOVE_0))
        object.__setattr__(self, "optimizer", optimizer_named(self.optimizer, {}))

    # --- moments of the gradient ---

    @cached_property
    def gradients(self) -> Gradients:
        """The law of one sample's gradient, in a form that is the same for all gates."""
        return Gradients(self.problem, self.samples)

    def _moments(self, z: Any) -> tuple[Array, Array]:
        """Mean and variance of the gradient of one sample."""
        z = np.asarray(positions(z))
        u, log_of = log_share(self.problem.gate, z, self.gradients.fade)
        mean, deviation = self.gradients.moments(u)
        with np.errstate(under="ignore"):
            share = np.exp(log_of)
            return share * mean, (share * deviation) ** 2

    def _pace(self, z: Array) -> tuple[Array, Array, Array, Array]:
        """Mean and variance of the batch's gradient, its mean square, and the way per step size and gradient."""
        mean, variance = self._moments(z)
        variance = variance / self.samples.batch
        return mean, variance, mean**2 + variance, self._in_noise.speed(mean, variance)

    @cached_property
    def _in_noise(self) -> InNoise:
        return self.optimizer.in_noise

    def drift(self, z: Any) -> Array:
        """Mean way per unit of learning time (which is lr times the steps): what steps of size lr are nearest to.

        With the way ``B = -f L'`` per learning time (f = 1 for gradient descent) it is ``B - (lr/2) B B'``, and to the
        same order what an optimiser's means are behind by. Derivatives are differences of second order over a small
        way, to one side close to a kink.
        """
        return self._drift(z)[0]

    def _drift(self, z: Any) -> tuple[Array, Array]:
        """The drift, and the part by which the mean square's lag changes it."""
        z = np.asarray(positions(z))
        way = NEARBY * (1 + np.abs(z))
        kinks = np.asarray(self.kinks)
        apart = z - (kinks[np.argmin(np.abs(z[..., None] - kinks), axis=-1)] if kinks.size else np.inf)
        aside = np.where(np.abs(apart) < 2 * way, np.where(apart < 0, -1.0, 1.0), 0.0)
        first, second = np.where(aside == 0, -way, aside * way), np.where(aside == 0, way, 2 * aside * way)
        at, one, two = (self._pace(x) for x in (z, z + first, z + second))

        def slope(of: Any) -> Array:
            here, near, far = (of(pace) for pace in (at, one, two))
            return np.where(aside == 0, (far - near) / (2 * way), aside * (4 * near - 3 * here - far) / (2 * way))

        mean, _, square, scale = at
        pace, how = -scale * mean, self._in_noise
        change = -self.lr / 2 * slope(lambda part: -part[3] * part[0])
        if how.delay:
            change = change + self.lr * how.delay * scale * slope(lambda part: part[0])
        lagged = np.zeros_like(pace)
        if how.lag:
            with np.errstate(divide="ignore", invalid="ignore"):
                root = np.where(square > 0, np.sqrt(square), np.inf)
            lagged = self.lr * how.lag * scale * pace * slope(lambda part: part[2]) / (2 * root)
        return pace * (1 + change + lagged), lagged

    def gradient(self, z: Any) -> Array:
        """``L'(z)``, the mean gradient."""
        return self._moments(z)[0]

    def variance(self, z: Any) -> Array:
        """``lr f^2 s(z)^2``, per unit of learning time, s^2 the variance of the batch's gradient.

        Less where an optimiser divides by a mean square, see :class:`gateflow.descents.optimizers.InNoise`.
        """
        z = np.asarray(positions(z))
        mean, variance, *_ = self._pace(z)
        return self.lr * self._in_noise.variance(mean, variance)

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

        It has the density ``exp(int 2 B/S)/S``, B the mean way and S its mean square per learning time. Of gradient
        descent it is the law that a step with normal gradients leaves as it is, where that is less than :data:`NEAR`
        steps wide (:mod:`gateflow.noise.steady`).

        Raises
        ------
        InvalidArgument
            There is none: no noise, or the gradient cannot hold z.
        Unresolved
            The law is hardly wider than a step of descent, which then leaps to and fro across the target; or the mean
            square of the gradient lags behind.
        """
        found = Diffusion(self._mean_way, self._square_way, *self._held, self.kinks, TOLERANCE).stationary()
        near = found.mean + found.deviation * np.array([-2.0, -1.0, 1.0, 2.0])
        self._check_lag(near)
        step = float(np.sqrt(self._step(near) ** 2 + self.lr * np.max(self.variance(near))))
        if found.deviation < WIDEST * step:
            raise Unresolved(
                f"steps are about {step:.2g} long in z, the law of the diffusion {found.deviation:.2g} wide: descent "
                "leaps to and fro across the target, which a diffusion does not describe; follow runs (paths), or take "
                "a smaller batch or, where targets vary, a smaller lr"
            )
        if isinstance(self.optimizer, GradientDescent) and found.deviation < NEAR * step:
            return settled(found, lambda z: -self.lr * self._pace(z)[0], self._deviation, self.kinks)
        return found

    def _deviation(self, z: Array) -> Array:
        """Of a step of gradient descent."""
        return self.lr * np.sqrt(self._pace(z)[1])

    def _mean_way(self, z: Array) -> Array:
        """Per unit of learning time."""
        mean, _, _, scale = self._pace(z)
        return -scale * mean

    def _square_way(self, z: Array) -> Array:
        """The mean square of a step per unit of learning time; of the mean way as much of it as coasting leaves.

        With it the law about a smooth target is right to first order in lr. :meth:`drift` and :meth:`variance` are for
        the way, of which a step sees the middle of its noise; the law is that at the ends of steps.
        """
        return self.variance(z) + self.lr * self._mean_way(z) ** 2 / (1 + 2 * self._in_noise.delay)

    @cached_property
    def _held(self) -> tuple[float, float]:
        """Where all but exp(-60) of the stationary law is: on a grid of all profiles, then on finer ones."""
        z = self.problem.gate.float64.z_of_u(PROFILES)
        low, inside, high = self._held_on(z[np.isfinite(z)])
        for _ in range(FINER):
            try:
                narrower = self._held_on(np.linspace(low, high, 2001))
            except InvalidArgument:  # by a hair: the coarser grid's sum was just deep enough
                break
            done = narrower[2] - narrower[0] > (high - low) / 2
            low, inside, high = narrower
            if done:
                break
        return self._with_noise(low, high, inside)

    def _held_on(self, z: Array) -> tuple[float, float, float]:
        """The part of a grid in which ``int 2 b/v`` falls by :data:`DEPTH` to either side of a place."""
        z = np.unique(np.concatenate([z, [kink for kink in self.kinks if z[0] < kink < z[-1]]]))
        middle = (z[1:] + z[:-1]) / 2
        mean, variance = self._moments(middle)
        if not np.any(variance > 0):
            raise InvalidArgument("there is no noise: samples do not differ in their gradients")
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            variance = variance / self.samples.batch
            scale = self._in_noise.speed(mean, variance)
            spread = self.lr * self._in_noise.variance(mean, variance)
            slope = np.where(spread > 0, -2 * scale * mean / spread, -np.inf * np.sign(mean))
            rise = np.clip(slope * np.diff(z), -1e6, 1e6)
        center = int(np.argmax(np.where(np.diff(np.sign(-mean)) < 0, 1, 0))) + 1
        above = np.flatnonzero(np.cumsum(rise[center:]) < -DEPTH)
        below = np.flatnonzero(np.cumsum(-rise[:center][::-1]) < -DEPTH)
        if not above.size or not below.size:
            side = "above" if not above.size else "below"
            raise InvalidArgument(f"z settles to no law: the gradient does not hold it from {side}")
        return float(z[center - 1 - below[0]]), float(z[center]), float(z[center + 1 + above[0]])

    def _step(self, z: Array) -> float:
        """The longest of the mean steps, and of what an optimiser coasts on."""
        mean, _, _, scale = self._pace(z)
        return self.lr * (1 + self._in_noise.delay) * float(np.max(scale * np.abs(mean)))

    def _check_start(self, z0: float, step: float) -> None:
        """Refuse where the gate is another one a step away."""
        _, share = log_share(self.problem.gate, np.array([z0 - step, z0, z0 + step]), self.gradients.fade)
        far = float(np.max(np.abs(np.diff(share))))
        if far > CHANGES:
            raise Unresolved(
                f"a step is about {step:.2g} long in z at the start, and within it gradients change "
                f"{np.exp(far):.2g}-fold: take a smaller lr or larger batches, or follow runs (paths)"
            )

    def _check_lag(self, z: Array) -> None:
        """Refuse where the mean square of the gradient is far behind it."""
        if self._in_noise.lag:
            far = float(np.max(np.abs(self._drift(z)[1])))
            if not far <= LAGS:
                raise Unresolved(
                    f"the mean square of the gradient lags behind by {far:.0%} of a step: a diffusion needs a way that "
                    "is long beside the optimizer's memory; take a smaller lr, or follow runs (paths)"
                )

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
        z0 = one("z0", z0, *FINITE)
        gate = self.problem.gate
        if timescale is None:
            level = float(self.problem.z_star)
        else:
            scale = one("timescale", timescale, *ABOVE_0)
            level = float(gate.inverse_c(-np.expm1(-1 / scale)))
        if not np.isfinite(level):
            raise InvalidArgument("the target is no place of the gate; name a time scale that is")
        if level == z0:
            raise InvalidArgument(f"z0 = {z0:g} has the time constant asked for; name another start or time constant")
        if not abs(float(gate.float64.u(np.array([z0]))[0])) < FARTHEST:
            raise InvalidArgument(
                f"the gate is saturated at z0 = {z0:g}: no gradient is left; start nearer to the target"
            )
        with np.errstate(over="ignore"):  # an infinite step is refused in words
            step = self._step(np.array([z0])) + float(np.sqrt(self.lr * self.variance(z0)))
        if not np.isfinite(step):
            raise Unresolved(f"at an lr of {self.lr:g} steps are longer than floats hold; take a smaller lr")
        if 2 * step > abs(level - z0):
            raise Unresolved(
                f"a step is about {step:.2g} long in z, the way {abs(level - z0):.2g}: what one or two steps do is not "
                "described by a diffusion; take a smaller lr or larger batches"
            )
        self._check_start(z0, step)
        self._check_lag(np.linspace(z0, level, WAY)[1:-1])
        reach = self._back_from(z0, level)
        return Passage(self.diffusion(min(reach, level), max(reach, level)), z0, level)

    def _back_from(self, z0: float, level: float) -> float:
        """A position far behind the start, short of where floats end."""
        gate, side = self.problem.gate, np.sign(z0 - level)
        u = float(gate.float64.u(np.array([z0]))[0])
        far = float(gate.float64.z_of_u(np.array([np.clip(u + side * 30.0, -FARTHEST, FARTHEST)]))[0])
        return far if np.isfinite(far) and far != z0 else z0 + side

    def steps(self, z0: float, p: Any, timescale: float | None = None) -> Array:
        """Quantiles of the step at whose end a time constant is first seen reached; see :meth:`arrival`.

        They are the learning times over lr, and what an optimiser loses or gains while its means fill. The level is
        where a diffusion is that descent takes for its own: descent is looked at once a step, and coasts
        (:data:`OVERSTEP`).
        """
        return np.maximum(self._seen(z0, timescale).quantile(p) / self.lr + self._in_noise.start, 1.0)

    def reached(self, z0: float, steps: Any, timescale: float | None = None) -> Array:
        """The probability that it has been seen reached by the end of a number of steps.

        Examples
        --------
        >>> problem = LearningProblem("sigmoid", horizon=10, target=0.5)
        >>> noisy = NoisyDescent(problem, Samples(scale="normal(1, 3)"), lr=0.05)
        >>> bool(abs(noisy.reached(1.0, noisy.steps(1.0, 0.3, 8.0), 8.0) - 0.3) < 1e-6)
        True
        """
        steps = number("steps", steps, lambda k: k > -np.inf, "a number of steps")
        return self._seen(z0, timescale).cdf((steps - self._in_noise.start) * self.lr)

    def _seen(self, z0: float, timescale: float | None) -> Passage:
        arrival = self.arrival(z0, timescale)
        noise = float(np.sqrt(self.lr * self.variance(arrival.level)))
        past = np.sign(arrival.level - z0) * OVERSTEP * np.sqrt(1 / np.pi + self._in_noise.delay) * noise
        wider = self.diffusion(*np.sort([arrival.diffusion.low, arrival.diffusion.high, arrival.level + past])[[0, -1]])
        return Passage(wider, arrival.start, arrival.level + past)

    def paths(self, z0: float, count: int, *, seed: int = 0, backend: str | None = None) -> Paths:
        """Many runs of descent with Gaussian gradients of the same mean and variance, from one start.

        Raises
        ------
        InvalidArgument
            A number is out of range.
        NoCompiler
            The compiled backend is asked for, and cannot be.
        """
        z0 = one("z0", z0, *FINITE)
        u = self.problem.gate.float64.u
        places = [z0, *self.kinks]
        with suppress(InvalidArgument):
            places += self._held
        at = u(np.array(places))
        at = at[np.isfinite(at)]
        margin = 0.25 * float(np.ptp(at)) + 2
        span = float(at.min()) - margin, float(at.max()) + margin
        kink = float(self.problem.u_star) if self.samples.target is None and self.samples.horizon is None else None
        return Paths(self._course(span, kink), z0, count, seed, backend=backend)

    def _course(self, span: tuple[float, float], kink: float | None) -> Course:
        def moments(u: Array) -> tuple[Array, Array]:
            mean, deviation = self.gradients.moments(u)
            return mean, deviation / np.sqrt(self.samples.batch)

        return Course(self.problem.gate, moments, self.gradients.fade, self.lr, self.optimizer, span, kink)
