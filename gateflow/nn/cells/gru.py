"""Gated recurrent unit with any gate on update and reset (Cho et al., EMNLP 2014, arXiv 1406.1078).

::

    r = phi_r(W_r x + b_r + U_r h + b'_r)        z = phi_z(W_z x + b_z + U_z h + b'_z)
    n = tanh(W_n x + b_n + r (U_n h + b'_n))     h <- (1 - z) n + z h

The update gate z holds the state: it is to the GRU what the forget gate is to the LSTM.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from gateflow.nn.cells._contract import (
    AnyGate,
    GateFunction,
    Recurrent,
    State,
    Tensor,
    Values,
    Weights,
    flat,
    is_sigmoid,
)
from gateflow.nn.kernels.native import LAYOUTS, Plan


class GRU(Recurrent):
    """GRU layers with the interface and the parameter layout of ``torch.nn.GRU``: state dicts go both ways.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.cells._contract.Recurrent`.
    update_gate, reset_gate : str or Gate
        Names, formulas or gates.

    Examples
    --------
    >>> output, h = GRU(2, 8, update_gate="fast")(torch.randn(5, 3, 2))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 8]), torch.Size([1, 3, 8]))
    """

    blocks = ("reset", "update", "candidate")
    forget_block: ClassVar[str | None] = "update"
    update_gate: GateFunction
    reset_gate: GateFunction

    def __init__(
        self, *layout: Any, update_gate: AnyGate = "sigmoid", reset_gate: AnyGate = "sigmoid", **options: Any
    ) -> None:
        super().__init__(*layout, gates={"update": update_gate, "reset": reset_gate}, **options)

    def project(self, data: Tensor, weights: Weights) -> Tensor:
        """With the input's bias only: the reset gate multiplies the other one."""
        return F.linear(data, weights.ih, weights.bias_ih)

    def step(self, x: Tensor, state: State, weights: Weights) -> tuple[State, Values]:
        (h,) = state
        x_r, x_z, x_n = x.chunk(3, dim=1)
        h_r, h_z, h_n = F.linear(h, weights.hh, weights.bias_hh).chunk(3, dim=1)
        z = x_z + h_z
        reset, update = self.reset_gate(x_r + h_r), self.update_gate(z)
        candidate = torch.tanh(x_n + reset * h_n)
        h = self.update_gate.complement(z) * candidate + update * h
        return (h,), {"reset": reset, "update": update, "candidate": candidate, "update_z": z}

    def in_framework(self) -> bool:
        """Where both gates are the plain sigmoid."""
        return all(map(is_sigmoid, self.gates().values()))

    def framework(
        self, data: Tensor, sizes: Tensor | None, state: State, weights: Sequence[Weights]
    ) -> tuple[Tensor, State]:
        settings = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        if sizes is not None:
            output, final = torch.gru(data, sizes, state[0], flat(weights), *settings)
        else:
            output, final = torch.gru(data, state[0], flat(weights), *settings, False)
        return output, (final,)

    def plan(self) -> Plan:
        return Plan(LAYOUTS["gru"], (self.update_gate, self.reset_gate))


CELL = GRU
