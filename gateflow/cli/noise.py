"""Gradient noise: the spread of the steps to arrive, and of the time constant learned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import (
    LR,
    NOT_REACHED,
    SGD,
    GateText,
    Json,
    OptimizerOptions,
    ProblemOptions,
    Seed,
    gate_of,
)
from gateflow.cli._terminal import Listing, number, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.noise import NoisyDescent

SHARES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of runs, for which times and time constants are printed."""

TargetLaw = Annotated[
    str | None, Parameter(name="--target-law", help="lambda* of a sample: 'beta(8, 4)', 'values(0.3, 0.6)'.")
]
HorizonLaw = Annotated[
    str | None, Parameter(name="--horizon-law", help="T of a sample: 'steps(1, 500)', 'uniform(1, 500)'.")
]
ScaleLaw = Annotated[str | None, Parameter(name="--scale-law", help="c of a sample: 'normal(1, 0.5)'.")]
Batch = Annotated[int, Parameter(name="--batch", help="Samples that a step averages over.")]
To = Annotated[
    float | None, Parameter(name="--to", help="The time constant whose arrival is asked for; by default the target.")
]
Runs = Annotated[
    int,
    Parameter(name="--paths", help="Also simulate this many runs with Gaussian gradients, same mean and variance."),
]


def run(
    gate: GateText,
    /,
    *,
    options: ProblemOptions,
    lr: Annotated[float, LR],
    optimizer: OptimizerOptions = SGD,
    target_law: TargetLaw = None,
    horizon_law: HorizonLaw = None,
    scale_law: ScaleLaw = None,
    batch: Batch = 1,
    to: To = None,
    paths: Runs = 0,
    seed: Seed = 0,
    json: Json = False,
) -> int:
    """Predict how gradient noise spreads the step at which a time constant is reached, and where descent settles.

    Samples differ in their target, horizon or scale; a law is a name with numbers: uniform(low, high),
    normal(mean, deviation), lognormal(median, spread), gamma(shape, mean), beta(a, b), exponential(mean),
    steps(low, high) or values(...). Descent with batches is taken as a diffusion, to second order in the step size;
    steps of first arrival are from the backward Kolmogorov equation, and the law it settles to is by quadrature. Only
    mean and variance of the gradient count in it: samples with heavy tails need small steps before that is so. Of Adam
    and RMSprop it needs a way that is long beside their memory. The exit code is 3 where descent does not arrive.

    Examples
    --------
    $ gateflow noise sigmoid --horizon 10 --target 0.5 --scale-law "normal(1, 3)" --lr 0.05 --to 8
    $ gateflow noise fast --horizon 10 --target 0.5 --scale-law "normal(1, 3)" --optimizer momentum --lr 1e-4 --to 8
    $ gateflow noise fast --horizon 10 --target 0.5 --target-law "beta(8, 4)" --lr 0.05 --to 10 --paths 200 --json
    """
    from gateflow.guards.arguments import ABOVE_0, one, whole
    from gateflow.noise import NoisyDescent, Samples
    from gateflow.noise.paths import MOST

    to = None if to is None else one("to", to, *ABOVE_0)
    paths = whole("paths", paths, 0, MOST)
    samples = Samples(target=target_law, horizon=horizon_law, scale=scale_law, batch=batch)
    noisy = NoisyDescent(options.problem(gate_of(gate)), samples, lr, optimizer.chosen())
    found = _predict(noisy, options.z0, to, paths, seed)
    if json:
        laws = {"target_law": target_law, "horizon_law": horizon_law, "scale_law": scale_law}
        given = {name: text for name, text in laws.items() if text is not None}
        inputs = {**options.inputs(gate), "optimizer": optimizer.inputs(), "lr": lr, "batch": batch}
        print_json({**inputs, **given, **found})
        return _exit_code(found)
    about = [
        *options.about(gate),
        ("optimizer", f"{optimizer.sentence()}, lr {number(lr)}, batches of {batch}"),
        ("arrival", f"at a time constant of {number(found['to'])} steps"),
        ("settles", found["settles"]),
        *(("formula", f"{what} is {text}") for what, text in found["formulas"].items()),
    ]
    rows = [["steps to arrive", *(number(x, 5) for x in found["steps"])]]
    if paths:
        rows.append([f"of {paths} Gaussian runs, seed {seed}", *(number(x, 5) for x in found["simulated"])])
    if found["timescale"] is not None:
        rows.append(["time constant it settles to", *(number(x, 5) for x in found["timescale"])])
    say(pairs(about), "", Listing(["share of runs", *(f"{p:.0%}" for p in SHARES)], rows))
    return _exit_code(found)


def _formulas(noisy: NoisyDescent, z0: float, to: float | None) -> dict[str, str]:
    """What is known in closed form, by what it is."""
    from gateflow.errors import InvalidArgument
    from gateflow.noise.formulas import arrives, settles

    known: dict[str, str] = {}
    for ask in (lambda: settles(noisy), *((lambda: arrives(noisy, z0),) if to is None else ())):
        try:
            formula = ask()
        except InvalidArgument:
            continue
        known[formula.what] = str(formula)
    return known


def _exit_code(found: dict[str, Any]) -> int:
    """3 where not even the first runs arrive within the time that is followed."""
    return 0 if found["steps"][0] < float("inf") else NOT_REACHED


def _predict(noisy: NoisyDescent, z0: float, to: float | None, paths: int, seed: int) -> dict[str, Any]:
    import numpy as np

    from gateflow.errors import InvalidArgument
    from gateflow.noise import Unresolved

    arrival = noisy.arrival(z0, to)
    steps = noisy.steps(z0, SHARES, to)
    found: dict[str, Any] = {
        "to": float(-1 / noisy.problem.gate.log_phi(arrival.level)),
        "shares": list(SHARES),
        "steps": steps.tolist(),
    }
    if paths:
        within = steps[np.isfinite(steps)].max(initial=1000.0)
        seen = noisy.paths(z0, paths, seed=seed).arrivals(arrival.level, int(2 * within) + 10)
        found["simulated"] = np.quantile(np.where(seen < 0, np.inf, seen), SHARES, method="lower").tolist()
    found["formulas"] = _formulas(noisy, z0, to)
    try:
        found["timescale"], found["settles"] = noisy.spread(SHARES).tolist(), None
    except (InvalidArgument, Unresolved) as why:
        found["timescale"], found["settles"] = None, str(why)
    return found
