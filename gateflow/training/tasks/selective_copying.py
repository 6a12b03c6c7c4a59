"""Selective copying: symbols scattered among noise, to be repeated in order (Jing et al. 2019; Gu and Dao 2023)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch

from gateflow.errors import InvalidArgument
from gateflow.training.task import Batch, Split
from gateflow.training.tasks._rows import draws
from gateflow.training.tasks._symbols import Symbols


@dataclass(frozen=True)
class SelectiveCopying(Symbols):
    """``symbols`` symbols at random steps among ``horizon`` ones, blanks between, then as many signals to answer in.

    Nothing but the input says where they stand, so no fixed delay solves it: the gates must choose. Only the
    answers to the signals count; who guesses has the loss ``log(alphabet)``, which :attr:`chance` is.

    Parameters
    ----------
    horizon : int
        T, the steps among which the symbols are scattered; the sequence has T + ``symbols`` steps.
    symbols, alphabet : int
        How many symbols, and out of how many kinds.
    held_out : int
        Rows of the validation and of the test split.

    Notes
    -----
    L. Jing et al., Gated orthogonal recurrent units (Neural Computation 31, 2019), the denoise task; in this form by
    A. Gu, T. Dao, Mamba (2023), §4.1.1, where T = 4096 and there are 16 symbols.

    Examples
    --------
    >>> batch = SelectiveCopying(horizon=8, symbols=3, alphabet=4).batch("train", 0, 1, seed=0)
    >>> given, wanted = batch.inputs.argmax(-1)[0].tolist(), batch.targets[0, 8:].tolist()
    >>> given[8:], [symbol for symbol in given[:8] if symbol != 4] == wanted
    ([5, 5, 5], True)
    """

    source: ClassVar[str] = "Jing et al. 2019 (arXiv 1706.02761); Gu and Dao 2023 (arXiv 2312.00752)"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 64,
        "steps": 10_000,
        "clip": 1.0,
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.symbols > self.horizon:
            raise InvalidArgument(f"symbols must not exceed the horizon of {self.horizon}; got {self.symbols}")

    @property
    def output_size(self) -> int:
        return self.alphabet

    @property
    def length(self) -> int:
        return self.horizon + self.symbols

    @property
    def chance(self) -> float:
        return math.log(self.alphabet)

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        tokens = np.full((len(rows), self.length), self.blank)
        tokens[:, self.horizon :] = self.signal
        targets = np.zeros_like(tokens)
        for sequence, answer, row in zip(tokens, targets, rows, strict=True):
            rng = draws(seed, split, int(row))
            places = np.sort(rng.choice(self.horizon, self.symbols, replace=False))
            sequence[places] = answer[self.horizon :] = rng.integers(self.alphabet, size=self.symbols)
        mask = torch.zeros(tokens.shape, dtype=torch.bool)
        mask[:, self.horizon :] = True
        return Batch(self.shown(tokens), torch.from_numpy(targets), mask)

    @staticmethod
    def asked(row: Sequence[int], kinds: int) -> tuple[list[int], list[int]]:
        blank, signal = kinds - 2, kinds - 1
        return [t for t, token in enumerate(row) if token == signal], [token for token in row if token < blank]

    def solved(self, measures: Mapping[str, float]) -> bool:
        return measures["accuracy"] > 0.99


TASK = SelectiveCopying
