"""The figures of the theory."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import Json, names_in
from gateflow.cli._terminal import pairs, print_json, say

Names = Annotated[
    list[str] | None,
    Parameter(name="NAMES", negative="", completer=names_in("gateflow.plots"), help="Which figures; all by default."),
]
Folder = Annotated[Path, Parameter(name=["--out", "-o"], help="The folder to write to.")]
Formats = Annotated[str, Parameter(name="--format", help="svg, pdf, png, or several with commas between.")]
Listing = Annotated[
    bool, Parameter(name="--list", negative="", show_default=False, help="Name the figures, and write nothing.")
]
Retrain = Annotated[
    bool, Parameter(name="--retrain", negative="", show_default=False, help="Train anew what they show: hours.")
]
Results = Annotated[
    Path | None, Parameter(name="--results", help="The folder with results of training; with --retrain runs/results.")
]


def run(
    names: Names = None,
    /,
    *,
    out: Folder = Path("figures"),
    formats: Formats = "svg,pdf,png",
    listing: Listing = False,
    retrain: Retrain = False,
    results: Results = None,
    json: Json = False,
) -> int | None:
    """Draw the figures, each with its numbers as csv and a json record of how it was made.

    Figures of training are drawn from results that are kept, so nothing is trained. With --retrain the runs are made in
    the folder runs, going on with what is there, and their results kept in --results, from where the figures are drawn.

    Examples
    --------
    $ gateflow figures --list
    $ gateflow figures slope -o figures --format svg
    $ gateflow figures gates timescales --format svg,png --json
    """
    if listing:
        captions = _captions()
        return print_json({"figures": captions}) if json else say(pairs(captions.items()))
    from gateflow.plots import figures

    if retrain:
        from gateflow.cli._training import asked_to_stop, exit_code
        from gateflow.plots import retrain as train_anew

        results = results or Path("runs") / "results"
        with asked_to_stop() as stop:
            if not train_anew(names, results, stop=stop):
                return exit_code("interrupted", "what was trained so far is in runs")
    written = figures(names, out=out, formats=formats.split(","), results=results)
    if json:
        return print_json({"written": [path.as_posix() for path in written]})
    for path in written:
        print(path)
    return None


def _captions() -> dict[str, str]:
    from gateflow.plots import FIGURES

    return {name: FIGURES.summary(name) for name in FIGURES}
