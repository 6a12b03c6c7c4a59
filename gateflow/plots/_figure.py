"""A figure: what it computes, how that is drawn, and its files."""

from __future__ import annotations

import io
import shlex
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateflow import record
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.files import Output, digest, fits, from_json, is_sealed, read_bytes, read_json, write_all
from gateflow.plots._style import COLUMN, STYLE, LineStyles
from gateflow.plots._table import FigureTable

if TYPE_CHECKING:
    from gateflow.gates.gate import Gate

FORMATS = ("svg", "pdf", "png")

METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "gateflow"},
    "pdf": {"CreationDate": None, "Creator": "gateflow", "Producer": None},
    "png": {"Software": None},
}
"""No clock and no version: the record beside the figure holds them."""

PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "matplotlib")
"""Packages whose versions can change a figure; extras cannot, so they stay out of its record."""


@dataclass(frozen=True)
class Figure:
    """One figure of :mod:`gateflow.plots`; Jupyter shows it.

    Parameters
    ----------
    compute : callable
        Makes the :class:`FigureTable`; needs no Matplotlib. Where results are kept, it takes the folder they are in;
        where any gates can be shown, it takes them.
    draw : callable
        ``draw(axes, table)`` draws it, into one axes or an array of them, of the shape ``panels``; where any gates can
        be shown, ``draw(axes, table, styles)`` with the style of each.
    height : float
        In inches; the width is one column.
    panels : tuple of int
        Rows and columns of axes.
    kept : tuple of str
        The results of training that it shows, of :data:`gateflow.study.kept.KEPT`; none for a figure of the theory.
    gates : tuple of str
        The gates it shows if no others are asked for; none where it shows something else.
    describe : callable, optional
        The rows of one gate to a sentence, for who does not see the figure.
    """

    compute: Callable[..., FigureTable]
    draw: Callable[..., None]
    height: float = 2.4
    panels: tuple[int, int] = (1, 1)
    kept: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()
    describe: Callable[[FigureTable], str] | None = None

    def picture(self, table: FigureTable | None = None, *, legend: bool | None = None) -> Any:
        """The figure as a ``matplotlib.figure.Figure``; no window is opened.

        Parameters
        ----------
        table : FigureTable, optional
            Its numbers; by default those that ``compute`` makes.
        legend : bool, optional
            Whether a legend names the lines; by default where they are not of the gates that it was composed for.
        """
        table = self.compute() if table is None else table
        styles = self.styles(table, legend)
        with empty_picture(*self.panels, height=self.height) as (canvas, axes):
            if styles is None:
                self.draw(axes, table)
            else:
                self.draw(axes, table, styles)
                if styles.legend:
                    add_legend(
                        canvas, 2 if max(len(style.label) for style in styles.values()) < 26 else 1, handlelength=3.4
                    )
        return canvas

    def styles(self, table: FigureTable, legend: bool | None = None) -> LineStyles | None:
        """The style of each gate of a table, in its order; None where the figure is not of gates."""
        if not self.gates:
            return None
        names = list(dict.fromkeys(table["gate"].tolist()))
        return LineStyles(names, legend=not set(names) <= set(self.gates) if legend is None else legend)

    def description(self, table: FigureTable) -> str:
        """What a table shows of each of its gates, in words."""
        if self.describe is None:
            return ""
        names = dict.fromkeys(table["gate"].tolist())
        return ". ".join(f"{name}: {self.describe(table.rows(gate=name))}" for name in names) + "."

    def rendered(self, table: FigureTable, form: str, *, legend: bool | None = None, **options: Any) -> bytes:
        """The bytes of the picture in a format; ``options`` are Matplotlib's, of saving.

        Each is drawn afresh: a layout adjusted for one format would leave its traces in the next.
        """
        canvas, file = self.picture(table, legend=legend), io.BytesIO()
        with own_style():
            canvas.savefig(file, format=form, metadata=METADATA[form], **options)
        return file.getvalue()

    def _repr_svg_(self) -> str:
        return self.rendered(self.compute(), "svg").decode()


@contextmanager
def empty_picture(
    rows: int = 1, columns: int = 1, *, height: float, width: float = COLUMN, **options: Any
) -> Iterator[Any]:
    """An empty picture in :data:`STYLE` and its axes, which are drawn into inside of the context.

    Sizes are in inches; ``options`` are those of ``matplotlib.figure.Figure.subplots``.
    """
    from matplotlib.figure import Figure as Canvas

    with own_style():
        canvas = Canvas(figsize=(width, height), layout="constrained")
        axes = canvas.subplots(rows, columns, **options)
        for panel in canvas.axes:  # else the number of ticks would follow the settings at the time of rendering
            panel.tick_params(labelsize=STYLE["xtick.labelsize"])
        yield canvas, axes


