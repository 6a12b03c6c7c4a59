"""A gate as a table for compiled kernels: any gate at one price, with a measured error that is relative everywhere.

A cell is a stretch of ``2**shift`` neighbouring floats of one size ``|z|`` and sign, so that the bits of z are the
number of its cell. Parts of octaves with equal needs are a *zone*, in which all cells have as many floats. In a
cell stands the value at its anchor, which is its start, and a polynomial for the slope in the place from there on: the
one that interpolates the slope at Chebyshev's points. Value and slope are then right relative to themselves, in tails
of any weight, down to the smallest float: near saturation nothing is rounded but z. A kink divides its cell and is the
anchor of what lies on both sides, so that a value that ends there, as that of the hard sigmoid, does not cancel.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.nn.functional import GateFunction, untraced

ZONES, BREAKS = 16, 8
"""The zones of a gate, and the most breaks; as in gates.h."""

ROWS = 1 << 18
"""The most of a table."""

FEW = 6
"""Cells of a part of an octave that are looked at before all are made."""

MOST, SMALL = 18, 8
"""The most that the logarithm of the number of cells in an octave can be; the octave below which places are as in it:
else they would overflow. As in gates.h."""


@dataclass(frozen=True)
class FloatFormat:
    """A type of numbers, and what a table of it is.

    An octave has ``2**parts`` parts, each with cells of its own width; ``degree`` is that of the value's polynomials.
    Errors, relative to a number y, may be ``tolerance + growth * |log y|``, as the exponential of u is uncertain by u
    ulps; ``far`` in octaves beyond `FAR` on either side. Any number may be off by ``spare`` as well.
    """

    name: Any
    whole: Any
    mantissa: int
    bias: int
    parts: int
    degree: int
    tolerance: float
    growth: float
    far: float
    spare: float

    @property
    def part(self) -> int:
        """Logarithm of the number of floats in a part."""
        return self.mantissa - self.parts

    @property
    def segments(self) -> int:
        """The number of parts of all octaves, that of infinity among them."""
        return (2 * self.bias + 2) << self.parts

    def number(self, bits: Any) -> np.ndarray:
        """The numbers with these bits, as float64."""
        return np.asarray(bits).astype(self.whole).view(self.name).astype(np.float64)

    def bits(self, number: float) -> int:
        """The bits of a positive number of this type."""
        return int(np.array(number, dtype=self.name).view(self.whole))


FORMATS = {
    torch.float32: FloatFormat(np.float32, np.int32, 23, 127, 3, 3, 1.2e-7, 0.0, 1.2e-7, 3 * 2.0**-149),
    torch.float64: FloatFormat(np.float64, np.int64, 52, 1023, 1, 7, 1e-14, 4e-15, 1e-7, 1e-300),
}

BLIND = 1e-300
"""Slopes below have no digits in float64; where a cell has no others, its polynomial goes through values instead."""

FAR = 64
"""The octaves beyond ``2**FAR``, and below its inverse, are far."""


@dataclass(frozen=True)
class Zone:
    """Cells of ``2**shift`` floats; of a float's bits the row is ``base + (bits >> shift)``.

    ``narrow`` is the exponent, as an integer, of one over a cell's width, less that of the float.
    """

    shift: int
    base: int
    narrow: int


@dataclass(frozen=True)
class Break:
    """Where a cell is divided (NaN: it is not), the start of that cell, and what its rows count from."""

    at: float
    near: float
    anchor: float


@dataclass(frozen=True, eq=False)
class GateTable:
    """phi and ``1 - phi`` in rows; the layout is that of ``Gate`` in gates.h.

    ``error`` and ``slope_error`` were measured in every cell, between the interpolation points, against the gate in
    float64. Both are relative to the number itself, of what exceeds ``spare`` of the
    `FloatFormat`: in float64 1e-300, in float32 three subnormal units.
    """

    phi: Tensor
    complement: Tensor
    zones: tuple[Zone, ...]
    grain: int
    first: int
    negative: int
    breaks: tuple[Break, ...]
    error: float
    slope_error: float


def table(function: GateFunction, dtype: torch.dtype) -> GateTable:
    """The table of a gate.

    Raises
    ------
    InvalidArgument
        No table of this kind follows the gate, which has too many kinks, or waves without end.

    Examples
    --------
    >>> from gateflow.nn.functional import gate_function
    >>> fast = table(gate_function("fast"), torch.float32)
    >>> fast.error < 2e-7, fast.slope_error < 2e-7
    (True, True)
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
@untraced()
@np.errstate(over="ignore", invalid="ignore")  # a gate that no table follows, as one with waves, may pass all bounds
def _table(key: _ByGate, dtype: torch.dtype) -> GateTable | str:
    function, form = key.function, FORMATS[dtype]
    name = function.gate.name
    kinks = _kinks(function, form)
    if len(kinks) > BREAKS // 2:
        return f"{name} has {len(kinks)} kinks; a table takes {BREAKS // 2}"
    needs, error = _needs(function, form, kinks)
    for _ in range(4):
        if needs is None:
            break
        zones, grain = _zones(needs, form)
        if sum(zone.cells for zone in zones) > ROWS // 2:
            break
        cells = _Cells.of_zones(zones, form, kinks)
        made = _fill(function, cells, form)
        if made.worst <= 1:
            return GateTable(*made.rows, *_place(zones, grain, cells, kinks, form), made.error, made.slope_error)
        error = made.worst
        needs = _more(needs, made.worst_of_parts(cells, form), form)
    if math.isinf(error):
        return f"no table follows {name}, which leaves the floats; gateflow check tells whether it is a gate"
    return f"no table follows {name} closely enough: the best is {error:.1e} times as far off as may be"


