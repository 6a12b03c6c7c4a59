"""The scan ``h_t = a_t h_(t-1) + b_t`` in C: scan.c behind gates.h, compiled on this machine.

Pieces of columns are shared among threads. Sequences one behind the other are turned to be columns, some steps at a
time. A few long ones are cut into stretches, each a column: all are first summed up from 0, then scanned from where the
one before ends.
"""

from __future__ import annotations

import ctypes
import math
import time
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from sympy import exp, sinh
from torch import Tensor

from gateflow.codegen import compiler as compiled
from gateflow.errors import NoCompiler
from gateflow.formula.vocabulary import Z, sigmoid, softplus
from gateflow.nn.functional import GateFunction, gate_function
from gateflow.nn.kernels import native, threads, trust, workspace
from gateflow.nn.kernels.native import _fill as filled
from gateflow.nn.kernels.native import source, table_of
from gateflow.nn.kernels.triton import scan as triton

GIVEN = ("a", "log a", "z")
"""As what a decay may be given."""

KINDS = ("a", "log a", "logistic", "raised", "exponential", "power", "hyperbolic", "table")
"""How it is computed of that; in the order of scan.c."""

DTYPES = (*native.DTYPES, torch.bfloat16)
"""Numbers in memory; bfloat16 is computed in float32."""

SMALL = 1 << 16
"""Numbers below which one thread does."""

COLUMNS = 4096
"""The most that go through time together; as in scan.c."""

SIDE = 32
"""The fewest columns of each thread, as vectors would not be full."""

PIECE = 1 << 11
"""The bytes of a row that each thread has, where there are enough."""

NARROW = 1 << 9
"""The fewest: of narrow pieces some processors fetch ahead what no one wants, and one thread alone is faster. Which way
is, the first calls tell."""

TRIES = 3
"""Calls each way before one is chosen."""

STRETCHED = 128
"""The fewest steps of the stretches that sequences are cut into."""

CACHED = 1 << 22
"""Bytes of results that may stay in the caches; more go past them."""

WIDE = 1 << 13
"""Bytes of a row from which what comes is asked for ahead; of pieces of rows the next row always is."""

AHEAD = 3 << 10
"""Bytes by which it is, in whole rows: most of a page was worth a fifth of the time, two rows little."""

LINE = 64
"""Bytes of a line of cache, which vectors and shares of threads keep to."""


@lru_cache(maxsize=1)
def _scan_type() -> type[ctypes.Structure]:
    whole = "outer steps inner given tile threads past ahead stretches length"
    places = "gate decay input start output grad result grad_decay grad_input grad_start sums"
    fields: list[tuple[str, Any]] = [
        *((name, ctypes.c_int64) for name in whole.split()),
        *((name, ctypes.c_void_p) for name in places.split()),
        *((name, ctypes.c_double) for name in ("half", "low", "power")),
    ]
    return type("Scan", (ctypes.Structure,), {"_fields_": fields})


@compiled.compiled_once
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """The kernels for one type of numbers, compiled if they have not been.

    Raises
    ------
    NoCompiler
    """
    found = compiled.library(source("gates.h", "scan.c"), flags=_flags(dtype), name="scan")
    found.scan_size.restype = found.scan_pieces.restype = ctypes.c_int64
    found.scan.restype = None
    found.scan.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    if found.scan_size() != ctypes.sizeof(_scan_type()):
        raise NoCompiler("the C compiler lays out structures in a way of its own")
    return found


def _flags(dtype: torch.dtype) -> tuple[str, ...]:
    kind = {torch.float64: ("-DDOUBLE",), torch.bfloat16: ("-DHALF",)}.get(dtype, ())
    return ("-ffp-contract=fast", "-fno-trapping-math", *kind, *compiled.native())


def tables_for(dtype: torch.dtype) -> torch.dtype:
    """The type of the tables that gates have for numbers of this type."""
    return torch.float32 if dtype == torch.bfloat16 else dtype


@lru_cache(maxsize=128)
def half_of(function: GateFunction | None) -> float:
    """z from which a gate is above about 1/2, so that its complement has more digits than it has itself."""
    assert function is not None
    gate = function.gate
    with np.errstate(all="ignore"):
        low, high = gate.phi(-1e30), gate.phi(1e30)
    if not low < 0.5 < high:
        return -math.inf if low >= 0.5 else math.inf
    return float(gate.inverse(0.5))


