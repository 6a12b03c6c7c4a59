"""What became of a named experiment: its table by arm, and all of it as one small JSON from which figures are drawn."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.files import Output, from_json, is_sealed
from gateflow.guards.calls import name_of
from gateflow.study.experiment import Experiment, folder_of
from gateflow.training.folder import SETTINGS
from gateflow.training.results import Group, RunRecord, RunTable
from gateflow.training.settings import make_task
from gateflow.training.tasks import TASKS

DIGITS = 5
"""Of the numbers that are kept."""

QUANTILES = {"median": 5, "ninth decile": 9, "longest": 10}
"""Places of these among the recorded quantiles of the time constants of a layer's units."""


def table(plan: Experiment, folder: Path, *, reduced: bool = False) -> RunTable:
    """The arms in the order they are declared, each with the runs that its folder holds, ended or not."""
    groups = [Group({"arm": arm}, _runs(folder / folder_of(arm, 0).parent)) for arm in plan.arms_of(reduced)]
    measures = {name for group in groups for run in group.ended for name in (run.outcome or {})["test"]}
    score = plan.score or _score(plan, reduced)
    return RunTable(groups, score, sorted(measures, key=lambda name: (name != score, name)) or [score])


def _runs(folder: Path) -> list[RunRecord]:
    seeds = sorted(folder.glob("seed-*"), key=lambda path: (len(path.name), path.name))
    return [RunRecord.read(path) for path in seeds if (path / SETTINGS).exists()]


def _score(plan: Experiment, reduced: bool) -> str:
    arm = next(iter(plan.arms_of(reduced)))
    return TASKS[name_of(plan.settings(arm, reduced=reduced)["task"])].score


def collected(name: str, plan: Experiment, folder: Path, *, reduced: bool = False) -> dict[str, Any]:
    """An experiment as plain numbers: settings, and of every run that has ended its curve and its outcome.

    Returns
    -------
    dict
        ``experiment``, ``command``, ``source``, ``measure``; ``settings`` that all arms share; ``arms``, what each has
        over them; ``chance``, the loss of the best answer that remembers nothing, by arm where it is known; ``runs`` by
        arm. Of each run ``seed``, ``status``, ``test``, ``solved_at``, ``seconds``; ``steps`` and ``values`` of the
        measure on "valid"; and where gates were recorded ``timescales``, of the first layer's units: median, ninth
        decile and longest by step.
    """
    found = table(plan, folder, reduced=reduced)
    settings = {arm: plan.settings(arm, reduced=reduced) for arm in plan.arms_of(reduced)}
    first = next(iter(settings.values()))
    shared = {key: value for key, value in first.items() if all(each.get(key) == value for each in settings.values())}
    return {
        "experiment": name,
        "command": command(name, plan, reduced),
        "source": plan.source,
        "measure": found.score,
        "settings": shared,
        "arms": {arm: {k: v for k, v in each.items() if k not in shared} for arm, each in settings.items()},
        "chance": {} if plan.needs else _chances(settings),
        "runs": {
            str(group.differing["arm"]): [_outcome(run, found.score) for run in group.ended] for group in found.groups
        },
    }


def _chances(settings: dict[str, dict[str, Any]]) -> dict[str, float]:
    found = {arm: make_task(each["task"]).chance for arm, each in settings.items()}
    return {arm: short(chance) for arm, chance in found.items() if chance is not None}


def command(name: str, plan: Experiment, reduced: bool) -> str:
    """What carries an experiment out."""
    files = " --data-dir DIR" if plan.needs else ""
    return f"gateflow experiment run {plan.path or name}{' --reduced' if reduced else ''}{files}"


def _outcome(run: RunRecord, measure: str) -> dict[str, Any]:
    ended = run.outcome or {}
    curve = run.curve(measure)
    facts = {
        "seed": run.settings.seed,
        **{key: ended[key] for key in ("status", "solved_at")},
        "test": {key: short(value) for key, value in ended["test"].items()},
        "seconds": short(ended["seconds"]),
        "steps": [step for step, _ in curve],
        "values": [short(value) for _, value in curve],
    }
    layers = [line["layers"][0]["timescales"] for line in run.metrics if line["kind"] == "gates"]
    if layers and len(layers) == len(curve):
        facts["timescales"] = {key: [short(each[k]) for each in layers] for key, k in QUANTILES.items()}
    return facts


def short(value: float) -> float:
    """A number to the digits that are kept."""
    return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else value


def text_of(data: dict[str, Any]) -> str:
    """Such a JSON: a line for each short thing in it, so that two versions can be compared."""
    return _json(data, "") + "\n"


def output(path: Path, *, force: bool = False, early: bool = False) -> Output:
    """The file that such a JSON is to be written to; over another one, or with ``force`` over any file."""
    return Output(path, force=force, ours=lambda data: is_sealed(from_json(data)), what="result", early=early)


def _json(data: Any, indent: str) -> str:
    line = record.to_json_line(data).rstrip("\n")
    if len(line) + len(indent) <= 120 or not isinstance(data, (dict, list)) or not data:
        return line
    if isinstance(data, list) and not isinstance(data[0], (dict, list)):
        return line
    deeper = indent + "  "
    if isinstance(data, dict):
        parts = [f"{json.dumps(str(key), ensure_ascii=False)}: {_json(value, deeper)}" for key, value in data.items()]
    else:
        parts = [_json(value, deeper) for value in data]
    opening, closing = "{}" if isinstance(data, dict) else "[]"
    return f"{opening}\n{deeper}" + f",\n{deeper}".join(parts) + f"\n{indent}{closing}"
