"""Integrals of ``exp(g)`` over panels, in logarithms: Gauss-Legendre on each, split where it has not converged.

A panel is accepted when its error, extrapolated from how fast its Legendre coefficients fall, is far below the last
digit of its problem's sum. All problems' panels are evaluated together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.density import NODES, X01, Coordinate, PlaceCoordinate, W, X

TOLERANCE = 5e-16
"""Error a panel may add, relative to its problem's sum."""
FARTHEST = 700.0
"""What log of the density is taken to change by between the outermost node and the edge, at most."""
NEGLIGIBLE = 40.0
"""A panel below exp(-40) of its problem's sum is left out."""
DEEPEST, DEEPEST_PLACE = 70, 1100
"""Halvings after which a panel is taken as it is: it is then below the spacing of floats; of positions about 0, too."""
MOST = 4096
"""Panels of one problem, beyond twice its first ones; past them, panels are taken with the errors they have."""

BLOCK = 900
"""Panels evaluated together: their temporaries then stay below 128 KiB, past which the C library hands each back to
the system and takes it anew, at twice the cost (measured)."""

EPS = float(np.finfo(np.float64).eps)


def _legendre_coefficient(k: int) -> Array:
    """Weights that turn values at the nodes into the Legendre coefficient of degree k."""
    return W * np.polynomial.legendre.Legendre.basis(k)(X) * (2 * k + 1) / 2


def _continued() -> Array:
    """Weights that continue the polynomial through the nodes to the upper edge, where every Legendre one is 1."""
    return np.sum([_legendre_coefficient(k) for k in range(NODES)], axis=0)


MATRIX = np.stack(
    [
        W / 2,
        *(_legendre_coefficient(k) for k in (6, 7, 14, 15)),
        (_continued() + _continued()[::-1]) / 2,
        (_continued() - _continued()[::-1]) / 2,
    ],
    axis=1,
)
"""Weights, in columns: of the mean over [0, 1], of four Legendre coefficients, and of the even and the odd part of the
value at the upper edge; at the lower one it is their difference."""

AMPLIFIED = 1 + float(np.abs(_continued()).sum())
"""By how much rounding at the nodes may grow on the way to an edge."""


def gauss(log_f: Array) -> Array:
    """log of the mean over [0, 1] of a function given by its logarithm at the nodes, on the last axis."""
    top = log_f.max(axis=-1)
    return top + np.log(np.exp(log_f - top[..., None]) @ (W / 2))


