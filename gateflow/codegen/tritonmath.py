"""Elementary functions as Triton device functions, for :mod:`gateflow.codegen.triton`.

Triton itself has exp, log, sqrt, sin, cos and erf. The library its further functions come from is closed to its
interpreter, so the rest is written here, and what is tested on a CPU is what runs on a GPU. Errors are a few units in
the last place of float32 beside those of exp and log, whose argument's rounding costs ``|x|`` of them
(tests/codegen/test_triton.py has the bounds). Of a float64 they keep the range, and float32's digits.

Polynomials interpolate at Chebyshev points, in 40 digits, the function named beside them.

Importing this module needs Triton.
"""

from __future__ import annotations

try:
    import triton as triton
    import triton.language as tl
except ImportError:
    from gateflow.errors import MissingExtra

    raise MissingExtra("GPU kernels", "gpu") from None


# --- exponentials and logarithms --------------------------------------------------------------------------------------


@triton.jit
def expm1(x):
    """On [-1/2, 1/2] by ``(exp(x) - 1)/x``."""
    p = 0.0001996217623 * x + 0.001399777338
    p = p * x + 0.008333182072
    p = p * x + 0.04166530419
    p = p * x + 0.1666666714
    p = p * x + 0.5000000426
    near = (p * x + 1.0) * x
    return tl.where(tl.abs(x) < 0.5, near, tl.exp(x) - 1.0)


@triton.jit
def log1p(x):
    """On [-1/2, 1/2] by ``2 atanh(x/(2 + x))``."""
    s = x / (2.0 + x)
    q = s * s
    p = 0.1407888918 * q + 0.1398257887
    p = p * q + 0.2001229762
    p = p * q + 0.3333316082
    near = 2.0 * s * (p * q + 1.0)
    return tl.where(tl.abs(x) < 0.5, near, tl.log(1.0 + x))


@triton.jit
def log(x):
    """The processor's own has only absolute precision where x is near 1; x - 1 is exact there."""
    return tl.where(tl.abs(x - 1.0) < 0.5, log1p(x - 1.0), tl.log(x))


@triton.jit
def power(x, y):
    """``x**y`` for x >= 0, with ``x**0 = 1``; nan for x < 0."""
    size = tl.exp(y * log(x))
    return tl.where(x < 0.0, float("nan"), tl.where(y == 0.0, 1.0, size))


# --- logistic ---------------------------------------------------------------------------------------------------------


@triton.jit
def _reciprocal(x):
    """``1/x`` for x in [1, 2]; a GPU's division takes twice the instructions of this, most of a gate's time."""
    root = tl.rsqrt(x)
    return root * root


@triton.jit
def sigmoid(x):
    e = tl.exp(-tl.abs(x))
    small = e * _reciprocal(1.0 + e)
    return tl.where(x < 0.0, small, 1.0 - small)


@triton.jit
def both_sigmoids(x):
    """``sigmoid(x)`` and ``sigmoid(-x)``."""
    e = tl.exp(-tl.abs(x))
    small = e * _reciprocal(1.0 + e)
    large = 1.0 - small
    return tl.where(x < 0.0, small, large), tl.where(x < 0.0, large, small)


@triton.jit
def tanh(x):
    t = expm1(-2.0 * tl.abs(x))
    size = -t * _reciprocal(2.0 + t)
    return tl.where(x < 0.0, -size, size)


# --- hyperbolic and circular ------------------------------------------------------------------------------------------


@triton.jit
def sinh(x):
    """On [-1, 1] by ``sinh(x)/x`` in ``x**2``; overflows where ``exp(|x|)`` does."""
    q = x * x
    p = 2.819018793e-06 * q + 0.0001983571388
    p = p * q + 0.008333353206
    p = p * q + 0.1666666642
    near = (p * q + 1.0) * x
    size = 0.5 * (tl.exp(tl.abs(x)) - tl.exp(-tl.abs(x)))
    return tl.where(q < 1.0, near, tl.where(x < 0.0, -size, size))


@triton.jit
def _atan_of_fraction(y):
    """``atan(y)`` for y in [0, 1], by ``atan(y)/y`` in ``y**2``."""
    q = y * y
    p = 0.002766283502 * q - 0.01573124912
    p = p * q + 0.04213762359
    p = p * q - 0.07456854826
    p = p * q + 0.1061837064
    p = p * q - 0.1419779779
    p = p * q + 0.1999187203
    p = p * q - 0.3333303671
    return (p * q + 0.9999999818) * y


@triton.jit
def atan(x):
    a = tl.abs(x)
    far = a > 1.0
    y = _atan_of_fraction(tl.where(far, 1.0 / a, a))
    size = tl.where(far, 1.5707963267948966 - y, y)
    return tl.where(x < 0.0, -size, size)


@triton.jit
def acot(x):
    """With values in (0, pi)."""
    a = tl.abs(x)
    far = a > 1.0
    y = _atan_of_fraction(tl.where(far, 1.0 / a, a))
    right = tl.where(far, y, 1.5707963267948966 - y)
    return tl.where(x < 0.0, 3.141592653589793 - right, right)


# --- error function ---------------------------------------------------------------------------------------------------


@triton.jit
def erfcx(x):
    """``exp(x**2) erfc(x)`` for x >= 1/2, by its quotient by t in ``t = 2/(2 + x)``."""
    t = 2.0 / (2.0 + x)
    p = 0.03391683709 * t - 0.1986911456
    p = p * t + 0.4346268612
    p = p * t - 0.4018524969
    p = p * t + 0.1036164717
    p = p * t - 0.0498322694
    p = p * t + 0.09161776843
    p = p * t + 0.1755201352
    p = p * t + 0.246873396
    p = p * t + 0.2820939833
    return (p * t + 0.2820947944) * t


@triton.jit
def erfc(x):
    right = tl.where(x < 0.5, 0.5, x)
    return tl.where(x < 0.5, 1.0 - tl.erf(x), tl.exp(-x * x) * erfcx(right))


# --- signs ------------------------------------------------------------------------------------------------------------


@triton.jit
def sign(x):
    return tl.where(x > 0.0, 1.0, tl.where(x < 0.0, -1.0, x))


@triton.jit
def finite(x):
    """0 for nan, and the largest float32 for infinity."""
    size = tl.where(tl.abs(x) < 3.4028234663852886e38, tl.abs(x), 3.4028234663852886e38)
    return tl.where(x == x, tl.where(x < 0.0, -size, size), 0.0)
