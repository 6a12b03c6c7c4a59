"""The derivative of a formula is what SymPy makes of it, in the same form."""

import pytest
import sympy as sp

from gateflow.formula import parse
from gateflow.formula.vocabulary import Z, derivative
from gateflow.gates.gate import GATES, gate

MORE = (
    "sinh(z)**3*exp(-z**2)/(1 + z**4)**(1/3)",
    "z**(z + 2)*log(1 + exp(z)) - loggamma(2 + z**2)",
    "1/2 + atan(z - 3*z**2*tanh(z)*erf(z)*(z + 1))/pi",
    "where(z < 1, z**2*exp(z), where(z < 2, sinh(z), 3 - softplus(-z)))",
    "sigmoid(asinh(z)/2)*(1 - erfc(z)/3)**2*acosh(2 + z**2)",
    "2/3*(z + cos(z))*sqrt(1 + sin(z)**2)",
)


SMOOTH = sorted(name for name in GATES if not gate(name).expr.has(sp.sign, sp.Abs))
"""SymPy's derivatives of the others have point masses."""


@pytest.mark.parametrize("of", [*MORE, *SMOOTH])
def test_it_is_sympys_own_form(of):
    once = gate(of).expr if of in GATES else parse(of)
    for _ in range(2):
        once, sympys = derivative(once), once.diff(Z)
        assert once == sympys


@pytest.mark.parametrize(
    ("text", "found"), [("abs(z**2 - 4)", "2*z*sign(z**2 - 4)"), ("sign(z)*z", "sign(z)"), ("7 + pi", "0")]
)
def test_kinks_leave_no_point_masses(text, found):
    assert derivative(parse(text)) == parse(found)
