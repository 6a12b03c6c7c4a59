"""Elementary functions in double-double: relative error about 2^-98 wherever nothing under- or overflows.

Three kernels carry all: `_expm1_kernel` (two tables and a short series), `_log` and `_arc` (one table and the series of
atanh or atan). Each brings its argument so near to a table point that a few terms of a series suffice, the first ones
in double-double and the rest, 2^-47 times smaller, in float64. The rest is algebra that loses nothing.

The tables are made by mpmath at first use.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import mpmath
import numpy as np

from gateflow.arithmetic import machine
from gateflow.arithmetic.doubledouble.errorfree import (
    DD,
    add,
    div,
    divide,
    fast_add,
    fast_two_sum,
    mul,
    mul_float,
    product,
    root,
    scale_by_two,
    scaled,
    settled,
    square,
    two_prod,
    two_square,
    two_sum,
)
from gateflow.arithmetic.machine import quiet

_MP = mpmath.MPContext()
_MP.prec = 250


def from_mp(values: Iterable[Any]) -> DD:
    """Big floats as double-doubles, each part rounded to nearest."""
    values = list(values)
    hi = [float(v) for v in values]
    return DD(np.array(hi), np.array([float(v - h) for v, h in zip(values, hi, strict=True)]))


def number(value: Any) -> DD:
    return from_mp([value])[0]


def _parts(value: Any, *bits: int) -> list[float]:
    """``value`` cut into floats of so many bits each, and a last float with all 53."""
    out = []
    for b in bits:
        _, exponent = _MP.frexp(value)
        head = _MP.ldexp(_MP.floor(_MP.ldexp(value, b - exponent)), exponent - b)
        out.append(float(head))
        value -= head
    return [*out, float(value)]


def take(table: DD, index: Any) -> DD:
    """Rows of a table; indices made of nan are clipped, the nan being still in the rest of the formula."""
    index = np.asarray(index).astype(np.int64)
    return DD(table.hi.take(index, mode="clip"), table.lo.take(index, mode="clip"))


def choose(mask: Any, x: DD, y: DD) -> DD:
    """``x`` where ``mask`` holds, ``y`` elsewhere."""
    return DD(np.where(mask, x.hi, y.hi), np.where(mask, x.lo, y.lo))


def halved(x: DD) -> DD:
    """``x/2``."""
    return DD(0.5 * x.hi, 0.5 * x.lo)


def doubled(x: DD) -> DD:
    """``2 x``."""
    return DD(2.0 * x.hi, 2.0 * x.lo)


ONE, TWO, HALF = DD.of(1.0), DD.of(2.0), DD.of(0.5)
LN2 = number(_MP.ln2)
PI, HALF_PI = number(_MP.pi), number(_MP.pi / 2)
_LN2_1, _LN2_2, _LN2_3 = _parts(+_MP.ln2, 40, 40)

# ---------------------------------------------------------------------------------------------------- exponential


@functools.cache
def _expm1_tables() -> tuple[DD, DD]:
    """``expm1(i/2^11)`` for ``|i| <= 740`` and ``expm1(j/2^22)`` for ``|j| <= 1024``."""
    wide, narrow = _MP.exp(_MP.mpf(2) ** -11), _MP.exp(_MP.mpf(2) ** -22)
    coarse = from_mp(wide**i - 1 for i in range(-740, 741))
    return coarse, from_mp(narrow**j - 1 for j in range(-1024, 1025))


def _compound(x: DD, y: DD) -> DD:
    """``(1 + x)(1 + y) - 1`` for ``|x| >= |y|`` or ``x = 0``."""
    p = product(x, y)
    s, e = fast_two_sum(x.hi, y.hi)
    s, f = fast_two_sum(s, p.hi)
    return DD(*fast_two_sum(s, e + (f + ((x.lo + y.lo) + p.lo))))


def _expm1_kernel(x: DD) -> DD:
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
    return _expm1_kernel(DD(*fast_two_sum(a, c + (d - k * _LN2_3)))), k


def _exp(x: DD) -> DD:
    m, k = exp_parts(x)
    return scaled(fast_add(ONE, m), k)


CHUNK = 4096
"""Elements computed at a time: their temporaries stay in the second-level cache, 3 to 4 times the speed."""


def guarded(kernel: Callable[[DD], DD], single: Callable[[Any], Any]) -> Callable[[Any], DD]:
    """The public function of a kernel: silent, in chunks, float64's answer where the kernel leaves the finite range."""

    @quiet
    def function(x: Any) -> DD:
        x = DD.of(x)
        if np.size(x.hi) <= CHUNK:
            return settled(kernel(x), lambda: single(x.hi))
        flat, out = x.reshape(-1), DD(np.empty(x.shape), np.empty(x.shape))
        hi, lo = out.hi.reshape(-1), out.lo.reshape(-1)
        for start in range(0, hi.size, CHUNK):
            part = slice(start, start + CHUNK)
            y = function(flat[part])
            hi[part], lo[part] = y.hi, y.lo
        return out

    function.__name__ = function.__qualname__ = kernel.__name__.removeprefix("_").removesuffix("_kernel")
    function.__doc__ = kernel.__doc__ or f"{function.__name__} in double-double."
    return function


