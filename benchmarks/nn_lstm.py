"""CPU time of LSTM layers, forward and backward, as a ratio to ``torch.nn.LSTM`` in the same run.

python -m benchmarks.nn_lstm [--threads 1] [--repeats 5]

Ratios are of the least CPU time of some passes that take turns; float32; the layer alone, from its output's sum.
"""

from __future__ import annotations

import argparse
import time
from typing import Any

import torch

from gateflow.nn import LSTM

SHAPES = [(32, 100, 2, 64), (32, 500, 2, 128), (128, 784, 1, 128)]
"""Batch, time, input size, hidden size."""

LAYERS: dict[str, dict[str, Any]] = {
    "sigmoid, plain loop": {"backend": "reference"},
    "fast, plain loop": {"forget_gate": "fast", "backend": "reference"},
    "fast": {"forget_gate": "fast"},
    "softsign": {"forget_gate": "softsign"},
    "erf": {"forget_gate": "erf"},
}


def seconds(layer: torch.nn.Module, x: torch.Tensor) -> float:
    """CPU time of one pass forward and backward."""
    start = time.process_time()
    layer(x)[0].sum().backward()
    return time.process_time() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for batch, length, width, hidden in SHAPES:
        x = torch.randn(length, batch, width)
        layers = {"torch.nn.LSTM": torch.nn.LSTM(width, hidden)}
        layers |= {name: LSTM(width, hidden, **setting) for name, setting in LAYERS.items()}
        best = dict.fromkeys(layers, float("inf"))
        for _ in range(options.repeats + 1):
            for name, layer in layers.items():
                best[name] = min(best[name], seconds(layer, x))
        base = best.pop("torch.nn.LSTM")
        print(f"batch {batch}, time {length}, input {width}, hidden {hidden}: torch.nn.LSTM {1e3 * base:.0f} ms")
        for name, took in best.items():
            print(f"    {name:24}{took / base:6.2f}")


if __name__ == "__main__":
    main()
