"""What a layer costs on a GPU: times beside cuDNN's sigmoid LSTM, and errors against float64, in one run.

Times are medians of forward and backward passes, and of forward passes without gradients, by the device's own clock,
after three passes to warm up: compiling and recording graphs are in those. float32 comes twice, with TF32 products and
without, and cuDNN's are then the same. Errors are of a shorter layer of the same size against the plain loop in
float64, relative to the norm of each result; the largest is shown. What fails to run is a row that says why.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from gateflow.errors import InvalidArgument
from gateflow.nn.cells.lstm import LSTM
from gateflow.nn.kernels import trust
from gateflow.nn.kernels.triton import lstm
from gateflow.nn.speed import USER_FORMULA
from gateflow.progress import track
from gateflow.record import versions
from gateflow.results.byvalue import by_value

SHAPES = ((64, 1000, 64, 128), (64, 1000, 64, 256), (64, 1000, 64, 512), (32, 5000, 10, 128))
"""Batch, time, inputs, hidden units."""

NUMBERS = {
    "bfloat16": (torch.bfloat16, "highest"),
    "TF32": (torch.float32, "high"),
    "float32": (torch.float32, "highest"),
}
"""Type of the layer, and how products of float32 are made."""

PEER = "torch.nn.LSTM"

WAYS: dict[str, dict[str, Any]] = {
    PEER: {},
    "triton: LSTM, sigmoid": {"forget_gate": "sigmoid"},
    "triton: LSTM, fast": {"forget_gate": "fast"},
    f"triton: LSTM, {USER_FORMULA}": {"forget_gate": USER_FORMULA},
    "triton: LSTM, fast, tied": {"forget_gate": "fast", "tied": True},
    "torch: LSTM, fast": {"forget_gate": "fast"},
}
"""What is timed: the backend, and the layer's settings."""

CHECKED = (8, 100)
"""Batch and time, at the most, of the layer whose error is measured."""

WARM, PATIENCE = 3, 3.0
"""Passes before those that count, and seconds after which no more passes are made."""

LEAST = 3
"""Passes that count, at the least."""


@by_value
@dataclass(frozen=True)
class DeviceRow:
    """One way to compute a layer: milliseconds of forward and backward and of forward alone, ratio to the peer, error.

    Numbers are None where it did not run; ``problem`` then says why.
    """

    what: str
    numbers: str
    way: str
    ms: float | None = None
    forward_ms: float | None = None
    ratio: float | None = None
    error: float | None = None
    problem: str | None = None


@by_value
@dataclass(frozen=True)
class DeviceReport:
    """All rows for one shape, and what they were measured on."""

    shape: tuple[int, int, int, int]
    device: str
    versions: dict[str, str]
    repeats: int
    rows: tuple[DeviceRow, ...]

    @property
    def of(self) -> str:
        names = ("batch", "time", "inputs", "hidden")
        return ", ".join(f"{name} {size}" for name, size in zip(names, self.shape, strict=True))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def check_device() -> torch.device:
    """The GPU.

    Raises
    ------
    InvalidArgument
        There is none.
    """
    if not torch.cuda.is_available():
        raise InvalidArgument(f"there is no GPU here: PyTorch {torch.__version__} sees no CUDA device")
    return torch.device("cuda", torch.cuda.current_device())


def time_on_gpu(
    shape: tuple[int, int, int, int], *, repeats: int = 9, only: str = "", device: torch.device | None = None
) -> DeviceReport:
    """Time every way to compute an LSTM layer on a GPU, and measure its error.

    Parameters
    ----------
    shape : batch, time, inputs, hidden
    repeats : int
        The median of this many passes counts; of fewer, but three, where they take long.
    only : str
        Besides the peer, ways with this in their name.
    device : torch.device, optional
        By default the GPU.

    Raises
    ------
    InvalidArgument
        Sizes below 1, or there is no GPU.
    """
    if min(*shape, repeats) < 1:
        raise InvalidArgument(f"sizes and repeats must be at least 1; got {shape}, {repeats}")
    device = device or check_device()
    cases = [(numbers, what) for numbers in NUMBERS for what in WAYS if what == PEER or only in what]
    rows: list[DeviceRow] = []
    for numbers, what in track(cases, "layers"):
        with products(numbers):
            row = _row(what, numbers, shape, repeats, device)
        peer = next((r.ms for r in rows if (r.what, r.numbers) == (PEER, numbers)), row.ms)
        rows.append(row if row.ms is None or peer is None else DeviceRow(**{**asdict(row), "ratio": row.ms / peer}))
    found = versions(("torch", "triton"))
    if device.type == "cuda":
        cudnn = torch.backends.cudnn.version()
        found |= {"CUDA": str(torch.version.cuda), "cuDNN": str(cudnn)}
    return DeviceReport(shape, name_of(device), found, repeats, tuple(rows))


def name_of(device: torch.device) -> str:
    """The device in words.

    Examples
    --------
    >>> name_of(torch.device("cpu")) == trust.processor()
    True
    """
    if device.type != "cuda":
        return trust.processor()
    major, minor = torch.cuda.get_device_capability(device)
    return f"{torch.cuda.get_device_name(device)}, compute capability {major}.{minor}"


