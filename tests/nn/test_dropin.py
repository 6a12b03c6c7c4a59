"""Where PyTorch's layers are expected: cells of one step, initialisers, pickles of models, layers changed in place."""

from __future__ import annotations

import copy
import io
from typing import Any

import pytest
import torch

from gateflow.errors import InvalidArgument, InvalidTensor
from gateflow.nn import CELLS, GRU, LSTM, NRU, GRUCell, LSTMCell, TorchGRU, TorchLSTM, replace

PAIRS = [(LSTMCell, torch.nn.LSTMCell), (GRUCell, torch.nn.GRUCell)]


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("batched", [True, False])
def test_a_cell_with_sigmoid_gates_is_pytorchs(ours: Any, theirs: Any, bias: bool, batched: bool) -> None:
    found, wanted = ours(3, 4, bias=bias, dtype=torch.float64), theirs(3, 4, bias=bias, dtype=torch.float64)
    found.load_state_dict(wanted.state_dict())
    assert isinstance(found, theirs)
    results = []
    for cell in (found, wanted):
        state = [torch.linspace(-1, 1, 8, dtype=torch.float64).view(2, 4) for _ in range(2)]
        x = torch.linspace(-2, 1, 6, dtype=torch.float64).view(2, 3).requires_grad_()
        inputs, parts = (x, state) if batched else (x[0], [part[0] for part in state])
        after = cell(inputs, tuple(parts) if theirs is torch.nn.LSTMCell else parts[0])
        first = cell(inputs)
        every = [*(after if isinstance(after, tuple) else (after,)), *(first if isinstance(first, tuple) else (first,))]
        total = sum(part.sin().sum() for part in every)
        results.append([*every, *torch.autograd.grad(total, [x, *cell.parameters()])])
    torch.testing.assert_close(*results)


@pytest.mark.parametrize("gate", ["fast", "softsign"])
@pytest.mark.xdist_group("compiler")
def test_steps_of_a_cell_are_the_layer(gate: str) -> None:
    layer, cell = LSTM(3, 4, forget_gate=gate), LSTMCell(3, 4, forget_gate=gate)
    cell.load_state_dict({name.removesuffix("_l0"): value for name, value in layer.state_dict().items()})
    x, state = torch.randn(5, 2, 3), None
    for part in x:
        state = cell(part, state)
    _, (h, c) = layer(x)
    torch.testing.assert_close(state, (h[0], c[0]))
    compiled = torch.compile(cell, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(x[0]), cell(x[0]))


@pytest.mark.parametrize(("ours", "theirs"), PAIRS)
def test_what_a_cell_refuses_pytorchs_refuses_with_the_same_kind_of_error(ours: Any, theirs: Any) -> None:
    lstm = theirs is torch.nn.LSTMCell
    states = [torch.zeros(2, 4), torch.zeros(4), torch.zeros(3, 4), torch.zeros(2, 5), torch.zeros(2, 4).double()]
    cases: list[tuple[Any, ...]] = [(torch.zeros(1, 2, 3),), (torch.zeros(2, 5),), (torch.zeros(2, 3).double(),)]
    cases += [(torch.zeros(2, 3), (state, state) if lstm else state) for state in states[1:]]
    for case in cases:
        raised = []
        for cell in (theirs(3, 4), ours(3, 4)):
            with pytest.raises((RuntimeError, ValueError)) as caught:
                cell(*case)
            raised.append(caught.type)
        assert issubclass(raised[1], raised[0]), case


@pytest.mark.parametrize("cell", [LSTMCell(3, 4), GRUCell(3, 4, update_gate="fast", dtype=torch.float64)])
@pytest.mark.parametrize("kind", ["int64", "bool", "complex64", "float16", "bfloat16", "other float", "meta"])
def test_a_cell_tells_in_a_line_what_type_or_device_it_was_given(cell: torch.nn.Module, kind: str) -> None:
    own = cell.weight_ih.dtype
    other = torch.float32 if own == torch.float64 else torch.float64

    def wrong(*size: int) -> torch.Tensor:
        x = torch.zeros(*size, dtype=own)
        return x.to("meta") if kind == "meta" else x.to(other if kind == "other float" else getattr(torch, kind))

    with pytest.raises(InvalidTensor, match=f"{type(cell).__name__}: the input (is|must hold)"):
        cell(wrong(2, 3))
    h = wrong(2, 4)
    with pytest.raises(InvalidTensor, match=f"{type(cell).__name__}: the initial hidden (is|must hold)"):
        cell(torch.zeros(2, 3, dtype=own), (h, h) if isinstance(cell, LSTMCell) else h)


