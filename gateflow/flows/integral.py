"""Learning times as integrals over panels: the rows of one batch in, log tau and what it is worth out.

The integral of :mod:`gateflow.flows.density` is taken over panels whose edges follow its own scales (numerics.md): it
falls like 1/h at the lower end and like exp(h) below the upper end, and the weight W bends where the profile u is of
order 1.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
import sympy as sp

from gateflow.errors import NoCompiler
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.compiled import CHUNK as COMPILED_CHUNK
from gateflow.flows.compiled import Kernel, by_kernel, kernel_of
from gateflow.flows.critical import (
    cuts,
    goes_by_decay,
    is_outside,
    reach,
    refuse_if_no_gate,
    slope_minima,
    written_about,
    z_of_u,
    zero_near,
)
from gateflow.flows.density import (
    CUT,
    Approach,
    Array,
    Coordinate,
    DecayCoordinate,
    FromAbove,
    FromBelow,
    PlaceCoordinate,
    PlainDecay,
    Position,
    decay_of_profile,
    profile_of_decay,
)
from gateflow.flows.features import features
from gateflow.flows.near import NEAR
from gateflow.flows.panels import EPS, NEGLIGIBLE, Panels, Sums, integrate
from gateflow.flows.rounding import rounding
from gateflow.flows.unseen import unseen
from gateflow.gates.gate import Gate
from gateflow.losses import Decay, Loss, log_distance
from gateflow.losses.absolute import LOSS as ABSOLUTE
from gateflow.progress import track
from gateflow.results.status import CODE, Status

CHUNK = 1024
"""Problems integrated together in NumPy."""

LEAST = {True: 4096, False: 256}
"""Problems from which on the compiled kernel is chosen by itself, for gates with a closed inverse and for others: below
them NumPy is done before a compiler is."""

GAPS = np.array([-690.0, -600.0, -450.0, -300.0, -200.0, -120.0, -70.0, -40.0, -20.0, -10.0])
"""log |z| of panel edges beside a point of a power."""
STRIDE = 100.0
"""Of log |z|, over which the power is read off."""
LOOKED_AT = 8
"""Points on the way of one flow that are looked at in big floats, at most."""

OFFSETS = np.array([1.5, 4.0, 9.0, 18.0, 38.0])
"""Panel edges, in units of the density's own scale, from either end."""

INSIDE = 1e-10
"""Part of the way by which a density beside its end is taken."""

BENDS = np.array([-4.0, -1.5, 0.0, 1.5, 4.0])
"""Panel edges in log |h - h*| about log h*, for losses smooth at their least value."""

MARKS = (0.0, 1.2, 4.0, 10.0, 24.0)
"""Panel edges in |u|: W has poles at u = i and -i for most gates."""
STRAIGHT = np.array([*MARKS, *(-mark for mark in MARKS[1:])])
"""The same on both sides of 0."""


Solved = tuple[Array, Any, Array, Any]
"""log tau, status codes, relative errors and evaluations, of problems in rows."""


@dataclass(frozen=True, eq=False)
class Way:
    """Ways of problems in rows: both ends as decays and logit profiles; the last as a position, where it is known."""

    batch: ProblemBatch
    start: Decay
    end: Decay
    u0: Array
    u_end: Array
    z_end: Array | None = None

    @property
    def span(self) -> tuple[Array, Array]:
        """The lower and the upper profile."""
        return np.minimum(self.u0, self.u_end), np.maximum(self.u0, self.u_end)

    def take(self, chosen: Any) -> Way:
        """Those numbered ``chosen``, of a part, or under a mask."""
        z_end = None if self.z_end is None else self.z_end[chosen]
        start, end = self.start.take(chosen), self.end.take(chosen)
        return Way(self.batch.take(chosen), start, end, self.u0[chosen], self.u_end[chosen], z_end)


