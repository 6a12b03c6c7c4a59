"""Student's t gate with an even number of degrees of freedom, whose tail is a power of that index."""

import sympy as sp

from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import Z, sigmoid
from gateflow.gates.gate import Gate


def make(df: int = 4) -> Gate:
    """The distribution function of the t law, for even df a polynomial in ``s = sigma(2 asinh(z/sqrt(df)))``.

    It is the regularised incomplete beta function ``I_s(df/2, df/2)``, of degree ``df - 1``: the smoothstep of s.
    """
    if df not in range(2, 13, 2):
        raise InvalidArgument(f"df must be an even whole number from 2 to 12; got {df}")
    n = int(df) // 2
    s = sigmoid(2 * sp.asinh(Z / sp.sqrt(2 * n)))
    terms = (sp.binomial(n - 1 + k, k) * sp.binomial(2 * n - 1, n - 1 - k) * (-s) ** k for k in range(n))
    return Gate(
        sp.expand(s**n * sp.Add(*terms)),
        name="student-t" if df == 4 else f"student-t({2 * n})",
        reference="Student, The probable error of a mean, Biometrika 6 (1908)",
    )
