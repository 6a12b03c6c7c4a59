"""Tapes over complex balls: rectangles in the complex plane that hold the true value, by python-flint.

Functions have the branch cuts of real analysis. Where an integrand must be analytic, a ball that meets a cut gives no
finite ball, and the quadrature halves its panel.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import flint
import sympy as sp

from gateflow.codegen import Tape
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import Z, expression

OPERATORS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "sub": operator.sub,
    "mul": operator.mul,
    "div": operator.truediv,
    "neg": operator.neg,
}


class BallTape:
    """A tape over complex balls, with its constants and functions looked up once."""

    def __init__(self, tape: Tape, arithmetic: ComplexBalls) -> None:
        self.arithmetic = arithmetic
        self.inputs, self.outputs = len(tape.symbols), tape.outputs
        self.constants: dict[int, Any] = {}
        self.lines: list[tuple[Callable[..., Any], tuple[int, ...], tuple[Any, ...]]] = []
        for k, op in enumerate(tape.operations):
            if op.name == "constant":
                self.constants[k] = arithmetic.constant(op.value)
            elif op.name != "input":
                own = () if op.value is None else (op.value,)
                self.lines.append((OPERATORS.get(op.name) or getattr(arithmetic, op.name), op.args, own))
        self.where = [k for k, op in enumerate(tape.operations) if op.name not in ("input", "constant")]
        self.size = len(tape.operations)

    def __call__(self, *inputs: Any) -> list[Any]:
        values: list[Any] = [*inputs, *(None,) * (self.size - self.inputs)]
        for k, constant in self.constants.items():
            values[k] = constant
        for k, (function, args, own) in zip(self.where, self.lines, strict=True):
            values[k] = function(*(values[i] for i in args), *own)
        return [values[i] for i in self.outputs]


class ComplexBalls:
    """The arithmetic of complex balls; where ``analytic``, a ball that meets a branch cut gives no finite ball."""

    def __init__(self, analytic: bool) -> None:
        self.analytic = analytic

    def __getattr__(self, name: str) -> Callable[[Any], Any]:
        if name not in ("exp", "expm1", "sin", "cos", "tan", "sinh", "cosh", "tanh", "erf", "erfc"):
            raise InvalidArgument(f"enclosures know no {name.replace('_', ' ')}")
        return lambda x: getattr(x, name)()

    def constant(self, c: Any) -> Any:
        acb, arb = flint.acb, flint.arb
        if c.is_Rational:
            return acb(flint.fmpq(int(c.p), int(c.q)))
        if not c.is_finite:
            return acb("nan")  # the slope of a branch on which the gate is constant: no flow goes there
        if c == sp.pi:
            return acb(arb.pi())
        if c.is_Float:
            return acb(flint.fmpq(*sp.Rational(c).as_numer_denom()))
        return Tape([expression(c).replace(sp.pi, Z)], [Z])(self, acb(arb.pi()))[0] if c.has(sp.pi) else self._value(c)

    def _value(self, c: Any) -> Any:
        """A constant without pi: built from its parts."""
        if c.is_Pow and c.exp == sp.S.Half:
            return self.constant(c.base).sqrt()
        if isinstance(c, sp.exp) or c == sp.E:
            return self.constant(c.args[0] if c.args else sp.S.One).exp()
        if isinstance(c, sp.log):
            return self.constant(c.args[0]).log()
        if c.is_Add or c.is_Mul:
            parts = [self.constant(part) for part in c.args]
            return sum(parts[1:], parts[0]) if c.is_Add else math.prod(parts[1:], start=parts[0])
        if c.is_Pow:
            return (self.constant(c.base).log() * self.constant(c.exp)).exp()
        raise InvalidArgument(f"enclosures know no constant {c}")

    def _away(self, meets: bool, value: Callable[[], Any]) -> Any:
        return flint.acb("nan") if self.analytic and meets else value()

    def log(self, x: Any) -> Any:
        return x.log(analytic=self.analytic)

    def sqrt(self, x: Any) -> Any:
        return x.sqrt(analytic=self.analytic)

    def abs(self, x: Any) -> Any:
        return x.real_abs(analytic=self.analytic)

    def sign(self, x: Any) -> Any:
        return x.real_sgn(analytic=self.analytic)

    def log1p(self, x: Any) -> Any:
        cut = x.imag.contains(0) and not x.real > -1
        return self._away(cut, x.log1p)

    def asinh(self, x: Any) -> Any:
        """Off the imaginary axis by its logarithm; flint's own spreads on wide balls far out."""
        if x.real > 0:
            return (x + (1 + x * x).sqrt()).log()
        if x.real < 0:
            return -(-x + (1 + x * x).sqrt()).log()
        return self._away(not abs(x.imag) < 1, x.asinh)

    def atan(self, x: Any) -> Any:
        return self._away(x.real.contains(0) and not abs(x.imag) < 1, x.atan)

    def atanh(self, x: Any) -> Any:
        return self._away(x.imag.contains(0) and not abs(x.real) < 1, x.atanh)

    def acosh(self, x: Any) -> Any:
        return self._away(x.imag.contains(0) and not x.real > 1, x.acosh)

    def acot(self, x: Any) -> Any:
        if x.real > 0:
            return (1 / x).atan()
        if x.real < 0:
            return flint.arb.pi() + (1 / x).atan()
        return flint.acb(flint.arb.pi() / 2) - self.atan(x)

    def sigmoid(self, x: Any) -> Any:
        return 1 / (1 + (-x).exp())

    def softplus(self, x: Any) -> Any:
        return self.log(1 + x.exp())

    def log_add(self, x: Any, y: Any) -> Any:
        """``log(exp(x) + exp(y))``, from the larger where that is known."""
        large, small = (y, x) if y.real > x.real else (x, y)
        return large + self.log(1 + (small - large).exp())

    def softsign(self, x: Any) -> Any:
        return x / (1 + self.abs(x))

    def logit(self, x: Any) -> Any:
        return self.log(x) - self.log(1 - x)

    def log_cosh(self, x: Any) -> Any:
        return self.log(x.cosh())

    def integer_power(self, x: Any, n: int) -> Any:
        return x**n

    def power(self, x: Any, y: Any) -> Any:
        return (y * self.log(x)).exp()