def add_legend(canvas: Any, columns: int, **options: Any) -> None:
    """A legend of all panels, below; the picture grows by its rows, so that the panels keep their size."""
    lines: dict[str, Any] = {}
    for panel in canvas.axes:
        for line, label in zip(*panel.get_legend_handles_labels(), strict=True):
            lines.setdefault(label, line)
    if lines:
        canvas.legend(lines.values(), lines.keys(), loc="outside lower center", ncols=columns, **options)
        canvas.set_figheight(canvas.get_figheight() + 0.15 * -(-len(lines) // columns))


@contextmanager
def own_style():
    """Matplotlib's defaults and :data:`STYLE` over the user's settings, which come back afterwards."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def made_by(name: str, caption: str, table: FigureTable, gates: Iterable[str] = ()) -> dict[str, Any]:
    """How a figure was made; the same on every run in one environment."""
    chosen = shlex.join(gates)
    return record.record(
        command=f"gateflow figures {name}" + (f" --gates {chosen}" if chosen else ""),
        figure=name,
        caption=caption,
        parameters=table.parameters,
        columns=table.meaning,
        rows=len(table),
        versions=record.versions(PACKAGES),
    )


def look(name: str, out: Path, formats: tuple[str, ...]) -> None:
    """Complain of what is no file where one of a figure is to be written."""
    for each in _names(name, formats):
        Output(out / each)


def _names(name: str, formats: tuple[str, ...]) -> list[str]:
    """The files of a figure: its pictures, its numbers, its caption, its record."""
    return [f"{name}.{ending}" for ending in (*formats, "csv", "txt", "json")]


def write(
    name: str,
    caption: str,
    figure: Figure,
    out: Path,
    formats: tuple[str, ...],
    results: Path | None = None,
    gates: Mapping[str, Gate] | None = None,
    *,
    force: bool = False,
) -> list[Path]:
    """Write a figure, its numbers, its caption and its record; the paths, in that order.

    The record holds the digests of all, by which they are known again and replaced.
    """
    before = _written_before(out, name)
    names = _names(name, formats)
    outputs = [Output(out / each, force=force, ours=_known(each, before)) for each in names]
    if gates is not None:
        table = figure.compute(gates)
    else:
        table = _of_results(name, figure, results) if figure.kept else figure.compute()
    contents = [*(figure.rendered(table, form) for form in formats), table.csv().encode(), f"{caption}\n".encode()]
    files = {**before, **{each: digest(data) for each, data in zip(names, contents, strict=False)}}
    made = record.sealed({**made_by(name, caption, table, gates or ()), "files": dict(sorted(files.items()))})
    contents.append(record.to_json(made).encode())
    return write_all(zip(outputs, contents, strict=True))


def _of_results(name: str, figure: Figure, results: Path | None) -> FigureTable:
    """The numbers of a figure of training; results of another shape are refused."""
    try:
        return figure.compute(results)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as problem:
        if isinstance(problem, GateflowError) or results is None:
            raise
        raise InvalidArgument(f"what {results} holds is not what the figure {name} shows") from None


def _written_before(out: Path, name: str) -> dict[str, str]:
    """The files of a figure that are as its record in the folder says, with their digests."""
    try:
        made = read_json(out / f"{name}.json")
    except (OSError, ValueError):
        return {}
    if not (is_sealed(made) and made.get("figure") == name and fits(made.get("files"), {str: str})):
        return {}
    return {each: known for each, known in made["files"].items() if _digest_of(out, each) == known}


def _digest_of(out: Path, name: str) -> str | None:
    try:
        return None if Path(name).name != name else digest(read_bytes(out / name, LARGE))
    except OSError:
        return None


def _known(name: str, before: Mapping[str, str]) -> Callable[[bytes], bool]:
    """Whether bytes are those of a file of this name that a record names, or the sealed record itself."""
    if not name.endswith(".json"):
        return lambda data: before.get(name) == digest(data)
    return lambda data: is_sealed(found := from_json(data)) and f"{found.get('figure')}.json" == name


LARGE = 1 << 28
"""Bytes of a picture that is looked at."""


class PictureFile:
    """A file that a picture is written to, in the format that its name says.

    Raises
    ------
    InvalidArgument
        The name says no format, or another file is there and ``force`` is not given.
    """

    def __init__(self, path: Path, *, force: bool = False) -> None:
        self.form = path.suffix.removeprefix(".").lower()
        if self.form not in FORMATS:
            raise InvalidArgument(f"{path} should end in one of .{', .'.join(FORMATS)}")
        self.file = Output(path, force=force)

    def drawn(self, canvas: Any) -> tuple[Output, bytes]:
        """The file, and the picture as it is to be written."""
        data = io.BytesIO()
        with own_style(), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # names from files of others may have letters that no font here has
            canvas.savefig(data, format=self.form, metadata=METADATA[self.form])
        return self.file, data.getvalue()

    def save(self, canvas: Any) -> Path:
        """Write the picture whole or not at all; its path."""
        file, data = self.drawn(canvas)
        return file.write(data)