@lru_cache(maxsize=256)
def form_of(function: GateFunction, dtype: torch.dtype) -> tuple[str, float, float]:
    """Which of `KINDS` a gate is for numbers of this type, and of those that have them its least value and its power.

    Examples
    --------
    >>> from gateflow.nn.functional import gate_function
    >>> [form_of(gate_function(name), torch.float32) for name in ("hgrn", "lru", "gla")]
    [('raised', 0.5, 1.0), ('exponential', 0.0, 1.0), ('power', 0.0, 0.0625)]
    """
    gate = function.gate
    if gate.is_profile and gate.formulas.u == Z:
        return "logistic", 0.0, 1.0
    if gate.is_profile and gate.formulas.u == sinh(Z) and dtype != torch.float64:
        return "hyperbolic", 0.0, 1.0
    phi = gate.expr if gate.declared == "phi" else Z
    share = phi.coeff(sigmoid(Z))
    low = phi - share * sigmoid(Z)
    if share.is_positive and low.is_nonnegative and low + share == 1:
        return ("raised", float(low), 1.0) if low else ("logistic", 0.0, 1.0)
    if phi == exp(-exp(-Z)):
        return "exponential", 0.0, 1.0
    base, power = phi.as_base_exp() if not isinstance(phi, exp) else (Z, Z)
    if isinstance(phi, exp):
        power = -phi.args[0].coeff(softplus(-Z))
        base = sigmoid(Z) if phi.args[0] + power * softplus(-Z) == 0 else Z
    if base == sigmoid(Z) and power.is_positive and power.is_number and dtype != torch.float64:
        return "power", 0.0, float(power)
    return "table", 0.0, 1.0


class Faster:
    """Of two ways to do the same the faster one: each is tried a few times at first, by turns.

    Examples
    --------
    >>> ways = Faster()
    >>> for seconds in (3.0, 2.0, 9.0, 2.5, 3.0, 8.0):
    ...     ways.took(ways.second(), seconds)
    >>> ways.second()
    True
    """

    def __init__(self) -> None:
        self.seconds: tuple[list[float], list[float]] = [], []

    def second(self) -> bool:
        """Whether the second way is to be gone."""
        first, second = self.seconds
        return len(second) < len(first) if len(second) < TRIES else min(second) < min(first)

    def took(self, second: bool, seconds: float) -> None:
        """What a call took; after the tries nothing is noted."""
        if len(self.seconds[second]) < TRIES:
            self.seconds[second].append(seconds)


@lru_cache(maxsize=512)
def _ways(*_: Any) -> Faster:
    """Of a kind of pass."""
    return Faster()


