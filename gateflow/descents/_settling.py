"""Descents followed until they stay near the target, all problems of a call side by side."""

from __future__ import annotations

import numpy as np

from gateflow.descents.compiled import ARRIVED, Stepping
from gateflow.descents.optimizers import Optimizer
from gateflow.descents.precision import FORMATS
from gateflow.descents.simulation import CYCLE, PAYS, SETTLING, seconds_in_numpy, stable_gradient
from gateflow.errors import NoCompiler
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.compiled import wanted_backend
from gateflow.flows.sampled_path import Band
from gateflow.progress import track

STRIDE = 1000
"""Steps between two looks at the progress bar."""


def steps_to_stay(batch: ProblemBatch, optimizer: Optimizer, lr: Array, band: Band, most: Array) -> Array:
    """Steps after which z is in the band and does not leave it again; infinite where it is not, in ``most`` steps.

    A run stays where it has not left the band for 64 steps and four memories of its optimiser.
    """
    watched = int(CYCLE + SETTLING * optimizer.memory)
    exact = FORMATS["float64"].round
    outside = np.where(band.holds(batch.z0), -1, 0)
    result = np.full(lr.shape, np.inf)
    at = np.flatnonzero(np.isfinite(lr) & (lr > 0) & np.isfinite(band.radius))
    if wanted_backend(None) == "compiled" or seconds_in_numpy(most[at] + watched) > PAYS:
        try:
            return _by_kernel(Stepping(batch, optimizer, lr), at, band, outside, most + watched, watched)
        except NoCompiler:
            pass
    z, k, state = batch.z0[at], np.zeros(at.size, dtype=np.int64), optimizer.start(at.size)
    live, ends, lr, outside, most = batch.take(at), band.take(at), lr[at], outside[at], most[at] + watched
    gradient = stable_gradient(live, FORMATS["float64"])
    for _ in track(range(int(most.max(initial=0)) // STRIDE + 1), "descent (thousands of steps)"):
        for _ in range(STRIDE):
            if at.size == 0:
                return result
            k = k + 1
            state, taken = optimizer.update(state, gradient(z), k, lr, exact)
            z = z - taken
            outside = np.where(ends.holds(z), outside, k)
            settled = k - outside > watched
            done = settled | (k >= most) | ~np.isfinite(z)
            if done.any():
                result[at[settled]] = outside[settled] + 1
                keep = ~done
                at, z, k, lr, outside, most = (part[keep] for part in (at, z, k, lr, outside, most))
                state = tuple(part[keep] for part in state)
                live, ends = live.take(keep), ends.take(keep)
                gradient = stable_gradient(live, FORMATS["float64"])
    return result


def _by_kernel(stepping: Stepping, at: Array, band: Band, outside: Array, most: Array, watched: int) -> Array:
    """The same in C."""
    stepping.put(low=band.low, high=band.high, far=outside, limit=most)
    stepping.run(at, 2, window=watched)
    result = np.full(most.shape, np.inf)
    settled = at[stepping.code[at] == ARRIVED]
    result[settled] = stepping.far[settled] + 1
    return result
