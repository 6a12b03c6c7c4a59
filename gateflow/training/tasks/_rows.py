"""Tasks whose rows stand alone: row n of a split is a pure function of the seed and of n.

Philox is a generator by counter: the seed is its key, the split and the row are its counter, so any row is drawn
without those before it, and a batch of 64 is two batches of 32. NumPy keeps Philox' own bits for good; what its
distributions make of them may change with a version of NumPy (NEP 19), which the record of a run names.

Source: J. K. Salmon et al., Parallel random numbers: as easy as 1, 2, 3 (SC 2011).
"""

from __future__ import annotations

from abc import abstractmethod
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator, Philox, SeedSequence

from gateflow.errors import InvalidArgument, shown
from gateflow.guards.arguments import whole
from gateflow.training.data.series import UNKNOWN, new
from gateflow.training.task import Batch, NewData, Split, Task

SPLITS: tuple[Split, ...] = ("train", "valid", "test")
_ROWS, _ORDERS = 0, 1  # what a stream is for; two uses never share a counter


def new_series(path: Path, *, labelled: bool, label_last: bool = False) -> NewData:
    """The series of a file; their classes where these are known."""
    found = new(path, labelled=labelled, label_last=label_last)
    names = tuple(f"series {n}" for n in range(1, len(found) + 1))
    given = () if UNKNOWN in found.labels else tuple(found.labels)
    return NewData([found[row] for row in range(len(found))], names, given)


def check_request(split: Any, number: Any, size: Any, seed: Any) -> tuple[Split, int, int, int]:
    """The arguments of :meth:`Task.batch`, checked."""
    if split not in SPLITS:
        raise InvalidArgument(f"split must be one of {', '.join(SPLITS)}; got {shown(split)}")
    most = 2**32 - 1  # so that number * size and the epochs stay well inside a counter's 64 bits
    return split, whole("number", number, 0, most), whole("size", size, 1, 2**24), whole("seed", seed, 0)


@lru_cache(maxsize=8)
def _key(seed: int) -> np.ndarray:
    key = SeedSequence(seed).generate_state(2, np.uint64)
    key.flags.writeable = False  # it is shared by all that ask for it
    return key


class _Nothing(np.random.bit_generator.ISeedSequence):
    """A seed for what is set at once: without one, a generator asks the system, which takes three times as long."""

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        return np.zeros(n_words, dtype)


_NOTHING: Any = _Nothing()
_EMPTY = np.zeros(4, np.uint64)


def _stream(seed: int, use: int, split: Split, number: int) -> Generator:
    made, counter = Philox(_NOTHING), np.array([0, number, SPLITS.index(split), use], dtype=np.uint64)
    at: Any = {"bit_generator": "Philox", "state": {"counter": counter, "key": _key(seed)}}
    made.state = at | {"buffer": _EMPTY, "buffer_pos": 4, "has_uint32": 0, "uinteger": 0}
    return Generator(made)


def draws(seed: int, split: Split, row: int) -> Generator:
    """The generator of one row.

    Examples
    --------
    >>> draws(0, "train", 7).random() == draws(0, "train", 7).random() != draws(0, "train", 8).random()
    True
    """
    return _stream(seed, _ROWS, split, row)


@lru_cache(maxsize=4)
def order(seed: int, number: int, count: int) -> np.ndarray:
    """Permutation ``number`` of ``count`` things; read-only, for it is kept.

    Examples
    --------
    >>> sorted(order(0, 3, 5).tolist())
    [0, 1, 2, 3, 4]
    """
    permutation = _stream(seed, _ORDERS, "train", number).permutation(count)
    permutation.flags.writeable = False
    return permutation


class Rows(Task):
    """A task that can make any of its rows alone. Finite training splits are shuffled anew each epoch."""

    @abstractmethod
    def rows(self, split: Split) -> int | None:
        """Rows of a split; None for a training split without end."""

    @abstractmethod
    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        """These rows as one batch."""

    def batches(self, split: Split, size: int) -> int | None:
        rows = self.rows(split)
        return None if rows is None else -(-rows // size)

    def batch(self, split: Split, number: int, size: int, seed: int) -> Batch:
        split, number, size, seed = check_request(split, number, size, seed)
        rows = np.arange(number * size, (number + 1) * size)
        count = self.rows(split)
        if count is not None:
            if count == 0:
                raise IndexError(f"the {split} split has no rows")
            rows = _shuffle(rows, count, seed) if split == "train" else rows[rows < count]
        if not len(rows):
            raise IndexError(f"the {split} split ends before batch {number}: it has {count} rows, {size} a batch")
        return self.take(split, rows, seed)


def _shuffle(positions: np.ndarray, count: int, seed: int) -> np.ndarray:
    epochs, places = positions // count, positions % count
    taken = np.empty_like(positions)
    for epoch in np.unique(epochs):
        now = epochs == epoch
        taken[now] = order(seed, int(epoch), count)[places[now]]
    return taken


class Drawn(Rows):
    """Rows that are drawn, without end for training. ``held_out`` is a field of each such task."""

    held_out: int

    def rows(self, split: Split) -> int | None:
        return None if split == "train" else self.held_out
