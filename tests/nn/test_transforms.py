"""A layer in PyTorch's hands: compiled, exported, transformed, differentiated twice, checkpointed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, hessian, jacrev, jvp, vmap

from gateflow.errors import InvalidTensor
from gateflow.nn import CELLS, GRU, JANET, LSTM, NRU, RefineLSTM, operators
from gateflow.nn.kernels import native
from gateflow.nn.operators import BACKWARD, LAYER, declared
from gateflow.nn.recurrent import Recurrent

pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated:DeprecationWarning"),
    pytest.mark.xdist_group("compiler"),
]
"""PyTorch's own rules for forward-mode derivatives are so written."""

SETTINGS: list[tuple[type[Recurrent], dict[str, Any]]] = [
    (LSTM, {"forget_gate": "fast"}),
    (LSTM, {"forget_gate": "sigmoid(z + z**3)", "tied": True, "num_layers": 2, "bidirectional": True, "bias": False}),
    (GRU, {"update_gate": "fast(alpha=2)"}),
    (JANET, {"beta": 0.5}),
    (RefineLSTM, {}),
    (NRU, {"memory_size": 4, "heads": 1}),
]
BACKENDS = ("native", "torch")


def name_of(setting: tuple[type[Recurrent], dict[str, Any]]) -> str:
    return ",".join([setting[0].__name__, *(f"{k}={v}" for k, v in setting[1].items())])


@pytest.fixture(autouse=True)
def afresh() -> None:
    torch._dynamo.reset()


@pytest.fixture(params=SETTINGS[:5], ids=name_of)
def setting(request: pytest.FixtureRequest) -> tuple[type[Recurrent], dict[str, Any]]:
    return request.param


def layers(setting: tuple[type[Recurrent], dict[str, Any]], backend: str = "native") -> tuple[Recurrent, Recurrent]:
    """One with this backend, and one that is the plain loop, with the same weights."""
    cell, options = setting
    found, plain = (cell(3, 4, dtype=torch.float64, backend=b, **options) for b in (backend, "reference"))
    found.load_state_dict(plain.state_dict())
    return found, plain


def x_of(time: int = 5, batch: int = 2) -> Tensor:
    return torch.randn(time, batch, 3, dtype=torch.float64)


def loss(layer: Recurrent) -> Callable[[dict[str, Tensor], Tensor], Tensor]:
    return lambda parameters, x: functional_call(layer, parameters, (x,))[0].sin().sum()


TRANSFORMS: dict[str, Callable[[Recurrent, dict[str, Tensor], Tensor], Any]] = {
    "grad": lambda layer, p, x: grad(loss(layer))(p, x),
    "jacrev": lambda layer, _, x: jacrev(lambda x: layer(x)[0])(x),
    "vmap": lambda layer, _, x: vmap(lambda x: layer(x)[0])(torch.stack([x, -x])),
    "an ensemble": lambda layer, p, x: vmap(lambda p: functional_call(layer, p, (x,))[0])(
        {name: torch.stack([value, value.flip(0)]) for name, value in p.items()}
    ),
    "gradients of each sample": lambda layer, p, x: vmap(grad(loss(layer)), (None, 1))(p, x[:, :, None]),
    "jvp": lambda layer, _, x: jvp(lambda x: layer(x)[0], (x,), (x.cos(),)),
    "hessian": lambda layer, p, x: hessian(lambda x: loss(layer)(p, x))(x[:2]),
    "jacrev of jacrev": lambda layer, p, x: jacrev(jacrev(lambda x: loss(layer)(p, x)))(x[:2]),
}


@pytest.mark.parametrize("transform", TRANSFORMS)
@pytest.mark.sampled(11)
def test_a_transformed_layer_is_the_transformed_loop(
    setting: tuple[type[Recurrent], dict[str, Any]], transform: str
) -> None:
    x, found = x_of(), []
    for layer in layers(setting):
        parameters = {name: value.detach() for name, value in layer.named_parameters()}
        found.append(TRANSFORMS[transform](layer, parameters, x))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.sampled(5)
