"""Iterated hyperbolic sines: each further one adds an iterated logarithm to the law of learning."""

from gateflow.errors import InvalidArgument
from gateflow.gates.gate import Gate


def make(depth: int = 2) -> Gate:
    """``sigma(sinh(...sinh(z)))`` with ``depth`` sinh; depth 0 is the sigmoid and 1 the fast gate."""
    if depth not in range(9):
        raise InvalidArgument(f"depth must be a whole number from 0 to 8; got {depth}")
    profile, inverse = "z", "u"
    for _ in range(depth):
        profile, inverse = f"sinh({profile})", f"asinh({inverse})"
    return Gate(
        profile=profile,
        inverse=inverse,
        name="iterated-sinh" if depth == 2 else f"iterated-sinh({depth})",
        reference="docs/theory.md, T3 and T4, after Ohno, Kanai and Ida (AAAI 2023)",
    )
