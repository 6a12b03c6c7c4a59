"""Tests of paired seeds, against closed forms, worked examples of textbooks, and brute force."""

from __future__ import annotations

import inspect
import itertools
import math
import re
import tomllib
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from gateflow.errors import InvalidArgument
from gateflow.study.agreement import Arrival
from gateflow.study.paired import (
    detectable,
    equivalence,
    holm,
    log_rank,
    power,
    power_of_equivalence,
    ratio,
    sign_flips,
    slope_of,
    survival,
)

DARWIN = [49, -67, 8, 16, 6, 23, 28, 41, 14, 29, 56, 24, 75, 60, -48]
"""Darwin's maize, crossed minus selfed plants in eighths of an inch (Fisher, The design of experiments, §17)."""

REMISSION_6MP = [6, 6, 6, 7, 10, 13, 16, 22, 23], [6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
REMISSION_PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]
"""Weeks in remission, ended and censored (Freireich et al. 1963; Kleinbaum and Klein, Survival analysis, ch. 2)."""


def patients(ended: list[int], left: list[int]) -> list[Arrival]:
    return [Arrival(k, True) for k in ended] + [Arrival(k, False) for k in left]


def test_sign_flips_of_darwin_are_what_fisher_counted():
    # of 32,768 ways 835 have a sum of 314 or more, and 28 just that (§21): 863 on each side
    assert sign_flips(DARWIN) == pytest.approx(2 * 863 / 2**15, rel=1e-12)


def test_the_lowest_scipy_knows_the_generator_of_sign_flips():
    """``permutation_test(rng=...)`` came with SciPy 1.15."""
    assert "rng=" in inspect.getsource(sign_flips)
    declared = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]["dependencies"]
    (floor,) = (re.fullmatch(r"scipy>=(\d+)\.(\d+)", each) for each in declared if each.startswith("scipy"))
    assert tuple(map(int, floor.groups())) >= (1, 15)


def test_sign_flips_are_those_of_brute_force():
    sample = np.random.default_rng(3).normal(0.4, 1, 9)
    sums = [abs(np.dot(signs, sample)) for signs in itertools.product((-1, 1), repeat=9)]
    wanted = np.mean(np.array(sums) >= abs(sample.sum()) - 1e-12)
    assert sign_flips(sample) == pytest.approx(wanted, rel=1e-12)
    assert sign_flips(-sample) == sign_flips(sample)


def test_drawn_sign_flips_are_near_the_exact_ones_and_the_same_each_time():
    sample = np.random.default_rng(4).normal(0.3, 1, 40)
    drawn = sign_flips(sample, 9_999)
    assert drawn == sign_flips(sample, 9_999)
    # the sum of many signed differences is as good as normal
    z = abs(sample.sum()) / math.sqrt(float(sample @ sample))
    assert drawn == pytest.approx(2 * stats.norm.sf(z), abs=0.015)


def test_sign_flips_of_no_difference_and_of_ties():
    assert sign_flips([0.0] * 40) == 1.0
    assert sign_flips([0.0, 0.0, 1.0, 1.0, 1.0]) == pytest.approx(2 * 4 / 2**5)
    with pytest.raises(InvalidArgument, match="no finite number"):
        sign_flips([1.0, math.nan])


def test_under_no_difference_sign_flips_reject_as_often_as_they_say():
    rng = np.random.default_rng(5)
    rejected = sum(sign_flips(rng.laplace(size=8)) <= 0.05 for _ in range(400))
    assert stats.binomtest(rejected, 400, 0.05).pvalue > 0.001


def test_holm_on_the_example_of_a_textbook():
    # p and adjusted p of Wright, Adjusted p-values for simultaneous inference (Biometrics 48, 1992)
    assert holm([0.0121, 0.0142, 0.1986, 0.0191]) == pytest.approx([0.0484, 0.0484, 0.1986, 0.0484])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([]) == []


def test_equivalence_is_that_the_interval_of_90_percent_lies_within():
    rng = np.random.default_rng(6)
    for _ in range(40):
        sample = rng.normal(0.2, 0.6, 12)
        middle, reach = sample.mean(), stats.t.isf(0.05, 11) * stats.sem(sample)
        inside = abs(middle) + reach < math.log(1.5)
        assert (equivalence(sample, math.log(1.5)) < 0.05) == inside
    assert equivalence([0.0] * 5, 0.1) == 0.0
    assert equivalence([0.2] * 5, 0.1) == 1.0


