"""A layer of LSTM over a whole sequence on a GPU, and its backward pass, for any gates.

The input's part of the pre-activations comes in ready made, by one matrix product for all times, and the gradient of
the recurrent weights is one more. What is left goes one of two ways (:mod:`gateflow.nn.kernels.triton.lstm_kernels`):

``whole``
    One launch. A program takes 8 rows of the batch through all times, with the recurrent weights in shared memory;
    for those that fit: a hidden size of 128 in bfloat16, 64 in float32.
``steps``
    A library's matrix product and one kernel a step, recorded as a CUDA graph of `CHUNK` steps, which is played again
    and again: starting kernels from Python would take longer than they run.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from gateflow.nn.functional import GateFunction
from gateflow.nn.kernels.triton.gates import device_gate
from gateflow.nn.kernels.triton.launch import check, launch, operand, precision, shared_memory

Gates = tuple[GateFunction | None, GateFunction, GateFunction]
"""The functions of the input gate, None where it is ``1 - f``, of the forget gate and of the output gate."""

ROWS = 8
"""Rows of the batch in a program: the least that matrix units take."""

WARPS = 8
"""Groups of 32 threads in a program that takes rows through all times."""

SLACK = 4096
"""Bytes of shared memory left to the compiler."""

CHUNK = 32
"""Steps in a graph."""

BLOCK = 256
"""Elements of a state in a program of one step."""

KEPT = 16
"""Graphs kept for shapes seen before."""


def forward(
    x: Tensor, state: Sequence[Tensor], hh: Tensor, gates: Gates, keep: bool, chosen: str | None = None
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Hidden states at all times, the last state, and what a backward pass needs.

    Parameters
    ----------
    x : Tensor of shape (time, batch, blocks * size)
        The projected input; the blocks in order: input gate (if any), forget gate, candidate, output gate.
    state : sequence of two Tensors (batch, size)
    hh : Tensor of shape (blocks * size, size)
    gates : tuple
    keep : bool
        Whether there will be a backward pass; if not, nothing is kept.
    chosen : str, optional
        One of the two ways; by default what :func:`way` says.

    Raises
    ------
    MissingExtra
        Triton is not installed.
    InvalidArgument
        These tensors or gates have no kernel for GPUs.
    """
    check(x.device, x.dtype, gates)
    h, c = map(_dense, state)
    hs, last, factors = _forward(_dense(x), h, c, _dense(hh), gates, chosen, store=keep)
    return hs, [hs[-1].clone(), last], list(factors or ())


def kept_like(x: Tensor, state: Sequence[Tensor], hh: Tensor) -> list[Tensor]:
    """Tensors like those that :func:`forward` keeps of an input (time, batch, inputs)."""
    shape = (x.shape[0], *state[0].shape)
    return [x.new_empty(*shape[:2], hh.shape[0]), x.new_empty(shape), x.new_empty(shape, dtype=torch.float)]


