"""Plane of the refine gate: field lines, flows to the target with their times; its losses beside sigmoid and fast.

Above, every flow ends on the dashed line of targets, at the time beside its start. Below, dashed lines have the
refine gate: it helps the sigmoid a little and the fast gate hardly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gateflow.flows.plane import RefineProblem, flow, portrait
from gateflow.flows.problem import LearningProblem
from gateflow.flows.trajectory import follow as trajectory
from gateflow.plots._figure import Figure
from gateflow.plots._style import GATE_STYLES, LAW, name_line, name_panel
from gateflow.plots._table import FigureTable

HORIZON = 10
GAP = 1e-3
LOWEST = 1e-12
"""1 - lambda* of the learning curves."""

ACROSS, UP = (-4.0, 11.0), (-6.0, 6.0)
"""z and w shown."""
COUNT = 41
"""Points of the field each way."""

STARTS = {
    (-3.0, -4.6): (-3.2, -4.85, "left", "top"),
    (-2.0, 1.0): (-2.0, 0.6, "center", "top"),
    (0.0, -3.0): (0.0, -3.4, "center", "top"),
    (0.0, 4.0): (0.0, 4.35, "center", "bottom"),
    (9.5, 2.0): (9.6, 2.35, "center", "bottom"),
    (8.5, 5.0): (8.8, 5.1, "left", "center"),
}
"""Where the flows start, and where their hitting times stand."""

TIMES = np.geomspace(10.0, 1e11, 240)
"""Learning times of the learning curves."""
POINTS = 120
"""Points of a flow."""

MEANING = {
    "part": "field: direction of the flow; level: curve of the target; flow: a path; curve: loss over learning time",
    "name": "start of a flow, or the gate of a curve; none otherwise",
    "tau": "learning time; of a flow, when it arrives; 0 for field and level",
    "z": "pre-activation of the gate; 0 for curves",
    "w": "pre-activation of the refine gate; 0 for curves",
    "dz": "z part of the field's unit vector; 0 otherwise",
    "dw": "w part of the field's unit vector; 0 otherwise",
    "loss": "|g^T - lambda*| along flows and curves; 0 otherwise",
}


def compute() -> FigureTable:
    """The field, the target, the flows, and the learning curves from phi = 1/2, w = 0."""
    problem = RefineProblem(horizon=HORIZON, gap=GAP)
    blocks = [_field(problem), _level(problem), *_flows(problem), *_curves()]
    return FigureTable.of(blocks, MEANING, horizon=HORIZON, gap=GAP, lowest=LOWEST, scale=1.0)


def _row(part: str, name: str = "none", **columns: Any) -> dict[str, Any]:
    return {
        "part": part,
        "name": name,
        **{key: columns.get(key, 0.0) for key in MEANING if key not in ("part", "name")},
    }


def _field(problem: RefineProblem) -> dict[str, Any]:
    found = portrait(problem, ACROSS, UP, COUNT)
    z, w = (grid.ravel() for grid in np.meshgrid(found.first, found.second))
    return _row("field", z=z, w=w, dz=found.across.ravel(), dw=found.up.ravel())


def _level(problem: RefineProblem) -> dict[str, Any]:
    """The curve ``g^T = lambda*`` between its asymptotes, ``1 - g = f_c^2`` (r = 1) and ``g = f^2`` (r = 0)."""
    rest = -np.expm1(-problem.effective.h_star / HORIZON)
    left, right = (problem.gate.inverse_c(x) for x in (np.sqrt(rest), rest / (1 + np.sqrt(1 - rest))))
    near = np.geomspace(1e-4, 0.5, 60)
    share = np.concatenate([near, 1 - near[-2::-1]])
    z = left + (right - left) * share
    w = np.asarray(problem.level(z))
    return _row("level", z=z, w=w)


def _flows(problem: RefineProblem) -> Iterator[dict[str, Any]]:
    for start in STARTS:
        path = flow(problem, start)
        z, w = path.along(POINTS).T
        yield _row("flow", _named(start), tau=path.tau[-1], z=z, w=w, loss=problem.loss_at(z, w))


def _named(start: tuple[float, float]) -> str:
    return f"{start[0]:g} {start[1]:g}"


def _curves() -> Iterator[dict[str, Any]]:
    for name in ("sigmoid", "fast"):
        plain = trajectory(LearningProblem(name, horizon=HORIZON, gap=LOWEST), 0.0)
        refined = flow(RefineProblem(name, horizon=HORIZON, gap=LOWEST), (0.0, 0.0))
        yield _row("curve", name, tau=TIMES, loss=plain.at(TIMES).loss)
        yield _row("curve", f"{name} refined", tau=TIMES, loss=refined.at(TIMES).loss)


def draw(axes: Any, table: FigureTable) -> None:
    """Above, the plane with the target dashed; below, losses: dashed with the refine gate, solid without."""
    plane, curves = axes
    _draw_plane(plane, table)
    for name in ("sigmoid", "fast"):
        for refined, style in (("", "-"), (" refined", (0, (4, 2)))):
            part = table.rows(part="curve", name=name + refined)
            marked = GATE_STYLES[name].line(every=(0.3, 0.25))
            curves.plot(part["tau"], part["loss"], **{**marked, "linestyle": style})
    curves.set(xscale="log", yscale="log", xlim=(10, 1e11), ylim=(1e-11, 3))
    curves.set(xlabel=r"learning time $\tau$", ylabel="loss")
    name_line(curves, "sigmoid", 4e8, 6e-9, ha="left", va="bottom")
    name_line(curves, "fast", 1.2e5, 1e-8, ha="right", va="top")
    curves.text(0.97, 0.9, "dashed: with refine gate", transform=curves.transAxes, ha="right", va="top", fontsize=7)
    name_panel(plane, "a")
    name_panel(curves, "b", y=0.12)


def _draw_plane(plane: Any, table: FigureTable) -> None:
    field = table.rows(part="field")
    z, w, dz, dw = (field[key].reshape(COUNT, COUNT) for key in ("z", "w", "dz", "dw"))
    lines = {"density": 0.75, "linewidth": 0.5, "arrowsize": 0.5, "arrowstyle": "->", "color": "0.7", "zorder": 1}
    plane.streamplot(z[0], w[:, 0], dz, dw, **lines)
    ink = {"facecolor": "white", "edgecolor": "none", "pad": 0.8}
    level = table.rows(part="level")
    plane.plot(level["z"], level["w"], **{**LAW, "zorder": 2})
    for start, (x, y, across, up) in STARTS.items():
        part = table.rows(part="flow", name=_named(start))
        plane.plot(part["z"], part["w"], color=GATE_STYLES["sigmoid"].colour, zorder=3)
        plane.plot(
            part["z"][:1], part["w"][:1], "o", color=GATE_STYLES["sigmoid"].colour, markerfacecolor="white", zorder=4
        )
        plane.plot(part["z"][-1:], part["w"][-1:], ".", color=GATE_STYLES["sigmoid"].colour, zorder=4)
        plane.text(x, y, _time(part["tau"][-1]), fontsize=7, ha=across, va=up, bbox=ink, zorder=5)
    plane.text(9.5, -5.3, r"$g^T = \lambda\!^*$", ha="right", va="center", fontsize=7, bbox=ink, zorder=5)
    plane.set(xlim=ACROSS, ylim=UP, xlabel=r"pre-activation $z$ of the gate", ylabel=r"$w$ of the refine gate")


def _time(tau: float) -> str:
    """A learning time with two digits."""
    digits, power = f"{tau:.1e}".split("e")
    return rf"$\tau = {tau:.0f}$" if tau < 1e5 else rf"$\tau = {digits} \cdot 10^{{{int(power)}}}$"


FIGURE = Figure(compute, draw, height=4.6, panels=(2, 1))
