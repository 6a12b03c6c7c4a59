"""The adding problem: the sum of the two numbers that are marked (Hochreiter and Schmidhuber 1997)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from gateflow.training.task import Batch, Split
from gateflow.training.tasks._answers import NumberTask
from gateflow.training.tasks._rows import Drawn, draws


@dataclass(frozen=True)
class Adding(Drawn, NumberTask):
    """Numbers from U(0, 1), one marked in each half; the answer is the sum of the two marked ones.

    Who answers 1, whatever the input, has a mean squared error of 1/6, the variance of the sum of two U(0, 1):
    :attr:`chance`.

    Parameters
    ----------
    horizon : int
        T, the length of the sequence.
    held_out : int
        Rows of the validation and of the test split.

    Notes
    -----
    In this form by M. Arjovsky, A. Shah, Y. Bengio, Unitary evolution recurrent neural networks (ICML 2016), §4.2; the
    first form is experiment 4 of S. Hochreiter, J. Schmidhuber, Long short-term memory (Neural Computation 9, 1997).

    Examples
    --------
    >>> batch = Adding(horizon=50).batch("train", 0, 4, seed=0)
    >>> batch.inputs.shape, batch.targets.shape
    (torch.Size([4, 50, 2]), torch.Size([4, 1]))
    >>> values, marks = batch.inputs.unbind(-1)
    >>> bool(((values * marks).sum(1) == batch.targets[:, 0]).all())
    True
    """

    horizon: int = 100
    held_out: int = 1000

    source: ClassVar[str] = "Hochreiter and Schmidhuber 1997; Arjovsky, Shah and Bengio 2016 (arXiv 1511.06464)"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 64,
        "optimizer": "adam",
        "lr": 5e-3,
        "batch": 32,
        "steps": 2000,
        "clip": 1.0,
    }
    off = staticmethod(mse_loss)
    below: ClassVar[float] = 0.002

    def __post_init__(self) -> None:
        self.whole("horizon", 2, why="one mark in each half")
        self.whole("held_out", 1)

    @property
    def input_size(self) -> int:
        return 2

    @property
    def output_size(self) -> int:
        return 1

    @property
    def length(self) -> int:
        return self.horizon

    @property
    def chance(self) -> float:
        return 1 / 6

    def blind(self, targets: Tensor) -> float:
        return float(targets.var(unbiased=False))

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        inputs = np.zeros((len(rows), self.horizon, 2), dtype=np.float32)
        half = self.horizon // 2
        for sequence, row in zip(inputs, rows, strict=True):
            rng = draws(seed, split, int(row))
            sequence[:, 0] = rng.random(self.horizon, dtype=np.float32)
            sequence[[rng.integers(half), rng.integers(half, self.horizon)], 1] = 1
        targets = np.einsum("bt,bt->b", inputs[..., 0], inputs[..., 1])
        return Batch(torch.from_numpy(inputs), torch.from_numpy(targets)[:, None])


TASK = Adding
