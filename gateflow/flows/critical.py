"""Where the slope of a gate vanishes or dips: points a flow cannot pass, or passes slowly.

A flat point, ``u'(z) = 0``, stops the flow: the time to reach it is infinite. No float64 number tells a true zero from
a tiny slope, so a dip is followed down in big floats, where a true zero keeps falling and a tiny slope does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape
from gateflow.codegen.expand import expand
from gateflow.errors import FormulaError
from gateflow.flows.density import Array
from gateflow.flows.features import SLANT, STEEP, features
from gateflow.formula.vocabulary import Expr, U, Z, derivative, softsign
from gateflow.gates.gate import Gate
from gateflow.gates.inversion import closed_inverse
from gateflow.gates.kinks import roots_of, switches

REACH = 40.0
"""z up to which dips are looked for at a fine spacing; beyond it, at a constant ratio, up to 1e4."""
DEEP = -16.0
"""log u' below which a dip may be a true zero."""
DIGITS, MANY_DIGITS = 120, 700
"""Of the big floats in which a dip is followed down, and in which u' about it is read."""
STEPS = 140
"""Halvings by which it is narrowed down: from a thousandth to 1e-45."""
ONE_WAY = 24
"""Of these, all to one side: there is no minimum."""
LEAP = 6
"""Each time this number of them is made, Newton's method is tried, which finds a true zero in four or five steps."""
WORTH = 2.0**-8
"""A step of it counts only if the zero is within so small a part of the distance from then on."""
SMOOTH = 1e-3
"""Less than a unit from a zero ``|z - c|^p``, log u' has a slope and a bend above p per unit. Where both are less than
this there is none: what floats saw was their rounding, or a dip that they resolve."""
EXACT = np.array([8.0, 16.0, 32.0, 64.0, 128.0, 230.0])
ROUGH = np.array([6.0, 12.0, 24.0, 36.0])
"""Decimal orders of the distances at which u' is read, about a point known exactly, and about one narrowed down."""
NEAR, DENOMINATOR = 1e-6, 10**6
"""How far a number is at most from the point that it may stand for, and the denominator of the plain ones."""
FALL = 1.0
"""What log u' falls by within one spacing of floats beside a point, if these do not resolve it."""
BETWEEN = np.array([0.15, 0.3, 0.5, 0.7, 0.85])
MOST_TESTED = 16
"""SlopeMinima looked at in big floats, at most; others on the way of a flow are looked at when it comes."""
NARROW = 0.1
"""Part of the profile within which a formula may change unseen."""
MOST = 2048
"""SlopeMinima kept, at most: those nearest to 0."""


_BY_CASES = (sp.Piecewise, sp.Abs, sp.sign, sp.Max, sp.Min, softsign)
"""What makes a formula another one beyond a point; one without is analytic, and constant nowhere if not everywhere."""


@dataclass(frozen=True)
class SlopeMinima:
    """Local minima of u', as positions.

    Parameters
    ----------
    flat : tuple of float
        Where u' is 0 and no flow passes.
    narrow : tuple of float
        Where it is small, but not 0.
    pointed : tuple of float
        Where it is 0 and flows pass, as at the zero of ``abs(z)**1.5``; or where it is too narrow for the floats there.
        Only the formula written about the point resolves these.
    unsure : tuple of float
        Where it may be 0: not looked at in big floats, or not decided even by these.
    """

    flat: tuple[float, ...]
    narrow: tuple[float, ...]
    pointed: tuple[float, ...] = ()
    unsure: tuple[float, ...] = ()


def refuse_if_no_gate(gate: Gate) -> None:
    """Complain about a formula that leaves (0, 1) or falls."""
    if gate.value_outside is not None or gate.fall is not None:
        gate.inverse(0.5)


