"""The compiled kernels against the plain loop over time: outputs, states and every gradient, in float64 and float32."""

from __future__ import annotations

import gc
import mmap
import os
import platform
import subprocess
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.gates.gate import GATES
from gateflow.nn import CELLS, GRU, JANET, LSTM, RefineLSTM
from gateflow.nn.kernels import native, workspace
from gateflow.nn.recurrent import Recurrent

pytestmark = pytest.mark.skipif(compiled.available() is None, reason="there is no C compiler")

SETTINGS: list[tuple[type[Recurrent], dict[str, Any]]] = [
    (LSTM, {}),
    (LSTM, {"forget_gate": "fast", "input_gate": "softsign", "output_gate": "erf"}),
    (LSTM, {"forget_gate": "fast", "tied": True}),
    (JANET, {"forget_gate": "cloglog", "beta": 0.7}),
    (GRU, {"update_gate": "fast", "reset_gate": "hard-sigmoid"}),
    (RefineLSTM, {"forget_gate": "fast", "refine_gate": "arctan", "output_gate": "softsign"}),
    (RefineLSTM, {"input_gate": "gompertz", "refine_gate": "student-t", "tied": False}),
]
LAYOUTS: list[dict[str, Any]] = [
    {"input_size": 3, "hidden_size": 5},
    {"input_size": 1, "hidden_size": 40, "num_layers": 2, "bidirectional": True},
    {"input_size": 40, "hidden_size": 33, "bias": False},
]


def name_of(setting: tuple[type[Recurrent], dict[str, Any]]) -> str:
    return ",".join([setting[0].__name__, *(f"{k}={v}" for k, v in setting[1].items())])


def twins(cell: type[Recurrent], **options: Any) -> tuple[Recurrent, Recurrent]:
    """The same layer over both backends."""
    fast, plain = (cell(backend=b, **options) for b in ("native", "reference"))
    fast.load_state_dict(plain.state_dict())
    return fast, plain


def everything(layer: Recurrent, x: Any, leaves: list[torch.Tensor], hx: Any = None) -> list[torch.Tensor]:
    """Output and states, and the gradients of a random sum of them."""
    output, final = layer(x, hx)
    parts = [
        output.data if isinstance(output, PackedSequence) else output,
        *(final if isinstance(final, tuple) else (final,)),
    ]
    generator = torch.Generator().manual_seed(1)
    loss = sum((p * torch.randn(p.shape, generator=generator, dtype=torch.float64).to(p)).sum() for p in parts)
    return [*parts, *torch.autograd.grad(loss, [*leaves, *layer.parameters()])]  # type: ignore[arg-type]


