"""Many runs of a noisy descent at once: ``z <- z + eta b(z) + sqrt(eta v(z)) n``, n standard normal.

Drift and variance are read from a fine table, one for all runs. Normal numbers come from a counter-based generator
keyed by the seed and the step, so that runs can be followed in any portions, to the same bits.

Source: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC11
(2011), as NumPy's Philox.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.flows.problem import number
from gateflow.noise.elements import Array
from gateflow.progress import track
from gateflow.results.tabulated import Tabulated

if TYPE_CHECKING:
    from gateflow.noise.descent import NoisyDescent

TABLED = 2**13
"""Points of the tables between two kinks, and at least so many in all."""

MOST = 10**7
"""Runs at once."""


FARTHEST = 10**9
"""Steps at once."""


def _whole(name: str, value: Any, least: int, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or not least <= value <= most:
        raise InvalidArgument(f"{name} must be a whole number from {least} to {most}; got {value!r:.40}")


class Paths(Tabulated, columns=("z",), plots=(None, ["z"])):
    """Runs of a noisy descent, all at the same step.

    Parameters
    ----------
    noisy : NoisyDescent
    z0 : float
        The start of all.
    count : int
        How many, at most 10^7.
    seed : int
        From 0 on.
    tabled : tuple of float
        Where drift and variance are tabulated; a run beyond it has those of its end.

    Attributes
    ----------
    z : array, shape (count,)
        Where the runs are.
    step : int
        Steps made.

    Raises
    ------
    InvalidArgument
        A number is out of range.
    """

    def __init__(self, noisy: NoisyDescent, z0: float, count: int, seed: int, tabled: tuple[float, float]) -> None:
        _whole("count", count, 1, MOST)
        _whole("seed", seed, 0, 2**63 - 1)
        self.noisy, self.seed, self.step = noisy, int(seed), 0
        self.z: Array = np.full(int(count), float(z0))
        inside = [kink for kink in noisy.kinks if tabled[0] < kink < tabled[1]]
        grid = np.linspace(*tabled, TABLED)
        beside = np.ravel([[np.nextafter(kink, -np.inf), np.nextafter(kink, np.inf)] for kink in inside])
        self._grid = np.unique(np.concatenate([grid, beside])) if inside else grid
        self._drift = -noisy.lr * noisy.gradient(self._grid)
        self._deviation = np.sqrt(noisy.lr * noisy.variance(self._grid))

    def run(self, steps: int) -> Paths:
        """Make so many more steps; gives itself back.

        Examples
        --------
        >>> from gateflow.flows import LearningProblem
        >>> from gateflow.noise import NoisyDescent, Samples
        >>> problem = LearningProblem("sigmoid", horizon=10, target=0.5)
        >>> noisy = NoisyDescent(problem, Samples(scale="normal(1, 0.5)"), lr=0.01)
        >>> once, twice = (noisy.paths(0.0, 3, seed=1) for _ in range(2))
        >>> bool(np.all(once.run(20).z == twice.run(5).run(15).z))
        True
        """
        _whole("steps", steps, 0, FARTHEST)
        for _ in track(range(steps), "paths"):
            self._advance()
        return self

    def arrivals(self, level: float, steps: int) -> Array:
        """The step at which each run first is at ``level`` or past it, within so many more; -1 where it is not."""
        _whole("steps", steps, 0, FARTHEST)
        level = float(number("level", level, np.isfinite, "finite"))
        side = 1.0 if float(self.z[0]) < level else -1.0
        found = np.where(side * (self.z - level) >= 0, self.step, -1)
        for _ in track(range(steps), "paths"):
            self._advance()
            found = np.where((found < 0) & (side * (self.z - level) >= 0), self.step, found)
        return found

    def _advance(self) -> None:
        generator = np.random.Generator(np.random.Philox(key=self.seed, counter=[0, 0, 0, self.step + 1]))
        normal = generator.standard_normal(self.z.size)
        place = self._grid
        self.z = self.z + np.interp(self.z, place, self._drift) + np.interp(self.z, place, self._deviation) * normal
        self.step += 1
