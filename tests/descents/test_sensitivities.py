"""Derivatives of learning times, against closed forms and against differences of times in big floats."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from gateflow import sensitivities
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem, hitting_time
from gateflow.gates.gate import gate


@pytest.mark.parametrize("z0", [0.3, 9.0], ids=["below", "above"])
def test_the_closed_form_of_the_sigmoid_for_one_step(z0):
    """tau = |e^z + 2 z - e^-z| between the ends over c; z* = log((1 - gap)/gap)."""
    gap, scale = 0.01, 3.0
    z = math.log((1 - gap) / gap)
    rise = {x: math.exp(x) + 2 + math.exp(-x) for x in (z, z0)}
    span = (math.exp(z) + 2 * z - math.exp(-z)) - (math.exp(z0) + 2 * z0 - math.exp(-z0))
    found = sensitivities(LearningProblem("sigmoid", horizon=1, gap=gap, scale=scale), z0)
    assert found.log_tau == pytest.approx(math.log(abs(span) / scale), rel=1e-12)
    assert found.scale == pytest.approx(-1 / scale, rel=1e-12)
    assert found.z0 == pytest.approx(-rise[z0] / span, rel=1e-11)
    assert found.target == pytest.approx(-rise[z] / (gap * (1 - gap)) / span, rel=1e-11)
    # sigmoid(s z): tau = (e^(s z) + 2 s z - e^-(s z))/s^2 between z0 and log(...)/s
    by_sharpness = -2 - rise[z0] * z0 / span
    assert found.parameters["sharpness"] == pytest.approx(by_sharpness, rel=1e-11)
    assert found.error < 1e-12


def log_time(horizon, gap, z0, alpha):
    """log tau of fast(alpha) by mpmath."""
    u = -mpmath.log(mpmath.expm1(-mpmath.log1p(-gap) / horizon))
    end = mpmath.asinh(alpha * u) / alpha

    def density(z):
        u = mpmath.sinh(alpha * z) / alpha
        return (1 + mpmath.exp(-u)) ** horizon * (1 + mpmath.exp(u)) / (horizon * mpmath.cosh(alpha * z))

    return mpmath.log(abs(mpmath.quad(density, mpmath.linspace(z0, end, 12))))


@pytest.mark.parametrize("z0", [1.2, 3.0], ids=["below", "above"])
@pytest.mark.sampled(2)
def test_derivatives_of_times_in_big_floats(z0):
    at = [mpmath.mpf(20), mpmath.mpf("0.05"), mpmath.mpf(z0), mpmath.mpf("1.25")]
    problem = LearningProblem(gate("fast", alpha=1.25), horizon=20, gap=0.05)
    found = sensitivities(problem, z0)
    answers = (found.horizon, found.target, found.z0, found.parameters["alpha"])
    with mpmath.workdps(25):
        for k, answer in enumerate(answers):
            step = mpmath.mpf(10) ** -7 * at[k]
            up, down = ([*at[:k], at[k] + sign * step, *at[k + 1 :]] for sign in (1, -1))
            assert answer == pytest.approx(float((log_time(*up) - log_time(*down)) / (2 * step)), rel=1e-8)


@pytest.mark.parametrize("way", ["gap", "log_gap", "target", "decay", "timescale"])
@pytest.mark.sampled(2)
def test_each_way_to_give_a_target_has_its_derivatives(way):
    """By differences of hitting times."""
    value = {"gap": 0.05, "log_gap": -3.0, "target": 0.95, "decay": 0.05, "timescale": 400.0}[way]
    found = sensitivities(LearningProblem("erf", horizon=20, **{way: value}), 0.9)

    def log_tau(horizon, goal):
        return hitting_time(LearningProblem("erf", horizon=horizon, **{way: goal}), 0.9).log_tau

    step = 1e-5 * abs(value)
    assert found.target == pytest.approx((log_tau(20, value + step) - log_tau(20, value - step)) / (2 * step), rel=1e-6)
    assert found.horizon == pytest.approx((log_tau(20.001, value) - log_tau(19.999, value)) / 0.002, rel=1e-6)


def test_many_at_once_and_flows_that_do_not_arrive():
    problem = LearningProblem("fast", horizon=np.array([10.0, 50.0])[:, None], gap=np.array([0.1, 0.0, 0.01]))
    found = sensitivities(problem, 1.0)
    assert found.horizon.shape == found.parameters["alpha"].shape == (2, 3)
    assert np.all(np.isnan(found.z0[:, 1]))
    one = sensitivities(LearningProblem("fast", horizon=50.0, gap=0.01), 1.0)
    assert one.horizon == pytest.approx(found.horizon[1, 2], rel=1e-13)


def test_other_losses_are_refused():
    with pytest.raises(InvalidArgument, match=r"^sensitivities are those of the absolute loss$"):
        sensitivities(LearningProblem("fast", horizon=10, gap=0.1, loss="log-decay"), 0.0)
