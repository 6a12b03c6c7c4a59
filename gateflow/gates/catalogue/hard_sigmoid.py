"""The hard sigmoid, for contrast: it reaches 0 and 1, so it is not in class F."""

from gateflow.gates.gate import Gate

IN_CLASS_F = False
"""Flat past |z| = 3: not strictly increasing, and 0 and 1 are values, not limits (theory.md §2)."""


def make() -> Gate:
    """``z/6 + 1/2``, cut off at 0 and 1."""
    return Gate(
        "where(z <= -3, 0, where(z >= 3, 1, z/6 + 1/2))",
        name="hard-sigmoid",
        reference="Gulcehre, Moczulski, Denil and Bengio, Noisy activation functions (ICML 2016), arXiv 1603.00391",
    )