# --- cells ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Kink:
    """Beyond it, from the float with the bits ``outer`` on, |z| is past the kink, which lies near ``anchor``."""

    sign: int
    outer: int
    size: float
    anchor: float
    at: float


def _kinks(function: GateFunction, form: FloatFormat) -> list[_Kink]:
    """Those of the gate by size; 0, an end of cells anyway, only where it has the slope of its left."""
    kinks = (_kink(function, k, form) for k in function.gate.kinks)
    return sorted((kink for kink in kinks if kink.outer > 0), key=lambda kink: kink.size)


def _kink(function: GateFunction, k: float, form: FloatFormat) -> _Kink:
    anchor = float(form.name(k))
    at = anchor if anchor >= k else float(np.nextafter(form.name(k), form.name(np.inf)))
    if at == k:  # whether z = k has the slope of its left, or its right, the formula says
        z = torch.tensor([np.nextafter(k, -np.inf), k, np.nextafter(k, np.inf)], dtype=torch.float64, device="cpu")
        left, here, right = function.evaluate(z, "dphi").tolist()
        if abs(here - left) < abs(here - right):
            at = float(np.nextafter(form.name(k), form.name(np.inf)))
    sign = -1 if k < 0 else 1
    return _Kink(sign, form.bits(abs(at)) + (sign < 0), abs(k), abs(anchor), at)


@dataclass(frozen=True)
class _Stretch:
    """Parts of octaves from ``first`` until ``until``, each with ``2**level`` cells."""

    first: int
    until: int
    level: int

    @property
    def cells(self) -> int:
        return (self.until - self.first) << self.level


COLUMNS = (
    *("sign", "bits", "shift", "segment", "low", "high", "first", "last", "anchor", "kink"),
    *("crowded", "width_exponent", "scale_exponent"),
)
"""What `_Cells` knows of each."""


