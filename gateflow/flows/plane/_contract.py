"""What a planar problem is, and what solving it gives."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np

from gateflow.flows.density import Array
from gateflow.results.status import Status


class Force(NamedTuple):
    """The flow's velocity ``-grad L``: two numbers of moderate size, and the logarithm of what they are to be times."""

    first: Any
    second: Any
    log_scale: Any

    @property
    def size(self) -> Any:
        """The length of the two numbers."""
        return np.hypot(self.first, self.second)


class TurningPoint(NamedTuple):
    """A place where the flow changes its mind: at a kink, or when it leaves one."""

    log_tau: float
    point: tuple[float, float]
    what: str


@dataclass(frozen=True)
class Tolerances:
    """How a flow is to be followed; see :func:`gateflow.flows.plane.flow`."""

    method: str = "lsoda"
    rtol: float = 1e-10
    atol: float = 1e-12
    tau_max: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True)
class Leg:
    """A smooth piece of a flow.

    Parameters
    ----------
    q : array
        Nodes in the parameter the solver ran in.
    log_tau : array
        Learning times at the nodes from the leg's own begin, ``-inf`` at the first; and their logarithms.
    points : callable
        Points of the plane, shape (..., 2), for given q.
    loss : callable
        The loss for given q.
    invert : callable
        q for given ``log_tau``.
    """

    q: Array
    log_tau: Array
    points: Callable[[Array], Array]
    loss: Callable[[Array], Array]
    invert: Callable[[Array], Array]

    def cut(self, log_tau: float) -> Leg:
        """The leg up to a learning time inside it."""
        keep = self.log_tau < log_tau
        q = np.append(self.q[keep], self.invert(np.array([log_tau])))
        return replace(self, q=q, log_tau=np.append(self.log_tau[keep], log_tau))


@dataclass(frozen=True)
class PlanarSolution:
    """A flow as its problem's ``solve`` leaves it: legs in order, where it turned, and how it ended."""

    legs: tuple[Leg, ...]
    stop: Status
    turns: tuple[TurningPoint, ...]
    evaluations: int
    check: float

    def until(self, log_end: float) -> PlanarSolution:
        """The flow up to a learning time; itself, where it has stopped by then."""
        begin, legs = -np.inf, []
        for leg in self.legs:
            ahead = log_end + np.log(-np.expm1(min(begin - log_end, 0.0))) if begin < log_end else -np.inf
            if ahead < leg.log_tau[-1]:
                turns = tuple(turn for turn in self.turns if turn.log_tau <= log_end)
                return replace(self, legs=(*legs, leg.cut(float(ahead))), stop=Status.TIME_LIMIT, turns=turns)
            legs.append(leg)
            begin = float(np.logaddexp(begin, leg.log_tau[-1]))
        return self


class Plane(ABC):
    """A gradient flow of two parameters: a loss, its force, and a way to follow it to its stop."""

    names: ClassVar[tuple[str, str]]
    """What the two parameters are called."""

    @abstractmethod
    def loss_at(self, first: Any, second: Any) -> Any:
        """The loss."""

    @abstractmethod
    def phi(self, first: Any, second: Any) -> Any:
        """The value of the gate; along a last axis, where there are several."""

    @abstractmethod
    def force(self, first: Any, second: Any) -> Force:
        """The flow's velocity."""

    @abstractmethod
    def solve(self, start: tuple[float, float], settings: Tolerances) -> PlanarSolution:
        """Follow the flow from a start to its stop."""
