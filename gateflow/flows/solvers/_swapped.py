"""SciPy's solvers on a frozen path with the variables swapped: ``dtau/dv``, the kink being the end of the integration.

tau runs through hundreds of orders of magnitude, so what is integrated is ``w = log(1 + tau/t)`` with t the time scale
at the start: ``dw/ds = exp(g - log t - w)`` with g the log density. Near the start w is tau/t, later it is log tau, and
an absolute error of w is a relative error of tau throughout.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.integrate import solve_ivp

from gateflow.errors import NotReached
from gateflow.flows.density import Array
from gateflow.flows.path import Path
from gateflow.flows.solvers import Solved

LEAST = 2.3e-14
"""The smallest relative tolerance SciPy takes."""
MOST = 200_000
"""Evaluations after which a solver is stopped."""


SECONDS = 10.0
"""Computing time after which a solver is stopped."""


class TooLong(Exception):
    """What the solver exceeded."""


class Budget:
    """Evaluations and computing time, counted against their limits."""

    def __init__(self) -> None:
        self.count, self.begun = 0, time.thread_time()

    def spend(self) -> None:
        """Count one evaluation; raise :class:`TooLong` where it is one too many."""
        self.count += 1
        if self.count > MOST:
            raise TooLong(f"needs over {MOST} evaluations")
        if self.count % 64 == 0 and time.thread_time() - self.begun > SECONDS:
            raise TooLong(f"is not done after {SECONDS:g} seconds")


class _SwappedRight(Budget):
    """The right-hand side, counted."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.path = path
        self.direction = float(np.sign(path.end - path.start))
        self.log_unit = float(path.log_density(np.array([path.start]))[0])

    def v(self, s: Array) -> Array:
        return self.path.start + self.direction * s

    def log_rate(self, s: Array) -> Array:
        return self.path.log_density(self.v(s)) - self.log_unit

    def __call__(self, s: float, w: Array) -> Array:
        self.spend()
        with np.errstate(all="ignore"):
            return np.exp(np.minimum(self.log_rate(np.array([s])) - w, 700.0))

    def jacobian(self, s: float, w: Array) -> Array:
        return -self(s, w)[:, None]


@dataclass(frozen=True)
class Swapped:
    """One of SciPy's methods as a solver of paths, and what is known of it.

    Parameters
    ----------
    method : str
        SciPy's name of it.
    margin : float
        By how much local tolerances are below the one asked for, so that the local errors add up to less than it
        (measured).
    is_implicit : bool
        Whether it takes a Jacobian.
    max_step : float
        The longest step along the path.
    """

    method: str
    margin: float
    is_implicit: bool = True
    max_step: float = np.inf

    def tolerances(self, rtol: float, atol: float) -> dict[str, float]:
        """The local tolerances for those asked for."""
        return {"rtol": max(rtol / self.margin, LEAST), "atol": atol / self.margin}

    def __call__(self, path: Path, rtol: float, atol: float) -> Solved:
        """Integrate along the path.

        Raises
        ------
        NotReached
            The solver gives up, or needs too many evaluations.
        """
        if path.start == path.end:
            return Solved.resting(path.start)
        right = _SwappedRight(path)
        options: dict[str, Any] = self.tolerances(rtol, atol) | {"max_step": self.max_step, "dense_output": True}
        if self.is_implicit:
            options["jac"] = right.jacobian
        try:
            with np.errstate(all="ignore"):
                solved = solve_ivp(right, (0.0, abs(path.end - path.start)), [0.0], method=self.method, **options)
        except TooLong as limit:
            raise NotReached(f"{self.method} {limit} on this path; use method='exact'") from None
        if not solved.success:
            said = " ".join(solved.message.split()).rstrip(".")
            raise NotReached(f"{self.method} gave up: {said}; use method='exact'")
        w = np.maximum.accumulate(solved.y[0])
        v = right.v(solved.t)
        v[-1] = path.end
        return Solved(v, log_time(w, right.log_unit), _SwappedInverse(right, solved.sol, solved.t, w), right.count)


@dataclass(frozen=True)
class _SwappedInverse:
    """The coordinate at given learning times, from the solver's dense output."""

    right: _SwappedRight
    dense: Any
    s: Array
    w: Array

    def __call__(self, wanted: Array) -> Array:
        right, wanted = self.right, np.logaddexp(0.0, wanted - self.right.log_unit)
        return right.v(inverted(lambda s: self.dense(s)[0], right.log_rate, self.s, self.w, wanted))


def log_time(w: Array, log_unit: float) -> Array:
    """``log tau`` from ``w = log(1 + tau/t)``."""
    with np.errstate(divide="ignore", over="ignore"):
        return log_unit + np.where(w > 30, w + np.log1p(-np.exp(-w)), np.log(np.expm1(np.minimum(w, 30))))


def inverted(
    dense: Callable[[Array], Array], log_rate: Callable[[Array], Array], s: Array, w: Array, wanted: Array
) -> Array:
    """s with ``w(s) = wanted`` on the dense output, where ``dw/ds = exp(log_rate - w)``, by guarded Newton steps."""
    k = np.clip(np.searchsorted(w, wanted, side="left") - 1, 0, s.size - 2)
    low, high = s[k], s[k + 1]
    x = low + (high - low) * np.clip((wanted - w[k]) / np.maximum(w[k + 1] - w[k], 1e-300), 0.0, 1.0)
    for _ in range(80):
        miss = dense(x) - wanted
        low, high = np.where(miss < 0, x, low), np.where(miss > 0, x, high)
        with np.errstate(all="ignore"):
            new = x - miss * np.exp(wanted - log_rate(x))
        new = np.where((new >= low) & (new <= high), new, (low + high) / 2)
        done = np.all(np.abs(new - x) <= 4e-15 * np.abs(x) + 1e-300)
        x = new
        if done:
            break
    return x
