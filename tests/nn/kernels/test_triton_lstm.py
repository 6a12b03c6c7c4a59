"""Kernels for GPUs, run on the CPU by Triton's interpreter, against the plain loop over time in float64.

What each type may cost, in units u of its last place (2**-8 for bfloat16, which the interpreter cuts off instead of
rounding; 2**-23 for float32), as errors relative to the norm of a result:

- h is rounded once a step, and the error of the steps before it comes in through weights that at least halve it: 2 u.
- A gradient of a pre-activation is a product of a stored factor and of what comes back, each rounded once, and is
  rounded once more; what comes back carries the same three from the steps after it, halved or less: 6 u.
- Where all is float32, gates and products err by some units too: 16 u for everything.
"""

from __future__ import annotations

import inspect
import linecache
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

from gateflow.errors import InvalidArgument, MissingExtra
from gateflow.nn import GRU, LSTM, gate_function
from gateflow.nn.kernels.triton import gates as device_gates
from gateflow.nn.kernels.triton import launch, lstm
from tests.nn.kernels.through import with_libraries_only

UNIT = {torch.float32: 2.0**-23, torch.bfloat16: 2.0**-8}

needs_triton = pytest.mark.skipif(not launch.installed(), reason="no Triton on this machine: its kernels were not run")


@pytest.fixture(autouse=True, scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        folder = with_libraries_only(tmp_path_factory.mktemp("cache"))
        patch.setenv("GATEFLOW_CACHE", str(folder))
        yield folder


def room(dtype: torch.dtype, gradient: bool) -> float:
    return (16 if dtype == torch.float32 else 6 if gradient else 2) * UNIT[dtype]


def rounded(*shape: int, dtype: torch.dtype) -> torch.Tensor:
    """Random numbers of float64 that the type can hold."""
    return torch.randn(shape).to(dtype).double()


class Applied(torch.autograd.Function):
    """A pass one way or the other: hidden states and last cell state."""

    @staticmethod
    def forward(ctx: Any, gates: Any, way: str, *tensors: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        x, h, c, hh = tensors
        hs, (_, last), factors = lstm.forward(x, (h, c), hh, gates, True, way)
        ctx.gates, ctx.way = gates, way
        ctx.save_for_backward(h, c, hh, hs, *factors)
        return hs, last

    @staticmethod
    def backward(ctx: Any, *grads: torch.Tensor) -> tuple[Any, ...]:  # type: ignore[override]
        h, c, hh, hs, *factors = ctx.saved_tensors
        dz, d_state = lstm.backward((h, c), hh, factors, (grads[0], None, grads[1]), ctx.gates, ctx.way)
        weights = dz.flatten(0, 1).t() @ torch.cat([h[None], hs[:-1]]).flatten(0, 1)
        return None, None, dz, *d_state, weights


def compared(layer: LSTM, time: int, batch: int, dtype: torch.dtype, way: str) -> list[float]:
    """Relative errors: hidden states, last cell state, gradients of x, h, c and the recurrent weights."""
    gates, size = layer.on_gpu().gates, layer.hidden_size
    hh = (layer.weight_hh_l0.detach() / 2).to(dtype).double()
    inputs = [rounded(time, batch, hh.shape[0], dtype=dtype), *(rounded(batch, size, dtype=dtype) for _ in "hc"), hh]
    # positive, so that in the gradient of c nothing cancels, after which no error would be small relative to it
    weights = rounded(time, batch, size, dtype=dtype).abs(), rounded(batch, size, dtype=dtype).abs()

    def results(run: Any, kind: torch.dtype) -> list[torch.Tensor]:
        leaves = [part.to(kind, copy=True).requires_grad_() for part in inputs]
        outputs = run(*leaves)
        loss = sum((out * weight.to(kind)).sum() for out, weight in zip(outputs, weights, strict=True))
        return [*outputs, *torch.autograd.grad(loss, leaves)]

    def reference(x: torch.Tensor, h: torch.Tensor, c: torch.Tensor, hh: torch.Tensor) -> tuple[torch.Tensor, ...]:
        every = []
        for part in x:
            (h, c), _ = layer.step(part, (h, c), type("", (), {"hh": hh, "bias_hh": None})())
            every.append(h)
        return torch.stack(every), c

    found = results(lambda *leaves: Applied.apply(gates, way, *leaves), dtype)
    wanted = results(reference, torch.float64)
    assert all(part.dtype == dtype for part in found)
    return [float(((a.double() - b).norm() / b.norm()).detach()) for a, b in zip(found, wanted, strict=True)]


SETTINGS: list[dict[str, Any]] = [
    {},
    {"forget_gate": "fast"},
    {"forget_gate": "fast", "tied": True},
    {"forget_gate": "softsign", "input_gate": "erf", "output_gate": "hard-sigmoid"},
    {"forget_gate": "sigmoid(z + z**3/3)", "input_gate": "student-t", "output_gate": "asinh"},
]
SHAPES = [(1, 2, 5), (20, 3, 17), (2, 9, 33)]
"""Time, batch, size: none a multiple of what a program takes."""


@needs_triton
@pytest.mark.parametrize("way", ["whole", "steps"])
@pytest.mark.parametrize("dtype", UNIT, ids=str)
@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: ",".join(map(str, s.values())) or "sigmoid")
@pytest.mark.sampled(11)
def test_outputs_and_gradients_of_any_gates(settings: dict[str, Any], dtype: torch.dtype, way: str) -> None:
    layer = LSTM(1, 17, **settings, dtype=torch.float64)
    for k, error in enumerate(compared(layer, 4, 5, dtype, way)):
        assert error < room(dtype, gradient=k > 1)


@needs_triton
@pytest.mark.parametrize("way", ["whole", "steps"])
@pytest.mark.parametrize("dtype", UNIT, ids=str)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.sampled(7)
def test_outputs_and_gradients_at_any_size(shape: tuple[int, int, int], dtype: torch.dtype, way: str) -> None:
    time, batch, size = shape
    layer = LSTM(1, size, forget_gate="fast", dtype=torch.float64)
    for k, error in enumerate(compared(layer, time, batch, dtype, way)):
        assert error < room(dtype, gradient=k > 1)


@needs_triton
@pytest.mark.parametrize("way", ["whole", "steps"])
def test_one_unit_one_sequence_one_step(way: str) -> None:
    """In float32, for sums of four numbers may cancel."""
    layer = LSTM(1, 1, forget_gate="fast", dtype=torch.float64)
    assert max(compared(layer, 1, 1, torch.float32, way)) < room(torch.float32, gradient=True)


@needs_triton
def test_steps_in_several_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph plays again and again: the counter and the tensors at fixed addresses go on from chunk to chunk."""
    monkeypatch.setattr(lstm, "CHUNK", 3)
    layer = LSTM(1, 4, forget_gate="fast", dtype=torch.float64)
    assert max(compared(layer, 11, 3, torch.float32, "steps")) < room(torch.float32, gradient=True)


@needs_triton
def test_a_formula_whose_powers_overflow_float32_is_computed_in_float64() -> None:
    function = gate_function("sigmoid(sign(z)*sqrt(sqrt(1 + z**8) - 1))")
    assert "tl.float64" in device_gates.gate_source(function)
    assert "tl.float64" not in device_gates.gate_source(gate_function("fast"))
    layer = LSTM(1, 4, forget_gate=function, dtype=torch.float64)
    assert max(compared(layer, 3, 2, torch.float32, "whole")) < room(torch.float32, gradient=True)


@needs_triton
@pytest.mark.parametrize("gate", ["fast", "iterated-sinh", "erf", "arctan", "log-slow", "exp-square", "cloglog"])
@pytest.mark.sampled(5)
def test_no_extreme_input_gives_nan(gate: str) -> None:
    layer = LSTM(1, 3, forget_gate=gate, input_gate=gate, output_gate=gate, dtype=torch.float64)
    extremes = torch.tensor([-3e38, -1e4, -90.0, 0.0, 1e-40, 90.0, 1e4, 3e38])
    x = extremes[torch.randint(len(extremes), (3, 6, 12))].requires_grad_()
    h, c, hh = (t.float().requires_grad_() for t in (torch.randn(6, 3), torch.randn(6, 3), layer.weight_hh_l0.detach()))
    hs, last = Applied.apply(layer.on_gpu().gates, "whole", x, h, c, hh)  # type: ignore[misc]
    grads = torch.autograd.grad(hs.sum() + last.sum(), [x, h, c, hh])
    assert all(part.isfinite().all() for part in (hs, last, *grads))


@needs_triton
def test_a_forget_gate_near_1_keeps_a_gradient_as_it_keeps_the_cell_in_bfloat16() -> None:
    """A factor in bfloat16 would be exactly 1 here, and the gradient would not fade."""
    layer = LSTM(1, 1, dtype=torch.float64)
    time, z = 20, 6.0  # f = .9975
    x = torch.zeros(time, 1, 4)
    x[:, :, 0], x[:, :, 1] = -30.0, z
    c = torch.ones(1, 1, dtype=torch.bfloat16, requires_grad=True)
    h, hh = torch.zeros(1, 1, dtype=torch.bfloat16), torch.zeros(4, 1, dtype=torch.bfloat16)
    _, last = Applied.apply(layer.on_gpu().gates, "whole", x.bfloat16(), h, c, hh)  # type: ignore[misc]
    wanted = torch.sigmoid(torch.tensor(z)).item() ** time
    assert torch.autograd.grad(last, c)[0].item() == pytest.approx(wanted, rel=UNIT[torch.bfloat16])
    assert wanted < 1 - 10 * UNIT[torch.bfloat16]


@needs_triton
def test_layers_directions_and_a_forward_pass_alone() -> None:
    settings: dict[str, Any] = {"num_layers": 2, "bidirectional": True, "forget_gate": "fast", "batch_first": True}
    kernel, plain = LSTM(3, 6, **settings, backend="triton"), LSTM(3, 6, **settings, backend="reference")
    kernel.load_state_dict(plain.state_dict())
    x = torch.randn(4, 3, 3)
    found, wanted = kernel(x), plain(x)
    for a, b in zip((found[0], *found[1]), (wanted[0], *wanted[1]), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
    grads = [
        torch.autograd.grad(out[0].square().sum(), layer.parameters())
        for out, layer in ((found, kernel), (wanted, plain))
    ]
    for a, b in zip(*grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        torch.testing.assert_close(kernel(x)[0], found[0].detach(), rtol=0, atol=0)


@needs_triton
def test_a_second_derivative_is_that_of_the_loop_and_two_backward_passes_agree() -> None:
    layer = LSTM(2, 3, forget_gate="fast", backend="triton")
    x = torch.randn(4, 2, 2, requires_grad=True)
    loss = layer(x)[0].sum()
    first = torch.autograd.grad(loss, x, retain_graph=True)[0]
    assert torch.autograd.grad(loss, x, retain_graph=True)[0].equal(first)
    plain = LSTM(2, 3, forget_gate="fast", backend="reference")
    plain.load_state_dict(layer.state_dict())
    second = []
    for each in (layer, plain):
        (slope,) = torch.autograd.grad(each(x)[0].sum(), x, create_graph=True)
        second.append(torch.autograd.grad(slope.cos().sum(), x)[0])
    torch.testing.assert_close(*second)


@needs_triton
def test_what_has_no_kernel_is_refused_where_it_was_asked_for() -> None:
    x = torch.randn(4, 2, 2)
    with pytest.raises(InvalidArgument, match="float64"):
        LSTM(2, 3, backend="triton", dtype=torch.float64)(x.double())
    with pytest.raises(InvalidArgument, match="loses its digits"):
        LSTM(2, 3, forget_gate="sigmoid(2*z + sin(z)/z)", backend="triton")(x)  # no number at infinity
    with pytest.raises(InvalidArgument, match="is 0/0 at z = 0"):
        LSTM(2, 3, forget_gate="sigmoid(2*z + tanh(z)/z)", backend="triton")(x)
    with pytest.raises(InvalidArgument, match="for GRU"):
        GRU(2, 3, backend="triton")(x)


@needs_triton
def test_auto_never_interprets() -> None:
    assert LSTM(2, 3, forget_gate="fast").backend_for(torch.randn(4, 2)) != "triton"


def test_without_triton_asking_for_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "installed", lambda: False)
    with pytest.raises(MissingExtra, match="pip install triton"):
        LSTM(2, 3, backend="triton")(torch.randn(4, 2, 2))
    LSTM(2, 3, forget_gate="fast")(torch.randn(4, 2, 2))


def test_without_a_gpu_asking_for_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "interpreted", lambda: False)
    monkeypatch.setattr(launch, "installed", lambda: True)
    with pytest.raises(InvalidArgument, match="CUDA device, not on cpu"):
        LSTM(2, 3, backend="triton")(torch.randn(4, 2, 2))


def test_the_recurrent_weights_stay_on_chip_where_they_fit() -> None:
    cpu = torch.device("cpu")
    sizes = {torch.bfloat16: 128, torch.float32: 64}
    for dtype, size in sizes.items():
        assert lstm.way(size, 4, dtype, cpu) == "whole"
        assert lstm.way(size + 1, 4, dtype, cpu) == "steps"


@needs_triton
def test_the_text_of_a_gate_is_read_from_no_file(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = device_gates.gate_source(gate_function("gompertz"))
    device_gates._module.cache_clear()
    module = device_gates._module(text)
    for name in (module.__name__, f"<{module.__name__}>"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit", encoding="utf-8")
    linecache.checkcache()
    assert inspect.getsource(module.gate.fn if hasattr(module.gate, "fn") else module.gate) in text
    assert not list(cache.rglob("*.py*"))  # compiled kernels of other tests may lie there


COMPILING = """
import sys
import triton, triton.language as tl
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from gateflow.nn import gate_function
from gateflow.nn.kernels.triton import lstm, lstm_kernels
from gateflow.nn.kernels.triton.gates import device_gate

def shared(kernel, pointers, constants, warps):
    kinds = {name: "constexpr" if name in constants else pointers.get(name, "i32") for name in kernel.arg_names}
    values = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
    source = ASTSource(fn=kernel, signature=kinds, constexprs=values)
    options = {"num_warps": warps, "enable_fp_fusion": True}
    return triton.compile(source, target=GPUTarget("cuda", 90, 32), options=options).metadata.shared

sigmoid, fast = (device_gate(gate_function(name)) for name in ("sigmoid", "fast"))
gates = {"INPUT": sigmoid, "FORGET": fast, "OUTPUT": sigmoid, "TIED": False}
layout = {"SIZE": 128, "WIDTH": 128, "ROWS": lstm.ROWS, "OPERAND": tl.bfloat16, "PRECISION": "tf32"}
names = "x hh h0 c0 hs c_last through into_c grad_hs grad_c dz dh0 dc0".split()
pointers = dict.fromkeys(names, "*bf16") | {"keep": "*fp32"}
if "all" in sys.argv:
    print(shared(lstm_kernels.whole_forward, pointers, {**gates, **layout, "STORE": True}, lstm.WARPS))
print(shared(lstm_kernels.whole_backward, pointers, {"TIED": False, **layout}, lstm.WARPS))
step = {"LIKE": tl.float32, "SIZE": 512, "BLOCK": lstm.BLOCK}
pointers = dict.fromkeys("z h c dz_step dh dc".split(), "*fp32") | {"table": "*i64", "counter": "*i64"}
print(shared(lstm_kernels.step_forward, pointers, {**gates, **step, "STORE": True}, 4))
if "all" in sys.argv:
    print(shared(lstm_kernels.step_backward, pointers, {"TIED": False, **step}, 4))
"""


@needs_triton
@pytest.mark.skipif(sys.platform != "linux", reason="Triton compiles for CUDA on Linux only")
@pytest.mark.parametrize(("which", "count"), [("some", 2), pytest.param("all", 4, marks=pytest.mark.slow)])
def test_kernels_compile_for_a_gpu_without_one_and_fit_its_shared_memory(
    which: str, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "0")
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    answer = subprocess.run([sys.executable, "-c", COMPILING, which], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    found = list(map(int, answer.stdout.split()))
    assert len(found) == count
    assert max(found) <= launch.HOPPER
