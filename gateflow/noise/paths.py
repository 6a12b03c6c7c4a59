"""Noisy descents followed step by step, many runs side by side, the same for the same seed.

A run's gradient is normal, with the mean and the variance of a batch's gradient at its position; the optimiser makes
its step of it. The number drawn at a step depends on the seed, the run and the step alone: word i of the stream of
Philox with the counter (0, 0, 0, k), for run i at step k. So runs can be followed in any portions, and go on from a
state that was kept, to the same bits.

Mean and deviation are tabled over the logit profile u, in which they are the same for all gates up to a factor that is
computed from the gate's formula (:mod:`gateflow.noise.gradients`).

Source: J. K. Salmon, M. A. Moraes, R. O. Dror and D. E. Shaw, *Parallel random numbers: as easy as 1, 2, 3*, SC11
(2011), as NumPy's Philox; G. E. P. Box and M. E. Muller, *A note on the generation of random normal deviates* (1958).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.descents.optimizers import Optimizer
from gateflow.descents.precision import FORMATS
from gateflow.errors import InvalidArgument
from gateflow.flows.compiled import by_kernel
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import FINITE, one, whole
from gateflow.noise.compiled import Walk
from gateflow.noise.elements import Array
from gateflow.noise.gradients import log_share
from gateflow.progress import track
from gateflow.results.tabulated import Tabulated

CELLS = 2**13
"""Of the tables."""

MOST = 10**7
"""Runs at once."""

FARTHEST = 10**9
"""Steps at once."""

AT_ONCE = 2_000_000
"""Steps of single runs between two looks at the progress bar."""

EXACT = FORMATS["float64"].round


def normal(seed: int, step: int, count: int) -> Array:
    """The standard normal numbers of all runs at a step: Box and Muller's, one of each word."""
    words = np.random.Philox(key=seed, counter=[0, 0, 0, step]).random_raw(count)
    share = ((words >> np.uint64(32)).astype(np.float64) + 0.5) * 2.0**-32
    angle = ((words & np.uint64(0x7FFFFFFF)).astype(np.float64) + 0.5) * 2.0**-31
    size = np.sqrt(-2 * np.log(share)) * np.sin(angle * (np.pi / 2))
    return np.where(words & np.uint64(0x80000000), -size, size)


@dataclass(frozen=True, eq=False)
class Course:
    """What runs follow: a gate, and the law of a batch's gradient in u.

    Parameters
    ----------
    gate : Gate
    moments : callable
        Profiles to mean and deviation of the gradient per :func:`gateflow.noise.gradients.log_share`.
    fade : float
        Of that share.
    lr : float
    optimizer : Optimizer
    span : tuple of float
        Profiles between which the moments are tabled; a run beyond has those of the end.
    kink : float, optional
        A profile at which they jump.

    Examples
    --------
    Where the gradient is ``sigma(-u) u' xi`` with a standard normal xi, the sigmoid's z drifts nowhere on average:

    >>> import gateflow
    >>> from gateflow.descents.optimizers import OPTIMIZERS
    >>> pure = lambda u: (np.zeros_like(u), np.ones_like(u))
    >>> course = Course(gateflow.gate("sigmoid"), pure, 0.0, 0.1, OPTIMIZERS["sgd"](), (-9.0, 9.0))
    >>> z = Paths(course, 0.0, 10_000, seed=1).run(1).z
    >>> bool(abs(z.std() - 0.05) < 0.002 and abs(z.mean()) < 0.002)
    True
    """

    gate: Gate
    moments: Callable[[Array], tuple[Array, Array]]
    fade: float
    lr: float
    optimizer: Optimizer
    span: tuple[float, float]
    kink: float | None = None

    def cells(self) -> tuple[Array, float, float]:
        """By cell mean at its left, its rise, deviation, its rise, shape (cells, 4); the low end; the width."""
        low, high = self.span
        width = (high - low) / CELLS
        if self.kink is not None and low < self.kink < high:
            low = self.kink - np.ceil((self.kink - low) / width) * width  # the kink is between two cells
        left = low + width * np.arange(CELLS + 1)
        ends = np.stack([left, left + width]) + 1e-9 * width * np.array([[1.0], [-1.0]])  # their limits from inside
        mean, deviation = self.moments(ends)
        table = np.stack([mean[0], mean[1] - mean[0], deviation[0], deviation[1] - deviation[0]], axis=1)
        return np.ascontiguousarray(table), float(low), float(width)


