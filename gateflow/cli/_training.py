"""What the commands that train networks share: how they stop, what they end with, and tables of what was learned."""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING, Any

from gateflow.cli._terminal import Columns, Listing, number, pairs, span, tidy, title
from gateflow.runs.signals import asked_to_stop as asked_to_stop

if TYPE_CHECKING:
    from gateflow.training.results import RunTable

INTERRUPTED = 130
NOT_FINITE = 3
FEWEST = 3
"""Runs of an arm that an interval needs, or a comparison of gates."""


# --- stops and exit codes


def exit_code(status: str, said: str) -> int:
    """The exit code of a status; an interrupted run prints how to resume it."""
    if status == "interrupted":
        print(f"gateflow: interrupted: {said}; the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    return NOT_FINITE if status == "not finite" else 0


def ending(statuses: dict[str, str]) -> int:
    """The exit code of an experiment, from the statuses of its runs."""
    ended = sum(status not in ("interrupted", "not begun", "elsewhere") for status in statuses.values())
    worst = next((status for status in ("interrupted", "not finite") if status in statuses.values()), "finished")
    return exit_code(worst, f"{ended} of {len(statuses)} runs have ended")


def tell(text: str) -> None:
    """On a terminal, what became of a run."""
    if sys.stderr.isatty():
        print(f"gateflow: {tidy(text)}", file=sys.stderr)


# --- tables


def of_runs(found: RunTable) -> Listing:
    """Mean and spread of each configuration; what is the same for all is left out."""
    rows = found.records()
    differing = list(found.groups[0].differing)
    solved = any(row["solved"] for row in rows)
    broken = any(row["not finite"] for row in rows)
    numeric = ["n", *found.measures, *(["solved", "solved at"] if solved else []), *(["not finite"] if broken else [])]
    cells = [
        [
            *("" if row[name] is None else str(row[name]) for name in differing),
            str(row["n"]) if row["n"] == row["runs"] else f"{row['n']} of {row['runs']}",
            *(_with_spread(row[measure], row[f"{measure} sd"]) for measure in found.measures),
            *([str(row["solved"]), _step(row["solved at"])] if solved else []),
            *([str(row["not finite"])] if broken else []),
            "" if math.isnan(row["seconds"]) else number(row["seconds"], 3),
        ]
        for row in rows
    ]
    return Listing([*differing, *numeric, "seconds"], cells, numeric=[*numeric, "seconds"])


def _with_spread(mean: float, spread: float) -> str:
    """Mean and spread, both to two digits of the spread.

    Examples
    --------
    >>> _with_spread(0.97512, 0.0123), _with_spread(4.0, float("nan"))
    ('0.975 ± 0.012', '4')
    """
    if not math.isfinite(spread) or not spread:
        return "" if math.isnan(mean) else f"{mean:.0f}" if mean.is_integer() else number(mean, 4)
    digits = 1 - math.floor(math.log10(spread))
    if digits > 6:
        return f"{number(mean, 4)} ± {spread:.1e}"
    return f"{mean:.{max(digits, 0)}f} ± {spread:.{max(digits, 0)}f}"


def _step(step: Any) -> str:
    return "" if step is None else number(step)


def arrived(rows: list[dict[str, Any]]) -> Listing:
    """The least losses, and when the runs began to remember."""
    columns: Columns = {
        "arm": lambda row: row["arm"],
        "n": lambda row: str(row["runs"]),
        "chance": lambda row: number(row["chance"], 4),
        "least loss": lambda row: number(row["loss"], 4),
        "95 %": lambda row: "" if row["runs"] < FEWEST else span(row["low"], row["high"], 4),
        "arrived": lambda row: str(row["arrived"]),
        "mean step": lambda row: number(row["mean_step"], 4),
    }
    return Listing.of(rows, columns, ["arm"])


def compared(found: list[Any]) -> Listing:
    """Gate against gate: :class:`gateflow.study.networks.Contrast`."""
    columns: Columns = {
        "with": lambda each: each.condition,
        "gate": lambda each: each.first,
        "against": lambda each: each.second,
        "saturates faster": lambda each: "yes" if each.ordered else "",
        "sooner": lambda each: number(each.sooner, 3),
        "p": lambda each: number(each.p, 2),
        "gain": lambda each: number(each.gain, 3),
        "95 %": lambda each: span(each.low, each.high),
        "less loss": lambda each: {"first": each.first, "second": each.second}.get(each.verdict, each.verdict),
    }
    return Listing.of(found, columns, ["with", "gate", "against", "saturates faster", "less loss"])


def by_unit(rows: list[dict[str, Any]]) -> Listing:
    """Medians over runs: the error of each law in log time constant, the rank correlation, the pace."""
    from statistics import median

    from gateflow.study.units import LAWS

    cells = []
    for row in rows:
        units = [each for each in row["units"] if each]
        if units:
            keys = (*LAWS, "rank")
            medians = [median(each[key] for each in units) for key in keys]
            cells.append([row["arm"], str(len(units)), *(number(each, 3) for each in (*medians, median(row["pace"])))])
    columns = ["arm", "n", *LAWS, "rank", "pace"]
    return Listing(columns, cells, columns[1:])


def analysed(found: Any) -> list[Any]:
    """A registered experiment: :class:`gateflow.study.analysis.Analysis`."""
    about = [
        ("experiment", found.name + (", cut short" if found.cut else "")),
        ("seeds", str(found.seeds)),
        ("commits", ", ".join(found.commits)),
        ("not finite", str(found.not_finite)),
    ]
    arms = []
    for arm, runs in found.arrivals.items():
        steps = found.survivals[arm]
        arms.append([arm, str(len(runs)), str(sum(run.arrived for run in runs)), number(steps.median, 5)])
    parts: list[Any] = [
        pairs(about),
        "",
        title("arms"),
        Listing(["arm", "n", "arrived", "median step"], arms, ["n", "arrived", "median step"]),
    ]
    if found.answers:
        parts += ["", title("questions"), _answers(found.answers)]
    if found.rungs:
        parts += ["", title("rungs"), _rungs(found.rungs), "", title("why, exploratory"), _otherwise(found.rungs)]
    return [*parts, "", title("conclusions"), *found.conclusions]


def _answers(found: list[Any]) -> Listing:
    columns: Columns = {
        "question": lambda each: each.question.name,
        "n": lambda each: str(each.pairs),
        "ratio": lambda each: number(each.ratio, 3),
        "95 %": lambda each: span(each.low, each.high),
        "p": lambda each: number(each.p, 2),
        "Holm": lambda each: number(each.corrected, 2) if each.question.tested else "",
        "90 %": lambda each: span(each.equivalent_low, each.equivalent_high),
        "p equivalent": lambda each: number(each.p_equivalent, 2),
        "p log-rank": lambda each: number(each.p_log_rank, 2),
        "spread": lambda each: number(each.spread, 2),
        "seen with .9": lambda each: number(each.detectable, 3),
    }
    return Listing.of(found, columns, ["question"])


def _rungs(found: list[Any]) -> Listing:
    columns: Columns = {
        "rung": lambda each: str(each.number),
        "cells": lambda each: str(each.slope.cells),
        "arrived": lambda each: f"{each.arrived:.0%}",
        "slope": lambda each: number(each.slope.slope, 3),
        "95 %": lambda each: span(each.slope.low, each.slope.high),
        "mean log ratio": lambda each: number(each.slope.offset, 3),
        "predicted": lambda each: "yes" if each.holds else "no",
    }
    return Listing.of(found, columns)


def _line(found: Any) -> list[str]:
    return [number(found.slope, 3), span(found.low, found.high), number(found.offset, 3)]


def _otherwise(found: list[Any]) -> Listing:
    """The slope of the way of the forget gate, and against predictions that assume something else."""
    cells = []
    for each in found:
        if each.came is not None:
            way = ["", "", ""] if each.path is None else _line(each.path)
            cells.append([str(each.number), "way of the forget gate", f"{each.came:.0%}", *way])
        cells += [[str(each.number), name, "", *_line(line)] for name, line in each.otherwise.items()]
    columns = ["rung", "measured or assumed", "got there", "slope", "95 %", "mean log ratio"]
    return Listing(columns, cells, ["rung", *columns[2:]])
