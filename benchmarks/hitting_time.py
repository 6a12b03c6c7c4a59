"""Hitting times in bulk against the usual ways to get them: ``python benchmarks/hitting_time.py``.

Random problems of the fast gate: T log-uniform in 1..1e6, gap in 1e-16..1e-2, h0 in 0.1..30, a fifth starting above the
target. A million of them in one call, a thousand of which are held against ball arithmetic; the other ways on as many
as they manage in some seconds, looped as a user would (diffrax: vmapped and jitted, its compilation not counted).

All in one run, in computing time of the process over all its threads, so that the ratios mean something on a shared
machine. The exit code is 1 where the error in log tau is above 1e-13.
"""

from __future__ import annotations

import argparse
import ctypes
import itertools
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
from scipy.integrate import quad, solve_ivp

from gateflow.codegen import c
from gateflow.codegen import compiler as compiled
from gateflow.errors import NoCompiler
from gateflow.flows import LearningProblem, flow, hitting_time
from gateflow.flows.compiled import backend_version

PATIENCE = 6.0
"""Seconds a looped way may take in all."""
BOUND = 1e-13
"""Error in log tau that a result may have."""
TOGETHER = 4096
"""Problems that diffrax solves at once."""
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


def in_bulk(horizon: Any, gap: Any, z0: Any, backend: str = "auto") -> Any:
    """All at once."""
    return hitting_time(LearningProblem("fast", horizon=horizon, gap=gap), z0, backend=backend).log_tau


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


def diffrax_solver() -> Callable[..., Any]:
    """d tau/d(log h) by diffrax (Dopri8), scaled by the density at its larger end, for many problems at once."""
    import diffrax
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    control = diffrax.PIDController(rtol=1e-9, atol=1e-12)

    def one(horizon: Any, gap: Any, z0: Any) -> Any:
        log_horizon = jnp.log(horizon)
        x0 = jnp.log(horizon * jnp.logaddexp(0.0, -jnp.sinh(z0)))
        x1 = jnp.log(-jnp.log1p(-gap))

        def log_density(x: Any) -> Any:
            h = jnp.exp(x)
            log_rest = jnp.log(-jnp.expm1(-h / horizon))
            u = -h / horizon - log_rest
            return x + h - 2 * (log_horizon + log_rest) - jnp.log1p(u * u)

        top = jnp.maximum(log_density(x0), log_density(x1))
        length = jnp.abs(x1 - x0)
        term = diffrax.ODETerm(lambda s, y, _: length * jnp.exp(log_density(x0 + s * (x1 - x0)) - top))
        solved = diffrax.diffeqsolve(
            term, diffrax.Dopri8(), 0.0, 1.0, 1e-3, 0.0, stepsize_controller=control, max_steps=4096, throw=False
        )
        return top + jnp.log(solved.ys[0])

    return jax.jit(jax.vmap(one))


def seconds(work: Callable[[], Any], repeats: int = 3) -> float:
    """Computing time of all threads, the least of some repeats."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        work()
        best = min(best, time.process_time() - start)
    return best


def looped(way: Callable[..., float], rows: Any) -> tuple[float, list[float]]:
    """Seconds a problem, and the answers."""
    answers, start = [], time.process_time()
    for row in rows:
        answers.append(way(*(float(value) for value in row)))
        if time.process_time() - start > PATIENCE:
            break
    return (time.process_time() - start) / len(answers), answers


def by_diffrax(rows: Any) -> tuple[float, Any] | None:
    """The same for diffrax; None where it is not installed."""
    try:
        solve = diffrax_solver()
    except ImportError:
        return None
    columns = [np.ascontiguousarray(column) for column in rows[:TOGETHER].T]
    answers = np.asarray(solve(*columns))
    return seconds(lambda: solve(*columns).block_until_ready()) / len(answers), answers


def exponentials() -> float:
    """Seconds for fifty exponentials: NumPy's, or those of the kernels where they are faster."""
    x = np.random.default_rng(0).uniform(-1, 1, 16384)
    y = np.empty_like(x)
    times = [seconds(lambda: np.exp(x, out=y), 50)]
    arguments = "long n, const double *restrict x, double *restrict y"
    loop = f"void all({arguments}) {{ for (long i = 0; i < n; i++) y[i] = gf_exp(x[i]); }}"
    try:
        made = compiled.library(c.header() + loop, flags=(*c.FLAGS, *compiled.native()), name="exponentials")
        ends = [array.ctypes.data_as(ctypes.c_void_p) for array in (x, y)]
        times.append(seconds(lambda: made.all(ctypes.c_long(x.size), *ends), 50))
    except NoCompiler:
        pass
    return 50 * min(times) / x.size


def certified(rows: Any) -> Any:
    """log tau by ball arithmetic, to more digits than are asked of it."""
    from gateflow.flows.enclosure import enclose

    balls = (enclose(LearningProblem("fast", horizon=T, gap=gap), z0, digits=20) for T, gap, z0 in rows.tolist())
    return [mpmath.log(ball.mid) for ball in balls]


def main() -> int:
    """Run all and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1_000_000, help="problems in one call")
    parser.add_argument("--checked", type=int, default=1000, help="problems held against ball arithmetic")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    horizon, gap, z0 = problems(options.count, options.seed)
    rows = np.stack([horizon, gap, z0], axis=1)
    true = certified(rows[: options.checked])
    few = (horizon[:50_000], gap[:50_000], z0[:50_000])
    found = in_bulk(horizon, gap, z0)
    bulk = seconds(lambda: in_bulk(horizon, gap, z0)) / options.count
    slow = seconds(lambda: in_bulk(*few, backend="numpy")) / few[0].size
    print(f"{options.count} problems in one call, {backend_version()}")
    results = [("in bulk", bulk, found), ("in bulk, NumPy", slow, in_bulk(*few, backend="numpy"))]
    other = by_diffrax(rows)
    if other is None:
        print("diffrax is not installed: python -m pip install diffrax jax")
    else:
        results.append(("diffrax", *other))
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        results += [(way.__name__.replace("_", " "), *looped(way, rows[:500])) for way in WAYS]
    results.append(("50 exponentials", exponentials(), []))
    print(f"{'way':20} {'us a problem':>13} {'ratio':>9} {'max error':>10}  wrong or lost")
    for name, each, answers in results:
        errors = [abs(float(mpmath.mpf(a) - t)) if a == a else np.inf for a, t in zip(answers, true, strict=False)]
        good = [error for error in errors if error < 1e-3]
        lost = f"{100 * (1 - len(good) / len(errors)):.0f} % of {len(errors)}" if errors else ""
        print(f"{name:20} {each * 1e6:13.2f} {each / bulk:9.2f} {max(good, default=0):10.1e}  {lost}".rstrip())
    worst = max(abs(float(mpmath.mpf(a) - t)) for a, t in zip(found, true, strict=False))
    print(f"max error in log tau of {len(true)} problems against ball arithmetic: {worst:.1e}; bound {BOUND:.0e}")
    return int(worst > BOUND)


if __name__ == "__main__":
    sys.exit(main())
