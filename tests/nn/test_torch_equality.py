"""With sigmoid gates LSTM and GRU are those of PyTorch: state dicts, outputs, states and every gradient."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from gateflow.nn import GRU, LSTM

PAIRS = [(LSTM, torch.nn.LSTM), (GRU, torch.nn.GRU)]
LAYOUTS: list[dict[str, Any]] = [
    {},
    {"num_layers": 2},
    {"num_layers": 2, "bidirectional": True},
    {"num_layers": 2, "bidirectional": True, "bias": False},
    {"bidirectional": True, "batch_first": True},
]
LENGTHS = [4, 7, 1, 5]


@pytest.fixture(params=LAYOUTS, ids=lambda layout: ",".join(layout) or "plain")
def layout(request: pytest.FixtureRequest) -> dict[str, Any]:
    return request.param


@pytest.fixture(params=PAIRS, ids=["lstm", "gru"])
def pair(request: pytest.FixtureRequest) -> tuple[type, type]:
    return request.param


@pytest.fixture(params=["reference", "auto"])
def backend(request: pytest.FixtureRequest) -> str:
    return request.param


def both(pair: tuple[type, type], layout: dict[str, Any], backend: str, dtype: torch.dtype = torch.float64) -> Any:
    ours = pair[0](3, 5, backend=backend, dtype=dtype, **layout)
    theirs = pair[1](3, 5, dtype=dtype, **layout)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def tensors(result: Any) -> list[torch.Tensor]:
    """Output and states as a flat list of tensors, packed ones as their rows."""
    output, state = result
    state = state if isinstance(state, tuple) else (state,)
    return [output if isinstance(output, torch.Tensor) else output.data, *state]


def compare(ours: torch.nn.Module, theirs: torch.nn.Module, x: Any, hx: Any, rtol: float = 1e-10) -> None:
    found, wanted = tensors(ours(x, hx)), tensors(theirs(x, hx))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol)
    weights = [torch.randn_like(part) for part in wanted]
    leaves = [x if isinstance(x, torch.Tensor) else x.data, *(hx if isinstance(hx, tuple) else [hx])]
    gradients = []
    for module, parts in ((ours, found), (theirs, wanted)):
        loss = sum((part * weight).sum() for part, weight in zip(parts, weights, strict=True))
        gradients.append(torch.autograd.grad(loss, [*module.parameters(), *leaves]))
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b, rtol=rtol, atol=rtol * 10)


def start(pair: tuple[type, type], layout: dict[str, Any], dtype: torch.dtype = torch.float64, batch: int = 4) -> Any:
    count = layout.get("num_layers", 1) * (2 if layout.get("bidirectional") else 1)
    parts = tuple(torch.randn(count, batch, 5, dtype=dtype, requires_grad=True) for _ in range(2))
    return parts if pair[0] is LSTM else parts[0]


@pytest.mark.sampled(7)
def test_padded_sequences(pair: Any, layout: dict[str, Any], backend: str) -> None:
    ours, theirs = both(pair, layout, backend)
    x = torch.randn((4, 7, 3) if layout.get("batch_first") else (7, 4, 3), dtype=torch.float64, requires_grad=True)
    compare(ours, theirs, x, start(pair, layout))


@pytest.mark.sampled(7)
def test_packed_sequences_in_any_order(pair: Any, layout: dict[str, Any], backend: str) -> None:
    ours, theirs = both(pair, layout, backend)
    x = torch.randn(4, 7, 3, dtype=torch.float64, requires_grad=True)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    compare(ours, theirs, packed, start(pair, layout))


def test_a_sequence_without_a_batch(pair: Any, backend: str) -> None:
    ours, theirs = both(pair, {"num_layers": 2, "bidirectional": True}, backend)
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    hx = start(pair, {"num_layers": 2, "bidirectional": True}, batch=1)
    hx = tuple(part.detach()[:, 0].requires_grad_() for part in hx) if isinstance(hx, tuple) else hx.detach()[:, 0]
    compare(ours, theirs, x, hx if isinstance(hx, tuple) else hx.requires_grad_())


def test_float32(pair: Any, backend: str) -> None:
    ours, theirs = both(pair, {"num_layers": 2}, backend, torch.float32)
    x = torch.randn(7, 4, 3, requires_grad=True)
    compare(ours, theirs, x, start(pair, {"num_layers": 2}, torch.float32), rtol=2e-6)


def test_the_same_seed_gives_the_same_weights(pair: Any, layout: dict[str, Any]) -> None:
    torch.manual_seed(7)
    ours = pair[0](3, 5, **layout)
    torch.manual_seed(7)
    theirs = pair[1](3, 5, **layout)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    assert all(a.equal(b) for a, b in zip(ours.parameters(), theirs.parameters(), strict=True))
    ours.load_state_dict(theirs.state_dict())


def test_dropout_between_layers_is_for_training_only(pair: Any) -> None:
    ours, theirs = both(pair, {"num_layers": 3, "dropout": 0.5}, "reference")
    x = torch.randn(7, 4, 3, dtype=torch.float64, requires_grad=True)
    hx = start(pair, {"num_layers": 3})
    compare(ours.eval(), theirs.eval(), x, hx)
    first, second = (ours.train()(x)[0] for _ in range(2))
    assert not first.equal(second)
    torch.manual_seed(1)
    found = ours(x)[0]
    torch.manual_seed(1)
    torch.testing.assert_close(found, theirs.train()(x)[0])


def test_padding_does_not_touch_packed_outputs(pair: Any) -> None:
    ours = pair[0](3, 5, bidirectional=True, backend="reference")
    x = torch.randn(4, 7, 3)
    packed = pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False)
    padded, _ = pad_packed_sequence(ours(packed)[0], batch_first=True)
    for row, length in enumerate(LENGTHS):
        alone, _ = ours(x[row, :length])
        torch.testing.assert_close(padded[row, :length], alone)
        assert (padded[row, length:] == 0).all()
