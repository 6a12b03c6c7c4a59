"""Layers and cells inside models that ``torch.jit.script`` compiles are the layers and cells themselves."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch
import torch.nn.utils.prune

from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidArgument
from gateflow.nn import CELLS, LSTM, GRUCell, LSTMCell, NoisyLSTM
from gateflow.nn.kernels import native

pytestmark = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


class Twice(torch.nn.Module):
    """A layer, called with a state and without."""

    def __init__(self, layer: torch.nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        output, state = self.layer(x)
        again, state = self.layer(x.flip(0), state)
        return output.sin().sum() + again.cos().sum()


def scripted(model: torch.nn.Module) -> Any:
    """The model after it was compiled, saved and loaded."""
    file = io.BytesIO()
    torch.jit.save(torch.jit.script(model), file)
    file.seek(0)
    return torch.jit.load(file)


@pytest.mark.parametrize("name", [name for name in CELLS if not CELLS[name].random])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.sampled(7)
def test_a_scripted_layer_is_the_layer(name: str, batched: bool) -> None:
    options = {"num_layers": 2, "bidirectional": True, "batch_first": True, "dropout": 0.5, "dtype": torch.float64}
    model = Twice(CELLS[name](3, 4, **options, backend="reference")).eval()
    x = torch.linspace(-2, 2, 30, dtype=torch.float64).view((2, 5, 3) if batched else (10, 3))
    wanted, weights = model(x), list(model.parameters())  # before PyTorch puts what it compiles into the model itself
    made = scripted(model)
    torch.testing.assert_close(made(x), wanted)
    found = torch.autograd.grad(made(x), list(made.parameters()))
    torch.testing.assert_close(found, torch.autograd.grad(wanted, weights))


@pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler")
def test_a_script_keeps_what_a_gradient_needs_where_there_will_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    made, run, kept = torch.jit.script(LSTM(3, 4, backend="native")), native.forward, []
    monkeypatch.setattr(native, "forward", lambda *given: (kept.append(given[-1]), run(*given))[1])
    x, state = torch.randn(5, 2, 3), torch.zeros(1, 2, 4)
    made(x)
    with torch.no_grad():
        made(x)
    for parameter in made.parameters():
        parameter.requires_grad_(False)
    made(x)
    made(x, (state, state.clone().requires_grad_()))
    made(x.requires_grad_())
    assert kept == [True, False, False, True, True]


def test_dropout_is_between_layers_and_in_training_only() -> None:
    layer = LSTM(3, 64, num_layers=2, dropout=0.5)
    made, x = torch.jit.script(torch.nn.Sequential(layer)), torch.randn(5, 2, 3)
    assert not torch.equal(made(x)[0], made(x)[0])
    assert bool(made(x)[0].all())
    made.eval()
    torch.testing.assert_close(made(x), layer.eval()(x))


@pytest.mark.parametrize(("kind", "theirs"), [(LSTMCell, torch.nn.LSTMCell), (GRUCell, torch.nn.GRUCell)])
@pytest.mark.parametrize("bias", [True, False])
def test_a_scripted_cell_is_pytorchs(kind: Any, theirs: Any, bias: bool) -> None:
    class Steps(torch.nn.Module):
        def __init__(self, cell: torch.nn.Module) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            state = self.cell(x)
            state = self.cell(x, state)
            return state[0]

    cell, own = kind(3, 4, bias=bias), theirs(3, 4, bias=bias)
    own.load_state_dict(cell.state_dict())
    made = scripted(Steps(cell))
    for x in (torch.randn(2, 3), torch.randn(3)):
        torch.testing.assert_close(made(x), Steps(own)(x))


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(
    ("kind", "theirs", "options"),
    [
        (LSTM, torch.nn.LSTM, {"num_layers": 2, "bidirectional": True}),
        (CELLS["gru"], torch.nn.GRU, {"bias": False}),
        (LSTMCell, torch.nn.LSTMCell, {}),
        (GRUCell, torch.nn.GRUCell, {"bias": False}),
    ],
)
def test_state_dicts_go_both_ways_between_a_script_and_pytorchs_layer(
    kind: Any, theirs: Any, options: dict[str, Any], saved: bool
) -> None:
    """What is loaded, converted or learned is what the script computes with."""
    layer, own, x = kind(3, 5, **options), theirs(3, 5, **options), torch.randn(2, 3)
    made = scripted(layer) if saved else torch.jit.script(layer)
    assert list(made.state_dict()) == list(own.state_dict())
    made.load_state_dict(own.state_dict())
    torch.testing.assert_close(made(x), own(x))
    for one, other in zip(made.parameters(), own.parameters(), strict=True):
        with torch.no_grad():
            one.mul_(-0.5)
            other.mul_(-0.5)
    torch.testing.assert_close(made(x), own(x))
    made, own = made.double(), own.double()
    torch.testing.assert_close(made(x.double()), own(x.double()))
    made(x.double())[0].sum().backward()
    own(x.double())[0].sum().backward()
    for one, other in zip(made.parameters(), own.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)
    own.load_state_dict(made.state_dict())


def test_what_cannot_be_scripted_says_so() -> None:
    with pytest.raises(InvalidArgument, match="NoisyLSTM with these options is not scripted"):
        torch.jit.script(torch.nn.Sequential(NoisyLSTM(3, 4)))
    with pytest.raises(InvalidArgument, match="LSTM with these options is not scripted"):
        torch.jit.script(LSTM(3, 4, proj_size=2))
    for module, name in ((LSTM(3, 4), "weight_hh_l0"), (LSTMCell(3, 4), "weight_hh")):
        with pytest.raises(InvalidArgument, match="parametrised"):
            torch.jit.script(torch.nn.utils.parametrizations.weight_norm(copy.deepcopy(module), name))
        with pytest.raises(InvalidArgument, match="has hooks, as for pruned weights"):
            torch.jit.script(torch.nn.utils.prune.l1_unstructured(copy.deepcopy(module), name, amount=0.5))
        module.register_forward_hook(lambda *_: None)
        with pytest.raises(InvalidArgument, match="has hooks"):
            torch.jit.script(torch.nn.Sequential(module))


def test_wrong_shapes_are_refused_in_a_script_too() -> None:
    made = torch.jit.script(LSTM(3, 4))
    state = torch.zeros(1, 2, 4)
    for x, hx in (
        (torch.zeros(5, 2, 7), None),
        (torch.zeros(5, 2, 3).double(), None),
        (torch.zeros(5, 3, 3), (state, state)),
        (torch.zeros(5, 2, 3), (state[..., :3], state)),
        (torch.zeros(5, 2, 3), (torch.cat([state, state]), state)),
    ):
        with pytest.raises((RuntimeError, ValueError, torch.jit.Error)):
            made(x, hx)
