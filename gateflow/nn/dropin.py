"""Layers for one step at a time, and a model's own layers changed into ones with any gate."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument, InvalidTensor, shown, unknown
from gateflow.gates.gate import Gate
from gateflow.nn import scripting
from gateflow.nn.cells.gru import GRU
from gateflow.nn.cells.lstm import LSTM
from gateflow.nn.operands import autocasts, check_kind, check_like, check_shape, state_parts
from gateflow.nn.recurrent import BACKENDS, AnyGate, Recurrent, Weights, as_function


def _step(cell: Any, layer: Recurrent, input: Tensor, state: Any) -> tuple[Tensor, ...]:
    """The state after one step of a cell with the equations of ``layer``, batched or not."""
    name = type(cell).__name__
    check_kind(f"the input of {name}", input)
    if input.dim() not in (1, 2):
        raise InvalidTensor(f"{name}: the input must have 1 or 2 dimensions; it has {input.dim()}")
    if input.shape[-1] != cell.input_size:
        raise InvalidTensor(f"{name}: the input has {input.shape[-1]} features; the cell takes {cell.input_size}")
    weights, casts = Weights(cell.weight_ih, cell.weight_hh, cell.bias_ih, cell.bias_hh, {}), autocasts(input.device)
    check_like(f"{name}: the input", input, weights.ih, casts=casts)
    x = input if input.dim() == 2 else input[None]
    if state is None:
        start = tuple(x.new_zeros(x.shape[0], cell.hidden_size) for _ in layer.states)
    else:
        start = state_parts(state, name, layer.states)
        for part in start:
            if part.dim() != input.dim():
                raise InvalidTensor(f"{name}: the state must have {input.dim()} dimensions; it has {part.dim()}")
        start = tuple(part if part.dim() == 2 else part[None] for part in start)
        for which, part in zip(layer.states, start, strict=True):
            check_shape(which, part, (x.shape[0], cell.hidden_size))
            check_like(f"{name}: the initial {which}", part, weights.ih, casts=casts)
    final = layer.one_step(x[None], start, weights)
    return tuple(part if input.dim() == 2 else part[0] for part in final)


class OneCell:
    """A cell for one step at a time, as initialisers know a layer."""

    num_layers = 1

    def __init__(self, cell: Any) -> None:
        self.cell, self.hidden_size, self.gate_owner = cell, cell.hidden_size, cell.equations
        self.forget_block, self.blocks = cell.equations.forget_block, cell.equations.blocks

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        yield from self.cell.parameters()

    def layers(self) -> Iterator[tuple[int, str]]:
        yield 0, ""

    def gates(self) -> dict[str, Gate]:
        found: dict[str, Gate] = self.cell.equations.gates()
        return found

    def vectors(self, suffix: str) -> list[Tensor]:
        return [self.cell.bias_ih, self.cell.bias_hh]

    def set_bias(self, block: str, suffix: str, values: Tensor) -> None:
        if self.cell.bias_ih is None:
            raise InvalidArgument(f"{type(self.cell).__name__} was made without biases (bias=False): none to set")
        rows = slice(self.blocks.index(block) * self.hidden_size, (self.blocks.index(block) + 1) * self.hidden_size)
        with torch.no_grad():
            self.cell.bias_ih[rows], self.cell.bias_hh[rows] = values.to(self.cell.bias_ih), 0.0

    def start(self, block: str, suffix: str, **values: np.ndarray) -> None:
        gate = self.gates()[block]
        bias = gate.inverse(values["value"]) if "value" in values else gate.inverse_c(values["complement"])
        self.set_bias(block, suffix, torch.as_tensor(bias, device="cpu"))


class LSTMCell(torch.nn.LSTMCell):
    """``torch.nn.LSTMCell`` with any gates.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As of ``torch.nn.LSTMCell``.
    forget_gate, input_gate, output_gate : str or Gate

    Examples
    --------
    >>> h, c = LSTMCell(2, 8, forget_gate="fast")(torch.randn(3, 2))
    >>> h.shape, c.shape
    (torch.Size([3, 8]), torch.Size([3, 8]))
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None, **gates: Any
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.equations = _equations(LSTM, bias, gates)

    def as_cell(self) -> OneCell:
        """The cell as an initialiser asks for it."""
        return OneCell(self)

    def forward(self, input: Tensor, hx: tuple[Tensor, Tensor] | None = None) -> tuple[Tensor, Tensor]:
        """The next hidden and cell state."""
        h, c = _step(self, self.equations, input, hx)
        return h, c

    def __prepare_scriptable__(self) -> torch.nn.Module:
        return scripting.StepOfTwoParts(self)


