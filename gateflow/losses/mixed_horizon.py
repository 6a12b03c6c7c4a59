"""The absolute loss over several horizons at once: |E phi^T - its target| for a T with finitely many values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from gateflow.errors import InvalidArgument
from gateflow.losses._loss import H_STAR, Branch, Decay, H, Loss, log_distance


@dataclass(frozen=True)
class MixedHorizon(Loss):
    """``|M(h) - M(h*)|`` with ``M(h) = sum w_i exp(-r_i h)``: horizons ``r_i T`` with probabilities ``w_i``.

    Parameters
    ----------
    weights : tuple of float
        Above 0; scaled to the sum 1.
    ratios : tuple of float
        Each horizon over the problem's horizon T, above 0.

    Raises
    ------
    InvalidArgument
        The two have different lengths, or a number is not finite and above 0.

    Examples
    --------
    >>> float(MixedHorizon((1.0,), (2.0,)).value(Decay(h=1.0), Decay(h=0.0)))
    0.864664716763387...
    """

    weights: tuple[float, ...] = (0.5, 0.5)
    ratios: tuple[float, ...] = (0.1, 1.9)
    arrives = True
    kinks = (H_STAR,)
    name = "mixed-horizon"

    def __post_init__(self) -> None:
        try:
            rows = np.array([self.weights, self.ratios], dtype=np.float64)
        except (TypeError, ValueError, OverflowError):
            rows = np.empty(0)
        if rows.ndim != 2 or not rows.size or not np.all((rows > 0) & np.isfinite(rows)):
            raise InvalidArgument("weights and ratios must be as many finite numbers above 0 each")
        object.__setattr__(self, "weights", tuple(map(float, rows[0] / rows[0].sum())))
        object.__setattr__(self, "ratios", tuple(map(float, rows[1])))

    @property
    def branches(self) -> tuple[Branch, ...]:  # type: ignore[override]
        def kept(h: Any) -> Any:
            return sp.Add(*(sp.Rational(w) * sp.exp(-sp.Rational(r) * h) for w, r in self._pairs))

        return Branch("below", kept(H_STAR) - kept(H)), Branch("above", kept(H) - kept(H_STAR))

    @property
    def _pairs(self) -> list[tuple[float, float]]:
        return list(zip(self.weights, self.ratios, strict=True))

    def value(self, decay: Decay, target: Decay) -> Any:
        """The sum of ``w exp(-r min(h, h*)) (1 - exp(-r |h - h*|))``."""
        least = np.minimum(decay.h, target.h)
        with np.errstate(over="ignore", under="ignore"):
            apart = np.exp(log_distance(decay, target))
            return sum(w * np.exp(-r * least) * -np.expm1(-r * apart) for w, r in self._pairs)

    def log_slope(self, decay: Decay, target: Decay) -> Any:
        """``log sum w r exp(-r h)``."""
        h = np.asarray(decay.h)
        return np.logaddexp.reduce([np.log(w * r) - r * h for w, r in self._pairs])

    def relative_curvature(self, decay: Decay, target: Decay) -> Any:
        """``-sum w r^2 exp(-r h) / sum w r exp(-r h)``."""
        h = np.asarray(decay.h)
        return -np.exp(
            np.logaddexp.reduce([np.log(w * r * r) - r * h for w, r in self._pairs]) - self.log_slope(decay, target)
        )


LOSS = MixedHorizon()
