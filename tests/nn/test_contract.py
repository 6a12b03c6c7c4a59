"""What every cell owes, tested on each that the registry finds; a new file is tested by these without being named."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gateflow.errors import InvalidArgument
from gateflow.nn import CELLS, GRU, LSTM, NRU, URLSTM, NoisyLSTM
from gateflow.nn.operators import declared
from gateflow.nn.recurrent import Recurrent

LENGTHS = [2, 5, 1]


@pytest.fixture(params=list(CELLS))
def cell(request: pytest.FixtureRequest) -> type[Recurrent]:
    return CELLS[request.param]


def parts(state: Any) -> tuple[torch.Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def test_a_sentence_with_its_source_opens_each_file() -> None:
    for name in CELLS:
        assert any(year in CELLS.summary(name) for year in map(str, range(1990, 2030))), name


def test_batch_first_packed_and_single_sequences_agree(cell: type[Recurrent]) -> None:
    layer = cell(2, 4, num_layers=2, bidirectional=True, batch_first=True).eval()
    x = torch.randn(3, 5, 2)
    output, state = layer(pack_padded_sequence(x, LENGTHS, batch_first=True, enforce_sorted=False))
    padded, _ = torch.nn.utils.rnn.pad_packed_sequence(output, batch_first=True)
    for row, length in enumerate(LENGTHS):
        alone, alone_state = layer(x[row, :length])
        batched, _ = layer(x[row : row + 1, :length])
        torch.testing.assert_close(alone, batched[0])
        torch.testing.assert_close(padded[row, :length], alone)
        for packed_part, part in zip(parts(state), parts(alone_state), strict=True):
            torch.testing.assert_close(packed_part[:, row], part)


def test_the_first_pass_of_a_process_draws_no_random_numbers(cell: type[Recurrent]) -> None:
    """Else a run is another one where a cell was in use before."""
    layer = cell(3, 4).eval()
    declared.cache_clear()
    before = torch.get_rng_state()
    layer(torch.ones(2, 1, 3))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sequence_in_two_halves_is_the_sequence(cell: type[Recurrent]) -> None:
    layer = cell(2, 4, num_layers=2).eval()
    x = torch.randn(6, 3, 2)
    whole, final = layer(x)
    first, state = layer(x[:4])
    second, last = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole)
    for a, b in zip(parts(last), parts(final), strict=True):
        torch.testing.assert_close(a, b)


def test_what_went_on_inside_is_returned_on_request(cell: type[Recurrent]) -> None:
    layer = cell(2, 4, num_layers=2, bidirectional=True, batch_first=True).eval()
    x = torch.randn(3, 5, 2)
    output, state = layer(x)
    again, _, gates = layer(x, return_gates=True)
    torch.testing.assert_close(again, output)
    assert len(gates) == 4
    for name, size in zip(layer.states, layer.state_sizes(), strict=True):
        assert gates[0][name].shape == (3, 5, size)
        torch.testing.assert_close(gates[2][name][:, -1], parts(state)[layer.states.index(name)][2])
        torch.testing.assert_close(gates[3][name][:, 0], parts(state)[layer.states.index(name)][3])
    torch.testing.assert_close(torch.cat([gates[2][layer.states[0]], gates[3][layer.states[0]]], dim=2), output)
    if layer.forget_block is not None:
        f, z = gates[0][layer.forget_block], gates[0][f"{layer.forget_block}_z"]
        torch.testing.assert_close(f[z.abs() < 2].double(), gate_values(layer, z)[z.abs() < 2])
    packed = pack_padded_sequence(x, [5, 4, 2], batch_first=True)
    *_, gates = layer(packed, return_gates=True)
    assert all(isinstance(value, PackedSequence) for value in gates[1].values())


def gate_values(layer: Recurrent, z: torch.Tensor) -> torch.Tensor:
    return torch.as_tensor(layer.gates()[str(layer.forget_block)].phi(z.detach().double().numpy()))


def test_state_dicts_copies_and_types(cell: type[Recurrent]) -> None:
    layer, other = cell(2, 4, num_layers=2).eval(), cell(2, 4, num_layers=2).eval()
    other.load_state_dict(layer.state_dict())
    x = torch.randn(5, 3, 2)
    assert other(x)[0].equal(layer(x)[0])
    assert copy.deepcopy(layer)(x)[0].equal(layer(x)[0])
    torch.testing.assert_close(layer.double()(x.double())[0].float(), other(x)[0])
    low = other.bfloat16()(x.bfloat16())[0]
    assert low.dtype == torch.bfloat16
    torch.testing.assert_close(low.double(), layer(x.double())[0], rtol=0.1, atol=0.1)


def test_wild_input_gives_no_nan(cell: type[Recurrent]) -> None:
    if cell is NRU or cell is NoisyLSTM:
        pytest.skip("linear in what comes in: neither NRU nor the noisy gate, as published, is bounded")
    layer = cell(2, 4, backend="reference")
    x = (torch.randn(6, 3, 2) * torch.logspace(-30, 30, 6)[:, None, None]).requires_grad_()
    output, _ = layer(x)
    output.sum().backward()
    assert output.isfinite().all()
    assert all(p.grad is not None and not p.grad.isnan().any() for p in (*layer.parameters(), x))


@pytest.mark.sampled(4)
@pytest.mark.parametrize("backend", ["auto", "torch"])
def test_what_saturated_gates_let_through_has_its_digits(cell: type[Recurrent], backend: str) -> None:
    """At z = 12, 1 - phi is 6e-6: in float32, taken as a difference it would be off by a hundredth."""
    layer = cell(2, 4, backend=backend).eval()
    gates = list(layer.gates())
    for signs in itertools.product((-12.0, 12.0), repeat=len(gates)):
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.zero_()
            layer.bias_ih_l0.fill_(0.5)
            for block, z in zip(gates, signs, strict=True):
                layer.bias_ih_l0[layer.rows(block)] = z
            _, single = layer(torch.zeros(1, 1, 2))
            _, double = copy.deepcopy(layer).double()(torch.zeros(1, 1, 2, dtype=torch.float64))
        for one, other in zip(parts(single), parts(double), strict=True):
            torch.testing.assert_close(one.double(), other, rtol=1e-6, atol=0)


def test_training_lowers_a_loss(cell: type[Recurrent]) -> None:
    layer = cell(1, 8, batch_first=True)
    head = torch.nn.Linear(8, 1)
    optimiser = torch.optim.Adam([*layer.parameters(), *head.parameters()], lr=0.02)
    x = torch.rand(16, 6, 1)
    wanted = x.sum(dim=1)
    losses = []
    for _ in range(40):
        loss = ((head(layer(x)[0][:, -1]) - wanted) ** 2).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_without_biases(cell: type[Recurrent]) -> None:
    layer = cell(2, 4, bias=False)
    assert not any("bias" in name for name, _ in layer.named_parameters())
    assert layer(torch.randn(5, 3, 2))[0].isfinite().all()


def test_noise_comes_from_the_generator_and_only_in_training() -> None:
    x = torch.randn(5, 3, 2) * 20
    layer = NoisyLSTM(2, 4, generator=torch.Generator().manual_seed(0))
    first, second = layer(x)[0], layer(x)[0]
    assert not first.equal(second)
    layer.generator = torch.Generator().manual_seed(0)
    assert layer(x)[0].equal(first)
    layer.eval()
    assert layer(x)[0].equal(layer(x)[0])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: GRU(2, 4, proj_size=2), "proj_size must be 0"),
        (lambda: LSTM(2, 4, proj_size=4), "proj_size must be below hidden_size, 4; got 4"),
        (lambda: LSTM(0, 4), "input_size must be a whole number"),
        (lambda: LSTM(2, 4, dropout=2), "dropout must lie in"),
        (lambda: LSTM(2, 4, backend="cuda"), "unknown backend 'cuda'"),
        (lambda: LSTM(2, 4, forget_gate="fsat"), "did you mean 'fast'"),
        (lambda: NRU(2, 4, memory_size=6, heads=4), "must be a square"),
        (lambda: NRU(2, 4, reduction="max"), "unknown reduction"),
        (lambda: NoisyLSTM(2, 4, c=-1), "must not be negative"),
        (lambda: URLSTM(2, 4, tied=False), "ties its input gate"),
        (lambda: GRU(2, 4)(torch.randn(5, 3, 7)), "input has 7 features; the layer takes 2"),
        (lambda: GRU(2, 4)(torch.randn(5)), "must have 2 dimensions"),
        (lambda: GRU(2, 4)(torch.randn(0, 3, 2)), "no time steps"),
        (lambda: GRU(2, 4)(torch.randn(5, 3, 2), torch.zeros(1, 2, 4)), r"must have the shape \(1, 3, 4\)"),
        (lambda: LSTM(2, 4)(torch.randn(5, 3, 2), torch.zeros(1, 3, 4)), "state of LSTM is hidden and cell; got 1"),
    ],
)
def test_what_is_refused(make: Any, words: str) -> None:
    with pytest.raises(Exception, match=words) as caught:
        make()
    assert getattr(caught.value, "exit_code", None) == 2
    assert isinstance(caught.value, InvalidArgument) or "fsat" in str(caught.value)