class _Cells:
    """Cells and parts of cells: arrays of sign, first float as bits, shift, and the part's first and last |z|."""

    def __init__(
        self, sign: np.ndarray, bits: np.ndarray, shift: np.ndarray, form: FloatFormat, kinks: list[_Kink]
    ) -> None:
        beyond = form.bits(np.inf)
        start, last = form.number(np.minimum(bits, beyond)), form.number(np.minimum(bits + (1 << shift) - 1, beyond))
        octave = bits >> form.mantissa
        self.sign, self.bits, self.shift, self.segment = sign, bits, shift, bits >> form.part
        self.low, self.high, self.anchor = start, last, start.copy()
        self.first = np.where((sign < 0) & (bits == 0), form.number(1), start)  # -0 has the row of 0
        self.last = last.copy()
        self.width_exponent = np.maximum(octave, SMALL) - form.bias - form.mantissa + shift
        self.scale_exponent = np.clip(octave - form.bias, 0, form.bias - 2) + 1
        self.form, self.kink, self.crowded = form, np.full(len(sign), np.nan), np.zeros(len(sign), dtype=bool)
        for kink in kinks:
            self._divide(kink)

    @classmethod
    def of_zones(cls, zones: list[_Stretch], form: FloatFormat, kinks: list[_Kink]) -> _Cells:
        shift = np.concatenate([np.full(zone.cells, form.part - zone.level) for zone in zones])
        bits = np.concatenate(
            [(zone.first << form.part) + (np.arange(zone.cells) << (form.part - zone.level)) for zone in zones]
        )
        sign = np.repeat([1.0, -1.0], len(bits))
        return cls(sign, np.tile(bits, 2), np.tile(shift, 2), form, kinks)

    def _divide(self, kink: _Kink) -> None:
        """The kink's cell into two, or, where it begins a cell, the end of the cell before made its anchor."""
        mine = np.flatnonzero((self.sign == kink.sign) & (self.bits < kink.outer))
        mine = mine[self.bits[mine] + (1 << self.shift[mine]) >= kink.outer]
        if not len(mine):
            return
        n = int(mine[-1])
        self.crowded[n] = not np.isnan(self.kink[n])
        self.anchor[n] = self.kink[n] = kink.anchor
        if self.bits[n] + (1 << self.shift[n]) > kink.outer:
            for name in COLUMNS:
                column = getattr(self, name)
                setattr(self, name, np.insert(column, n + 1, column[n]))
            self.low[n + 1], self.first[n + 1] = kink.size, float(self.form.number(kink.outer))
        self.high[n], self.last[n] = kink.size, float(self.form.number(kink.outer - 1))

    @property
    def at_kink(self) -> np.ndarray:
        """Those that count from a kink."""
        return (self.anchor == self.kink) & ~self.still

    def divided(self, kink: _Kink) -> int | None:
        """The number of the first part of the kink's cell, if it has two."""
        both = np.flatnonzero((self.sign == kink.sign) & (self.low == kink.size) & (self.bits < kink.outer))
        return int(both[0]) - 1 if len(both) else None

    @cached_property
    def still(self) -> np.ndarray:
        """Those of infinity."""
        return np.isinf(self.low)

    def points(self, within: np.ndarray) -> np.ndarray:
        """z at places from 0 to 1 of each part."""
        low = np.where(self.still, 0.0, self.low)[:, None]
        width = np.where(self.still, 0.0, self.high)[:, None] - low
        return self.sign[:, None] * np.where(self.still[:, None], np.inf, low + width * within)

    def floats(self, within: np.ndarray) -> np.ndarray:
        """Those of the numbers of this type in each part that are nearest to these places."""
        z = np.abs(self.points(within)).astype(self.form.name).astype(np.float64)
        return self.sign[:, None] * np.clip(z, self.first[:, None], self.last[:, None])

    def places(self, z: np.ndarray) -> np.ndarray:
        """Places from the anchor on, in widths of cells; they have the sign of z."""
        past = np.where(self.still[:, None], 0.0, z) - np.where(self.still, 0.0, self.sign * self.anchor)[:, None]
        return np.ldexp(past, -self.width_exponent[:, None])


# --- how many ---------------------------------------------------------------------------------------------------------


def _most(form: FloatFormat) -> np.ndarray:
    """The most that the logarithm of the number of cells of each part can be: places must not overflow."""
    octave = np.arange(form.segments) >> form.parts
    return np.minimum(np.maximum(octave, SMALL), MOST) - form.parts


def _needs(function: GateFunction, form: FloatFormat, kinks: list[_Kink]) -> tuple[np.ndarray | None, float]:
    """The logarithm of the number of cells of each part, from a few of them; None where no number is enough."""
    active = np.arange(form.segments)
    level = np.zeros_like(active)
    while len(active):
        cells = _some(active, level[active], form, kinks)
        worst = _fill(function, cells, form).worst_of_parts(cells, form)
        more = _more(level, worst, form)
        if more is None:
            return None, float(worst.max())
        level, active = more, active[worst[active] > 1]
    return level, 0.0


def _some(segments: np.ndarray, level: np.ndarray, form: FloatFormat, kinks: list[_Kink]) -> _Cells:
    """Some cells of each part, evenly spread, with those of kinks among them."""
    bits, shifts = [], []
    for segment, exponent in zip(segments.tolist(), level.tolist(), strict=True):
        count, shift, first = 1 << exponent, form.part - exponent, segment << form.part
        few = FEW if abs((segment >> form.parts) - form.bias) <= FAR else 2
        chosen = {round(n * (count - 1) / (few - 1)) for n in range(few)}
        chosen |= {(kink.outer - beyond - first) >> shift for kink in kinks for beyond in (0, 1)} & set(range(count))
        bits += [first + (n << shift) for n in sorted(chosen)]
        shifts += [shift] * len(chosen)
    sign = np.repeat([1.0, -1.0], len(bits))
    return _Cells(sign, np.tile(bits, 2), np.tile(shifts, 2), form, kinks)


