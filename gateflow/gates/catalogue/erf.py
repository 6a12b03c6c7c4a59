"""The error-function (probit) gate, which saturates like exp(-z**2)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``(1 + erf(z))/2``."""
    return Gate(
        "(1 + erf(z))/2",
        name="erf",
        reference="Bliss, The method of probits, Science 79 (1934)",
    )
