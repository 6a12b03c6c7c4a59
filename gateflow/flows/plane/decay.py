"""The plane of a decay to a power, Mamba's: ``a = phi(z)^A`` with ``A = exp(-w)``, both learned.

In Mamba's code z is minus the bias of dt, with the sigmoid, and w is minus A_log. With ``l = -log phi(z) > 0`` the
decay's logarithm is ``log a = -A l``, and the slopes of its logit profile U are

::

    U_z = A (phi'/phi)(z)/(1 - a)                U_w = A l/(1 - a)

So the flow runs along ``dz/dw = (phi'/phi)/l``, whatever horizon, target, scale and loss are, and ``w - W(z)`` with
``W' = l phi/phi'`` stays what it is. For ``exp(-exp(-z))`` of S4 and LRU that is ``w - z``: both move as one.
For the sigmoid ``W = exp(z) softplus(-z) + softplus(z) + Li_2(-exp(-z))``, whose slope tends to 1: near 1 they move
alike too. There ``|grad U|^2`` is 2, not 1, and a decay whose A is learned takes half the learning time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.flows.density import Array
from gateflow.flows.plane.refine import EffectivePlane, Slopes, effective_problem, onto
from gateflow.flows.problem import LearningProblem, plain, positions
from gateflow.gates.gate import Gate
from gateflow.gates.gate import gate as as_gate
from gateflow.guards.arguments import broadcast
from gateflow.results.byvalue import by_value


@by_value
@dataclass(frozen=True)
class DecayProblem(EffectivePlane):
    """Learn a time scale by a decay to a power: bring ``phi(z)^(A T)``, with ``A = exp(-w)``, to ``lambda*``.

    Parameters
    ----------
    gate : Gate or str
        phi, onto (0, 1).
    horizon, target, gap, log_gap, decay, timescale, scale, loss
        See :class:`~gateflow.flows.problem.LearningProblem`; one problem, without arrays.

    Raises
    ------
    InvalidArgument
        A number is out of range, or the gate is not onto (0, 1).

    Examples
    --------
    >>> from gateflow.flows.plane import flow
    >>> path = flow(DecayProblem("gompertz", horizon=10, gap=1e-3), (2.0, 0.5))
    >>> print(abs(path.z[-1] - path.w[-1] - 1.5) < 1e-9)
    True
    """

    gate: Gate
    effective: LearningProblem

    def __init__(self, gate: Gate | str = "sigmoid", **task: Any) -> None:
        object.__setattr__(self, "gate", onto(as_gate(gate)))
        object.__setattr__(self, "effective", effective_problem(**task))

    def log_phi(self, z: Any, w: Any) -> Any:
        """``log a``."""
        z, w = broadcast(z=positions(z, "z"), w=positions(w, "w"))
        with np.errstate(over="ignore", under="ignore"):
            return plain(-np.exp(self._log_decay(z, w)))

    def phi(self, z: Any, w: Any) -> Any:
        """The decay a."""
        with np.errstate(under="ignore"):
            return plain(np.exp(self.log_phi(z, w)))

    def phi_c(self, z: Any, w: Any) -> Any:
        """``1 - a``, with all digits."""
        return plain(-np.expm1(self.log_phi(z, w)))

    def _log_decay(self, z: Array, w: Array) -> Array:
        """``log(-log a)``."""
        with np.errstate(divide="ignore"):
            return np.log(-np.asarray(self.gate.log_phi(z))) - w

    def _slopes(self, z: Array, w: Array) -> Slopes:
        with np.errstate(all="ignore"):
            log_decay = self._log_decay(z, w)
            decay = np.exp(log_decay)
            log_rest = np.where(decay < 1e-300, log_decay, np.log(-np.expm1(-decay)))
            numbers = self.gate.float64
            log_z = numbers.log_dphi(z) - numbers.log_phi(z) - w - log_rest
            return Slopes(-decay - log_rest, log_z, log_decay - log_rest)

    def __repr__(self) -> str:
        inner = repr(self.effective).partition(", ")[2]
        return f"DecayProblem({self.gate.name!r}, {inner}"
