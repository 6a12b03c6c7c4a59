"""The longest time scale that gradient descent reaches in four float formats, with naive and with stable gradients.

Open marks are gradients as automatic differentiation rounds them, filled ones keep their digits; a line is at 2^p,
where p is the number of bits of the format. The format sets the limit, and only the fast gate passes 2^p.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.descents.precision import FORMATS, Format
from gateflow.descents.simulation import naive_gradient, stable_gradient
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._style import AUXILIARY, GATE_STYLES, name_line
from gateflow.plots._table import FigureTable

HORIZON = 10
TARGET = 1e40
"""Time scale aimed for: out of reach of all formats."""

LENGTH = 0.1
"""Step size, times ``v u'`` where the time scale is T."""

GRADIENTS = {"naive": naive_gradient, "stable": stable_gradient}
ORDER = ("bfloat16", "float16", "float32", "float64")

MEANING = {
    "gate": "name of the gate",
    "dtype": "float format of z and of all operations",
    "gradient": "naive: through 1 - phi, each operation rounded; stable: from logarithms, rounded once",
    "lr": "step size eta",
    "bits": "p, bits of the significand",
    "lost": "1 on the last step made, 0 elsewhere",
    "time_scale": "time scale, -1/log phi",
    "step": "step in z from there, in ulps of z",
}


def compute() -> FigureTable:
    """Steps in ulps along the way, for each gate, format and gradient, up to the first that is rounded away."""
    blocks = (_way(name, FORMATS[dtype], kind) for name in GATE_STYLES for dtype in ORDER for kind in GRADIENTS)
    return FigureTable.of(blocks, MEANING, horizon=HORIZON, target=TARGET, scale=1.0)


def _way(name: str, fmt: Format, kind: str) -> dict[str, Any]:
    problem = LearningProblem(name, horizon=HORIZON, timescale=TARGET)
    log_scale = np.linspace(np.log(HORIZON), np.log(1e25), 2001)
    z = fmt.round(gate(name).float64.z_of_u(-np.log(np.expm1(np.exp(-log_scale)))))
    batch = ProblemBatch.towards(problem, z, z.shape)
    lr = LENGTH * float(np.exp(-(batch.log_speed(z) + batch.gate.float64.log_du(z))[0]))
    with np.errstate(all="ignore"):
        move = np.abs(fmt.round(z - fmt.round(lr * GRADIENTS[kind](batch, fmt)(z))) - z)
    last = int(np.argmax(~(move > 0)))
    rows = np.unique(np.append(np.arange(0, last, 40), max(last - 1, 0)))
    return {
        "gate": name,
        "dtype": fmt.name,
        "gradient": kind,
        "lr": lr,
        "bits": float(fmt.bits),
        "lost": (rows == rows[-1]).astype(np.float64),
        "time_scale": np.exp(log_scale[rows]),
        "step": move[rows] / fmt.spacing(z[rows]),
    }


def draw(axes: Any, table: FigureTable) -> None:
    """A group of marks a format: open with naive gradients, filled with stable ones; 2^p as lines."""
    for k, dtype in enumerate(ORDER):
        for j, (name, style) in enumerate(GATE_STYLES.items()):
            for kind, face, aside in (("naive", "white", -0.05), ("stable", style.colour, 0.05)):
                end = table.rows(gate=name, dtype=dtype, gradient=kind, lost=1.0)["time_scale"]
                keywords = {**style.line(every=1), "markerfacecolor": face}
                axes.plot([k + (j - 1) * 0.26 + aside], end, linestyle="none", **keywords)
        bits = FORMATS[dtype].bits
        axes.plot([k - 0.4, k + 0.4], [2.0**bits] * 2, **AUXILIARY)
    axes.set(yscale="log", xlim=(-0.5, 3.5), ylim=(3, 1e18), ylabel="longest time scale (steps)")
    axes.set_xticks(range(len(ORDER)), ORDER)
    axes.text(0.03, 0.95, "open: naive gradients, filled: stable", transform=axes.transAxes, fontsize=7, va="top")
    axes.text(0.03, 0.87, r"lines: $2^p$, with $p$ bits", transform=axes.transAxes, fontsize=7, va="top")
    for y, name in zip((1e12, 1e11, 1e10), GATE_STYLES, strict=True):
        axes.plot([-0.35], [y], linestyle="none", **GATE_STYLES[name].line(every=1))
        name_line(axes, name, -0.22, y, va="center")


FIGURE = Figure(compute, draw)