class GRUCell(torch.nn.GRUCell):
    """``torch.nn.GRUCell`` with any gates.

    Parameters
    ----------
    input_size, hidden_size, bias, device, dtype
        As of ``torch.nn.GRUCell``.
    update_gate, reset_gate : str or Gate

    Examples
    --------
    >>> GRUCell(2, 8, update_gate="fast")(torch.randn(3, 2)).shape
    torch.Size([3, 8])
    """

    def __init__(
        self, input_size: int, hidden_size: int, bias: bool = True, device: Any = None, dtype: Any = None, **gates: Any
    ) -> None:
        super().__init__(input_size, hidden_size, bias, device, dtype)
        self.equations = _equations(GRU, bias, gates)

    def as_cell(self) -> OneCell:
        """The cell as an initialiser asks for it."""
        return OneCell(self)

    def forward(self, input: Tensor, hx: Tensor | None = None) -> Tensor:
        """The next hidden state."""
        (h,) = _step(self, self.equations, input, hx)
        return h

    def __prepare_scriptable__(self) -> torch.nn.Module:
        return scripting.StepOfOnePart(self)


class _Uncompiled(Recurrent):
    """A layer of a type that ``torch.compile`` does not enter, and shall not enter by parts either."""

    def forward(self, input: Any, hx: Any = None, *, return_gates: bool = False) -> tuple[Any, ...]:
        run = super().forward.__func__
        exporting = torch.compiler.is_exporting()  # type: ignore[reportPrivateImportUsage]
        if "torch._dynamo" in sys.modules and not exporting:
            run = _disabled(run)
        found: tuple[Any, ...] = run(self, input, hx, return_gates=return_gates)
        return found


@cache
def _disabled(run: Callable[..., Any]) -> Callable[..., Any]:
    return torch.compiler.disable(run)


class TorchLSTM(_Uncompiled, LSTM, torch.nn.LSTM):
    """`LSTM`, and an instance of ``torch.nn.LSTM`` too, for code that asks for one.

    ``torch.compile`` breaks its graph at it, as at every instance of ``torch.nn.LSTM``.

    Examples
    --------
    >>> isinstance(TorchLSTM(2, 8, forget_gate="fast"), torch.nn.LSTM)
    True
    """


class TorchGRU(_Uncompiled, GRU, torch.nn.GRU):
    """`GRU`, and an instance of ``torch.nn.GRU`` too, for code that asks for one.

    ``torch.compile`` breaks its graph at it, as at every instance of ``torch.nn.GRU``.

    Examples
    --------
    >>> isinstance(TorchGRU(2, 8, update_gate="fast"), torch.nn.GRU)
    True
    """


def _equations(kind: type[Recurrent], bias: bool, gates: dict[str, Any]) -> Recurrent:
    """A layer without weights of its own."""
    layer = kind(1, 1, bias=bias, device="meta", **gates)
    layer._parameters.clear()
    return layer


torch.serialization.add_safe_globals([LSTMCell, GRUCell])

IN_NAME: dict[type, type] = {LSTM: TorchLSTM, GRU: TorchGRU}
"""The layers that are instances of PyTorch's, of those that are not."""

REPLACEMENTS: dict[type, type] = {
    torch.nn.LSTM: LSTM,
    torch.nn.GRU: GRU,
    torch.nn.LSTMCell: LSTMCell,
    torch.nn.GRUCell: GRUCell,
}
"""What stands in for PyTorch's layers."""


