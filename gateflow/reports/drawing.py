"""A figure of :mod:`gateflow.plots` as part of a page: inline SVG in the page's own colours.

So it follows the page into the dark and onto paper. Its ids begin with the figure's name, for several live on one page.
"""

from __future__ import annotations

import re

from markupsafe import Markup

from gateflow.plots._figure import Figure
from gateflow.plots._style import PAPER, STROKES
from gateflow.plots._table import FigureTable

INK = "#000000"


def drawing(figure: Figure, table: FigureTable, name: str, title: str) -> Markup:
    """The figure of these numbers, with a legend, and with what it shows in words for who does not see it."""
    description = figure.description(table)
    svg = figure.rendered(table, "svg", legend=True, transparent=True).decode()
    box = re.search(r'viewBox="([^"]*)"', svg)
    inside = re.search(r"<svg\b[^>]*>(.*)</svg>", svg, re.DOTALL)
    assert box is not None
    assert inside is not None
    body = Markup(_coloured(_renamed(_bare(inside[1]), name)))
    return _SVG.format(name=name, title=title, description=description, box=box[1], body=body)


_SVG = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="{box}" role="img" '
    'aria-labelledby="{name}-title {name}-description" '
    'fill="currentColor" stroke-linejoin="round" stroke-linecap="butt">'
    '<title id="{name}-title">{title}</title><desc id="{name}-description">{description}</desc>{body}</svg>'
)


def _bare(body: str) -> str:
    """Without comments, metadata and the style sheet, which would reach past the figure into the page."""
    for kind in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>"):
        body = re.sub(kind, "", body, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", body)


def _renamed(body: str, name: str) -> str:
    """Each id, and each mention of it, with the figure's name before it."""
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    return re.sub(r"url\(#", f"url(#{name}-", body)


def _coloured(body: str) -> str:
    """The page's variables in place of colours."""
    for i, (colour, _, _) in enumerate(STROKES):
        body = body.replace(colour, f"var(--line-{i},{colour})")
    return body.replace(PAPER, "var(--page)").replace(INK, "currentColor")


def palette() -> str:
    """The colours of the lines as variables of a style sheet."""
    return "".join(f"--line-{i}:{colour};" for i, (colour, _, _) in enumerate(STROKES))