@pytest.mark.parametrize("cell", [LSTMCell(3, 4), GRUCell(3, 4)])
def test_what_a_cell_is_given_is_named_in_one_line(cell: Any) -> None:
    state = torch.zeros(2, 4)
    x, both = torch.zeros(2, 3), (lambda h: (h, h) if isinstance(cell, LSTMCell) else h)
    wrong: list[tuple[tuple[Any, ...], str]] = [
        ((torch.zeros(2, 5),), "the input has 5 features; the cell takes 3"),
        ((None,), "must be a tensor; got NoneType"),
        ((x, both(torch.zeros(2, 5))), r"must have the shape \(2, 4\); it has \(2, 5\)"),
        ((x, both(torch.zeros(3, 4))), r"must have the shape \(2, 4\); it has \(3, 4\)"),
        ((x, both(torch.zeros(4))), "must have 2 dimensions; it has 1"),
        ((x, [state] if isinstance(cell, LSTMCell) else (state,)), "the state of"),
        ((x, both(3.0)), "must be a tensor; got float"),
    ]
    for arguments, message in wrong:
        with pytest.raises(InvalidTensor, match=message) as caught:
            cell(*arguments)
        assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("model", [None, 3, [torch.nn.LSTM(2, 3)], torch.nn.LSTM])
def test_what_is_no_model_is_not_replaced(model: Any) -> None:
    with pytest.raises(InvalidArgument, match=r"a model is a torch\.nn\.Module"):
        replace(model, forget_gate="fast")


def test_pytorchs_names_of_the_weights() -> None:
    options: dict[str, Any] = {"num_layers": 2, "bidirectional": True}
    for ours, theirs in ((LSTM, torch.nn.LSTM), (GRU, torch.nn.GRU)):
        for bias in (True, False):
            found, wanted = ours(3, 4, bias=bias, **options), theirs(3, 4, bias=bias, **options)
            found.load_state_dict(wanted.state_dict())
            for name in ("mode", "proj_size", "_all_weights", "_flat_weights_names", "num_layers", "bidirectional"):
                assert getattr(found, name) == getattr(wanted, name), name
            torch.testing.assert_close(found.all_weights, wanted.all_weights)
            torch.testing.assert_close(found._flat_weights, wanted._flat_weights)
            found.flatten_parameters()


def test_initialisers_that_go_over_layers_reach_every_cell() -> None:
    for name, cell in CELLS.items():
        layer = cell(3, 4)
        assert isinstance(layer, torch.nn.RNNBase), name
        assert [id(w) for w in layer._flat_weights] == [id(p) for p in layer.parameters()], name
        for weights in layer.all_weights:
            for weight in weights:
                torch.nn.init.constant_(weight, 0.25)
        assert all((p == 0.25).all() for p in layer.parameters()), name


def test_a_weight_put_in_place_of_another_is_the_one_that_counts() -> None:
    layer = LSTM(3, 4)
    layer.weight_hh_l0 = torch.nn.Parameter(torch.zeros(16, 4))
    assert layer._flat_weights[1] is layer.weight_hh_l0
    x = torch.randn(5, 2, 3)
    assert not layer(x)[0].allclose(LSTM(3, 4)(x)[0])


@pytest.mark.xdist_group("compiler")
def test_a_subclass_of_pytorchs_lstm_could_not_be_compiled_in_one_graph() -> None:
    """Why `isinstance(layer, torch.nn.LSTM)` is false: the compiler refuses all that are."""

    class Sub(torch.nn.LSTM):
        def forward(self, input: Any) -> Any:  # type: ignore[override]
            return input + self.hidden_size

    with pytest.raises(torch._dynamo.exc.Unsupported, match="does not support RNN, GRU, or LSTM"):
        torch.compile(Sub(3, 4), fullgraph=True, backend="eager")(torch.zeros(2, 3))


@pytest.mark.parametrize("name", [name for name in CELLS if name != "noisy"])
@pytest.mark.sampled(3)
def test_whole_models_are_loaded_with_weights_only(name: str) -> None:
    gate = "update_gate" if name == "gru" else "forget_gate"
    gates = {} if name == "nru" else {gate: "sigmoid(k*z); k=1.5"}
    model, file = CELLS[name](3, 4, **gates), io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    again, x = torch.load(file, weights_only=True), torch.randn(5, 2, 3)
    torch.testing.assert_close(again(x), model(x))
    assert again.gates() == model.gates()
    other = copy.deepcopy(model)
    torch.testing.assert_close(other(x), model(x))


