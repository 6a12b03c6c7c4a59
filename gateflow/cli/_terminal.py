"""What the verbs print with: a console that knows pipes and narrow terminals, tables without frames, JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from gateflow.record import to_json

WIDE = 10_000
"""Columns assumed when nobody looks: a line in a pipe is never folded."""


def console(*, wide: bool = True) -> Any:
    """A rich console on standard output as it is now; colour on a terminal only, and not under ``NO_COLOR``.

    Rich finds the width, from the terminal or ``COLUMNS``; ``wide`` says not to fold where there is neither.
    """
    from rich.console import Console

    seen = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    width = WIDE if wide and not seen else None
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def help_formatter() -> Any:
    """Help in aligned columns without frames."""
    from cyclopts.help import DefaultFormatter, PanelSpec
    from rich.box import Box

    return DefaultFormatter(panel_spec=PanelSpec(box=Box("    \n" * 8), padding=(0, 0), expand=False))


def print_json(data: Any) -> None:
    """Write ``data`` as JSON on standard output."""
    sys.stdout.write(to_json(data))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[str] = ()) -> Any:
    """A table without frames; the columns named in ``numeric`` stand right-aligned and are never folded."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        right = column in numeric
        made.add_column(Text(column), justify="right" if right else "left", no_wrap=right, overflow="fold")
    for row in rows:
        made.add_row(*(Text(cell) for cell in row))
    return made


def pairs(rows: Iterable[tuple[str, str]]) -> Any:
    """Names and values, one pair a line."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name), Text(value))
    return made


def number(x: Any, digits: int = 6) -> str:
    """A number as a human reads it.

    Examples
    --------
    >>> number(0.5), number(float("inf")), number(5.9722e-33), number(12)
    ('0.5', 'inf', '5.9722e-33', '12')
    """
    return f"{float(x):.{digits}g}"


def tidy(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())
