"""How far a gate's numbers are from the truth, in units of the last place, over the whole float range.

An error is counted in spacings of the floats around the true value; a subnormal truth is counted in the one spacing
that subnormals have. Where the truth is past the largest float an infinity is right, and nothing else is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import mpmath
import numpy as np
from mpmath import mpf

from tests.gates.oracle import QUANTITIES, Beyond, Oracle

FUNCTIONS: tuple[str, ...] = (*QUANTITIES, "inverse", "inverse_c", "slope_at")
"""The numerical methods of a gate that are measured."""


@dataclass(frozen=True)
class Worst:
    """The largest error of one function in ulps, where it was found, and how many points were compared."""

    ulps: float = 0.0
    at: float = float("nan")
    points: int = 0

    def joined(self, ulps: float, at: float) -> Worst:
        return Worst(ulps, at, self.points + 1) if ulps > self.ulps else Worst(self.ulps, self.at, self.points + 1)


def in_ulps(value: Any, truth: mpf) -> float:
    """The error of ``value``, a NumPy float32 or float64."""
    info = np.finfo(type(value))
    if np.isnan(value):
        return float("inf")
    digits = info.nmant + 1
    if abs(truth) >= mpf(2) ** int(info.maxexp) * (1 - mpf(2) ** (-digits - 1)):
        return 0.0 if np.isinf(value) and (value > 0) == (truth > 0) else float("inf")
    if np.isinf(value):
        return float("inf")
    exponent = max(int(mpmath.mag(truth)), int(info.minexp) + 1) if truth else int(info.minexp) + 1
    with mpmath.workdps(40):
        return float(abs(mpf(float(value)) - truth) * mpf(2) ** (digits - exponent))


def arguments(gate: Any, dtype: type, count: int, seed: int = 0) -> np.ndarray:
    """Pre-activations: dense around 0, of every magnitude, and wherever phi or 1 - phi is of every magnitude."""
    rng = np.random.default_rng(seed)
    part = max(count // 5, 2)
    reach = np.log10(float(np.finfo(dtype).max)) - 0.01
    wide = 10.0 ** rng.uniform(-reach, reach, part) * rng.choice([-1.0, 1.0], part)
    with np.errstate(all="ignore"):
        tails = gate.float64.inverse_c(_small(rng, dtype, part)), gate.float64.inverse(_small(rng, dtype, part))
    special = [x for kink in (*gate.kinks, 0.0, 1.0, -1.0) for x in _around(kink, dtype)]
    z = np.concatenate([rng.uniform(-50, 50, part), rng.normal(0, 2, part), wide, *tails, special, _inflections(gate)])
    with np.errstate(all="ignore"):
        z = z.astype(dtype)
    return np.unique(z[np.isfinite(z)])


def probabilities(dtype: type, count: int, seed: int = 0) -> np.ndarray:
    """Numbers in (0, 1), of every magnitude, near 1/2, and near 1."""
    rng = np.random.default_rng(seed)
    part = max(count // 4, 2)
    middle = 0.5 + 2.0 ** -rng.uniform(2, np.finfo(dtype).nmant + 2, part) * rng.choice([-1.0, 1.0], part)
    near_one = 1 - 2.0 ** -rng.uniform(1, np.finfo(dtype).nmant + 1, part)
    tiny = [float(np.finfo(dtype).smallest_subnormal), float(np.finfo(dtype).smallest_normal), 0.5]
    p = np.concatenate([_small(rng, dtype, part), rng.uniform(0, 1, part), middle, near_one, tiny]).astype(dtype)
    return np.unique(p[(p > 0) & (p < 1)])


def _small(rng: np.random.Generator, dtype: type, count: int) -> np.ndarray:
    return np.exp(rng.uniform(np.log(float(np.finfo(dtype).smallest_subnormal)), 0, count))


def _around(x: float, dtype: type) -> Iterator[float]:
    for towards in (-np.inf, np.inf):
        near = np.asarray(x, dtype=dtype)[()]
        for _ in range(3):
            yield float(near)
            near = np.nextafter(near, dtype(towards))


def _inflections(gate: Any) -> np.ndarray:
    """Floats on both sides of each change of sign of phi'' and of u, by bisection."""
    z = np.linspace(-8.0, 8.0, 641) + 0.00123
    found = []
    for f in (gate.float64.d2phi, gate.float64.u):
        sign = np.broadcast_to(np.sign(f(z)), z.shape)
        here = np.flatnonzero(sign[:-1] * sign[1:] < 0)
        low, high = z[here], z[here + 1]
        for _ in range(60):
            middle = 0.5 * (low + high)
            left = np.sign(f(middle)) == sign[here]
            low, high = np.where(left, middle, low), np.where(left, high, middle)
        found += [low, high, low.astype(np.float32)]
    return np.concatenate(found)


def measure(gate: Any, dtype: type, count: int, seed: int = 0, inverses: bool = True) -> dict[str, Worst]:
    """The worst error of each of `FUNCTIONS`; without the last three for a gate that has no inverse."""
    oracle = Oracle(gate)
    worst = dict.fromkeys(FUNCTIONS, Worst())
    z = arguments(gate, dtype, count, seed)
    values = {what: getattr(gate, what)(z) for what in QUANTITIES}
    for i, x in enumerate(z):
        for what, truth in (_both_sides(oracle, float(x)) if x in gate.kinks else oracle(float(x))).items():
            worst[what] = worst[what].joined(in_ulps(values[what][i], truth), float(x))
    if not inverses:
        return worst
    p = probabilities(dtype, count // 2, seed)
    for what in ("inverse", "inverse_c"):
        for x, root in zip(p, getattr(gate, what)(p), strict=True):
            error = _root_error(oracle, root, float(x), what == "inverse_c")
            worst[what] = worst[what].joined(error, float(x))
    for x, slope, root in zip(p, gate.slope_at(p), gate.inverse_c(p.astype(float)), strict=True):
        error = _slope_error(oracle, slope, root, float(x))
        worst["slope_at"] = worst["slope_at"].joined(error, float(x))
    return worst


def _both_sides(oracle: Oracle, z: float) -> dict[str, mpf]:
    """The truth at a kink, of what is continuous there."""
    with mpmath.workdps(200):
        step = mpf(10) ** -90
        left, right, here = oracle(z - step), oracle(z + step), oracle(z)
    return {key: here[key] for key in left if key in right and key in here and abs(left[key] - right[key]) < 1e-60}


def _root_error(oracle: Oracle, root: Any, p: float, complement: bool) -> float:
    if np.isnan(root):
        return float("inf")
    edge = float(np.finfo(type(root)).max)
    z = float(np.clip(root, -edge, edge))
    try:
        step = oracle.distance(z, p, complement)
    except Beyond:
        return float("inf")
    if np.isinf(root):
        return 0.0 if step * root < 0 else float("inf")
    with mpmath.workdps(40):
        return in_ulps(root, mpf(z) - step)


def _slope_error(oracle: Oracle, slope: Any, root: float, loss: float) -> float:
    if np.isinf(root):
        bound = oracle(float(np.copysign(np.finfo(float).max, root)))["dphi"]
        return 0.0 if slope <= bound else float("inf")
    z = oracle.root(root, loss, True)
    return in_ulps(slope, oracle(z)["dphi"])
