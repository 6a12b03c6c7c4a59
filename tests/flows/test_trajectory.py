"""Trajectories and their solvers against mpmath, closed forms and the flow's own equation."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path

import mpmath
import numpy as np
import pytest

from gateflow.errors import GateflowError, InvalidArgument, NotReached, UnknownName
from gateflow.flows import METHODS, LearningProblem, Status, flow, hitting_time

CASES = json.loads((Path(__file__).parent / "oracle.json").read_text())
SCIPY = ("radau", "bdf", "lsoda", "dop853")
QUICK = ["exact", *(pytest.param(name, marks=pytest.mark.slow) if name == "radau" else name for name in SCIPY)]
"""To ten digits Radau takes over ten times as long as any other."""


def _miss(case: dict, log_tau: float) -> float:
    with mpmath.workdps(40):
        return abs(float(mpmath.expm1(mpmath.mpf(log_tau) - mpmath.mpf(case["log_tau"]))))


def _follow(case: dict, method: str):
    return flow(LearningProblem(case["gate"], horizon=case["horizon"], gap=case["gap"]), case["z0"], method=method)


def _grid(*names: str) -> list[dict]:
    return [case for case in CASES if case["gate"] in names]


def _id(case: dict) -> str:
    return f"{case['gate']}-T{case['horizon']:g}-gap{case['gap']:g}-{case['side']}"


def test_the_methods_are_the_files():
    assert list(METHODS) == ["bdf", "dop853", "exact", "lsoda", "radau"]
    assert all(METHODS.summary(name).endswith(".") for name in METHODS)


@pytest.mark.parametrize("name", sorted({case["gate"] for case in CASES} - {"log-slow"}))
@pytest.mark.sampled(7)
def test_the_exact_method_agrees_with_mpmath_to_1e_12(name):
    for case in _grid(name):
        path = _follow(case, "exact")
        assert path.status is Status.REACHED
        assert _miss(case, path.log_tau[-1]) < 1e-12, case


SAMPLE = [case for case in CASES if case["gate"] not in ("log-slow", "erf")][5::94]


@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("case", SAMPLE, ids=_id)
@pytest.mark.sampled(5)
def test_scipy_solvers_agree_with_mpmath_to_1e_9(case, method):
    path = _follow(case, method)
    assert path.status is Status.REACHED
    assert _miss(case, path.log_tau[-1]) < 1e-9
    assert path.check < 1e-9


@pytest.mark.parametrize("method", ["lsoda", "dop853"])
def test_quick_solvers_agree_with_mpmath_over_the_grid_of_fast(method):
    assert max(_miss(case, _follow(case, method).log_tau[-1]) for case in _grid("fast")[::5]) < 1e-9


@pytest.mark.slow
@pytest.mark.parametrize("method", SCIPY)
@pytest.mark.parametrize("name", sorted({case["gate"] for case in CASES} - {"log-slow"}))
def test_scipy_solvers_agree_with_mpmath_on_the_whole_grid(name, method):
    assert max(_miss(case, _follow(case, method).log_tau[-1]) for case in _grid(name)) < 1e-9


def _closed_form(z):
    return mpmath.exp(z) + 2 * z - mpmath.exp(-z)


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize("z0", [-4.0, 7.0])
@pytest.mark.sampled(3)
def test_sigmoid_with_horizon_1_follows_its_closed_form(method, z0):
    """e^z + 2z - e^-z = c tau + const all along, from either side."""
    problem = LearningProblem("sigmoid", horizon=1, gap=0.01, scale=3.0)
    path = flow(problem, z0, method=method)
    limit = 1e-12 if method == "exact" else 1e-9
    tau = path.tau[-1] * np.array([1e-9, 1e-5, 0.1, 0.3, 0.5, 0.7, 0.99, 0.999999])
    z = path.at(tau).z
    sign = 1 if z0 < problem.z_star else -1
    for at, position in zip(tau, z, strict=True):
        with mpmath.workdps(40):
            wanted = _closed_form(mpmath.mpf(z0)) + sign * 3 * mpmath.mpf(float(at))
            exact = mpmath.findroot(lambda x, wanted=wanted: _closed_form(x) - wanted, position)
            slope = mpmath.exp(exact) + 2 + mpmath.exp(-exact)
        # an error in tau moves z by its share; a float of z moves it by half an ulp
        allowed = limit * 3 * at / float(slope) + (4e-16 if method == "exact" else 1e-12) * abs(z0)
        assert abs(position - float(exact)) <= 4 * allowed


@pytest.mark.parametrize("name", ["fast", "softsign", "erf", "linear-cubic", "arctan"])
@pytest.mark.parametrize("z0", [0.2, 30.0])
@pytest.mark.sampled(3)
def test_the_flow_from_a_state_takes_the_rest_of_the_time(name, z0):
    """tau(z0 to z*) = tau(z0 to z) + tau(z to z*): dense output against the integral from where it says it is."""
    if name in ("fast", "linear-cubic", "erf"):
        z0 = min(z0, 4.0)
    problem = LearningProblem(name, horizon=40, gap=0.3)
    path = flow(problem, z0)
    total = path.tau[-1]
    for share in (0.01, 0.2, 0.5, 0.9):
        state = path.at(share * total)
        rest = hitting_time(problem, state.z)
        moved = 4e-16 * abs(state.z) / abs(problem.grad(state.z)) if problem.grad(state.z) else 0.0
        assert abs(share * total + rest.tau - total) <= moved * 20 + 1e-12 * total


@pytest.mark.parametrize("method", ["exact", *SCIPY])
def test_slopes_of_the_dense_output_are_the_gradient(method):
    """dz/dtau = -dL/dz by central differences."""
    problem = LearningProblem("fast", horizon=5, gap=0.05)
    path = flow(problem, -0.5, method=method, rtol=1e-7)
    tau = path.tau[-1] * np.linspace(0.05, 0.95, 7)
    step = 1e-4 * path.tau[-1]
    slope = (path.at(tau + step).z - path.at(tau - step).z) / (2 * step)
    assert np.allclose(slope, -problem.grad(path.at(tau).z), rtol=2e-5, atol=0)


def test_nodes_are_in_order_and_consistent():
    for method in METHODS:
        path = flow(LearningProblem("softsign", horizon=30, gap=1e-4), -2.0, method=method, rtol=1e-6)
        assert path.tau[0] == 0.0
        assert path.z[0] == -2.0
        assert path.z[-1] == path.problem.z_star
        assert path.loss[-1] == 0.0
        assert path.log_gap[-1] == -math.inf
        assert np.all(np.diff(path.log_tau) >= 0)
        assert np.all(np.diff(path.z) > 0)
        assert np.all(np.diff(path.loss) <= 0)
        assert np.allclose(path.loss[:-1], path.problem.loss_at(path.z[:-1]), rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("method", ["exact", *SCIPY])
def test_past_the_arrival_the_flow_rests_on_the_target(method):
    problem = LearningProblem("fast", horizon=5, gap=0.05)
    path = flow(problem, 0.0, method=method, rtol=1e-6)
    state = path.at(path.tau[-1] * np.array([1.0, 1.5, 1e10]))
    assert np.all(state.z == problem.z_star)
    assert np.all(state.loss == 0)


@pytest.mark.parametrize("method", ["exact", *SCIPY])
@pytest.mark.sampled(2)
def test_the_learning_time_at_hand_ends_a_flow(method):
    problem = LearningProblem("sigmoid", horizon=1, gap=0.01)
    path = flow(problem, 0.0, tau_max=50.0, method=method)
    assert path.status is Status.TIME_LIMIT
    assert path.tau[-1] == pytest.approx(50.0, rel=1e-14)
    z = path.z[-1]
    assert math.exp(z) + 2 * z - math.exp(-z) == pytest.approx(50.0, rel=1e-9)
    with pytest.raises(InvalidArgument, match="tau must be at most 50"):
        path.at(51.0)


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.parametrize("name", ["sigmoid", "linear-cubic"])
@pytest.mark.sampled(4)
def test_a_target_of_1_is_approached_for_ever(name, method):
    path = flow(LearningProblem(name, horizon=10, gap=0), 0.0, method=method)
    assert path.status is Status.ASYMPTOTIC
    assert path.log_gap[-1] == pytest.approx(-36.0, abs=1e-6)
    assert path.check < 1e-9
    with pytest.raises(InvalidArgument, match="at most"):
        path.at(path.tau[-1] * 2)


def test_a_target_of_1_with_the_time_at_hand():
    """Sigmoid, T = 1, lambda* = 1: the same closed form for ever; loss goes like 1/tau."""
    path = flow(LearningProblem("sigmoid", horizon=1, gap=0), 0.0, tau_max=1e200)
    assert path.tau[-1] == pytest.approx(1e200, rel=1e-13)
    assert path.z[-1] == pytest.approx(math.log(1e200), rel=1e-15)
    assert path.loss[-1] == pytest.approx(1e-200, rel=1e-12)
    assert path.status is Status.ASYMPTOTIC
    middle = path.at(1e100)
    assert middle.z == pytest.approx(math.log(1e100), rel=1e-15)
    assert middle.log_gap == pytest.approx(-math.log(1e100), rel=1e-14)


@pytest.mark.parametrize("method", QUICK)
@pytest.mark.sampled(2)
def test_a_flat_point_is_approached_and_not_crossed(method):
    """sigma(z^3), T = 1, near z = 0: dz/dtau = c (3/4) z^2, so z = -4/(3 c tau) for large tau."""
    path = flow(LearningProblem("cubic", horizon=1, gap=0.1, scale=2.0), -1.0, tau_max=1e30, method=method)
    assert path.status is Status.STUCK
    assert np.all(path.z < 0)
    assert path.z[-1] == pytest.approx(-4 / (3 * 2 * 1e30), rel=1e-9)
    assert path.check < 1e-9


def test_a_target_past_the_floats_of_z_is_said_to_be_so():
    """log-slow: u* = 9 is z* = e^8102, no float; its time is one all the same."""
    problem = LearningProblem("log-slow", horizon=1, gap=1e-4)
    assert hitting_time(problem, 0.0).status is Status.REACHED
    with pytest.raises(NotReached, match="past the floats"):
        flow(problem, 0.0)


def test_a_start_on_a_flat_point_stays():
    path = flow(LearningProblem("cubic", horizon=10, gap=0.1), 0.0)
    assert path.status is Status.STUCK
    assert path.at([0.0, 1.0, 1e300]).z.tolist() == [0.0, 0.0, 0.0]


def test_a_start_on_the_target_stays():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    path = flow(problem, problem.z_star)
    assert (path.tau[-1], path.status) == (0.0, Status.REACHED)
    assert path.at(3.0).z == problem.z_star


@pytest.mark.parametrize("method", ["exact", "lsoda"])
def test_times_past_the_floats_are_told_by_their_logarithm(method):
    path = flow(LearningProblem("sigmoid", horizon=1e6, gap=1e-6), 2.0, method=method)
    assert path.tau[-1] == math.inf
    assert path.log_tau[-1] == pytest.approx(hitting_time(path.problem, 2.0).log_tau, rel=1e-14)
    z = path.at(log_tau=path.log_tau[-1] - np.array([100.0, 1.0, 0.1])).z
    assert np.all((z >= 2.0) & (z <= path.problem.z_star))


def test_many_times_at_once_equal_single_ones():
    path = flow(LearningProblem("arctan", horizon=100, gap=1e-3), 0.0)
    tau = path.tau[-1] * np.linspace(0, 1, 1001)
    z = path.at(tau.reshape(7, 143)).z.ravel()
    assert np.all(np.diff(z) >= 0)
    for k in (0, 1, 500, 999, 1000):
        assert path.at(tau[k]).z == pytest.approx(z[k], rel=1e-14)


def test_tighter_tolerances_cost_more():
    problem = LearningProblem("fast", horizon=100, gap=1e-3)
    loose, tight = (flow(problem, 0.0, method="lsoda", rtol=rtol) for rtol in (1e-5, 1e-11))
    assert loose.evaluations < tight.evaluations
    assert loose.check < 1e-4
    assert tight.check < 1e-9


def test_a_solver_that_gives_up_says_so(monkeypatch):
    from gateflow.flows.solvers import _swapped

    monkeypatch.setattr(_swapped, "MOST", 50)
    with pytest.raises(NotReached, match="Radau needs over 50 evaluations"):
        flow(LearningProblem("fast", horizon=100, gap=1e-3), 0.0, method="radau")


def test_a_solver_on_a_hopeless_path_stops_in_time(monkeypatch):
    from gateflow.flows.solvers import _swapped

    monkeypatch.setattr(_swapped, "SECONDS", 0.1)
    begun = time.thread_time()
    with pytest.raises(NotReached, match=r"BDF is not done after 0.1 seconds on this path; use method='exact'"):
        flow(LearningProblem("fast", horizon=1e12, target=1), -1.0, method="bdf")
    assert time.thread_time() - begun < 5  # ten seconds are the limit that is not patched


@pytest.mark.parametrize("gate", ["fast", "erf"])
def test_a_path_over_a_plateau_of_1e12_decays(gate):
    """On the plateau the flow is tau = int e^h dh W/q^2: the time is e^h0 and a few logarithms."""
    path = flow(LearningProblem(gate, horizon=1e12, target=1), -1.0)
    assert path.status is Status.ASYMPTOTIC
    assert path.log_tau[-1] == pytest.approx(path.problem.total_decay(-1.0).h, rel=1e-9)
    assert path.log_gap[-1] == pytest.approx(-36, abs=1e-6)
    assert path.check < 1e-3  # log tau is 1e12, and a float of it is right to 1e-4


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"z0": math.nan}, "z0 must be finite; got nan"),
        ({"z0": "a"}, "z0 must be a real number"),
        ({"z0": [1.0, 2.0], "method": "radau"}, "radau follows one problem from one start"),
        ({"z0": 0.0, "tau_max": 0}, "tau_max must be finite and above 0"),
        ({"z0": 0.0, "tau_max": math.inf}, "tau_max must be finite and above 0"),
        ({"z0": 0.0, "rtol": 0}, "rtol must be in"),
        ({"z0": 0.0, "atol": -1}, "atol must be in"),
    ],
)
def test_bad_arguments_are_one_line(arguments, said):
    with pytest.raises(GateflowError) as caught:
        flow(LearningProblem("fast", horizon=1, gap=0.1), **arguments)
    assert said in str(caught.value)


def test_unknown_methods_are_named():
    with pytest.raises(UnknownName, match="did you mean 'radau'"):
        flow(LearningProblem("fast", horizon=1, gap=0.1), 0.0, method="radua")


def test_bad_times_are_one_line():
    path = flow(LearningProblem("fast", horizon=1, gap=0.1), 0.0)
    for bad in (-1.0, math.nan, "late", [0.0, math.nan]):
        with pytest.raises(InvalidArgument, match="tau must be"):
            path.at(bad)
    with pytest.raises(InvalidArgument, match="exactly one"):
        path.at()


def test_words_and_a_sketch():
    path = flow(LearningProblem("fast", horizon=1, gap=0.1), 0.0)
    assert "the target is reached" in repr(path)
    html = path._repr_html_()
    assert html.startswith("<div")
    assert "<polyline" in html


@pytest.mark.parametrize("method", ["bdf", "radau"])
def test_a_solver_that_gives_up_says_so_in_one_line(method):
    """At gap 0 the hard sigmoid's path ends on its kink, up to which the steps go on halving."""
    with pytest.raises(NotReached, match=r"gave up: .*[^.]; use method='exact'"):
        flow(LearningProblem("hard-sigmoid", horizon=10, gap=0), 0.0, method=method)
