"""What a gate's numbers should be, by mpmath from the declared formula alone; nothing of gateflow's numerics is used.

The declaration is evaluated as it was written, on Taylor triples (f, f', f''), with as many digits as it takes: they
are doubled until two evaluations agree, and ``1 - phi`` is a plain difference. Where even `PLAIN` digits are too few
for that difference (log(1 - phi) reaches -1e308), a gate may have a second form in `FAR`, written by hand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import mpmath
import sympy as sp
from mpmath import mpf

from gateflow.formula import vocabulary

FIRST, PLAIN, MOST = 50, 800, 3200
"""Decimal digits to begin with, to subtract with, and to end with."""

AGREE = mpf(10) ** -25
"""Two evaluations with so small a relative difference are taken for the truth."""

OUT_OF_REACH = 1100
"""Binary digits of an exponential's argument past which not even its exponent is written down."""

QUANTITIES = ("u", "phi", "phi_c", "log_phi", "log_phi_c", "du", "dphi", "log_dphi", "d2phi")


class Beyond(ArithmeticError):
    """Past what big floats can hold."""


def _exp(x: mpf) -> mpf:
    if x and mpmath.mag(x) > OUT_OF_REACH:
        raise Beyond
    return mpmath.exp(x)


def _tanh(x: mpf) -> mpf:
    return mpmath.tanh(x) if mpmath.mag(x) < OUT_OF_REACH else mpmath.sign(x)


def _cosh_sinh(x: mpf) -> tuple[mpf, mpf]:
    _exp(abs(x))
    return mpmath.cosh(x), mpmath.sinh(x)


@dataclass(frozen=True)
class Jet:
    """Value, first and second derivative with respect to z."""

    f: Any
    d: Any
    s: Any

    def __add__(self, other: Jet) -> Jet:
        return Jet(self.f + other.f, self.d + other.d, self.s + other.s)

    def __mul__(self, other: Jet) -> Jet:
        return Jet(
            self.f * other.f,
            self.d * other.f + self.f * other.d,
            self.s * other.f + 2 * self.d * other.d + self.f * other.s,
        )

    def through(self, f: Any, d: Any, s: Any) -> Jet:
        """The chain rule for an outer function with these derivatives."""
        return Jet(f, d * self.d, s * self.d**2 + d * self.s)

    def power(self, n: Any) -> Jet:
        x = self.f
        if n == 0:
            return Jet(mpf(1), mpf(0), mpf(0))
        d = n * x ** (n - 1) if n != 1 else mpf(1)
        s = n * (n - 1) * x ** (n - 2) if n not in (1, 2) else mpf(2 if n == 2 else 0)
        return self.through(x**n, d, s)

    def exp(self) -> Jet:
        e = _exp(self.f)
        return self.through(e, e, e)

    def log(self) -> Jet:
        return self.through(mpmath.log(self.f), 1 / self.f, -1 / self.f**2)

    def sinh(self) -> Jet:
        c, s = _cosh_sinh(self.f)
        return self.through(s, c, s)

    def cosh(self) -> Jet:
        c, s = _cosh_sinh(self.f)
        return self.through(c, s, c)

    def tanh(self) -> Jet:
        t, e = _tanh(self.f), _exp(-2 * abs(self.f))
        slope = 4 * e / (1 + e) ** 2
        return self.through(t, slope, -2 * t * slope)

    def atan(self) -> Jet:
        w = 1 / (1 + self.f**2)
        return self.through(mpmath.atan(self.f), w, -2 * self.f * w**2)

    def asinh(self) -> Jet:
        w = 1 / mpmath.sqrt(1 + self.f**2)
        return self.through(mpmath.asinh(self.f), w, -self.f * w**3)

    def erf(self) -> Jet:
        d = 2 / mpmath.sqrt(mpmath.pi) * _exp(-(self.f**2))
        return self.through(mpmath.erf(self.f), d, -2 * self.f * d)

    def sin(self) -> Jet:
        s, c = mpmath.sin(self.f), mpmath.cos(self.f)
        return self.through(s, c, -s)

    def cos(self) -> Jet:
        s, c = mpmath.sin(self.f), mpmath.cos(self.f)
        return self.through(c, -s, -c)

    def abs(self) -> Jet:
        sign = mpf(1) if self.f >= 0 else mpf(-1)
        return Jet(abs(self.f), sign * self.d, sign * self.s)

    def sign(self) -> Jet:
        return Jet(mpf(1 if self.f >= 0 else -1), mpf(0), mpf(0))

    def sigmoid(self) -> Jet:
        one = Jet(mpf(1), mpf(0), mpf(0))
        return (one + (self * _real(-1)).exp()).power(-1)

    def softplus(self) -> Jet:
        return (_real(1) + self.exp()).log()

    def softsign(self) -> Jet:
        return self * (_real(1) + self.abs()).power(-1)


