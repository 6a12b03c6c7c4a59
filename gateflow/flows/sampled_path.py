"""The way from the start to the target, sampled: what an optimiser meets on it.

Predictions need a few numbers of the whole path: the greatest ``v u'`` (how far a step can go in the profile), how v
bends, where a step falls below half an ulp. All are sampled at nodes that follow the path's own scale, the total decay
h: evenly spread in log h, and again in h above 1, where ``v`` falls like ``exp(-h)``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from functools import cached_property
from typing import Any

import numpy as np

from gateflow.flows.batch import Array, ProblemBatch
from gateflow.flows.density import decay_of_profile, profile_of_decay
from gateflow.flows.time import hitting_times
from gateflow.losses import Decay
from gateflow.results.status import Status

NODES = 160
"""Nodes in log h, and as many in h."""


@dataclass(frozen=True)
class SampledPath:
    """Sampled paths, shape (n, nodes), each from its start to its target; of one gate or of many.

    Parameters
    ----------
    z, u : array
        Position and logit profile.
    log_v, log_du : array
        log |dL/dz| and log u'.
    log_tau : array, shape (n,)
        log of the learning time of the flow.
    arrives : array of bool, shape (n,)
        Whether the flow reaches the target at all.
    """

    z: Array
    u: Array
    log_v: Array
    log_du: Array
    log_tau: Array
    arrives: Array

    @classmethod
    def stack(cls, paths: Sequence[SampledPath]) -> SampledPath:
        """The paths of all paths, one below the other."""
        return cls(*(np.concatenate([getattr(path, part.name) for path in paths]) for part in fields(cls)))

    @cached_property
    def pieces(self) -> Array:
        """Lengths of the pieces between nodes, shape (n, nodes - 1)."""
        return np.abs(np.diff(self.z, axis=1))

    @cached_property
    def length(self) -> Array:
        """|z* - z0|."""
        return np.abs(self.z[:, -1] - self.z[:, 0])

    @cached_property
    def direction(self) -> Array:
        """+1 where z is to grow, -1 where it is to fall."""
        return np.where(self.z[:, 0] < self.z[:, -1], 1.0, -1.0)

    @cached_property
    def growth(self) -> Array:
        """``log(v*/v0)``."""
        return self.log_v[:, -1] - self.log_v[:, 0]

    @cached_property
    def log_stiffness(self) -> Array:
        """log of the largest ``v u'`` on the path: the largest step in the profile, for a step size of 1."""
        return np.max(self.log_v + self.log_du, axis=1)

    @cached_property
    def log_v_star(self) -> Array:
        """log v at the target."""
        return self.log_v[:, -1]

    @cached_property
    def steepness(self) -> Array:
        """``d log v/ds`` along the path, on the pieces; shape (n, nodes - 1)."""
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(self.pieces > 0, np.diff(self.log_v, axis=1) / self.pieces, 0.0)

    def middle(self) -> Array:
        """log v in the middle of the pieces."""
        return (self.log_v[:, 1:] + self.log_v[:, :-1]) / 2

    def _slope(self, piece: Array, node: int) -> Array:
        """v' at an end, from the piece there."""
        return np.take_along_axis(self.steepness, piece[:, None], axis=1)[:, 0] * np.exp(self.log_v[:, node])

    @cached_property
    def first_slope(self) -> Array:
        """v' at the start, along the path."""
        return self._slope(np.argmax(self.pieces > 0, axis=1), 0)

    @cached_property
    def last_slope(self) -> Array:
        """v' at the target, along the path."""
        count = self.pieces.shape[1]
        return self._slope(count - 1 - np.argmax(self.pieces[:, ::-1] > 0, axis=1), -1)

    @cached_property
    def curvature(self) -> Array:
        """``|v'*| + |v'0| + integral of v'^2/v ds``: bounds twelve times the next term of the steps, per step size."""
        inner = np.sum(self.steepness**2 * np.exp(self.middle()) * self.pieces, axis=1)
        return np.abs(self.last_slope) + np.abs(self.first_slope) + inner

    @cached_property
    def sharpest(self) -> Array:
        """The largest ``|v'|``."""
        return np.max(np.abs(self.steepness) * np.exp(self.middle()), axis=1)


