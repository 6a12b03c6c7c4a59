"""Flows of two parameters: a refined gate, samples that share a weight and a bias, noisy gates, decays to a power."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import (
    GATE_NAMES,
    HORIZON,
    LOSS_NAMES,
    NOT_REACHED,
    Json,
    RelativeTolerance,
    Seed,
    Solver,
    TimeLimit,
    gate_of,
    words,
)
from gateflow.cli._terminal import Listing, duration, number, pairs, picked, print_json, rows_of, say

if TYPE_CHECKING:
    from gateflow.flows.plane import PlanarTrajectory, Plane

KINDS = ("refine", "shared", "noisy", "decay")
BAND = 1.959963984540054
"""Standard errors either side of a mean that make a band of 95 %."""

Kind = Annotated[str, Parameter(name="KIND", completer=words(*KINDS), help="refine, shared, noisy or decay.")]
Start = Annotated[str, Parameter(name="--start", help="Where the two parameters start, with a comma between: 0,0.")]
Horizon = Annotated[str, Parameter(name=HORIZON, help="T, at least 1; shared: or one a sample: 10,100.")]
Gap = Annotated[str | None, Parameter(name="--gap", help="The target as 1 - lambda*; shared: one, or one a sample.")]
Goal = Annotated[str | None, Parameter(name="--target", help="The target as lambda*; shared: one, or one a sample.")]
Timescale = Annotated[
    str | None, Parameter(name="--timescale", help="The target as a time constant in steps; shared: or one a sample.")
]
Scale = Annotated[float, Parameter(name="--scale", help="c, the size of the loss.")]
GateName = Annotated[
    str,
    Parameter(name="--gate", completer=GATE_NAMES, help="refine, shared, decay: the gate, a name or a formula in z."),
]
RefineName = Annotated[
    str, Parameter(name="--refine-gate", completer=GATE_NAMES, help="refine: the gate that refines it.")
]
Inputs = Annotated[str | None, Parameter(name="--inputs", help="shared: x of each sample, as 0,1,2.5.")]
Loss = Annotated[
    str,
    Parameter(
        name="--loss",
        completer=LOSS_NAMES,
        help="absolute, squared, kullback-leibler, log-decay; noisy: the first two.",
    ),
]
Alpha = Annotated[float, Parameter(name="--alpha", help="noisy: above 1 the gate leans back from its edge.")]
Amplitude = Annotated[float, Parameter(name="--amplitude", help="noisy: scale of the noise.")]
Noise = Annotated[
    str,
    Parameter(
        name="--noise", completer=words("held", "fresh"), help="noisy: held over the horizon, or fresh at each step."
    ),
]
Samples = Annotated[int, Parameter(name="--samples", help="noisy: draws of the Monte Carlo beside it.")]


def run(
    kind: Kind,
    /,
    *,
    horizon: Horizon,
    start: Start = "0,0",
    gap: Gap = None,
    target: Goal = None,
    timescale: Timescale = None,
    scale: Scale = 1.0,
    gate: GateName = "sigmoid",
    refine_gate: RefineName = "sigmoid",
    inputs: Inputs = None,
    loss: Loss = "absolute",
    alpha: Alpha = 1.1,
    amplitude: Amplitude = 0.15,
    noise: Noise = "held",
    samples: Samples = 2000,
    seed: Seed = 0,
    tau_max: TimeLimit = None,
    method: Solver = "lsoda",
    rtol: RelativeTolerance = 1e-10,
    json: Json = False,
) -> int:
    """Follow a gradient flow of two parameters to where it stops, and print its path.

    refine: pre-activations z of a gate and w of the gate that refines it. shared: samples share z = w x + b. noisy: z
    and the noise scale p of a noisy hard gate, by its expected loss, with Monte Carlo beside it. decay: z of a gate and
    w of the power exp(-w) that it is taken to, as -dt_bias and -A_log of Mamba. The exit code is 3 where the target is
    not reached.

    Examples
    --------
    $ gateflow plane refine --horizon 10 --gap 1e-3 --start 0,0
    $ gateflow plane refine --horizon 100 --timescale 1000 --gate fast --start -2,1 --json
    $ gateflow plane shared --inputs 0,1 --horizon 10,100 --gap 0.1 --start 0,0
    $ gateflow plane decay --horizon 10 --timescale 1000 --start 4.6,0
    $ gateflow plane noisy --horizon 5 --gap 0.1 --start 6,1 --samples 1000 --seed 1 --json  # exit code 3
    """
    from gateflow.flows.plane import flow, pair

    ways = {"gap": gap, "target": target, "timescale": timescale}
    task = {name: _numbers(name, text) for name, text in ways.items() if text is not None}
    task |= {"horizon": _numbers("horizon", horizon), "scale": scale, "loss": loss}
    own = {
        "refine": {"gate": gate, "refine_gate": refine_gate},
        "shared": {"gate": gate, "inputs": None if inputs is None else _listed("inputs", inputs)},
        "decay": {"gate": gate},
        "noisy": {"alpha": alpha, "amplitude": amplitude, "noise": noise},
    }.get(kind, {})
    problem = _problem(kind, task, own)
    path = flow(problem, pair("--start", _listed("start", start)), tau_max=tau_max, method=method, rtol=rtol)
    band = _band(path, samples, seed)
    if json:
        draws = {"samples": samples, "seed": seed} if band else {}
        given = {"kind": kind, **own, **task, "tau_max": tau_max, **draws}
        print_json({**given, **_facts(path), "points": {**_points(path), **band}})
    else:
        say(pairs(_about(path)), "", _table({**_points(path), **band}), *_turns(path))
    return 0 if path.status == "reached" else NOT_REACHED


def _problem(kind: str, task: dict[str, Any], own: dict[str, Any]) -> Plane:
    from gateflow.errors import InvalidArgument, UnknownName, unknown
    from gateflow.flows.plane import DecayProblem, NoisyProblem, RefineProblem, SharedProblem

    if kind == "refine":
        return RefineProblem(gate_of(own["gate"]), gate_of(own["refine_gate"]), **task)
    if kind == "decay":
        return DecayProblem(gate_of(own["gate"]), **task)
    if kind == "noisy":
        return NoisyProblem(**task, **own)
    if kind == "shared":
        if own["inputs"] is None:
            raise InvalidArgument("shared needs the x of its samples: --inputs 0,1,2.5")
        return SharedProblem(gate_of(own["gate"]), inputs=own["inputs"], **task)
    raise UnknownName(unknown("kind", kind, KINDS))


def _listed(name: str, text: str) -> list[float]:
    """Numbers with commas between."""
    from gateflow.errors import InvalidArgument

    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidArgument(f"--{name} takes numbers with commas between, such as 0,1; got {text!r}") from None


def _numbers(name: str, text: str) -> float | list[float]:
    """One number, or several with commas between."""
    found = _listed(name, text)
    return found[0] if len(found) == 1 else found


def _points(path: PlanarTrajectory) -> dict[str, list[Any]]:
    first, second = path.problem.names
    columns = {"tau": path.tau, "log_tau": path.log_tau, first: path.points[:, 0], second: path.points[:, 1]}
    return {name: column.tolist() for name, column in {**columns, "loss": path.loss, "phi": path.phi}.items()}


def _band(path: PlanarTrajectory, samples: int, seed: int) -> dict[str, list[float]]:
    """Mean of the drawn losses and their 95 % band, where there is noise."""
    from gateflow.flows.plane import NoisyProblem

    if not isinstance(path.problem, NoisyProblem):
        return {}
    drawn = path.problem.monte_carlo(*path.points.T, samples=samples, seed=seed)
    wide = BAND * drawn.loss_error
    return {
        "drawn": drawn.loss.tolist(),
        "drawn_low": (drawn.loss - wide).tolist(),
        "drawn_high": (drawn.loss + wide).tolist(),
    }


def _facts(path: PlanarTrajectory) -> dict[str, Any]:
    solved = {**picked(path.settings, "method", "rtol"), **picked(path, "status", "evaluations", "check")}
    return {"start": path.start, **solved, "turns": [picked(turn, "log_tau", "point", "what") for turn in path.turns]}


def _about(path: PlanarTrajectory) -> list[tuple[str, str]]:
    first, second = path.problem.names
    return [
        ("problem", repr(path.problem)),
        ("start", f"{first} {number(path.start[0])}, {second} {number(path.start[1])}"),
        ("status", f"{path.status}: {path.status.sentence}"),
        ("tau", duration(path.tau[-1], path.log_tau[-1], 12)),
        ("method", f"{path.settings.method}, rtol {path.settings.rtol:g}, {path.evaluations} evaluations"),
    ]


def _table(points: dict[str, list[Any]]) -> Listing:
    """A number of points of the path, evenly from the first to the last."""
    others = [name for name in points if name not in ("tau", "log_tau") and not isinstance(points[name][0], list)]
    rows = [
        [duration(points["tau"][i], points["log_tau"][i]), *(number(points[name][i]) for name in others)]
        for i in rows_of(len(points["tau"]))
    ]
    return Listing(["tau", *others], rows, numeric=["tau", *others])


def _turns(path: PlanarTrajectory) -> list[Any]:
    from math import exp

    if not path.turns:
        return []
    rows = [[f"exp({number(t.log_tau)})" if t.log_tau > 700 else number(exp(t.log_tau)), t.what] for t in path.turns]
    return ["", Listing(["tau", "turn"], rows, numeric=["tau"])]
