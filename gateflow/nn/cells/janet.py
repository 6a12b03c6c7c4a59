"""JANET: an LSTM with the forget gate only (van der Westhuizen and Lasenby 2018, arXiv 1804.04849).

::

    s = W_f x + b_f + U_f h + b'_f               g = tanh(W_g x + b_g + U_g h + b'_g)
    c <- phi(s) c + (1 - phi(s - beta)) g        h <- c

beta = 1 in the paper. It is trained there from chrono biases, Adam 1e-3, gradients clipped at 5, hidden size 128.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import torch

from gateflow.nn.kernels.layout import Layout, shared
from gateflow.nn.kernels.native import CompiledCell
from gateflow.nn.recurrent import AnyGate, Blocks, GateFunction, Recurrent, State, Values


class JANET(Recurrent):
    """JANET layers; the state is the cell alone, and the interface that of ``torch.nn.GRU``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`.
    forget_gate : str or Gate
    beta : float
        How far the input part lies below ``1 - f``.

    Examples
    --------
    >>> output, c = JANET(2, 8, forget_gate="fast")(torch.randn(5, 3, 2))
    >>> output.shape, c.shape
    (torch.Size([5, 3, 8]), torch.Size([1, 3, 8]))
    """

    blocks = ("forget", "candidate")
    layout = Layout(shared(*blocks), kernel="janet", gates=("forget",), factors=3)
    states: ClassVar[tuple[str, ...]] = ("cell",)
    forget_block: ClassVar[str | None] = "forget"
    forget_gate: GateFunction

    def __init__(self, *layout: Any, forget_gate: AnyGate = "sigmoid", beta: float = 1.0, **options: Any) -> None:
        super().__init__(*layout, gates={"forget": forget_gate}, **options)
        self.beta = float(beta)

    def update(self, z: Blocks, state: State) -> tuple[State, Values]:
        (c,) = state
        f, g = self.forget_gate(z["forget"]), torch.tanh(z["candidate"])
        i = self.forget_gate.complement(z["forget"] - self.beta)
        return (f * c + i * g,), {"forget": f, "input": i, "candidate": g, "forget_z": z["forget"]}

    def compiled(self) -> CompiledCell | None:
        cell = super().compiled()
        return None if cell is None else replace(cell, shift=self.beta)


CELL = JANET
