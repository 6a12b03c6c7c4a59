"""minLSTM (Feng et al., Were RNNs All We Needed?, arXiv 2410.01201): two gates of the input, divided by their sum."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gateflow.nn.linear._layer import TowardsCandidate


class MinLSTM(TowardsCandidate):
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

    PARTS = 3

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        f, i, candidate = self.parts(x)
        log_i, log_f = self.decay_gate.log(i), self.decay_gate.log(f)
        log_ratio = torch.where((log_i == log_f) & log_i.isinf(), _of_the_larger(i, f), log_i - log_f)
        return -F.softplus(log_ratio), torch.sigmoid(log_ratio) * candidate

    def set_bias(self, values: Tensor) -> None:
        """Let the pre-activation of f be these values where the input gives nothing, or those of f and i."""
        if len(values) == self.state_size and self.projection.bias is not None:
            values = torch.cat([values, self.projection.bias[self.state_size : 2 * self.state_size].to(values)])
        super().set_bias(values)

    def start_decay(self, value: np.ndarray | None = None, complement: np.ndarray | None = None) -> None:
        """Let f be ``value``, or ``1 - complement``, and i be the rest, where the input gives nothing."""
        gate = self.decay_gate.gate
        if value is not None:
            z = gate.inverse(value), gate.inverse_c(value)
        else:
            z = gate.inverse_c(complement), gate.inverse(complement)
        self.set_bias(torch.as_tensor(np.concatenate(z), device="cpu"))


def _of_the_larger(i: Tensor, f: Tensor) -> Tensor:
    """The limit of ``log(gate(i)/gate(f))`` where both are 0 in floats."""
    return torch.where(i == f, 0.0, torch.where(i > f, torch.inf, -torch.inf)).to(i.dtype)


CELL = MinLSTM
