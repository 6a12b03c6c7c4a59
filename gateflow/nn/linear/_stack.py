"""Layers with a linear state as a network to train: what mixes their units, and what the trainer asks of cells."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gateflow.errors import InvalidArgument, shown
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import whole
from gateflow.nn.functional import GateFunction
from gateflow.nn.linear._layer import LinearRecurrence


class Residual(torch.nn.Module):
    """``x + glu(W gelu(y))``, where y is what a layer with a linear state makes of the normalised x.

    Parameters
    ----------
    layer : LinearRecurrence
        As wide as it is deep: its output has the size of its input.
    dropout : float
    device, dtype
        Of the parameters.
    """

    def __init__(self, layer: LinearRecurrence, dropout: float, **options: Any) -> None:
        super().__init__()
        self.norm = torch.nn.LayerNorm(layer.input_size, **options)
        self.layer, self.dropout = layer, torch.nn.Dropout(dropout)
        self.mix = torch.nn.Linear(layer.input_size, 2 * layer.input_size, **options)

    def forward(self, x: Tensor, state: Tensor | None, return_gates: bool) -> tuple[Any, ...]:
        y, *rest = self.layer(self.norm(x), state, return_gates=return_gates)
        return x + self.dropout(F.glu(self.mix(F.gelu(y)))), *rest


class LinearStack(torch.nn.Module):
    """A linear map of the input to ``hidden_size`` features, then blocks, each with a layer that has a linear state.

    The blocks are those of LRU and S5 (arXiv 2303.06349, 2208.04933), with layer normalisation, whatever the layer: a
    linear recurrence alone does not mix its units.

    Parameters
    ----------
    kind : type of LinearRecurrence
    input_size, hidden_size, num_layers : int
    batch_first : bool
    dropout : float
        Share of what each block adds that is dropped in training.
    backend : str
        Only ``"auto"``: a scan chooses itself.
    device, dtype
        Of the parameters.
    **options
        Of the layers.

    Raises
    ------
    InvalidArgument
        A size is no whole number from 1, or the backend is another.

    Examples
    --------
    >>> from gateflow.nn import MinGRU
    >>> output, state = LinearStack(MinGRU, 3, 8, 2, decay_gate="fast")(torch.zeros(7, 2, 3))
    >>> output.shape, state.shape
    (torch.Size([7, 2, 8]), torch.Size([2, 2, 8]))
    """

    blocks = ("decay",)
    forget_block = "decay"

    def __init__(
        self,
        kind: type[LinearRecurrence],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        *,
        batch_first: bool = False,
        dropout: float = 0.0,
        backend: str = "auto",
        device: Any = None,
        dtype: Any = None,
        **options: Any,
    ) -> None:
        super().__init__()
        if backend != "auto":
            raise InvalidArgument(f"layers with a linear state have one backend: it must be auto; got {shown(backend)}")
        self.input_size, self.hidden_size = whole("input_size", input_size), whole("hidden_size", hidden_size)
        self.num_layers = whole("num_layers", num_layers)
        place = {"device": device, "dtype": dtype}
        made = [self._layer(kind, {**options, **place, "batch_first": batch_first}) for _ in range(num_layers)]
        self.encoder = torch.nn.Linear(input_size, hidden_size, **place)
        self.parts = torch.nn.ModuleList(Residual(layer, dropout, **place) for layer in made)

    def _layer(self, kind: Any, options: dict[str, Any]) -> LinearRecurrence:
        sizes = (self.hidden_size,) * (1 if kind.IS_SQUARE else 2)
        return kind(*sizes, **options)

    @property
    def recurrences(self) -> list[LinearRecurrence]:
        """The layers with a linear state, the first nearest to the input."""
        return [part.layer for part in self.parts if isinstance(part, Residual)]

    @property
    def decay_gate(self) -> GateFunction:
        return self.recurrences[0].decay_gate

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "decay_gate":
            for layer in self.recurrences:
                layer.decay_gate = value
        else:
            super().__setattr__(name, value)

    def forward(self, x: Tensor, state: Tensor | None = None, *, return_gates: bool = False) -> tuple[Any, ...]:
        """Output of the last block after every step, the last states, and with ``return_gates`` those of each layer.

        Parameters
        ----------
        x : Tensor of shape (time, batch, input_size), or (batch, time, input_size) where ``batch_first``
        state : Tensor of shape (num_layers, batch, ...), optional
            As a call before gave it back; complex ones as pairs of real numbers.
        return_gates : bool
        """
        x, states, gates = self.encoder(x), [], []
        for number, (part, layer) in enumerate(zip(self.parts, self.recurrences, strict=True)):
            x, last, *seen = part(x, self._given(layer, state, number), return_gates)
            states.append(torch.view_as_real(last) if last.is_complex() else last)
            gates += seen
        return (x, torch.stack(states), gates) if return_gates else (x, torch.stack(states))

    @staticmethod
    def _given(layer: LinearRecurrence, state: Tensor | None, number: int) -> Tensor | None:
        if state is None:
            return None
        return torch.view_as_complex(state[number].contiguous()) if layer.IS_COMPLEX else state[number]

    # --- what initialisers and the trainer ask for ---

    def layers(self) -> Iterator[tuple[int, str]]:
        """Number of each layer, and the suffix by which :meth:`set_bias` and :meth:`start_decay` know it."""
        return ((number, f"l{number}") for number in range(self.num_layers))

    def gates(self) -> dict[str, Gate]:
        return {"decay": self.decay_gate.gate}

    def as_cell(self) -> LinearStack:
        """The stack as an initialiser asks for it."""
        return self

    def vectors(self, suffix: str) -> list[Tensor]:
        """What holds z of one layer where the input gives nothing."""
        return self.recurrences[int(suffix[1:])].as_cell().vectors(suffix)

    def set_bias(self, block: str, suffix: str, values: Tensor) -> None:
        """Let the decays' z be ``values`` in one layer where the input gives nothing."""
        self.recurrences[int(suffix[1:])].set_bias(values)

    def start(self, block: str, suffix: str, **values: Any) -> None:
        """Let the decays of one layer start at ``value``, or at ``1 - complement``."""
        self.recurrences[int(suffix[1:])].start_decay(**values)

    def rows_of(self, block: str) -> list[tuple[torch.nn.Parameter, slice]]:
        """The rows of parameters that make z of the input, in all layers."""
        return [each for layer in self.recurrences for each in layer.weights_of_decay()]
