"""Expressions flattened into a list of operations, to be played over any arithmetic."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gateflow.codegen.rewrite import (
    acot,
    erfc,
    log1mexp,
    log_add,
    log_atan_exp,
    log_atan_ratio,
    log_cloglog,
    log_cosh,
    log_erfc,
    log_erfcx,
    log_expm1,
    log_hypot,
    log_softplus,
)
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.formula.vocabulary import Expr, Z, expm1, expression, log1p, logit, sigmoid, softplus, softsign


@dataclass(frozen=True)
class Operation:
    """One line of a tape: an operation, the lines it takes, and its constant or exponent where it has one."""

    name: str
    args: tuple[int, ...] = ()
    value: Any = None


class Tape:
    """Expressions in named symbols as a list of operations, ready to be played over any arithmetic.

    Parameters
    ----------
    exprs : SymPy expressions
        Outputs, in order. They share their common subexpressions.
    symbols : the input symbols, in order.

    Examples
    --------
    >>> import numpy as np
    >>> from gateflow.arithmetic import float64
    >>> tape = Tape([sigmoid(-sp.sinh(Z))], [Z])
    >>> print(tape)
    0: input z
    1: sinh 0
    2: neg 1
    3: sigmoid 2
    >>> print(tape(float64, np.array([0.0, 3.0]))[0])
    [5.00000000e-01 4.45...e-05]
    """

    def __init__(self, exprs: Iterable[Expr], symbols: Iterable[sp.Symbol] = (Z,)) -> None:
        self.symbols: tuple[Any, ...] = tuple(symbols)
        self.operations: list[Operation] = []
        self._seen: dict[Any, int] = {}
        for symbol in self.symbols:
            self._seen[symbol] = self._append(Operation("input", (), symbol.name))
        self.outputs: tuple[int, ...] = tuple(self._visit(expression(expr)) for expr in exprs)

    def __call__(self, arithmetic: Any, *inputs: Any) -> list[Any]:
        """Play the tape, without floating-point warnings; inputs and outputs are numbers of ``arithmetic``."""
        values: list[Any] = []
        feed = iter(inputs)
        with np.errstate(all="ignore"):
            for op in self.operations:
                values.append(_play(arithmetic, op, [values[i] for i in op.args], feed))
        return [values[i] for i in self.outputs]

    def __str__(self) -> str:
        return "\n".join(
            " ".join([f"{i}:", op.name, *map(str, op.args), *([] if op.value is None else [str(op.value)])])
            for i, op in enumerate(self.operations)
        )

    def _append(self, operation: Operation) -> int:
        self.operations.append(operation)
        return len(self.operations) - 1

    def _visit(self, expr: Any) -> int:
        if expr not in self._seen:
            self._seen[expr] = self._record(expr)
        return self._seen[expr]

    def _record(self, expr: Any) -> int:
        if not expr.free_symbols:
            return self._append(Operation("constant", (), expr))
        if expr.is_Add:
            return self._record_sum(expr)
        if expr.is_Mul:
            return self._record_product(expr)
        if expr.is_Pow and not isinstance(expr, sp.exp):
            return self._record_power(*expr.args)
        if expr.is_Piecewise:
            return self._record_cases(expr)
        if isinstance(expr, sp.polygamma) and expr.args[0] in (0, 1):
            return self._append(Operation(("digamma", "trigamma")[int(expr.args[0])], (self._visit(expr.args[1]),)))
        if isinstance(expr, sp.polygamma) and expr.args[0].is_Integer:
            return self._append(Operation("polygamma", (self._visit(expr.args[1]),), int(expr.args[0])))
        name = _NAMES.get(expr.func)
        if expr.is_Symbol:
            raise InvalidArgument(f"{expr} has no value; numbers need one for each parameter, as in {expr}=2")
        if name is None:
            raise GateflowError(f"no numerical form is known for {expr.func.__name__!r} in {expr}")
        return self._append(Operation(name, tuple(self._visit(arg) for arg in expr.args)))

    def _record_sum(self, expr: sp.Add) -> int:
        terms = sorted(expr.args, key=lambda t: (t.could_extract_minus_sign(), t.sort_key()))
        total = self._visit(terms[0])
        for term in terms[1:]:
            minus = term.could_extract_minus_sign()
            total = self._append(Operation("sub" if minus else "add", (total, self._visit(-term if minus else term))))
        return total

    def _record_product(self, expr: sp.Mul) -> int:
        if expr.could_extract_minus_sign():
            return self._append(Operation("neg", (self._visit(-expr),)))
        top, bottom = [], []
        for factor in expr.args:
            if factor.is_Rational:
                top, bottom = (
                    top + [sp.Integer(factor.p)] * (factor.p != 1),
                    bottom + [sp.Integer(factor.q)] * (factor.q != 1),
                )
            elif factor.is_Pow and factor.exp.is_number and factor.exp.is_negative and not isinstance(factor, sp.exp):
                bottom.append(1 / factor)
            else:
                top.append(factor)
        result = self._product(top)
        return result if not bottom else self._append(Operation("div", (result, self._product(bottom))))

    def _product(self, factors: list[Any]) -> int:
        if not factors:
            return self._visit(sp.S.One)
        result = self._visit(factors[0])
        for factor in factors[1:]:
            result = self._append(Operation("mul", (result, self._visit(factor))))
        return result

    def _record_power(self, base: Expr, n: Expr) -> int:
        if n == sp.S.Half:
            return self._append(Operation("sqrt", (self._visit(base),)))
        if n.is_Integer:
            return self._append(Operation("integer_power", (self._visit(base),), int(n)))
        if n.is_Rational and n.q == 2:
            root = self._visit(sp.sqrt(base))
            return self._append(Operation("integer_power", (root,), int(n.p)))
        return self._append(Operation("power", (self._visit(base), self._visit(n))))

    def _record_cases(self, expr: sp.Piecewise) -> int:
        (value, condition), *rest = expr.args
        if condition == sp.true or not rest:
            return self._visit(value)
        test = self._record_condition(condition)
        other = self._visit(sp.Piecewise(*rest, evaluate=False) if rest[0][1] != sp.true else rest[0][0])
        return self._append(Operation("where", (test, self._visit(value), other)))

    def _record_condition(self, condition: Any) -> int:
        if isinstance(condition, (sp.And, sp.Or)):
            name = "and" if isinstance(condition, sp.And) else "or"
            first, *others = (self._record_condition(part) for part in condition.args)
            for other in others:
                first = self._append(Operation(name, (first, other)))
            return first
        if isinstance(condition, (sp.Equality, sp.Unequality)):
            sides = self._visit(condition.lhs), self._visit(condition.rhs)
            name, both = ("less_equal", "and") if isinstance(condition, sp.Equality) else ("less", "or")
            return self._append(Operation(both, (self._compare(name, *sides), self._compare(name, *sides[::-1]))))
        if not isinstance(condition, _ORDERS):
            raise GateflowError(f"no numerical form is known for the condition {condition}")
        strict = isinstance(condition, (sp.StrictLessThan, sp.StrictGreaterThan))
        return self._compare("less" if strict else "less_equal", self._visit(condition.lts), self._visit(condition.gts))

    def _compare(self, name: str, left: int, right: int) -> int:
        return self._append(Operation(name, (left, right)))


_ORDERS = (sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan)


def _play(arithmetic: Any, op: Operation, args: list[Any], feed: Iterator[Any]) -> Any:
    if op.name == "input":
        return next(feed)
    if op.name == "constant":
        return arithmetic.constant(op.value) if op.value.is_finite else arithmetic.lift(float(op.value))
    if op.name in _OPERATORS:
        return _OPERATORS[op.name](*args)
    if op.name in _COMPOSITES and op.name not in getattr(arithmetic, "OWN", ()):
        return _COMPOSITES[op.name](arithmetic, *args)
    function = getattr(arithmetic, op.name, None)
    if function is None:
        raise GateflowError(f"no numerical form of {op.name!r} is known in {arithmetic.name}")
    return function(*args) if op.value is None else function(*args, op.value)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "and": operator.and_,
    "or": operator.or_,
}


def _play_log_cloglog(arithmetic: Any, x: Any) -> Any:
    """For x < 0: x + log((1 - e^-w)/w) with w = e^x; that ratio is 1 where w underflows."""
    w = arithmetic.exp(x)
    zero = arithmetic.constant(0)
    vanished = arithmetic.less_equal(w, zero)
    safe = arithmetic.where(vanished, arithmetic.constant(1), w)
    ratio = arithmetic.where(vanished, arithmetic.constant(1), -arithmetic.expm1(-safe) / safe)
    return arithmetic.where(arithmetic.less(x, zero), x + arithmetic.log(ratio), arithmetic.log1mexp(w))


def _play_log_softplus(arithmetic: Any, x: Any) -> Any:
    """Below -80, log(1 + e^x) = e^x (1 - e^x/2 + ...), whose logarithm is x to over thirty digits."""
    far = arithmetic.less(x, arithmetic.constant(-80))
    near = arithmetic.where(far, arithmetic.constant(0), x)
    return arithmetic.where(far, x, arithmetic.log(arithmetic.softplus(near)))


def _play_log_erfcx(arithmetic: Any, x: Any) -> Any:
    """``log(erfc(x)) + x**2``; past 100 by the asymptotic series (DLMF 7.12.1), ten terms of which give 31 digits."""
    edge = arithmetic.constant(100)
    far = arithmetic.less(edge, x)
    near, large = arithmetic.where(far, edge, x), arithmetic.where(far, x, edge)
    step = -(arithmetic.constant(1) / large) / large / arithmetic.constant(2)
    total = arithmetic.constant(1)
    for k in range(10, 0, -1):
        total = arithmetic.constant(1) + arithmetic.constant(2 * k - 1) * step * total
    series = arithmetic.log(total) - arithmetic.log(large) - arithmetic.constant(sp.log(sp.pi) / 2)
    return arithmetic.where(far, series, arithmetic.log_erfc(near) + near * near)


def _play_log_atan_ratio(arithmetic: Any, x: Any) -> Any:
    """``log(atan(w)/w)``, w = e^x, which is 0 where w underflows."""
    w = arithmetic.exp(x)
    one = arithmetic.constant(1)
    vanished = arithmetic.less_equal(w, arithmetic.constant(0))
    safe = arithmetic.where(vanished, one, w)
    return arithmetic.log(arithmetic.where(vanished, one, arithmetic.atan(safe) / safe))


def _play_log_atan_exp(arithmetic: Any, x: Any) -> Any:
    right = arithmetic.less(arithmetic.constant(0), x)
    left_x = arithmetic.where(right, arithmetic.constant(0), x)
    return arithmetic.where(
        right, arithmetic.log(arithmetic.atan(arithmetic.exp(x))), left_x + _play_log_atan_ratio(arithmetic, left_x)
    )


def _play_log_expm1(arithmetic: Any, x: Any) -> Any:
    """``x + log(1 - e^-x)`` on the right, ``log(1 - e^x)`` on the left."""
    size = arithmetic.log1mexp(arithmetic.abs(x))
    return arithmetic.where(arithmetic.less(arithmetic.constant(0), x), x + size, size)


def _play_log_add(arithmetic: Any, x: Any, y: Any) -> Any:
    """The larger plus ``log(1 + exp(smaller - larger))``; infinities are not taken from each other."""
    first = arithmetic.less(x, y)
    small, large = arithmetic.where(first, x, y), arithmetic.where(first, y, x)
    finite = arithmetic.isfinite(large)
    apart = arithmetic.where(finite, small - large, arithmetic.constant(0))
    total = arithmetic.where(finite, large + arithmetic.softplus(apart), large)
    return arithmetic.where(arithmetic.less_equal(small, large), total, small + large)


def _play_log_hypot(arithmetic: Any, x: Any) -> Any:
    """``log(1 + x**2)/2``, and ``log |x|`` where x**2 would overflow."""
    size = arithmetic.abs(x)
    half, far = arithmetic.constant(0.5), arithmetic.less(arithmetic.constant(2.0**500), size)
    if not np.any(far):
        return half * arithmetic.log1p(x * x)
    near = arithmetic.where(far, half, size)
    return arithmetic.where(far, arithmetic.log(size), half * arithmetic.log1p(near * near))


_COMPOSITES: dict[str, Callable[..., Any]] = {
    "log_add": _play_log_add,
    "log_atan_exp": _play_log_atan_exp,
    "log_atan_ratio": _play_log_atan_ratio,
    "log_cloglog": _play_log_cloglog,
    "log_erfcx": _play_log_erfcx,
    "log_expm1": _play_log_expm1,
    "log_hypot": _play_log_hypot,
    "log_softplus": _play_log_softplus,
}

_NAMES: dict[Any, str] = {
    sp.exp: "exp",
    expm1: "expm1",
    sp.log: "log",
    log1p: "log1p",
    sp.sin: "sin",
    sp.cos: "cos",
    sp.tan: "tan",
    sp.sinh: "sinh",
    sp.cosh: "cosh",
    sp.tanh: "tanh",
    sp.asinh: "asinh",
    sp.acosh: "acosh",
    sp.atanh: "atanh",
    sp.atan: "atan",
    acot: "acot",
    sp.erf: "erf",
    erfc: "erfc",
    sp.erfc: "erfc",
    log_erfc: "log_erfc",
    log_erfcx: "log_erfcx",
    log_expm1: "log_expm1",
    log_hypot: "log_hypot",
    log_atan_exp: "log_atan_exp",
    log_atan_ratio: "log_atan_ratio",
    sp.loggamma: "loggamma",
    sp.Abs: "abs",
    sp.sign: "sign",
    sigmoid: "sigmoid",
    softplus: "softplus",
    softsign: "softsign",
    logit: "logit",
    log_add: "log_add",
    log_cosh: "log_cosh",
    log1mexp: "log1mexp",
    log_cloglog: "log_cloglog",
    log_softplus: "log_softplus",
}
