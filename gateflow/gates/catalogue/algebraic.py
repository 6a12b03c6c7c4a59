"""The algebraic gate, whose profile is 2 asinh(z)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``(1 + z/sqrt(1 + z**2))/2``."""
    return Gate(
        "(1 + z/sqrt(1 + z**2))/2",
        name="algebraic",
        reference="Elliott, A better activation function for artificial neural networks (ISR TR 93-8, 1993), "
        "with a square root in place of the absolute value",
    )
