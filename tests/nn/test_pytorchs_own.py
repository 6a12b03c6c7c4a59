"""What PyTorch's own tests of recurrent layers hold, one property each, in our words; with sigmoid gates and others.

Left out: what is of ``nn.RNN`` alone (its ``nonlinearity``), and of cuDNN (its formats of weights, its dropout state).
"""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, pad_packed_sequence

from gateflow.nn import GRU, LSTM, GRUCell, LSTMCell

Maker = Callable[..., Any]
GATES: dict[str, dict[str, Any]] = {
    "LSTM": {"forget_gate": "fast", "output_gate": "softsign"},
    "GRU": {"update_gate": "fast"},
}
REFUSED = (RuntimeError, ValueError)
"""What PyTorch raises for operands that do not fit; ours are both."""

PROPERTIES: dict[str, Callable[[Maker], None]] = {}


def holds(check: Callable[[Maker], None]) -> Callable[[Maker], None]:
    PROPERTIES[check.__name__] = check
    return check


@pytest.fixture(params=["LSTM, sigmoid", "LSTM, other gates", "GRU, sigmoid", "GRU, other gates", "torch.nn.LSTM"])
def make(request: pytest.FixtureRequest) -> Maker:
    """A kind of layer, float64; PyTorch's own beside ours, so that each property is seen to be one of it."""
    kind, _, gates = request.param.partition(", ")
    cls = {"LSTM": LSTM, "GRU": GRU, "torch.nn.LSTM": nn.LSTM}[kind]
    chosen = GATES[kind] if gates == "other gates" else {}
    torch.manual_seed(0)
    return lambda *sizes, **options: cls(*sizes, **{"dtype": torch.float64, **chosen, **options})


def x_of(time: int = 5, batch: int = 3, features: int = 4) -> Tensor:
    return torch.randn(time, batch, features, dtype=torch.float64)


def state_of(layer: Any, batch: int = 3, **more: Any) -> Any:
    """A random state for this layer."""
    count = layer.num_layers * (1 + layer.bidirectional)
    sizes = [layer.proj_size or layer.hidden_size, *([layer.hidden_size] if layer.mode == "LSTM" else [])]
    parts = tuple(torch.randn(count, batch, size, dtype=torch.float64, **more) for size in sizes)
    return parts if len(parts) > 1 else parts[0]


def parts_of(state: Any) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


def same(one: Any, other: Any) -> None:
    (output, state), (output_2, state_2) = one, other
    torch.testing.assert_close(output, output_2)
    torch.testing.assert_close(parts_of(state), parts_of(state_2))


@holds
def operands_that_do_not_fit_are_refused(make: Maker) -> None:
    layer = make(4, 6, 2)
    state = parts_of(state_of(layer))
    layer(x_of(), state if len(state) > 1 else state[0])
    for wrong in (x_of(features=5), x_of()[None]):
        with pytest.raises(REFUSED):
            layer(wrong)
    for bad in (lambda s: s[:1], lambda s: s[:, :2], lambda s: s[..., :3]):
        broken = tuple(map(bad, state))
        with pytest.raises(REFUSED):
            layer(x_of(), broken if len(state) > 1 else broken[0])


@holds
def operands_on_other_devices_are_refused(make: Maker) -> None:
    layer = make(4, 6)
    with pytest.raises((RuntimeError, NotImplementedError)):
        layer(x_of().to("meta"))
    state = tuple(part.to("meta") for part in parts_of(state_of(layer)))
    with pytest.raises((RuntimeError, NotImplementedError)):
        layer(x_of(), state if len(state) > 1 else state[0])


@holds
def operands_of_other_types_are_refused(make: Maker) -> None:
    layer = make(4, 6)
    with pytest.raises(REFUSED):
        layer(x_of().float())


@holds
def sizes_below_one_are_refused(make: Maker) -> None:
    for sizes in ((4, 0), (4, 6, 0)):
        with pytest.raises(ValueError, match=r"."):
            make(*sizes)


