"""What every layer is whose state is linear: projections of the input, a scan, and what is read of the states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument, InvalidTensor, shown
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import whole
from gateflow.nn import operands
from gateflow.nn.functional import GateFunction, gate_function
from gateflow.nn.scans import scan

AnyGate = str | Gate | GateFunction


def function_of(gate: AnyGate) -> GateFunction:
    return gate if isinstance(gate, GateFunction) else gate_function(gate)


class LinearRecurrence(torch.nn.Module):
    """``h_t = a_t h_(t-1) + b_t``, where a_t and b_t come of the input alone.

    A layer gives :meth:`drive`, log a and b of an input, and may give :meth:`read`.

    Parameters
    ----------
    input_size, state_size : int
    decay_gate : str, Gate or GateFunction
        The gate behind the decay.
    batch_first : bool
        Input and output are (batch, time, features), not (time, batch, features).

    Raises
    ------
    InvalidArgument
        A size is no whole number from 1.
    """

    defaults: ClassVar[Mapping[str, Any]] = {"init": "none"}
    """The settings of the trainer that are this layer's own; by default it starts as it is published."""

    def __init__(self, input_size: int, state_size: int, decay_gate: AnyGate, batch_first: bool) -> None:
        super().__init__()
        self.input_size, self.state_size = whole("input_size", input_size), whole("hidden_size", state_size)
        self.batch_first = batch_first
        self.decay_gate: GateFunction = function_of(decay_gate)
        self._seen: dict[str, Tensor] | None = None

    IS_COMPLEX = False
    """Whether states are complex."""

    IS_SQUARE = False
    """Whether input and output have one size, which is the first argument."""

    @property
    def units(self) -> int:
        """How many z there are at a step."""
        return self.state_size

    def state_shape(self, batch: int) -> tuple[int, ...]:
        """The shape of a state."""
        return batch, self.state_size

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        """log a and b of inputs (time, batch, features); ``first``: no state comes before them.

        Both are (time, batch, ...), and log a broadcasts to b.
        """
        raise NotImplementedError

    def read(self, states: Tensor, x: Tensor) -> Tensor:
        """The output, of the states after each input; by default the states themselves."""
        return states

    def weights_of_decay(self) -> list[tuple[torch.nn.Parameter, slice]]:
        """The rows of parameters that make z of the input; the last is a vector, z where the input gives nothing."""
        raise NotImplementedError

    @torch.no_grad()
    def set_bias(self, values: Tensor) -> None:
        """Let z be these values, one for each unit, where the input gives nothing.

        Raises
        ------
        InvalidArgument
            The layer has no biases.
        """
        weight, rows = self.weights_of_decay()[-1]
        if weight.dim() > 1:
            raise InvalidArgument(f"{type(self).__name__} was made without biases (bias=False): there is none to set")
        weight[rows] = values.to(weight)

    def start_decay(self, value: np.ndarray | None = None, complement: np.ndarray | None = None) -> None:
        """Let the decays be ``value``, or ``1 - complement``, where the input gives nothing.

        Examples
        --------
        >>> from gateflow.nn import RGLRU
        >>> layer = RGLRU(2)
        >>> layer.start_decay(np.array([0.9, 0.99]))
        >>> [round(a, 4) for a in layer.drive(torch.zeros(1, 1, 2), False)[0].exp().flatten().tolist()]
        [0.9, 0.99]
        """
        gate = self.decay_gate.gate
        z = gate.inverse(value) if value is not None else gate.inverse_c(complement)
        self.set_bias(torch.as_tensor(z, device="cpu"))

    def as_cell(self) -> OneDecay:
        """The decay as an initialiser asks for a forget gate."""
        return OneDecay(self)

    def forward(self, x: Tensor, state: Tensor | None = None, *, return_gates: bool = False) -> tuple[Any, ...]:
        """Output after every step, and the last state, which goes on where it is given as ``state``.

        Parameters
        ----------
        x : Tensor of shape (time, batch, input_size), or (batch, time, input_size) where ``batch_first``
        state : Tensor, optional
            As a call before gave it back; by default there was none.
        return_gates : bool
            Return also, in the order of ``x``, for each unit its ``decay``, ``log_decay`` and ``decay_z``, which enters
            the gate.

        Raises
        ------
        InvalidTensor
            The input or the state has another shape or type, or is on another device than the weights.
        """
        self._check(x, state, 3, 0 if self.batch_first else 1)
        x = self._turned(x)
        self._seen = {} if return_gates else None
        try:
            states = self.states(x, state)
            seen = self._seen
        finally:
            self._seen = None
        result = self._turned(self.read(states, x)), self.last(states, state, x.shape[0])
        return result if seen is None else (*result, seen)

    def _turned(self, x: Tensor) -> Tensor:
        """From (batch, time) to (time, batch) where ``batch_first``, and back."""
        return x.transpose(0, 1) if self.batch_first else x

    def states(self, x: Tensor, state: Tensor | None) -> Tensor:
        """The states after each input (time, batch, features)."""
        log_a, b = self.drive(x, state is None)
        kind = torch.promote_types(log_a.dtype, b.dtype)  # two under autocast
        return scan(self.decays(log_a.to(kind), x), b.to(kind), None if state is None else state.to(kind), log=True)

    def entering(self, z: Tensor, x: Tensor) -> Tensor:
        """z as :meth:`drive` goes on with it, kept where gates are asked for: one for each step, sequence and unit."""
        if self._seen is None:
            return z
        self._seen["decay_z"] = kept = self._turned(z.expand(*x.shape[:2], -1))
        return self._turned(kept)

    def decays(self, log_a: Tensor, x: Tensor) -> Tensor:
        """log a, kept where gates are asked for."""
        if self._seen is not None:
            log_decay = self._turned(self.of_units(log_a).expand(*x.shape[:2], -1))
            self._seen |= {"log_decay": log_decay, "decay": torch.exp(log_decay)}
        return log_a

    def of_units(self, log_a: Tensor) -> Tensor:
        """log a, one for each unit."""
        return log_a

    def last(self, states: Tensor, state: Tensor | None, steps: int) -> Tensor:
        if steps:
            return states[-1]
        return states.new_zeros(states.shape[1:]) if state is None else state

    def step(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """One step: the output for inputs (batch, input_size), and the state to go on from."""
        self._check(x, state, 2, 0)
        states = self._stepped(x[None], state)
        return self.read(states, x[None])[0], states[-1]

    def _check(self, x: Tensor, state: Tensor | None, dims: int, batch: int) -> None:
        operands.check_kind("the input", x)
        if x.dim() != dims or x.shape[-1] != self.input_size:
            raise InvalidTensor(
                f"the input must have {dims} dimensions, the last of {self.input_size}; got {shown(list(x.shape))}"
            )
        weight, casts = next(self.parameters()), operands.autocasts(x.device)
        operands.check_like("the input", x, weight, "the weights", casts=casts)
        if state is None:
            return
        operands.check_kind("the state", state)
        operands.check_shape("state", state, self.state_shape(x.shape[batch]))
        if state.is_complex() != self.IS_COMPLEX:
            raise InvalidTensor(f"the state must be {'complex' if self.IS_COMPLEX else 'real'}")
        operands.check_like("the state", state.real, weight, "the weights", casts=casts)

    def _stepped(self, x: Tensor, state: Tensor | None) -> Tensor:
        log_a, b = self.drive(x, state is None)
        return b if state is None else torch.exp(log_a) * state + b

    def extra_repr(self) -> str:
        return f"{self.input_size}, {self.state_size}, decay_gate={self.decay_gate.gate.label!r}"


class OneDecay:
    """A layer's decay, as initialisers know the forget gate of a cell.

    Parameters
    ----------
    layer : LinearRecurrence
    """

    blocks = ("decay",)
    forget_block = "decay"
    num_layers = 1

    def __init__(self, layer: LinearRecurrence) -> None:
        self.layer, self.hidden_size, self.parameters = layer, layer.units, layer.parameters

    @property
    def decay_gate(self) -> GateFunction:
        return self.layer.decay_gate

    @decay_gate.setter
    def decay_gate(self, gate: GateFunction) -> None:
        self.layer.decay_gate = gate

    def layers(self) -> Iterator[tuple[int, str]]:
        yield 0, "l0"

    def gates(self) -> dict[str, Gate]:
        return {"decay": self.layer.decay_gate.gate}

    def vectors(self, suffix: str) -> list[Tensor]:
        return [self.layer.weights_of_decay()[-1][0]]

    def set_bias(self, block: str, suffix: str, values: Tensor) -> None:
        self.layer.set_bias(values)

    def start(self, block: str, suffix: str, **values: Any) -> None:
        self.layer.start_decay(**values)


class TowardsCandidate(LinearRecurrence):
    """A layer whose state goes part of the way to a candidate; gates and candidate are linear in the input alone.

    Parameters
    ----------
    input_size, hidden_size, decay_gate, bias, positive, batch_first, device, dtype
        As for :class:`~gateflow.nn.MinGRU`.
    """

    PARTS = 2
    """Gates and candidate, which are projected together."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        decay_gate: AnyGate = "sigmoid",
        *,
        bias: bool = True,
        positive: bool = False,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(input_size, hidden_size, decay_gate, batch_first)
        self.positive = positive
        options = {"device": device, "dtype": dtype}
        self.projection = affine(input_size, self.PARTS * hidden_size, bias, options)

    def weights_of_decay(self) -> list[tuple[torch.nn.Parameter, slice]]:
        rows = slice(0, (self.PARTS - 1) * self.state_size)
        return [(weight, rows) for weight in self.projection.parameters()]

    def parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pre-activations of the gates, and the candidate."""
        first, *gates, c = self.projection(x).chunk(self.PARTS, -1)
        return self.entering(first, x), *gates, torch.where(c >= 0, c + 0.5, torch.sigmoid(c)) if self.positive else c


def affine(inputs: int, outputs: int, bias: bool, options: dict[str, Any]) -> torch.nn.Linear:
    return torch.nn.Linear(inputs, outputs, bias=bias, **options)
