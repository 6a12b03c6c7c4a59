"""How much sooner fast arrives than sigmoid at one step size, by T and gap: from phi = 1/2, from time constant T.

Numbers at contours are learning times of the sigmoid over those of fast. Dashed: above, the end of the plateau, below
which fast gains nothing; below, the law log^2(T/gap) of the three highest contours.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import LAW, name_panels
from gateflow.plots._table import FigureTable

HORIZONS = {"half": np.concatenate([np.arange(1, 8, 0.5), np.arange(8, 81, 2)]), "constant": np.geomspace(1, 1e6, 25)}
"""By where learning starts. From phi = 1/2 the plateau grows as 2^T, so T is even; otherwise log T is."""

GAPS = np.geomspace(0.1, 1e-24, 47)

LEVELS = (3, 10, 30, 100, 300, 1000, 3000)
"""Speed-ups at the contours."""

SHADES = ("white", "#56B4E9")
"""The slowest and the fastest; lighter is slower in grey too."""

NAMED = {
    "half": {3: (74, -19.4), 30: (66, -18.5), 300: (58, -18.6), 1000: (26, -12.6), 3000: (38, -22.5)},
    "constant": {
        10: (0.6, -1.6),
        30: (1, -2.2),
        100: (1.7, -3.2),
        300: (2.5, -5.5),
        1000: (3.2, -11),
        3000: (3.8, -20.5),
    },
}
"""Where contours are labelled, about: T and the decimal logarithm of the gap; below, log T too."""

MEANING = {
    "start": "half: learning starts at phi = 1/2; constant: at the time constant T, where phi^T = 1/e",
    "horizon": "T, in steps",
    "gap": "1 - lambda*",
    "speed_up": "learning time with sigmoid over that with fast",
}


def compute() -> FigureTable:
    """Ratios of hitting times, one block a start."""
    blocks = []
    for start, horizons in HORIZONS.items():
        horizon, gap = (x.ravel() for x in np.meshgrid(horizons, GAPS, indexing="ij"))
        log_times = [_log_time(name, start, horizon, gap) for name in ("sigmoid", "fast")]
        blocks.append({"start": start, "horizon": horizon, "gap": gap, "speed_up": np.exp(np.subtract(*log_times))})
    return FigureTable.of(blocks, MEANING, scale=1.0)


def _log_time(name: str, start: str, horizon: np.ndarray, gap: np.ndarray) -> np.ndarray:
    chosen = gate(name)
    rest = np.full(horizon.shape, 0.5) if start == "half" else -np.expm1(-1 / horizon)
    return hitting_time(LearningProblem(chosen, horizon=horizon, gap=gap), chosen.inverse_c(rest)).log_tau


def draw(axes: Any, table: FigureTable) -> None:
    """Contours over shades; dashed, the end of the plateau above and the law ``log^2(T/gap)`` below.

    Drawn over logarithms on plain axes: contours are interpolated, and labels turned, in the coordinates of the data.
    """
    upper, lower = axes
    horizon = HORIZONS["half"]
    _map(upper, horizon, "half", table)
    upper.plot(horizon, 2 * np.log10(horizon) - (horizon + 2) * np.log10(2), **LAW)
    upper.text(77, -6.5, "plateau:\nno faster", ha="right", va="center")
    upper.set_title("learning time with sigmoid over that with fast", pad=3)
    upper.set_xlabel(r"horizon $T$ (steps), from $\phi = 1/2$")
    decades = np.log10(HORIZONS["constant"])
    _map(lower, decades, "constant", table)
    for level in LEVELS[-3:]:
        lower.plot(decades, decades - np.log10(np.e) * np.sqrt(level), **LAW)
    lower.set_xticks(range(7), [f"$10^{k}$" for k in range(7)])
    lower.set_xlabel(r"horizon $T$ (steps), from $\phi^T = 1/e$")
    name_panels(axes)


def _map(panel: Any, across: np.ndarray, start: str, table: FigureTable) -> None:
    """The logarithm of the speed-up as shades, with its contours named."""
    from matplotlib.colors import LinearSegmentedColormap

    shades = LinearSegmentedColormap.from_list("speed-up", SHADES)(np.linspace(0, 1, len(LEVELS) + 1))
    up, levels = np.log10(GAPS), np.log(LEVELS)
    log_ratio = np.log(table.rows(start=start)["speed_up"]).reshape(across.size, up.size).T
    panel.set(xlim=across[[0, -1]], ylim=up[[0, -1]], ylabel=r"gap to the target $1 - \lambda\!^*$")
    panel.set_yticks(range(-3, -25, -3), [f"$10^{{{k}}}$" for k in range(-3, -25, -3)])
    panel.contourf(across, up, log_ratio, [-1, *levels, 10], colors=shades)
    lines = panel.contour(across, up, log_ratio, levels, colors="black", linewidths=0.6)
    for level, place in NAMED[start].items():
        name = {np.log(level): f"{level}"}
        panel.clabel(lines, list(name), manual=[place], fmt=name, fontsize=6, inline_spacing=2)


FIGURE = Figure(compute, draw, height=4.6, panels=(2, 1))
