"""LSTM layers on a GPU, in every way and size of program: checked against float64, then timed beside cuDNN.

`gateflow bench lstm --device cuda` has the table of what a layer costs; this is for whoever works on the kernels.

python -m benchmarks.gpu_lstm [--json FILE] [--repeats 9] [--quick]

Errors are relative to the norm of each result of a plain loop over time in float64; the largest of a pass is shown.
Times are medians of CUDA events around forward and backward of a layer, after warm-up (compiling and recording
graphs are in that), and of the forward pass alone without gradients. float32 comes twice, with TF32 products and
without, and then cuDNN's are the same. Where several ways or sizes of program can be, all are timed; what the layer
itself chooses is marked *. Without a GPU, and with TRITON_INTERPRET=1, it checks tiny shapes and times nothing.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from gateflow.nn import LSTM, trials
from gateflow.nn.gpu_speed import NUMBERS, SHAPES, everything, products, timed
from gateflow.nn.kernels import trust
from gateflow.nn.kernels.triton import launch, lstm

CHECKED = [(5, 1000, 3, 33), (64, 300, 64, 128), (17, 70, 10, 256)]
TINY = [(3, 5, 2, 9)]

ROOM = {"bfloat16": 0.03, "TF32": 0.01, "float32": 1e-5}
"""Errors above these fail the run: some units of 2**-8, 2**-11 and 2**-23."""

GATES = ["fast", "softsign", "erf", "sigmoid(z + z**3/3)"]

Case = tuple[str, tuple[int, int, int, int], str, float]


@contextlib.contextmanager
def forced(way: str | None, **sizes: int) -> Iterator[None]:
    """The layer made to go one way, with these sizes of program, whether or not it passes the trial of first use."""
    with contextlib.ExitStack() as stack:
        stack.enter_context(mock.patch.object(trials, "reason_against_triton", return_value=None))
        if way is not None:
            stack.enter_context(mock.patch.object(lstm, "way", return_value=way))
        for name, value in sizes.items():
            stack.enter_context(mock.patch.object(lstm, name, value))
        yield


def error(shape: tuple[int, int, int, int], gate: str, numbers: str, device: str, way: str) -> float:
    """The largest relative error of a pass; infinity where a result is not finite."""
    batch, steps, inputs, size = shape
    dtype = NUMBERS[numbers][0]
    torch.manual_seed(0)
    exact = LSTM(inputs, size, forget_gate=gate, backend="reference", dtype=torch.float64, device=device)
    for parameter in exact.parameters():  # numbers that both types hold
        parameter.data = parameter.data.to(dtype).double()
    ours = LSTM(inputs, size, forget_gate=gate, backend="triton", dtype=dtype, device=device)
    ours.load_state_dict(exact.state_dict())
    make = lambda *shape: torch.randn(shape, device=device).to(dtype).double()  # noqa: E731
    start, ends = [make(1, batch, size) for _ in "hc"], [make(1, batch, size) for _ in "hc"]
    x, weights = make(steps, batch, inputs), (make(steps, batch, size), *ends)
    with products(numbers), forced(way):
        found = everything(ours, (x, *start), weights)
    return trust.error(found, everything(exact, (x, *start), weights))


def checks(shapes: list[tuple[int, int, int, int]], device: str) -> list[Case]:
    """Every gate, type and way."""
    cases: list[Case] = []
    for shape in shapes:
        for numbers, (dtype, _) in NUMBERS.items():
            fits = lstm.way(shape[3], 4, dtype, torch.device(device)) == "whole"
            for way in ("whole", "steps") if fits else ("steps",):
                for gate in GATES if way == "whole" or shape == shapes[0] else GATES[:1]:
                    worst = error(shape, gate, numbers, device, way)
                    cases.append((f"{numbers} {way}", shape, gate, worst))
                    verdict = "" if worst <= ROOM[numbers] else "   TOO LARGE"
                    print(f"  {shape!s:24} {numbers:8} {way:6} {gate:20} {worst:.1e}{verdict}", flush=True)
    return cases


def times(layer: torch.nn.Module, shape: tuple[int, int, int, int], repeats: int) -> dict[str, float]:
    """Milliseconds of forward and backward, and of forward alone."""
    both, alone = timed(layer, shape, repeats)
    return {"ms": both, "forward_ms": alone}


def ways(size: int, dtype: torch.dtype) -> list[tuple[str, str | None, dict[str, int]]]:
    """Name, way and sizes of program of what is timed; the layer's own choice first."""
    found: list[tuple[str, str | None, dict[str, int]]] = [("*", None, {})]
    chosen = lstm.way(size, 4, dtype, torch.device("cuda"))
    if chosen == "whole":
        found += [(f"whole, {w} warps", "whole", {"WARPS": w}) for w in (4, 16)]
        found += [("whole, 16 rows", "whole", {"ROWS": 16}), ("steps", "steps", {})]
    else:
        found += [(f"steps, chunks of {n}", "steps", {"CHUNK": n}) for n in (8, 128)]
    return found