@dataclass(frozen=True)
class Band:
    """Around the target, where the time scale is right to a relative tolerance: ``|h - h*| <= tolerance h*``.

    Parameters
    ----------
    low, high : array
        Its ends in z.
    near : array
        The end that the way comes to first.
    radius : array
        The distance from the target to the nearer end.
    log_v, spread : array
        log of the largest slope of the loss in it, from its ends and the target, and of that over the least; for losses
        that are smooth at the target from the ends alone.
    """

    low: Array
    high: Array
    near: Array
    radius: Array
    log_v: Array
    spread: Array

    @classmethod
    def of(cls, batch: ProblemBatch, tolerance: Array) -> Band:
        """The bands of these problems; the tolerances lie in (0, 1)."""
        low, high = (_where_decay_is(batch, 1 + side * tolerance) for side in (1.0, -1.0))
        places = (low, high, batch.z_star) if batch.loss.arrives else (low, high)
        log_v = np.array([batch.log_speed(place) for place in places])
        radius = np.minimum(batch.z_star - low, high - batch.z_star)
        near = np.where(batch.direction > 0, low, high)
        return cls(low, high, near, radius, np.max(log_v, axis=0), np.ptp(log_v, axis=0))

    def take(self, chosen: Any) -> Band:
        """The bands numbered ``chosen``."""
        return Band(*(getattr(self, part.name)[chosen] for part in fields(self)))

    def holds(self, z: Array) -> Array:
        """Whether z lies in the band."""
        return (z >= self.low) & (z <= self.high)


def _where_decay_is(batch: ProblemBatch, part: Array) -> Array:
    """z where the total decay is a part of that of the target."""
    decay = Decay(h=batch.target.h * part, log=batch.target.log + np.log(part))
    return np.asarray(batch.float64.z_of_u(profile_of_decay(batch.horizon, batch.log_horizon, decay)))


def sampled_path(batch: ProblemBatch, end: Decay | None = None) -> SampledPath:
    """The paths of the problems, sampled; their times are those to ``end``, where it is given."""
    with np.errstate(all="ignore"):
        time = hitting_times(batch if end is None else replace(batch, stop=end))
        z = _nodes(batch)
        numbers = batch.float64
        u = np.broadcast_to(numbers.u(z), z.shape)
        log_du = np.broadcast_to(numbers.log_du(z), z.shape)
        arrives = np.isin(np.asarray(time.status, dtype=object), (Status.REACHED, Status.OVERFLOW))
        return SampledPath(z, u, batch.log_speed(z), log_du, time.log_tau, arrives)


def _nodes(batch: ProblemBatch) -> Array:
    """Positions from start to target; where the target is at infinity, to where all of float64 is used up."""
    horizon, log_horizon = batch.horizon[:, None], batch.log_horizon[:, None]
    start = decay_of_profile(batch.horizon, batch.log_horizon, batch.float64.u(batch.z0))
    begin = start.log[:, None]
    end = np.where(np.isfinite(batch.target.log), batch.target.log, np.minimum(start.log, 0.0) - 36.0)[:, None]
    along = np.linspace(0.0, 1.0, NODES)
    in_log = begin + (end - begin) * along
    low, high = np.exp(np.minimum(begin, end)), np.exp(np.maximum(begin, end))
    low = np.clip(1.0, low, high)
    in_plain = np.log(low + (high - low) * along[1:-1])
    inner = np.clip(np.concatenate([in_log, in_plain], axis=1), np.minimum(begin, end), np.maximum(begin, end))
    inner = np.sort(inner, axis=1)
    u = profile_of_decay(horizon, log_horizon, Decay(log=inner))
    z = np.asarray(batch.float64.z_of_u(u.ravel())).reshape(u.shape)  # falls as h grows
    last = np.where(np.isfinite(batch.z_star), batch.z_star, z[:, 0])
    first = batch.z0
    rising = (first < last)[:, None]
    z = np.where(rising, z[:, ::-1], z)
    bottom, top = np.minimum(first, last)[:, None], np.maximum(first, last)[:, None]
    z = np.clip(np.where(np.isnan(z), first[:, None], z), bottom, top)
    z[:, 0], z[:, -1] = first, last
    return z
