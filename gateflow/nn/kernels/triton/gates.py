"""From a gate's formulas to a Triton device function ``z -> phi, 1 - phi, phi'`` in a module of its own.

Triton reads a kernel's source where Python's tracebacks find it. The text of a module, which is what
:mod:`gateflow.codegen.triton` prints, is therefore put there in memory: no file is written that another program could
change before it is read.
"""

from __future__ import annotations

import hashlib
import linecache
import sys
from functools import lru_cache
from types import ModuleType
from typing import Any

import torch

from gateflow.codegen import Tape
from gateflow.codegen.triton import HEADER, device_function
from gateflow.errors import InvalidArgument
from gateflow.gates.gate import Gate
from gateflow.gates.holes import Filled
from gateflow.nn.functional import GateFunction

_OF_PROFILE = ("du = y1", "y0, y1 = gf.both_sigmoids(y0)", "y2 = du * (y0 * y1)")

_CLIPPED = (
    "y0 = tl.where(y0 < 0.0, 0.0, tl.where(y0 > 1.0, 1.0, y0))",
    "y1 = tl.where(y1 < 0.0, 0.0, tl.where(y1 > 1.0, 1.0, y1))",
)

_FINITE_SLOPE = ("y2 = gf.finite(y2)",)
"""0 times infinity, where u' overflows and ``sigma(u) sigma(-u)`` is 0, is 0."""


def device_gate(function: GateFunction) -> Any:
    """The gate as a Triton device function of a float32 tensor: phi, ``1 - phi`` and phi'.

    Raises
    ------
    InvalidArgument
        The formula cannot be computed in one pass without losing digits, or holds a function that has no GPU form.
    """
    return _module(gate_source(function)).gate


def gate_source(function: GateFunction) -> str:
    """The text of the module that :func:`device_gate` takes its function from."""
    return _source(function.gate, _working(function))


def _working(function: GateFunction) -> str:
    """The narrowest type in which the formulas as they stand keep their digits at points of every magnitude."""
    for working in ("float32", "float64"):
        if function._is_plain(getattr(torch, working), torch.device("cpu")):
            return working
    raise InvalidArgument(f"no GPU kernel for {function.gate.name}: its formula as it stands loses its digits")


@lru_cache(maxsize=256)
def _source(gate: Gate, working: str) -> str:
    formulas = gate.formulas
    if gate.is_profile:
        exprs, after = (formulas.u, formulas.du), _OF_PROFILE
    else:
        exprs = (formulas.phi, formulas.phi_c, formulas.dphi)
        after = _CLIPPED if gate.value_outside is None else ()
    if not (gate.is_profile and formulas.du.is_number):
        after = (*after, *_FINITE_SLOPE)
    if holes := Filled(exprs).fillings:
        raise InvalidArgument(
            f"no GPU kernel for {gate.name}: a part of its formula is 0/0 at z = {float(holes[0].at):g}"
        )
    return f"{HEADER}\n\n{device_function(Tape(exprs), 'gate', working, after)}"


@lru_cache(maxsize=256)
def _module(text: str) -> ModuleType:
    name = f"gateflow_gate_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    file, module = f"<{name}>", ModuleType(name)
    # None for its time: kept as it is, for there is no file to compare with
    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
    sys.modules[name] = module  # Triton and inspect look for it there
    exec(compile(text, file, "exec"), vars(module))
    return module
