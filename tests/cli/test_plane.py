"""``gateflow plane``: its numbers against one parameter's, its keys, its exit codes, and what it refuses."""

import json
import math

import numpy as np
import pytest

from gateflow.flows import LearningProblem, hitting_time
from gateflow.flows.plane import NoisyProblem, RefineProblem, flow

REFINE = ("refine", "--horizon", "10", "--gap", "1e-3")


@pytest.fixture
def followed(gateflow):
    """The exit code and the answer of ``gateflow plane ... --json``."""

    def call(*arguments):
        code, out, err = gateflow("plane", *arguments, "--json")
        assert err == ""
        return code, json.loads(out)

    return call


def test_refine_is_the_flow_of_the_refine_problem(followed):
    code, answer = followed(*REFINE, "--start", "-1,0.5", "--gate", "fast", "--refine-gate", "softsign")
    path = flow(RefineProblem("fast", "softsign", horizon=10, gap=1e-3), (-1.0, 0.5))
    assert (code, answer["status"], answer["start"]) == (0, "reached", [-1.0, 0.5])
    assert answer["points"]["w"] == path.w.tolist()
    assert list(answer["points"]) == ["tau", "log_tau", "z", "w", "loss", "phi"]


def test_shared_with_one_sample_is_one_parameter(followed):
    code, answer = followed("shared", "--inputs", "2", "--horizon", "10", "--gap", "1e-3")
    exact = hitting_time(LearningProblem("sigmoid", horizon=10, gap=1e-3, scale=5), 0.0).log_tau
    assert code == 0
    assert answer["points"]["log_tau"][-1] == pytest.approx(exact, abs=1e-9)
    assert [turn["what"] for turn in answer["turns"]] == ["sample 0 reaches its target and stays on it"]


def test_noisy_shows_the_drawn_loss_in_its_band_and_the_seed(followed):
    arguments = ("noisy", "--horizon", "5", "--gap", "0.1", "--start", "6,1", "--tau-max", "4", "--samples", "400")
    code, answer = followed(*arguments, "--seed", "7")
    assert (code, answer["status"], answer["seed"]) == (3, "time limit", 7)
    points = {name: np.array(column) for name, column in answer["points"].items()}
    drawn = NoisyProblem(horizon=5, gap=0.1).monte_carlo(points["z"], points["p"], samples=400, seed=7)
    assert points["drawn"].tolist() == drawn.loss.tolist()
    wide = (points["drawn_high"] - points["drawn_low"]) / 2 / 1.959963984540054
    assert wide == pytest.approx(drawn.loss_error, rel=1e-9)
    assert np.all(np.abs(points["drawn"] - points["loss"]) < 4 * wide)
    assert followed(*arguments, "--seed", "7")[1] == answer
    assert followed(*arguments, "--seed", "8")[1] != answer


def test_text_shows_the_stop_the_path_and_the_turns(gateflow):
    code, out, _ = gateflow("plane", "shared", "--inputs", "0,1", "--horizon", "10,100", "--gap", "0.1")
    assert code == 0
    assert "status   reached: the target is reached" in out
    assert "sample 1 reaches its target and stays on it" in out
    code, out, _ = gateflow("plane", "refine", "--horizon", "1000", "--gap", "1e-3", "--start", "-3,0")
    assert (code, "tau      exp(" in out) == (0, True)


def test_times_past_the_floats_are_shown_by_their_logarithm(gateflow):
    """Far above the target ``1 - phi`` is ``2 sigma(-w) exp(-z)``, and z falls by a d << 1 in ``d exp(z)/T``."""
    out = gateflow("plane", "refine", "--horizon", "10", "--gap", "1e-3", "--start", "800,0").out
    tau, z, *_ = out.splitlines()[8].split()
    assert float(tau.removeprefix("exp(").removesuffix(")")) == pytest.approx(
        800 + math.log((800 - float(z)) / 10), abs=0.1
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("refnie", "--horizon", "10", "--gap", "0.1"), "unknown kind 'refnie'; did you mean 'refine'?"),
        ((*REFINE, "--start", "3"), "--start must be a pair of numbers"),
        ((*REFINE, "--start", "3,x"), "--start takes numbers with commas between, such as 0,1; got '3,x'"),
        ((*REFINE, "--start", "0,nan"), "--start must be a pair of finite numbers; got nan"),
        (("refine", "--horizon", "0", "--gap", "0.1"), "horizon must be finite and at least 1; got 0"),
        (("refine", "--horizon", "-5", "--gap", "0.1"), "horizon must be finite and at least 1; got -5"),
        (("refine", "--horizon", "10"), "none was given"),
        (("refine", "--horizon", "10,20", "--gap", "0.1"), "one problem"),
        ((*REFINE, "--method", "euler"), "unknown method 'euler'"),
        ((*REFINE, "--loss", "squard"), "did you mean 'squared'?"),
        (("shared", "--horizon", "10", "--gap", "0.1"), "shared needs the x of its samples"),
        (("shared", "--inputs", "0,1", "--horizon", "1,2,3", "--gap", "0.1"), "horizon must be one number or 2"),
        (("shared", "--inputs", "0,1", "--horizon", "1", "--gap", "0.1,nan"), "gap must be in [0, 1); got nan"),
        (("noisy", "--horizon", "5", "--gap", "0.1", "--samples", "1"), "samples must be a whole number from 2; got 1"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, gateflow):
    code, out, err = gateflow("plane", *arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
