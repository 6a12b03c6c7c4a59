"""Non-saturating recurrent unit (Chandar, Sankar, Vorontsov, Kahou and Bengio, AAAI 2019, arXiv 1902.06704).

No gate and no function that saturates: a memory m to which k heads add, and from which k heads take away::

    h <- relu(W x + U h + V m + b)
    alpha, beta, p, q, p', q' = linear maps of (h, m)         alpha, beta: one number a head
    v_1 .. v_k = rows of p q^T, each divided by its 5-norm    v' likewise from p', q'
    m <- m + mean_i(alpha_i v_i - beta_i v'_i)

p and q have ``sqrt(k memory)`` elements, so that their outer product holds k vectors of the memory's size. The paper
writes a sum over the heads; its authors' code takes the mean, and is followed by default. Optionally alpha, beta and v
pass through a relu. Settings of the authors: hidden 212, memory 256, k = 4, Adam 1e-3, gradients clipped at 1.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch.nn import functional as F

from gateflow.errors import InvalidArgument, unknown
from gateflow.nn.recurrent import Recurrent, State, Tensor, Values, Weights

NORM = 5
EPS = 1e-12
"""A vector with a smaller norm is divided by this."""

REDUCTIONS = ("mean", "sum")


class NRU(Recurrent):
    """NRU layers; the state is the pair of hidden state and memory.

    Parameters
    ----------
    input_size, hidden_size, num_layers, bias, batch_first, dropout, bidirectional, backend, device, dtype
        See :class:`~gateflow.nn.recurrent.Recurrent`.
    memory_size, heads : int
        Their product must be a square.
    relu : bool
        Pass alpha, beta and the directions through a relu.
    reduction : str
        Over the heads: ``mean`` or ``sum``.

    Examples
    --------
    >>> output, (h, m) = NRU(2, 8, memory_size=16, heads=4)(torch.randn(5, 3, 2))
    >>> output.shape, m.shape
    (torch.Size([5, 3, 8]), torch.Size([1, 3, 16]))
    """

    blocks = ("hidden",)
    states: ClassVar[tuple[str, ...]] = ("hidden", "memory")
    defaults: ClassVar[dict[str, Any]] = {"init": "none"}

    def __init__(
        self,
        *layout: Any,
        memory_size: int = 64,
        heads: int = 4,
        relu: bool = False,
        reduction: str = "mean",
        **options: Any,
    ) -> None:
        if min(memory_size, heads) < 1 or math.isqrt(memory_size * heads) ** 2 != memory_size * heads:
            raise InvalidArgument(f"memory_size * heads must be a square; got {memory_size} * {heads}")
        if reduction not in REDUCTIONS:
            raise InvalidArgument(unknown("reduction", reduction, REDUCTIONS))
        self.memory_size, self.heads, self.relu, self.reduction = memory_size, heads, relu, reduction
        self.side = math.isqrt(memory_size * heads)
        super().__init__(*layout, **options)

    def state_sizes(self) -> tuple[int, ...]:
        return self.hidden_size, self.memory_size

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        rows = 2 * self.heads + 4 * self.side
        shapes: dict[str, tuple[int, ...]] = {
            "weight_mh": (self.hidden_size, self.memory_size),
            "weight_head": (rows, self.hidden_size + self.memory_size),
        }
        return shapes | ({"bias_head": (rows,)} if self.bias else {})

    def reset_parameters(self) -> None:
        """As ``torch.nn.Linear`` starts the authors' two maps: U(-1/sqrt(n), 1/sqrt(n)) with n inputs."""
        head = self.hidden_size + self.memory_size
        for layer, suffix in self.layers():
            width = self.input_size if layer == 0 else self.hidden_size * self.num_directions
            weights = self.weights(suffix)
            hidden = (weights.ih, weights.hh, weights.bias_ih, weights.extra["weight_mh"])
            for fan_in, group in ((width + head, hidden), (head, [weights.extra.get(k) for k in HEAD])):
                for parameter in group:
                    if parameter is not None:
                        torch.nn.init.uniform_(parameter, -(fan_in**-0.5), fan_in**-0.5)
            if weights.bias_hh is not None:
                torch.nn.init.zeros_(weights.bias_hh)

    def step(self, x: Tensor, state: State, weights: Weights) -> tuple[State, Values]:
        h, m = state
        h = torch.relu(torch.addmm(torch.addmm(x, h, weights.hh.t()), m, weights.extra["weight_mh"].t()))
        heads = F.linear(torch.cat([h, m], dim=1), weights.extra["weight_head"], weights.extra.get("bias_head"))
        alpha, beta, p, q, p_c, q_c = heads.split([self.heads] * 2 + [self.side] * 4, dim=1)
        if self.relu:
            alpha, beta = torch.relu(alpha), torch.relu(beta)
        change = alpha[:, :, None] * self._directions(p, q) - beta[:, :, None] * self._directions(p_c, q_c)
        m = m + (change.mean(dim=1) if self.reduction == "mean" else change.sum(dim=1))
        return (h, m), {"alpha": alpha, "beta": beta}

    def _directions(self, p: Tensor, q: Tensor) -> Tensor:
        """Vectors of 5-norm 1, (batch, heads, memory)."""
        v = (p[:, :, None] * q[:, None, :]).reshape(-1, self.heads, self.memory_size)
        if self.relu:
            v = torch.relu(v)
        # divided by the largest element first: the fifth powers then neither over- nor underflow
        size = v.detach().abs().amax(dim=2, keepdim=True).clamp(min=torch.finfo(v.dtype).tiny)
        scaled = v / size
        norm = torch.linalg.vector_norm(scaled, NORM, dim=2, keepdim=True)
        return scaled / torch.maximum(norm, EPS / size)


HEAD = ("weight_head", "bias_head")

CELL = NRU
