"""One flow, drawn: not a figure of the theory, but of what was followed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.plots._figure import empty_picture
from gateflow.plots._style import LAW

if TYPE_CHECKING:
    from gateflow.flows.trajectory import Trajectory

POINTS = 400
"""Learning times drawn besides the nodes, even in the logarithm."""

SET_OUT = 1e-3
"""The drawing begins after this share of the way."""

SHOWN = float(np.log(100))
"""At least this much of log tau is drawn."""

LARGEST = 690.0
"""log tau up to which the axis shows tau itself."""


def path(found: Trajectory, title: str = "") -> Any:
    """Pre-activation and loss against learning time; the target dashed.

    Raises
    ------
    InvalidArgument
        The flow rests where it starts.
    """
    log_tau = _times(found)
    state = found.at(log_tau=log_tau)
    overflows = bool(log_tau[-1] > LARGEST)
    across = log_tau / np.log(10) if overflows else np.exp(log_tau)
    with empty_picture(2, height=3.3, sharex=True) as (canvas, (above, below)):
        above.plot(across, state.z, color="black")
        if np.isfinite(found.problem.z_star):
            above.axhline(found.problem.z_star, **LAW)
        above.set(ylabel=r"pre-activation $z$")
        above.set_title(title.replace("$", r"\$"), fontsize=7)
        below.plot(across, np.where(state.loss > 0, state.loss, np.nan), color="black")
        below.set(ylabel="loss", yscale="log", ylim=(_least(found, state.loss), None))
        below.set(xlabel=r"$\log_{10}\,\tau$, learning time" if overflows else r"learning time $\tau$")
        if not overflows:
            below.set(xscale="log")
    return canvas


def _times(found: Trajectory) -> np.ndarray:
    """log tau of the points drawn, from where the flow has set out to its end."""
    behind = np.abs(found.z - found.z0)
    begun = (behind > SET_OUT * behind[-1]) & np.isfinite(found.log_tau)
    if not begun.any():
        raise InvalidArgument(f"there is nothing to draw: the flow rests at z = {found.z0:g}")
    nodes = found.log_tau[begun]
    first = min(nodes[0], nodes[-1] - SHOWN)
    return np.unique(np.concatenate([nodes, np.linspace(first, nodes[-1], POINTS)]))


def _least(found: Trajectory, loss: np.ndarray) -> float:
    """The foot of the axis: where a loss that falls to 0 is a hundredth of what the target leaves to lose."""
    left = float(found.problem.scale * -np.expm1(-found.problem.target_decay.h))
    foot = left / 100 if left > 0 else float(loss[loss > 0].min(initial=1.0))
    return min(foot, float(loss.max()) / 100)
