"""The squared loss (phi^T - lambda*)^2: smooth at the target, which its flow approaches for ever."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from gateflow.formula.vocabulary import expm1
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance, log_kept_apart


class Squared(Loss):
    """``(exp(-h) - exp(-h*))^2``.

    Examples
    --------
    >>> float(LOSS.value(Decay(log=-50.0), Decay(log=-np.inf)))
    3.72007597602083...e-44
    """

    name = "squared"
    arrives = False
    branches = (
        Branch("whole", (sp.exp(-H) - sp.exp(-H_STAR)) ** 2, -sp.exp(H) * sp.exp(H_STAR) / (2 * expm1(H_STAR - H))),
    )
    kinks = ()

    def value(self, decay: Decay, target: Decay) -> Any:
        """``(exp(-h) - exp(-h*))^2``, from the logarithm of the difference."""
        with np.errstate(over="ignore", under="ignore"):
            return np.exp(2 * log_kept_apart(decay, target))

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``log 2 - h + log |exp(-h) - exp(-h*)|``."""
        return np.log(2.0) - decay.h + log_kept_apart(decay, target)

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``1/(exp(h - h*) - 1) - 1``."""
        with np.errstate(over="ignore", divide="ignore"):
            size = np.exp(log_distance(decay, target))
            return 1 / np.expm1(np.where(decay.log > target.log, size, -size)) - 1


LOSS = Squared()
