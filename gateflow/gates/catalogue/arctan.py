"""The arctangent gate, which saturates like 1/(pi z)."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``1/2 + atan(z)/pi``, the distribution function of the Cauchy law."""
    return Gate(
        "1/2 + atan(z)/pi",
        inverse="where(abs(u) < 1, tan(pi/2*tanh(u/2)), sign(u)/tan(pi*sigmoid(-abs(u))))",
        name="arctan",
        reference="Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, vol. 1, ch. 16 (1994)",
    )