@dataclass
class Panels:
    """Panels of many problems in one coordinate: problem ``owner[k]`` from ``a[k]`` to ``b[k]``.

    ``at_ends`` are log of the density at a and at b, in two rows, where it is known; nan where it is not. A density may
    rise or dip between an edge and the outermost node only: then it is not at the edge what the nodes say.
    """

    coordinate: Coordinate
    owner: Any
    a: Array
    b: Array
    at_ends: Array | None = None

    def subset(self, mask: Any) -> Panels:
        """The panels where ``mask`` holds."""
        at_ends = None if self.at_ends is None else self.at_ends[:, mask]
        return Panels(self.coordinate, self.owner[mask], self.a[mask], self.b[mask], at_ends)

    def halved(self) -> Panels:
        """Each panel in two."""
        middle = self.middles()
        ends = np.stack([self.a, middle, self.b])
        at_ends = None
        if self.at_ends is not None:
            unknown = np.full(self.a.size, np.nan)
            at_ends = np.stack([self.at_ends[0], unknown, unknown, self.at_ends[1]], axis=1).reshape(-1, 2).T
        return Panels(self.coordinate, np.repeat(self.owner, 2), ends[:2].T.ravel(), ends[1:].T.ravel(), at_ends)

    def middles(self) -> Array:
        """Where each panel is halved."""
        if isinstance(self.coordinate, PlaceCoordinate):
            return self.coordinate.middle(self.a, self.b)
        return self.a + (self.b - self.a) / 2

    def _log_densities(self, batch: ProblemBatch) -> tuple[Array, Array, Array]:
        """log of the density at the nodes, per unit of [0, 1]; the outermost nodes' distances from the edges, in parts
        of the panel, and log of the density at the edges, both in two rows."""
        if isinstance(self.coordinate, PlaceCoordinate):
            nodes, log_rate = self.coordinate.spread(self.a, self.b)
            edge_rate = self.coordinate.edge_rates(self.a, self.b)
        else:
            width = self.b - self.a
            nodes, log_rate = self.a[:, None] + width[:, None] * X01, np.log(np.abs(width))[:, None]
            edge_rate = log_rate[:, 0]
        log_f = self.coordinate.log_density(batch.at_nodes(self.owner), nodes)
        log_rate = np.broadcast_to(log_rate, log_f.shape)
        known = np.full((2, self.a.size), np.nan) if self.at_ends is None else self.at_ends + edge_rate
        apart = np.log(np.abs(np.stack([nodes[:, 0] - self.a, nodes[:, -1] - self.b])))
        return log_f + log_rate, apart - np.stack([log_rate[:, 0], log_rate[:, -1]]), known

    def log_sums(self, batch: ProblemBatch) -> tuple[Array, Array]:
        """log of each panel's integral, and log of the error of that integral.

        What the rule gets wrong begins at degree 32. The coefficients are taken to fall from degree 15 to there by the
        factor by which they fell from 7 to 15, at least: so it is for algebraic decay (a kink), faster for geometric.
        What lies between an edge and the outermost node is off by about what the edge is off the polynomial.
        What rounding adds to them, in proportion to the size of the logarithms, halving would not mend.
        """
        if self.owner.size > BLOCK:
            parts = [self.subset(slice(k, k + BLOCK)).log_sums(batch) for k in range(0, self.owner.size, BLOCK)]
            return np.concatenate([logs for logs, _ in parts]), np.concatenate([errors for _, errors in parts])
        with np.errstate(divide="ignore"):
            log_f, log_apart, known = self._log_densities(batch)
        top = log_f.max(axis=1)
        top = np.where(np.isneginf(top), 0.0, top)
        with np.errstate(invalid="ignore", over="ignore", under="ignore", divide="ignore"):
            sums = np.exp(log_f - top[:, None]) @ MATRIX
            noise = EPS * (4 + 2 * np.abs(top))
            size = np.abs(sums.T)
            early, late = (np.maximum(np.maximum(size[k], size[k + 1]) - noise, 0) for k in (1, 3))
            fall = np.minimum(1.0, late / np.where(early > 0, early, 1.0))
            hidden = _hidden(log_f - top[:, None], log_apart, known - top, sums, noise)
            return top + np.log(sums[:, 0]), top + np.log(late * fall + hidden)


def _hidden(log_f: Array, log_apart: Array, log_at: Array, sums: Array, noise: Array) -> Array:
    """What may lie between the outermost nodes and the edges: where the density at an edge is not what the polynomial
    says, about the difference times the distance, or times that over which it falls by a factor e, if that is less."""
    said = np.stack([sums[:, 5] - sums[:, 6], sums[:, 5] + sums[:, 6]])
    off = np.maximum(np.abs(np.exp(log_at) - said) - AMPLIFIED * noise, 0.0)
    changes = np.clip(np.nan_to_num(np.abs(log_at - log_f[:, [0, -1]].T), nan=0.0, posinf=np.inf), 1.0, FARTHEST)
    return np.sum(np.where(log_at < np.inf, np.exp(log_apart) * off / changes, 0.0), axis=0)


@dataclass(frozen=True)
class Sums:
    """log of each problem's integral, its relative error (that of the quadrature), and the evaluations spent on it.

    With the panels it was put together from: their problem, the middle of each as a profile or a position as ``where``
    of :func:`integrate` gives it (empty without that), and log of the integral over it.
    """

    log_total: Array
    error: Array
    evaluations: Any
    owner: Any
    middle: Array
    log_panel: Array


def log_add(owner: Any, logs: Array, count: int) -> Array:
    """log of the sum of ``exp(logs)`` over each problem."""
    top = np.full(count, -np.inf)
    np.maximum.at(top, owner, logs)
    with np.errstate(invalid="ignore", under="ignore", divide="ignore"):
        shifted = np.exp(logs - np.where(np.isfinite(top), top, 0.0)[owner])
        total = top + np.log(np.bincount(owner, shifted, count))
    return np.where(np.isinf(top), top, total)


