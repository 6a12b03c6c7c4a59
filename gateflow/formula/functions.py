"""The elementary functions, each declared once: its name, its SymPy node, where it is defined and how it runs there.

`FUNCTIONS` are the words of the formula language. The others stand in no formula that is read: rewriting puts them in
(`gateflow.codegen.rewrite`), where a function would cancel, underflow or overflow.

docs/howto/function.md adds a word, step by step. What the functions are in numbers is in
`gateflow.arithmetic.composites`.

SymPy has no logistic function, softplus, softsign or logit of its own. Written out in exponentials they lose their
digits and their meaning, so they are nodes here, with exact derivatives and a ``rewrite(exp)`` into elementary ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp
from sympy.codegen import cfunctions

from gateflow.formula import accuracy as accuracy  # which keeps SymPy from digits that are lost, and by
from gateflow.formula import powers as powers  # which keeps SymPy from numbers of very many digits

R = (-sp.oo, sp.oo)
"""The real line, as a domain."""


@dataclass(frozen=True)
class Elementary:
    """What is known of one function of a real number, beside its node.

    Parameters
    ----------
    name : str
        In formulas, on tapes, and as the function of every arithmetic.
    says : str
        What it is, in one line.
    domain : pair of SymPy numbers
        Where it is real: from, to. An end belongs to it where the function has a finite limit there.
    ends : pair of SymPy numbers, optional
        Its limits at the ends of the domain, between which it is monotone; None where it is not.
    even : bool
        Domain and ends are then those of its right half.
    """

    name: str
    says: str
    domain: tuple[Any, Any] = R
    ends: tuple[Any, Any] | None = None
    even: bool = False

    @cached_property
    def direction(self) -> int:
        """1 where it increases on its domain, or on the right half of it if even; -1 where it decreases; else 0."""
        return 0 if self.ends is None else int(sp.sign(self.ends[1] - self.ends[0]))

    def asks(self, x: Any) -> list[tuple[Any, int]]:
        """What it asks of its argument: expressions that are to be at least 0 (0) or above 0 (1).

        Examples
        --------
        >>> x = sp.Symbol("x")
        >>> ELEMENTARY["acosh"].asks(x), ELEMENTARY["logit"].asks(x), ELEMENTARY["cosh"].asks(x)
        ([(x - 1, 0)], [(x, 1), (1 - x, 1)], [])
        """
        finite = [end for end in (0, 1) if not self.even and self.domain[end].is_finite]
        gaps = [(self.domain[1] - x if end else x - self.domain[0], end) for end in finite]
        return [(gap, int(self.ends is None or not self.ends[end].is_finite)) for gap, end in gaps]


ELEMENTARY: dict[str, Elementary] = {}
"""Every function, by name."""

NAMES: dict[Any, str] = {}
"""The names of functions, by node."""

FUNCTIONS: dict[str, Any] = {}
"""Every function a formula may call: its node, by name; ``where(condition, a, b)`` is syntax, not a function."""


def declare(node: Any, name: str, says: str, *, word: bool = True, **facts: Any) -> None:
    """Declare a function by SymPy's node, or None; `facts` are those of `Elementary`, a ``word`` stands in formulas."""
    if name in ELEMENTARY:
        raise ValueError(f"{name} is declared already: it stands for {ELEMENTARY[name].says}")
    ELEMENTARY[name] = Elementary(name, says, **facts)
    if node is not None:
        NAMES[node] = name
    if word:
        FUNCTIONS[name] = node


def declared(**facts: Any) -> Callable[[type], Any]:
    """Declare a function by a node of ours: its name is that of the class, and what it says the class's docstring."""

    def decorated(node: Any) -> Any:
        declare(node, node.__name__, node.__doc__.partition("\n")[0].rstrip("."), **facts)
        return node

    return decorated


SHORT: set[str] = set()
"""Words that are short for others: a formula is read as if these stood there."""


