"""Tables of gates in compiled kernels: how far they are off over the float range, and what they cost beside before.

python -m benchmarks.nn_tables [--floats 200000] > results/nn_tables.txt
python -m benchmarks.nn_tables --against FOLDER      a checkout of another commit, in turns: ratio of CPU times

The first reads value, complement and slope of float32 from passes of a layer, at floats of every size, at the ends of
octaves and at random ones where gates move, against the gate in float64; in ulps of float32, of the one that subnormal
numbers have below the smallest normal one. Big floats check fewer points: tests/nn/kernels/test_tables.py.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gateflow.gates.gate import GATES
from gateflow.gates.gate import gate as named_gate
from gateflow.nn.functional import gate_function
from tests.nn.formulas import generated
from tests.nn.kernels import through

WORKER = """
import sys, time, torch
torch.set_num_threads(1)
from gateflow.nn import GRU, LSTM
x = torch.randn(100, 32, 2)
gates = {"sigmoid": ("sigmoid",) * 3, "fast": ("fast", "sigmoid", "sigmoid"), "fast thrice": ("fast",) * 3,
         "softsign thrice": ("softsign",) * 3, "hard thrice": ("hard-sigmoid",) * 3}
words = ("forget_gate", "input_gate", "output_gate")
layers = {name: LSTM(2, 128, **dict(zip(words, of))) for name, of in gates.items()}
layers["fast, tied"] = LSTM(2, 128, forget_gate="fast", tied=True)
layers["GRU, fast"] = GRU(2, 128, update_gate="fast")
for layer in layers.values():
    layer(x)[0].sum().backward()
print(",".join(f"{name}" for name in layers).replace(", ", " "), flush=True)
for line in sys.stdin:
    layer, best = list(layers.values())[int(line)], float("inf")
    for _ in range(8):
        start = time.process_time()
        layer(x)[0].sum().backward()
        best = min(best, time.process_time() - start)
    print(best, flush=True)
"""


def floats(count: int) -> np.ndarray:
    """Of both signs: of every size, ends of octaves, and random ones from 2^-15 to 2^8."""
    every = np.linspace(0, 0x7F7FFFFF, count // 4).astype(np.int64)
    ends = (np.arange(1, 255)[:, None] << 23) + np.arange(-2, 3)
    moving = np.random.default_rng(0).integers(0x38000000, 0x43800000, count // 4)
    z = np.unique(np.concatenate([every, ends.ravel(), moving])).astype(np.int32).view(np.float32)
    return np.concatenate([z, -z])


def off(name: str, z: np.ndarray) -> str:
    """The largest error of value, complement and slope of a gate, and where."""
    found, function, told = through.numbers(name, z, "native"), gate_function(name), []
    for what, scale in (("phi", 1.0), ("phi_c", 1.0), ("dphi", through.LARGE)):
        true = function.evaluate(torch.from_numpy(z).double(), what).numpy()
        ulp = 2.0 ** (np.floor(np.log2(np.maximum(np.abs(true), 2.0**-126))) - 23)
        error = np.nan_to_num(np.abs(found[what].astype(np.float64) / scale - true) / ulp, nan=np.inf)
        told.append(f"{error.max():.2f} at {z[error.argmax()]:.6g}")
    return "  ".join(f"{text:>20}" for text in told)


def started(folder: Path) -> tuple[subprocess.Popen[str], list[str]]:
    environment = {**os.environ, "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}
    command: list[Any] = [sys.executable, "-c", WORKER]
    worker = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder, env=environment
    )
    assert worker.stdout is not None
    return worker, worker.stdout.readline().strip().split(",")


def ratios(folder: Path, repeats: int) -> None:
    """Print CPU times of a pass forward and backward, of here and there in turns, and their ratio."""
    (here, names), (there, _) = started(Path.cwd()), started(folder)
    best: dict[tuple[int, int], float] = {}
    for _ in range(repeats):
        for n in range(len(names)):
            for k, worker in enumerate((here, there)):
                assert worker.stdin is not None
                assert worker.stdout is not None
                print(n, file=worker.stdin, flush=True)
                best[n, k] = min(best.get((n, k), np.inf), float(worker.stdout.readline()))
    print(f"CPU ms of a pass, batch 32, time 100, hidden 128, one thread, least of {8 * repeats}: here, there, ratio")
    for n, name in enumerate(names):
        print(f"{name:20} {1e3 * best[n, 0]:6.2f} {1e3 * best[n, 1]:6.2f} {best[n, 0] / best[n, 1]:6.3f}")
    for worker in (here, there):
        worker.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--floats", type=int, default=200_000)
    parser.add_argument("--formulas", type=int, default=200)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--repeats", type=int, default=10)
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.against:
        ratios(options.against, options.repeats)
        return
    z = floats(options.floats)
    print(f"{len(z)} floats; largest errors in ulps of value, complement, slope")
    refused = 0
    for name in (*GATES, *map(generated, range(options.formulas))):
        kinks = np.array(named_gate(name).kinks, np.float32)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("error", RuntimeWarning)  # of a formula that no table follows
                print(f"{name[:60]:60} {off(name, np.setdiff1d(z, kinks))}", flush=True)
        except RuntimeWarning as reason:
            refused += 1
            print(f"{name[:60]:60} {reason}", flush=True)
    print(f"{refused} formulas have no table and take another backend")


if __name__ == "__main__":
    main()
