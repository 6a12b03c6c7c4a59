"""Exact real constants: the coefficients and exponents of a multiseries.

A constant is an ``int`` or ``Fraction`` where it is rational (fast, and nothing to decide), else a SymPy
expression. Whether an expression is zero is undecidable in general, so the tests here answer, or raise `Undecided`;
they never guess. A numeric value away from zero proves "not zero"; a numeric value of zero proves nothing and is
followed by exact simplification.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp

from gateflow.errors import GateflowError
from gateflow.vocabulary import Expr

Number = Any  # int | Fraction | Expr; a proper union makes every arithmetic line a cast


class Undecided(GateflowError):
    """The question was not answered within its budget, or has no single answer.

    Attributes
    ----------
    reason : str
        One line.
    condition : sympy.Expr or None
        A constant whose sign decides the question, where parameters are left open.
    """

    exit_code = 3

    def __init__(self, reason: str, condition: Expr | None = None) -> None:
        super().__init__(reason)
        self.reason, self.condition = reason, condition


class OpenConstant(Undecided):
    """Whether a constant is zero, or its sign, is not known: it depends on a parameter, or no proof was found."""


def number(x: Any) -> Number:
    """``x`` as a Python rational where it is one, else as a SymPy expression.

    Examples
    --------
    >>> number(sp.Rational(3, 6)), number(sp.Integer(2)), number(sp.pi)
    (Fraction(1, 2), 2, pi)
    """
    if isinstance(x, int | Fraction):
        return x.numerator if x.denominator == 1 else x
    if x.is_Rational:
        return int(x.p) if x.q == 1 else Fraction(int(x.p), int(x.q))
    if x.is_Float:
        return number(sp.Rational(x))
    return x


def as_expr(x: Number) -> Expr:
    """The constant as a SymPy expression."""
    if isinstance(x, sp.Expr):
        return x
    return sp.Integer(x) if isinstance(x, int) else sp.Rational(x.numerator, x.denominator)


def plus(x: Number, y: Number) -> Number:
    """``x + y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return number(as_expr(x) + as_expr(y))
    return x + y


def times(x: Number, y: Number) -> Number:
    """``x * y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        # a polynomial in the same few constants stays short when multiplied out, and cancels at once
        return number(sp.expand_mul(as_expr(x) * as_expr(y)))
    return x * y


def over(x: Number, y: Number) -> Number:
    """``x / y``; rational stays rational."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return number(as_expr(x) / as_expr(y))
    return number(Fraction(x) / y)


def power(x: Number, y: Number) -> Number:
    """``x ** y`` for x > 0, or y an integer."""
    if isinstance(y, int) and not isinstance(x, sp.Expr):
        return number(Fraction(x) ** y)
    return number(as_expr(x) ** as_expr(y))


def exponential(x: Number) -> Number:
    """``exp(x)``."""
    return 1 if not isinstance(x, sp.Expr) and x == 0 else number(sp.exp(as_expr(x)))


def logarithm(x: Number) -> Number:
    """``log(x)`` for x > 0."""
    return 0 if not isinstance(x, sp.Expr) and x == 1 else number(sp.log(as_expr(x)))


def sign(x: Number) -> int:
    """-1, 0 or 1.

    Raises
    ------
    Undecided
        The sign depends on a parameter, or the constant looks like zero and nothing proves it.

    Examples
    --------
    >>> sign(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6))), sign(sp.pi - sp.Rational(355, 113))
    (0, -1)
    """
    if not isinstance(x, sp.Expr):
        return (x > 0) - (x < 0)
    return _sign(x)


def compare(x: Number, y: Number) -> int:
    """The sign of ``x - y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return 0 if x == y else sign(plus(x, times(-1, y)))
    return (x > y) - (x < y)


def is_zero(x: Number) -> bool:
    """Whether the constant is zero; may raise `Undecided`."""
    if not isinstance(x, sp.Expr):
        return x == 0
    if x.is_zero is False:
        return False
    return _sign(x) == 0


@lru_cache(maxsize=8192)
def _sign(x: Expr) -> int:
    known = _known_sign(x)
    if known is not None:
        return known
    if x.free_symbols:
        return _sign_with_parameters(x)
    found = _numeric_sign(x)
    if found:
        return found
    if _proved_zero(x):
        return 0
    raise OpenConstant(f"cannot tell whether the constant {x} is zero")


def _known_sign(x: Expr) -> int | None:
    if x.is_zero:
        return 0
    return 1 if x.is_positive else -1 if x.is_negative else None


def _sign_with_parameters(x: Expr) -> int:
    condition = x
    for form in (sp.expand, sp.factor, lambda y: sp.factor(sp.expand_log(y, factor=True))):
        condition = form(condition)
        known = _known_sign(condition)
        if known is not None:
            return known
    signs = [_known_sign(factor) for factor in sp.Mul.make_args(condition)]
    open_factors = [a for a, s in zip(sp.Mul.make_args(condition), signs, strict=True) if s is None]
    if len(open_factors) == 1 and not open_factors[0].free_symbols:
        return int(sp.prod([s for s in signs if s is not None])) * _sign(open_factors[0])
    condition = sp.Mul(*open_factors) if open_factors else condition
    raise OpenConstant(f"the answer depends on the sign of {condition}", condition)


def _numeric_sign(x: Expr) -> int:
    """The sign of a numeric value known to more than its error (SymPy tracks the accuracy it attains), or 0."""
    for digits in (15, 60):
        value = x.evalf(digits, maxn=4 * digits)
        if value.has(sp.I) or not value.is_number:
            real, imaginary = value.as_real_imag()
            if imaginary != 0 and getattr(imaginary, "_prec", 0) > 1:
                raise Undecided(f"the constant {x} is not real")
            value = real
        if value in (sp.nan, sp.zoo, sp.oo, -sp.oo):
            raise Undecided(f"the constant {x} has no finite value")
        if value.is_Float and value._prec > 10 and abs(value) > sp.Float(10) ** (-3 * digits):
            return 1 if value > 0 else -1
    return 0


def _proved_zero(x: Expr) -> bool:
    if sp.count_ops(x) > 300:
        return False
    forms = (sp.expand, lambda y: sp.expand(sp.expand_log(y, factor=True)), sp.radsimp, sp.simplify)
    if any(form(x) == 0 for form in forms):
        return True
    return bool(x.is_algebraic) and sp.minimal_polynomial(x, sp.Dummy("t")).is_Symbol
