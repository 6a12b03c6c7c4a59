"""The figures of the theory."""

from __future__ import annotations

import sys
from json import loads
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from gateflow.cli._options import OUT, Force, Json, gate_of, gates_flag, names_in, several, switch
from gateflow.cli._terminal import pairs, print_json, say

Names = Annotated[
    list[str] | None,
    Parameter(name="NAMES", negative="", completer=names_in("gateflow.plots"), help="Which figures; all by default."),
]
Folder = Annotated[Path, Parameter(name=OUT, help="The folder to write to.")]
Formats = Annotated[list[str] | None, several("--format", "svg, pdf or png; all three by default.")]
Listing = Annotated[bool, switch("--list", "Name the figures, and write nothing.")]
Gates = Annotated[list[str] | None, gates_flag("Which gates to show; by default those of each figure.")]
Retrain = Annotated[bool, switch("--retrain", "Train again what they show: hours.")]
Results = Annotated[
    Path | None, Parameter(name="--results", help="The folder with results of training; with --retrain runs/results.")
]

FORMATS = ("svg", "pdf", "png")


def run(
    names: Names = None,
    /,
    *,
    out: Folder = Path("figures"),
    gates: Gates = None,
    formats: Formats = None,
    listing: Listing = False,
    retrain: Retrain = False,
    results: Results = None,
    force: Force = False,
    json: Json = False,
) -> int | None:
    """Draw the figures, each with its numbers (csv), its caption (txt) and a record of how it was made (json).

    With --gates, the figures that can show any gates show these. Files are replaced where the record beside them says
    that gateflow wrote them; others with --force only.

    Figures of training are drawn from results that are kept, so nothing is trained. --retrain repeats the runs in the
    folder runs, resuming what is there, keeps their results in --results, and draws from these.

    Examples
    --------
    $ gateflow figures --list
    $ gateflow figures slope -o figures --format svg
    $ gateflow figures learning --gates fast "sigmoid(z+z**3)" -o mine --format svg
    $ gateflow figures gates timescales --format svg,png --json
    """
    if listing:
        captions = _captions()
        return print_json({"figures": captions}) if json else say(pairs(captions.items()))
    from gateflow.plots import figures

    if retrain:
        from gateflow.cli._training import exit_code
        from gateflow.plots import retrain as train_anew
        from gateflow.runs.signals import asked_to_stop

        results = results or Path("runs") / "results"
        with asked_to_stop() as stop:
            if not train_anew(names, results, stop=stop, force=force):
                return exit_code("interrupted", "what was trained so far is in runs")
    chosen = None if gates is None else {text.strip(): gate_of(text) for text in gates}
    written = figures(names, out=out, formats=formats or FORMATS, gates=chosen, results=results, force=force)
    left_out = {path.stem: _left_out(path) for path in written if path.suffix == ".json" and _left_out(path)}
    if json:
        return print_json({"written": [path.as_posix() for path in written], "left_out": left_out})
    for name, gates_out in left_out.items():
        for gate, why in gates_out.items():
            print(f"gateflow: {name} leaves out {gate}: {why}", file=sys.stderr)
    for path in written:
        print(path)
    return None


def _left_out(record: Path) -> dict[str, str]:
    """The gates that a figure leaves out, and why, from its record."""
    return loads(record.read_text(encoding="utf-8"))["parameters"].get("left_out", {})


def _captions() -> dict[str, str]:
    from gateflow.plots import FIGURES

    return {name: FIGURES.summary(name) for name in FIGURES}
