"""Speed of layers and training steps on this machine, against PyTorch's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import Force, Json, read_file
from gateflow.cli._terminal import Listing, as_text, number, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.nn.gpu_speed import DeviceReport
    from gateflow.nn.speed import SpeedReport

PASSES = {"cpu": 3, "cuda": 9}


def run(
    what: Annotated[
        Literal["lstm", "step"],
        Parameter(name="WHAT", help="lstm: recurrent layers, forward and backward. step: a whole step of training."),
    ],
    /,
    *,
    shape: Annotated[
        str | None, Parameter(name="--shape", help="lstm: batch, time, inputs, hidden units; without it, four shapes.")
    ] = None,
    task: Annotated[
        str | None, Parameter(name="--task", help="step: the task; without it, adding(horizon=1000).")
    ] = None,
    only: Annotated[
        str, Parameter(name="--only", help="lstm: besides the baselines, rows with this in their name.")
    ] = "",
    gate: Annotated[
        str | None, Parameter(name="--gate", help="lstm, on a CPU: the forget gate of a row in place of the arctan's.")
    ] = None,
    threads: Annotated[int, Parameter(name="--threads", help="Threads of every backend.")] = 1,
    repeats: Annotated[
        int | None, Parameter(name="--repeats", help="Passes; by default 3, of which the fastest counts; on a GPU 9.")
    ] = None,
    device: Annotated[
        Literal["cpu", "cuda"], Parameter(name="--device", help="lstm: where; cuda is a GPU of NVIDIA's.")
    ] = "cpu",
    report: Annotated[
        Path | None,
        Parameter(
            name="--report",
            converter=read_file,
            help="Write tables and numbers, and what they were measured on, as JSON.",
        ),
    ] = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Time every backend of a recurrent layer, or a step of training, as ratios in one run.

    lstm on a CPU: float32, forward and backward, against torch.nn.LSTM. The rows of other cells show what a method
    costs beside the LSTM: the fast gate as much as the sigmoid, the refine gate more. step: data, loss and optimiser
    included, against the same trainer over the plain loop. CPU time is that of all threads.

    lstm on a GPU (--device cuda): bfloat16, TF32 and float32, against torch.nn.LSTM, which is cuDNN there: medians by
    the device's clock, and the largest error of outputs and gradients against float64, relative to the norm of each.

    Examples
    --------
    $ gateflow bench lstm --shape 8,20,2,16 --repeats 1
    $ gateflow bench lstm --shape 8,20,2,16 --repeats 1 --only "LSTM, " --gate "sigmoid(z + z**3/10)"
    $ gateflow bench lstm --shape 4,10,1,8 --threads 2 --only native --repeats 1 --json
    $ gateflow bench lstm --shape 4,10,1,8 --repeats 1 --only none --report lstm.json
    $ gateflow bench step --task "adding(horizon=20)" --repeats 1
    """
    from gateflow.errors import InvalidArgument
    from gateflow.files import Output, from_json, is_sealed

    if what == "step":
        given = {"--shape": shape, "--gate": gate, "--device": None if device == "cpu" else device}
    else:
        given = {"--task": task} | ({} if device == "cpu" else {"--gate": gate})
    for name, value in given.items():
        if value is not None:
            where = " --device cuda" if name == "--gate" and what == "lstm" else ""
            raise InvalidArgument(f"bench {what}{where} takes no {name}")
    to = None
    if report is not None:
        to = Output(report, force=force, ours=lambda data: is_sealed(from_json(data)), what="report", early=True)
    reports, shown = [], []
    passes = PASSES[device] if repeats is None else repeats
    for found in _reports(what, shape, task, only, gate, threads, passes, device):
        parts = [*([] if reports else [_facts(found)]), *_table(found)]
        reports.append(found.to_json())
        shown += parts
        if not json:
            say(*parts)
    if json:
        print_json({"bench": what, "reports": reports})
    if to is not None:
        from gateflow import record

        facts = {"bench": what, "command": record.command_line(), "commit": record.git_commit(), "reports": reports}
        to.write(record.to_json(record.sealed({**facts, "table": as_text(*shown).splitlines()})))


def _reports(
    what: str,
    shape: str | None,
    task: str | None,
    only: str,
    gate: str | None,
    threads: int,
    repeats: int,
    device: str,
) -> Iterator[SpeedReport | DeviceReport]:
    from gateflow.nn import gpu_speed, speed
    from gateflow.training.speed import STEP, time_step

    if what == "step":
        yield time_step(task or STEP, threads=threads, repeats=repeats)
        return
    if device == "cuda":
        gpu_speed.check_device()
    for sizes in (_sizes(shape),) if shape is not None else gpu_speed.SHAPES if device == "cuda" else speed.SHAPES:
        if device == "cuda":
            yield gpu_speed.time_on_gpu(sizes, repeats=repeats, only=only)
        else:
            gates = (*speed.CATALOGUED, gate or speed.USER_FORMULA)
            yield speed.time_layers(sizes, threads=threads, repeats=repeats, gates=gates, only=only)


def _sizes(text: str) -> tuple[int, int, int, int]:
    from gateflow.errors import InvalidArgument

    words = text.replace("x", ",").split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise InvalidArgument(f"--shape takes batch,time,inputs,hidden, such as 32,500,2,128; got {text!r}")
    batch, time, inputs, hidden = (int(word) for word in words)
    return batch, time, inputs, hidden


def _facts(report: SpeedReport | DeviceReport) -> Any:
    from gateflow.nn.speed import SpeedReport

    if not isinstance(report, SpeedReport):
        return pairs({"device": report.device, **report.versions, "counted": f"median of {report.repeats}"}.items())
    facts = {
        "processor": report.processor,
        "threads": str(report.threads),
        "PyTorch": report.torch,
        "compiler": report.compiler or "none: there are no compiled kernels",
        "counted": report.counted,
    }
    return pairs(facts.items())


def _table(report: SpeedReport | DeviceReport) -> list[Any]:
    from gateflow.nn.speed import SpeedReport

    if not isinstance(report, SpeedReport):
        return _table_of_device(report)
    rows = [
        [row.what, number(1e3 * row.cpu, 4), number(1e3 * row.wall, 4), f"{row.cpu_ratio:.2f}", f"{row.wall_ratio:.2f}"]
        for row in report.rows
    ]
    columns = ("way", "CPU ms", "wall ms", "CPU ratio", "wall ratio")
    return ["", title(report.of), Listing(columns, rows, numeric=columns[1:])]


def _table_of_device(report: DeviceReport) -> list[Any]:
    rows = [
        [
            row.numbers,
            " ".join(filter(None, (row.what, f"({row.way})" if row.way else ""))),
            *(_or_blank(row.ms, 4), _or_blank(row.forward_ms, 4), _or_blank(row.ratio, 3), _or_blank(row.error, 2)),
            row.problem or "",
        ]
        for row in report.rows
    ]
    columns = ["numbers", "layer", "ms", "forward ms", "ratio", "error", "problem"]
    if not any(row[-1] for row in rows):
        columns, rows = columns[:-1], [row[:-1] for row in rows]
    return ["", title(report.of), Listing(columns, rows, numeric=columns[2:6])]


def _or_blank(value: float | None, digits: int) -> str:
    return "" if value is None else number(value, digits)
