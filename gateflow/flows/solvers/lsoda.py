"""Adams and BDF formulas, switched by stiffness (Petzold 1983; Hindmarsh's ODEPACK)."""

from gateflow.flows.path import Path
from gateflow.flows.solvers import Solved
from gateflow.flows.solvers._swapped import solve_with

MARGIN = 50.0
"""Local tolerance below the one asked for, so that the local errors add up to less than it (measured)."""


def solve(path: Path, rtol: float, atol: float) -> Solved:
    """Integrate along the path by SciPy's LSODA."""
    return solve_with("LSODA", path, rtol, atol, MARGIN)
