"""Certified times against mpmath, and what they cost: ``python benchmarks/certified.py --count 1000 --digits 17``.

Random problems of five gates: T log-uniform in 1..1e6, gap in 1e-16..0.5, starts on either side. An enclosure that
does not hold the value of tests/flow/flow_oracle.py, by mpmath to ten digits more, is printed; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import mpmath
import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "flow"))
import flow_oracle as oracle

from gateflow.flow import LearningProblem, certify

NAMES = ("sigmoid", "fast", "softsign", "algebraic", "iterated-sinh")


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
        ball = certify(LearningProblem(name, horizon=horizon, gap=gap), z0, options.digits)
        seconds.append(time.process_time() - begun)
        short += ball.digits < options.digits
        true = oracle.hitting_time(name, horizon, gap, z0, digits=options.digits + 10)
        with mpmath.workdps(options.digits + 25):
            slack = abs(true) * mpmath.mpf(10) ** -(options.digits + 8)
            if abs(true - mpmath.mpf(ball.mid)) > mpmath.mpf(ball.radius) + slack:
                outside += 1
                print("outside:", name, horizon, gap, z0, ball, mpmath.nstr(true, options.digits + 8))
    ms = 1e3 * np.asarray(seconds)
    print(f"{options.count} cases at {options.digits} digits: {outside} outside, {short} with fewer digits")
    print(f"ms each: median {np.median(ms):.1f}, 99 % {np.quantile(ms, 0.99):.1f}, most {ms.max():.1f}")
    return int(outside > 0)


if __name__ == "__main__":
    sys.exit(main())
