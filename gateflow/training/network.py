"""The network that is trained: an embedding where the inputs are tokens, recurrent layers, a linear readout."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from gateflow.errors import InvalidArgument
from gateflow.guards.calls import checked_options, name_and_options, name_of, option_defaults
from gateflow.nn.initialiser import Initialiser
from gateflow.nn.linear._layer import LinearRecurrence
from gateflow.nn.linear._stack import LinearStack
from gateflow.nn.recurrent import Recurrent
from gateflow.training.settings import Settings, cell_class, make_init

FORGET = ("forget_gate", "update_gate", "decay_gate")
"""The words by which cells take the gate that holds the state."""


TOO_LARGE = re.compile("allocate memory|out of memory|overflow")
"""What PyTorch says where it cannot have the memory that it asks for."""

LAYOUT = (
    "self", "input_size", "hidden_size", "num_layers", "batch_first", "dropout", "bidirectional", "proj_size",
    "gates", "generator", "backend", "device", "dtype", "width", "state_size",
)  # fmt: skip
"""Words of cells that are not options: other settings say them, or nothing may."""


class Network(nn.Module):
    """Recurrent layers between an embedding, or none, and a linear readout.

    Parameters
    ----------
    cell : Recurrent or LinearStack
        With ``batch_first``.
    outputs : int
        Numbers in an answer.
    tokens : int, optional
        How many tokens there are, where inputs are tokens.
    every_step : bool
        Answer after every step; else after the last one of each sequence.
    dropout : float
        Share dropped of what enters the layers (from an embedding) and of what leaves them (Zaremba, Sutskever and
        Vinyals 2014, arXiv 1409.2329).
    tied : bool
        The readout's matrix is the embedding's (Press and Wolf 2017, arXiv 1608.05859).

    Examples
    --------
    >>> from gateflow.nn import LSTM
    >>> answers, state = Network(LSTM(2, 8, batch_first=True), 1)(torch.randn(3, 5, 2))
    >>> answers.shape
    torch.Size([3, 1])
    """

    def __init__(
        self,
        cell: Recurrent | LinearStack,
        outputs: int,
        *,
        tokens: int | None = None,
        every_step: bool = False,
        dropout: float = 0.0,
        tied: bool = False,
    ) -> None:
        super().__init__()
        self.every_step = every_step
        self.embedding = None if tokens is None else nn.Embedding(tokens, cell.input_size)
        self.cell = cell
        self.dropout = nn.Dropout(dropout)
        self.readout = nn.Linear(cell.hidden_size, outputs)
        if tied:
            if self.embedding is None or tokens != outputs or cell.input_size != cell.hidden_size:
                wanted = "a task that reads and writes the same tokens, and an embedding as wide as the layers"
                raise InvalidArgument(f"tie_embedding needs {wanted}")
            self.readout.weight = self.embedding.weight
            nn.init.uniform_(self.readout.weight, -0.1, 0.1)  # N(0, 1) is far too wide for a readout

    def forward(
        self, inputs: Tensor, state: Any = None, lengths: Tensor | None = None, *, return_gates: bool = False
    ) -> tuple[Any, ...]:
        """Answers, (batch, outputs) or (batch, time, outputs), the last state, and with ``return_gates`` the gates."""
        x = inputs if self.embedding is None else self.dropout(self.embedding(inputs))
        output, state, *gates = self.cell(x, state, return_gates=return_gates)
        if not self.every_step:
            output = (
                output[:, -1]
                if lengths is None
                else output[torch.arange(len(output), device=output.device), lengths - 1]
            )
        return (self.readout(self.dropout(output)), state, *gates)


def build(settings: Settings, task: Any) -> Network:
    """The network of these settings, started with PyTorch's own generator.

    Raises
    ------
    InvalidArgument
        The cell has no gate that the settings name, or the initialiser does not fit it.
    """
    width = (settings.embedding or settings.hidden) if task.tokens else task.input_size
    name, options = name_and_options(settings.cell)
    options = checked_options(f"cell {name}", cell_options(name), options)
    dtype = torch.float64 if settings.precision == "float64" else torch.float32
    gates = _gates(settings)
    try:
        cell = _maker(cell_class(name))(
            width,
            settings.hidden,
            settings.layers,
            batch_first=True,
            dropout=settings.dropout if settings.layers > 1 else 0.0,
            backend=settings.backend,
            dtype=dtype,
            **{**gates, **options},
        )
    except RuntimeError as problem:  # PyTorch's word for it
        if not TOO_LARGE.search(str(problem)):
            raise
        raise InvalidArgument(f"no memory for {settings.layers} x {settings.hidden} units of {name}") from None
    initialise = make_init(settings.init, task.length)
    network = Network(
        cell,
        task.output_size,
        tokens=task.input_size if task.tokens else None,
        every_step=task.every_step,
        dropout=settings.dropout,
        tied=settings.tie_embedding,
    )
    if isinstance(initialise, Initialiser):
        initialise(cell)
    return network.to(dtype)


def _maker(kind: Any) -> Callable[..., Any]:
    """What makes the stack of layers of a class."""
    return partial(LinearStack, kind) if issubclass(kind, LinearRecurrence) else kind


def weights_of(network: nn.Module) -> dict[str, Tensor]:
    """Every parameter and buffer once, also where two modules share one."""
    return dict(itertools.chain(network.named_parameters(), network.named_buffers()))


def set_weights(network: nn.Module, values: Mapping[str, Tensor]) -> None:
    """Give a network these values of its parameters and buffers.

    Raises
    ------
    ValueError
        One is missing, or of another shape or type.
    """
    own = weights_of(network)
    for name, weight in own.items():
        if name not in values:
            raise ValueError(f"there is no {name}")
        value = values[name]
        if (value.shape, value.dtype) != (weight.shape, weight.dtype):
            here, there = (f"{str(each.dtype).removeprefix('torch.')} {tuple(each.shape)}" for each in (value, weight))
            raise ValueError(f"{name} is {here}, where the network has {there}")
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(values[name])


def _gates(settings: Settings) -> dict[str, Any]:
    """The gates that the settings name, by the words of the cell."""
    takes = _words(cell_class(settings.cell))
    wanted = {name: getattr(settings, name) for name in ("forget_gate", "input_gate", "output_gate", "tied")}
    found = {}
    for name, value in wanted.items():
        if value is None:
            continue
        word = next((word for word in (FORGET if name == "forget_gate" else (name,)) if word in takes), None)
        if word is None:
            raise InvalidArgument(f"the cell {name_of(settings.cell)} has no {name.replace('_', ' ')} to choose")
        found[word] = value
    return found


def cell_options(name: str) -> dict[str, Any]:
    """The options that a cell takes in brackets, with their defaults.

    Examples
    --------
    >>> cell_options("janet")
    {'bias': True, 'forget_gate': 'sigmoid', 'beta': 1.0}
    """
    return {word: default for word, default in _words(cell_class(name)).items() if word not in LAYOUT}


def _words(cell: type) -> dict[str, Any]:
    """Every keyword that a class of cells and those it derives from take."""
    found: dict[str, Any] = {}
    for base in reversed(cell.__mro__):
        if issubclass(base, (Recurrent, LinearRecurrence)) and "__init__" in vars(base):
            found |= option_defaults(base.__init__)
    return found
