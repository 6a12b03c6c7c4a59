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
        Of both f and i. Where both are 0, or below all floats, the one of the larger pre-activation counts alone; of
        equal ones each counts half.
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
        log_i, log_f = self.decay_gate.log(i), self.decay_gate.log(f)
        log_ratio = torch.where((log_i == log_f) & log_i.isinf(), _of_the_larger(i, f), log_i - log_f)
        if self.positive:
            candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        return -F.softplus(log_ratio), torch.sigmoid(log_ratio) * candidate


def _of_the_larger(i: Tensor, f: Tensor) -> Tensor:
    """The limit of ``log(gate(i)/gate(f))`` where both are 0 in floats."""
    return torch.where(i == f, 0.0, torch.where(i > f, torch.inf, -torch.inf)).to(i.dtype)
