"""A layer of LSTM over a whole sequence as one autograd function in plain PyTorch operations, for any gates.

The loop over time holds only what must be in it. Derivatives of gates do not depend on the order of steps: the backward
pass takes them for many steps at once, as many as stay in cache, and its loop knows no transcendental function:

    dz_i = dc g i'       dz_f = dc c_prev f'       dz_g = dc i (1 - g**2)       dz_o = dh tanh(c) o'
    dc += dh o (1 - tanh(c)**2)                    dc_prev = dc f               dh_prev = dz U

With a tied input gate ``i = 1 - f`` the forget gate's line is ``dz_f = dc (c_prev - g) f'``.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.nn.functional import GateFunction

Gates = tuple[GateFunction | None, GateFunction, GateFunction]
"""The functions of the input gate, None where it is ``1 - f``, of the forget gate and of the output gate."""

CHUNK = 1 << 15
"""Elements of a state whose factors are computed together in the backward pass."""


def lstm_sequence(x: Tensor, h: Tensor, c: Tensor, hh: Tensor, gates: Gates) -> tuple[Tensor, Tensor, Tensor]:
    """Hidden states at all times and the last of both: see `LSTMSequence`, which is asked where there are gradients."""
    if torch.is_grad_enabled() and any(t.requires_grad for t in (x, h, c, hh)):
        hs, cs = LSTMSequence.apply(x, h, c, hh, gates)  # type: ignore[misc]
        return hs, hs[-1], cs[-1]
    hs, (z, tanh_c, last) = x.new_empty(x.shape[0], *h.shape), (torch.empty_like(t) for t in (x[0], c, c))
    back, before = hh.t().contiguous(), c
    for t in range(x.shape[0]):
        torch.addmm(x[t], h, back, out=z)
        _step(z, before, gates, hs[t], last, tanh_c)
        h, before = hs[t], last
    return hs, hs[-1], last


class LSTMSequence(torch.autograd.Function):
    """Hidden and cell states at all times from the projected input, the first state and the recurrent weights.

    The rows of ``x`` are the cell's blocks in order: input gate (if any), forget gate, candidate, output gate.
    It can be differentiated once.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, h: Tensor, c: Tensor, hh: Tensor, gates: Gates) -> tuple[Tensor, Tensor]:
        (time, batch, _), size = x.shape, hh.shape[1]
        z, (hs, cs, tanh_c) = torch.empty_like(x), (x.new_empty(time, batch, size) for _ in range(3))
        ctx.gates = gates
        ctx.save_for_backward(z, h, c, hs, cs, tanh_c, hh)
        back = hh.t().contiguous()
        for t in range(time):
            torch.addmm(x[t], h, back, out=z[t])
            _step(z[t], c, gates, hs[t], cs[t], tanh_c[t])
            h, c = hs[t], cs[t]
        return hs, cs

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:  # type: ignore[override]
        if torch.is_grad_enabled():
            raise InvalidArgument("a second derivative needs the plain loop over time: LSTM(..., backend='reference')")
        z, h, c, hs, cs, tanh_c, hh = ctx.saved_tensors
        time, _, rows = z.shape
        dz = torch.empty_like(z)
        dh, dc = torch.zeros_like(h), torch.zeros_like(c)
        together = max(1, CHUNK // max(1, h.numel()))
        for start in reversed(range(0, time, together)):
            part = slice(start, min(start + together, time))
            previous = torch.cat([c[None] if start == 0 else cs[start - 1 : start], cs[start : part.stop - 1]])
            factors = _factors(z[part], previous, tanh_c[part], ctx.gates)
            dh, dc = _backwards(dz[part], dh, dc, factors, grads[0][part], grads[1][part], hh)
        before = torch.cat([h[None], hs[:-1]]).flatten(0, 1)
        return dz, dh, dc, dz.view(-1, rows).t() @ before, None


def _step(z: Tensor, c: Tensor, gates: Gates, h_next: Tensor, c_next: Tensor, tanh_c: Tensor) -> None:
    """One step, written to the places given; in z, the candidate takes the place of its pre-activation."""
    input_gate, forget_gate, output_gate = gates
    *z_i, z_f, g, z_o = z.split(c.shape[1], dim=1)
    torch.tanh(g, out=g)
    f = forget_gate.value(z_f)
    i = forget_gate.value(z_f, "phi_c") if input_gate is None else input_gate.value(z_i[0])
    torch.addcmul(f * c, i, g, out=c_next)
    torch.tanh(c_next, out=tanh_c)
    torch.mul(output_gate.value(z_o), tanh_c, out=h_next)


def _backwards(
    dz: Tensor, dh: Tensor, dc: Tensor, factors: tuple[Tensor, ...], grad_h: Tensor, grad_c: Tensor, hh: Tensor
) -> tuple[Tensor, Tensor]:
    """A stretch of steps from the last to the first: fills ``dz``, returns the gradients of the states before it."""
    through_c, through_o, keep, into_c = factors
    size = dh.shape[1]
    inner = dz[:, :, :-size].unflatten(2, (-1, size))
    for t in reversed(range(dz.shape[0])):
        dh = dh + grad_h[t]
        dc = torch.addcmul(dc + grad_c[t], dh, into_c[t])
        torch.mul(through_c[t], dc[:, None], out=inner[t])
        torch.mul(through_o[t], dh, out=dz[t, :, -size:])
        dc = dc * keep[t]
        dh = dz[t] @ hh
    return dh, dc


def _factors(z: Tensor, previous: Tensor, tanh_c: Tensor, gates: Gates) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For a stretch of steps: factors of dc in each ``dz``, of dh in ``dz_o``, of dc in ``dc_prev``, of dh in dc."""
    input_gate, forget_gate, output_gate = gates
    *z_i, z_f, g, z_o = z.split(tanh_c.shape[2], dim=2)
    f, df = forget_gate.with_slope(z_f, "phi")
    o, do = output_gate.with_slope(z_o, "phi")
    assert df is not None
    assert do is not None
    if input_gate is None:
        i = forget_gate.value(z_f, "phi_c")
        parts = [(previous - g) * df]
    else:
        i, di = input_gate.with_slope(z_i[0], "phi")
        assert di is not None
        parts = [g * di, previous * df]
    through_c = torch.stack([*parts, i * (1 - g * g)], dim=2)
    return through_c, tanh_c * do, f, o * (1 - tanh_c * tanh_c)
