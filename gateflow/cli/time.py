"""How long learning takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import GateText, Json, Start, Task, exit_code, gate_of
from gateflow.cli._terminal import number, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.flow.time import HittingTime

Limit = Annotated[
    float | None, Parameter(name="--tau-end", help="Learning time at hand; past it the answer is not reached.")
]


def run(gate: GateText, /, *, task: Task, z0: Start = 0.0, tau_end: Limit = None, json: Json = False) -> int:
    """Compute the learning time from z0 to the target, as one integral.

    The target is given in one way: --gap, --target, --timescale, --log-gap or --decay. Where tau overflows, log tau
    tells it. The exit code is 3 where the target is not reached.

    Examples
    --------
    $ gateflow time fast --horizon 100 --gap 0.01
    $ gateflow time sigmoid --horizon 1e6 --gap 1e-12 --z0 -3 --json
    $ gateflow time "fast(alpha=2)" --horizon 100 --timescale 1000
    """
    from gateflow.flow.time import hitting_time

    chosen = gate_of(gate)
    problem = task.problem(chosen)
    found = hitting_time(problem, z0, tau_max=tau_end)
    if json:
        inputs = {"gate": gate.strip(), **task.given(), "z0": z0}
        limit = {} if tau_end is None else {"tau_end": tau_end}
        print_json({**inputs, **limit, **_answer(found)})
    else:
        about = [("gate", gate.strip()), ("problem", task.sentence(z0)), ("z*", number(problem.z_star, 12))]
        say(pairs([*about, *_rows(found)]))
    return exit_code(found.status)


def _answer(found: HittingTime) -> dict[str, Any]:
    return {
        "tau": float(found.tau),
        "log_tau": float(found.log_tau),
        "status": str(found.status),
        "error": float(found.error),
    }


def _rows(found: HittingTime) -> list[tuple[str, str | None]]:
    reached = f"{found.error:.1e} of tau, estimated" if str(found.status) == "reached" else None
    return [
        ("status", f"{found.status}: {found.status.sentence}"),
        ("tau", f"exp({found.log_tau:.15g})" if found.overflowed else f"{found.tau:.15g}"),
        ("log tau", f"{found.log_tau:.15g}"),
        ("error", reached),
    ]
