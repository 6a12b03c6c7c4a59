"""Bounds on the values of functions at one exact point: the ends of an interval.

From python-flint's ball arithmetic: F. Johansson, *Arb: efficient arbitrary-precision midpoint-radius interval
arithmetic*, IEEE Trans. Computers 66 (2017).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flint
from mpmath import libmp

Raw = Any
"""A big float as mpmath's own quadruple (sign, mantissa, exponent, bits)."""


def bounds(prec: int) -> Callable[[str, Raw], tuple[Raw, Raw]]:
    """Of a function, by its name, at a big float: bounds below and above, of ``prec`` bits."""
    context = flint.ctx

    def scalar(name: str, x: Raw) -> tuple[Raw, Raw]:
        sign, man, exponent, _ = x
        before, context.prec = context.prec, prec + 20
        try:
            y = _function(name)(flint.arb((-int(man) if sign else int(man), int(exponent))), flint.arb)
            if not y.is_finite():
                return libmp.fninf, libmp.finf
            ends = [e.man_exp() for e in (y.lower(), y.upper())]
        finally:
            context.prec = before
        low, high = (libmp.from_man_exp(int(m), int(e), prec, r) for (m, e), r in zip(ends, "fc", strict=True))
        return low, high

    return scalar


def _arb_acot(x: Any, arb: Any) -> Any:
    return (1 / x).atan() if x > 0 else arb.pi() / 2 - x.atan()


def _arb_softplus(x: Any, _: Any) -> Any:
    return x + (-x).exp().log1p() if x > 0 else x.exp().log1p()


def _function(name: str) -> Callable[[Any, Any], Any]:
    """By its name; ``polygamma3`` is the third derivative of the digamma function (DLMF 25.11.12)."""
    if name in _ARB:
        return _ARB[name]
    n = int(name.removeprefix("polygamma"))
    return lambda x, arb: (-1) ** (n + 1) * arb(n).fac() * arb(n + 1).zeta(x)


_ARB: dict[str, Callable[[Any, Any], Any]] = {
    **{
        name: (lambda x, _, name=name: getattr(x, name)())
        for name in ("exp", "expm1", "log", "log1p", "cos", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "atan")
    },
    "acot": _arb_acot,
    "erf": lambda x, _: x.erf(),
    "erfc": lambda x, _: x.erfc(),
    "log_erfc": lambda x, _: x.erfc().log(),
    "loggamma": lambda x, _: x.lgamma(),
    "digamma": lambda x, _: x.digamma(),
    "trigamma": lambda x, arb: arb(2).zeta(x),
    "sigmoid": lambda x, _: 1 / (1 + (-x).exp()),
    "softplus": _arb_softplus,
    "softsign": lambda x, _: x / (1 + abs(x)),
    "logit": lambda x, _: x.log() - (-x).log1p(),
    "log1mexp": lambda x, _: (-(-x).expm1()).log(),
    "log_cosh": lambda x, arb: abs(x) - arb(2).log() + (-2 * abs(x)).exp().log1p(),
}


__all__ = ["Raw", "bounds"]