def _expm1(x: DD) -> DD:
    m, k = exp_parts(x)
    # 2^k (1 + m) - 1, where k = 0 is m itself; past k = 120 the one is lost in any case.
    grown = scaled(fast_add(ONE, m), k)
    return choose(k == 0.0, m, add(grown, -ONE))


def magnitude(x: DD) -> DD:
    """``|x|``."""
    s = np.copysign(1.0, x.hi)
    return DD(x.hi * s, x.lo * s)


def _sinh(x: DD) -> DD:
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
    e = _expm1(doubled(DD(np.minimum(r.hi, 50.0), np.where(r.hi < 50.0, r.lo, 0.0))))
    y = div(e, add(e, TWO))
    return DD(y.hi * s, y.lo * s)


# ------------------------------------------------------------------------------------------------------ logarithm


@functools.cache
def _log_table() -> DD:
    """``log(1 + i/2^10)`` for i from -310."""
    return from_mp(_MP.log1p(_MP.mpf(i) / 2**10) for i in range(-310, 431))


_THIRD, _TWELFTH = number(_MP.mpf(1) / 3), number(_MP.mpf(1) / 12)


def _twice_atanh_half(z: DD) -> DD:
    """``2 atanh(z/2)`` for ``|z| <= 2^-10.5``."""
    q = square(z)
    tail = q.hi * (1.0 / 80.0 + q.hi * (1.0 / 448.0 + q.hi * (1.0 / 2304.0)))
    return _cubic(z, q, _TWELFTH, tail)


def _atan_short(z: DD) -> DD:
    """``atan(z)`` for ``|z| <= 2^-12``."""
    q = square(z)
    return _cubic(z, q, -_THIRD, q.hi * (1.0 / 5.0 - q.hi * (1.0 / 7.0 - q.hi * (1.0 / 9.0))))


def _cubic(z: DD, q: DD, third: DD, tail: Any) -> DD:
    """``z + z q (third + tail)``."""
    a, b = fast_two_sum(third.hi, tail)
    return fast_add(z, mul(z, mul(q, DD(a, b + third.lo))))


def _log(x: DD, less_one: DD) -> DD:
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
    return _log(x, DD(*fast_two_sum(x.hi - 1.0, x.lo)))


def log1p_kernel(x: DD) -> DD:
    return _log(add(ONE, x), x)


def _asinh(x: DD) -> DD:
    r, s = magnitude(x), np.copysign(1.0, x.hi)
    # log1p(x + x^2/(1 + sqrt(1 + x^2))); past 2^60 the hypotenuse is x to all digits, and log(2 x) cannot overflow.
    far = r.hi > 2.0**60
    t = choose(far, ONE, r)
    q = square(t)
    w = add(t, div(q, add(ONE, root(add(ONE, q)))))
    y = _log(choose(far, r, add(ONE, w)), choose(far, r, w))
    y = choose(far, add(y, LN2), y)
    return DD(y.hi * s, y.lo * s)


def _acosh(x: DD) -> DD:
    far = x.hi > 2.0**60
    t = add(choose(far, TWO, x), -ONE)
    w = add(t, _sqrt(mul(t, add(t, TWO))))
    y = _log(choose(far, x, add(ONE, w)), choose(far, x, w))
    return choose(far, add(y, LN2), y)


