"""A figure: what it computes, how that is drawn, and its files."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateflow import __version__, record
from gateflow.errors import InvalidArgument
from gateflow.plots._style import COLUMN, STYLE
from gateflow.plots._table import Table

FORMATS = ("svg", "pdf", "png")

METADATA: dict[str, dict[str, Any]] = {
    "svg": {"Date": None, "Creator": "gateflow"},
    "pdf": {"CreationDate": None, "Creator": "gateflow", "Producer": None},
    "png": {"Software": None},
}
"""No clock and no version: the record beside the figure holds what there is to say."""

PACKAGES = ("numpy", "scipy", "sympy", "mpmath", "matplotlib")
"""Packages whose versions can change a figure; extras cannot, so they stay out of its record."""


@dataclass(frozen=True)
class Figure:
    """One figure of :mod:`gateflow.plots`; Jupyter shows it.

    Parameters
    ----------
    compute : callable
        Makes the :class:`Table`; needs no Matplotlib. Where results are kept, it takes the folder they are in.
    draw : callable
        ``draw(axes, table)`` draws it, into one axes or an array of them, of the shape ``panels``.
    height : float
        In inches; the width is one column.
    panels : tuple of int
        Rows and columns of axes.
    kept : tuple of str
        The results of training that it shows, of :data:`gateflow.study.kept.KEPT`; none for a figure of the theory.
    """

    compute: Callable[..., Table]
    draw: Callable[[Any, Table], None]
    height: float = 2.4
    panels: tuple[int, int] = (1, 1)
    kept: tuple[str, ...] = ()

    def picture(self, table: Table | None = None) -> Any:
        """The figure as a ``matplotlib.figure.Figure``; no window is opened."""
        from matplotlib.figure import Figure as Canvas

        table = self.compute() if table is None else table
        with house_style():
            canvas = Canvas(figsize=(COLUMN, self.height), layout="constrained")
            axes = canvas.subplots(*self.panels)
            for panel in canvas.axes:  # else the number of ticks would follow the settings at the time of rendering
                panel.tick_params(labelsize=STYLE["xtick.labelsize"])
            self.draw(axes, table)
        return canvas

    def rendered(self, table: Table, form: str) -> bytes:
        """The bytes of the picture in a format.

        Each is drawn afresh: a layout adjusted for one format would leave its traces in the next.
        """
        canvas, file = self.picture(table), io.BytesIO()
        with house_style():
            canvas.savefig(file, format=form, metadata=METADATA[form])
        return file.getvalue()

    def _repr_svg_(self) -> str:
        return self.rendered(self.compute(), "svg").decode()


@contextmanager
def house_style():
    """Matplotlib's defaults and :data:`STYLE` over the user's settings, which come back afterwards."""
    from matplotlib import style

    with style.context(["default", STYLE]):
        yield


def made_by(name: str, caption: str, table: Table) -> dict[str, Any]:
    """How a figure was made; the same on every run in one environment."""
    return record.record(
        command=f"gateflow figures {name}",
        figure=name,
        caption=caption,
        parameters=table.parameters,
        columns=table.meaning,
        rows=len(table),
        versions={"gateflow": __version__, **record.versions(PACKAGES)},
    )


def write(
    name: str, caption: str, figure: Figure, out: Path, formats: tuple[str, ...], results: Path | None = None
) -> list[Path]:
    """Write a figure, its numbers and its record; the paths, in that order."""
    table = figure.compute(results) if figure.kept else figure.compute()
    contents = {form: figure.rendered(table, form) for form in formats}
    contents["csv"] = table.csv().encode()
    contents["json"] = record.to_json(made_by(name, caption, table)).encode()
    paths = [out / f"{name}.{ending}" for ending in contents]
    for path, data in zip(paths, contents.values(), strict=True):
        record.write_bytes(path, data)
    return paths


def save(canvas: Any, path: Path) -> None:
    """Write a picture in the format that its name says."""
    form = path.suffix.removeprefix(".").lower()
    if form not in FORMATS:
        raise InvalidArgument(f"{path} should end in one of .{', .'.join(FORMATS)}")
    file = io.BytesIO()
    with house_style():
        canvas.savefig(file, format=form, metadata=METADATA[form])
    try:
        record.write_bytes(path, file.getvalue())
    except OSError as problem:
        raise InvalidArgument(f"cannot write {path}: {problem.strerror}") from None
