"""The absolute loss over a random horizon: |E phi^T - its target| through the Laplace transform of T."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gateflow.guards.arguments import ABOVE_0, one
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance


@dataclass(frozen=True)
class RandomHorizon(Loss):
    """``|M(h) - M(h*)|`` for a gamma-distributed horizon: ``M(h) = E phi^T = (1 + h/k)^-k``, ``h = -E[T] log phi``.

    The problem's horizon is the mean of T; its variance is the square of that over k. The target is where the gate
    is to be, ``phi* = lambda*^(1/E[T])``. The constant horizon is the limit of large k; k = 1 is the geometric law.

    Parameters
    ----------
    shape : float
        k, above 0.

    Raises
    ------
    InvalidArgument
        k is not a finite number above 0.

    Examples
    --------
    >>> float(RandomHorizon(2.0).value(Decay(h=2.0), Decay(h=0.0)))
    0.75
    """

    shape: float = 1.0
    arrives = True
    kinks = (H_STAR,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shape", one("shape", self.shape, ABOVE_0[0], "a finite number above 0"))

    @property
    def name(self) -> str:  # type: ignore[override]
        return "random-horizon" if self.shape == 1.0 else f"random-horizon({self.shape:g})"

    @property
    def branches(self) -> tuple[Branch, ...]:  # type: ignore[override]
        k = sp.Rational(self.shape)  # exactly the float
        kept, wanted = (1 + H / k) ** -k, (1 + H_STAR / k) ** -k
        return Branch("below", wanted - kept), Branch("above", kept - wanted)

    def value(self, decay: Decay, target: Decay) -> Any:
        """``M(min(h, h*)) (1 - (1 + |h - h*|/(k + min(h, h*)))^-k)``."""
        least = np.minimum(decay.h, target.h)
        with np.errstate(over="ignore", under="ignore"):
            ratio = np.exp(log_distance(decay, target)) / (self.shape + least)
            return np.exp(-self.shape * np.log1p(least / self.shape)) * -np.expm1(-self.shape * np.log1p(ratio))

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``-(k + 1) log(1 + h/k)``."""
        return -(self.shape + 1) * np.log1p(decay.h / self.shape)

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``-(k + 1)/(k + h)`` on both branches."""
        return -(self.shape + 1) / (self.shape + np.asarray(decay.h))


LOSS = RandomHorizon()
