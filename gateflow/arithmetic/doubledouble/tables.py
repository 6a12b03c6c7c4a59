"""Tables and constants in double-double, made by mpmath: constants at import, tables at first use."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import mpmath
import numpy as np

from gateflow.arithmetic.doubledouble.errorfree import DD

MP = mpmath.MPContext()
MP.prec = 250


def from_mp(values: Iterable[Any]) -> DD:
    """Big floats as double-doubles, each part rounded to nearest."""
    values = list(values)
    hi = [float(v) for v in values]
    return DD(np.array(hi), np.array([float(v - h) for v, h in zip(values, hi, strict=True)]))


def number(value: Any) -> DD:
    """One big float as a double-double."""
    return from_mp([value])[0]


def cut(value: Any, *bits: int) -> list[float]:
    """``value`` cut into floats of ``bits`` bits each, and a last float with all 53."""
    out = []
    for b in bits:
        _, exponent = MP.frexp(value)
        head = MP.ldexp(MP.floor(MP.ldexp(value, b - exponent)), exponent - b)
        out.append(float(head))
        value -= head
    return [*out, float(value)]


def take(table: DD, index: Any) -> DD:
    """Rows of a table; indices made of nan are clipped, the nan being still in the rest of the formula."""
    index = np.asarray(index).astype(np.int64)
    return DD(table.hi.take(index, mode="clip"), table.lo.take(index, mode="clip"))


ONE, TWO = DD.of(1.0), DD.of(2.0)
LN2 = number(MP.ln2)
LN2_PARTS = cut(+MP.ln2, 40, 40)
"""log 2 for Cody and Waite: products of the first two parts with integers below 2^13 are exact."""
PI, HALF_PI = number(MP.pi), number(MP.pi / 2)