@holds
def the_state_is_zero_by_default(make: Maker) -> None:
    layer, x = make(4, 6, 2, bidirectional=True), x_of()
    state = parts_of(state_of(layer))
    zeros = tuple(torch.zeros_like(part) for part in state)
    same(layer(x), layer(x, zeros if len(zeros) > 1 else zeros[0]))


@holds
def a_sequence_goes_on_from_its_state(make: Maker) -> None:
    layer, x = make(4, 6, 2), x_of()
    first, state = layer(x[:2])
    rest, final = layer(x[2:], state)
    same(layer(x), (torch.cat([first, rest]), final))


@holds
def gradients_are_those_of_differences(make: Maker) -> None:
    layer, x = make(2, 2), x_of(3, 2, 2).requires_grad_()
    state = parts_of(state_of(layer, 2, requires_grad=True))
    call = lambda x, *state: layer(x, state if len(state) > 1 else state[0])[0]  # noqa: E731
    assert torch.autograd.gradcheck(call, (x, *state))


@holds
def second_gradients_are_those_of_differences(make: Maker) -> None:
    layer, x = make(1, 2), x_of(2, 1, 1).requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x)[0], (x,))


@holds
def a_graph_that_is_retained_gives_the_same_gradients_again(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    loss = layer(x)[0].sum()
    found = []
    for _ in range(2):
        layer.zero_grad()
        loss.backward(retain_graph=True)
        found.append([parameter.grad.clone() for parameter in layer.parameters()])
    torch.testing.assert_close(*found)


@holds
def inputs_in_any_order_of_memory_are_the_same(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    strided = x.transpose(0, 2).contiguous().transpose(0, 2)
    assert not strided.is_contiguous()
    same(layer(x), layer(strided))
    same(layer(x[:, :1]), layer(x[:, :1].clone()))


@holds
def a_sequence_alone_is_a_batch_of_one(make: Maker) -> None:
    layer, x = make(4, 6, 2, bidirectional=True), x_of(batch=1)
    output, state = layer(x)
    same(layer(x[:, 0]), (output[:, 0], tuple(part[:, 0] for part in parts_of(state))))


@holds
def batch_first_turns_input_and_output_only(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    turned = make(4, 6, batch_first=True)
    turned.load_state_dict(layer.state_dict())
    output, state = turned(x.transpose(0, 1))
    same(layer(x), (output.transpose(0, 1), state))


@holds
def sequences_of_unequal_lengths_are_each_as_alone(make: Maker) -> None:
    layer = make(4, 6, 2, bidirectional=True)
    whole = [x_of(length, 1).requires_grad_() for length in (2, 5, 1, 3)]
    packed, state = layer(pack_sequence([one[:, 0] for one in whole], enforce_sorted=False))
    padded, lengths = pad_packed_sequence(packed)
    assert lengths.tolist() == [2, 5, 1, 3]
    for row, one in enumerate(whole):
        output, final = layer(one)
        torch.testing.assert_close(padded[: len(one), row], output[:, 0])
        for part, alone in zip(parts_of(state), parts_of(final), strict=True):
            torch.testing.assert_close(part[:, row], alone[:, 0])
    padded.square().sum().backward()
    found = [one.grad.clone() for one in whole if one.grad is not None]
    for one in whole:
        one.grad = None
        layer(one)[0].square().sum().backward()
    torch.testing.assert_close(found, [one.grad for one in whole])


@holds
def a_state_follows_its_sequence_when_they_are_sorted(make: Maker) -> None:
    layer, x, order = make(4, 6), x_of(), [2, 0, 1]
    state = parts_of(state_of(layer))
    turned = tuple(part[:, order] for part in state)
    lengths = torch.tensor([5, 4, 2])
    output, final = layer(pack_padded_sequence(x, lengths), state if len(state) > 1 else state[0])
    other, last = layer(
        pack_padded_sequence(x[:, order], lengths[order], enforce_sorted=False),
        turned if len(turned) > 1 else turned[0],
    )
    torch.testing.assert_close(pad_packed_sequence(other)[0], pad_packed_sequence(output)[0][:, order])
    torch.testing.assert_close(parts_of(last), tuple(part[:, order] for part in parts_of(final)))
    assert isinstance(other, PackedSequence)


@holds
def no_sequences_are_an_empty_batch_and_no_steps_are_refused(make: Maker) -> None:
    layer = make(4, 6)
    assert layer(x_of(batch=0))[0].shape == (5, 0, 6)
    with pytest.raises(REFUSED):
        layer(x_of(time=0))


@holds
def dropout_of_all_leaves_the_second_layer_nothing(make: Maker) -> None:
    layer, x = make(4, 6, 2, dropout=1.0), x_of()
    torch.testing.assert_close(layer(x)[0], layer(2 * x)[0])
    assert not torch.equal(layer.eval()(x)[0], layer(2 * x)[0])


@holds
def dropout_is_drawn_from_the_seed_and_off_in_eval(make: Maker) -> None:
    layer, x = make(4, 6, 2, dropout=0.5), x_of()
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(layer(x)[0])
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], found[2])
    layer.eval()
    same(layer(x), layer(x))


@holds
def dropout_may_be_changed_later(make: Maker) -> None:
    layer, x = make(4, 6, 2, dropout=0.0), x_of()
    before = layer(x)[0]
    layer.dropout = 0.5
    assert not torch.equal(layer(x)[0], before)
    layer.dropout = 0.0
    assert torch.equal(layer(x)[0], before)


@holds
def copies_and_pickles_compute_the_same(make: Maker) -> None:
    layer, x = make(4, 6, 2, bidirectional=True), x_of()
    stream = io.BytesIO()
    torch.save(layer, stream)
    stream.seek(0)
    for other in (copy.deepcopy(layer), torch.load(stream, weights_only=False)):
        same(layer(x), other(x))


@holds
def types_and_devices_are_chosen_at_the_start(make: Maker) -> None:
    for dtype in (torch.float32, torch.float64):
        assert {parameter.dtype for parameter in make(4, 6, dtype=dtype).parameters()} == {dtype}
    assert {parameter.device.type for parameter in make(4, 6, device="meta").parameters()} == {"meta"}


@holds
def weights_come_to_a_layer_that_was_made_without_any(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    empty = make(4, 6, device="meta").to_empty(device="cpu")
    empty.load_state_dict(layer.state_dict())
    same(layer(x), empty(x))
    assigned = make(4, 6, device="meta")
    assigned.load_state_dict(layer.state_dict(), assign=True)
    same(layer(x), assigned(x))


@holds
def a_layer_moves_between_types(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    before = layer(x)[0]
    assert layer.float()(x.float())[0].dtype == torch.float32
    torch.testing.assert_close(layer.double()(x)[0], before, atol=1e-5, rtol=1e-5)


@holds
def a_normalised_weight_is_the_one_that_counts(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    before = layer(x)
    parametrizations.weight_norm(layer, "weight_hh_l0")
    same(layer(x), before)
    with torch.no_grad():
        layer.parametrizations.weight_hh_l0.original0.mul_(2)
    assert not torch.allclose(layer(x)[0], before[0])
    layer(x)[0].sum().backward()
    assert float(layer.parametrizations.weight_hh_l0.original1.grad.abs().sum()) > 0


@holds
def a_pruned_weight_is_pruned(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    expected = copy.deepcopy(layer)
    with torch.no_grad():
        expected.weight_ih_l0.zero_()
    prune.l1_unstructured(layer, "weight_ih_l0", amount=1.0)
    same(layer(x), expected(x))


@holds
def tied_weights_learn_together(make: Maker) -> None:
    layer = make(6, 6)
    layer.weight_hh_l0 = layer.weight_ih_l0
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    layer(x_of(features=6))[0].sum().backward()
    before = layer.weight_ih_l0.detach().clone()
    optimizer.step()
    assert layer.weight_hh_l0 is layer.weight_ih_l0
    assert not torch.equal(layer.weight_hh_l0, before)


@holds
def without_gradients_nothing_is_kept(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    with torch.no_grad():
        output, state = layer(x)
    assert not output.requires_grad
    assert not any(part.requires_grad for part in parts_of(state))
    for parameter in layer.parameters():
        parameter.requires_grad_(False)
    assert not layer(x)[0].requires_grad


@holds
def a_weight_that_was_changed_in_between_is_noticed(make: Maker) -> None:
    layer, x = make(4, 6), x_of()
    output = layer(x)[0]
    with torch.no_grad():
        layer.weight_hh_l0.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.sum().backward()


@holds
def its_words_say_what_it_is(make: Maker) -> None:
    words = repr(make(4, 6, 2, batch_first=True, bidirectional=True)).partition(")")[0].partition("\n")[0]
    for word in ("4, 6", "num_layers=2", "batch_first=True", "bidirectional=True"):
        assert word in repr(make(4, 6, 2, batch_first=True, bidirectional=True)), words


@pytest.mark.parametrize("name", PROPERTIES)
@pytest.mark.sampled(5)
def test_a_layer_holds(name: str, make: Maker) -> None:
    PROPERTIES[name](make)


# --- projections ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False, "batch_first": True}])
def test_a_projected_layer_is_pytorchs(layout: dict[str, Any]) -> None:
    theirs = nn.LSTM(4, 6, proj_size=3, dtype=torch.float64, **layout)
    ours = LSTM(4, 6, proj_size=3, dtype=torch.float64, backend="reference", **layout)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x, packed = x_of(5, 3), pack_sequence([torch.randn(n, 4, dtype=torch.float64) for n in (2, 5, 3)], False)
    state = state_of(theirs, 5 if "batch_first" in layout else 3)
    same(ours(x, state), theirs(x, state))
    same(ours(packed), theirs(packed))
    found = []
    for layer in (ours, theirs):
        layer(x, state)[0].square().sum().backward()
        found.append([parameter.grad for parameter in layer.parameters()])
    torch.testing.assert_close(*found)
    framework = LSTM(4, 6, proj_size=3, dtype=torch.float64, **layout)
    framework.load_state_dict(theirs.state_dict())
    assert framework.backend_for(x) == "framework"
    same(framework(x, state), theirs(x, state))


@pytest.mark.parametrize("gate", ["sigmoid", "fast"])
def test_a_projected_layer_refuses_what_does_not_fit(gate: str) -> None:
    layer = LSTM(4, 6, proj_size=3, forget_gate=gate, dtype=torch.float64)
    h, c = state_of(layer)
    for state in ((c, c), (h, h), (h[:, :2], c)):
        with pytest.raises(REFUSED):
            layer(x_of(), state)
    for size in (6, -1, 2.5):
        with pytest.raises(ValueError, match="proj_size must be"):
            LSTM(4, 6, proj_size=size)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="proj_size must be 0"):
        GRU(4, 6, proj_size=3)


# --- cells ------------------------------------------------------------------------------------------------------------

CELLS = [(LSTMCell, {}), (LSTMCell, {"forget_gate": "fast"}), (GRUCell, {}), (GRUCell, {"update_gate": "fast"})]


@pytest.mark.parametrize(("cell", "gates"), CELLS)
def test_a_cell_refuses_sizes_that_do_not_fit_and_does_not_broadcast(cell: Any, gates: dict[str, Any]) -> None:
    one, pair = cell(4, 6, **gates), cell is LSTMCell
    as_state = lambda h: (h, h) if pair else h  # noqa: E731
    for x, h in (
        (torch.randn(3, 5), torch.randn(3, 6)),
        (torch.randn(3, 4), torch.randn(3, 5)),
        (torch.randn(3, 4), torch.randn(3, 0)),
        (torch.randn(3, 4), torch.randn(1, 6)),
        (torch.randn(3, 4), torch.randn(2, 6)),
    ):
        with pytest.raises(REFUSED):
            one(x, as_state(h))
    if pair:
        with pytest.raises(REFUSED):
            one(torch.randn(3, 4), (torch.randn(3, 6), torch.randn(3, 5)))


@pytest.mark.parametrize("gate", ["sigmoid", "fast"])
@pytest.mark.parametrize("part", [0, 1])
def test_a_cell_has_gradients_of_one_of_its_outputs_alone(gate: str, part: int) -> None:
    cell, x = LSTMCell(2, 3, forget_gate=gate, dtype=torch.float64), torch.randn(2, 2, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: cell(x)[part], (x.requires_grad_(),))
