"""The scan of a linear recurrence on a GPU, and its backward pass, for any gate with a GPU form.

Kernels (:mod:`gateflow.nn.kernels.triton.scan_kernels`) are made from the gate's formula, and tried on this device
before their first use: :func:`reason_against`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

from gateflow.nn.functional import GateFunction
from gateflow.nn.kernels import trust
from gateflow.nn.kernels.triton import launch
from gateflow.nn.kernels.triton.gates import device_gate, gate_source

GIVEN = ("a", "log a", "z")
"""As what a decay may be given; in the order of scan_kernels.py."""

BLOCK = 128
"""Columns in a program."""

SHORTEST = 64
"""The fewest steps of a stretch."""

MOST = 64
"""The most stretches of a sequence."""

FULL = 8
"""Programs of each processor of a GPU that are enough."""

ROOM = {torch.float32: 1e-6, torch.bfloat16: 0.03}
"""The largest error of a trial, relative to the norm of a result."""


def forward(
    decay: Tensor,
    input: Tensor,
    start: Tensor | None,
    given: str,
    gate: GateFunction | None,
    dim: int,
    stretches: int | None = None,
) -> Tensor:
    """The states after every step; all tensors contiguous, of one type, ``start`` without the dimension of time.

    Raises
    ------
    MissingExtra
        Triton is not installed.
    InvalidArgument
        These tensors or this gate have no kernel for GPUs.
    """
    launch.check(input.device, input.dtype, [gate])
    if _turns(input.shape, dim):
        a, b = (t.movedim(dim, 0).contiguous() for t in (decay, input))
        return forward(a, b, start, given, gate, 0, stretches).movedim(0, dim).contiguous()
    one = _Launches(input, given, gate, dim, stretches)
    result, starts = torch.empty_like(input), one.rows(start)
    if one.stretches > 1:
        products, ends = one.sums(decay, input, back=False)
        for n in range(one.stretches - 1):
            starts[n + 1] = products[n] * starts[n] + ends[n]
    one.run("scan_forward", decay, input, starts.float(), result)
    return result


def backward(
    grad: Tensor,
    decay: Tensor,
    output: Tensor,
    start: Tensor | None,
    given: str,
    gate: GateFunction | None,
    dim: int,
    stretches: int | None = None,
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Gradients of what the decay is given as, of the input, and of the first state where there is one."""
    launch.check(grad.device, grad.dtype, [gate])
    if _turns(grad.shape, dim):
        g, a, h = (t.movedim(dim, 0).contiguous() for t in (grad, decay, output))
        *found, of_start = backward(g, a, h, start, given, gate, 0, stretches)
        of_decay, of_input = (t.movedim(0, dim).contiguous() for t in found)
        return of_decay, of_input, of_start
    one = _Launches(grad, given, gate, dim, stretches)
    of_decay, of_input, after = torch.empty_like(decay), torch.empty_like(grad), one.rows(None)
    first = grad.new_zeros(one.columns) if start is None else start
    of_start = torch.empty_like(first)
    if one.stretches > 1:
        products, ends = one.sums(decay, grad, back=True)
        for n in reversed(range(one.stretches - 1)):
            after[n] = products[n + 1] * after[n + 1] + ends[n + 1]
    one.run("scan_backward", grad, decay, output, first, after.float(), of_decay, of_input, of_start)
    return of_decay, of_input, None if start is None else of_start


def _turns(shape: torch.Size, dim: int) -> bool:
    """Whether time is to be first, so that neighbours in memory are read by neighbouring threads."""
    return dim > 0 and math.prod(shape[dim + 1 :]) < 32


