"""minLSTM (Feng et al., Were RNNs All We Needed?, arXiv 2410.01201): two gates of the input, divided by their sum."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gateflow.nn.linear._layer import AnyGate, LinearRecurrence, affine


class MinLSTM(LinearRecurrence):
    """``h_t = a h_(t-1) + (1 - a) c`` with ``a = f/(f + i)``, f and i gates of the input.

    Parameters
    ----------
    input_size, hidden_size : int
    decay_gate : str, Gate or GateFunction
        Of both f and i.
    bias, positive, batch_first, device, dtype
        As for `MinGRU`.

    Examples
    --------
    >>> layer = MinLSTM(3, 5)
    >>> layer(torch.zeros(7, 2, 3))[0].shape
    torch.Size([7, 2, 5])
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        decay_gate: AnyGate = "sigmoid",
        *,
        bias: bool = True,
        positive: bool = False,
        batch_first: bool = False,
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, decay_gate, batch_first)
        self.positive = positive
        self.projection = affine(input_size, 3 * hidden_size, bias, options)

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        f, i, candidate = self.projection(x).chunk(3, -1)
        log_ratio = self.decay_gate.log(i) - self.decay_gate.log(f)
        if self.positive:
            candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        return -F.softplus(log_ratio), torch.sigmoid(log_ratio) * candidate
