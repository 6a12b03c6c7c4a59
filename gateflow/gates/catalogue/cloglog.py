"""The complementary log-log gate: doubly exponential towards 1, exponential towards 0."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``1 - exp(-exp(z))``, the Gompertz gate turned round."""
    return Gate(
        complement="exp(-exp(z))",
        inverse="log(softplus(u))",
        name="cloglog",
        reference="McCullagh and Nelder, Generalized Linear Models, 2nd ed., sec. 4.3 (1989)",
    )
