"""A gate slower than every power: 1 - phi falls like 1/log(z)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``sigma(u)`` with ``u = log(1 + log(1 + |z|))`` and the sign of z."""
    return Gate(
        profile="sign(z)*log(1 + log(1 + abs(z)))",
        inverse="sign(u)*(exp(exp(abs(u)) - 1) - 1)",
        name="log-slow",
        reference="the case p = 0 of the proposition in docs/theory.md: a tail slower than every power",
    )
