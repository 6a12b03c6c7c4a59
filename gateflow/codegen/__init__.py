"""From a SymPy expression to numbers that keep their digits near saturation.

Three steps, all on the expression tree, never on text:

1. :func:`stable` rewrites what would cancel, :func:`log_of` takes logarithms without forming what would underflow;
2. :class:`Tape` flattens the result into a list of operations, each common subexpression once, and plays it over any
   arithmetic: float64, double-double, big floats (:mod:`gateflow.arithmetic`);
3. :func:`source` prints the same tape as NumPy or PyTorch text, for use without gateflow.
"""

from gateflow.codegen.rewrite import log_composed, log_of, log_ratio, powers_gathered, sign_of, stable, stable_sums
from gateflow.codegen.source import source
from gateflow.codegen.tape import Tape

__all__ = [
    "Tape",
    "log_composed",
    "log_of",
    "log_ratio",
    "powers_gathered",
    "sign_of",
    "source",
    "stable",
    "stable_sums",
]
