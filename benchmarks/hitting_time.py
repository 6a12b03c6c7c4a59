"""Hitting times in bulk against the usual ways to get them: ``python benchmarks/hitting_time.py``.

Random problems of the fast gate: T log-uniform in 1..1e6, gap in 1e-16..1e-2, h0 in 0.1..30, a fifth starting above the
target. Each way is timed on as many of them as it manages in some seconds, looped as a user would; errors
are against mpmath (tests/flow/flow_oracle.py) on the first few. All in one run, so that the ratios mean something.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
from scipy.integrate import quad, solve_ivp

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "flow"))
import flow_oracle as oracle

from gateflow.flow import LearningProblem, flow, hitting_time

PATIENCE = 8.0
"""Seconds a looped way may take in all."""
CAP = 20_000
"""Evaluations after which the naive solver is held to have failed."""


def problems(count: int, seed: int) -> tuple[Any, ...]:
    """T, gap and z0."""
    rng = np.random.default_rng(seed)
    horizon, gap = 10 ** rng.uniform(0, 6, count), 10 ** rng.uniform(-16, -2, count)
    h = np.exp(rng.uniform(np.log(0.1), np.log(30), count))
    above = rng.random(count) < 0.2
    h = np.where(above, gap * 10 ** rng.uniform(-6, -0.1, count), h)
    return horizon, gap, np.arcsinh(-np.log(np.expm1(h / horizon)))


def in_bulk(horizon: Any, gap: Any, z0: Any) -> Any:
    """All at once."""
    return hitting_time(LearningProblem("fast", horizon=horizon, gap=gap), z0).log_tau


def one_by_one(horizon: float, gap: float, z0: float) -> float:
    """The same function, called once a problem."""
    return float(hitting_time(LearningProblem("fast", horizon=horizon, gap=gap), z0).log_tau)


def swapped_lsoda(horizon: float, gap: float, z0: float) -> float:
    """d log(tau)/d(log h) by solve_ivp(LSODA), through flow()."""
    return float(flow(LearningProblem("fast", horizon=horizon, gap=gap), z0, method="lsoda").log_tau[-1])


def bare_swapped_lsoda(horizon: float, gap: float, z0: float) -> float:
    """d tau/d(log h) by solve_ivp(LSODA), written by hand with stable formulas."""
    x0, x1, log_density = _in_log_h(horizon, gap, z0)
    top = max(log_density(x0), log_density(x1))
    solved = solve_ivp(
        lambda x, _: [np.exp(log_density(x) - top)], (min(x0, x1), max(x0, x1)), [0.0], "LSODA", rtol=1e-10, atol=1e-14
    )
    return float(top + np.log(solved.y[0, -1]))


def scipy_quad(horizon: float, gap: float, z0: float) -> float:
    """The integral in log h by scipy.integrate.quad, scaled, cut where the integrand bends."""
    x0, x1, log_density = _in_log_h(horizon, gap, z0)
    low, high = min(x0, x1), max(x0, x1)
    top = max(log_density(low), log_density(high))
    cuts = [low, *(c for c in (low + 4, low + 20, high - 1, high - 0.1) if low < c < high), high]
    cuts.sort()
    parts = [
        quad(lambda x: np.exp(log_density(x) - top), a, b, epsabs=0, epsrel=1e-13, limit=200)[0]
        for a, b in itertools.pairwise(cuts)
    ]
    return float(top + np.log(sum(parts)))


def _in_log_h(horizon: float, gap: float, z0: float) -> tuple[float, float, Callable[[float], float]]:
    log_horizon = np.log(horizon)

    def log_density(x: float) -> float:
        h = np.exp(x)
        rest = -np.expm1(-h / horizon)
        u = -h / horizon - np.log(rest)
        return x + h - 2 * (log_horizon + np.log(rest)) - np.log1p(u * u)

    return float(np.log(horizon * np.logaddexp(0, -np.sinh(z0)))), float(np.log(-np.log1p(-gap))), log_density


def naive_event(horizon: float, gap: float, z0: float) -> float:
    """solve_ivp(LSODA) in tau with the loss as written, sign and all, and an event at the target."""
    target, count = 1 - gap, 0

    def slope(_: float, z: Any) -> Any:
        nonlocal count
        count += 1
        if count > CAP:
            raise RuntimeError
        phi = 1 / (1 + np.exp(-np.sinh(z)))
        return -horizon * phi ** (horizon - 1) * phi * (1 - phi) * np.cosh(z) * np.sign(phi**horizon - target)

    def arrived(_: float, z: Any) -> float:
        return (1 / (1 + np.exp(-np.sinh(z[0])))) ** horizon - target

    arrived.terminal = True  # type: ignore[attr-defined]
    try:
        solved = solve_ivp(slope, (0, 1e300), [z0], "LSODA", events=arrived, rtol=1e-10, atol=1e-12)
        return float(np.log(solved.t_events[0][0])) if solved.t_events[0].size else float("nan")
    except (RuntimeError, ValueError, IndexError):
        return float("nan")


WAYS = (one_by_one, scipy_quad, bare_swapped_lsoda, swapped_lsoda, naive_event)


def looped(way: Callable[..., float], rows: Any) -> tuple[float, list[float]]:
    """Seconds a problem, and the answers."""
    answers, start = [], time.perf_counter()
    for row in rows:
        answers.append(way(*(float(value) for value in row)))
        if time.perf_counter() - start > PATIENCE:
            break
    return (time.perf_counter() - start) / len(answers), answers


def main() -> None:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100_000, help="problems in bulk")
    parser.add_argument("--checked", type=int, default=25, help="problems held against mpmath")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    horizon, gap, z0 = problems(options.count, options.seed)
    rows = np.stack([horizon, gap, z0], axis=1)
    some = rows[: options.checked]
    true = [mpmath.log(oracle.hitting_time("fast", *map(float, row), digits=25)) for row in some]
    in_bulk(horizon[:1000], gap[:1000], z0[:1000])
    start = time.perf_counter()
    found = in_bulk(horizon, gap, z0)
    bulk = (time.perf_counter() - start) / options.count
    results = [("in bulk", bulk, found)]
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results += [(way.__name__.replace("_", " "), *looped(way, rows[:500])) for way in WAYS]
    print(f"{'way':22} {'us a problem':>13} {'ratio':>9} {'max error':>10} {'wrong or lost':>14}")
    for name, seconds, answers in results:
        errors = [abs(float(mpmath.mpf(a) - t)) if a == a else np.inf for a, t in zip(answers, true, strict=False)]
        good = [error for error in errors if error < 1e-3]
        lost = f"{100 * (1 - len(good) / max(len(errors), 1)):.0f} % of {len(errors)}"
        worst = f"{max(good):.1e}" if good else "-"
        print(f"{name:22} {seconds * 1e6:13.1f} {seconds / bulk:9.1f} {worst:>10} {lost:>14}")
    x = np.random.default_rng(0).uniform(-1, 1, 1_000_000)
    start = time.perf_counter()
    np.exp(x)
    limit = 50 * (time.perf_counter() - start) / x.size
    print(f"{'50 exponentials':22} {limit * 1e6:13.2f} {limit / bulk:9.3f}")


if __name__ == "__main__":
    main()
