"""What a layer costs: every way to compute it against PyTorch's own, forward and backward, in one run.

The passes take turns, and of each the least time of some repeats counts: CPU time of all threads, and time on the wall.
A ratio is to ``torch.nn.LSTM`` in the same run. Two things decide how that baseline looks, and are reported: the number
of threads, and whether memory of the pass before is used again. By default the system's allocator gives large blocks
back at once, and each pass then pays a fault for every page; the rows that say *pages kept* were measured with an
allocator set to keep them (``mallopt``, where the C library is glibc). Compiled kernels keep their own memory either
way.

A row of as many multiply-adds as the products of matrices need, with all numbers in registers, is the limit: the peak
of the core, in the same run.
"""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch

from gateflow.codegen import compiler as compiled
from gateflow.errors import InvalidArgument
from gateflow.nn.cells.gru import GRU
from gateflow.nn.cells.janet import JANET
from gateflow.nn.cells.lstm import LSTM
from gateflow.nn.cells.refine import RefineLSTM
from gateflow.nn.kernels import native, trust
from gateflow.progress import track
from gateflow.results.byvalue import by_value

BASELINE = "torch.nn.LSTM"

CATALOGUED = ("sigmoid", "fast", "softsign")
"""Forget gates that are timed in any case."""

SHORT = "bfloat16 products"
"""Of ways under ``torch.set_float32_matmul_precision("medium")``, where the processor multiplies bfloat16."""

USER_FORMULA = "1/2 + atan(z + z**3)/pi"
"""A gate of no catalogue, with a heavy tail."""

SHAPES = ((32, 500, 2, 128), (128, 784, 1, 128), (32, 1000, 10, 256), (64, 100, 200, 512))
"""Batch, time, inputs, hidden units: adding, MNIST by pixels, and two larger ones."""

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""Parameters of ``mallopt``, with their defaults in `DEFAULTS`; from malloc.h of glibc."""

DEFAULTS = {MMAP_MAX: 65536, TRIM_THRESHOLD: 128 << 10}

Step = Callable[[], Any]


@by_value
@dataclass(frozen=True)
class Row:
    """One way to compute: seconds of a pass forward and backward, or of a training step, and ratios to the baseline."""

    what: str
    backend: str
    cpu: float
    wall: float
    cpu_ratio: float
    wall_ratio: float


@by_value
@dataclass(frozen=True)
class SpeedReport:
    """All rows for one shape, or for one training step, which has none, and what they were measured on."""

    of: str
    shape: tuple[int, int, int, int] | None
    counted: str
    threads: int
    repeats: int
    processor: str
    compiler: str | None
    torch: str
    keeps_pages: bool
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def time_layers(
    shape: tuple[int, int, int, int],
    *,
    threads: int = 1,
    repeats: int = 3,
    gates: tuple[str, ...] = (*CATALOGUED, USER_FORMULA),
    only: str = "",
) -> SpeedReport:
    """Time every way to compute a recurrent layer, in float32 on the CPU.

    Parameters
    ----------
    shape : batch, time, inputs, hidden
    threads : int
    repeats : int
        The least time of this many counts.
    gates : tuple of str
        Forget gates of the compiled LSTM.
    only : str
        Of the other ways, those with this in their name.

    Raises
    ------
    InvalidArgument
        Sizes below 1.
    """
    if min(*shape, threads, repeats) < 1:
        raise InvalidArgument(f"sizes, threads and repeats must be at least 1; got {shape}, {threads}, {repeats}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        named = dict(_steps(shape, gates, only, threads))
        rows = least_times(named, repeats)
        with _keep_pages() as keeps:
            kept = {name: named[name] for name in (BASELINE, _products_name()) if keeps}
            rows |= {f"{name}, pages kept": value for name, value in least_times(kept, repeats).items()}
    finally:
        torch.set_num_threads(before)
    names = ("batch", "time", "inputs", "hidden")
    of = ", ".join(f"{name} {size}" for name, size in zip(names, shape, strict=True))
    counted = f"least of {repeats}, float32, forward and backward"
    return report(
        rows, BASELINE, of=of, shape=shape, counted=counted, threads=threads, repeats=repeats, keeps_pages=keeps
    )


def report(rows: dict[str, tuple[float, float]], baseline: str, **facts: Any) -> SpeedReport:
    """Rows with their ratios to the baseline, and what they were measured on."""
    cpu, wall = rows[baseline]
    return SpeedReport(
        processor=trust.processor(),
        compiler=compiled.available(),
        torch=torch.__version__,
        rows=tuple(Row(name, _backend(name), c, w, c / cpu, w / wall) for name, (c, w) in rows.items()),
        **facts,
    )


def _backend(name: str) -> str:
    return name.rpartition(": ")[0]


# --- what is timed ----------------------------------------------------------------------------------------------------


def _products_name() -> str:
    return "its products alone"


def _steps(
    shape: tuple[int, int, int, int], gates: tuple[str, ...], only: str, threads: int
) -> Iterator[tuple[str, Step]]:
    batch, length, inputs, hidden = shape
    x = torch.randn(length, batch, inputs, generator=torch.Generator().manual_seed(0))
    yield BASELINE, _pass(torch.nn.LSTM(inputs, hidden), x)
    yield _products_name(), _products(shape)
    if native.has_short():
        yield f"{BASELINE}, {SHORT}", shortened(_pass(torch.nn.LSTM(inputs, hidden), x))
        fast = LSTM(inputs, hidden, forget_gate="fast", backend="native")
        yield f"native: LSTM, fast, {SHORT}", shortened(_pass(fast, x))
    ways: list[tuple[str, Callable[..., torch.nn.Module], dict[str, Any]]] = []
    if native.available(torch.float32):
        yield "its products at the core's peak", peak(multiply_adds(shape), threads)
        ways = [
            *((f"native: LSTM, {gate}", LSTM, {"forget_gate": gate}) for gate in gates),
            ("native: LSTM, fast, tied", LSTM, {"forget_gate": "fast", "tied": True}),
            ("native: refine", RefineLSTM, {}),
            ("native: refine, fast", RefineLSTM, {"forget_gate": "fast"}),
            ("native: JANET, fast", JANET, {"forget_gate": "fast"}),
            ("native: GRU, fast", GRU, {"update_gate": "fast"}),
        ]
    ways.append(("torch.nn.GRU", torch.nn.GRU, {}))
    ways += [(f"{backend}: LSTM, fast", LSTM, {"forget_gate": "fast"}) for backend in ("torch", "reference")]
    for name, make, options in ways:
        if only in name:
            backend = {"backend": _backend(name)} if _backend(name) else {}
            yield name, _pass(make(inputs, hidden, **options, **backend), x)


def _pass(layer: torch.nn.Module, x: torch.Tensor) -> Step:
    return lambda: layer(x)[0].sum().backward()


def shortened(run: Step) -> Step:
    """The same where PyTorch's switch allows products of bfloat16."""

    def allowed() -> Any:
        before = torch.get_float32_matmul_precision()
        torch.set_float32_matmul_precision("medium")
        try:
            return run()
        finally:
            torch.set_float32_matmul_precision(before)

    return allowed


