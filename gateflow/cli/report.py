"""A one-page report on one or more gates."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from gateflow.cli._options import OUT, Force, GateTexts, Json, gate_of, read_file, several
from gateflow.cli._terminal import Listing, pairs, print_json, say

if TYPE_CHECKING:
    from gateflow.reports.findings import Findings

Out = Annotated[Path, Parameter(name=OUT, converter=read_file, help="The page.")]
Horizons = Annotated[list[float] | None, several("--horizons", "T of the table of learning times.")]
Gaps = Annotated[list[float] | None, several("--gaps", "Its gaps 1 - lambda*.")]
Scale = Annotated[float, Parameter(name="--timescale", help="The time constant to recommend gates for, in steps.")]
Seconds = Annotated[float, Parameter(name="--seconds", help="Time allowed for each proof.")]


def run(
    gates: GateTexts,
    /,
    *,
    out: Out = Path("report.html"),
    force: Force = False,
    horizons: Horizons = None,
    gaps: Gaps = None,
    timescale: Scale = 1000.0,
    seconds: Seconds = 10.0,
    json: Json = False,
) -> None:
    """Write one page on gates: class, order, law of learning, learning times, figures and recommendations.

    The page is one file that any browser opens from disk, without a network; it prints, and it reads without colour.
    It is written whole or not at all, and replaces another report.

    Examples
    --------
    $ gateflow report fast -o report.html
    $ gateflow report fast "sigmoid(z + z**3)" --horizons 1 100 --gaps 1e-2 1e-8 -o two.html --json
    """
    from gateflow.reports import report
    from gateflow.reports.findings import GAPS, HORIZONS

    names = [text.strip() for text in gates]
    made = report(
        [gate_of(text) for text in names],
        out,
        force=force,
        names=names,
        horizons=horizons or HORIZONS,
        gaps=gaps or GAPS,
        timescale=timescale,
        seconds=seconds,
    )
    if json:
        return print_json({"written": out.as_posix(), **made.to_json()})
    return _print(made.found, out, len(made.html.encode()))


def _print(found: Findings, out: Path, size: int) -> None:
    rows = [
        [
            one.name,
            one.membership.verdict,
            f"~ {one.law.rate}" if one.law.rate else "not in closed form",
        ]
        for one in found.gates
    ]
    written = pairs([("page", out.as_posix()), ("size", f"{size / 1000:.0f} kB")])
    say(written, "", Listing(["gate", "class F", "l(tau)"], rows))
