"""Any series with a class each: NumPy, CSV and .ts files, or folders of sound as in Speech Commands (Warden 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch

from gateflow.errors import InvalidArgument, shown
from gateflow.training.data.series import SeriesSet, by_name, csv, npz, ts
from gateflow.training.data.sound import Recordings
from gateflow.training.task import Batch, NewData, Split, pooled
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import SPLITS, Rows, new_series, order

READERS = (".npz", ".csv", ".tsv", ".txt", ".ts")


class SplitRows(NamedTuple):
    """Which series of a source belong to a split."""

    source: SeriesSet | Recordings
    rows: np.ndarray


@dataclass(frozen=True)
class LabelledSeries(Rows, Choice):
    """Series to be classified at their end; shorter ones are padded, and their lengths given.

    Parameters
    ----------
    data : str
        A file (``.npz``, ``.csv``, ``.tsv``, ``.txt``, ``.ts``; the text formats also ``.gz``), or a folder with a
        folder of WAV files for each class. For ``NAME_TRAIN.ts``, ``NAME_TEST.ts`` beside it is the test part.
    test_data : str, optional
        The file of the test part, where its name does not say which it is.
    valid : float
        Which share of the training part a fixed shuffle deals out for validation, where none is marked; and as much for
        the test, where there is none.
    longest : int, optional
        Series are cut after this many steps; sounds after one second by default, others not at all.
    pool : int
        This many samples are averaged to one step.
    classes : str, optional
        The classes to keep, with commas between.
    label_last : bool
        In tables, the class is the last of a line, not the first.
    standardise : bool
        Each channel of a file is given the mean 0 and the variance 1 that it then has over the training part. Sounds
        are in [-1, 1) as they are.

    Notes
    -----
    H. A. Dau et al., The UCR time series archive (2019), tables; A. Bagnall et al., The UEA multivariate time series
    classification archive (2018), ``.ts``; P. Warden, Speech commands (2018), folders with ``validation_list.txt`` and
    ``testing_list.txt``. A folder without lists is dealt out by recordings, not by speakers.

    Examples
    --------
    >>> LabelledSeries()
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: series are needed: --data FILE (.npz, .csv, .tsv, .txt, .ts) or a folder of WAV ...
    """

    data: str | None = None
    test_data: str | None = None
    valid: float = 0.1
    longest: int | None = None
    pool: int = 1
    classes: str | None = None
    label_last: bool = False
    standardise: bool = True

    source: ClassVar[str] = "Warden 2018 (arXiv 1804.03209); Dau et al. 2019 (arXiv 1810.07758); Bagnall et al. 2018"
    reads_by: ClassVar[Mapping[str, Any]] = {"classes": [str], "label_last": bool}
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 32,
        "steps": 2000,
        "clip": 1.0,
    }

    def __post_init__(self) -> None:
        if self.data is None:
            raise InvalidArgument(
                f"series are needed: --data FILE ({', '.join(READERS)}) or a folder of WAV files, a folder a class"
            )
        self.whole("pool", 1)
        if self.longest is not None:
            self.whole("longest", 1)
        if not 0 < self.valid < 0.5:
            raise InvalidArgument(f"valid must be a share between 0 and 0.5; got {self.valid}")
        for path in (self.data, self.test_data):
            if path is not None and not Path(path).expanduser().exists():
                raise InvalidArgument(f"there is no file or folder {path}")

    @cached_property
    def parts(self) -> dict[Split, SplitRows]:
        path = Path(self.data or "").expanduser()
        parts = self._folder(path) if path.is_dir() else self._files(path)
        for split in SPLITS:
            if not len(parts[split].rows):
                raise InvalidArgument(f"{path} leaves no series for the {split} part")
        _refuse_no_classes(path, [part.source.labels[row] for part in parts.values() for row in part.rows])
        if len({part.source[int(part.rows[0])].shape[1] for part in parts.values()}) > 1:
            raise InvalidArgument(f"the parts of {path} have different numbers of channels")
        return parts

    def _folder(self, path: Path) -> dict[Split, SplitRows]:
        source = Recordings(path, self._classes_kept)
        if not source.listed:
            return self._deal(source)
        valid, test = (np.array(source.listed[split], dtype=int) for split in SPLITS[1:])
        rest = np.setdiff1d(np.arange(len(source)), np.concatenate([valid, test]))
        return {"train": SplitRows(source, rest), "valid": SplitRows(source, valid), "test": SplitRows(source, test)}

    def _files(self, path: Path) -> dict[Split, SplitRows]:
        found = self._read(path)
        test_path = Path(self.test_data).expanduser() if self.test_data else _beside(path)
        if test_path is not None:
            found["test"] = next(iter(self._read(test_path).values()))
        train = found.get("train", found.get(""))
        if train is None:
            raise InvalidArgument(f"{path} has no training part")
        given: dict[Split, SplitRows] = {}
        for split in SPLITS[1:]:
            if split in found:
                given[split] = SplitRows(found[split], self._rows_of(found[split]))
        return self._deal(train, given)

    def _read(self, path: Path) -> dict[str, SeriesSet]:
        kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
        if kind == ".npz":
            return dict(npz(path))
        if kind == ".ts":
            return {"": ts(path)}
        if kind in READERS:
            return {"": csv(path, self.label_last)}
        raise InvalidArgument(f"{path} is none of {', '.join(READERS)}, nor a folder")

    @property
    def _classes_kept(self) -> list[str] | None:
        return None if self.classes is None else [name.strip() for name in self.classes.split(",")]

    def _rows_of(self, source: SeriesSet | Recordings) -> np.ndarray:
        kept = self._classes_kept
        return np.array([row for row, label in enumerate(source.labels) if kept is None or label in kept], dtype=int)

    def _deal(
        self, source: SeriesSet | Recordings, given: dict[Split, SplitRows] | None = None
    ) -> dict[Split, SplitRows]:
        """The splits that are not given, dealt out from what the training part has."""
        rows = self._rows_of(source)
        rows = rows[order(0, 0, len(rows))] if len(rows) else rows
        parts, share = dict(given or {}), max(1, round(self.valid * len(rows)))
        for split in SPLITS[1:]:
            if split not in parts:
                parts[split], rows = SplitRows(source, rows[:share]), rows[share:]
        parts["train"] = SplitRows(source, np.sort(rows))
        return parts

    @cached_property
    def class_names(self) -> list[str]:
        """The classes, in the order of their numbers in the answers."""
        return by_name([part.source.labels[row] for part in self.parts.values() for row in part.rows])

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.class_names)}

    @cached_property
    def _scales(self) -> tuple[np.ndarray, np.ndarray] | None:
        """Mean and deviation of each channel over the training part."""
        source, rows = self.parts["train"]
        if not self.standardise or isinstance(source, Recordings):
            return None
        time = sum(len(source[row]) for row in rows)
        mean = np.sum([source[row].sum(0, dtype=np.float64) for row in rows], axis=0) / time
        variance = np.sum([((source[row] - mean) ** 2).sum(0) for row in rows], axis=0) / time
        return mean, np.where(variance > 0, np.sqrt(variance), 1.0)

    @property
    def input_size(self) -> int:
        part = self.parts["train"]
        return part.source[int(part.rows[0])].shape[1]

    @property
    def output_size(self) -> int:
        return len(self.class_names)

    @cached_property
    def length(self) -> int:
        longest = 0
        for source, rows in self.parts.values():
            if isinstance(source, Recordings):
                return self.longest or max(1, source.rate // self.pool)
            longest = max(longest, int(source.lengths()[rows].max()))
        pooled = max(1, longest // self.pool)
        return min(pooled, self.longest or pooled)

    def rows(self, split: Split) -> int:
        return len(self.parts[split].rows)

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        source, mine = self.parts[split]
        series = [self._prepare(source[row]) for row in mine[rows]]
        lengths = [len(one) for one in series]
        inputs = np.zeros((len(series), max(lengths), self.input_size), dtype=np.float32)
        for padded, one in zip(inputs, series, strict=True):
            padded[: len(one)] = one
        targets = torch.tensor([self._numbers[source.labels[row]] for row in mine[rows]])
        ragged = torch.tensor(lengths) if min(lengths) < max(lengths) else None
        return Batch(torch.from_numpy(inputs), targets, lengths=ragged)

    def _prepare(self, one: np.ndarray) -> np.ndarray:
        if not len(one):
            raise InvalidArgument(f"{self.data} holds a series without samples")
        one = pooled(one, self.pool)[: self.length]
        if self._scales is None:
            return one
        mean, deviation = self._scales
        return ((one - mean) / deviation).astype(np.float32)

    def prepares(self) -> dict[str, Any]:
        scales = dict(zip(("mean", "deviation"), (each.tolist() for each in self._scales or ()), strict=False))
        reading = {"pool": self.pool, "longest": self.length, "label_last": self.label_last}
        return {"classes": self.class_names, **reading, **scales}

    @classmethod
    def read_new(cls, path: Path, facts: Mapping[str, Any], *, labelled: bool) -> NewData:
        new = new_series(path, labelled=labelled, label_last=facts["label_last"])
        for name, label in zip(new.names, new.given, strict=False):
            if label not in facts["classes"]:
                known = shown(", ".join(facts["classes"]))
                raise InvalidArgument(
                    f"{path}, {name}: {shown(label)} is no class of the training ({known}); "
                    "series without classes need --unlabelled"
                )
        return new

    def fingerprint(self) -> str:
        sources = {id(part.source): part.source for part in self.parts.values()}
        return " ".join(source.fingerprint() for source in sources.values())


FRACTIONS = 10
"""Classes that are called by fractions, such as 0.5, up to which they are taken for classes."""


def _refuse_no_classes(path: Path, labels: list[str]) -> None:
    """Complain of labels that distinguish nothing, or every series, or that are measurements."""
    found = sorted(set(labels))
    hint = "the class is the first of each line, or the last with --label-last"
    if len(found) < 2:
        raise InvalidArgument(f"{path} has one class only, {shown(found[0])}: there is nothing to tell apart")
    if len(found) > max(2, len(labels) / 2):
        raise InvalidArgument(
            f"{path} has {len(found)} classes for {len(labels)} series: these are names or numbers of the series, "
            f"not classes; {hint}"
        )
    if len(found) > FRACTIONS and any(_is_fraction(label) for label in found):
        raise InvalidArgument(f"{path} has {len(found)} classes, fractions among them: these are values; {hint}")


def _is_fraction(label: str) -> bool:
    try:
        return not float(label).is_integer()
    except (ValueError, OverflowError):
        return False


def _beside(path: Path) -> Path | None:
    """The test file of a training file: NAME_TEST.ts for NAME_TRAIN.ts."""
    name = path.name.replace("_TRAIN", "_TEST")
    return path.with_name(name) if name != path.name and path.with_name(name).is_file() else None


TASK = LabelledSeries
