"""Long short-term memory with any gates (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000).

::

    i = phi_i(W_i x + b_i + U_i h + b'_i)        f, o likewise        g = tanh(W_g x + b_g + U_g h + b'_g)
    c <- f c + i g                               h <- o tanh(c)

The fast gate (Ohno, Kanai and Ida, AAAI 2023) and the softsign gate are this cell with another forget gate.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from gateflow.errors import InvalidArgument, shown
from gateflow.nn.kernels.layout import Layout, shared
from gateflow.nn.recurrent import AnyGate, Blocks, GateFunction, OnGPU, Recurrent, State, Values


class LSTM(Recurrent):
    """LSTM layers with the interface and the parameter layout of ``torch.nn.LSTM``: state dicts go both ways.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`. A projection is computed by the plain loop over time.
    forget_gate, input_gate, output_gate : str or Gate
        Names, formulas or gates.
    tied : bool
        The input gate is ``1 - f``; its block of weights is then left out.

    Examples
    --------
    >>> layer = LSTM(2, 8, forget_gate="fast")
    >>> output, (h, c), gates = layer(torch.randn(5, 3, 2), return_gates=True)
    >>> output.shape, sorted(gates[0])
    (torch.Size([5, 3, 8]), ['candidate', 'cell', 'forget', 'forget_z', 'hidden', 'input', 'output'])
    """

    states: ClassVar[tuple[str, ...]] = ("hidden", "cell")
    forget_block: ClassVar[str | None] = "forget"
    pytorch = torch.lstm
    projects: ClassVar[bool] = True
    defaults: ClassVar[dict[str, Any]] = {"forget_gate": "fast"}
    forget_gate: GateFunction
    input_gate: GateFunction
    output_gate: GateFunction

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        forget_gate: AnyGate = "sigmoid",
        input_gate: AnyGate = "sigmoid",
        output_gate: AnyGate = "sigmoid",
        tied: bool = False,
        **options: Any,
    ) -> None:
        if not isinstance(tied, bool):
            raise InvalidArgument(f"tied must be True or False; got {shown(tied)}")
        own = () if tied else ("input",)
        self.blocks = (*own, "forget", "candidate", "output")
        self.layout = Layout(
            shared(*self.blocks),
            kernel="tied lstm" if tied else "lstm",
            gates=("forget", "output", *own),
            factors=5 if tied else 6,
            from_output=self.blocks.index("output"),
        )
        gates = {"forget": forget_gate, "output": output_gate} | ({} if tied else {"input": input_gate})
        sizes = (input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, proj_size)
        super().__init__(*sizes, gates=gates, **options)
        self.tied = tied

    def update(self, z: Blocks, state: State) -> tuple[State, Values]:
        _, c = state
        f, g, o = self.forget_gate(z["forget"]), torch.tanh(z["candidate"]), self.output_gate(z["output"])
        i = self.forget_gate.complement(z["forget"]) if self.tied else self.input_gate(z["input"])
        c = f * c + i * g
        h = o * torch.tanh(c)
        return (h, c), {"input": i, "forget": f, "candidate": g, "output": o, "forget_z": z["forget"]}

    def in_framework(self) -> bool:
        """Where every gate is the plain sigmoid; under autocast only on a processor that has products of that type."""
        return not self.tied and super().in_framework() and _has_products()

    def on_gpu(self) -> OnGPU | None:
        if self.proj_size:
            return None
        return OnGPU((None if self.tied else self.input_gate, self.forget_gate, self.output_gate))


CELL = LSTM


def _has_products() -> bool:
    """Whether PyTorch's own LSTM runs on this processor under the present autocast."""
    if not torch.is_autocast_enabled("cpu"):
        return True
    short = torch.get_autocast_dtype("cpu") == torch.bfloat16
    supported = f"_is_mkldnn_{'bf16' if short else 'fp16'}_supported"
    return getattr(torch.ops.mkldnn, supported)() if hasattr(torch.ops.mkldnn, supported) else True
