"""The scan of a linear recurrence beside its peers, in one run on one thread: ``python benchmarks/scan.py``.

Each line is the least processor time of a process with one thread, in milliseconds and as a multiple of a copy that
reads and writes as many arrays as the pass: two and one forward, three and two backward. So the numbers mean the same
on a busy machine. Peers: a loop of PyTorch over time, ``torch.associative_scan``, with ``--compiled`` also compiled,
for the shorter sequences only, as it takes minutes; the form by cumulative sums of logarithms, which takes positive
inputs only and loses digits over long times; and JAX's scans where it is installed.

``--threads 2`` prints instead how many times as fast two threads are as one, by the clock, beside the same of a copy
and of multiplications that share no memory; it wants an idle machine. ``--ours`` leaves the peers out.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from gateflow.nn import scan

SHAPES = ((1000, 32, 128), (10000, 8, 64))
"""Time, batch and width."""


def loop(a: Tensor, b: Tensor) -> Tensor:
    state, states = torch.zeros_like(b[0]), []
    for a_t, b_t in zip(a.unbind(0), b.unbind(0), strict=True):
        states.append(state := a_t * state + b_t)
    return torch.stack(states)


def associative(a: Tensor, b: Tensor) -> Tensor:
    from torch._higher_order_ops.associative_scan import associative_scan

    def join(one: Any, two: Any) -> Any:
        return one[0] * two[0], two[0] * one[1] + two[1]

    return associative_scan(join, (a, b), 0, combine_mode="generic")[1]


def log_space(a: Tensor, b: Tensor) -> Tensor:
    sums = a.log().cumsum(0)
    return torch.exp(sums + torch.logcumsumexp(b.log() - sums, 0))


def least(work: Callable[[], Any], repeats: int) -> float:
    """Milliseconds of processor time of this process, which has one thread."""
    work()
    times = []
    for _ in range(repeats):
        start = time.process_time()
        work()
        times.append(time.process_time() - start)
    return 1e3 * min(times)


def ways(a: Tensor, b: Tensor, compiled: bool) -> Iterator[tuple[str, Callable[..., Tensor], tuple[Tensor, ...], bool]]:
    """Name, function, what it takes, and whether it is among the slow."""
    z = torch.logit(a)
    yield "gateflow, a", scan, (a, b), False
    yield "gateflow, log a", lambda x, b: scan(x, b, log=True), (a.log(), b), False
    yield "gateflow, gate sigmoid", lambda x, b: scan(x, b, gate="sigmoid"), (z, b), False
    yield "gateflow, gate hgrn", lambda x, b: scan(x, b, gate="hgrn"), (z, b), False
    yield "gateflow, gate gompertz", lambda x, b: scan(x, b, gate="gompertz"), (z, b), False
    yield "gateflow, gate gla", lambda x, b: scan(x, b, gate="gla"), (z, b), False
    yield "gateflow, gate fast", lambda x, b: scan(x, b, gate="fast"), (torch.asinh(z), b), False
    yield "gateflow, cloglog, a table", lambda x, b: scan(x, b, gate="cloglog"), (z, b), False
    if a.dim() > 1:
        last = tuple(t.movedim(0, -1).contiguous() for t in (z, b))
        yield "gateflow, sigmoid, time last", lambda x, b: scan(x, b, gate="sigmoid", dim=-1), last, False
    short = z.bfloat16(), b.bfloat16()
    yield "gateflow, sigmoid, bfloat16", lambda x, b: scan(x, b, gate="sigmoid"), short, False
    yield "associative_scan", associative, (a, b), True
    if compiled:
        yield "associative_scan, compiled", torch.compile(associative), (a, b), True
    yield "log space", log_space, (a, b), True
    yield "loop", loop, (a, b), True


def with_jax(a: Tensor, b: Tensor, grad: Tensor, repeats: int) -> Iterator[tuple[str, float, float]]:
    """Name, time forward and time of both passes, of JAX's scans."""
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
    try:
        import jax  # type: ignore[import-not-found]
    except ImportError:
        return
    given = [jax.numpy.asarray(t.numpy()) for t in (a, b, grad)]

    def one_by_one(a: Any, b: Any) -> Any:
        def step(h: Any, now: Any) -> Any:
            h = now[0] * h + now[1]
            return h, h

        return jax.lax.scan(step, jax.numpy.zeros_like(b[0]), (a, b))[1]

    def joined(a: Any, b: Any) -> Any:
        return jax.lax.associative_scan(lambda x, y: (x[0] * y[0], y[0] * x[1] + y[1]), (a, b))[1]

    for name, work in (("JAX associative_scan", joined), ("JAX scan", one_by_one)):
        forward, both = jax.jit(work), jax.jit(lambda a, b, g: jax.vjp(work, a, b)[1](g))  # noqa: B023
        times = [
            least(lambda: jax.block_until_ready(forward(*given[:2])), repeats),  # noqa: B023
            least(lambda: jax.block_until_ready(both(*given)), repeats),  # noqa: B023
        ]
        yield name, *times


