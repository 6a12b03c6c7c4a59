"""Associative recall: pairs of keys and values, then every key is asked for its value (Arora et al. 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch.nn.functional import one_hot

from gateflow.errors import InvalidArgument
from gateflow.training.task import Batch, Split
from gateflow.training.tasks._rows import draws, whole
from gateflow.training.tasks._symbols import SymbolRows


@dataclass(frozen=True)
class AssociativeRecall(SymbolRows):
    """``pairs`` keys, each followed by its value; then ``horizon`` steps, at which every key is asked for once.

    The keys of a sequence differ, their values are drawn on their own, and queries stand at random steps in random
    order, blanks between. Only the answers to queries count; who knows no pair has the loss ``log(alphabet)``, which
    :attr:`chance` is.

    Parameters
    ----------
    horizon : int
        Steps among which the queries are scattered; the sequence has 2 ``pairs`` more.
    pairs : int
        From 1 to ``horizon`` and ``alphabet``.
    alphabet : int
        How many keys there are, and how many values.
    held_out : int
        Rows of the validation and of the test split.

    Notes
    -----
    S. Arora et al., Zoology: measuring and improving recall in efficient language models (2023), where there are 4096
    keys and as many values, and queries come sooner rather than later, by a power law; here at any step alike.

    Examples
    --------
    >>> batch = AssociativeRecall(horizon=4, pairs=2, alphabet=3).batch("train", 0, 1, seed=0)
    >>> given = batch.inputs.argmax(-1)[0].tolist()  # keys are 0, 1, 2, values 3, 4, 5, the blank is 6
    >>> values = dict(zip(given[0:4:2], given[1:4:2]))
    >>> asked = [t for t in range(4, 8) if given[t] != 6]
    >>> [values[given[t]] - 3 for t in asked] == [batch.targets[0, t].item() for t in asked]
    True
    """

    horizon: int = 64
    pairs: int = 8
    alphabet: int = 16
    held_out: int = 1000

    source: ClassVar[str] = "Arora et al. 2023 (arXiv 2312.04927)"
    every_step: ClassVar[bool] = True
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 64,
        "steps": 10_000,
    }

    def __post_init__(self) -> None:
        whole("horizon", self.horizon, 1)
        whole("pairs", self.pairs, 1)
        whole("alphabet", self.alphabet, 2, 2**15)
        whole("held_out", self.held_out, 1)
        for name in ("horizon", "alphabet"):
            if self.pairs > getattr(self, name):
                raise InvalidArgument(f"pairs must not exceed the {name} of {getattr(self, name)}; got {self.pairs}")

    @property
    def input_size(self) -> int:
        return 2 * self.alphabet + 1

    @property
    def output_size(self) -> int:
        return self.alphabet

    @property
    def length(self) -> int:
        return 2 * self.pairs + self.horizon

    @property
    def chance(self) -> float:
        return math.log(self.alphabet)

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        tokens = np.full((len(rows), self.length), 2 * self.alphabet)
        targets = np.zeros_like(tokens)
        told = 2 * self.pairs
        for sequence, answer, row in zip(tokens, targets, rows, strict=True):
            rng = draws(seed, split, int(row))
            keys = rng.choice(self.alphabet, self.pairs, replace=False)
            values = rng.integers(self.alphabet, size=self.pairs)
            sequence[0:told:2], sequence[1:told:2] = keys, self.alphabet + values
            places = told + rng.choice(self.horizon, self.pairs, replace=False)
            sequence[places], answer[places] = keys, values
        asked = torch.from_numpy(tokens < self.alphabet)
        asked[:, :told] = False
        return Batch(one_hot(torch.from_numpy(tokens), self.input_size).float(), torch.from_numpy(targets), asked)

    @staticmethod
    def asked(row: Sequence[int], kinds: int) -> tuple[list[int], list[int]]:
        alphabet = kinds // 2
        steps: list[int] = []
        answers: list[int] = []
        known: dict[int, int] = {}
        for t, (token, after) in enumerate(zip(row, [*row[1:], kinds - 1], strict=True)):
            if token < alphabet <= after < kinds - 1:  # a key and its value
                known[token] = after - alphabet
            elif token < alphabet:
                steps.append(t)
                answers += [known[token]] if token in known else []
        return steps, answers

    def solved(self, measures: Mapping[str, float]) -> bool:
        return measures["accuracy"] > 0.99


TASK = AssociativeRecall
