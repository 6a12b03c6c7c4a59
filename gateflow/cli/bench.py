"""Speed of layers and training steps on this machine, against PyTorch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gateflow.cli._options import Json
from gateflow.cli._terminal import Listing, number, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.nn.speed import SpeedReport


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
    threads: Annotated[int, Parameter(name="--threads", help="Threads of every backend.")] = 1,
    repeats: Annotated[int, Parameter(name="--repeats", help="Passes; the fastest counts.")] = 3,
    json: Json = False,
) -> None:
    """Time every backend of a recurrent layer, or a step of training, as ratios in one run.

    lstm: float32, forward and backward, against torch.nn.LSTM. The rows of other cells show what a method costs beside
    the LSTM: the fast gate as much as the sigmoid, the refine gate more. step: data, loss and optimiser included,
    against the same trainer over the plain loop. CPU time is that of all threads.

    Examples
    --------
    $ gateflow bench lstm --shape 8,20,2,16 --repeats 1
    $ gateflow bench lstm --shape 4,10,1,8 --threads 2 --only native --repeats 1 --json
    $ gateflow bench step --task "adding(horizon=20)" --repeats 1
    """
    from gateflow.errors import InvalidArgument
    from gateflow.nn import speed
    from gateflow.training.speed import STEP, time_step

    if (task if what == "lstm" else shape) is not None:
        raise InvalidArgument(f"bench {what} takes no {'--task' if what == 'lstm' else '--shape'}")
    if what == "step":
        reports = (time_step(name, threads=threads, repeats=repeats) for name in (task or STEP,))
    else:
        shapes = speed.SHAPES if shape is None else (_sizes(shape),)
        reports = (speed.time_layers(sizes, threads=threads, repeats=repeats, only=only) for sizes in shapes)
    if json:
        print_json({"bench": what, "reports": [report.to_json() for report in reports]})
        return
    for place, report in enumerate(reports):
        if place == 0:
            _print_facts(report)
        _print(report)


def _sizes(text: str) -> tuple[int, int, int, int]:
    from gateflow.errors import InvalidArgument

    words = text.replace("x", ",").split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise InvalidArgument(f"--shape takes batch,time,inputs,hidden, such as 32,500,2,128; got {text!r}")
    batch, time, inputs, hidden = (int(word) for word in words)
    return batch, time, inputs, hidden


def _print_facts(report: SpeedReport) -> None:
    facts = {
        "processor": report.processor,
        "threads": str(report.threads),
        "PyTorch": report.torch,
        "compiler": report.compiler or "none: there are no compiled kernels",
        "counted": report.counted,
    }
    say(pairs(facts.items()))


def _print(report: SpeedReport) -> None:
    rows = [
        [row.what, number(1e3 * row.cpu, 4), number(1e3 * row.wall, 4), f"{row.cpu_ratio:.2f}", f"{row.wall_ratio:.2f}"]
        for row in report.rows
    ]
    columns = ("way", "CPU ms", "wall ms", "CPU ratio", "wall ratio")
    say("", title(report.of), Listing(columns, rows, numeric=columns[1:]))
