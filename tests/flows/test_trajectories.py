"""Trajectories in bulk: against closed forms, mpmath, and the trajectories of the same problems one by one."""

from __future__ import annotations

import pickle

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from gateflow.errors import InvalidArgument
from gateflow.flows import METHODS, LearningProblem, Status, flow

MANY = 60


def _random(gate: str) -> tuple[LearningProblem, np.ndarray]:
    """Problems of every kind, a third of them starting above."""
    rng = np.random.default_rng(7)
    horizon, gap = 10 ** rng.uniform(0, 6, MANY), 10 ** rng.uniform(-12, -0.5, MANY)
    problem = LearningProblem(gate, horizon=horizon, gap=gap)
    decay = np.where(np.arange(MANY) % 3 == 0, 0.05 * problem.h_star, np.maximum(10 ** rng.uniform(-1, 1.3, MANY), 1.5))
    return problem, problem.gate.inverse_c(-np.expm1(-decay / horizon))


def _one(problem: LearningProblem, k: int) -> LearningProblem:
    return LearningProblem(problem.gate, horizon=problem.horizon[k], gap=problem.target.value[k])


@pytest.mark.parametrize("gate", ["fast", "softsign", "arctan", "linear-cubic", "exp-square"])
@pytest.mark.sampled(3)
def test_each_is_the_trajectory_of_its_own_problem(gate):
    problem, z0 = _random(gate)
    many = flow(problem, z0)
    assert (many.shape, set(many.status)) == ((MANY,), {Status.REACHED})
    log_tau = many.log_tau + np.array([-25.0, -4.0, -1.0, -0.01, 0.01])[:, None]
    state = many.at(log_tau=log_tau)
    assert np.array_equal(state.z[-1], problem.z_star)
    assert np.all(np.isneginf(state.log_gap[-1]))
    for k in range(0, MANY, 7):
        alone = flow(_one(problem, k), z0[k]).at(log_tau=log_tau[:, k])
        assert np.allclose(state.z[:, k], alone.z, rtol=1e-11, atol=0)
        assert np.allclose(state.log_gap[:-1, k], alone.log_gap[:-1], rtol=0, atol=1e-8)
        assert np.allclose(state.loss[:, k], alone.loss, rtol=1e-8, atol=1e-300)


@pytest.mark.parametrize("z0", [-2.0, 0.5, 6.0])
def test_sigmoid_with_horizon_1_keeps_its_closed_form(z0):
    """e^z + 2z - e^-z runs evenly in tau."""
    many = flow(LearningProblem("sigmoid", horizon=1, gap=[[0.1], [1e-4], [1e-9]], scale=3), z0)
    arrival = np.exp(many.log_tau)
    tau = arrival * np.linspace(0.02, 0.98, 9)
    z = many.at(tau).z
    assert z.shape == (3, 9)
    form = lambda z: np.exp(z) + 2 * z - np.exp(-z)  # noqa: E731
    side = np.sign(many.problem.z_star - z0)
    assert np.allclose(form(z), form(z0) + 3 * tau * side, rtol=2e-12, atol=1e-12)


def test_softsign_takes_the_time_it_was_asked_for():
    """The time to z(tau) by mpmath: int phi^(1-T) (1-phi)^-4/T dphi for z >= 0 (numerics.md)."""
    horizon = np.array([2.0, 30.0, 4000.0])
    many = flow(LearningProblem("softsign", horizon=horizon, gap=1e-3), [0.0, 1.0, 10.0])
    tau = 0.3 * np.exp(many.log_tau)
    z = many.at(tau).z
    with mpmath.workdps(30):
        for k, total in enumerate(tau):
            first, last = (1 - 1 / (2 + mpf(float(x))) for x in (many.z0[k], z[k]))
            t = mpf(float(horizon[k]))
            passed = mpmath.quad(
                lambda phi, t=t: phi ** (1 - t) * (1 - phi) ** -4 / t, mpmath.linspace(first, last, 40)
            )
            assert abs(passed / mpf(float(total)) - 1) < 1e-11


def test_flows_without_an_end_are_followed_as_far_as_asked():
    """The fast gate for lambda* = 1: each state is where a flow of its own is."""
    problem = LearningProblem("fast", horizon=[1.0, 1e4], gap=0)
    many = flow(problem, 0.0)
    assert set(many.status) == {Status.ASYMPTOTIC}
    tau = np.array([[1e5], [1e40], [1e250]])
    z = many.at(tau).z
    for k in range(2):
        alone = flow(LearningProblem("fast", horizon=problem.horizon[k], gap=0), 0.0, tau_max=1e260).at(tau[:, 0])
        assert np.allclose(z[:, k], alone.z, rtol=1e-12)


