"""Curves of training with bands, and time constants over it: not figures of the theory, but of runs."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING, Any

from gateflow.errors import InvalidArgument
from gateflow.plots._figure import add_legend, empty_picture
from gateflow.plots._style import COLUMN, GATE_STYLES

if TYPE_CHECKING:
    from gateflow.training.results import RunTable
    from gateflow.training.timescales import RunTimescales

COLOURS = ("#009E73", "#0072B2", "#CC79A7", "#E69F00")
"""Okabe and Ito's, for what is no gate of the figures."""

STYLES = ("-", "--", "-.", ":")


def curves(table: RunTable, measure: str | None = None) -> Any:
    """A measure on "valid" against the step: the mean over seeds, and a band from the least to the greatest."""
    measure = measure or table.score
    recorded = {name for group in table.groups for run in group.runs for name in run.measures}
    if measure not in recorded:
        raise InvalidArgument(f"no {measure!r} was recorded; there are: {', '.join(sorted(recorded)) or 'none yet'}")
    with empty_picture(height=2.4) as (canvas, axes):
        labels = [group.label for group in table.groups]
        for group in table.groups:
            _draw_band(axes, group, measure, _label(group), kind_style(group.label, labels))
        values = [value for group in table.groups for run in group.runs for _, value in run.curve(measure)]
        if measure == "loss" and values and min(values) > 0 and max(values) > 30 * min(values):
            axes.set_yscale("log")
        axes.set_xlabel("step")
        axes.set_ylabel(f"{measure} on the validation split")
        axes.legend()
    return canvas


def panels(table: RunTable, measure: str | None = None) -> Any:
    """Curves of the arms of an experiment: a panel for what stands after the first comma of their names, a line for
    what stands before it, in the same style everywhere. Means over seeds, bands from the least to the greatest."""
    measure = measure or table.score
    named = [(str(group.differing["arm"]).partition(", "), group) for group in table.groups]
    arms = {(kind, condition): group for (kind, _, condition), group in named}
    kinds, conditions = (list(dict.fromkeys(names)) for names in zip(*arms, strict=True))
    across = min(4, len(conditions))
    down = -(-len(conditions) // across)
    width, height = (COLUMN, 2.1 * down) if across == 1 else (2 * COLUMN, 1.6 * down)
    shared = {"squeeze": False, "sharex": True, "sharey": True}
    with empty_picture(down, across, width=width, height=height, **shared) as (canvas, every):
        values = [value for group in table.groups for run in group.runs for _, value in run.curve(measure)]
        finite = [value for value in values if 0 < value < float("inf")]
        logarithmic = measure != "accuracy" and bool(finite) and max(finite) > 10 * min(finite)
        for axes, condition in zip(every.flat, conditions, strict=False):
            for kind in kinds:
                if group := arms.get((kind, condition)):
                    _draw_band(axes, group, measure, kind, kind_style(kind, kinds))
            axes.set_title(condition, pad=3)
            if logarithmic:
                axes.set_yscale("log")
        for axes in every.flat[len(conditions) :]:
            axes.set_visible(False)
        for axes in every[-1]:
            axes.set_xlabel("step")
        canvas.supylabel(f"{measure.replace('_', ' ')}, validation", fontsize=8)
        add_legend(canvas, 3 if across == 1 else 6)
    return canvas


def _draw_band(axes: Any, group: Any, measure: str, label: str, style: dict[str, Any]) -> None:
    points: dict[int, list[float]] = {}
    for run in group.runs:
        for step, value in run.curve(measure):
            points.setdefault(step, []).append(value)
    steps = sorted(points)
    if not steps:
        return
    axes.plot(steps, [statistics.fmean(points[s]) for s in steps], label=label, **style)
    low, high = [min(points[s]) for s in steps], [max(points[s]) for s in steps]
    axes.fill_between(steps, low, high, color=style["color"], alpha=0.15, linewidth=0)


def kind_style(kind: str, kinds: list[str]) -> dict[str, Any]:
    """Gates of the figures as everywhere; the LSTM with forget bias 1 is the sigmoid; others by their place."""
    if kind in GATE_STYLES or kind == "lstm":
        return {"color": GATE_STYLES["sigmoid" if kind == "lstm" else kind].colour}
    others = [each for each in kinds if each not in GATE_STYLES and each != "lstm"]
    place = others.index(kind)
    return {"color": COLOURS[place % len(COLOURS)], "linestyle": STYLES[place // len(COLOURS) % len(STYLES)]}


def timescales(found: RunTimescales) -> Any:
    """For each layer, the time constants of its units over training, and one by one at the start and at the end.

    On the left the median, and bands from the first to the ninth decile and from the least to the greatest.
    """
    layers = len(found.trained)
    with empty_picture(layers, 2, width=2 * COLUMN, height=2.2 * layers, squeeze=False, sharey="row") as (canvas, rows):
        for layer, (over, units) in enumerate(rows):
            _over_training(over, found, layer)
            _unit_by_unit(units, found.start[layer], found.trained[layer])
            over.set_yscale("log")
            over.set_ylabel(f"time constant, layer {layer + 1} (steps)")
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
    for values, style, label in ((start, {"color": "0.6"}, "at the start"), (trained, {"color": "black"}, "trained")):
        ordered = sorted(float(value) for value in values)
        shares = [(k + 0.5) / len(ordered) for k in range(len(ordered))]
        axes.plot(shares, ordered, drawstyle="steps-mid", label=label, **style)


def _label(group: Any) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label} (n = {len(group.runs)})"
