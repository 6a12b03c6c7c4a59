"""Error-free transforms, and the double-double number with its four operations.

A double-double is the unevaluated sum ``hi + lo`` of two float64, ``|lo| <= ulp(hi)/2``: 106 bits or more. With
u = 2^-53 the relative errors are at most 3u^2 (sum), 5u^2 (product), 15u^2 (quotient), 25/8 u^2 (root).

All is NumPy without fused multiply-add, so products are split. The split is done on the bits of the significand, not by
Veltkamp's multiplication with 2^27 + 1: one pass fewer, and no overflow for arguments over 2^996.

Sources: T. J. Dekker, *A floating-point technique for extending the available precision* (1971); D. E. Knuth, *TAOCP*
vol. 2, 4.2.2; Y. Hida, X. S. Li, D. H. Bailey, *Quad-double arithmetic* (2000); M. Joldes, J.-M. Muller, V. Popescu,
*Tight and rigorous error bounds for basic building blocks of double-word arithmetic* (ACM TOMS 2017); V. Lefèvre,
N. Louvet, J.-M. Muller, J. Picot, L. Rideau, *Accurate calculation of Euclidean norms using double-word arithmetic*
(ACM TOMS 2023).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gateflow.arithmetic.float64 import quiet

_HALF_UNIT, _UPPER = 1 << 26, -(1 << 27)


def two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """``a + b = s + e`` exactly (Knuth); six operations, any order of magnitudes."""
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def fast_two_sum(a: Any, b: Any) -> tuple[Any, Any]:
    """``a + b = s + e`` exactly (Dekker) where ``|a| >= |b|`` or ``a = 0``; three operations."""
    s = a + b
    return s, b - (s - a)


def split(a: Any) -> tuple[Any, Any]:
    """``a = h + l`` exactly, each with 26 bits: rounding to nearest in the bits of the significand."""
    h = ((a.view(np.int64) + _HALF_UNIT) & _UPPER).view(np.float64)
    return h, a - h


def two_prod(a: Any, b: Any) -> tuple[Any, Any]:
    """``a b = p + e`` exactly (Dekker), where nothing under- or overflows."""
    p = a * b
    ah, al = split(a)
    bh, bl = split(b)
    return p, ((ah * bh - p) + ah * bl + al * bh) + al * bl


def two_square(a: Any) -> tuple[Any, Any]:
    """``a a = p + e`` exactly."""
    p = a * a
    h, low = split(a)
    return p, ((h * h - p) + 2.0 * (h * low)) + low * low


def scale_by_two(x: Any, k: Any) -> Any:
    """``x 2^k`` for float64 ``x`` and integers ``|k| <= 2044``, rounded once: two steps by normal powers of two."""
    k = np.asarray(k).astype(np.int64)
    half = k >> 1
    return x * ((half + 1023) << 52).view(np.float64) * ((k - half + 1023) << 52).view(np.float64)


class DD:
    """An array of double-double numbers.

    Operators broadcast, accept float64 arrays and Python numbers on either side, and are silent: where the high part
    leaves the finite range the low part is 0.

    Parameters
    ----------
    hi, lo : ndarray of float64
        The parts; ``|lo| <= ulp(hi)/2``.

    Examples
    --------
    >>> third = DD.of(1.0) / 3.0
    >>> print(third.hi, third.lo)
    0.3333333333333333 1.850371707708594e-17
    """

    __array_ufunc__ = None
    __slots__ = ("hi", "lo")

    def __init__(self, hi: Any, lo: Any) -> None:
        self.hi, self.lo = hi, lo

    @classmethod
    def of(cls, x: Any) -> DD:
        """Any number as a double-double."""
        if isinstance(x, DD):
            return x
        hi = np.asarray(x, dtype=np.float64)
        return cls(hi[()], np.zeros_like(hi)[()])

    @property
    def shape(self) -> tuple[int, ...]:
        return np.shape(self.hi)

    def reshape(self, *shape: Any) -> DD:
        return DD(np.reshape(self.hi, *shape), np.reshape(self.lo, *shape))

    def __getitem__(self, index: Any) -> DD:
        return DD(self.hi[index], self.lo[index])

    def __repr__(self) -> str:
        return f"DD({self.hi!r}, {self.lo!r})"

    def __pos__(self) -> DD:
        return self

    def __neg__(self) -> DD:
        return DD(-self.hi, -self.lo)

    @quiet
    def __add__(self, other: Any) -> DD:
        return settled(add(self, DD.of(other)), lambda: self.hi + DD.of(other).hi)

    @quiet
    def __sub__(self, other: Any) -> DD:
        return settled(add(self, -DD.of(other)), lambda: self.hi - DD.of(other).hi)

    @quiet
    def __mul__(self, other: Any) -> DD:
        return settled(mul(self, DD.of(other)), lambda: self.hi * DD.of(other).hi)

    @quiet
    def __truediv__(self, other: Any) -> DD:
        return divide(self, DD.of(other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other: Any) -> DD:
        return DD.of(other) - self

    def __rtruediv__(self, other: Any) -> DD:
        return DD.of(other) / self


def settled(x: DD, single: Any) -> DD:
    """``x``, with ``(single(), 0)`` wherever a part of it is not finite: float64 knows the limit there."""
    if np.isfinite(np.add.reduce(x.hi, axis=None) + np.add.reduce(x.lo, axis=None)):
        return x
    bad = ~(np.isfinite(x.lo) & np.isfinite(x.hi))
    return DD(np.where(bad, single(), x.hi), np.where(bad, 0.0, x.lo))


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


# Below, the operations without care for infinities: the building blocks of the elementary functions.


def fast_add(x: DD, y: DD) -> DD:
    """``x + y`` where ``|x| >= |y|`` or ``x = 0`` in the high parts, and little cancels."""
    s, e = fast_two_sum(x.hi, y.hi)
    return DD(*fast_two_sum(s, e + (x.lo + y.lo)))


def add(x: DD, y: DD) -> DD:
    """``x + y`` with relative error 3u^2 even under cancellation (AccurateDWPlusDW in Joldes et al.)."""
    s, e = two_sum(x.hi, y.hi)
    t, f = two_sum(x.lo, y.lo)
    s, e = fast_two_sum(s, e + t)
    return DD(*fast_two_sum(s, e + f))


def product(x: DD, y: DD) -> DD:
    """``x y``, the low part not yet brought below half an ulp of the high one."""
    p, e = two_prod(x.hi, y.hi)
    return DD(p, e + (x.hi * y.lo + x.lo * y.hi))


def mul(x: DD, y: DD) -> DD:
    """``x y`` with relative error 5u^2 (DWTimesDW1)."""
    p = product(x, y)
    return DD(*fast_two_sum(p.hi, p.lo))


def square(x: DD) -> DD:
    """``x x``."""
    p, e = two_square(x.hi)
    return DD(*fast_two_sum(p, e + 2.0 * (x.hi * x.lo)))


def mul_float(x: DD, y: Any) -> DD:
    """``x y`` for float64 ``y``, relative error 2u^2 (DWTimesFP1)."""
    p, e = two_prod(x.hi, y)
    return DD(*fast_two_sum(p, e + x.lo * y))


def div(x: DD, y: DD) -> DD:
    """``x/y`` with relative error 15u^2 (DWDivDW2)."""
    q = x.hi / y.hi
    r = mul_float(y, q)
    return DD(*fast_two_sum(q, ((x.hi - r.hi) + (x.lo - r.lo)) / y.hi))


def root(x: DD) -> DD:
    """``sqrt(x)`` with relative error 25/8 u^2 (SQRTDWtoDW)."""
    s = np.sqrt(x.hi)
    p, e = two_square(s)
    return DD(*fast_two_sum(s, ((x.hi - p) - e + x.lo) / (2.0 * s)))


_FAINT = 2.0**-900


def _extreme(x: Any) -> bool:
    """Whether some number is so faint or so large that the residual of a quotient under- or overflows."""
    size = np.abs(x)
    if np.min(size, initial=1.0) >= _FAINT and np.max(size, initial=1.0) <= 1.0 / _FAINT:
        return False
    return bool(np.any((size != 0.0) & ((size < _FAINT) | (size > 1.0 / _FAINT))))


def divide(x: DD, y: DD) -> DD:
    """``x/y``: as `div`, with extreme numerators and their denominators brought to [1/2, 1) for the while."""
    if _extreme(x.hi):
        kx, ky = (np.asarray(np.frexp(v.hi)[1], dtype=np.int64) for v in (x, y))
        ratio = div(scaled(x, -kx), scaled(y, -ky))
        # Past 2^2040 the quotient is 0 or infinite whatever its significand.
        ratio = scaled(ratio, np.clip(kx - ky, -2040, 2040))
    else:
        ratio = div(x, y)
    return settled(ratio, lambda: x.hi / y.hi)


def scaled(x: DD, k: Any) -> DD:
    """``x 2^k``."""
    return DD(scale_by_two(x.hi, k), scale_by_two(x.lo, k))


def float_horner(x: Any, coefficients: Any) -> Any:
    """``c0 + x (c1 + x (...))`` in float64."""
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = c + x * total
    return total


def choose(mask: Any, x: DD, y: DD) -> DD:
    """``x`` where ``mask`` holds, ``y`` elsewhere."""
    return DD(np.where(mask, x.hi, y.hi), np.where(mask, x.lo, y.lo))


def halved(x: DD) -> DD:
    """``x/2``."""
    return DD(0.5 * x.hi, 0.5 * x.lo)


def doubled(x: DD) -> DD:
    """``2 x``."""
    return DD(2.0 * x.hi, 2.0 * x.lo)


def magnitude(x: DD) -> DD:
    """``|x|``."""
    s = np.copysign(1.0, x.hi)
    return DD(x.hi * s, x.lo * s)


def cubic(z: DD, q: DD, third: DD, tail: Any) -> DD:
    """``z + z q (third + tail)``."""
    a, b = fast_two_sum(third.hi, tail)
    return fast_add(z, mul(z, mul(q, DD(a, b + third.lo))))