def replace(
    model: torch.nn.Module, *, forget_gate: AnyGate, keep_types: bool = False, **options: Any
) -> torch.nn.Module:
    """The model with its LSTM and GRU layers changed into ones with another forget gate.

    The new layers have the very parameters of the old ones, so that an optimiser goes on with them; and their hooks.
    Recurrent layers of gateflow stay, and take the gate; those without a forget gate, or with a linear state, stay as
    they are.

    Parameters
    ----------
    model : torch.nn.Module
        Changed in place, unless it is such a layer itself.
    forget_gate : str or Gate
        The gate that holds the state: in a GRU, the update gate.
    keep_types : bool
        The new layers are instances of ``torch.nn.LSTM`` and ``torch.nn.GRU`` still: `TorchLSTM`, `TorchGRU`.
    **options
        Other gates, such as ``output_gate``, for the layers that have them; ``tied``, of LSTM; ``backend``, for all but
        cells.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    InvalidArgument
        There is no such layer, or one that cannot be changed, as its weights are parametrised; or no such option. The
        model is as it was.

    Examples
    --------
    >>> model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.LSTM(4, 8))
    >>> weight = model[1].weight_hh_l0
    >>> replace(model, forget_gate="fast")[1].weight_hh_l0 is weight
    True
    """
    if not isinstance(model, torch.nn.Module):
        raise InvalidArgument(f"a model is a torch.nn.Module; got {shown(model)}")
    if not isinstance(keep_types, bool):
        raise InvalidArgument(f"keep_types must be True or False; got {shown(keep_types)}")
    if type(model) in REPLACEMENTS:
        return _replaced(model, forget_gate, keep_types, options)
    if isinstance(model, Recurrent):
        return _with_gates(model, _changes(model, forget_gate, options))
    made: dict[torch.nn.Module, torch.nn.Module] = {}
    changes: dict[Recurrent, dict[str, Any]] = {}
    places: list[tuple[torch.nn.Module, str, torch.nn.Module]] = []
    for parent in model.modules():  # all are made before any is put into its place: an error leaves the model as it was
        children: dict[str, Any] = dict(parent._modules)
        for name, child in children.items():
            if type(child) in REPLACEMENTS:
                if child not in made:
                    made[child] = _replaced(child, forget_gate, keep_types, options)
                places.append((parent, name, made[child]))
            elif isinstance(child, Recurrent):
                if child.forget_block is not None:
                    changes[child] = _changes(child, forget_gate, options)
            elif isinstance(child, tuple(REPLACEMENTS)) and type(child) not in REPLACEMENTS.values():
                raise InvalidArgument(
                    f"{name} is a {type(child).__name__}, a class of its own made of PyTorch's: it cannot be changed"
                )
    if not made and not changes:
        raise InvalidArgument(
            "the model has no layer of torch.nn.LSTM, GRU, LSTMCell or GRUCell, nor one of gateflow's like them"
        )
    for name in options:
        if name.endswith("_gate") and not changes and not any(name in _gates_of(type(old))[1:] for old in made):
            raise InvalidArgument(f"no layer of the model has {name} for an option")
    for parent, name, new in places:
        setattr(parent, name, new)
    for layer, wanted in changes.items():
        _with_gates(layer, wanted)
    return model


def _gates_of(kind: type) -> tuple[str, ...]:
    """The gates of what stands in for a layer of PyTorch's, the one that holds the state first."""
    if issubclass(kind, (torch.nn.GRU, torch.nn.GRUCell)):
        return "update_gate", "reset_gate"
    return "forget_gate", "input_gate", "output_gate"


def _changes(layer: Recurrent, forget_gate: AnyGate, options: dict[str, Any]) -> dict[str, Any]:
    """What is to be set on a layer that has gates already."""
    own = {f"{block}_gate" for block in layer.gates()}
    forget = f"{layer.forget_block}_gate"
    if forget not in own:
        raise InvalidArgument(f"{type(layer).__name__} has no forget gate to change")
    for name in options:
        if name not in own and name != "backend":
            raise InvalidArgument(f"{name} of a {type(layer).__name__} that is there cannot be changed")
    if (backend := options.get("backend", "auto")) not in BACKENDS:
        raise InvalidArgument(unknown("backend", backend, BACKENDS))
    given = {forget: forget_gate, **options}
    return {name: as_function(value) if name in own else value for name, value in given.items()}


def _with_gates(layer: Recurrent, changes: dict[str, Any]) -> Recurrent:
    for name, value in changes.items():
        setattr(layer, name, value)
    return layer


def _replaced(old: Any, forget_gate: AnyGate, keep_types: bool, options: dict[str, Any]) -> torch.nn.Module:
    gated, *others = _gates_of(type(old))
    own = {name: value for name, value in options.items() if not name.endswith("_gate") or name in others}
    sizes = ("num_layers", "batch_first", "dropout", "bidirectional", "proj_size")
    given = {name: getattr(old, name) for name in sizes if hasattr(old, name)}
    kind = REPLACEMENTS[type(old)]
    kind = IN_NAME.get(kind, kind) if keep_types else kind
    try:
        new = kind(
            old.input_size, old.hidden_size, bias=old.bias, device="meta", **given, **{gated: forget_gate}, **own
        )
    except TypeError as error:  # of an option that there is not
        raise InvalidArgument(f"{kind.__name__} {str(error).partition('() ')[2] or error}") from error
    if old._parameters.keys() != new._parameters.keys():
        raise InvalidArgument(f"the weights of a {type(old).__name__} are computed from others; it cannot be changed")
    new._parameters.update(old._parameters)
    for name in ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks"):
        vars(new)[name] = vars(old)[name]
    for name in ("_forward_hooks_with_kwargs", "_forward_pre_hooks_with_kwargs", "_forward_hooks_always_called"):
        vars(new)[name] = vars(old)[name]
    return new.train(old.training)
