"""Numbers by which the checker tries a limit: bounded in their cost."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp

from gateflow.asymptotics.proofs.numbers import number
from gateflow.formula.vocabulary import Z


@pytest.mark.parametrize("wave", [sp.sin, sp.cos, sp.tan])
def test_no_phase_is_taken_of_a_number_whose_digits_end_before_the_point(wave):
    """``exp(10**8)`` has 43 million digits: as many of pi took `verify` past its seconds, for a phase of no meaning."""
    with pytest.raises(OverflowError):
        number(wave(sp.exp(Z)), mpmath.mpf(10) ** 8)
    with mpmath.workdps(60):  # 10**40 is within the digits
        rest = mpmath.mpf(10) ** 40 - 2 * mpmath.pi * mpmath.floor(mpmath.mpf(10) ** 40 / (2 * mpmath.pi))
        assert abs(number(wave(Z), mpmath.mpf(10) ** 40) - getattr(mpmath, wave.__name__)(rest)) < 1e-15
