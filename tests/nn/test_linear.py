"""Layers with a linear state, against the equations of their papers in a naive loop, in float64."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from gateflow.errors import InvalidArgument, InvalidTensor
from gateflow.nn import LRU, RGLRU, MinGRU, MinLSTM, SelectiveDecay
from gateflow.nn.linear._layer import LinearRecurrence

MAKERS: dict[str, Callable[..., LinearRecurrence]] = {
    "MinGRU": lambda **how: MinGRU(4, 5, **how),
    "MinGRU, positive": lambda **how: MinGRU(4, 5, positive=True, **how),
    "MinLSTM": lambda **how: MinLSTM(4, 5, **how),
    "RGLRU": lambda **how: RGLRU(4, heads=2, **how),
    "LRU": lambda **how: LRU(4, 5, r_min=0.5, r_max=0.99, **how),
    "SelectiveDecay": lambda **how: SelectiveDecay(4, states=3, rank=2, **how),
}


@pytest.fixture(params=list(MAKERS))
def make(request: pytest.FixtureRequest) -> Callable[..., LinearRecurrence]:
    return MAKERS[request.param]


def built(make: Callable[..., LinearRecurrence], **how: Any) -> LinearRecurrence:
    torch.manual_seed(3)
    return make(**how).double()


def candidate_of(layer: Any, c: Tensor) -> Tensor:
    return torch.where(c >= 0, c + 0.5, torch.sigmoid(c)) if layer.positive else c


def min_gru(layer: Any, x: Tensor) -> Tensor:
    h, out = torch.zeros(x.shape[1], 5, dtype=x.dtype), []
    for x_t in x:
        k, c = (x_t @ layer.projection.weight.T + layer.projection.bias).chunk(2, -1)
        update = torch.sigmoid(-k)
        h = (1 - update) * h + update * candidate_of(layer, c)
        out.append(h)
    return torch.stack(out)


def min_lstm(layer: Any, x: Tensor) -> Tensor:
    h, out = torch.zeros(x.shape[1], 5, dtype=x.dtype), []
    for x_t in x:
        f, i, c = (x_t @ layer.projection.weight.T + layer.projection.bias).chunk(3, -1)
        f, i = torch.sigmoid(f), torch.sigmoid(i)
        h = f / (f + i) * h + i / (f + i) * candidate_of(layer, c)
        out.append(h)
    return torch.stack(out)


def rg_lru(layer: Any, x: Tensor) -> Tensor:
    h, out = torch.zeros(x.shape[1], 4, dtype=x.dtype), []
    for t, x_t in enumerate(x):
        halves = x_t[:, :2], x_t[:, 2:]
        r, i = (
            torch.sigmoid(
                torch.cat([half @ w for half, w in zip(halves, layer.weight[k], strict=True)], -1) + layer.bias[k]
            )
            for k in (0, 1)
        )
        a = torch.exp(-8 * F.softplus(-layer.z) * r)
        h = a * h + (torch.sqrt(1 - a**2) if t else 1) * (i * x_t)
        out.append(h)
    return torch.stack(out)


def lru(layer: Any, x: Tensor) -> Tensor:
    rotation = torch.exp(torch.complex(-torch.exp(-layer.z), torch.exp(layer.theta_log)))
    b = torch.complex(*layer.b) * torch.exp(layer.gamma_log)[:, None]
    h, out = torch.zeros(x.shape[1], 5, dtype=torch.complex128), []
    for x_t in x:
        h = rotation * h + x_t.to(b.dtype) @ b.T
        out.append((h @ torch.complex(*layer.c).T).real + layer.d * x_t)
    return torch.stack(out)


def mamba(layer: Any, x: Tensor) -> Tensor:
    h, out = torch.zeros(x.shape[1], 4, 3, dtype=x.dtype), []
    for x_t in x:
        low, b, c = (x_t @ layer.projection.weight.T).split([2, 3, 3], -1)
        dt = F.softplus(-(low @ layer.to_z.weight.T + layer.to_z.bias))
        a = torch.exp(-dt[..., None] * torch.exp(layer.log_a))
        h = a * h + (dt * x_t)[..., None] * b[:, None]
        out.append((h * c[:, None]).sum(-1) + layer.d * x_t)
    return torch.stack(out)


EQUATIONS = {"MinGRU": min_gru, "MinLSTM": min_lstm, "RGLRU": rg_lru, "LRU": lru, "SelectiveDecay": mamba}


@pytest.mark.sampled(2)
def test_outputs_and_gradients_are_those_of_the_papers_equations(make):
    layer, x = built(make), torch.randn(30, 3, 4, dtype=torch.float64)
    weights = list(layer.parameters())
    found, expected = layer(x)[0], EQUATIONS[type(layer).__name__](layer, x)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    grad = torch.randn_like(found)
    ours, theirs = (torch.autograd.grad(one, weights, grad) for one in (found, expected))
    for mine, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("gate", ["fast", "hgrn(low=1/8)"])
@pytest.mark.sampled(2)
def test_step_by_step_and_in_two_halves_is_the_whole_sequence(make, gate):
    layer, x = built(make, decay_gate=gate), torch.randn(9, 3, 4, dtype=torch.float64)
    whole, final = layer(x)
    first, state = layer(x[:4])
    second, last = layer(x[4:], state)
    torch.testing.assert_close(torch.cat([first, second]), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(last, final, rtol=1e-12, atol=1e-13)
    state, outputs = None, []
    for x_t in x:
        output, state = layer.step(x_t, state)
        outputs.append(output)
    torch.testing.assert_close(torch.stack(outputs), whole, rtol=1e-12, atol=1e-13)
    torch.testing.assert_close(state, final, rtol=1e-12, atol=1e-13)
    nothing, same = layer(x[:0], final)
    assert nothing.shape[0] == 0
    assert same is final


@pytest.mark.sampled(2)
def test_batch_first_float32_and_copies(make):
    layer, x = built(make), torch.randn(9, 3, 4, dtype=torch.float64)
    output, state = layer(x)
    other = built(make, batch_first=True)
    turned, same = other(x.transpose(0, 1))
    torch.testing.assert_close(turned.transpose(0, 1), output)
    torch.testing.assert_close(same, state)
    assert copy.deepcopy(layer)(x)[0].equal(output)
    single = copy.deepcopy(layer).float()(x.float())[0]
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), output, rtol=1e-4, atol=1e-5)


def test_what_has_another_shape_is_refused(make):
    layer = built(make)
    for wrong in (torch.zeros(3, 4), torch.zeros(9, 3, 5)):
        with pytest.raises(InvalidTensor, match="input must have"):
            layer(wrong.double())
    with pytest.raises(InvalidTensor, match="must have 2 dimensions"):
        layer.step(torch.zeros(3, 5, dtype=torch.float64))


def test_types_devices_and_states_that_do_not_fit_are_refused(make):
    layer = built(make)
    x = torch.zeros(9, 3, 4, dtype=torch.float64)
    _, state = layer(x)
    for wrong in (x.float(), x.long(), x.to("meta"), x.to_sparse(), x.tolist()):
        with pytest.raises(InvalidTensor, match="the input"):
            layer(wrong)
    other = state.real.clone() if state.is_complex() else state + 0j
    short = state.to(torch.complex64 if state.is_complex() else torch.float32)
    for wrong in (state[:1], state[:2], other, short, state.to("meta"), (state,)):
        with pytest.raises(InvalidTensor, match="state"):
            layer(x, wrong)
        with pytest.raises(InvalidTensor, match="state"):
            layer.step(x[0], wrong)


@pytest.mark.parametrize("gate", ["sigmoid", "fast"])
def test_decays_start_where_they_are_published_whatever_the_gate(gate):
    torch.manual_seed(1)
    ring = RGLRU(4000, gate, heads=400)
    squares = np.sort(gate_values(ring, ring.z) ** 2)
    expected = 0.9**2 + (0.999**2 - 0.9**2) * (np.arange(4000) + 0.5) / 4000
    assert np.abs(squares - expected).max() < 0.05 * (0.999**2 - 0.9**2)
    moduli = LRU(2, 4000, gate, r_min=0.4, r_max=0.9)
    squares = np.sort(gate_values(moduli, moduli.z) ** 2)
    assert np.abs(squares - (0.16 + 0.65 * (np.arange(4000) + 0.5) / 4000)).max() < 0.05 * 0.65
    np.testing.assert_allclose(
        2 * moduli.gamma_log.exp().log().detach(), np.log1p(-(gate_values(moduli, moduli.z) ** 2)), rtol=1e-3, atol=1e-5
    )
    steps = SelectiveDecay(4000, gate, states=2)
    dt = np.sort(-np.log(gate_values(steps, steps.to_z.bias)))
    assert np.abs(np.log10(dt) - (-3 + 2 * (np.arange(4000) + 0.5) / 4000)).max() < 0.1


def gate_values(layer: LinearRecurrence, z: Tensor) -> np.ndarray:
    return layer.decay_gate.gate.phi(z.detach().double().numpy())


def test_the_slope_of_the_root_is_bounded():
    layer = RGLRU(2, "sigmoid")
    with torch.no_grad():
        layer.z.fill_(40.0)  # 1 - a is 1e-16 and less
    x = torch.ones(3, 1, 2)
    layer(x)[0].sum().backward()
    assert layer.z.grad is not None
    assert layer.z.grad.isfinite().all()


def test_a_width_that_heads_do_not_divide_is_refused():
    with pytest.raises(InvalidArgument, match="multiple of heads"):
        RGLRU(5, heads=2)


@pytest.mark.parametrize("gate", ["hard-sigmoid", "exp-square"])
def test_a_quotient_of_gates_that_are_both_zero_is_its_limit(gate):
    layer = MinLSTM(1, 1, gate, bias=False)
    with torch.no_grad():
        layer.projection.weight.copy_(torch.tensor([[-1.0], [-2.0], [0.5]]))  # f is the larger for x > 0
    x = torch.full((3, 1, 1), 50.0).requires_grad_()
    state = torch.ones(1, 1)
    states, _ = layer(x, state)
    states.sum().backward()
    assert torch.equal(states, torch.ones_like(states))  # a = 1: nothing is forgotten, nothing comes in
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_gradients_of_each_sample_are_those_of_one_after_the_other(make):
    layer, x = built(make), torch.randn(2, 4, 1, 4, dtype=torch.float64)
    names, weights = zip(*layer.named_parameters(), strict=True)

    def loss(values, x):
        return functional_call(layer, dict(zip(names, values, strict=True)), (x,))[0].sin().sum()

    found = vmap(grad(loss), (None, 0))(tuple(w.detach() for w in weights), x)
    for n, sample in enumerate(x):
        wanted = torch.autograd.grad(loss(weights, sample), weights)
        assert all(torch.allclose(f[n], w, rtol=1e-10, atol=1e-12) for f, w in zip(found, wanted, strict=True))


def test_sizes_and_types_that_are_none_are_refused():
    for wrong in (
        lambda: MinGRU(0, 3),
        lambda: MinLSTM(3, -1),
        lambda: LRU(3, 2.5),
        lambda: LRU(3, 3, dtype=torch.bfloat16),
        lambda: RGLRU(6, heads="2"),
        lambda: RGLRU(6, heads=1.5),
        lambda: SelectiveDecay(4, states=0),
        lambda: SelectiveDecay(4, rank=0),
    ):
        with pytest.raises(InvalidArgument, match=r"^[^\n]*; got "):
            wrong()


# --- compiled and exported --------------------------------------------------------------------------------------------

GATE = "1 - exp(-softplus(z)**2)"
"""A formula for which no name stands."""

ANY = {"x": {0: torch.export.Dim("time"), 1: torch.export.Dim("batch")}}


def of_a_formula(name: str) -> LinearRecurrence:
    torch.manual_seed(3)
    return MAKERS[name](decay_gate=GATE)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")  # by PyTorch itself
@pytest.mark.slow
@pytest.mark.parametrize("name", list(MAKERS))
@pytest.mark.xdist_group("compiler")
def test_a_compiled_layer_is_one_graph_of_any_length(name: str) -> None:
    layer = of_a_formula(name)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager", dynamic=True)
    weights = list(layer.parameters())
    for steps in (6, 9):
        x = torch.randn(steps, 3, 4)
        (mine, _), (theirs, _) = compiled(x), layer(x)
        torch.testing.assert_close(mine, theirs)
        pairs = (torch.autograd.grad(each.square().sum(), weights) for each in (mine, theirs))
        for one, other in zip(*pairs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.xdist_group("compiler")
def test_one_graph_serves_any_batch_and_length() -> None:
    torch._dynamo.reset()
    layer, graphs = built(MAKERS["MinGRU"]), []

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        graphs.append(graph)
        return graph

    compiled = torch.compile(layer, fullgraph=True, backend=backend, dynamic=True)
    for steps, batch in ((6, 3), (9, 2)):
        x = torch.randn(steps, batch, 4, dtype=torch.float64)
        torch.testing.assert_close(compiled(x)[0], min_gru(layer, x), rtol=1e-12, atol=1e-12)
    assert len(graphs) == 1


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.sampled(3)
@pytest.mark.xdist_group("compiler")
def test_an_exported_layer_has_any_batch_and_length(make):
    layer = make(decay_gate=GATE).eval()
    program = torch.export.export(layer, (torch.randn(6, 3, 4),), dynamic_shapes=ANY).module()
    for x in (torch.randn(6, 3, 4), torch.randn(9, 2, 4)):
        for one, other in zip(program(x), layer(x), strict=True):
            torch.testing.assert_close(one, other)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", [name for name in MAKERS if name != "LRU"])
@pytest.mark.xdist_group("compiler")
def test_onnxruntime_gives_the_layers_numbers(name: str) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    layer, file = of_a_formula(name).eval(), io.BytesIO()
    program = torch.onnx.export(layer, (torch.randn(6, 3, 4),), dynamo=True, dynamic_shapes=ANY, verbose=False)
    assert program is not None
    program.save(file)
    session = runtime.InferenceSession(file.getvalue(), providers=["CPUExecutionProvider"])
    for shape in ((6, 3, 4), (9, 2, 4), (1, 1, 4)):
        x = torch.randn(shape)
        found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
        for one, other in zip(found, layer(x), strict=True):
            torch.testing.assert_close(torch.from_numpy(one), other, rtol=1e-5, atol=2e-6)


@pytest.mark.slow
@pytest.mark.xdist_group("compiler")
def test_complex_states_have_no_form_in_onnx() -> None:
    pytest.importorskip("onnxscript")
    with pytest.raises(torch.onnx.errors.OnnxExporterError, match="LRU has no form in ONNX"):
        torch.onnx.export(LRU(4, 5).eval(), (torch.randn(6, 3, 4),), dynamo=True, verbose=False)
