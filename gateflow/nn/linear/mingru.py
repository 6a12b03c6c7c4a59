"""minGRU (Feng et al., Were RNNs All We Needed?, arXiv 2410.01201): a convex step towards a candidate."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gateflow.nn.linear._layer import AnyGate, LinearRecurrence, affine


class MinGRU(LinearRecurrence):
    """``h_t = a h_(t-1) + (1 - a) c`` with ``a = phi(z)``; z and the candidate c are linear in the input.

    Parameters
    ----------
    input_size, hidden_size : int
    decay_gate : str, Gate or GateFunction
        phi. With the sigmoid, z is minus the pre-activation of the paper's update gate.
    bias : bool
    positive : bool
        Whether the candidate goes through ``c + 1/2`` where it is above 0 and ``sigma(c)`` below, as the paper has it
        for its form in logarithms.
    batch_first : bool
    device, dtype
        Of the parameters.

    Examples
    --------
    >>> layer = MinGRU(3, 5, decay_gate="fast")
    >>> output, state = layer(torch.zeros(7, 2, 3))
    >>> output.shape, state.shape
    (torch.Size([7, 2, 5]), torch.Size([2, 5]))
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
        self.projection = affine(input_size, 2 * hidden_size, bias, options)

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        z, candidate = self.projection(x).chunk(2, -1)
        if self.positive:
            candidate = torch.where(candidate >= 0, candidate + 0.5, torch.sigmoid(candidate))
        return self.decay_gate.log(z), self.decay_gate.complement(z) * candidate
