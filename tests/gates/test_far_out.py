"""Users' formulas that cancel or overflow where they are written: their digits over the whole range of floats."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.codegen.rewrite import fixed_sign
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import SAMPLES, Gate
from tests.gates.saturating import EXPONENTIALS, POWERS

FAR = [sign * size for size in (1e-200, 1e-5, 0.7, 1.0, 3.0, 50.0, 1e4, 1e10, 1e30, 1e80, 1e160) for sign in (-1, 1)]
NEAR = [sign * size for size in (1e-200, 1e-5, 0.7, 3.0, 40.0, 90.0, 300.0) for sign in (-1, 1)]
CASES = [*((text, by_hand, FAR) for text, by_hand in POWERS.items())]
CASES += [*((text, by_hand, NEAR) for text, by_hand in EXPONENTIALS.items())]
LEAST = 1e-307


def off(found: float, right: mpmath.mpf) -> float:
    """The relative error; numbers that are no ordinary floats may be off by a bit of the smallest."""
    if abs(right) < LEAST:
        return 0.0 if abs(found - right) <= 1e-323 else np.inf
    return float(abs(found / right - 1)) if np.isfinite(found) else np.inf


@pytest.mark.parametrize(("text", "by_hand", "points"), CASES, ids=[case[0] for case in CASES])
def test_value_complement_and_slope_have_their_digits_everywhere(text, by_hand, points) -> None:
    chosen = Gate(text)
    with mpmath.workdps(60):
        for z in points:
            value, rest, slope = (f(mpmath.mpf(z)) for f in by_hand)
            odds = mpmath.log(value) - mpmath.log(rest)
            right = {
                "phi": value,
                "phi_c": rest,
                "dphi": slope,
                "log_phi_c": mpmath.log(rest) if rest < 0.5 else mpmath.log1p(-value),
                "u": odds if abs(odds) > 1e-20 else None,
                "du": slope / (value * rest),
            }
            for what, number in right.items():
                if number is not None:
                    assert off(getattr(chosen, what)(z), number) < 4e-16, (what, z)
                    plain = float(getattr(chosen.float64, what)(np.float64(z)))
                    assert off(plain, number) < 1e-12 or abs(number) < LEAST, (what, z)


@pytest.mark.parametrize("text", [*POWERS, *EXPONENTIALS])
def test_none_of_these_is_said_to_fall(text) -> None:
    assert Gate(text).fall is None


def test_a_rounding_of_a_slope_is_not_taken_for_a_fall() -> None:
    chosen = Gate("where(z>0, 1/2 + z/(1+z**3)**(1/3)/2, 1/2 + z/(1-z**3)**(1/3)/2)")
    with np.errstate(all="ignore"):
        assert (chosen.float64.dphi(SAMPLES) < 0).any()  # no rule keeps its digits, and it rises
    assert chosen.decreasing_at is None


def test_a_fall_that_is_one_is_found_still() -> None:
    for text in ("sigmoid(z - 3*exp(-(z - 1)**2))", "1/2 + z/(1+z**2)/2", "(1 + z/(1+z**4)**(1/3))/2"):
        with pytest.raises(InvalidArgument, match="falls"):
            Gate(text).inverse(0.7)


@pytest.mark.parametrize(
    ("expr", "sign"),
    [(1 + sp.exp(Z) * Z**2, 1), (-sp.sqrt(1 + Z**2), -1), (Z, 0), (Z**2 - 1, 0), (sp.tanh(sp.Abs(Z)), 1)],
)
def test_a_sign_is_one_or_none(expr, sign) -> None:
    assert fixed_sign(expr) == sign


def test_a_quotient_of_powers_does_not_overflow_inside_another_formula() -> None:
    chosen = Gate("1/2 + z/(1 + z**4)**(1/4)/3 + tanh(z)/6")
    assert (chosen.phi(1e200), chosen.float64.value(np.float64(1e200))) == (1.0, 1.0)
    assert chosen.phi(-1e200) < 1e-300
