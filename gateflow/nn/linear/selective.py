"""The diagonal recurrence of Mamba, with any gate as its step size (Gu and Dao, arXiv 2312.00752)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gateflow.guards.arguments import whole
from gateflow.nn.linear._layer import AnyGate, LinearRecurrence, affine

RANGE = (1e-3, 1e-1)
"""Where step sizes start, log-uniform."""


class SelectiveDecay(LinearRecurrence):
    """``h_t = a^A h_(t-1) + dt B x``, ``y = C h + D x``, with ``a = phi(z)`` and ``dt = -log a``.

    z, B and C are linear in the input; each of its channels has ``states`` states, of decays ``a^A``. With the sigmoid,
    z is minus what Mamba's softplus takes. This is the recurrence alone, without Mamba's convolution and outer gate.

    Parameters
    ----------
    width : int
        Channels of the input and of the output.
    decay_gate : str, Gate or GateFunction
        phi.
    states : int
        Of each channel.
    rank : int, optional
        Of the projection to z; by default a sixteenth of the width, rounded up.
    batch_first : bool
    device, dtype
        Of the parameters.

    Raises
    ------
    InvalidArgument
        A size is no whole number from 1.

    Examples
    --------
    >>> layer = SelectiveDecay(6, states=4)
    >>> output, state = layer(torch.zeros(7, 2, 6))
    >>> output.shape, state.shape
    (torch.Size([7, 2, 6]), torch.Size([2, 6, 4]))
    """

    IS_SQUARE = True

    def __init__(
        self,
        width: int,
        decay_gate: AnyGate = "sigmoid",
        *,
        states: int = 16,
        rank: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        width, states = whole("width", width), whole("states", states)
        super().__init__(width, width * states, decay_gate, batch_first)
        options = {"device": device, "dtype": dtype}
        self.rank, self.of_each = whole("rank", -(-width // 16) if rank is None else rank), states
        self.projection = affine(width, self.rank + 2 * states, False, options)
        self.to_z = affine(self.rank, width, True, options)
        self.log_a = torch.nn.Parameter(torch.log(torch.arange(1, states + 1, **options)).repeat(width, 1))
        self.d = torch.nn.Parameter(torch.ones(width, **options))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start anew: step sizes log-uniform in `RANGE`, A = 1, 2, ..., D = 1."""
        low, high = map(math.log, RANGE)
        dt = torch.exp(torch.rand(self.d.shape, dtype=torch.float64, device="cpu") * (high - low) + low)
        self.to_z.bias.copy_(torch.from_numpy(self.decay_gate.gate.inverse_c(-torch.expm1(-dt).numpy())))
        self.to_z.weight.uniform_(-(self.rank**-0.5), self.rank**-0.5)
        self.projection.reset_parameters()
        self.log_a.copy_(torch.log(torch.arange(1, self.of_each + 1, device="cpu")).expand_as(self.log_a))
        self.d.fill_(1)

    @property
    def units(self) -> int:
        return self.input_size

    def state_shape(self, batch: int) -> tuple[int, ...]:
        return batch, self.input_size, self.of_each

    def _split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        z, b, c = self.projection(x).split([self.rank, self.of_each, self.of_each], -1)
        return self.to_z(z), b, c

    def weights_of_decay(self) -> list[tuple[torch.nn.Parameter, slice]]:
        return [(weight, slice(None)) for weight in self.to_z.parameters()]

    def of_units(self, log_a: Tensor) -> Tensor:
        """log a of the first state of each channel."""
        return log_a[..., 0]

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        z, b, _ = self._split(x)
        dt = -self.decay_gate.log(self.entering(z, x))
        return -dt[..., None] * torch.exp(self.log_a), (dt * x)[..., None] * b[..., None, :]

    def read(self, states: Tensor, x: Tensor) -> Tensor:
        return (states @ self._split(x)[2][..., None])[..., 0] + self.d * x


CELL = SelectiveDecay