class Integrals:
    """The panel method for one gate and one loss."""

    def __init__(self, gate: Gate, loss: Loss, *, is_about: bool = False) -> None:
        refuse_if_no_gate(gate)
        self.is_about = is_about
        self.gate, self.float64, self.loss = gate, gate.float64, loss
        self.minima = minima = slope_minima(gate)
        self.flat_u, self.pointed_u, self.unsure_u = (
            np.sort(np.asarray(self.float64.u(np.asarray(at, dtype=np.float64))))
            for at in (minima.flat, minima.pointed, minima.unsure)
        )
        own = np.asarray(
            self.float64.u(np.asarray([*gate.kinks, *minima.narrow, *minima.flat, *minima.pointed], dtype=np.float64))
        )
        self.own_marks = own[np.isfinite(own)]
        self.marks = np.unique(np.concatenate([STRAIGHT, self.own_marks]))
        self.bounded = bool(np.isfinite(reach(gate)[1]))
        self.by_decay = goes_by_decay(gate)
        self.cuts = np.empty(0) if self.by_decay else cuts(gate)
        self.rounding = rounding(gate)
        self.unseen = None if self.by_decay else unseen(gate)

    def times(self, batch: ProblemBatch, backend: str | None) -> tuple[Solved, str]:
        """The answers of a whole batch, in the order of its rows, and what computed them."""
        count = batch.z0.size
        log_tau, error = np.empty(count), np.empty(count)
        code, evaluations = np.empty(count, dtype=np.int8), np.empty(count, dtype=np.int64)
        kernel = None if batch.tolerance is not None else self.kernel(backend, count)
        solve = self.solve if kernel is None else partial(self.solve_compiled, kernel)

        def fill(part: slice) -> None:
            with np.errstate(all="ignore"):
                rows = batch.rows(part)
                log_tau[part], code[part], error[part], evaluations[part] = solve(rows)
                error[part][_leaves_what_is_known(rows) & np.isfinite(log_tau[part])] = np.inf

        if kernel is None:
            spread(fill, count, CHUNK, threads=1)
        else:
            spread(fill, count, COMPILED_CHUNK)
        return (log_tau, code, error, evaluations), "numpy" if kernel is None else "compiled"

    def kernel(self, backend: str | None, count: int) -> Kernel | None:
        """The compiled kernel, where it is the one to use for this many problems."""

        def made() -> Kernel:
            if self.loss != ABSOLUTE:
                raise NoCompiler(f"the {self.loss.name} loss has no compiled kernel; use backend='numpy'")
            between_floats = () if self.unseen is None else self.float64.u(self.unseen.before)
            blocks = (*self.flat_u, *self.pointed_u, *self.unsure_u, *between_floats)
            return kernel_of(self.gate, tuple(self.own_marks), blocks)

        return by_kernel(made, backend, pays=self.loss == ABSOLUTE and count >= LEAST[self.by_decay])

    def solve_compiled(self, kernel: Kernel, batch: ProblemBatch) -> Solved:
        """The same as :meth:`solve` by the kernel, and by NumPy what the kernel leaves to it."""
        log_tau, error, evaluations = kernel(batch)
        code = np.full(log_tau.size, CODE[Status.REACHED], dtype=np.int8)
        left = np.flatnonzero(np.isnan(log_tau))
        for begin in range(0, left.size, CHUNK):
            part = left[begin : begin + CHUNK]
            log_tau[part], code[part], error[part], evaluations[part] = self.solve(batch.take(part))
        return log_tau, code, error, evaluations

    def solve(self, batch: ProblemBatch) -> Solved:
        """log tau, status code, relative error and evaluations of problems in rows."""
        tolerance = np.zeros(batch.shape) if batch.tolerance is None else batch.tolerance
        batch = replace(batch, tolerance=tolerance)
        u0 = np.asarray(self.float64.u(batch.z0))
        start = decay_of_profile(batch.horizon, batch.log_horizon, u0)
        end = _near_target(start, batch.stop, tolerance)
        u_end = np.where(np.isneginf(end.log), np.inf, profile_of_decay(batch.horizon, batch.log_horizon, end))
        way = Way(batch, start, end, u0, u_end)
        code = self._codes(way)
        there = self._is_there(way)
        unknown = there & np.isfinite(u0 + u_end)
        if np.any(tolerance > 0):
            within = log_distance(start, batch.target) <= np.log(tolerance) + batch.target.log
            there, unknown = there | within, unknown & ~within
        code[there] = CODE[Status.REACHED]
        log_tau = np.where(there, -np.inf, np.inf)
        unknown |= code == CODE[Status.UNDECIDED]
        error, evaluations = np.where(unknown, np.inf, 0.0), np.ones(u0.size, dtype=np.int64)
        crossing = (code == CODE[Status.REACHED]) & ~there & _meets(self.pointed_u, *way.span)
        if crossing.any() and not self.is_about:
            for k in np.flatnonzero(crossing):
                found = self._solved_about(way.take(slice(k, k + 1)))
                log_tau[k], code[k], error[k], evaluations[k] = found
            there |= crossing
        todo = np.flatnonzero((code == CODE[Status.REACHED]) & ~there)
        for part, integrals in self._parts(todo, way):
            found = integrals(way.take(part))
            log_tau[part], error[part], evaluations[part] = found[0] - batch.log_scale[part], found[1], found[2]
            far = np.maximum(np.abs(u0[part]), np.where(np.isinf(u_end[part]), 0.0, np.abs(u_end[part])))
            error[part] += EPS * (2 * np.abs(log_tau[part]) + far + 16)
            error[part] = np.where(np.isnan(error[part]), np.inf, error[part])
            code[part[self._past_floats(error[part], u_end[part])]] = CODE[Status.OVERFLOW]
            lost = part[~np.isfinite(log_tau[part])]
            near = np.abs(u0[lost] - u_end[lost]) <= NEAR * (1 + np.abs(u_end[lost]))
            log_tau[lost[near]], error[lost[near]] = -np.inf, np.inf
            lost = lost[~near]
            code[lost], log_tau[lost], error[lost] = CODE[Status.OVERFLOW], np.inf, np.inf
        return log_tau, code, error, evaluations

    def _solved_about(self, way: Way) -> tuple[Any, ...]:
        """The same for one path through a point that only the formula written about it resolves."""
        at = _between(np.asarray(self.minima.pointed), self.float64, way)
        moved = written_about(self.gate, float(at[0])) if at.size == 1 else None
        if moved is None:
            return np.inf, CODE[Status.UNDECIDED], np.inf, 1
        gate, point = moved
        t0 = np.array([float(sp.N(sp.Rational(float(way.batch.z0[0])) - point, 30))])
        about = replace(way.batch, gate=gate, z0=t0)
        return tuple(part[0] for part in Integrals(gate, self.loss, is_about=True).solve(about))

    def _past_floats(self, error: Array, u_end: Array) -> Any:
        """Where no digit of tau is right: z ends past the last float, or where the gate is nearly 0 or 1."""
        past = error > 1
        if past.any() and not np.any(np.isfinite(reach(self.gate))):
            past[past] = np.isinf(z_of_u(self.gate, u_end[past]))
        return past

    def _parts(self, todo: Any, way: Way) -> Iterator[tuple[Any, Callable[[Way], tuple[Any, ...]]]]:
        """The problems to integrate, each part with its way to do so."""
        some = way.batch.take(todo)
        smooth = np.full(todo.size, not self.loss.arrives) & (some.tolerance > 0) & np.isfinite(some.target.log)
        below = way.start.log[todo] > some.target.log
        ways = (
            (~smooth, self._integrals),
            (smooth & below, partial(self._in_two_parts, FromBelow())),
            (smooth & ~below, partial(self._in_two_parts, FromAbove())),
        )
        yield from ((todo[mask], way) for mask, way in ways if mask.any())

    def _codes(self, way: Way) -> Any:
        """What becomes of each flow, by number."""
        u0, u_end, z0 = way.u0, way.u_end, way.batch.z0
        code = np.full(z0.size, CODE[Status.REACHED], dtype=np.int8)
        if not self.bounded:
            code[np.isneginf(way.end.log)] = CODE[Status.ASYMPTOTIC]
        low, high = way.span
        blocked = _meets(self.flat_u, low, high)
        code[blocked] = CODE[Status.STUCK]
        for k in np.flatnonzero(~blocked & _meets(self.unsure_u, low, high)):
            code[k] = CODE[self._beyond_doubt(way.take(slice(k, k + 1)))]
        code[is_outside(self.gate, u_end)] = CODE[Status.OUTSIDE]
        for k in np.flatnonzero(~np.isfinite(u0) | np.isnan(u_end) | np.isposinf(way.start.h)):
            code[k] = CODE[Status.STUCK if self._is_outside(z0[k]) else Status.OVERFLOW]
        return code

    def _beyond_doubt(self, way: Way) -> Status:
        """What becomes of one flow past points at which the slope may be 0: the nearest are looked at closely."""
        at = _between(np.asarray(self.minima.unsure), self.float64, way)
        at = at[np.argsort(np.abs(at - way.batch.z0), kind="stable")]
        for point in at[:LOOKED_AT].tolist():
            kind = zero_near(self.gate, point)[1]
            if kind != "narrow":
                return Status.STUCK if kind == "flat" else Status.UNDECIDED
        return Status.REACHED if at.size <= LOOKED_AT else Status.UNDECIDED

    def _is_outside(self, z: float) -> bool:
        """Whether the gate is exactly 0 or 1 at z, rather than too close to it for floats.

        Only a formula with branches can be, or with a root, where its domain ends: an analytic one is constant nowhere.
        """
        ends = any(not n.is_Integer for _, n in (node.as_base_exp() for node in self.gate.expr.atoms(sp.Pow)))
        if self.gate.is_profile or not (ends or self.gate.expr.has(sp.Piecewise, sp.Abs, sp.sign)):
            return False
        numbers = self.gate.at(30)
        big = numbers.arithmetic
        inside = big.isfinite(numbers.log_phi(big.lift(z))) & big.isfinite(numbers.log_phi_c(big.lift(z)))
        return not bool(inside)

    def _is_there(self, way: Way) -> Any:
        """Starts on the target: equal to z* as floats."""
        z0, u0, u_star = way.batch.z0, way.u0, way.u_end
        there = (u0 == u_star) & self.bounded
        near = np.flatnonzero(np.abs(u0 - u_star) <= 1e-12 * (1 + np.abs(u_star)))
        if near.size:
            there[near] = np.abs(z_of_u(self.gate, u_star[near]) - z0[near]) <= 4 * EPS * np.abs(z0[near])
        return there

    def _integrals(self, way: Way) -> tuple[Any, ...]:
        """log of the integral, its relative error, evaluations."""
        batch, start, end, u_end = way.batch, way.start, way.end, way.u_end
        upward = start.log > end.log
        low = Decay(np.where(upward, end.h, start.h), np.where(upward, end.log, start.log))
        high = Decay(np.where(upward, start.h, end.h), np.where(upward, start.log, end.log))
        if self.by_decay:
            grids = self._decay_grids(batch, low, high)
        else:
            z_end = z_of_u(self.gate, u_end) if way.z_end is None else way.z_end
            ends = np.where(upward, z_end, batch.z0), np.where(upward, batch.z0, z_end)
            grids = self._position_grids(batch, low, high, *ends)
            if self.is_about:
                grids = _about_zero(grids[0][1])
        pieces, (at_low, at_high), spent = _first_panels(batch, grids, self.gate.kinks)
        sums = self._integrated(batch, pieces)
        if self.is_about:
            sums = _with_rest(batch, grids, sums)
        at_start, at_end = np.where(upward, at_high, at_low), np.where(upward, at_low, at_high)
        ends = at_start - sums.log_total, at_end - sums.log_total
        error = sums.error + self._end_errors(way, *ends, by_decay=self.by_decay)
        if not self.by_decay:
            moved = self._end_rounding(z_end, u_end)
            error += np.where(moved > 0, np.exp(ends[1]) * moved, 0.0)
            error += self._missed(batch, np.minimum(batch.z0, z_end), np.maximum(batch.z0, z_end), sums.log_total)
        return sums.log_total, error, sums.evaluations + spent

    def _missed(self, batch: ProblemBatch, low: Array, high: Array, log_total: Array) -> Any:
        """What lies between two floats on the way (:mod:`gateflow.flows.unseen`), as an error of log tau."""
        places = self.unseen
        if places is None or not places.missed.size:
            return 0.0
        rows = batch.at_nodes(np.arange(batch.z0.size))

        def weight(z: Array) -> Array:
            every = np.broadcast_to(z, (batch.z0.size, z.size))
            return PlaceCoordinate().log_density(rows, every) + self.float64.log_du(every) - log_total[:, None]

        beside = weight(places.before)
        share = np.exp(np.where(np.isnan(beside), weight(places.after), beside)) * places.missed
        there = (low[:, None] < places.after) & (high[:, None] > places.before) & np.isfinite(log_total)[:, None]
        share = np.where(np.isnan(share), np.inf, share)  # nothing is known of it
        return -np.log1p(-np.minimum(np.sum(share, axis=1, where=there), 1.0))

    def _end_rounding(self, z_end: Array, u_end: Array) -> Array:
        """What rounding of the end to a float does to it, as a relative error of the decay there."""
        slope = np.exp(np.minimum(self.float64.log_du(z_end), 700.0))
        moved = EPS * np.abs(z_end) * slope
        if self.rounding is not None:
            moved = moved + self.rounding.profile_at(z_end)
        return np.nan_to_num(moved / (1 + np.maximum(-u_end, 0.0)), nan=0.0, posinf=0.0)

    def _in_two_parts(self, coordinate: FromBelow | FromAbove, way: Way) -> tuple[Any, ...]:
        """The way to a smooth target: up to the last cut by position, and from there, where it is smooth, by decay."""
        if self.by_decay or not self.cuts.size:
            return self._approaching(coordinate, way)
        z_end = z_of_u(self.gate, way.u_end)
        last = _last_between(self.cuts, way.batch.z0, z_end)
        if self.is_about:  # the density at 0 itself is infinite, or as good as that
            last = np.where(np.isfinite(last) & (last != 0), last, z_end / 2)
        cut = np.isfinite(last)
        out = tuple(np.zeros(last.size) for _ in range(3))
        for mask in (cut, ~cut):
            if mask.any():
                part = way.take(mask)
                found = (
                    self._joined(coordinate, part, last[mask]) if mask is cut else self._approaching(coordinate, part)
                )
                for array, values in zip(out, found, strict=True):
                    array[mask] = values
        return out[0], out[1], out[2].astype(np.int64)

    def _joined(self, coordinate: FromBelow | FromAbove, way: Way, z: Array) -> tuple[Any, ...]:
        """Both parts, joined at positions z; the distance to the target is there a difference that loses digits."""
        batch = way.batch
        u = np.broadcast_to(np.asarray(self.float64.u(z)), z.shape)
        middle = decay_of_profile(batch.horizon, batch.log_horizon, u)
        near = self._approaching(coordinate, replace(way, batch=replace(batch, z0=z), start=middle, u0=u))
        far = self._integrals(replace(way, end=middle, u_end=u, z_end=z))
        total = np.logaddexp(near[0], far[0])
        size = np.maximum(middle.log, batch.target.log) - log_distance(middle, batch.target)
        lost = EPS * (8 + 4 * np.abs(u) + 2 * np.abs(batch.target.log)) * np.exp(size)
        shares = (np.where(np.isneginf(part[0]), 0.0, np.exp(part[0] - total) * part[1]) for part in (near, far))
        return total, sum(shares) + lost, near[2] + far[2]

    def _approaching(self, coordinate: FromBelow | FromAbove, way: Way) -> tuple[Any, ...]:
        """The same for a loss smooth at its least value, from one side, up to the tolerance.

        The density is level in ``log |h - h*|`` near the target, and bends where ``|h - h*|`` is of the order of h*.
        """
        batch, start, end = way.batch, way.start, way.end
        goal = Decay(batch.target.h[:, None], batch.target.log[:, None])
        last = Decay(end.h[:, None], end.log[:, None], goal.log + np.log(batch.tolerance)[:, None])
        bottom = coordinate.at_decay(last, goal)
        top = coordinate.at_decay(Decay(start.h[:, None], start.log[:, None]), goal)
        marks = decay_of_profile(batch.horizon[:, None], batch.log_horizon[:, None], self.marks)
        near = [
            coordinate.at_decay(part, goal) for part in (Decay(log=goal.log + BENDS, apart=goal.log + BENDS), marks)
        ]
        inner = np.concatenate([*near, top - _offsets(top), 0 * top + BENDS], axis=1)
        grids: list[tuple[Coordinate, Array]] = [
            (coordinate, _edges(bottom, top, np.where(np.isnan(inner), bottom, inner)))
        ]
        pieces, (_, at_start), spent = _first_panels(batch, grids)
        sums = self._integrated(batch, pieces)
        moved = at_start - sums.log_total
        error = sums.error + self._end_errors(way, moved, moved, by_decay=True)
        return sums.log_total, error, sums.evaluations + spent

    def _integrated(self, batch: ProblemBatch, pieces: list[Panels]) -> Sums:
        """The integrals; where the gate's formula loses digits, their error with those of each panel by its share."""
        if self.rounding is None:
            return integrate(batch, pieces)
        sums = integrate(batch, pieces, self._middles)
        shares = np.exp(sums.log_panel - sums.log_total[sums.owner])
        lost = 2 * self.rounding.density_at(sums.middle) * np.nan_to_num(shares)
        return replace(sums, error=sums.error + np.bincount(sums.owner, lost, batch.z0.size))

    def _middles(self, batch: ProblemBatch, panels: Panels) -> Array:
        """The middle of each panel: its profile, or its position where the gate's numbers are functions of that."""
        v, coordinate = panels.middles()[:, None], panels.coordinate
        if isinstance(coordinate, Position):
            return coordinate.position(v)[:, 0]
        u = coordinate.profile(batch.at_nodes(panels.owner), v)
        return (u if self.by_decay else np.asarray(self.float64.z_of_u(u)))[:, 0]

    def _decay_grids(self, batch: ProblemBatch, low: Decay, high: Decay) -> list[tuple[Coordinate, Array]]:
        """Edges in log h up to the cut and in h above it, one row a problem."""
        marks = decay_of_profile(batch.horizon[:, None], batch.log_horizon[:, None], self.marks)
        grids: list[tuple[Coordinate, Array]] = []
        if np.any(low.log < CUT):
            bottom, top = low.log[:, None], np.maximum(low.log, np.minimum(high.log, CUT))[:, None]
            grids.append((DecayCoordinate(), _edges(bottom, top, bottom + _offsets(bottom), marks.log)))
        if np.any(high.log > CUT):
            top = high.h[:, None]
            bottom = np.minimum(high.h, np.maximum(low.h, np.exp(CUT)))[:, None]
            grids.append((PlainDecay(), _edges(bottom, top, top - _offsets(top), marks.h)))
        return grids

    def _position_grids(
        self, batch: ProblemBatch, low: Decay, high: Decay, z_low: Array, z_high: Array
    ) -> list[tuple[Coordinate, Array]]:
        """The same edges in one row, turned into positions by the inverse; z falls as h grows."""
        horizon, log_horizon = batch.horizon[:, None], batch.log_horizon[:, None]
        marks = decay_of_profile(horizon, log_horizon, STRAIGHT)
        below = low.log[:, None] + _offsets(low.log[:, None])
        above = high.h[:, None] - _offsets(high.h[:, None])
        above = np.where(above > np.exp(CUT), np.log(np.maximum(above, 1.0)), high.log[:, None])
        extra = np.concatenate([np.where(below < CUT, below, low.log[:, None]), above], axis=1)
        inner = np.clip(np.concatenate([extra, marks.log], axis=1), low.log[:, None], high.log[:, None])
        u = profile_of_decay(horizon, log_horizon, Decay(log=inner))
        z = z_of_u(self.gate, u.ravel()).reshape(u.shape)
        first, last = z_low[:, None], z_high[:, None]
        between = self.cuts[(self.cuts > np.min(z_high)) & (self.cuts < np.max(z_low))]
        z = np.concatenate(
            [np.where(np.isfinite(z), z, first), np.broadcast_to(between, (z.shape[0], between.size))], axis=1
        )
        z = np.clip(z, np.minimum(first, last), np.maximum(first, last))
        return [(PlaceCoordinate(), np.concatenate([first, -np.sort(-z, axis=1), last], axis=1))]

    def _end_errors(self, way: Way, at_start: Array, at_target: Array, *, by_decay: bool) -> Array:
        """What rounding of the start and of the target does to tau; ``at_...`` is log(dtau/dlog h / tau) there.

        A path measured in z starts at z0 itself; one measured in the decay starts at the rounded decay of z0.
        """
        batch, start, z0, u0 = way.batch, way.start, way.batch.z0, way.u0
        slope = np.exp(np.minimum(self.float64.log_du(z0), 700.0))
        steep = np.where(start.h > 0, batch.horizon * np.exp(-np.logaddexp(0.0, u0)) / start.h, 1.0)
        moved = EPS * np.minimum(steep, 1.0) * np.abs(z0) * slope
        if by_decay:
            lost = 0.0 if self.rounding is None else self.rounding.profile_at(u0 if self.by_decay else z0)
            size = EPS * np.abs(u0) + lost
            moved = moved + np.minimum(steep, 1.0) * size + EPS * (1 + np.abs(batch.log_horizon))
        start_error = np.exp(at_start) * moved
        size = np.abs(batch.target.log)
        target_error = np.exp(at_target) * EPS * (2 + np.where(np.isfinite(size), size, 0.0))
        return np.nan_to_num(start_error + target_error, nan=0.0, posinf=np.inf)


