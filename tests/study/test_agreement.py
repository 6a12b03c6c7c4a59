"""What a few seeds say, against SciPy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from gateflow.errors import InvalidArgument
from gateflow.study.agreement import Arrival, agreement, exact_test, interval, restricted_mean, sooner


def test_ranks_and_distances_are_those_of_scipy():
    rng = np.random.default_rng(0)
    x, y = np.exp(rng.normal(size=40)).round(1) + 0.1, np.exp(rng.normal(size=40)).round(1) + 0.1
    found = agreement(x, y)
    assert found.rank == pytest.approx(stats.spearmanr(x, y).statistic, rel=1e-12)
    assert found.distance == pytest.approx(stats.ks_2samp(x, y).statistic, rel=1e-12)
    assert found.median == pytest.approx(np.median(np.abs(np.log(x / y))))


def test_without_censoring_the_exact_test_is_that_of_wilcoxon():
    first, second = [1, 4, 5, 9, 11], [2, 7, 12, 13, 20]
    p = exact_test([Arrival(k, True) for k in first], [Arrival(k, True) for k in second])
    assert p == pytest.approx(stats.mannwhitneyu(first, second, method="exact").pvalue)


def test_runs_that_never_arrive_count_as_late_and_tell_nothing_among_themselves():
    never = [Arrival(100, False)] * 5
    assert exact_test([Arrival(k, True) for k in range(1, 6)], never) == pytest.approx(2 / 252)
    assert exact_test(never, never) == 1.0
    assert sooner(never, never) == 0.5
    assert sooner([Arrival(100, True)], never) == 1.0


def test_a_run_that_was_left_early_has_no_restricted_mean():
    with pytest.raises(InvalidArgument, match="1 of 1 runs"):
        restricted_mean([Arrival(50, False)], 100)


def test_the_interval_of_five_is_that_of_scipy_and_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    drawn = rng.normal(size=(400, 5))
    found = np.array([interval(row.tolist()) for row in drawn])
    low, high = stats.t.interval(0.95, 4, loc=drawn.mean(axis=1), scale=stats.sem(drawn, axis=1))
    assert found[:, 1:] == pytest.approx(np.array([low, high]).T)
    assert 0.92 <= ((found[:, 1] <= 0) & (found[:, 2] >= 0)).mean() <= 0.98
    assert math.isnan(interval([1.0])[1])
