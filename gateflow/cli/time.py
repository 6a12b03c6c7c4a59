"""How long learning takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GateText, Json, ProblemOptions, TimeLimit, Tolerance, exit_code, gate_of
from gateflow.cli._terminal import duration, number, pairs, picked, print_json, say

if TYPE_CHECKING:
    from gateflow.flows.enclosure import Enclosure
    from gateflow.flows.problem import LearningProblem
    from gateflow.flows.time import HittingTime
    from gateflow.gates.gate import Gate

Digits = Annotated[
    int | None,
    Parameter(name="--digits", help="Also enclose tau in a ball, with this many digits."),
]


def run(
    gate: GateText,
    /,
    *,
    given: ProblemOptions,
    tolerance: Tolerance = None,
    tau_max: TimeLimit = None,
    digits: Digits = None,
    json: Json = False,
) -> int:
    """Compute the learning time from z0 to the target, as one integral.

    The target is given in one way: --gap, --target, --timescale, --log-gap or --decay. log tau is known where tau
    itself overflows. The exit code is 3 where the target is not reached, past the floats, or not one digit of tau is
    known. With --digits the numbers given are taken as the exact decimals they show. Losses that are smooth at the
    target never arrive, and need a --tolerance.

    Examples
    --------
    $ gateflow time fast --horizon 100 --gap 0.01
    $ gateflow time sigmoid --horizon 1e6 --gap 1e-12 --z0 -3 --json
    $ gateflow time "fast(alpha=2)" --horizon 100 --timescale 1000
    $ gateflow time fast --horizon 100 --gap 0.01 --digits 30
    $ gateflow time fast --horizon 100 --gap 0.01 --loss squared --tolerance 1e-3
    $ gateflow time fast --horizon 100 --gap 0.01 --loss "(1 + s/2)**(-2)" --json
    """
    from gateflow.guards import bounded

    chosen = gate_of(gate)
    problem, found = bounded.call(lambda: _solve(chosen, given, tolerance, tau_max), SECONDS, processor=True)
    ball = None if digits is None else _enclosed(chosen, given, digits, tolerance)
    if json:
        answer = picked(found, "tau", "log_tau", "status", "error")
        limit = {name: x for name, x in (("tolerance", tolerance), ("tau_max", tau_max)) if x is not None}
        print_json({**given.inputs(gate), **limit, "z_star": problem.z_star, **answer, **_enclosure(ball)})
    else:
        about = [*given.about(gate), ("z*", number(problem.z_star, 12))]
        say(pairs([*about, *_rows(found), *_ball_rows(ball)]))
    return exit_code(found.status)


SECONDS = 4.5
"""Seconds of the processor for one learning time; those of the catalogue take less than 0.1."""


def _solve(
    gate: Gate, given: ProblemOptions, tolerance: float | None, tau_max: float | None
) -> tuple[LearningProblem, HittingTime]:
    from gateflow.flows.time import hitting_time

    problem = given.problem(gate)
    return problem, hitting_time(problem, given.z0, tolerance=tolerance, tau_max=tau_max)


def _enclosed(gate: Gate, given: ProblemOptions, digits: int, tolerance: float | None) -> Enclosure:
    from gateflow.flows.enclosure import enclose
    from gateflow.flows.problem import LearningProblem

    exact = {name: repr(float(value)) for name, value in given.numbers().items()}
    within = None if tolerance is None else repr(float(tolerance))
    return enclose(LearningProblem(gate, loss=given.loss, **exact), repr(float(given.z0)), digits, tolerance=within)


def _enclosure(ball: Enclosure | None) -> dict[str, Any]:
    if ball is None:
        return {}
    return {"enclosure": picked(ball, "mid", "radius", "digits")}


def _ball_rows(ball: Enclosure | None) -> list[tuple[str, str | None]]:
    return [] if ball is None else [("enclosed", f"{ball.mid} +/- {ball.radius}, {ball.digits} digits")]


def _rows(found: HittingTime) -> list[tuple[str, str | None]]:
    timed = str(found.status) in ("reached", "unresolved")
    error = f"{found.error:.1e} of tau, estimated" if timed else None
    return [
        ("status", f"{found.status}: {found.status.sentence}"),
        ("tau", duration(found.tau, found.log_tau, 15)),
        ("log tau", f"{found.log_tau:.15g}"),
        ("error", error),
    ]
