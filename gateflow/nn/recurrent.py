"""What every recurrent layer is: stacked, in one or two directions, over padded, packed or single sequences.

A cell says how its weights are laid out and what one step does to each unit; all else is here, with the interface of
``torch.nn.LSTM``. Sequences of unequal length take no padding: step t runs over the sequences that still live, as in
``torch.nn.utils.rnn.PackedSequence``, of which a padded batch is the special case that all of them do.
"""

from __future__ import annotations

import inspect
import json
import math
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from gateflow.errors import InvalidArgument, InvalidTensor, shown, unknown
from gateflow.gates.gate import Gate
from gateflow.nn import exporting, operands, operators, scripting, trials
from gateflow.nn.functional import GateFunction, gate_function, unpickled
from gateflow.nn.kernels import native
from gateflow.nn.kernels.layout import Block, Layout, shared
from gateflow.nn.kernels.triton import launch

AnyGate = str | Gate | GateFunction
State = tuple[Tensor, ...]
Values = dict[str, Tensor]
Blocks = Mapping[str, Tensor]
"""Pre-activations by the names of their blocks, (..., hidden_size) each."""

BACKENDS = ("auto", "reference", "torch", "native", "triton", "framework")
"""How a layer is computed; only ``reference`` gives inner values, and second derivatives take its loop with each.

reference
    The plain loop over time in PyTorch's operations.
torch
    `gateflow.nn.kernels.sequence`, the whole sequence and its backward pass in PyTorch's operations, for cells that
    give :meth:`Recurrent.update`; else the loop.
native
    `gateflow.nn.kernels.native`, compiled C on the CPU; where there is no compiler, ``torch``, with a warning.
triton
    `gateflow.nn.kernels.triton`, on a GPU, in float32 or bfloat16, where the cell has such a kernel.
framework
    PyTorch's own layer, where it computes the same, which is where every gate is the plain sigmoid.
auto
    The first there is of native, framework, triton, torch, reference; native is for the CPU, triton for GPUs.
"""


