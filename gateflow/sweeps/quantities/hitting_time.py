"""The learning time from z0 to the target."""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate
from gateflow.results.status import BY_CODE, CODE
from gateflow.sweeps.quantities import Quantity, Variable


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


_STATUS = {
    "long_name": "how the flow ends",
    "flag_values": np.arange(len(BY_CODE), dtype=np.int8),
    "flag_meanings": " ".join(map(str, BY_CODE)),
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
        "status": Variable("i1", _STATUS),
        "error": Variable("f8", {"long_name": "estimate of the relative error of tau", "units": "1"}),
        "evaluations": Variable("i4", {"long_name": "evaluations of the gate", "units": "1"}),
    },
    values,
)