def _products(shape: tuple[int, int, int, int]) -> Step:
    """The products of matrices that an LSTM's pass needs at least, by PyTorch's library."""
    batch, length, inputs, hidden = shape
    state, weights = torch.randn(batch, hidden + inputs), torch.randn(hidden + inputs, 4 * hidden)
    z, back = torch.randn(batch, 4 * hidden), torch.randn(4 * hidden, hidden)
    h, rows = torch.empty(batch, hidden), torch.randn(length * batch, hidden + inputs)
    all_z = torch.randn(length * batch, 4 * hidden)

    def run() -> None:
        for _ in range(length):
            torch.mm(state, weights, out=z)
        for _ in range(length):
            torch.mm(z, back, out=h)
        torch.mm(all_z.t(), rows)

    return run


def multiply_adds(shape: tuple[int, int, int, int]) -> int:
    """Of the products of an LSTM's pass without the gradient of its input.

    Examples
    --------
    >>> multiply_adds((1, 1, 1, 1))
    20
    """
    batch, length, inputs, hidden = shape
    return batch * length * 4 * hidden * (2 * (hidden + inputs) + hidden)


def peak(number: int, threads: int) -> Step:
    """Multiply-adds in registers, each thread its share."""
    made, share, sums = native.library(torch.float32).multiply_adds, -(-number // threads), torch.zeros(threads)
    places = [sums.data_ptr() + 4 * n for n in range(threads)]
    pool = ThreadPoolExecutor(threads)
    return lambda: (list(pool.map(lambda place: made(share, place), places)), sums)


# --- timing -----------------------------------------------------------------------------------------------------------


def least_times(
    steps: Mapping[str, Step], repeats: int, ended: Callable[[], None] = lambda: None
) -> dict[str, tuple[float, float]]:
    """The least CPU and wall time of each; the first pass warms up; ``ended`` waits for devices."""
    best = dict.fromkeys(steps, (float("inf"), float("inf")))
    for turn, name in track([(turn, name) for turn in range(repeats + 1) for name in steps], "passes"):
        cpu, wall = time.process_time(), time.perf_counter()
        steps[name]()
        ended()
        took = time.process_time() - cpu, time.perf_counter() - wall
        if turn:
            best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    return best


@contextmanager
def _keep_pages() -> Iterator[bool]:
    """Within, glibc keeps the memory that is freed; False where there is no such thing."""
    if platform.system() != "Linux" or platform.libc_ver()[0] != "glibc":
        yield False
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(MMAP_MAX, 0)
    mallopt(TRIM_THRESHOLD, 2**31 - 1)
    try:
        yield True
    finally:
        for parameter, value in DEFAULTS.items():
            mallopt(parameter, value)
