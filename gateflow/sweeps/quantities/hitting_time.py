"""The learning time from z0 to the target."""

from __future__ import annotations

from typing import Any

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate
from gateflow.results.status import BY_CODE, CODE
from gateflow.sweeps.quantities import PROBLEM, Quantity, Variable, check_problem, flags


def values(gate: Gate, *, z0: Any, tolerance: float | None = None, **task: Any) -> dict[str, Any]:
    """Learning times of problems in arrays; the status by its number."""
    found = hitting_time(LearningProblem(gate, **task), z0, tolerance=tolerance)
    return {
        "log_tau": found.log_tau,
        "tau": found.tau,
        "status": [CODE[status] for status in found.status],
        "error": found.error,
        "evaluations": found.evaluations,
    }


QUANTITY = Quantity(
    "learning time from z0 to the target",
    {
        "log_tau": Variable(
            "f8",
            {
                "long_name": "natural logarithm of the learning time",
                "units": "1",
                "comment": "finite where tau overflows; -inf for a start on the target, inf where it is not reached",
            },
        ),
        "tau": Variable(
            "f8",
            {
                "long_name": "learning time",
                "units": "1",
                "comment": "the time of the gradient flow dz/dtau = -dL/dz; inf where it overflows or has no end",
            },
        ),
        "status": Variable("i1", {"long_name": "how the flow ends", **flags([str(status) for status in BY_CODE])}),
        "error": Variable("f8", {"long_name": "estimate of the relative error of tau", "units": "1"}),
        "evaluations": Variable("i4", {"long_name": "evaluations of the gate", "units": "1"}),
    },
    values,
    PROBLEM,
    {"loss": "the loss, by name or as a formula in s", "tolerance": "where to stop, for losses smooth at the target"},
    check_problem,
)
