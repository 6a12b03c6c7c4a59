"""Real numbers enclosed by ball arithmetic, every operation of them: a sign seen here is a proof.

The balls are python-flint's: F. Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval arithmetic*,
IEEE Trans. Computers 66 (2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import flint
import sympy as sp
from mpmath import libmp

from gateflow.arithmetic.composites import Composing
from gateflow.errors import GateflowError
from gateflow.formula.functions import NAMES
from gateflow.formula.vocabulary import Expr

Raw = Any
"""A big float as mpmath's own quadruple (sign, mantissa, exponent, bits)."""

arb = flint.arb


class _Unknown(GateflowError):
    """The constant holds something that is not enclosed here."""


class _Balls(Composing):
    """The arithmetic of single balls, in the precision that flint's context has at the time.

    Comparisons give True, False, or None where the balls meet; a choice by None holds both.
    """

    name = "balls"
    large, tiny = math.inf, 0.0

    _OF_ARB = {"abs": "__abs__", "sign": "sgn", "loggamma": "lgamma"} | {
        name: name
        for name in (
            *("sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "acosh"),
            *("atanh", "atan", "erf", "erfc", "erfinv", "digamma"),
        )
    }

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name in self._OF_ARB:
            method = self._OF_ARB[name]
            return lambda x: getattr(x, method)()
        if name.startswith("polygamma"):
            return lambda x: self.polygamma(int(name.removeprefix("polygamma")), x)
        return super().__getattr__(name)

    def constant(self, c: Any) -> Any:
        return _value(c, flint.ctx.prec, {})

    def polygamma(self, n: int, x: Any) -> Any:
        """``psi^(n)(x) = (-1)^(n+1) n! zeta(n + 1, x)`` (DLMF 25.11.12)."""
        return x.digamma() if n == 0 else (-1) ** (n + 1) * arb(n).fac() * arb(n + 1).zeta(x)

    def trigamma(self, x: Any) -> Any:
        return self.polygamma(1, x)

    def erfcx(self, x: Any) -> Any:
        return (x * x).exp() * x.erfc()

    def sigmoid(self, x: Any) -> Any:
        """With x in one place, so that wide balls stay tight."""
        return 1 / (1 + (-x).exp())

    def log1mexp(self, x: Any) -> Any:
        """Without a case at log 2, which costs no digits here."""
        return (-(-x).expm1()).log()

    def maximum(self, x: Any, y: Any) -> Any:
        return arb(x).max(arb(y))

    def minimum(self, x: Any, y: Any) -> Any:
        return arb(x).min(arb(y))

    def less(self, x: Any, y: Any) -> bool | None:
        return True if x < y else False if x >= y else None

    def less_equal(self, x: Any, y: Any) -> bool | None:
        return True if x <= y else False if x > y else None

    def isfinite(self, x: Any) -> bool:
        return x.is_finite()

    def where(self, mask: bool | None, x: Any, y: Any) -> Any:
        return arb(x).union(arb(y)) if mask is None else arb(x if mask else y)


BALLS = _Balls()


@contextmanager
def _precision(bits: int) -> Iterator[None]:
    before, flint.ctx.prec = flint.ctx.prec, bits
    try:
        yield
    finally:
        flint.ctx.prec = before


def enclosed(c: Expr, prec: int, at: Mapping[sp.Symbol, sp.Rational] | None = None) -> Any:
    """A ball (``flint.arb``) that holds the constant; None where it holds a function that is not known here.

    Parameters
    ----------
    c : sympy.Expr
        Without symbols, but those of ``at``.
    prec : int
        Bits to compute in; the ball is as wide as the cancellation in ``c`` makes it.
    at : mapping, optional
        What symbols stand for.

    Examples
    --------
    >>> enclosed(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)), 200).contains(0)
    True
    >>> enclosed(sp.exp(sp.pi * sp.sqrt(163)) - 640320**3 - 744, 200) < 0
    True
    """
    with _precision(prec):
        try:
            return _value(c, prec, {x: arb(int(q.p)) / int(q.q) for x, q in (at or {}).items()})
        except (_Unknown, OverflowError, MemoryError):
            return None


def sign_of(c: Expr, precs: tuple[int, ...] = (80, 320, 1280)) -> int:
    """1 or -1 where ball arithmetic proves that sign of a constant; 0 says nothing.

    Examples
    --------
    >>> sign_of(sp.Rational(1, 10) ** 90 - (sp.exp(sp.Rational(1, 10) ** 90) - 1))
    -1
    """
    for prec in precs:
        ball = enclosed(c, prec)
        if ball is None:
            return 0
        if ball > 0 or ball < 0:
            return 1 if ball > 0 else -1
        if not ball.is_finite():
            continue
    return 0


_HARD = (sp.loggamma, sp.gamma, sp.polygamma)
"""Functions of which many digits take long."""

_LONG = 40
"""Parts of the largest constant that is taken to the last of the precisions."""


def precisions(c: Expr) -> tuple[int, ...]:
    """The bits to compute a constant in, one after the other, while it cancels: each takes well below a second."""
    if c.has(*_HARD):
        return 80, 320, 1280, 5120
    few = sum(1 for _, _ in zip(sp.preorder_traversal(c), range(_LONG), strict=False)) < _LONG
    return (80, 320, 1280, 5120, 20480, 81920) if few else (80, 320, 1280, 5120, 20480)


def accurate(c: Expr, bits: int) -> Any:
    """A ball that holds the constant, with ``bits`` right bits; None where it is not known here, or cancels too much.

    Examples
    --------
    >>> float(accurate(sp.pi - 2 * sp.atan(10**200), 53))
    2e-200
    >>> accurate(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)), 53) is None
    True
    """
    for prec in (bits + 30, *(p for p in precisions(c) if p > bits + 30)):
        ball = enclosed(c, prec)
        if ball is None:
            return None
        if ball.is_finite() and (ball.rel_accuracy_bits() >= bits or ball.is_exact()):
            return ball
    return None


def is_below_all_floats(c: Expr) -> bool:
    """Whether the constant is surely nearer to 0 than to any other float64."""
    ball = enclosed(c, 5120)
    return ball is not None and bool(abs(ball) < arb(2) ** -1075)


def rational(ball: Any) -> sp.Rational:
    """The middle of a ball."""
    man, exponent = ball.mid().man_exp()
    return sp.Integer(int(man)) * sp.Integer(2) ** int(exponent)


def ends(ball: Any, prec: int) -> tuple[Raw, Raw]:
    """Big floats of ``prec`` bits that a ball lies between."""
    with _precision(prec + 20):
        both = [end.man_exp() for end in (ball.lower(), ball.upper())]
    low, high = (libmp.from_man_exp(int(m), int(e), prec, r) for (m, e), r in zip(both, "fc", strict=True))
    return low, high


def bounds(prec: int) -> Callable[[str, Raw], tuple[Raw, Raw]]:
    """Of a function, by its name, at a big float: bounds below and above, of ``prec`` bits."""

    def scalar(name: str, x: Raw) -> tuple[Raw, Raw]:
        sign, man, exponent, _ = x
        with _precision(prec + 20):
            y = getattr(BALLS, name)(arb((-int(man) if sign else int(man), int(exponent))))
        return ends(y, prec) if y.is_finite() else (libmp.fninf, libmp.finf)

    return scalar


def rounded(name: str, x: Raw, prec: int) -> Raw | None:
    """A function, by its name, of a big float that is finite and not 0, to ``prec`` bits; None where its ball is wider.

    Examples
    --------
    >>> libmp.to_str(rounded("exp", libmp.from_int(1), 60), 15)
    '2.71828182845905'
    >>> rounded("log", libmp.from_int(-1), 60) is None
    True
    """
    sign, man, exponent, _ = x
    if not man:
        return None
    before, flint.ctx.prec = flint.ctx.prec, prec + 20
    try:
        y = getattr(BALLS, name)(arb((-int(man) if sign else int(man), int(exponent))))
    finally:
        flint.ctx.prec = before
    if not y.is_finite() or y.rel_accuracy_bits() < prec + 10:
        return None
    man, exponent = y.mid().man_exp()
    return libmp.from_man_exp(int(man), int(exponent), prec, "n")


def _value(c: Any, prec: int, known: dict[Any, Any]) -> Any:
    if c not in known:
        known[c] = _computed(c, prec, known)
    return known[c]


def _computed(c: Any, prec: int, known: dict[Any, Any]) -> Any:
    if c.is_Rational:
        return arb(int(c.p)) / int(c.q)
    if c in (sp.pi, sp.E):
        return arb.pi() if c == sp.pi else arb.const_e()
    if isinstance(c, sp.CRootOf):
        return _root(c, prec)
    if c.is_Pow and not isinstance(c, sp.exp):
        return _power(c.base, c.exp, prec, known)
    values = [_value(a, prec, known) for a in c.args]
    if c.is_Add or c.is_Mul:
        total = values[0]
        for value in values[1:]:
            total = total + value if c.is_Add else total * value
        return total
    if isinstance(c, sp.polygamma) and c.args[0].is_Integer and 0 <= c.args[0] <= 40:
        return BALLS.polygamma(int(c.args[0]), values[1])
    name = "erfinv" if isinstance(c, sp.erfinv) else NAMES.get(c.func)
    if name is None:
        raise _Unknown
    try:
        return getattr(BALLS, name)(*values)
    except AttributeError:
        raise _Unknown from None


def _root(c: Any, prec: int) -> Any:
    if not c.is_real:
        raise _Unknown
    found = _by_newton(c, prec) if prec > _COARSE else None
    if found is not None:
        return arb((found, -prec - 1)) + arb(0, 1) / arb(2) ** (prec + 1)
    middle = c.eval_rational(sp.Rational(1, 2**prec))
    return arb(int(middle.p)) / int(middle.q) + arb(0, 1) / arb(2) ** prec


_COARSE = 64
"""Bits up to which a root is refined by halving."""

_STEPS = 16
"""Newton's steps from there: each doubles the right bits."""


@lru_cache(maxsize=512)
def _by_newton(c: Any, prec: int) -> int | None:
    """n where the real root lies within ``(n +- 1)/2^(prec + 1)``, by a change of sign; None where that is not seen.

    Between the coarse ends there is no other root, so the change of sign is that of this one.

    Examples
    --------
    >>> t = sp.Symbol("t")
    >>> abs(_by_newton(sp.CRootOf(t**3 - t - 1, 0), 100) - sp.CRootOf(t**3 - t - 1, 0).n(50) * 2**101) < 1
    True
    """
    middle, width = c.eval_rational(sp.Rational(1, 2**_COARSE)), sp.Rational(1, 2**_COARSE)
    low, high = middle - width, middle + width
    if c.poly.count_roots(low, high) != 1:
        return None
    coefficients = [int(a) for a in c.poly.clear_denoms(convert=True)[1].all_coeffs()]
    with _precision(prec + _COARSE):
        x = arb(int(middle.p)) / int(middle.q)
        for _ in range(_STEPS):
            value, slope = arb(0), arb(0)
            for a in coefficients:
                value, slope = value * x + a, slope * x + value
            step = value / slope
            if not step.is_finite():
                return None
            x = (x - step).mid()
        mantissa, exponent = (x * arb(2) ** (prec + 1)).floor().mid().man_exp()
    n = int(mantissa) << int(exponent) if exponent >= 0 else int(mantissa) >> -int(exponent)
    unit = sp.Rational(1, 2 ** (prec + 1))
    if not (low <= (n - 1) * unit and (n + 1) * unit <= high):
        return None
    return n if _sign_at(coefficients, n - 1, prec + 1) * _sign_at(coefficients, n + 1, prec + 1) < 0 else None


def _sign_at(coefficients: list[int], n: int, bits: int) -> int:
    """The sign of a polynomial at ``n/2^bits``, exactly."""
    value, scale = 0, 1
    for a in coefficients:
        value, scale = value * n + a * scale, scale << bits
    return (value > 0) - (value < 0)


def _power(base: Any, n: Any, prec: int, known: dict[Any, Any]) -> Any:
    x = _value(base, prec, known)
    if n.is_Integer:
        if abs(int(n)).bit_length() > 24:
            raise _Unknown
        return x ** int(n)
    if n.is_Rational and n.q == 2:
        return x.sqrt() ** int(n.p)
    return (_value(n, prec, known) * x.log()).exp()


__all__ = [
    *("BALLS", "Raw", "accurate", "bounds", "enclosed", "ends"),
    *("is_below_all_floats", "precisions", "rational", "rounded", "sign_of"),
]
