"""A tape as Triton source: one device function, computed in float32 or float64, for use inside a GPU kernel.

The text holds what is printed here and nothing else: inputs and intermediate values are numbered, constants are
numbers, functions are Triton's and those of :mod:`gateflow.codegen.tritonmath`. No word of a user's formula reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import ClassVar

from gateflow.codegen.tape import Tape
from gateflow.codegen.text import Text
from gateflow.errors import InvalidArgument

HEADER = '''"""Made by gateflow.codegen.triton."""

import triton
import triton.language as tl

from gateflow.codegen import tritonmath as gf
'''

WORKING = ("float32", "float64")


class _Triton(Text):
    """Lines of Triton; functions are tl's own, or those of :mod:`gateflow.codegen.tritonmath`."""

    name = "triton"
    CALLS: ClassVar[Mapping[str, str]] = {
        **{name: f"tl.{name}({{}})" for name in ("abs", "exp", "sqrt", "sin", "cos", "erf")},
        **{
            name: f"gf.{name}({{}})"
            for name in ("expm1", "log", "log1p", "sigmoid", "tanh", "sinh", "atan", "acot", "erfc", "erfcx", "sign")
        },
        "isfinite": 'tl.abs({}) < float("inf")',
        "maximum": "tl.where({0} < {1}, {1}, {0})",
        "minimum": "tl.where({1} < {0}, {1}, {0})",
        "power": "gf.power({}, {})",
        "where": "tl.where({}, {}, {})",
    }

    def number(self, value: float) -> str:
        """In brackets, so that a sign stays with it."""
        return f"({value!r})" if math.isfinite(value) else f'float("{value}")'

    def unknown(self, name: str) -> Exception:
        return InvalidArgument(f"a formula with {name} has no kernel for GPUs")


def device_function(tape: Tape, name: str, working: str = "float32", after: Iterable[str] = ()) -> str:
    """The text of a Triton device function that plays a tape.

    Parameters
    ----------
    tape : Tape
    name : str
        The function's name.
    working : {"float32", "float64"}
        What it is computed in; results are float32.
    after : iterable of str
        Statements that follow; they see the outputs as ``y0``, ``y1``, ... and may add to or change them.

    Raises
    ------
    InvalidArgument
        The tape holds a function that has no form on a GPU here.

    Examples
    --------
    >>> import sympy as sp
    >>> from gateflow.formula.vocabulary import Z, sigmoid
    >>> print(device_function(Tape([sigmoid(-sp.sinh(Z))]), "phi_c"))
    @triton.jit
    def phi_c(x0):
        v0 = x0.to(tl.float32)
        v1 = gf.sinh(v0)
        v2 = -v1
        v3 = gf.sigmoid(v2)
        y0 = v3
        return y0.to(tl.float32)
    """
    if working not in WORKING:
        raise InvalidArgument(f"a device function is computed in {' or '.join(WORKING)}, not {working}")
    if not name.isidentifier():
        raise InvalidArgument(f"{name!r} is no name for a function")
    inputs, text = [f"x{i}" for i in range(len(tape.symbols))], _Triton()
    outputs = tape(text, *(text.line(f"{x}.to(tl.{working})") for x in inputs))
    lines = text.lines
    for k, (term, i) in enumerate(zip(outputs, tape.outputs, strict=True)):
        bare = inputs and tape.operations[i].name == "constant"
        lines.append(f"y{k} = {f'tl.zeros_like(v0) + {term}' if bare else term}")
    lines += after
    named = {name for line in lines for name in line.split(" = ")[0].split(", ") if name.startswith("y")}
    given = sorted(named, key=lambda y: int(y[1:]))
    lines.append("return " + ", ".join(f"{y}.to(tl.float32)" for y in given))
    body = "\n".join(f"    {line}" for line in lines)
    return f"@triton.jit\ndef {name}({', '.join(inputs)}):\n{body}\n"
