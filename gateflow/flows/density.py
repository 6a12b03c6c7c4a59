"""The flow as a density: how much learning time passes per unit of a coordinate along the path.

The flow is scalar, so on a frozen branch of the loss its learning time is an integral over any coordinate of the path.
With the total decay ``h = -T log phi``, ``q = T (1 - phi)``, the logit profile u and ``W = (dz/du)^2`` (numerics.md)::

    dtau = dh W(u) / (|dL/dh| q^2)  = dz / (|dL/dh| q u')          u = -log expm1(h/T)

Everything is held in logarithms: tau runs through hundreds of orders of magnitude, and T enters only through u.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.special import wrightomega

from gateflow.flows.batch import Array, ProblemBatch
from gateflow.losses import Decay, log_distance, log_saturation

NODES = 16
X, W = np.polynomial.legendre.leggauss(NODES)
X01 = (X + 1) / 2
"""Nodes on [0, 1]."""

CLOSE = 0.05
"""|h - h*|/h* below which the distance is integrated rather than a difference."""

NARROW = 0.25
"""Panels of z up to this width, in units of 1 + |z|, have their nodes spread evenly in z."""

CUT = float(np.log(2.0))
"""log h below which the path is measured in log h, above which in h: there the density falls like exp(h)."""


def log_softplus(t: Any) -> Array:
    """``log(log(1 + exp(t)))`` without underflow.

    Examples
    --------
    >>> log_softplus(np.array([-1000.0, 1000.0]))
    array([-1000.        ,     6.90775528])
    """
    t = np.asarray(t, dtype=np.float64)
    small = np.exp(-np.abs(t))
    rest = np.log1p(small)
    with np.errstate(divide="ignore", invalid="ignore"):
        left = t + np.where(small > 0, np.log(rest / small), 0.0)
        return np.where(t < 0, left, np.log(np.maximum(t, 0.0) + rest))


def decay_of_profile(horizon: Any, log_horizon: Any, u: Any) -> Decay:
    """The total decay where the logit profile is u: ``h = T softplus(-u)``."""
    with np.errstate(over="ignore", under="ignore"):
        return Decay(h=horizon * np.logaddexp(0.0, -u), log=log_horizon + log_softplus(-u))


def profile_of_decay(horizon: Any, log_horizon: Any, decay: Decay) -> Array:
    """The logit profile where the total decay is h: ``u = -log expm1(h/T)``."""
    y = decay.h / horizon
    return -y - log_saturation(y, decay.log - log_horizon)


class Coordinate(Protocol):
    """A coordinate along the path."""

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        """log |dtau/dv| for unit scale."""
        ...

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        """The total decay at v."""
        ...

    def profile(self, batch: ProblemBatch, v: Array) -> Array:
        """The logit profile at v."""
        ...

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        """log |d log h/dv|."""
        ...


class DecayCoordinate:
    """``log h``: the coordinate where h is small."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        return Decay(log=v)

    def profile(self, batch: ProblemBatch, v: Array) -> Array:
        return profile_of_decay(batch.horizon, batch.log_horizon, Decay(log=v))

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        return np.zeros(v.shape)

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        decay = Decay(log=v)
        y = decay.h / batch.horizon
        log_rest = log_saturation(y, v - batch.log_horizon)
        return v + _log_density_in_decay(batch, decay, log_rest, -y - log_rest)


