"""Faster ways against the plain loop over time: outputs, states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gateflow.nn import GRU, JANET, LSTM, RefineLSTM
from gateflow.nn.kernels import sequence
from gateflow.nn.recurrent import Recurrent

SETTINGS: list[tuple[type[Recurrent], dict[str, Any]]] = [
    (LSTM, {"forget_gate": "fast"}),
    (LSTM, {"forget_gate": "fast", "tied": True}),
    (LSTM, {"forget_gate": "cloglog", "input_gate": "softsign", "output_gate": "hard-sigmoid", "num_layers": 2}),
    (LSTM, {"forget_gate": "tied-refine", "num_layers": 2, "bidirectional": True, "bias": False}),
    (GRU, {"update_gate": "fast", "reset_gate": "erf", "bidirectional": True}),
    (GRU, {"update_gate": "softsign", "num_layers": 2, "bias": False}),
    (JANET, {"forget_gate": "fast", "beta": 0.7, "num_layers": 2}),
    (RefineLSTM, {"forget_gate": "fast", "refine_gate": "arctan"}),
    (RefineLSTM, {"input_gate": "gompertz", "tied": False, "num_layers": 2}),
]


def name_of(setting: tuple[type[Recurrent], dict[str, Any]]) -> str:
    return ",".join([setting[0].__name__, *(f"{k}={v}" for k, v in setting[1].items())])


@pytest.fixture(params=SETTINGS, ids=name_of)
def pair(request: pytest.FixtureRequest) -> tuple[Recurrent, Recurrent]:
    cell, options = request.param
    fast, plain = (cell(3, 5, backend=b, dtype=torch.float64, **options) for b in ("torch", "reference"))
    fast.load_state_dict(plain.state_dict())
    assert (fast.backend_for(torch.zeros(1, 3)), plain.backend_for(torch.zeros(1, 3))) == ("torch", "reference")
    return fast, plain


def everything(layer: Recurrent, x: torch.Tensor, hx: tuple[torch.Tensor, ...], chosen: slice) -> list[torch.Tensor]:
    """Output and states, and the gradients of a random sum of some of these."""
    output, final = layer(x, hx if len(hx) > 1 else hx[0])
    results = [output, *(final if len(hx) > 1 else (final,))]
    generator = torch.Generator().manual_seed(1)
    loss = sum((r * torch.randn(r.shape, generator=generator, dtype=r.dtype)).sum() for r in results[chosen])
    leaves = [x, *hx, *layer.parameters()]
    return [*results, *torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)]  # type: ignore[arg-type]


@pytest.mark.parametrize("chosen", [slice(None), slice(0, 1), slice(-1, None)], ids=["all", "output", "last state"])
@pytest.mark.parametrize("chunk", [1, 50, 1 << 15])
@pytest.mark.sampled(11)
def test_the_sequence_kernel_is_the_loop(
    pair: tuple[Recurrent, Recurrent], chosen: slice, chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sequence, "CHUNK", chunk)
    parts = pair[0].num_layers * pair[0].num_directions
    x = torch.randn(9, 4, 3, dtype=torch.float64, requires_grad=True)
    hx = tuple(torch.randn(parts, 4, 5, dtype=torch.float64, requires_grad=True) for _ in pair[0].states)
    found, wanted = (everything(layer, x, hx, chosen) for layer in pair)
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_it_is_the_sequence_kernel_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    monkeypatch.setattr(LSTM, "loop", lambda *_: calls.append(1))
    LSTM(3, 5, forget_gate="fast", backend="torch")(torch.randn(9, 4, 3))
    assert calls == []


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
