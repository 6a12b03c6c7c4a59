"""Where a part of a formula is 0/0: there, and near, numbers come from polynomials.

``sin(z)/z`` has no value at 0, and its derivative loses all digits beside it. A polynomial through values found in big
floats a little way off has both. It is played over the same arithmetics as the formula itself, C among them.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic.bigfloat import BigFloat
from gateflow.codegen import Tape
from gateflow.formula.vocabulary import Expr, Z, logit
from gateflow.gates.kinks import roots_of, vanishes_exactly

DIGITS = 120
"""Of the big floats that polynomials are made in: solving for coefficients costs a quarter of them, a quotient some."""

NODES, CHECKS = 34, (0, 5, 11, 16, 22, 27, 33)
"""Values that a polynomial goes through, and beside which of them it is held against others."""
ANGLES = (*((i + 0.5) / NODES for i in range(NODES)), *((i + 0.2) / NODES for i in CHECKS))
"""Of these nodes, of Chebyshev, and of the places of these checks; in units of pi."""
CLOSE = 1e-33
"""How far a polynomial may be off, in units of the largest value."""

FEW, FEW_CHECKS, ROUGHLY = 8, (0.045, 0.31, 0.55, 0.83), 1e-3
"""The same of a polynomial of low degree, tried first: where not even that is roughly right, the other is not."""
HIGH_POWER = 1e-6
"""But a power of the distance that is too high for a low degree: its least value is such a part of its largest."""

RADII = tuple(2.0**-k for k in (1, 4, 8, 13, 20))
"""How far to either side of a hole a polynomial may stand for the formula."""

MOST = 8
"""Places that are looked at: those nearest to 0."""

SIDES = ((-1, 1),), ((-1, 0), (0, 1))
"""One polynomial, or one a side: intervals of ``(z - at)/radius``."""


@dataclass(frozen=True)
class Filling:
    """What stands for one output of a tape about a hole: coefficients in ``(z - at)/radius``, of both sides or each."""

    at: Expr
    radius: float
    output: int
    sides: tuple[tuple[Any, ...], ...]

    def place(self, a: Any, x: Any) -> tuple[Any, Any]:
        """``(x - at)/radius``, and whether that is inside."""
        part = (x - a.constant(self.at)) * a.constant(1 / self.radius)
        return part, a.less(a.abs(part), a.constant(sp.S.One))

    def put(self, a: Any, x: Any, values: list[Any]) -> None:
        """Put the numbers into those of the tape."""
        part, inside = self.place(a, x)
        if isinstance(inside, np.ndarray | np.bool_) and not np.any(inside):
            return
        part = a.where(inside, part, a.constant(sp.S.Zero))
        found = [_horner(a, side, part) for side in self.sides]
        if len(found) == 2:
            found[:] = [a.where(a.less(part, a.constant(sp.S.Zero)), *found)]
        values[self.output] = a.where(inside, found[0], values[self.output])


def _horner(a: Any, coefficients: tuple[Any, ...], x: Any) -> Any:
    total = x * a.constant(coefficients[-1])
    for c in reversed(coefficients[1:-1]):
        total = (total + a.constant(c)) * x if c != 0 else total * x
    return total + a.constant(coefficients[0])


class Filled:
    """A tape of one symbol, with values in its holes; in big floats it is as it was.

    Parameters
    ----------
    exprs : SymPy expressions
        Its outputs, in order.
    symbol : the symbol; holes are looked for in z only.

    Attributes
    ----------
    fillings : list
        Those of all holes and outputs.
    spans : list of pairs
        Where no output is lost, or polynomials stand for those that are.

    Examples
    --------
    >>> from gateflow.arithmetic import float64
    >>> one = Filled([sp.sin(Z) / Z, sp.diff(sp.sin(Z) / Z, Z)])
    >>> value, slope = one(float64, np.array([0.0, 1e-9]))
    >>> print(value, slope)
    [1. 1.] [ 0.00000000e+00 -3.33333333e-10]
    """

    def __init__(self, exprs: Iterable[Expr], symbol: sp.Symbol = Z) -> None:
        exprs = tuple(exprs)
        self.tape = Tape(exprs, [symbol])
        self.fillings: list[Filling] = []
        self.spans: list[tuple[float, float]] = []
        suspects = _suspects(exprs)
        big = BigFloat(DIGITS)  # one for all, as it keeps the constants of the tape
        for at in suspects:
            found = [_filling(self.tape, k, at, big) for k in _lost(exprs, self.tape, at, big)]
            fillings = [filling for filling in found if filling is not None]
            self.fillings += fillings
            if found and len(fillings) == len(found):
                radius = min(filling.radius for filling in fillings)
                self.spans.append((float(at) - radius, float(at) + radius))

    def __call__(self, arithmetic: Any, x: Any) -> list[Any]:
        """Play it, as a `Tape`."""
        values = self.tape(arithmetic, x)
        if not isinstance(arithmetic, BigFloat):
            with np.errstate(all="ignore"):
                for filling in self.fillings:
                    filling.put(arithmetic, x, values)
        return values


def filled(exprs: Iterable[Expr], symbol: sp.Symbol = Z) -> Tape | Filled:
    """A tape, with its holes filled where it has some.

    Examples
    --------
    >>> type(filled([Z / (1 + Z**2)])).__name__, type(filled([sp.tanh(Z) / Z])).__name__
    ('Tape', 'Filled')
    """
    found = Filled(exprs, symbol)
    return found if found.fillings else found.tape


def _suspects(exprs: Iterable[Expr]) -> list[Any]:
    """Where something is divided by that is 0, or the logarithm of 0 is taken; the nearest to 0."""
    parts = {part for expr in exprs if expr.free_symbols == {Z} for part in _divisors(expr)}
    found = {root for part in sorted(parts, key=sp.default_sort_key) for root in _exact_roots(part)}
    return sorted(found, key=lambda root: (abs(float(root)), float(root)))[:MOST]


def _divisors(expr: Any) -> Iterator[Expr]:
    for node in expr.atoms(sp.Pow, sp.log, logit, sp.sign):
        if isinstance(node, sp.exp) or not node.args[0].has(Z) or node.args[0].is_positive:
            continue
        if not node.is_Pow or (node.exp.is_number and node.exp.is_negative):
            yield node.args[0].args[0] if isinstance(node.args[0], sp.Abs) else node.args[0]


@lru_cache(maxsize=1024)
def _roots(expr: Expr) -> tuple[Any, ...]:
    found = (sp.nsimplify(root) if isinstance(root, float) and root == round(root) else root for root in roots_of(expr))
    return tuple(sp.Float(root) if isinstance(root, float) else root for root in found)


@lru_cache(maxsize=1024)
def _exact_roots(expr: Expr) -> tuple[Any, ...]:
    """The roots at which the expression vanishes: a float beside one is no hole, and its value there is a number."""
    big, found = BigFloat(ROUGH), _roots(expr)
    if expr.is_polynomial(Z) and all(atom.is_Rational for atom in expr.atoms() - {Z}):
        return tuple(r for r in found if not isinstance(r, sp.Float) or vanishes_exactly(expr, float(r)))
    tape = Tape([expr], [Z]) if any(isinstance(root, sp.Float) for root in found) else None

    def vanishes(root: Any) -> bool:
        if tape is None or not isinstance(root, sp.Float):
            return True
        value = _numbers(tape(big, big.constant(root)))[0]
        return not abs(value) > BESIDE_A_ROOT

    return tuple(root for root in found if vanishes(root))


ROUGH, BESIDE_A_ROOT = 40, 1e-30
"""Digits for a look at whether a divisor vanishes at a float, and the size of what may be 0 in so many."""

BESIDE = -(2.0**-100), 2.0**-80
"""Steps to either side of a point, over which a function with a value there does not change: a logarithm does."""


def _lost(exprs: Sequence[Expr], tape: Tape, at: Any, big: BigFloat) -> list[int]:
    """The outputs that have no value at a point; or one that those beside it do not come to, if not by cases: signs."""
    point = big.constant(at)
    # not point + 0, which would round the point to less digits than a constant of the tape has
    here, low, high = (_numbers(tape(big, at)) for at in (point, *(point + big.lift(step) for step in BESIDE)))

    def jumps(k: int) -> bool:
        away = abs(here[k] - low[k]), abs(here[k] - high[k])
        return bool(min(away) > 0.5 and max(away) < big.context.inf) and not exprs[k].has(sp.Piecewise)

    return [k for k in range(len(exprs)) if big.context.isnan(here[k]) or jumps(k)]


def _numbers(values: list[Any]) -> list[Any]:
    return [np.ravel(value.values)[0] for value in values]


def _filling(tape: Tape, k: int, at: Any, big: BigFloat) -> Filling | None:
    """Polynomials for one output; None where it comes to no value, or not like one."""
    point = big.constant(at)
    low, high = (_numbers(tape(big, point + big.lift(step)))[k] for step in BESIDE)
    if not abs(low - high) <= 1e-15 * max(1, abs(low)):
        return None
    for sides, radius in itertools.product(SIDES, RADII):
        fits: list[tuple[Any, ...]] = []
        for side in sides:
            if (fit := _polynomial(tape, k, point, radius, side)) is None:
                break
            fits.append(fit)
        if len(fits) == len(sides) and abs(fits[0][0] - fits[-1][0]) <= CLOSE * abs(fits[0][0]):
            return Filling(at, radius, k, tuple(fits))
    return None


def _through(mp: Any, nodes: list[Any], values: list[Any]) -> list[Any]:
    """The coefficients, from low to high, of the polynomial through some points."""
    known = list(values)
    for order in range(1, len(nodes)):  # Newton's divided differences
        for i in range(len(nodes) - 1, order - 1, -1):
            known[i] = (known[i] - known[i - 1]) / (nodes[i] - nodes[i - order])
    coefficients = [mp.zero]
    for c, node in zip(reversed(known), reversed(nodes), strict=True):
        shifted = [mp.zero, *coefficients]
        coefficients = [s - node * k for s, k in zip(shifted, [*coefficients, mp.zero], strict=True)]
        coefficients[0] += c
    return coefficients


def _polynomial(tape: Tape, k: int, point: Any, radius: float, side: tuple[int, int]) -> tuple[Any, ...] | None:
    """Coefficients in ``(z - at)/radius`` from low to high; None where no polynomial is close enough on that side."""
    big = point.home
    mp = big.context
    low, high = side

    def values_at(angles: Sequence[float]) -> tuple[list[Any], list[Any]] | None:
        places = [(low + high + (high - low) * mp.cos(mp.pi * angle)) / 2 for angle in angles]
        x = type(point)(big, np.array(places, dtype=object)) * big.lift(radius)
        values = np.broadcast_to(tape(big, point + x)[k].values, len(places))
        return (places, list(values)) if all(mp.isfinite(value) for value in values) else None

    few = [*((i + 0.5) / FEW for i in range(FEW)), *FEW_CHECKS]
    for angles, nodes, close in ((few, FEW, ROUGHLY), (ANGLES, NODES, CLOSE)):  # most that fail do so on a few nodes
        if (found := values_at(angles)) is None:
            return None
        places, values = found
        coefficients = _through(mp, places[:nodes], values[:nodes])
        size = max(abs(value) for value in values)
        others = zip(places[nodes:], values[nodes:], strict=True)
        off = max(abs(mp.polyval(coefficients[::-1], x) - y) for x, y in others)
        is_power = nodes == FEW and min(abs(value) for value in values) < HIGH_POWER * size
        if not (off <= close * size or is_power):
            return None
    return tuple(sp.Float(c, 50) if abs(c) > CLOSE * size else sp.S.Zero for c in coefficients)
