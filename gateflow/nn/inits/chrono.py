"""Chrono initialisation (Tallec and Ollivier, ICLR 2018, arXiv 1804.11188)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.initialiser import Initialiser, sites, start_forget, start_input, uniform


@dataclass(frozen=True)
class Chrono(Initialiser):
    """``1 - f = 1/(1 + U)`` with ``U ~ U(1, horizon - 1)``, and ``i = 1 - f``.

    For sigmoid gates this is the source's ``b_f = log U``, ``b_i = -b_f``.

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 64)
    >>> Chrono(100)(layer, generator=0)
    >>> b = layer.bias_ih_l0[layer.rows("forget")].exp()
    >>> bool((b > 1).all() and (b < 99).all())
    True
    """

    horizon: float

    def __post_init__(self) -> None:
        if not 2 < self.horizon < float("inf"):
            raise InvalidArgument(f"chrono needs a horizon of more than 2 steps; got {self.horizon}")

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        for _, suffix in sites(cell):
            f_c = 1 / (1 + uniform(cell.hidden_size, 1.0, self.horizon - 1, generator))
            start_forget(cell, suffix, f_c=f_c)
            start_input(cell, suffix, f_c)


INIT = Chrono
