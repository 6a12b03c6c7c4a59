"""Certified times against mpmath, and what they cost: ``python benchmarks/certified.py --count 1000 --digits 17``.

Random problems of six gates: T log-uniform in 1..1e6, gap in 1e-16..0.5, starts on either side. The true value is
mpmath's, to ten digits more, by Gauss-Legendre between the break points of tests/flows/flow_oracle.py; where it seems
to lie outside, by that file's refined quadrature. An enclosure that does not hold it is printed; the exit code
is then 1.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import time
from pathlib import Path
from typing import Any

import mpmath
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "flows"))
import flow_oracle as oracle

from gateflow.flows import LearningProblem, enclose

NAMES = ("sigmoid", "fast", "softsign", "algebraic", "iterated-sinh", "arctan")


def value(name: str, horizon: float, gap: float, z0: float, digits: int) -> Any:
    """The hitting time: panels over which h grows by sqrt 2 or 1/2, with nodes for 11 times their width to a pole."""
    gate = oracle.GATES[name]
    with mpmath.workdps(digits + 15):
        horizon, z0 = mpmath.mpf(horizon), mpmath.mpf(z0)
        low, high = sorted((z0, oracle.target_position(gate, horizon, gap)))
        nodes = oracle._gauss(digits // 2)

        def panel(a: Any, b: Any) -> Any:
            return (b - a) * sum(
                w * mpmath.exp((1 - horizon) * gate.log_phi(z)) / gate.dphi(z)
                for z, w in ((a + (b - a) * x, w) for x, w in nodes)
            )

        points = oracle._break_points(gate, horizon, low, high, digits)
        return sum(panel(a, b) for a, b in itertools.pairwise(points)) / horizon


def misses(ball: Any, true: Any, digits: int) -> bool:
    """Whether a value right to ten digits more lies outside."""
    with mpmath.workdps(digits + 25):
        slack = abs(true) * mpmath.mpf(10) ** -(digits + 8)
        return bool(abs(true - mpmath.mpf(ball.mid)) > mpmath.mpf(ball.radius) + slack)


def main() -> int:
    """Run all and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--digits", type=int, default=17)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, seconds, outside, short = np.random.default_rng(options.seed), [], 0, 0
    for k in range(options.count):
        name = NAMES[k % len(NAMES)]
        horizon, gap = float(10 ** rng.uniform(0, 6)), float(10 ** rng.uniform(-16, -0.3))
        factor = rng.uniform(1.5, 100) if rng.random() < 0.7 else 10 ** -rng.uniform(0.5, 4)
        h = -np.log1p(-gap) * factor if factor < 1 else max(-np.log1p(-gap) * factor, rng.uniform(0.1, 30))
        z0 = float(oracle.position_of_decay(oracle.GATES[name], horizon, h))
        begun = time.process_time()
        ball = enclose(LearningProblem(name, horizon=horizon, gap=gap), z0, options.digits)
        seconds.append(time.process_time() - begun)
        short += ball.digits < options.digits
        true = value(name, horizon, gap, z0, options.digits + 10)
        if misses(ball, true, options.digits):
            true = oracle.hitting_time(name, horizon, gap, z0, digits=options.digits + 10)
        if misses(ball, true, options.digits):
            outside += 1
            print("outside:", name, horizon, gap, z0, ball, mpmath.nstr(true, options.digits + 8))
    ms = 1e3 * np.asarray(seconds)
    print(f"{options.count} cases at {options.digits} digits: {outside} outside, {short} with fewer digits")
    print(f"ms each: median {np.median(ms):.1f}, 99 % {np.quantile(ms, 0.99):.1f}, most {ms.max():.1f}")
    return int(outside > 0)


if __name__ == "__main__":
    sys.exit(main())
