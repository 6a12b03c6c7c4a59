"""A layer over a whole sequence and its backward pass, in PyTorch's operations, for any cell and any gates.

A step is one matrix product, ``z = x + U h``, and then a function of each unit alone, ``s <- update(z, s)`` with the
state s. The forward pass runs the steps without a graph and keeps z and s. The derivatives of ``update`` are diagonal
and do not depend on the order of the steps; so the backward pass has autograd take them from the cell's own equations
for many steps at once, as many as stay in cache, and its loop over time is linear::

    dz = sum_i ds_i d update_i/dz        ds_prev_j = sum_i ds_i d update_i/ds_j        dh_prev += dz U
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gateflow.nn.kernels.layout import Layout

Update = Callable[[Mapping[str, Tensor], tuple[Tensor, ...]], tuple[tuple[Tensor, ...], Any]]
"""From pre-activations by name and the state to the next state; the second part of its answer is not used."""

CHUNK = 1 << 15
"""Elements of a state whose derivatives are computed together in the backward pass."""


def forward(
    update: Update,
    layout: Layout,
    x: Tensor,
    state: Sequence[Tensor],
    hh: Tensor,
    bias_hh: Tensor | None,
    keep: bool = False,
) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Output after every step, (time, batch, size), the last state, and what a backward pass needs: z and the states.

    Parameters
    ----------
    update : callable
    layout : Layout
    x : Tensor of shape (time, batch, rows)
        The projected input.
    state : sequence of Tensors (batch, size)
        Before the first step; its first part is h.
    hh : Tensor of shape (rows, size)
    bias_hh : Tensor of shape (rows,), optional
        Where the layout does not add it to x.
    keep : bool
        Whether there will be a backward pass; if not, nothing is kept.
    """
    output = x.new_empty((len(x), *state[0].shape))
    kept, steps, states, now = [], [], [], tuple(state)
    for t, part in enumerate(x):
        z = layout.preactivations(part, now[0], hh, bias_hh)
        now, _ = update(layout.split(z), now)
        output[t] = now[0]
        if keep:
            steps.append(z)
            states.append(now[1:])
    if keep:
        kept = [torch.stack(steps), *(torch.stack(parts) for parts in zip(*states, strict=True))]
    return output, [part.clone() for part in now], kept


def kept_like(layout: Layout, x: Tensor, state: Sequence[Tensor]) -> list[tuple[int, ...]]:
    """Shapes of what :func:`forward` keeps of an input (time, batch, inputs)."""
    time, (batch, size) = x.shape[0], state[0].shape
    return [(time, batch, len(layout.blocks) * size), *((time, *part.shape) for part in state[1:])]


def backward(
    update: Update,
    layout: Layout,
    state: Sequence[Tensor],
    hh: Tensor,
    output: Tensor,
    kept: Sequence[Tensor],
    grads: Sequence[Tensor | None],
) -> tuple[Tensor, list[Tensor]]:
    """Gradients of all pre-activations, (time, batch, blocks * size), and of the state before the first step."""
    z, *others = kept
    of_output, *of_last = grads
    before = [torch.cat([first[None], part[:-1]]) for first, part in zip(state, (output, *others), strict=True)]
    dz = torch.empty_like(z)
    d_state = [torch.zeros_like(p) if g is None else g for p, g in zip(state, of_last, strict=True)]
    together = max(1, CHUNK // max(1, state[0].numel()))
    for first in reversed(range(0, len(z), together)):
        part = slice(first, first + together)
        slopes = _slopes(update, layout, z[part], [each[part] for each in before])
        d_state = _backwards(dz[part], d_state, slopes, None if of_output is None else of_output[part], layout, hh)
    return dz, d_state


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
    of_output: Tensor | None,
    layout: Layout,
    hh: Tensor,
) -> list[Tensor]:
    """A stretch of steps from the last to the first: fills ``dz``, returns the gradients of the state before it."""
    for t in reversed(range(len(dz))):
        d_after = d_state if of_output is None else [d_state[0] + of_output[t], *d_state[1:]]
        of_z, *of_state = (_sum(d_after, column, t) for column in zip(*slopes, strict=True))
        dz[t] = 0.0 if of_z is None else of_z
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
