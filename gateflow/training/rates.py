"""A test of learning rates: a short run whose rate grows from step to step, and where its loss falls fastest.

Source: L. N. Smith, Cyclical learning rates for training neural networks (WACV 2017, arXiv 1506.01186), section 3.3;
the loss is smoothed and the run stopped as in J. Howard, S. Gugger, fastai (2020).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.guards.arguments import whole
from gateflow.progress import track
from gateflow.results.byvalue import by_value
from gateflow.training.folder import RunMemory
from gateflow.training.loop import Trainer, global_state, settle
from gateflow.training.settings import Settings
from gateflow.training.task import Task

REMEMBERED = 0.9
"""Share of the smoothed loss that each step keeps."""

TOO_HIGH = 4.0
"""The run stops where the smoothed loss is this many times the least so far."""


@by_value
@dataclass(frozen=True)
class RateTest:
    """What a test of learning rates found.

    Parameters
    ----------
    rates : array (n,)
        The rate of each step.
    losses : array (n,)
        The smoothed training loss there.
    suggested : float
        The rate at which the loss fell fastest, by the logarithm of the rate.
    highest : float or None
        The rate at which it was too high, or no longer finite; None where it never was.
    """

    rates: np.ndarray
    losses: np.ndarray
    suggested: float
    highest: float | None

    def __repr__(self) -> str:
        end = "" if self.highest is None else f", too high at {self.highest:.3g}"
        return f"<RateTest: {self.suggested:.3g} suggested{end}>"


def lr_range(
    task: str | Task | Settings | Mapping[str, Any],
    /,
    *,
    lowest: float = 1e-6,
    highest: float = 10.0,
    steps: int = 100,
    data_dir: str | Path | None = None,
    **chosen: Any,
) -> RateTest:
    """Raise the learning rate from step to step, evenly in its logarithm, and see where the loss falls and rises.

    Parameters
    ----------
    task : str, Task, Settings or mapping
        As of :func:`gateflow.training.train`.
    lowest, highest : float
        The first rate and the last one.
    steps : int
        At least 10.
    data_dir : path, optional
    **chosen
        Names of settings; the schedule is constant.

    Raises
    ------
    InvalidArgument
        Rates that do not rise, fewer than 10 steps, or a wrong setting.

    Examples
    --------
    >>> found = lr_range("adding(horizon=5)", hidden=8, steps=20, lowest=1e-5)
    >>> len(found.rates), bool(1e-5 <= found.suggested <= 10)
    (20, True)
    """
    steps = whole("steps", steps, 10)
    if not 0 < lowest < highest < math.inf:
        raise InvalidArgument(f"rates must be above 0 and rise; got {lowest:g} to {highest:g}")
    settings, made = settle(task, chosen, data_dir)
    settings = replace(settings, schedule="constant", steps=steps)
    rates = np.geomspace(lowest, highest, steps)
    losses, smoothed, least = [], 0.0, math.inf
    with global_state(settings):
        trainer = Trainer(settings, made, RunMemory(), math.inf)
        for n, rate in enumerate(track(rates, "learning rates")):
            for group in trainer.optimizer.param_groups:
                group["lr"] = float(rate)
            loss = trainer.descend()
            if trainer.counters.status:
                break
            smoothed = REMEMBERED * smoothed + (1 - REMEMBERED) * loss
            losses.append(smoothed / (1 - REMEMBERED ** (n + 1)))
            least = min(least, losses[-1])
            if losses[-1] > TOO_HIGH * least:
                break
    found = np.array(losses)
    if len(found) < 3:
        raise InvalidArgument(f"the loss is not finite from the start, at a rate of {lowest:g}")
    over = float(rates[len(found) - 1]) if found[-1] > TOO_HIGH * least else None
    over = float(rates[len(found)]) if trainer.counters.status else over
    slopes = np.gradient(found, np.log(rates[: len(found)]))
    return RateTest(rates[: len(found)], found, float(rates[int(np.argmin(slopes))]), over)
