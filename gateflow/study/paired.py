"""Tests of paired seeds: sign flips, corrections, equivalence, survival, power. From SciPy wherever it has them.

The numbers compared are log steps until a run has arrived, cut off at its last step. All intervals are for the mean
difference of logs, given as a ratio.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.study.agreement import Arrival, interval

DRAWS = 99_999
"""Sign flips drawn where there are more than that."""

SEED = 20_231_128
"""Of these draws: the same p from the same numbers."""


def sign_flips(differences: Sequence[float], draws: int = DRAWS) -> float:
    """Two-sided p of the mean being 0, where each difference has either sign with the same probability.

    Exact where there are at most ``draws`` ways to set the signs; else from that many, the sample itself counted.

    References
    ----------
    R. A. Fisher, The design of experiments (1935), §21.

    Examples
    --------
    >>> sign_flips([1.0, 2.0, 3.0, 4.0])
    0.125
    """
    from scipy.stats import permutation_test

    sample = _finite(differences)
    if sample.size < 2 or not sample.any():
        return 1.0 if sample.size > 1 else math.nan
    found = permutation_test(
        (sample,),
        lambda x, axis: np.mean(x, axis=axis),
        permutation_type="samples",
        n_resamples=draws,
        vectorized=True,
        batch=10_000,
        rng=np.random.default_rng(SEED),
    )
    return float(found.pvalue)


def holm(p: Sequence[float]) -> list[float]:
    """p-values corrected for their number (Holm, Scandinavian Journal of Statistics 6, 1979).

    Examples
    --------
    >>> [round(each, 10) for each in holm([0.01, 0.04, 0.03, 0.005])]
    [0.03, 0.06, 0.06, 0.02]
    """
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    raised = np.minimum(1.0, values[order] * (len(values) - np.arange(len(values))))
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(raised)
    return corrected.tolist()


def equivalence(differences: Sequence[float], margin: float) -> float:
    """p of two one-sided t tests that the mean lies within ``margin`` of 0 (Schuirmann 1987).

    Examples
    --------
    >>> round(equivalence([-0.1, 0.0, 0.1, 0.05, -0.05], 0.4), 5)
    0.00017
    """
    from scipy.stats import ttest_1samp

    sample = _finite(differences)
    if not margin > 0:
        raise InvalidArgument(f"the margin must be above 0; got {margin}")
    if sample.size < 2:
        return math.nan
    if not sample.std():
        return 0.0 if abs(sample[0]) < margin else 1.0
    sides = ((-margin, "greater"), (margin, "less"))
    return max(float(ttest_1samp(sample, end, alternative=side).pvalue) for end, side in sides)


def power(count: int, spread: float, effect: float, alpha: float) -> float:
    """The probability that a two-sided paired t test sees a mean difference of normal differences.

    A sign-flip test of them has as good as the same. Given the sample's spread the mean is normal; this is the mean
    over the chi law of the spread, the noncentral t law (whose tails SciPy 1.17 has as NaN).

    Examples
    --------
    >>> round(power(40, 0.65, math.log(1.5), 0.05 / 3), 3)
    0.92
    """
    from scipy.special import ndtr
    from scipy.stats import t

    size = abs(effect) / spread * math.sqrt(count)
    critical = t.isf(alpha / 2, count - 1)
    return _over_spreads(count, lambda s: ndtr(size - critical * s) + ndtr(-size - critical * s))


def _over_spreads(count: int, chance: Callable[[float], float]) -> float:
    """The mean of a probability over the law of a sample's spread, in parts of the true one."""
    from scipy.integrate import quad
    from scipy.stats import chi

    root = math.sqrt(count - 1)
    ends = [float(end) / root for end in (chi.ppf(1e-13, count - 1), chi.isf(1e-13, count - 1))]
    found = quad(lambda s: chance(s) * chi.pdf(s * root, count - 1) * root, *ends, limit=200)
    return float(min(found[0], 1.0))


def detectable(count: int, spread: float, alpha: float, wanted: float = 0.9) -> float:
    """The least factor between two arms that the test sees with a probability of ``wanted``.

    Examples
    --------
    >>> factor = detectable(40, 0.65, 0.05 / 3)
    >>> round(factor, 2), round(power(40, 0.65, math.log(factor), 0.05 / 3), 6)
    (1.48, 0.9)
    """
    if not spread > 0:
        return 1.0 if spread == 0 else math.nan
    return math.exp(min(spread * _effect(count, alpha, wanted), 700.0))


@lru_cache(maxsize=256)
def _effect(count: int, alpha: float, wanted: float) -> float:
    """The least difference that is seen, in parts of the spread: the same for all questions of as many seeds."""
    from scipy.optimize import brentq
    from scipy.stats import t

    most = (2 * t.isf(alpha / 2, count - 1) + 8) / math.sqrt(count)
    return float(brentq(lambda x: power(count, 1.0, x, alpha) - wanted, 0.0, most, xtol=1e-12))