@pytest.mark.parametrize("spread", [0.5, 0.8])
def test_power_is_what_simulated_samples_show(spread):
    rng = np.random.default_rng(7)
    samples = rng.normal(math.log(1.5), spread, (4000, 40))
    seen = np.mean(stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05 / 3)
    assert power(40, spread, math.log(1.5), 0.05 / 3) == pytest.approx(seen, abs=0.025)
    alike = samples - math.log(1.5)
    reach = stats.t.isf(0.05, 39) * stats.sem(alike, axis=1)
    found = np.mean(np.abs(alike.mean(axis=1)) + reach < math.log(1.5))
    assert power_of_equivalence(40, spread, math.log(1.5)) == pytest.approx(found, abs=0.025)


def test_power_is_the_noncentral_t_law_and_rises_to_1():
    for count, spread, effect, alpha in ((40, 0.65, 0.4, 0.017), (10, 0.8, 0.7, 0.017), (5, 0.5, 0.3, 0.05)):
        critical, size = stats.t.isf(alpha / 2, count - 1), effect / spread * math.sqrt(count)
        wanted = stats.nct.sf(critical, count - 1, size) + stats.nct.cdf(-critical, count - 1, size)
        assert power(count, spread, effect, alpha) == pytest.approx(wanted, rel=1e-9)
    assert power(40, 0.3, 0.0, 0.05) == pytest.approx(0.05, rel=1e-9)
    assert power(40, 0.3, 5.0, 0.05) == pytest.approx(1, rel=1e-12)  # where SciPy's law is NaN
    for count in (2, 10, 40):
        factor = detectable(count, 0.5, 0.05)
        assert power(count, 0.5, math.log(factor), 0.05) == pytest.approx(0.9, rel=1e-6)
    assert detectable(10, 0.0, 0.05) == 1.0


def test_kaplan_and_meier_of_the_remissions():
    found = survival(patients(*REMISSION_6MP))
    assert found.steps == [6, 7, 10, 13, 16, 22, 23]
    assert found.share == pytest.approx([0.8571, 0.8067, 0.7529, 0.6902, 0.6275, 0.5378, 0.4482], abs=5e-5)
    assert found.median == 23
    # log(-log S) has the standard error sqrt(sum d/(n (n - d)))/|log S| (Kalbfleisch and Prentice)
    variance = 3 / (21 * 18)
    reach = 1.959964 * math.sqrt(variance) / abs(math.log(18 / 21))
    assert found.low[0] == pytest.approx((18 / 21) ** math.exp(reach), rel=1e-6)
    assert found.high[0] == pytest.approx((18 / 21) ** math.exp(-reach), rel=1e-6)


def test_log_rank_of_the_remissions():
    # chi squared 16.79 (Kleinbaum and Klein)
    p = log_rank(patients(*REMISSION_6MP), patients(REMISSION_PLACEBO, []))
    assert stats.chi2.isf(p, 1) == pytest.approx(16.79, abs=0.005)


def test_survival_where_none_or_all_arrive():
    none = survival([Arrival(100, False)] * 3)
    assert (none.steps, none.median) == ([], math.inf)
    every = survival([Arrival(50, True)] * 3)
    assert (every.steps, every.share, every.median) == ([50], [0.0], 50)
    assert all(0 <= low <= high <= 1 for low, high in zip(every.low, every.high, strict=True))
    assert math.isnan(log_rank([Arrival(100, False)] * 3, [Arrival(100, False)] * 3))


def test_the_slope_of_a_line_with_noise_is_that_of_least_squares():
    rng = np.random.default_rng(8)
    predicted = np.geomspace(10, 5000, 18)
    measured = 1.3 * predicted**0.9 * np.exp(rng.normal(0, 0.1, 18))
    found = slope_of(measured, predicted)
    x, y = np.log(predicted), np.log(measured)
    solution, residuals, *_ = np.linalg.lstsq(np.stack([x, np.ones(18)], 1), y, rcond=None)
    error = math.sqrt(residuals[0] / 16 / ((x - x.mean()) ** 2).sum())
    assert found.slope == pytest.approx(solution[0], rel=1e-12)
    assert found.high - found.slope == pytest.approx(2.119905 * error, rel=1e-6)
    assert found.offset == pytest.approx((y - x).mean())


def test_a_ratio_comes_from_the_mean_of_logs():
    assert ratio([math.log(2), math.log(8)])[0] == pytest.approx(4)