def off(found: list[torch.Tensor], wanted: list[torch.Tensor]) -> float:
    """The largest error of a tensor, relative to its largest number."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(found, wanted, strict=True)]
    return max(float((a - b).abs().max() / b.abs().max().clamp(min=1e-30)) for a, b in pairs)


@pytest.fixture(params=SETTINGS, ids=name_of)
def setting(request: pytest.FixtureRequest) -> tuple[type[Recurrent], dict[str, Any]]:
    return request.param


@pytest.mark.parametrize("layout", LAYOUTS, ids=lambda v: ",".join(map(str, v.values())))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.sampled(13)
def test_padded_sequences(setting: Any, layout: dict[str, Any], dtype: torch.dtype, tolerance: float) -> None:
    fast, plain = twins(setting[0], **setting[1], **layout, dtype=dtype)
    count = plain.num_layers * plain.num_directions
    x = torch.randn(9, 13, layout["input_size"], dtype=dtype, requires_grad=True)
    state = tuple(torch.randn(count, 13, plain.hidden_size, dtype=dtype, requires_grad=True) for _ in plain.states)
    hx = state if len(state) > 1 else state[0]
    assert off(everything(fast, x, [x, *state], hx), everything(plain, x, [x, *state], hx)) < tolerance


@pytest.mark.sampled(4)
def test_sequences_of_unequal_length(setting: Any) -> None:
    layout = {"input_size": 2, "hidden_size": 18, "num_layers": 2, "bidirectional": True, "dtype": torch.float64}
    fast, plain = twins(setting[0], **setting[1], **layout)
    x = torch.randn(11, 7, 2, dtype=torch.float64, requires_grad=True)
    state = tuple(torch.randn(4, 7, 18, dtype=torch.float64, requires_grad=True) for _ in plain.states)
    hx = state if len(state) > 1 else state[0]
    pack = lambda: pack_padded_sequence(x, [3, 11, 1, 5, 5, 2, 8], enforce_sorted=False)  # noqa: E731
    assert off(everything(fast, pack(), [x, *state], hx), everything(plain, pack(), [x, *state], hx)) < 1e-12


@pytest.mark.parametrize(("segment", "tile"), [(1, 64), (10_000, 2), (3000, 64), (10**6, 64)])
@pytest.mark.sampled(5)
def test_factors_computed_again_are_those_that_were_kept(
    setting: Any, segment: int, tile: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(native, "TILE", tile)
    layer = setting[0](2, 9, bidirectional=True, **setting[1])
    x = torch.randn(11, 7, 2, requires_grad=True)
    pack = lambda: pack_padded_sequence(x, [3, 11, 1, 5, 5, 2, 8], enforce_sorted=False)  # noqa: E731
    wanted = everything(layer, pack(), [x])
    monkeypatch.setattr(native, "MOST_KEPT", 0)
    monkeypatch.setattr(native, "SEGMENT", segment)
    found = everything(layer, pack(), [x])
    assert all(a.equal(b) for a, b in zip(found, wanted, strict=True))


@pytest.mark.parametrize("gate", list(GATES))
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=["64", "32"])
@pytest.mark.sampled(11)
def test_every_gate_far_into_its_tails(gate: str, dtype: torch.dtype, tolerance: float) -> None:
    fast, plain = twins(LSTM, input_size=2, hidden_size=4, forget_gate=gate, dtype=torch.float64)
    fast.to(dtype)
    # in float32, z itself is uncertain by more where x is larger
    x = (10.0 ** torch.linspace(-3, 6 if dtype == torch.float64 else 1, 200, dtype=torch.float64)).view(4, 25, 2)
    x = torch.where(torch.rand(x.shape) < 0.5, x, -x).requires_grad_()
    y = x.detach().to(dtype).requires_grad_()
    assert off(everything(fast, y, [y]), everything(plain, y.double(), [y])) < tolerance


@pytest.mark.parametrize("threads", [2, 5])
@pytest.mark.parametrize("batch", [1, 3, 70])
@pytest.mark.parametrize("whose", ["PyTorch's", "ours"])
@pytest.mark.sampled(2)
def test_threads_share_the_batch(whose: str, threads: int, batch: int, monkeypatch: pytest.MonkeyPatch) -> None:
    if whose == "ours":
        monkeypatch.setattr(native.threads, "team", lambda: None)
    elif native.threads.team() is None:
        pytest.skip("no OpenMP that can be called is loaded here")
    fast, plain = twins(LSTM, input_size=2, hidden_size=6, forget_gate="fast", dtype=torch.float64)
    x = torch.randn(5, batch, 2, dtype=torch.float64, requires_grad=True)
    try:
        torch.set_num_threads(threads)
        found = everything(fast, x, [x])
    finally:
        torch.set_num_threads(1)
    assert off(found, everything(plain, x, [x])) < 1e-12


@pytest.mark.parametrize("setting", SETTINGS, ids=name_of)
@pytest.mark.parametrize("threads", [(2, 1), (1, 2), (3, 2)])
@pytest.mark.sampled(5)
def test_a_backward_pass_may_have_other_threads_than_the_forward_pass(setting: Any, threads: tuple[int, int]) -> None:
    """Each thread of Python has a number of its own, too."""
    cell, options = setting
    fast, plain = twins(cell, input_size=3, hidden_size=70, dtype=torch.float64, **options)
    x, other = (torch.linspace(-2, 2, 120, dtype=torch.float64).view(5, 8, 3).requires_grad_() for _ in range(2))
    try:
        torch.set_num_threads(threads[0])
        output = fast(x)[0]
        torch.set_num_threads(threads[1])
        output.square().sum().backward()
    finally:
        torch.set_num_threads(1)
    plain(other)[0].square().sum().backward()
    pairs = [(x, other), *zip(fast.parameters(), plain.parameters(), strict=True)]
    assert off([one.grad for one, _ in pairs], [one.grad for _, one in pairs]) < 1e-12


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_zeros_without_memory_are_zeros(dtype: torch.dtype) -> None:
    """PyTorch has such tensors for derivatives that are 0."""
    fast, plain = twins(LSTM, input_size=3, hidden_size=6, dtype=dtype)
    zeros = [torch._efficientzerotensor(size, dtype=dtype) for size in ((5, 2, 3), (1, 2, 6))]
    real = [torch.zeros(t.shape, dtype=dtype) for t in zeros]
    assert off([fast(zeros[0], (zeros[1], zeros[1]))[0]], [plain(real[0], (real[1], real[1]))[0]]) < 1e-6
    output = fast(real[0])[0]
    output.backward(torch._efficientzerotensor(output.shape, dtype=dtype))
    assert all(float(each.grad.abs().max()) == 0 for each in fast.parameters())


def below_normal(t: torch.Tensor) -> int:
    """How many numbers are nearer to 0 than the smallest normal one, and not 0."""
    return int(((t != 0) & (t.abs() < torch.finfo(t.dtype).tiny)).sum())


def test_numbers_below_the_smallest_normal_one_are_zero_in_a_pass_and_only_there() -> None:
    """The gradient of the last output fades below them on its way to the first step."""
    fast, plain = twins(LSTM, input_size=2, hidden_size=6, dtype=torch.float32)
    x, again = (torch.zeros(400, 3, 2).requires_grad_() for _ in range(2))
    fast(x)[0][-1].sum().backward()
    plain(again)[0][-1].sum().backward()
    assert off([x.grad], [again.grad]) < 1e-5
    assert below_normal(again.grad) > 10
    assert below_normal(x.grad) == 0 or platform.machine().lower() not in ("x86_64", "amd64", "aarch64", "arm64")
    try:
        torch.set_num_threads(2)
        fast(torch.zeros(3, 4, 2))
        assert below_normal(torch.full((1 << 20,), 1e-40) * 2) == 1 << 20, "a thread has lost its smallest numbers"
    finally:
        torch.set_num_threads(1)


FEWER = """
import torch
from gateflow.nn import LSTM
torch.manual_seed(0)
fast, plain = (LSTM(2, 3, forget_gate="fast", backend=backend) for backend in ("native", "reference"))
fast.load_state_dict(plain.state_dict())
x = torch.randn(4, 6, 2)
torch.set_num_threads(4)
print(float((fast(x)[0] - plain(x)[0]).abs().max()))
"""


def test_shares_that_have_no_thread_are_taken_by_others() -> None:
    command, limits = [sys.executable, "-W", "ignore", "-c", FEWER], {"OMP_THREAD_LIMIT": "1"}
    done = subprocess.run(
        command, env={**os.environ, **limits}, capture_output=True, text=True, timeout=120, check=True
    )
    assert float(done.stdout) < 1e-6


def test_a_share_has_as_many_rows_of_batch_and_time() -> None:
    steps = native.TimeAxis([4] * 10 + [1] * 30, False)
    assert steps.shares(1) == [0, 4]
    assert steps.shares(2) == [0, 1, 4]
    assert native.TimeAxis([3] * 7, False).shares(8) == [0, 1, 2, 3]


def test_it_is_the_kernel_that_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    layers = {name: cell(3, 4) for name, cell in CELLS.items()}
    for name, layer in layers.items():
        assert (layer.backend_for(torch.zeros(1, 3)) == "native") == (layer.compiled() is not None), name
    monkeypatch.setattr(Recurrent, "loop", None)  # which trials are held against
    for layer in layers.values():
        if layer.compiled() is not None:
            layer(torch.randn(9, 4, 3))[0].sum().backward()


@pytest.mark.sampled(5)
def test_second_derivatives_are_those_of_the_loop(setting: Any) -> None:
    x, found = torch.randn(4, 2, 3, dtype=torch.float64, requires_grad=True), []
    native, plain = (setting[0](3, 5, dtype=x.dtype, backend=b, **setting[1]) for b in ("native", "reference"))
    native.load_state_dict(plain.state_dict())
    for layer in (native, plain):
        leaves = [x, *layer.parameters()]
        first = torch.autograd.grad(layer(x)[0].sin().sum(), leaves, create_graph=True)
        found.append(torch.autograd.grad(sum(g.cos().sum() for g in first), leaves))  # type: ignore[arg-type]
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_two_forward_passes_before_a_backward_pass_do_not_mix() -> None:
    layer = LSTM(3, 5, forget_gate="fast")
    x, y = torch.randn(2, 6, 4, 3).unbind()
    first = layer(x)[0].sum()
    layer(y)[0].sum()
    found = torch.autograd.grad(first, list(layer.parameters()), retain_graph=True)
    again = torch.autograd.grad(first, list(layer.parameters()))
    fresh = torch.autograd.grad(layer(x)[0].sum(), list(layer.parameters()))
    assert all(a.equal(b) and a.equal(c) for a, b, c in zip(found, again, fresh, strict=True))


def test_an_output_changed_in_place_is_noticed() -> None:
    layer = LSTM(3, 5, forget_gate="fast")
    x = torch.randn(6, 4, 3)
    output, _ = layer(x)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        output.mul_(2).sum().backward()
    with torch.no_grad():
        assert layer(x)[0].mul_(2).isfinite().all()


def test_gradients_of_the_two_biases_do_not_share_memory() -> None:
    layer = LSTM(3, 5, forget_gate="fast")
    layer(torch.randn(6, 4, 3))[0].sum().backward()
    assert layer.bias_ih_l0.grad is not None
    before = layer.bias_hh_l0.grad.clone()  # type: ignore[union-attr]
    layer.bias_ih_l0.grad.zero_()
    assert before.equal(layer.bias_hh_l0.grad)  # type: ignore[arg-type]


def test_extreme_numbers_stay_numbers(setting: Any) -> None:
    layer = setting[0](3, 5, **setting[1])
    for size in (1e30, 1e-42, 3e38, 0.0):
        x = (size * torch.sign(torch.randn(6, 4, 3))).requires_grad_()
        output, _ = layer(x)
        output.sum().backward()
        assert output.isfinite().all()
        assert all(p.grad.isfinite().all() for p in [x, *layer.parameters()] if size < 1e30)


def test_not_a_number_spoils_its_own_row_only(setting: Any) -> None:
    layer = setting[0](3, 5, **setting[1])
    x = torch.randn(6, 4, 3)
    x[2, 1] = torch.nan
    output, _ = layer(x)
    assert output[2:, 1].isnan().all()
    assert output[:2].isfinite().all()
    assert output[:, [0, 2, 3]].isfinite().all()


def test_memory_is_used_again_and_given_back() -> None:
    layer = LSTM(3, 64, forget_gate="fast")  # whose gates alone are 800 KiB, whatever the width of the vectors
    x = torch.randn(50, 16, 3)
    workspace.clear()
    for _ in range(20):
        layer(x)[0].sum().backward()
    gc.collect()
    assert 0 < workspace.free_bytes() <= 4 * workspace.PAGE
    workspace.clear()
    assert workspace.free_bytes() == 0


def test_memory_does_not_grow_from_pass_to_pass() -> None:
    pages = Path("/proc/self/statm")
    if not pages.exists():
        pytest.skip("this system does not tell a process its size")
    resident = lambda: int(pages.read_text().split()[1]) * mmap.PAGESIZE  # noqa: E731
    layer = LSTM(3, 40, 2, forget_gate="fast", bidirectional=True)

    def passes(count: int) -> None:
        for n in range(count):
            layer(torch.randn(20 + n % 3, 16, 3))[0].sum().backward()

    passes(30)
    before = resident()
    passes(100)
    assert resident() - before < 4 << 20  # each keeps 4 MB on its way


def test_a_block_that_there_is_not_is_told_in_a_line() -> None:
    with pytest.raises(MemoryError, match="GiB at once"):
        workspace.tensor((1 << 58,), torch.float64)


FORKED = """
import os, sys, torch
torch.set_num_threads(1)  # threads of OpenMP do not live on in a fork
from gateflow.nn import LSTM
from gateflow.nn.kernels import workspace
print("torch._dynamo" in sys.modules)  # PyTorch's compiler: seconds that only who compiles should pay
mine = workspace.tensor((workspace.PAGE,), torch.float32)
mine.zero_()
if os.fork() == 0:
    mine.fill_(1)
    os._exit(0)
