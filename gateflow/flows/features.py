"""Where a gate's formula changes quickly: the positions at which a path is cut, found from the formula itself.

A quadrature sees a formula at its nodes only. A step, a dip or a kink between two nodes is invisible to it, however its
error is estimated. So the line is cut beforehand, until on each stretch the ranges of the formula's parts
(:mod:`gateflow.flows.spans`) say that nothing is hidden:

- what changes branch at 0 (``abs``, ``sign``, ``where``) does not change sign inside a stretch,
- the argument of a function with a scale of its own (``tanh``, ``exp``, ``erf``, ``atan``, ...) changes by little more
  than that scale, or is so far out that the function is constant in floats,
- the argument of a logarithm, a root or a quotient keeps its order of magnitude,
- the slope ranges over no more than what samples of it show.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.codegen import Tape
from gateflow.errors import GateflowError
from gateflow.flows.spans import Span, spans
from gateflow.formula.functions import ELEMENTARY, NAMES
from gateflow.formula.vocabulary import Expr, Z, derivative, expm1, log1p, logit, sigmoid, softplus, softsign
from gateflow.gates.gate import Gate
from gateflow.gates.holes import Filled
from gateflow.gates.kinks import roots_of, switches

Array = np.ndarray[Any, np.dtype[np.float64]]

STEEP = (sp.exp, expm1, sp.sinh, sp.cosh, sp.tanh, sp.erf, sp.erfc, sigmoid, softplus)
"""Functions that change exponentially, on a scale of 1."""
SLANT = (sp.atan, sp.asinh, softsign)
"""Functions that change on a scale of 1, and far out by powers."""
LIMIT = 700.0
"""log u' is followed between this and its negative."""
SETTLED = 750.0
"""Arguments past which the steep functions are constant in floats, or none."""
HIDDEN = 3.0
"""What the range of log u' may exceed its samples by: a factor 20 in the time per length."""
STEEPEST = 12.0
"""What log u' may change by on a stretch put together from others, on which it rises or falls."""
FINEST = 8
"""Spacings of floats to which a stretch is cut."""
MOST = 512
"""Stretches looked at together, at most: those nearest to 0."""
DEEPEST = 120
"""Cuts of one stretch into two, at most."""
LONG, LONGEST = 200, 1500
"""Operations of a formula past which stretches are cut into four at once, and past which its u'' is not used."""
UNKNOWN = sp.oo
"""What stands for it."""
ENDS = np.array([0.0, *(2.0 ** np.arange(-4, 11)), 1e4, 1e5, 1e6, 1e8, 1e12, 1e18, 1e27, 1e40, 1e60, 1e90, 1e135])
SAMPLES = np.array([0.0, 1e-3, 0.03, 0.11, 0.23, 0.37, 0.5, 0.61, 0.78, 0.9, 0.97, 0.999, 1.0])


@dataclass(frozen=True)
class Features:
    """Positions at which paths are cut, ascending, and up to which distance from 0 they are known to be all."""

    cuts: tuple[float, ...]
    known: float


@lru_cache(maxsize=256)
def features(gate: Gate) -> Features:
    """The positions between which a gate's formula hides nothing.

    Examples
    --------
    >>> features(Gate("sigmoid(z)"))
    Features(cuts=(), known=inf)
    >>> found = features(Gate("sigmoid(z + tanh(1000*(z - 2)))"))
    >>> all(1 < z <= 3 for z in found.cuts), sum(1.98 < z < 2.02 for z in found.cuts)
    (True, 6)
    """
    try:
        with np.errstate(all="ignore"):
            return _Mesh(gate).features()
    except GateflowError:  # a part without a numerical form
        return Features(gate.kinks, 0.0)


