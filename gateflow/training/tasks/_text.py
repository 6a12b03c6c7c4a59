"""Language modelling on a text file: which token comes next?"""

from __future__ import annotations

import io
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch

from gateflow.errors import InvalidArgument
from gateflow.training import data
from gateflow.training.task import Batch, Split
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import SPLITS, check_request, draws

UNKNOWN = "<unk>"
BLOCK = 1 << 20


@dataclass(frozen=True)
class TextTask(Choice):
    """A text as a stream of tokens, cut in order: 90 % for training, 5 % for validation, 5 % for the test.

    A batch is ``size`` windows of the text, and the next batch the windows after them; so the state is carried over and
    the gradient cut after ``window`` steps (truncated back-propagation). For training the text is a circle, entered at
    a place that the seed draws and divided evenly among the rows. For validation and test the rows are consecutive
    pieces, each token predicted once; the mask covers what sticks out at the end.

    Parameters
    ----------
    text : str
        The text file, UTF-8, plain or .gz.
    valid_text, test_text : str, optional
        Files for validation and test, both or neither; then all of ``text`` is for training.
    window : int
        Steps in a batch.
    data_dir : str, optional
        The folder in which files are looked for whose names are not absolute; by default the present one.
    """

    text: str | None = None
    valid_text: str | None = None
    test_text: str | None = None
    window: int = 100
    data_dir: str | None = None

    unit: ClassVar[str]
    """What a token is called."""

    tokens: ClassVar[bool] = True
    every_step: ClassVar[bool] = True
    carries: ClassVar[bool] = True
    reads_by: ClassVar[Mapping[str, Any]] = {"classes": [str]}
    better: ClassVar[Literal["lower", "higher"]] = "lower"

    def __post_init__(self) -> None:
        self.whole("window", 1)
        if self.text is None:
            raise InvalidArgument("a text is needed: --text FILE, any text in UTF-8")
        if (self.valid_text is None) != (self.test_text is None):
            raise InvalidArgument("valid_text and test_text are given both or neither")
        for path in self._paths:
            if not path.is_file():
                raise InvalidArgument(f"there is no text file {path}")

    @staticmethod
    @abstractmethod
    def cut(texts: Iterable[str], options: Mapping[str, Any]) -> Iterator[Sequence[str]]:
        """The tokens of a text that comes in pieces, in order, in blocks; ``options`` are those of the task."""

    @staticmethod
    @abstractmethod
    def joined(tokens: Iterable[str]) -> str:
        """The text that tokens make."""

    @staticmethod
    @abstractmethod
    def scored(loss: float) -> float:
        """The score, from the mean loss in nats."""

    @abstractmethod
    def chosen(self, counts: Counter[str]) -> list[str]:
        """The vocabulary, from how often each token is in the training part."""

    def blocks(self, path: Path) -> Iterator[Sequence[str]]:
        """The tokens of a file, in order, in blocks."""
        return self.cut(read(path), vars(self))

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        return dict(means) | {self.score: self.scored(means["loss"])}

    @property
    def _paths(self) -> list[Path]:
        named = [Path(path).expanduser() for path in (self.text, self.valid_text, self.test_text) if path is not None]
        return [Path(self.data_dir or "").expanduser() / path for path in named]

    @cached_property
    def _lengths(self) -> dict[Split, int]:
        """Tokens in each part; reading a text thrice is cheaper than holding it."""
        sizes = [sum(map(len, self.blocks(path))) for path in self._paths]
        if len(sizes) == 1:
            cuts = [0, sizes[0] * 9 // 10, sizes[0] * 19 // 20, sizes[0]]
            sizes = [end - start for start, end in pairwise(cuts)]
        for split, size in zip(SPLITS, sizes, strict=True):
            if size < 2:
                raise InvalidArgument(f"{self._paths[0]} is too short: {size} tokens for the {split} part, 2 at least")
        return dict(zip(SPLITS, sizes, strict=True))

    @cached_property
    def lexicon(self) -> list[str]:
        """The tokens by number; the last, unless it is in the text itself, stands for all others."""
        counts: Counter[str] = Counter()
        for block in _first(self.blocks(self._paths[0]), self._lengths["train"]):
            counts.update(block)
        chosen = self.chosen(counts)
        return chosen if UNKNOWN in chosen else [*chosen, UNKNOWN]

    def prepares(self) -> dict[str, Any]:
        return {"classes": self.lexicon}

    @cached_property
    def _parts(self) -> dict[Split, np.ndarray]:
        numbers = {token: number for number, token in enumerate(self.lexicon)}
        kind = np.min_scalar_type(len(numbers))
        stream = np.empty(sum(self._lengths.values()), dtype=kind)
        at = 0
        for path in self._paths:
            for block in self.blocks(path):
                coded = map(numbers.get, block, repeat(numbers[UNKNOWN]))
                stream[at : at + len(block)] = np.fromiter(coded, kind, len(block))
                at += len(block)
        cuts = np.cumsum([self._lengths[split] for split in SPLITS])[:-1]
        return dict(zip(SPLITS, np.split(stream, cuts), strict=True))

    @property
    def input_size(self) -> int:
        return len(self.lexicon)

    @property
    def output_size(self) -> int:
        return len(self.lexicon)

    @property
    def length(self) -> int:
        return self.window

    @property
    def chance(self) -> float:
        """The entropy in nats of single tokens in the training part."""
        counts = np.bincount(self._parts["train"])
        shares = counts[counts > 0] / counts.sum()
        return float(-(shares * np.log(shares)).sum())

    def _row(self, split: Split, size: int) -> int:
        """Predictions a row: of the circle for training, else of the tokens after the first."""
        count = self._lengths[split] - (split != "train")
        return -(-count // size)

    def batches(self, split: Split, size: int) -> int:
        return -(-self._row(split, size) // self.window)

    def batch(self, split: Split, number: int, size: int, seed: int) -> Batch:
        split, number, size, seed = check_request(split, number, size, seed)
        return self._circling(number, size, seed) if split == "train" else self._passing(split, number, size)

    def _circling(self, number: int, size: int, seed: int) -> Batch:
        stream = self._parts["train"]
        if size > len(stream):
            raise InvalidArgument(f"a batch of {size} rows is more than the {len(stream)} tokens of the training part")
        entry = draws(seed, "train", 0).integers(len(stream))
        starts = entry + np.arange(size) * len(stream) // size + number * self.window
        at = starts[:, None] + np.arange(self.window + 1)
        tokens = torch.from_numpy(stream[at % len(stream)].astype(np.int64))
        return Batch(tokens[:, :-1], tokens[:, 1:])

    def _passing(self, split: Split, number: int, size: int) -> Batch:
        stream, row = self._parts[split], self._row(split, size)
        if number >= self.batches(split, size):
            raise IndexError(
                f"the {split} split ends before batch {number}: it has {self.batches(split, size)} batches"
            )
        columns = np.arange(number * self.window, min((number + 1) * self.window, row))
        at = np.arange(size)[:, None] * row + columns
        real = at < len(stream) - 1
        at[~real] = 0
        inputs, targets = (torch.from_numpy(stream[places].astype(np.int64)) for places in (at, at + 1))
        return Batch(inputs, targets, None if real.all() else torch.from_numpy(real))

    def fingerprint(self) -> str:
        return data.fingerprint(self._paths)


def _first(blocks: Iterable[Sequence[str]], count: int) -> Iterator[Sequence[str]]:
    """The first ``count`` tokens."""
    for block in blocks:
        yield block[:count]
        count -= len(block)
        if count <= 0:
            return


def read(path: Path) -> Iterator[str]:
    """A text, a block at a time; line ends of every kind become "\\n", and a byte order mark is dropped."""
    with data.opened(path) as stream, io.TextIOWrapper(stream, encoding="utf-8-sig") as text:  # type: ignore[type-var]
        try:
            while block := text.read(BLOCK):
                yield block
        except UnicodeDecodeError as error:
            raise InvalidArgument(f"{path} is no text in UTF-8: {error.reason}") from None
