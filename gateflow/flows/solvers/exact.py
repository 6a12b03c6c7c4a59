"""Inversion of the exact integral (theory.md §4): panels give tau at their edges, Newton's method in between."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.flows.critical import cuts
from gateflow.flows.density import X01, Array, Position
from gateflow.flows.panels import Panels, along, gauss
from gateflow.flows.path import Path, marks
from gateflow.flows.solvers import Solved

WIDEST = 8.0
"""Widest panel: over it the density changes by a factor exp(8) at either end of a path, more where W does."""
MOST = 20_000
"""Panels laid out at first, at most."""
NEAR = 10.0 ** np.arange(-8, 0)
"""Distances from both ends at which there is an edge, in units of the density's scale."""


def solve(path: Path, rtol: float, atol: float) -> Solved:
    """Integrate to the last digit; the tolerances are not needed."""
    if path.start == path.end:
        return Solved.resting(path.start)
    edges = _edges(path)
    with np.errstate(all="ignore"):
        first = Panels(path.coordinate, np.zeros(edges.size - 1, dtype=np.intp), edges[:-1], edges[1:])
        panels, logs, evaluations = along(path.batch, first)
    edges = np.append(panels.a, panels.b[-1])
    log_tau = np.concatenate([[-np.inf], np.logaddexp.accumulate(logs)])
    return Solved(edges, log_tau, _Inverse(path, edges, log_tau, logs), evaluations)


def _edges(path: Path) -> Array:
    """Edges in the order of the flow: dense at both ends, at the marks of W, and nowhere wider than ``WIDEST``."""
    length = abs(path.end - path.start)
    count = int(min(MOST, np.ceil(length / min(WIDEST, max(length / 200, 0.25)))))
    direction = np.sign(path.end - path.start)
    first, last = path.start + direction * _near(path.start), path.end - direction * _near(path.end)
    even = path.start + direction * np.linspace(0, length, count + 1)
    inner = np.concatenate([even, first, last, _marks(path)])
    low, high = sorted((path.start, path.end))
    inner = np.unique(inner[(inner > low) & (inner < high)])[:: int(direction)]
    return np.concatenate([[path.start], inner, [path.end]])


def _near(end: float) -> Array:
    """Distances of edges from an end; far from 0 also some that grow from the spacing of floats there."""
    ulps = np.spacing(abs(end)) * 4.0 ** np.arange(1, 28)
    return np.asarray(np.concatenate([NEAR, ulps[ulps > 0.1]]), dtype=np.float64)


def _marks(path: Path) -> Array:
    """Where the profile is of order 1, and the gate's own kinks."""
    if isinstance(path.coordinate, Position):
        return np.arcsinh(cuts(path.problem.gate)) if type(path.coordinate) is Position else np.empty(0)
    return marks(path.batch)[0]


@dataclass(frozen=True)
class _Inverse:
    """The coordinate at given learning times, from the integrals over panels."""

    path: Path
    edges: Array
    log_tau: Array
    logs: Array

    def __call__(self, wanted: Array) -> Array:
        return _inverted(self.path, self.edges, self.log_tau, self.logs, wanted)


def _inverted(path: Path, edges: Array, log_tau: Array, logs: Array, wanted: Array) -> Array:
    k = np.clip(np.searchsorted(log_tau, wanted, side="left") - 1, 0, logs.size - 1)
    return within_panels(lambda _, v: path.log_density(v), edges[k], edges[k + 1], log_tau[k], logs[k], wanted)


def within_panels(
    log_density: Callable[[Any, Array], Array], a: Array, b: Array, log_before: Array, log_panel: Array, wanted: Array
) -> Array:
    """Coordinates at given log times, each known to lie in the panel from ``a`` to ``b``.

    ``log_density(which, v)`` is the density of the queries numbered ``which`` at v, of shape (n,) or (n, nodes).
    """
    everyone = np.arange(wanted.size)
    with np.errstate(all="ignore"):
        rest = wanted + np.log(-np.expm1(np.minimum(log_before - wanted, 0.0)))
        share = np.clip(np.exp(rest - log_panel), 0.0, 1.0)
        slant = np.clip(log_density(everyone, b) - log_density(everyone, a), -600.0, 600.0)
        slant = np.where(np.abs(slant) < 1e-6, 1e-6, slant)
        t = np.clip(np.log1p(share * np.expm1(slant)) / slant, 0.0, 1.0)
        return a + (b - a) * _newton(log_density, a, b - a, rest, t)


def _newton(log_density: Callable[[Any, Array], Array], a: Array, width: Array, rest: Array, t: Array) -> Array:
    """t in [0, 1] with ``log of the integral from a to a + t width`` equal to ``rest``, by guarded Newton steps."""
    low, high = np.zeros(t.shape), np.ones(t.shape)
    todo = np.flatnonzero((t > 0) & np.isfinite(rest))
    t = np.where(np.isneginf(rest), 0.0, t)
    for _ in range(60):
        if not todo.size:
            break
        at, span = t[todo], width[todo] * t[todo]
        density = log_density(todo, a[todo, None] + span[:, None] * X01)
        log_sum = gauss(density) + np.log(np.abs(span))
        miss = log_sum - rest[todo]
        here = log_density(todo, a[todo] + span)
        low[todo], high[todo] = np.where(miss < 0, at, low[todo]), np.where(miss > 0, at, high[todo])
        step = miss * np.exp(log_sum - here) / np.abs(width[todo])
        new = at - step
        inside = (new >= low[todo]) & (new <= high[todo])
        new = np.where(inside, new, (low[todo] + high[todo]) / 2)
        t[todo] = new
        todo = todo[(np.abs(new - at) > 2e-15 * at) & (np.abs(miss) > 1e-15)]
    return t
