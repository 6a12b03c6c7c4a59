"""The figures of a report: those of the theory, drawn for any gates, and told apart by dashes and markers.

Each is inline SVG: its colours are the page's own, so that they follow it into the dark and onto paper; its ids begin
with the figure's name, so that several live on one page.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import sympy as sp

from gateflow.asymptotics.rate import TAU, C, Rate, T
from gateflow.errors import GateflowError
from gateflow.flow.problem import LearningProblem
from gateflow.flow.time import hitting_time
from gateflow.gate import Gate
from gateflow.markup import Markup, tag
from gateflow.plots._figure import METADATA, Figure, house_style
from gateflow.plots._style import AUXILIARY
from gateflow.plots._table import Table

REACH = 6.0
"""Largest pre-activation shown."""

NEAREST = 1e-12
"""The distance to saturation nearest to it, and the smallest gap, that are shown."""

HORIZON = 100
"""T of the figures of learning."""

SPAN = (1e-1, 1e14)
"""Learning times shown."""

LATEST, FLATTEST = 1e45, 1e-45
"""Learning times and slopes past these are left out: they would press all others together."""

LONGEST = 38
"""Characters of a name in a legend."""


class Stroke(NamedTuple):
    """How a gate is drawn: in black and white by dashes and marker alone."""

    colour: str
    dashes: Any
    marker: str

    def line(self, every: Any) -> dict[str, Any]:
        """Keywords of ``Axes.plot``."""
        marks = {"marker": self.marker, "markevery": every, "markerfacecolor": PAGE, "markersize": 3.4}
        return {"color": self.colour, "linestyle": self.dashes, **marks}


STROKES = (
    Stroke("#111213", "-", "o"),
    Stroke("#b5480a", (0, (5, 1.5)), "s"),
    Stroke("#0a66a3", (0, (1, 1)), "^"),
    Stroke("#00704f", (0, (6, 1.5, 1, 1.5)), "D"),
    Stroke("#8a3f74", (0, (3, 1)), "v"),
    Stroke("#7d6608", (0, (8, 2)), "P"),
    Stroke("#4a3fa0", (0, (4, 1, 1, 1, 1, 1)), "X"),
    Stroke("#5a5f66", (0, (2, 2)), "*"),
    Stroke("#767a80", (0, (1, 2)), "h"),
)
"""By place among the gates; the last is for the gate they are measured by."""

PAGE = "#fdfcfb"
"""The colour of the page, inside of markers."""

INK = "#000000"


class Subject(NamedTuple):
    """A gate in a figure."""

    name: str
    gate: Gate
    stroke: Stroke
    law: Rate | None = None


@dataclass(frozen=True)
class Picture:
    """A figure of a report.

    Attributes
    ----------
    name : str
        With which its ids begin.
    title : str
    caption : str
    told : str
        What it shows, for who does not see it.
    svg : Markup
    """

    name: str
    title: str
    caption: str
    told: str
    svg: Markup


def subjects(gates: Sequence[tuple[str, Gate, Rate | None]], reference: tuple[str, Gate] | None) -> list[Subject]:
    """The gates with their strokes, and last the one they are measured by."""
    drawn = [Subject(name, gate, STROKES[i], law) for i, (name, gate, law) in enumerate(gates)]
    return (
        drawn if reference is None else [*drawn, Subject(f"{reference[0]} (for comparison)", reference[1], STROKES[-1])]
    )


def pictures(drawn: Sequence[Subject]) -> list[Picture]:
    """All figures of these gates."""
    return [one for one in (picture(plan, drawn) for plan in PLANS) if one is not None]


# --- the four of them -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Plan:
    """What a figure computes of each gate, how it is drawn, and what is told to who does not see it."""

    name: str
    title: str
    caption: str
    meaning: dict[str, str]
    block: Callable[[Subject], dict[str, Any]]
    draw: Callable[[Any, Table, Sequence[Subject]], None]
    told: Callable[[Table], str]
    height: float = 3.3
    panels: tuple[int, int] = (1, 1)


def _values(one: Subject) -> dict[str, Any]:
    z = np.linspace(-REACH, REACH, 241)
    slope = np.asarray(one.gate.dphi(z))
    return {"z": z, "phi": one.gate.phi(z), "dphi": np.where(np.isfinite(slope), slope, np.nan)}


def _draw_values(axes: Any, table: Table, shown: Sequence[Subject]) -> None:
    for panel, column, label in zip(
        axes, ("phi", "dphi"), (r"value $\phi$", r"slope $\mathrm{d}\phi/\mathrm{d}z$"), strict=True
    ):
        _lines(panel, table, shown, "z", column, 24)
        panel.set(xlim=(-REACH, REACH), ylabel=label)
    for level in (0, 1):
        axes[0].axhline(level, **AUXILIARY)
    axes[0].tick_params(labelbottom=False)
    axes[1].set(xlabel=r"pre-activation $z$")


def _tell_values(part: Table) -> str:
    steepest = int(np.nanargmax(part["dphi"]))
    return (
        f"phi goes from {part['phi'][0]:.3g} at z = {-REACH:g} to {part['phi'][-1]:.6g} at z = {REACH:g}; "
        f"steepest at z = {part['z'][steepest]:.3g}, with slope {part['dphi'][steepest]:.3g}"
    )


def _slopes(one: Subject) -> dict[str, Any]:
    loss = np.geomspace(0.5, NEAREST, 121)
    slope = np.asarray(one.gate.slope_at(loss))
    return {"loss": loss, "slope": np.where(slope > FLATTEST, slope, np.nan)}


def _draw_slopes(axes: Any, table: Table, shown: Sequence[Subject]) -> None:
    _lines(axes, table, shown, "loss", "slope", 20)
    axes.set(xscale="log", yscale="log", xlim=(0.5, NEAREST))
    axes.set(xlabel=r"distance to saturation $l = 1 - \phi$", ylabel=r"slope there $h(l)$")


def _tell_slopes(part: Table) -> str:
    return f"at distance 1e-6 from 1 the slope is {_at(part['loss'], 1e-6, part['slope'])}"


def _losses(one: Subject) -> dict[str, Any]:
    """Times at which the flow to ``lambda* = 1`` is at each of many decays: those of flows that aim there."""
    decay = np.concatenate([1 - np.geomspace(1e-9, 0.1, 60), np.geomspace(0.9, 1e-19, 200)[1:]])
    tau = _time(one, decay=decay)
    return {"tau": np.where((tau >= SPAN[0] / 10) & (tau <= 10 * SPAN[1]), tau, np.nan), "loss": -np.expm1(-decay)}


def _draw_losses(axes: Any, table: Table, shown: Sequence[Subject]) -> None:
    _lines(axes, table, shown, "tau", "loss", 40)
    for one in shown:
        axes.plot(*law_of_loss(one.law), color=one.stroke.colour, linewidth=0.6, zorder=0.8)
    seen = table["loss"][np.isfinite(table["tau"]) & (table["tau"] <= SPAN[1])]
    axes.set(xscale="log", yscale="log", xlim=SPAN, ylim=(max(1e-16, float(seen.min(initial=1e-3)) / 3), 3))
    axes.set(xlabel=r"learning time $\tau$", ylabel=r"loss $1 - \phi^T$")


def _tell_losses(part: Table) -> str:
    first, second = (_at(part["loss"], loss, part["tau"]) for loss in (0.1, 1e-6))
    return f"the loss is 0.1 at tau = {first} and 1e-6 at tau = {second}"


def _times(one: Subject) -> dict[str, Any]:
    gap = np.geomspace(0.5, NEAREST, 81)
    return {"gap": gap, "tau": _time(one, gap=gap)}


def _draw_times(axes: Any, table: Table, shown: Sequence[Subject]) -> None:
    _lines(axes, table, shown, "gap", "tau", 14)
    axes.set(xscale="log", yscale="log", xlim=(0.5, NEAREST))
    axes.set(xlabel=r"gap to the target $1 - \lambda\!^*$", ylabel=r"learning time $\tau$")


def _tell_times(part: Table) -> str:
    first, second = (_at(part["gap"], gap, part["tau"]) for gap in (1e-2, 1e-8))
    return f"tau is {first} for a gap of 0.01 and {second} for 1e-8"


PLANS = (
    Plan(
        "values",
        "Value and slope",
        "The gate and its derivative over the pre-activation.",
        {"gate": "name", "z": "pre-activation", "phi": "value", "dphi": "derivative"},
        _values, _draw_values, _tell_values, panels=(2, 1),
    ),
    Plan(
        "slopes",
        "Slope at the same output",
        "Slope of the gate as a function of its own output. At the same distance to 1 the steeper gate learns faster; "
        "near enough to 1 that is the one of higher order of saturation.",
        {"gate": "name", "loss": "l = 1 - phi", "slope": "h(l)"},
        _slopes, _draw_slopes, _tell_slopes,
    ),
    Plan(
        "losses",
        "Loss along the flow",
        f"Loss along the gradient flow to λ* = 1 for T = {HORIZON} and c = 1, from the time constant T. Thin lines: T "
        "times the law of l(τ) that was proved.",
        {"gate": "name", "tau": "learning time", "loss": "1 - phi^T"},
        _losses, _draw_losses, _tell_losses,
    ),
    Plan(
        "times",
        "Learning time",
        f"Learning time to the target λ* = 1 − gap for T = {HORIZON} and c = 1, from the time constant T.",
        {"gate": "name", "gap": "1 - lambda*", "tau": "learning time"},
        _times, _draw_times, _tell_times,
    ),
)  # fmt: skip
"""The figures, in the order of the page."""


def _time(one: Subject, **target: Any) -> np.ndarray:
    """Learning times from the time constant T, nan where there are none."""
    z0 = one.gate.inverse_c(-np.expm1(-1 / HORIZON))
    tau = np.asarray(hitting_time(LearningProblem(one.gate, horizon=HORIZON, **target), z0).tau)
    return np.where(tau < LATEST, tau, np.nan)


def law_of_loss(law: Rate | None) -> tuple[np.ndarray, np.ndarray]:
    """Learning times, and ``T l(tau)`` by the law proved at c = 1, where that is a small number.

    Examples
    --------
    >>> from gateflow.asymptotics.rate import rate
    >>> tau, loss = law_of_loss(rate("sigmoid"))
    >>> bool(np.allclose(loss * tau, 1))
    True
    """
    if law is None or law.expr is None:
        return np.array([]), np.array([])
    at_horizon = law.expr.subs({C: 1, T: HORIZON})
    tau = np.geomspace(*SPAN, 46)
    found = [at_horizon.subs(TAU, sp.Float(x)).evalf(15) for x in tau]
    loss = np.array([HORIZON * float(x) if x.is_real else np.nan for x in found])
    kept = (loss > 0) & (loss < 1)
    return tau[kept], loss[kept]


# --- what they share --------------------------------------------------------------------------------------------------


def _lines(axes: Any, table: Table, shown: Sequence[Subject], x: str, y: str, apart: int) -> None:
    """A line a gate, each marked at other places, so that lines that coincide are seen to."""
    for k, one in enumerate(shown):
        part = table.rows(gate=one.name)
        axes.plot(part[x], part[y], label=_legend_name(one.name), **one.stroke.line((3 + 5 * k, apart)))


def _legend_name(name: str) -> str:
    short = name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
    return short.replace("$", r"\$").removeprefix("_")


def _at(grid: np.ndarray, value: float, numbers: np.ndarray) -> str:
    """The number where the falling grid is ``value``, between its neighbours in logarithms, in words."""
    with np.errstate(divide="ignore"):
        found = np.exp(np.interp(-np.log(value), -np.log(grid), np.log(numbers)))
    return f"{found:.3g}" if np.isfinite(found) else "not shown"


def picture(plan: Plan, drawn: Sequence[Subject]) -> Picture | None:
    """The figure of those gates that have these numbers; one without is named in the caption, with the reason."""
    blocks, shown, without = [], [], []
    for one in drawn:
        try:
            blocks.append({"gate": one.name, **plan.block(one)})
            shown.append(one)
        except GateflowError as why:
            without.append(f"{one.name} ({why})")
    if not shown:
        return None
    table = Table.of(blocks, plan.meaning)
    figure = Figure(lambda: table, partial(_with_legend, plan.draw, shown), plan.height, plan.panels)
    caption = plan.caption + (f" Not drawn: {'; '.join(without)}." if without else "")
    told = ". ".join(f"{one.name}: {plan.told(table.rows(gate=one.name))}" for one in shown) + "."
    return Picture(plan.name, plan.title, caption, told, _inline(figure, table, plan.name, plan.title, told))


def _with_legend(draw: Callable[..., None], shown: Sequence[Subject], axes: Any, table: Table) -> None:
    draw(axes, table, shown)
    first = np.atleast_1d(axes)[0]
    columns = 2 if max(len(_legend_name(one.name)) for one in shown) < 26 else 1
    first.figure.legend(*first.get_legend_handles_labels(), loc="outside lower center", ncols=columns, handlelength=3.4)


def _inline(figure: Figure, table: Table, name: str, title: str, told: str) -> Markup:
    """The drawing as part of a page."""
    canvas, file = figure.picture(table), io.StringIO()
    with house_style():
        canvas.savefig(file, format="svg", transparent=True, metadata=METADATA["svg"])
    drawing = file.getvalue()
    box = re.search(r'viewBox="([^"]*)"', drawing)
    inside = re.search(r"<svg\b[^>]*>(.*)</svg>", drawing, re.DOTALL)
    assert box is not None
    assert inside is not None
    body = _coloured(_renamed(_bare(inside[1]), name))
    return tag(
        "svg",
        tag("title", title, id=f"{name}-title"),
        tag("desc", told, id=f"{name}-told"),
        Markup(body),
        xmlns="http://www.w3.org/2000/svg",
        viewBox=box[1],
        role="img",
        aria_labelledby=f"{name}-title {name}-told",
        fill="currentColor",
        stroke_linejoin="round",
        stroke_linecap="butt",
    )


def _bare(body: str) -> str:
    """Without comments, metadata and the style sheet, which would reach past the figure into the page."""
    for kind in (r"<!--.*?-->", r"<metadata>.*?</metadata>", r"<style[^>]*>.*?</style>"):
        body = re.sub(kind, "", body, flags=re.DOTALL)
    return re.sub(r"\n\s*", "\n", body)


def _renamed(body: str, name: str) -> str:
    """Each id, and each mention of it, with the figure's name before it."""
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'xlink:href="#', f'href="#{name}-', body)
    return re.sub(r"url\(#", f"url(#{name}-", body)


def _coloured(body: str) -> str:
    """The page's variables in place of colours."""
    for i, stroke in enumerate(STROKES):
        body = body.replace(stroke.colour, f"var(--line-{i},{stroke.colour})")
    return body.replace(PAGE, "var(--page)").replace(INK, "currentColor")


def palette() -> str:
    """The colours of the lines as variables of a style sheet."""
    return "".join(f"--line-{i}:{stroke.colour};" for i, stroke in enumerate(STROKES))
