"""The grid of numerics.md: each time right to its own estimate of the error, or refused with a reason that holds."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import mpmath
import pytest

from gateflow.flows import hitting_time

pytest.importorskip("flint")
sys.path.insert(0, str(Path(__file__).parent))
grid = importlib.import_module("grid")
SECONDS = 10.0
"""Computing time of one case, the first of its gate being measured with the gate's preparation."""


def _of(name: str) -> list:
    return [case for case in grid.CASES if case.name == name]


def _fails(case) -> str | None:
    verdict = grid.judged(case)
    fine = verdict.word in ("right", "refused") and verdict.seconds < SECONDS
    return None if fine else f"{case}: {verdict}"


def test_the_grid_is_that_of_numerics_md():
    assert {len(_of(name)) for name in grid.NAMES} == {4 * 9 * 2}
    assert len(grid.NAMES) == len(set(grid.NAMES)) >= 8 + 10


@pytest.mark.parametrize("number", range(len(grid.NAMES)), ids=lambda k: grid.NAMES[k])
@pytest.mark.sampled(11)
def test_two_cases_a_gate(number):
    cases = _of(grid.NAMES[number])
    chosen = [cases[(31 * number + k) % len(cases)] for k in (0, 37)]
    assert [fault for case in chosen if (fault := _fails(case))] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", grid.NAMES)
def test_every_case(name):
    assert [fault for case in _of(name) if (fault := _fails(case))] == []


def test_the_verdict_can_be_wrong(monkeypatch):
    """A time off by ten times its estimated error, and a refusal without a reason, do not pass."""
    case = grid.Case("fast", 10.0, 1e-4, "below")
    assert grid.judged(case).word == "right"

    def off(problem, z0):
        found = hitting_time(problem, z0)
        return replace(found, log_tau=found.log_tau + 10 * found.error)

    monkeypatch.setattr(grid, "hitting_time", off)
    assert grid.judged(case).word == "wrong"
    monkeypatch.setattr(grid, "hitting_time", lambda p, z: replace(hitting_time(p, z), status=grid.Status.STUCK))
    assert grid.judged(case).word == "wrong"


@pytest.mark.parametrize(
    ("name", "u", "du"),
    [
        ("sigmoid(sinh(z) + z/2)", lambda z: mpmath.sinh(z) + z / 2, lambda z: mpmath.cosh(z) + mpmath.mpf(1) / 2),
        ("sigmoid(z + 9*sin(z)/10)", lambda z: z + 9 * mpmath.sin(z) / 10, lambda z: 1 + 9 * mpmath.cos(z) / 10),
    ],
)
@pytest.mark.sampled(2)
def test_the_grid_s_own_truth_is_mpmath_s(name, u, du):
    """tau = int (1 + e^u)/u' e^h dz/T by tanh-sinh, the formula written by hand."""
    case = grid.Case(name, 10.0, 1e-4, "above")
    with mpmath.workdps(40):
        rest = -mpmath.expm1(mpmath.log1p(-mpmath.mpf(case.gap)) / 10)
        end = mpmath.findroot(lambda z: u(z) + mpmath.log(rest / (1 - rest)), case.problem.z_star)

        def density(z):
            return (1 + mpmath.exp(u(z))) / du(z) * mpmath.exp(10 * mpmath.log1p(mpmath.exp(-u(z)))) / 10

        tau = mpmath.quad(density, mpmath.linspace(end, mpmath.mpf(case.z0), 24))
        assert abs(mpmath.log(tau) - grid.log_tau(case)) < mpmath.mpf(10) ** -20
