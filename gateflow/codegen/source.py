"""A tape as NumPy or PyTorch source: one function, with the few helpers it needs, to be used without gateflow."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping
from typing import ClassVar

import sympy as sp

from gateflow.codegen.tape import Operation, Tape
from gateflow.codegen.text import Term, Text
from gateflow.errors import GateflowError, InvalidArgument, unknown
from gateflow.formula.vocabulary import Expr, Z


class _Python(Text):
    """Lines of Python, in one library."""

    IMPORTS: tuple[str, ...] = ()
    QUIET = ""
    """A line under which the branch not taken raises no warning."""
    FILLED = "{value}"
    """A number as an array like the first input, where a function of the library takes no bare number."""

    def unknown(self, name: str) -> Exception:
        return GateflowError(f"no text is known for {name!r}")


_COMMON = (
    "exp",
    "expm1",
    "log",
    "log1p",
    "sqrt",
    "sin",
    "cos",
    "tan",
    "sinh",
    "cosh",
    "tanh",
    "sign",
    "abs",
    "isfinite",
)


class _Numpy(_Python):
    IMPORTS = ("import numpy as np", "import scipy.special")
    QUIET = 'with np.errstate(all="ignore"):'
    CALLS: ClassVar[Mapping[str, str]] = {
        **{key: f"np.{key}({{}})" for key in _COMMON},
        **{key: f"np.arc{key[1:]}({{}})" for key in ("asinh", "acosh", "atanh", "atan")},
        **{key: f"scipy.special.{key}({{}})" for key in ("erf", "erfc", "erfcx", "logit", "digamma")},
        **{key: f"np.{key}({{}}, {{}})" for key in ("maximum", "minimum")},
        "acot": "np.arctan2(1.0, {})",
        "log_add": "np.logaddexp({}, {})",
        "loggamma": "scipy.special.gammaln({})",
        "sigmoid": "scipy.special.expit({})",
        "softplus": "np.logaddexp({}, 0.0)",
        "trigamma": "scipy.special.polygamma(1, {})",
        "where": "np.where({}, {}, {})",
    }


class _Torch(_Python):
    IMPORTS = ("import torch",)
    FILLED = "torch.full_like({like}, {value})"
    CALLS: ClassVar[Mapping[str, str]] = {
        **{key: f"torch.{key}({{}})" for key in _COMMON},
        **{key: f"torch.{key}({{}})" for key in ("asinh", "acosh", "atanh", "atan", "erf", "erfc", "logit", "digamma")},
        "acot": "torch.atan2(torch.tensor(1.0), {})",
        "erfcx": "torch.special.erfcx({})",
        "log_add": "torch.logaddexp({}, {})",
        "loggamma": "torch.lgamma({})",
        "maximum": "torch.clamp({}, min={})",
        "minimum": "torch.clamp({}, max={})",
        "sigmoid": "torch.sigmoid({})",
        "trigamma": "torch.special.polygamma(1, {})",
        "where": "torch.where({}, {}, {})",
    }


DIALECTS: dict[str, type[_Python]] = {"numpy": _Numpy, "torch": _Torch}

INFIX = {"add": "+", "sub": "-", "mul": "*", "div": "/", "less": "<", "less_equal": "<=", "and": "&", "or": "|"}
"""Operations that are written between their two arguments."""


def source(exprs: Expr | Iterable[Expr], dialect: str = "numpy", name: str = "gate", symbol: sp.Symbol = Z) -> str:
    """The text of a Python function that evaluates ``exprs`` in a library.

    Parameters
    ----------
    exprs : SymPy expression, or several
        Already rewritten by :func:`gateflow.codegen.stable` where digits matter.
    dialect : {"numpy", "torch"}
    name : str
        The function's name.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import sigmoid
    >>> print(source(sigmoid(-sp.sinh(Z)), "torch", "phi_c"))
    import torch
    <BLANKLINE>
    <BLANKLINE>
    def phi_c(z):
        return torch.sigmoid(-torch.sinh(z))
    <BLANKLINE>
    """
    if dialect not in DIALECTS:
        raise InvalidArgument(unknown("dialect", dialect, DIALECTS))
    if not name.isidentifier():
        raise InvalidArgument(f"{name!r} is no name for a function")
    return _Printer(DIALECTS[dialect], Tape([exprs] if isinstance(exprs, sp.Basic) else exprs, [symbol])).text(name)


class _Printer:
    """One expression a line where it is used more than once; what the library lacks becomes a function above."""

    def __init__(self, dialect: type[_Python], tape: Tape) -> None:
        self.dialect, self.tape = dialect(), tape
        self.helpers: dict[str, str] = {}
        self.lines: list[str] = []
        uses = [i for op in tape.operations for i in op.args] + list(tape.outputs)
        self.shared = {i for i in uses if uses.count(i) > 1}

    def text(self, name: str) -> str:
        terms: list[str] = []
        for i, op in enumerate(self.tape.operations):
            term = self._term(op, [terms[j] for j in op.args])
            if i in self.shared and op.args:
                self.lines.append(f"v{i} = {_bare(term)}")
                term = f"v{i}"
            terms.append(term)
        outputs = ", ".join(_bare(terms[i]) for i in self.tape.outputs)
        inputs = ", ".join(symbol.name for symbol in self.tape.symbols)
        body = "\n".join([*self.lines, f"return {outputs}"])
        if self.dialect.QUIET and ("where" in {op.name for op in self.tape.operations} or self.helpers):
            body = f"{self.dialect.QUIET}\n{textwrap.indent(body, '    ')}"
        return (
            "\n\n\n".join(["\n".join(self.dialect.IMPORTS), *self.helpers.values(), _function(name, inputs, body)])
            + "\n"
        )

    def _term(self, op: Operation, args: list[str]) -> str:
        if op.name == "input":
            return str(op.value)
        if op.name == "constant":
            return _bare(str(self.dialect.constant(op.value)))
        if op.name == "neg":
            return f"-{args[0]}"
        if op.name == "power":
            return f"(({args[0]}) ** ({args[1]}))"
        if op.name in INFIX:
            return f"({args[0]} {INFIX[op.name]} {args[1]})"
        if op.name == "integer_power":
            return f"({args[0]})**{op.value}" if op.value >= 0 else f"(1 / ({args[0]})**{-op.value})"
        if op.name == "where":
            numbers = [self.tape.operations[i].name == "constant" for i in op.args]
            like = self.tape.symbols[0].name
            args = [
                self.dialect.FILLED.format(like=like, value=arg) if bare else arg
                for arg, bare in zip(args, numbers, strict=True)
            ]
        if op.name in self.dialect.CALLS:
            return self.dialect.CALLS[op.name].format(*map(_bare, args))
        if op.name not in self.helpers:
            self.helpers[op.name] = _helper(type(self.dialect)(), op.name)
        return f"{op.name}({', '.join(map(_bare, args))})"


def _helper(text: _Python, name: str) -> str:
    """A composite as a function."""
    result = getattr(text, name)(Term(text, "x"))
    return _function(name, "x", "\n".join([*text.lines, f"return {result}"]))


def _function(name: str, inputs: str, body: str) -> str:
    return f"def {name}({inputs}):\n{textwrap.indent(body, '    ')}"


def _bare(term: str) -> str:
    """A term without brackets that enclose all of it."""
    if not (term.startswith("(") and term.endswith(")")):
        return term
    depth = 0
    for i, ch in enumerate(term):
        depth += (ch == "(") - (ch == ")")
        if depth == 0 and i < len(term) - 1:
            return term
    return term[1:-1]
