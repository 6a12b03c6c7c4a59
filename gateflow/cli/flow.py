"""The path that learning takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from gateflow.cli._options import (
    Figure,
    Force,
    GateText,
    Json,
    ProblemOptions,
    RelativeTolerance,
    Solver,
    TimeLimit,
    Tolerance,
    exit_code,
    gate_of,
    picture_file,
    several,
)
from gateflow.cli._terminal import Listing, duration, number, pairs, picked, print_json, rows_of, say, tidy

if TYPE_CHECKING:
    from gateflow.flows.trajectory import Trajectory

COLUMNS = ("tau", "log_tau", "z", "loss", "log_gap")

Times = Annotated[list[float] | None, several("--at", "Learning times to print: --at 1 10 100.")]


def run(
    gate: GateText,
    /,
    *,
    given: ProblemOptions,
    tau_max: TimeLimit = None,
    at: Times = None,
    method: Solver = "exact",
    tolerance: Tolerance = None,
    rtol: RelativeTolerance = 1e-10,
    figure: Figure = None,
    force: Force = False,
    json: Json = False,
) -> int:
    """Follow the gradient flow from z0 to the target, and print or draw its path.

    log_gap is the logarithm of the distance still to go, |h - h*| with h = -T log phi. The exit code is 3 where the
    target is not reached, or past the floats. Losses that are smooth at the target never arrive: they are followed
    until |h - h*| is --tolerance of h*, by default 1e-12; the exit code is 0 where a tolerance was given and met.

    Examples
    --------
    $ gateflow flow fast --horizon 100 --gap 0.01
    $ gateflow flow "sigmoid(z + z**3)" --horizon 10 --gap 1e-6 --figure flow.svg
    $ gateflow flow sigmoid --horizon 10 --gap 1e-6 --z0 -3 --method lsoda
    $ gateflow flow "sigmoid(z + z**3)" --horizon 10 --gap 0.01 --at 1 10 100 --json
    $ gateflow flow fast --horizon 10 --gap 0.01 --loss "exp(-s/10)/2 + exp(-2*s)/2"
    $ gateflow flow fast --horizon 10 --gap 0.01 --loss kullback-leibler --tolerance 1e-3
    """
    from gateflow.flows.trajectory import follow

    picture = picture_file(figure, force)
    path = follow(
        given.problem(gate_of(gate)), given.z0, tau_max=tau_max, tolerance=tolerance, method=method, rtol=rtol
    )
    points = _points(path, at)
    written = {}
    if picture is not None:
        from gateflow.plots._path import path as drawn

        written["figure"] = picture.save(drawn(path, f"{tidy(gate)}\n{given.sentence()}")).as_posix()
    if json:
        limit = {name: x for name, x in (("tolerance", tolerance), ("tau_max", tau_max)) if x is not None}
        print_json({**given.inputs(gate), **limit, **_facts(path), **written, "points": points})
    else:
        about = given.about(gate)
        about += [("left off", f"where |h - h*| = {tolerance:g} h*")] if _came_within(path, tolerance) else []
        say(pairs([*about, *_about(path), *written.items()]), "", _table(points, every=at is not None))
    return 0 if _came_within(path, tolerance) else exit_code(path.status)


def _came_within(path: Trajectory, tolerance: float | None) -> bool:
    """Whether a flow that does not arrive came as near as was asked."""
    from math import log

    return tolerance is not None and path.log_gap[-1] <= log(tolerance) + path.problem.log_h_star + 1e-9


def _points(path: Trajectory, at: list[float] | None) -> dict[str, list[float]]:
    """The nodes of the path, or its state at the learning times asked for; one list a column."""
    import numpy as np

    if at is None:
        columns = {name: getattr(path, name) for name in COLUMNS}
    else:
        state = path.at(np.asarray(at))
        with np.errstate(divide="ignore"):
            log_tau = np.log(state.tau)
        columns = {name: log_tau if name == "log_tau" else getattr(state, name) for name in COLUMNS}
    return {name: [float(x) for x in column] for name, column in columns.items()}


def _facts(path: Trajectory) -> dict[str, Any]:
    settings, solved = picked(path, "method", "rtol", "status"), picked(path, "evaluations", "check")
    return {**settings, "z_star": path.problem.z_star, **solved}


def _about(path: Trajectory) -> list[tuple[str, str]]:
    return [
        ("z*", number(path.problem.z_star, 12)),
        ("status", f"{path.status}: {path.status.sentence}"),
        ("method", path.method if path.method == "exact" else f"{path.method}, rtol {path.rtol:g}"),
        ("check", f"{path.check:.1e} off the integral"),
    ]


def _table(points: dict[str, list[float]], *, every: bool) -> Listing:
    """The path as a table: every point, or some, evenly from the first to the last."""
    count = len(points["tau"])
    headings = ["tau", "z", "loss", "log_gap"]
    rows = [
        [duration(points["tau"][i], points["log_tau"][i], 10), *(number(points[name][i]) for name in headings[1:])]
        for i in (range(count) if every else rows_of(count))
    ]
    return Listing(headings, rows, numeric=headings)
