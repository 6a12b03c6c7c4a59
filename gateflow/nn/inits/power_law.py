"""Time scales whose mixture decays like a power law (Mahto, Vo, Turek and Huth, ICLR 2021, arXiv 2009.12727)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import stats

from gateflow.nn.initialiser import Initialiser, positive, sites, start_forget, start_input

SHORT = (3.0, 4.0)
"""Time scales of the two halves of the first layer, in steps."""


@dataclass(frozen=True)
class PowerLaw(Initialiser):
    """``f = exp(-1/tau)``, ``i = 1 - f``: tau of 3 and 4 in the first layer, inverse-gamma in the second.

    Further layers are left alone; a single layer gets the second's. For sigmoid gates these are the source's
    ``b_f = -log(exp(1/tau) - 1)``, ``b_i = -b_f``. Of d units the k-th has the quantile ``(k - 1/2)/d`` of the law: the
    source's grid ``k/d`` ends at tau = 0, an infinite bias.

    Parameters
    ----------
    shape, scale : float
        Of the inverse-gamma law.
    fixed : bool
        Freeze the bias vectors of these layers, as the source does (candidate and output biases with them).

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 4, num_layers=2)
    >>> PowerLaw()(layer)
    >>> (-1 / layer.forget_gate(layer.bias_ih_l0[layer.rows("forget")]).log()).round(decimals=3).tolist()
    [3.0, 3.0, 4.0, 4.0]
    """

    shape: float = 0.56
    scale: float = 1.0
    fixed: bool = True

    def __post_init__(self) -> None:
        positive(shape=self.shape, scale=self.scale)

    def timescales(self, layer: int, layers: int, units: int) -> np.ndarray | None:
        """The time scales of one layer in steps, or None for a layer that is left alone."""
        if layer == 0 and layers > 1:
            return np.repeat(SHORT, [units // 2, units - units // 2])
        if layer > 1:
            return None
        return stats.invgamma.isf((np.arange(units) + 0.5) / units, self.shape, scale=self.scale)

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        for layer, suffix in sites(cell):
            tau = self.timescales(layer, cell.num_layers, cell.hidden_size)
            if tau is None:
                continue
            f_c = -np.expm1(-1 / tau)
            start_forget(cell, suffix, f_c=f_c)
            start_input(cell, suffix, f_c)
            if self.fixed:
                for vector in cell.vectors(suffix):
                    vector.requires_grad_(False)


INIT = PowerLaw
