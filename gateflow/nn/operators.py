"""A layer in one direction over a whole sequence, and its backward pass, as operators that PyTorch knows.

``gateflow::layer`` and ``gateflow::layer_backward`` serve every cell: which one it is, with its gates, is text that
:func:`declared` makes a cell of again. So ``torch.compile`` and ``torch.export`` see one node, whatever computes it,
and an exported program is complete in itself. What computes it is decided where it runs (`Recurrent.kernel_for`).

The second derivative takes the plain loop over time: right, and slow.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from gateflow.errors import InvalidArgument, InvalidTensor
from gateflow.nn import operands
from gateflow.nn.functional import LevelFunction, differentiable, named, untraced
from gateflow.nn.kernels import native, sequence
from gateflow.nn.kernels.triton import lstm as triton

KINDS: dict[str, Callable[..., Any]] = {}
"""Every class of cells by the name it has in a declaration."""

LIBRARY = torch.library.Library("gateflow", "FRAGMENT")
LIBRARY.define(
    "layer(Tensor x, Tensor[] state, Tensor[] weights, Tensor? sizes, bool reverse, str cell, str backend, bool keep)"
    " -> (Tensor, Tensor[], Tensor[])"
)
LIBRARY.define(
    "layer_backward(Tensor?[] grads, Tensor x, Tensor[] state, Tensor[] weights, Tensor output, Tensor[] kept, "
    "Tensor? sizes, bool reverse, str cell, str backend, bool of_input) -> (Tensor, Tensor[], Tensor[])"
)
AUTOGRAD = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradFunctionality)
LAYER, BACKWARD = torch.ops.gateflow.layer.default, torch.ops.gateflow.layer_backward.default


@dataclass(frozen=True)
class Declared:
    """A cell as its declaration says, without weights of its own."""

    cell: Any

    @cached_property
    def compiled(self) -> native.CompiledCell | None:
        return self.cell.compiled()

    @cached_property
    def on_gpu(self) -> Any:
        return self.cell.on_gpu()


@lru_cache(maxsize=256)
@untraced()
def declared(text: str) -> Declared:
    """The cell that a text declares, as :meth:`gateflow.nn.recurrent.Recurrent.declare` writes it.

    Raises
    ------
    InvalidArgument
        It names no class of cells that was imported.
    """
    options = json.loads(text)
    name = options.pop("cell")
    options |= {word: named(gate) for word, gate in options.items() if word.endswith("_gate")}
    if name not in KINDS:
        raise InvalidArgument(f"there is no cell {name} here; import it before the program that has it is run")
    with torch.random.fork_rng([]):  # its weights, which nobody asks for, are no draw of the user's
        return Declared(KINDS[name](1, 1, **options))


# --- one pass ---------------------------------------------------------------------------------------------------------


@dataclass
class Given:
    """What both operators take: the input, (time, batch, features) or packed rows with how many there are at a time."""

    x: Tensor
    state: Sequence[Tensor]
    tensors: Sequence[Tensor]
    sizes: Tensor | None
    reverse: bool
    text: str
    backend: str

    def __post_init__(self) -> None:
        self.declared = declared(self.text)
        self.cell = self.declared.cell
        self.weights = self.cell.named_weights(self.tensors)
        compiled = self.declared.compiled if self.backend == "native" else None
        if compiled and compiled.is_ready(precision := compiled.precision(self.x.dtype), self.x.device):
            self.kernel, self.precision = "native", precision
        else:
            how = self.backend, self.x, self.sizes is None, self.state[0].shape[-1]
            self.kernel = self.cell.kernel_for(*how)

    @property
    def steps(self) -> int:
        return (self.x if self.sizes is None else self.sizes).shape[0]

    @property
    def time(self) -> native.TimeAxis:
        if self.sizes is None:
            return native.padded(*self.x.shape[:2], self.reverse)
        return native.TimeAxis(self.sizes.tolist(), self.reverse)

    @property
    def compiled(self) -> native.CompiledCell:
        assert self.declared.compiled is not None
        return self.declared.compiled

    @cached_property
    def precision(self) -> native.Precision:
        """As the user's switch said when it was first asked for, unless it was set, for a trial."""
        return self.compiled.precision(self.x.dtype)

    @property
    def given(self) -> tuple[Tensor | None, ...]:
        w, (h, c) = self.weights, (*self.state, None)[:2]
        return self.x, h, c, w.ih, w.hh, w.bias_ih, w.bias_hh

    def forward(self, keep: bool) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        """Output, last state, and what is kept for the backward pass."""
        if self.kernel == "native":
            return native.forward(self.compiled, self.precision, self.time, self.given, keep)
        if self.kernel == "reference":
            with torch.no_grad():
                output, final = self.plain(self.x, self.state, self.tensors)
            return output.clone(), [part.clone() for part in final], []
        x = self._turned(self.cell.project(self.x, self.weights))
        if self.kernel == "triton":
            output, final, kept = triton.forward(x, self.state, self.weights.hh, self.declared.on_gpu.gates, keep)
        else:
            way = self.cell.update, self.cell.layout
            output, final, kept = sequence.forward(*way, x, self.state, self.weights.hh, self.weights.bias_hh, keep)
        return self._turned(output), final, kept

    def kept_like(self) -> list[Tensor]:
        """Tensors like those that are kept."""
        if self.kernel == "reference":
            return []
        if self.kernel == "triton":
            return triton.kept_like(self.x, self.state, self.weights.hh)
        if self.kernel == "native":
            shapes = native.kept_like(self.compiled, self.steps, math.prod(self.x.shape[:-1]), self.state[0])
        else:
            shapes = sequence.kept_like(self.cell.layout, self.x, self.state)
        return [self.x.new_empty(shape) for shape in shapes]

    def backward(
        self, grads: Sequence[Tensor | None], output: Tensor, kept: Sequence[Tensor], of_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor], Sequence[Tensor]]:
        """Gradients of the input, where asked for, of the state and of the weights."""
        if self.kernel == "reference":
            return self.through_the_loop(grads, of_input)
        if not kept and self.kept_like():
            output, _, kept = self.forward(keep=True)
        if self.kernel == "native":
            dx, dh, dc, *d_weights = native.backward(
                self.compiled, self.precision, self.time, self.given, output, kept, grads, of_input
            )
            return dx, _there(dh, dc), _there(*d_weights)
        output, of_output = self._turned(output), grads[0]
        turned = [None if of_output is None else self._turned(of_output), *grads[1:]]
        if self.kernel == "triton":
            dz, d_state = triton.backward(self.state, self.weights.hh, kept, turned, self.declared.on_gpu.gates)
        else:
            way = self.cell.update, self.cell.layout
            dz, d_state = sequence.backward(*way, self.state, self.weights.hh, output, kept, turned)
        before = torch.cat([self.state[0][None], output[:-1]])
        biased = self.weights.bias_ih is not None
        dx, weights = self.cell.layout.gradients(dz, self._turned(self.x), before, self.weights.ih, biased, of_input)
        return None if dx is None else self._turned(dx), d_state, weights

    def _turned(self, t: Tensor) -> Tensor:
        return t.flip(0) if self.reverse else t

    def plain(self, x: Tensor, state: Sequence[Tensor], tensors: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The same by the loop over time, in operations that can be differentiated as often as one likes."""
        sizes = [x.shape[1]] * len(x) if self.sizes is None else self.sizes.tolist()
        weights = self.cell.named_weights(tensors)
        rows, final, _ = self.cell.loop(x.reshape(-1, x.shape[-1]), sizes, tuple(state), weights, self.reverse)
        return rows.view(*x.shape[:-1], rows.shape[-1]), final

    def through_the_loop(
        self, grads: Sequence[Tensor | None], of_input: bool
    ) -> tuple[Tensor | None, Sequence[Tensor], Sequence[Tensor]]:
        """The backward pass by differentiating the loop; can be differentiated in its turn."""
        given = [n for n, grad in enumerate(grads) if grad is not None]
        count = len(self.state)

        def chosen(x: Tensor, *others: Tensor) -> list[Tensor]:
            output, final = self.plain(x, others[:count], others[count:])
            return [(output, *final)[n] for n in given]

        _, back, *_ = torch.func.vjp(chosen, self.x, *self.state, *self.tensors)
        dx, *found = back([grads[n] for n in given])
        return dx if of_input else None, found[:count], found[count:]


def _there(*tensors: Tensor | None) -> list[Tensor]:
    return [t for t in tensors if t is not None]


# --- the operators ----------------------------------------------------------------------------------------------------


def _layer(
    x: Tensor, state: list[Tensor], weights: list[Tensor], sizes: Tensor | None, reverse: bool, cell: str, backend: str,
    keep: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:  # fmt: skip
    one = Given(x, state, weights, sizes, reverse, cell, backend)
    _check(one)
    return one.forward(keep)


def _layer_like(
    x: Tensor, state: list[Tensor], weights: list[Tensor], sizes: Tensor | None, reverse: bool, cell: str, backend: str,
    keep: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:  # fmt: skip
    one = Given(x, state, weights, sizes, reverse, cell, backend)
    _check(one, lengths=False)
    output = x.new_empty((*x.shape[:-1], state[0].shape[1]))
    final = [torch.empty_like(part, memory_format=torch.contiguous_format) for part in state]
    return output, final, one.kept_like() if keep else []


def _backward(
    grads: list[Tensor | None], x: Tensor, state: list[Tensor], weights: list[Tensor], output: Tensor,
    kept: list[Tensor], sizes: Tensor | None, reverse: bool, cell: str, backend: str, of_input: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:  # fmt: skip
    one = Given(x, state, weights, sizes, reverse, cell, backend)
    with torch.no_grad(), _with_autograd():
        dx, *others = one.backward(grads, output, kept, of_input)
    return (x.new_empty(0) if dx is None else dx, *map(list, others))  # type: ignore[return-value]


def _backward_like(
    grads: list[Tensor | None], x: Tensor, state: list[Tensor], weights: list[Tensor], output: Tensor,
    kept: list[Tensor], sizes: Tensor | None, reverse: bool, cell: str, backend: str, of_input: bool,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:  # fmt: skip
    like = lambda t: torch.empty_like(t, memory_format=torch.contiguous_format)  # noqa: E731
    return like(x) if of_input else x.new_empty(0), [like(t) for t in state], [like(t) for t in weights]


def _with_autograd() -> Any:
    """Within, autograd works again, which the dispatcher has left behind where it calls an operator's kernel."""
    include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    return torch._C._ForceDispatchKeyGuard(include, exclude - AUTOGRAD)


def _check(one: Given, lengths: bool = True) -> None:
    """All that compiled code takes on trust, for calls that no layer has looked at.

    Raises
    ------
    InvalidTensor
    """
    x = one.x
    if len(one.state) != len(one.cell.states):
        raise InvalidTensor(f"a state of {type(one.cell).__name__} has {len(one.cell.states)} parts")
    if x.dim() != (3 if one.sizes is None else 2):
        raise InvalidTensor("the input of gateflow::layer must be (time, batch, features), or packed rows with sizes")
    if lengths and one.sizes is None and not x.shape[0]:
        raise InvalidTensor("input has no time steps")
    hidden = one.state[0].shape[-1]
    rows = len(one.cell.blocks) * hidden
    if one.sizes is not None and lengths:
        operands.check_lengths(one.sizes, len(x))
    batch = x.shape[1] if one.sizes is None else int(one.sizes[0]) if lengths else one.state[0].shape[0]
    for part in one.state:
        operands.check_shape("state", part, (batch, hidden if one.declared.compiled else part.shape[-1]))
        operands.check_like("the state", part, x, "the input", casts=False)
    shapes = {"weight_ih": (rows, x.shape[-1]), "weight_hh": (rows, hidden), "bias_ih": (rows,), "bias_hh": (rows,)}
    given = dict(zip(shapes, one.tensors, strict=False))
    operands.check_weights(given, {name: shapes[name] for name in given if one.cell.bias or "bias" not in name})
    operands.check_like("the input", x, one.tensors[0], casts=False)


class _Layer(LevelFunction):
    """The first derivative: one more operator."""

    @staticmethod
    def forward(ctx: Any, count: int, sizes: Tensor | None, how: tuple[Any, ...], *tensors: Tensor) -> tuple[Any, ...]:
        x, *others = tensors
        if _plain(tensors):
            output, final, kept = _layer(x, others[:count], others[count:], sizes, *how)
        else:
            with LevelFunction.below():
                output, final, kept = LAYER(x, others[:count], others[count:], sizes, *how)
        ctx.count, ctx.how, ctx.inputs = count, how, len(tensors)
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*kept)
        ctx.save_for_backward(sizes, *tensors, output, *kept)
        return output, *final, *kept

    @staticmethod
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Any, ...]:  # type: ignore[override]
        sizes, x, *saved = ctx.saved_tensors
        state, weights = saved[: ctx.count], saved[ctx.count : ctx.inputs - 1]
        output, *kept = saved[ctx.inputs - 1 :]
        grads, of_input = grads[: 1 + ctx.count], ctx.needs_input_grad[3]
        reverse, cell, backend, _ = ctx.how
        alone = not torch.is_grad_enabled() and _plain((x, *grads)) and not any(map(_is_in_old_batch, grads))
        run = _backward if alone else BACKWARD
        dx, d_state, d_weights = run(
            list(grads), x, state, weights, output, kept, sizes, reverse, cell, backend, of_input
        )
        return None, None, None, dx if of_input else None, *d_state, *d_weights


