"""The page: what was found, set as HTML that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.resources import files as resources
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gateflow import __version__
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.files import digest, encoded
from gateflow.gates.gate import GATES
from gateflow.notebook.html import Html, templates
from gateflow.plots import FIGURES
from gateflow.reports import rows
from gateflow.reports.drawing import drawing, palette
from gateflow.reports.findings import REFERENCE, Findings
from gateflow.reports.mathml import formula
from gateflow.reports.typography import number, prose

if TYPE_CHECKING:
    from jinja2 import Environment

SEAL = re.compile(rb'(?<=<meta name="gateflow-digest" content=")[0-9a-f]{64}(?=">)')
"""Where a page has its own digest, by which a report is known again and may be written over."""

FILTERS: dict[str, Any] = {
    each.__name__: each
    for each in (
        *(formula, number, prose, text_of, rows.catalogue_rows, rows.class_name, rows.place, rows.thresholds),
        *(rows.time_cells, rows.time_headings, rows.undecided_throughout, rows.whole),
    )
}
"""What the templates set numbers, sentences and formulas with."""

TITLES = {
    "gates": "Value and slope",
    "slope": "Slope at the same output",
    "learning": "Loss along the flow",
    "times": "Learning time",
}
"""The figures of :mod:`gateflow.plots` that a report shows, in this order."""


def page(found: Findings) -> str:
    """The whole page."""
    sheet = resources("gateflow.reports").joinpath("style.css").read_text(encoding="utf-8")
    made = _templates().get_template("page.html")
    return _sealed(
        encoded(
            made.render(
                found=found,
                names=[one.name for one in found.gates],
                figures=list(_figures(found)),
                record=list(_record(found.made)),
                style=Markup(f":root{{{palette()}}}\n{sheet}"),
                version=__version__,
            )
        )
    ).decode()


def summary(found: Findings) -> Html:
    """All gates in one table."""
    return Html(_templates().get_template("summary.html").render(found=found))


@cache
def _templates() -> Environment:
    made = templates("gateflow.reports")
    made.filters |= FILTERS | {"listed": _listed}
    made.globals |= {"reference": REFERENCE}
    return made


def is_report(data: bytes) -> bool:
    """Whether these are the bytes of a report, unchanged since it was written.

    Examples
    --------
    >>> data = _sealed(b'<meta name="gateflow-digest" content="%s">' % (b"0" * 64))
    >>> is_report(data), is_report(data + b"<!-- a note -->"), is_report(b"<html>")
    (True, False, False)
    """
    return SEAL.search(data) is not None and _sealed(data) == data


def _sealed(page: bytes) -> bytes:
    """The page with the digest of all the rest of it in its place."""
    empty = SEAL.sub(b"0" * 64, page, count=1)
    return SEAL.sub(digest(empty).encode(), empty, count=1)


def _figures(found: Findings) -> Iterator[dict[str, str]]:
    """Title, drawing and caption of each figure of the gates, beside those of the reference."""
    gates = {one.name: one.gate for one in found.gates}
    if not any(gate.name == REFERENCE for gate in gates.values()):
        gates[f"{REFERENCE} (for comparison)"] = GATES[REFERENCE]()
    for name, title in TITLES.items():
        table = FIGURES[name].compute(gates)
        without = [f"{one} ({why})" for one, why in table.parameters.get("left_out", {}).items()]
        caption = FIGURES.summary(name) + (f" Not drawn: {'; '.join(without)}." if without else "")
        yield {"title": title, "drawing": drawing(FIGURES[name], table, name, title), "caption": caption}


def _record(made: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """What made the page, as names and values."""
    yield "command", Markup("<code>{}</code>").format(made["command"])
    yield "versions", ", ".join(f"{name} {version}" for name, version in made["versions"].items())
    for key, value in made.items():
        if key not in ("command", "versions"):
            parts = value if isinstance(value, list) else [value]
            listed = (number(part) if isinstance(part, (int, float)) else part for part in parts)
            yield key.replace("_", " "), Markup(", ").join(listed)


def _listed(names: list[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> _listed(["fast"]), _listed(["fast", "erf", "sigmoid"])
    ('fast', 'fast, erf and sigmoid')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