@lru_cache(maxsize=256)
def integrals_of(gate: Gate, loss: Loss) -> Integrals:
    """The panel method for one gate and one loss, made once.

    Raises
    ------
    Exceeded
        What has to be known of the gate takes too long to find out.
    """
    return gate.within_bounds(partial(Integrals, gate, loss), "learning times")


def _about_zero(edges: Array) -> list[tuple[Coordinate, Array]]:
    """The edges of a path through 0, which fall, in ``log |z|`` on either side."""
    grids: list[tuple[Coordinate, Array]] = []
    for side in (1.0, -1.0):
        far = np.maximum(side * edges, 0.0)
        logs = np.log(np.maximum(far, np.exp(GAPS[0])))
        top = logs.max(axis=1, keepdims=True)
        logs = np.sort(np.concatenate([logs, np.minimum(GAPS, top)], axis=1), axis=1)
        grids.append((Approach(0.0, side), logs[:, ::-1] if side > 0 else logs))
    return grids


def _with_rest(batch: ProblemBatch, grids: list[tuple[Coordinate, Array]], sums: Sums) -> Sums:
    """With what lies nearer to 0 than the grid: there the density is a power of z."""
    everyone = batch.at_nodes(np.arange(batch.horizon.size))
    total, error = sums.log_total, sums.error
    for coordinate, edges in grids:
        low, high = edges.min(axis=1, keepdims=True), edges.max(axis=1, keepdims=True)
        step = np.minimum(STRIDE, high - low)
        near, further = (coordinate.log_density(everyone, v)[:, 0] for v in (low, low + step))
        fall = (further - near) / step[:, 0]
        rest = np.where(step[:, 0] > 0, near - np.log(fall), -np.inf)
        off = EPS * (8 + 4 * np.abs(near)) / (fall * step[:, 0])
        total = np.logaddexp(total, rest)
        error = error + np.where(step[:, 0] > 0, np.exp(rest - total) * off, 0.0)
    return replace(sums, log_total=total, error=error)


