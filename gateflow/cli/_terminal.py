"""What the commands print with: a console that knows pipes and narrow terminals, tables without frames, JSON."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Any

from gateflow.record import to_json

WIDE = 10_000
"""Columns assumed when nobody looks: a line in a pipe is never folded."""

GAP = 2
"""Blanks between the columns of a table."""

Columns = Mapping[str, Callable[[Any], str]]
"""Headings, and what stands under each for a thing that is listed."""

FOLDED = 14
"""The narrowest that a column of words is folded to."""


def console(*, wide: bool = True) -> Any:
    """A rich console on standard output as it is now; colour on a terminal only, and not under ``NO_COLOR``.

    Rich finds the width, from the terminal or ``COLUMNS``; ``wide`` says not to fold where there is neither.
    """
    from rich.console import Console

    seen = sys.stdout.isatty() or os.environ.get("COLUMNS", "").isdigit()
    width = WIDE if wide and not seen else None
    return Console(file=sys.stdout, width=width, markup=False, highlight=False, emoji=False)


def say(*parts: Any) -> None:
    """Print texts and tables one under the other; on a terminal with colour, in a pipe without trailing blanks."""
    out = console()
    if out.is_terminal:
        out.print(*parts, sep="\n")
        return
    with out.capture() as captured:
        out.print(*parts, sep="\n")
    sys.stdout.write("".join(f"{line.rstrip()}\n" for line in captured.get().splitlines()))


def as_text(*parts: Any) -> str:
    """What :func:`say` prints into a pipe."""
    from rich.console import Console

    out = Console(file=StringIO(), width=WIDE, markup=False, highlight=False, emoji=False)
    out.print(*parts, sep="\n")
    return "".join(f"{line.rstrip()}\n" for line in out.file.getvalue().splitlines())  # type: ignore[attr-defined]


def draws() -> bool:
    """Whether standard output is a terminal that can show braille dots."""
    return sys.stdout.isatty() and (sys.stdout.encoding or "").lower().replace("-", "") == "utf8"


def title(text: str) -> Any:
    """A line that stands out on a terminal."""
    from rich.text import Text

    return Text(text, style="bold")


def help_formatter() -> Any:
    """Help in aligned columns without frames, each part under its title."""
    from cyclopts.help import DefaultFormatter, PanelSpec
    from rich.box import Box
    from rich.text import Text

    parts: list[Any] = []

    class Unframed(DefaultFormatter):
        def __call__(self, console: Any, options: Any, panel: Any) -> None:
            with console.capture() as captured:
                super().__call__(console, options, panel)
            lines = captured.get().strip().splitlines()
            for line in ["", *lines] if parts and lines else lines:
                console.print(Text.from_ansi(line.rstrip()))
            parts.extend(lines)

    return Unframed(panel_spec=PanelSpec(box=Box("    \n" * 8), padding=(0, 0), title_align="left"))


def print_json(data: Any) -> None:
    """Write ``data`` as JSON on standard output."""
    sys.stdout.write(to_json(data))


@dataclass(frozen=True)
class Listing:
    """A table without frames; where it does not fit the width, one row is a paragraph.

    The columns named in ``numeric`` stand right-aligned and are never folded or cut; the last one, if ``cut``, ends in
    an ellipsis where it does not fit, and words are folded elsewhere.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numeric: Sequence[str] = ()
    cut: bool = False

    @classmethod
    def of(cls, found: Iterable[Any], columns: Columns, words: Collection[str] = ()) -> Listing:
        """A row for each thing found, a column for each heading; all columns but those of ``words`` hold numbers."""
        rows = [[cell(each) for cell in columns.values()] for each in found]
        return cls(list(columns), rows, [name for name in columns if name not in words])

    def __rich_console__(self, _: Any, options: Any) -> Iterator[Any]:
        widths = [max(len(row[i]) for row in [self.columns, *self.rows]) for i in range(len(self.columns))]
        least = [
            width if name in self.numeric else min(width, FOLDED)
            for name, width in zip(self.columns, widths, strict=True)
        ]
        gaps = GAP * len(widths)
        if sum(least) + gaps <= options.max_width:
            yield self._table(max(options.max_width // 4, options.max_width - sum(widths[:-1]) - gaps))
            return
        for i, row in enumerate(self.rows):
            yield from [""] if i else []
            yield pairs(zip(self.columns, row, strict=True))

    def _table(self, width: int) -> Any:
        from rich.table import Table
        from rich.text import Text

        made = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
        for column in self.columns:
            right, short = column in self.numeric, self.cut and column == self.columns[-1]
            made.add_column(
                Text(column),
                justify="right" if right else "left",
                no_wrap=right or short,
                overflow="ellipsis" if short else "fold",
                max_width=width if short else None,
            )
        for row in self.rows:
            made.add_row(*(Text(printable(cell)) for cell in row))
        return made


def pairs(rows: Iterable[tuple[str, str | None]]) -> Any:
    """Names and values, one pair a line; what has no value is left out."""
    from rich.table import Table
    from rich.text import Text

    made = Table(box=None, show_header=False, pad_edge=False, padding=(0, GAP, 0, 0))
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        if value:
            made.add_row(Text(name), Text(printable(value)))
    return made


def picked(found: Any, *names: str) -> dict[str, Any]:
    """Attributes by their names, for JSON, which reads numbers of NumPy and words of enumerations as they are.

    Examples
    --------
    >>> picked(3 + 4j, "real", "imag")
    {'real': 3.0, 'imag': 4.0}
    """
    return {name: getattr(found, name) for name in names}


def number(x: Any, digits: int = 6) -> str:
    """A number as a human reads it.

    Examples
    --------
    >>> number(0.5), number(float("inf")), number(5.9722e-33), number(12)
    ('0.5', 'inf', '5.9722e-33', '12')
    """
    return f"{float(x):.{digits}g}"


def span(low: Any, high: Any, digits: int = 3) -> str:
    """An interval as a human reads it."""
    return f"{number(low, digits)} to {number(high, digits)}"


def duration(tau: Any, log_tau: Any, digits: int = 6) -> str:
    """A learning time; by its logarithm where it is past the floats.

    Examples
    --------
    >>> duration(2.5, 0.9162907), duration(float("inf"), 800.0), duration(float("inf"), float("inf"))
    ('2.5', 'exp(800)', 'inf')
    """
    return f"exp({number(log_tau, digits)})" if tau == float("inf") and log_tau != tau else number(tau, digits)


MOST_ROWS = 13
"""Rows of a table of a path; JSON holds every node."""


def rows_of(count: int, most: int = MOST_ROWS) -> Sequence[int]:
    """The numbers of the points that a table shows: all, or some, evenly from the first to the last.

    Examples
    --------
    >>> list(rows_of(3)), rows_of(101, 5)
    ([0, 1, 2], [0, 25, 50, 75, 100])
    """
    return range(count) if count <= most else [round(i * (count - 1) / (most - 1)) for i in range(most)]


def printable(text: str) -> str:
    """A text that a terminal only prints: names in files of others may hold codes that it would obey.

    Examples
    --------
    >>> printable("a\\x1b[2J\\ud800")
    'a?[2J?'
    """
    if text.isprintable():
        return text
    return "".join(ch if ch.isprintable() or ch == "\n" else "?" for ch in text)


def tidy(text: str) -> str:
    """A text in one line."""
    return " ".join(text.split())
