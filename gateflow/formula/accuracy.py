"""Digits of constants: SymPy is kept from taking those for right that its rounding of an argument has lost.

SymPy rounds the argument of a function to the digits that are asked for, and takes the value there for as accurate:
``acosh(1 + 10**-60)`` is 0 to it, ``atanh(1 - 10**-25)`` infinite, and a number that is neither positive nor negative
is zero, so that conditions, signs and limits went wrong. Here a value is taken in ever more digits until they settle;
for all callers of SymPy, since it keeps what it finds of a number for whoever asks next. Where they do not settle, the
value is unknown within the calls of gateflow, and so is its sign; all others get what SymPy says.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import wraps
from types import CodeType, FrameType
from typing import Any

import flint
import mpmath
import sympy as sp
from mpmath import libmp
from mpmath.libmp import fone
from sympy.core import evalf as evaluation
from sympy.core.function import Function

from gateflow.formula.powers import is_ours

MOST = 6700
"""Bits past which no more are taken."""

_kept: dict[tuple[Any, int], Any] = {}
MOST_KEPT = 2000
"""Values that have settled, by number and bits: SymPy asks for each several times, to see one sign."""

SURE = 64
"""Bits beyond those asked for by which SymPy's logarithm sees what stands beside 1."""


def _by_balls(evaluate: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """loggamma and digamma of positive numbers by flint: mpmath takes seconds for a few thousand bits of them."""

    @wraps(evaluate)
    def value(self: Any, prec: int) -> Any:
        order, x = (None, *self.args) if isinstance(self, sp.loggamma) else self.args
        if not x.is_number or order not in (None, 0):
            return evaluate(self, prec)
        at = x._to_mpmath(prec + 5)
        if not isinstance(at, mpmath.mpf) or not (mpmath.isfinite(at) and at > 0):
            return evaluate(self, prec)
        before, flint.ctx.prec = flint.ctx.prec, 2 * prec + 64
        try:
            mantissa, power = at.man_exp
            ball = flint.arb((int(mantissa), int(power)))
            man, exponent = (ball.lgamma() if order is None else ball.digamma()).mid().man_exp()
        finally:
            flint.ctx.prec = before
        return sp.Float._new(libmp.from_man_exp(int(man), int(exponent), prec, "n"), prec)

    return value


def _settled(evaluate: Callable[[Any, int], Any]) -> Callable[[Any, int], Any]:
    """SymPy's ``_eval_evalf``, with digits that stay when more are taken; None where there are none."""

    @wraps(evaluate)
    def value(self: Any, prec: int) -> Any:
        if (kept := _kept.get((self, prec))) is not None:
            return kept
        first = evaluate(self, prec)
        if first is None or all(_is_exact(a, prec) for a in self.args) or _is_beyond_reach(first):
            return first
        here = sys._getframe()
        caller = here.f_back
        if _is_within(caller, here.f_code):
            return first
        bits, near = prec, first
        while bits < max(MOST, prec + 1):
            bits = 2 * bits + 64
            second = evaluate(self, bits)
            if second is None:
                break
            if _agree(near, second, prec):
                if len(_kept) >= MOST_KEPT:
                    _kept.clear()
                return _kept.setdefault((self, prec), second._eval_evalf(prec))
            near = second
        return None if is_ours(caller) else first

    return value


def _is_within(frame: FrameType | None, code: CodeType) -> bool:
    """Whether a function is among the callers: of nested ones, each would take all precisions of the next.

    Told by the frames, and not by a mark that a stop in between might leave behind.
    """
    while frame is not None:
        if frame.f_code is code:
            return True
        frame = frame.f_back
    return False


def _is_exact(x: Any, prec: int) -> bool:
    """Whether a number is one of ``prec`` bits, which no rounding changes; what is no number is not for us."""
    if not x.is_Rational:
        return not x.is_number
    return x.q & (x.q - 1) == 0 and abs(x.p).bit_length() <= prec


def _is_beyond_reach(x: Any) -> bool:
    """Whether the exponent of a number is so long that more digits would only take long."""
    return bool(x.is_Float and abs(int(x._mpf_[2])).bit_length() > _LONG)


_LONG = 200
"""Bits of the exponent of such a number, as of ``exp(-exp(exp(5)))``."""


def _agree(first: Any, second: Any, prec: int) -> bool:
    """Whether two values, neither 0 nor infinite, are the same to about ``prec`` bits, and to thirteen at least."""
    if not (first.is_finite and second.is_finite and first and second):
        return False
    a, b = (x._to_mpmath(3 * prec + 64) for x in (first, second))
    with mpmath.workprec(3 * prec + 64):
        return bool(abs(a - b) <= mpmath.ldexp(abs(b), 3 - max(prec, 16)))


def _beside_1(evaluate: Callable[[Any, int, Any], Any]) -> Callable[[Any, int, Any], Any]:
    """SymPy's rule for logarithms, which takes ``log(1 + x)`` for 0, or for a rounding, where x is lost beside 1."""

    @wraps(evaluate)
    def value(x: Any, prec: int, options: Any) -> Any:
        found = evaluate(x, prec, options)
        lost = (
            isinstance(found, tuple) and not found[1] and (not found[0] or evaluation.fastlog(found[0]) < -prec - SURE)
        )
        if not lost or "subs" in options or x.args[0].is_Float:
            return found
        settled = x._eval_evalf(prec)
        if not settled:  # a number below this one, with no digit that is known
            return (libmp.mpf_shift(fone, -prec), None, 0, None) if is_ours(sys._getframe(1)) else found
        return settled._mpf_, None, prec, None

    return value


def _known(sign: Callable[..., bool | None]) -> Callable[..., bool | None]:
    """SymPy's look at a number's sign, which says "not above 0, not below" where it finds no value: that is not 0."""

    @wraps(sign)
    def seen(self: Any, positive: bool) -> bool | None:
        found = sign(self, positive)
        if found is False and self.is_number and self.has(Function) and is_ours(sys._getframe(1)):
            value = self.evalf(2)
            if not all(part.is_Float or part == 0 for part in value.as_real_imag()):
                return None
        return found

    return seen


for _kind in (sp.loggamma, sp.polygamma):
    _kind._eval_evalf = _by_balls(_kind._eval_evalf)
for _kind in (Function, sp.loggamma, sp.polygamma):
    _kind._eval_evalf = _settled(_kind._eval_evalf)
evaluation.evalf_table[sp.log] = _beside_1(evaluation.evalf_table[sp.log])
sp.Expr._eval_is_extended_positive_negative = _known(sp.Expr._eval_is_extended_positive_negative)
