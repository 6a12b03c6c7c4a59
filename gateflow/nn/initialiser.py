"""What an initialiser is: a few numbers, and a call that sets the biases of a recurrent layer's gates.

Starting values of gates are given as f or as ``1 - f`` and turned into biases by the gate's own inverse, in
double-double arithmetic: an initialiser means the same for every gate. Only biases of gates are touched.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from gateflow.errors import InvalidArgument, shown

if TYPE_CHECKING:
    from gateflow.nn.recurrent import Recurrent

Array = np.ndarray
Seed = torch.Generator | int | None
"""A generator, a seed for one, or None for PyTorch's own."""


class Initialiser(ABC):
    """Sets the biases of a recurrent layer; subclasses are frozen dataclasses of their settings."""

    @abstractmethod
    def __call__(self, cell: Recurrent, generator: Seed = None) -> None:
        """Set the biases of ``cell``, every layer and direction.

        Parameters
        ----------
        cell : Recurrent
        generator : torch.Generator or int, optional
            Where random numbers come from.

        Raises
        ------
        InvalidArgument
            The cell has no forget gate or no biases.
        """


def sites(cell: Recurrent) -> Iterator[tuple[int, str]]:
    """Layer and suffix of each place where a forget gate has its bias.

    Raises
    ------
    InvalidArgument
        The cell has none.
    """
    if cell.forget_block is None:
        raise InvalidArgument(f"{type(cell).__name__} has no forget gate to initialise")
    yield from cell.layers()


def start_forget(cell: Recurrent, suffix: str, *, f: Array | None = None, f_c: Array | None = None) -> None:
    """Let the forget gate start at f, or at ``1 - f_c``; a refine gate starts at 1/2, where it changes nothing."""
    block = cell.forget_block
    assert block is not None  # sites has looked
    start(cell, suffix, block, value=f, complement=f_c)
    if "refine" in cell.blocks:
        start(cell, suffix, "refine", value=np.full(cell.hidden_size, 0.5))


def start_input(cell: Recurrent, suffix: str, value: Array) -> None:
    """Let the input gate, where it is one of its own, start at ``value``."""
    if "input" in cell.blocks:
        start(cell, suffix, "input", value=value)


def start(
    cell: Recurrent, suffix: str, block: str, *, value: Array | None = None, complement: Array | None = None
) -> None:
    """Let the gate of a block start at ``value``, or at ``1 - complement``."""
    given = {"value": value, "complement": complement}
    every = {k: np.broadcast_to(v, cell.hidden_size).copy() for k, v in given.items() if v is not None}
    cell.start(block, suffix, **every)


def uniform(count: int, low: float, high: float, generator: Seed) -> Array:
    """Draws from U(low, high) in float64."""
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    draws = torch.rand(count, generator=generator, dtype=torch.float64).numpy()
    return low + (high - low) * draws


def positive(**numbers: Any) -> None:
    """Refuse what is not a positive finite number."""
    for name, number in numbers.items():
        if not (isinstance(number, (int, float)) and 0 < number < float("inf")):
            raise InvalidArgument(f"{name} must be a positive number; got {shown(number)}")
