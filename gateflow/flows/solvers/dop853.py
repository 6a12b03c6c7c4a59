"""Dormand and Prince of order 8, explicit, for comparison (Hairer, Norsett and Wanner, Solving ODEs I, II.10)."""

from gateflow.flows.path import Path
from gateflow.flows.solvers import Solved
from gateflow.flows.solvers._swapped import solve_with

MARGIN = 10.0
"""Local tolerance below the one asked for, so that the local errors add up to less than it (measured)."""

MAX_STEP = 1.0
"""log tau relaxes at a rate of order 1 along the path; longer explicit steps, at the edge of stability, lose digits."""


def solve(path: Path, rtol: float, atol: float) -> Solved:
    """Integrate along the path by SciPy's DOP853."""
    return solve_with("DOP853", path, rtol, atol, MARGIN, max_step=MAX_STEP)