class Tagger(torch.nn.Module):
    """A model as people write them."""

    def __init__(self) -> None:
        super().__init__()
        self.words = torch.nn.Embedding(7, 3)
        self.rnn = torch.nn.LSTM(3, 4, num_layers=2, dropout=0.5, batch_first=True, bidirectional=True)
        self.more = torch.nn.ModuleList([torch.nn.GRU(8, 5), torch.nn.LSTMCell(5, 5)])
        self.again = self.rnn

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        states, _ = self.more[0](self.rnn(self.words(tokens))[0])
        return self.more[1](states[:, -1])[0]


def test_replacing_by_the_sigmoid_changes_nothing() -> None:
    model = Tagger().eval()
    tokens = torch.randint(7, (2, 6))
    before, parameters, keys = model(tokens), list(model.parameters()), list(model.state_dict())
    calls = []
    model.rnn.register_forward_hook(lambda *_: calls.append(1))
    assert replace(model, forget_gate="sigmoid") is model
    torch.testing.assert_close(model(tokens), before)
    assert [id(p) for p in model.parameters()] == [id(p) for p in parameters]
    assert list(model.state_dict()) == keys
    assert type(model.rnn) is LSTM
    assert model.again is model.rnn
    assert (type(model.more[0]), type(model.more[1]), model.rnn.training, calls) == (GRU, LSTMCell, False, [1])


def test_replaced_layers_have_the_gate_and_learn() -> None:
    model = Tagger()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    replace(model, forget_gate="fast")
    assert model.rnn.gates()["forget"].name == model.more[0].gates()["update"].name == "fast"
    before = model.rnn.weight_hh_l0.detach().clone()
    model(torch.randint(7, (2, 6))).sum().backward()
    optimizer.step()
    assert not model.rnn.weight_hh_l0.equal(before)
    single = replace(torch.nn.LSTM(3, 4), forget_gate="fast", output_gate="softsign")
    assert single.gates()["output"].name == "softsign"  # type: ignore[operator]


def test_a_projection_is_kept() -> None:
    theirs, x = torch.nn.LSTM(3, 4, proj_size=2).double(), torch.randn(5, 2, 3).double()
    expected = theirs(x)[0]
    ours = replace(theirs, forget_gate="sigmoid")
    assert ours.weight_hr_l0 is theirs.weight_hr_l0
    torch.testing.assert_close(ours(x)[0], expected)


def test_a_gate_is_changed_again_where_there_is_one_already() -> None:
    old = torch.nn.ModuleList([torch.nn.LSTM(3, 4, 2, bidirectional=True), torch.nn.GRU(3, 4), torch.nn.LSTMCell(3, 4)])
    once = replace(copy.deepcopy(old), forget_gate="sigmoid(z + z**3)")
    twice = replace(replace(copy.deepcopy(old), forget_gate="fast"), forget_gate="sigmoid(z + z**3)")
    x = torch.randn(5, 2, 3)
    for one, other in zip(once, twice, strict=True):
        given = x if isinstance(one, torch.nn.RNNBase) else x[0]
        torch.testing.assert_close(one(given)[0], other(given)[0])
    layer = LSTM(3, 4, forget_gate="fast", output_gate="erf")
    assert replace(layer, forget_gate="softsign") is layer
    assert {block: gate.name for block, gate in layer.gates().items()} == {
        "input": "sigmoid", "forget": "softsign", "output": "erf",
    }  # fmt: skip
    for name, value in {"reset_gate": "fast", "hidden_size": 16}.items():
        with pytest.raises(InvalidArgument, match=f"{name} of a LSTM that is there cannot be changed"):
            replace(layer, forget_gate="fast", **{name: value})
    with pytest.raises(InvalidArgument, match="unknown backend 'bogus'"):
        replace(layer, forget_gate="fast", backend="bogus")
    assert layer.gates()["forget"].name == "softsign"
    assert replace(layer, forget_gate="fast", backend="reference").backend == "reference"
    with pytest.raises(InvalidArgument, match="NRU has no forget gate to change"):
        replace(NRU(2, 4), forget_gate="fast")
    mixed = replace(torch.nn.Sequential(torch.nn.LSTM(3, 4), NRU(4, 4)), forget_gate="fast")
    assert mixed[0].gates()["forget"].name == "fast"


def test_what_cannot_be_replaced_is_said() -> None:
    with pytest.raises(InvalidArgument, match="no layer"):
        replace(torch.nn.Linear(2, 2), forget_gate="fast")
    parametrised = torch.nn.Sequential(torch.nn.utils.parametrizations.weight_norm(torch.nn.LSTM(3, 4), "weight_hh_l0"))
    with pytest.raises(InvalidArgument, match="cannot be changed"):
        replace(parametrised, forget_gate="fast")