class _Mesh:
    """Stretches of the line, each cut until it hides nothing."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        expr = gate.formulas.u if gate.is_profile else gate.expr
        self.steep = [node.args[0] for node in expr.atoms(*STEEP)]
        self.slant = [node.args[0] for node in expr.atoms(*SLANT)]
        self.relative = _relative(expr)
        self.turns = switches(expr)
        parts = [*self.steep, *self.slant, *self.relative, *self.turns]
        stable = gate.formulas.log_du if gate.is_profile else gate.formulas.log_dphi
        if gate.is_profile:  # of u as it was written: the stable form of a logarithm of a sum has no derivative
            slope, bend = gate.formulas.du, gate.formulas.d2u
        else:
            slope, bend = derivative(expr), derivative(expr, order=2)
        self.tape, self.log_slope = Tape([*parts, bend, stable, slope], [Z]), Tape([stable, slope], [Z])
        if len(self.tape.operations) > LONGEST:
            self.tape = Tape([*parts, UNKNOWN, stable, slope], [Z])
        self.halvings = 2 if len(self.tape.operations) > LONG else 1  # a long tape takes long, however few its numbers
        asked = _asked(expr)
        self.asked = Tape(asked, [Z]) if asked else None
        self.kinks = sorted({*gate.kinks, *_roots(self.relative)})
        self.filled = Filled([expr, stable]).spans

    def features(self) -> Features:
        grid = np.unique(np.concatenate([-ENDS, ENDS, self.kinks, *self.filled]))
        low, high, known = grid[:-1], grid[1:], np.inf
        done: list[tuple[Array, Array, list[Span]]] = []
        depth = 0
        while depth < DEEPEST:
            if low.size > MOST:
                near = np.argsort(np.minimum(np.abs(low), np.abs(high)), kind="stable")
                low, high = low[near], high[near]
                known = min(known, float(np.min(np.minimum(np.abs(low), np.abs(high))[MOST:])))
                low, high = low[:MOST], high[:MOST]
            found = self._ranges(low, high)
            fine = self._resolved(low, high, found) & ~self._hides(low, high, found[-1])
            for first, last in self.filled:  # polynomials of a degree that two panels resolve
                fine |= (first <= low) & (high <= last)
            fine |= self._outside(low, high)
            fine |= high - low <= FINEST * np.spacing(np.maximum(np.abs(low), np.abs(high)))
            done.append((low[fine], high[fine], [Span(x.low[fine], x.high[fine]) for x in found]))
            low, high = low[~fine], high[~fine]
            if not low.size:
                break
            for _ in range(self.halvings if low.size <= MOST // 8 else 1):
                depth, middle = depth + 1, _between(low, high)
                low, high = np.concatenate([low, middle]), np.concatenate([middle, high])
        low, high = np.concatenate([part[0] for part in done]), np.concatenate([part[1] for part in done])
        order = np.argsort(low)
        ranges = [
            Span(np.concatenate([x.low for x in column])[order], np.concatenate([x.high for x in column])[order])
            for column in zip(*(part[2] for part in done), strict=True)
        ]
        return Features(tuple(self._merged(low[order], high[order], ranges, set(grid.tolist()))), known)

    def _outside(self, low: Array, high: Array) -> Any:
        """Whether the formula has no value on the whole stretch."""
        if self.asked is None:
            return False
        return np.any([np.broadcast_to(x.high, low.shape) < 0 for x in self.asked(spans, Span(low, high))], axis=0)

    def _ranges(self, low: Array, high: Array) -> list[Span]:
        """The ranges of the parts, and of log u' (or log phi') from both its forms."""
        *parts, bend, stable, slope = self.tape(spans, Span(low, high))
        middle, half = low + (high - low) / 2, (high - low) / 2
        centre = self.log_slope(float64, middle)[1]
        centred = Span(centre, centre) + bend * Span(-half, half)  # quadratic in the width, where this is small
        forms = [stable, *(spans.log(spans.abs(form)) for form in (slope, centred))]
        ends = [np.broadcast_arrays(x.low, x.high, low)[:2] for x in forms]
        parts.append(Span(np.max([end[0] for end in ends], axis=0), np.min([end[1] for end in ends], axis=0)))
        return [Span(np.broadcast_to(x.low, low.shape), np.broadcast_to(x.high, low.shape)) for x in parts]

    def _resolved(self, low: Array, high: Array, found: list[Span]) -> Any:
        """Whether each part changes by no more than its scale, or than a power of z does."""
        fine = np.full(low.shape, True)
        power = np.exp(np.minimum(3.4 + 3 * (np.arcsinh(high) - np.arcsinh(low)), 700.0))
        for x, kind in zip(found[:-1], self._kinds, strict=True):
            width, away = x.high - x.low, np.maximum(np.maximum(x.low, -x.high), 0.0)
            if kind == "steep":
                fine &= (width <= 6 + 1.01 * away) | (away > SETTLED)
            elif kind == "slant":
                fine &= width <= 6 + power * away
            elif kind == "relative":
                fine &= (width <= power * away) | (x.low == 0) | (x.high <= 0)
            else:
                fine &= (x.low >= 0) | (x.high <= 0)
        return fine

    @cached_property
    def _kinds(self) -> list[str]:
        names = ("steep", "slant", "relative", "turn")
        parts = (self.steep, self.slant, self.relative, self.turns)
        return [name for name, part in zip(names, parts, strict=True) for _ in part]

    def _hides(self, low: Array, high: Array, slope: Span) -> Any:
        """Whether log u' may do what its samples do not show."""
        a, b = np.arcsinh(low)[:, None], np.arcsinh(high)[:, None]
        z = np.clip(np.sinh(a + (b - a) * SAMPLES), low[:, None], high[:, None])
        seen = np.broadcast_to(self.log_slope(float64, z)[0], z.shape)
        least, most = (np.nan_to_num(end, nan=0.0, posinf=LIMIT, neginf=-LIMIT) for end in (_low(seen), _high(seen)))
        least, most = np.clip(least, -LIMIT, LIMIT), np.clip(most, -LIMIT, LIMIT)
        margin = HIDDEN + 0.1 * (most - least)
        with np.errstate(invalid="ignore"):
            jumps = np.any(np.isfinite(seen[:, 1:] + seen[:, :-1]) & (np.abs(np.diff(seen, axis=1)) > STEEPEST), axis=1)
        inside = np.all(np.abs(np.nan_to_num(seen)) < LIMIT, axis=1)
        void = np.all(np.isnan(seen), axis=1) & (slope.low > slope.high)  # the formula has no value there
        return ~void & (
            (jumps & inside)
            | (np.clip(slope.low, -LIMIT, LIMIT) < least - margin)
            | (np.clip(slope.high, -LIMIT, LIMIT) > most + margin)
        )

    def _merged(self, low: Array, high: Array, ranges: list[Span], grid: set[float]) -> list[float]:
        """The cuts that are needed: where two neighbours together would hide something."""
        own: set[float] = set(self.kinks)
        cuts: set[float] = set()
        ends = [np.stack([x.low, x.high]) for x in ranges]
        level = np.clip(ends[-1], -LIMIT, LIMIT).mean(axis=0)
        here, first, way = [end[:, :1] for end in ends], low[:1], 0.0
        for k in range(1, low.size):
            row = [end[:, k : k + 1] for end in ends]
            both = [np.stack([np.minimum(a[0], b[0]), np.maximum(a[1], b[1])]) for a, b in zip(here, row, strict=True)]
            step = float(np.sign(level[k] - level[k - 1]))
            straight = step * way >= 0 or both[-1][1] - both[-1][0] <= 1
            joined = low[k] not in own and low[k] == high[k - 1] and straight
            if joined and self._together(first, high[k : k + 1], both):
                here, way = both, way or step
            else:
                cuts |= {float(low[k]), float(high[k - 1])} - (grid - own)
                here, first, way = row, low[k : k + 1], 0.0
        return sorted(cuts)

    def _together(self, low: Array, high: Array, both: list[Array]) -> bool:
        level = np.isneginf(both[-1][1]) | (both[-1][1] - both[-1][0] <= STEEPEST)
        return bool((self._resolved(low, high, [Span(*ends) for ends in both]) & level)[0])


