"""The figure of noise: its numbers against closed forms and runs."""

from __future__ import annotations

import numpy as np
import pytest

from gateflow.flows import LearningProblem
from gateflow.noise import NoisyDescent, Samples
from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS


@pytest.mark.parametrize("name", ["softsign", "sigmoid", "fast"])
def test_the_spread_is_that_of_a_normal_law_whose_deviation_in_z_is_the_same_for_all_gates(name):
    """sqrt(eta/4) in z for targets from U(0, 1); the slope of log time constant by a difference."""
    spread, first_order = (table("noise").rows(gate=name, panel=one) for one in ("spread", "spread to first order"))
    gate = LearningProblem(name, horizon=10, target=0.5).gate
    z = float(gate.inverse(0.5**0.1))
    way = 1e-5 * z
    steep = np.diff(np.log(-1 / gate.log_phi(np.array([z - way, z + way]))))[0] / (2 * way)
    expected = 2 * 1.6448536 * steep * np.sqrt(first_order["x"] / 4)
    np.testing.assert_allclose(first_order["y"], expected, rtol=1e-6)
    np.testing.assert_allclose(spread["x"][:4], first_order["x"][:4])
    np.testing.assert_allclose(spread["y"][:4], expected[:4], rtol=0.01)


def test_runs_arrive_as_drawn():
    """2,000 runs of the fast gate, at the one per cent level."""
    part = table("noise").rows(gate="fast", panel="arrival")
    noisy = NoisyDescent(LearningProblem("fast", horizon=10, target=0.5), Samples(target="uniform(0, 1)"), 0.02)
    start, level = (float(noisy.problem.gate.inverse_c(-np.expm1(-1 / constant))) for constant in (3.0, 8.0))
    seen = noisy.paths(start, 2000, seed=4).arrivals(level, 400)
    shares = np.array([np.mean(seen < step) for step in part["x"]])
    assert np.max(np.abs(shares - part["y"])) < 1.63 / np.sqrt(2000) + 0.02  # and a part of a step


def test_the_sooner_gate_spreads_more():
    middle = [
        np.median(table("noise").rows(gate=name, panel="arrival")["x"]) for name in ("fast", "sigmoid", "softsign")
    ]
    spread = [table("noise").rows(gate=name, panel="spread")["y"][2] for name in ("fast", "sigmoid", "softsign")]
    assert np.all(np.diff(middle) > 0)
    assert np.all(np.diff(spread) < 0)
