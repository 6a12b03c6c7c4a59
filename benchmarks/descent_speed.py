"""Cost of a step of a descent: ``python benchmarks/descent_speed.py``.

Adam with the fast gate in float64, many problems side by side, by

- gateflow's kernel in C and gateflow in NumPy;
- a NumPy loop, a loop in PyTorch and a scan in JAX over the same formulas, written for this problem alone, each only
  where it is installed.

All take the same steps from the same starts; where they end is compared before anything is timed. Printed is the CPU
time a step and problem, all threads counted, the least of several rounds that take turns, and the ratio to the kernel.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gateflow.descents.simulation import descent
from gateflow.flows import LearningProblem

BETA1, BETA2, EPS, LR = 0.9, 0.999, 1e-8, 1e-6


def gradient(xp: Any, z: Any, horizon: Any, z_star: Any) -> Any:
    """dL/dz of the absolute loss with the fast gate, in the functions of a library."""
    u = xp.sinh(z)
    below = xp.log1p(xp.exp(-abs(u))) + xp.maximum(-u, 0 * u)
    return xp.sign(z - z_star) * horizon * xp.exp(-(horizon + 1) * below - u) * xp.cosh(z)


def adam_step(xp: Any, state: tuple[Any, Any, Any], g: Any, k: Any, lr: float) -> tuple[Any, Any, Any]:
    """Step k of Adam: z and the two averages."""
    z, m, s = state
    m, s = BETA1 * m + (1 - BETA1) * g, BETA2 * s + (1 - BETA2) * g * g
    return z - lr / (1 - BETA1**k) * m / (xp.sqrt(s / (1 - BETA2**k)) + EPS), m, s


def loop(xp: Any, z: Any, horizon: Any, z_star: Any, steps: int) -> Any:
    """A plain loop, with NumPy or PyTorch."""
    state = (z, 0 * z, 0 * z)
    for k in range(1, steps + 1):
        state = adam_step(xp, state, gradient(xp, state[0], horizon, z_star), k, LR)
    return state[0]


def by_torch(problem: LearningProblem, z0: np.ndarray, steps: int) -> Callable[[], np.ndarray]:
    """The loop in PyTorch, compiled by nothing."""
    import torch

    z, horizon, z_star = (torch.tensor(part, dtype=torch.float64) for part in (z0, problem.horizon, problem.z_star))
    return lambda: loop(torch, z, horizon, z_star, steps).numpy()


def by_jax(problem: LearningProblem, z0: np.ndarray, steps: int) -> Callable[[], np.ndarray]:
    """A scan in JAX, compiled before it is timed."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    horizon, z_star = jnp.asarray(problem.horizon), jnp.asarray(problem.z_star)

    def step(state: tuple[Any, ...], k: Any) -> tuple[Any, None]:
        return adam_step(jnp, state, gradient(jnp, state[0], horizon, z_star), k, LR), None

    @jax.jit
    def run(z: Any) -> Any:
        return jax.lax.scan(step, (z, 0 * z, 0 * z), jnp.arange(1.0, steps + 1))[0][0]

    start = jnp.asarray(z0)
    return lambda: np.asarray(run(start))


def main() -> None:
    """Print the costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--problems", type=int, nargs="+", default=[16, 2000])
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for count in options.problems:
        compare(count, options.steps, options.rounds)


def compare(count: int, steps: int, rounds: int) -> None:
    """Print the cost by each way for so many problems."""
    scale = np.geomspace(100, 1000, count)
    problem = LearningProblem("fast", horizon=scale / 2, timescale=scale)
    z0 = 0.9 * np.asarray(problem.z_star)
    hyper = {"beta1": BETA1, "beta2": BETA2, "eps": EPS, "lr": LR, "steps": steps}
    ways: dict[str, Callable[[], np.ndarray]] = {
        "gateflow, compiled": lambda: descent(problem, z0, "adam", backend="compiled", **hyper).z,
        "gateflow, NumPy": lambda: descent(problem, z0, "adam", backend="numpy", **hyper).z,
        "NumPy loop": lambda: loop(np, z0, problem.horizon, problem.z_star, steps),
    }
    add_peers(ways, {"PyTorch loop": by_torch, "JAX scan": by_jax}, problem, z0, steps)
    ends = {name: way() for name, way in ways.items()}
    worst = max(np.max(np.abs(end - ends["NumPy loop"])) for end in ends.values())
    print(f"{count} problems, {steps} steps each; all end within {worst:.0e} of each other in z")
    print_costs(ways, rounds, count * steps, "problem")


def add_peers(ways: dict[str, Callable[[], np.ndarray]], makers: dict[str, Callable[..., Any]], *given: Any) -> None:
    """Add each that is installed."""
    for name, make in makers.items():
        try:
            ways[name] = make(*given)
        except ImportError:
            print(f"{name}: not installed")


def print_costs(ways: dict[str, Callable[[], np.ndarray]], rounds: int, steps: int, of: str) -> None:
    """The least CPU time of each in several rounds that take turns, by the steps in it, and the ratio to the kernel."""
    least = dict.fromkeys(ways, np.inf)
    for _ in range(rounds):
        for name, way in ways.items():
            begun = time.process_time()
            way()
            least[name] = min(least[name], time.process_time() - begun)
    for name, seconds in least.items():
        cost, ratio = 1e9 * seconds / steps, seconds / least["gateflow, compiled"]
        print(f"  {name:<20} {cost:8.1f} ns a step and {of} {ratio:8.1f} times")


if __name__ == "__main__":
    main()