@lru_cache(maxsize=256)
def slope_minima(gate: Gate) -> SlopeMinima:
    """The local minima of ``u'``.

    Examples
    --------
    >>> slope_minima(Gate("sigmoid(z**3)"))
    SlopeMinima(flat=(0.0,), narrow=(), pointed=(), unsure=())
    >>> slope_minima(Gate("sigmoid(z)"))
    SlopeMinima(flat=(), narrow=(), pointed=(), unsure=())
    """
    far = np.geomspace(REACH, 1e4, 600)[1:]
    even = np.concatenate([-far[::-1], np.arange(-REACH * 64, REACH * 64 + 1) / 64, far])
    cut = np.asarray(features(gate).cuts, dtype=np.float64)
    inner = cut[:-1, None] + (cut[1:] - cut[:-1])[:, None] * BETWEEN
    z = np.unique(np.concatenate([even, cut, inner.ravel()]))
    slope = np.broadcast_to(_log_slope(gate, z), z.shape)
    with np.errstate(invalid="ignore"):
        falls = (slope[1:-1] < slope[:-2] - 1e-9) & (slope[1:-1] <= slope[2:])
    at = np.flatnonzero(falls & np.isfinite(slope[:-2]) & np.isfinite(slope[2:])) + 1
    at = at[np.argsort(np.abs(z[at]), kind="stable")][:MOST]
    found: dict[str, list[float]] = {
        "flat": _level_stretches(gate, z, slope),
        "narrow": [],
        "pointed": [],
        "unsure": [],
    }
    points, depths = _bottoms(lambda z: _log_slope(gate, z), z[at - 1], z[at], z[at + 1])
    tested = 0
    for k, point, depth in zip(at, points.tolist(), depths.tolist(), strict=True):
        snapped = _snapped(point)
        if depth < DEEP and tested < MOST_TESTED:
            tested += 1
            position, kind = zero_near(gate, point)
            found[kind].append(position if kind in ("flat", "pointed") else snapped)
        elif depth < DEEP:
            found["unsure"].append(snapped)
        elif depth < min(slope[k - 1], slope[k + 1]) - 1e-6:
            found["narrow"].append(snapped)
    return SlopeMinima(**{kind: tuple(sorted(set(where))) for kind, where in found.items()})


def _log_slope(gate: Gate, z: Array) -> Array:
    """log u'; ``-inf`` where the formula gives no number, so that the place is looked at in big floats."""
    slope = np.asarray(gate.float64.log_du(z))
    return np.where(np.isnan(slope), -np.inf, slope)


def _level_stretches(gate: Gate, z: Array, slope: Array) -> list[float]:
    """Grid points at the ends of stretches over which the gate is constant inside (0, 1): only one by cases can be."""
    if not gate.expr.has(*_BY_CASES):
        return []
    level = np.isneginf(slope) & np.isfinite(np.broadcast_to(gate.float64.u(z), z.shape))
    level &= ~np.isnan(np.broadcast_to(gate.float64.log_du(z), z.shape))
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
    u = np.broadcast_to(gate.float64.u(kinks), kinks.shape)
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
    here = float(np.broadcast_to(gate.float64.u(np.array([side * np.inf])), (1,))[0])
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
    z = gate.float64.z_of_u(u)
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
            upper, lower = rest - gate.float64.complement(z), gate.float64.value(z) - rest
            step = np.where(u > 0, upper, lower) / gate.float64.dphi(z)
            z = np.where(np.isfinite(step), z - step, z)
    return np.where(np.isinf(u), np.where(u > 0, high, low), np.clip(z, *inner))


@lru_cache(maxsize=256)
def goes_by_decay(gate: Gate) -> bool:
    """Whether paths of this gate are measured in the total decay, through a closed inverse, rather than in z.

    Near a flat point, and for a gate that reaches 0 or 1, the decay is too coarse a measure of z; so it is of a place
    in which the formula changes quickly, unless that place is phi = 1/2.
    """
    if gate.formulas.inverse is None or np.any(np.isfinite(reach(gate))):
        return False
    minima = slope_minima(gate)
    return not (minima.flat or minima.pointed or _hidden_in_decay(gate))


