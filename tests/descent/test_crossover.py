"""Where the order of two gates turns, against integrals by SciPy in formulas by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from gateflow import crossover
from gateflow.errors import InvalidArgument
from gateflow.flow import LearningProblem

PROFILES = {
    "fast": (math.sinh, math.cosh),
    "sigmoid(z + z**3)": (lambda z: z + z**3, lambda z: 1 + 3 * z * z),
    "erf": (
        lambda z: math.log(math.erfc(-z) / math.erfc(z)),
        lambda z: 4 * math.exp(-z * z) / math.sqrt(math.pi) / (math.erfc(-z) * math.erfc(z)),
    ),
}


def time(name, horizon, gap, start=0.5):
    """The learning time, by quadrature in z."""
    u, du = PROFILES[name]

    def z_of(value_u):
        return brentq(lambda z: u(z) - value_u, 0, 20, xtol=1e-14)

    end = -math.log(math.expm1(-math.log1p(-gap) / horizon))

    def density(z):
        return (1 + math.exp(-u(z))) ** horizon * (1 + math.exp(u(z))) / (horizon * du(z))

    top, bottom = z_of(end), z_of(math.log(start / (1 - start))) if start > 0.5 else 0.0
    pieces = np.linspace(bottom, top, 9)
    return sum(quad(density, a, b, epsrel=1e-12)[0] for a, b in pairwise(pieces))


def test_the_gap_at_which_two_gates_take_the_same_time():
    """The example of README: the fast gate against sigmoid(z + z**3) at T = 10 from 1/2."""
    other = "sigmoid(z + z**3)"
    found = crossover("fast", other, LearningProblem("fast", horizon=10, gap=1e-6))
    assert found.names == ("fast", other)
    assert found.target.verdict == "from"
    gap = math.exp(found.log_gap)
    assert time("fast", 10, gap) == pytest.approx(time(other, 10, gap), rel=1e-7)
    assert time("fast", 10, gap / 2) < time(other, 10, gap / 2)
    assert time("fast", 10, 2 * gap) > time(other, 10, 2 * gap)
    assert found.timescale == pytest.approx(10 / gap, rel=1e-6)
    for name, log_tau in zip(found.names, found.log_tau, strict=True):
        assert math.exp(log_tau) == pytest.approx(time(name, 10, 1e-6), rel=1e-9)


def test_the_start_from_which_the_higher_order_is_ahead():
    found = crossover("fast", "erf", LearningProblem("fast", horizon=10, gap=1e-3))
    assert found.start.verdict == "from"
    start = math.exp(-1 / found.start_timescale)
    assert time("fast", 10, 1e-3, start) == pytest.approx(time("erf", 10, 1e-3, start), rel=1e-6)
    assert time("fast", 10, 1e-3, start + 0.05) < time("erf", 10, 1e-3, start + 0.05)
    assert time("fast", 10, 1e-3) > time("erf", 10, 1e-3)


@pytest.mark.parametrize(
    ("phi", "psi", "verdict"),
    [
        ("fast", "sigmoid", "always"),
        ("sigmoid", "fast", "always"),
        ("sigmoid", "softsign", "always"),
        ("sigmoid(2*z)", "sigmoid", "always"),
        ("sigmoid", "sigmoid(2*z)", "never"),
    ],
)
def test_a_gate_that_is_steeper_all_the_way_is_proved_to_be_ahead_for_every_gap(phi, psi, verdict):
    found = crossover(phi, psi, LearningProblem("fast", horizon=10, gap=1e-3))
    assert (found.target.verdict, found.target.proved) == (verdict, True)
    assert found.log_gap is None
    if found.order.verdict == "higher":
        assert found.names[0] == {"softsign": "sigmoid"}.get(psi, "fast")


def test_at_step_sizes_of_their_own_the_order_reverses():
    problem = LearningProblem("fast", horizon=100, timescale=100)
    start = -math.log(math.expm1(1 / 20))
    found = crossover("fast", "sigmoid", problem, (math.asinh(start), start))
    assert found.reverses == "always"
    fast, sigmoid = found.own
    assert fast.steps > sigmoid.steps
    assert found.log_tau[0] < found.log_tau[1]
    assert "the target sets the step sizes" in str(found)


def test_where_the_way_limits_a_step_size_nothing_is_claimed():
    """From 1/2 to a far target softsign is held back by the slope at its start, and needs far more steps."""
    found = crossover("sigmoid", "softsign", LearningProblem("sigmoid", horizon=10, gap=1e-3))
    assert found.reverses == "not shown"
    assert not found.own[1].by_target
    assert found.own[1].by_integral > 1e5 * found.own[0].by_integral


def test_without_an_order_and_without_a_proof_it_is_undecided():
    problem = LearningProblem("sigmoid", horizon=10, gap=1e-3)
    found = crossover("sigmoid(z + sin(z)/2)", "sigmoid", problem, seconds=0.05)
    assert found.target.verdict == "undecided"
    assert "undecided for gaps down to" in str(found)


@pytest.mark.parametrize(
    ("keywords", "z0", "message"),
    [
        ({"gap": [0.1, 0.2]}, 0.0, "crossover takes one problem"),
        ({"gap": 0.1, "loss": "squared"}, 0.0, "the squared loss is smooth at its least value"),
        ({"gap": 0.1}, 30.0, "crossover takes a start below the target"),
        ({"gap": 0.0}, 0.0, "crossover takes a start below the target"),
    ],
)
def test_what_it_cannot_answer_is_refused_in_one_line(keywords, z0, message):
    with pytest.raises(InvalidArgument, match=f"^{message}"):
        crossover("fast", "sigmoid", LearningProblem("fast", horizon=10, **keywords), z0)