class _Backward(LevelFunction):
    """The second derivative: the plain loop over time."""

    @staticmethod
    def forward(
        ctx: Any, counts: tuple[int, int], rest: tuple[Any, ...], *tensors: Tensor | None
    ) -> tuple[Tensor, ...]:
        grads, x, state, weights = _split(tensors, *counts)
        output, kept, sizes, *how = rest
        with LevelFunction.below():
            dx, d_state, d_weights = BACKWARD(grads, x, state, weights, output, kept, sizes, *how)
        ctx.counts, ctx.how = counts, how
        ctx.save_for_backward(sizes, *tensors)
        return dx, *d_state, *d_weights

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        sizes, *tensors = ctx.saved_tensors
        *how, of_input = ctx.how
        there = [n for n, t in enumerate(tensors) if t is not None]

        def first(*inputs: Tensor) -> list[Tensor]:
            all_of_them: list[Tensor | None] = [None] * len(tensors)
            for n, t in zip(there, inputs, strict=True):
                all_of_them[n] = t
            of_outputs, x, state, weights = _split(all_of_them, *ctx.counts)
            dx, *others = Given(x, state, weights, sizes, *how).through_the_loop(of_outputs, of_input)
            return [*([] if dx is None else [dx]), *others[0], *others[1]]

        _, back, *_ = torch.func.vjp(first, *(tensors[n] for n in there))
        found = dict(zip(there, back(list(grads if of_input else grads[1:])), strict=True))
        return None, None, *(found.get(n) for n in range(len(tensors)))