def _hidden_in_decay(gate: Gate) -> bool:
    """Whether the formula has a kink, or changes within a small part of the profile, other than at phi = 1/2."""
    kinks = np.asarray(gate.kinks, dtype=np.float64)
    if np.any(np.broadcast_to(gate.float64.u(kinks), kinks.shape) != 0):
        return True
    expr = gate.formulas.u if gate.is_profile else gate.expr
    for x in {node.args[0] for node in expr.atoms(*STEEP, *SLANT) if node.args[0].has(Z)}:
        centres = [closed_inverse(x)] if x != Z else [U]
        if centres[0] is None:
            continue
        with np.errstate(all="ignore"):
            z = float(np.broadcast_to(Tape(centres, [U])(float64, np.zeros(1))[0], (1,))[0])
            scale = float(np.abs(Tape([derivative(x)], [Z])(float64, np.array([z]))[0]).flat[0])
            u, log_du = (
                float(np.broadcast_to(f(np.array([z])), (1,))[0]) for f in (gate.float64.u, gate.float64.log_du)
            )
        if np.isfinite(u) and abs(u) > 1e-12 and np.exp(log_du) / scale < NARROW * min(abs(u), 1.0):
            return True
    return False


@lru_cache(maxsize=256)
def cuts(gate: Gate) -> Array:
    """Positions at which paths of a gate are cut into panels, ascending."""
    found = slope_minima(gate)
    own = [*gate.kinks, *found.flat, *found.narrow, *found.pointed, *found.unsure, *features(gate).cuts]
    return np.unique(np.asarray(own, dtype=np.float64) + 0.0)


def _bottoms(log_du: Any, left: Array, middle: Array, right: Array) -> tuple[Array, Array]:
    """The minima between ``left`` and ``right``, by a ladder of ever finer grids, and log u' there."""
    half, steps = (right - left) / 2, np.linspace(-1, 1, 17)
    for _ in range(45):
        if np.all(half <= 4e-16 * np.maximum(np.abs(middle), 1e-300)):
            break
        grid = middle[:, None] + half[:, None] * steps
        values = np.broadcast_to(log_du(grid), grid.shape)
        middle, half = np.take_along_axis(grid, np.nanargmin(values, axis=1)[:, None], axis=1)[:, 0], half / 6
    return middle, np.broadcast_to(log_du(middle), middle.shape)


@lru_cache(maxsize=4096)
def zero_near(gate: Gate, point: float) -> tuple[float, str]:
    """Where u' is least near a point, and its kind: "flat", "pointed", "narrow" or "unsure" (:class:`SlopeMinima`).

    The minimum is followed in big floats until far below any dip of float64; from there the power of u' in the distance
    is read on either side. A zero like ``|z|^p`` stops the flow for p >= 1: for p < 1 the time to cross it, an integral
    of ``1/u'``, is finite.
    """
    numbers = gate.at(DIGITS)
    lift = numbers.arithmetic.lift
    middle, half = lift(point), lift(max(abs(point), 1.0) * 2.0**-10)  # 1 - cos(z) rounds to 0 over 1e-8
    lowest, below_floats = float(_floats(numbers.log_du(middle))[0]), np.spacing(abs(point)) * 2.0**-20
    ways: set[int] = set()
    step, end = 0, float(half.values) * 2.0**-STEPS
    while lowest != -np.inf and float(half.values) > end:
        step, half = step + 1, half / 2.0
        grid = lift(np.array([-1.0, 1.0])) * half + middle
        values = np.nan_to_num(_floats(numbers.log_du(grid)), nan=np.inf, posinf=np.inf, neginf=-np.inf)
        with np.errstate(invalid="ignore"):  # an infinity less itself
            level = bool(np.all(np.abs(values - lowest) < 1e-12))
        if float(half.values) < below_floats and level:
            break  # level on either side: no zero, and no dip of a width that floats know
        if np.isnan(lowest) or values.min() < lowest:
            way = int(np.argmin(values))
            middle, lowest = grid[way], float(values.min())
            ways.add(way)
        else:
            ways.add(-1)
        if step > ONE_WAY and ways < {0, 1}:
            break  # it only falls: what floats saw was their rounding
        while step % LEAP == 0 and np.isfinite(lowest) and float(half.values) > end:
            slope, bend = _slopes(numbers, middle, half)
            smooth = max(abs(float(slope.values)), abs(float(bend.values))) < SMOOTH
            if smooth and float(half.values) > 64 * np.spacing(abs(point)):
                return float(middle.values), "narrow"
            if (leap := _leap(numbers, middle, lowest, half, slope, bend)) is None:
                break
            middle, lowest, half = leap
    reached, numbers = lowest, gate.at(MANY_DIGITS)
    lift = numbers.arithmetic.lift
    kinds: dict[str, float] = {}
    for exact in _exact_numbers(gate, float(middle.values)):
        near = numbers.arithmetic.constant(exact)
        if abs(float(exact) - point) <= NEAR and not _log_at(numbers, lift(np.zeros(1)) + near)[0] > reached:
            kinds.setdefault(_kind(gate, numbers, near, EXACT, exact=True), float(exact))
    if not kinds:
        return float(middle.values), _kind(gate, numbers, lift(middle), ROUGH, exact=False)
    kind = next(kind for kind in ("flat", "narrow", "pointed", "unsure") if kind in kinds)
    return kinds[kind], kind


