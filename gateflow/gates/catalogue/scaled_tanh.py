"""The hyperbolic tangent, moved and scaled to (0, 1): a sigmoid twice as steep."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``(1 + tanh(z))/2``."""
    return Gate(
        "(1 + tanh(z))/2",
        name="scaled-tanh",
        reference="LeCun, Bottou, Orr and Mueller, Efficient BackProp (1998)",
    )
