"""Each way to compute a layer is tried on this machine before it is chosen: :mod:`gateflow.nn.kernels.trust`.

What is tried is a layer in one direction, forward with and without what a backward pass needs, and backward, against
the plain loop over time in float64. The C code is tried once for each cell, type and kind of gate: a gate's table is
measured against the gate whenever it is made. A kernel for GPUs is compiled for gates and size, and so tried for each.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import torch
from torch import Tensor

from gateflow.nn.kernels import native, trust
from gateflow.nn.kernels.triton import gates as device_gates
from gateflow.nn.kernels.triton import launch
from gateflow.nn.kernels.triton import lstm as triton
from gateflow.nn.operators import Given, declared

ROOM = {torch.float64: 1e-12, torch.float32: 1e-5, torch.bfloat16: 0.03}
"""The largest error, relative to the norm of a result: some units of the type's last place."""

TF32 = 0.01
"""The same for products of TF32, where the user allows them."""

SIZES = (*(11,) * 9, *(8,) * 2, *(3,) * 3)
"""Sequences that live at each time when C code is tried: whole blocks of its microkernel, and what is left over."""

ROWS, STEPS = 11, 5
"""Sequences and steps when a kernel for GPUs is tried: more than one program; and less than a whole one."""


def reason_against_c(cell: str, precision: native.Precision) -> str | None:
    """Why compiled code is not to be trusted on this machine, in one clause; None where it was tried and agrees.

    Parameters
    ----------
    cell : str
        A declaration (:meth:`gateflow.nn.recurrent.Recurrent.declare`).
    precision : Precision
        What it computes in.
    """
    dtype = precision.dtype
    tried = _with_known_gates(cell)
    found = declared(tried).compiled
    assert found is not None
    units = native.library(dtype).units()
    made_of = (tried, native.fingerprint(precision), *trust.machine(torch.device("cpu")))

    def measure() -> float:
        found.tables(dtype)
        return _error("native", tried, precision, torch.device("cpu"), 2 * units + 3, torch.tensor(SIZES, device="cpu"))

    room = ROOM[torch.bfloat16 if precision.short else dtype]
    return trust.reason_against(f"compiled code for {found.layout.kernel} in {precision}", made_of, room, measure)


def _with_known_gates(cell: str) -> str:
    """The declaration with the fast gate in place of every gate that has a table."""
    options = json.loads(cell)
    for name in (word for word in options if word.endswith("_gate")):
        plain = native.is_sigmoid(getattr(declared(cell).cell, name).gate)
        options[name] = "sigmoid" if plain else "fast"
    return json.dumps(options)


def reason_against_triton(cell: str, device: torch.device, dtype: torch.dtype, hidden: int) -> str | None:
    """The same of the kernel for GPUs of a cell with this many hidden units."""
    precision = launch.precision() if dtype == torch.float32 else ""
    asked = cell, device, dtype, hidden, precision
    if asked not in _on_gpus:
        if device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return "a kernel for GPUs cannot be tried, before its first use, while a graph is recorded"
        _on_gpus[asked] = _tried_on_gpu(*asked)
    return _on_gpus[asked]


_on_gpus: dict[tuple[object, ...], str | None] = {}


def _tried_on_gpu(cell: str, device: torch.device, dtype: torch.dtype, hidden: int, precision: str) -> str | None:
    gates = declared(cell).on_gpu.gates
    way = triton.way(hidden, 3 if gates[0] is None else 4, dtype, device)
    sources = [device_gates.gate_source(gate) for gate in gates if gate is not None]
    sources.append(trust.text("gateflow.nn.kernels.triton", "lstm_kernels.py", "lstm.py", "launch.py"))
    sources.append(trust.text("gateflow.codegen", "tritonmath.py"))
    steps = STEPS if way == "whole" else 2 * triton.CHUNK + STEPS
    names = " and ".join(dict.fromkeys(gate.gate.name for gate in gates if gate is not None))
    return trust.reason_against(
        f"the kernel for GPUs of an LSTM with {names}, {hidden} units, {str(dtype).removeprefix('torch.')}",
        (cell, way, precision, *sources, *trust.machine(device)),
        TF32 if precision == "tf32" else ROOM[dtype],
        lambda: _error("triton", cell, native.Precision(dtype), device, hidden, None, steps),
    )


def _error(
    kernel: str,
    cell: str,
    precision: native.Precision,
    device: torch.device,
    hidden: int,
    sizes: Tensor | None,
    steps: int = 0,
) -> float:
    """The largest error of a pass forward and backward of a small layer, against the loop in float64."""
    chance, one = trust.generator(), declared(cell).cell
    batch = ROWS if sizes is None else int(sizes[0])

    def numbers(*shape: int, scale: float = 1.0) -> Tensor:
        return (torch.randn(shape, generator=chance, dtype=torch.float64) * scale).to(device, precision.dtype)

    x = numbers(steps, batch, 3) if sizes is None else numbers(int(sizes.sum()), 3)
    state = [numbers(batch, hidden) for _ in one.states]
    rows = len(one.blocks) * hidden
    shapes = [(rows, 3), (rows, hidden), *([(rows,)] * 2 if one.bias else [])]
    tensors = [numbers(*shape, scale=0.5 * (hidden if shape[-1] == hidden else 1) ** -0.5) for shape in shapes]
    grads = [numbers(*x.shape[:-1], hidden), *(numbers(batch, hidden) for _ in state)]

    tried = Given(x, state, tensors, sizes, False, cell, "reference")
    tried.kernel, tried.precision = kernel, precision
    with torch.no_grad():
        alone, ended, _ = tried.forward(keep=False)
        output, final, kept = tried.forward(keep=True)
        dx, d_state, d_weights = tried.backward(grads, output, kept, of_input=True)
    assert dx is not None
    found = [alone, *ended, output, *final, dx, *d_state, *d_weights]

    leaves = [t.detach().double().requires_grad_() for t in (x, *state, *tensors)]
    exact = Given(leaves[0], leaves[1 : 1 + len(state)], leaves[1 + len(state) :], sizes, False, cell, "reference")
    output, final = exact.plain(exact.x, exact.state, exact.tensors)
    results: Sequence[Tensor] = [output, *final]
    loss = sum((a * b).sum() for a, b in zip(results, grads, strict=True))
    wanted = [*results, *results, *torch.autograd.grad(loss, leaves)]  # type: ignore[arg-type]
    return trust.error(found, [t.detach() for t in wanted])
