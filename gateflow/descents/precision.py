"""Float formats narrower than float64, by rounding float64 numbers to them.

An operation of a format with p bits, on its own numbers, is the float64 operation rounded to p bits: rounding twice
does no harm as long as ``53 >= 2 p + 2`` (Figueroa 1995), which holds up to float32. So arrays stay float64 and only
their values are those of the format; bfloat16, which NumPy lacks, costs nothing more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.errors import UnknownName, unknown


@dataclass(frozen=True)
class Format:
    """A binary float format.

    Parameters
    ----------
    name : str
        As PyTorch and NumPy call it.
    bits : int
        p, the bits of its significand, with the leading one.
    lowest : int
        Exponent of its smallest normal number.
    highest : int
        Exponent of its largest numbers.
    """

    name: str
    bits: int
    lowest: int
    highest: int

    @property
    def largest(self) -> float:
        """The largest finite number."""
        return float(np.ldexp(2.0 - 2.0 ** (1 - self.bits), self.highest))

    @property
    def unit(self) -> float:
        """Half the distance from 1 to the next number: the relative error of one rounding."""
        return 2.0**-self.bits

    def round(self, x: Any) -> np.ndarray:
        """The nearest numbers of the format, ties to even, as float64; past the largest they are infinite.

        Examples
        --------
        >>> FORMATS["bfloat16"].round([1 / 3, 256.5, 257.0, 1e39])
        array([  0.33398438, 256.        , 256.        ,          inf])
        """
        x = np.asarray(x, dtype=np.float64)
        if self.bits == 53:
            return x
        shift = np.uint64(53 - self.bits)
        pattern = np.atleast_1d(x).view(np.uint64)
        odd = (pattern >> shift) & np.uint64(1)
        half = (np.uint64(1) << (shift - np.uint64(1))) - np.uint64(1)
        normal = ((pattern + half + odd) >> shift << shift).view(np.float64)
        spacing = 1.5 * 2.0 ** (self.lowest - self.bits + 53)  # the sum's last bit is the format's smallest number
        small = np.copysign((np.atleast_1d(x) + spacing) - spacing, np.atleast_1d(x))
        size = np.abs(np.atleast_1d(x))
        result = np.where(size < 2.0**self.lowest, small, normal)
        result = np.where(np.abs(result) > self.largest, np.copysign(np.inf, result), result)
        return np.where(np.isnan(np.atleast_1d(x)), np.nan, result).reshape(x.shape)

    def spacing(self, x: Any) -> np.ndarray:
        """The distance between neighbours at x: an ulp.

        Examples
        --------
        >>> FORMATS["bfloat16"].spacing([1.0, 300.0])
        array([0.0078125, 2.       ])
        """
        x = np.asarray(x, dtype=np.float64)
        exponent = np.where(x == 0, self.lowest, np.frexp(x)[1] - 1)
        return np.ldexp(1.0, np.maximum(exponent, self.lowest) - self.bits + 1)


FORMATS = {
    "float64": Format("float64", 53, -1022, 1023),
    "float32": Format("float32", 24, -126, 127),
    "float16": Format("float16", 11, -14, 15),
    "bfloat16": Format("bfloat16", 8, -126, 127),
}
"""The formats by name."""


def format_named(name: str) -> Format:
    """The format with a name.

    Raises
    ------
    UnknownName
        If there is none.
    """
    key = name.strip().lower() if isinstance(name, str) else ""
    if key not in FORMATS:
        raise UnknownName(unknown("dtype", name, FORMATS))
    return FORMATS[key]
