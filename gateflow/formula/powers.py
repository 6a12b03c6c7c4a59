"""Numbers of very many digits: SymPy is kept from making them, and those that are powers are written as such.

SymPy takes ``exp(n log a)`` for ``a**n`` and multiplies it out, whatever n is. That happens inside of one instruction,
where no watch on time and memory can stop it, and deep within its simplifications; so it is refused where it happens:
within the calls of gateflow SymPy's powers of rational numbers raise `TooManyDigits` past `MOST_BITS`. Nor is a long
number tried for a prime, or a polynomial of a high degree factored to see whether it is positive: both are seconds of C
code. For all other callers SymPy is what it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import FrameType
from typing import Any

import sympy as sp
from sympy.core import exprtools
from sympy.printing.str import StrPrinter

from gateflow.errors import Exceeded
from gateflow.formula.limits import MAX_BITS

MOST_BITS = 2**22
"""Bits of the largest power of a rational number that is multiplied out: it takes a tenth of a second."""


class TooManyDigits(Exceeded, OverflowError):
    """A number of too many digits."""

    def __init__(self) -> None:
        super().__init__("a number on the way is too large to be written out")


def is_ours(frame: FrameType | None) -> bool:
    """Whether a function of gateflow is among the callers."""
    while frame is not None:
        name = frame.f_globals.get("__name__", "")
        if name != __name__ and name.partition(".")[0] == _PACKAGE:
            return True
        frame = frame.f_back
    return False


_PACKAGE = __name__.partition(".")[0]


def _kept_short(evaluate: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    @wraps(evaluate)
    def power(base: Any, exponent: Any) -> Any:
        if isinstance(exponent, sp.Rational) and not exponent.is_infinite:
            bits = max(int(base.p).bit_length(), int(base.q).bit_length()) - 1
            if bits * abs(int(exponent.p)) > MOST_BITS * int(exponent.q) and is_ours(sys._getframe(1)):
                raise TooManyDigits
        return evaluate(base, exponent)

    return power


for _kind in (sp.Rational, sp.Integer):
    _kind._eval_power = _kept_short(_kind._eval_power)


LONGEST_PRIME = 2**11
"""Bits up to which SymPy may ask whether a number is prime, as each logarithm of one does: a power modulo it, in C."""


def _of_short_numbers(ask: Callable[[Any], bool | None]) -> Callable[[Any], bool | None]:
    @wraps(ask)
    def known(number: Any) -> bool | None:
        if int(number.p).bit_length() > LONGEST_PRIME and is_ours(sys._getframe(1)):
            return None
        return ask(number)

    return known


for _fact in ("prime", "composite"):
    sp.Integer._prop_handler[_fact] = _of_short_numbers(sp.Integer._prop_handler[_fact])


HIGHEST = 200
"""Degree of a polynomial up to which SymPy is asked for its sign: it factors the derivative."""


def _of_low_powers(sign: Callable[[Any], Any]) -> Callable[[Any], Any]:
    @wraps(sign)
    def monotonic_sign(expr: Any) -> Any:
        if expr.is_Add and _degree(expr) > HIGHEST and is_ours(sys._getframe(1)):
            return None
        return sign(expr)

    return monotonic_sign


def _degree(expr: Any) -> int:
    """That of a polynomial, or more; 0 for what is no part of one."""
    if expr.is_Symbol:
        return 1
    if expr.is_Add or expr.is_Mul:
        degrees = map(_degree, expr.args)
        return max(degrees) if expr.is_Add else sum(degrees)
    if expr.is_Pow and expr.exp.is_Integer and expr.exp > 0:
        return int(expr.exp) * _degree(expr.base)
    return 0


exprtools._monotonic_sign = _of_low_powers(exprtools._monotonic_sign)


class _PowersPrinter(StrPrinter):
    """SymPy's text, with ``3**20000`` for a number with too many digits to write."""

    def _print_Integer(self, expr: Any) -> str:
        n = int(expr)
        if abs(n).bit_length() <= MAX_BITS:
            return str(n)
        found = sp.perfect_power(abs(n))
        if not found or int(found[0]).bit_length() > MAX_BITS:
            raise TooManyDigits
        text = f"({found[0]}**{found[1]})"
        return text if n > 0 else f"(-{text})"

    def _print_Rational(self, expr: Any) -> str:
        above, below = (self._print_Integer(sp.Integer(part)) for part in (expr.p, expr.q))
        return above if expr.q == 1 else f"{above}/{below}"


def text_with_powers(expr: Any) -> str:
    """SymPy's text of an expression, with powers for numbers of very many digits.

    Raises
    ------
    TooManyDigits
        A number has too many digits, and is no power.

    Examples
    --------
    >>> z = sp.Symbol("z")
    >>> text_with_powers(sp.exp(-z) / 3**20000 - 1)
    '-1 + exp(-z)/(3**20000)'
    """
    return _PowersPrinter().doprint(expr)
