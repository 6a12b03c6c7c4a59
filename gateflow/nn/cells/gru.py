"""Gated recurrent unit with any gate on update and reset (Cho et al., EMNLP 2014, arXiv 1406.1078).

::

    r = phi_r(W_r x + b_r + U_r h + b'_r)        z = phi_z(W_z x + b_z + U_z h + b'_z)
    n = tanh(W_n x + b_n + r (U_n h + b'_n))     h <- (1 - z) n + z h

The update gate z holds the state: it is to the GRU what the forget gate is to the LSTM.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from gateflow.nn.kernels.layout import Block, Layout, shared
from gateflow.nn.recurrent import AnyGate, Blocks, GateFunction, Recurrent, State, Values


class GRU(Recurrent):
    """GRU layers with the interface and the parameter layout of ``torch.nn.GRU``: state dicts go both ways.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`.
    update_gate, reset_gate : str or Gate
        Names, formulas or gates.

    Examples
    --------
    >>> output, h = GRU(2, 8, update_gate="fast")(torch.randn(5, 3, 2))
    >>> output.shape, h.shape
    (torch.Size([5, 3, 8]), torch.Size([1, 3, 8]))
    """

    blocks = ("reset", "update", "candidate")
    layout = Layout(
        # the reset gate multiplies the state's part of the candidate before the input's part is added
        (Block("remembered", None, 2), *shared("reset", "update"), Block("candidate", 2, None)),
        kernel="gru",
        gates=("update", "reset"),
        factors=5,
    )
    forget_block: ClassVar[str | None] = "update"
    pytorch = torch.gru
    update_gate: GateFunction
    reset_gate: GateFunction

    def __init__(
        self, *layout: Any, update_gate: AnyGate = "sigmoid", reset_gate: AnyGate = "sigmoid", **options: Any
    ) -> None:
        super().__init__(*layout, gates={"update": update_gate, "reset": reset_gate}, **options)

    def update(self, z: Blocks, state: State) -> tuple[State, Values]:
        (h,) = state
        reset, update = self.reset_gate(z["reset"]), self.update_gate(z["update"])
        candidate = torch.tanh(z["candidate"] + reset * z["remembered"])
        h = self.update_gate.complement(z["update"]) * candidate + update * h
        return (h,), {"reset": reset, "update": update, "candidate": candidate, "update_z": z["update"]}


CELL = GRU