class PlainDecay:
    """``h`` itself: the coordinate where h is large."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        return Decay(h=v)

    def profile(self, batch: ProblemBatch, v: Array) -> Array:
        y = v / batch.horizon
        return -y - np.log(-np.expm1(-y))

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        return -np.log(v)

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        y = v / batch.horizon
        log_rest = np.log(-np.expm1(-y))
        return _log_density_in_decay(batch, Decay(h=v), log_rest, -y - log_rest)


def _log_density_in_decay(batch: ProblemBatch, decay: Decay, log_rest: Array, u: Array) -> Array:
    log_slope = batch.loss.log_slope(decay, batch.target)
    return batch.float64.log_weight(u) - log_slope - 2 * (batch.log_horizon + log_rest)


class Followed:
    """A coordinate given by its decay and its pace alone."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        raise NotImplementedError

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        raise NotImplementedError

    def profile(self, batch: ProblemBatch, v: Array) -> Array:
        return profile_of_decay(batch.horizon, batch.log_horizon, self.decay(batch, v))

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        decay = self.decay(batch, v)
        y = decay.h / batch.horizon
        log_rest = log_saturation(y, decay.log - batch.log_horizon)
        in_decay = _log_density_in_decay(batch, decay, log_rest, -y - log_rest)
        return in_decay + decay.log + self.log_pace(batch, v)


class WholePath(Followed):
    """``h + log h``: one coordinate for a whole path; the density changes by a factor e a unit at either end."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        h = wrightomega(v)
        return Decay(h=h, log=np.where(v > 1, np.log(np.maximum(h, 1.0)), v - h))

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        return -np.log1p(wrightomega(v))

    def at_decay(self, decay: Decay) -> Array:
        """The coordinate where the total decay is h."""
        return decay.h + decay.log


class FromBelow(Followed):
    """``d + log d`` with ``d = h - h*``: for losses smooth at their least value, approached from h > h*."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        apart = WholePath().decay(batch, v)
        log = np.logaddexp(batch.target.log, apart.log)
        return Decay(h=batch.target.h + apart.h, log=log, apart=apart.log)

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        apart = WholePath().decay(batch, v)
        return apart.log - np.log1p(apart.h) - np.logaddexp(batch.target.log, apart.log)

    def at_decay(self, decay: Decay, target: Decay) -> Array:
        """The coordinate where the total decay is h."""
        log_apart = log_distance(decay, target)
        return np.exp(log_apart) + log_apart


class FromAbove(Followed):
    """``log (h* - h)/h``: the same, approached from h < h*."""

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        return Decay(log=batch.target.log - np.logaddexp(0.0, v), apart=batch.target.log - np.logaddexp(0.0, -v))

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        return -np.logaddexp(0.0, -v)

    def at_decay(self, decay: Decay, target: Decay) -> Array:
        """The coordinate where the total decay is h."""
        return log_distance(decay, target) - decay.log


class Position:
    """``asinh z``: the coordinate of gates whose profile has no closed inverse; its nodes need u(z) only."""

    def position(self, v: Array) -> Array:
        """z at v."""
        return np.sinh(v)

    def log_stretch(self, v: Array) -> Array:
        """log dz/dv."""
        size = np.abs(v)
        return size + np.log1p(np.exp(-2 * size)) - np.log(2.0)

    def decay(self, batch: ProblemBatch, v: Array) -> Decay:
        return self.decay_at(batch, v, self.profile(batch, v))

    def decay_at(self, batch: ProblemBatch, v: Array, u: Array) -> Decay:
        """The same, with the profile there known."""
        return decay_of_profile(batch.horizon, batch.log_horizon, u)

    def profile(self, batch: ProblemBatch, v: Array) -> Array:
        return batch.float64.u(self.position(v))

    def log_pace(self, batch: ProblemBatch, v: Array) -> Array:
        z = self.position(v)
        u = batch.float64.u(z)
        log_q = batch.log_horizon - np.logaddexp(0.0, u)
        log_h = decay_of_profile(batch.horizon, batch.log_horizon, u).log
        return log_q + batch.float64.log_du(z) + self.log_stretch(v) - log_h

    def log_density(self, batch: ProblemBatch, v: Array) -> Array:
        z = self.position(v)
        u = batch.float64.u(z)
        log_q = batch.log_horizon - np.logaddexp(0.0, u)
        log_slope = batch.loss.log_slope(self.decay_at(batch, v, u), batch.target)
        return self.log_stretch(v) - log_slope - log_q - batch.float64.log_du(z)


