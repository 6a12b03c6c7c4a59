"""Gate against gate: who was sooner, by how much, and whether that is the order of saturation."""

import itertools
import math

import pytest

from gateflow import order
from gateflow.errors import InvalidArgument
from gateflow.study.networks import ORDER, contrasts, ordered, trial


def row(arm, losses, steps):
    arrivals = [{"step": step, "arrived": step < 1000} for step in steps]
    seeds = list(range(len(losses)))
    return {"arm": arm, "runs": len(losses), "seeds": seeds, "losses": losses, "arrivals": arrivals}


ROWS = [
    row("sigmoid, adam", [0.2, 0.4, 0.2, 0.4, 0.2], [500, 600, 700, 800, 900]),
    row("fast, adam", [0.1, 0.2, 0.1, 0.2, 0.1], [100, 200, 300, 400, 450]),
    row("refine, adam", [0.2, 0.1, 0.4, 0.1], [1000, 1000, 1000, 1000]),
    row("fast, sgd", [0.1], [10]),
]


def test_the_order_of_the_study_is_the_order_of_saturation():
    for lower, higher in itertools.pairwise(ORDER):
        assert order(higher, lower).verdict == "higher"


def test_a_gate_that_is_always_sooner_and_better_by_a_factor_of_two():
    found = contrasts(ROWS)[0]
    assert (found.condition, found.first, found.second, found.ordered) == ("adam", "fast", "sigmoid", True)
    assert found.sooner == 1.0
    assert found.p == pytest.approx(2 / 252)
    assert (found.gain, found.low, found.high) == pytest.approx((math.log(2),) * 3)
    assert found.verdict == "first"


def test_arms_are_compared_within_a_condition_and_only_the_seeds_both_have():
    found = contrasts(ROWS)
    assert [(each.first, each.second) for each in found] == [
        ("fast", "sigmoid"),
        ("fast", "refine"),
        ("sigmoid", "refine"),
    ]
    assert not found[1].ordered
    assert found[1].gain == pytest.approx(math.log(2 * 0.5 * 4 * 0.5) / 4)  # of four seeds
    assert found[2].verdict == "open"


def test_runs_are_paired_by_their_seeds_and_not_by_their_places():
    late = {**row("sigmoid, adam", [0.4, 0.2], [500, 600]), "seeds": [1, 2]}
    (found,) = contrasts([late, row("fast, adam", [0.1, 0.2, 0.1], [10, 20, 30])])
    assert (found.gain, found.low, found.high) == pytest.approx((math.log(2),) * 3)


def test_a_gate_of_ones_own_stands_beside_the_sigmoid_with_the_settings_of_the_experiment():
    mine = "sigmoid(where(z < 0, z, k*z + z**3)); k=2"
    plan = trial(mine, ["rmsprop", "sgd"])
    assert len(plan.arms) == 4
    own = next(iter(plan.arms))
    assert own.partition(", ")[2] == "rmsprop"  # a formula may have a comma, too
    assert plan.settings(own)["forget_gate"] == mine
    assert ordered("fast") == ("sigmoid", "fast")
    assert ordered("softsign") == ("softsign", "sigmoid")
    assert ordered("scaled-tanh") == ()


@pytest.mark.parametrize(("name", "optimizers"), [("fast", ["momentum"]), ("fast", []), ("sigmoid", ["adam"])])
def test_what_cannot_be_compared_is_refused(name, optimizers):
    with pytest.raises(InvalidArgument):
        trial(name, optimizers)