def _real(x: Any) -> Jet:
    return Jet(mpf(x), mpf(0), mpf(0))


_METHODS: dict[Any, Callable[[Jet], Jet]] = {
    **{
        getattr(sp, name): getattr(Jet, name) for name in ("sinh", "cosh", "tanh", "atan", "asinh", "erf", "sin", "cos")
    },
    sp.exp: Jet.exp,
    sp.log: Jet.log,
    sp.Abs: Jet.abs,
    sp.sign: Jet.sign,
    sp.erfc: lambda x: _real(1) + x.erf() * _real(-1),
    vocabulary.sigmoid: Jet.sigmoid,
    vocabulary.softplus: Jet.softplus,
    vocabulary.softsign: Jet.softsign,
}


@cache
def _constant(node: Any, digits: int) -> mpf:
    with mpmath.workdps(digits + 10):
        return mpf(node.p) / node.q if node.is_Rational else mpf(sp.N(node, digits + 10))


def jet(expr: Any, z: mpf) -> Jet:
    """The Taylor triple of a SymPy expression in z, in the working precision of mpmath."""
    seen: dict[Any, Jet] = {vocabulary.Z: Jet(z, mpf(1), mpf(0))}

    def visit(node: Any) -> Jet:
        if node not in seen:
            seen[node] = compute(node)
        return seen[node]

    def compute(node: Any) -> Jet:
        if not node.free_symbols:
            return _real(_constant(node, mpmath.mp.dps))
        if node.is_Add or node.is_Mul:
            parts = [visit(arg) for arg in node.args]
            total = parts[0]
            for part in parts[1:]:
                total = total + part if node.is_Add else total * part
            return total
        if node.is_Pow and not isinstance(node, sp.exp):
            exponent = node.exp
            n = int(exponent) if exponent.is_Integer else mpf(exponent.p) / exponent.q
            return visit(node.base).power(n)
        if node.is_Piecewise:
            return visit(next(value for value, test in node.args if test == sp.true or bool(_holds(test, visit))))
        return _METHODS[node.func](visit(node.args[0]))

    return visit(expr)


def _holds(test: Any, visit: Callable[[Any], Jet]) -> bool:
    left, right = visit(test.lts).f, visit(test.gts).f
    return left < right if isinstance(test, (sp.StrictLessThan, sp.StrictGreaterThan)) else left <= right


FAR: dict[str, Callable[[mpf], tuple[mpf, mpf]]] = {
    "erf": lambda z: (mpmath.erfc(-z) / 2, mpmath.erfc(z) / 2),
    "scaled-tanh": lambda z: (1 / (1 + _exp(-2 * z)), 1 / (1 + _exp(2 * z))),
    "gudermannian": lambda z: (2 / mpmath.pi * mpmath.atan(_exp(z)), 2 / mpmath.pi * mpmath.atan(_exp(-z))),
    "gompertz": lambda z: (_exp(-_exp(-z)), -mpmath.expm1(-_exp(-z))),
    "cloglog": lambda z: (-mpmath.expm1(-_exp(z)), _exp(-_exp(z))),
    "tied-refine": lambda z: ((1 + 3 * _exp(-z)) / (1 + _exp(-z)) ** 3, (1 + 3 * _exp(z)) / (1 + _exp(z)) ** 3),
}
"""phi and 1 - phi in forms that do not cancel, for gates declared by value."""


