"""A gate as a table for compiled kernels: any gate at one price, with a measured error.

The cells are uniform in ``log(1 + |z|)`` but for steps: each octave of ``|z| + 1`` has ``2**smooth`` of equal width, so
that the bits of ``|z| + 1`` as a float are the number of the cell and the place within it, and heavy tails such as
``1/(2 + z)`` cost no more than a logistic one. In a cell stands a polynomial in the place t in [0, 1): the integral of
the one that interpolates the slope at Chebyshev's points, so that value and slope are equally good. Past the last
octave, where float sees no more change, stands the limit. A kink inside a cell divides it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.nn.functional import GateFunction

DEGREE = {torch.float32: 3, torch.float64: 7}
"""Of the polynomials; as in recurrent.c."""

SMOOTH = {torch.float32: range(8, 13), torch.float64: range(6, 10)}
"""Logarithm of the number of cells in an octave: the first is tried first."""

OCTAVES = 127
"""The most: beyond ``|z| = 2**127`` a gate stays as it is there."""

KINKS = 4
"""The most that divide cells; as in recurrent.c."""

ULPS = 4
"""How far value and complement may be off, in units of the last place of 1."""

SLOPE_ULPS = {torch.float32: 8, torch.float64: 128}
"""How far the slope may be off, in units of the last place of the largest slope."""

SAMPLE = 64
"""Every so many cells are looked at before the others are made."""


@dataclass(frozen=True)
class Table:
    """phi and ``1 - phi`` in polynomials; the layout is that of ``Gate`` in recurrent.c.

    ``error`` and ``slope_error`` were measured between the interpolation points, against the gate in float64: that of
    the values is absolute, that of the slope relative to the largest.
    """

    phi: Tensor
    complement: Tensor
    smooth: int
    end: float
    negative: int
    kinks: tuple[float, ...]
    error: float
    slope_error: float


def table(function: GateFunction, dtype: torch.dtype) -> Table:
    """The table of a gate.

    Raises
    ------
    InvalidArgument
        No table of this kind follows the gate, which has too many kinks, or waves without end.

    Examples
    --------
    >>> from gateflow.nn.functional import gate_function
    >>> fast = table(gate_function("fast"), torch.float32)
    >>> fast.error < 4 * 2**-23, fast.phi.shape
    (True, torch.Size([1538, 4]))
    """
    found = _table(_ByGate(function), dtype)
    if isinstance(found, str):
        raise InvalidArgument(found)
    return found


class _ByGate:
    """A gate's function, equal to any other of the same gate."""

    def __init__(self, function: GateFunction) -> None:
        self.function = function

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ByGate) and self.function.gate == other.function.gate

    def __hash__(self) -> int:
        return hash(self.function.gate)


@lru_cache(maxsize=128)
def _table(key: _ByGate, dtype: torch.dtype) -> Table | str:
    function = key.function
    eps = torch.finfo(dtype).eps
    octaves = _octaves(function, eps)
    name = function.gate.name
    error = slope_error = math.inf
    for smooth in SMOOTH[dtype]:
        cells, end, negative, kinks = _cells(function.gate.kinks, octaves, smooth)
        if len(kinks) > KINKS:
            return f"{name} has {len(kinks)} kinks; a table takes {KINKS}"
        for some in (cells.every(SAMPLE), cells):
            (phi, complement), error, slope_error = _filled(function, some, dtype)
            if not (error <= ULPS * eps and slope_error <= SLOPE_ULPS[dtype] * eps):
                break
        else:
            return Table(phi, complement, smooth, end, negative, kinks, error, slope_error)
    return f"no table follows {name} closely enough: its value is {error:.1e} off, its slope {slope_error:.1e}"


def _octaves(function: GateFunction, eps: float) -> int:
    """How many it takes until neither tail moves by a quarter of eps any more."""
    edges = torch.tensor([2.0**k - 1 for k in range(1, OCTAVES + 1)], dtype=torch.float64)
    moving = torch.zeros(OCTAVES, dtype=torch.bool)
    for side in (edges, -edges):
        for what in ("phi", "phi_c"):
            value = function.evaluate(side, what)
            moving |= (value - value[-1]).abs() > eps / 4
        moving |= function.evaluate(side, "dphi").abs() > eps / 4
    return min(int(moving.nonzero().max()) + 2 if moving.any() else 1, OCTAVES)


