"""CPU time of recurrent layers, forward and backward, as a ratio to ``torch.nn.LSTM`` in the same run, on four shapes.

python -m benchmarks.nn_lstm > results/bench_lstm.txt
python -m benchmarks.nn_lstm --threads 2

The same as ``gateflow bench lstm``, and the cost of factors that are computed again instead of kept.
"""

from __future__ import annotations

import argparse
import time

import torch

from gateflow.cli import main as gateflow
from gateflow.nn import LSTM
from gateflow.nn.kernels import native


def seconds(layer: torch.nn.Module, x: torch.Tensor, repeats: int) -> float:
    """The least CPU time of a pass."""
    best = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        layer(x)[0].sum().backward()
        best = min(best, time.process_time() - start)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    options = parser.parse_args()
    gateflow(["bench", "lstm", "--threads", str(options.threads), "--repeats", str(options.repeats)])
    torch.set_num_threads(options.threads)
    batch, length, inputs, hidden = 128, 784, 1, 128
    layer, x = LSTM(inputs, hidden, forget_gate="fast"), torch.randn(length, batch, inputs)
    kept = seconds(layer, x, options.repeats)
    native.MOST_KEPT = 0
    again = seconds(layer, x, options.repeats)
    print(f"\nfactors computed again in place of kept, batch 128, time 784, hidden 128: {again / kept:.2f} of the time")


if __name__ == "__main__":
    main()