class Paths(Tabulated, columns=("z",), plots=(None, ["z"])):
    """Runs of a noisy descent, all at the same step.

    Parameters
    ----------
    course : Course
    z0 : float
        The start of all.
    count : int
        How many, at most 10^7.
    seed : int
        From 0 on, below 2^63.
    backend : {None, "auto", "compiled", "numpy"}
        None is the environment's ``GATEFLOW_BACKEND``, else "auto": compiled where it can be.

    Attributes
    ----------
    z : array, shape (count,)
        Where the runs are.
    step : int
        Steps made.
    backend : str
        "compiled" or "numpy".

    Raises
    ------
    InvalidArgument
        A number is out of range.
    NoCompiler
        "compiled" is asked for and cannot be.
    """

    def __init__(self, course: Course, z0: float, count: int, seed: int = 0, *, backend: str | None = None) -> None:
        count, self.seed, self.step = whole("count", count, 1, MOST), whole("seed", seed, 0, 2**63 - 1), 0
        self.course = course
        self.z: Array = np.full(count, one("z0", z0, *FINITE))
        self._m, self._s = np.zeros(count), np.zeros(count)
        self._cells, self._low, self._width = course.cells()
        self._walk = by_kernel(lambda: Walk(course.gate, course.optimizer), backend, pays=True)
        self.backend = "numpy" if self._walk is None else "compiled"

    @property
    def state(self) -> dict[str, Any]:
        """All that a run needs to go on: positions, the optimiser's means, steps made, seed; for ``numpy.savez``."""
        return {"z": self.z.copy(), "m": self._m.copy(), "s": self._s.copy(), "step": self.step, "seed": self.seed}

    def resume(self, state: Any) -> Paths:
        """Go on from a state that was kept; gives itself back.

        Raises
        ------
        InvalidArgument
            It is no state of this many runs.

        Examples
        --------
        >>> from gateflow.flows import LearningProblem
        >>> from gateflow.noise import NoisyDescent, Samples
        >>> problem = LearningProblem("fast", horizon=10, target=0.5)
        >>> noisy = NoisyDescent(problem, Samples(scale="normal(1, 1)"), lr=0.01)
        >>> kept = noisy.paths(0.0, 3, seed=1).run(7).state
        >>> bool(np.all(noisy.paths(0.0, 3).resume(kept).run(5).z == noisy.paths(0.0, 3, seed=1).run(12).z))
        True
        """
        try:
            z, m, s = (np.array(state[name], dtype=np.float64) for name in ("z", "m", "s"))
            step, seed = (int(state[name]) for name in ("step", "seed"))
        except (KeyError, TypeError, ValueError, IndexError):
            raise InvalidArgument("a state has z, m, s, step and seed; give what .state gave") from None
        if not z.shape == m.shape == s.shape == self.z.shape:
            raise InvalidArgument(f"the state is not of {self.z.size} runs")
        self.step, self.seed = whole("step", step, 0, 2**62), whole("seed", seed, 0, 2**63 - 1)
        self.z, self._m, self._s = z, m, s
        return self

    def run(self, steps: int) -> Paths:
        """Make more steps; returns itself.

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
        self._advance(whole("steps", steps, 0, FARTHEST), np.inf, 1.0)
        return self

    def arrivals(self, level: float, steps: int) -> Array:
        """The step at which each run first is at ``level`` or past it, within this many more; -1 where it is not."""
        steps = whole("steps", steps, 0, FARTHEST)
        level = one("level", level, *FINITE)
        return self._advance(steps, level, 1.0 if float(self.z[0]) < level else -1.0).astype(np.int64)

    def _advance(self, steps: int, level: float, side: float) -> Array:
        """Make a number of steps; the step at which each run is first at the level."""
        found = np.where(side * (self.z - level) >= 0, float(self.step), -1.0)
        stride = max(1, AT_ONCE // self.z.size)
        for made in track(range(0, steps, stride), "paths"):
            portion = min(stride, steps - made)
            if self._walk is None:
                self._in_numpy(portion, level, side, found)
            else:
                runs = {"z": self.z, "m": self._m, "s": self._s, "found": found}
                course, low, per = self.course, self._low, 1 / self._width
                numbers = {"low": low, "per_width": per, "over": course.fade + 1, "lr": course.lr}
                self._walk(runs, self._cells, self.step, portion, **numbers, level=level, side=side, seed=self.seed)
            self.step += portion
        return found

    def _in_numpy(self, steps: int, level: float, side: float, found: Array) -> None:
        course, optimizer = self.course, self.course.optimizer
        means = (self._s,) if optimizer.is_sign_like and len(optimizer.start(1)) == 1 else (self._m, self._s)
        state = tuple(part for part, _ in zip(means, optimizer.start(1), strict=False))
        for k in range(self.step + 1, self.step + steps + 1):
            u, log_of = log_share(course.gate, self.z, course.fade)
            with np.errstate(over="ignore"):
                inside = np.clip((u - self._low) / self._width, 0.0, len(self._cells))
            cell = np.minimum(inside, len(self._cells) - 1).astype(int)
            mean, more, deviation, wider = self._cells[cell].T
            part = inside - cell
            drawn = mean + part * more + (deviation + part * wider) * normal(self.seed, k, self.z.size)
            state, taken = optimizer.update(state, np.exp(log_of) * drawn, np.array(k), np.array(course.lr), EXACT)
            self.z = self.z - taken
            found[(found < 0) & (side * (self.z - level) >= 0)] = k
        for part, into in zip(state, means, strict=False):
            into[:] = part
