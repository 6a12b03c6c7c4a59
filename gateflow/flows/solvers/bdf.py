"""Backward differentiation formulas of variable order (Shampine and Reichelt, The MATLAB ODE Suite, 1997)."""

from gateflow.flows.solvers._swapped import Swapped

solve = Swapped("BDF", margin=100.0)
