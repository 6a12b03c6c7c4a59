"""Where the order of two gates turns, against integrals by SciPy in formulas by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from gateflow import crossover
from gateflow.descents.optimizers.adam import Adam
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem

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


def test_from_starts_of_unequal_value_nothing_is_claimed():
    """T8 is about one value: from z0 = 1.5 the fast gate starts ahead, and needs fewer steps."""
    found = crossover("fast", "sigmoid", LearningProblem("fast", horizon=100, timescale=100), 1.5)
    fast, sigmoid = found.own
    assert fast.by_target
    assert sigmoid.by_target
    assert fast.by_integral < sigmoid.by_integral
    assert found.reverses == "not shown"
    assert "need" not in str(found)
    assert str(found).endswith("T8 says nothing here: the gates start from unlike values")
    apart = crossover("fast", "sigmoid", LearningProblem("fast", horizon=100, timescale=100), (1.5, 2.2))
    assert apart.own[0].steps > apart.own[1].steps
    assert apart.reverses == "not shown"


FEW = Adam(beta1=0.5, beta2=0.9, eps=0.0)


@pytest.mark.parametrize(
    ("optimizer", "tolerance", "claim", "more"),
    [
        ("adam", 0.05, "not shown", False),
        ("adam", 0.002, "limit", True),
        (FEW, 0.05, "limit", True),
        ("rmsprop", 0.05, "not shown", False),
        ("momentum", 0.01, "limit", True),
    ],
)
@pytest.mark.sampled(3)
def test_of_other_optimizers_the_limit_is_claimed_and_only_where_the_steps_agree(optimizer, tolerance, claim, more):
    problem = LearningProblem("fast", horizon=100, timescale=100)
    start = -math.log(math.expm1(1 / 20))
    found = crossover("fast", "sigmoid", problem, (math.asinh(start), start), optimizer=optimizer, tolerance=tolerance)
    fast, sigmoid = found.own
    assert bool(fast.steps > sigmoid.steps) == more
    assert found.reverses == claim
    assert ("in the limit of small steps sigmoid cannot need more" in str(found)) is more
    assert "never needs" not in str(found)


def test_where_the_way_limits_a_step_size_nothing_is_claimed():
    """From 1/2 to a far target softsign is held back by the slope at its start, and needs far more steps."""
    found = crossover("sigmoid", "softsign", LearningProblem("sigmoid", horizon=10, gap=1e-3))
    assert found.reverses == "not shown"
    assert not found.own[1].by_target
    assert found.why_not == "the way sets the step size of sigmoid, not the target"
    assert found.own[1].by_integral > 1e5 * found.own[0].by_integral


@pytest.mark.parametrize("place", [0.5634, 0.9])
@pytest.mark.sampled(2)
def test_a_step_in_a_formula_does_not_hide_starts_from_which_the_other_gate_is_ahead(place):
    """By quadrature: ahead from just before the step, where it spares the second gate a part of the way."""
    other = f"sigmoid(0.97*z + 0.04*tanh(2000*(z - {place})))"
    found = crossover("sigmoid", other, LearningProblem("sigmoid", horizon=10, gap=0.2))
    assert found.start.verdict == "from"
    assert not found.start.proved
    assert "as far as was searched" in dict(found.lines())["from other starts"]
    top = float(LearningProblem("sigmoid", horizon=10, gap=0.2).u_star)
    edge = -math.log(math.expm1(1 / found.start_timescale))

    def u(z):
        return 0.97 * z + 0.04 * math.tanh(2000 * (z - place))

    def density(z):
        """The second gate's time per length."""
        steep = 0.97 + 80 / math.cosh(min(abs(2000 * (z - place)), 300)) ** 2
        return (1 + math.exp(-u(z))) ** 10 * (1 + math.exp(u(z))) / (10 * steep)

    def lead(start):
        low, high = (brentq(lambda z, value: u(z) - value, -1, 9, args=(end,), xtol=1e-15) for end in (start, top))
        cuts = [low, *(place + np.array([-0.01, -0.003, -0.001, 0.001, 0.003, 0.01])), high]
        second = sum(quad(density, a, b, epsrel=1e-11)[0] for a, b in pairwise(c for c in cuts if low <= c <= high))
        first = quad(lambda x: (1 + math.exp(-x)) ** 10 * (1 + math.exp(x)) / 10, start, top, epsrel=1e-12)[0]
        return second - first

    assert lead(edge) == pytest.approx(0, abs=1e-4)
    assert lead(edge - 0.002) < 0 < lead(edge + 0.002)


def test_without_a_proof_of_steepness_later_starts_are_told_as_far_as_was_searched():
    told = crossover("fast", "sigmoid(z + z**3)", LearningProblem("fast", horizon=10, gap=1e-6))
    assert "from every later start of equal value, as far as was searched" in str(told)
    proved = crossover("fast", "sigmoid", LearningProblem("fast", horizon=10, gap=1e-3))
    assert proved.start.proved
    assert str(proved.lines()[1][1]).endswith("from every later start of equal value")


def test_without_an_order_and_without_a_proof_it_is_undecided():
    problem = LearningProblem("sigmoid", horizon=10, gap=0.3)
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
