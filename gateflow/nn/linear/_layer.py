"""What every layer is whose state is linear: projections of the input, a scan, and what is read of the states."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gateflow.errors import InvalidTensor, shown
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

    def __init__(self, input_size: int, state_size: int, decay_gate: AnyGate, batch_first: bool) -> None:
        super().__init__()
        self.input_size, self.state_size = whole("input_size", input_size), whole("hidden_size", state_size)
        self.batch_first = batch_first
        self.decay_gate: GateFunction = function_of(decay_gate)

    IS_COMPLEX = False
    """Whether states are complex."""

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

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Output after every step, and the last state, which goes on where it is given as ``state``.

        Parameters
        ----------
        x : Tensor of shape (time, batch, input_size), or (batch, time, input_size) where ``batch_first``
        state : Tensor, optional
            As a call before gave it back; by default there was none.

        Raises
        ------
        InvalidTensor
            The input or the state has another shape or type, or is on another device than the weights.
        """
        self._check(x, state, 3, 0 if self.batch_first else 1)
        x = x.transpose(0, 1) if self.batch_first else x
        states = self.states(x, state)
        output = self.read(states, x)
        return output.transpose(0, 1) if self.batch_first else output, self.last(states, state, len(x))

    def states(self, x: Tensor, state: Tensor | None) -> Tensor:
        """The states after each input (time, batch, features)."""
        log_a, b = self.drive(x, state is None)
        return scan(log_a, b, state, log=True)

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
        **options: Any,
    ) -> None:
        super().__init__(input_size, hidden_size, decay_gate, batch_first)
        self.positive = positive
        self.projection = affine(input_size, self.PARTS * hidden_size, bias, options)

    def parts(self, x: Tensor) -> tuple[Tensor, ...]:
        """Pre-activations of the gates, and the candidate."""
        *gates, c = self.projection(x).chunk(self.PARTS, -1)
        return *gates, torch.where(c >= 0, c + 0.5, torch.sigmoid(c)) if self.positive else c


def affine(inputs: int, outputs: int, bias: bool, options: dict[str, Any]) -> torch.nn.Linear:
    return torch.nn.Linear(inputs, outputs, bias=bias, **options)
