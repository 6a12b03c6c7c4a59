"""What a step of training costs, and how much memory it takes: one method, measured in a process of its own.

A step is forward, backward and update on one batch that is made beforehand. Its time is the least of several, and its
ratio is to ``torch.nn.LSTM`` of the same sizes, whose steps take turns with it. Memory is how far the resident set
grows at its highest over what it was before the step (Linux; on CUDA what PyTorch's allocator counts), after a step
with a single row has loaded whatever is loaded once. On the CPU numbers below the smallest normal float are flushed to
0: gradients vanish over a few hundred steps of an untrained network, and a processor takes ten times as long for such.
"""

from __future__ import annotations

import math
import multiprocessing
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gateflow.errors import GateflowError
from gateflow.progress import silence
from gateflow.runs import signals

STATUS, PEAK = Path("/proc/self/status"), Path("/proc/self/clear_refs")


def cost(
    settings: Mapping[str, Any],
    *,
    out: str | Path,
    data_dir: str | Path | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Any:
    """Measure one method, or return what was measured before; a :class:`gateflow.training.result.Result`.

    Parameters
    ----------
    settings : mapping
        As of a training run; ``steps`` says of how many steps the least counts.
    out, data_dir, stop
        As in :func:`gateflow.training.loop`.
    """
    from gateflow.training.folder import RunFolder
    from gateflow.training.loop import settle
    from gateflow.training.result import Result

    made, _ = settle(dict(settings), {}, data_dir)
    with RunFolder.open(Path(out), made, restart=False) as place:
        if (done := place.result()) is not None:
            return Result(made, **done)
        if stop():
            return Result(made, "interrupted", 0, 0, None, {}, {}, 0.0)
        start = time.monotonic()
        found = _elsewhere(made.as_dict(), data_dir, stop)
        if found is None:
            return Result(made, "interrupted", 0, 0, None, {}, {}, 0.0)
        result = Result(made, "finished", made.steps, 0, None, {}, found, time.monotonic() - start)
        place.end(result, {}, {})
    return result


def _elsewhere(
    settings: dict[str, Any], data_dir: str | Path | None, stop: Callable[[], bool]
) -> dict[str, float] | None:
    """Measure in a fresh process, for freed memory would be used again and not be seen; None if it was stopped."""
    signals.spare_helpers()
    context = multiprocessing.get_context("spawn")
    reader, writer = context.Pipe(duplex=False)
    process = context.Process(target=_tell, args=(writer, settings, data_dir), daemon=True)
    process.start()
    writer.close()
    try:
        while not reader.poll(0.2):
            if stop():
                return None
        return reader.recv()
    except EOFError:
        raise GateflowError("the process that measured was lost, perhaps for want of memory") from None
    finally:
        process.terminate()  # it has answered, or it is to stop
        process.join()
        reader.close()


def _tell(writer: Any, settings: dict[str, Any], data_dir: str | Path | None) -> None:
    signals.leave_to_parent()

    import torch

    torch.set_flush_denormal(True)
    writer.send(measured(settings, data_dir))
    writer.close()


def measured(settings: Mapping[str, Any], data_dir: str | Path | None = None) -> dict[str, float]:
    """Milliseconds of a step, on the processor and on the wall, with their ratios; MiB at the peak; weights.

    Examples
    --------
    >>> found = measured({"task": "adding(horizon=10)", "hidden": 4, "batch": 4, "steps": 2, "device": "cpu"})
    >>> sorted(found)
    ['MiB', 'cpu_ms', 'cpu_ratio', 'wall_ms', 'wall_ratio', 'weights']
    """
    import torch

    from gateflow.nn.speed import least_times
    from gateflow.training.folder import RunMemory
    from gateflow.training.loop import Trainer, global_state, settle
    from gateflow.training.timescales import few

    made, task = settle(dict(settings), {}, data_dir)
    with global_state(made):
        trainer = Trainer(made, task, RunMemory(), math.inf)
        batch = trainer.batch("train", 0)
        cuda = trainer.device.type == "cuda"
        trainer.batch = lambda *_: few(batch, 1)  # type: ignore[method-assign]
        trainer.descend()
        trainer.batch = lambda *_: batch  # type: ignore[method-assign]
        memory = _peak(trainer.descend, torch if cuda else None)
        steps = {"own": trainer.descend, "plain": _plain_step(made, task, batch)}
        with silence():
            best = least_times(steps, made.steps, torch.cuda.synchronize if cuda else lambda: None)
    (cpu, wall), (plain_cpu, plain_wall) = best.values()
    return {
        "cpu_ratio": cpu / plain_cpu,
        "wall_ratio": wall / plain_wall,
        "cpu_ms": 1e3 * cpu,
        "wall_ms": 1e3 * wall,
        "MiB": memory / 2**20,
        "weights": float(sum(each.numel() for each in trainer.network.parameters())),
    }


def _peak(step: Callable[[], Any], torch: Any) -> float:
    """Bytes by which memory grows in a step at its highest; nan where the system does not say."""
    if torch is not None:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        step()
        torch.cuda.synchronize()
        return float(torch.cuda.max_memory_allocated() - before)
    try:
        PEAK.write_text("5")
        before = _kib("VmRSS")
        step()
        return 1024.0 * (_kib("VmHWM") - before)
    except OSError:
        return math.nan


def _kib(name: str) -> int:
    line = next(line for line in STATUS.read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1])


def _plain_step(settings: Any, task: Any, batch: Any) -> Callable[[], Any]:
    """A step of ``torch.nn.LSTM`` with a linear layer behind it, by the same optimiser."""
    import torch

    from gateflow.training.optimizers import make_optimizer

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = torch.nn.LSTM(task.input_size, settings.hidden, settings.layers, batch_first=True)
            self.head = torch.nn.Linear(settings.hidden, task.output_size)

        def forward(self, inputs: Any) -> Any:
            outputs, _ = self.layer(inputs)
            return self.head(outputs if task.every_step else outputs[:, -1])

    network = Plain().to(batch.inputs.device, batch.inputs.dtype)
    optimizer: Any = make_optimizer(settings, network)  # type: ignore[arg-type]

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        task.loss(network(batch.inputs), batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), settings.clip or math.inf)
        optimizer.step()

    return step
