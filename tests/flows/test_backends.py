"""NumPy and compiled hitting times agree on generated formulas: pieces, plateaus, steps, bumps, powers, waves."""

from __future__ import annotations

from itertools import count, islice

import ball_cases
import numpy as np
import pytest

from gateflow.codegen import compiler as compiled
from gateflow.flows import LearningProblem, hitting_time
from gateflow.gates.gate import gate
from gateflow.results.status import Status

pytestmark = pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler here")

FIRST = 900_000
"""Of the generated formulas: none that the benchmark of honest errors, or its sample here, takes."""

FORMULAS = 300
DEFAULT = 3
SPACING = ball_cases.TOGETHER
"""Numbers of one formula in the generator."""


def formula(place: int) -> tuple[int, str]:
    """A generated formula, and the number it has; gates of the catalogue are passed over."""
    numbers = (n for n in count(FIRST, SPACING) if ball_cases.family(n) != "catalogue")
    number = next(islice(numbers, place, None))
    return number, ball_cases.case(number).text


@pytest.mark.parametrize(
    "place", [pytest.param(k, marks=[] if k < DEFAULT else pytest.mark.slow) for k in range(FORMULAS)]
)
@pytest.mark.sampled(2)
def test_the_backends_agree_within_what_they_claim(place):
    number, text = formula(place)
    rng = np.random.default_rng(number)
    problem = LearningProblem(gate(text), horizon=10 ** rng.uniform(0, 4, 16), gap=10 ** rng.uniform(-12, -1, 16))
    z0 = rng.normal(0, 2, 16)
    plain, found = (hitting_time(problem, z0, backend=backend) for backend in ("numpy", "compiled"))
    assert np.array_equal(plain.status, found.status), text
    reached = (plain.status == Status.REACHED) & np.isfinite(plain.error + found.error)
    off = np.abs(plain.log_tau[reached] - found.log_tau[reached])
    assert np.all(off <= (plain.error + found.error)[reached]), text
    ulps = off / np.spacing(np.abs(plain.log_tau[reached]))
    assert np.all((ulps <= 64) | (off <= 1e-13 + 1e-12 * np.abs(plain.log_tau[reached]))), (text, ulps.max(initial=0))