def _low(seen: Array) -> Array:
    return np.min(np.where(np.isnan(seen), np.inf, seen), axis=1)


def _high(seen: Array) -> Array:
    return np.max(np.where(np.isnan(seen), -np.inf, seen), axis=1)


def _between(low: Array, high: Array) -> Array:
    """A float inside each stretch: its geometric middle where it spans magnitudes."""
    a, b = np.arcsinh(low), np.arcsinh(high)
    wide = np.abs(b - a) > 1.5
    return np.clip(np.where(wide, np.sinh(a + (b - a) / 2), low + (high - low) / 2), low, high)


def _relative(expr: Expr) -> list[Expr]:
    """Arguments that matter by their order of magnitude: of logarithms, roots and quotients."""
    found = {node.args[0] for node in expr.atoms(sp.log)}
    found |= {1 + node.args[0] for node in expr.atoms(log1p)}
    found |= {x for node in expr.atoms(logit) for x in (node.args[0], 1 - node.args[0])}
    powers = [node for node in expr.atoms(sp.Pow) if not isinstance(node, sp.exp) and node.base.has(Z)]
    found |= {node.base for node in powers if not (node.exp.is_Integer and node.exp > 0)}
    return sorted((sp.Abs(x) if not x.is_nonnegative else x for x in found if x.has(Z)), key=sp.default_sort_key)


def _asked(expr: Expr) -> list[Expr]:
    """What is at least 0 wherever the formula has a value."""
    nodes = [(ELEMENTARY.get(NAMES[node.func]), node.args[0]) for node in expr.atoms(*NAMES)]
    found = {gap for known, x in nodes if known is not None for gap, _ in known.asks(x)}
    found |= {node.base for node in expr.atoms(sp.Pow) if node.exp.is_Rational and not node.exp.is_Integer}
    return sorted((x for x in found if x.has(Z) and not x.is_nonnegative), key=sp.default_sort_key)


def _roots(parts: list[Expr]) -> set[float]:
    """Zeros of the polynomials among some parts."""
    inner = [x.args[0] if isinstance(x, sp.Abs) else x for x in parts]
    return {float(root) for x in inner if x.is_polynomial(Z) and x.has(Z) for root in roots_of(x)}