def _atanh(x: DD) -> DD:
    r, s = magnitude(x), np.copysign(1.0, x.hi)
    below = add(ONE, -r)
    y = _log(div(add(ONE, r), below), div(doubled(r), below))
    return DD(0.5 * y.hi * s, 0.5 * y.lo * s)


# ----------------------------------------------------------------------------------------------------- arctangent


@functools.cache
def _atan_table() -> DD:
    """``atan(i/2^11)`` for i from 0 to 2^11."""
    return from_mp(_MP.atan(_MP.mpf(i) / 2**11) for i in range(2**11 + 1))


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


# --------------------------------------------------------------------------------------------------- trigonometry


@functools.cache
def _sine_tables() -> tuple[DD, DD]:
    """sin and cos of i/2^7, i from -104 to 104."""
    angles = [_MP.mpf(i) / 2**7 for i in range(-104, 105)]
    return from_mp(map(_MP.sin, angles)), from_mp(map(_MP.cos, angles))


_HALF_PI_PARTS = [np.float64(p) for p in _parts(_MP.pi / 2, 53, 53, 53)]
_SIN = [number((-1) ** n / _MP.factorial(2 * n + 1)) for n in range(9)]
_COS = [number((-1) ** n / _MP.factorial(2 * n)) for n in range(9)]
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


# ---------------------------------------------------------------------------------------------- gates' own functions


def _sqrt(x: DD) -> DD:
    """Square root, faint arguments scaled so that the residual does not underflow."""
    faint = x.hi < 2.0**-900
    y = root(choose(faint, DD(x.hi * 2.0**200, x.lo * 2.0**200), x))
    y = choose(faint, DD(y.hi * 2.0**-100, y.lo * 2.0**-100), y)
    return choose(x.hi == 0.0, x, y)


def _sigmoid(x: DD) -> DD:
    t = _exp(-magnitude(x))
    return div(choose(x.hi < 0.0, t, ONE), add(ONE, t))


def _softplus(x: DD) -> DD:
    tail = log1p_kernel(_exp(-magnitude(x)))
    return choose(x.hi > 0.0, add(x, tail), tail)


def _softsign(x: DD) -> DD:
    return divide(x, add(ONE, magnitude(x)))


def _logit(p: DD) -> DD:
    # log(p/(1 - p)); near p = 1/2 the quotient is 1 + (2 p - 1)/(1 - p).
    complement = add(ONE, -p)
    excess = add(doubled(p), -ONE)
    return _log(div(p, complement), div(excess, complement))


def _log_cosh(x: DD) -> DD:
    # Near the double zero x = 0: (1/2) log1p(sinh(x)^2).
    r = magnitude(x)
    near = r.hi < 1.0
    s = square(_sinh(choose(near, r, ONE)))
    y = log1p_kernel(choose(near, s, _exp(-doubled(r))))
    return choose(near, halved(y), add(add(r, -LN2), y))


def _log1mexp(x: DD) -> DD:
    below = _expm1(-x)
    return _log(-below, -_exp(-x))


abs = guarded(magnitude, np.abs)
sqrt = guarded(_sqrt, np.sqrt)
exp = guarded(_exp, np.exp)
expm1 = guarded(_expm1, np.expm1)
log = guarded(log_kernel, np.log)
log1p = guarded(log1p_kernel, np.log1p)
sinh = guarded(_sinh, np.sinh)
cosh = guarded(_cosh, np.cosh)
tanh = guarded(_tanh, np.tanh)
asinh = guarded(_asinh, np.arcsinh)
acosh = guarded(_acosh, np.arccosh)
atanh = guarded(_atanh, np.arctanh)
atan = guarded(_atan, np.arctan)
acot = guarded(_acot, machine.acot)
sin = guarded(_sin, np.sin)
cos = guarded(_cos, np.cos)
tan = guarded(_tan, np.tan)
sigmoid = guarded(_sigmoid, machine.sigmoid)
softplus = guarded(_softplus, machine.softplus)
softsign = guarded(_softsign, machine.softsign)
logit = guarded(_logit, machine.logit)
log_cosh = guarded(_log_cosh, machine.log_cosh)
log1mexp = guarded(_log1mexp, machine.log1mexp)
