"""Where the slope of a gate vanishes or dips: points a flow cannot pass, or passes slowly.

A flat point, ``u'(z) = 0``, stops the flow: the time to reach it is infinite. No float64 number tells a true zero from a
tiny slope, so a dip is followed down in big floats, where a true zero keeps falling and a tiny slope does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gateflow.gate import Gate

REACH = 40.0
"""z up to which dips are looked for at a fine spacing; beyond it, at a constant ratio, up to 1e4."""
DEEP = -16.0
"""log u' below which a dip may be a true zero."""
DIGITS = 60
MOST = 32
"""Dips kept, at most."""


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
    slope = np.broadcast_to(gate.machine.log_du(z), z.shape)
    with np.errstate(invalid="ignore"):
        falls = (slope[1:-1] < slope[:-2] - 1e-9) & (slope[1:-1] <= slope[2:])
        low = slope[1:-1] == -np.inf
    at = np.flatnonzero((falls | low) & ~np.isnan(slope[:-2]) & ~np.isnan(slope[2:]))[:MOST] + 1
    flat, narrow = [], []
    for k in at:
        point, depth = _bottom(gate.machine.log_du, z[k - 1], z[k], z[k + 1])
        if depth < DEEP and _is_zero(gate, point, (z[k + 1] - z[k - 1]) / 2):
            flat.append(point)
        elif depth < min(slope[k - 1], slope[k + 1]) - 1e-6:
            narrow.append(point)
    return Dips(tuple(flat), tuple(narrow))


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


def _is_zero(gate: Gate, point: float, half: float) -> bool:
    """Whether ``u'`` falls to zero near ``point``, followed in big floats until far below any float64 dip."""
    from mpmath import mp, mpf

    numbers = gate.at(DIGITS)
    with mp.workdps(DIGITS):
        middle, half = mpf(point), mpf(max(abs(point), 1e-3)) * mpf(2) ** -44
        value = None
        for _ in range(36):
            values = [numbers.log_du(middle + half * k / 4) for k in range(-4, 5)]
            value, k = min((value, k) for k, value in enumerate(values))
            middle, half = middle + half * (k - 4) / 4, half / 3
        return bool(value < -2.2 * DIGITS / 2)
