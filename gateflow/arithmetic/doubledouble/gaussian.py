"""The error functions in double-double, by Taylor series of ``erfcx(x) = exp(x^2) erfc(x)`` between table points.

``y = erfcx`` solves ``y' = 2 x y - 2/sqrt(pi)``, so its Taylor coefficients at a centre follow from its value there:
``(n + 1) y_{n+1} = 2 (a y_n + y_{n-1})``. The recurrence loses digits; it is run in big floats, once, at first use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    choose,
    divide,
    fast_add,
    fast_two_sum,
    float_horner,
    guarded,
    halved,
    magnitude,
    mul,
    scaled,
    square,
    two_prod,
    two_square,
    two_sum,
)
from gateflow.arithmetic.doubledouble.exponential import exp_parts
from gateflow.arithmetic.doubledouble.logarithm import log1p_kernel, log_kernel
from gateflow.arithmetic.doubledouble.tables import ONE, from_mp, take

_SPACING, _LAST, _TERMS, _PAIRS = 16, 27, 18, 9
"""Centres i/16 up to 27; 18 coefficients each, of which the first 9 in double-double."""

_SMALL = 0.25


@functools.cache
def _erfcx_table() -> list[DD]:
    """Taylor coefficients of erfcx: one table over the centres for each power."""
    mp = mpmath.MPContext()
    mp.dps = 90
    rows = []
    for i in range(_SPACING * _LAST + 1):
        a = mp.mpf(i) / _SPACING
        y = [mp.exp(a * a) * mp.erfc(a)]
        y.append(2 * a * y[0] - 2 / mp.sqrt(mp.pi))
        for n in range(1, _TERMS - 1):
            y.append(2 * (a * y[n] + y[n - 1]) / (n + 1))
        rows.append(y)
    return [from_mp(column) for column in zip(*rows, strict=True)]


@functools.cache
def _erf_coefficients() -> DD:
    """``erf(x)/x`` in powers of x^2: ``2/sqrt(pi) (-1)^n/(n! (2n + 1))``."""
    mp = mpmath.MPContext()
    mp.dps = 50
    return from_mp(2 / mp.sqrt(mp.pi) * (-1) ** n / (mp.factorial(n) * (2 * n + 1)) for n in range(18))


@functools.cache
def _asymptotic_coefficients() -> DD:
    """``sqrt(pi) x erfcx(x)`` in powers of 1/(2 x^2): ``(-1)^n (2n - 1)!!``."""
    mp = mpmath.MPContext()
    mp.dps = 50
    return from_mp((-1) ** n * mp.fac2(2 * n - 1) / mp.sqrt(mp.pi) for n in range(20))


def horner(x: DD, coefficients: DD, pairs: int) -> DD:
    """A polynomial whose terms fall: the first ``pairs`` coefficients in double-double, the others in float64."""
    total = DD.of(float_horner(x.hi, coefficients.hi[pairs:]))
    for n in reversed(range(pairs)):
        total = add(coefficients[n], mul(x, total))
    return total


def piecewise(x: DD, mask: Any, inside: Callable[[DD], DD], outside: Callable[[DD], DD]) -> DD:
    """``inside(x)`` where the mask holds and ``outside(x)`` elsewhere, each computed only there."""
    mask = np.asarray(mask)
    if mask.all():
        return inside(x)
    if not mask.any():
        return outside(x)
    out = DD(np.empty(mask.shape), np.empty(mask.shape))
    for where, function in ((mask, inside), (~mask, outside)):
        part = function(x[where])
        out.hi[where], out.lo[where] = part.hi, part.lo
    return out


def _erf_small(x: DD) -> DD:
    return mul(x, horner(square(x), _erf_coefficients(), 9))


def _erfcx_near(x: DD) -> DD:
    tables = _erfcx_table()
    i = np.rint(x.hi * _SPACING)
    h = DD(*fast_two_sum(x.hi - i / _SPACING, x.lo))
    rows = [take(tables[n], i) for n in range(_PAIRS)]
    total = DD.of(float_horner(h.hi, [take(tables[n], i).hi for n in range(_PAIRS, _TERMS)]))
    for c in reversed(rows):
        total = add(c, mul(h, total))
    return total


def _erfcx_far(x: DD) -> DD:
    inverse = divide(ONE, x)
    return mul(inverse, horner(halved(square(inverse)), _asymptotic_coefficients(), 8))


def _erfcx(x: DD) -> DD:
    """``exp(x^2) erfc(x)`` for ``x >= 0``."""
    return piecewise(x, x.hi > _LAST, _erfcx_far, _erfcx_near)


def _erfc_right(x: DD) -> DD:
    """``erfc(x) = exp(-x^2) erfcx(x)`` for ``x >= 1/4``.

    An error of x^2, up to 745, is a relative error of the result: the square is a sum of three floats, two of them in
    the exponential and the third to first order. The scale 2^k is applied last, so that subnormal results round once.
    """
    x = choose(x.hi > 30.0, DD.of(30.0), x)  # erfc(30) is 0 in float64
    p, e = two_square(x.hi)
    c, d = two_prod(2.0 * x.hi, x.lo)
    s, t = two_sum(e, c)
    m, k = exp_parts(DD(-p, -s))
    grown = fast_add(ONE, m)
    grown = DD(grown.hi, grown.lo - grown.hi * (t + d + x.lo * x.lo))
    return scaled(mul(grown, _erfcx(x)), k)


def _erf(x: DD) -> DD:
    s, r = np.copysign(1.0, x.hi), magnitude(x)
    y = piecewise(r, r.hi < _SMALL, _erf_small, lambda v: add(ONE, -_erfc_right(v)))
    return DD(y.hi * s, y.lo * s)


def _erfc(x: DD) -> DD:
    return piecewise(x, x.hi < _SMALL, lambda v: add(ONE, -_erf(v)), _erfc_right)


def _log_erfc(x: DD) -> DD:
    return piecewise(x, x.hi < 0.5, lambda v: log1p_kernel(-_erf(v)), lambda v: add(log_kernel(_erfcx(v)), -square(v)))


erfcx = guarded(_erfcx, float64.erfcx)
erf = guarded(_erf, float64.erf)
erfc = guarded(_erfc, float64.erfc)
log_erfc = guarded(_log_erfc, float64.log_erfc)
