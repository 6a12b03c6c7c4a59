"""Answers of a trained network to new data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import Csv, Force, Json, switch
from gateflow.cli._terminal import Listing, number, print_json, say

if TYPE_CHECKING:
    from gateflow.training import Predicted

Folder = Annotated[Path, Parameter(name="RUN", help="The folder of a run.")]
Data = Annotated[Path, Parameter(name="--data", help="A file as those that the run was trained with.")]
Unlabelled = Annotated[bool, switch("--unlabelled", "The series in the file have no classes.")]

MOST = 40
"""Rows that are printed; --csv and --json have all."""


def run(
    folder: Folder,
    /,
    *,
    data: Data,
    unlabelled: Unlabelled = False,
    csv: Csv = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Answer new data with the network of a run: classes and their probabilities, or values.

    The data are prepared as those of the training were, which the run keeps; a file of any kind that the task reads, or
    .npz with an array x, (n, time) or (n, time, channels). A class of ? is one that is not known. Where the classes
    are given, the share that was found is printed.

    Examples
    --------
    $ gateflow train series --data waves.csv --hidden 4 --steps 2 --out runs/waves
    $ gateflow predict runs/waves --data waves.csv
    $ gateflow predict runs/waves --data waves.csv --csv answers.csv --json
    """
    from gateflow.files import Output, write_all
    from gateflow.training import load

    sheet = None if csv is None else Output(csv, force=force)
    found = load(folder).predict(data, labelled=not unlabelled)
    written = write_all([] if sheet is None else [(sheet, _sheet(found))])
    if json:
        return print_json(
            {
                "predictions": [_facts(found, n) for n in range(len(found.names))],
                **({} if found.accuracy is None else {"accuracy": found.accuracy}),
                "written": [path.as_posix() for path in written],
            }
        )
    rows = [_row(found, n) for n in range(min(len(found.names), MOST))]
    columns = ["what", *([] if found.classes is None else ["class"]), *found.columns]
    if found.classes is not None and len(found.columns) > 6:
        columns, rows = ["what", "class", "probability"], [[*row[:2], max(row[2:], key=float)] for row in rows]
    parts: list[Any] = [Listing(columns, rows, numeric=columns[1 if found.classes is None else 2 :])]
    if len(rows) < len(found.names):
        parts += [f"... {len(found.names) - len(rows)} more: --csv FILE or --json has all"]
    if found.accuracy is not None:
        parts += ["", f"accuracy {number(found.accuracy, 4)} of {len(found.given)}"]
    return say(*parts, *(path.as_posix() for path in written))


def _row(found: Predicted, n: int) -> list[str]:
    values = [number(x) for x in found.answers[n]]
    return [found.names[n], *([] if found.classes is None else [found.classes[n]]), *values]


def _facts(found: Predicted, n: int) -> dict[str, Any]:
    answers = dict(zip(found.columns, map(float, found.answers[n]), strict=True))
    if found.classes is None:
        return {"what": found.names[n], "values": answers}
    given = {"given": found.given[n]} if found.given else {}
    return {"what": found.names[n], "class": found.classes[n], "probabilities": answers, **given}


def _sheet(found: Predicted) -> str:
    import csv
    import io

    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    chosen = [] if found.classes is None else ["class"]
    table.writerow(["what", *chosen, *found.columns])
    for n, name in enumerate(found.names):
        own = [] if found.classes is None else [found.classes[n]]
        table.writerow([name, *own, *map(repr, map(float, found.answers[n]))])
    return text.getvalue()
