"""The law of the time at which a diffusion first arrives at a level: the backward Kolmogorov equation.

``F(z, tau)``, the probability of having arrived at the level by tau when starting from z, solves
``dF/dtau = b F' + (v/2) F''`` with F = 1 at the level and F' = 0 at a reflecting end. Divided by ``v/2`` and tested
with piecewise polynomials it is ``M dF/dtau = A F`` with a diagonal M (mass lumped at Gauss-Lobatto nodes), whether
drift and variance jump or not; a stiff solver of SciPy follows it in time. The grid has small pieces where
``int 2 b/v`` rises, and towards the level, where F begins as a step.

Source: C. W. Gardiner, *Stochastic Methods* (2009), section 5.5 (first passage); C. Canuto et al., *Spectral Methods*
(2006), section 5.3 (elements).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import sparse, stats
from scipy.integrate import solve_ivp

from gateflow.errors import InvalidArgument, NotReached
from gateflow.guards.arguments import FINITE, number, one
from gateflow.noise.diffusion import DEPTH, Diffusion, TooSteep, probabilities, split
from gateflow.noise.elements import DEGREE, DERIVATIVE, WEIGHTS, Array, Elements, Unresolved, bisected, resolved
from gateflow.noise.samples import SHARES
from gateflow.noise.samples import WEIGHTS as WEIGHTS_OF_SHARES
from gateflow.results.tabulated import Tabulated

GRADED = 2.0 ** -np.arange(1, 15)
"""Lengths of pieces towards the level, as parts of the last one."""

SLOWEST = 1e-7
"""Accuracy asked of the solver in time."""

LATEST = 1e4
"""Times followed, in mean times of the flow, where quantiles want them."""

STEEPEST = 9.0
"""The most that ``int 2 b/v`` may change over a piece; but towards the level all is smooth on such pieces."""

MOST = 1 - 1e-9
"""The probability at which following it ends."""

WAY = 4001
"""Places on the way where its noise is looked at."""

TURNS = 100
"""Tries of how far behind the start the grid is to reach."""

NARROW = 1e-9
"""Inverse Gaussian laws of a shape below this are normal, to all digits that SciPy knows of them."""

LARGEST = 300.0
"""``int 2 b/v`` over the part of the way that a grid follows."""


THIRDS = np.linspace(0.0, 1.0, 4)
CUBIC = np.linalg.inv(np.vander(THIRDS, increasing=True))
"""Values at thirds of a step to coefficients of the cubic through them."""


def _at_one_place(done: Any, place: int) -> Any:
    """What the solver found at one node, as a function of time: a cubic on each of its steps, as its dense output is.

    That evaluates all nodes at each time; here it is asked four times a step, once.
    """
    begun, length = done.t[:-1], np.diff(done.t)
    asked = begun[:, None] + length[:, None] * THIRDS
    known = np.concatenate([done.sol(part.ravel())[place] for part in np.array_split(asked, 1 + asked.size // 2000)])
    coefficients = known.reshape(asked.shape) @ CUBIC.T

    def follow(tau: Array) -> Array:
        step = np.clip(np.searchsorted(begun, tau, side="right") - 1, 0, begun.size - 1)
        x = (tau - begun[step]) / length[step]
        a, b, c, d = np.moveaxis(coefficients[step], -1, 0)
        return a + x * (b + x * (c + x * d))

    return follow


LEVELS = np.linspace(0.01, 0.99, 99)
QUANTILES = {"probability": lambda _: LEVELS, "tau": lambda law: law.quantile(LEVELS)}
"""Columns of a law of arrival as a table: the learning times by which it has arrived with these probabilities."""


@dataclass(frozen=True, eq=False)
class Passage(Tabulated, columns=QUANTILES, plots=("tau", ["probability"])):
    """The time of first arrival at ``level`` from ``start``.

    Parameters
    ----------
    diffusion : Diffusion
        It reflects at its end on the start's side.
    start, level : float

    Raises
    ------
    InvalidArgument
        Start or level lie outside the diffusion's interval, or are one.

    Examples
    --------
    From 0 at speed 1 with noise of variance 1 to 1, the law is inverse Gaussian:

    >>> from scipy import stats
    >>> straight = Diffusion(lambda z: np.ones_like(z), lambda z: np.ones_like(z), -30.0, 2.0)
    >>> law = Passage(straight, 0.0, 1.0)
    >>> bool(abs(law.cdf(0.7) - stats.invgauss(1.0).cdf(0.7)) < 1e-8)
    True
    """

    diffusion: Diffusion
    start: float
    level: float

    def __post_init__(self) -> None:
        if not isinstance(self.diffusion, Diffusion):
            raise InvalidArgument(f"a passage is of a Diffusion; got {self.diffusion!r:.60}")
        for name in ("start", "level"):
            object.__setattr__(self, name, one(name, getattr(self, name), *FINITE))
        low, high = self.diffusion.low, self.diffusion.high
        if not (low <= self.start <= high and low <= self.level <= high):
            raise InvalidArgument(f"start and level must lie between {low:g} and {high:g}")
        if self.start == self.level:
            raise InvalidArgument("the level is where it starts")

    @cached_property
    def _mirrored(self) -> Diffusion:
        """The diffusion with the level above: turned over, if it is below."""
        given = self.diffusion
        if self.start < self.level:
            return given
        return Diffusion(
            lambda z: -given.drift(-z),
            lambda z: given.variance(-z),
            -given.high,
            -given.low,
            [-kink for kink in given.kinks],
            given.tolerance,
        )

    @cached_property
    def _ends(self) -> tuple[float, float]:
        """Start and level where the level is above."""
        side = 1.0 if self.start < self.level else -1.0
        return side * self.start, side * self.level

    @cached_property
    def elements(self) -> Elements:
        """The grid, from where it hardly ever goes, or the reflecting end, to the level.

        Raises
        ------
        InvalidArgument
            There is no noise somewhere on it.
        NotReached
            The drift turns it back on the way, and noise does not carry it over.
        Unresolved
            Noise is too small for a grid even close to the level.
        """
        start, level = self._entry, self._ends[1]
        upper = self._mirrored.elements(start, level, STEEPEST)
        parts = Elements(np.append(self._below(start).edges[:-1], upper.edges))
        longest = np.maximum((level - start) / 8, (start - parts.edges[1:]) / 3)
        parts = split(parts, np.maximum(1, np.ceil(2 * parts.half / longest)).astype(int))
        last = parts.edges[-1] - parts.edges[-2]
        return Elements(np.concatenate([parts.edges[:-1], parts.edges[-1] - last * GRADED, parts.edges[-1:]]))

    @cached_property
    def _entry(self) -> float:
        """Where the grid begins: at the start, or as far behind the level as ``int 2 b/v`` lets a grid reach."""
        start, level = self._ends
        z = np.linspace(start, level, WAY)
        middles = (z[1:] + z[:-1]) / 2
        with np.errstate(divide="ignore", over="ignore"):
            rise = np.abs(self._mirrored.steepness(middles)) * (level - start) / (WAY - 1)
        too_far = np.flatnonzero(np.cumsum(rise[::-1]) > LARGEST)
        if not too_far.size:
            return start
        first = WAY - 1 - too_far[0]
        if first == WAY - 1:
            raise Unresolved(
                "samples hardly differ before the level, so there is no spread of arrivals to follow: ask for the "
                "steps of descent without noise (gateflow descent)"
            )
        back = middles[:first][self._mirrored.drift(middles[:first]) <= 0]
        if back.size:
            place = float(back[0]) * (1.0 if self.start < self.level else -1.0)
            if not np.any(self._mirrored.drift(back)):
                raise NotReached(
                    f"the mean gradient is 0 in floats from z = {place:.3g} on: that is a plateau which takes longer "
                    "than any run; start beyond it (gateflow recommend names such a bias)"
                )
            raise NotReached(
                f"it does not arrive: the mean gradient turns it back from z = {place:.3g} on, and the noise is too "
                "small to carry it from there to the level"
            )
        return float(z[first])

    @cached_property
    def _before(self) -> tuple[float, Array, Array]:
        """The mean time from the start to where the grid begins; times about that mean, with weights.

        There noise is small against the drift, and the time has the cumulants ``int 1/b + v b'/(2 b^3)``,
        ``int v/b^3`` and ``int 3 v^2/b^5``, each to leading order; a shifted inverse Gaussian law has them too, and is
        the law itself where b and v are constant. It is normal where it is narrow.
        """
        start, mirrored = self._ends[0], self._mirrored
        if self._entry == start:
            return 0.0, np.zeros(1), np.ones(1)

        def parts_of(z: Array) -> Array:
            drift = mirrored.drift(z)
            return np.stack([1 / drift, mirrored.variance(z) / drift**3])

        parts = resolved(parts_of, mirrored.edges(start, self._entry), 1e-7)
        slow = mirrored.inner(lambda z: 1 / mirrored.drift(z), parts)
        spread = mirrored.inner(mirrored.variance, parts) * slow**3
        bent = -(slow @ DERIVATIVE.T) / parts.half[:, None] / slow**2  # b'
        mean, variance, third = (
            float(parts.integral(f)[-1, -1]) for f in (slow + spread * bent / 2, spread, 3 * spread**2 / slow)
        )
        if not (np.isfinite(mean) and np.isfinite(variance)):
            raise Unresolved("the time until the noise counts is past the floats")
        if variance <= 0:
            return mean, np.zeros(1), np.ones(1)
        shape = third * third / (9 * variance) / variance / variance  # the mean of the standard law
        if not NARROW < shape < 1e6:
            return mean, np.sqrt(variance) * stats.norm.ppf(SHARES), WEIGHTS_OF_SHARES
        scale = np.sqrt(variance / shape**3)
        return mean, scale * (stats.invgauss.ppf(SHARES, shape) - shape), WEIGHTS_OF_SHARES

    def _below(self, start: float) -> Elements:
        """Where it may go back to: as far down as the drift lets it come, with a probability above exp(-60)."""
        mirrored = self._mirrored
        steep = float(mirrored.steepness(np.array([start]))[0])
        reach = min(self._ends[1] - start, 2 * DEPTH / steep) if steep > 0 else self._ends[1] - start
        steep_at: float | None = None
        for _ in range(TURNS):
            edge = max(mirrored.low, start - reach)
            try:
                parts = mirrored.elements(edge, start, STEEPEST)
            except TooSteep:
                steep_at, reach = reach, reach / 2
                continue
            except InvalidArgument:  # without noise there, nothing goes there
                return Elements(np.array([start - min(reach / 2, 1e-6 * reach), start]))
            fall = parts.integral(mirrored.inner(mirrored.steepness, parts))
            depth = fall[-1, -1] - fall[:, 0]
            if depth.max() > DEPTH:
                kept = int(np.flatnonzero(depth > DEPTH)[-1])
                return Elements(parts.edges[kept:])
            if edge <= mirrored.low:
                return parts
            reach = 2 * reach if steep_at is None else (reach + steep_at) / 2
        raise Unresolved("how far noise takes it back from the start is not resolved")

    @cached_property
    def _equation(self) -> tuple[Any, Array, Array]:
        """A/M without the row and column of the level, the column of the level, and the nodes."""
        parts, mirrored = self.elements, self._mirrored
        r = mirrored.inner(mirrored.steepness, parts)
        slow = 2 / mirrored.inner(mirrored.variance, parts)
        n, k = parts.half.size, DEGREE
        total = n * k + 1
        mass = np.zeros(total)
        places = (np.arange(n) * k)[:, None] + np.arange(k + 1)
        np.add.at(mass, places, parts.half[:, None] * WEIGHTS * slow)
        stiff = (DERIVATIVE.T * WEIGHTS) @ DERIVATIVE
        local = r[:, :, None] * (WEIGHTS[:, None] * DERIVATIVE) - stiff / parts.half[:, None, None]
        rows = np.broadcast_to(places[:, :, None], local.shape).ravel()
        columns = np.broadcast_to(places[:, None, :], local.shape).ravel()
        matrix = sparse.csr_matrix((local.ravel(), (rows, columns)), shape=(total, total))
        matrix = sparse.diags(1 / mass) @ matrix
        nodes = np.append(parts.nodes[:, :-1].ravel(), parts.edges[-1])
        return matrix[:-1, :-1].tocsc(), matrix[:-1, -1].toarray()[:, 0], nodes

    @cached_property
    def mean(self) -> float:
        """The mean time, by a double integral over the speed measure; infinite or nearly so on plateaus.

        ``E tau = int_start^level I(y) dy``, ``I' = 2/v - r I``: what the way back adds decays along the way.
        """
        parts, mirrored = self.elements, self._mirrored
        r = parts.integral(mirrored.inner(mirrored.steepness, parts))
        slow = 2 / mirrored.inner(mirrored.variance, parts)
        start, carried = self._entry, 0.0
        total = self._before[0]
        for i in range(parts.half.size):
            piece = Elements(parts.edges[i : i + 2])
            growth = r[i] - r[i, 0]
            inner = np.exp(-growth) * (carried + piece.integral((slow[i] * np.exp(growth))[None])[0])
            if parts.edges[i] >= start:
                total += float(piece.integral(inner[None])[0, -1])
            carried = float(inner[-1])
        return total

    def cdf(self, tau: Any) -> Array:
        """The probability of having arrived by tau (learning time); 0 for tau <= 0.

        Past the times that are followed, 10^4 of :attr:`deterministic`, it is that at their end: a bound from below.

        Raises
        ------
        Unresolved
            The solver does not get there.
        """
        return self._after(number("tau", tau, lambda t: t > -np.inf, "a time") - self._before[0])

    def _after(self, left: Any) -> Array:
        """The probability of having arrived by so long after the mean time to the grid."""
        follow, end = self._course
        _, about, weights = self._before
        left = np.asarray(left, dtype=float)[..., None] - about
        return np.where(left > 0, np.clip(follow(np.clip(left, 0.0, end)), 0.0, 1.0), 0.0) @ weights

    @cached_property
    def _course(self) -> tuple[Any, float]:
        """The probability from the start as a function of time, and until when it is followed."""
        matrix, column, nodes = self._equation
        place = int(np.argmin(np.abs(nodes - self._entry)))

        def settled(_: float, f: Array) -> float:
            return f[place] - MOST

        settled.terminal = True  # type: ignore[attr-defined]
        done = solve_ivp(
            lambda _, f: matrix @ f + column,
            (0.0, LATEST * self.deterministic),
            np.zeros(nodes.size - 1),
            method="Radau",
            dense_output=True,
            events=settled,
            jac=matrix,
            rtol=SLOWEST,
            atol=SLOWEST / 10,
            first_step=1e-9 * self.deterministic,
        )
        if not done.success:
            raise Unresolved(f"the backward equation is not solved: {done.message}")
        return _at_one_place(done, place), float(done.t[-1])

    def quantile(self, p: Any) -> Array:
        """The time by which it has arrived with probability p; infinite where that is not within the times followed.

        Raises
        ------
        InvalidArgument
            p is not in (0, 1).
        """
        p = probabilities(p)
        mean, about, _ = self._before
        end = self._course[1] + float(about.max())
        reached = float(self._after(end))
        first, last = np.full(p.shape, float(about.min())), np.full(p.shape, end)
        time = bisected(lambda tau: self._after(tau) < p, first, last)
        return np.where(p <= reached, mean + time, np.inf)

    @cached_property
    def deterministic(self) -> float:
        """The time of the flow without noise; where that does not arrive, the time in which noise covers the way."""
        mirrored, (start, level) = self._mirrored, self._ends
        z = np.linspace(self._entry, level, WAY)
        middles = (z[1:] + z[:-1]) / 2
        drift, spread = mirrored.drift(middles), np.sqrt(np.max(mirrored.variance(middles)))
        speed = np.maximum(drift, spread**2 / (level - start))
        return float(np.sum(np.diff(z) / speed))