def _last_between(cuts: Array, z0: Array, z_end: Array) -> Array:
    """The last cut on each way, ends excluded; nan where there is none."""
    up = z_end > z0
    at = np.where(up, np.searchsorted(cuts, z_end, "left") - 1, np.searchsorted(cuts, z_end, "right"))
    last = cuts[np.clip(at, 0, cuts.size - 1)]
    inside = (at >= 0) & (at < cuts.size) & (last > np.minimum(z0, z_end)) & (last < np.maximum(z0, z_end))
    return np.where(inside, last, np.nan)


def _meets(points: Array, low: Array, high: Array) -> Any:
    """Whether some of the points, ascending, lie between two profiles."""
    return np.searchsorted(points, low, "left") < np.searchsorted(points, high, "right")


def _offsets(end: Array) -> Array:
    """Distances of edges from an end; far from 0 never below the spacing of floats there."""
    return OFFSETS * np.maximum(1.0, 4 * np.spacing(np.abs(end)))


def _edges(bottom: Array, top: Array, *inner: Array) -> Array:
    edges = np.clip(np.concatenate(inner, axis=1), bottom, top)
    edges.sort(axis=1)
    return np.concatenate([bottom, edges, top], axis=1)


def _first_panels(
    batch: ProblemBatch, grids: list[tuple[Coordinate, Array]], kinks: tuple[float, ...] = ()
) -> tuple[list[Panels], tuple[Array, Array], int]:
    """The panels that can matter, and the density per log h at the lower and the upper end (in h) of each path."""
    everyone = batch.at_nodes(np.arange(batch.horizon.size))
    values = [coordinate.log_density(everyone, edges) for coordinate, edges in grids]
    best = np.full(batch.horizon.size, -np.inf)
    scales = []
    for (_, edges), value in zip(grids, values, strict=True):
        log_width = np.log(np.abs(np.diff(edges, axis=1)))
        scales.append(log_width)
        sure = np.where(np.isneginf(log_width), -np.inf, np.minimum(value[:, 1:], value[:, :-1]) + log_width)
        best = np.fmax(best, np.nanmax(sure, axis=1, initial=-np.inf))
    pieces = []
    for (coordinate, edges), value, log_width in zip(grids, values, scales, strict=True):
        possible = np.maximum(value[:, 1:], value[:, :-1]) + log_width
        keep = ~(possible < best[:, None] - NEGLIGIBLE) & ~np.isneginf(log_width)
        owner, column = np.nonzero(keep)
        at_ends = np.stack([value[owner, column], value[owner, column + 1]])
        if isinstance(coordinate, PlaceCoordinate):  # at a kink the value is that of one side
            at_ends[np.isin(np.stack([edges[owner, column], edges[owner, column + 1]]), kinks)] = np.nan
        pieces.append(Panels(coordinate, owner, edges[owner, column], edges[owner, column + 1], at_ends))
    spent = sum(edges.shape[1] for _, edges in grids)
    return pieces, _end_densities(everyone, grids, values), spent


