"""What a network learns with the gate as its forget gate: the score on "test", and when the task was solved."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gateflow.gates.gate import Gate
from gateflow.guards.calls import name_of, with_options
from gateflow.sweeps.quantities import HORIZON, Input, Quantity, Variable, flags, text_of

STATUSES = ["finished", "solved", "no better", "not finite"]

WHOLE = ("seed", "hidden", "layers", "batch", "steps")
"""Inputs that are whole numbers."""


def values(gate: Gate, **given: Any) -> dict[str, Any]:
    """Networks trained one after another, each from its settings and seed alone."""
    from gateflow.training.loop import train

    columns, settings = _parted(given)
    found: dict[str, list[Any]] = {name: [] for name in ("score", "status", "steps_made", "solved_at")}
    for row in zip(*columns.values(), strict=True):
        made = _settings(gate, dict(zip(columns, row, strict=True)), settings)
        result = train(made)
        found["score"].append(result.test.get(_score(made), math.nan))
        found["status"].append(STATUSES.index(result.status))
        found["steps_made"].append(result.steps)
        found["solved_at"].append(math.nan if result.solved_at is None else result.solved_at)
    return found


def _parted(given: Mapping[str, Any]) -> tuple[dict[str, list[Any]], dict[str, Any]]:
    """Inputs, which are columns, and settings."""
    columns = {name: given[name].ravel().tolist() for name in given if name in INPUTS}
    return columns, {name: value for name, value in given.items() if name not in INPUTS}


def _settings(gate: Gate, row: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of one network; the horizon is an option of its task."""
    given = {name: int(value) if name in WHOLE and value == int(value) else value for name, value in row.items()}
    task = str(settings["task"])
    if (horizon := given.pop("horizon", None)) is not None:
        task = with_options(task, {"horizon": int(horizon) if horizon == int(horizon) else horizon})
    return {"device": "cpu", **settings, **given, "task": task, "forget_gate": text_of(gate)}


def _score(made: Mapping[str, Any]) -> str:
    from gateflow.training.tasks import TASKS

    return TASKS[name_of(made["task"])].score


def check(gate: Gate, columns: Mapping[str, Any], settings: Mapping[str, Any]) -> None:
    """Every value makes settings that hold, beside the first of the other inputs."""
    from gateflow.errors import InvalidArgument
    from gateflow.training.loop import settle

    if "task" not in settings:
        raise InvalidArgument("trained needs a task, as in task='adding(horizon=20)'")
    values = {name: column.ravel().tolist() for name, column in columns.items()}
    first = {name: column[0] for name, column in values.items()}
    for name, column in values.items():
        for value in column:
            settle(_settings(gate, {**first, name: value}, settings), {})


INPUTS = {
    "horizon": Input(HORIZON),
    "lr": Input({"long_name": "learning rate", "units": "1"}),
    "hidden": Input({"long_name": "units of a layer", "units": "1"}),
    "layers": Input({"long_name": "layers", "units": "1"}),
    "batch": Input({"long_name": "sequences in a batch", "units": "1"}),
    "steps": Input({"long_name": "steps of the optimiser", "units": "1"}),
    "seed": Input({"long_name": "seed of weights, data and noise", "units": "1"}, 0),
}

QUANTITY = Quantity(
    "result of training",
    {
        "score": Variable("f8", {"long_name": "the task's score on test, of the best weights", "units": "1"}),
        "status": Variable("i1", {"long_name": "how training ends", **flags(STATUSES)}),
        "steps_made": Variable("i4", {"long_name": "steps made", "units": "1"}),
        "solved_at": Variable(
            "f8", {"long_name": "evaluation at which the task was solved", "units": "1", "comment": "nan for never"}
        ),
    },
    values,
    INPUTS,
    {
        "task": "what to learn, with its options",
        **{name: f"the setting {name} of gateflow train" for name in ("cell", "init", "optimizer", "backend")},
        **{name: f"the setting {name} of gateflow train" for name in ("evaluate_every", "stop_when_solved", "clip")},
    },
    check,
    chunk=1,
    tried=False,
    packages=("numpy", "torch", "sympy"),
)
