"""From the syntax tree to SymPy, leaves first; before each node is made, its outcome is bounded."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from typing import Any, NamedTuple, NoReturn

import sympy as sp

from gateflow.errors import FormulaError
from gateflow.formula.bounds import Foreign, KnownFacts, Refusal
from gateflow.formula.calls import CountedCalls, Exhausted
from gateflow.formula.functions import ELEMENTARY, SHORT
from gateflow.formula.guards import (
    check_constant_argument,
    check_constant_base,
    check_product,
    check_rational_power,
    check_sum,
)
from gateflow.formula.limits import MAX_CALLS, MAX_DEPTH, MAX_POWER, MAX_WEIGHT
from gateflow.formula.names import function_name
from gateflow.formula.tree import COMPARISONS
from gateflow.formula.vocabulary import FUNCTIONS


class Demand(NamedTuple):
    """What a formula, as it is written, asks for; SymPy may simplify the node away, and the demand with it."""

    expr: sp.Expr
    least: int
    """The expression is to be at least 0 (0), above 0 (1), or other than 0 (2)."""
    node: str
    """The node that asks for it, as it is written."""
    path: tuple[tuple[Any, bool], ...]
    """The conditions of the cases in which it stands, each with whether it is to hold."""


class Builder:
    """From the syntax tree to SymPy, leaves first, no node before its bounds are known."""

    def __init__(self, text: str, tidy: str, names: Mapping[str, sp.Expr]) -> None:
        self.text, self.names, self.bounds = text, names, KnownFacts()
        self.calls = CountedCalls(MAX_CALLS)
        self.demands: list[Demand] = []
        self.path: tuple[tuple[Any, bool], ...] = ()
        self.blanks = len(tidy) - len(tidy.lstrip(" "))
        self.source = tidy[self.blanks :].encode()

    def formula(self, tree: ast.expr) -> sp.Expr:
        try:
            with self.calls:
                return self.build(tree, 0)
        except RecursionError:
            raise FormulaError("the formula is too large: nested too deep", self.text, 0, len(self.text)) from None

    def build(self, node: ast.expr, depth: int) -> sp.Expr:
        """The expression of a node; what goes wrong in it is reported at its place."""
        try:
            self.calls.check()
            if depth > MAX_DEPTH:
                raise Refusal(f"the formula is too large: it nests more than {MAX_DEPTH} deep")
            return self.settled(self.node(node, depth + 1))
        except Refusal as refusal:
            self.refuse(str(refusal), node)
        except Exhausted:
            self.refuse("the formula is too large: SymPy takes too long over it", node)
        except (ArithmeticError, TypeError, ValueError, NotImplementedError) as fault:
            self.refuse(f"SymPy cannot build this ({type(fault).__name__})", node)

    def settled(self, expr: sp.Expr) -> sp.Expr:
        """``expr`` itself once it is known to be sound and within the vocabulary."""
        try:
            self.bounds.of(expr)
        except Foreign:
            # All is real here, whether SymPy can tell or not; tan(x + pi/2) is the one way to a cotangent.
            expr = expr.replace(sp.re, lambda x: x).replace(sp.im, lambda _: sp.S.Zero)
            expr = expr.replace(sp.cot, lambda x: sp.cos(x) / sp.sin(x))
            try:
                self.bounds.of(expr)
            except Foreign as foreign:
                raise Refusal(f"SymPy turns this into {foreign}, which formulas do not have") from None
        return expr

    def node(self, node: ast.expr, depth: int) -> sp.Expr:
        match node:
            case ast.Constant(value=int() | float()):
                return sp.Rational(self.written(node))
            case ast.Name(id=name) if name in self.names:
                return self.names[name]
            case ast.UnaryOp(op=ast.USub()):
                return self.product([sp.S.NegativeOne, self.build(node.operand, depth)])
            case ast.UnaryOp(op=ast.UAdd()):
                return self.build(node.operand, depth)
            case ast.BinOp(op=ast.Add() | ast.Sub()):
                terms = self.chain(node, (ast.Add, ast.Sub), depth)
                check_sum(terms)
                return sp.Add(*terms)
            case ast.BinOp(op=ast.Mult() | ast.Div()):
                return self.product(self.chain(node, (ast.Mult, ast.Div), depth))
            case ast.BinOp(op=ast.Pow()):
                base, exponent = self.build(node.left, depth), self.build(node.right, depth)
                self.demand_of_power(base, exponent, node)
                return self.power(base, exponent)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=[]):
                return self.call(node, function_name(name, self.names), args, depth)
            case ast.Compare():
                raise Refusal("a comparison belongs inside where(condition, a, b)")
            case _:
                raise Refusal(f"{type(node).__name__} is not part of a formula")

    def chain(self, node: ast.expr, operators: tuple[type[ast.operator], ...], depth: int) -> list[sp.Expr]:
        """The terms of ``a + b - c`` or the factors of ``a*b/c``, in one list: long sums are not deep."""
        parts: list[sp.Expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, operators):
            part = self.build(node.right, depth)
            if isinstance(node.op, ast.Sub):
                part = self.product([sp.S.NegativeOne, part])
            elif isinstance(node.op, ast.Div):
                part = self.reciprocal(part, node.right)
            parts.append(part)
            node = node.left
        if operators[0] is ast.Mult and isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            # -(a + b)*c as SymPy keeps it: the sign is a factor, not multiplied into the sum.
            parts.append(sp.S.NegativeOne)
            node = node.operand
        return [self.build(node, depth), *reversed(parts)]

    def reciprocal(self, part: sp.Expr, node: ast.expr) -> sp.Expr:
        if self.bounds.of(part).value == 0:
            self.refuse("division by zero, or by a constant that cannot be distinguished from zero", node)
        self.demand_of_power(part, sp.S.NegativeOne, node)
        return self.settled(self.power(part, sp.S.NegativeOne))

    def demand_of_power(self, base: sp.Expr, exponent: sp.Expr, node: ast.expr) -> None:
        """A root wants a base of at least 0, a negative power one that is not 0."""
        if base.free_symbols and exponent.is_Rational:
            if not exponent.is_Integer:
                self.demand(base, 0, node)
            if exponent < 0:
                self.demand(base, 2, node)

    def demand(self, expr: sp.Expr, least: int, node: ast.expr) -> None:
        self.demands.append(Demand(expr, least, self.written(node), self.path))

    def product(self, factors: list[sp.Expr]) -> sp.Expr:
        check_product(factors)
        return sp.Mul(*factors)

    def power(self, base: sp.Expr, exponent: sp.Expr) -> sp.Expr:
        if base is sp.E:
            return self.apply("exp", exponent)
        below, above = self.bounds.of(base), self.bounds.of(exponent)
        if isinstance(exponent, sp.Rational):
            check_rational_power(base, exponent)
        if below.value is not None:
            check_constant_base(below.value, above.value, exponent)
        if self.bounds.weight(sp.Pow, [below, above]) > MAX_WEIGHT:
            raise Refusal("the power is too large")
        result = sp.Pow(base, exponent)
        if isinstance(result, sp.Pow) and isinstance(result.exp, sp.Rational) and abs(result.exp) > MAX_POWER:
            raise Refusal(f"the power is too large: at most {MAX_POWER}")
        return result

    def call(self, node: ast.expr, name: str | None, args: list[ast.expr], depth: int) -> sp.Expr:
        if name is None:
            raise Refusal("this is not a function")
        if name == "where":
            return self.where(args, depth)
        if len(args) != 1:
            raise Refusal(f"'{name}' takes one argument, not {len(args) or 'none'}")
        arg = self.build(args[0], depth)
        for expr, least in ELEMENTARY[name].asks(arg) if arg.free_symbols else ():
            self.demand(expr, least, node)
        return self.apply(name, arg)

    def apply(self, name: str, arg: sp.Expr) -> sp.Expr:
        """A function of one argument."""
        func, facts = FUNCTIONS[name], self.bounds.of(arg)
        if name == "sqrt":
            return self.power(arg, sp.S.Half)
        if facts.value is not None and name not in SHORT:
            check_constant_argument(name, func, arg, facts.value)
        if (name == "exp" or name in SHORT) and self.bounds.weight(sp.exp, [facts]) > MAX_WEIGHT:
            raise Refusal("the power that this amounts to is too large")
        return _absolute(arg) if name == "abs" else func(arg)

    def where(self, args: list[ast.expr], depth: int) -> sp.Expr:
        if len(args) != 3:
            raise Refusal(f"'where' takes three arguments, where(condition, a, b), not {len(args) or 'none'}")
        condition = self.condition(args[0], depth)
        then, otherwise = (self.case(arg, (condition, i == 0), depth) for i, arg in enumerate(args[1:]))
        # where(p, a, where(q, b, c)) is one Piecewise of three; SymPy would nest two.
        rest = otherwise.args if isinstance(otherwise, sp.Piecewise) else ((otherwise, True),)
        flat = sp.Piecewise((then, condition), *rest)
        if flat.has(sp.And, sp.Or):  # SymPy has joined neighbours of equal value; nested, it leaves them alone
            return sp.Piecewise((then, condition), (otherwise, True))
        return flat

    def case(self, node: ast.expr, condition: tuple[Any, bool], depth: int) -> sp.Expr:
        """One of the two values of ``where``."""
        before, self.path = self.path, (*self.path, condition)
        try:
            return self.build(node, depth)
        finally:
            self.path = before

    def condition(self, node: ast.expr, depth: int) -> Any:
        if not isinstance(node, ast.Compare):
            self.refuse("the first argument of where is a comparison, such as z > 0", node)
        if len(node.ops) > 1:
            self.refuse("one comparison at a time; nest where(a < b, where(b < c, ...), ...)", node)
        inner = next((n for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == "where"), None)
        if inner is not None:
            self.refuse("a condition has no where of its own; nest where in its second or third argument", inner)
        left, right = self.build(node.left, depth), self.build(node.comparators[0], depth)
        return COMPARISONS[type(node.ops[0])](left, right)

    # --- places ---

    def written(self, node: ast.expr) -> str:
        return self.source[node.col_offset : node.end_col_offset].decode()

    def refuse(self, message: str, node: ast.expr) -> NoReturn:
        start = self.blanks + len(self.source[: node.col_offset].decode())
        raise FormulaError(message, self.text, start, start + len(self.written(node))) from None


def _absolute(arg: sp.Expr) -> sp.Expr:
    """``abs`` of a real. Signs that are known go first: ``Abs`` would rewrite what stands inside of them."""
    outside, inside = [], []
    for factor in sp.Mul.make_args(arg):
        if isinstance(factor, sp.exp) or factor.is_extended_nonnegative:
            outside.append(factor)
        elif factor.is_extended_nonpositive:
            outside.append(-factor)
        else:
            inside.append(factor)
    return sp.Mul(*outside, sp.Abs(sp.Mul(*inside)))
