"""Runs of a noisy descent in C, generated from the gate's formula: the same as :mod:`gateflow.noise.paths` in NumPy.

Both draw the same numbers. Gradients differ in their last bits, so runs do after many steps.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateflow.codegen.compiler import compiled_once
from gateflow.descents.compiled import kernel, tables
from gateflow.descents.optimizers import Optimizer
from gateflow.gates.gate import Gate
from gateflow.noise.elements import Array

Pointer = ctypes.POINTER(ctypes.c_double)
RUNS = ("z", "m", "s", "found")
TABLES = ("cells", "filled_m", "filled_s", "hyper")


class _NoisyRuns(ctypes.Structure):
    """The structure Runs of the C text."""

    _fields_ = (
        *((name, Pointer) for name in (*RUNS, *TABLES)),
        *((name, ctypes.c_long) for name in ("filled", "count", "number")),
        *((name, ctypes.c_double) for name in ("low", "per_width", "over", "lr", "level", "side")),
        ("seed", ctypes.c_uint64),
    )


class Walk:
    """The C function that steps runs of one gate by one optimiser.

    Raises
    ------
    NoCompiler
        There is no compiler, or the gate or the optimiser has no form in C.
    """

    def __init__(self, gate: Gate, optimizer: Optimizer) -> None:
        self._call, self._tables = _walk(gate, optimizer.UPDATE_C), tables(optimizer)

    def __call__(self, runs: dict[str, Array], cells: Array, before: int, steps: int, **numbers: Any) -> None:
        """Make the steps of all runs after ``before``; ``runs`` are replaced in place."""
        arrays = {**runs, "cells": cells, **self._tables}
        pointers = {name: array.ctypes.data_as(Pointer) for name, array in arrays.items()}
        sizes = {"filled": self._tables["filled_m"].size, "count": runs["z"].size, "number": cells.size // 4}
        self._call(
            ctypes.byref(_NoisyRuns(**pointers, **sizes, **numbers)), ctypes.c_long(before), ctypes.c_long(steps)
        )


@compiled_once
def _walk(gate: Gate, update: str) -> Callable[..., None]:
    """The function, compiled on its first use on this machine."""
    function = kernel(gate, update, Path(__file__).with_name("paths.c")).walk
    function.restype = None
    return function