def timings(shapes: Sequence[tuple[int, int, int, int]], repeats: int) -> list[dict[str, Any]]:
    """A table row each: layer, shape, numbers, milliseconds, and ratio to cuDNN."""
    rows: list[dict[str, Any]] = []
    for shape in shapes:
        for numbers, (dtype, _) in NUMBERS.items():
            with products(numbers):
                peer = torch.nn.LSTM(shape[2], shape[3], device="cuda", dtype=dtype)
                base = times(peer, shape, repeats)
                add_row(rows, shape, numbers, "cuDNN, sigmoid", base, base)
                for name, way, sizes in ways(shape[3], dtype):
                    for gate in ("fast", "sigmoid") if way is None else ("fast",):
                        layer = LSTM(shape[2], shape[3], forget_gate=gate, backend="triton", device="cuda", dtype=dtype)
                        add_row(
                            rows,
                            shape,
                            numbers,
                            f"{gate} {name}",
                            measured(layer, shape, repeats, way, sizes),
                            base,
                        )
    return rows


def measured(
    layer: LSTM,
    shape: tuple[int, int, int, int],
    repeats: int,
    way: str | None,
    sizes: dict[str, int],
) -> dict[str, Any]:
    """Times, or what went wrong with one way; the others are still of use."""
    try:
        lstm._KEPT.clear()
        with forced(way, **sizes):
            return times(layer, shape, repeats)
    except Exception as problem:  # such as a program too large for this processor
        return {"problem": f"{type(problem).__name__}: {problem}".splitlines()[0][:200]}


def add_row(
    rows: list[dict[str, Any]], shape: Any, numbers: str, name: str, took: dict[str, Any], base: dict[str, float]
) -> None:
    ratio = {"ratio": took["ms"] / base["ms"]} if "ms" in took else {}
    rows.append({"shape": shape, "numbers": numbers, "layer": name, **took, **ratio})
    told = took.get("problem") or f"{took['ms']:8.2f} ms  {ratio['ratio']:5.2f}   forward {took['forward_ms']:8.2f} ms"
    print(f"  {shape!s:24} {numbers:8} {name:26} {told}", flush=True)


def machine() -> dict[str, Any]:
    """What the figures belong to."""
    import triton

    found: dict[str, Any] = {"torch": torch.__version__, "triton": triton.__version__, "python": sys.version.split()[0]}
    if torch.cuda.is_available():
        found |= {
            "device": torch.cuda.get_device_name(),
            "capability": torch.cuda.get_device_capability(),
            "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version(),
            "shared_memory": launch.shared_memory(torch.device("cuda")),
        }
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="where to write all figures; the folder is made")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="one shape, one check")
    options = parser.parse_args()
    if not launch.installed():
        print("there is no Triton: python -m pip install triton", file=sys.stderr)
        return 2
    on_gpu = torch.cuda.is_available()
    if not on_gpu and not launch.interpreted():
        print("there is no GPU; with TRITON_INTERPRET=1 the checks run on the CPU", file=sys.stderr)
        return 2
    began, told = time.perf_counter(), machine()
    print(told, "\n\nlargest relative error against float64", flush=True)
    checked = checks((CHECKED[:1] if options.quick else CHECKED) if on_gpu else TINY, "cuda" if on_gpu else "cpu")
    rows: list[dict[str, Any]] = []
    if on_gpu:
        print(f"\nforward and backward; ratio to cuDNN [{time.perf_counter() - began:.0f} s so far]", flush=True)
        rows = timings(SHAPES[:1] if options.quick else SHAPES, options.repeats)
    failed = [case for case in checked if not case[3] <= ROOM[case[0].split()[0]]]
    if options.json is not None:
        options.json.parent.mkdir(parents=True, exist_ok=True)
        errors = [dict(zip(("way", "shape", "gate", "error"), case, strict=True)) for case in checked]
        text = json.dumps(
            {"machine": told, "errors": errors, "times": rows, "seconds": time.perf_counter() - began}, indent=1
        )
        options.json.write_text(text + "\n", encoding="utf-8")
    print(f"\n{len(checked) - len(failed)} of {len(checked)} checks passed; {time.perf_counter() - began:.0f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
