"""Where a cell's pre-activations have their rows: for the plain step, the whole-sequence form and recurrent.c."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class Block:
    """One pre-activation of each unit: which block of the weights of x adds to it, and which of those of h."""

    name: str
    x: int | None
    h: int | None


def shared(*names: str) -> tuple[Block, ...]:
    """Blocks with weights of both, in the order of their rows."""
    return tuple(Block(name, n, n) for n, name in enumerate(names))


@dataclass(frozen=True)
class Layout:
    """The pre-activations of a cell, and what compiled code needs to know of it.

    Parameters
    ----------
    blocks : tuple of Block
    kernel : str
        The cell's name in recurrent.c; empty where it has none there.
    gates : tuple of str
        The blocks that have a gate, in the order in which recurrent.c takes the gates.
    factors : int
        How many numbers recurrent.c keeps of a step for each unit.
    from_output : int or None
        The block whose gradient comes from h, where there is a cell state as well; None where h is all there is.

    Examples
    --------
    >>> layout = Layout(shared("update", "candidate"))
    >>> z = layout.preactivations(torch.ones(1, 6), torch.ones(1, 3), torch.ones(6, 3), None)
    >>> {name: block.tolist() for name, block in layout.split(z).items()}
    {'update': [[4.0, 4.0, 4.0]], 'candidate': [[4.0, 4.0, 4.0]]}
    """

    blocks: tuple[Block, ...]
    kernel: str = ""
    gates: tuple[str, ...] = ()
    factors: int = 0
    from_output: int | None = None

    @property
    def has_cell(self) -> bool:
        return self.from_output is not None

    @cached_property
    def is_shared(self) -> bool:
        """Whether the parts of x and of h are only ever added up, so that both biases may go with x."""
        return all(block.x == block.h == n for n, block in enumerate(self.blocks))

    def preactivations(self, x: Tensor, h: Tensor, hh: Tensor, bias_hh: Tensor | None) -> Tensor:
        """All blocks side by side, (batch, blocks * size), from the projected input and the recurrent weights."""
        if self.is_shared:
            return torch.addmm(x, h, hh.t())
        size = h.shape[1]
        from_x, from_h = x.split(size, dim=1), F.linear(h, hh, bias_hh).split(size, dim=1)
        parts = (
            [rows[n] for rows, n in ((from_x, block.x), (from_h, block.h)) if n is not None] for block in self.blocks
        )
        return torch.cat([part[0] if len(part) == 1 else part[0] + part[1] for part in parts], dim=1)

    def split(self, z: Tensor) -> dict[str, Tensor]:
        """Blocks by name."""
        return dict(zip((block.name for block in self.blocks), z.chunk(len(self.blocks), dim=-1), strict=True))

    def rows(self, which: str, z: Tensor) -> Tensor:
        """Of blocks side by side those that have weights of x, or of h, in the order of these weights' rows."""
        if self.is_shared:
            return z
        parts = z.chunk(len(self.blocks), dim=-1)
        order = sorted(
            (n, place) for place, n in enumerate(getattr(block, which) for block in self.blocks) if n is not None
        )
        return torch.cat([parts[place] for _, place in order], dim=-1)

    def gradients(
        self, dz: Tensor, x: Tensor, h: Tensor, ih: Tensor, biased: bool, of_input: bool
    ) -> tuple[Tensor | None, list[Tensor]]:
        """Gradients of the input, (time, batch, inputs), where asked for, and of weights and bias vectors.

        Parameters
        ----------
        dz : Tensor of shape (time, batch, blocks * size)
        x : Tensor of shape (time, batch, inputs)
        h : Tensor of shape (time, batch, size)
            Before each step.
        ih : Tensor
            The weights of x.
        biased, of_input : bool
        """
        of_x, of_h = (self.rows(which, dz).flatten(0, 1) for which in ("x", "h"))
        weights = [of_x.t() @ x.flatten(0, 1), of_h.t() @ h.flatten(0, 1)]
        biases = [of_x.sum(dim=0), of_h.sum(dim=0)] if biased else []
        return (of_x @ ih).view(x.shape) if of_input else None, [*weights, *biases]

    def span(self, which: str) -> tuple[int, int]:
        """First and last of the blocks with weights of x, or of h; they stand together."""
        having = [n for n, block in enumerate(self.blocks) if getattr(block, which) is not None]
        return having[0], having[-1] + 1
