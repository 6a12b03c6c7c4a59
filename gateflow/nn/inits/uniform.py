"""Uniform gate initialisation (Gu, Gulcehre, Paine, Hoffman and Pascanu, ICML 2020, arXiv 1910.09890)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.initialiser import Initialiser, sites, start, start_forget, start_input, uniform


@dataclass(frozen=True)
class Uniform(Initialiser):
    """``f ~ U(1/d, 1 - 1/d)`` over d units; an input gate and a refine gate start at ``1 - f``.

    For sigmoid gates this is the source's ``b = logit(U(1/d, 1 - 1/d))``, with ``-b`` for the refine gate.

    Parameters
    ----------
    refine : bool
        Without it a refine gate starts at 1/2, as in code that was published later (state-spaces/s4,
        src/models/nn/gate.py:38 to 44).

    Examples
    --------
    >>> from gateflow.nn.cells.lstm import LSTM
    >>> layer = LSTM(2, 64, forget_gate="fast")
    >>> Uniform()(layer, generator=0)
    >>> f = layer.forget_gate(layer.bias_ih_l0[layer.rows("forget")])
    >>> bool((f > 1 / 65).all() and (f < 64 / 65).all())
    True
    """

    refine: bool = True

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        d = cell.hidden_size
        if d < 2:
            raise InvalidArgument("the uniform gate initialisation needs at least 2 units")
        for _, suffix in sites(cell):
            f = uniform(d, 1 / d, 1 - 1 / d, generator)
            start_forget(cell, suffix, f=f)
            start_input(cell, suffix, 1 - f)
            if "refine" in cell.blocks and self.refine:
                start(cell, suffix, "refine", complement=f)


INIT = Uniform
