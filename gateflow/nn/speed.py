"""What a layer costs: every way to compute it against PyTorch's own, forward and backward, in one run.

The passes take turns, and of each the least time of some repeats counts: CPU time of all threads, and time on the wall.
A ratio is to ``torch.nn.LSTM`` in the same run. Two things decide how that baseline looks, and are told: the number of
threads, and whether memory of the pass before is used again. By default the system's allocator gives large blocks back
at once, and each pass then pays a fault for every page; the rows that say *pages kept* were measured with an allocator
told to keep them (``mallopt``, where the C library is glibc). Compiled kernels keep their own memory either way.
"""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from gateflow import compiled
from gateflow.errors import InvalidArgument
from gateflow.nn.cells.gru import GRU
from gateflow.nn.cells.janet import JANET
from gateflow.nn.cells.lstm import LSTM
from gateflow.nn.cells.refine import RefineLSTM
from gateflow.nn.kernels import native

BASELINE = "torch.nn.LSTM"

USER_FORMULA = "1/2 + atan(z + z**3)/pi"
"""A gate of no catalogue, with a heavy tail."""

SHAPES = ((32, 500, 2, 128), (128, 784, 1, 128), (32, 1000, 10, 256), (64, 100, 200, 512))
"""Batch, time, inputs, hidden units: adding, MNIST by pixels, and two larger ones."""

MMAP_MAX, TRIM_THRESHOLD = -4, -1
"""Parameters of ``mallopt``, with their defaults in `DEFAULTS`; from malloc.h of glibc."""

DEFAULTS = {MMAP_MAX: 65536, TRIM_THRESHOLD: 128 << 10}

Step = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One way to compute a layer: seconds of a pass forward and backward, and ratios to the baseline."""

    what: str
    backend: str
    cpu: float
    wall: float
    cpu_ratio: float
    wall_ratio: float


@dataclass(frozen=True)
class Report:
    """All rows for one shape, and what they were measured on."""

    shape: tuple[int, int, int, int]
    threads: int
    repeats: int
    processor: str
    compiler: str | None
    torch: str
    dtype: str
    keeps_pages: bool
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def measured(
    shape: tuple[int, int, int, int],
    *,
    threads: int = 1,
    repeats: int = 3,
    gates: tuple[str, ...] = ("sigmoid", "fast", "softsign", USER_FORMULA),
    slow: bool = True,
    progress: Callable[[str], None] = lambda _: None,
) -> Report:
    """Time every way to compute a recurrent layer, in float32 on the CPU.

    Parameters
    ----------
    shape : batch, time, inputs, hidden
    threads : int
    repeats : int
        The least time of so many counts.
    gates : tuple of str
        Forget gates of the compiled LSTM.
    slow : bool
        Also the plain loop over time and the one of PyTorch's operations.
    progress : callable
        Told the name of each row before its first pass.

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
        named = dict(_steps(shape, gates, slow))
        rows = _timed(named, repeats, progress)
        with _pages_kept() as keeps:
            kept = {name: named[name] for name in (BASELINE, _products_name()) if keeps}
            rows |= {f"{name}, pages kept": value for name, value in _timed(kept, repeats, progress).items()}
    finally:
        torch.set_num_threads(before)
    cpu, wall = rows[BASELINE][:2]
    return Report(
        shape=shape,
        threads=threads,
        repeats=repeats,
        processor=processor(),
        compiler=compiled.available(),
        torch=torch.__version__,
        dtype="float32",
        keeps_pages=keeps,
        rows=tuple(Row(name, _backend(name), c, w, c / cpu, w / wall) for name, (c, w) in rows.items()),
    )


def processor() -> str:
    """The model of the processor, as the system calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def _backend(name: str) -> str:
    return name.rpartition(": ")[0]


# --- what is timed ----------------------------------------------------------------------------------------------------


def _products_name() -> str:
    return "its products alone"


def _steps(shape: tuple[int, int, int, int], gates: tuple[str, ...], slow: bool) -> Iterator[tuple[str, Step]]:
    batch, length, inputs, hidden = shape
    x = torch.randn(length, batch, inputs, generator=torch.Generator().manual_seed(0))
    yield BASELINE, _pass(torch.nn.LSTM(inputs, hidden), x)
    yield _products_name(), _products(shape)
    if native.available(torch.float32, ()):
        for gate in gates:
            yield f"native: LSTM, {gate}", _pass(LSTM(inputs, hidden, forget_gate=gate, backend="native"), x)
        others = {
            "LSTM, fast, tied": LSTM(inputs, hidden, forget_gate="fast", tied=True, backend="native"),
            "refine": RefineLSTM(inputs, hidden, backend="native"),
            "refine, fast": RefineLSTM(inputs, hidden, forget_gate="fast", backend="native"),
            "JANET, fast": JANET(inputs, hidden, forget_gate="fast", backend="native"),
            "GRU, fast": GRU(inputs, hidden, update_gate="fast", backend="native"),
        }
        for name, layer in others.items():
            yield f"native: {name}", _pass(layer, x)
    yield "torch.nn.GRU", _pass(torch.nn.GRU(inputs, hidden), x)
    if slow:
        for backend in ("torch", "reference"):
            yield f"{backend}: LSTM, fast", _pass(LSTM(inputs, hidden, forget_gate="fast", backend=backend), x)


def _pass(layer: torch.nn.Module, x: torch.Tensor) -> Step:
    return lambda: layer(x)[0].sum().backward()


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


# --- timing -----------------------------------------------------------------------------------------------------------


def _timed(steps: dict[str, Step], repeats: int, progress: Callable[[str], None]) -> dict[str, tuple[float, float]]:
    """The least CPU time and the least time on the wall of each; the first pass warms up."""
    best = dict.fromkeys(steps, (float("inf"), float("inf")))
    for turn in range(repeats + 1):
        for name, step in steps.items():
            if turn == 0:
                progress(name)
            cpu, wall = time.process_time(), time.perf_counter()
            step()
            took = time.process_time() - cpu, time.perf_counter() - wall
            if turn:
                best[name] = min(best[name][0], took[0]), min(best[name][1], took[1])
    return best


@contextmanager
def _pages_kept() -> Iterator[bool]:
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