os.wait()
print(float(mine.sum()))

torch.set_num_threads(2)
layer, x = LSTM(2, 3, forget_gate="fast", backend="native"), torch.randn(4, 6, 2)
wanted = layer(x)[0]  # which starts threads of OpenMP; they do not live on in a fork
if os.fork() == 0:
    os._exit(0 if layer(x)[0].equal(wanted) else 1)
print(os.wait()[1])
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_fork_has_memory_and_threads_of_its_own() -> None:
    """And that nothing imports PyTorch's compiler before it is asked for."""
    command = [sys.executable, "-W", "ignore", "-c", FORKED]
    told = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert told.split() == ["False", "0.0", "0"]


@pytest.mark.parametrize("backend", ["native", "torch", "reference"])
def test_a_batch_of_none(setting: Any, backend: str) -> None:
    layer = setting[0](3, 5, num_layers=2, bidirectional=True, backend=backend, **setting[1])
    output, _ = layer(torch.randn(6, 0, 3))
    output.sum().backward()
    assert output.shape == (6, 0, 10)
    assert all(p.grad.equal(torch.zeros_like(p)) for p in layer.parameters())


def test_threads_of_python_may_call_at_once() -> None:
    layer = LSTM(3, 5, forget_gate="fast")
    x = torch.randn(6, 4, 3)
    wanted, found = layer(x)[0], []
    threads = [threading.Thread(target=lambda: found.append(layer(x)[0])) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert all(output.equal(wanted) for output in found)


def test_without_a_compiler_there_is_one_warning_and_the_same_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = LSTM(3, 5, forget_gate="fast")
    x = torch.randn(6, 4, 3)
    wanted = layer(x)[0]

    def none(*_: Any) -> Any:
        raise NoCompiler("there is no C compiler today")

    monkeypatch.setattr(native, "library", none)
    with pytest.warns(RuntimeWarning, match="no C compiler today"):
        found = layer(x)[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        layer(x)
    assert layer.backend_for(x) == "torch"
    torch.testing.assert_close(found, wanted)


def test_a_gate_that_no_table_follows_takes_another_way() -> None:
    layer = LSTM(3, 5, forget_gate="sigmoid(sin(z))")
    with pytest.warns(RuntimeWarning, match="no table follows"):
        output, _ = layer(torch.randn(6, 4, 3))
    assert output.isfinite().all()


def test_what_is_asked_for_and_cannot_be_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="PyTorch has no LSTM"):
        LSTM(3, 5, forget_gate="fast", backend="framework")(torch.randn(6, 4, 3))


@pytest.mark.slow
@pytest.mark.parametrize("gate", list(GATES))
def test_a_thousand_steps_with_every_gate(setting: Any, gate: str) -> None:
    cell, options = setting
    options = {key: gate if key.endswith("_gate") else value for key, value in options.items()}
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-5)):
        fast, plain = twins(cell, input_size=2, hidden_size=16, **options, dtype=torch.float64)
        fast.to(dtype)
        x = torch.randn(1000, 4, 2, dtype=torch.float64).to(dtype).requires_grad_()
        assert off(everything(fast, x, [x]), everything(plain, x.double(), [x])) < tolerance