class _Launches:
    """Where columns and stretches are."""

    def __init__(self, like: Tensor, given: str, gate: GateFunction | None, dim: int, stretches: int | None) -> None:
        shape, self.device = like.shape, like.device
        self.steps, self.inner = shape[dim], math.prod(shape[dim + 1 :])
        self.columns = math.prod(shape[:dim]) * self.inner
        self.blocks = -(-self.columns // BLOCK)
        wanted = stretches or _wanted(like.device, self.blocks)
        self.length = -(-self.steps // max(1, min(wanted, MOST, self.steps // (1 if stretches else SHORTEST))))
        self.stretches = -(-self.steps // self.length)
        self.how: dict[str, Any] = {"GATE": None if gate is None else device_gate(gate), "GIVEN": GIVEN.index(given)}

    def rows(self, first: Tensor | None) -> Tensor:
        """For each stretch the columns' numbers, those of the first as given and 0 for the others."""
        found = torch.zeros(self.stretches, self.columns, dtype=torch.float64, device=self.device)
        if first is not None:
            found[0] = first.reshape(-1)
        return found

    def sums(self, decay: Tensor, other: Tensor, back: bool) -> tuple[Tensor, Tensor]:
        products, ends = self.rows(None), self.rows(None)
        self.run("scan_sums", decay, other, products, ends, BACK=back)
        return products, ends

    def run(self, name: str, *tensors: Tensor, **constants: Any) -> None:
        from gateflow.nn.kernels.triton import scan_kernels

        numbers = self.steps, self.inner, self.columns, self.length
        programs, constants = self.blocks * self.stretches, {**self.how, **constants, "BLOCK": BLOCK}
        if programs:
            launch.launch(getattr(scan_kernels, name), programs, *tensors, *numbers, **constants)


@lru_cache(maxsize=16)
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 0


def _wanted(device: torch.device, blocks: int) -> int:
    """Stretches that fill a GPU."""
    return FULL * _processors(device) // max(blocks, 1)


# --- trial ------------------------------------------------------------------------------------------------------------


def reason_against(device: torch.device, dtype: torch.dtype, given: str, gate: GateFunction | None) -> str | None:
    """Why the kernels are not to be used on this device, in one clause; None where they were tried and agree."""
    asked = device, dtype, given, None if gate is None else gate.gate
    if asked not in _tried:
        reason = launch.reason_against(device, dtype, [gate])
        if reason is None and device.type == "cuda" and torch.cuda.is_current_stream_capturing():
            return "a kernel for GPUs cannot be tried, before its first use, while a graph is recorded"
        _tried[asked] = _reason_of_trial(device, dtype, given, gate) if reason is None else reason
    return _tried[asked]


_tried: dict[tuple[Any, ...], str | None] = {}


def _reason_of_trial(device: torch.device, dtype: torch.dtype, given: str, gate: GateFunction | None) -> str | None:
    name = given if gate is None else gate.gate.name
    sources = [] if gate is None else [gate_source(gate)]
    sources.append(trust.text("gateflow.nn.kernels.triton", "scan_kernels.py", "scan.py", "launch.py"))
    sources.append(trust.text("gateflow.codegen", "tritonmath.py"))
    return trust.reason_against(
        f"the scan for GPUs of {name}, {str(dtype).removeprefix('torch.')}",
        (*sources, *trust.machine(device)),
        ROOM[dtype],
        lambda: error(device, dtype, given, gate),
    )


def error(device: torch.device, dtype: torch.dtype, given: str, gate: GateFunction | None) -> float:
    """The largest error of a pass forward and backward, in one stretch and in several, against a loop in float64."""
    (x, b, h, g), wanted = problem(device, dtype, given, gate)
    found: list[Tensor] = []
    for stretches in (1, 3):
        output = forward(x, b, h, given, gate, 1, stretches)
        of_decay, of_input, of_start = backward(g, x, output, h, given, gate, 1, stretches)
        assert of_start is not None
        found += [output, of_decay, of_input, of_start]
    return trust.error(found, 2 * wanted)


def problem(
    device: torch.device, dtype: torch.dtype, given: str, gate: GateFunction | None
) -> tuple[tuple[Tensor, Tensor, Tensor, Tensor], list[Tensor]]:
    """A small scan over dimension 1, and what is right, by a loop in float64.

    Given are the decay, the input, the start and the gradient of the result; right are the result, and the gradients of
    the first three.
    """
    chance, shape = trust.generator(), (2, 5, 67)

    def numbers(*shape: int) -> Tensor:
        return torch.randn(shape, generator=chance, dtype=torch.float64).to(device, dtype)

    x, b, h, g = 3 * numbers(*shape), numbers(*shape), numbers(2, 67), numbers(*shape)
    x = {"a": torch.sigmoid(x), "log a": -torch.exp(x)}.get(given, x)
    wide = x.double()
    a, slope = wide, torch.ones_like(wide)
    if gate is not None:
        a, slope = gate.evaluate(wide, "phi"), gate.evaluate(wide, "dphi")
    elif given == "log a":
        a = slope = wide.exp()
    states = [h.double()]
    for t in range(shape[1]):
        states.append(a[:, t] * states[-1] + b[:, t].double())
    wanted, carried = [torch.stack(states[1:], 1)], torch.zeros_like(states[0])
    of_x, of_b = torch.zeros_like(a), torch.zeros_like(a)
    for t in reversed(range(shape[1])):
        of_b[:, t] = carried + g[:, t].double()
        of_x[:, t] = of_b[:, t] * states[t] * slope[:, t]
        carried = of_b[:, t] * a[:, t]
    wanted += [of_x, of_b, carried]
    return (x, b, h, g), wanted
