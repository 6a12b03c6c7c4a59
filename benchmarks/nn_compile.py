"""What `torch.compile` of a training step with a recurrent layer costs, and what its steps take.

    python -m benchmarks.nn_compile

Seconds are of all processors together, the C++ compiler's too, without PyTorch's cache on disk. A model with a plain
map in the layer's place is compiled first: it bears what the first compilation in a process costs.
"""

from __future__ import annotations

import os
import time

import torch
from torch import Tensor, nn

from gateflow.nn import LSTM

LENGTH, BATCH, INPUTS, HIDDEN = 200, 16, 10, 64


class Model(nn.Module):
    """A recurrent layer, or a pointwise map, and a readout."""

    def __init__(self, recurrent: bool) -> None:
        super().__init__()
        self.layer = LSTM(INPUTS, HIDDEN, 2, forget_gate="fast") if recurrent else nn.Linear(INPUTS, HIDDEN)
        self.readout = nn.Linear(HIDDEN, 3)

    def forward(self, x: Tensor) -> Tensor:
        found = self.layer(x)
        return self.readout(found[0] if isinstance(found, tuple) else found.tanh())


def seconds() -> float:
    """Of this process and its children."""
    return sum(os.times()[:4])


def gradients(run: nn.Module, model: nn.Module, x: Tensor, y: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(nn.functional.cross_entropy(run(x).flatten(0, 1), y), list(model.parameters())))


def main() -> None:
    os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
    torch.set_num_threads(1)
    torch.manual_seed(0)
    x, y = torch.randn(LENGTH, BATCH, INPUTS), torch.randint(3, (LENGTH * BATCH,))
    for recurrent in (False, True):
        model = Model(recurrent)
        eager = gradients(model, model, x, y)  # the layer's own kernels are compiled once and for all
        run, before = torch.compile(model, fullgraph=True), seconds()
        compiled = gradients(run, model, x, y)
        what = "2 layers of LSTM, fast gate" if recurrent else "a pointwise map"
        print(f"{what}: compiled in {seconds() - before:.1f} s")
    off = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(compiled, eager, strict=True))
    least = {"eager": float("inf"), "compiled": float("inf")}
    for _ in range(50):
        for name, made in (("eager", model), ("compiled", run)):
            before = time.process_time()
            gradients(made, model, x, y)
            least[name] = min(least[name], time.process_time() - before)
    ratio = least["compiled"] / least["eager"]
    print(f"T = {LENGTH}: a step takes {ratio:.2f} of the eager one; gradients differ by {off:.1e} of the largest")


if __name__ == "__main__":
    main()
