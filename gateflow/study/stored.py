"""What is kept of each run of a registered experiment: one line, from which every number of its analysis is remade.

A folder for each experiment, a file for each arm, a line for each seed: settings, commit, status, and at each
evaluation the loss on "valid" and the mean of the forget gate. Lines are put in whole and in the order of the seeds,
by one process at a time, so that a run that is stored twice, or after a kill, leaves the same file.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import alone, from_json, one_line, read_text
from gateflow.study.agreement import Arrival
from gateflow.study.experiment import Experiment, folder_of

RESULTS = Path("results") / "study"
"""Where they lie in the source tree."""

DIGITS = 5

LONGEST = 1 << 28
"""Bytes of a file of an arm."""


@dataclass(frozen=True)
class StoredRun:
    """One run that has ended.

    Parameters
    ----------
    arm : str
    seed : int
    status : str
    commit : str
        Of the code that made it, taken when it began; with ``+`` at its end where the code had changes that were not
        committed. Where it went on with other code, that follows after ``; ``. Empty where the code was in no
        repository, "not known" where the run was begun before its folder kept it.
    settings : dict
    chance : float
        The loss of the best answer that remembers nothing, on the run's own validation rows.
    at : list of int
        Steps of the evaluations.
    loss, forget : list of float
        The loss on "valid", and the mean of the forget gate over units and steps; the second is empty where there is
        no layer.
    versions : dict
        Taken and shown as the commit is.
    """

    arm: str
    seed: int
    status: str
    commit: str
    settings: dict[str, Any]
    chance: float
    at: list[int]
    loss: list[float]
    forget: list[float]
    versions: dict[str, str]

    def arrival(self, level: float, consecutive: int = 1) -> Arrival:
        """The first of several evaluations in a row below ``level`` of chance; who never was is cut off at the end.

        A run that stopped because it had solved its task counts as below from there on.

        Examples
        --------
        >>> at, losses = [0, 50, 100, 150, 200], [1, 0.8, 0.97, 0.8, 0.8]
        >>> run = StoredRun("", 0, "finished", "", {"steps": 200}, 1.0, at, losses, [], {})
        >>> run.arrival(0.95, 1), run.arrival(0.95, 2), run.arrival(0.5)
        (Arrival(step=50, arrived=True), Arrival(step=150, arrived=True), Arrival(step=200, arrived=False))
        """
        below = [loss < level * self.chance for loss in self.loss]
        if self.status == "solved":
            below += [True] * (consecutive - 1)
        for step, k in zip(self.at, range(len(below) - consecutive + 1), strict=False):
            if all(below[k : k + consecutive]):
                return Arrival(step, True)
        return Arrival(int(self.settings["steps"]), False)

    def reached(self, value: float) -> int | None:
        """The first evaluation at which the mean forget gate was at ``value``; None where it never was."""
        return next((step for step, f in zip(self.at, self.forget, strict=False) if f >= value), None)


def file_of(results: Path, name: str, arm: str) -> Path:
    """Where the runs of an arm are kept."""
    return results / name / f"{folder_of(arm, 0).parent.name}.jsonl"


def keep(results: Path, name: str, arm: str, seed: int, folder: Path) -> None:
    """Store what is small of a run that has ended, unless it is there already.

    Raises
    ------
    InvalidArgument
        The file cannot be read or written.
    """
    path = file_of(results, name, arm)
    with alone(path.parent) as place:
        there = {run["seed"]: run for run in _lines(path)}
        if seed in there:
            return
        there[seed] = vars(_read(arm, seed, folder))
        with one_line("write", path):
            place.write(path.name, "".join(record.to_json_line(there[key]) for key in sorted(there)).encode())


def kept(plan: Experiment, results: Path, name: str) -> dict[str, dict[int, StoredRun]]:
    """The stored runs of an experiment, by arm and seed.

    Raises
    ------
    InvalidArgument
        A file is damaged, or holds a run that the plan has not declared.
    """
    planned: dict[str, set[int]] = {}
    for arm, seed in plan.runs():
        planned.setdefault(arm, set()).add(seed)
    return {arm: _of_arm(plan, results, name, arm, seeds) for arm, seeds in planned.items()}


def runs(plan: Experiment, results: Path, name: str) -> set[tuple[str, int]]:
    """Arm and seed of each run of an experiment that is stored; the errors of `kept`."""
    return {(arm, seed) for arm, found in kept(plan, results, name).items() for seed in found}


def ended(plan: Experiment, folder: Path) -> dict[str, dict[int, StoredRun]]:
    """The runs of an experiment that have ended, by arm and seed, from their own folders in that of the experiment.

    Raises
    ------
    InvalidArgument
        A file of a run is damaged, or it has other settings than the plan declares.
    """
    from gateflow.training.folder import outcome

    found: dict[str, dict[int, StoredRun]] = {arm: {} for arm, _ in plan.runs()}
    for arm, seed in plan.runs():
        if outcome(path := folder / folder_of(arm, seed)) is not None:
            found[arm][seed] = run = _read(arm, seed, path)
            if what := _undeclared(plan, run, arm):
                raise InvalidArgument(f"{path}: {what} is not what is declared")
    return found


def count(plan: Experiment, results: Path, name: str) -> tuple[int, int]:
    """How many runs are stored, and how many are planned: all that may be shown before the end."""
    found = kept(plan, results, name)
    return sum(map(len, found.values())), sum(1 for _ in plan.runs())


def _of_arm(plan: Experiment, results: Path, name: str, arm: str, seeds: set[int]) -> dict[int, StoredRun]:
    path = file_of(results, name, arm)
    found = {}
    for number, line in enumerate(_lines(path), 1):
        run = StoredRun(**{key: line[key] for key in StoredRun.__dataclass_fields__})
        what = _undeclared(plan, run, arm)
        if run.arm != arm or run.seed not in seeds:
            what = what or f"arm {run.arm!r}, seed {run.seed}"
        if what:
            raise InvalidArgument(f"{path}, line {number}: {what} is not what {name} declares")
        found[run.seed] = run
    return found


def _undeclared(plan: Experiment, run: StoredRun, arm: str) -> str:
    """The first setting of a run that is not as its arm declares, in words; empty where all are."""
    # a run keeps the settings that a method stands for, not its name
    declared = {key: value for key, value in plan.settings(arm).items() if key not in ("method", "epochs")}
    other = next((key for key, value in declared.items() if not _same(run.settings.get(key), value)), None)
    return f"{other} {run.settings.get(other)!r}" if other else ""


def _same(found: Any, declared: Any) -> bool:
    return found == declared or (isinstance(declared, (int, float)) and found is not None and found == float(declared))


def _lines(path: Path) -> list[dict[str, Any]]:
    with one_line("read", path, form="text"):
        try:
            texts = read_text(path, LONGEST).splitlines()
        except FileNotFoundError:
            return []
    found = []
    for number, text in enumerate(texts, 1):
        try:
            line = from_json(text)
            line["loss"], line["forget"] = ([float(x) for x in line[key]] for key in ("loss", "forget"))
            line["chance"] = float(line["chance"])
            fits = line.keys() >= StoredRun.__dataclass_fields__.keys() and len(line["at"]) == len(line["loss"]) > 0
        except (ValueError, TypeError, KeyError, AttributeError):
            fits = False
        if not fits:
            raise InvalidArgument(f"{path}, line {number}: no run; remove the line, and the run is stored again")
        found.append(line)
    return found


def _read(arm: str, seed: int, folder: Path) -> StoredRun:
    from gateflow.training.folder import NOT_KNOWN, outcome, read_metrics, settings_of, sources
    from gateflow.training.settings import make_task

    settings, metrics, ended = settings_of(folder), read_metrics(folder), outcome(folder) or {}
    task = make_task(settings.task)
    valid = [line for line in metrics if line["kind"] == "valid"]
    gates = [line["layers"][0]["mean"] for line in metrics if line["kind"] == "gates"]
    targets = task.batch("valid", 0, 2**20, settings.seed).targets
    made_by = sources(folder) or [{"commit": NOT_KNOWN, "versions": {}}]
    packages = dict.fromkeys(key for each in made_by for key in each["versions"])
    return StoredRun(
        arm,
        seed,
        ended["status"],
        _one_after_another([each["commit"] for each in made_by]),
        settings.as_dict(),
        _short(task.blind(targets)),
        [line["step"] for line in valid],
        [_short(line["loss"]) for line in valid],
        [_short(each) for each in gates[: len(valid)]],
        {key: _one_after_another([each["versions"].get(key, NOT_KNOWN) for each in made_by]) for key in packages},
    )


def _one_after_another(texts: list[str]) -> str:
    return "; ".join(text for text, _ in itertools.groupby(texts))


def _short(value: Any) -> float:
    return float(f"{float('nan') if value is None else value:.{DIGITS}g}")