class ScanPass:
    """One call's structure, filled in, and what it points to."""

    def __init__(self, decay: Tensor, given: str, gate: GateFunction | None, dim: int, start: Tensor | None) -> None:
        self.library, self.run, self.alive = library(decay.dtype), _scan_type()(), []
        shape = decay.shape
        self.run.outer, self.run.steps = math.prod(shape[:dim]), shape[dim]
        self.run.inner = math.prod(shape[dim + 1 :])
        self.results: tuple[Tensor, ...] = ()
        kind = given
        if gate is not None:
            kind, self.run.low, self.run.power = form_of(gate, decay.dtype)
        if gate is not None and kind == "table":
            self.alive.append(structure := filled(table_of(gate, tables_for(decay.dtype))))
            self.run.gate, self.run.half = ctypes.addressof(structure), half_of(gate)
        self.run.given = KINDS.index(kind)
        self.point(decay=decay, start=start)

    def point(self, **places: Tensor | None) -> None:
        for name, value in places.items():
            self.alive.append(value)
            setattr(self.run, name, None if value is None else value.data_ptr())

    def _goes_past(self) -> bool:
        """Whether results are large, and in rows of whole lines of cache."""
        results = [t for t in self.results if t.nbytes > CACHED]
        row = (self.run.steps if self.run.stretches else self.run.inner) * self.results[0].itemsize
        return len(results) == len(self.results) and not any(
            at % LINE for at in (row, *(t.data_ptr() for t in results))
        )

    def _cut(self, many: int, itemsize: int) -> None:
        """Sequences in rows into stretches, so many that all threads have columns enough."""
        outer, steps, line = self.run.outer, self.run.steps, LINE // itemsize
        wanted = 1 if outer * steps < SMALL else min(-(-SIDE * many // outer), steps // STRETCHED)
        self.run.stretches, self.run.length = 1, steps
        if wanted > 1:  # an odd number of lines each: with a power of two all would meet in one place of a cache
            self.run.length = (-(-steps // (wanted * line)) | 1) * line
            self.run.stretches = -(-steps // self.run.length)
            self.point(sums=torch.empty(outer, self.run.stretches, 2, dtype=torch.float64))

    def go(self, back: bool) -> None:
        most, team = torch.get_num_threads(), threads.team()
        numbers = self.run.outer * self.run.steps * self.run.inner
        if numbers == 0:
            return
        many = most if team is not None and numbers >= SMALL else 1
        columns = -(-self.run.inner // -(-many // self.run.outer))  # of each thread where there are few sequences
        itemsize = self.results[0].itemsize
        ways, wide = None, max(columns, PIECE // itemsize)
        if NARROW // itemsize <= columns < min(wide, self.run.inner):
            ways = _ways(self.run.given, self.results[0].dtype, self.run.inner, many, back)
        narrow = ways is not None and ways.second()
        self.run.tile = min(COLUMNS, -(-(columns if narrow else wide) // SIDE) * SIDE)
        ahead = AHEAD // itemsize if self.run.inner * itemsize >= WIDE else 0
        self.run.ahead = self.run.inner if self.run.tile < self.run.inner else ahead
        if self.run.inner == 1 and (self.run.outer > 1 or numbers >= SMALL):
            self._cut(many, self.results[0].itemsize)
        self.run.threads = min(many, self.library.scan_pieces(ctypes.byref(self.run)))
        self.run.past = self._goes_past()
        to = None if team is None else ctypes.byref(team)
        start = time.perf_counter()
        self.library.scan(ctypes.byref(self.run), int(back), to, most)
        if ways is not None:
            ways.took(narrow, (time.perf_counter() - start) / numbers)


# --- passes -----------------------------------------------------------------------------------------------------------


def forward(
    decay: Tensor, input: Tensor, start: Tensor | None, given: str, gate: GateFunction | None, dim: int
) -> Tensor:
    """The states after every step; all tensors contiguous, of one type, ``start`` without the dimension of time."""
    one, result = ScanPass(decay, given, gate, dim, start), workspace.tensor(input.shape, input.dtype)
    one.point(input=input, result=result)
    one.results = (result,)
    one.go(back=False)
    return result


def backward(
    grad: Tensor, decay: Tensor, output: Tensor, start: Tensor | None, given: str, gate: GateFunction | None, dim: int
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of what the decay is given as, of the input, and of the first state where there is one."""
    one = ScanPass(decay, given, gate, dim, start)
    of_decay, of_input = (workspace.tensor(decay.shape, decay.dtype) for _ in range(2))
    of_start = None if start is None else torch.empty_like(start)
    one.point(grad=grad, output=output, grad_decay=of_decay, grad_input=of_input, grad_start=of_start)
    one.results = (of_decay, of_input)
    one.go(back=True)
    return of_decay, of_input, of_start


# --- on this machine --------------------------------------------------------------------------------------------------

LIKE = {"logistic": "sigmoid", "raised": "hgrn", "exponential": "lru", "power": "gla", "hyperbolic": "fast"}
"""The gate with which a way to compute gates is tried; one with a table is tried itself."""

ROOM = {torch.float64: 1e-12, torch.float32: 1e-6, torch.bfloat16: 0.03}
"""The largest error of a trial, relative to the norm of a result."""

_tried: dict[tuple[torch.dtype, str], str | None] = {}


def reason_against(dtype: torch.dtype, given: str, gate: GateFunction | None) -> str | None:
    """Why compiled scans are not to be trusted on this machine, in one clause; None where they were tried and agree."""
    kind = given if gate is None else form_of(gate, dtype)[0]
    asked = dtype, kind if kind in LIKE or gate is None else gate.text
    if asked not in _tried:
        name = kind if kind in LIKE or gate is None else gate.gate.name
        made_of = (*asked[1:], compiled.fingerprint(source("gates.h", "scan.c"), _flags(dtype)))
        _tried[asked] = trust.reason_against(
            f"the compiled scan of {name} in {str(dtype).removeprefix('torch.')}",
            (*made_of, *trust.machine(torch.device("cpu"))),
            ROOM[dtype],
            lambda: _error(dtype, given, gate_function(LIKE[kind]) if kind in LIKE else gate),
        )
    return _tried[asked]


def _error(dtype: torch.dtype, given: str, gate: GateFunction | None) -> float:
    """The largest error of a pass forward and backward, with columns side by side and with sequences in rows."""
    (x, b, h, g), wanted = triton.problem(torch.device("cpu"), dtype, given, gate)
    found: list[Tensor] = []
    with torch.no_grad():
        output = forward(x, b, h, given, gate, 1)
        found += [output, *_there(backward(g, x, output, h, given, gate, 1))]
        x, b, g = (t.transpose(1, 2).contiguous() for t in (x, b, g))
        output = forward(x, b, h, given, gate, 2)
        of_decay, of_input, of_start = _there(backward(g, x, output, h, given, gate, 2))
    found += [*(t.transpose(1, 2) for t in (output, of_decay, of_input)), of_start]
    return trust.error(found, 2 * wanted)


def _there(tensors: tuple[Tensor | None, ...]) -> list[Tensor]:
    return [t for t in tensors if t is not None]
