"""A tape as Triton source: one device function, computed in float32 or float64, for use inside a GPU kernel.

The text holds what is printed here and nothing else: inputs and intermediate values are numbered, constants are
numbers, functions are those of :mod:`gateflow.codegen.tritonmath`. No word of a user's formula reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import sympy as sp

from gateflow.codegen.source import INFIX
from gateflow.codegen.tape import Operation, Tape
from gateflow.errors import InvalidArgument

HEADER = '''"""Made by gateflow.codegen.triton."""

import triton
import triton.language as tl

from gateflow.codegen import tritonmath as gf
'''

WORKING = ("float32", "float64")

_CALLS = {name: f"gf.{name}" for name in (
    "exp", "expm1", "log", "log1p", "sqrt", "power", "sigmoid", "tanh", "softplus", "softsign", "logit", "sinh", "cosh",
    "asinh", "acosh", "atanh", "sin", "cos", "tan", "atan", "acot", "erf", "erfc", "log_erfc", "log_erfcx", "log1mexp",
    "log_expm1", "log_cosh", "log_hypot", "log_add", "log_softplus", "log_cloglog", "log_atan_ratio", "log_atan_exp",
    "sign",
)} | {"abs": "gf.absolute", "where": "tl.where"}  # fmt: skip


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
    inputs = [f"x{i}" for i in range(len(tape.symbols))]
    lines, terms, fed = [], [], iter(inputs)
    for i, op in enumerate(tape.operations):
        if op.name == "constant":
            terms.append(_number(op.value))
            continue
        found = f"{next(fed)}.to(tl.{working})" if op.name == "input" else _term(op, [terms[j] for j in op.args])
        lines.append(f"v{i} = {found}")
        terms.append(f"v{i}")
    for k, i in enumerate(tape.outputs):
        like = terms[0] if inputs else ""
        bare = tape.operations[i].name == "constant"
        lines.append(f"y{k} = {f'tl.zeros_like({like}) + {terms[i]}' if bare else terms[i]}")
    lines += after
    named = {name for line in lines for name in line.split(" = ")[0].split(", ") if name.startswith("y")}
    outputs = sorted(named, key=lambda y: int(y[1:]))
    lines.append("return " + ", ".join(f"{y}.to(tl.float32)" for y in outputs))
    body = "\n".join(f"    {line}" for line in lines)
    return f"@triton.jit\ndef {name}({', '.join(inputs)}):\n{body}\n"


def _number(value: sp.Expr) -> str:
    """A constant as text; in brackets, so that a sign stays with it."""
    number = float(sp.N(value, 30))
    return f"({number!r})" if math.isfinite(number) else f'float("{number}")'


def _term(op: Operation, args: list[str]) -> str:
    if op.name == "neg":
        return f"-{args[0]}"
    if op.name in INFIX:
        return f"{args[0]} {INFIX[op.name]} {args[1]}"
    if op.name == "integer_power":
        return _integer_power(args[0], op.value)
    if op.name not in _CALLS:
        raise InvalidArgument(f"a formula with {op.name} has no kernel for GPUs")
    return f"{_CALLS[op.name]}({', '.join(args)})"


def _integer_power(x: str, n: int) -> str:
    """``x**n`` by repeated squaring: ``x**5`` is ``x`` times the square of the square."""
    if n < 0:
        return f"1.0 / ({_integer_power(x, -n)})"
    if n <= 1:
        return "1.0" if n == 0 else x
    half = _integer_power(x, n // 2)
    square = f"gf.square({half})"
    return f"{x} * {square}" if n % 2 else square
