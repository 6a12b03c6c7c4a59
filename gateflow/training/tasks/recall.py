"""Recall: one number, to be said again after a lag (the problem of theory.md, eq. 14, as a task)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import l1_loss

from gateflow.training.task import Batch, Split
from gateflow.training.tasks._answers import NumberTask
from gateflow.training.tasks._rows import Drawn, draws


@dataclass(frozen=True)
class Recall(Drawn, NumberTask):
    """A number ``s ~ N(0, 1)`` among zeros, L steps before the last one; the answer after the last one is s.

    The lag L is drawn from 1 to ``horizon``; the sequence has ``horizon`` + 1 steps. The loss is ``|answer - s|``: who
    answers 0 loses ``E|s| = sqrt(2/pi)``, :attr:`chance`.

    Parameters
    ----------
    horizon : int
        T, the longest lag.
    held_out : int
        Rows of the validation and of the test split.

    Examples
    --------
    >>> batch = Recall(horizon=5).batch("train", 0, 4, seed=0)
    >>> batch.inputs.shape, batch.targets.shape
    (torch.Size([4, 6, 1]), torch.Size([4, 1]))
    >>> bool((batch.inputs.sum(1) == batch.targets).all()), bool((batch.inputs[:, -1] == 0).all())
    (True, True)
    """

    horizon: int = 100
    held_out: int = 1000

    source: ClassVar[str] = "docs/theory.md, eq. 14: a unit that holds one number over a lag"
    defaults: ClassVar[Mapping[str, Any]] = {"hidden": 8, "optimizer": "rmsprop", "lr": 3e-3, "batch": 32}
    off = staticmethod(l1_loss)
    below: ClassVar[float] = 0.15

    def __post_init__(self) -> None:
        self.whole("horizon", 1)
        self.whole("held_out", 1)

    @property
    def input_size(self) -> int:
        return 1

    @property
    def output_size(self) -> int:
        return 1

    @property
    def length(self) -> int:
        return self.horizon + 1

    @property
    def chance(self) -> float:
        return math.sqrt(2 / math.pi)

    def blind(self, targets: Tensor) -> float:
        return float(targets.abs().mean())

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        inputs = np.zeros((len(rows), self.length, 1), dtype=np.float32)
        targets = np.zeros((len(rows), 1), dtype=np.float32)
        for sequence, target, row in zip(inputs, targets, rows, strict=True):
            rng = draws(seed, split, int(row))
            lag = rng.integers(1, self.horizon + 1)
            target[0] = sequence[self.horizon - lag, 0] = rng.standard_normal(dtype=np.float32)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets))


TASK = Recall
