"""Each gate at a step size of its own (docs/theory.md, T8): ``python benchmarks/step_sizes.py``.

Gradient descent on the absolute loss, T = 100, from a time constant of 20 to one of 100. Printed are, by gate:

- the fewest steps after which the time constant is within 5 % and stays there for the steps watched, over 701 step
  sizes from 1e-4 to 1e3, by a plain loop. A step size at which this comes by luck, with the target in the middle of
  the chatter, may leave the band later: so the count depends on how long one looks;
- the largest step size whose chatter stays within 5 % wherever the target lies in it, and the steps with it, by
  ``gateflow.step_size``, beside those by the integral.

Then the laws of section 6 from sigma(1): ratios of learning times to the sigmoid's.
"""

from __future__ import annotations

import math

import numpy as np

import gateflow
from gateflow.flows import LearningProblem, hitting_time

GATES = ("softsign", "sigmoid", "fast", "iterated-sinh")
HORIZON, START, TARGET, TOLERANCE = 100.0, 20.0, 100.0, 0.05
SIZES = np.geomspace(1e-4, 1e3, 701)
WATCHED = (25, 200)
MOST = 1500


def position(gate: gateflow.Gate, constant: float) -> float:
    """z where the time constant is so many steps."""
    return float(gate.inverse(math.exp(-1 / constant)))


def fewest(name: str, watched: int) -> tuple[int, float]:
    """The fewest steps to arrive and stay for the steps watched, and the step size that takes them."""
    gate = gateflow.gate(name)
    z_star, numbers = position(gate, TARGET), gate.float64
    z, inside = np.full(SIZES.size, position(gate, START)), np.zeros(SIZES.size, dtype=int)
    found = np.full(SIZES.size, np.iinfo(int).max)
    with np.errstate(all="ignore"):
        for k in range(1, MOST + watched):
            u = numbers.u(z)
            h = HORIZON * np.logaddexp(0, -u)
            slope = HORIZON * np.exp(-h - np.logaddexp(0, u) + numbers.log_du(z))
            z = z + np.where(z < z_star, SIZES, -SIZES) * slope
            constant = 1 / np.logaddexp(0, -numbers.u(z))
            inside = np.where(np.abs(constant / TARGET - 1) <= TOLERANCE, inside + 1, 0)
            found = np.where(inside == watched, np.minimum(found, k - watched + 1), found)
    best = int(np.argmin(found))
    return int(found[best]), float(SIZES[best])


def ratios(horizon: float, loss: str, names: tuple[str, ...]) -> list[float]:
    """Learning times over the sigmoid's, from sigma(1) to the time constant T."""
    log_tau = []
    for name in ("sigmoid", *names):
        gate = gateflow.gate(name)
        problem = LearningProblem(gate, horizon=horizon, timescale=horizon, loss=loss)
        log_tau.append(float(hitting_time(problem, float(gate.inverse(1 / (1 + math.exp(-1))))).log_tau))
    return [math.exp(one - log_tau[0]) for one in log_tau[1:]]


def main() -> None:
    """Print both tables."""
    looked = "".join(f"  best of 701, {watched:>3} steps" for watched in WATCHED)
    print(f"{'gate':<14}{looked}      own lr   steps  by integral")
    for name in GATES:
        best = "".join("  {:>11} at {:<10.3g}".format(*fewest(name, watched)) for watched in WATCHED)
        gate = gateflow.gate(name)
        problem = LearningProblem(gate, horizon=HORIZON, timescale=TARGET)
        own = gateflow.step_size(problem, position(gate, START), TOLERANCE)
        print(f"{name:<14}{best}  {own.lr:>9.3g}  {own.steps:>6g}  {own.by_integral:>11.1f}")
    print()
    print("ratios to the sigmoid from sigma(1)   fast     erf  softsign")
    for horizon in (500, 1000, 5000):
        print(f"fixed lag, T = {horizon:<5}              {{:.4f}}  {{:.4f}}  {{:8.4f}}".format(
            *ratios(horizon, "absolute", ("fast", "erf", "softsign"))
        ))  # fmt: skip
    for horizon in (500, 1000, 5000):
        print(f"lag from U(0, T), T = {horizon:<5}       {{:.4f}}  {{:.4f}}  {{:8.1f}}".format(
            *ratios(horizon, "(1-exp(-s))/s", ("fast", "erf", "softsign"))
        ))  # fmt: skip


if __name__ == "__main__":
    main()
