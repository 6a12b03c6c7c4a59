"""What a gate's own formula loses in float64: measured once a gate against double-double, on nodes of every size.

A formula such as ``sigma(z + 0.999999 sin z)`` loses digits of its slope where that is small; no quadrature sees it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from gateflow.arithmetic import doubledouble
from gateflow.flows.critical import cuts, goes_by_decay, reach, slope_minima
from gateflow.flows.density import Array
from gateflow.gates.gate import Gate

EPS = float(np.finfo(np.float64).eps)
USUAL = 16 * EPS
"""Errors of the logarithm of the density up to here, or to this share of its size, are those of any formula."""
ALL = 1e6
"""The error of what is no number: more than all digits."""
FARTHEST = 1e3
"""|u| up to which digits are counted: past it the ends of a path, found by the same formula, are off alike."""
MOST_CUTS = 500
"""Cuts of the path beside which digits are counted."""
INNER = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
"""Parts of the way between two cuts at which they are counted too."""
NEIGHBOURS = 3
"""Nodes to either side over which the worst error is taken: rounding errors are erratic."""


@dataclass(frozen=True)
class Rounding:
    """What a formula loses beside any other, at nodes: logit profiles for gates with a closed inverse, else positions.

    Parameters
    ----------
    nodes : array
        Ascending.
    density : array
        The error of log of the density.
    profile : array
        The absolute error of u(z).
    """

    nodes: Array
    density: Array
    profile: Array

    def density_at(self, place: Array) -> Array:
        """The error of log of the density at a profile or a position."""
        return np.nan_to_num(np.interp(place, self.nodes, self.density))

    def profile_at(self, place: Array) -> Array:
        """The error of u there."""
        return np.nan_to_num(np.interp(place, self.nodes, self.profile))


@lru_cache(maxsize=256)
def rounding(gate: Gate) -> Rounding | None:
    """The errors that the formula is to blame for, or None if there are none.

    Rounding errors are erratic: each is the worst of those of some neighbours, but never across a cut. Beside a kink or
    a steep place the formula is another one, or is used at other sizes.

    Examples
    --------
    >>> rounding(Gate("sigmoid(sinh(z))")) is None
    True
    >>> bool(rounding(Gate("sigmoid(z + 0.999999*sin(z))")).density.max() > 1e-12)
    True
    """
    stretches = list(_stretches(gate))
    lost = _lost_by_profile if goes_by_decay(gate) else _lost_by_position
    with np.errstate(all="ignore"):
        density, profile = lost(gate, np.concatenate([inner for _, inner, _ in stretches]))
    if not density.any() and not profile.any():
        return None
    parts = np.cumsum([inner.size for _, inner, _ in stretches])[:-1]
    worst = (np.concatenate([_worst(part) for part in np.split(x, parts)]) for x in (density, profile))
    return Rounding(np.concatenate([[first, *inner, last] for first, inner, last in stretches]), *worst)


def _worst(errors: Array) -> Array:
    """Of each inner node of a stretch and its neighbours, the greatest; its ends have that of the outermost."""
    padded = np.pad(errors, NEIGHBOURS, mode="edge")
    return np.pad(np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1).max(axis=1), 1, mode="edge")


def lost_at(gate: Gate, z: float) -> float:
    """What the formula loses of log of the density at a position."""
    found = rounding(gate)
    if found is None:
        return 0.0
    place = float(np.broadcast_to(gate.float64.u(np.array([z])), (1,))[0]) if goes_by_decay(gate) else z
    return 2 * float(found.density_at(np.array(place)))


def _stretches(gate: Gate) -> Iterator[tuple[float, Array, float]]:
    """From cut to cut, the first float, nodes between and the last float; nodes of every magnitude, dense between -40
    and 40 and about every narrow dip."""
    far = np.geomspace(1e-9, 1e6, 90)
    even = np.linspace(-40.0, 40.0, 481)
    steps = np.geomspace(1e-8, 1.0, 33)
    narrow, cut = np.asarray(slope_minima(gate).narrow), cuts(gate)[:MOST_CUTS]
    if goes_by_decay(gate):
        narrow, cut = (np.broadcast_to(gate.float64.u(z), z.shape) for z in (narrow, cut))
    nodes = np.concatenate([-far, far, even, narrow, *(point + sign * steps for point in narrow for sign in (-1, 1))])
    nodes, cut = np.unique(nodes), np.unique(cut[np.isfinite(cut)])
    for low, high in itertools.pairwise([-np.inf, *cut, np.inf]):
        first, last = (float(x) for x in (np.nextafter(low, np.inf), np.nextafter(high, -np.inf)))
        inner = low + (high - low) * INNER if np.isfinite(high - low) else np.empty(0)
        between = slice(np.searchsorted(nodes, first, "right"), np.searchsorted(nodes, last, "left"))
        inner = np.unique(np.concatenate([nodes[between], inner]))
        if first < last and inner.size:
            yield first, inner, last


def _lost_by_profile(gate: Gate, u: Array) -> tuple[Array, Array]:
    """The errors of ``log W(u)``, and of u(z) at the position of u."""
    plain = np.broadcast_to(gate.float64.log_weight(u), u.shape)
    exact = np.broadcast_to(doubledouble.round(gate._double.log_weight(doubledouble.lift(u))), u.shape)
    z = np.broadcast_to(gate.float64.z_of_u(u), u.shape)
    return _beyond_usual(plain, exact), np.where(np.abs(u) < FARTHEST, _lost_of_u(gate, z), 0.0)


def _lost_by_position(gate: Gate, z: Array) -> tuple[Array, Array]:
    """The errors of ``log u'(z)``, with that of log q by the one of u(z), and of u(z).

    Where the gate becomes 0 or 1, positions are not found from u (:func:`gateflow.flows.critical.z_of_u`).
    """
    slope = np.broadcast_to(doubledouble.round(gate._double.log_du(doubledouble.lift(z))), z.shape)
    u, off = np.broadcast_to(gate.float64.u(z), z.shape), _lost_of_u(gate, z)
    near, ends = np.abs(u) < FARTHEST, np.any(np.isfinite(reach(gate)))
    density = _beyond_usual(np.broadcast_to(gate.float64.log_du(z), z.shape), slope) + off
    return np.where(near, density, 0.0), np.where(near & ~ends, off, 0.0)


def _lost_of_u(gate: Gate, z: Array) -> Array:
    exact = np.broadcast_to(doubledouble.round(gate._double.u(doubledouble.lift(z))), z.shape)
    return _beyond_usual(np.broadcast_to(gate.float64.u(z), z.shape), exact)


def _beyond_usual(plain: Array, exact: Array) -> Array:
    """Where only double-double has a number all digits are lost; a density that is 0 for that would not be seen."""
    error = np.where(np.isfinite(exact), np.nan_to_num(np.abs(plain - exact), nan=ALL, posinf=ALL), 0.0)
    return np.where(error > USUAL * (1 + np.abs(exact)), error, 0.0)
