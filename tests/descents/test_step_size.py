"""The largest admissible step size, and the steps with it: against loops and formulas by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow import step_size
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem, hitting_time

PROFILES = {"sigmoid": (float, lambda z: 1.0, float), "fast": (math.sinh, math.cosh, math.asinh)}
"""u, u' and the inverse of u, by hand."""


def constants(name, lr, start, steps, horizon=100, target=100):
    """Time constants along gradient descent on the absolute loss, by a plain loop."""
    u, du, unu = PROFILES[name]
    z, found = unu(-math.log(math.expm1(1 / start))), []
    for _ in range(steps):
        h = horizon * math.log1p(math.exp(-u(z)))
        slope = horizon * math.exp(-h) / (1 + math.exp(u(z))) * du(z)
        z += lr * slope if horizon / h < target else -lr * slope
        found.append(1 / math.log1p(math.exp(-u(z))))
    return np.array(found)


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("start", [20, 400], ids=["below", "above"])
def test_a_run_at_the_admissible_step_size_stays_and_a_much_larger_one_does_not(name, start):
    z0 = PROFILES[name][2](-math.log(math.expm1(1 / start)))
    own = step_size(LearningProblem(name, horizon=100, timescale=100), z0, 0.05)
    seen = constants(name, own.lr, start, 3000)
    inside = np.abs(100 / seen - 1) <= 0.05
    first = len(seen) - np.argmin(inside[::-1]) if not inside.all() else 0
    assert own.steps == first + 1
    assert own.by_integral == pytest.approx(own.steps, rel=0.03)
    more = constants(name, 2.2 * own.lr, start, 3000)
    assert np.any(np.abs(100 / more[-1000:] - 1) > 0.05)


def test_the_step_size_is_the_tolerance_over_the_metric_and_the_slope():
    """``delta/(k*^2 |Lambda'|)`` in log time constant, for a small tolerance: sigmoid, h* = 1."""
    target = 1e6
    z0 = -math.log(math.expm1(1 / 2e5))
    own = step_size(LearningProblem("sigmoid", horizon=target, timescale=target, scale=3.0), z0, 1e-3)
    assert own.lr == pytest.approx(1e-3 / (3 * math.exp(-1)), rel=2e-3)


def test_half_the_edge_of_stability_for_a_smooth_loss():
    """L'' at the target by hand: 2 (T lambda* (1 - phi) u')^2."""
    problem = LearningProblem("fast", horizon=50, timescale=200, loss="squared")
    z = problem.z_star
    rest = 1 / (1 + math.exp(math.sinh(z)))
    bend = 2 * (50 * math.exp(-50 / 200) * rest * math.cosh(z)) ** 2
    own = step_size(problem, z - 0.1, 1e-3)  # so near that no step on the way could run through the target
    assert own.lr == pytest.approx(1 / bend, rel=5e-3)
    assert np.isfinite(own.steps)


def test_many_problems_are_done_at_once_and_like_one_at_a_time():
    horizon, scale = np.array([10.0, 100.0])[:, None], np.array([0.5, 1.0, 2.0])
    many = step_size(LearningProblem("fast", horizon=horizon, timescale=50, scale=scale), 1.5, [0.02, 0.05, 0.1])
    assert many.lr.shape == many.steps.shape == many.by_integral.shape == (2, 3)
    one = step_size(LearningProblem("fast", horizon=100.0, timescale=50, scale=2.0), 1.5, 0.1)
    assert (one.lr, one.steps) == (many.lr[1, 2], many.steps[1, 2])
    assert np.ndim(one.lr) == 0


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
def test_a_start_at_the_target_takes_no_step_and_a_target_at_infinity_has_no_step_size(optimizer):
    there = LearningProblem("sigmoid", horizon=10, timescale=10)
    assert step_size(there, there.z_star, optimizer=optimizer).steps == 0
    never = step_size(LearningProblem("sigmoid", horizon=10, gap=0.0), 0.0, optimizer=optimizer)
    assert np.isnan(never.lr)
    assert np.isinf(never.steps)


def test_a_way_of_too_many_steps_has_its_integral_only():
    own = step_size(LearningProblem("sigmoid", horizon=1000, timescale=1000), 0.0)
    assert np.isnan(own.steps)
    assert own.by_integral > 1e200


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
def test_counts_past_the_floats_are_known_by_their_logarithm(optimizer):
    """By the time of the flow: tau, (1 - beta) tau or eps tau over the step size."""
    problem = LearningProblem("sigmoid", horizon=7000, timescale=7000)
    own = step_size(problem, 0.0, optimizer=optimizer)
    per_tau = {"sgd": 1.0, "momentum": 0.1}.get(optimizer, 1e-8)
    log_tau = float(hitting_time(LearningProblem("sigmoid", horizon=7000, timescale=7000 / 1.05), 0.0).log_tau)
    assert own.log_by_integral == pytest.approx(log_tau + math.log(per_tau / own.lr), rel=1e-4)
    assert np.isinf(own.by_integral)
    assert np.isnan(own.steps)
    assert "e+" in repr(own)


def test_a_step_size_says_what_sets_it():
    assert step_size(LearningProblem("fast", horizon=100, timescale=100), 1.81).set_by == "target"
    both = step_size(LearningProblem("fast", horizon=[10.0, 100.0], timescale=[1e7, 100.0]), [0.0, 1.81])
    assert list(both.set_by) == ["way", "target"]
    assert list(both.by_target) == [False, True]


@pytest.mark.parametrize("tolerance", [0, 1, -0.1, math.nan])
def test_a_tolerance_out_of_range_is_refused_in_one_line(tolerance):
    with pytest.raises(InvalidArgument, match=r"^tolerance must be in \(0, 1\); got"):
        step_size(LearningProblem("sigmoid", horizon=10, timescale=10), 0.0, tolerance)
