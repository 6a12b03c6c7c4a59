"""Where the slope of a gate vanishes or dips: points a flow cannot pass, or passes slowly.

A flat point, ``u'(z) = 0``, stops the flow: the time to reach it is infinite. No float64 number tells a true zero from
a tiny slope, so a dip is followed down in big floats, where a true zero keeps falling and a tiny slope does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gateflow.flow.density import Array
from gateflow.gate import Gate

REACH = 40.0
"""z up to which dips are looked for at a fine spacing; beyond it, at a constant ratio, up to 1e4."""
DEEP = -16.0
"""log u' below which a dip may be a true zero."""
DIGITS = 120
STEPS = 90
ZERO = -95.0
"""log u' below which a dip followed in big floats counts as a zero: the steps take it 1e-44 near to a true one."""
CROSSED = 0.95
"""Power of u' at its zero below which the flow crosses it; 1, less what a logarithm beside it may hide."""
MOST = 32
"""Dips kept, at most: those nearest to 0."""


@dataclass(frozen=True)
class Dips:
    """Local minima of u': ``flat`` where it is 0 (z), and ``narrow`` where it is small but not 0 (z)."""

    flat: tuple[float, ...]
    narrow: tuple[float, ...]


@lru_cache(maxsize=256)
def dips(gate: Gate) -> Dips:
    """The local minima of ``u'``.

    Examples
    --------
    >>> dips(Gate("sigmoid(z**3)"))
    Dips(flat=(0.0,), narrow=())
    >>> dips(Gate("sigmoid(z)"))
    Dips(flat=(), narrow=())
    """
    far = np.geomspace(REACH, 1e4, 600)[1:]
    z = np.concatenate([-far[::-1], np.arange(-REACH * 64, REACH * 64 + 1) / 64, far])
    slope = np.broadcast_to(_log_slope(gate, z), z.shape)
    with np.errstate(invalid="ignore"):
        falls = (slope[1:-1] < slope[:-2] - 1e-9) & (slope[1:-1] <= slope[2:])
    at = np.flatnonzero(falls & np.isfinite(slope[:-2]) & np.isfinite(slope[2:])) + 1
    at = at[np.argsort(np.abs(z[at]), kind="stable")][:MOST]
    flat, narrow = _level_stretches(gate, z, slope), []
    for k in at:
        point, depth = _bottom(lambda z: _log_slope(gate, z), float(z[k - 1]), float(z[k]), float(z[k + 1]))
        zero = _zero_near(gate, point) if depth < DEEP else None
        if zero is not None:
            flat.append(_snapped(zero))
        elif depth < min(slope[k - 1], slope[k + 1]) - 1e-6:
            narrow.append(_snapped(point))
    return Dips(tuple(sorted(flat)), tuple(sorted(narrow)))


def _log_slope(gate: Gate, z: Array) -> Array:
    """log u'; ``-inf`` where the formula gives no number, so that the place is looked at in big floats."""
    slope = np.asarray(gate.machine.log_du(z))
    return np.where(np.isnan(slope), -np.inf, slope)


def _level_stretches(gate: Gate, z: Array, slope: Array) -> list[float]:
    """Grid points at the ends of stretches over which the gate is constant inside (0, 1)."""
    level = np.isneginf(slope) & np.isfinite(np.broadcast_to(gate.machine.u(z), z.shape))
    level = level[1:-1] & (np.isneginf(slope[:-2]) | np.isneginf(slope[2:])) & (~level[:-2] | ~level[2:])
    return [float(point) for point in z[1:-1][level]]


def _snapped(point: float) -> float:
    return 0.0 if abs(point) < 1e-6 else point


@lru_cache(maxsize=256)
def reach(gate: Gate) -> tuple[float, float]:
    """Where the gate becomes 0 and 1: infinite for gates onto (0, 1), a kink where a branch cuts it off.

    Examples
    --------
    >>> reach(Gate("sigmoid(z)"))
    (-inf, inf)
    """
    kinks = np.asarray(gate.kinks, dtype=np.float64)
    u = np.broadcast_to(gate.machine.u(kinks), kinks.shape)
    return max(kinks[u == -np.inf], default=-np.inf), min(kinks[u == np.inf], default=np.inf)


@lru_cache(maxsize=256)
def limits(gate: Gate) -> tuple[float, float]:
    """The limits of the logit profile at minus and plus infinity: infinite for gates onto (0, 1).

    Examples
    --------
    >>> limits(Gate("sigmoid(sinh(z))")), limits(Gate("sigmoid(exp(z))"))
    ((-inf, inf), (0.0, inf))
    """
    return _limit(gate, -1.0), _limit(gate, 1.0)


