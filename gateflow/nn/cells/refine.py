"""LSTM with the refine gate (Gu, Gulcehre, Paine, Hoffman and Pascanu, ICML 2020, arXiv 1910.09890).

::

    f = phi(W_f x + b_f + ...)       r = phi_r(W_r x + b_r + ...)
    g = r (1 - (1 - f)**2) + (1 - r) f**2
    c <- g c + i tanh(...)           h <- o tanh(c)

The refine gate moves the effective gate g by up to ``f (1 - f)`` either way, so that g saturates before f does.
The input gate i is a gate of its own, or ``1 - g`` when tied, as in the source.
"""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from gateflow.nn.kernels.layout import Layout, shared
from gateflow.nn.recurrent import AnyGate, Blocks, GateFunction, Recurrent, State, Values


class RefineLSTM(Recurrent):
    """LSTM layers whose forget gate is refined by a gate with a pre-activation of its own.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`.
    forget_gate, refine_gate, output_gate, input_gate : str or Gate
    tied : bool
        The input gate is ``1 - g`` (the source); otherwise it has weights of its own.

    Examples
    --------
    >>> layer = RefineLSTM(2, 8)
    >>> output, (h, c), gates = layer(torch.randn(5, 3, 2), return_gates=True)
    >>> bool(((gates[0]["forget"] - gates[0]["effective"]).abs() < 0.25).all())
    True
    """

    states: ClassVar[tuple[str, ...]] = ("hidden", "cell")
    forget_block: ClassVar[str | None] = "forget"
    defaults: ClassVar[dict[str, Any]] = {"init": "uniform"}
    forget_gate: GateFunction
    refine_gate: GateFunction
    output_gate: GateFunction
    input_gate: GateFunction

    def __init__(
        self,
        *layout: Any,
        forget_gate: AnyGate = "sigmoid",
        refine_gate: AnyGate = "sigmoid",
        output_gate: AnyGate = "sigmoid",
        input_gate: AnyGate = "sigmoid",
        tied: bool = True,
        **options: Any,
    ) -> None:
        own = () if tied else ("input",)
        self.blocks = (*own, "forget", "candidate", "output", "refine")
        self.layout = Layout(
            shared(*self.blocks),
            kernel="tied refine" if tied else "refine",
            gates=("forget", "refine", "output", *own),
            factors=6 if tied else 7,
            from_output=self.blocks.index("output"),
        )
        gates = {"forget": forget_gate, "refine": refine_gate, "output": output_gate, "input": input_gate}
        super().__init__(*layout, gates={block: gates[block] for block in gates if block in self.blocks}, **options)
        self.tied = tied

    def update(self, z: Blocks, state: State) -> tuple[State, Values]:
        _, c = state
        f, f_c = self.forget_gate(z["forget"]), self.forget_gate.complement(z["forget"])
        r, r_c = self.refine_gate(z["refine"]), self.refine_gate.complement(z["refine"])
        # both as sums of positive terms, so that neither g nor 1 - g cancels near saturation
        g = f * (r * (1 + f_c) + r_c * f)
        i = f_c * (r * f_c + r_c * (1 + f)) if self.tied else self.input_gate(z["input"])
        candidate, o = torch.tanh(z["candidate"]), self.output_gate(z["output"])
        c = g * c + i * candidate
        h = o * torch.tanh(c)
        named = {"forget": f, "refine": r, "effective": g, "input": i, "candidate": candidate, "output": o}
        return (h, c), {**named, "forget_z": z["forget"], "refine_z": z["refine"]}


CELL = RefineLSTM
