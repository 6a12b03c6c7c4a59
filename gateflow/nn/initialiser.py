"""What an initialiser is: a few numbers, and a call that sets the biases of the gates of recurrent layers.

Starting values of gates are given as f or as ``1 - f`` and turned into biases by the gate's own inverse, in
double-double arithmetic: an initialiser means the same for every gate. Only biases of gates are touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from gateflow.errors import InvalidArgument, shown

Array = np.ndarray
Seed = torch.Generator | int | None
"""A generator, a seed for one, or None for PyTorch's own."""


class Initialiser:
    """Sets the biases of recurrent layers; subclasses are frozen dataclasses of their settings."""

    def __call__(self, model: torch.nn.Module, generator: Seed = None) -> None:
        """Set the biases of the gates that hold the state, in every layer and direction.

        Parameters
        ----------
        model : torch.nn.Module
            A layer of :mod:`gateflow.nn`, or a model with such layers.
        generator : torch.Generator or int, optional
            Where random numbers come from, or a seed for one.

        Raises
        ------
        InvalidArgument
            There is no such layer, or one without a forget gate or biases.

        Examples
        --------
        >>> from gateflow.nn import INITS, MinGRU
        >>> model = torch.nn.Sequential(torch.nn.Linear(2, 3), MinGRU(3, 4, decay_gate="fast"))
        >>> INITS["for-timescales"](low=200, high=200)(model)
        >>> log_decay = model[1].decay_gate.log(model[1].projection.bias[:4])
        >>> (-1 / log_decay).round(decimals=3).tolist()
        [200.0, 200.0, 200.0, 200.0]
        """
        cells = list(cells_of(model, set()))
        if not cells:
            raise InvalidArgument(
                f"{type(model).__name__} has no layer of gateflow to initialise; gateflow.nn.replace makes them of "
                "torch.nn.LSTM and GRU"
            )
        if isinstance(generator, int):
            generator = torch.Generator().manual_seed(generator)
        for cell in cells:
            self.start(cell, generator)

    def start(self, cell: Any, generator: torch.Generator | None) -> None:
        """Set the biases of one cell, every layer and direction."""
        raise NotImplementedError(f"{type(self).__name__} has no start")


def cells_of(model: torch.nn.Module, seen: set[int]) -> Iterator[Any]:
    """The recurrent layers of a model as initialisers know cells, each once, in the order of its modules."""
    if id(model) in seen:
        return
    seen.add(id(model))
    if (as_cell := getattr(model, "as_cell", None)) is not None:
        yield as_cell()
        return
    for child in model.children():
        yield from cells_of(child, seen)


def sites(cell: Any) -> Iterator[tuple[int, str]]:
    """Layer and suffix of each place where a forget gate has its bias.

    Raises
    ------
    InvalidArgument
        The cell has none.
    """
    if cell.forget_block is None:
        raise InvalidArgument(f"{type(cell).__name__} has no forget gate to initialise")
    yield from cell.layers()


def start_forget(cell: Any, suffix: str, *, f: Array | None = None, f_c: Array | None = None) -> None:
    """Let the forget gate start at f, or at ``1 - f_c``; a refine gate starts at 1/2, where it changes nothing."""
    block = cell.forget_block
    assert block is not None  # sites has looked
    start(cell, suffix, block, value=f, complement=f_c)
    if "refine" in cell.blocks:
        start(cell, suffix, "refine", value=np.full(cell.hidden_size, 0.5))


def start_input(cell: Any, suffix: str, value: Array) -> None:
    """Let the input gate, where it is one of its own, start at ``value``."""
    if "input" in cell.blocks:
        start(cell, suffix, "input", value=value)


def start(cell: Any, suffix: str, block: str, *, value: Array | None = None, complement: Array | None = None) -> None:
    """Let the gate of a block start at ``value``, or at ``1 - complement``."""
    given = {"value": value, "complement": complement}
    every = {k: np.broadcast_to(v, cell.hidden_size).copy() for k, v in given.items() if v is not None}
    cell.start(block, suffix, **every)


def uniform(count: int, low: float, high: float, generator: Seed) -> Array:
    """Draws from U(low, high) in float64."""
    if isinstance(generator, int):
        generator = torch.Generator().manual_seed(generator)
    where = "cpu" if generator is None else generator.device
    draws = torch.rand(count, generator=generator, dtype=torch.float64, device=where).cpu().numpy()
    return low + (high - low) * draws


def positive(**numbers: Any) -> None:
    """Refuse what is not a positive finite number."""
    for name, number in numbers.items():
        if not (isinstance(number, (int, float)) and 0 < number < float("inf")):
            raise InvalidArgument(f"{name} must be a positive number; got {shown(number)}")
