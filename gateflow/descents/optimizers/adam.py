"""Adam (Kingma and Ba 2015): means m of the gradient and s of its square, both corrected for their empty start.

    m <- beta1 m + (1 - beta1) g,  s <- beta2 s + (1 - beta2) g^2,  z <- z - eta m^/(sqrt(s^) + eps)

Prediction: the flow of its means along the path (:mod:`gateflow.descents.optimizers._normalised`); the time scale
cannot grow by more than ``|log beta2|/2`` a step in its logarithm. Around the kink s is ``v*^2``, and z chatters like a
heavy ball with the step ``eta (1 - beta1)``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gateflow.descents.optimizers._normalised import Averages, Normalised
from gateflow.descents.optimizers._optimizer import Rounding, State
from gateflow.descents.optimizers.momentum import cycle, excursion
from gateflow.flows.batch import Array
from gateflow.flows.sampled_path import Band
from gateflow.guards.arguments import AT_LEAST_0, BELOW_1


@dataclass(frozen=True)
class Adam(Normalised):
    """Adam, as PyTorch has it.

    Parameters
    ----------
    beta1, beta2 : float
        Decay rates of the means, in [0, 1).
    eps : float
        Added to the root mean square, at least 0.
    """

    beta1: float = 0.9
    beta2: float = 0.999
    eps: float = 1e-8
    UPDATE_C: ClassVar = """
  m = hyper[0] * m + (1 - hyper[0]) * g;
  s = hyper[1] * s + ((1 - hyper[1]) * g) * g;
  const double below = gf_sqrt(s) / one_s + hyper[2];
  taken = gf_choose(m == 0, 0.0, lr / one_m * (m / below));"""
    RANGES: ClassVar = {"beta1": BELOW_1, "beta2": BELOW_1, "eps": AT_LEAST_0}

    @property
    def memory(self) -> float:
        return 1 / (1 - max(self.beta1, self.beta2))

    @property
    def averages(self) -> Averages:
        return Averages(self.beta1, self.beta2, self.eps, corrected=True)

    def start(self, count: int) -> State:
        return np.zeros(count), np.zeros(count)

    def update(self, state: State, gradient: Array, k: Array, lr: Array, fl: Rounding) -> tuple[State, Array]:
        m = fl(fl(self.beta1 * state[0]) + fl((1 - self.beta1) * gradient))
        s = fl(fl(self.beta2 * state[1]) + fl(fl((1 - self.beta2) * gradient) * gradient))
        # the corrections are scalars, which frameworks keep in float64
        root = fl(fl(np.sqrt(s)) / np.sqrt(1 - self.beta2**k))
        below = fl(root + self.eps)
        rate = fl(lr / (1 - self.beta1**k))
        return (m, s), np.where(m == 0, 0.0, fl(rate * fl(m / below)))

    @property
    def chatter(self) -> float:
        return (1 - self.beta1) * cycle(self.beta1)

    def chatter_lr(self, band: Band) -> Array:
        """Around a kink s is about v^2, and z moves like a heavy ball with slopes of 1."""
        return super().chatter_lr(band) / ((1 - self.beta1) * excursion(self.beta1))


OPTIMIZER = Adam
