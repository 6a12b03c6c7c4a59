"""What became of the runs under a folder: a table with mean, spread and number of runs, and the curves behind it.

Runs whose settings differ in their seed only are one configuration. The spread is the standard deviation over seeds,
with n - 1 below; a single run has none.
"""

from __future__ import annotations

import csv
import io
import math
import os
import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.guards.calls import name_of
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.training.folder import SETTINGS, outcome, read_metrics, settings_of
from gateflow.training.result import run_card
from gateflow.training.settings import KINDS, Settings
from gateflow.training.tasks import TASKS


@by_value
@dataclass(frozen=True)
class RunRecord:
    """One run as it is in its folder; ``outcome`` is None while it has not ended."""

    path: Path
    settings: Settings
    outcome: dict[str, Any] | None
    metrics: list[dict[str, Any]]

    def __repr__(self) -> str:
        status = (self.outcome or {}).get("status", "not ended")
        return f"<RunRecord {self.path}: {self.settings.task}, {status}, {len(self.metrics)} lines>"

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """The run of a folder."""
        return cls(path, settings_of(path), outcome(path), read_metrics(path))

    def _repr_html_(self) -> str:
        return run_card(self.settings, self.metrics, self.outcome or {"status": "not ended"})

    @property
    def measures(self) -> set[str]:
        """The names of what was measured on "valid"."""
        return {name for line in self.metrics if line["kind"] == "valid" for name in line} - {"step", "kind"}

    def curve(self, measure: str) -> list[tuple[int, float]]:
        """Steps and values of a measure on "valid"."""
        lines = (line for line in self.metrics if line["kind"] == "valid")
        return [(line["step"], float(line[measure])) for line in lines if measure in line]


@by_value
@dataclass(frozen=True)
class Group:
    """The runs of one configuration.

    Parameters
    ----------
    differing : dict
        The settings in which configurations differ, by name.
    runs : list of RunRecord
        One a seed.
    """

    differing: dict[str, Any]
    runs: list[RunRecord]

    def __repr__(self) -> str:
        differing = ", ".join(f"{name} {value}" for name, value in self.differing.items())
        return f"<Group of {len(self.runs)} runs: {differing or 'one configuration'}>"

    @property
    def label(self) -> str:
        """The configuration in words; gates and cells speak for themselves."""
        plain = ("arm", "forget_gate", "cell", "task", "init")
        words = [str(v) if k in plain else f"{k} {v}" for k, v in self.differing.items() if v is not None]
        return ", ".join(words) or "all"

    @property
    def ended(self) -> list[RunRecord]:
        return [run for run in self.runs if run.outcome is not None]

    def spread(self, measure: str, split: str = "test") -> tuple[float, float]:
        """Mean and standard deviation of a measure over the runs that have ended; NaN for what is not defined."""
        found = [
            float(run.outcome[split][measure]) for run in self.ended if run.outcome and measure in run.outcome[split]
        ]
        mean = statistics.fmean(found) if found else math.nan
        return mean, statistics.stdev(found) if len(found) > 1 and math.isfinite(mean) else math.nan


@by_value
@dataclass(frozen=True)
class RunTable:
    """The configurations under a folder.

    Parameters
    ----------
    groups : list of Group
        The best first.
    score : str
        The measure that runs are judged by.
    measures : list of str
        Every measure on "test".
    """

    groups: list[Group]
    score: str
    measures: list[str]

    def __repr__(self) -> str:
        runs = sum(len(group.runs) for group in self.groups)
        return f"<RunTable of {len(self.groups)} configurations, {runs} runs; by {self.score}>"

    def records(self) -> list[dict[str, Any]]:
        """One row a configuration: what differs, how many runs, mean and spread of each measure on "test"."""
        return [self._record(group) for group in self.groups]

    def _record(self, group: Group) -> dict[str, Any]:
        ended = [run.outcome for run in group.ended if run.outcome]
        solved = sorted(found["solved_at"] for found in ended if found["solved_at"] is not None)
        row = {**group.differing, "n": len(ended), "runs": len(group.runs)}
        for measure in self.measures:
            row[measure], row[f"{measure} sd"] = group.spread(measure)
        row["solved"] = len(solved)
        row["solved at"] = statistics.median(solved) if solved else None
        row["not finite"] = sum(found["status"] == "not finite" for found in ended)
        row["seconds"] = statistics.fmean(found["seconds"] for found in ended) if ended else math.nan
        return row

    def _repr_html_(self) -> str:
        rows = self.records()
        cells = [[cards.number(x, 4) if isinstance(x, float) else x for x in row.values()] for row in rows]
        runs = sum(len(group.runs) for group in self.groups)
        title = f"Runs: {runs}, configurations: {len(self.groups)}; judged by {self.score}"
        return cards.framed(title, cards.listed(list(rows[0]) if rows else [], cells))

    def csv(self) -> str:
        """The rows as CSV, numbers in full."""
        rows, file = self.records(), io.StringIO()
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
        return file.getvalue()


def runs(folder: str | Path) -> list[RunRecord]:
    """Every run at or under a folder.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    if not Path(folder).is_dir():
        raise InvalidArgument(f"there is no folder {folder}")
    found = [Path(where) for where, _, names in os.walk(folder) if SETTINGS in names]
    if not found:
        raise InvalidArgument(f"there is no run in {folder}")
    return [RunRecord.read(path) for path in sorted(found)]


def table(folder: str | Path) -> RunTable:
    """The table of the runs at or under a folder.

    Raises
    ------
    InvalidArgument
        There is no run, or they are of tasks that are not judged alike.
    """
    found = runs(folder)
    score, better = _score_of(found[0].settings)
    for run in found:
        if (other := _score_of(run.settings)[0]) != score:
            raise InvalidArgument(f"{run.path} is judged by {other}, {found[0].path} by {score}")
    groups = _group(found)
    sign = -1 if better == "higher" else 1
    groups.sort(key=lambda group: _last_if_nan(sign * group.spread(score)[0]))
    names = {name for run in found if run.outcome for name in run.outcome["test"]}
    return RunTable(groups, score, sorted(names, key=lambda name: (name != score, name)) or [score])


def _score_of(settings: Settings) -> tuple[str, str]:
    """The measure that a run is judged by, and whether more of it is better; a task that is not listed, by its loss."""
    name = name_of(settings.task)
    return (TASKS[name].score, TASKS[name].better) if name in TASKS else ("loss", "lower")


def _last_if_nan(x: float) -> tuple[bool, float]:
    return (math.isnan(x), 0.0) if math.isnan(x) else (False, x)


def _group(found: list[RunRecord]) -> list[Group]:
    differing = [name for name in KINDS if name != "seed" and len(_distinct(found, name)) > 1]
    groups: dict[str, Group] = {}
    for run in found:
        values = {name: getattr(run.settings, name) for name in differing}
        groups.setdefault(repr(values), Group(values, [])).runs.append(run)
    return list(groups.values())


def _distinct(found: Iterable[RunRecord], name: str) -> set[Any]:
    return {getattr(run.settings, name) for run in found}