@contextmanager
def products(numbers: str) -> Iterator[None]:
    """Matrix products of float32 in Triton, cuBLAS and cuDNN with TF32, or without."""
    precision = NUMBERS[numbers][1]
    before = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision(precision)
    torch.backends.cudnn.allow_tf32 = precision == "high"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before[0])
        torch.backends.cudnn.allow_tf32 = before[1]


def _row(what: str, numbers: str, shape: tuple[int, int, int, int], repeats: int, device: torch.device) -> DeviceRow:
    batch, steps, inputs, hidden = shape
    dtype, backend = NUMBERS[numbers][0], what.partition(": ")[0]
    blocks = 3 if WAYS[what].get("tied") else 4
    way = lstm.way(hidden, blocks, dtype, device) if backend == "triton" else ""
    try:
        off = error(what, numbers, (min(batch, CHECKED[0]), min(steps, CHECKED[1]), inputs, hidden), device)
        both, alone = timed(layer_of(what, inputs, hidden, dtype, device), shape, repeats)
    except Exception as problem:  # the others are still of use
        said = (str(problem).splitlines() or [""])[0][:200]
        name = "" if isinstance(problem, InvalidArgument) else f"{type(problem).__name__}: "
        return DeviceRow(what, numbers, way, problem=f"{name}{said}")
    return DeviceRow(what, numbers, way, both, alone, error=off)


def layer_of(what: str, inputs: int, hidden: int, dtype: torch.dtype, device: torch.device, **options: Any) -> Any:
    """The layer of a row of `WAYS`."""
    place: dict[str, Any] = {"dtype": dtype, "device": device}
    if what == PEER and not options:
        return torch.nn.LSTM(inputs, hidden, **place)
    settings = {"backend": what.partition(": ")[0], **WAYS[what], **options} if what != PEER else options
    return LSTM(inputs, hidden, **settings, **place)


def error(what: str, numbers: str, shape: tuple[int, int, int, int], device: torch.device) -> float:
    """The largest relative error of outputs and gradients against the plain loop in float64."""
    batch, steps, inputs, hidden = shape
    dtype, chance = NUMBERS[numbers][0], trust.generator()

    def some(*sizes: int, scale: float = 1.0) -> torch.Tensor:
        """Numbers that the type holds."""
        made = torch.randn(sizes, generator=chance, dtype=torch.float64) * scale
        return made.to(dtype).double().to(device)

    exact = layer_of(what, inputs, hidden, torch.float64, device, backend="reference")
    ours = layer_of(what, inputs, hidden, dtype, device)
    exact.load_state_dict({name: some(*t.shape, scale=0.5 * hidden**-0.5) for name, t in exact.state_dict().items()})
    ours.load_state_dict({name: t.to(dtype) for name, t in exact.state_dict().items()})
    x, h, c = some(steps, batch, inputs), some(1, batch, hidden), some(1, batch, hidden)
    weights = some(steps, batch, hidden), some(1, batch, hidden), some(1, batch, hidden)
    return trust.error(everything(ours, (x, h, c), weights), everything(exact, (x, h, c), weights))


def everything(
    layer: torch.nn.Module, given: tuple[torch.Tensor, ...], weights: tuple[torch.Tensor, ...]
) -> list[torch.Tensor]:
    """Outputs, and the gradients of a weighted sum of them for the input, the first states and all parameters."""
    kind = next(layer.parameters()).dtype
    x, h, c = (part.detach().to(kind).requires_grad_() for part in given)
    output, (h_last, c_last) = layer(x, (h, c))
    results = [output, h_last, c_last]
    loss = sum((a * b.to(kind)).sum() for a, b in zip(results, weights, strict=True))
    grads = torch.autograd.grad(loss, [x, h, c, *layer.parameters()])  # type: ignore[arg-type]
    return [t.detach() for t in (*results, *grads)]


def timed(layer: torch.nn.Module, shape: tuple[int, int, int, int], repeats: int) -> tuple[float, float]:
    """Milliseconds of forward and backward, and of forward alone."""
    batch, steps, inputs, hidden = shape
    like = next(layer.parameters())
    x = torch.randn(steps, batch, inputs, device=like.device, dtype=like.dtype, requires_grad=True)
    gradient = torch.randn(steps, batch, hidden, device=like.device, dtype=like.dtype)
    leaves = [x, *layer.parameters()]

    def both() -> None:
        torch.autograd.grad(layer(x)[0], leaves, gradient)

    def forward() -> None:
        with torch.no_grad():
            layer(x)

    return median_ms(both, repeats, like.device), median_ms(forward, repeats, like.device)


def median_ms(run: Callable[[], Any], repeats: int, device: torch.device) -> float:
    """The median of some runs by the device's clock, after warm-up; of fewer where they take long."""
    for _ in range(WARM):
        run()
    clock = _by_events if device.type == "cuda" else _by_clock
    took, began = [], time.perf_counter()
    least = min(LEAST, repeats)
    while len(took) < least or (len(took) < repeats and time.perf_counter() - began < PATIENCE):
        took.append(clock(run))
    return statistics.median(took)


def _by_events(run: Callable[[], Any]) -> float:
    start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    run()
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end)


def _by_clock(run: Callable[[], Any]) -> float:
    start = time.perf_counter()
    run()
    return 1e3 * (time.perf_counter() - start)
