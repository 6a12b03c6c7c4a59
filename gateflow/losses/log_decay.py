"""The loss |log h - log h*|, by orders of magnitude of the time scale: its slope fades on no plateau."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss


class LogDecay(Loss):
    """``|log h - log h*|``: how many factors of e the time scale ``T/h`` is off; infinite for ``lambda* = 1``.

    Examples
    --------
    >>> float(LOSS.value(Decay(h=1e-3), Decay(h=1e-3)))
    0.0
    """

    name = "log-decay"
    arrives = True
    branches = (
        Branch("below", sp.log(H) - sp.log(H_STAR)),
        Branch("above", sp.log(H_STAR) - sp.log(H)),
    )
    kinks = (H_STAR,)

    def value(self, decay: Decay, target: Decay) -> Any:
        """``|log h - log h*|``."""
        with np.errstate(divide="ignore", invalid="ignore"):
            close = np.abs(decay.log - target.log)
            near = close < 0.5
            apart = np.where(near, decay.h - target.h, 0.0) / np.where(near & (target.h > 0), target.h, 1.0)
            return np.where(near & (target.h > 0), np.abs(np.log1p(apart)), close)

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``-log h``."""
        return -decay.log

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``-1/h`` on both branches."""
        with np.errstate(divide="ignore"):
            return -1 / np.asarray(decay.h)


LOSS = LogDecay()
