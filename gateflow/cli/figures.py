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


def run(
    names: Names = None,
    /,
    *,
    out: Folder = Path("figures"),
    formats: Formats = "svg,pdf,png",
    listing: Listing = False,
    json: Json = False,
) -> None:
    """Draw the figures of the theory, each with its numbers as csv and a json record of how it was made.

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

    written = figures(names, out=out, formats=formats.split(","))
    if json:
        return print_json({"written": [path.as_posix() for path in written]})
    for path in written:
        print(path)
    return None


def _captions() -> dict[str, str]:
    from gateflow.plots import FIGURES

    return {name: FIGURES.summary(name) for name in FIGURES}
