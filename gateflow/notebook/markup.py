"""HTML built from parts: what is text is escaped, always; only what was built here passes as it is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from itertools import chain, repeat
from typing import Any

VOID = ("meta", "link", "br", "hr")
"""Elements without an end."""


class Markup(str):
    """Text that is HTML already; a notebook shows it as such."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return self


def join(parts: Iterable[Any], between: str = "") -> Markup:
    """The parts one after the other, each escaped unless it is Markup; None is left out.

    Examples
    --------
    >>> join(["1 < 2", Markup("<br>")])
    '1 &lt; 2<br>'
    """
    return Markup(between.join(str.__str__(part if isinstance(part, Markup) else text(part)) for part in _kept(parts)))


def text(value: Any) -> Markup:
    """Any value as text."""
    return Markup(escape(str(value)))


def tag(name: str, /, *parts: Any, **attributes: Any) -> Markup:
    """An element; an underscore at the end of an attribute's name is dropped, others become hyphens.

    An attribute that is None or False is left out, and one that is True stands by its name alone.

    Examples
    --------
    >>> tag("p", "a & b", tag("br"), class_="quiet", aria_label='"')
    '<p class="quiet" aria-label="&quot;">a &amp; b<br></p>'
    """
    given = ((key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    written = "".join(
        f" {key}" if value is True else f' {key}="{escape(str(value))}"'
        for key, value in given
        if value is not None and value is not False
    )
    return Markup(f"<{name}{written}>" if name in VOID else f"<{name}{written}>{join(parts)}</{name}>")


def table(
    headings: Sequence[Any],
    rows: Iterable[Sequence[Any]],
    *,
    caption: Any = None,
    row_heads: bool = False,
    marked: Sequence[bool] = (),
    **attributes: Any,
) -> Markup:
    """A table with its headings; with ``row_heads`` the first cell of a row is the row's own heading.

    The rows that are ``marked`` are of the class ``here``.
    Each cell knows its heading (``data-label``), so that a style sheet may set a row as a paragraph.

    Examples
    --------
    >>> table(["gate", "order"], [["fast", "higher"]], row_heads=True).count("<th")
    4
    """
    head = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in headings)))
    marks = chain(marked, repeat(False))
    body = tag("tbody", *(_row(headings, row, row_heads, here) for row, here in zip(rows, marks, strict=False)))
    told = None if caption is None else tag("caption", caption)
    return tag("table", told, head, body, **attributes)


def facts(pairs: Iterable[tuple[Any, Any]], **attributes: Any) -> Markup:
    """Names and values, as a list of descriptions; what has no value is left out."""
    kept = ((name, value) for name, value in pairs if value is not None and value != "")
    return tag("dl", *(tag("div", tag("dt", name), tag("dd", value)) for name, value in kept), **attributes)


def _row(headings: Sequence[Any], row: Sequence[Any], row_heads: bool, here: bool) -> Markup:
    cells = [
        tag("th", cell, scope="row") if row_heads and i == 0 else tag("td", cell, data_label=_plain(headings[i]))
        for i, cell in enumerate(row)
    ]
    return tag("tr", *cells, class_="here" if here else None)


def _plain(heading: Any) -> str | None:
    """A heading as an attribute; None where it is more than text."""
    return None if isinstance(heading, Markup) else str(heading)


def _kept(parts: Iterable[Any]) -> Iterable[Any]:
    return (part for part in parts if part is not None)
