"""The cubic gate: in class F, yet its slope vanishes at 0, which no flow started below ever crosses."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``sigma(z**3)``."""
    return Gate(
        profile="z**3",
        name="cubic",
        reference="an odd power as the logit profile (docs/theory.md, T6)",
    )
