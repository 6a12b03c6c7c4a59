"""The absolute loss |phi^T - lambda*| (theory.md §1): two smooth branches and one kink at the target."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance


class Absolute(Loss):
    """``|exp(-h) - exp(-h*)|``; its slope ``exp(-h)`` is the same on both sides of the kink.

    Examples
    --------
    >>> float(LOSS.value(Decay(log=-50.0), Decay(log=-np.inf)))
    1.9287498479639178e-22
    """

    name = "absolute"
    arrives = True
    branches = (
        Branch("below", sp.exp(-H_STAR) - sp.exp(-H)),
        Branch("above", sp.exp(-H) - sp.exp(-H_STAR)),
    )
    kinks = (H_STAR,)

    def value(self, decay: Decay, target: Decay) -> Any:
        """``exp(-min(h, h*)) (1 - exp(-|h - h*|))``."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(-np.minimum(decay.h, target.h)) * -np.expm1(-np.exp(log_distance(decay, target)))

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``-h``."""
        return -decay.h

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``-1`` on both branches."""
        return np.full(np.shape(decay.h), -1.0)


LOSS = Absolute()