@dataclass(frozen=True)
class Weights:
    """The parameters of one layer in one direction; the bias vectors are None in a layer without."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    extra: dict[str, Tensor]

    def values(self) -> list[Tensor]:
        """All that there are, in order."""
        return [t for t in (self.ih, self.hh, self.bias_ih, self.bias_hh, *self.extra.values()) if t is not None]


@dataclass(frozen=True)
class OnGPU:
    """That a cell has a kernel in `gateflow.nn.kernels.triton`, and the gates it is made from."""

    gates: tuple[GateFunction | None, ...]


class Recurrent(torch.nn.RNNBase):
    """A stack of recurrent layers; the interface is that of ``torch.nn.LSTM`` and ``torch.nn.GRU``.

    Parameters
    ----------
    input_size, hidden_size, num_layers : int
    bias : bool
    batch_first : bool
        Padded input and output are (batch, time, features), not (time, batch, features).
    dropout : float
        Share of each layer's output, but the last one's, that is dropped in training.
    bidirectional : bool
    proj_size : int
        Size of what the output is projected to, below ``hidden_size``, in cells that project it; 0 for no projection.
    backend : str
        One of `BACKENDS`.
    device, dtype
        Of the parameters.
    gates : mapping, for cells
        The gate of each block that has one, kept as ``self.<block>_gate``.
    """

    blocks: tuple[str, ...]
    """What each block of ``hidden_size`` rows of the weights is for, in order."""

    layout: Layout
    """How pre-activations are made of the weights' blocks; by default each is the sum of its parts of x and of h."""

    states: ClassVar[tuple[str, ...]] = ("hidden",)
    """The state's parts; the first is the output."""

    forget_block: ClassVar[str | None] = None
    """The block whose gate holds the state, which initialisers of time scales set."""

    pytorch: ClassVar[Callable[..., Any] | None] = None
    """PyTorch's function for this cell with plain sigmoid gates: ``torch.lstm``, ``torch.gru``."""

    projects: ClassVar[bool] = False
    """Whether its output may be projected, by ``weight_hr``."""

    random: ClassVar[bool] = False
    """Whether a step draws random numbers."""

    defaults: ClassVar[Mapping[str, Any]] = {}
    """The settings of the trainer that are this cell's own."""

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        proj_size: int = 0,
        *,
        gates: Mapping[str, AnyGate] | None = None,
        backend: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        torch.nn.Module.__init__(self)
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        _check_projection(type(self), proj_size, hidden_size)
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1:
            raise InvalidArgument(f"dropout must lie in [0, 1]; got {shown(dropout)}")
        if dropout and num_layers == 1:
            message = f"dropout={float(dropout):g} does nothing in a single layer: it is between layers"
            warnings.warn(message, UserWarning, stacklevel=3)
        if backend not in BACKENDS:
            raise InvalidArgument(unknown("backend", backend, BACKENDS))
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.proj_size, self.backend = bidirectional, proj_size, backend
        if not hasattr(self, "layout"):
            self.layout = Layout(shared(*self.blocks))
        functions: dict[Gate, GateFunction] = {}
        for block, gate in (gates or {}).items():
            function = as_function(gate)
            self.add_module(f"{block}_gate", functions.setdefault(function.gate, function))
        for layer, suffix in self.layers():
            for name, shape in self._shapes(layer).items():
                values = torch.empty(shape, device=device, dtype=dtype)
                self.register_parameter(f"{name}_{suffix}", torch.nn.Parameter(values))
        self.reset_parameters()
        self._declaration = self.declare()

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        operators.KINDS[_kind_name(cls)] = cls
        if cls.__module__.startswith("gateflow.nn."):
            torch.serialization.add_safe_globals([cls])
        operators.declared.cache_clear()

    def __setattr__(self, name: str, value: Any) -> None:
        torch.nn.Module.__setattr__(self, name, value)
        if "_declaration" in vars(self) and name in _options_of(_kind(type(self))):
            vars(self)["_declaration"] = self.declare()

    def declare(self) -> str:
        """The cell as text, which :func:`gateflow.nn.operators.declared` makes a cell of; empty where none can.

        Weights are not part of it. A subclass with the equations of its parent is declared as its parent.

        Examples
        --------
        >>> from gateflow.nn import JANET
        >>> JANET(2, 8, forget_gate="fast").declare()
        '{"cell": "JANET", "bias": true, "forget_gate": "fast", "beta": 1.0}'
        """
        kind = _kind(type(self))
        found = {name: getattr(self, name, None) for name in _options_of(kind)}
        values = {name: each.text if isinstance(each, GateFunction) else each for name, each in found.items()}
        values = {name: each for name, each in values.items() if each is not None or not name.endswith("_gate")}
        if (
            self.random
            or self.proj_size
            or not all(isinstance(each, (bool, int, float, str)) for each in values.values())
        ):
            return ""
        return json.dumps({"cell": _kind_name(kind), "bias": self.bias, **values})

    # --- what a cell says ---

    def update(self, z: Blocks, state: State) -> tuple[State, Values]:
        """The next state, and every named value on the way to it, unit by unit.

        It depends on nothing but its arguments and numbers that are not learned, and an element of its results on the
        same element of its arguments. A cell of another kind has a :meth:`step` of its own instead.

        Parameters
        ----------
        z : mapping of str to Tensor (..., hidden_size)
            The pre-activations by block.
        state : tuple of Tensors (..., hidden_size), one for each of `states`
        """
        raise NotImplementedError(f"{type(self).__name__} has neither update nor step")

    def step(self, x: Tensor, state: State, weights: Weights) -> tuple[State, Values]:
        """The next state, and every named value on the way to it: the recurrent product, then :meth:`update`.

        Parameters
        ----------
        x : Tensor of shape (batch, rows)
            What :meth:`project` made of the input.
        state : tuple of Tensors (batch, size), one for each of `states`
        weights : Weights
        """
        z = self.layout.preactivations(x, state[0], weights.hh, weights.bias_hh)
        (h, *rest), values = self.update(self.layout.split(z), state)
        return (F.linear(h, weights.extra["weight_hr"]) if self.proj_size else h, *rest), values

    def project(self, data: Tensor, weights: Weights) -> Tensor:
        """The part of the pre-activations that comes from the input, for all times at once; with the state's bias
        too, where the two are only ever added up."""
        bias = weights.bias_ih
        if bias is not None and weights.bias_hh is not None and self.layout.is_shared:
            bias = bias + weights.bias_hh
        return F.linear(data, weights.ih, bias)

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of further parameters of one layer in one direction."""
        return {"weight_hr": (self.proj_size, self.hidden_size)} if self.proj_size else {}

    def state_sizes(self) -> tuple[int, ...]:
        """The width of each part of the state."""
        return (self.proj_size or self.hidden_size, *(self.hidden_size,) * (len(self.states) - 1))

    def gates(self) -> dict[str, Gate]:
        """The gate of each block that has one."""
        found = {block: getattr(self, f"{block}_gate", None) for block in self.blocks}
        return {block: function.gate for block, function in found.items() if isinstance(function, GateFunction)}

    def in_framework(self) -> bool:
        """Whether PyTorch has this layer: every gate is the plain sigmoid."""
        return self._has_kernels() and self.pytorch is not None and all(map(native.is_sigmoid, self.gates().values()))

    def framework(
        self, data: Tensor, sizes: Tensor | None, state: State, weights: Sequence[Weights]
    ) -> tuple[Tensor, State]:
        """All layers from PyTorch's own, where :meth:`in_framework` says that it has them."""
        assert self.pytorch is not None
        options = (self.bias, self.num_layers, self.dropout, self.training, self.bidirectional)
        hx = state if len(self.states) > 1 else state[0]
        if sizes is not None:
            output, *final = self.pytorch(data, sizes, hx, flat(weights), *options)
        else:
            output, *final = self.pytorch(data, hx, flat(weights), *options, False)
        return output, tuple(final)

    def compiled(self) -> native.CompiledCell | None:
        """The cell as `gateflow.nn.kernels.native` knows it, or None where it does not."""
        if not self.layout.kernel or self.proj_size:
            return None
        gates = (getattr(self, f"{block}_gate") for block in self.layout.gates)
        return native.CompiledCell(self.layout, tuple(gates))

    def on_gpu(self) -> OnGPU | None:
        """The gates of the cell's kernel for a whole sequence on a GPU, or None where it has none."""
        return None

    def _chosen(self, data: Tensor) -> str:
        """What computes a pass: while a program is traced, what was asked for, as its operator chooses when it runs."""
        if forward_ad._current_level >= 0:
            return "reference"
        if torch.compiler.is_compiling() and self.backend not in ("reference", "framework"):
            return self.backend if self._declaration else "reference"
        return self.backend_for(data)

    def backend_for(self, data: Tensor) -> str:
        """What computes a pass over this data, padded, of `BACKENDS` but auto.

        Raises
        ------
        InvalidArgument
            The backend asked for cannot.
        """
        wanted = self.backend
        if wanted == "framework":
            if self.in_framework():
                return "framework"
            where = "under this autocast on this processor" if operands.autocasts(data.device) else "here"
            raise InvalidArgument(
                f"PyTorch has no {type(self).__name__} with these gates {where}; backend='auto' takes another"
            )
        short = operands.autocasts(data.device) and torch.get_autocast_dtype(data.device.type) == torch.bfloat16
        if wanted == "auto" and short and self.in_framework():
            return "framework"
        kernel = self.kernel_for(wanted, data, padded=True)
        return "framework" if wanted == "auto" and kernel != "native" and self.in_framework() else kernel

    def kernel_for(self, backend: str, data: Tensor, padded: bool, hidden: int | None = None) -> str:
        """What of native, triton, torch and reference computes this data; the first of them that can, for auto.

        With other weights than those of this module, ``hidden`` is their size. What was found wrong on this machine
        (`gateflow.nn.trials`) cannot: one line says so, once.

        Raises
        ------
        InvalidArgument
            The backend asked for cannot.
        """
        casts = operands.autocasts(data.device)
        if backend == "native" and data.device.type != "cpu":
            raise InvalidArgument(
                f"backend='native' runs on the CPU, not on {data.device.type}; backend='auto' takes another"
            )
        here = backend in ("auto", "native") and data.device.type == "cpu" and self._has_kernels()
        if here and self._in_c(self._type(data, casts)):
            return "native"
        there = backend in ("auto", "triton") and self._on_gpu_for(data, backend, casts) and padded
        if there and self._agrees_on_gpu(data, hidden or self.hidden_size, backend == "triton"):
            return "triton"
        able = padded and not casts and type(self).step is Recurrent.step and not self.extra_shapes()
        return "torch" if able and backend in ("auto", "native", "torch") else "reference"

    def _in_c(self, dtype: torch.dtype) -> bool:
        """Whether there is compiled code for this cell, and it computes on this machine what the loop does."""
        cell = operators.declared(self._declaration).compiled if self._declaration else None
        if cell is None or not native.available(dtype, cell):
            return False
        while (precision := cell.precision(dtype)) not in cell.trusted:  # what it computes in where that is wrong
            reason = trials.reason_against_c(self._declaration, precision)
            cell.trusted[precision] = reason is None
            if reason is not None:
                native.warn_once("recurrent layers", reason)
        return cell.trusted[precision]

    def _agrees_on_gpu(self, data: Tensor, hidden: int, wanted: bool) -> bool:
        """Whether the cell's kernel computes on this GPU what the loop does; if it was asked for, an error says why."""
        reason = trials.reason_against_triton(self._declaration, data.device, data.dtype, hidden)
        if reason is not None and wanted:
            raise InvalidArgument(f"{reason}; backend='auto' takes another")
        if reason is not None:
            native.warn_once("recurrent layers", reason)
        return reason is None

    def _has_kernels(self) -> bool:
        """Whether compiled code is of these equations, not of those of a parent that it has from a parent."""
        return _has_kernels(type(self))

    def _type(self, data: Tensor, casts: bool) -> torch.dtype:
        """What compiled kernels compute in: under autocast the weights' type, rather than the shorter one."""
        return getattr(self, "weight_ih_l0", data).dtype if casts else data.dtype

    def _on_gpu_for(self, data: Tensor, backend: str, casts: bool) -> bool:
        """Whether the cell's kernel for GPUs takes this data; if it was asked for and does not, an error says why."""
        wanted = backend == "triton"
        found = self.on_gpu() if self._has_kernels() and (wanted or (data.is_cuda and not casts)) else None
        if wanted and (found is None or casts):
            where = "under autocast" if found else f"for {type(self).__name__}"
            raise InvalidArgument(f"there is no kernel for GPUs {where}; backend='auto' takes another")
        if found is not None and wanted:
            launch.check(data.device, data.dtype, found.gates)
        return found is not None and launch.reason_against(data.device, data.dtype, found.gates) is None

    # --- parameters ---

    @property
    def num_directions(self) -> int:
        return 2 if self.bidirectional else 1

    def layers(self) -> Iterator[tuple[int, str]]:
        """Number and suffix of each layer and direction, as in the names of the parameters."""
        for layer in range(self.num_layers):
            yield layer, f"l{layer}"
            if self.bidirectional:
                yield layer, f"l{layer}_reverse"

    def weights(self, suffix: str) -> Weights:
        """The parameters of one layer in one direction."""
        get = lambda name: getattr(self, f"{name}_{suffix}", None)  # noqa: E731
        extra = {name: get(name) for name in self.extra_shapes()}
        biases = (get("bias_ih"), get("bias_hh")) if self.bias else (None, None)
        return Weights(get("weight_ih"), get("weight_hh"), *biases, extra)  # type: ignore[arg-type]

    def named_weights(self, tensors: Sequence[Tensor]) -> Weights:
        """The weights of one layer in one direction from what :meth:`Weights.values` gives."""
        ih, hh, *others = tensors
        bias_ih, bias_hh, *extra = others if self.bias else (None, None, *others)
        return Weights(ih, hh, bias_ih, bias_hh, dict(zip(self.extra_shapes(), extra, strict=True)))

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        rows, size = len(self.blocks) * self.hidden_size, self.proj_size or self.hidden_size
        width = self.input_size if layer == 0 else size * self.num_directions
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, size)}
        if self.bias:
            shapes |= {"bias_ih": (rows,), "bias_hh": (rows,)}
        return shapes | self.extra_shapes()

    def reset_parameters(self) -> None:
        """Every parameter from U(-1/sqrt(hidden_size), 1/sqrt(hidden_size)), in the order of ``torch.nn.LSTM``."""
        bound = 1.0 / math.sqrt(self.hidden_size)
        for parameter in self.parameters():
            torch.nn.init.uniform_(parameter, -bound, bound)

    def rows(self, block: str) -> slice:
        """The rows of a block."""
        start = self.blocks.index(block) * self.hidden_size
        return slice(start, start + self.hidden_size)

    def stacked(self, suffix: str) -> list[torch.nn.Parameter]:
        """The parameters of one layer in one direction that have a row for each unit of each block."""
        found = (getattr(self, f"{name}_{suffix}", None) for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"))
        return [each for each in found if isinstance(each, torch.nn.Parameter)]

    def as_cell(self) -> Recurrent:
        """The layer as an initialiser asks for it."""
        return self

    def vectors(self, suffix: str) -> list[Tensor]:
        """The bias vectors of one layer in one direction."""
        weights = self.weights(suffix)
        return [vector for vector in (weights.bias_ih, weights.bias_hh) if vector is not None]

    def set_bias(self, block: str, suffix: str, values: Tensor) -> None:
        """Let a block's bias be ``values``: in the vector of the input, and zeros in that of the state."""
        weights = self.weights(suffix)
        if weights.bias_ih is None or weights.bias_hh is None:
            raise InvalidArgument(f"{type(self).__name__} was made without biases (bias=False): there is none to set")
        with torch.no_grad():
            weights.bias_ih[self.rows(block)] = values.to(weights.bias_ih)
            weights.bias_hh[self.rows(block)] = 0.0

    def start(
        self, block: str, suffix: str, *, value: np.ndarray | None = None, complement: np.ndarray | None = None
    ) -> None:
        """Let the gate of a block start at ``value``, or at ``1 - complement``, by its bias."""
        gate = self.gates()[block]
        bias = gate.inverse(value) if value is not None else gate.inverse_c(complement)
        self.set_bias(block, suffix, torch.as_tensor(bias, device="cpu"))

    def rows_of(self, block: str) -> list[tuple[torch.nn.Parameter, slice]]:
        """The parameters of all layers that have a row for each unit of a block, with these rows."""
        stacked = [weight for _, suffix in self.layers() for weight in self.stacked(suffix)]
        return [(weight, self.rows(block)) for weight in dict.fromkeys(stacked)]

    def flatten_parameters(self) -> None:
        """On a GPU, puts the weights where cuDNN wants them, if PyTorch's own layer may compute this one."""
        if self.in_framework():
            super().flatten_parameters()

    @property
    def mode(self) -> str:  # type: ignore[override]
        """The cell's name, as PyTorch's layers have it: ``LSTM``, ``GRU``."""
        return _kind_name(_kind(type(self)))

    @property
    def _all_weights(self) -> list[list[str]]:  # type: ignore[override]
        """Names of the weights of each layer and direction."""
        return [[f"{name}_{suffix}" for name in self._shapes(layer)] for layer, suffix in self.layers()]

    @property
    def _flat_weights_names(self) -> list[str]:  # type: ignore[override]
        return [name for names in self._all_weights for name in names]

    @property
    def _flat_weights(self) -> list[Tensor]:  # type: ignore[override]
        """The weights as they are now; PyTorch's layers keep a list, which they have to keep up to date."""
        return [getattr(self, name) for name in self._flat_weights_names]

    @_flat_weights.setter
    def _flat_weights(self, _: Any) -> None: ...

    # what torch.nn.RNNBase adds to these keeps that list up to date
    _apply: Any = torch.nn.Module._apply
    _replicate_for_data_parallel: Any = torch.nn.Module._replicate_for_data_parallel
    __setstate__: Any = torch.nn.Module.__setstate__

    def __getstate__(self) -> dict[str, Any]:
        return vars(self).copy()

    def __prepare_scriptable__(self) -> torch.nn.Module:
        """What ``torch.jit.script`` compiles instead of this layer."""
        return scripting.scriptable(self)

    def extra_repr(self) -> str:
        words = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
        defaults |= {"proj_size": 0}
        words += [f"{key}={getattr(self, key)}" for key, default in defaults.items() if getattr(self, key) != default]
        return ", ".join(words)

    # --- running ---

    def forward(self, input: Tensor | PackedSequence, hx: Any = None, *, return_gates: bool = False) -> tuple[Any, ...]:
        """Run over whole sequences.

        Parameters
        ----------
        input : Tensor or PackedSequence
            (time, batch, features), (batch, time, features) if ``batch_first``, (time, features), or packed.
        hx : Tensor or tuple of Tensors, optional
            The state before the first step, each part (layers * directions, batch, size); zeros by default.
        return_gates : bool
            Return also what went on inside.

        Returns
        -------
        output : like ``input``
            The first part of the last layer's state after every step, both directions side by side.
        hx : Tensor or tuple of Tensors
            The state after the last step.
        gates : list of dict
            Only with ``return_gates``: for each layer and direction in the order of :meth:`layers`, every gate, the
            states and the pre-activation of the forget gate after every step, each of the kind of ``output``.

        Raises
        ------
        InvalidArgument
            Shapes that do not fit.
        """
        call = _Call(self, input)
        state, weights = call.initial(hx), self._weights_of_all()
        call.check(state, weights[0].ih)
        backend = "reference" if return_gates else self._chosen(call.data)
        if backend == "framework" and not torch.onnx.is_in_onnx_export():
            output, final, traces = *call.framework(state, weights), []
        else:
            output, final, traces = self._all_layers(call, state, weights, return_gates, backend)
            if call.casts:
                kind = call.result_type(state)
                output, final = output.to(kind), tuple(part.to(kind) for part in final)
        result = call.wrap(output), call.final(final)
        return (*result, [{k: call.wrap(v) for k, v in trace.items()} for trace in traces]) if return_gates else result

    def _weights_of_all(self) -> list[Weights]:
        """The weights of each layer and direction, asked for once, as a parametrisation computes them."""
        found: list[Weights] = []
        for layer, suffix in self.layers():
            weights = self.weights(suffix)
            named = {"weight_ih": weights.ih, "weight_hh": weights.hh, **weights.extra}
            named |= {"bias_ih": weights.bias_ih, "bias_hh": weights.bias_hh}
            shapes = {f"{name}_{suffix}": shape for name, shape in self._shapes(layer).items()}
            operands.check_weights({f"{name}_{suffix}": value for name, value in named.items()}, shapes)
            if found:
                operands.check_like(f"weight_ih_{suffix}", weights.ih, found[0].ih, "other weights", casts=False)
            found.append(weights)
        return found

    def _all_layers(
        self, call: _Call, state: State, weights: Sequence[Weights], keep: bool, backend: str
    ) -> tuple[Tensor, State, list[Values]]:
        data, finals, traces = call.data, [], []
        in_operator = backend != "reference" and (call.batch_sizes is None or backend in ("native", "auto"))
        if call.casts and in_operator:
            data, state = data.to(weights[0].ih.dtype), tuple(part.to(weights[0].ih.dtype) for part in state)
        onnx = not keep and call.batch_sizes is None and torch.onnx.is_in_onnx_export()
        per_layer = self.num_directions
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(per_layer):
                index, trace = layer * per_layer + direction, {}
                start, own = tuple(part[index] for part in state), weights[index]
                if onnx:
                    output, final = exporting.layer(self, data, start, own, bool(direction))
                elif in_operator:
                    output, final = self._operator(data, call.batch_sizes, start, own, bool(direction), backend)
                else:
                    rows = data.reshape(-1, data.shape[-1])
                    output, final, trace = self.loop(rows, call.sizes, start, own, bool(direction), keep)
                    output = output.view(*data.shape[:-1], output.shape[-1])
                outputs.append(output)
                finals.append(final)
                traces.append(trace)
            data = outputs[0] if per_layer == 1 else torch.cat(outputs, dim=-1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout)
        joined = (parts[0][None] if len(parts) == 1 else torch.stack(parts) for parts in zip(*finals, strict=True))
        return data, tuple(joined), traces

    def _operator(
        self, data: Tensor, sizes: Tensor | None, start: State, weights: Weights, backwards: bool, backend: str
    ) -> tuple[Tensor, State]:
        """One layer in one direction, padded or packed, by `gateflow.nn.operators`: output, final state."""
        given, values = list(start), weights.values()
        traced = torch.compiler.is_exporting() or torch.jit.is_tracing()  # type: ignore[reportPrivateImportUsage]
        keep = torch.is_grad_enabled() and not traced and any(t.requires_grad for t in (data, *given, *values))
        output, final = operators.layer(data, given, values, sizes, backwards, self._declaration, backend, keep)
        return output, tuple(final)

    def one_step(self, data: Tensor, start: State, weights: Weights) -> State:
        """The state after the one step of (1, batch, features), with these weights."""
        backend = self._chosen(data)
        if torch.onnx.is_in_onnx_export() or backend in ("reference", "framework"):
            return self.loop(data[0], [data.shape[1]], start, weights, False)[1]
        return self._operator(data, None, start, weights, False, backend)[1]

    def loop(
        self, data: Tensor, sizes: list[int], start: State, weights: Weights, backwards: bool, keep: bool = False
    ) -> tuple[Tensor, State, Values]:
        """One layer in one direction over rows grouped by time: output, final state, named values."""
        steps = self.project(data, weights).split(sizes)
        state: State = tuple(part[: sizes[-1 if backwards else 0]] for part in start)
        outputs: list[Tensor] = []
        kept: dict[str, list[Tensor]] = {}
        gone: list[State] = []
        for x in reversed(steps) if backwards else steps:
            live = x.shape[0]
            if live < state[0].shape[0]:
                gone.append(tuple(part[live:] for part in state))
                state = tuple(part[:live] for part in state)
            elif live > state[0].shape[0]:
                joining = zip(state, start, strict=True)
                state = tuple(torch.cat([part, fresh[part.shape[0] : live]]) for part, fresh in joining)
            state, values = self.step(x, state, weights)
            outputs.append(state[0])
            if keep:
                for name, value in {**values, **dict(zip(self.states, state, strict=True))}.items():
                    kept.setdefault(name, []).append(value)
        final = tuple(torch.cat(parts) for parts in zip(state, *reversed(gone), strict=True)) if gone else state
        turn = -1 if backwards else 1
        del steps, x  # the projected input is the largest of all, and no longer needed
        return torch.cat(outputs[::turn]), final, {name: torch.cat(v[::turn]) for name, v in kept.items()}


class _Call:
    """One call's input as rows grouped by time, and the way back to the form it came in."""

    def __init__(self, module: Recurrent, input: Tensor | PackedSequence) -> None:
        operands.check_input(input, module.input_size)
        self.module, self.packed = module, input if isinstance(input, PackedSequence) else None
        self.batched = self.packed is not None or input.dim() == 3  # type: ignore[union-attr]
        self.data = input.data if isinstance(input, PackedSequence) else self._padded(input)
        self.batch_sizes = None if self.packed is None else self.packed.batch_sizes
        if self.batch_sizes is None and not self.data.shape[0]:
            raise InvalidTensor("input has no time steps")
        self.casts = operands.autocasts(self.data.device)

    @property
    def sizes(self) -> list[int]:
        """How many rows there are at each time."""
        if self.batch_sizes is None:
            return [self.data.shape[1]] * self.data.shape[0]
        return self.batch_sizes.tolist()

    @property
    def batch(self) -> int:
        return self.data.shape[1] if self.batch_sizes is None else int(self.batch_sizes[0])

    def _padded(self, x: Tensor) -> Tensor:
        if not self.batched:
            return x[:, None]
        return x.transpose(0, 1) if self.module.batch_first else x

    def initial(self, hx: Any) -> State:
        module, batch = self.module, self.batch
        count = module.num_layers * module.num_directions
        shapes = [(count, batch, size) for size in module.state_sizes()]
        if hx is None:
            return tuple(self.data.new_zeros(shape) for shape in shapes)
        parts = operands.state_parts(hx, type(module).__name__, module.states)
        for name, part, (layers, rows, size) in zip(module.states, parts, shapes, strict=True):
            operands.check_shape(name, part, (layers, rows, size) if self.batched else (layers, size))
        if not self.batched:
            parts = tuple(part[:, None] for part in parts)
        order = None if self.packed is None else self.packed.sorted_indices
        return parts if order is None else tuple(part.index_select(1, order) for part in parts)

    def check(self, state: State, weight: Tensor) -> None:
        """Types and devices beside those of the weights."""
        operands.check_like("the input", self.data, weight, casts=self.casts)
        for name, part in zip(self.module.states, state, strict=True):
            operands.check_like(f"the initial {name}", part, weight, casts=self.casts)

    def result_type(self, state: State) -> torch.dtype:
        """Of output and state under autocast, as PyTorch's own layers have it."""
        short = torch.get_autocast_dtype(self.data.device.type)
        if self.data.is_cuda or (short == torch.bfloat16 and self._is_even_lstm()):
            return short
        return torch.promote_types(state[0].dtype, short)

    def _is_even_lstm(self) -> bool:
        """Whether PyTorch has a kernel of its own for this under autocast: an LSTM, and sequences of one length."""
        floats = self.data.dtype in (torch.float32, torch.bfloat16) or (
            self.data.dtype == torch.float16 and not torch.is_grad_enabled() and _has_products_of_halves()
        )
        return "cell" in self.module.states and floats and self.batch > 0 and len(set(self.sizes)) == 1

    def framework(self, state: State, weights: Sequence[Weights]) -> tuple[Tensor, State]:
        if self.packed is not None:
            return self.module.framework(self.data, self.packed.batch_sizes, state, weights)
        return self.module.framework(self.data, None, state, weights)

    def wrap(self, rows: Tensor) -> Any:
        """Rows grouped by time, or padded ones, in the form of the input."""
        if self.packed is not None:
            return PackedSequence(
                rows, self.packed.batch_sizes, self.packed.sorted_indices, self.packed.unsorted_indices
            )
        x = rows.reshape(*self.data.shape[:2], rows.shape[-1])
        if not self.batched:
            return x[:, 0]
        return x.transpose(0, 1) if self.module.batch_first else x

    def final(self, state: State) -> Any:
        if self.packed is not None and self.packed.unsorted_indices is not None:
            state = tuple(part.index_select(1, self.packed.unsorted_indices) for part in state)
        if not self.batched:
            state = tuple(part[:, 0] for part in state)
        first, *others = state
        return state if others else first


torch.serialization.add_safe_globals([Layout, Block, unpickled])
"""What the pickle of a layer holds, beside tensors and its own class."""

MOST_LAYERS, MOST_UNITS = 10_000, 2**24


def as_function(gate: AnyGate) -> GateFunction:
    """A gate, its name or its formula, as a function of tensors."""
    return gate if isinstance(gate, GateFunction) else gate_function(gate)


@cache
def _has_products_of_halves() -> bool:
    """Whether PyTorch's kernels take float16 on this processor."""
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_fp16_supported", None)
    return ask is not None and bool(ask())


@cache
def _has_kernels(cls: type[Recurrent]) -> bool:
    kind = _kind(cls)
    return kind.__module__.startswith("gateflow.nn.") or not vars(kind).keys().isdisjoint({"compiled", "on_gpu"})


def _kind(cls: type[Recurrent]) -> type[Recurrent]:
    """The class that a cell has its equations from."""
    own = ("update", "step", "project", "compiled", "on_gpu", "loop")
    return next(base for base in cls.__mro__ if any(name in vars(base) for name in own))


def _kind_name(kind: type[Recurrent]) -> str:
    return kind.__name__ if kind.__module__.startswith("gateflow.") else f"{kind.__module__}.{kind.__qualname__}"


@cache
def _options_of(kind: type[Recurrent]) -> tuple[str, ...]:
    """The names of a cell's own settings, which it keeps under these names."""
    shared = inspect.signature(Recurrent.__init__).parameters
    found = inspect.signature(kind.__init__).parameters.values()
    named = (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return tuple(each.name for each in found if each.kind in named and each.name not in shared)


def flat(weights: Sequence[Weights]) -> list[Tensor]:
    """Weights of all layers as PyTorch's own functions take them."""
    return [t for one in weights for t in one.values()]


def _check_projection(cls: type[Recurrent], proj_size: Any, hidden_size: int) -> None:
    if isinstance(proj_size, bool) or not isinstance(proj_size, int) or proj_size < 0:
        raise InvalidArgument(f"proj_size must be a whole number, 0 or more; got {shown(proj_size)}")
    if proj_size and not cls.projects:
        raise InvalidArgument(f"{cls.__name__} has no projection of its output: proj_size must be 0")
    if proj_size >= hidden_size:
        raise InvalidArgument(f"proj_size must be below hidden_size, {hidden_size}; got {proj_size}")


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidArgument(f"{name} must be a whole number of at least 1; got {shown(size)}")
        most = MOST_LAYERS if name == "num_layers" else MOST_UNITS
        if size > most:
            raise InvalidArgument(f"{name} must be at most {most}; got {shown(size)}")
