"""A layer over a whole sequence as one autograd function, in PyTorch's operations, for any cell and any gates.

A step is one matrix product, ``z = x + U h``, and then a function of each unit alone, ``s <- update(z, s)`` with the
state s. The forward pass runs the steps without a graph and keeps z and s. The derivatives of ``update`` are diagonal
and do not depend on the order of the steps; so the backward pass has autograd take them from the cell's own equations
for many steps at once, as many as stay in cache, and its loop over time is linear::

    dz = sum_i ds_i d update_i/dz        ds_prev_j = sum_i ds_i d update_i/ds_j        dh_prev += dz U
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.nn.kernels.layout import Layout

Update = Callable[[Mapping[str, Tensor], tuple[Tensor, ...]], tuple[tuple[Tensor, ...], Any]]
"""From pre-activations by name and the state to the next state; the second part of its answer is not used."""

CHUNK = 1 << 15
"""Elements of a state whose derivatives are computed together in the backward pass."""


def run(
    update: Update, layout: Layout, x: Tensor, state: tuple[Tensor, ...], hh: Tensor, bias_hh: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Output after every step, (time, batch, size), and the last state.

    Parameters
    ----------
    update : callable
    layout : Layout
    x : Tensor of shape (time, batch, rows)
        The projected input.
    state : tuple of Tensors (batch, size)
        Before the first step; its first part is h.
    hh : Tensor of shape (rows, size)
    bias_hh : Tensor of shape (rows,), optional
        Where the layout does not add it to x.
    """
    if not torch.is_grad_enabled():
        return _without_gradients(update, layout, x, state, hh, bias_hh)
    states = WholeSequence.apply(update, layout, x, hh, bias_hh, *state)  # type: ignore[misc]
    return states[0], tuple(part[-1] for part in states)


def _without_gradients(
    update: Update, layout: Layout, x: Tensor, state: tuple[Tensor, ...], hh: Tensor, bias_hh: Tensor | None
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """The same, with nothing kept but the output."""
    output = x.new_empty((len(x), *state[0].shape))
    for t, part in enumerate(x):
        state, _ = update(layout.split(layout.preactivations(part, state[0], hh, bias_hh)), state)
        output[t] = state[0]
    return output, state


class WholeSequence(torch.autograd.Function):
    """Every part of the state at all times, (time, batch, size); it can be differentiated once."""

    @staticmethod
    def forward(
        ctx: Any, update: Update, layout: Layout, x: Tensor, hh: Tensor, bias_hh: Tensor | None, *start: Tensor
    ) -> tuple[Tensor, ...]:
        state, steps, states = start, [], []
        for part in x:
            steps.append(layout.preactivations(part, state[0], hh, bias_hh))
            state, _ = update(layout.split(steps[-1]), state)
            states.append(state)
        outputs = tuple(torch.stack(parts) for parts in zip(*states, strict=True))
        ctx.update, ctx.layout, ctx.biased = update, layout, bias_hh is not None and not layout.is_shared
        ctx.save_for_backward(torch.stack(steps), hh, *start, *outputs)
        return outputs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise InvalidArgument("a second derivative needs the plain loop over time: backend='reference'")
        z, hh, *saved = ctx.saved_tensors
        start, states = saved[: len(grads)], saved[len(grads) :]
        before = [torch.cat([first[None], part[:-1]]) for first, part in zip(start, states, strict=True)]
        dz, d_state = torch.empty_like(z), [torch.zeros_like(part) for part in start]
        together = max(1, CHUNK // max(1, start[0].numel()))
        for first in reversed(range(0, len(z), together)):
            part = slice(first, first + together)
            slopes = _slopes(ctx.update, ctx.layout, z[part], [each[part] for each in before])
            d_state = _backwards(dz[part], d_state, slopes, [grad[part] for grad in grads], ctx.layout, hh)
        of_h = ctx.layout.rows("h", dz).flatten(0, 1)
        d_bias = of_h.sum(dim=0) if ctx.biased else None
        return None, None, ctx.layout.rows("x", dz), of_h.t() @ before[0].flatten(0, 1), d_bias, *d_state


def _slopes(update: Update, layout: Layout, z: Tensor, state: list[Tensor]) -> list[tuple[Tensor | None, ...]]:
    """Of each part of the next state: its derivatives in z and in each part of the state, for a stretch of steps."""
    inputs = [part.detach().requires_grad_() for part in (z, *state)]
    with torch.enable_grad():
        after, _ = update(layout.split(inputs[0]), tuple(inputs[1:]))
        return [
            torch.autograd.grad(part, inputs, torch.ones_like(part), retain_graph=True, allow_unused=True)
            for part in after
        ]


def _backwards(
    dz: Tensor,
    d_state: list[Tensor],
    slopes: list[tuple[Tensor | None, ...]],
    grads: list[Tensor],
    layout: Layout,
    hh: Tensor,
) -> list[Tensor]:
    """A stretch of steps from the last to the first: fills ``dz``, returns the gradients of the state before it."""
    for t in reversed(range(len(dz))):
        d_after = [part + grad[t] for part, grad in zip(d_state, grads, strict=True)]
        of_z, *of_state = (_sum(d_after, column, t) for column in zip(*slopes, strict=True))
        if of_z is not None:
            dz[t] = of_z
        through = layout.rows("h", dz[t]) @ hh
        d_state = [torch.zeros_like(d) if part is None else part for d, part in zip(d_after, of_state, strict=True)]
        d_state[0] = d_state[0] + through
    return d_state


def _sum(d_after: list[Tensor], slopes: tuple[Tensor | None, ...], t: int) -> Tensor | None:
    """``sum_i ds_i slope_i`` at one time; None where every slope is 0."""
    total = None
    for d, slope in zip(d_after, slopes, strict=True):
        if slope is not None:
            blocks = slope[t].unflatten(1, (-1, d.shape[1]))
            total = blocks * d[:, None] if total is None else torch.addcmul(total, blocks, d[:, None])
    return None if total is None else total.flatten(1)
