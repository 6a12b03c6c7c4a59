"""The logistic sigmoid, the gate of the original LSTM."""

from gateflow.gates.gate import Gate


def make(sharpness: float = 1) -> Gate:
    """``sigma(sharpness z)``."""
    return Gate(
        profile="sharpness*z",
        inverse="u/sharpness",
        name="sigmoid",
        parameters={"sharpness": sharpness},
        reference="Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 9 (1997)",
    )
