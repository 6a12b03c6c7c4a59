"""Formulas as C functions of one number, which a C compiler turns into vector code wherever they stand in a loop.

The printer is an arithmetic (:mod:`gateflow.codegen.text`): what plays a tape over it, or computes with
:class:`gateflow.gates.numbers.Numbers`, writes a program. So a C function is made of the same formulas, in the same
order, as the NumPy one.

The elementary functions are in ``vectormath.h`` beside this file, without branches and without tables. A library of
these functions is compiled from :func:`header` followed by the functions, with :data:`FLAGS`::

    source = header() + function("phi", gate.formulas.phi, "float") + "void all(long n, const float *z, float *out) {"
             "for (long i = 0; i < n; i++) out[i] = phi(z[i]); }"
    gateflow.codegen.compiler.library(source, flags=(*FLAGS, *gateflow.codegen.compiler.native()), name="phi")
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import sympy as sp

from gateflow.codegen.tape import Tape
from gateflow.codegen.text import Term, Text
from gateflow.errors import InvalidArgument, NoCompiler, unknown
from gateflow.formula.vocabulary import Expr, Z

FLAGS = (
    *("-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off"),
    *("-O2", "-ftree-vectorize", "-fvect-cost-model=dynamic"),
)
"""The pragmas by which a compiler makes vectors of :func:`header`, with the same bits at any vector width; as fast code
as -O3, in half the compiler's time (measured)."""

FUNCTIONS = (
    *("abs", "sign", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh"),
    *("acosh", "atanh", "atan", "acot", "erf", "erfc", "log_erfc", "log_erfcx", "sigmoid", "softplus", "log1mexp"),
)
"""The functions of one number in ``vectormath.h``, there with ``gf_`` before their names."""

DTYPES = ("double", "float")


@lru_cache(maxsize=1)
def header() -> str:
    """The C text that every function printed here builds on; it includes standard headers only."""
    return Path(__file__).with_name("vectormath.h").read_text(encoding="utf-8")


def function(name: str, expr: Expr, dtype: str = "double", symbol: sp.Symbol = Z) -> str:
    """The text of the C function ``name(x)`` that evaluates a formula; see the module for how to compile it.

    ``GF``, defined in :func:`header`, makes it ``static inline`` and always inlined, so that no loop stumbles over a
    call.

    Parameters
    ----------
    name : str
        The function's name in C.
    expr : SymPy expression
        In ``symbol``, already rewritten by :func:`gateflow.codegen.stable` where digits matter.
    dtype : {"double", "float"}
        Of argument and result. It is computed in double either way, so a float result is right to the last bit or two.

    Raises
    ------
    NoCompiler
        The formula has a function that has no C form here (``loggamma`` and its derivatives).

    Examples
    --------
    >>> from gateflow.formula.vocabulary import sigmoid
    >>> print(function("phi", sigmoid(sp.sinh(Z))))
    GF double phi(double z) {
      const double v0 = gf_sinh(z);
      const double v1 = gf_sigmoid(v0);
      return v1;
    }
    <BLANKLINE>
    """
    tape = Tape([expr], [symbol])
    return written(name, lambda arithmetic, x: tape(arithmetic, x)[0], dtype)


def written(name: str, compute: Callable[..., Any], dtype: str = "double", inputs: Sequence[str] = ("z",)) -> str:
    """The text of a C function that does what ``compute(arithmetic, *inputs)`` does.

    ``compute`` meets texts in place of numbers. It returns one number, the function's value; or a tuple of them, which
    the C function writes through pointers that follow its inputs.

    Examples
    --------
    >>> print(written("both", lambda a, x, y: (x * y, a.where(a.less(x, y), a.exp(x), y)), inputs="xy"))
    GF void both(double x, double y, double *out0, double *out1) {
      const double v0 = x * y;
      const _Bool v1 = x < y;
      const double v2 = gf_exp(x);
      const double v3 = gf_choose(v1, v2, y);
      *out0 = v0;
      *out1 = v3;
    }
    <BLANKLINE>
    """
    if dtype not in DTYPES:
        raise InvalidArgument(unknown("type", dtype, DTYPES))
    if not name.isidentifier() or not name.isascii():
        raise InvalidArgument(f"{name!r} is no name for a function")
    arithmetic = C()
    found = compute(arithmetic, *(arithmetic.read(given, dtype) for given in inputs))
    given = [f"{dtype} {word}" for word in inputs]
    if isinstance(found, tuple):
        kind, given = "void", [*given, *(f"{dtype} *out{i}" for i in range(len(found)))]
        ends = [f"*out{i} = {arithmetic.term(value)};" for i, value in enumerate(found)]
    else:
        kind, ends = dtype, [f"return {arithmetic.term(found)};"]
    body = "\n".join(f"  {line}" for line in (*arithmetic.lines, *ends))
    return f"GF {kind} {name}({', '.join(given)}) {{\n{body}\n}}\n"


class C(Text):
    """Lines of C in double."""

    name = "c"
    NOT = "!"
    CALLS: ClassVar[Mapping[str, str]] = {name: f"gf_{name}({{}})" for name in FUNCTIONS} | {
        "isfinite": "gf_isfinite({})",
        "where": "gf_choose({}, {}, {})",
        **{name: f"gf_{name}({{}}, {{}})" for name in ("maximum", "minimum", "power")},
    }

    def assignment(self, name: str, code: str, truth: bool) -> str:
        return f"const {'_Bool' if truth else 'double'} {name} = {code};"

    def number(self, value: float) -> str:
        if math.isnan(value):
            return "NAN"
        if math.isinf(value):
            return "INFINITY" if value > 0 else "(-INFINITY)"
        digits = repr(value) if value == int(value) and abs(value) < 1e15 else value.hex()
        return f"({digits})" if math.copysign(1.0, value) < 0 else digits

    def unknown(self, name: str) -> Exception:
        return NoCompiler(f"{name} has no C form")

    def read(self, name: str, dtype: str) -> Term:
        """An input."""
        return Term(self, name) if dtype == "double" else self.line(f"(double){name}")

    def integer_power(self, x: Any, n: int) -> Term:
        """By squaring; small powers only, past which rounding would pile up."""
        return self.line(f"pow({self.term(x)}, {n}.0)") if n > 8 else super().integer_power(x, n)
