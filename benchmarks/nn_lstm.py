"""CPU time of recurrent layers, forward and backward, as a ratio to ``torch.nn.LSTM`` in the same run, on four shapes.

python -m benchmarks.nn_lstm > results/bench_lstm.txt
python -m benchmarks.nn_lstm --scaling > results/bench_threads.txt
python -m benchmarks.nn_lstm --wait > results/bench_wait.txt
python -m benchmarks.nn_lstm --small > results/bench_small.txt
python -m benchmarks.nn_lstm --inference > results/bench_inference.txt
python -m benchmarks.nn_lstm --phases > results/bench_phases.txt
python -m benchmarks.nn_lstm --bfloat16 > results/bench_bfloat16.txt
python -m benchmarks.nn_lstm --share > results/bench_share.txt

The first is ``gateflow bench lstm`` and the cost of factors that are computed again instead of kept. The second is how
many times as fast two threads are as one, on the wall, beside ``torch.nn.LSTM``, multiply-adds in registers, which
share nothing, and copies of as many numbers as a pass keeps, which share the memory.
The third has a loss of the last output only: its gradient fades on the way back, to numbers below the smallest normal
one, with which processors are slow.
The fourth is what a step of a small layer costs, where calls weigh more than products.
The fifth is inference of one sequence, beside ``torch.nn.LSTM`` and onnxruntime (extra ``onnx``), each with one thread.
The sixth says in which part of a pass the time beyond the products is: forward without and with what the backward pass
needs, and backward, each over as many multiply-adds in registers as its products have.
The seventh allows products of bfloat16 by PyTorch's switch: the time over that without, and errors against float64 of
the output and of the gradients of the recurrent weights, relative to their norms, where the loss is the sum of the
squares of all outputs; with the fast gate and of ``torch.nn.LSTM``. It needs a processor that multiplies bfloat16.
The eighth is the share of a whole training step's CPU time, data, loss and optimiser included, that is spent in the
compiled passes of the layer.
"""

from __future__ import annotations

import argparse
import copy
import math
import time
from collections.abc import Callable
from typing import Any

import torch

from gateflow.cli import main as gateflow
from gateflow.nn import LSTM, speed
from gateflow.nn.kernels import native
from gateflow.training.folder import RunMemory
from gateflow.training.loop import Trainer, settle

FACTORS = 6
"""Numbers that the forward pass of an LSTM keeps of each unit and step."""


def seconds(clock: Callable[[], float], run: Callable[[], Any], repeats: int) -> float:
    """The least time of a pass."""
    best = float("inf")
    for _ in range(repeats):
        start = clock()
        run()
        best = min(best, clock() - start)
    return best


def passes(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    return lambda: layer(x)[0].sum().backward()


def scaling(shape: tuple[int, int, int, int], repeats: int) -> dict[str, float]:
    """Time on the wall of one thread over that of two; one and two take turns."""
    batch, length, inputs, hidden = shape
    x, made = torch.randn(length, batch, inputs), speed.multiply_adds(shape)
    layers = {"native, fast": LSTM(inputs, hidden, forget_gate="fast"), speed.BASELINE: torch.nn.LSTM(inputs, hidden)}
    here, there = torch.zeros(2, batch * length * hidden * FACTORS)
    best: dict[tuple[str, int], float] = {}
    for turn in range(repeats + 1):
        for threads in (1, 2):
            torch.set_num_threads(threads)
            ways = {name: passes(layer, x) for name, layer in layers.items()}
            ways |= {"multiply-adds": speed.peak(made, threads), "copies": lambda: there.copy_(here)}
            for name, run in ways.items():
                time.sleep(0.05)  # OpenMP's threads spin for a while after the work before
                took = seconds(time.perf_counter, run, 1)
                if turn:
                    best[name, threads] = min(took, best.get((name, threads), took))
    return {name: best[name, 1] / best[name, 2] for name, threads in best if threads == 1}


def wait(length: int, repeats: int) -> tuple[float, float]:
    """CPU time of a loss of the last output, over that of a loss of all outputs: with the fast gate, and nn.LSTM."""
    x = torch.randn(length, 32, 2)

    def slower(layer: torch.nn.Module) -> float:
        last = seconds(time.process_time, lambda: layer(x)[0][-1].sum().backward(), repeats)
        return last / seconds(time.process_time, passes(layer, x), repeats)

    return slower(LSTM(2, 64, forget_gate="fast")), slower(torch.nn.LSTM(2, 64))


SMALL = ((4, 10, 3, 8),)
"""Batch, time, inputs, hidden units."""


def small(shape: tuple[int, int, int, int], repeats: int, count: int = 50) -> dict[str, float]:
    """CPU time over that of ``torch.nn.LSTM``, the least of blocks of passes that take turns: with the fast gate."""
    batch, length, inputs, hidden = shape
    x, found = torch.randn(length, batch, inputs), {}
    for name in ("forward", "forward and backward", "a step of Adam"):
        best = [float("inf")] * 2
        runs = []
        for layer in (LSTM(inputs, hidden, forget_gate="fast"), torch.nn.LSTM(inputs, hidden)):
            readout = torch.nn.Linear(hidden, 1)
            optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()])

            def step(layer: Any = layer, readout: Any = readout, optimizer: Any = optimizer, what: str = name) -> None:
                output = layer(x)[0][-1]
                if what != "forward":
                    readout(output).square().mean().backward()
                if what == "a step of Adam":
                    optimizer.step()
                    optimizer.zero_grad()

            runs.append(step)
        for _ in range(repeats):
            for n, run in enumerate(runs):
                start = time.process_time()
                for _ in range(count):
                    run()
                best[n] = min(best[n], time.process_time() - start)
        found[name] = best[0] / best[1]
    return found


