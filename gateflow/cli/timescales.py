"""The time constants of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from gateflow.cli._options import Csv, DataDir, Figure, Force, Json, picture_file, switch
from gateflow.cli._terminal import Listing, number, print_json, say

if TYPE_CHECKING:
    from gateflow.training.timescales import RunTimescales

Folder = Annotated[Path, Parameter(name="DIR", help="The folder of a run.")]
Split = Annotated[Literal["train", "valid", "test"], Parameter(name="--split", help="Which data run through it.")]
Rows = Annotated[int, Parameter(name="--rows", help="How many sequences.")]
Units = Annotated[bool, switch("--units", "A line for each unit, not for each layer.")]

SHARES = {"least": 0.0, "10 %": 0.1, "median": 0.5, "90 %": 0.9, "greatest": 1.0}


def run(
    folder: Folder,
    /,
    *,
    split: Split = "valid",
    rows: Rows = 32,
    units: Units = False,
    figure: Figure = None,
    csv: Csv = None,
    force: Force = False,
    data_dir: DataDir = None,
    json: Json = False,
) -> None:
    """Show the time constants of a trained network's units, and what they were at the start.

    A unit's time constant is -1/mean(log f) in steps, f being its forget gate over the sequences that run through the
    network. The start is computed again from the seed. The figure shows also how they changed during training.

    Examples
    --------
    $ gateflow train adding --horizon 10 --hidden 8 --steps 20 --out runs/one
    $ gateflow timescales runs/one
    $ gateflow timescales runs/one --split test --figure timescales.svg --csv units.csv --json
    """
    from gateflow.files import Output, write_all
    from gateflow.training.timescales import of_run

    picture = picture_file(figure, force)
    sheet = None if csv is None else Output(csv, force=force)
    found = of_run(folder, split=split, rows=rows, data_dir=data_dir)
    files: list[tuple[Output, bytes | str]] = []
    if picture is not None:
        from gateflow.plots._training import timescales as drawn

        files.append(picture.drawn(drawn(found)))
    each = _each(found)
    if sheet is not None:
        lines = [",".join(map(str, row)) for row in [("layer", "unit", "start", "trained"), *each]]
        files.append((sheet, "\n".join(lines) + "\n"))
    written = write_all(files)
    if json:
        layers = zip(found.start, found.trained, strict=True)
        return print_json(
            {
                "layers": [{"start": start, "trained": trained} for start, trained in layers],
                "written": [path.as_posix() for path in written],
            }
        )
    if units:
        cells = [[str(layer), str(unit), number(a), number(b)] for layer, unit, a, b in each]
        headings = ["layer", "unit", "start", "trained"]
        return say(Listing(headings, cells, numeric=headings), *(path.as_posix() for path in written))
    return say(_summary(found), *(path.as_posix() for path in written))


def _each(found: RunTimescales) -> list[tuple[int, int, float, float]]:
    """Layer, unit, time constant at the start and after training; both counted from 1."""
    layers = enumerate(zip(found.start, found.trained, strict=True), 1)
    return [
        (layer, unit, float(start), float(trained))
        for layer, pair in layers
        for unit, (start, trained) in enumerate(zip(*pair, strict=True), 1)
    ]


def _summary(found: RunTimescales) -> Any:
    import numpy as np

    rows = []
    for layer, pair in enumerate(zip(found.start, found.trained, strict=True), 1):
        for when, values in zip(("start", "trained"), pair, strict=True):
            quantiles = np.quantile(values, list(SHARES.values()), method="nearest")
            rows.append([str(layer), when, *(number(q, 4) for q in quantiles)])
    return Listing(["layer", "when", *SHARES], rows, numeric=["layer", *SHARES])