def test_first_and_second_derivatives_are_those_of_finite_differences(
    setting: tuple[type[Recurrent], dict[str, Any]], backend: str
) -> None:
    layer = layers((setting[0], {**setting[1], "num_layers": 1, "bidirectional": False}), backend)[0]
    names, values = zip(*layer.named_parameters(), strict=True)
    state = tuple(torch.randn(1, 2, 4, dtype=torch.float64, requires_grad=True) for _ in layer.states)

    def run(x: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        parts, parameters = tensors[: len(state)], tensors[len(state) :]
        hx = parts if len(parts) > 1 else parts[0]
        output, final = functional_call(layer, dict(zip(names, parameters, strict=True)), (x, hx))
        return output, *(final if len(parts) > 1 else (final,))

    inputs = (x_of(3).requires_grad_(), *state, *values)
    assert torch.autograd.gradcheck(run, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(run, inputs, fast_mode=True)


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
@pytest.mark.sampled(5)
def test_a_compiled_layer_is_one_graph_with_one_node_a_layer(setting: tuple[type[Recurrent], dict[str, Any]]) -> None:
    layer, plain = layers(setting, "auto")
    nodes = []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        nodes.extend(node for node in graph.graph.nodes if node.target is LAYER)
        return graph

    compiled = torch.compile(layer, fullgraph=True, dynamic=True, backend=backend)
    for time, batch in ((5, 2), (7, 3)):
        x = x_of(time, batch)
        torch.testing.assert_close(compiled(x), plain(x))
    assert len(nodes) == layer.num_layers * layer.num_directions


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
@pytest.mark.sampled(7)
def test_gradients_through_aot_autograd(setting: tuple[type[Recurrent], dict[str, Any]]) -> None:
    layer, plain = layers(setting, "auto")
    compiled, x = torch.compile(layer, fullgraph=True, backend="aot_eager"), x_of()
    found = torch.autograd.grad(compiled(x)[0].sin().sum(), list(layer.parameters()))
    torch.testing.assert_close(found, torch.autograd.grad(plain(x)[0].sin().sum(), list(plain.parameters())))


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
@pytest.mark.sampled(4)
def test_an_exported_layer_takes_any_batch_and_length(setting: tuple[type[Recurrent], dict[str, Any]]) -> None:
    layer, plain = layers(setting, "auto")
    dynamic = {"input": {0: torch.export.Dim("time", min=1), 1: torch.export.Dim("batch", min=1)}}
    program = torch.export.export(layer, (x_of(),), dynamic_shapes=dynamic)
    assert sum(node.target is LAYER for node in program.graph.nodes) == layer.num_layers * layer.num_directions
    for time, batch in ((5, 2), (9, 3), (1, 1)):
        x = x_of(time, batch)
        torch.testing.assert_close(program.module()(x), plain(x))


def test_an_exported_layer_is_complete_in_itself() -> None:
    """Saved, read and run where no such layer was ever made: its cell is in the program's text."""
    import io

    layer = LSTM(3, 4, forget_gate="sigmoid(k*z); k=1.5", dtype=torch.float64)
    x, file = x_of(), io.BytesIO()
    torch.export.save(torch.export.export(layer, (x,)), file)
    declared.cache_clear()
    file.seek(0)
    torch.testing.assert_close(torch.export.load(file).module()(x), layer(x))


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
@pytest.mark.parametrize("sizes", [None, (3, 2, 2, 1)], ids=["padded", "packed"])
@pytest.mark.parametrize("keep", [True, False])
@pytest.mark.sampled(13)
def test_the_operator_passes_pytorchs_own_check(
    setting: tuple[type[Recurrent], dict[str, Any]], sizes: tuple[int, ...] | None, keep: bool
) -> None:
    """What `torch.library.opcheck` looks at: schema, fake tensors, autograd, AOT autograd with dynamic shapes."""
    layer = setting[0](3, 4, **{**setting[1], "num_layers": 1, "bidirectional": False})
    x = torch.randn(4, 3, 3, requires_grad=True) if sizes is None else torch.randn(sum(sizes), 3, requires_grad=True)
    state = [torch.randn(3, size, requires_grad=True) for size in layer.state_sizes()]
    how = (None if sizes is None else torch.tensor(sizes), True, layer.declare(), "auto", keep)
    torch.library.opcheck(LAYER, (x, state, layer.weights("l0").values(), *how))


def test_the_operator_refuses_what_compiled_code_would_read_beyond() -> None:
    layer, x, h = LSTM(3, 4), torch.randn(4, 2, 3), torch.zeros(2, 4)
    ih, hh, *biases = layer.weights("l0").values()
    how = (None, False, layer.declare(), "native", False)
    for state, weights in (
        ([h.double(), h], [ih, hh, *biases]),
        ([h[:1], h], [ih, hh, *biases]),
        ([h, h[:, :3]], [ih, hh, *biases]),
        ([h, h], [ih[:-1], hh, *biases]),
        ([h, h], [ih, hh[:, :3], *biases]),
        ([h, h], [ih, hh, biases[0][:5], biases[1]]),
        ([h, h], [ih.double(), hh, *biases]),
    ):
        with pytest.raises(ValueError, match=r"must have|is float|are float"):
            LAYER(x, state, weights, *how)
    packed = torch.tensor([2, 3])
    with pytest.raises(ValueError, match="batch sizes"):
        LAYER(torch.randn(5, 3), [h, h], [ih, hh, *biases], packed, *how[1:])


def test_a_program_refuses_an_input_without_time_steps() -> None:
    layer = LSTM(3, 4)
    weights, h = layer.weights("l0").values(), torch.zeros(2, 4)
    with pytest.raises(InvalidTensor, match="input has no time steps"):
        LAYER(torch.zeros(0, 2, 3), [h, h], weights, None, False, layer.declare(), "auto", False)


def test_without_keeping_the_backward_pass_computes_again() -> None:
    layer, plain = layers(SETTINGS[0])
    x, h = x_of(), torch.zeros(2, 4, dtype=torch.float64)
    how = (None, False, layer.declare(), "native", False)
    weights = layer.weights("l0").values()
    output, _, kept = LAYER(x, [h, h], weights, *how)
    assert kept == []
    found = torch.autograd.grad(output.sin().sum(), weights)
    torch.testing.assert_close(found, torch.autograd.grad(plain(x)[0].sin().sum(), plain.weights("l0").values()))


def test_under_activation_checkpointing_gradients_are_the_same() -> None:
    layer, x = layers(SETTINGS[0])[0], x_of().requires_grad_()
    leaves = [x, *layer.parameters()]
    again = torch.utils.checkpoint.checkpoint(lambda x: layer(x)[0], x, use_reentrant=False)
    found, wanted = (torch.autograd.grad(out.sin().sum(), leaves) for out in (again, layer(x)[0]))
    torch.testing.assert_close(found, wanted, rtol=0.0, atol=0.0)


def test_under_autocast_a_compiled_layer_is_the_layer() -> None:
    layer, x = LSTM(3, 4, forget_gate="fast"), torch.randn(5, 2, 3)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, wanted = compiled(x)[0], layer(x)[0]
    assert found.dtype == wanted.dtype
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_backward_pass_under_autocast_is_as_exact_as_without(backend: str, dtype: torch.dtype) -> None:
    layer, x = LSTM(3, 40, forget_gate="fast", backend=backend, dtype=dtype), torch.randn(6, 4, 3, dtype=dtype)
    wanted = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    loss = layer(x)[0].sum()
    with torch.autocast("cpu", torch.bfloat16):
        found = torch.autograd.grad(loss, list(layer.parameters()))
    for one, right in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, right)


def test_every_cell_of_the_table_is_declared_or_draws_random_numbers() -> None:
    for name, cell in CELLS.items():
        layer = cell(3, 4)
        assert bool(layer.declare()) is not layer.random, name
        if not layer.random:
            made = declared(layer.declare()).cell
            assert (made.blocks, made.gates(), made.extra_shapes().keys()) == (
                layer.blocks, layer.gates(), layer.extra_shapes().keys()
            ), name  # fmt: skip


def test_a_cell_is_declared_anew_when_a_setting_changes() -> None:
    layer, x = JANET(3, 4, dtype=torch.float64), x_of()
    before = layer(x)[0]
    layer.beta = 3.0
    other = JANET(3, 4, beta=3.0, dtype=torch.float64, backend="reference")
    other.load_state_dict(layer.state_dict())
    assert not layer(x)[0].equal(before)
    torch.testing.assert_close(layer(x)[0], other(x)[0])


def test_a_subclass_with_equations_of_its_own_has_them() -> None:
    class Leaky(LSTM):
        def update(self, z: Any, state: Any) -> Any:
            (h, c), named = super().update(z, state)
            return (h, 0.5 * c), named

    layer, plain = layers((Leaky, {}), "auto")
    x = x_of()
    torch.testing.assert_close(layer(x), plain(x))
    assert not layer(x)[0].allclose(layers((LSTM, {}), "auto")[0](x)[0])
    torch.testing.assert_close(torch.compile(layer, fullgraph=True, backend="eager")(x), plain(x))


@pytest.mark.parametrize("backend", BACKENDS)
def test_many_gradients_at_once_are_one_after_the_other(
    setting: tuple[type[Recurrent], dict[str, Any]], backend: str
) -> None:
    """What ``torch.autograd`` has of itself, without ``torch.func``."""
    layer, plain = layers(setting, backend)
    x, f = x_of().requires_grad_(), torch.autograd.functional
    leaves = [x, *layer.parameters()]
    output = layer(x)[0]
    directions = torch.randn(3, *output.shape, dtype=x.dtype)
    found = torch.autograd.grad(output, leaves, directions, is_grads_batched=True)
    for row, direction in enumerate(directions):
        wanted = torch.autograd.grad(plain(x)[0], [x, *plain.parameters()], direction)
        for one, right in zip(found, wanted, strict=True):
            torch.testing.assert_close(one[row], right)
    few = x.detach()[:2, :1]
    wanted = f.jacobian(lambda x: plain(x)[0], few)
    torch.testing.assert_close(f.jacobian(lambda x: layer(x)[0], few, vectorize=True), wanted)
    nested = f.jacobian(
        lambda x: f.jacobian(lambda x: layer(x)[0][-1, 0], x, vectorize=True, create_graph=True), few, vectorize=True
    )
    torch.testing.assert_close(nested, jacrev(jacrev(lambda x: plain(x)[0][-1, 0]))(few))


def test_what_a_backward_operator_needs_is_what_the_forward_operator_gives() -> None:
    layer, x, h = LSTM(3, 4), torch.randn(6, 2, 3), torch.zeros(2, 4)
    weights, how = layer.weights("l0").values(), (None, False, layer.declare(), "native")
    output, _, kept = LAYER(x, [h, h], weights, *how, True)
    grads = [torch.ones_like(output), None, None]
    dx, (dh, dc), d_weights = BACKWARD(grads, x, [h, h], weights, output, kept, *how, True)
    assert math.isfinite(float((dx.sum() + dh.sum() + dc.sum()).detach()))
    assert len(d_weights) == 4
    empty, *_ = BACKWARD(grads, x, [h, h], weights, output, kept, *how, False)
    assert empty.numel() == 0


def test_what_nothing_looks_at_is_not_dispatched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dispatch costs a small layer as much as its products; transforms and tensors without numbers see the operator."""
    layer, x = layers(SETTINGS[0])[0], x_of()
    expected = layer(x)[0]
    monkeypatch.setattr(operators, "LAYER", None)
    monkeypatch.setattr(operators, "BACKWARD", None)
    torch.testing.assert_close(layer(x)[0], expected)
    layer(x)[0].sum().backward()
    with torch.no_grad():
        torch.testing.assert_close(layer(x)[0], expected)
    bare = layers(SETTINGS[0], "torch")[0].to("meta")
    for looks_on in (lambda: grad(lambda x: layer(x)[0].sum())(x), lambda: bare(x.to("meta"))):
        with pytest.raises(TypeError, match="NoneType"):
            looks_on()


def test_passes_of_one_shape_share_what_does_not_change() -> None:
    layer, x = layers(SETTINGS[0])[0], torch.randn(37, 2, 3, dtype=torch.float64)  # a length of no other test
    layer(x)[0].sum().backward()
    before = native._form.cache_info().misses
    layer(x)[0].sum().backward()
    assert native._form.cache_info().misses == before
    layer(x[:, :1])[0].sum().backward()
    assert native._form.cache_info().misses == before + 1


@pytest.mark.parametrize("name", list(CELLS))
@pytest.mark.parametrize("hidden", [3, 16])
def test_gradients_of_each_of_many_samples(name: str, hidden: int) -> None:
    """What a batch of passes has kept is cut up again: where each part lies, vectors must be read all the same."""
    torch.manual_seed(0)
    layer = CELLS[name](2, hidden).eval()
    x = torch.randn(5, 4, 2, 2)
    weights = {name: value.detach() for name, value in layer.named_parameters()}

    def loss(p: Any, x: Any) -> Any:
        return functional_call(layer, p, (x,))[0].square().sum()

    found = vmap(grad(loss), (None, 0))(weights, x)
    for k in range(len(x)):
        alone = grad(loss)(weights, x[k])
        for each in weights:
            torch.testing.assert_close(found[each][k], alone[each])