def _split(tensors: Sequence[Any], states: int, weights: int) -> tuple[list[Any], Any, list[Any], list[Any]]:
    """Gradients of output and last state; the input; the state; the weights."""
    grads, (x, *others) = tensors[: 1 + states], tensors[1 + states :]
    return list(grads), x, list(others[:states]), list(others[states : states + weights])


def layer(
    x: Tensor, state: Sequence[Tensor], weights: Sequence[Tensor], sizes: Tensor | None, *how: Any
) -> tuple[Tensor, Sequence[Tensor]]:
    """Output and last state of the operator: where nothing looks on, without the cost of its dispatch.

    Parameters
    ----------
    x : Tensor of shape (time, batch, features) or (rows, features)
    state, weights : sequences of Tensors
    sizes : Tensor or None
        Of packed rows, how many there are at each time.
    *how
        Whether time runs backwards, the cell's declaration, the backend, whether to keep what a gradient needs.
    """
    if torch.compiler.is_compiling() or not _plain(tensors := (x, *state, *weights)):
        output, final, _ = LAYER(x, list(state), list(weights), sizes, *how)
        return output, final
    if not differentiable(*tensors):
        output, final, _ = _layer(x, list(state), list(weights), sizes, *how)
        return output, final
    output, *others = _Layer.at_level(len(state), sizes, how, *tensors)
    return output, others[: len(state)]


