"""Complements written as one quotient have a value where their numerator and divisor overflow."""

from __future__ import annotations

import os
import subprocess
import sys

import mpmath
import numpy as np
import pytest

from gateflow.gates.gate import Gate

CASES = {
    "1 - 1/(1+z**2*exp(z))": lambda z: 1 - 1 / (1 + z**2 * mpmath.exp(z)),
    "1 - exp(z)/(2+exp(z)+exp(2*z)*z**2)": lambda z: 1 - mpmath.exp(z) / (2 + mpmath.exp(z) + mpmath.exp(2 * z) * z**2),
    "1 - z**2/(1+z**2+z**4)": lambda z: 1 - z**2 / (1 + z**2 + z**4),
    "1 - abs(z)/(1+abs(z)+z**2)": lambda z: 1 - abs(z) / (1 + abs(z) + z**2),
    "1 - (1+2*z**2)/(1+z**2)**2": lambda z: 1 - (1 + 2 * z**2) / (1 + z**2) ** 2,
    "1 - 1/(1+z**2)": lambda z: 1 - 1 / (1 + z**2),
    "1 - 1/(1+cosh(z)*z**2)": lambda z: 1 - 1 / (1 + mpmath.cosh(z) * z**2),
    "1 - (2+sign(z))/(3+abs(z))": lambda z: 1 - (2 + mpmath.sign(z)) / (3 + abs(z)),
    "1 - (2+abs(z)+sign(z))/(4+abs(z)+z**2)": lambda z: 1 - (2 + abs(z) + mpmath.sign(z)) / (4 + abs(z) + z**2),
}
POINTS = [0.0, 1.25, -1.25, 20.0, -20.0, 350.0, 700.0, -700.0, 720.0, 1e80, -1e80, 1e200, -1e200]


@pytest.mark.parametrize("text", CASES)
def test_values_where_powers_overflow(text: str) -> None:
    gate, z = Gate(text), np.array(POINTS)
    with mpmath.workprec(2500):
        true = np.array([float(CASES[text](mpmath.mpf(x))) for x in POINTS])
    with np.errstate(all="ignore"):
        assert gate.float64.value(z) == pytest.approx(true, rel=1e-12, abs=1e-300)
    assert gate.phi(z) == pytest.approx(true, rel=1e-14, abs=1e-300)
    found = [float(gate.at(50).value(x).values) for x in POINTS]
    assert found == pytest.approx(true, rel=1e-14, abs=1e-300)


def test_the_value_at_0_is_its_own_case_where_a_sign_jumps() -> None:
    found = Gate("1 - (2+sign(z))/(3+abs(z))").at(50).value(0)
    assert float(found.values) == pytest.approx(1 / 3, rel=1e-15)


SHARE = """
from gateflow.gates.gate import Gate
gate = Gate("1 - 1/(1 + exp(sigmoid(-2*z)) + exp(3*z))")
print(*(float(gate.phi(z)) for z in (-20.0, 1.0)))
"""


@pytest.mark.parametrize("seed", ["1", "2"])
def test_a_logistic_function_in_an_exponent_is_not_taken_for_the_share(seed: str) -> None:
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", SHARE], env=environment, capture_output=True, text=True, timeout=240, check=True
    )
    with mpmath.workdps(50):
        true = [1 - 1 / (1 + mpmath.exp(1 / (1 + mpmath.exp(2 * z))) + mpmath.exp(3 * z)) for z in (-20, 1)]
    assert [float(x) for x in done.stdout.split()] == pytest.approx([float(x) for x in true], rel=1e-14)
