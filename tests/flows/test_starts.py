"""Learning times from one start, sigma(1): the slope at the start on a plateau, a mean of slopes with random lags."""

from __future__ import annotations

import math

import pytest

from gateflow.flows import LearningProblem, hitting_time
from gateflow.gates.gate import gate


def ratio(name, horizon, loss):
    """The learning time over the sigmoid's, to the time constant T."""
    taus = []
    for one in (gate(name), gate("sigmoid")):
        problem = LearningProblem(one, horizon=horizon, timescale=horizon, loss=loss)
        taus.append(float(hitting_time(problem, float(one.inverse(1 / (1 + math.exp(-1))))).log_tau))
    return math.exp(taus[0] - taus[1])


@pytest.mark.parametrize("horizon", [1000, 5000])
@pytest.mark.parametrize(("name", "expected"), [("fast", 0.5), ("erf", 0.177), ("softsign", math.e**2)])
def test_with_a_fixed_lag_only_the_slope_at_the_start_counts(name, expected, horizon):
    assert ratio(name, horizon, "absolute") == pytest.approx(expected, rel=0.01)


@pytest.mark.parametrize("horizon", [500, 5000])
@pytest.mark.parametrize(("name", "expected"), [("fast", 0.2624), ("erf", 0.1422)])
def test_with_a_lag_drawn_from_0_to_t_there_is_no_plateau(name, expected, horizon):
    assert ratio(name, horizon, "(1-exp(-s))/s") == pytest.approx(expected, rel=0.01)


def test_with_random_lags_softsign_falls_behind_like_t():
    few, many = (ratio("softsign", horizon, "(1-exp(-s))/s") for horizon in (500, 5000))
    assert many / few == pytest.approx(10, rel=0.01)
