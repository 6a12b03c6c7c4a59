"""The Gudermannian gate, the distribution function of the hyperbolic secant law."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``2 atan(exp(z))/pi``."""
    return Gate(
        "2*atan(exp(z))/pi",
        inverse="where(abs(u) < 1, asinh(tan(pi/2*tanh(u/2))), where(abs(u) < 80, "
        "-sign(u)*log(tan(pi/2*sigmoid(-abs(u)))), sign(u)*(abs(u) - log(pi/2))))",
        name="gudermannian",
        reference="Johnson, Kotz and Balakrishnan, Continuous Univariate Distributions, vol. 2, ch. 23 (1995)",
    )
