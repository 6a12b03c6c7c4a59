"""log Gamma and its two derivatives in double-double for ``x > 0``: Stirling's series after a shift by 16.

For ``x < 0`` they are float64's. log Gamma keeps its relative accuracy at its zeros 1 and 2 (Taylor series about 2);
digamma has only an absolute one at its zero 1.4616...
"""

from __future__ import annotations

import functools
from typing import Any

import mpmath
import numpy as np

from gateflow.arithmetic import float64
from gateflow.arithmetic.doubledouble.errorfree import DD, add, choose, divide, guarded, halved, mul, square
from gateflow.arithmetic.doubledouble.gaussian import horner, piecewise
from gateflow.arithmetic.doubledouble.logarithm import log1p_kernel, log_kernel
from gateflow.arithmetic.doubledouble.tables import ONE, TWO, from_mp

_SHIFT = 16


@functools.cache
def _context() -> Any:
    mp = mpmath.MPContext()
    mp.dps = 60
    return mp


@functools.cache
def _bernoulli(kind: str) -> DD:
    """Coefficients of Stirling's series in powers of 1/x^2, without the leading power of 1/x."""
    mp = _context()
    weight = {"loggamma": lambda n: n * (n - 1), "digamma": lambda n: n, "trigamma": lambda n: 1}[kind]
    return from_mp(mp.bernoulli(n) / weight(n) for n in range(2, 42, 2))


@functools.cache
def _half_log_two_pi() -> DD:
    mp = _context()
    return from_mp([mp.log(2 * mp.pi) / 2])[0]


@functools.cache
def _about_two() -> DD:
    """``log Gamma(2 + x)/x`` in powers of x: 1 - gamma, then ``(-1)^k (zeta(k) - 1)/k``."""
    mp = _context()
    return from_mp([1 - mp.euler, *((-1) ** k * (mp.zeta(k) - 1) / k for k in range(2, 56))])


def _loggamma_stirling(x: DD) -> DD:
    logarithm, inverse = log_kernel(x), divide(ONE, x)
    tail = add(_half_log_two_pi(), mul(inverse, horner(square(inverse), _bernoulli("loggamma"), 7)))
    return add(mul(x, add(logarithm, -ONE)), add(tail, -halved(logarithm)))


def _digamma_stirling(x: DD) -> DD:
    inverse = divide(ONE, x)
    t = square(inverse)
    return add(log_kernel(x), -add(halved(inverse), mul(t, horner(t, _bernoulli("digamma"), 7))))


def _trigamma_stirling(x: DD) -> DD:
    inverse = divide(ONE, x)
    t = square(inverse)
    return add(inverse, add(halved(t), mul(mul(inverse, t), horner(t, _bernoulli("trigamma"), 7))))


def _loggamma_shifted(x: DD) -> DD:
    total = x
    for n in range(1, _SHIFT):
        total = mul(total, add(x, DD.of(float(n))))
    return add(_loggamma_stirling(add(x, DD.of(float(_SHIFT)))), -log_kernel(total))


def _digamma_shifted(x: DD) -> DD:
    total = _digamma_stirling(add(x, DD.of(float(_SHIFT))))
    for n in reversed(range(_SHIFT)):
        total = add(total, -divide(ONE, add(x, DD.of(float(n)))))
    return total


def _trigamma_shifted(x: DD) -> DD:
    total = _trigamma_stirling(add(x, DD.of(float(_SHIFT))))
    for n in reversed(range(_SHIFT)):
        total = add(total, divide(ONE, square(add(x, DD.of(float(n))))))
    return total


def _loggamma_central(x: DD) -> DD:
    below = x.hi < 1.5
    h = add(x, -choose(below, ONE, TWO))
    y = mul(h, horner(h, _about_two(), 24))
    return choose(below, add(y, -log1p_kernel(h)), y)


def _for_positive(x: DD, function: Any, single: Any) -> DD:
    return piecewise(x, x.hi > 0.0, function, lambda v: DD.of(single(v.hi)))


def _loggamma(x: DD) -> DD:
    def positive(v: DD) -> DD:
        return piecewise(v, np.abs(v.hi - 1.5) <= 1.0, _loggamma_central, outer)

    def outer(v: DD) -> DD:
        return piecewise(v, v.hi < _SHIFT, _loggamma_shifted, _loggamma_stirling)

    return _for_positive(x, positive, float64.loggamma)


def _digamma(x: DD) -> DD:
    return _for_positive(x, lambda v: piecewise(v, v.hi < _SHIFT, _digamma_shifted, _digamma_stirling), float64.digamma)


def _trigamma(x: DD) -> DD:
    return _for_positive(
        x, lambda v: piecewise(v, v.hi < _SHIFT, _trigamma_shifted, _trigamma_stirling), float64.trigamma
    )


loggamma = guarded(_loggamma, float64.loggamma)
digamma = guarded(_digamma, float64.digamma)
trigamma = guarded(_trigamma, float64.trigamma)