def test_shapes_are_those_of_numpy():
    problem = LearningProblem("fast", horizon=[[10.0], [100.0]], gap=[0.1, 0.01, 1e-3])
    many = flow(problem, 0.0)
    assert many.shape == (2, 3)
    for tau, shape in ((1.0, (2, 3)), ([1.0, 2.0, 3.0], (2, 3)), (np.ones((5, 1, 1)), (5, 2, 3))):
        state = many.at(tau)
        assert {np.shape(getattr(state, part)) for part in ("tau", "z", "loss", "log_gap")} == {shape}
    one = flow(LearningProblem("fast", horizon=10, gap=0.1), 0.0)
    assert isinstance(one.at(1.0).z, float)
    assert one.at([1.0, 2.0]).z.shape == (2,)


def test_starts_are_where_they_were_put():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    state = flow(problem, [0.0, problem.z_star, 4.0]).at(0.0)
    assert state.z.tolist() == [0.0, problem.z_star, 4.0]
    assert np.allclose(state.loss, problem.loss_at(state.z), rtol=1e-12, atol=1e-15)


def test_flows_that_creep_are_followed_one_by_one():
    problem = LearningProblem("cubic", horizon=1, gap=0.1, scale=2.0)
    many = flow(problem, [-1.0, 0.5])
    assert many.status.tolist() == [Status.STUCK, Status.REACHED]
    z = many.at(1e30).z
    assert z[0] == pytest.approx(-4 / (3 * 2 * 1e30), rel=1e-9)  # dz/dtau = c (3/4) z^2 near 0
    assert z[1] == problem.z_star


def test_smooth_losses_are_approached():
    problem = LearningProblem("fast", horizon=[5.0, 50.0], gap=0.05, loss="squared")
    tau = np.array([0.5, 3.0])
    z = flow(problem, 0.0).at(tau).z
    for k in range(2):
        one = LearningProblem("fast", horizon=problem.horizon[k], gap=0.05, loss="squared")
        assert z[k] == pytest.approx(flow(one, 0.0).at(tau[k]).z, rel=1e-12)


def test_what_has_no_state_says_so_by_its_status():
    many = flow(LearningProblem("log-slow", horizon=[1.0, 10.0], gap=[0.5, 1e-300]), 0.0)
    assert many.status.tolist() == [Status.REACHED, Status.OVERFLOW]
    assert np.isnan(many.at(1.0).z).tolist() == [False, True]


@pytest.mark.parametrize("bad", [{"tau": -1.0}, {"tau": np.nan}, {}, {"tau": 1.0, "log_tau": 0.0}, {"log_tau": np.nan}])
def test_bad_times_are_refused(bad):
    with pytest.raises(InvalidArgument):
        flow(LearningProblem("fast", horizon=10, gap=0.1), [0.0]).at(**bad)


def test_a_tolerance_is_for_smooth_losses():
    with pytest.raises(InvalidArgument, match="needs no tolerance"):
        flow(LearningProblem("fast", horizon=10, gap=0.1), [0.0], tolerance=0.1)


def test_solvers_follow_one_problem_and_many_have_one_time_limit():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    with pytest.raises(InvalidArgument, match="lsoda follows one problem from one start"):
        flow(problem, [0.0, 1.0], method="lsoda")
    late, soon = flow(problem, [0.0, 2.0], tau_max=float(flow(problem, [1.0]).tau[0])).status
    assert (late, soon) == (Status.TIME_LIMIT, Status.REACHED)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("loss", ["absolute", "squared", "(1 + s)**(-2)"])
@pytest.mark.sampled(7)
def test_trajectories_are_pickled(method, loss):
    path = flow(LearningProblem("fast", horizon=10, gap=0.1, loss=loss), 0.0, method=method)
    again = pickle.loads(pickle.dumps(path))
    tau = path.tau[-1] * np.array([[0.0, 0.1], [0.7, 1.0]])
    for part in ("tau", "z", "loss", "log_gap"):
        assert np.array_equal(getattr(again.at(tau), part), getattr(path.at(tau), part))
        assert np.shape(getattr(again.at(tau), part)) == (2, 2)


def test_a_resting_trajectory_is_pickled_and_has_states_of_one_shape():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    path = pickle.loads(pickle.dumps(flow(problem, problem.z_star)))
    state = path.at([0.0, 1.0])
    assert {np.shape(getattr(state, part)) for part in ("tau", "z", "loss", "log_gap")} == {(2,)}
