"""The scan ``h_t = a_t h_(t-1) + b_t`` in C: scan.c behind gates.h, compiled on this machine.

Pieces of columns are shared among threads; time is gone through in order, so one column is one thread's.
"""

from __future__ import annotations

import ctypes
import math
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.codegen import compiler as compiled
from gateflow.errors import NoCompiler
from gateflow.nn.functional import GateFunction
from gateflow.nn.kernels import native, threads, workspace
from gateflow.nn.kernels.native import _fill as filled
from gateflow.nn.kernels.native import source, table_of

GIVEN = ("a", "log a", "z")
"""As what a decay may be given; in the order of scan.c."""

DTYPES = (*native.DTYPES, torch.bfloat16)
"""Numbers in memory; bfloat16 is computed in float32."""

SMALL = 1 << 16
"""Numbers below which one thread does."""


@lru_cache(maxsize=1)
def _scan_type() -> type[ctypes.Structure]:
    fields: list[tuple[str, Any]] = [(name, ctypes.c_int64) for name in ["outer", "steps", "inner", "given", "threads"]]
    names = "gate decay input start output grad result grad_decay grad_input grad_start"
    fields += [*((name, ctypes.c_void_p) for name in names.split()), ("half", ctypes.c_double)]
    return type("Scan", (ctypes.Structure,), {"_fields_": fields})


@compiled.compiled_once
def library(dtype: torch.dtype) -> ctypes.CDLL:
    """The kernels for one type of numbers, compiled if they have not been.

    Raises
    ------
    NoCompiler
    """
    kind = {torch.float64: ("-DDOUBLE",), torch.bfloat16: ("-DHALF",)}.get(dtype, ())
    flags = ("-ffp-contract=fast", "-fno-trapping-math", *kind)
    found = compiled.library(source("gates.h", "scan.c"), flags=(*flags, *compiled.native()), name="scan")
    found.scan_size.restype = found.scan_pieces.restype = ctypes.c_int64
    found.scan.restype = None
    found.scan.argtypes = [ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p, ctypes.c_int64]
    if found.scan_size() != ctypes.sizeof(_scan_type()):
        raise NoCompiler("the C compiler lays out structures in a way of its own")
    return found


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


class ScanPass:
    """One call's structure, filled in, and what it points to."""

    def __init__(self, decay: Tensor, given: str, gate: GateFunction | None, dim: int, start: Tensor | None) -> None:
        self.library, self.run, self.alive = library(decay.dtype), _scan_type()(), []
        shape = decay.shape
        self.run.outer, self.run.steps = math.prod(shape[:dim]), shape[dim]
        self.run.inner, self.run.given = math.prod(shape[dim + 1 :]), GIVEN.index(given)
        table = None if gate is None else table_of(gate, tables_for(decay.dtype))
        if table is not None:
            self.alive.append(structure := filled(table))
            self.run.gate, self.run.half = ctypes.addressof(structure), half_of(gate)
        self.point(decay=decay, start=start)

    def point(self, **places: Tensor | None) -> None:
        for name, value in places.items():
            self.alive.append(value)
            setattr(self.run, name, None if value is None else value.data_ptr())

    def go(self, back: bool) -> None:
        most, team = torch.get_num_threads(), threads.team()
        numbers = self.run.outer * self.run.steps * self.run.inner
        if numbers == 0:
            return
        pieces = self.library.scan_pieces(ctypes.byref(self.run))
        self.run.threads = min(most, pieces) if team is not None and numbers >= SMALL else 1
        to = None if team is None else ctypes.byref(team)
        self.library.scan(ctypes.byref(self.run), int(back), to, most)


def forward(
    decay: Tensor, input: Tensor, start: Tensor | None, given: str, gate: GateFunction | None, dim: int
) -> Tensor:
    """The states after every step; all tensors contiguous, of one type, ``start`` without the dimension of time."""
    one, result = ScanPass(decay, given, gate, dim, start), workspace.tensor(input.shape, input.dtype)
    one.point(input=input, result=result)
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
    one.go(back=True)
    return of_decay, of_input, of_start