def _slopes(numbers: Any, z: Any, unit: Any) -> tuple[Any, Any]:
    """The first and second derivative of log u' by the distance in these units."""
    apart = 2.0**-60
    left, here, right = numbers.log_du(numbers.arithmetic.lift(np.array([-apart, 0.0, apart])) * unit + z)
    return (right - left) * (0.5 / apart), (right + left - here - here) * apart**-2


def _leap(numbers: Any, z: Any, lowest: float, half: Any, slope: Any, bend: Any) -> tuple[Any, float, Any] | None:
    """From a point to the zero of u' within ``half`` of it, with log u' there and a distance within which the zero is.

    For f = log u' = p log abs(z - c) + ..., f'/f'' is c - z and -f'^2/f'' is p; the new point is nearer by as much as f
    falls. Where p is another on the new point's side, or grows, as at a flat ``exp(-1/(z - c)^2)``, the zero is farther
    off than that; the next such step knows. None where no step leads down, or halving is as good.
    """
    if not float(bend.values) < 0:
        return None
    move, power = slope / bend, float(-(slope * slope / bend).values)
    there, length = half * move + z, abs(float(move.values))
    level = float(_floats(numbers.log_du(there))[0])
    if not (length < 1 and level < lowest - 1):
        return None
    within = 4 * length * np.exp((level - lowest) / power)
    slope, bend = _slopes(numbers, there, half * length)
    if np.isfinite(level) and float(bend.values) < 0:
        within = max(within, 8 * length * abs(float((slope / bend).values)))
    return (there, level, half * within) if within < WORTH else None


@lru_cache(maxsize=256)
def written_about(gate: Gate, point: float) -> tuple[Gate, Expr] | None:
    """The gate as a function of the distance from a point at which u' is 0 or least, and that point exactly."""
    numbers = gate.at(MANY_DIGITS)
    lift = numbers.arithmetic.lift
    apart = np.array([1.0, 1e-8, 1e-23, 1e-63, 1e-183]) * max(float(np.spacing(abs(point))), 1e-17)
    for exact in _exact_numbers(gate, point):
        near = numbers.arithmetic.constant(exact)
        levels = _log_at(numbers, lift(np.zeros(10)) + near + lift(np.concatenate([-apart, apart]))).reshape(2, -1)
        falls = -np.diff(levels, axis=1)
        if np.all(falls >= 0) and np.any(falls > FALL):  # on the way to the point, from either side
            break
    else:
        return None
    if exact == 0:
        return gate, exact
    try:
        about = Gate(**{gate.declared: expand(gate.expr.subs(Z, Z + exact))}, name=gate.name)
    except FormulaError:  # too long, with a root of many radicals
        return None
    seen = np.broadcast_to(_log_slope(about, np.concatenate([-apart, apart])), (10,)).reshape(2, -1)
    return (about, exact) if np.allclose(seen, levels, rtol=1e-9, atol=1e-6) else None


