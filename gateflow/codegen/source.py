"""A tape as NumPy or PyTorch source: one function, with the few helpers it needs, to be used without gateflow."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable
from dataclasses import dataclass, field

import sympy as sp

from gateflow.codegen.tape import Operation, Tape
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.formula.vocabulary import Expr, Z


@dataclass(frozen=True)
class Dialect:
    """How one library spells the operations of a tape; ``helpers`` are functions the library has no name for."""

    imports: tuple[str, ...]
    names: dict[str, str]
    helpers: dict[str, str] = field(default_factory=dict)
    quiet: str = ""
    """A line under which the branch not taken raises no warning."""
    filled: str = "{value}"
    """A number as an array like the first input, where a function of the library takes no bare number."""


_COMMON = ["exp", "expm1", "log", "log1p", "sqrt", "sin", "cos", "tan", "sinh", "cosh", "tanh", "sign", "abs"]

_NUMPY = Dialect(
    imports=("import numpy as np", "import scipy.special"),
    quiet='with np.errstate(all="ignore"):',
    names={
        **{key: f"np.{key}" for key in _COMMON},
        **{key: f"np.arc{key[1:]}" for key in ("asinh", "acosh", "atanh", "atan")},
        **{key: f"scipy.special.{key}" for key in ("erf", "erfc", "logit")},
        "sigmoid": "scipy.special.expit",
        "loggamma": "scipy.special.gammaln",
        "digamma": "scipy.special.digamma",
        "log_add": "np.logaddexp",
        "where": "np.where",
    },
    helpers={
        "softplus": "return np.logaddexp(x, 0.0)",
        "softsign": "return x / (1 + np.abs(x))",
        "acot": "return np.arctan2(1.0, x)",
        "log_cosh": "return np.logaddexp(x, -x) - np.log(2.0)",
        "log_erfc": "return scipy.special.log_ndtr(-np.sqrt(2.0) * x) + np.log(2.0)",
        "log_erfcx": "return np.log(scipy.special.erfcx(x))",
        "log_expm1": "r = np.abs(x)\nreturn np.maximum(x, 0.0) + np.where("
        "r < 0.6931, np.log(-np.expm1(-r)), np.log1p(-np.exp(-r)))",
        "log_atan_exp": "w = np.exp(np.minimum(x, 700.0))\n"
        "return np.where(x < -37, x, np.log(np.arctan(np.where(x < -37, 1.0, w))))",
        "log_atan_ratio": "w = np.exp(np.clip(x, -37.0, 700.0))\nreturn np.log(np.arctan(w) / w)",
        "log1mexp": "return np.where(x < 0.6931, np.log(-np.expm1(-x)), np.log1p(-np.exp(-x)))",
        "log_cloglog": "w = np.exp(np.minimum(x, 700.0))\n"
        "return np.where(x < -37, x, np.where(x < 0, np.log(-np.expm1(-w)), np.log1p(-np.exp(-w))))",
        "log_softplus": "return np.where(x < -37, x, np.log(np.logaddexp(np.maximum(x, -37), 0.0)))",
        "trigamma": "return scipy.special.polygamma(1, x)",
    },
)

_TORCH = Dialect(
    imports=("import torch",),
    filled="torch.full_like({like}, {value})",
    names={
        **{key: f"torch.{key}" for key in _COMMON},
        **{key: f"torch.{key}" for key in ("asinh", "acosh", "atanh", "atan", "erf", "erfc", "logit", "digamma")},
        "sigmoid": "torch.sigmoid",
        "loggamma": "torch.lgamma",
        "log_add": "torch.logaddexp",
        "where": "torch.where",
    },
    helpers={
        "softplus": "return torch.logaddexp(x, torch.zeros_like(x))",
        "softsign": "return x / (1 + torch.abs(x))",
        "acot": "return torch.atan2(torch.ones_like(x), x)",
        "log_cosh": "return torch.logaddexp(x, -x) - 0.6931471805599453",
        "log_erfc": "return torch.special.log_ndtr(-1.4142135623730951 * x) + 0.6931471805599453",
        "log_erfcx": "return torch.log(torch.special.erfcx(x))",
        "log_expm1": "r = torch.abs(x)\nreturn x.clamp(min=0.0) + torch.where("
        "r < 0.6931, torch.log(-torch.expm1(-r)), torch.log1p(-torch.exp(-r)))",
        "log_atan_exp": "w = torch.exp(x.clamp(min=-37.0, max=80.0))\n"
        "return torch.where(x < -37, x, torch.log(torch.atan(w)))",
        "log_atan_ratio": "w = torch.exp(x.clamp(min=-37.0, max=80.0))\nreturn torch.log(torch.atan(w) / w)",
        "log1mexp": "return torch.where(x < 0.6931, torch.log(-torch.expm1(-x)), torch.log1p(-torch.exp(-x)))",
        "log_cloglog": "w = torch.exp(x.clamp(max=80.0))\n"
        "return torch.where(x < -37, x, torch.where(x < 0, torch.log(-torch.expm1(-w)), torch.log1p(-torch.exp(-w))))",
        "log_softplus": "near = x.clamp(min=-37.0)\n"
        "return torch.where(x < -37, x, torch.log(torch.logaddexp(near, torch.zeros_like(near))))",
        "trigamma": "return torch.special.polygamma(1, x)",
    },
)

DIALECTS = {"numpy": _NUMPY, "torch": _TORCH}

INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "div": "/",
    "less": "<",
    "less_equal": "<=",
    "and": "&",
    "or": "|",
}
"""Operations that are written between their two arguments, in every dialect of Python."""


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
        raise InvalidArgument(f"unknown dialect {dialect!r}; known: {', '.join(DIALECTS)}")
    if not name.isidentifier():
        raise InvalidArgument(f"{name!r} is no name for a function")
    return _Printer(DIALECTS[dialect], Tape([exprs] if isinstance(exprs, sp.Basic) else exprs, [symbol])).text(name)


class _Printer:
    def __init__(self, dialect: Dialect, tape: Tape) -> None:
        self.dialect, self.tape = dialect, tape
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
        if self.dialect.quiet and ("where" in {op.name for op in self.tape.operations} or self.helpers):
            body = f"{self.dialect.quiet}\n{textwrap.indent(body, '    ')}"
        parts = ["\n".join(self.dialect.imports)]
        parts += [f"def {key}(x):\n{textwrap.indent(text, '    ')}" for key, text in self.helpers.items()]
        parts.append(f"def {name}({inputs}):\n{textwrap.indent(body, '    ')}")
        return "\n\n\n".join(parts) + "\n"

    def _term(self, op: Operation, args: list[str]) -> str:
        if op.name == "input":
            return str(op.value)
        if op.name == "constant":
            number = float(sp.N(op.value, 30))
            return repr(number) if math.isfinite(number) else f'float("{number}")'
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
                self.dialect.filled.format(like=like, value=arg) if bare else arg
                for arg, bare in zip(args, numbers, strict=True)
            ]
        if op.name in self.dialect.helpers:
            self.helpers[op.name] = self.dialect.helpers[op.name]
            return f"{op.name}({', '.join(map(_bare, args))})"
        if op.name not in self.dialect.names:
            raise GateflowError(f"no text is known for {op.name!r}")
        return f"{self.dialect.names[op.name]}({', '.join(map(_bare, args))})"


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
