"""What is refused unmade: numbers from which SymPy would build something vast, and constants that are not real."""

from __future__ import annotations

import math
from typing import Any

import sympy as sp

from gateflow.formula.bounds import ZERO, Refusal, evaluated, exact, not_finite, real_value
from gateflow.formula.limits import (
    MAX_COEFFICIENT_BITS,
    MAX_LOGGAMMA,
    MAX_MAGNITUDE,
    MAX_PI_DENOMINATOR,
    MAX_POWER,
    MAX_RADICAND,
)


def check_sum(terms: list[sp.Expr]) -> None:
    """SymPy brings fractions to their common denominator."""
    if sum(int(term.as_coeff_Mul()[0].q).bit_length() for term in terms) > MAX_COEFFICIENT_BITS:
        raise Refusal("the formula is too large: its fractions have no moderate common denominator")


def check_product(factors: list[sp.Expr]) -> None:
    """SymPy multiplies coefficients, and the numbers under roots of one degree."""
    coefficients = [factor.as_coeff_Mul()[0] for factor in factors]
    roots = [
        p
        for factor in factors
        for p in sp.Mul.make_args(factor)
        if p.is_Pow and p.base.is_Rational and p.exp.is_Rational
    ]
    bits = sum(int(c.p).bit_length() + int(c.q).bit_length() for c in coefficients)
    radicand = math.prod(abs(int(root.base.p)) * int(root.base.q) for root in roots)
    if bits > MAX_COEFFICIENT_BITS or radicand > MAX_RADICAND**2:
        raise Refusal("the formula is too large: the product of its numbers")


def check_rational_power(base: sp.Expr, exponent: sp.Rational) -> None:
    """Powers whose exponent is a number."""
    if abs(exponent) > MAX_POWER:
        raise Refusal(f"the power is too large: at most {MAX_POWER}")
    if exponent.is_Integer:
        return
    if max(abs(int(exponent.p)), int(exponent.q)) > MAX_RADICAND:
        raise Refusal("the power is too large: a fraction of more than 40 digits")
    # SymPy takes numbers out of roots, sqrt(12*z) = 2*sqrt(3*z): each of them would be factored.
    coefficient = base.as_coeff_Mul()[0]
    if max(abs(int(coefficient.p)), int(coefficient.q)) > MAX_RADICAND:
        raise Refusal("the number is too large for a root: at most 40 digits")


def check_constant_base(base: Any, exponent: Any, written: sp.Expr) -> None:
    """Powers of a constant: ``base`` and ``exponent`` are values, ``written`` is the exponent itself."""
    if base == 0 and exponent is not None and exponent < 0:
        raise Refusal("a negative power of zero is not a finite number")
    if base < 0 and not written.is_Integer:
        raise Refusal("a fractional power of a negative number is not real; write -(x**p) or abs(x)**p")
    if exponent is not None and base != 0:
        if abs(exponent * real_value(sp.log, abs(base))) > 3 * MAX_MAGNITUDE:
            raise Refusal(f"the power is too large or too small: it lies beyond 10**{MAX_MAGNITUDE}")
        evaluated(sp.Pow, base, exponent)


def check_constant_argument(name: str, func: Any, arg: sp.Expr, value: Any) -> None:
    """A function of a constant."""
    if name == "loggamma" and abs(value) > MAX_LOGGAMMA:
        raise Refusal(f"the argument of loggamma is too large: at most {MAX_LOGGAMMA} for a number")
    if name in ("sin", "cos", "tan") and arg.has(sp.pi):
        multiple = arg / sp.pi
        if multiple.is_Rational and int(multiple.q) > MAX_PI_DENOMINATOR:
            raise Refusal(f"too fine a fraction of pi: its denominator is at most {MAX_PI_DENOMINATOR}")
    if name == "tan" and abs(real_value(sp.cos, value)) < ZERO:
        raise Refusal(not_finite(value))
    if name in ("log", "logit") and value == 0:
        raise Refusal(not_finite(exact(arg, value)))
    evaluated(func, exact(arg, value))
