"""From a gate's formulas to a Triton device function ``z -> phi, 1 - phi, phi'`` in a module of its own.

Triton reads a kernel's source from its file. The modules are therefore written to the folder that the compiled C
kernels are kept in, under a name made of their text, and imported from there. The text is what
:mod:`gateflow.emit.triton` prints.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import sys
import tempfile
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from gateflow.compiled import _cache_wanted, _writable
from gateflow.emit import Tape
from gateflow.emit.triton import HEADER, device_function
from gateflow.errors import InvalidArgument
from gateflow.gate import Gate
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
        after = _CLIPPED if gate._stray is None else ()
    if not (gate.is_profile and formulas.du.is_number):
        after = (*after, *_FINITE_SLOPE)
    return f"{HEADER}\n\n{device_function(Tape(exprs), 'gate', working, after)}"


@lru_cache(maxsize=256)
def _module(text: str) -> ModuleType:
    name = f"gateflow_gate_{hashlib.sha256(text.encode()).hexdigest()[:32]}"
    path = _written(text, f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # Triton and inspect look for it there
    spec.loader.exec_module(module)
    return module


def _written(text: str, name: str) -> Path:
    """The file with this text in the cache, or in a temporary folder where the cache cannot be written to."""
    for folder in (_cache_wanted(), None):
        try:
            path = _writable(folder) / name
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return path
            handle, scratch = tempfile.mkstemp(prefix=".made-", dir=path.parent)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(scratch, path)  # whole or not at all, however many processes write it
            return path
        except OSError:
            continue
    raise InvalidArgument("no folder can be written to, and Triton reads its kernels from files; set GATEFLOW_CACHE")
