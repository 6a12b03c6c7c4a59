"""A cubic gate with a linear term, whose slope is positive everywhere."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``sigma(z + z**3)``, inverted by Cardano's formula in hyperbolic form."""
    return Gate(
        profile="z + z**3",
        inverse="2/sqrt(3)*sinh(asinh(3*sqrt(3)/2*u)/3)",
        name="linear-cubic",
        reference="a polynomial as the logit profile",
    )
