"""Steps that four optimisers take from the edge of the plateau to a time scale of 1000, simulated and predicted.

Marks are simulated, dashed lines predicted; a filled mark lies where the prediction is said to hold. The step size is
a share of the largest useful one of each gate, so the marks of all gates end at 1.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.descents.recommendation import edge_of_plateau
from gateflow.descents.simulation import descent, predict
from gateflow.flows.problem import LearningProblem
from gateflow.gates.gate import gate
from gateflow.plots._figure import Figure
from gateflow.plots._gates import z_at
from gateflow.plots._style import GATE_STYLES, LAW, name_line, name_panel
from gateflow.plots._table import FigureTable

HORIZON = 100
TIMESCALE = 1000
MOST = 2_000
"""Runs predicted to take more steps are not shown."""

PANELS = {"sgd": "gradient descent", "momentum": "momentum", "adam": "Adam", "rmsprop": "RMSprop"}

MEANING = {
    "optimizer": "name of the optimiser",
    "gate": "name of the gate",
    "relative_lr": "step size over the largest useful one",
    "lr": "step size eta",
    "steps": "steps taken until z was at the target or past it",
    "predicted": "steps predicted",
    "valid": "1 inside the validity flag of the prediction, else 0",
}


def compute() -> FigureTable:
    """Runs of each optimiser with each gate at many step sizes, as fractions of the largest useful one."""
    return FigureTable.of(
        (_runs(optimizer, name) for optimizer in PANELS for name in GATE_STYLES),
        MEANING,
        horizon=HORIZON,
        timescale=TIMESCALE,
        start=edge_of_plateau(TIMESCALE, HORIZON),
        scale=1.0,
        hyperparameters={name: vars(OPTIMIZERS[name]()) for name in PANELS},
    )


def _runs(optimizer: str, name: str) -> dict[str, Any]:
    problem = LearningProblem(name, horizon=HORIZON, timescale=TIMESCALE)
    z0 = float(z_at(gate(name), np.array(edge_of_plateau(TIMESCALE, HORIZON))))
    useful = predict(problem, z0, optimizer, lr=1.0).largest_lr
    relative = np.geomspace(1 / 128, 1.0, 8)
    predicted = predict(problem, z0, optimizer, lr=relative * useful)
    relative = relative[predicted.steps <= MOST]
    found = descent(problem, z0, optimizer, lr=relative * useful, steps=2 * MOST)
    shown = found.status == "reached"
    return {
        "optimizer": optimizer,
        "gate": name,
        "relative_lr": relative[shown],
        "lr": (relative * useful)[shown],
        "steps": found.steps[shown].astype(np.float64),
        "predicted": found.predicted.steps[shown],
        "valid": found.predicted.valid[shown].astype(np.float64),
    }


def draw(axes: Any, table: FigureTable) -> None:
    """A panel an optimiser: simulated steps as marks, filled inside the validity flag; predictions as lines."""
    for k, (panel, (optimizer, label)) in enumerate(zip(axes.flat, PANELS.items(), strict=True)):
        for name, style in GATE_STYLES.items():
            part = table.rows(optimizer=optimizer, gate=name)
            panel.plot(part["relative_lr"], part["predicted"], **{**LAW, "zorder": 1})
            for valid, face in ((0.0, "white"), (1.0, style.colour)):
                rows = part.rows(valid=valid)
                marks = {**style.line(every=1), "markerfacecolor": face}
                panel.plot(rows["relative_lr"], rows["steps"], linestyle="none", **marks)
        panel.set(xscale="log", yscale="log", xlim=(5e-3, 1.6), ylim=(1.5, 8e3))
        panel.set_title(label, pad=3)
        name_panel(panel, "abcd"[k])
        if k % 2 == 0:
            panel.set_ylabel("steps")
        else:
            panel.tick_params(labelleft=False)
        if k >= 2:
            panel.set_xlabel(r"$\eta$ / largest useful $\eta$")
        else:
            panel.tick_params(labelbottom=False)
    first = axes.flat[0]
    for y, name in zip((25, 9, 3.3), GATE_STYLES, strict=True):
        first.plot(7e-3, y, linestyle="none", **GATE_STYLES[name].line(every=1))
        name_line(first, name, 9.5e-3, y, va="center")
    axes.flat[1].text(6.5e-3, 2, "dashed: predicted\nfilled: said to hold", fontsize=7, va="bottom")


FIGURE = Figure(compute, draw, height=3.5, panels=(2, 2))