def _plain(tensors: Sequence[Tensor | None]) -> bool:
    """Whether these are tensors with numbers, of PyTorch's own types, and nothing traces, transforms or casts them."""
    return (
        not torch._C._are_functorch_transforms_active()
        and not torch._C._len_torch_dispatch_stack()
        and not torch._C._get_tracing_state()
        and not torch._C._is_any_autocast_enabled()
        and all(t is None or (type(t) in (Tensor, torch.nn.Parameter) and not t.is_meta) for t in tensors)
    )


def _layer_autograd(
    x: Tensor, state: list[Tensor], weights: list[Tensor], sizes: Tensor | None, *how: Any
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    if not differentiable(x, *state, *weights):
        with torch._C._AutoDispatchBelowAutograd():
            return LAYER(x, state, weights, sizes, *how)
    output, *others = _Layer.at_level(len(state), sizes, how, x, *state, *weights)
    return output, others[: len(state)], others[len(state) :]


def _backward_autograd(
    grads: list[Tensor | None], x: Tensor, state: list[Tensor], weights: list[Tensor], *rest: Any
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    if not differentiable(*grads, x, *state, *weights):
        with torch._C._AutoDispatchBelowAutograd():
            return BACKWARD(grads, x, state, weights, *rest)
    counts = len(state), len(weights)
    dx, *others = _Backward.at_level(counts, rest, *grads, x, *state, *weights)
    return dx, others[: len(state)], others[len(state) :]


def _in_turn(operator: Callable[..., Any]) -> Callable[..., Any]:
    """vmap: one call for each element of the batch."""

    def take(value: Any, dim: Any, n: int) -> Any:
        if isinstance(value, (list, tuple)):
            return [take(*pair, n) for pair in zip(value, dim, strict=True)]
        return value if dim is None else value.select(dim, n)

    def put(parts: Sequence[Any]) -> Any:
        if isinstance(parts[0], torch.Tensor):
            return torch.stack(list(parts))
        return [put(same) for same in zip(*parts, strict=True)]

    def rule(info: Any, dims: Any, *args: Any) -> tuple[Any, Any]:
        found = [operator(*take(args, dims, n)) for n in range(info.batch_size)]
        joined = tuple(map(put, zip(*found, strict=True)))
        return joined, tuple(0 if isinstance(part, torch.Tensor) else [0] * len(part) for part in joined)

    return rule


_C: Any = torch._C
_OLD: Any = torch


def _is_in_old_batch(t: Any) -> bool:
    return isinstance(t, Tensor) and _C._functorch.is_legacy_batchedtensor(t)


def _in_turn_as_of_old(operator: Callable[..., Any]) -> Callable[..., Any]:
    """The same for the batches of PyTorch's own from before ``torch.func``, which ``torch.autograd.grad`` still makes
    with ``is_grads_batched``."""

    def rule(*args: Any) -> Any:
        flat, form = tree_flatten(args)
        level = torch._C._vmapmode_increment_nesting() - 1
        torch._C._vmapmode_decrement_nesting()
        while not (inside := [n for n, t in enumerate(flat) if _is_at(t, level)]):
            level -= 1
        for n in inside:
            flat[n] = _OLD._remove_batch_dim(flat[n], level, 1, 0)
        found = []
        for row in range(len(flat[inside[0]])):
            one = [t[row] if n in inside else t for n, t in enumerate(flat)]
            found.append(tree_flatten(operator(*tree_unflatten(one, form))))
        joined = (
            _OLD._add_batch_dim(torch.stack(parts), 0, level) for parts in zip(*(t for t, _ in found), strict=True)
        )
        return tree_unflatten(list(joined), found[0][1])

    return rule


def _is_at(t: Any, level: int) -> bool:
    """Whether a tensor is in a batch of this level: if not, one is made of as many as are asked for."""
    return _is_in_old_batch(t) and len({len(_OLD._remove_batch_dim(t, level, n, 0)) for n in (1, 2)}) == 1


for _name, _run, _like, _autograd, _op in (
    ("layer", _layer, _layer_like, _layer_autograd, LAYER),
    ("layer_backward", _backward, _backward_like, _backward_autograd, BACKWARD),
):
    LIBRARY.impl(_name, _run, "CompositeExplicitAutograd")
    LIBRARY.impl(_name, _autograd, "Autograd")
    LIBRARY.impl(_name, _in_turn_as_of_old(_op), "Batched")
    torch.library.register_fake(f"gateflow::{_name}", _like, lib=LIBRARY)
    torch.library.register_vmap(f"gateflow::{_name}", _in_turn(_op), lib=LIBRARY)
    for _device in ("cpu", "cuda"):
        torch.library.register_autocast(f"gateflow::{_name}", _device, torch.float32, lib=LIBRARY)
