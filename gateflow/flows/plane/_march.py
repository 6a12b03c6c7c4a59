"""SciPy's stiff solvers on one smooth piece of a planar flow, in a parameter that crosses plateaus.

Learning time is a function of the parameter q, not the other way round: after a plateau of length 1e19 the escape takes
a time of order 1, and ``tau + dtau == tau``. What is integrated beside the point is ``s = log(1 + tau/t)`` with t the
time scale at the start, as for one parameter (:mod:`gateflow.flows.solvers._swapped`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from gateflow.errors import InvalidArgument, NotReached, unknown
from gateflow.flows.density import Array
from gateflow.flows.plane._contract import Force, Leg, Tolerances
from gateflow.flows.solvers import METHODS
from gateflow.flows.solvers._swapped import MOST, Budget, Swapped, TooLong, inverted, log_time
from gateflow.guards.arguments import one
from gateflow.progress import Meter

SOFTENING = 1e-2
"""Pull, over the largest one, below which the parameter turns from the length of the path into time: a point where the
pulls cancel is then approached smoothly."""
LEAST_PULL = 1e-9
"""Pull, over the largest one, at which the pulls are held to balance, by default."""
FAR = 1e9
"""Parameter at which a piece that has not ended is given up."""

Rates = tuple[Array, Array]
"""d(point)/dq, with the point's two numbers on the last axis, and log dtau/dq."""

Event = Callable[[float, Array], float]
"""A function of q and the point that is above 0 as long as the piece goes on."""


def solver(method: str) -> str:
    """The name of one of SciPy's methods; complains about one it does not know."""
    key = METHODS.spelled(method)
    known = [name for name in METHODS if isinstance(METHODS[name], Swapped)]
    if key not in known:
        raise InvalidArgument(unknown("method", method, known))
    return key


@dataclass(frozen=True)
class Marched:
    """A leg, the number of the event that ended it (None: its length), and what it cost."""

    leg: Leg
    event: int | None
    evaluations: int

    @property
    def log_tau(self) -> Array:
        """Learning times at the nodes."""
        return self.leg.log_tau


def march(
    rates: Callable[[Array, Array], Rates],
    loss: Callable[[Array, Array], Array],
    start: tuple[float, float],
    settings: Tolerances,
    length: float = FAR,
    events: Sequence[Event] = (),
) -> Marched:
    """Follow ``rates`` from ``start`` over ``length`` or to the first event that falls from above 0 to below it.

    The loss is given as a function of q and the points.

    Raises
    ------
    NotReached
        The solver gives up, or needs too many evaluations.
    """
    first = np.asarray(start, dtype=np.float64)
    if length == 0:
        return Marched(_resting(first, loss), None, 0)
    right = _Right(rates, first)
    by = METHODS[settings.method]
    try:
        with np.errstate(all="ignore"), right.meter:
            solved = solve_ivp(
                right,
                (0.0, length),
                np.append(0.0, first),
                by.method,
                events=_falling(events),
                dense_output=True,
                **by.tolerances(settings.rtol, settings.atol),
            )
    except TooLong as limit:
        raise NotReached(f"{settings.method} {limit} near {_place(right.last)}") from None
    if not solved.success:
        raise NotReached(
            f"{settings.method} gave up near {_place(right.last)}: {' '.join(solved.message.split()).rstrip('.')}"
        )
    hit = next((k for k, times in enumerate(solved.t_events or ()) if times.size), None)
    if hit is None and length == FAR:
        raise NotReached(f"the flow wanders off: it has come to {_place(solved.y[:, -1])}")
    return Marched(_leg(right, solved, loss), hit, right.count)


def softened(force: Callable[[Array], Force]) -> Callable[[Array, Array], Rates]:
    """``dX/dq = F/(|F| + softening)``: q is the length of the path, and time where the pulls nearly cancel."""

    def rates(_: Array, points: Array) -> Rates:
        found = force(points)
        size = np.asarray(found.size) + SOFTENING
        return np.stack([found.first / size, found.second / size], axis=-1), -np.log(size) - found.log_scale

    return rates


def least_pull(tolerance: Any) -> float:
    """The pull, over the largest one, at which the pulls are held to balance."""
    if tolerance is None:
        return LEAST_PULL
    return one("tolerance", tolerance, lambda v: (v > 0) & (v < SOFTENING), f"in (0, {SOFTENING:g})")


class _Right(Budget):
    """The right-hand side, counted."""

    def __init__(self, rates: Callable[[Array, Array], Rates], start: Array) -> None:
        super().__init__()
        self.rates, self.last = rates, np.append(0.0, start)
        self.meter = Meter("following the flow: evaluations, of at most", MOST)
        self.log_unit = float(rates(np.asarray(0.0), start)[1])

    def __call__(self, q: float, y: Array) -> Array:
        self.spend()
        self.last = y
        if self.count % 64 == 0:
            self.meter.update(self.count, _place(y))
        velocity, log_rate = self.rates(np.asarray(q), y[1:])
        return np.append(np.exp(np.minimum(log_rate - self.log_unit - y[0], 700.0)), velocity)


def _falling(events: Sequence[Event]) -> list[Any]:
    made = []
    for event in events:

        def watched(q: float, y: Array, event: Event = event) -> float:
            return float(event(q, y[1:]))

        watched.terminal, watched.direction = True, -1.0  # type: ignore[attr-defined]
        made.append(watched)
    return made


def _leg(right: _Right, solved: Any, loss: Callable[[Array, Array], Array]) -> Leg:
    s, dense = np.maximum.accumulate(solved.y[0]), solved.sol
    log_tau = log_time(s, right.log_unit)

    def points(q: Array) -> Array:
        return np.moveaxis(dense(np.reshape(q, -1))[1:], 0, -1).reshape(*np.shape(q), 2)

    def log_rate(q: Array) -> Array:
        return right.rates(q, points(q))[1] - right.log_unit

    def invert(wanted: Array) -> Array:
        scaled = np.logaddexp(0.0, wanted - right.log_unit)
        return inverted(lambda q: dense(q)[0], log_rate, solved.t, s, scaled)

    return Leg(solved.t, log_tau, points, lambda q: loss(q, points(q)), invert)


def _resting(point: Array, loss: Callable[[Array, Array], Array]) -> Leg:
    """A leg of no length."""

    def points(q: Array) -> Array:
        return np.broadcast_to(point, (*np.shape(q), 2))

    return Leg(np.zeros(1), np.array([-np.inf]), points, lambda q: loss(q, points(q)), np.zeros_like)


def _place(y: Array) -> str:
    return f"({y[-2]:.6g}, {y[-1]:.6g})"
