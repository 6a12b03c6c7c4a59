"""HTML from templates: what is text is escaped, always; only what a template made passes as it is.

The templates of this package serve cards and reports alike. They are files, never text of a user.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from jinja2 import Environment

GREY = "rgba(128,128,128,.5)"
"""Of frames and axes: seen on white and on black alike."""


class Html(Markup):
    """HTML that a notebook shows as such."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return str(self)


@cache
def templates(*packages: str) -> Environment:
    """The templates in this package and in others, which escape text; a name that nothing was given for is an error."""
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    loader = ChoiceLoader([PackageLoader(package) for package in ("gateflow.notebook", *packages)])
    made = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, loader=loader)
    made.globals["grey"] = GREY
    return made


def card_part(name: str, *values: Any, **named: Any) -> Html:
    """What a macro of the cards' template makes of values.

    Examples
    --------
    >>> card_part("mathematics", "a < b")
    Html('<div style="margin:.5em 0">$a &lt; b$</div>')
    """
    return Html(getattr(_cards(), name)(*values, **named))


@cache
def _cards() -> Any:
    return templates().get_template("card.html").module
