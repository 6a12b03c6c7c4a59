"""Time scales spread geometrically over a range, for any gate (the time constant of f is -1/log f)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.initialiser import Initialiser, positive, sites, start_forget, start_input, uniform


@dataclass(frozen=True)
class ForTimescales(Initialiser):
    """``f = exp(-1/tau)`` with log tau even over ``[log low, log high]``.

    ``1 - f`` is computed without f, so that time scales past 1/eps of the float type keep their bias.

    Parameters
    ----------
    low, high : float
        Time scales in steps.
    random : bool
        Draw log tau from the uniform law instead.
    tied : bool
        Let an input gate start at ``1 - f``.

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 3, forget_gate="fast")
    >>> ForTimescales(1, 1e20)(layer)
    >>> z = layer.bias_ih_l0[layer.rows("forget")]
    >>> print(*(f"{-1 / t:.4g}" for t in layer.forget_gate.log(z.double())))
    1 1e+10 1e+20
    """

    low: float
    high: float
    random: bool = False
    tied: bool = False

    def __post_init__(self) -> None:
        positive(low=self.low, high=self.high)
        if self.low > self.high:
            raise InvalidArgument(f"low must not exceed high; got {self.low} and {self.high}")

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        low, high = np.log(self.low), np.log(self.high)
        for _, suffix in sites(cell):
            units = cell.hidden_size
            log_tau = uniform(units, low, high, generator) if self.random else np.linspace(low, high, units)
            f_c = -np.expm1(-np.exp(-log_tau))
            start_forget(cell, suffix, f_c=f_c)
            if self.tied:
                start_input(cell, suffix, f_c)


INIT = ForTimescales