class PlaceCoordinate(Position):
    """z itself, with the nodes of a panel spread evenly in ``asinh z`` where the panel is wide: its edges are exact."""

    def position(self, v: Array) -> Array:
        return v

    def log_stretch(self, v: Array) -> Array:
        return np.zeros(v.shape)

    def spread(self, a: Array, b: Array) -> tuple[Array, Array]:
        """The nodes of panels, never on an edge if there is a float between them, and log of their rate."""
        width = b - a
        narrow = np.abs(width) <= NARROW * (1 + np.minimum(np.abs(a), np.abs(b)))
        nodes, log_rate = np.empty((*a.shape, NODES)), np.empty((*a.shape, NODES))
        nodes[narrow] = a[narrow, None] + width[narrow, None] * X01
        log_rate[narrow] = np.log(np.abs(width[narrow]))[:, None]
        if not narrow.all():
            start = np.arcsinh(a[~narrow])[:, None]
            length = np.arcsinh(b[~narrow])[:, None] - start
            v = start + length * X01
            nodes[~narrow] = np.sinh(v)
            log_rate[~narrow] = np.log(np.abs(length)) + Position.log_stretch(self, v)
        low, high = np.nextafter(a, b)[:, None], np.nextafter(b, a)[:, None]
        crossed = (low > high) == (a < b)[:, None]
        least = np.minimum(a, b)[:, None]  # of neighbouring floats: on it holds what is said for z < the other
        low, high = np.where(crossed, least, low), np.where(crossed, least, high)
        return np.clip(nodes, np.minimum(low, high), np.maximum(low, high)), log_rate

    def edge_rates(self, a: Array, b: Array) -> Array:
        """log of the rate at the edges of panels, in two rows."""
        ends = np.stack([a, b])
        narrow = np.abs(b - a) <= NARROW * (1 + np.min(np.abs(ends), axis=0))
        length = np.log(np.abs(np.arcsinh(b) - np.arcsinh(a))) + Position.log_stretch(self, np.arcsinh(ends))
        return np.where(narrow, np.log(np.abs(b - a)), length)

    def middle(self, a: Array, b: Array) -> Array:
        """A float between two edges: where asinh z is half-way."""
        narrow = np.abs(b - a) <= NARROW * (1 + np.minimum(np.abs(a), np.abs(b)))
        half = np.where(narrow, a + (b - a) / 2, np.sinh(np.arcsinh(a) / 2 + np.arcsinh(b) / 2))
        return np.clip(half, np.minimum(a, b), np.maximum(a, b))


@dataclass(frozen=True)
class Approach(Position):
    """``log |z - point|`` from one side: the coordinate of a flow that creeps up to a critical point."""

    point: float
    side: float

    def position(self, v: Array) -> Array:
        return self.point + self.side * np.exp(v)

    def log_stretch(self, v: Array) -> Array:
        return v


class Nearing(Approach):
    """``log |z - z*|``: for losses smooth at their least value, where the profile has no closed inverse.

    Close to the target ``h - h*`` is the integral of its slope from there, so that no digit is lost to a difference.
    No kink of the gate may lie so close.
    """

    def decay_at(self, batch: ProblemBatch, v: Array, u: Array) -> Decay:
        decay = decay_of_profile(batch.horizon, batch.log_horizon, u)
        apart = np.asarray(log_distance(decay, batch.target))
        close = apart < batch.target.log + np.log(CLOSE)
        if np.any(close):
            apart = np.where(close, self._log_apart(batch, v), apart)
        return Decay(h=decay.h, log=decay.log, apart=apart)

    def _log_apart(self, batch: ProblemBatch, v: Array) -> Array:
        """log of the integral of |dh/dz| from the point to v."""
        size = np.exp(v)[..., None] * X01
        z = self.point + self.side * size
        log_slope = batch.log_horizon[..., None] - np.logaddexp(0.0, batch.float64.u(z)) + batch.float64.log_du(z)
        top = log_slope.max(axis=-1)
        return v + top + np.log(np.exp(log_slope - top[..., None]) @ (W / 2))
