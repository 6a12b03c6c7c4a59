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


class OneWay(torch.nn.Module):
    """One layer in one direction."""

    def __init__(self, weights: list[Tensor], cell: str, backend: str, reverse: bool) -> None:
        super().__init__()
        self.weights = torch.nn.ParameterList(weights)
        self.cell, self.backend, self.reverse = cell, backend, reverse

    def forward(self, data: Tensor, start: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        weights: list[Tensor] = []
        learned = data.requires_grad
        for each in self.weights:
            weights.append(each)
            learned = learned or each.requires_grad
        for part in start:
            learned = learned or part.requires_grad
        keep = torch.is_grad_enabled() and learned
        output, final, _ = torch.ops.gateflow.layer(
            data, start, weights, None, self.reverse, self.cell, self.backend, keep
        )
        return output, final


class AllLayers(torch.nn.Module):
    """All layers over a padded batch, or one sequence, without checks of its own: the operator has them."""

    def __init__(self, layer: Any) -> None:
        super().__init__()
        _check(layer)
        if not (cell := layer.declare()):
            raise InvalidArgument(f"{type(layer).__name__} with these options is not scripted: its loop is in Python")
        backend = "auto" if layer.backend == "framework" else layer.backend
        self.ways = torch.nn.ModuleList(
            OneWay(layer.weights(suffix).values(), cell, backend, suffix.endswith("_reverse"))
            for _, suffix in layer.layers()
        )
        self.directions: int = layer.num_directions
        self.batch_first: bool = layer.batch_first
        self.dropout: float = layer.dropout
        self.sizes = list(layer.state_sizes())
        self.train(layer.training)

    def run(self, input: Tensor, hx: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """The output and the parts of the last state."""
        batched = input.dim() == 3
        data = (input.transpose(0, 1) if self.batch_first else input) if batched else input.unsqueeze(1)
        state: list[Tensor] = []
        for n, size in enumerate(self.sizes):
            if len(hx) == 0:
                state.append(data.new_zeros([len(self.ways), data.size(1), size]))
            else:
                state.append(hx[n] if batched else hx[n].unsqueeze(1))
            if state[n].size(0) != len(self.ways):
                raise ValueError("the state must have a row for each layer and direction")
        outputs: list[Tensor] = []
        finals: list[list[Tensor]] = [[] for _ in state]
        for index, way in enumerate(self.ways):
            output, final = way(data, [part[index] for part in state])
            for n, part in enumerate(final):
                finals[n].append(part)
            outputs.append(output)
            if len(outputs) == self.directions:
                data = torch.cat(outputs, dim=-1)
                outputs = []
                if self.dropout > 0.0 and self.training and index < len(self.ways) - 1:
                    data = F.dropout(data, self.dropout)
        last = [torch.stack(parts) for parts in finals]
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


class OneStep(torch.nn.Module):
    """A step of a cell, with one row of its own for each sequence, or a single sequence."""

    def __init__(self, cell: Any) -> None:
        super().__init__()
        _check(cell)
        weights = [each for each in (cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh) if each is not None]
        self.way = OneWay(weights, cell.equations.declare(), cell.equations.backend, False)
        self.hidden_size: int = cell.hidden_size
        self.parts: int = len(cell.equations.states)

    def run(self, input: Tensor, hx: list[Tensor]) -> list[Tensor]:
        """The parts of the next state."""
        x = input if input.dim() == 2 else input.unsqueeze(0)
        state = [x.new_zeros([x.size(0), self.hidden_size]) for _ in range(self.parts)]
        for n, part in enumerate(hx):
            state[n] = part if part.dim() == 2 else part.unsqueeze(0)
        _, final = self.way(x.unsqueeze(0), state)
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
