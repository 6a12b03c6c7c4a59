"""The copying problem: symbols, a long wait, then the symbols again (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from gateflow.training.task import Batch, Split
from gateflow.training.tasks._answers import wide
from gateflow.training.tasks._rows import draws
from gateflow.training.tasks._symbols import Symbols


@dataclass(frozen=True)
class Copying(Symbols):
    """Symbols, ``horizon`` - 1 blanks, a signal, and as many blanks as there were symbols, in which to repeat them.

    The answer is a blank until the signal has come: an answer a step, of which all count. Who says blanks, then guesses
    the symbols, has the loss ``symbols log(alphabet) / (horizon + 2 symbols)``, which :attr:`chance` is.

    Parameters
    ----------
    horizon : int
        T, the steps between the last symbol and the first answer; the sequence has T + 2 ``symbols`` steps.
    symbols, alphabet : int
        How many symbols, and out of how many kinds.
    held_out : int
        Rows of the validation and of the test split.

    Notes
    -----
    In this form by M. Arjovsky, A. Shah, Y. Bengio, Unitary evolution recurrent neural networks (ICML 2016), §4.1.
    The measure ``recalled`` is the share of the symbols that are right; the blanks before them say nothing.

    Examples
    --------
    >>> task = Copying(horizon=5, symbols=3)
    >>> batch = task.batch("train", 0, 1, seed=0)
    >>> given, wanted = batch.inputs.argmax(-1)[0].tolist(), batch.targets[0].tolist()
    >>> given[3:], wanted[:8]
    ([8, 8, 8, 8, 9, 8, 8, 8], [8, 8, 8, 8, 8, 8, 8, 8])
    >>> given[:3] == wanted[8:]
    True
    """

    source: ClassVar[str] = "Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016 (arXiv 1511.06464)"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "optimizer": "rmsprop",
        "lr": 1e-3,
        "batch": 64,
        "steps": 10_000,
        "clip": 1.0,
    }
    score: ClassVar[str] = "loss"
    better: ClassVar[Literal["lower", "higher"]] = "lower"

    @property
    def output_size(self) -> int:
        return self.alphabet + 1

    @property
    def length(self) -> int:
        return self.horizon + 2 * self.symbols

    @property
    def chance(self) -> float:
        return self.symbols * math.log(self.alphabet) / self.length

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        symbols = np.stack([draws(seed, split, int(row)).integers(self.alphabet, size=self.symbols) for row in rows])
        tokens = np.full((len(rows), self.length), self.blank)
        targets = tokens.copy()
        tokens[:, : self.symbols] = targets[:, -self.symbols :] = symbols
        tokens[:, -self.symbols - 1] = self.signal
        return Batch(self.shown(tokens), torch.from_numpy(targets))

    @staticmethod
    def asked(row: Sequence[int], kinds: int) -> tuple[list[int], list[int]]:
        blank, signal = kinds - 2, kinds - 1
        end = row.index(signal) if signal in row else len(row)
        return list(range(end + 1, len(row))), [token for token in row[:end] if token < blank]

    def measures(self, answers: Tensor, batch: Batch) -> dict[str, tuple[float, float]]:
        said = wide(answers.detach())[:, -self.symbols :].argmax(-1)
        right = said == batch.targets[:, -self.symbols :]
        return super().measures(answers, batch) | {"recalled": (float(right.sum()), float(right.numel()))}

    def solved(self, measures: Mapping[str, float]) -> bool:
        return measures["recalled"] > 0.99


TASK = Copying
