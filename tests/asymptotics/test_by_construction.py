"""Samples of two benchmarks: gates known to be in class F or not, and forged certificates."""

from __future__ import annotations

import pytest

from benchmarks import forgeries, memberships

HEAVY = ("removable", "mixture", "dip", "bump_on_phi", "step", "oscillating")
CASES = [case for case in memberships.cases(100, seed=7) if case.family not in HEAVY][:30]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.family}: {case.text}")
@pytest.mark.sampled(11)
def test_no_membership_is_other_than_it_was_made(case):
    found = memberships.outcome(memberships.asked(case, seconds=60.0))
    assert found in ("right", "undecided")
    assert found == "right" or case.family in ("kink", "identity")


@pytest.mark.slow
@pytest.mark.parametrize("case", list(memberships.cases(300, seed=11)), ids=lambda case: f"{case.family}: {case.text}")
def test_no_membership_of_any_family_is_other_than_it_was_made(case):
    assert memberships.outcome(memberships.asked(case)) in ("right", "undecided")


@pytest.mark.parametrize("count", [3, pytest.param(80, marks=pytest.mark.slow)])
def test_no_false_certificate_is_verified(count):
    forged = forgeries.forgeries(count, seed=5)
    outcomes = {forgery.told: forgeries.outcome(forgery, seconds=60.0) for forgery in forged}
    assert len(outcomes) > 3 * count / 4
    assert not [told for told, found in outcomes.items() if found == "ACCEPTED"]
    assert set(outcomes.values()) <= {"refuted", "open", "true"}


def test_a_forgery_that_stays_true_is_told_from_one_that_does_not():
    """The judge of the benchmark is tried on a statement in other words, and on one that is off by a millionth."""
    true = forgeries.rate_certificate(forgeries.gate("sigmoid(z)"), "right")
    words = {**true, "statement": {**true["statement"], "kappa": f"0 + {true['statement']['kappa']}"}}
    moved = {**true, "statement": {**true["statement"], "rate": f"({true['statement']['rate']})*(1 + 10**-6)"}}
    assert forgeries.stays_true(forgeries.Forgery("rate", "", words, true))
    assert not forgeries.stays_true(forgeries.Forgery("rate", "", moved, true))
