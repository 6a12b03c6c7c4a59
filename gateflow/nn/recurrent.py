"""What every recurrent layer is: stacked, in one or two directions, over padded, packed or single sequences.

A cell says how its weights are laid out and what one step does to each unit; all else is here, with the interface of
``torch.nn.LSTM``. Sequences of unequal length take no padding: step t runs over the sequences that still live, as in
``torch.nn.utils.rnn.PackedSequence``, of which a padded batch is the special case that all of them do.
"""

from __future__ import annotations

import math
import numbers
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.utils.rnn import PackedSequence

from gateflow.errors import InvalidArgument, InvalidTensor, shown, unknown
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import Gate
from gateflow.nn import operands
from gateflow.nn.functional import GateFunction, gate_function
from gateflow.nn.kernels import native, sequence
from gateflow.nn.kernels.layout import Layout, shared
from gateflow.nn.kernels.triton import launch

AnyGate = str | Gate | GateFunction
State = tuple[Tensor, ...]
Values = dict[str, Tensor]
Blocks = Mapping[str, Tensor]
"""Pre-activations by the names of their blocks, (..., hidden_size) each."""

BACKENDS = ("auto", "reference", "torch", "native", "triton", "framework")
"""How a layer is computed; all but ``reference`` can be differentiated once, and give no inner values.

reference
    The plain loop over time in PyTorch's operations.
torch
    `gateflow.nn.kernels.sequence`, the whole sequence as one autograd function in PyTorch's operations, for cells that
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

PREFERRED = {
    "auto": ("native", "framework", "triton", "torch"),
    "native": ("native", "torch"),
    "triton": ("triton",),
    "framework": ("framework",),
    "torch": ("torch",),
    "reference": (),
}
"""What is tried in turn for each, before the plain loop."""


@dataclass(frozen=True)
class Weights:
    """The parameters of one layer in one direction; the bias vectors are None in a layer without."""

    ih: Tensor
    hh: Tensor
    bias_ih: Tensor | None
    bias_hh: Tensor | None
    extra: dict[str, Tensor]


@dataclass(frozen=True)
class OnGPU:
    """A cell's kernel of `gateflow.nn.kernels.triton` and the gates it is made from."""

    run: Callable[[Tensor, Any, Tensor, Any], tuple[Tensor, State]]
    gates: tuple[GateFunction | None, ...]