def _exact_numbers(gate: Gate, point: float) -> tuple[Expr, ...]:
    """Numbers that a point seen in floats may stand for: plain ones, zeros of branch edges and of bases of powers."""
    expr = gate.formulas.u if gate.is_profile else gate.expr
    bases = [node.base for node in expr.atoms(sp.Pow) if node.base.has(Z) and node.base.is_polynomial(Z)]
    roots = [r for edge in (*switches(expr), *bases) for r in roots_of(edge) if not isinstance(r, float)]
    plain = Fraction(0), Fraction(f"{point:.12g}"), Fraction(point).limit_denominator(DENOMINATOR), Fraction(point)
    near = [sp.Rational(x.numerator, x.denominator) for x in plain] + [r for r in roots if abs(float(r) - point) < NEAR]
    return tuple(dict.fromkeys(near))


def _kind(gate: Gate, numbers: Any, middle: Any, distances: Array, *, exact: bool) -> str:
    """What u' is at its minimum, from its logarithm at distances on both sides."""
    lift = numbers.arithmetic.lift
    size = np.log(10.0) * distances
    kinds = []
    spacing = float(np.spacing(max(abs(float(middle.values)), 1e-300)))
    below = distances >= -np.log10(spacing)
    level = True  # on either side within one spacing of floats
    for side in (-1.0, 1.0):
        at = lift(np.zeros(1)) + middle + lift(np.array([side])) * _tens(numbers, distances)
        levels = _log_at(numbers, at)
        if np.isneginf(levels[-1]):
            return "flat"
        beside = _log_at(numbers, lift(np.array([side * spacing])) + middle)
        level &= bool(below.any() and np.ptp(levels[below]) < 1e-6 and beside[0] - levels[-1] < FALL)
        powers = (levels[:-1] - levels[1:]) / np.diff(size)
        last, before = float(powers[-1]), float(powers[-2])
        if not np.isfinite(last + before):
            kinds.append("unsure")
        elif abs(last) < 1e-9:
            kinds.append("narrow")
        elif last > 1 + 1e-6 or (abs(last - before) < 1e-7 and last >= 1 - 1e-9):
            kinds.append("flat")
        else:
            kinds.append("pointed" if last < 0.9 or (abs(last - before) < 1e-7 and last < 1) else "unsure")
    for kind in ("flat", "unsure", "pointed"):
        if kind in kinds:
            return kind
    seen = level or _seen_by_floats(gate, float(middle.values))
    return "narrow" if seen or not exact else "pointed"


def _seen_by_floats(gate: Gate, z: float) -> bool:
    """Whether a dip is wider than the spacing of floats at its place."""
    step = 64 * float(np.spacing(abs(z)))
    levels = np.broadcast_to(_log_slope(gate, np.array([z - step, z, z + step])), (3,))
    with np.errstate(invalid="ignore"):
        return bool(min(levels[0], levels[2]) - levels[1] < 0.5)


def _tens(numbers: Any, distances: Array) -> Any:
    """``10**-distance`` in big floats."""
    log_ten = numbers.arithmetic.log(numbers.arithmetic.lift(10.0))
    return numbers.arithmetic.exp(numbers.arithmetic.lift(-distances) * log_ten)


def _floats(x: Any) -> Array:
    return np.array([float(value) for value in np.atleast_1d(x.values)])


def _log_at(numbers: Any, z: Any) -> Array:
    """log u' at big floats; where it is no number it is taken for 0."""
    found = _floats(numbers.log_du(z))
    found = np.broadcast_to(found, np.shape(z.values))
    return np.where(np.isnan(found), -np.inf, found)
