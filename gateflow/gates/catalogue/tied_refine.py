"""The refine gate with its auxiliary gate tied to the forget gate."""

from gateflow.gates.gate import Gate


def make() -> Gate:
    """``3 s**2 - 2 s**3`` with ``s = sigma(z)``: ``r (1 - (1 - f)**2) + (1 - r) f**2`` at ``r = f = s``."""
    return Gate(
        "3*sigmoid(z)**2 - 2*sigmoid(z)**3",
        name="tied-refine",
        reference="Gu, Gulcehre, Paine, Hoffman and Pascanu, Improving the gating mechanism of recurrent neural "
        "networks (ICML 2020), arXiv 1910.09890",
    )
