"""A layer as ONNX has it: the standard LSTM or GRU where its gates are sigmoids, else a Scan of plain operators.

`torch.onnx.export` runs a layer's ``forward``, which comes here; batch and length may be dynamic. A gate becomes the
operators of its formula, in float64 inside a float32 model. onnxruntime has no erf, atan and lgamma of float64: these
are taken in float32 there, so that far out ``1 - phi`` of such gates has float32's absolute, not its relative, error.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor
from torch._decomp import register_decomposition

from gateflow.errors import InvalidArgument
from gateflow.nn.arithmetic import TorchArithmetic
from gateflow.nn.functional import GATE, WORKING, named

ORDERS = {"LSTM": (0, 3, 1, 2), "GRU": (1, 0, 2)}
"""Where ONNX has PyTorch's blocks: input, output, forget, cell; update, reset, hidden."""


def layer(
    cell: Any, x: Tensor, state: tuple[Tensor, ...], weights: Any, backwards: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """One layer in one direction over padded sequences, (time, batch, features): output, final state.

    Parameters
    ----------
    cell : gateflow.nn.recurrent.Recurrent
    x : Tensor
    state : tuple of Tensors (batch, size)
    weights : gateflow.nn.recurrent.Weights
    backwards : bool
    """
    if cell.extra_shapes() and not cell.proj_size:  # PyTorch's Scan takes no shapes from around the step
        raise InvalidArgument(f"{type(cell).__name__} has no form in ONNX yet")
    if cell.in_framework() and cell.mode in ORDERS and not cell.proj_size:
        return _standard(cell.mode, x, state, weights, backwards)

    def step(before: tuple[Tensor, ...], part: Tensor) -> tuple[tuple[Tensor, ...], Tensor]:
        after, _ = cell.step(part, before, weights)
        return after, after[0].clone()

    final, output = _scanned(step, state, cell.project(x, weights), reverse=backwards)
    return output, tuple(final)


def _scanned(*arguments: Any, **options: Any) -> Any:
    """PyTorch's scan, without a warning of its own look at what the step takes from around it."""
    from torch._higher_order_ops.scan import scan  # of PyTorch's own: where it has another place, the layers still run

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor", category=UserWarning)
        return scan(*arguments, **options)


def states(decay: Tensor, input: Tensor, start: Tensor | None, dim: int) -> Tensor:
    """The states ``h_t = a_t h_(t-1) + b_t`` by a Scan, in the numbers' own precision: what rounding loses is lost.

    Parameters
    ----------
    decay, input : Tensor
        a and b, of one shape.
    start : Tensor, optional
    dim : int
        The dimension of time.
    """

    def step(state: Tensor, part: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        after = part[0] * state + part[1]
        return after, after.clone()

    parts = decay.movedim(dim, 0), input.movedim(dim, 0)
    first = torch.zeros_like(parts[1][0]) if start is None else start
    output: Tensor = _scanned(step, first, parts)[1]
    return output.movedim(0, dim)


def _standard(
    name: str, x: Tensor, state: tuple[Tensor, ...], weights: Any, backwards: bool
) -> tuple[Tensor, tuple[Tensor, ...]]:
    time, batch, hidden = *x.shape[:2], state[0].shape[1]
    turned = lambda t: torch.cat([t.chunk(len(ORDERS[name]))[n] for n in ORDERS[name]])[None]  # noqa: E731
    biases = None if weights.bias_ih is None else torch.cat([turned(weights.bias_ih), turned(weights.bias_hh)], dim=1)
    inputs = (x, turned(weights.ih), turned(weights.hh), biases, None, *(part[None] for part in state))
    settings = {"hidden_size": hidden, "direction": "reverse" if backwards else "forward"}
    output, *final = torch.onnx.ops.symbolic_multi_out(
        name,
        inputs,
        settings | ({"linear_before_reset": 1} if name == "GRU" else {}),
        dtypes=[x.dtype] * (1 + len(state)),
        shapes=[(time, 1, batch, hidden), *((1, batch, hidden) for _ in state)],
    )
    return output[:, 0], tuple(part[0] for part in final)


class TracedArithmetic(TorchArithmetic):
    """PyTorch arithmetic whose numbers are operators' results: a tensor made while a program is traced is none of its
    constants."""

    def lift(self, x: Any) -> Tensor:
        return x.to(self.dtype) if isinstance(x, Tensor) else torch.full((), x, dtype=self.dtype, device=self.device)


class ExportedArithmetic(TracedArithmetic):
    """PyTorch arithmetic in operators that onnxruntime has for float64, as far as there are any."""

    sinh = staticmethod(lambda x: (torch.exp(x) - torch.exp(-x)) / 2)
    cosh = staticmethod(lambda x: (torch.exp(x) + torch.exp(-x)) / 2)
    asinh = staticmethod(lambda x: torch.sign(x) * torch.log(x.abs() + torch.sqrt(x * x + 1)))
    acosh = staticmethod(lambda x: torch.log(x + torch.sqrt(x * x - 1)))
    atanh = staticmethod(lambda x: torch.log((1 + x) / (1 - x)) / 2)
    tan = staticmethod(lambda x: torch.sin(x) / torch.cos(x))
    atan = staticmethod(lambda x: torch.atan(x.float()).double())
    erf = staticmethod(lambda x: torch.erf(x.float()).double())

    def acot(self, x: Tensor) -> Tensor:
        """From atan of the inverse, which keeps the digits far out."""
        return torch.where(x == 0, torch.pi / 2, torch.where(x < 0, torch.pi, 0.0) + self.atan(1 / x))

    def erfcx(self, x: Tensor) -> Tensor:
        """From erf up to 2, beyond by Laplace's continued fraction (Abramowitz and Stegun 7.1.14), to 1e-5."""
        near, far = torch.clamp(x, max=2.0), torch.clamp(x, min=2.0)
        tail = far
        for k in range(20, 0, -1):
            tail = far + k / 2 / tail
        return torch.where(x < 2, torch.exp(near * near) * (1 - self.erf(near)), 1 / (torch.pi**0.5 * tail))


@register_decomposition(GATE)
def _gate(z: Tensor, gate: str, what: str) -> Tensor:
    """A gate in plain operators."""
    x = z.to(WORKING[z.dtype])
    return named(gate).in_operators(x, what, ExportedArithmetic(x.dtype)).to(z.dtype)