def _more(level: np.ndarray, worst: np.ndarray, form: FloatFormat) -> np.ndarray | None:
    """More cells for parts that are off: their error is as a power of the width of cells."""
    steps = np.clip(np.log2(np.clip(worst, 1, 1e30)) / form.degree, 1, 3).astype(int)
    more = level + np.where(worst > 1, steps, 0)
    return None if (more > _most(form)).any() else more


def _zones(needs: np.ndarray, form: FloatFormat) -> tuple[list[_Stretch], int]:
    """The `ZONES` stretches with the fewest rows, and the logarithm of how many parts each but the outer two has."""
    best: tuple[float, list[_Stretch], int] = (math.inf, [], 0)
    for grain in range(form.parts + 1):
        need = needs.reshape(-1, 1 << grain).max(axis=1)
        below, above = np.maximum.accumulate(need), np.maximum.accumulate(need[::-1])[::-1]
        first = np.arange(len(need) - ZONES + 1)
        last = first + ZONES - 1
        inner = np.convolve(2.0**need, np.ones(ZONES - 2), "valid")[1 : len(first) + 1]
        rows = ((first + 1) * 2.0 ** below[first] + inner + (len(need) - last) * 2.0 ** above[last]) * 2**grain
        n = int(rows.argmin())
        if rows[n] < best[0]:
            cuts = [0, *range(n + 1, n + ZONES), len(need)]
            levels = [below[n], *need[n + 1 : n + ZONES - 1], above[n + ZONES - 1]]
            ends = zip(cuts[:-1], cuts[1:], levels, strict=True)
            best = float(rows[n]), [_Stretch(i << grain, j << grain, int(k)) for i, j, k in ends], grain
    return best[1:]


def _place(
    zones: list[_Stretch], grain: int, cells: _Cells, kinks: list[_Kink], form: FloatFormat
) -> tuple[tuple[Zone, ...], int, int, int, tuple[Break, ...]]:
    """The table but its rows, as gates.h takes it."""
    placed, before = [], 0
    for zone in zones:
        shift = form.part - zone.level
        narrow = np.array((2 * form.bias + form.mantissa - shift) << form.mantissa).astype(form.whole)
        placed.append(Zone(shift, before - ((zone.first << form.part) >> shift), int(narrow)))
        before += zone.cells
    breaks = []
    for kink in kinks:
        n = cells.divided(kink)
        anchored = np.flatnonzero((cells.sign == kink.sign) & (cells.high == kink.size))
        if len(anchored):
            start = kink.sign * float(form.number(cells.bits[anchored[:1]])[0])
            breaks.append(Break(math.nan if n is None else kink.at, start, kink.sign * kink.anchor))
    first = (zones[1].first >> grain) - 1
    return tuple(placed), form.part + grain, first, int((cells.sign > 0).sum()), tuple(breaks)


# --- rows -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Filled:
    """Rows of phi and ``1 - phi``; how far each cell is off, as a part of what it may be; the largest errors."""

    rows: tuple[Tensor, Tensor]
    off: np.ndarray
    error: float
    slope_error: float

    @property
    def worst(self) -> float:
        return float(self.off.max())

    def worst_of_parts(self, cells: _Cells, form: FloatFormat) -> np.ndarray:
        worst = np.zeros(form.segments)
        np.maximum.at(worst, cells.segment, self.off)
        return worst


BETWEEN = np.array([0.0, 0.2, 0.5, 0.8, 1.0])
"""Places at which a table is compared with its gate."""


def _fill(function: GateFunction, cells: _Cells, form: FloatFormat) -> _Filled:
    degree = form.degree
    nodes = 0.5 - 0.5 * np.cos(math.pi * (np.arange(degree) + 0.5) / degree)
    z, at = cells.points(nodes), cells.floats(BETWEEN)
    slope, true_slope = (function.evaluate(torch.from_numpy(p), "dphi").numpy() for p in (z, at))
    phi, phi_c = (function.evaluate(torch.from_numpy(z), what).numpy() for what in ("phi", "phi_c"))
    mean = _in_place(np.ldexp(slope, cells.scale_exponent[:, None]), cells.places(z))
    mean = mean / np.arange(1, degree + 1)
    blind = (np.abs(slope) < BLIND).all(axis=1)
    mean[blind] = _through_values(np.where(phi < phi_c, phi, -phi_c), cells, z)[blind]
    made, off = [], np.where(cells.crowded, math.inf, 0.0)  # a cell has one anchor
    errors, slope_errors = [0.0], [0.0]
    with np.errstate(over="ignore", invalid="ignore"):
        for sign, what, value in ((1.0, "phi", phi), (-1.0, "phi_c", phi_c)):
            rows = np.concatenate([np.zeros_like(mean[:, :1]), sign * mean], axis=1)
            rows[:, 0] = (value - _play(rows, cells, z)[0]).mean(axis=1)
            _anchor(rows, value, cells, function, what)
            rounded = rows.astype(form.name)
            made.append(torch.from_numpy(rounded))
            found, moving = _play(rounded.astype(np.float64), cells, at)
            true = function.evaluate(torch.from_numpy(at), what).numpy()
            for one, other, gathered in ((found, true, errors), (sign * moving, true_slope, slope_errors)):
                error, may = _relative(one, other, cells), _tolerance(other, form, cells)
                off = np.fmax(off, np.nan_to_num(error / may, nan=math.inf, posinf=math.inf).max(axis=1))
                gathered.append(float(error.max()))
    return _Filled((made[0].contiguous(), made[1].contiguous()), off, max(errors), max(slope_errors))


