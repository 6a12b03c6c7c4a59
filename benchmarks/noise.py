"""Runs of noisy descents: what a step costs, and how predicted laws fit: ``python benchmarks/noise.py``.

1. CPU time a step and run, all threads counted, for gradient descent and Adam with the fast gate and a random scale of
   the loss, in float64: gateflow's kernel in C and gateflow in NumPy; a NumPy loop, a loop in PyTorch and a scan in JAX
   over the same formulas, written for this problem alone, each only where it is installed. Each draws its own normal
   numbers; means of where the runs end are compared before anything is timed.
2. The law of arrival by the backward equation against 100,000 runs: the distance of Kolmogorov and Smirnov times
   sqrt(100,000), which is above 1.63 for one sample in a hundred if the law is right.
3. Stochastic gradient descent in PyTorch on one unit with random targets, 1,000 runs: quantiles of the steps to a time
   constant, predicted and seen; and the part of the runs within the predicted middle 90 per cent, widened to whole
   steps: seen, of 20,000 runs with normal gradients, predicted, and the difference of the first and the last in
   standard errors. What runs with normal gradients differ from the prediction by is due to finite steps; what PyTorch's
   differ from those by, to the law of the gradients, which have two values here.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from descent_speed import adam_step, add_peers, gradient, print_costs

from gateflow.flows import LearningProblem
from gateflow.noise import NoisyDescent, Samples

HORIZON, DEVIATION, LR = 10.0, 3.0, 1e-4
SHARES = [0.05, 0.5, 0.95]
NORMAL = 20_000


def loop(xp: Any, draw: Callable[[], Any], z: Any, z_star: float, steps: int, adam: bool) -> Any:
    """A plain loop, with NumPy or PyTorch."""
    state = (z, 0 * z, 0 * z)
    for k in range(1, steps + 1):
        state = step(xp, state, gradient(xp, state[0], HORIZON, z_star) * (1 + DEVIATION * draw()), k, adam)
    return state[0]


def step(xp: Any, state: tuple[Any, Any, Any], g: Any, k: Any, adam: bool) -> tuple[Any, Any, Any]:
    """Step k of Adam or of gradient descent."""
    return adam_step(xp, state, g, k, LR) if adam else (state[0] - LR * g, *state[1:])


def by_torch(z0: np.ndarray, z_star: float, steps: int, adam: bool) -> Callable[[], np.ndarray]:
    """The loop in PyTorch."""
    import torch

    z = torch.tensor(z0)
    draw = torch.Generator().manual_seed(1)
    return lambda: loop(
        torch, lambda: torch.randn(z.shape, generator=draw, dtype=z.dtype), z, z_star, steps, adam
    ).numpy()


def by_jax(z0: np.ndarray, z_star: float, steps: int, adam: bool) -> Callable[[], np.ndarray]:
    """A scan in JAX, compiled before it is timed."""
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)

    def scanned(state: tuple[Any, ...], k: Any) -> tuple[Any, None]:
        *before, key = state
        key, now = jax.random.split(key)
        g = gradient(jnp, before[0], HORIZON, z_star)
        g = g * (1 + DEVIATION * jax.random.normal(now, g.shape, g.dtype))
        return (*step(jnp, tuple(before), g, k, adam), key), None

    @jax.jit
    def run(z: Any) -> Any:
        start = (z, 0 * z, 0 * z, jax.random.PRNGKey(1))
        return jax.lax.scan(scanned, start, jnp.arange(1.0, steps + 1))[0][0]

    start = jnp.asarray(z0)
    return lambda: np.asarray(run(start))


def compare(count: int, steps: int, rounds: int, adam: bool) -> None:
    """Print the cost by each way for so many runs."""
    problem = LearningProblem("fast", horizon=HORIZON, target=0.5)
    z0, z_star = np.full(count, 0.5), float(problem.z_star)
    law = Samples(scale=f"normal(1, {DEVIATION:g})")
    noisy = NoisyDescent(problem, law, LR, "adam" if adam else "sgd")
    generator = np.random.default_rng(1)

    def gateflow(backend: str) -> Callable[[], np.ndarray]:
        return lambda: noisy.paths(0.5, count, seed=1, backend=backend).run(steps).z

    ways: dict[str, Callable[[], np.ndarray]] = {
        "gateflow, compiled": gateflow("compiled"),
        "gateflow, NumPy": gateflow("numpy"),
        "NumPy loop": lambda: loop(np, lambda: generator.standard_normal(count), z0, z_star, steps, adam),
    }
    add_peers(ways, {"PyTorch loop": by_torch, "JAX scan": by_jax}, z0, z_star, steps, adam)
    ends = {name: way() for name, way in ways.items()}
    error = ends["NumPy loop"].std() * np.sqrt(2 / count)
    apart = max(abs(end.mean() - ends["NumPy loop"].mean()) / error for end in ends.values())
    kind = "Adam" if adam else "gradient descent"
    print(f"{kind}, {count} runs, {steps} steps each; means of the ends within {apart:.1f} standard errors")
    print_costs(ways, rounds, count * steps, "run")


def against_runs(name: str, count: int) -> None:
    """Print the distance between the law of arrival and that of runs."""
    noisy = NoisyDescent(LearningProblem(name, horizon=HORIZON, target=0.5), Samples(scale="normal(1, 10)"), 1e-3)
    last = int(noisy.steps(1.0, 0.9, 8.0))
    level = float(noisy.problem.gate.inverse_c(-np.expm1(-1 / 8)))
    seen = noisy.paths(1.0, count, seed=5).arrivals(level, last)
    steps = np.arange(1, last + 1)
    share = np.cumsum(np.bincount(seen[seen > 0], minlength=last + 1)[1:]) / count
    apart = np.max(np.abs(share - noisy.reached(1.0, steps, 8.0)))
    print(f"  {name:<10} {apart * np.sqrt(count):5.2f}  up to step {last}, by which {share[-1]:.2f} have arrived")


def against_torch(name: str, lr: float, count: int, batch: int = 1) -> None:
    """Print quantiles of the steps, predicted and of stochastic gradient descent."""
    import torch

    from gateflow.nn.functional import gate_function

    problem = LearningProblem(name, horizon=HORIZON, target=0.5)
    gate = problem.gate
    z0, level = (float(gate.inverse_c(-np.expm1(-1 / constant))) for constant in (3.0, 8.0))
    noisy = NoisyDescent(problem, Samples(target="uniform(0, 1)", batch=batch), lr)
    low, middle, high = noisy.steps(z0, SHARES, 8.0)
    drawn, phi = torch.Generator().manual_seed(11), gate_function(gate)
    z = torch.full((count,), z0, dtype=torch.float64, requires_grad=True)
    seen, descending = torch.zeros(count, dtype=torch.int64), torch.optim.SGD([z], lr=lr)
    for step in range(1, int(20 * high)):
        wanted = torch.rand((batch, count), generator=drawn, dtype=torch.float64)
        loss = (phi(z) ** HORIZON - wanted).abs().mean(dim=0).sum()
        descending.zero_grad()
        loss.backward()
        descending.step()
        seen[(seen == 0) & (z.detach() >= level)] = step
        if bool((seen > 0).all()):
            break
    steps = seen.numpy()
    first, last = np.floor(low), np.ceil(high)
    inside = np.mean((steps >= first) & (steps <= last) & (steps > 0))
    wanted_inside = np.diff(noisy.reached(z0, [first - 1, last], 8.0))[0]
    off = (inside - wanted_inside) / np.sqrt(wanted_inside * (1 - wanted_inside) / count)
    found = np.quantile(np.where(steps > 0, steps, np.inf), SHARES)
    told = "  ".join(f"{each:7.1f}" for each in (low, middle, high))
    seen_at = "  ".join(f"{x:6.0f}" for x in found)
    normal = noisy.paths(z0, NORMAL, seed=3).arrivals(level, int(last))
    of_normal = np.mean((normal >= first) & (normal <= last))
    shares = f"{inside:6.1%} {of_normal:6.1%} {wanted_inside:6.1%}"
    print(f"  {name:<10} {lr:5g}  {told}   {seen_at}   {shares} {off:5.1f}")


def main() -> None:
    """Print all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    for adam in (False, True):
        compare(options.count, options.steps, options.rounds, adam)
    print("\nlaw of arrival by the equation against 100,000 runs, Kolmogorov and Smirnov's distance times sqrt(n)")
    for name in ("softsign", "sigmoid", "fast"):
        against_runs(name, 100_000)
    print("\nstochastic gradient descent in PyTorch, 1,000 runs: steps predicted, seen (5, 50, 95 %), within,")
    print("within of 20,000 runs with normal gradients, predicted, and by how many errors the first and last differ")
    for name in ("softsign", "sigmoid", "fast"):
        for lr in (0.05, 0.02, 0.01):
            against_torch(name, lr, 1000)


if __name__ == "__main__":
    main()
