"""LRU (Orvieto et al., Resurrecting Recurrent Neural Networks for Long Sequences, arXiv 2303.06349)."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument, shown
from gateflow.nn.linear._layer import AnyGate, LinearRecurrence
from gateflow.nn.scans import scan


class LRU(LinearRecurrence):
    """``h_t = l h_(t-1) + gamma B x``, ``y = Re(C h) + D x``, with a complex diagonal l of modulus phi(z).

    The scan is real: the states turn back by their phases, which are taken in float64.

    Parameters
    ----------
    input_size, hidden_size : int
        hidden_size counts complex states.
    decay_gate : str, Gate or GateFunction
        phi, of the learned z; with ``"lru"``, z is the paper's -nu_log.
    r_min, r_max : float
        Squares of moduli start uniform between the squares of these.
    max_phase : float
        Phases start uniform up to this.
    batch_first : bool
    device, dtype
        Of the parameters; float32 or float64.

    Raises
    ------
    InvalidArgument
        A size is no whole number from 1, or there are no complex numbers of this type.

    Examples
    --------
    >>> layer = LRU(3, 5)
    >>> output, state = layer(torch.zeros(7, 2, 3))
    >>> output.shape, state.dtype
    (torch.Size([7, 2, 3]), torch.complex64)
    """

    IS_COMPLEX = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        decay_gate: AnyGate = "lru",
        *,
        r_min: float = 0.0,
        r_max: float = 1.0,
        max_phase: float = 6.28,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if dtype not in (None, torch.float32, torch.float64):
            raise InvalidArgument(f"the states of LRU are complex, of float32 or float64; got {shown(dtype)}")
        super().__init__(input_size, hidden_size, decay_gate, batch_first)
        self.r_min, self.r_max, self.max_phase = r_min, r_max, max_phase
        options = {"device": device, "dtype": dtype}
        self.z, self.theta_log, self.gamma_log = (
            torch.nn.Parameter(torch.empty(hidden_size, **options)) for _ in range(3)
        )
        self.b = torch.nn.Parameter(torch.empty(2, hidden_size, input_size, **options))
        self.c = torch.nn.Parameter(torch.empty(2, input_size, hidden_size, **options))
        self.d = torch.nn.Parameter(torch.empty(input_size, **options))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start anew, as the paper does."""
        low, high = self.r_min**2, self.r_max**2
        u = torch.rand(self.z.shape, dtype=torch.float64, device="cpu").clamp(min=2.0**-53)
        square = u * (high - low) + low
        self.z.copy_(torch.from_numpy(self.decay_gate.gate.inverse(square.sqrt().numpy())))
        self.theta_log.copy_(torch.log(self.max_phase * torch.rand_like(self.theta_log)))
        self.gamma_log.copy_(torch.log1p(-square) / 2)
        self.b.normal_(std=1 / math.sqrt(2 * self.input_size))
        self.c.normal_(std=1 / math.sqrt(self.state_size))
        self.d.normal_()

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        b = torch.complex(*(self.b * torch.exp(self.gamma_log)[:, None]))
        return self.decay_gate.log(self.entering(self.z, x)), x.to(b.dtype) @ b.T

    def weights_of_decay(self) -> list[tuple[torch.nn.Parameter, slice]]:
        return [(self.z, slice(None))]

    @torch.no_grad()
    def start_decay(self, value: np.ndarray | None = None, complement: np.ndarray | None = None) -> None:
        """Let the moduli be ``value``, or ``1 - complement``, and gamma belong to them."""
        super().start_decay(value, complement)
        rest = 1 - value if value is not None else np.asarray(complement)
        self.gamma_log.copy_(torch.as_tensor(np.log(rest * (2 - rest)) / 2, device="cpu"))

    def turns(self, steps: int) -> Tensor:
        """By how much the states have turned after each step, (steps, 1, hidden_size)."""
        times = torch.arange(1, steps + 1, dtype=torch.float64, device=self.z.device)[:, None, None]
        angle = torch.exp(self.theta_log.double()) * times
        return torch.polar(torch.ones_like(angle), angle).to(torch.complex(self.z[:1], self.z[:1]).dtype)

    def states(self, x: Tensor, state: Tensor | None) -> Tensor:
        if torch.onnx.is_in_onnx_export():
            raise InvalidArgument("LRU has no form in ONNX: its states are complex")
        log_a, b = self.drive(x, state is None)
        turns = self.turns(x.shape[0])
        still = torch.view_as_real(b * turns.conj())
        start = None if state is None else torch.view_as_real(state)
        return torch.view_as_complex(scan(self.decays(log_a, x)[..., None], still, start, log=True)) * turns

    def _stepped(self, x: Tensor, state: Tensor | None) -> Tensor:
        log_a, b = self.drive(x, state is None)
        return b if state is None else torch.exp(log_a) * self.turns(1) * state + b

    def read(self, states: Tensor, x: Tensor) -> Tensor:
        return (states @ torch.complex(*self.c).T).real + self.d * x


CELL = LRU
