"""Faster ways against the plain loop over time: outputs, states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gateflow.errors import InvalidArgument
from gateflow.nn import LSTM
from gateflow.nn.kernels import lstm_sequence

SETTINGS: list[dict[str, Any]] = [
    {"forget_gate": "fast"},
    {"forget_gate": "fast", "tied": True},
    {"forget_gate": "cloglog", "input_gate": "softsign", "output_gate": "hard-sigmoid", "num_layers": 2},
    {"forget_gate": "tied-refine", "num_layers": 2, "bidirectional": True, "bias": False},
]


@pytest.fixture(params=SETTINGS, ids=lambda s: ",".join(f"{k}={v}" for k, v in s.items()))
def pair(request: pytest.FixtureRequest) -> tuple[LSTM, LSTM]:
    fast, plain = (LSTM(3, 5, backend=b, dtype=torch.float64, **request.param) for b in ("torch", "reference"))
    fast.load_state_dict(plain.state_dict())
    return fast, plain


def everything(layer: LSTM, x: torch.Tensor, hx: tuple[torch.Tensor, ...], chosen: slice) -> list[torch.Tensor]:
    """Output and states, and the gradients of a random sum of some of these."""
    output, (h, c) = layer(x, hx)
    results = [output, h, c]
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results[chosen])
    leaves = [x, *hx, *layer.parameters()]
    return [*results, *torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)]  # type: ignore[arg-type]


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 1), slice(2, 3)], ids=["all", "output", "cell"])
@pytest.mark.parametrize("chunk", [1, 50, 1 << 15])
def test_the_sequence_kernel_is_the_loop(
    pair: tuple[LSTM, LSTM], chosen: slice, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lstm_sequence, "CHUNK", chunk)
    parts = pair[0].num_layers * pair[0].num_directions
    x = torch.randn(9, 4, 3, dtype=torch.float64, requires_grad=True)
    hx = tuple(torch.randn(parts, 4, 5, dtype=torch.float64, requires_grad=True) for _ in range(2))
    found, wanted = (everything(layer, x, hx, chosen) for layer in pair)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_it_is_the_sequence_kernel_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(LSTM, "step", lambda *_: calls.append(1))
    LSTM(3, 5, forget_gate="fast", backend="torch")(torch.randn(9, 4, 3))
    assert calls == []


def test_a_second_derivative_is_refused_not_wrong() -> None:
    x = torch.randn(4, 2, 3, requires_grad=True)
    loss = LSTM(3, 5, forget_gate="fast", backend="torch")(x)[0].sum()
    with pytest.raises(InvalidArgument, match="backend='reference'"):
        torch.autograd.grad(loss, x, create_graph=True)


def test_two_forward_passes_before_a_backward_pass_do_not_mix() -> None:
    layer = LSTM(3, 5, forget_gate="fast", backend="torch")
    x, y = torch.randn(2, 6, 4, 3).unbind()
    first = layer(x)[0].sum()
    layer(y)
    found = torch.autograd.grad(first, list(layer.parameters()))
    again = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    assert all(a.equal(b) for a, b in zip(found, again, strict=True))


def test_an_output_changed_in_place_is_noticed() -> None:
    layer = LSTM(3, 5, forget_gate="fast", backend="torch")
    x = torch.randn(6, 4, 3)
    output, _ = layer(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.mul_(2).sum().backward()
    with torch.no_grad():
        assert layer(x)[0].mul_(2).isfinite().all()


def test_autocast_takes_the_plain_loop() -> None:
    layer = LSTM(3, 5, forget_gate="fast", backend="torch")
    x = torch.randn(6, 4, 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output, _ = layer(x)
    torch.testing.assert_close(output.float(), layer(x)[0], rtol=0.05, atol=0.05)
    output.float().sum().backward()
    assert layer.weight_hh_l0.grad is not None
