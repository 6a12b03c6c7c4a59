"""What chance makes of a unit of rung 2: the law of its time constant after some steps, from its gradient's noise.

A unit holds ``h = f^T s + sigma (xi_0 + f xi_1 + ... )`` over T terms, all normal, and its loss is ``|X|`` with
``X = h - s/e``. So X and ``D = dX/d log f`` are jointly normal, and of the gradient ``sign(X) D`` of a sample

    mean = sqrt(2/pi) Cov(X, D)/sqrt(Var X),    mean square = Var D

are known in closed form. With sigma = 0 this is a random scale of the loss, |s|. A batch's gradient is taken as normal.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gateflow.descents.optimizers import Optimizer
from gateflow.gates.gate import Gate
from gateflow.noise.paths import Course, Paths

RUNS = 1000
"""Runs from which a law is known."""

FARTHEST = 12.0
"""Profiles beyond start and target that are tabled."""


def moments(u: np.ndarray, horizon: float, sigma: float) -> tuple[np.ndarray, np.ndarray]:
    """Mean and variance of the gradient of one sample in log f, at profiles.

    Examples
    --------
    Without noise the loss is ``|s| |f^T - 1/e|``: the mean slope is E|s| T f^T, and the variance that of |s|.

    >>> mean, variance = moments(np.array([8.0]), 10, 0.0)
    >>> f = 1 / (1 + np.exp(-8.0))
    >>> bool(abs(mean[0] / (np.sqrt(2 / np.pi) * 10 * f**10) - 1) < 1e-12)
    True
    >>> bool(abs(variance[0] / mean[0] ** 2 - (np.pi / 2 - 1)) < 1e-12)
    True
    """
    log_f = -np.logaddexp(0.0, -u)
    held = np.exp(horizon * log_f)
    off, slope = held - np.exp(-1.0), horizon * held
    ratio, s0, s1, s2 = np.exp(2 * log_f), np.zeros_like(u), np.zeros_like(u), np.zeros_like(u)
    for j in reversed(range(int(horizon))) if sigma else ():  # sums of f^2j, j f^2j, j^2 f^2j
        s0, s1, s2 = s0 * ratio + 1, s1 * ratio + j, s2 * ratio + j * j
    spread = off**2 + sigma**2 * s0
    with np.errstate(invalid="ignore"):
        mean = np.where(spread > 0, np.sqrt(2 / np.pi) * (off * slope + sigma**2 * s1) / np.sqrt(spread), 0.0)
    return mean, slope**2 + sigma**2 * s2 - mean**2


def law(
    gate: Gate,
    optimizer: Optimizer,
    horizon: float,
    sigma: float,
    lr: float,
    batch: int,
    z0: float,
    at: Sequence[int],
    *,
    seed: int = 0,
) -> np.ndarray:
    """Time constants of :data:`RUNS` runs of a unit after given steps, sorted, shape (len(at), RUNS)."""

    def of_batch(u: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        mean, variance = moments(u, horizon, sigma)
        return mean, np.sqrt(variance / batch)

    u0, target = float(gate.float64.u(np.array(z0))), -np.log(np.expm1(1 / horizon))
    span = min(u0, target) - FARTHEST, max(u0, target) + FARTHEST
    runs = Paths(Course(gate, of_batch, 0.0, lr, optimizer, span, None if sigma else float(target)), z0, RUNS, seed)
    rows = []
    for steps in at:
        runs.run(steps - runs.step)
        rows.append(np.sort(-1 / gate.log_phi(runs.z)))
    return np.array(rows)
