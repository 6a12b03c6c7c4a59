"""Curves of training with bands, and time constants before and after: not figures of the theory, but of runs."""

from __future__ import annotations

import io
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.plots._figure import FORMATS, METADATA, house_style
from gateflow.plots._style import COLUMN, LOOKS

if TYPE_CHECKING:
    from gateflow.nn.results import Table

COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, for configurations that are no gates of the figures."""

STYLES = ("-", "--", "-.", ":")


def curves(table: Table, measure: str | None = None) -> Any:
    """A measure on "valid" against the step: the mean over seeds, and a band from the least to the greatest."""
    measure = measure or table.score
    canvas, axes = _canvas(2.4)
    with house_style():
        for number, group in enumerate(table.groups):
            points: dict[int, list[float]] = {}
            for run in group.runs:
                for step, value in run.curve(measure):
                    points.setdefault(step, []).append(value)
            steps = sorted(points)
            if not steps:
                continue
            look = _look(group.label, number)
            axes.plot(steps, [statistics.fmean(points[s]) for s in steps], label=_label(group), **look)
            low, high = [min(points[s]) for s in steps], [max(points[s]) for s in steps]
            axes.fill_between(steps, low, high, color=look["color"], alpha=0.2, linewidth=0)
        values = [value for group in table.groups for run in group.runs for _, value in run.curve(measure)]
        if measure == "loss" and values and min(values) > 0 and max(values) > 30 * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel(f"{measure} on the validation split")
        axes.legend()
    return canvas


def distributions(before: Any, after: Any, layer: str) -> Any:
    """Time constants of the units of one layer, sorted, before and after training."""
    canvas, axes = _canvas(2.2)
    with house_style():
        for values, look, label in ((before, {"color": "0.6"}, "at the start"), (after, {"color": "black"}, "trained")):
            finite = sorted(float(value) for value in values)
            shares = [(k + 0.5) / len(finite) for k in range(len(finite))]
            axes.step(finite, shares, where="mid", label=label, **look)
        axes.set_xscale("log")
        axes.set_xlabel("time constant of a unit, in steps")
        axes.set_ylabel(f"share of units, {layer}")
        axes.legend(loc="upper left")
    return canvas


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


def _canvas(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    with house_style():
        canvas = Canvas(figsize=(COLUMN, height), layout="constrained")
        axes = canvas.subplots()
        axes.tick_params(labelsize=7)
    return canvas, axes


def _look(label: str, number: int) -> dict[str, Any]:
    if label in LOOKS:
        return {"color": LOOKS[label].colour}
    style = STYLES[number // len(COLOURS) % len(STYLES)]
    return {"color": COLOURS[number % len(COLOURS)], "linestyle": style}


def _label(group: Any) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label} (n = {len(group.runs)})"
