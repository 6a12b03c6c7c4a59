"""Forecasts and regression from a table, a row a time step, with splits in the order of time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.training.data.files import fingerprint
from gateflow.training.data.table import Table, table
from gateflow.training.task import Batch, NewData, Split
from gateflow.training.tasks._answers import wide
from gateflow.training.tasks._rows import SPLITS, Rows


@dataclass(frozen=True)
class Forecast(Rows):
    """A column's value some steps ahead, from the rows of a window; or, 0 steps ahead, from the other columns.

    The first rows are for training, the next for validation, the last for the test: what is forecast in one part is
    later than all of the part before it. Windows may reach back into the part before, as they do when it is used.

    Parameters
    ----------
    data : str
        A table of text (``.csv``, ``.tsv``, ``.txt``; also ``.gz``) whose first line names the columns.
    target : str, optional
        The column to forecast, several with commas between; by default the last.
    ahead : int
        Steps from the last row of the window to the one that is forecast. With 0 the target is no input: a regression.
    window : int
        Rows that are seen.
    inputs : str, optional
        The columns that are seen, with commas between; by default all, without the target in a regression.
    time : str, optional
        The column that says when a row was; its values must rise.
    valid, test : float
        Shares of the rows for validation and for the test.

    Notes
    -----
    Inputs and targets are given the mean 0 and the variance 1 over the training part. ``loss`` is the mean squared
    error in these units: about 1 for the mean of the training part. ``rmse`` and ``mae`` are in the units of the data,
    and ``rmse of last``, where the target is seen, is what its last value has as a forecast.

    Examples
    --------
    >>> Forecast()
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: a table is needed: --data FILE (.csv, .tsv, .txt), whose first line names ...
    """

    data: str | None = None
    target: str | None = None
    ahead: int = 1
    window: int = 32
    inputs: str | None = None
    time: str | None = None
    valid: float = 0.1
    test: float = 0.1

    source: ClassVar[str] = "splits in the order of time: Bergmeir and Benitez 2012 (doi 10.1016/j.ins.2011.12.028)"
    reads_by: ClassVar[Mapping[str, Any]] = {
        "inputs": [str],
        "targets": [str],
        "window": int,
        "time": (str, None),
        "ahead": int,
    }
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 64,
        "optimizer": "adam",
        "lr": 2e-3,
        "batch": 32,
        "steps": 2000,
        "clip": 1.0,
    }

    def __post_init__(self) -> None:
        if self.data is None:
            raise InvalidArgument(
                "a table is needed: --data FILE (.csv, .tsv, .txt), whose first line names its columns"
            )
        self.whole("ahead", 0)
        self.whole("window", 1)
        for name in ("valid", "test"):
            if not 0 < getattr(self, name) < 0.5:
                raise InvalidArgument(f"{name} must be a share between 0 and 0.5; got {getattr(self, name)}")
        if not Path(self.data).expanduser().is_file():
            raise InvalidArgument(f"there is no file {self.data}")

    @property
    def _path(self) -> Path:
        return Path(self.data or "").expanduser()

    @cached_property
    def _table(self) -> Table:
        return table(self._path, self.time)

    @cached_property
    def targets(self) -> tuple[str, ...]:
        """The columns that are forecast."""
        return _named(self.target) or self._table.names[-1:]

    @cached_property
    def seen(self) -> tuple[str, ...]:
        """The columns that are inputs."""
        names = _named(self.inputs) or tuple(n for n in self._table.names if self.ahead or n not in self.targets)
        if not names:
            raise InvalidArgument(f"{self.data} has no column besides the target, which is no input 0 steps ahead")
        if not self.ahead and set(names) & set(self.targets):
            raise InvalidArgument("the target is no input 0 steps ahead: leave it out of --inputs")
        return names

    @cached_property
    def _cuts(self) -> dict[Split, range]:
        """The rows that are forecast in each part."""
        count, first = len(self._table.values), max(1, self.window - 1 + self.ahead)
        test, valid = max(1, round(self.test * count)), max(1, round(self.valid * count))
        ends = [first, count - test - valid, count - test, count]
        if ends[1] <= first:
            raise InvalidArgument(
                f"{self.data} has {count} rows: too few for windows of {self.window}, {self.ahead} steps ahead, in "
                "three parts"
            )
        return {split: range(*pair) for split, pair in zip(SPLITS, pairwise(ends), strict=True)}

    @cached_property
    def _scaled(self) -> tuple[np.ndarray, np.ndarray, dict[str, list[float]]]:
        """Inputs and targets with mean 0 and variance 1 over the training part, and these numbers."""
        known = self._cuts["train"].stop
        found, facts = [], {}
        for prefix, names in (("", self.seen), ("target_", self.targets)):
            values = self._table.columns(self._path, names)
            mean, deviation = values[:known].mean(0), values[:known].std(0)
            deviation = np.where(deviation > 0, deviation, 1.0)
            facts |= {f"{prefix}mean": mean.tolist(), f"{prefix}deviation": deviation.tolist()}
            found.append(((values - mean) / deviation).astype(np.float32))
        return found[0], found[1], facts

    @property
    def input_size(self) -> int:
        return len(self.seen)

    @property
    def output_size(self) -> int:
        return len(self.targets)

    @property
    def length(self) -> int:
        return self.window

    def rows(self, split: Split) -> int:
        return len(self._cuts[split])

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        inputs, targets, _ = self._scaled
        when = self._cuts[split].start + rows
        windows = when[:, None] - self.ahead - np.arange(self.window)[::-1]
        return Batch(torch.from_numpy(inputs[windows]), torch.from_numpy(targets[when]))

    def loss(self, answers: Tensor, batch: Batch) -> Tensor:
        return (wide(answers) - batch.targets).square().mean()

    def measures(self, answers: Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        scale = torch.tensor(self._scaled[2]["target_deviation"], dtype=torch.float64)
        right = batch.targets.cpu().double()
        errors, count = wide(answers.detach()).cpu().double() - right, float(right.numel())
        sums = {"loss": errors.square(), "rmse": (errors * scale).square(), "mae": (errors * scale).abs()}
        if set(self.targets) <= set(self.seen):
            last = batch.inputs[:, -1, [self.seen.index(name) for name in self.targets]].cpu().double()
            sums["rmse of last"] = ((last - right) * scale).square()
        return {name: (float(each.sum()), count) for name, each in sums.items()}

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        return {name: mean**0.5 if name.startswith("rmse") else mean for name, mean in means.items()}

    def prepares(self) -> dict[str, Any]:
        reading = {"inputs": list(self.seen), "targets": list(self.targets), "window": self.window, "time": self.time}
        return {**reading, "ahead": self.ahead, **self._scaled[2]}

    @classmethod
    def can_read(cls, facts: Mapping[str, Any]) -> bool:
        """Windows of some rows, of as many columns as the network has inputs."""
        return super().can_read(facts) and facts["window"] >= 1 and len(facts["inputs"]) == facts["input_size"]

    @classmethod
    def read_new(cls, path: Path, facts: Mapping[str, Any], *, labelled: bool) -> NewData | None:
        """Every window of a table; the answer is for a row some steps after its last one."""
        if path.suffix == ".npz":
            return None
        found, window, ahead = table(path, facts["time"]), facts["window"], facts["ahead"]
        values = found.columns(path, tuple(facts["inputs"]))
        if len(values) < window:
            raise InvalidArgument(f"{path} has {len(values)} rows; a window is {window}")
        ends = range(window, len(values) + 1)
        after = f", {ahead} ahead" if ahead else ""
        return NewData(
            [values[end - window : end] for end in ends], tuple(f"{found.times[n - 1]}{after}" for n in ends)
        )

    def fingerprint(self) -> str:
        return fingerprint([self._path])


def _named(text: str | None) -> tuple[str, ...]:
    return () if text is None else tuple(name.strip() for name in text.split(","))


TASK = Forecast
