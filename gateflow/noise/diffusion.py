"""A diffusion on a line: where it is carried, how it spreads, what it settles to, when it first arrives.

``dz = b(z) dtau + sqrt(v(z)) dW`` (Ito). With ``r = 2 b/v`` the density it settles to is ``exp(int r)/v``, the scale
function has the slope ``exp(-int r)``, and the law of first arrival solves the backward Kolmogorov equation
``dF/dtau = b F' + (v/2) F''``.

Source: I. Karatzas and S. E. Shreve, *Brownian Motion and Stochastic Calculus* (1991), section 5.5; C. W. Gardiner,
*Stochastic Methods* (2009), chapter 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.guards.arguments import FINITE, number, one
from gateflow.noise.elements import Array, Elements, Unresolved, bisected, resolved
from gateflow.results.tabulated import Tabulated

STEEPEST = 4.0
"""The most that ``int r`` may change over a piece, so that no exponential of it is coarse."""

DEPTH = 60.0
"""How far ``int r`` falls to where nothing is left: exp(-60) is 1e-26."""


PIECES = 4000
"""Of a grid, at most."""


class TooSteep(Unresolved):
    """``int 2 b/v`` is so large that a grid of it would not fit."""


@dataclass(frozen=True, eq=False)
class Diffusion:
    """``dz = drift(z) dtau + sqrt(variance(z)) dW`` between two reflecting ends.

    Parameters
    ----------
    drift, variance : callable
        Of an array of positions; ``variance`` is per unit of time, at least 0.
    low, high : float
        The ends.
    kinks : sequence of float
        Where drift or variance is not smooth.
    tolerance : float
        To which drift and variance are followed, relatively.

    Raises
    ------
    InvalidArgument
        The ends are not two finite numbers in order.

    Examples
    --------
    An Ornstein-Uhlenbeck process settles to a normal law:

    >>> valley = Diffusion(lambda z: -z, lambda z: np.full_like(z, 2.0), -9.0, 9.0)
    >>> law = valley.stationary()
    >>> round(float(law.quantile(0.975)), 9), round(law.deviation, 9)
    (1.959963985, 1.0)
    """

    drift: Callable[[Array], Array]
    variance: Callable[[Array], Array]
    low: float
    high: float
    kinks: Sequence[float] = ()
    tolerance: float = 1e-11

    def __post_init__(self) -> None:
        if not callable(self.drift) or not callable(self.variance):
            raise InvalidArgument("drift and variance are functions of an array of positions")
        for name in ("low", "high"):
            object.__setattr__(self, name, one(name, getattr(self, name), *FINITE))
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise InvalidArgument(f"a diffusion needs two finite ends in order; got {self.low:g} and {self.high:g}")

    def edges(self, low: float, high: float) -> Array:
        """The ends of a part of the interval, and the kinks in it."""
        inside = [kink for kink in self.kinks if low < kink < high]
        return np.array([low, *sorted(inside), high])

    def steepness(self, z: Array) -> Array:
        """``r = 2 b/v``."""
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            return 2 * self.drift(z) / self.variance(z)

    def elements(self, low: float, high: float, steepest: float = STEEPEST) -> Elements:
        """Pieces of ``[low, high]`` on which ``r`` and ``1/v`` are resolved and ``int r`` changes by ``steepest``.

        Raises
        ------
        InvalidArgument
            There is no noise somewhere on the way.
        TooSteep
            More than :data:`PIECES` pieces would be needed.
        """
        ends = np.linspace(low, high, 258)
        probe = (ends[1:] + ends[:-1]) / 2  # on a kink itself a gradient may be called 0
        if not np.all(self.variance(probe) > 0):
            raise InvalidArgument(f"there is no noise at z = {probe[np.argmin(self.variance(probe))]:g}")

        def both(z: Array) -> Array:
            with np.errstate(divide="ignore", over="ignore"):
                return np.stack([self.steepness(z), 1 / self.variance(z)])

        counts = np.array([1 / (high - low), 1e-300])  # r counts by its integral over all of the interval
        parts = resolved(both, self.edges(low, high), self.tolerance, least=counts)
        rise = np.abs(np.diff(parts.integral(np.abs(self.inner(self.steepness, parts)))[:, [0, -1]], axis=1))[:, 0]
        if not rise.sum() < steepest * PIECES:
            raise TooSteep(
                f"drift is so large beside noise between z = {low:g} and {high:g} that no grid can follow it"
            )
        return split(parts, np.maximum(1, np.ceil(rise / steepest)).astype(int))

    def inner(self, function: Callable[[Array], Array], parts: Elements) -> Array:
        """A function at the nodes; at the ends of a piece, its limit from inside."""
        shrunk = parts.nodes.copy()
        shrunk[:, 0] += 1e-12 * parts.half
        shrunk[:, -1] -= 1e-12 * parts.half
        return function(shrunk)

    def stationary(self) -> StationaryLaw:
        """What it settles to, by quadrature.

        Raises
        ------
        InvalidArgument
            There is no noise somewhere between the ends.
        Unresolved
            Drift or variance is not resolved.
        """
        parts = self.elements(self.low, self.high)
        exponent = parts.integral(self.inner(self.steepness, parts))
        log_density = exponent - np.log(self.inner(self.variance, parts))
        density = np.exp(log_density - log_density.max())
        cumulated = parts.integral(density)
        total = cumulated[-1, -1]
        return StationaryLaw(parts, density / total, cumulated / total)


def probabilities(p: Any) -> Array:
    """Probabilities between 0 and 1; else one line."""
    return np.asarray(number("p", p, lambda v: (v > 0) & (v < 1), "a probability between 0 and 1"), dtype=float)


def split(parts: Elements, counts: Array) -> Elements:
    """The pieces, each cut into as many equal ones as asked for."""
    edges = [
        np.linspace(low, high, count + 1)[:-1]
        for low, high, count in zip(parts.edges[:-1], parts.edges[1:], counts, strict=True)
    ]
    return Elements(np.append(np.concatenate(edges), parts.edges[-1]))


COLUMNS = {
    "z": lambda law: law.elements.nodes.ravel(),
    "density": lambda law: law.density.ravel(),
    "below": lambda law: law.cumulated.ravel(),
}
"""Columns of a law as a table: a row each node."""


@dataclass(frozen=True, eq=False)
class StationaryLaw(Tabulated, columns=COLUMNS, plots=("z", ["density"])):
    """The law a diffusion settles to.

    Parameters
    ----------
    elements : Elements
    density, cumulated : array, shape (pieces, nodes)
        Probability per unit of z, and below each node.
    """

    elements: Elements
    density: Array
    cumulated: Array

    def pdf(self, z: Any) -> Array:
        """Probability density at z; 0 outside."""
        z = np.asarray(z, dtype=float)
        inside = (z >= self.elements.edges[0]) & (z <= self.elements.edges[-1])
        return np.where(inside, np.maximum(self.elements.at(z, self.density), 0.0), 0.0)

    def cdf(self, z: Any) -> Array:
        """Probability of being below z."""
        return np.clip(self.elements.at(z, self.cumulated), 0.0, 1.0)

    def quantile(self, p: Any) -> Array:
        """The z below which the probability is p, by bisection on the pieces.

        Raises
        ------
        InvalidArgument
            p is not in (0, 1).
        """
        p = probabilities(p)
        edges, below = self.elements.edges, np.append(self.cumulated[:, 0], 1.0)
        which = np.clip(np.searchsorted(below, p, side="right") - 1, 0, edges.size - 2)
        return bisected(lambda z: self.elements.at(z, self.cumulated) < p, edges[which], edges[which + 1])

    def expected(self, function: Callable[[Array], Array]) -> float:
        """The mean of a function of z."""
        return float(self.elements.integral(function(self.elements.nodes) * self.density)[-1, -1])

    @cached_property
    def mean(self) -> float:
        """The mean of z."""
        return self.expected(lambda z: z)

    @cached_property
    def deviation(self) -> float:
        """The standard deviation of z."""
        return float(np.sqrt(self.expected(lambda z: (z - self.mean) ** 2)))
