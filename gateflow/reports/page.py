"""The page: what was found, set as HTML that needs nothing but itself."""

from __future__ import annotations

import re
from importlib.resources import files as resources

from gateflow import __version__
from gateflow.files import digest, encoded
from gateflow.gates.gate import GATES, Gate
from gateflow.notebook.markup import Markup, tag
from gateflow.plots import FIGURES
from gateflow.reports import sections
from gateflow.reports.drawing import drawing, palette
from gateflow.reports.findings import REFERENCE, Findings

GENERATOR = "gateflow report"

SEAL = re.compile(rb'(?<=<meta name="gateflow-digest" content=")[0-9a-f]{64}(?=">)')
"""Where a page has its own digest, by which a report is known again and may be written over."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
"""What a browser may do with the page: show it."""


def page(found: Findings) -> str:
    """The whole page."""
    names = [one.name for one in found.gates]
    title = f"{_listed(names)}: gateflow report"
    style = f":root{{{palette()}}}\n{resources('gateflow.reports').joinpath('style.css').read_text(encoding='utf-8')}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="generator", content=f"{GENERATOR} {__version__}"),
        tag("meta", name="gateflow-digest", content="0" * 64),
        tag("link", rel="icon", href="data:,"),
        tag("title", title),
        tag("style", Markup(style)),
    )
    body = tag("body", _top(found, names), tag("main", *_sections(found)), _foot())
    return _sealed(encoded(f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n")).decode()


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


def _top(found: Findings, names: list[str]) -> Markup:
    anchors = [*([("side-by-side", "Side by side")] if len(names) > 1 else []), *_JOINT]
    links = (tag("li", tag("a", name, href=f"#{anchor}")) for anchor, name in anchors)
    count = "a gate" if len(names) == 1 else f"{len(names)} gates"
    return tag(
        "header",
        tag("p", f"gateflow report on {count}", class_="kicker"),
        tag("h1", _listed(names)),
        sections.crossing(found),
        sections.glance(found),
        tag("nav", tag("ul", *links), aria_label="Sections"),
    )


_JOINT = (("figures", "Figures"), ("choice", "Which to choose"), ("record", "Record"))


def _sections(found: Findings) -> list[Markup]:
    made = [sections.of_gate(one, i, found) for i, one in enumerate(found.gates, 1)]
    if len(found.gates) > 1:
        made.append(sections.side_by_side(found))
    return [*made, _figures(found), sections.choice(found), sections.record(found)]


TITLES = {
    "gates": "Value and slope",
    "slope": "Slope at the same output",
    "learning": "Loss along the flow",
    "times": "Learning time",
}
"""The figures of :mod:`gateflow.plots` that a report shows, in this order."""


def _figures(found: Findings) -> Markup:
    gates = {one.name: one.gate for one in found.gates}
    if not any(gate.name == REFERENCE for gate in gates.values()):
        gates[f"{REFERENCE} (for comparison)"] = GATES[REFERENCE]()
    figures = (_figure(name, gates) for name in TITLES)
    return tag("section", tag("h2", "Figures"), tag("div", *figures, class_="figures"), id="figures")


def _figure(name: str, gates: dict[str, Gate]) -> Markup:
    table = FIGURES[name].compute(gates)
    without = [f"{one} ({why})" for one, why in table.parameters.get("left_out", {}).items()]
    caption = FIGURES.summary(name) + (f" Not drawn: {'; '.join(without)}." if without else "")
    return tag(
        "figure",
        tag("h3", TITLES[name]),
        drawing(FIGURES[name], table, name, TITLES[name]),
        tag("figcaption", caption),
    )


def _foot() -> Markup:
    return tag(
        "footer",
        tag("p", f"Made by gateflow {__version__}. The page is whole in itself and asks nothing of the network."),
    )


def _listed(names: list[str]) -> str:
    """Names in a sentence.

    Examples
    --------
    >>> _listed(["fast"]), _listed(["fast", "erf", "sigmoid"])
    ('fast', 'fast, erf and sigmoid')
    """
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
