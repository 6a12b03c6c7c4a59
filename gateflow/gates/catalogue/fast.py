"""The fast gate: the logistic function of a hyperbolic sine."""

from gateflow.gates.gate import Gate


def make(alpha: float = 1) -> Gate:
    """``sigma(sinh(alpha z)/alpha)``; alpha tunes how fast it saturates and leaves the slope at 0."""
    return Gate(
        profile="sinh(alpha*z)/alpha",
        inverse="asinh(alpha*u)/alpha",
        name="fast",
        parameters={"alpha": alpha},
        reference="Ohno, Kanai and Ida, Fast Saturating Gate for Learning Long Time Scales with Recurrent Neural "
        "Networks (AAAI 2023), arXiv 2210.01348",
    )