def backward(
    state: Sequence[Tensor],
    hh: Tensor,
    factors: Sequence[Tensor],
    grads: Sequence[Tensor | None],
    gates: Gates,
    chosen: str | None = None,
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of the projected input and of the state before the first step."""
    through, into_c, keep = factors
    of_hs, of_h, of_c = grads
    of_hs = torch.zeros_like(into_c) if of_hs is None else _dense(of_hs)
    if of_h is not None:
        of_hs = torch.cat([of_hs[:-1], of_hs[-1:] + of_h])
    of_c = torch.zeros_like(state[1]) if of_c is None else _dense(of_c)
    way_ = chosen or way(hh.shape[1], hh.shape[0] // hh.shape[1], hh.dtype, hh.device)
    run = _whole_backward if way_ == "whole" else _steps_backward
    dz, dh, dc = run(of_hs, of_c, _dense(hh), (through, into_c, keep), gates[0] is None)
    return dz, [dh, dc]


def way(size: int, blocks: int, dtype: torch.dtype, device: torch.device) -> str:
    """``whole`` where the recurrent weights fit on chip, else ``steps``."""
    width = padded(size)
    weights, tiles = blocks * width * width, 8 * width * ROWS  # the latter while they pass from threads to threads
    return "whole" if (weights + tiles) * dtype.itemsize + SLACK <= shared_memory(device) else "steps"


def padded(size: int) -> int:
    """The least power of two that is not below ``size``, nor below what a matrix unit takes."""
    return max(16, 1 << (size - 1).bit_length())


Factors = tuple[Tensor, Tensor, Tensor]
"""``through``, ``into_c`` and ``keep`` of :mod:`gateflow.nn.kernels.triton.lstm_kernels`, at all times."""


def _dense(tensor: Tensor) -> Tensor:
    """The numbers themselves, in order: a tensor may be a view, or one that is yet to be negated."""
    return tensor.detach().resolve_neg().contiguous()


def _way_for(x: Tensor, h: Tensor) -> str:
    return way(h.shape[1], x.shape[2] // h.shape[1], x.dtype, x.device)


def _forward(
    x: Tensor, h: Tensor, c: Tensor, hh: Tensor, gates: Gates, chosen: str | None, *, store: bool
) -> tuple[Tensor, Tensor, Factors | None]:
    """Hidden states, the last cell state, and the factors of a backward pass if they are stored."""
    factors = None
    if store:
        shape = (x.shape[0], *h.shape)
        factors = torch.empty_like(x), x.new_empty(shape), x.new_empty(shape, dtype=torch.float)
    forward = _whole_forward if (chosen or _way_for(x, h)) == "whole" else _steps_forward
    return *forward(x, h, c, hh, gates, factors), factors


def _constants(gates: Gates) -> dict[str, Any]:
    """The gates as a kernel takes them."""
    names = ("INPUT", "FORGET", "OUTPUT")
    made = {name: device_gate(gate or gates[1]) for name, gate in zip(names, gates, strict=True)}
    return {**made, "TIED": gates[0] is None}


# --- whole sequences --------------------------------------------------------------------------------------------------


def _layout(size: int, dtype: torch.dtype) -> dict[str, Any]:
    numbers = {"OPERAND": operand(dtype), "PRECISION": precision()}
    return {"SIZE": size, "WIDTH": padded(size), "ROWS": ROWS, **numbers, "warps": WARPS}


def _whole_forward(
    x: Tensor, h: Tensor, c: Tensor, hh: Tensor, gates: Gates, factors: Factors | None
) -> tuple[Tensor, Tensor]:
    from gateflow.nn.kernels.triton.lstm_kernels import whole_forward

    (time, batch, _), size = x.shape, h.shape[1]
    hs, last = x.new_empty(time, batch, size), torch.empty_like(c)
    through, into_c, keep = factors or (hs, hs, hs)
    tensors = (x, hh, h, c, hs, last, through, into_c, keep)
    options = {**_constants(gates), **_layout(size, x.dtype), "STORE": factors is not None}
    launch(whole_forward, -(-batch // ROWS), *tensors, time, batch, **options)
    return hs, last


def _whole_backward(
    grad_hs: Tensor, grad_c: Tensor, hh: Tensor, factors: Factors, tied: bool
) -> tuple[Tensor, Tensor, Tensor]:
    from gateflow.nn.kernels.triton.lstm_kernels import whole_backward

    time, batch, size = grad_hs.shape
    dz, dh, dc = torch.empty_like(factors[0]), torch.empty_like(grad_c), torch.empty_like(grad_c)
    tensors = (hh, grad_hs, grad_c, *factors, dz, dh, dc)
    options = {"TIED": tied, **_layout(size, grad_hs.dtype)}
    launch(whole_backward, -(-batch // ROWS), *tensors, time, batch, **options)
    return dz, dh, dc


# --- step by step -----------------------------------------------------------------------------------------------------


class _Steps:
    """The tensors that one step hands to the next, at fixed addresses, and a graph of `CHUNK` steps once there is one.

    ``step(k)`` launches the step k after the one in ``counter``, and ``turn`` is by how much a step moves the latter.
    """

    def __init__(self, like: Tensor, batch: int, size: int, blocks: int, turn: int) -> None:
        self.weights = like.new_empty(size, blocks * size) if turn > 0 else like.new_empty(blocks * size, size)
        self.h = like.new_empty(batch, size)
        self.z = like.new_empty(batch, blocks * size)
        self.c = like.new_empty((batch, size), dtype=torch.float32)
        self.table = torch.zeros(5, dtype=torch.int64, device=like.device)
        self.counter = torch.zeros(1, dtype=torch.int64, device=like.device)
        self.turn = turn
        self.graph: Any = None

    def run(self, step: Callable[[int], None], tensors: tuple[Tensor, ...], time: int) -> None:
        """All steps of sequences that lie in ``tensors``, in their order in the kernel's table."""
        self.table.copy_(torch.tensor([tensor.data_ptr() for tensor in tensors]))
        self.counter.fill_(0 if self.turn > 0 else time - 1)
        for _ in range(time // CHUNK):
            if self.graph is not None:
                self.graph.replay()
                continue
            self._chunk(step, CHUNK)
            if self.counter.is_cuda and time >= 2 * CHUNK:
                self.graph = torch.cuda.CUDAGraph()  # what it records does not run, and is loaded by now
                with torch.cuda.graph(self.graph):
                    self._chunk(step, CHUNK)
        self._chunk(step, time % CHUNK)

    def _chunk(self, step: Callable[[int], None], count: int) -> None:
        for k in range(count):
            step(k)
        self.counter.add_(self.turn * count)


_KEPT: OrderedDict[Any, _Steps] = OrderedDict()
_LOCK = threading.Lock()
"""Held while a pass is launched: passes on one stream then follow each other, also those of several threads."""


def _steps(like: Tensor, key: tuple[Any, ...], batch: int, size: int, blocks: int, turn: int) -> _Steps:
    """The tensors and the graph for passes of this kind on this stream."""
    stream = torch.cuda.current_stream(like.device).cuda_stream if like.is_cuda else None
    key = (stream, like.device, like.dtype, precision(), batch, size, blocks, turn, *key)
    if key not in _KEPT:
        _KEPT[key] = _Steps(like, batch, size, blocks, turn)
    _KEPT.move_to_end(key)
    while len(_KEPT) > KEPT:
        _KEPT.popitem(last=False)
    return _KEPT[key]


def _steps_forward(
    x: Tensor, h: Tensor, c: Tensor, hh: Tensor, gates: Gates, factors: Factors | None
) -> tuple[Tensor, Tensor]:
    from gateflow.nn.kernels.triton.lstm_kernels import step_forward

    (time, batch, rows), size = x.shape, h.shape[1]
    hs = x.new_empty(time, batch, size)
    options = {**_constants(gates), "SIZE": size, "STORE": factors is not None, "BLOCK": BLOCK, "LIKE": _type(x)}
    count = batch * size
    with _LOCK:
        at = _steps(x, (*options.values(),), batch, size, rows // size, 1)
        at.weights.copy_(hh.t())
        at.h.copy_(h)
        at.c.copy_(c)

        def step(k: int) -> None:
            torch.mm(at.h, at.weights, out=at.z)
            launch(step_forward, -(-count // BLOCK), at.table, at.counter, at.z, at.h, at.c, k, count, **options)

        at.run(step, (x, hs, *(factors or (x, x, x))), time)
        return hs, at.c.to(c.dtype, copy=True)


def _steps_backward(
    grad_hs: Tensor, grad_c: Tensor, hh: Tensor, factors: Factors, tied: bool
) -> tuple[Tensor, Tensor, Tensor]:
    from gateflow.nn.kernels.triton.lstm_kernels import step_backward

    time, batch, size = grad_hs.shape
    dz, count = torch.empty_like(factors[0]), batch * size
    options = {"TIED": tied, "SIZE": size, "BLOCK": BLOCK, "LIKE": _type(grad_hs)}
    with _LOCK:
        at = _steps(grad_hs, (*options.values(),), batch, size, 3 if tied else 4, -1)
        at.weights.copy_(hh)
        at.h.zero_()
        at.c.copy_(grad_c)

        def step(k: int) -> None:
            launch(step_backward, -(-count // BLOCK), at.table, at.counter, at.z, at.h, at.c, k, count, **options)
            torch.mm(at.z, at.weights, out=at.h)

        at.run(step, (grad_hs, *factors, dz), time)
        return dz, at.h.clone(), at.c.to(grad_c.dtype, copy=True)


def _type(tensor: Tensor) -> Any:
    import triton.language as tl

    return tl.bfloat16 if tensor.dtype == torch.bfloat16 else tl.float32


__all__ = ["backward", "forward", "kept_like", "padded", "way"]
