"""Methods for trajectories, one file each, found by the registry.

A method is a function ``solve(path, rtol, atol)`` that integrates ``dtau/dv`` over the whole path and returns a
:class:`Solved`: learning time as an increasing function of the coordinate, at its own nodes and, by ``invert``,
between them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from gateflow.flows.density import Array
from gateflow.registry import Registry

METHODS = Registry("method", "gateflow.flows.solvers", "solve")


@dataclass(frozen=True)
class Solved:
    """Learning time along a path.

    Parameters
    ----------
    v : array
        Nodes, from the start of the path to its end.
    log_tau : array
        log of the learning time at the nodes; ``-inf`` at the first.
    invert : callable
        v for given ``log_tau`` between the first and the last.
    evaluations : int
        Evaluations of the density.
    """

    v: Array
    log_tau: Array
    invert: Callable[[Array], Array]
    evaluations: int

    @classmethod
    def resting(cls, at: float) -> Solved:
        """A path of length 0."""
        return cls(np.array([at]), np.array([-np.inf]), Resting(at), 0)


@dataclass(frozen=True)
class Resting:
    """The inverse of a path of length 0; a class, as all inverses are, so that a trajectory can be pickled."""

    at: float

    def __call__(self, log_tau: Array) -> Array:
        return np.full(log_tau.shape, self.at)
