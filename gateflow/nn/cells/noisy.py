"""LSTM with noisy hard gates (Gulcehre, Moczulski, Denil and Bengio, ICML 2016, arXiv 1603.00391).

With the linear gate ``u(z) = z/4 + 1/2``, the hard gate h = u cut off at 0 and 1, and ``Delta = h - u``::

    gate(z) = alpha h + (1 - alpha) u + d sigma(Delta) epsilon
    sigma(Delta) = c (sigmoid(p Delta) - 1/2)**2        d = -sign(z) sign(1 - alpha)

Noise comes only where the hard gate is flat, and grows with the distance from its edge, so that a unit may find its way
back. p is learned, one for each unit and gate. epsilon is half-normal, ``|N(0, 1)|``, or normal; in eval mode it is its
mean, ``sqrt(2/pi)`` or 0. The defaults alpha = 1.1, c = 0.15 are those of the authors' code. As published, the gate is
not held to [0, 1]: past its edge it goes back by ``(alpha - 1)|Delta|``.

``noisy_tanh`` takes the same for both tanh, with ``u(z) = z``, h = u cut off at -1 and 1, alpha = 1.15, c = 0.5 and
normal noise, the defaults of ``NTanhP`` in the authors' code; candidate and cell have each their p.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, ClassVar

import torch

from gateflow.errors import InvalidArgument
from gateflow.gates.gate import Gate
from gateflow.nn.recurrent import Recurrent, State, Tensor, Values, Weights

HARD = "where(z <= -2, 0, where(z >= 2, 1, z/4 + 1/2))"
"""The gate without its noise."""

NOISY = ("input", "forget", "output")


def noisy_hard_sigmoid(z: Tensor, p: Tensor, epsilon: Tensor | float, alpha: float = 1.1, c: float = 0.15) -> Tensor:
    """The noisy gate for given noise.

    Examples
    --------
    >>> z = torch.tensor([0.0, 6.0])
    >>> noisy_hard_sigmoid(z, torch.tensor(1.0), 0.0)
    tensor([0.5000, 0.9000])
    """
    linear = 0.25 * z + 0.5
    return _noisy(z, linear, torch.clamp(linear, 0.0, 1.0), p, epsilon, alpha, c)


def noisy_hard_tanh(z: Tensor, p: Tensor, epsilon: Tensor | float, alpha: float = 1.15, c: float = 0.5) -> Tensor:
    """The noisy tanh for given noise.

    Examples
    --------
    >>> z = torch.tensor([0.5, 2.0])
    >>> noisy_hard_tanh(z, torch.tensor(1.0), 0.0)
    tensor([0.5000, 0.8500])
    """
    return _noisy(z, z, torch.clamp(z, -1.0, 1.0), p, epsilon, alpha, c)


def _noisy(
    z: Tensor, linear: Tensor, hard: Tensor, p: Tensor, epsilon: Tensor | float, alpha: float, c: float
) -> Tensor:
    spread = c * (torch.sigmoid(p * (hard - linear)) - 0.5) ** 2
    direction = -torch.sign(z) * math.copysign(1.0, 1.0 - alpha)
    return alpha * hard + (1.0 - alpha) * linear + direction * spread * epsilon


class NoisyLSTM(Recurrent):
    """LSTM layers in the layout of ``torch.nn.LSTM``, with noisy hard gates and their learned scales ``noise_p``.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`.
    alpha : float
        Above 1 the gate leans back from its edge, below 1 it leans past it.
    c : float
        Scale of the noise, not negative.
    noisy_tanh : bool
        Candidate and cell pass through the noisy tanh in place of tanh.
    half_normal : bool
        The noise is half-normal, as in the authors' gates; otherwise normal.
    generator : torch.Generator, optional
        Where the noise comes from; PyTorch's own generator of the device by default.

    Examples
    --------
    >>> noise = torch.Generator().manual_seed(0)
    >>> layer = NoisyLSTM(2, 8, generator=noise)
    >>> output, (h, c) = layer.eval()(torch.randn(5, 3, 2))
    >>> output.shape
    torch.Size([5, 3, 8])
    """

    blocks = ("input", "forget", "candidate", "output")
    states: ClassVar[tuple[str, ...]] = ("hidden", "cell")
    forget_block: ClassVar[str | None] = "forget"
    random: ClassVar[bool] = True

    def __init__(
        self,
        *layout: Any,
        alpha: float = 1.1,
        c: float = 0.15,
        half_normal: bool = True,
        noisy_tanh: bool = False,
        generator: torch.Generator | None = None,
        **options: Any,
    ) -> None:
        if not c >= 0 or not math.isfinite(alpha):
            raise InvalidArgument(f"alpha must be finite and c must not be negative; got {alpha}, {c}")
        self.noisy_tanh = bool(noisy_tanh)
        super().__init__(*layout, **options)
        self.alpha, self.c, self.half_normal, self.generator = float(alpha), float(c), half_normal, generator

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        more = {"noise_p_tanh": (2, self.hidden_size)} if self.noisy_tanh else {}
        return {"noise_p": (len(NOISY), self.hidden_size), **more}

    def reset_parameters(self) -> None:
        """As in ``torch.nn.LSTM``; p = 1."""
        super().reset_parameters()
        with torch.no_grad():
            for _, suffix in self.layers():
                for each in self.weights(suffix).extra.values():
                    each.fill_(1.0)

    def gates(self) -> dict[str, Gate]:
        """The hard gate, which is what they are where there is no noise."""
        return dict.fromkeys(NOISY, _hard())

    def _noise(self, like: Tensor) -> Tensor | float:
        if not self.training:
            return math.sqrt(2.0 / math.pi) if self.half_normal else 0.0
        noise = self._normal(like)
        return noise.abs() if self.half_normal else noise

    def _normal(self, like: Tensor) -> Tensor:
        return torch.randn(like.shape, generator=self.generator, dtype=like.dtype, device=like.device)

    def _tanh(self, z: Tensor, weights: Weights, which: int) -> Tensor:
        """tanh, or the noisy one with p of the candidate (0) or the cell (1)."""
        if not self.noisy_tanh:
            return torch.tanh(z)
        noise = self._normal(z) if self.training else 0.0
        return noisy_hard_tanh(z, weights.extra["noise_p_tanh"][which], noise)

    def step(self, x: Tensor, state: State, weights: Weights) -> tuple[State, Values]:
        h, c = state
        z_i, z_f, z_g, z_o = torch.addmm(x, h, weights.hh.t()).chunk(4, dim=1)
        z = torch.stack([z_i, z_f, z_o], dim=1)
        gates = noisy_hard_sigmoid(z, weights.extra["noise_p"], self._noise(z), self.alpha, self.c)
        i, f, o = gates.unbind(dim=1)
        g = self._tanh(z_g, weights, 0)
        c = f * c + i * g
        h = o * self._tanh(c, weights, 1)
        return (h, c), {"input": i, "forget": f, "candidate": g, "output": o, "forget_z": z_f}


@cache
def _hard() -> Gate:
    return Gate(HARD, inverse="4*sigmoid(u) - 2", name="hard")


CELL = NoisyLSTM
