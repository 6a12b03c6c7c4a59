"""Descents in C, generated from the gate's formula: the same as :mod:`gateflow.descents.simulation` in NumPy.

The optimiser's update stands beside the NumPy one, in its own file, and does the same operations in the same order; the
gradient differs from NumPy's in the last bits. Float formats other than float64, the naive gradient, and losses other
than the absolute one are left to NumPy.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import sympy as sp

from gateflow.codegen import c
from gateflow.codegen.compiler import compiled_once, library, native
from gateflow.codegen.rewrite import log_cosh
from gateflow.descents.optimizers import Optimizer
from gateflow.errors import NoCompiler
from gateflow.flows.batch import Array, ProblemBatch
from gateflow.formula.vocabulary import log1p
from gateflow.gates.gate import Gate
from gateflow.gates.holes import Filled
from gateflow.losses.absolute import LOSS as ABSOLUTE
from gateflow.progress import track

STRIDE = 4096
"""Steps between two looks at the progress bar, and at which problems are done."""

FULL = 40.0
"""A mean is full once its empty part is below ``exp(-40)``, half the last bit."""

MOST_FILLED = 1_000_000
"""Steps for which the empty part of a mean is tabulated."""

LANES = 32
"""Problems that a kernel steps together: four of the widest vectors, or more of narrower ones."""

ARRIVED, STALLED, UNFINISHED = 1, 2, 3

Pointer = ctypes.POINTER(ctypes.c_double)
INPUTS = ("over", "log_ct", "target", "direction", "lr", "limit", "low", "high")
KEPT = ("z", "m", "s", "k", "idle", "code", "far", "back", "left", "sizes")
TABLES = ("filled_m", "filled_s", "hyper")


class _Runs(ctypes.Structure):
    """The structure of the same name in the C text."""

    _fields_ = (
        *((name, Pointer) for name in (*INPUTS, *KEPT, *TABLES)),
        ("filled", ctypes.c_long),
        *((name, ctypes.c_double) for name in ("patience", "window", "cycle")),
    )


class Stepping:
    """Problems of one gate and optimiser on their way, stepped by the kernel.

    Attributes
    ----------
    z, k, code, far, back, sizes : array
        Of each problem: where it is, the steps taken, what became of it; and for a way around the target the farthest
        past it, whether it came back, and the sum of its last steps. On a way into a band far is the last step outside.

    Raises
    ------
    NoCompiler
        There is no compiler, or the gate or the optimiser has no form in C.
    """

    def __init__(self, batch: ProblemBatch, optimizer: Optimizer, lr: Array) -> None:
        if batch.loss is not ABSOLUTE:
            raise NoCompiler(f"descents of the {batch.loss.name} loss have no compiled kernel")
        self._call, count = _descend(batch.gate, optimizer.UPDATE_C), batch.z0.size
        zero, far = np.zeros(count), np.full(count, np.inf)
        with np.errstate(all="ignore"):
            inputs = (batch.horizon + 1, np.log(batch.scale * batch.horizon), batch.z_star, batch.direction, lr)
        arrays: dict[str, Array] = dict(zip(INPUTS, (*inputs, zero, -far, far), strict=True))
        arrays |= dict.fromkeys(KEPT, zero) | {"z": batch.z0} | tables(optimizer)
        self._arrays = {name: np.array(array, dtype=np.float64) for name, array in arrays.items()}

    def __getattr__(self, name: str) -> Array:
        if name in KEPT or name in INPUTS:
            return self._arrays[name]
        raise AttributeError(name)

    def put(self, **values: Any) -> None:
        """Set numbers of all problems."""
        for name, value in values.items():
            self._arrays[name][:] = value

    def run(self, chosen: Array, mode: int, patience: float = np.inf, window: float = 0.0, cycle: float = 0.0) -> None:
        """Step the problems numbered ``chosen`` until each is done: 0 to the target, 1 around it, 2 into the band."""
        pointers = {name: array.ctypes.data_as(Pointer) for name, array in self._arrays.items()}
        filled = self._arrays["filled_m"].size
        runs = _Runs(**pointers, filled=filled, patience=patience, window=window, cycle=cycle)
        order = np.array(chosen, dtype=np.int64)  # a copy: the kernel takes out those that are done
        going, left = order.ctypes.data_as(ctypes.POINTER(ctypes.c_int64)), order.size
        most = int(np.max(self._arrays["limit"][chosen] + self._arrays["left"][chosen], initial=0)) + int(window)
        for _ in track(range(most // STRIDE + 2), "descent (thousands of steps)"):
            if left == 0:
                return
            left = self._call(ctypes.byref(runs), going, ctypes.c_long(left), ctypes.c_long(STRIDE), ctypes.c_int(mode))


@lru_cache(maxsize=16)
def tables(optimizer: Optimizer) -> dict[str, Array]:
    """The hyperparameters; and what the means are divided by, where the optimiser corrects them."""
    hyper = np.array([*vars(optimizer).values(), 0.0])
    if not hasattr(optimizer, "beta2"):
        return {"filled_m": np.ones(1), "filled_s": np.ones(1), "hyper": hyper}
    betas = optimizer.beta1, optimizer.beta2  # type: ignore[attr-defined]
    steps = min(MOST_FILLED, 2 + int(FULL / -np.log(min(max(*betas), 1 - 1e-16)))) if max(betas) > 0 else 2
    k = np.arange(1, steps + 1)
    return {"filled_m": 1 - betas[0] ** k, "filled_s": np.sqrt(1 - betas[1] ** k), "hyper": hyper}


@compiled_once
def _descend(gate: Gate, update: str) -> Callable[..., int]:
    """The C function of a gate and an optimiser, compiled on its first use on this machine."""
    function = kernel(gate, update, Path(__file__).with_name("descent.c")).descend
    function.restype = ctypes.c_long
    return function


def kernel(gate: Gate, update: str, path: Path) -> ctypes.CDLL:
    """The library of a C text that steps a gate by an optimiser: before it stand the gate, its speed and the update.

    Raises
    ------
    NoCompiler
        There is no compiler, or the gate or the optimiser has no form in C.
    """
    if not update:
        raise NoCompiler("the optimizer has no update in C")
    parts = c.written("gate_parts", lambda arithmetic, z: tuple(_parts(gate)(arithmetic, z)))
    speed = Path(__file__).with_name("speed.c").read_text(encoding="utf-8")
    defined = f"#define LANES {LANES}\n#define USES_FILLED {int('one_m' in update)}"
    source = "\n".join([c.header(), defined, parts, speed, _update(update), path.read_text(encoding="utf-8")])
    return library(source, flags=(*c.FLAGS, *native()), name=path.stem)


def _update(body: str) -> str:
    """The update as a function: what to take from z; m and s are replaced."""
    inputs = "const double *hyper, double g, double lr, double one_m, double one_s, double *mean, double *square"
    lines = ("  double m = *mean, s = *square, taken;", body, "  *mean = m, *square = s;", "  return taken;")
    return "\n".join([f"GF double update({inputs}) {{", *lines, "}"])


def _parts(gate: Gate) -> Filled:
    """u, and u' as ``factor exp(rest)``: what has a plain factor needs no logarithm and no exponential of its own."""
    if (whole := Filled([gate.formulas.u, sp.S.One, gate.formulas.log_du])).fillings:  # parts of it have none
        return whole
    factor, rest = sp.S.One, sp.S.Zero
    for term in sp.Add.make_args(gate.formulas.log_du):
        size, node = term.as_coeff_Mul()
        inner = _WITHOUT_LOG.get(type(node))
        if inner is not None and size.is_Integer and abs(size) <= 2:
            factor *= inner(node.args[0]) ** size
        else:
            rest += term
    return Filled([gate.formulas.u, factor, rest])


_WITHOUT_LOG = {log_cosh: sp.cosh, sp.log: lambda x: x, log1p: lambda x: 1 + x}
"""Functions whose exponential is plain."""
