"""What a registered experiment shows: who has arrived by when, each contrast with its interval, predicted and measured.

Not figures of the theory, but of stored runs: ``gateflow experiment analyse NAME --write FOLDER`` draws them.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any

from gateflow.plots._figure import add_legend, empty_picture
from gateflow.plots._style import COLUMN, GATE_STYLES
from gateflow.plots._training import kind_style

if TYPE_CHECKING:
    from gateflow.study.analysis import Analysis
    from gateflow.study.experiment import Experiment
    from gateflow.study.paired import Survival

MARKS = {0.003: "o", 0.01: "^"}
"""By the rate of a run on the bridge."""


def pictures(found: Analysis, plan: Experiment) -> dict[str, Any]:
    """The figures of an experiment, by the ending of their names."""
    if found.rungs:
        return {"bridge": bridge(found, plan)}
    made = {"arrivals": arrivals(found)}
    return {**made, "contrasts": contrasts(found)} if found.answers else made


def arrivals(found: Analysis) -> Any:
    """The share of runs that have arrived against the step, by Kaplan and Meier, with bands of 95 % point by point.

    A panel for what stands after the first comma of the arms' names, a line for what stands before it.
    """
    names = {arm: arm.partition(", ") for arm in found.arrivals}
    kinds, conditions = (list(dict.fromkeys(name[k] for name in names.values())) for k in (0, 2))
    if len(conditions) == len(names):  # each arm has a condition of its own: one panel shows them all
        conditions = [""]
    across = min(3, len(conditions))
    down = -(-len(conditions) // across)
    every_run = [run for runs in found.arrivals.values() for run in runs]
    last = max(run.step for run in every_run) * (1.05 if all(run.arrived for run in every_run) else 1)
    with _panels(down, across) as (canvas, every):
        for axes, condition in zip(every.flat, conditions, strict=False):
            for arm, (kind, _, own) in names.items():
                if condition in ("", own):
                    marks = GATE_STYLES[kind].line(every=0.12) if kind in GATE_STYLES else {}
                    style = {**kind_style(kind, kinds), **marks}
                    _draw_arrivals(axes, found.survivals[arm], last, arm if not condition else kind, style)
            axes.set_title(condition, pad=3)
            axes.set_xlim(0, last)
            axes.set_ylim(0, 1)
        for axes in every.flat[len(conditions) :]:
            axes.set_visible(False)
        _name_axes(canvas, every, "step", "share of runs that arrived")
    return canvas


def _draw_arrivals(axes: Any, curve: Survival, last: float, label: str, style: dict[str, Any]) -> None:
    steps = [0.0, *curve.steps, last]
    share, low, high = ([0.0, *(1 - left for left in part)] for part in (curve.share, curve.high, curve.low))
    axes.step(steps, [*share, share[-1]], where="post", label=label, **style)
    band = {"step": "post", "alpha": 0.15, "linewidth": 0, "color": style["color"]}
    axes.fill_between(steps, [*low, low[-1]], [*high, high[-1]], **band)


def contrasts(found: Analysis) -> Any:
    """For each question the ratio of steps, its interval of 95 % and, thicker, of 90 %; grey between 1/1.5 and 1.5.

    A filled mark is a difference that the corrected test rejects.
    """
    from matplotlib.ticker import FixedLocator, NullLocator

    count = len(found.answers)
    with empty_picture(height=0.9 + 0.3 * count) as (canvas, axes):
        axes.axvspan(1 / 1.5, 1.5, color="0.92", linewidth=0)
        axes.axvline(1, color="0.5", linewidth=0.6)
        for place, each in enumerate(found.answers):
            axes.plot([each.low, each.high], [place, place], color="black", linewidth=0.8)
            axes.plot([each.equivalent_low, each.equivalent_high], [place, place], color="black", linewidth=2)
            axes.plot([each.ratio], [place], "o", color="black", markerfacecolor="black" if each.differs else "white")
        axes.set_xscale("log")
        reach = max(2.0, *(max(1 / each.low, each.high) for each in found.answers))
        ticks = [
            tick for tick in (1 / 16, 1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8, 16) if 1 / reach <= tick * 1.01 and tick <= reach
        ]
        axes.xaxis.set_major_locator(FixedLocator(ticks))
        axes.xaxis.set_minor_locator(NullLocator())
        axes.set_xticklabels([f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}" for tick in ticks])
        axes.set_xlim(1 / reach / 1.1, reach * 1.1)
        axes.set_yticks(range(count), [each.question.name for each in found.answers])
        axes.set_ylim(count - 0.5, -0.5)
        axes.set_xlabel("steps of the first over steps of the second")
    return canvas


def bridge(found: Analysis, plan: Experiment) -> Any:
    """For each rung the measured steps of a cell, geometric means over seeds, against the predicted ones, and the line.

    A title in brackets is a rung that theory does not predict.
    """
    from gateflow.study.bridge import RUNGS

    groups = {arm: arm.split(", ") for arm in plan.predicted}
    kinds = list(dict.fromkeys(words[1] for words in groups.values()))
    low, high = min(plan.predicted.values()) / 2, max(plan.predicted.values()) * 2
    with _panels(-(-len(found.rungs) // 3), 3) as (canvas, every):
        for axes, rung in zip(every.flat, found.rungs, strict=False):
            axes.plot([low, high], [low, high], color="0.6", linewidth=0.6)
            for arm, (_, kind, *_) in groups.items():
                if plan.told[arm]["rung"] == rung.number:
                    _draw_cell(axes, plan, found, arm, kind, kinds)
            title = re.sub(r"(\w)_f", r"$\1_f$", f"{rung.number}: {RUNGS[rung.number]}")
            axes.set_title(title if rung.holds else f"({title})", pad=3)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlim(low, high)
        _name_axes(canvas, every, "steps predicted", "steps measured")
    return canvas


def _draw_cell(axes: Any, plan: Experiment, found: Analysis, arm: str, kind: str, kinds: list[str]) -> None:
    runs = found.arrivals[arm]
    measured = math.exp(sum(math.log(max(run.step, 1)) for run in runs) / len(runs))
    mark, colour = MARKS.get(plan.arms[arm]["lr"], "s"), kind_style(kind, kinds)["color"]
    label = f"{kind}, {plan.arms[arm]['lr']:g}"
    axes.plot([plan.predicted[arm]], [measured], mark, color=colour, markersize=3, label=label)


def _panels(down: int, across: int) -> Any:
    """Panels with common axes where there are several beside each other."""
    width, height = (COLUMN, 2.4 * down) if across == 1 else (2 * COLUMN, 1.8 * down + 0.3)
    return empty_picture(down, across, width=width, height=height, squeeze=False, sharex=across > 1, sharey=across > 1)


def _name_axes(canvas: Any, every: Any, across: str, up: str) -> None:
    """Names of the axes along the edges of the panels, and a legend below."""
    for axes in every[-1]:
        axes.set_xlabel(across)
    for axes in every[:, 0]:
        axes.set_ylabel(up)
    add_legend(canvas, 3)
