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
from gateflow.arithmetic.intervals import Intervals
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
MOST_STEEP, MOST_GROUPS = 8, 256
"""Groups of places that are integrated, at most, steep ones and all, nearest to 0; of others nothing is known."""
LEAST_SLOPE = -700.0
"""The logarithm of the slope past which the time through a place is no float."""
DIP = 2.0
"""How many times smaller than on either side a slope has to be for bounds to say too little."""
BITS = 200
"""Of these bounds."""


@dataclass(frozen=True)
class Unseen:
    """Places, ascending, as the float before each and the one after, and the ``integral of abs(dz/u')`` that floats
    miss there: infinite where nothing is known of it."""

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
    rows, steep = [], 0
    for number, group in enumerate(sorted(_groups(_places(gate)), key=lambda group: abs(group[0].near))):
        row = _by_bounds(gate, group)
        if row is None:
            steep += not _mere_kinks(group)
            known = number < MOST_GROUPS and steep <= MOST_STEEP
            row = _by_integrals(gate, group) if known else (*_around(group), np.inf)
        if row[2] > 0:
            rows.append(row)
    return Unseen(*np.array(sorted(rows)).reshape(-1, 3).T)


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
    return sorted(found, key=lambda place: place.near)


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


def _mere_kinks(group: list[_Place]) -> bool:
    return all(place.kink for place in group)


def _around(group: list[_Place]) -> tuple[float, float]:
    """The float before a group and the one after it, between which it is looked at."""
    floats = [place.near for place in group]
    gap = BESIDE * float(np.spacing(max(abs(x) for x in floats)))
    return min(floats) - gap, max(floats) + gap


def _by_bounds(gate: Gate, group: list[_Place]) -> tuple[float, float, float] | None:
    """A row of `Unseen` for steep places about which no slope dips; None where bounds do not show that."""
    if _mere_kinks(group):
        return None
    first, last = _around(group)
    arithmetic = Intervals(BITS)
    low, high = Numbers(gate, arithmetic).log_du(arithmetic.interval(first, last)).ends
    if not low >= np.min(gate.float64.log_du(np.array([first, last]))) - np.log(DIP):
        return None
    if low < LEAST_SLOPE:  # past the floats
        return first, last, np.inf
    return first, last, float((last - first) * np.exp(-low) * -np.expm1(low - high))


def _by_integrals(gate: Gate, group: list[_Place]) -> tuple[float, float, float]:
    """A row of `Unseen`, 0 for what is not worth counting."""
    numbers = gate.at(DIGITS)
    big = numbers.arithmetic
    first, last = _around(group)
    floats = {place.near for place in group}
    points = sorted({np.ravel(big.lift(place.exact).values)[0] for place in group})
    kinks = _mere_kinks(group)
    if kinks and len(points) == len(floats) and all(big.round(place.exact - place.near) == 0 for place in group):
        return first, last, 0.0
    with np.errstate(all="ignore"):
        true = sum(
            _true_stretch(numbers, Big(big, a), Big(big, b), not kinks)
            for a, b in itertools.pairwise([big.context.mpf(first), *points, big.context.mpf(last)])
        )
        seen = sum(_seen_stretch(gate, a, b) for a, b in itertools.pairwise(sorted({first, *floats, last})))
        missed = abs(true - seen) + (0.0 if kinks else OFF * true)
    if not np.isfinite(missed):  # past the floats
        return first, last, np.inf
    return first, last, missed if missed > COUNTED * seen / (2 * BESIDE) else 0.0


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
            parts_of_it = big.round(half * (outer - inner) / slope)
            total += weight / 2 * float(np.sum(np.where(np.isnan(parts_of_it), 0.0, parts_of_it)))
    return total


def _seen_stretch(gate: Gate, low: float, high: float) -> float:
    """The same as floats see it: by the mean over those between."""
    z = low + (high - low) * (np.arange(1.0, 2 * BESIDE) / (2 * BESIDE))
    z = z[(z > low) & (z < high)] if np.nextafter(low, high) < high else np.array([low])
    with np.errstate(all="ignore"):
        inverse = np.exp(-gate.float64.log_du(z))
        return float(np.mean(np.where(np.isnan(inverse), 0.0, inverse)) * (high - low))
