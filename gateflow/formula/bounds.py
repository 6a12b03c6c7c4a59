"""The fourth wall: what is known of an expression before the next node is built on it."""

from __future__ import annotations

import math
import threading
from typing import Any, NamedTuple

import sympy as sp
from mpmath.ctx_mp import MPContext
from sympy.core.relational import Relational

from gateflow.formula.functions import FUNCTIONS, NAMES, Node
from gateflow.formula.limits import MAX_BITS, MAX_DIGITS, MAX_MAGNITUDE, MAX_SIZE
from gateflow.formula.vocabulary import Z


class Refusal(Exception):
    """A node cannot be made; the builder adds the place."""


class Foreign(Exception):
    """SymPy answered with a function that the vocabulary lacks."""


class Facts(NamedTuple):
    """What is known of an expression before the next node is built on it.

    ``weight`` bounds the bits that its numbers could grow to when SymPy multiplies powers out, and ``reach`` is the
    binary logarithm of the factor by which it multiplies ``weight`` when it becomes an exponent. Both are generous.
    """

    size: int
    value: Any  # an mpf, or None where a symbol has a say
    weight: float
    reach: float
    has_log: bool


_DIGITS = 50
MP = MPContext()
MP.dps = _DIGITS
ZERO = MP.mpf(10) ** -40
"""A sum of constants this small beside its terms counts as zero."""
_MOST_OF_GAMMA = 1000
"""Bits to which loggamma is taken, which needs longer for them than other functions."""
_ONE_AT_A_TIME = threading.Lock()
"""mpmath raises a context's precision while it computes, and two threads would leave it raised."""

_STRUCTURE = (sp.Add, sp.Piecewise, Relational, type(sp.Piecewise((1, Z > 0), (0, True)).args[0]))
_POWERS_OF_TEN = tuple(MP.mpf(10) ** k for k in (-MAX_MAGNITUDE, MAX_MAGNITUDE))


class KnownFacts:
    """The facts of every expression met while one formula is built; each is found once."""

    def __init__(self) -> None:
        self.known: dict[Any, Facts] = {}

    def of(self, expr: Any) -> Facts:
        facts = self.known.get(expr)
        if facts is None:
            facts = self.known[expr] = self._leaf(expr) if not expr.args else self._inner(expr)
        return facts

    @staticmethod
    def _leaf(expr: Any) -> Facts:
        if isinstance(expr, sp.Rational):
            p, q = abs(int(expr.p)), int(expr.q)
            bits = p.bit_length() + q.bit_length()
            if max(p.bit_length(), q.bit_length()) > MAX_BITS:
                raise Refusal(f"the formula is too large: it amounts to a number of more than {MAX_DIGITS} digits")
            return Facts(1, MP.mpf(int(expr.p)) / q, bits, max(0.0, math.log2(p) - math.log2(q)) if p else 0.0, False)
        if expr is sp.pi or expr is sp.E:
            return Facts(1, +MP.pi if expr is sp.pi else +MP.e, 1, 2, False)
        if isinstance(expr, sp.Symbol) or expr in (sp.true, sp.false):
            return Facts(1, None, 1, 0, False)
        if expr is sp.I:
            raise Refusal("this is not a real number, and formulas are real")
        raise Refusal("this is not a finite number")

    def _inner(self, expr: Any) -> Facts:
        if not _is_word(expr.func) and not isinstance(expr, (sp.Mul, sp.Pow, *_STRUCTURE)):
            raise Foreign(expr.func.__name__)
        parts = [self.of(arg) for arg in expr.args]
        size = 1 + sum(part.size for part in parts)
        if size > MAX_SIZE:
            raise Refusal(f"the formula is too large: SymPy writes it out to more than {MAX_SIZE} parts")
        has_log = expr.func is sp.log or any(part.has_log for part in parts)
        reach = sum(part.reach for part in parts)
        return Facts(size, self._value(expr, parts), self.weight(expr.func, parts), reach, has_log)

    @staticmethod
    def weight(func: Any, parts: list[Facts]) -> float:
        if func is sp.Pow:
            return parts[0].weight * _two_to(parts[1].reach) + parts[1].weight
        if func is sp.exp and parts[0].has_log:  # exp(n*log(x)) becomes x**n
            return parts[0].weight * _two_to(parts[0].reach)
        return sum(part.weight for part in parts)

    @staticmethod
    def _value(expr: Any, parts: list[Facts]) -> Any:
        values = [part.value for part in parts]
        if any(value is None for value in values) or isinstance(expr, sp.Piecewise | Relational):
            return None
        if isinstance(expr, sp.Add):
            total = MP.fsum(values)
            return MP.zero if abs(total) <= ZERO * max(abs(value) for value in values) else total
        return evaluated(expr.func, *map(exact, expr.args, values))


def _two_to(power: float) -> float:
    return 2.0 ** min(power, 1000.0)


def _is_word(func: Any) -> bool:
    return func in NAMES and FUNCTIONS.get(NAMES[func]) is func


def exact(expr: Any, value: Any) -> Any:
    """The number itself where it is rational: beside 1, say, a function may need all digits of it."""
    return expr if isinstance(expr, sp.Rational) else value


def real_value(func: Any, *values: Any) -> Any:
    """A function of the vocabulary, a product or a power at big floats or rationals."""
    longest = max((max(abs(int(x.p)), int(x.q)).bit_length() for x in values if isinstance(x, sp.Rational)), default=0)
    with _ONE_AT_A_TIME, MP.workdps(_DIGITS):
        with MP.workprec(MP.prec + (min(longest, _MOST_OF_GAMMA) if func is sp.loggamma else longest)):
            value = _real_value(func, *(_through(x, None) if isinstance(x, sp.Rational) else x for x in values))
        return +value


def _real_value(func: Any, *values: Any) -> Any:
    if func in (sp.Add, sp.Mul):
        return (MP.fsum if func is sp.Add else MP.fprod)(values)
    if func is sp.Pow:
        return values[0] ** values[1]
    if issubclass(func, Node):
        return _through(func.written_out(Z), values[0])
    return abs(values[0]) if func is sp.Abs else getattr(MP, NAMES[func])(values[0])


def _through(expr: Any, z: Any) -> Any:
    """An expression in z at a big float."""
    if not expr.args:
        return z if expr == Z else MP.mpf(int(expr.p)) / int(expr.q)
    return _real_value(expr.func, *(_through(arg, z) for arg in expr.args))


def not_finite(*values: Any) -> str:
    """What is said of a pole, be it one only as far as the digits of these values tell."""
    seen = "" if all(isinstance(x, sp.Rational) for x in values) else f" in the {_DIGITS} digits that are looked at"
    return f"this is not a finite number{seen}"


def evaluated(func: Any, *values: Any) -> Any:
    """The value of a constant node; refused where it is not a real number of moderate size."""
    if func in (sp.exp, sp.sinh, sp.cosh) and abs(values[0]) > 3 * MAX_MAGNITUDE:
        raise Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
    try:
        value = real_value(func, *values)
    except OverflowError:
        raise Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}") from None
    except (ValueError, ZeroDivisionError):
        raise Refusal(not_finite(*values)) from None
    if not MP.isfinite(value):
        raise Refusal(not_finite(*values))
    if isinstance(value, MP.mpc):
        raise Refusal("this is not a real number, and formulas are real")
    if value and not _POWERS_OF_TEN[0] <= abs(value) <= _POWERS_OF_TEN[1]:
        raise Refusal(f"the constant is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
    return value