def integrate(
    batch: ProblemBatch,
    pieces: Sequence[Panels],
    where: Callable[[ProblemBatch, Panels], Array] | None = None,
) -> Sums:
    """Integrate over all panels, halving those that have not converged."""
    count = batch.horizon.size
    middles = [np.empty(0)]
    owner, logs, errors = np.empty(0, dtype=np.intp), np.empty(0), np.empty(0)
    evaluations = np.zeros(count, dtype=np.int64)
    open_pieces = [piece for piece in pieces if piece.owner.size]
    most = np.full(count, MOST * NODES)
    for piece in open_pieces:
        most += 2 * NODES * np.bincount(piece.owner, minlength=count)
    for depth in range(DEEPEST_PLACE + 1):
        if not open_pieces:
            break
        found = [piece.log_sums(batch) for piece in open_pieces]
        owners = [piece.owner for piece in open_pieces]
        evaluations += NODES * np.bincount(np.concatenate(owners), minlength=count)
        total = log_add(np.concatenate([owner, *owners]), np.concatenate([logs, *(log for log, _ in found)]), count)
        still_open = []
        for piece, (log, error) in zip(open_pieces, found, strict=True):
            rough = error > total[piece.owner] + np.log(TOLERANCE)
            middle = piece.middles()
            rough &= (middle != piece.a) & (middle != piece.b) & (evaluations < most)[piece.owner]
            rough &= depth < (DEEPEST_PLACE if isinstance(piece.coordinate, PlaceCoordinate) else DEEPEST)
            owner = np.concatenate([owner, piece.owner[~rough]])
            logs, errors = np.concatenate([logs, log[~rough]]), np.concatenate([errors, error[~rough]])
            if where is not None:
                middles.append(where(batch, piece.subset(~rough)))
            if rough.any():
                still_open.append(piece.subset(rough).halved())
        open_pieces = still_open
    total = log_add(owner, logs, count)
    with np.errstate(invalid="ignore", under="ignore", over="ignore"):
        error = np.exp(log_add(owner, errors, count) - total)
    error = np.where(np.isnan(error), np.where(np.isneginf(total), 0.0, np.inf), error)
    return Sums(total, error, evaluations, owner, np.concatenate(middles), logs)


def along(batch: ProblemBatch, panels: Panels) -> tuple[Panels, Array, int]:
    """Integrate along each flow: its panels, log of the learning time over each, and the evaluations spent.

    The panels lie in the order of the flows, problem after problem; they are halved where their error would show in
    the time up to there.
    """
    logs, errors = panels.log_sums(batch)
    evaluations = NODES * panels.owner.size
    count = batch.horizon.size
    most = MOST + 2 * np.bincount(panels.owner, minlength=count)
    for _ in range(DEEPEST):
        place = places(panels.owner)
        up_to = np.logaddexp.accumulate(in_rows(panels.owner, logs, np.full(count, -np.inf)), axis=1)
        middle = panels.middles()
        rough = errors > up_to[panels.owner, place] + np.log(TOLERANCE)
        rough &= (middle != panels.a) & (middle != panels.b)
        rough &= (np.bincount(panels.owner, minlength=count) < most)[panels.owner]
        if not rough.any():
            break
        where = np.repeat(np.arange(logs.size), 1 + rough)
        first = np.append(True, np.diff(where) > 0)
        split, middle = rough[where], middle[where]
        a, b = np.where(split & ~first, middle, panels.a[where]), np.where(split & first, middle, panels.b[where])
        panels = Panels(panels.coordinate, panels.owner[where], a, b)
        logs, errors = logs[where], errors[where]
        logs[split], errors[split] = panels.subset(split).log_sums(batch)
        evaluations += NODES * int(split.sum())
    return panels, logs - batch.log_scale[panels.owner], evaluations


def places(owner: Any) -> Any:
    """The number of each panel among those of its problem, for panels in order."""
    return np.arange(owner.size) - np.searchsorted(owner, owner)


def in_rows(owner: Any, values: Array, after: Array) -> Array:
    """Numbers of panels in order, one row a problem; ``after`` is what stands past its last panel."""
    place = places(owner)
    rows = np.broadcast_to(after[:, None], (after.size, int(place.max(initial=0)) + 1)).copy()
    rows[owner, place] = values
    return rows
