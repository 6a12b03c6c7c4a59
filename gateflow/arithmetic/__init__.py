"""Real arithmetics with one interface: the same tape of operations runs over any of them.

"Evaluate in twice the working precision, round once." A gate near saturation has ``1 - phi = sigmoid(-u)`` with ``|u|``
up to 745, so an error of one ulp in u is an error of 745 ulps in the answer. float32 is therefore computed in float64
(`float64`), float64 in pairs of float64 (`doubledouble`), and `BigFloat` (mpmath) is for more digits than a float has.

An arithmetic has a ``name``, ``lift`` (float64 array to its numbers), ``constant`` (SymPy number to one of its numbers,
to full precision), ``round`` (back to float64, rounded once), ``large`` and ``tiny`` (the ends of its exponents), the
`OPERATIONS` and the `PRIMITIVES`. The rest of the `FUNCTIONS` are put together from these (`composites`), unless it has
versions of its own. Its numbers know ``+ - * /`` and broadcast, and a float may stand for one. No floating-point
warning leaves a function: limits at infinity and infinities at poles are returned, and nan means nan in or an argument
outside the real domain.

Examples
--------
>>> import numpy as np
>>> u = np.array([-700.0, 0.0, 700.0])
>>> for arithmetic in (float64, doubledouble, BigFloat(30)):
...     x = arithmetic.lift(u)
...     print(arithmetic.name, arithmetic.round(arithmetic.sigmoid(-x)))
float64 [1.00000000e+000 5.00000000e-001 9.85967654e-305]
doubledouble [1.00000000e+000 5.00000000e-001 9.85967654e-305]
bigfloat30 [1.00000000e+000 5.00000000e-001 9.85967654e-305]
"""

from __future__ import annotations

from typing import Any

from gateflow.arithmetic import doubledouble, float64
from gateflow.arithmetic.bigfloat import BigFloat
from gateflow.arithmetic.composites import COMPOSITES
from gateflow.errors import UnknownName, unknown

PRIMITIVES: tuple[str, ...] = (
    *("abs", "sign", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "atan", "erf", "erfcx"),
    *("loggamma", "digamma", "trigamma"),
)
"""The functions of one real number that an arithmetic brings with it; `erfcx` for x >= 0 only."""

FUNCTIONS: tuple[str, ...] = (*PRIMITIVES, *(name for name in COMPOSITES if name != "log_add"))
"""The functions of one real number that every arithmetic has: its own, and composites."""

OPERATIONS: tuple[str, ...] = (
    "log_add",
    "maximum",
    "minimum",
    "integer_power",
    "power",
    "less",
    "less_equal",
    "where",
    "isfinite",
)
"""What every arithmetic has besides: two arguments, comparisons, choice."""

ARITHMETICS: dict[str, Any] = {"float64": float64, "doubledouble": doubledouble, "bigfloat": BigFloat(50)}
"""One of each kind, by name."""


def named(name: str) -> Any:
    """The arithmetic with a name; ``bigfloat200`` has 200 digits.

    Raises
    ------
    UnknownName
        If there is none.

    Examples
    --------
    >>> named("bigfloat200").digits
    200
    """
    digits = name.removeprefix("bigfloat")
    if digits != name and digits.isdecimal():
        return BigFloat(int(digits))
    if name not in ARITHMETICS:
        raise UnknownName(unknown("arithmetic", name, [*ARITHMETICS, "bigfloat<digits>"]))
    return ARITHMETICS[name]


__all__ = [
    "ARITHMETICS",
    "FUNCTIONS",
    "OPERATIONS",
    "PRIMITIVES",
    "BigFloat",
    "doubledouble",
    "float64",
    "named",
]
