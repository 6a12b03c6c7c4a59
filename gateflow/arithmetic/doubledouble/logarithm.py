"""The logarithm and what is one logarithm, the square root and the inverse hyperbolic functions in double-double.

With ``x = 2^k m`` and the table point c near m: ``log x = k log 2 + log c + 2 atanh((m - c)/(m + c))``. Near x = 1 it
is taken from ``x - 1``, so that log1p and its kin keep their relative accuracy.
"""

from __future__ import annotations

import functools

import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    choose,
    cubic,
    div,
    doubled,
    fast_add,
    fast_two_sum,
    guarded,
    halved,
    magnitude,
    mul,
    root,
    scale_by_two,
    square,
    two_sum,
)
from gateflow.arithmetic.doubledouble.exponential import exp_kernel, expm1_kernel, sinh_kernel
from gateflow.arithmetic.doubledouble.tables import LN2, LN2_PARTS, MP, ONE, TWO, from_mp, number, take

_LN2_1, _LN2_2, _LN2_3 = LN2_PARTS


@functools.cache
def _log_table() -> DD:
    """``log(1 + i/2^10)`` for i from -310."""
    return from_mp(MP.log1p(MP.mpf(i) / 2**10) for i in range(-310, 431))


_TWELFTH = number(MP.mpf(1) / 12)


def _twice_atanh_half(z: DD) -> DD:
    """``2 atanh(z/2)`` for ``|z| <= 2^-10.5``."""
    q = square(z)
    tail = q.hi * (1.0 / 80.0 + q.hi * (1.0 / 448.0 + q.hi * (1.0 / 2304.0)))
    return cubic(z, q, _TWELFTH, tail)


def log_of(x: DD, less_one: DD) -> DD:
    """``log(x)``, given also ``x - 1``, which may know digits near ``x = 1`` that x itself does not.

    With x = 2^k m and the table point c near m: log x = k log 2 + log c + 2 atanh((m - c)/(m + c)).
    """
    m, k = np.frexp(x.hi)
    low = m < 0.7071067811865476
    m, k = np.where(low, 2.0 * m, m), k - low
    own = k == 0
    w = DD(
        np.where(m < 0.0, np.nan, np.where(own, less_one.hi, m - 1.0)),
        np.where(own, less_one.lo, scale_by_two(x.lo, -k)),
    )
    i = np.rint(w.hi * 2.0**10)
    c = i * 2.0**-10
    over = doubled(DD(*fast_two_sum(w.hi - c, w.lo)))
    a, b = fast_two_sum(2.0 + c, w.hi)
    y = _twice_atanh_half(div(over, DD(*fast_two_sum(a, b + w.lo))))
    y = fast_add(take(_log_table(), i + 310.0), y)
    a, b = fast_two_sum(k * _LN2_1, y.hi)
    c, d = two_sum(b, k * _LN2_2)
    a, c = fast_two_sum(a, c)
    return DD(*fast_two_sum(a, c + (d + (y.lo + k * _LN2_3))))


def log_kernel(x: DD) -> DD:
    """``log(x)``; near 1 the difference ``x - 1`` is exact."""
    return log_of(x, DD(*fast_two_sum(x.hi - 1.0, x.lo)))


def log1p_kernel(x: DD) -> DD:
    """``log(1 + x)``."""
    return log_of(add(ONE, x), x)


def _asinh(x: DD) -> DD:
    r, s = magnitude(x), np.copysign(1.0, x.hi)
    # log1p(x + x^2/(1 + sqrt(1 + x^2))); past 2^60 the hypotenuse is x to all digits, and log(2 x) cannot overflow.
    far = r.hi > 2.0**60
    t = choose(far, ONE, r)
    q = square(t)
    w = add(t, div(q, add(ONE, root(add(ONE, q)))))
    y = log_of(choose(far, r, add(ONE, w)), choose(far, r, w))
    y = choose(far, add(y, LN2), y)
    return DD(y.hi * s, y.lo * s)


def _acosh(x: DD) -> DD:
    far = x.hi > 2.0**60
    t = add(choose(far, TWO, x), -ONE)
    w = add(t, _sqrt(mul(t, add(t, TWO))))
    y = log_of(choose(far, x, add(ONE, w)), choose(far, x, w))
    return choose(far, add(y, LN2), y)


def _atanh(x: DD) -> DD:
    r, s = magnitude(x), np.copysign(1.0, x.hi)
    below = add(ONE, -r)
    y = log_of(div(add(ONE, r), below), div(doubled(r), below))
    return DD(0.5 * y.hi * s, 0.5 * y.lo * s)


def _sqrt(x: DD) -> DD:
    """Square root, faint arguments scaled so that the residual does not underflow."""
    faint = x.hi < 2.0**-900
    y = root(choose(faint, DD(x.hi * 2.0**200, x.lo * 2.0**200), x))
    y = choose(faint, DD(y.hi * 2.0**-100, y.lo * 2.0**-100), y)
    return choose(x.hi == 0.0, x, y)


# Own versions of composites, for they are most of the time of a gate; what the composite takes (4096 numbers) is said.


def _softplus(x: DD) -> DD:
    """``log(1 + exp(x))``; the composite takes 1.2 times as long."""
    tail = log1p_kernel(exp_kernel(-magnitude(x)))
    return choose(x.hi > 0.0, add(x, tail), tail)


def _log_cosh(x: DD) -> DD:
    """``log(cosh(x))``, near its double zero x = 0 ``log1p(sinh(x)^2)/2``; the composite takes 1.3 times as long."""
    r = magnitude(x)
    near = r.hi < 1.0
    s = square(sinh_kernel(choose(near, r, ONE)))
    y = log1p_kernel(choose(near, s, exp_kernel(-doubled(r))))
    return choose(near, halved(y), add(add(r, -LN2), y))


def _logit(p: DD) -> DD:
    """``log(p/(1 - p))``, near p = 1/2 of 1 + (2 p - 1)/(1 - p): one logarithm, where the composite takes two."""
    complement = add(ONE, -p)
    excess = add(doubled(p), -ONE)
    return log_of(div(p, complement), div(excess, complement))


def _log1mexp(x: DD) -> DD:
    """``log(1 - exp(-x))``: one logarithm, where the composite takes two."""
    below = expm1_kernel(-x)
    return log_of(-below, -exp_kernel(-x))


sqrt = guarded(_sqrt, np.sqrt)
log = guarded(log_kernel, np.log)
log1p = guarded(log1p_kernel, np.log1p)
asinh = guarded(_asinh, np.arcsinh)
acosh = guarded(_acosh, np.arccosh)
atanh = guarded(_atanh, np.arctanh)
softplus = guarded(_softplus, float64.softplus)
log_cosh = guarded(_log_cosh, float64.log_cosh)
logit = guarded(_logit, float64.logit)
log1mexp = guarded(_log1mexp, float64.log1mexp)
