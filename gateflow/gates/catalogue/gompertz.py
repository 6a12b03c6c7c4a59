"""The Gompertz gate: exponential towards 1, doubly exponential towards 0."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``exp(-exp(-z))``."""
    return Gate(
        "exp(-exp(-z))",
        inverse="-log(softplus(-u))",
        name="gompertz",
        reference="Gompertz, On the nature of the function expressive of the law of human mortality, "
        "Phil. Trans. 115 (1825)",
    )
