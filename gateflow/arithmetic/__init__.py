"""Real arithmetics with one interface: the same tape of operations runs over any of them.

"Evaluate in twice the working precision, round once." A gate near saturation has ``1 - phi = sigmoid(-u)`` with ``|u|``
up to 745, so an error of one ulp in u is an error of 745 ulps in the answer. float32 is therefore computed in float64
(`machine`), float64 in pairs of float64 (`doubledouble`), and `BigFloat` (mpmath) is for more digits than a float has.

An arithmetic has a ``name``, ``lift`` (float64 array to its numbers), ``constant`` (SymPy number to one of its numbers,
to full precision), ``round`` (back to float64, rounded once) and the functions in `FUNCTIONS`. Its numbers know
``+ - * /`` and broadcast. No floating-point warning leaves a function: limits at infinity and infinities at poles are
returned, and nan means nan in or an argument outside the real domain.

Examples
--------
>>> import numpy as np
>>> u = np.array([-700.0, 0.0, 700.0])
>>> for arithmetic in (machine, doubledouble, BigFloat(30)):
...     x = arithmetic.lift(u)
...     print(arithmetic.name, arithmetic.round(arithmetic.sigmoid(-x)))
machine [1.00000000e+000 5.00000000e-001 9.85967654e-305]
doubledouble [1.00000000e+000 5.00000000e-001 9.85967654e-305]
bigfloat30 [1.00000000e+000 5.00000000e-001 9.85967654e-305]
"""

from __future__ import annotations

from gateflow.arithmetic import doubledouble, machine
from gateflow.arithmetic.bigfloat import BigFloat

FUNCTIONS: tuple[str, ...] = (
    *("abs", "sign", "sqrt", "exp", "expm1", "log", "log1p", "sin", "cos", "tan", "sinh", "cosh", "tanh"),
    *("asinh", "acosh", "atanh", "atan", "acot", "erf", "erfc", "log_erfc", "loggamma", "digamma", "trigamma"),
    *("sigmoid", "softplus", "softsign", "logit", "log_cosh", "log1mexp"),
)
"""The functions of one real variable that every arithmetic has."""

OPERATIONS: tuple[str, ...] = (
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

__all__ = ["FUNCTIONS", "OPERATIONS", "BigFloat", "doubledouble", "machine"]
