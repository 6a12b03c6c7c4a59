"""The table and the curves of trained networks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import Csv, Figure, Force, Json, picture_file
from gateflow.cli._terminal import print_json, say
from gateflow.cli._training import of_runs

Folder = Annotated[Path, Parameter(name="DIR", help="The folder of a run, of an experiment, or of several.")]
Measure = Annotated[str | None, Parameter(name="--measure", help="What the figure shows; by default the task's score.")]


def run(
    folder: Folder,
    /,
    *,
    figure: Figure = None,
    measure: Measure = None,
    csv: Csv = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Show what became of the runs under a folder: mean, spread and number of runs for each configuration.

    The spread is the standard deviation over seeds. The curves are means over seeds, with a band from the least to the
    greatest. Runs that have not ended are counted in runs and not in n.

    Examples
    --------
    $ gateflow train adding --horizon 10 --hidden 8 --steps 20 --gates fast,sigmoid --seeds 2 --out runs/adding
    $ gateflow results runs/adding
    $ gateflow results runs/adding --figure curves.svg --csv table.csv --json
    """
    from gateflow.errors import InvalidArgument
    from gateflow.files import Output, write_all
    from gateflow.training.results import table

    if measure is not None and figure is None:
        raise InvalidArgument("--measure is what the figure shows: give --figure FILE as well")
    picture = picture_file(figure, force)
    sheet = None if csv is None else Output(csv, force=force)
    found = table(folder)
    files: list[tuple[Output, bytes | str]] = []
    if picture is not None:
        from gateflow.plots._training import curves as drawn

        files.append(picture.drawn(drawn(found, measure)))
    if sheet is not None:
        files.append((sheet, found.csv()))
    written = write_all(files)
    if json:
        return print_json({"results": found.records(), "written": [path.as_posix() for path in written]})
    return say(of_runs(found), *(path.as_posix() for path in written))
