"""The normalised softsign, which saturates like 1/z."""

from gateflow.gates.gate import Gate


def make(sharpness: float = 1) -> Gate:
    """``(1 + softsign(sharpness z/2))/2``, whose profile is ``log(1 + sharpness |z|)`` with the sign of z."""
    return Gate(
        "(1 + softsign(sharpness*z/2))/2",
        name="softsign",
        parameters={"sharpness": sharpness},
        reference="Glorot and Bengio, Understanding the difficulty of training deep feedforward networks (AISTATS "
        "2010); normalised as a gate in Ohno, Kanai and Ida (AAAI 2023)",
    )
