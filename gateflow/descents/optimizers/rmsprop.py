"""RMSprop (Tieleman and Hinton 2012): ``s <- alpha s + (1 - alpha) g^2``, ``z <- z - eta g/(sqrt(s) + eps)``.

Prediction: the flow of the mean square along the path (:mod:`gateflow.descents.optimizers._normalised`). Since s starts
at 0 and is not corrected for it, the first steps are ``eta/sqrt(1 - alpha^k)``; with a constant gradient they add up to

    N + 1/2 = (2/a) log cosh(a |z* - z0|/(2 eta) + atanh sqrt(1 - exp(-a k0))),   a = |log alpha|,

with ``k0 = (zeta(1/2)/2)^2``; about ``|z* - z0|/eta - 2 log(2)/a`` for a long way. Around the kink s is ``v*^2``, and z
chatters with steps of eta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from gateflow.descents.optimizers._normalised import Averages, Normalised
from gateflow.descents.optimizers._optimizer import Rounding, State
from gateflow.flows.batch import Array
from gateflow.guards.arguments import AT_LEAST_0, BELOW_1


@dataclass(frozen=True)
class RMSprop(Normalised):
    """RMSprop, as PyTorch has it.

    Parameters
    ----------
    alpha : float
        Decay rate of the mean square, in [0, 1).
    eps : float
        Added to the root mean square, at least 0.
    """

    alpha: float = 0.99
    eps: float = 1e-8
    DEFAULT_LR: ClassVar = 1e-2
    UPDATE_C: ClassVar = """
  s = hyper[0] * s + ((1 - hyper[0]) * g) * g;
  taken = gf_choose(g == 0, 0.0, lr * (g / (gf_sqrt(s) + hyper[1])));"""
    RANGES: ClassVar = {"alpha": BELOW_1, "eps": AT_LEAST_0}

    @property
    def memory(self) -> float:
        return 1 / (1 - self.alpha)

    @property
    def averages(self) -> Averages:
        return Averages(0.0, self.alpha, self.eps, corrected=False)

    def start(self, count: int) -> State:
        return (np.zeros(count),)

    def update(self, state: State, gradient: Array, k: Array, lr: Array, fl: Rounding) -> tuple[State, Array]:
        s = fl(fl(self.alpha * state[0]) + fl(fl((1 - self.alpha) * gradient) * gradient))
        below = fl(fl(np.sqrt(s)) + self.eps)
        return (s,), np.where(gradient == 0, 0.0, fl(lr * fl(gradient / below)))


OPTIMIZER = RMSprop
