"""Trigonometric functions and their inverses in double-double; beyond 1e15 sin, cos and tan are float64's."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    choose,
    cubic,
    div,
    fast_add,
    fast_two_sum,
    guarded,
    magnitude,
    mul,
    mul_float,
    square,
    two_prod,
    two_sum,
)
from gateflow.arithmetic.doubledouble.tables import HALF_PI, MP, ONE, PI, cut, from_mp, number, take

_THIRD = number(MP.mpf(1) / 3)


def _atan_short(z: DD) -> DD:
    """``atan(z)`` for ``|z| <= 2^-12``."""
    q = square(z)
    return cubic(z, q, -_THIRD, q.hi * (1.0 / 5.0 - q.hi * (1.0 / 7.0 - q.hi * (1.0 / 9.0))))


@functools.cache
def _atan_table() -> DD:
    """``atan(i/2^11)`` for i from 0 to 2^11."""
    return from_mp(MP.atan(MP.mpf(i) / 2**11) for i in range(2**11 + 1))


def _arc(x: DD) -> tuple[DD, Any]:
    """``atan(min(x, 1/x))`` for x >= 0, and where it is 1/x.

    With the table point t near a/b: atan(a/b) = atan(t) + atan((a - t b)/(b + t a)); no quotient a/b is rounded.
    """
    steep = x.hi > 1.0
    a, b = choose(steep, ONE, x), choose(steep, x, ONE)
    i = np.rint(a.hi / b.hi * 2.0**11)
    t = i * 2.0**-11
    z = div(add(a, -mul_float(b, t)), add(b, mul_float(a, t)))
    z = choose(np.isinf(b.hi), DD.of(0.0), z)
    return fast_add(take(_atan_table(), i), _atan_short(z)), steep


def _atan(x: DD) -> DD:
    s = np.copysign(1.0, x.hi)
    y, steep = _arc(magnitude(x))
    y = choose(steep, add(HALF_PI, -y), y)
    return DD(y.hi * s, y.lo * s)


def _acot(x: DD) -> DD:
    y, steep = _arc(magnitude(x))
    right = choose(steep, y, add(HALF_PI, -y))
    return choose(x.hi < 0.0, add(PI, -right), right)


@functools.cache
def _sine_tables() -> tuple[DD, DD]:
    """sin and cos of i/2^7, i from -104 to 104."""
    angles = [MP.mpf(i) / 2**7 for i in range(-104, 105)]
    return from_mp(map(MP.sin, angles)), from_mp(map(MP.cos, angles))


_HALF_PI_PARTS = [np.float64(p) for p in cut(MP.pi / 2, 53, 53, 53)]
_SIN = [number((-1) ** n / MP.factorial(2 * n + 1)) for n in range(9)]
_COS = [number((-1) ** n / MP.factorial(2 * n)) for n in range(9)]
TRIGONOMETRIC_RANGE = 1e15
"""Beyond this magnitude sin, cos and tan are float64's, of the high part alone."""


def _quarter_turns(x: DD) -> tuple[DD, Any]:
    """``r`` and ``k`` with ``x = k pi/2 + r``, ``|r| <= pi/4`` (Cody and Waite with 212 bits of pi/2)."""
    k = np.rint(x.hi * (1.0 / HALF_PI.hi))
    p1, p2, p3, p4 = _HALF_PI_PARTS
    a, b = two_prod(k, p1)
    r = add(DD(*two_sum(x.hi - a, -b)), DD(x.lo, 0.0 * x.lo))
    r = add(r, -DD(*two_prod(k, p2)))
    c, d = two_prod(k, p3)
    return add(r, -DD(c, d + k * p4)), k


def _sin_cos(x: DD) -> tuple[DD, DD]:
    """Sine and cosine of ``|x| <= pi/4``."""
    i = np.rint(x.hi * 2.0**7)
    h = DD(*fast_two_sum(x.hi - i * 2.0**-7, x.lo))
    q = square(h)
    tail = _SIN[3].hi + q.hi * (_SIN[4].hi + q.hi * (_SIN[5].hi + q.hi * _SIN[6].hi))
    s = add(_SIN[1], mul(q, add(_SIN[2], DD.of(q.hi * tail))))
    s = add(h, mul(h, mul(q, s)))
    tail = _COS[3].hi + q.hi * (_COS[4].hi + q.hi * (_COS[5].hi + q.hi * _COS[6].hi))
    c = mul(q, add(_COS[1], mul(q, add(_COS[2], DD.of(q.hi * tail)))))
    sines, cosines = _sine_tables()
    a, b = take(sines, i + 104.0), take(cosines, i + 104.0)
    return add(a, add(mul(b, s), mul(a, c))), add(b, add(mul(b, c), -mul(a, s)))


def _turned(x: DD, quarter: int, single: Callable[[Any], Any]) -> DD:
    """sin(x + quarter pi/2)."""
    r, k = _quarter_turns(x)
    s, c = _sin_cos(r)
    k = (k + quarter) % 4.0
    y = choose(k % 2.0 == 0.0, s, c)
    y = choose(k >= 2.0, -y, y)
    return choose(np.abs(x.hi) <= TRIGONOMETRIC_RANGE, y, DD.of(single(x.hi)))


def _sin(x: DD) -> DD:
    return _turned(x, 0, np.sin)


def _cos(x: DD) -> DD:
    return _turned(x, 1, np.cos)


def _tan(x: DD) -> DD:
    r, k = _quarter_turns(x)
    s, c = _sin_cos(r)
    odd = k % 2.0 == 1.0
    y = div(choose(odd, -c, s), choose(odd, s, c))
    return choose(np.abs(x.hi) <= TRIGONOMETRIC_RANGE, y, DD.of(np.tan(x.hi)))


atan = guarded(_atan, np.arctan)
acot = guarded(_acot, float64.acot)
sin = guarded(_sin, np.sin)
cos = guarded(_cos, np.cos)
tan = guarded(_tan, np.tan)
