"""What a gate's own formula loses in float64: measured once a gate against double-double, on nodes of every size.

A formula such as ``sigma(z + 0.999999 sin z)`` loses digits of its slope where that is small; no quadrature sees it.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from gateflow.arithmetic import doubledouble
from gateflow.flows.critical import cuts, dips, goes_by_decay
from gateflow.flows.density import Array
from gateflow.gates.gate import Gate

EPS = float(np.finfo(np.float64).eps)
USUAL = 16 * EPS
"""Errors of the logarithm of the density up to here, or to so much of its size, are those of any formula."""
FARTHEST = 1e3
"""|u| up to which digits are counted: past it the ends of a path, found by the same formula, are off alike."""
MOST_CUTS = 500
"""Cuts of the path beside which digits are counted."""
NEIGHBOURS = 3
"""Nodes to either side over which the worst error is taken: rounding errors are erratic."""


@lru_cache(maxsize=256)
def rounding(gate: Gate) -> tuple[Array, Array] | None:
    """Nodes, and the error of the log density at each that the formula is to blame for; None if it is nowhere.

    The nodes are logit profiles for gates with a closed inverse, positions for others.

    Examples
    --------
    >>> rounding(Gate("sigmoid(sinh(z))")) is None
    True
    >>> nodes, errors = rounding(Gate("sigmoid(z + 0.999999*sin(z))"))
    >>> bool(errors.max() > 1e-12)
    True
    """
    nodes = _nodes(gate)
    with np.errstate(all="ignore"):
        lost = _lost_by_profile(gate, nodes) if goes_by_decay(gate) else _lost_by_position(gate, nodes)
    lost = np.nan_to_num(lost, nan=0.0, posinf=0.0)
    if not lost.any():
        return None
    padded = np.pad(lost, NEIGHBOURS, mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * NEIGHBOURS + 1)
    return nodes, windows.max(axis=1)


def lost_at(gate: Gate, z: float) -> float:
    """What the formula loses of log of the density at a position."""
    found = rounding(gate)
    if found is None:
        return 0.0
    place = float(np.broadcast_to(gate.machine.u(np.array([z])), (1,))[0]) if goes_by_decay(gate) else z
    return 2 * float(np.interp(place, *found))


def _nodes(gate: Gate) -> Array:
    """Points of every magnitude, dense between -40 and 40 and about every narrow dip."""
    far = np.geomspace(1e-9, 1e6, 90)
    even = np.linspace(-40.0, 40.0, 481)
    steps = np.geomspace(1e-8, 1.0, 33)
    near = [point + sign * steps for point in dips(gate).narrow for sign in (-1, 1)]
    cut = cuts(gate)[:MOST_CUTS]
    cut = cut[np.isfinite(cut)]
    inner = (cut[:-1, None] + (cut[1:] - cut[:-1])[:, None] * np.array([0.1, 0.3, 0.5, 0.7, 0.9])).ravel()
    return np.unique(np.concatenate([-far, far, even, *near, dips(gate).narrow, cut, inner]))


def _lost_by_profile(gate: Gate, u: Array) -> Array:
    """The error of ``log W(u)``."""
    plain = np.broadcast_to(gate.machine.log_weight(u), u.shape)
    exact = np.broadcast_to(doubledouble.round(gate._double.log_weight(doubledouble.lift(u))), u.shape)
    return _beyond_usual(np.abs(plain - exact), np.abs(exact))


def _lost_by_position(gate: Gate, z: Array) -> Array:
    """The error of ``log u'(z)``, and of u(z), by which log q is off."""
    machine, lifted = gate.machine, doubledouble.lift(z)
    slope = np.broadcast_to(doubledouble.round(gate._double.log_du(lifted)), z.shape)
    u = np.broadcast_to(doubledouble.round(gate._double.u(lifted)), z.shape)
    off = np.abs(np.broadcast_to(machine.u(z), z.shape) - u)
    lost = _beyond_usual(np.abs(machine.log_du(z) - slope), np.abs(slope)) + _beyond_usual(off, np.abs(u))
    return np.where(np.abs(u) < FARTHEST, lost, 0.0)


def _beyond_usual(error: Array, size: Array) -> Array:
    return np.where(error > USUAL * (1 + size), error, 0.0)
