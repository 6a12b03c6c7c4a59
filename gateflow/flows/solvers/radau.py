"""Radau IIA of order 5, implicit and L-stable (Hairer and Wanner, Solving Ordinary Differential Equations II, IV.8)."""

from gateflow.flows.solvers._swapped import Swapped

solve = Swapped("Radau", margin=10.0)
