"""Real constants enclosed by ball arithmetic, every operation of them: a sign seen here is a proof."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flint
import sympy as sp

from gateflow.formula.vocabulary import Expr, expm1, log1p, logit, sigmoid, softplus, softsign


class _Unknown(Exception):
    """The constant holds something that is not enclosed here."""


def enclosed(c: Expr, prec: int) -> Any:
    """A ball (``flint.arb``) that holds the constant; None where it holds a function that is not known here.

    Parameters
    ----------
    c : sympy.Expr
        Without symbols.
    prec : int
        Bits to compute in; the ball is as wide as the cancellation in ``c`` makes it.

    Examples
    --------
    >>> enclosed(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)), 200).contains(0)
    True
    >>> enclosed(sp.exp(sp.pi * sp.sqrt(163)) - 640320**3 - 744, 200) < 0
    True
    """
    before, flint.ctx.prec = flint.ctx.prec, prec
    try:
        return _value(c, flint.arb, prec, {})
    except (_Unknown, OverflowError, MemoryError):
        return None
    finally:
        flint.ctx.prec = before


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


def _value(c: Any, arb: Any, prec: int, known: dict[Any, Any]) -> Any:
    if c not in known:
        known[c] = _computed(c, arb, prec, known)
    return known[c]


def _computed(c: Any, arb: Any, prec: int, known: dict[Any, Any]) -> Any:
    if c.is_Rational:
        return arb(int(c.p)) / int(c.q)
    if c in (sp.pi, sp.E):
        return arb.pi() if c == sp.pi else arb.const_e()
    if isinstance(c, sp.CRootOf):
        return _root(c, arb, prec)
    if c.is_Pow and not isinstance(c, sp.exp):
        return _power(c.base, c.exp, arb, prec, known)
    values = [_value(a, arb, prec, known) for a in c.args]
    if c.is_Add or c.is_Mul:
        total = values[0]
        for value in values[1:]:
            total = total + value if c.is_Add else total * value
        return total
    rule = _RULES.get(c.func)
    if rule is None:
        raise _Unknown
    return rule(*values)


def _root(c: Any, arb: Any, prec: int) -> Any:
    if not c.is_real:
        raise _Unknown
    width = sp.Rational(1, 2**prec)
    middle = c.eval_rational(width)
    return arb(int(middle.p)) / int(middle.q) + arb(0, 1) / arb(2) ** prec


def _power(base: Any, n: Any, arb: Any, prec: int, known: dict[Any, Any]) -> Any:
    x = _value(base, arb, prec, known)
    if n.is_Integer:
        if abs(int(n)).bit_length() > 24:
            raise _Unknown
        return x ** int(n)
    if n.is_Rational and n.q == 2:
        return x.sqrt() ** int(n.p)
    return (_value(n, arb, prec, known) * x.log()).exp()


def _sgn(x: Any) -> Any:
    return x.sgn()


_RULES: dict[Any, Callable[..., Any]] = {
    **{
        getattr(sp, name): (lambda x, name=name: getattr(x, name)())
        for name in ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan")
    },
    sp.erf: lambda x: x.erf(),
    sp.erfc: lambda x: x.erfc(),
    sp.erfinv: lambda x: x.erfinv(),
    sp.loggamma: lambda x: x.lgamma(),
    sp.polygamma: lambda n, x: _polygamma(n, x),
    sp.Abs: abs,
    sp.sign: _sgn,
    expm1: lambda x: x.expm1(),
    log1p: lambda x: x.log1p(),
    sigmoid: lambda x: 1 / (1 + (-x).exp()),
    softplus: lambda x: x.exp().log1p(),
    softsign: lambda x: x / (1 + abs(x)),
    logit: lambda x: (x / (1 - x)).log(),
}


def _polygamma(n: Any, x: Any) -> Any:
    """``psi^(n)(x) = (-1)^(n+1) n! zeta(n + 1, x)`` (DLMF 25.11.12)."""
    order = n.unique_fmpz()
    if order is None or not 0 <= order <= 40:
        raise _Unknown
    return (
        (-1) ** (int(order) + 1) * type(x)(int(order)).fac() * type(x)(int(order) + 1).zeta(x) if order else x.digamma()
    )


__all__ = ["enclosed", "sign_of"]