class Oracle:
    """The true numbers of one gate."""

    def __init__(self, gate: Any) -> None:
        self.name, self.declared, self.expr = gate.name, gate.declared, gate.expr

    def __call__(self, z: float | mpf) -> dict[str, mpf]:
        """Every quantity at z; those that even big floats cannot hold are left out."""
        digits, before = FIRST, None
        while True:
            with mpmath.workdps(digits):
                now = self._with_digits(mpf(z), digits > PLAIN)
            if before is not None and (digits >= MOST or self._settled(before, now)):
                return {key: value for key, value in now.items() if key in before and _close(before[key], value)}
            before, digits = now, 2 * digits

    def _settled(self, before: dict[str, mpf], now: dict[str, mpf]) -> bool:
        """Whether all is found; a zero may be a difference that still lacks digits, and counts as not found."""
        if not now:
            return not before
        return all(key in before and now.get(key, 0) != 0 and _close(before[key], now[key]) for key in QUANTITIES)

    def _with_digits(self, z: mpf, far: bool) -> dict[str, mpf]:
        try:
            value = jet(self.expr, z)
            if self.declared == "profile":
                return self._from_profile(value)
            return self._from_value(z, value, far)
        except (Beyond, ZeroDivisionError, OverflowError):
            return {}

    @staticmethod
    def _from_profile(u: Jet) -> dict[str, mpf]:
        phi, phi_c = u.sigmoid().f, (u * _real(-1)).sigmoid().f
        dphi = u.d * phi * phi_c
        numbers = {
            "u": u.f,
            "phi": phi,
            "phi_c": phi_c,
            "log_phi": -mpmath.log1p(_exp(-u.f)),
            "log_phi_c": -mpmath.log1p(_exp(u.f)),
            "du": u.d,
            "dphi": dphi,
            "d2phi": phi * phi_c * (u.s - u.d**2 * _tanh(u.f / 2)),
        }
        return numbers | ({"log_dphi": mpmath.log(dphi)} if dphi else {})

    def _from_value(self, z: mpf, value: Jet, far: bool) -> dict[str, mpf]:
        phi, phi_c = (value.f, 1 - value.f) if self.declared == "phi" else (1 - value.f, value.f)
        sign = 1 if self.declared == "phi" else -1
        if far and self.name in FAR:
            phi, phi_c = FAR[self.name](z)
        numbers = {"phi": phi, "phi_c": phi_c, "dphi": sign * value.d, "d2phi": sign * value.s}
        if phi > 0:
            numbers["log_phi"] = mpmath.log(phi) if phi < 0.5 else mpmath.log1p(-phi_c)
        if phi_c > 0:
            numbers["log_phi_c"] = mpmath.log(phi_c) if phi_c < 0.5 else mpmath.log1p(-phi)
        if phi > 0 and phi_c > 0:
            numbers["u"] = numbers["log_phi"] - numbers["log_phi_c"]
            numbers["du"] = sign * value.d / (phi * phi_c)
        if value.d:
            numbers["log_dphi"] = mpmath.log(abs(value.d))
        elif far:
            numbers = {key: number for key, number in numbers.items() if key not in ("du", "dphi", "d2phi")}
        return numbers

    def distance(self, z: float | mpf, probability: float, complement: bool) -> mpf:
        """How far z is from the root of ``phi(z) = probability`` or ``1 - phi(z) = probability``, to first order."""
        with mpmath.workdps(FIRST):
            true = self(z)
            size, log_size = ("phi_c", "log_phi_c") if complement else ("phi", "log_phi")
            if abs(true[size] - probability) < 1e-3 * probability:
                gap = true[size] - probability
            else:
                gap = (true[log_size] - mpmath.log(probability)) * true[size]
            return mpf(0) if gap == 0 else gap / true["dphi"] * (-1 if complement else 1)

    def root(self, guess: float, probability: float, complement: bool) -> mpf:
        """That root, by Newton steps from a guess near it."""
        with mpmath.workdps(FIRST):
            z = mpf(guess)
            for _ in range(3):
                z -= self.distance(z, probability, complement)
            return z


def _close(a: mpf, b: mpf) -> bool:
    return a == b != 0 or abs(a - b) <= AGREE * abs(b) or (abs(a) < 1e-330 and abs(b) < 1e-330 and a != 0)