@dataclass(frozen=True)
class _Cells:
    """Where each cell begins, how wide it is in z, which part of t it serves; those without width hold limits."""

    start: np.ndarray
    width: np.ndarray
    low: np.ndarray
    high: np.ndarray

    def every(self, n: int) -> _Cells:
        """Some of the cells, the first octave's and the divided ones among them."""
        chosen = (np.arange(len(self.start)) % n == n // 2) | (self.low != 0) | (self.high != 1)
        return _Cells(self.start[chosen], self.width[chosen], self.low[chosen], self.high[chosen])

    def points(self, within: np.ndarray) -> tuple[np.ndarray, Tensor]:
        """Places t and the z there, for places in each cell's own part of t."""
        t = self.low[:, None] + (self.high - self.low)[:, None] * within
        return t, torch.from_numpy(self.start[:, None] + self.width[:, None] * t)


def _cells(kinks: tuple[float, ...], octaves: int, smooth: int) -> tuple[_Cells, float, int, tuple[float, ...]]:
    per = 2**smooth
    scale = np.repeat(2.0 ** np.arange(octaves), per)
    start = scale * (1 + np.tile(np.arange(per), octaves) / per) - 1
    width = scale / per
    halves, used = [], []
    for sign in (1.0, -1.0):
        low, high = np.zeros_like(start), np.ones_like(start)
        a, w = start, width
        for kink in sorted((abs(k) for k in kinks if k * sign > 0 and abs(k) < 2.0**octaves - 1), reverse=True):
            n = int(np.searchsorted(start, kink, side="right")) - 1
            cut = (kink - start[n]) / width[n]
            if cut > 0:
                used.append(sign * kink)
                a, w = np.insert(a, n, start[n]), np.insert(w, n, width[n])
                low, high = np.insert(low, n + 1, cut), np.insert(high, n, cut)
        limit = ([sign * (2.0**octaves - 1 if octaves == OCTAVES else math.inf)], [0.0], [0.0], [1.0])
        half = zip((sign * a, sign * w, low, high), limit, strict=True)
        halves.append([np.append(column, end) for column, end in half])
    joined = _Cells(*(np.concatenate(pair) for pair in zip(*halves, strict=True)))
    return joined, 2.0**octaves, len(halves[0][0]), tuple(used)


def _filled(function: GateFunction, cells: _Cells, dtype: torch.dtype) -> tuple[tuple[Tensor, Tensor], float, float]:
    """Coefficients of the powers of t for phi and ``1 - phi``, the largest error of them and that of their slopes."""
    degree = DEGREE[dtype]
    nodes = 0.5 - 0.5 * np.cos(math.pi * (np.arange(degree) + 0.5) / degree)
    _, z = cells.points(nodes)
    slope = function.evaluate(z, "dphi").numpy() * cells.width[:, None]
    made, errors, slope_errors = [], [], []
    between, at = cells.points(np.array([0.0, 0.2, 0.5, 1.0]) * (1 - 2e-9) + 1e-9)
    true_slope = function.evaluate(at, "dphi").numpy()
    for sign, what in ((1.0, "phi"), (-1.0, "phi_c")):
        rows = _coefficients(function.evaluate(z, what).numpy(), sign * slope, nodes, cells)
        made.append(torch.from_numpy(rows).to(dtype).contiguous())
        value, moving = _values(made[-1].numpy().astype(np.float64), between)
        wide = cells.width != 0
        errors.append(_largest(value - function.evaluate(at, what).numpy()))
        slope_errors.append(_largest((sign * moving[wide]) / cells.width[wide, None] - true_slope[wide]))
    return (made[0], made[1]), max(errors), max(slope_errors) / max(_largest(true_slope), 1e-300)


def _coefficients(value: np.ndarray, slope: np.ndarray, nodes: np.ndarray, cells: _Cells) -> np.ndarray:
    """From values and slopes, per width of a cell, at its nodes."""
    degree = len(nodes)
    inverse = np.linalg.inv(np.vander(nodes, increasing=True))
    part = (cells.high - cells.low)[:, None]
    mean = slope.mean(axis=1, keepdims=True)
    moving = (slope - mean) @ inverse.T  # without the mean, as the matrix takes five digits from what it is given
    moving[:, :1] += mean
    rows = np.concatenate([np.zeros_like(part), moving * part / np.arange(1, degree + 1)], axis=1)
    rows[:, 0] = (value - rows @ np.vander(nodes, degree + 1, increasing=True).T).mean(axis=1)
    # a divided cell's polynomial is in the place within its part: now in t
    for n in np.flatnonzero((cells.low != 0) | (cells.high != 1)):
        inner = np.polynomial.Polynomial([-cells.low[n], 1.0]) / part[n, 0]
        moved = np.polynomial.Polynomial(rows[n])(inner).coef
        rows[n] = np.pad(moved, (0, rows.shape[1] - len(moved)))
    return rows


def _values(rows: np.ndarray, t: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Value and derivative of each row's polynomial at its t."""
    p, d = np.zeros_like(t), np.zeros_like(t)
    for j in reversed(range(rows.shape[1])):
        d = d * t + p
        p = p * t + rows[:, j : j + 1]
    return p, d


def _largest(x: np.ndarray) -> float:
    """The largest size; infinity where there is NaN."""
    most = float(np.max(np.abs(x)))
    return math.inf if math.isnan(most) else most
