"""Gradient flows of the learning problem: convergence times as one integral, trajectories by several methods."""