def power_of_equivalence(count: int, spread: float, margin: float, alpha: float = 0.05) -> float:
    """The probability that two one-sided tests find equivalence where there is no difference.

    Examples
    --------
    >>> round(power_of_equivalence(40, 0.65, math.log(1.5)), 3)
    0.97...
    """
    from scipy.special import ndtr
    from scipy.stats import t

    critical, reach = t.isf(alpha, count - 1), margin * math.sqrt(count) / spread
    return _over_spreads(count, lambda s: 2 * ndtr(reach - critical * s) - 1 if critical * s < reach else 0.0)


@dataclass(frozen=True)
class Survival:
    """The share of runs that have not arrived, by Kaplan and Meier, with a band that holds point by point.

    Parameters
    ----------
    steps, share, low, high : list of float
        The share after each step at which a run arrived; the band is of 95 %, by the complementary log-log.
    """

    steps: list[float]
    share: list[float]
    low: list[float]
    high: list[float]

    @property
    def median(self) -> float:
        """The step by which half the runs have arrived; infinite where fewer have."""
        return next((step for step, left in zip(self.steps, self.share, strict=True) if left <= 0.5), math.inf)


def survival(runs: Sequence[Arrival]) -> Survival:
    """Kaplan and Meier's estimate of the share that has not arrived.

    Examples
    --------
    >>> found = survival([Arrival(100, True), Arrival(200, True), Arrival(400, False)])
    >>> found.steps, [round(each, 4) for each in found.share], found.median
    ([100.0, 200.0], [0.6667, 0.3333], 200.0)
    """
    from scipy.stats import ecdf

    found = ecdf(_censored(runs)).sf
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of the 0/0 below
        band = found.confidence_interval(0.95, method="log-log")
    at = np.isin(found.quantiles, [run.step for run in runs if run.arrived])
    share = np.asarray(found.probabilities)
    # where all or none are left the formula is 0/0: the band is the estimate
    low, high = (np.where(np.isnan(end.probabilities), share, end.probabilities) for end in (band.low, band.high))
    return Survival(*(np.asarray(part, dtype=float)[at].tolist() for part in (found.quantiles, share, low, high)))


def log_rank(first: Sequence[Arrival], second: Sequence[Arrival]) -> float:
    """Two-sided p of the log-rank test; nan where no run has arrived.

    Examples
    --------
    >>> early, late = [Arrival(k, True) for k in (1, 2, 3, 4)], [Arrival(k, True) for k in (5, 6, 7, 8)]
    >>> log_rank(early, late) < 0.02
    True
    """
    from scipy.stats import logrank

    if not any(run.arrived for run in (*first, *second)):
        return math.nan
    return float(logrank(_censored(first), _censored(second)).pvalue)


@dataclass(frozen=True)
class Slope:
    """log measured against log predicted steps, by least squares over cells.

    Parameters
    ----------
    cells : int
    slope, low, high : float
        With Student's interval of 95 %.
    offset : float
        Mean of log(measured/predicted).
    """

    cells: int
    slope: float
    low: float
    high: float
    offset: float


def slope_of(measured: Sequence[float], predicted: Sequence[float]) -> Slope:
    """The slope of log measured over log predicted.

    Examples
    --------
    >>> found = slope_of([11, 99, 1010], [10, 100, 1000])
    >>> round(found.slope, 3), found.low < 1 < found.high
    (0.981, True)
    """
    from scipy.stats import linregress, t

    x, y = np.log(np.asarray(predicted, dtype=float)), np.log(np.asarray(measured, dtype=float))
    if x.size < 3:
        raise InvalidArgument(f"a slope with its interval needs 3 cells; got {x.size}")
    found = linregress(x, y)
    reach = float(t.isf(0.025, x.size - 2) * found.stderr)
    return Slope(
        x.size, float(found.slope), float(found.slope - reach), float(found.slope + reach), float((y - x).mean())
    )


def ratio(differences: Sequence[float], level: float = 0.95) -> tuple[float, float, float]:
    """Geometric mean ratio with its interval, from differences of logs."""
    middle, low, high = interval(differences, level=level)
    return math.exp(middle), math.exp(low), math.exp(high)


def _censored(runs: Sequence[Arrival]) -> Any:
    from scipy.stats import CensoredData

    if not runs:
        raise InvalidArgument("there are no runs")
    steps = [float(run.step) for run in runs]
    return CensoredData.right_censored(steps, [not run.arrived for run in runs])


def _finite(values: Sequence[float]) -> np.ndarray:
    sample = np.asarray(values, dtype=float)
    if not np.isfinite(sample).all():
        raise InvalidArgument("a difference is no finite number")
    return sample