def _limit(gate: Gate, side: float) -> float:
    """The limit on one side; where float64 has none (``z/sqrt(1 + z**2)``), from big floats far out."""
    here = float(np.broadcast_to(gate.machine.u(np.array([side * np.inf])), (1,))[0])
    if not np.isnan(here):
        return here
    numbers = gate.at(DIGITS)
    lift = numbers.arithmetic.lift
    for far in (10.0**300, 1e3):
        first = lift(np.array([side * far]))
        near, distant = (numbers.arithmetic.round(numbers.u(z))[0] for z in (first, first * lift(far) * lift(far)))
        if np.isfinite(near) and abs(near - distant) <= 1e-15 * abs(near):
            return float(distant)
    return side * np.inf


def is_outside(gate: Gate, u: Array) -> Any:
    """Where no finite z gives the gate a logit profile of u: at or past a finite limit that is only approached."""
    low, high = limits(gate)
    below = (u <= low) if np.isfinite(low) else np.zeros(np.shape(u), dtype=bool)
    above = (u >= high) if np.isfinite(high) else np.zeros(np.shape(u), dtype=bool)
    return np.asarray(below | above)


def z_of_u(gate: Gate, u: Array) -> Array:
    """z where the logit profile is u, within the gate's reach; infinite where it is outside the gate's range."""
    z = gate.machine.z_of_u(u)
    if np.any(np.isfinite(reach(gate))):
        z = _beside_an_end(gate, np.asarray(u), np.asarray(z))
    outside = is_outside(gate, u)
    if not outside.any():
        return z
    return np.where(outside, np.where(u >= limits(gate)[1], np.inf, -np.inf), z)


def _beside_an_end(gate: Gate, u: Array, z: Array) -> Array:
    """Positions to the last digit also where the gate is about to become 0 or 1: there u says where far more finely
    than z can, and a root found by u alone is off by many floats. Newton steps in phi or 1 - phi do not know u."""
    low, high = reach(gate)
    inner = np.nextafter(low, np.inf), np.nextafter(high, -np.inf)
    with np.errstate(all="ignore"):
        rest = np.exp(-np.logaddexp(0.0, np.abs(u)))
        for _ in range(3):
            z = np.clip(z, *inner)
            upper, lower = rest - gate.machine.complement(z), gate.machine.value(z) - rest
            step = np.where(u > 0, upper, lower) / gate.machine.dphi(z)
            z = np.where(np.isfinite(step), z - step, z)
    return np.where(np.isinf(u), np.where(u > 0, high, low), np.clip(z, *inner))


def goes_by_decay(gate: Gate) -> bool:
    """Whether paths of this gate are measured in the total decay, through a closed inverse, rather than in z.

    Near a flat point, and for a gate that reaches 0 or 1, the decay is too coarse a measure of z.
    """
    return gate.formulas.inverse is not None and bool(np.all(np.isinf(reach(gate)))) and not dips(gate).flat


def _bottom(log_du: Any, left: float, middle: float, right: float) -> tuple[float, float]:
    """The minimum between ``left`` and ``right``, by a ladder of ever finer grids."""
    half = (right - left) / 2
    for _ in range(20):
        if half <= 4e-16 * max(abs(middle), 1e-300):
            break
        grid = middle + half * np.linspace(-1, 1, 17)
        values = np.broadcast_to(log_du(grid), grid.shape)
        middle, half = float(grid[np.nanargmin(values)]), half / 6
    return middle, float(np.max(log_du(np.array([middle]))))


def _zero_near(gate: Gate, point: float) -> float | None:
    """Where ``u'`` falls to zero near ``point``, followed in big floats until far below any float64 dip, or None.

    A zero like ``|z|^p`` stops the flow for p >= 1 only: for p < 1 the time to cross it, an integral of ``1/u'``, is
    finite. The fall of u' from the widest look to the closest tells p.
    """
    numbers = gate.at(DIGITS)
    lift = numbers.arithmetic.lift
    middle, half = lift(point), lift(max(abs(point), 1.0) * 2.0**-10)  # 1 - cos(z) rounds to 0 over 1e-8
    deepest, edges = np.inf, []
    for _ in range(STEPS):
        grid = lift(np.linspace(-1, 1, 9)) * half + middle
        values = np.array([float(value) for value in numbers.log_du(grid).values])
        best = int(np.nanargmin(values))
        deepest = values[best]
        edges.append(max(values[0], values[-1]))
        middle, half = grid[best], half / 3.0
    power = (edges[0] - edges[-1]) / ((STEPS - 1) * np.log(3.0))
    return float(middle.values) if deepest < ZERO and not power < CROSSED else None
