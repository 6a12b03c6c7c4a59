"""What both copying tasks share: symbols out of an alphabet, a blank and a signal."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import Drawn


@dataclass(frozen=True)
class Symbols(Drawn, Choice):
    """Symbols to be kept over ``horizon`` steps.

    Parameters
    ----------
    horizon : int
        T; what it counts, each task says.
    symbols, alphabet : int
        How many symbols, and out of how many kinds.
    held_out : int
        Rows of the validation and of the test split.
    """

    horizon: int = 100
    symbols: int = 10
    alphabet: int = 8
    held_out: int = 1000

    every_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.whole("horizon", 1)
        self.whole("symbols", 1)
        self.whole("alphabet", 2, 2**16)
        self.whole("held_out", 1)

    @property
    def blank(self) -> int:
        return self.alphabet

    @property
    def signal(self) -> int:
        return self.alphabet + 1

    @property
    def input_size(self) -> int:
        return self.alphabet + 2

    def shown(self, tokens: np.ndarray) -> Tensor:
        """Tokens as the network is given them: one feature a token."""
        return one_hot(torch.from_numpy(tokens), self.input_size).float()
