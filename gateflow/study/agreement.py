"""How well measured and predicted numbers agree, and what a few seeds say: intervals, ranks, runs that never arrive."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.results.byvalue import by_value


@by_value
@dataclass(frozen=True)
class Agreement:
    """Measured against predicted positive numbers, such as time constants; errors are of their natural logarithms.

    Parameters
    ----------
    count : int
        Pairs of finite positive numbers.
    median, ninth : float
        Median and ninth decile of the size of the error.
    bias : float
        Median error: above 0 where more was measured than predicted.
    rank : float
        Spearman's rank correlation; nan where one side is constant.
    distance : float
        Kolmogorov and Smirnov's distance between the two distributions.
    """

    count: int
    median: float
    ninth: float
    bias: float
    rank: float
    distance: float


def agreement(measured: Any, predicted: Any) -> Agreement:
    """Compare numbers one by one, by rank, and as distributions.

    Examples
    --------
    >>> found = agreement([1.0, 10.0, 100.0], [1.0, 10.0, 110.0])
    >>> round(found.ninth, 4), round(found.rank, 4), round(found.distance, 4)
    (0.0762, 1.0, 0.3333)
    """
    x, y = (np.asarray(part, dtype=float).ravel() for part in (measured, predicted))
    if x.shape != y.shape:
        raise InvalidArgument(f"as many numbers are needed on both sides; got {x.size} and {y.size}")
    kept = np.isfinite(x) & np.isfinite(y) & (x > 0) & (y > 0)
    x, y = x[kept], y[kept]
    if not x.size:
        return Agreement(0, math.nan, math.nan, math.nan, math.nan, math.nan)
    error = np.log(x / y)
    size = np.abs(error)
    return Agreement(
        int(x.size),
        float(np.median(size)),
        float(np.quantile(size, 0.9)),
        float(np.median(error)),
        rank_correlation(x, y),
        _distance(x, y),
    )


def rank_correlation(x: Any, y: Any) -> float:
    """Spearman's rank correlation, equal values at their mean rank; nan where one side is constant.

    Examples
    --------
    >>> rank_correlation([1, 2, 3], [10, 30, 20]), rank_correlation([1, 1], [1, 2])
    (0.5, nan)
    """
    from scipy.stats import rankdata

    a, b = (rankdata(part) - (len(part) + 1) / 2 for part in (x, y))
    size = math.sqrt(float(a @ a) * float(b @ b))
    return float(a @ b) / size if size > 0 else math.nan


def _distance(x: np.ndarray, y: np.ndarray) -> float:
    points = np.concatenate([x, y])
    shares = (np.searchsorted(np.sort(part), points, side="right") / part.size for part in (x, y))
    first, second = shares
    return float(np.max(np.abs(first - second)))


# --- a few seeds -----------------------------------------------------------------------------------------------------


def interval(values: Sequence[float], *, level: float = 0.95) -> tuple[float, float, float]:
    """The mean of a sample and Student's interval for it; nan for the ends from a single value.

    A bootstrap of five values covers too seldom; this one covers as it says where they are normal.

    Examples
    --------
    >>> [round(each, 3) for each in interval([1.0, 2.0, 3.0, 4.0, 5.0])]
    [3.0, 1.037, 4.963]
    """
    from scipy.special import stdtrit

    sample = np.asarray(values, dtype=float)
    if not sample.size:
        return math.nan, math.nan, math.nan
    middle = float(sample.mean())
    if sample.size < 2:
        return middle, math.nan, math.nan
    reach = float(stdtrit(sample.size - 1, (1 + level) / 2) * sample.std(ddof=1) / math.sqrt(sample.size))
    return middle, middle - reach, middle + reach


@by_value
@dataclass(frozen=True)
class Arrival:
    """When a run reached a level, or that it had not by the time it was left.

    Parameters
    ----------
    step : int
        Of the arrival, or the last one.
    arrived : bool
    """

    step: int
    arrived: bool


def restricted_mean(runs: Sequence[Arrival], until: int) -> float:
    """Mean of min(step of arrival, ``until``): the area under the share of runs that have not arrived.

    All runs must have been followed until they arrived or until then.

    Examples
    --------
    >>> restricted_mean([Arrival(100, True), Arrival(400, False)], 400)
    250.0
    """
    short = [run for run in runs if not run.arrived and run.step < until]
    if short:
        raise InvalidArgument(f"{len(short)} of {len(runs)} runs were left before step {until}")
    return float(np.mean([min(run.step, until) for run in runs])) if runs else math.nan


def sooner(first: Sequence[Arrival], second: Sequence[Arrival]) -> float:
    """The probability that a run of the first kind arrives before one of the second; undecided pairs count half.

    A run that has not arrived is later than all that arrived before it was left; two that have not are a tie.

    Examples
    --------
    >>> sooner([Arrival(100, True)], [Arrival(400, False)])
    1.0
    >>> sooner([Arrival(400, False)], [Arrival(400, False)])
    0.5
    """
    if not first or not second:
        return math.nan
    return float(np.mean([(1 + _earlier(a, b)) / 2 for a in first for b in second]))


def _earlier(a: Arrival, b: Arrival) -> int:
    """1 where a arrives first, -1 where b does, 0 where that is not known."""
    if a.arrived and (a.step < b.step or (a.step == b.step and not b.arrived)):
        return 1
    if b.arrived and (b.step < a.step or (a.step == b.step and not a.arrived)):
        return -1
    return 0


def exact_test(first: Sequence[Arrival], second: Sequence[Arrival]) -> float:
    """Two-sided p of Gehan's rank test of the two kinds being alike, over every way to deal the runs out.

    With 5 runs against 5 it cannot fall below 2/252.

    References
    ----------
    E. A. Gehan, A generalized Wilcoxon test for comparing arbitrarily singly-censored samples (Biometrika 52, 1965).

    Examples
    --------
    >>> early, late = [Arrival(k, True) for k in (1, 2, 3)], [Arrival(k, True) for k in (4, 5, 6)]
    >>> exact_test(early, late)
    0.1
    """
    runs = [*first, *second]
    if not first or not second:
        return math.nan
    score = np.array([sum(_earlier(a, b) for b in runs) for a in runs])
    seen = abs(int(score[: len(first)].sum()))
    deals = list(itertools.combinations(range(len(runs)), len(first)))
    return float(np.mean([abs(int(score[list(deal)].sum())) >= seen for deal in deals]))
