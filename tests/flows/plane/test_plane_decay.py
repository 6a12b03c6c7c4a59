"""The plane of a decay to a power, against closed forms, differences and a plain integration of the gradient."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gateflow.errors import InvalidArgument
from gateflow.flows.plane import DecayProblem, flow


def kept(z: float) -> float:
    """W of the sigmoid, in 30 digits."""
    with mpmath.workdps(30):
        x = mpmath.exp(-mpmath.mpf(z))
        return float(mpmath.log1p(x) / x + mpmath.log1p(1 / x) + mpmath.polylog(2, -x))


def test_decays_are_powers_with_all_digits_near_1():
    problem = DecayProblem(horizon=10, gap=0.1)
    for z, w in ((1.0, 0.5), (-3.0, -1.0), (40.0, 30.0)):
        with mpmath.workdps(60):
            exact = mpmath.exp(-mpmath.exp(-w) * mpmath.log1p(mpmath.exp(-mpmath.mpf(z))))
            assert problem.phi_c(z, w) == pytest.approx(float(1 - exact), rel=1e-14)
            assert problem.phi(z, w) == pytest.approx(float(exact), rel=1e-14)
            assert problem.profile(z, w) == pytest.approx(float(mpmath.log(exact / (1 - exact))), rel=1e-13, abs=1e-13)


@pytest.mark.parametrize("gate", ["sigmoid", "fast", "gompertz"])
def test_the_force_is_minus_the_slope_of_the_loss(gate):
    problem, step = DecayProblem(gate, horizon=7, gap=0.1, scale=3), 1e-6
    for z, w in ((0.5, -0.5), (2.0, 1.0), (1.0, 5.0)):
        force = problem.force(z, w)
        found = np.array([force.first, force.second]) * np.exp(force.log_scale)
        by_z = problem.loss_at(z + step, w) - problem.loss_at(z - step, w)
        by_w = problem.loss_at(z, w + step) - problem.loss_at(z, w - step)
        np.testing.assert_allclose(found, -np.array([by_z, by_w]) / (2 * step), rtol=1e-6, atol=1e-9)


def test_what_the_flow_keeps_is_kept():
    path = flow(DecayProblem(horizon=10, gap=1e-6), (-1.0, -0.5))
    np.testing.assert_allclose([w - kept(z) for z, w in zip(path.z, path.w, strict=True)], -0.5 - kept(-1.0), atol=1e-8)
    assert path.phi[-1] ** 10 == pytest.approx(1 - 1e-6, rel=1e-12)
    straight = flow(DecayProblem("lru", horizon=10, gap=1e-6), (2.0, 0.5))
    np.testing.assert_allclose(straight.z - straight.w, 1.5, atol=1e-9)


def test_the_flow_is_that_of_a_plain_integration_of_the_gradient():
    problem = DecayProblem(horizon=5, gap=0.01)

    def slopes(_, at):
        z, w = at
        decay = np.exp(-w) * np.log1p(np.exp(-z))
        return 5 * np.exp(-5 * decay) * np.exp(-w) * np.array([1 / (1 + np.exp(z)), np.log1p(np.exp(-z))])

    path = flow(problem, (0.0, 0.0))
    taus = [0.5, 2.0, 8.0]
    plain = solve_ivp(slopes, (0, 8), [0.0, 0.0], t_eval=taus, rtol=1e-11, atol=1e-13).y.T
    found = path.at(taus)
    np.testing.assert_allclose(np.stack([found.z, found.w], axis=-1), plain, rtol=1e-8)


def test_near_1_a_learned_power_halves_the_learning_time():
    one, both = (flow(DecayProblem("lru", horizon=1, log_gap=-30), start) for start in ((12.0, 12.0), (24.0, 0.0)))
    assert one.tau[-1] == pytest.approx(both.tau[-1], rel=1e-9)
    # 1 - a = exp(-z - w) = l goes from e^-24 to e^-30: dl/dtau = -l |dl|^2 / l, of which each parameter gives a half
    assert both.tau[-1] == pytest.approx((np.exp(30) - np.exp(24)) / 2, rel=1e-8)


def test_what_is_no_problem_is_refused():
    with pytest.raises(InvalidArgument, match="is not onto"):
        DecayProblem("hgrn", horizon=10, gap=0.1)
    with pytest.raises(InvalidArgument, match="one horizon"):
        DecayProblem(horizon=[10, 20], gap=0.1)
