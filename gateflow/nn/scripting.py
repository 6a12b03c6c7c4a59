"""A layer as ``torch.jit.script`` compiles it: one node for each layer and direction, like `gateflow.nn.operators`.

PyTorch has deprecated this compiler; models that are scripted still may have layers of gateflow in them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils import parametrize

from gateflow.errors import InvalidArgument


class Weighted(torch.nn.Module):
    """A module with the weights of a layer under their own names, so that state dicts go both ways.

    A script cannot ask for a weight by a name that is made up, so the same tensors are in a list, too.
    """

    def __init__(self, named: dict[str, Tensor], cell: str, backend: str) -> None:
        super().__init__()
        for name, each in named.items():
            setattr(self, name, each)
        self.flat = list(named.values())
        self.cell, self.backend = cell, backend

    def one_way(
        self, data: Tensor, start: list[Tensor], weights: list[Tensor], reverse: bool
    ) -> tuple[Tensor, list[Tensor]]:
        """One layer in one direction."""
        learned = data.requires_grad
        for each in weights:
            learned = learned or each.requires_grad
        for part in start:
            learned = learned or part.requires_grad
        keep = torch.is_grad_enabled() and learned
        output, final, _ = torch.ops.gateflow.layer(data, start, weights, None, reverse, self.cell, self.backend, keep)
        return output, final


class AllLayers(Weighted):
    """All layers over a padded batch, or one sequence, without checks of its own: the operator has them."""

    def __init__(self, layer: Any) -> None:
        _check(layer)
        if not (cell := layer.declare()):
            raise InvalidArgument(f"{type(layer).__name__} with these options is not scripted: its loop is in Python")
        backend = "auto" if layer.backend == "framework" else layer.backend
        ways = [layer.weights(suffix).values() for _, suffix in layer.layers()]
        super().__init__(dict(layer.named_parameters(remove_duplicate=False)), cell, backend)  # tied ones by both names
        self.flat = [each for weights in ways for each in weights]
        self.ways, self.count = len(ways), len(ways[0])
        self.directions: int = layer.num_directions
        self.batch_first: bool = layer.batch_first
        self.dropout: float = layer.dropout
        self.sizes = list(layer.state_sizes())
        self.train(layer.training)

    def of_way(self, index: int) -> list[Tensor]:
        """The weights of one layer in one direction."""
        return self.flat[index * self.count : (index + 1) * self.count]

    def run(self, input: Tensor, hx: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The output and the parts of the last state."""
        batched = input.dim() == 3
        data = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        state: list[Tensor] = []
        for n, size in enumerate(self.sizes):
            if len(hx) == 0:
                state.append(data.new_zeros([self.ways, data.size(1), size]))
            else:
                state.append(hx[n] if batched else hx[n].unsqueeze(1))
            if state[n].size(0) != self.ways:
                raise ValueError("the state must have a row for each layer and direction")
        ends: list[Tensor] = []
        for layer in range(self.ways // self.directions):
            index = layer * self.directions
            output, final = self.one_way(data, [part[index] for part in state], self.of_way(index), False)
            ends.extend(final)
            if self.directions == 2:
                other, final = self.one_way(data, [part[index + 1] for part in state], self.of_way(index + 1), True)
                ends.extend(final)
                output = torch.cat([output, other], dim=-1)
            data = output
            if self.dropout > 0.0 and self.training and index + self.directions < self.ways:
                data = F.dropout(data, self.dropout)
        last = [torch.stack(ends[n :: len(state)]) for n in range(len(state))]
        if not batched:
            return data.squeeze(1), [part.squeeze(1) for part in last]
        return data.transpose(0, 1) if self.batch_first else data, last


class OfOnePart(AllLayers):
    """Of a cell whose state is one tensor."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> tuple[Tensor, Tensor]:
        output, last = self.run(input, [] if hx is None else [hx])
        return output, last[0]


class OfTwoParts(AllLayers):
    """Of a cell whose state is a pair."""

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        output, last = self.run(input, [] if hx is None else [hx[0], hx[1]])
        return output, (last[0], last[1])


class OneStep(Weighted):
    """A step of a cell, with one row of its own for each sequence, or a single sequence."""

    def __init__(self, cell: Any) -> None:
        _check(cell)
        named = {name: getattr(cell, name) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
        there = {name: each for name, each in named.items() if each is not None}
        super().__init__(there, cell.equations.declare(), cell.equations.backend)
        self.hidden_size: int = cell.hidden_size
        self.parts: int = len(cell.equations.states)

    def run(self, input: Tensor, hx: list[Tensor]) -> list[Tensor]:
        """The parts of the next state."""
        x = input if input.dim() == 2 else input.unsqueeze(0)
        state = [x.new_zeros([x.size(0), self.hidden_size]) for _ in range(self.parts)]
        for n, part in enumerate(hx):
            state[n] = part if part.dim() == 2 else part.unsqueeze(0)
        _, final = self.one_way(x.unsqueeze(0), state, self.flat, False)
        return final if input.dim() == 2 else [part.squeeze(0) for part in final]


class StepOfOnePart(OneStep):
    """Of a cell whose state is one tensor."""

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        return self.run(input, [] if hx is None else [hx])[0]


class StepOfTwoParts(OneStep):
    """Of a cell whose state is a pair."""

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        final = self.run(input, [] if hx is None else [hx[0], hx[1]])
        return final[0], final[1]


def _check(module: torch.nn.Module) -> None:
    """Refuse what the numbers of the weights, taken now, would leave out."""
    name = type(module).__name__
    if parametrize.is_parametrized(module):
        raise InvalidArgument(f"the weights of {name} are parametrised, which torch.jit.script does not know")
    if module._forward_hooks or module._forward_pre_hooks:
        raise InvalidArgument(f"{name} has hooks, as for pruned weights, and torch.jit.script would leave them out")


def scriptable(layer: Any) -> AllLayers:
    """What ``torch.jit.script`` compiles instead of a layer.

    Raises
    ------
    InvalidArgument
        The layer draws random numbers, projects its output, or has parametrised weights or hooks.
    """
    return (OfOnePart if len(layer.states) == 1 else OfTwoParts)(layer)