def test_layers_that_keep_their_types_are_found_by_code_that_asks_for_pytorchs() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4), torch.nn.ModuleList([torch.nn.GRU(4, 5), torch.nn.LSTMCell(2, 2)]))
    weights = list(model.parameters())
    replace(model, forget_gate="fast", keep_types=True)
    assert [type(model[0]), type(model[1][0]), type(model[1][1])] == [TorchLSTM, TorchGRU, LSTMCell]
    assert all(new is old for new, old in zip(model.parameters(), weights, strict=True))
    for layer in model.modules():  # as initialisers of other people's models do
        if isinstance(layer, (torch.nn.LSTM, torch.nn.GRU)):
            for name, parameter in layer.named_parameters():
                if "bias" in name:
                    torch.nn.init.constant_(parameter, 0.5)
    assert all(bool((bias == 0.5).all()) for bias in (model[0].bias_ih_l0, model[1][0].bias_hh_l0))
    assert replace(model, forget_gate="softsign")[0].gates()["forget"].name == "softsign"
    assert type(replace(torch.nn.LSTM(3, 4), forget_gate="fast")) is LSTM
    with pytest.raises(InvalidArgument, match="keep_types must be True or False"):
        replace(model, forget_gate="fast", keep_types=1)  # type: ignore[arg-type]


@pytest.mark.parametrize(("kind", "plain"), [(TorchLSTM, LSTM), (TorchGRU, GRU)])
def test_a_layer_of_pytorchs_type_computes_what_the_layer_does(kind: Any, plain: Any) -> None:
    gate = {"update_gate" if plain is GRU else "forget_gate": "fast"}
    layer, same = (
        kind(3, 4, num_layers=2, bidirectional=True, **gate),
        plain(3, 4, num_layers=2, bidirectional=True, **gate),
    )
    same.load_state_dict(layer.state_dict())
    x = torch.randn(5, 2, 3)
    torch.testing.assert_close(layer(x), same(x), rtol=0, atol=0)
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    assert type(loaded) is kind
    torch.testing.assert_close(loaded(x), same(x), rtol=0, atol=0)


@pytest.mark.xdist_group("compiler")
def test_the_compiler_breaks_its_graph_at_pytorchs_type_and_goes_on() -> None:
    layer = TorchLSTM(3, 4, num_layers=2, forget_gate="sigmoid(z + z**7)")  # a cell that is not at hand
    model, x = torch.nn.Sequential(torch.nn.Linear(3, 3), layer), torch.randn(5, 2, 3)
    found = torch.compile(model, backend="eager")(x)
    weights = list(model.parameters())
    torch.testing.assert_close(found, model(x))
    torch.testing.assert_close(
        torch.autograd.grad(found[0].sin().sum(), weights), torch.autograd.grad(model(x)[0].sin().sum(), weights)
    )


def test_a_model_of_which_one_layer_cannot_be_changed_stays_as_it_was() -> None:
    class Own(torch.nn.LSTM):
        pass

    for last, options in [(Own(4, 4), {}), (torch.nn.GRU(4, 4), {"reset_gate": "fast"})]:
        first = torch.nn.LSTM(4, 4)
        own = LSTM(4, 4, forget_gate="softsign")
        model = torch.nn.ModuleList([first, own, last])
        with pytest.raises(InvalidArgument):
            replace(model, forget_gate="fast", **options)
        assert list(model) == [first, own, last]
        assert own.forget_gate.gate.name == "softsign"


def test_gates_go_to_the_layers_that_have_them() -> None:
    model = torch.nn.Sequential(torch.nn.LSTM(3, 4), torch.nn.GRU(4, 4), torch.nn.GRUCell(4, 4))
    replace(model, forget_gate="fast", output_gate="erf", reset_gate="softsign")
    lstm, gru, cell = model
    assert (lstm.forget_gate.gate.name, lstm.output_gate.gate.name) == ("fast", "erf")
    assert (gru.update_gate.gate.name, gru.reset_gate.gate.name) == ("fast", "softsign")
    assert cell.equations.reset_gate.gate.name == "softsign"


@pytest.mark.parametrize(
    ("option", "words"),
    [("reset_gate", "no layer of the model has reset_gate"), ("forgetful", "LSTM got an unexpected keyword argument")],
)
def test_an_option_that_no_layer_has_is_one_line(option: str, words: str) -> None:
    with pytest.raises(InvalidArgument, match=words):
        replace(torch.nn.Sequential(torch.nn.LSTM(3, 4)), forget_gate="fast", **{option: "fast"})
