"""Dormand and Prince of order 8, explicit, for comparison (Hairer, Norsett and Wanner, Solving ODEs I, II.10)."""

from gateflow.flows.solvers._swapped import Swapped

solve = Swapped("DOP853", margin=10.0, is_implicit=False, max_step=1.0)
"""log tau relaxes at a rate of order 1 along the path; longer explicit steps, at the edge of stability, lose digits."""
