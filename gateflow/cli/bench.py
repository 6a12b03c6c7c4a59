"""What training layers cost on this machine: every way to compute them against PyTorch's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from gateflow.cli._options import Json
from gateflow.cli._terminal import Listing, number, pairs, print_json, say, title

if TYPE_CHECKING:
    from gateflow.nn.speed import Report


def run(
    what: Annotated[Literal["lstm"], Parameter(name="WHAT", help="lstm: recurrent layers, forward and backward.")],
    /,
    *,
    shape: Annotated[
        str | None, Parameter(name="--shape", help="Batch, time, inputs and hidden units; without it, four shapes.")
    ] = None,
    threads: Annotated[int, Parameter(name="--threads", help="Threads of every way.")] = 1,
    repeats: Annotated[int, Parameter(name="--repeats", help="The least time of so many passes counts.")] = 3,
    json: Json = False,
) -> None:
    """Time every way to compute a recurrent layer, as a ratio to torch.nn.LSTM in the same run.

    float32, forward and backward, CPU time of all threads and time on the wall. The rows of other cells show what a
    method costs beside the LSTM: the fast gate as much as the sigmoid, the refine gate more.

    Examples
    --------
    $ gateflow bench lstm --shape 8,20,2,16 --repeats 1
    $ gateflow bench lstm --shape 4,10,1,8 --threads 2 --repeats 1 --json
    """
    from gateflow.nn import speed

    shapes = speed.SHAPES if shape is None else (_sizes(shape),)
    reports = [speed.measured(sizes, threads=threads, repeats=repeats) for sizes in shapes]
    if json:
        print_json({"bench": what, "reports": [report.to_json() for report in reports]})
    else:
        _print(reports)


def _sizes(text: str) -> tuple[int, int, int, int]:
    from gateflow.errors import InvalidArgument

    words = text.replace("x", ",").split(",")
    if len(words) != 4 or not all(word.strip().isdecimal() for word in words):
        raise InvalidArgument(f"--shape takes batch,time,inputs,hidden, such as 32,500,2,128; got {text!r}")
    batch, time, inputs, hidden = (int(word) for word in words)
    return batch, time, inputs, hidden


def _print(reports: list[Report]) -> None:
    first = reports[0]
    facts = {
        "processor": first.processor,
        "threads": str(first.threads),
        "PyTorch": first.torch,
        "compiler": first.compiler or "none: there are no compiled kernels",
        "counted": f"least of {first.repeats}, {first.dtype}, forward and backward",
    }
    say(pairs(facts.items()))
    for report in reports:
        batch, time, inputs, hidden = report.shape
        rows = [
            [
                row.what,
                number(1e3 * row.cpu, 4),
                number(1e3 * row.wall, 4),
                f"{row.cpu_ratio:.2f}",
                f"{row.wall_ratio:.2f}",
            ]
            for row in report.rows
        ]
        columns = ("layer", "CPU ms", "wall ms", "CPU ratio", "wall ratio")
        heading = title(f"batch {batch}, time {time}, inputs {inputs}, hidden {hidden}")
        say("", heading, Listing(columns, rows, numeric=columns[1:]))
