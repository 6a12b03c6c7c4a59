"""The same forget bias for all units (Gers, Schmidhuber and Cummins 2000; Jozefowicz et al. 2015 for 1)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.initialiser import Initialiser, sites


@dataclass(frozen=True)
class Constant(Initialiser):
    """``b_f = bias``; with equal biases different gates start at different f, see :mod:`gateflow.nn.inits.matched`.

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 3)
    >>> Constant(1.0)(layer)
    >>> layer.bias_ih_l0[layer.rows("forget")].tolist()
    [1.0, 1.0, 1.0]
    """

    bias: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.bias):
            raise InvalidArgument(f"bias must be finite; got {self.bias}")

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        for _, suffix in sites(cell):
            cell.set_bias(
                str(cell.forget_block), suffix, torch.full((cell.hidden_size,), float(self.bias), device="cpu")
            )


INIT = Constant