STEPS = ("adding(horizon=200)", "adding(horizon=1000)")

INFERENCE = ((1, 1, 10, 128), (1, 100, 10, 128), (1, 100, 200, 512))
"""Batch, time, inputs, hidden units: a step of a stream, and whole sequences."""


def in_onnxruntime(layer: torch.nn.Module, x: torch.Tensor) -> Callable[[], Any]:
    """The layer's output of x by onnxruntime."""
    import onnxruntime

    program = torch.onnx.export(layer.eval(), (x,), dynamo=True, verbose=False)
    assert program is not None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString(), options)
    given = {session.get_inputs()[0].name: x.numpy()}
    found = torch.as_tensor(session.run(None, given)[0])
    with torch.no_grad():
        torch.testing.assert_close(found, layer(x)[0], rtol=1e-4, atol=1e-5)
    return lambda: session.run(None, given)


def inference(shape: tuple[int, int, int, int], repeats: int) -> dict[str, float]:
    """CPU seconds of one call without gradients, the least of blocks of calls that take turns."""
    batch, length, inputs, hidden = shape
    x = torch.randn(length, batch, inputs)
    layers = {
        speed.BASELINE: torch.nn.LSTM(inputs, hidden),
        "native, sigmoid": LSTM(inputs, hidden),
        "native, fast": LSTM(inputs, hidden, forget_gate="fast"),
    }
    runs: dict[str, Callable[[], Any]] = {name: lambda layer=layer: layer(x) for name, layer in layers.items()}
    runs["onnxruntime, torch.nn.LSTM"] = in_onnxruntime(layers[speed.BASELINE], x)
    runs["onnxruntime, fast"] = in_onnxruntime(layers["native, fast"], x)
    count = max(1, 2000 // length // (1 + hidden // 256))
    best: dict[str, float] = {}
    with torch.inference_mode():
        for _ in range(repeats):
            for name, run in runs.items():
                run()
                start = time.process_time()
                for _ in range(count):
                    run()
                took = (time.process_time() - start) / count
                best[name] = min(took, best.get(name, took))
    return best


def phases(shape: tuple[int, int, int, int], repeats: int) -> dict[str, float]:
    """CPU time of each part of a pass over that of its products' multiply-adds in registers; parts take turns."""
    batch, length, inputs, hidden = shape
    layer, x = LSTM(inputs, hidden, forget_gate="fast"), torch.randn(length, batch, inputs)
    forward = batch * length * 4 * hidden * (hidden + inputs)
    of_state = batch * length * 4 * hidden * hidden
    peaks = {"forward": speed.peak(forward, 1), "backward": speed.peak(forward + of_state, 1)}
    best: dict[str, float] = {}

    def took(name: str, run: Callable[[], Any]) -> Any:
        start = time.process_time()
        found = run()
        best[name] = min(time.process_time() - start, best.get(name, float("inf")))
        return found

    for _ in range(repeats + 1):
        for name, run in peaks.items():
            took(f"peak of {name}", run)
        with torch.no_grad():
            took("forward alone", lambda: layer(x))
        output = took("forward", lambda: layer(x))[0]
        gradient = torch.ones_like(output)
        took("backward", lambda output=output, gradient=gradient: output.backward(gradient))
    whole = best["peak of forward"] + best["peak of backward"]
    return {
        "forward alone": best["forward alone"] / best["peak of forward"],
        "forward": best["forward"] / best["peak of forward"],
        "backward": best["backward"] / best["peak of backward"],
        "both": (best["forward"] + best["backward"]) / whole,
    }


def products_of_bfloat16(shape: tuple[int, int, int, int], repeats: int) -> dict[str, tuple[float, ...]]:
    """CPU time over that of products of float32, passes taking turns; and errors of both, of output and gradient."""
    batch, length, inputs, hidden = shape
    x = torch.randn(length, batch, inputs)
    found: dict[str, tuple[float, ...]] = {}
    layers = {"native, fast": LSTM(inputs, hidden, forget_gate="fast"), speed.BASELINE: torch.nn.LSTM(inputs, hidden)}
    for name, layer in layers.items():

        def run(layer: Any = layer, x: torch.Tensor = x) -> tuple[torch.Tensor, torch.Tensor]:
            output = layer(x)[0]
            return output.detach(), torch.autograd.grad(output.square().sum(), layer.weight_hh_l0)[0]

        exact = run(copy.deepcopy(layer).double(), x.double())
        errors = [
            float((one - right).norm() / right.norm())
            for way in (run, speed.shortened(run))
            for one, right in zip(way(), exact, strict=True)
        ]
        step = passes(layer, x)
        best = speed.least_times({"float32": step, "bfloat16": speed.shortened(step)}, repeats)
        found[name] = (best["bfloat16"][0] / best["float32"][0], *errors)
    return found


def share_of_kernels(task: str, repeats: int) -> float:
    """Of the CPU time of training steps, the part within compiled passes, forward and backward."""
    settings, made = settle(task, {"threads": 1, "device": "cpu"})
    trainer = Trainer(settings, made, RunMemory(), math.inf)
    inside = 0.0

    def timed(run: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*given: Any) -> Any:
            nonlocal inside
            start = time.process_time()
            found = run(*given)
            inside += time.process_time() - start
            return found

        return wrapper

    trainer.descend()
    kept = native.forward, native.backward
    native.forward, native.backward = map(timed, kept)
    start = time.process_time()
    try:
        for _ in range(repeats):
            trainer.descend()
    finally:
        native.forward, native.backward = kept
    return inside / (time.process_time() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", default="")
    parser.add_argument("--scaling", action="store_true")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--inference", action="store_true")
    parser.add_argument("--phases", action="store_true")
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--share", action="store_true")
    options = parser.parse_args()
    if options.scaling:
        for shape in speed.SHAPES:
            told = ", ".join(f"{name} {times:.2f}" for name, times in scaling(shape, options.repeats).items())
            print(f"{shape}: two threads are as fast as one, times: {told}", flush=True)
        return
    if options.small:
        torch.set_num_threads(1)
        for shape in SMALL:
            told = ", ".join(f"{name} {ratio:.2f}" for name, ratio in small(shape, options.repeats).items())
            print(f"{shape}: CPU time of the fast gate over {speed.BASELINE}, the least of {options.repeats}: {told}")
        return
    if options.inference:
        torch.set_num_threads(1)
        for shape in INFERENCE:
            found = inference(shape, options.repeats)
            print(f"{shape}: CPU time of a call, the least of {options.repeats}, and over {speed.BASELINE}")
            for name, took in found.items():
                print(f"  {name:27} {1e6 * took:9.1f} us {took / found[speed.BASELINE]:6.2f}", flush=True)
        return
    if options.phases:
        torch.set_num_threads(1)
        for shape in speed.SHAPES:
            told = ", ".join(f"{name} {times:.2f}" for name, times in phases(shape, options.repeats).items())
            print(f"{shape}: CPU time over that of the products at the core's peak: {told}", flush=True)
        return
    if options.share:
        torch.set_num_threads(1)
        for task in STEPS:
            share = share_of_kernels(task, 4 * options.repeats)
            print(f"{task}: {share:.0%} of the CPU time of a training step is in compiled passes", flush=True)
        return
    if options.bfloat16:
        torch.set_num_threads(1)
        torch.manual_seed(0)
        if not native.has_short():
            raise SystemExit("this processor has no instructions that multiply bfloat16")
        for shape in speed.SHAPES:
            print(f"{shape}: where products of bfloat16 are allowed, the least of {options.repeats}")
            for name, (ratio, *errors) in products_of_bfloat16(shape, options.repeats).items():
                output, weight, of_output, of_weight = errors
                print(
                    f"  {name:14} {ratio:.2f} of the CPU time; error of the output {of_output:.1e} ({output:.1e} in "
                    f"float32), of the gradient {of_weight:.1e} ({weight:.1e})",
                    flush=True,
                )
        return
    if options.wait:
        torch.set_num_threads(1)
        for length in (200, 1000):
            ours, theirs = wait(length, options.repeats)
            told = f"times: native, fast {ours:.2f}, {speed.BASELINE} {theirs:.2f}"
            print(
                f"(32, {length}, 2, 64): a loss of the last output takes as long as one of all, {told}",
                flush=True,
            )
        return
    gateflow(["bench", "lstm", "--repeats", str(options.repeats), "--only", options.only])
    batch, length, inputs, hidden = 128, 784, 1, 128
    run = passes(LSTM(inputs, hidden, forget_gate="fast"), torch.randn(length, batch, inputs))
    torch.set_num_threads(1)
    kept = seconds(time.process_time, run, options.repeats)
    native.MOST_KEPT = 0
    again = seconds(time.process_time, run, options.repeats)
    print(f"\nfactors computed again in place of kept, batch 128, time 784, hidden 128: {again / kept:.2f} of the time")


if __name__ == "__main__":
    main()
