"""The Kullback-Leibler divergence of keeping phi^T from keeping lambda*, as Bernoulli probabilities: smooth at 0."""

from __future__ import annotations

from typing import Any

import numpy as np
import sympy as sp

from gateflow.formula.vocabulary import expm1
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance, log_kept_apart, log_saturation

TERMS = 24
"""Terms of the series near 0: the first left out is below ``3**-48``."""


def short_of_identity(x: Any) -> Any:
    """``x - log(1 + x)``, without cancellation: near 0 from ``log(1 + x) = 2 artanh(x/(2 + x))``.

    Examples
    --------
    >>> short_of_identity(np.array([1e-9, 1.0]))
    array([5.00000000e-19, 3.06852819e-01])
    """
    with np.errstate(divide="ignore", invalid="ignore", under="ignore"):
        near = np.abs(x) < 0.5
        t = np.where(near, x, 0.0) / (2 + np.where(near, x, 0.0))
        total = sum(t ** (2 * k) / (2 * k + 1) for k in range(TERMS, 0, -1))
        return np.where(near, t * (np.where(near, x, 0.0) - 2 * total), x - np.log1p(np.where(near, 0.0, x)))


class KullbackLeibler(Loss):
    """``lambda* log(lambda*/lambda) + (1 - lambda*) log((1 - lambda*)/(1 - lambda))`` with ``lambda = exp(-h)``.

    Examples
    --------
    >>> float(LOSS.value(Decay(h=1.0), Decay(h=0.0)))
    1.0
    """

    name = "kullback-leibler"
    arrives = False
    branches = (
        Branch(
            "whole",
            sp.exp(-H_STAR) * (H - H_STAR)
            + (1 - sp.exp(-H_STAR)) * (sp.log(1 - sp.exp(-H_STAR)) - sp.log(1 - sp.exp(-H))),
            sp.exp(H_STAR) * expm1(-H) / expm1(H_STAR - H),
        ),
    )
    kinks = ()

    def value(self, decay: Decay, target: Decay) -> Any:
        """Two parts, both at least 0: ``p (r - log(1 + r))``, r the relative excess over p = lambda*, 1 - lambda*."""
        with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
            size = np.exp(log_distance(decay, target))
            below = decay.log > target.log
            kept = short_of_identity(np.expm1(np.where(below, -size, size)))
            spread = log_kept_apart(decay, target) - log_saturation(target.h, target.log)
            lost = short_of_identity(np.where(below, np.exp(spread), -np.exp(spread)))
            first = np.exp(-target.h) * np.where(np.isfinite(kept), kept, size)
            rare = np.exp(log_kept_apart(decay, target))
            return first + np.where(spread < 700, -np.expm1(-target.h) * lost, rare)

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``log |exp(-h*) - exp(-h)| - log(1 - exp(-h))``."""
        return log_kept_apart(decay, target) - log_saturation(decay.h, decay.log)

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``exp(-h) (1 - exp(-h*)) / ((1 - exp(-h)) (exp(-h*) - exp(-h)))``."""
        with np.errstate(over="ignore", under="ignore", divide="ignore"):
            logs = log_saturation(target.h, target.log) - log_saturation(decay.h, decay.log)
            size = np.exp(logs - decay.h - log_kept_apart(decay, target))
            return np.where(decay.log > target.log, size, -size)


LOSS = KullbackLeibler()
