"""Steps of gradient descent, predicted against simulated: ``python benchmarks/descent.py --count 1000``.

Random runs of six gates: T log-uniform in 1..1e4, gap in 1e-8..0.3, starts on either side, step sizes for 10 to 1e5
steps, and to 4.6e6 with the first gate; those kept for which the prediction says of itself that it holds
(``Prediction.valid``). Every kept run is simulated step by step in float64. A prediction off by more than one step is
printed; the exit code is then 1.
"""

from __future__ import annotations

import argparse
import sys
import time

import numpy as np

from gateflow.descents.simulation import descent, predict
from gateflow.flows import LearningProblem, hitting_time

NAMES = ("sigmoid", "fast", "softsign", "arctan", "algebraic", "scaled-tanh")


def drawn(
    rng: np.random.Generator, name: str, count: int, most: float
) -> tuple[LearningProblem, np.ndarray, np.ndarray]:
    """Problems, starts and step sizes."""
    horizon, gap = 10 ** rng.uniform(0, 4, count), 10 ** rng.uniform(-8, -0.5, count)
    problem = LearningProblem(name, horizon=horizon, gap=gap)
    above = rng.random(count) < 0.3
    start = np.where(above, problem.h_star * 10 ** -rng.uniform(0.1, 3, count), 10 ** rng.uniform(-1, 1, count))
    start = np.where(above, start, np.maximum(start, problem.h_star * 1.5))
    z0 = problem.gate.inverse_c(-np.expm1(-start / horizon))
    return problem, z0, hitting_time(problem, z0).tau / 10 ** rng.uniform(1, np.log10(most), count)


def main() -> int:
    """Run and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--most", type=float, default=4.6e6, help="steps of the longest run")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, begun = np.random.default_rng(options.seed), time.process_time()
    runs = wrong = drawn_in_all = 0
    longest, misses = 0, []
    for k, name in enumerate(NAMES):
        wanted = (options.count + len(NAMES) - 1 - k) // len(NAMES)
        problem, z0, lr = drawn(rng, name, 12 * wanted, options.most if k == 0 else min(options.most, 1e5))
        valid = np.flatnonzero(predict(problem, z0, lr=lr).valid)
        drawn_in_all += valid[:wanted][-1] + 1 if valid.size else z0.size
        keep = valid[:wanted]
        chosen = LearningProblem(name, horizon=problem.horizon[keep], gap=problem.target.value[keep])
        found = descent(chosen, z0[keep], lr=lr[keep], steps=int(2 * options.most))
        miss = np.abs(found.steps - found.predicted.steps)
        arrived = found.status == "reached"
        for i in np.flatnonzero(~arrived | (miss > 1)):
            wrong += 1
            given = f"T = {chosen.horizon[i]:.17g}, gap {chosen.target.value[i]:.17g}, z0 {z0[keep][i]:.17g}"
            steps = f"{found.steps[i]} steps, predicted {found.predicted.steps[i]:.2f}"
            print(f"wrong: {name}, {given}, lr {lr[keep][i]:.17g}: {steps}")
        runs, longest = runs + keep.size, max(longest, int(found.steps.max()))
        misses.extend(miss)
        print(
            f"{name:<12} {keep.size:>4} runs, {found.steps.min()} to {found.steps.max()} steps, off by {miss.max():.2f}"
        )
    print(f"{runs} runs up to {longest} steps, of {drawn_in_all} drawn: the rest say that no prediction holds for them")
    print(f"off by more than one step: {wrong}; median {np.median(misses):.2f}, most {np.max(misses):.2f} steps")
    print(f"{time.process_time() - begun:.0f} s of computing")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
