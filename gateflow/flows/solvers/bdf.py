"""Backward differentiation formulas of variable order (Shampine and Reichelt, The MATLAB ODE Suite, 1997)."""

from gateflow.flows.path import Path
from gateflow.flows.solvers import Solved
from gateflow.flows.solvers._swapped import solve_with

MARGIN = 100.0
"""Local tolerance below the one asked for, so that the local errors add up to less than it (measured)."""


def solve(path: Path, rtol: float, atol: float) -> Solved:
    """Integrate along the path by SciPy's BDF."""
    return solve_with("BDF", path, rtol, atol, MARGIN)
