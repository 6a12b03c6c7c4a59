"""The same starting value f for all units, whatever the gate (Ohno, Kanai and Ida, AAAI 2023, for the fast gate)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.nn.inits._contract import Initialiser, Seed, sites, start_forget

if TYPE_CHECKING:
    from gateflow.nn.cells._contract import Recurrent


@dataclass(frozen=True)
class Matched(Initialiser):
    """``b_f = phi^-1(f)``; by default f is where the sigmoid starts with ``b_f = 1``.

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 1, forget_gate="fast")
    >>> Matched()(layer)
    >>> print(f"{layer.bias_ih_l0[layer.rows('forget')].item():.6f}")
    0.881374
    """

    f: float = 1.0 / (1.0 + math.exp(-1.0))

    def __post_init__(self) -> None:
        if not 0 < self.f < 1:
            raise InvalidArgument(f"f must lie in (0, 1); got {self.f}")

    def __call__(self, cell: Recurrent, generator: Seed = None) -> None:
        for _, suffix in sites(cell):
            start_forget(cell, suffix, f=np.array(self.f))


INIT = Matched