def short(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Declare a word by what it is short for: a function of SymPy expressions, the docstring of which says what it is.

    Nothing else has to know of it: numbers, derivatives, limits and proofs are those of the words it stands for.
    """
    declare(None, function.__name__, str(function.__doc__).partition("\n")[0].rstrip("."), word=False)
    FUNCTIONS[function.__name__] = function
    SHORT.add(function.__name__)
    return function


class Node(sp.Function):
    """A real function of one real number, with numbers of its own: see `gateflow.arithmetic.composites`."""

    nargs = 1
    is_real = True

    @classmethod
    def written_out(cls, x: Any) -> Any:
        """The node in elementary functions of ``x``."""
        raise AssertionError(cls)

    def _eval_rewrite_as_exp(self, x: Any, **_: Any) -> Any:
        return self.written_out(x)

    def _eval_evalf(self, prec: int) -> Any:
        return self.written_out(self.args[0])._eval_evalf(prec)


def written_out(expr: Any) -> Any:
    """An expression with the nodes that are ours in elementary functions.

    Examples
    --------
    >>> x = sp.Symbol("x", real=True)
    >>> written_out(softplus(softsign(x)))
    log(exp(x/(Abs(x) + 1)) + 1)
    """
    return expr.replace(lambda node: isinstance(node, Node), lambda node: node.written_out(*node.args))


# --- words of the formula language: SymPy's own -----------------------------------------------------------------------

declare(sp.exp, "exp", "the exponential", ends=(sp.S.Zero, sp.oo))
declare(sp.log, "log", "the natural logarithm", domain=(sp.S.Zero, sp.oo), ends=R)
declare(sp.sqrt, "sqrt", "the square root", domain=(sp.S.Zero, sp.oo), ends=(sp.S.Zero, sp.oo))
declare(sp.sin, "sin", "the sine")
declare(sp.cos, "cos", "the cosine")
declare(sp.tan, "tan", "the tangent")
declare(sp.sinh, "sinh", "the hyperbolic sine", ends=R)
declare(sp.cosh, "cosh", "the hyperbolic cosine", domain=(sp.S.Zero, sp.oo), ends=(sp.S.One, sp.oo), even=True)
declare(sp.tanh, "tanh", "the hyperbolic tangent", ends=(-sp.S.One, sp.S.One))
declare(sp.asinh, "asinh", "the inverse hyperbolic sine", ends=R)
declare(sp.acosh, "acosh", "the inverse hyperbolic cosine", domain=(sp.S.One, sp.oo), ends=(sp.S.Zero, sp.oo))
declare(sp.atanh, "atanh", "the inverse hyperbolic tangent", domain=(-sp.S.One, sp.S.One), ends=R)
declare(sp.atan, "atan", "the inverse tangent", ends=(-sp.pi / 2, sp.pi / 2))
declare(sp.erf, "erf", "the error function", ends=(-sp.S.One, sp.S.One))
declare(sp.erfc, "erfc", "1 - erf(x)", ends=(sp.Integer(2), sp.S.Zero))
declare(sp.loggamma, "loggamma", "the logarithm of the gamma function", domain=(sp.S.Zero, sp.oo), ends=(sp.oo, sp.oo))
declare(sp.Abs, "abs", "the absolute value", domain=(sp.S.Zero, sp.oo), ends=(sp.S.Zero, sp.oo), even=True)
declare(sp.sign, "sign", "the sign: -1, 0 or 1")


# --- words of the formula language: ours ------------------------------------------------------------------------------


@declared(ends=(sp.S.Zero, sp.S.One))
class sigmoid(Node):
    """The logistic function ``1/(1 + exp(-x))``."""

    is_positive = True

    @classmethod
    def eval(cls, x: Any) -> Any:
        return {sp.S.Zero: sp.S.Half, sp.S.Infinity: sp.S.One, sp.S.NegativeInfinity: sp.S.Zero}.get(x)

    @classmethod
    def written_out(cls, x: Any) -> Any:
        return 1 / (1 + sp.exp(-x))

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(self.args[0]) * sigmoid(-self.args[0])

    def _latex(self, printer: Any, exp: str | None = None) -> str:
        return rf"\sigma{'^{' + exp + '}' if exp else ''}\left({printer._print(self.args[0])}\right)"


@declared(ends=(sp.S.Zero, sp.oo))
class softplus(Node):
    """``log(1 + exp(x))``."""

    is_positive = True

    @classmethod
    def written_out(cls, x: Any) -> Any:
        return sp.log(1 + sp.exp(x))

    def fdiff(self, argindex: int = 1) -> Any:
        return sigmoid(self.args[0])


@declared(ends=(-sp.S.One, sp.S.One))
class softsign(Node):
    """``x/(1 + |x|)``."""

    @classmethod
    def eval(cls, x: Any) -> Any:
        return {sp.S.Zero: sp.S.Zero, sp.S.Infinity: sp.S.One, sp.S.NegativeInfinity: sp.S.NegativeOne}.get(x)

    @classmethod
    def written_out(cls, x: Any) -> Any:
        return x / (1 + sp.Abs(x))

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 / (1 + sp.Abs(self.args[0])) ** 2


@declared(domain=(sp.S.Zero, sp.S.One), ends=R)
class logit(Node):
    """``log(p/(1 - p))``, the inverse of the logistic function."""

    @classmethod
    def eval(cls, p: Any) -> Any:
        return sp.S.Zero if p == sp.S.Half else p.args[0] if isinstance(p, sigmoid) else None

    @classmethod
    def written_out(cls, p: Any) -> Any:
        return sp.log(p / (1 - p))

    def fdiff(self, argindex: int = 1) -> Any:
        return 1 / (self.args[0] * (1 - self.args[0]))


# --- functions that rewriting puts in ---------------------------------------------------------------------------------

expm1: Any = cfunctions.expm1
log1p: Any = cfunctions.log1p

declare(expm1, "expm1", "exp(x) - 1", word=False, ends=(-sp.S.One, sp.oo))
declare(log1p, "log1p", "log(1 + x)", word=False, domain=(-sp.S.One, sp.oo), ends=R)
declare(None, "erfcx", "exp(x**2) erfc(x)", word=False, ends=(sp.oo, sp.S.Zero))
declare(None, "digamma", "the derivative of loggamma", word=False, domain=(sp.S.Zero, sp.oo), ends=R)
declare(None, "trigamma", "the derivative of digamma", word=False, domain=(sp.S.Zero, sp.oo), ends=(sp.oo, sp.S.Zero))


class erfc(sp.Function):
    """``1 - erf(x)``; SymPy's own node turns ``erfc(-x)`` into ``2 - erfc(x)``, which cancels."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Any:
        return -2 / sp.sqrt(sp.pi) * sp.exp(-(self.args[0] ** 2))


NAMES[erfc] = "erfc"


@declared(word=False, ends=(sp.pi, sp.S.Zero))
class acot(sp.Function):
    """Inverse cotangent with values in (0, pi): ``pi/2 - atan(x)`` without the cancellation."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Any:
        return -1 / (1 + self.args[0] ** 2)


@declared(word=False, ends=(sp.log(2), -sp.oo))
class log_erfc(sp.Function):
    """``log(erfc(x))``, finite where ``erfc(x)`` underflows."""


@declared(word=False, ends=(sp.oo, -sp.oo))
class log_erfcx(sp.Function):
    """``log(exp(x**2) erfc(x))``: what is left of ``log_erfc`` beside ``-x**2``."""


@declared(word=False, ends=(-sp.oo, sp.log(sp.pi / 2)))
class log_atan_exp(sp.Function):
    """``log(atan(exp(x)))``, which tends to x where ``exp(x)`` underflows."""


@declared(word=False, ends=(sp.S.Zero, -sp.oo))
class log_atan_ratio(sp.Function):
    """``log(atan(exp(x))/exp(x))``: what is left of ``log_atan_exp`` beside x."""


@declared(word=False, domain=(sp.S.Zero, sp.oo), ends=(sp.S.Zero, sp.oo), even=True)
class log_cosh(sp.Function):
    """``log(cosh(x))``, finite where ``cosh(x)`` overflows."""


@declared(word=False, domain=(sp.S.Zero, sp.oo), ends=(sp.S.Zero, sp.oo), even=True)
class log_hypot(sp.Function):
    """``log(sqrt(1 + x**2))``, finite where ``x**2`` overflows."""


@declared(word=False, domain=(sp.S.Zero, sp.oo), ends=(-sp.oo, sp.S.Zero))
class log1mexp(sp.Function):
    """``log(1 - exp(-x))`` for x > 0."""


@declared(word=False)
class log_expm1(sp.Function):
    """``log(abs(exp(x) - 1))``, finite where ``exp(x)`` overflows."""


@declared(word=False, ends=(-sp.oo, sp.S.Zero))
class log_cloglog(sp.Function):
    """``log(1 - exp(-exp(x)))``, which tends to x where ``exp(x)`` underflows."""


@declared(word=False, ends=R)
class log_softplus(sp.Function):
    """``log(log(1 + exp(x)))``, which tends to x where ``exp(x)`` underflows."""


class log_add(sp.Function):
    """``log(exp(x) + exp(y))``, from the larger of the two, which may be past 1/eps times the smaller."""

    is_real = True

    def fdiff(self, argindex: int = 1) -> Any:
        x, y = self.args
        return sigmoid(x - y if argindex == 1 else y - x)


NAMES[log_add] = "log_add"
