"""Enclosures of times past kinks and jumps that are no floats, against quadrature between exact breaks."""

from __future__ import annotations

import mpmath
import pytest
from mpmath import mpf

from gateflow.flows import LearningProblem
from gateflow.flows.enclosure import enclose

DIGITS = 40
with mpmath.workdps(DIGITS):
    THIRD, ROOT, ANGLE = mpf(1) / 3, mpmath.sqrt(2), mpmath.pi / 3
    QUINTIC = mpmath.findroot(lambda z: z**5 - z - 1, 1.167)
    CUBIC = sorted(mpmath.polyroots([1, 0, -3, 1], maxsteps=100, extraprec=100))
    TENTH, TWICE, HALF = mpf(1) / 10, 2 * THIRD, ROOT / 2

GATES = {
    "sigmoid(where(z < 1/3, z, where(z < 2/3, 2*z - 1/3, z + 1/3)))": (
        [THIRD, TWICE],
        [lambda z: z, lambda z: 2 * z - THIRD, lambda z: z + THIRD],
    ),
    "sigmoid(where(z < sqrt(2), z, z + 1))": ([ROOT], [lambda z: z, lambda z: z + 1]),
    "sigmoid(z + abs(z - sqrt(2))/9)": ([ROOT], [lambda z: z + (ROOT - z) / 9, lambda z: z + (z - ROOT) / 9]),
    "sigmoid(where(z < 0.1, z, 2*z))": ([TENTH], [lambda z: z, lambda z: 2 * z]),
    "sigmoid(where(z < pi/3, z, 3*z))": ([ANGLE], [lambda z: z, lambda z: 3 * z]),
    "sigmoid(where(z**5 - z - 1 < 0, z, z + (z**5 - z - 1)))": (
        [QUINTIC],
        [lambda z: z, lambda z: z + (z**5 - z - 1)],
    ),
    "sigmoid(z + z**3 + abs(z**3 - 3*z + 1)/9)": (
        CUBIC,
        [lambda z, s=s: z + z**3 + s * (z**3 - 3 * z + 1) / 9 for s in (-1, 1, -1, 1)],
    ),
    "(1 + where(z < sqrt(2)/2, z/4, z/2)/sqrt(1 + where(z < sqrt(2)/2, z/4, z/2)**2))/2": (
        [HALF],
        [lambda z, k=k: 2 * mpmath.asinh(z / k) for k in (4, 2)],
    ),
}
"""Breaks, and u between them; that of ``0.1`` is the decimal, which is no float."""


def learning_time(name, horizon, gap, start):
    """``tau = int (1 + exp(u)) / (T phi^T u') dz``, branch by branch, over asinh z."""
    breaks, profiles = GATES[name]
    kept = mpmath.log1p(-mpf(gap)) / horizon
    u_end, total = -mpmath.log(mpmath.expm1(-kept)), mpf(0)
    for low, high, u in zip([-mpmath.inf, *breaks], [*breaks, mpf(10) ** 7], profiles, strict=True):
        first = max(low, start)
        if high <= first or u(first) >= u_end:
            continue
        ends = [mpmath.asinh(first), mpmath.asinh(high)]
        for _ in range(150 if u(high) > u_end else 0):
            middle = sum(ends) / 2
            ends[u(mpmath.sinh(middle)) > u_end] = middle
        marks = mpmath.linspace(mpmath.asinh(first), ends[1], 16)

        def density(t, u=u):
            z = mpmath.sinh(t)
            there, slope = u(z), mpmath.diff(u, z)
            return mpmath.cosh(t) * (1 + mpmath.exp(there)) * (1 + mpmath.exp(-there)) ** horizon / horizon / slope

        total += mpmath.quad(density, marks)
    return total


@pytest.mark.parametrize(
    ("horizon", "gap", "start"), [(10, "0.01", "0.05"), (10, "1e-9", "0.1"), (3, "0.02", "1/3"), (10, "0.01", "2/3")]
)
@pytest.mark.parametrize("name", GATES)
@pytest.mark.sampled(2)
def test_times_past_a_break_that_is_no_float_are_enclosed(name, horizon, gap, start):
    found = enclose(LearningProblem(name, horizon=horizon, gap=gap), start, digits=25)
    with mpmath.workdps(DIGITS):
        top, _, bottom = start.partition("/")
        tau = learning_time(name, horizon, gap, mpf(top) / mpf(bottom or 1))
        assert found.digits == 25
        assert abs(mpf(found.mid) - tau) <= mpf(found.radius) + tau * mpf(10) ** -30