class Recurrent(torch.nn.Module):
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
        Not supported: only 0.
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
        super().__init__()
        _check_sizes(input_size=input_size, hidden_size=hidden_size, num_layers=num_layers)
        if proj_size:
            raise InvalidArgument(f"{type(self).__name__} has no projection of its output: proj_size must be 0")
        if isinstance(dropout, bool) or not isinstance(dropout, numbers.Real) or not 0 <= dropout <= 1:
            raise InvalidArgument(f"dropout must lie in [0, 1]; got {shown(dropout)}")
        if dropout and num_layers == 1:
            message = f"dropout={float(dropout):g} does nothing in a single layer: it is between layers"
            warnings.warn(message, UserWarning, stacklevel=3)
        if backend not in BACKENDS:
            raise InvalidArgument(unknown("backend", backend, BACKENDS))
        self.input_size, self.hidden_size, self.num_layers = input_size, hidden_size, num_layers
        self.bias, self.batch_first, self.dropout = bias, batch_first, float(dropout)
        self.bidirectional, self.backend = bidirectional, backend
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
        return self.update(self.layout.split(z), state)

    def project(self, data: Tensor, weights: Weights) -> Tensor:
        """The part of the pre-activations that comes from the input, for all times at once; with the state's bias
        too, where the two are only ever added up."""
        bias = weights.bias_ih
        if bias is not None and weights.bias_hh is not None and self.layout.is_shared:
            bias = bias + weights.bias_hh
        return F.linear(data, weights.ih, bias)

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        """Shapes of further parameters of one layer in one direction."""
        return {}

    def state_sizes(self) -> tuple[int, ...]:
        """The width of each part of the state."""
        return (self.hidden_size,) * len(self.states)

    def gates(self) -> dict[str, Gate]:
        """The gate of each block that has one."""
        found = {block: getattr(self, f"{block}_gate", None) for block in self.blocks}
        return {block: function.gate for block, function in found.items() if isinstance(function, GateFunction)}

    def in_framework(self) -> bool:
        """Whether PyTorch has this layer: every gate is the plain sigmoid."""
        return self.pytorch is not None and all(map(is_sigmoid, self.gates().values()))

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
        if not self.layout.kernel:
            return None
        gates = (getattr(self, f"{block}_gate") for block in self.layout.gates)
        return native.CompiledCell(self.layout, tuple(gates))

    def on_gpu(self) -> OnGPU | None:
        """The cell's kernel for a whole sequence on a GPU, with its gates, or None where it has none."""
        return None

    def backend_for(self, data: Tensor) -> str:
        """What computes a pass over this data, of `BACKENDS` but auto.

        Raises
        ------
        InvalidArgument
            The backend asked for cannot.
        """
        casts, preferred = autocasts(data.device), PREFERRED[self.backend]
        compiling = torch.compiler.is_compiling()
        plain = not casts and not compiling
        cell = self.compiled() if data.device.type == "cpu" and not compiling and "native" in preferred else None
        if casts and self.backend == "auto" and torch.get_autocast_dtype(data.device.type) == torch.bfloat16:
            preferred = ("framework", *(name for name in preferred if name != "framework"))
        able = {
            "native": cell is not None and native.available(self._type(data, casts), cell.gates),
            "framework": self.in_framework(),
            "triton": self._on_gpu_for(data, plain),
            "torch": plain and type(self).step is Recurrent.step and not self.extra_shapes(),
        }
        if self.backend == "framework" and not able["framework"]:
            where = "under this autocast on this processor" if casts else "here"
            raise InvalidArgument(
                f"PyTorch has no {type(self).__name__} with these gates {where}; backend='auto' takes another"
            )
        if self.backend == "native" and data.device.type != "cpu":
            raise InvalidArgument(
                f"backend='native' runs on the CPU, not on {data.device.type}; backend='auto' takes another"
            )
        return next((name for name in preferred if able[name]), "reference")

    def _type(self, data: Tensor, casts: bool) -> torch.dtype:
        """What compiled kernels compute in: under autocast the weights' type, rather than the shorter one."""
        return getattr(self, "weight_ih_l0", data).dtype if casts else data.dtype

    def _on_gpu_for(self, data: Tensor, plain: bool) -> bool:
        """Whether the cell's kernel for GPUs takes this data; if it was asked for and does not, an error says why."""
        wanted = self.backend == "triton"
        found = self.on_gpu() if wanted or (self.backend == "auto" and data.is_cuda and plain) else None
        if wanted and (found is None or not plain):
            where = "under autocast or torch.compile" if found else f"for {type(self).__name__}"
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
        return Weights(get("weight_ih"), get("weight_hh"), get("bias_ih"), get("bias_hh"), extra)  # type: ignore[arg-type]

    def _shapes(self, layer: int) -> dict[str, tuple[int, ...]]:
        rows = len(self.blocks) * self.hidden_size
        width = self.input_size if layer == 0 else self.hidden_size * self.num_directions
        shapes: dict[str, tuple[int, ...]] = {"weight_ih": (rows, width), "weight_hh": (rows, self.hidden_size)}
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

    def set_bias(self, block: str, suffix: str, values: Tensor) -> None:
        """Let a block's bias be ``values``: in the vector of the input, and zeros in that of the state."""
        weights = self.weights(suffix)
        if weights.bias_ih is None or weights.bias_hh is None:
            raise InvalidArgument(f"{type(self).__name__} was made without biases (bias=False): there is none to set")
        with torch.no_grad():
            weights.bias_ih[self.rows(block)] = values.to(weights.bias_ih)
            weights.bias_hh[self.rows(block)] = 0.0

    def flatten_parameters(self) -> None:
        """Nothing: here for those who call it on ``torch.nn.LSTM``."""

    def extra_repr(self) -> str:
        words = [f"{self.input_size}, {self.hidden_size}"]
        defaults = {"num_layers": 1, "bias": True, "batch_first": False, "dropout": 0.0, "bidirectional": False}
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
        backend = "reference" if return_gates else self.backend_for(call.data)
        if backend == "framework":
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
        cell = self.compiled() if backend == "native" else None
        if cell is not None and call.casts:
            data, state = data.to(weights[0].ih.dtype), tuple(part.to(weights[0].ih.dtype) for part in state)
        per_layer = self.num_directions
        for layer in range(self.num_layers):
            outputs = []
            for direction in range(per_layer):
                index, trace = layer * per_layer + direction, {}
                start, own = tuple(part[index] for part in state), weights[index]
                if cell is not None:
                    output, final = native.run(cell, native.TimeAxis(call.sizes, bool(direction)), data, start, own)
                elif backend in ("torch", "triton") and call.sizes[0] == call.sizes[-1]:
                    output, final = self._whole(data, call.sizes, start, own, bool(direction), backend)
                else:
                    output, final, trace = self._step_by_step(data, call.sizes, start, own, bool(direction), keep)
                outputs.append(output)
                finals.append(final)
                traces.append(trace)
            data = outputs[0] if per_layer == 1 else torch.cat(outputs, dim=1)
            if self.dropout and self.training and layer < self.num_layers - 1:
                data = F.dropout(data, self.dropout)
        return data, tuple(torch.stack(parts) for parts in zip(*finals, strict=True)), traces

    def _whole(
        self, data: Tensor, sizes: list[int], start: State, weights: Weights, backwards: bool, backend: str
    ) -> tuple[Tensor, State]:
        """One layer in one direction over rows grouped by time, as many at each: output, final state."""
        x = self.project(data, weights).unflatten(0, (len(sizes), sizes[0]))
        x = x.flip(0) if backwards else x
        kernel = self.on_gpu() if backend == "triton" else None
        if kernel is None:
            output, final = sequence.run(self.update, self.layout, x, start, weights.hh, weights.bias_hh)
        else:
            output, final = kernel.run(x, start, weights.hh, kernel.gates)
        return (output.flip(0) if backwards else output).flatten(0, 1), final

    def _step_by_step(
        self, data: Tensor, sizes: list[int], start: State, weights: Weights, backwards: bool, keep: bool
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
        if self.packed is not None:
            self.data, self.sizes = self.packed.data, self.packed.batch_sizes.tolist()
            self.batched = True
        else:
            x = self._padded(input)  # type: ignore[arg-type]
            self.data, self.sizes = x.reshape(-1, x.shape[2]), [x.shape[1]] * x.shape[0]
        if not self.sizes:
            raise InvalidTensor("input has no time steps")
        self.casts = autocasts(self.data.device)

    def _padded(self, x: Tensor) -> Tensor:
        self.batched = x.dim() == 3
        if not self.batched:
            return x[:, None]
        return x.transpose(0, 1) if self.module.batch_first else x

    def initial(self, hx: Any) -> State:
        module, batch = self.module, self.sizes[0]
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
        padded_lstm = (
            "cell" in self.module.states and self.packed is None and state[0].dtype in (torch.float32, torch.bfloat16)
        )
        if self.data.is_cuda or (padded_lstm and short == torch.bfloat16):
            return short
        return torch.promote_types(state[0].dtype, short)

    def framework(self, state: State, weights: Sequence[Weights]) -> tuple[Tensor, State]:
        if self.packed is not None:
            return self.module.framework(self.data, self.packed.batch_sizes, state, weights)
        output, final = self.module.framework(
            self.data.view(len(self.sizes), self.sizes[0], self.data.shape[1]), None, state, weights
        )
        return output.flatten(0, 1), final

    def wrap(self, rows: Tensor) -> Any:
        """Rows grouped by time in the form of the input."""
        if self.packed is not None:
            return PackedSequence(
                rows, self.packed.batch_sizes, self.packed.sorted_indices, self.packed.unsorted_indices
            )
        x = rows.reshape(len(self.sizes), self.sizes[0], rows.shape[1])
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


MOST_LAYERS, MOST_UNITS = 10_000, 2**24


def as_function(gate: AnyGate) -> GateFunction:
    """A gate, its name or its formula, as a function of tensors."""
    return gate if isinstance(gate, GateFunction) else gate_function(gate)


def is_sigmoid(gate: Gate) -> bool:
    """Whether a gate is the plain logistic function."""
    return gate.is_profile and gate.formulas.u == Z


def autocasts(device: torch.device) -> bool:
    """Whether operations on this device choose their types."""
    return torch.amp.is_autocast_available(device.type) and torch.is_autocast_enabled(device.type)


def flat(weights: Sequence[Weights]) -> list[Tensor]:
    """Weights of all layers as PyTorch's own functions take them."""
    found = [t for one in weights for t in (one.ih, one.hh, one.bias_ih, one.bias_hh)]
    return [t for t in found if t is not None]


def _check_sizes(**sizes: Any) -> None:
    for name, size in sizes.items():
        if not isinstance(size, int) or isinstance(size, bool) or size < 1:
            raise InvalidArgument(f"{name} must be a whole number of at least 1; got {shown(size)}")
        most = MOST_LAYERS if name == "num_layers" else MOST_UNITS
        if size > most:
            raise InvalidArgument(f"{name} must be at most {most}; got {shown(size)}")
