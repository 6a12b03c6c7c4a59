"""A gate that saturates faster than the fast gate: the logistic function of z exp(z**2)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``sigma(z exp(z**2))``."""
    return Gate(
        profile="z*exp(z**2)",
        name="exp-square",
        reference="a profile between one and two exponentials (docs/theory.md, T6)",
    )
