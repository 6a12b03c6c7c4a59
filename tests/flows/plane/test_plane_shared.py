"""Samples that share a weight and a bias: closed cases, subgradient descent in small steps, and laws of the kinks."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem, hitting_time
from gateflow.flows.plane import SharedProblem, Status, flow


def words(path):
    return [turn.what for turn in path.turns]


# --- one sample ---


@pytest.mark.parametrize("x", [0.0, 2.0, -0.7])
@pytest.mark.parametrize(
    ("gate", "horizon", "gap", "start"),
    [("sigmoid", 10, 1e-3, (0.0, 0.0)), ("fast", 1000, 1e-9, (0.3, 0.1)), ("sigmoid", 5, 0.2, (1.0, 9.0))],
)
@pytest.mark.sampled(4)
def test_one_sample_is_one_parameter_with_c_times_x_squared_plus_1(gate, horizon, gap, start, x):
    path = flow(SharedProblem(gate, inputs=[x], horizon=horizon, gap=gap, scale=3), start)
    w, b = start
    alone = LearningProblem(gate, horizon=horizon, gap=gap, scale=3 * (x * x + 1))
    assert path.log_tau[-1] == pytest.approx(hitting_time(alone, w * x + b).log_tau, abs=1e-9)
    assert path.status is Status.REACHED
    move = np.subtract(path.points[-1], start)
    assert move[0] == pytest.approx(x * move[1], abs=1e-12)  # along the gradient (x, 1) all the way


def test_equal_samples_are_one():
    once = flow(SharedProblem(inputs=[1.5, -1.0], horizon=[10, 4], gap=[0.1, 0.3]), (0.2, -0.4))
    twice = flow(SharedProblem(inputs=[1.5, -1.0] * 2, horizon=[10, 4] * 2, gap=[0.1, 0.3] * 2), (0.2, -0.4))
    assert twice.log_tau[-1] == pytest.approx(once.log_tau[-1], abs=1e-10)
    assert twice.points[-1] == pytest.approx(once.points[-1], abs=1e-11)
    assert twice.status is Status.REACHED


# --- sliding ---


@pytest.mark.parametrize(
    ("inputs", "horizon", "gap", "start"),
    [([0.0, 1.0], [10, 100], [0.1, 0.1], (0.0, 0.0)), ([-1.0, 2.0], [3, 30], [0.2, 1e-3], (1.0, 1.0))],
)
def test_sliding_along_a_kink_takes_the_time_of_one_parameter(inputs, horizon, gap, start):
    """On the line of sample i only j pulls, and moves z_j by ``(x_j - x_i)^2/(1 + x_i^2)`` of its own force."""
    problem = SharedProblem(inputs=inputs, horizon=horizon, gap=gap, scale=2)
    path = flow(problem, start)
    held = next(turn for turn in path.turns if turn.what.endswith("stays on it"))
    i = int(held.what.split()[1])
    j = 1 - i
    share = (inputs[j] - inputs[i]) ** 2 / (1 + inputs[i] ** 2)
    alone = LearningProblem("sigmoid", horizon=horizon[j], gap=gap[j], scale=2 / 2 * share)
    exact = hitting_time(alone, held.point[0] * inputs[j] + held.point[1]).tau
    assert path.tau[-1] - math.exp(held.log_tau) == pytest.approx(exact, rel=1e-8)
    assert path.status is Status.REACHED
    assert problem.pre_activation(*path.points[-1]) == pytest.approx(problem.z_star, abs=1e-12)
    assert path.check < 1e-11
    between = path.at(np.linspace(math.exp(held.log_tau), path.tau[-1], 9))
    assert between.w * inputs[i] + between.b == pytest.approx(problem.z_star[i], abs=1e-13)


def descended(inputs, horizon, gap, start, times, step):
    """Subgradient descent with sigmoid gates in plain Python, which hops over a kink and back: sliding in the limit."""
    w, b = start
    found, taken = [], 0
    samples = list(zip(inputs, horizon, gap, strict=True))
    for tau in times:
        while taken < round(tau / step):
            dw = db = 0.0
            for x, t, g in samples:
                phi = 1 / (1 + math.exp(-w * x - b))
                pull = math.copysign(t * phi**t * (1 - phi), 1 - g - phi**t) / len(samples)
                dw, db = dw + x * pull, db + pull
            w, b, taken = w + step * dw, b + step * db, taken + 1
        found.append((w, b))
    return np.array(found)


LEAVING = {"inputs": [0.0, 1.0], "horizon": [1, 6], "gap": [0.4, 0.3]}
CASES = {
    "two samples": ({"inputs": [0.0, 1.0], "horizon": [2, 6], "gap": [0.3, 0.2]}, (-0.5, 0.3)),
    "three samples": ({"inputs": [-1.0, 0.5, 2.0], "horizon": [2, 4, 1], "gap": [0.5, 0.1, 0.3]}, (0.0, 0.0)),
    "a sample leaves its kink": (LEAVING, (-1.6, 0.0)),
}


@pytest.mark.parametrize("name", CASES)
@pytest.mark.sampled(2)
def test_small_steps_of_subgradient_descent_tend_to_the_flow(name):
    task, start = CASES[name]
    path = flow(SharedProblem(**task), start)
    times = path.tau[-1] * np.array([0.2, 0.5, 0.8, 1.0])
    exact = path.at(times).points
    off = [np.abs(descended(**task, start=start, times=times, step=s) - exact).max() for s in (1e-2, 2.5e-3)]
    assert off[1] < 5e-3
    assert off[1] < 0.5 * off[0]


def test_a_kink_is_left_where_the_other_pull_exceeds_its_own():
    """Just before and after, the pull along the normal of the line is the most that the sample can give."""
    problem = SharedProblem(**LEAVING)
    path = flow(problem, (-1.6, 0.0))
    turn = next(turn for turn in path.turns if "leaves" in turn.what)
    w, b = turn.point
    own, other = (t * s**t * (1 - s) for t, s in zip([1, 6], 1 / (1 + np.exp(-np.array([b, w + b]))), strict=True))
    assert own == pytest.approx(other, rel=1e-8)  # both normals against (0, 1)
    assert b == pytest.approx(math.log(0.6 / 0.4), abs=1e-12)


def test_the_loss_never_rises():
    for task, start in CASES.values():
        path = flow(SharedProblem(**task), start)
        assert np.all(np.diff(path.loss) <= 1e-14)
        assert np.all(np.diff(path.log_tau[1:]) >= 0)


def test_pulls_that_balance_between_kinks_are_approached_for_ever():
    """The same x, two targets far apart: z comes to where both pull alike, if that is not on a kink."""
    problem = SharedProblem(inputs=[1.0, 1.0], horizon=[1, 1], gap=[0.9, 0.1])
    rests = flow(problem, (0.0, 0.0))  # horizon 1: equal pulls everywhere, so it does not move at all
    assert (rests.status, rests.tau[-1]) == (Status.BALANCED, 0.0)
    problem = SharedProblem(inputs=[1.0, 1.0], horizon=[8, 1], gap=[0.4, 0.9])
    path = flow(problem, (1.0, 1.4))
    z = path.points[-1].sum()
    assert path.status is Status.BALANCED
    assert np.min(np.abs(z - problem.z_star)) < 1e-11


def test_a_smooth_least_is_approached_for_ever():
    """Two samples pull up by ``phi (1 - phi)``, one down by ``6 phi^6 (1 - phi)``: balance at ``phi^5 = 1/3``."""
    problem = SharedProblem(inputs=[1.0, 1.0, 1.0], horizon=[6, 1, 1], gap=[0.99, 0.1, 0.1])
    path = flow(problem, (0.0, 0.5))
    assert path.status is Status.ASYMPTOTIC
    assert path.phi[-1] == pytest.approx([3**-0.2] * 3, rel=1e-7)


def test_a_start_on_both_kinks_rests_there_and_one_on_a_kink_slides():
    problem = SharedProblem(inputs=[0.0, 1.0], horizon=[10, 100], gap=0.1)
    b = problem.z_star[0]
    there = flow(problem, (problem.z_star[1] - b, b))
    assert (there.status, there.tau[-1], there.loss[-1]) == (Status.REACHED, 0.0, 0.0)
    sliding = flow(problem, (0.1, b))
    assert sliding.status is Status.REACHED


def test_across_a_plateau_of_1e300():
    problem = SharedProblem(inputs=[0.0, 1.0], horizon=[1000, 900], gap=[1e-3, 1e-2])
    path = flow(problem, (0.0, 0.0))
    assert path.log_tau[-1] > 600
    assert path.status is Status.REACHED
    assert problem.pre_activation(*path.points[-1]) == pytest.approx(problem.z_star, abs=1e-11)


def test_a_learning_time_at_hand_cuts_the_flow():
    task, start = CASES["three samples"]
    whole = flow(SharedProblem(**task), start)
    tau = 0.5 * whole.tau[-1]
    part = flow(SharedProblem(**task), start, tau_max=tau)
    assert (part.status, part.tau[-1]) == (Status.TIME_LIMIT, pytest.approx(tau, rel=1e-12))
    assert part.points[-1] == pytest.approx(whole.at(tau).points, abs=1e-9)
    assert words(part) == words(whole)[: len(part.turns)]


@pytest.mark.parametrize(
    ("task", "said"),
    [
        (
            {"inputs": [0, 1], "horizon": [1, 2, 3], "gap": 0.1},
            "horizon must be one number or 2, one for each input; got 3",
        ),
        ({"inputs": [0, 1], "horizon": 3, "gap": [0.1] * 3}, "gap must be one number or 2"),
        ({"inputs": [0, np.nan], "horizon": 3, "gap": 0.1}, "inputs must be finite; got nan"),
        ({"inputs": 1.0, "horizon": 3, "gap": 0.1}, "inputs must be a list"),
        ({"inputs": [], "horizon": 3, "gap": 0.1}, "inputs must be a list"),
        ({"inputs": [0, 1], "horizon": 3, "gap": [0.1, 0]}, "sample 1 has no finite z"),
        ({"inputs": [0, 1], "horizon": 3, "gap": 0.1, "loss": "squared"}, "need a loss with a kink; squared has none"),
        ({"inputs": [0, 1], "horizon": 3, "gap": 0.1, "scale": [1, 2]}, "scale must be one number"),
    ],
)
def test_bad_inputs_are_one_line(task, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        SharedProblem(**task)
    assert "\n" not in str(caught.value)