def _through_values(value: np.ndarray, cells: _Cells, z: np.ndarray) -> np.ndarray:
    """Coefficients of the slope, as `_filled` has them, of the polynomial through values: one degree less."""
    inner = _in_place(value, cells.places(z))[:, 1:]
    scaled = np.ldexp(inner, (cells.scale_exponent - cells.width_exponent)[:, None])
    return np.concatenate([scaled, np.zeros_like(scaled[:, :1])], axis=1)


def _anchor(rows: np.ndarray, value: np.ndarray, cells: _Cells, function: GateFunction, what: str) -> None:
    """Where rows count from a kink, the value there itself: a rounding of it is much beside values that end in 0."""
    at = np.flatnonzero(cells.at_kink)
    here = function.evaluate(torch.from_numpy(cells.sign[at] * cells.anchor[at]), what).numpy()
    same = np.abs(here - rows[at, 0]) <= 1e-12 * np.abs(value[at]).max(axis=1, initial=0.0)
    rows[at[same], 0] = here[same]


def _in_place(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Coefficients, in the place, of the polynomials through values at places."""
    first, last = place[:, :1], place[:, -1:]
    middle, half = (first + last) / 2, (last - first) / 2
    half = np.where(half == 0, 1.0, half)
    n = values.shape[1]
    nodes = -np.cos(math.pi * (np.arange(n) + 0.5) / n)
    half = half / nodes[-1]  # the places are Chebyshev's, so their ends are not those of the part
    # without the mean, as the matrix takes digits from what it is given
    mean = values.mean(axis=1, keepdims=True)
    centred = (values - mean) @ np.linalg.inv(np.vander(nodes, increasing=True)).T
    centred[:, :1] += mean
    # y = (t - middle)/half, by Horner in polynomials
    rows = np.zeros_like(centred)
    for j in reversed(range(n)):
        moved = np.zeros_like(rows)
        moved[:, 1:] = rows[:, :-1] / half
        moved -= rows * (middle / half)
        moved[:, :1] += centred[:, j : j + 1]
        rows = moved
    return rows


def _play(rows: np.ndarray, cells: _Cells, z: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Values and slopes as gates.h computes them, in float64."""
    t = cells.places(z)
    p, d = np.zeros_like(t), np.zeros_like(t)
    for j in reversed(range(1, rows.shape[1])):
        d = d * t + p
        p = p * t + rows[:, j : j + 1]
    step = np.ldexp(t, (cells.width_exponent - cells.scale_exponent)[:, None])
    return rows[:, :1] + step * p, np.ldexp(p + t * d, -cells.scale_exponent[:, None])


def _relative(found: np.ndarray, true: np.ndarray, cells: _Cells) -> np.ndarray:
    """Relative errors, of what exceeds the part that is spared."""
    far = np.abs(found - true)
    # a formula that ends in 0 at a kink has lost its digits there, in the type that it was computed in
    spare = cells.form.spare + np.where(cells.at_kink, 2.0**-50 * np.abs(true).max(axis=1), 0.0)[:, None]
    far = np.where(np.isfinite(far), np.maximum(far - spare, 0.0), math.inf)
    return np.where(far == 0, 0.0, far / np.maximum(np.abs(true), spare))


def _tolerance(true: np.ndarray, form: FloatFormat, cells: _Cells) -> np.ndarray:
    near = np.abs((cells.segment >> form.parts) - form.bias) <= FAR
    size = np.abs(np.log(np.clip(np.abs(true), 1e-320, 1e300)))
    return np.where(near[:, None], form.tolerance + form.growth * size, form.far)
