"""The asinh gate, which saturates like 1/(2 z)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``sigma(asinh(z))``."""
    return Gate(
        profile="asinh(z)",
        inverse="sinh(u)",
        name="asinh",
        reference="the inverse of the fast gate's profile (Ohno, Kanai and Ida, AAAI 2023)",
    )
