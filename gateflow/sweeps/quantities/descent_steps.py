"""Steps of an optimiser from z0 to the target, taken and predicted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.descents.simulation import descent
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import ABOVE_0, number
from gateflow.results.status import BY_CODE, CODE
from gateflow.sweeps.quantities import PROBLEM, Input, Quantity, Variable, check_problem, flags


def values(gate: Gate, *, z0: Any, lr: Any, optimizer: Any, dtype: str = "float64", **task: Any) -> dict[str, Any]:
    """Descents of problems in arrays, those of one optimiser together."""
    found: dict[str, Any] = {name: np.empty(len(z0)) for name in ("steps", "predicted", "z")}
    found["status"] = np.empty(len(z0), dtype=np.int8)
    loss = {key: task.pop(key) for key in ("loss",) if key in task}
    for name in dict.fromkeys(optimizer.tolist()):
        mine = optimizer == name
        problem = LearningProblem(gate, **{key: column[mine] for key, column in task.items()}, **loss)
        run = descent(problem, z0[mine], name, lr=lr[mine], dtype=dtype, backend="numpy")
        found["steps"][mine], found["z"][mine] = run.steps, run.z
        found["predicted"][mine] = np.where(run.predicted.valid, run.predicted.steps, np.nan)
        found["status"][mine] = [CODE[status] for status in run.status]
    return found


def check(gate: Gate, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """As of a learning problem; a step size is above 0, and the optimisers have names."""
    check_problem(gate, columns, settings)
    number("lr", columns["lr"], *ABOVE_0)
    for name in columns["optimizer"].ravel().tolist():
        OPTIMIZERS.module(name)


QUANTITY = Quantity(
    "steps of an optimiser from z0 to the target",
    {
        "steps": Variable("f8", {"long_name": "steps until z was at the target, or those taken", "units": "1"}),
        "predicted": Variable(
            "f8", {"long_name": "steps by theory", "units": "1", "comment": "nan where the prediction does not hold"}
        ),
        "z": Variable("f8", {"long_name": "where the last step led", "units": "1"}),
        "status": Variable("i1", {"long_name": "how the descent ends", **flags([str(status) for status in BY_CODE])}),
    },
    values,
    {
        **PROBLEM,
        "lr": Input({"long_name": "step size eta", "units": "1"}, needed=True),
        "optimizer": Input({"long_name": "optimiser"}, "sgd", text=True),
    },
    {"loss": "the loss, by name or as a formula in s", "dtype": "the float format of every operation"},
    check,
    chunk=256,
)
