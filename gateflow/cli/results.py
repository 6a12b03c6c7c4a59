"""The table and the curves of trained networks."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from gateflow.cli._options import Csv, Figure, Force, Json
from gateflow.cli._terminal import Listing, number, print_json, say

if TYPE_CHECKING:
    from gateflow.training.results import RunTable

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
    from gateflow.files import Output
    from gateflow.training.results import table

    if measure is not None and figure is None:
        raise InvalidArgument("--measure is what the figure shows: give --figure FILE as well")
    if figure is not None:
        from gateflow.plots._figure import output

        output(figure, force=force)  # complains before the work
    sheet = None if csv is None else Output(csv, force=force)
    found = table(folder)
    written = []
    if figure is not None:
        from gateflow.plots._figure import save
        from gateflow.plots._training import curves as drawn

        save(drawn(found, measure), figure, force=force)
        written.append(figure)
    if sheet is not None:
        written.append(sheet.write(found.csv()))
    if json:
        return print_json({"results": found.records(), "written": [path.as_posix() for path in written]})
    return say(listing(found), *(path.as_posix() for path in written))


def listing(found: RunTable) -> Listing:
    """The table for a reader; what is the same for all is left out."""
    rows = found.records()
    differing = list(found.groups[0].differing)
    solved = any(row["solved"] for row in rows)
    broken = any(row["not finite"] for row in rows)
    numeric = ["n", *found.measures, *(["solved", "solved at"] if solved else []), *(["not finite"] if broken else [])]
    cells = [
        [
            *("" if row[name] is None else str(row[name]) for name in differing),
            str(row["n"]) if row["n"] == row["runs"] else f"{row['n']} of {row['runs']}",
            *(_with_spread(row[measure], row[f"{measure} sd"]) for measure in found.measures),
            *([str(row["solved"]), _step(row["solved at"])] if solved else []),
            *([str(row["not finite"])] if broken else []),
            "" if math.isnan(row["seconds"]) else number(row["seconds"], 3),
        ]
        for row in rows
    ]
    return Listing([*differing, *numeric, "seconds"], cells, numeric=[*numeric, "seconds"])


def _with_spread(mean: float, spread: float) -> str:
    """Mean and spread, both to two digits of the spread.

    Examples
    --------
    >>> _with_spread(0.97512, 0.0123), _with_spread(4.0, float("nan"))
    ('0.975 ± 0.012', '4')
    """
    if not math.isfinite(spread) or not spread:
        return "" if math.isnan(mean) else f"{mean:.0f}" if mean.is_integer() else number(mean, 4)
    digits = 1 - math.floor(math.log10(spread))
    if digits > 6:
        return f"{number(mean, 4)} ± {spread:.1e}"
    return f"{mean:.{max(digits, 0)}f} ± {spread:.{max(digits, 0)}f}"


def _step(step: Any) -> str:
    return "" if step is None else number(step)