def _end_densities(
    everyone: ProblemBatch, grids: list[tuple[Coordinate, Array]], values: list[Array]
) -> tuple[Array, Array]:
    """log of dtau/dlog h at the first and the last edge of each path; on a kink, that of the path's side."""
    coordinate, edges = grids[0]
    first = _at_end(everyone, coordinate, edges, values[0][:, 0])
    last = _at_end(everyone, coordinate, edges[:, ::-1], values[0][:, -1])
    for (coordinate, edges), value in zip(grids[1:], values[1:], strict=True):
        further = _at_end(everyone, coordinate, edges[:, ::-1], value[:, -1])
        last = np.where(edges[:, -1] > edges[:, 0], further, last)
    return first, last


def _at_end(everyone: ProblemBatch, coordinate: Coordinate, edges: Array, value: Array) -> Array:
    """At the first of the edges or a little inside, where it is more: the value on a kink may be that of beyond."""
    end, way = edges[:, :1], edges[:, -1:] - edges[:, :1]
    inside = end + np.sign(way) * np.minimum(np.abs(way), np.maximum(INSIDE * np.abs(way), 8 * np.spacing(np.abs(end))))
    both = np.concatenate([value[:, None], coordinate.log_density(everyone, inside)], axis=1)
    return np.fmax.reduce(both, axis=1) - coordinate.log_pace(everyone, end)[:, 0]


