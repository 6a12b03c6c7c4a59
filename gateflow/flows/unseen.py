"""What lies between two floats: kinks that are no floats, stretches and dips narrower than the spacing of floats.

The formula is evaluated at floats, so a kink at 1/3 is taken at the float beside it, and a plateau from 1/3 to
1/3 + 1e-17 is not there at all. What this does to ``integral of dz/u'`` is counted once a gate, in big floats.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.bigfloat import Big, BigFloat
from gateflow.codegen import Tape, stable
from gateflow.flows.critical import DIGITS
from gateflow.flows.features import SLANT, STEEP
from gateflow.formula.vocabulary import Expr, Z
from gateflow.gates.gate import Gate
from gateflow.gates.kinks import roots_of, switches
from gateflow.gates.numbers import Numbers

Array = np.ndarray[Any, np.dtype[np.float64]]

BESIDE = 16
"""Spacings of floats to either side of a place within which the formula is looked at in big floats."""
STEEP_THERE = 0.1
"""What the argument of a function with a scale of 1 changes by within these, if more happens there than floats see."""
HALVINGS = 100
"""Of the distance to a place that is not a mere kink."""
COUNTED = 1e-3
"""Part of a spacing by which a kink has to be off to be counted."""
SECANTS = 8
"""Steps from a float to the exact zero beside it."""
GAUSS = np.polynomial.legendre.leggauss(4)
"""Nodes of each panel in (-1, 1), and their weights."""
OFF = 1e-4
"""Relative error of these integrals, at most."""
MOST = 32
"""Places looked at, at most: those nearest to 0."""


@dataclass(frozen=True)
class Unseen:
    """Places, ascending, as the float before each, and the ``integral of abs(dz/u')`` that floats miss there."""

    before: Array
    after: Array
    missed: Array


@lru_cache(maxsize=256)
def unseen(gate: Gate) -> Unseen:
    """The places at which floats are too coarse for a gate's formula.

    Examples
    --------
    >>> unseen(Gate("sigmoid(where(z < 1, z, 3*z - 2))")).missed
    array([], dtype=float64)
    >>> unseen(Gate("sigmoid(where(z < 1/3, z, 3*z - 2/3))")).missed  # 2/3 of the distance from 1/3 to its float
    array([1.2...e-17])
    """
    found = [_missed(gate, group) for group in _groups(_places(gate))]
    rows = np.array([row for row in found if row is not None]).reshape(-1, 3)
    return Unseen(*rows.T)


@dataclass(frozen=True)
class _Place:
    """A zero of what a formula changes at: as a float, as a big float, and whether it is a mere kink."""

    near: float
    exact: Any
    kink: bool


def _places(gate: Gate) -> list[_Place]:
    expr = gate.formulas.u if gate.is_profile else gate.expr
    steep = {node.args[0] for node in expr.atoms(*STEEP, *SLANT) if node.args[0].has(Z)}
    found = [place for edge in switches(expr) for place in _zeros(gate, edge, kink=True)]
    found += [place for edge in steep - {Z} for place in _zeros(gate, edge, kink=False)]
    found.sort(key=lambda place: abs(place.near))
    return sorted(found[:MOST], key=lambda place: place.near)


def _zeros(gate: Gate, edge: Expr, *, kink: bool) -> list[_Place]:
    tape, big = Tape([stable(edge)], [Z]), gate.at(DIGITS).arithmetic
    found = []
    for root in roots_of(edge):
        near = float(root)
        beside = near + BESIDE * np.spacing(abs(near)) * np.array([-1.0, 0.0, 1.0])
        if np.isfinite(near) and (kink or np.ptp(np.broadcast_to(tape(float64, beside)[0], (3,))) > STEEP_THERE):
            exact = big.lift(near) + _to_zero(tape, big, near) if isinstance(root, float) else big.constant(root)
            found.append(_Place(near, exact, kink))
    return found


def _to_zero(tape: Tape, big: BigFloat, near: float) -> Any:
    """From a float to the zero beside it, by secants; 0 where they lead away."""
    gap = float(np.spacing(abs(near)))
    last, off = big.lift(0.0), big.lift(gap)
    before, value = (tape(big, x + near)[0] for x in (last, off))
    for _ in range(SECANTS):
        step = value * (off - last) / (value - before)
        if not np.isfinite(big.round(step)) or big.round(big.abs(step)) == 0:
            break
        last, off, before = off, off - step, value
        value = tape(big, off + near)[0]
    return off if abs(big.round(off)) <= 2 * gap else big.lift(0.0)


def _groups(places: list[_Place]) -> list[list[_Place]]:
    """Those together that are not far apart as floats are spaced."""
    groups: list[list[_Place]] = []
    for place in places:
        if groups and place.near - groups[-1][-1].near <= 2 * BESIDE * np.spacing(abs(place.near)):
            groups[-1].append(place)
        else:
            groups.append([place])
    return groups


def _missed(gate: Gate, group: list[_Place]) -> tuple[float, float, float] | None:
    """The float before a group, the one after it, and what floats miss between; None where that is nothing."""
    numbers = gate.at(DIGITS)
    big = numbers.arithmetic
    floats = [place.near for place in group]
    gap = float(np.spacing(max(abs(x) for x in floats)))
    first, last = min(floats) - BESIDE * gap, max(floats) + BESIDE * gap
    points = sorted({np.ravel(big.lift(place.exact).values)[0] for place in group})
    if len(points) == len(set(floats)) and all(
        place.kink and big.round(place.exact - place.near) == 0 for place in group
    ):
        return None
    steep = not all(place.kink for place in group)
    true = sum(
        _true_stretch(numbers, Big(big, a), Big(big, b), steep)
        for a, b in itertools.pairwise([big.context.mpf(first), *points, big.context.mpf(last)])
    )
    seen = sum(_seen_stretch(gate, a, b) for a, b in itertools.pairwise(sorted({first, *floats, last})))
    missed = abs(true - seen) + (OFF * true if steep else 0.0)
    return (first, last, missed) if missed > COUNTED * seen / (2 * BESIDE) else None


def _true_stretch(numbers: Numbers, low: Big, high: Big, steep: bool) -> float:
    """``integral of dz/u'`` between two neighbouring places, by panels that halve towards either if that is steep."""
    big, half = numbers.arithmetic, (high - low) / 2.0
    parts = np.concatenate([[1.0], 2.0 ** -np.arange(1.0, HALVINGS if steep else 2), [0.0]])
    total = 0.0
    for end, way in ((low, 1.0), (high, -1.0)):
        outer, inner = big.lift(parts[:-1]), big.lift(parts[1:])
        for node, weight in zip(*GAUSS, strict=True):
            z = end + half * (inner + (outer - inner) * (0.5 + node / 2)) * way
            slope = big.exp(numbers.log_du(z))
            total += weight / 2 * float(np.sum(np.nan_to_num(big.round(half * (outer - inner) / slope), nan=0.0)))
    return total


def _seen_stretch(gate: Gate, low: float, high: float) -> float:
    """The same as floats see it: by the mean over those between."""
    z = low + (high - low) * (np.arange(1.0, 2 * BESIDE) / (2 * BESIDE))
    z = z[(z > low) & (z < high)] if np.nextafter(low, high) < high else np.array([low])
    with np.errstate(all="ignore"):
        return float(np.mean(np.nan_to_num(np.exp(-gate.float64.log_du(z)), nan=0.0)) * (high - low))