def scaling(threads: int, repeats: int) -> None:
    """How many times as fast several threads are as one; both by turns, the least of each."""

    def ratio(work: Callable[[], Any]) -> float:
        times: dict[int, float] = {}
        for number in (1, threads):
            torch.set_num_threads(number)
            work()
        for _ in range(repeats):
            for number in (1, threads):
                torch.set_num_threads(number)
                start = time.perf_counter()
                work()
                times[number] = min(times.get(number, float("inf")), time.perf_counter() - start)
        return times[1] / times[threads]

    small = torch.rand(2, 256, 256)
    print(
        f"products of matrices in cache: {threads} threads are {ratio(lambda: small @ small):.2f} times as fast as one"
    )
    for shape in (*SHAPES, (1_000_000,)):
        a, b, grad = torch.sigmoid(torch.randn(shape) + 3), torch.rand(shape) + 0.1, torch.randn(shape)
        out = torch.empty(shape)
        print(f"time, batch, width {shape}: copy {ratio(lambda: torch.add(a, b, out=out)):.2f}")  # noqa: B023
        for name, work, given, slow in ways(a, b, False):
            if slow:
                continue
            with torch.no_grad():
                forward = ratio(lambda: work(*given))  # noqa: B023
            given = tuple(t.detach().requires_grad_() for t in given)
            to = grad.to(given[1].dtype).reshape(given[1].shape)
            both = ratio(lambda: torch.autograd.grad(work(*given), given, to))  # noqa: B023
            print(f"  {name:28} forward {forward:5.2f}   both passes {both:5.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--compiled", action="store_true")
    parser.add_argument("--threads", type=int)
    parser.add_argument("--ours", action="store_true")
    chosen = parser.parse_args()
    repeats = chosen.repeats
    print(f"load average {os.getloadavg()[0]:.1f} at the start, of {os.cpu_count()} processors")
    if chosen.threads:
        scaling(chosen.threads, repeats)
        return
    torch.set_num_threads(1)
    torch.manual_seed(0)
    for shape in SHAPES:
        a, b = torch.sigmoid(torch.randn(shape) + 3), torch.rand(shape) + 0.1
        out, two, grad = torch.empty(shape), torch.empty(shape), torch.randn(shape)
        copy = least(lambda: torch.add(a, b, out=out), repeats)  # noqa: B023
        copy_back = least(lambda: (torch.add(a, b, out=out), two.copy_(grad)), repeats)  # noqa: B023
        print(f"time, batch, width {shape}: copy {copy:.2f} ms, of the arrays of the way back {copy_back:.2f} ms")
        for name, work, given, slow in ways(a, b, chosen.compiled and shape is SHAPES[0]):
            if slow and chosen.ours:
                continue
            few = max(2, repeats // 5) if slow else repeats
            with torch.no_grad():
                forward = least(lambda: work(*given), few)  # noqa: B023
            given = tuple(t.detach().requires_grad_() for t in given)
            try:
                to = grad.to(given[1].dtype).reshape(given[1].shape)
                both = least(lambda: torch.autograd.grad(work(*given), given, to), few)  # noqa: B023
                back = f"{both - forward:8.2f} ms {(both - forward) / copy_back:6.2f}"
            except Exception as lack:
                back = f"none: {type(lack).__name__}"
            print(f"  {name:28} forward {forward:8.2f} ms {forward / copy:6.2f}   backward {back}")
        for name, forward, both in () if chosen.ours else with_jax(a, b, grad, max(2, repeats // 5)):
            numbers = f"forward {forward:8.2f} ms {forward / copy:6.2f}   backward {both - forward:8.2f} ms"
            print(f"  {name:28} {numbers} {(both - forward) / copy_back:6.2f}")


if __name__ == "__main__":
    main()