def _near_target(start: Decay, target: Decay, tolerance: Array) -> Decay:
    """Where a flow from ``start`` is within the relative tolerance of the target; the target itself where that is 0."""
    side = np.where(start.log > target.log, tolerance, -tolerance)
    return Decay(target.h * (1 + side), target.log + np.log1p(side))


def _between(points: Array, float64: Any, way: Way) -> Array:
    """Those of the points, as positions, that lie on one way."""
    u = np.asarray(float64.u(points))
    low, high = way.span
    return points[(u >= low[0]) & (u <= high[0])]


def _leaves_what_is_known(batch: ProblemBatch) -> Any:
    """Which paths go where the formula may change quickly unseen (:mod:`gateflow.flows.features`)."""
    known = features(batch.gate).known
    if known == np.inf:
        return np.full(batch.shape, False)
    low, high = batch.float64.u(np.array([-known, known]))
    u0, u_end = batch.float64.u(batch.z0), profile_of_decay(batch.horizon, batch.log_horizon, batch.stop)
    return (np.minimum(u0, u_end) < low) | (np.maximum(u0, u_end) > high)


def spread(work: Callable[[slice], None], count: int, chunk: int, threads: int | None = None) -> None:
    """Do ``work`` for parts of ``count`` problems, in as many threads as there are cores; only C runs side by side."""
    parts = [slice(start, min(start + chunk, count)) for start in range(0, count, chunk)]
    threads = min(len(parts), cores() if threads is None else threads)
    if threads <= 1:
        for part in track(parts, "hitting times"):
            work(part)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in track(pool.map(work, parts), "hitting times", len(parts)):
            pass


def cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
