"""The exponential and the hyperbolic functions in double-double.

``e^x = 2^k e^(i/2^11) e^(j/2^22) e^s`` with two tables and ``|s| <= 2^-23``: five terms of the series are left, the
first two in double-double. All is kept as ``expm1``, so nothing cancels near x = 0.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    choose,
    div,
    doubled,
    fast_add,
    fast_two_sum,
    guarded,
    halved,
    magnitude,
    product,
    scaled,
    two_square,
    two_sum,
)
from gateflow.arithmetic.doubledouble.tables import LN2, LN2_PARTS, MP, ONE, TWO, from_mp, take

_LN2_1, _LN2_2, _LN2_3 = LN2_PARTS


@functools.cache
def _expm1_tables() -> tuple[DD, DD]:
    """``expm1(i/2^11)`` for ``|i| <= 740`` and ``expm1(j/2^22)`` for ``|j| <= 1024``."""
    wide, narrow = MP.exp(MP.mpf(2) ** -11), MP.exp(MP.mpf(2) ** -22)
    coarse = from_mp(wide**i - 1 for i in range(-740, 741))
    return coarse, from_mp(narrow**j - 1 for j in range(-1024, 1025))


def _compound(x: DD, y: DD) -> DD:
    """``(1 + x)(1 + y) - 1`` for ``|x| >= |y|`` or ``x = 0``."""
    p = product(x, y)
    s, e = fast_two_sum(x.hi, y.hi)
    s, f = fast_two_sum(s, p.hi)
    return DD(*fast_two_sum(s, e + (f + ((x.lo + y.lo) + p.lo))))


def _expm1_short(x: DD) -> DD:
    """``expm1(x)`` for ``|x| <= 0.36``: e^x = e^(i/2^11) e^(j/2^22) e^s with ``|s| <= 2^-23``."""
    n = np.rint(x.hi * 2.0**22)
    i = np.rint(n * 2.0**-11)
    coarse, fine = _expm1_tables()
    s, low = fast_two_sum(x.hi - n * 2.0**-22, x.lo)
    p, e = two_square(s)
    a, b = fast_two_sum(s, 0.5 * p)
    b = b + (low + (0.5 * e + s * low) + s * p * (1.0 / 6.0 + s * (1.0 / 24.0 + s * (1.0 / 120.0))))
    nearest = _compound(take(fine, n - i * 2.0**11 + 1024.0), DD(*fast_two_sum(a, b)))
    return _compound(take(coarse, i + 740.0), nearest)


def exp_parts(x: DD) -> tuple[DD, Any]:
    """``m`` and ``k`` with ``exp(x) = 2^k (1 + m)``, ``|m| < 0.42``."""
    hi, lo = np.clip(x.hi, -800.0, 800.0), np.clip(x.lo, -1e-6, 1e-6)
    k = np.rint(hi * (1.0 / LN2.hi))
    a, b = two_sum(hi - k * _LN2_1, -(k * _LN2_2))
    c, d = two_sum(b, lo)
    a, c = two_sum(a, c)
    return _expm1_short(DD(*fast_two_sum(a, c + (d - k * _LN2_3)))), k


def exp_kernel(x: DD) -> DD:
    """``exp(x)``, without care for infinities."""
    m, k = exp_parts(x)
    return scaled(fast_add(ONE, m), k)


def expm1_kernel(x: DD) -> DD:
    """``exp(x) - 1 = 2^k (1 + m) - 1``, which is m itself where k = 0."""
    m, k = exp_parts(x)
    grown = scaled(fast_add(ONE, m), k)
    return choose(k == 0.0, m, add(grown, -ONE))


def sinh_kernel(x: DD) -> DD:
    """``(e^x - e^-x)/2``; where k = 0 by ``m + m/(1 + m)``, twice sinh without cancellation."""
    r, s = magnitude(x), np.copysign(1.0, x.hi)
    m, k = exp_parts(r)
    half = scaled(fast_add(ONE, m), k - 1.0)
    near = halved(add(m, div(m, add(ONE, m))))
    y = choose(k == 0.0, near, add(half, -div(DD.of(0.25), half)))
    return DD(y.hi * s, y.lo * s)


def _cosh(x: DD) -> DD:
    m, k = exp_parts(magnitude(x))
    half = scaled(fast_add(ONE, m), k - 1.0)
    return add(half, div(DD.of(0.25), half))


def _tanh(x: DD) -> DD:
    s, r = np.copysign(1.0, x.hi), magnitude(x)
    e = expm1_kernel(doubled(DD(np.minimum(r.hi, 50.0), np.where(r.hi < 50.0, r.lo, 0.0))))
    y = div(e, add(e, TWO))
    return DD(y.hi * s, y.lo * s)


exp = guarded(exp_kernel, np.exp)
expm1 = guarded(expm1_kernel, np.expm1)
sinh = guarded(sinh_kernel, np.sinh)
cosh = guarded(_cosh, np.cosh)
tanh = guarded(_tanh, np.tanh)
