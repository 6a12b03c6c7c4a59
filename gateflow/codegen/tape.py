"""Expressions flattened into a list of operations, to be played over any arithmetic."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gateflow.arithmetic import float64
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.formula.functions import NAMES
from gateflow.formula.vocabulary import Expr, Z, expression


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
    >>> from gateflow.formula.functions import sigmoid
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
        self._constant: dict[Any, bool] = {}
        for symbol in self.symbols:
            self._seen[symbol] = self._append(Operation("input", (), symbol.name))
        self.outputs: tuple[int, ...] = tuple(self._visit(expression(expr)) for expr in exprs)

    def __call__(self, arithmetic: Any, *inputs: Any) -> list[Any]:
        """Play the tape, without floating-point warnings; inputs and outputs are numbers of ``arithmetic``."""
        values: list[Any] = []
        feed = iter(inputs)
        with np.errstate(all="ignore"):
            if arithmetic is float64:
                values += [next(feed) for _ in self.symbols]
                for function, args in self._steps:
                    values.append(function(*[values[i] for i in args]) if args else function)
            else:
                for op in self.operations:
                    values.append(_play(arithmetic, op, [values[i] for i in op.args], feed))
        return [values[i] for i in self.outputs]

    @functools.cached_property
    def _steps(self) -> list[tuple[Any, tuple[int, ...]]]:
        """What follows the inputs in float64: the function and its arguments, or a constant; looked up once."""
        steps: list[tuple[Any, tuple[int, ...]]] = []
        for op in self.operations[len(self.symbols) :]:
            if op.name == "constant":
                steps.append((_constant(float64, op.value), ()))
            else:
                function = _function(float64.INSIDE, op)
                steps.append(
                    (function if op.value is None else functools.partial(_swapped, function, op.value), op.args)
                )
        return steps

    def __getstate__(self) -> dict[str, Any]:
        return {name: kept for name, kept in vars(self).copy().items() if name != "_steps"}

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

    def _is_constant(self, expr: Any) -> bool:
        """Whether it is free of symbols: each part is looked at once."""
        if expr not in self._constant:
            self._constant[expr] = not expr.is_Symbol and all(map(self._is_constant, expr.args))
        return self._constant[expr]

    def _record(self, expr: Any) -> int:
        if self._is_constant(expr):
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
        if isinstance(expr, (sp.sin, sp.cos)) and (phase := _large_phase(expr.args[0])) is not None:
            return self._visit(_turned(expr.func, *phase))
        name = NAMES.get(expr.func)
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


PHASE = 1e6
"""A constant past this is not added to what a sine is taken of: ``4*z + 1e30`` rounds to ``1e30``."""


def _large_phase(x: Expr) -> tuple[Expr, Expr] | None:
    """What moves in the argument of a sine, and the constant added to it, where this is large."""
    if not x.is_Add:
        return None
    fixed = [term for term in x.args if not term.free_symbols]
    large = any(abs(sp.N(term)) > PHASE for term in fixed)
    return (sp.Add(*(term for term in x.args if term.free_symbols)), sp.Add(*fixed)) if large else None


def _turned(function: Any, x: Expr, phase: Expr) -> Expr:
    """``sin(x + phase)`` or ``cos(x + phase)``; the constants are computed in as many digits as they need."""
    if function is sp.sin:
        return sp.sin(x) * sp.cos(phase) + sp.cos(x) * sp.sin(phase)
    return sp.cos(x) * sp.cos(phase) - sp.sin(x) * sp.sin(phase)


_ORDERS = (sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan)


def _play(arithmetic: Any, op: Operation, args: list[Any], feed: Iterator[Any]) -> Any:
    if op.name == "input":
        return next(feed)
    if op.name == "constant":
        return _constant(arithmetic, op.value)
    function = _function(arithmetic, op)
    return function(*args) if op.value is None else function(*args, op.value)


def _constant(arithmetic: Any, value: Any) -> Any:
    if value in (sp.oo, -sp.oo):
        return arithmetic.lift(float(value))
    is_no_number = value in (sp.nan, sp.zoo) or value.is_real is False
    return arithmetic.lift(math.nan) if is_no_number else arithmetic.constant(value)


def _function(arithmetic: Any, op: Operation) -> Callable[..., Any]:
    if op.name in _OPERATORS:
        return _OPERATORS[op.name]
    function = getattr(arithmetic, op.name, None)
    if function is None:
        raise GateflowError(f"no numerical form of {op.name!r} is known in {arithmetic.name}")
    return function


def _swapped(function: Callable[..., Any], value: Any, *args: Any) -> Any:
    return function(*args, value)


_OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
    "and": operator.and_,
    "or": operator.or_,
}
