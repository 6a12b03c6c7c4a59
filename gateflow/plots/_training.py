"""Curves of training with bands, and time constants over it: not figures of the theory, but of runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from gateflow.errors import InvalidArgument
from gateflow.plots._figure import own_style
from gateflow.plots._style import COLUMN, LOOKS

if TYPE_CHECKING:
    from gateflow.training.results import Table
    from gateflow.training.timescales import RunTimescales

COLOURS = ("#000000", "#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""Okabe and Ito's, for configurations that are no gates of the figures."""

STYLES = ("-", "--", "-.", ":")


def curves(table: Table, measure: str | None = None) -> Any:
    """A measure on "valid" against the step: the mean over seeds, and a band from the least to the greatest."""
    measure = measure or table.score
    recorded = {name for group in table.groups for run in group.runs for name in run.measures}
    if measure not in recorded:
        raise InvalidArgument(f"no {measure!r} was recorded; there are: {', '.join(sorted(recorded)) or 'none yet'}")
    canvas, axes = _canvas(2.4)
    with own_style():
        for number, group in enumerate(table.groups):
            _draw_band(axes, group, measure, _label(group), _look(group.label, number))
        values = [value for group in table.groups for run in group.runs for _, value in run.curve(measure)]
        if measure == "loss" and values and min(values) > 0 and max(values) > 30 * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel(f"{measure} on the validation split")
        axes.legend()
    return canvas


def panels(table: Table, measure: str | None = None) -> Any:
    """Curves of the arms of an experiment: a panel for what stands after the first comma of their names, a line for
    what stands before it, in the same look everywhere. Means over seeds, bands from the least to the greatest."""
    from matplotlib.figure import Figure as Canvas

    measure = measure or table.score
    named = [(str(group.differing["arm"]).partition(", "), group) for group in table.groups]
    arms = {(kind, condition): group for (kind, _, condition), group in named}
    kinds, conditions = (list(dict.fromkeys(names)) for names in zip(*arms, strict=True))
    across = min(4, len(conditions))
    down = -(-len(conditions) // across)
    legend_rows = -(-len(kinds) // (3 if across == 1 else 6))
    size = (COLUMN, 2.1 * down) if across == 1 else (2 * COLUMN, 1.6 * down)
    with own_style():
        canvas = Canvas(figsize=(size[0], size[1] + 0.16 * legend_rows), layout="constrained")
        every = canvas.subplots(down, across, squeeze=False, sharex=True, sharey=True)
        values = [value for group in table.groups for run in group.runs for _, value in run.curve(measure)]
        finite = [value for value in values if 0 < value < float("inf")]
        logarithmic = measure != "accuracy" and bool(finite) and max(finite) > 10 * min(finite)
        for axes, condition in zip(every.flat, conditions, strict=False):
            for kind in kinds:
                if group := arms.get((kind, condition)):
                    _draw_band(axes, group, measure, kind, kind_look(kind, kinds))
            axes.set_title(condition, pad=3)
            axes.tick_params(labelsize=7)
            if logarithmic:
                axes.set_yscale("log")
        for axes in every.flat[len(conditions) :]:
            axes.set_visible(False)
        for axes in every[-1]:
            axes.set_xlabel("step")
        canvas.supylabel(f"{measure.replace('_', ' ')}, validation", fontsize=8)
        handles = {
            text: line for axes in every.flat for line, text in zip(*axes.get_legend_handles_labels(), strict=True)
        }
        if handles:
            canvas.legend(
                list(handles.values()), list(handles), loc="outside lower center", ncols=3 if across == 1 else 6
            )
    return canvas


def _draw_band(axes: Any, group: Any, measure: str, label: str, look: dict[str, Any]) -> None:
    points: dict[int, list[float]] = {}
    for run in group.runs:
        for step, value in run.curve(measure):
            points.setdefault(step, []).append(value)
    steps = sorted(points)
    if not steps:
        return
    axes.plot(steps, [statistics.fmean(points[s]) for s in steps], label=label, **look)
    low, high = [min(points[s]) for s in steps], [max(points[s]) for s in steps]
    axes.fill_between(steps, low, high, color=look["color"], alpha=0.15, linewidth=0)


def kind_look(kind: str, kinds: list[str]) -> dict[str, Any]:
    """Gates of the figures as everywhere; the LSTM with forget bias 1 is the sigmoid; others by their place."""
    if kind in LOOKS or kind == "lstm":
        return {"color": LOOKS["sigmoid" if kind == "lstm" else kind].colour}
    others = [each for each in kinds if each not in LOOKS and each != "lstm"]
    place = others.index(kind)
    palette = ("#009E73", "#0072B2", "#CC79A7", "#E69F00")
    return {"color": palette[place % len(palette)], "linestyle": STYLES[place // len(palette) % len(STYLES)]}


def timescales(found: RunTimescales) -> Any:
    """For each layer, the time constants of its units over training, and one by one at the start and at the end.

    On the left the median, and bands from the first to the ninth decile and from the least to the greatest.
    """
    from matplotlib.figure import Figure as Canvas

    layers = len(found.trained)
    with own_style():
        canvas = Canvas(figsize=(2 * COLUMN, 2.2 * layers), layout="constrained")
        rows = canvas.subplots(layers, 2, squeeze=False, sharey="row")
        for layer, (over, units) in enumerate(rows):
            _over_training(over, found, layer)
            _unit_by_unit(units, found.start[layer], found.trained[layer])
            over.set_yscale("log")
            over.set_ylabel(f"time constant, layer {layer + 1} (steps)")
            for axes in (over, units):
                axes.tick_params(labelsize=7)
        rows[-1][0].set_xlabel("step of training")
        rows[-1][1].set_xlabel("share of units")
        rows[0][1].legend(loc="upper left")
    return canvas


def _over_training(axes: Any, found: RunTimescales, layer: int) -> None:
    steps = [step for step, _ in found.history]
    shares = [layers[layer]["timescales"] for _, layers in found.history]
    for low, high, alpha in ((0, -1, 0.12), (1, -2, 0.2)):
        bottom, top = [each[low] for each in shares], [each[high] for each in shares]
        axes.fill_between(steps, bottom, top, color="black", alpha=alpha, linewidth=0)
    axes.plot(steps, [each[len(each) // 2] for each in shares], color="black")


def _unit_by_unit(axes: Any, start: Any, trained: Any) -> None:
    for values, look, label in ((start, {"color": "0.6"}, "at the start"), (trained, {"color": "black"}, "trained")):
        ordered = sorted(float(value) for value in values)
        shares = [(k + 0.5) / len(ordered) for k in range(len(ordered))]
        axes.plot(shares, ordered, drawstyle="steps-mid", label=label, **look)


def _canvas(height: float) -> tuple[Any, Any]:
    from matplotlib.figure import Figure as Canvas

    with own_style():
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
