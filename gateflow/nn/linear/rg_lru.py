"""RG-LRU of Griffin (De et al., arXiv 2402.19427): a learned decay to a power that the input selects."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.guards.arguments import whole
from gateflow.nn.linear._layer import AnyGate, LinearRecurrence

RING = (0.9, 0.999)
"""Where decays start, at the first power: their squares are uniform."""

POWER = 8.0

STEEPEST = 1000.0
"""The slope that is passed back through ``sqrt(1 - a^2)``, at most."""


class RGLRU(LinearRecurrence):
    """``h_t = a h_(t-1) + sqrt(1 - a^2) (i x)`` with ``a = phi(z)^(8 r)``; r and i are sigmoids of blocks of the input.

    The first input of a sequence is not scaled by ``sqrt(1 - a^2)``, as in the authors' code, and no more than a slope
    of 1000 is passed back through the root.

    Parameters
    ----------
    width : int
        Of the input and of the state.
    decay_gate : str, Gate or GateFunction
        phi of the learned z; with the sigmoid, z is the paper's -Lambda.
    heads : int
        Blocks of the input that r and i are linear in.
    batch_first : bool
    device, dtype
        Of the parameters.

    Raises
    ------
    InvalidArgument
        The width is no multiple of ``heads``, or the gate does not take the values that decays start from.

    Examples
    --------
    >>> layer = RGLRU(6, heads=2)
    >>> layer(torch.zeros(7, 2, 6))[0].shape
    torch.Size([7, 2, 6])
    """

    IS_SQUARE = True

    def __init__(
        self,
        width: int,
        decay_gate: AnyGate = "sigmoid",
        *,
        heads: int = 1,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        super().__init__(width, width, decay_gate, batch_first)
        heads = whole("heads", heads)
        if width % heads:
            raise InvalidArgument(f"the width must be a multiple of heads; got {width} and {heads}")
        options = {"device": device, "dtype": dtype}
        self.z = torch.nn.Parameter(torch.empty(width, **options))
        self.weight = torch.nn.Parameter(torch.empty(2, heads, width // heads, width // heads, **options))
        self.bias = torch.nn.Parameter(torch.zeros(2, width, **options))
        self.reset_parameters()

    @torch.no_grad()
    def reset_parameters(self) -> None:
        """Start anew: squares of decays uniform in `RING`, normal weights, no bias."""
        low, high = (edge**2 for edge in RING)
        start = torch.rand(self.z.shape, dtype=torch.float64, device="cpu") * (high - low) + low
        self.z.copy_(torch.from_numpy(self.decay_gate.gate.inverse(start.sqrt().numpy())))
        self.weight.normal_(std=1 / math.sqrt(self.weight.shape[-1]))
        self.bias.zero_()

    def drive(self, x: Tensor, first: bool) -> tuple[Tensor, Tensor]:
        blocks = x.unflatten(-1, (self.weight.shape[1], -1))
        made = torch.einsum("tbhi,khij->ktbhj", blocks, self.weight).flatten(-2) + self.bias[:, None, None]
        r, i = torch.sigmoid(made)
        log_a = POWER * r * self.decay_gate.log(self.entering(self.z, x))
        root = TracedRoot if torch.compiler.is_compiling() else BoundedRoot
        scale = root.apply(-torch.expm1(2 * log_a))
        if first:
            scale = torch.where((torch.arange(x.shape[0], device=x.device) == 0)[:, None, None], 1.0, scale)
        return log_a, scale * (i * x)  # type: ignore[operator]

    def weights_of_decay(self) -> list[tuple[torch.nn.Parameter, slice]]:
        return [(self.z, slice(None))]

    def start_decay(self, value: np.ndarray | None = None, complement: np.ndarray | None = None) -> None:
        """Let the decays be ``value``, or ``1 - complement``, where r is 1/2."""
        power = POWER / 2
        log_a = np.log(value) if value is not None else np.log1p(-np.asarray(complement))
        super().start_decay(complement=-np.expm1(log_a / power))


class TracedRoot(torch.autograd.Function):
    """A square root whose slope is `STEEPEST` at most; without tangents, of which ``torch.compile`` takes none."""

    generate_vmap_rule = True

    @staticmethod
    def forward(x: Tensor) -> Tensor:  # type: ignore[override]
        return torch.sqrt(x)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:  # type: ignore[override]
        ctx.save_for_backward(output)
        ctx.save_for_forward(output)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        (root,) = ctx.saved_tensors
        return grads[0] / torch.clamp(2 * root, min=1 / STEEPEST)


class BoundedRoot(TracedRoot):
    """The same, with tangents."""

    @staticmethod
    def jvp(ctx: Any, *tangents: Tensor) -> Tensor:  # type: ignore[override]
        (root,) = ctx.saved_tensors
        return tangents[0] / torch.clamp(2 * root, min=1 / STEEPEST)


CELL = RGLRU
