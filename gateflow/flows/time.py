"""Convergence times, each as one integral, for any number of problems at once.

The integral of :mod:`gateflow.flows.density` is taken over panels whose edges follow its own scales (numerics.md): it
falls like 1/h at the lower end and like exp(h) below the upper end, and the weight W bends where the profile u is of
order 1.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import partial
from typing import Any

import numpy as np
import sympy as sp

from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.flows.compiled import CHUNK as COMPILED_CHUNK
from gateflow.flows.compiled import Kernel, kernel_of, spread, wanted_backend
from gateflow.flows.critical import cuts, dips, goes_by_decay, is_outside, reach, written_about, z_of_u, zero_near
from gateflow.flows.density import (
    CUT,
    Approach,
    Array,
    Coordinate,
    FromAbove,
    FromBelow,
    LogDecay,
    Place,
    PlainDecay,
    Position,
    Setting,
    decay_of_profile,
    profile_of_decay,
)
from gateflow.flows.features import features
from gateflow.flows.near import NEAR, refined
from gateflow.flows.panels import EPS, NEGLIGIBLE, Panels, Sums, integrate
from gateflow.flows.problem import LearningProblem, plain, positions
from gateflow.flows.rounding import rounding
from gateflow.gates.gate import Gate
from gateflow.guards.arguments import number, one
from gateflow.losses import Decay, Loss, log_distance
from gateflow.losses.absolute import LOSS as ABSOLUTE
from gateflow.notebook import cards
from gateflow.results.byvalue import by_value
from gateflow.results.status import BY_CODE, CODE, Status

CHUNK = 1024
"""Problems integrated together in NumPy."""

LEAST = {True: 4096, False: 256}
"""Problems from which on the compiled kernel is chosen by itself, for gates with a closed inverse and for others: below
them NumPy is done before a compiler is."""

LADDER = np.array([-690.0, -600.0, -450.0, -300.0, -200.0, -120.0, -70.0, -40.0, -20.0, -10.0])
"""log |z| of panel edges beside a point of a power."""
STRIDE = 100.0
"""Of log |z|, over which the power is read off."""
LOOKED_AT = 8
"""Points on the way of one flow that are looked at in big floats, at most."""

OFFSETS = np.array([1.5, 4.0, 9.0, 18.0, 38.0])
"""Panel edges, in units of the density's own scale, from either end."""

BENDS = np.array([-4.0, -1.5, 0.0, 1.5, 4.0])
"""Panel edges in log |h - h*| about log h*, for losses smooth at their least value."""

MARKS = (0.0, 1.2, 4.0, 10.0, 24.0)
"""Panel edges in |u|: W has poles at u = i and -i for most gates."""
STRAIGHT = np.array([*MARKS, *(-mark for mark in MARKS[1:])])
"""The same on both sides of 0."""


@by_value
@dataclass(frozen=True)
class HittingTime:
    """Learning times from z0 to the target; scalars for one problem, else arrays.

    Parameters
    ----------
    tau : float or array
        The learning time; infinite where the target is never reached, and where it overflows.
    log_tau : float or array
        Its logarithm, finite where tau overflows or underflows; ``-inf`` for a start on the target.
    status : Status or array of Status
        Whether the target is reached, and if not, why; "unresolved" where the error is 1 or more.
    error : float or array
        Estimate of the relative error of tau: quadrature, rounding, and the conditioning of z0 and of the target.
        Also the digits that the gate's own formula loses in float64, as far as samples of it show.
    evaluations : int or array
        Evaluations of the gate.
    backend : {"numpy", "compiled"}
        What computed them; the two differ in the last bits.
    """

    tau: Any
    log_tau: Any
    status: Any
    error: Any
    evaluations: Any
    backend: str = "numpy"

    @property
    def overflowed(self) -> Any:
        """Where tau is finite but past the largest float, so that only ``log_tau`` tells it."""
        return np.isinf(self.tau) & np.isfinite(self.log_tau)

    def __repr__(self) -> str:
        if np.ndim(self.tau):
            words = ", ".join(
                f"{word}: {np.sum(self.status == word)}" for word in Status if np.any(self.status == word)
            )
            return f"<HittingTime of {np.size(self.tau)} problems; {words}>"
        size = f"tau = {self.tau:.15g}" if not self.overflowed else f"tau = exp({self.log_tau:.15g})"
        return f"<HittingTime {size} to {self.error:.1g}; {self.status.sentence}>"

    def _repr_html_(self) -> str:
        many = np.ndim(self.tau) > 0
        about = [
            ("status", cards.counts(self.status) if many else self.status.sentence),
            ("tau", "overflows" if np.all(self.overflowed) else cards.number(self.tau, 15)),
            ("log tau", cards.number(self.log_tau, 15)),
            ("relative error", cards.number(self.error, 2)),
            ("evaluations", cards.number(self.evaluations)),
        ]
        title = f"Learning times of {np.size(self.tau)} problems" if many else "Learning time"
        return cards.framed(title, cards.facts(about), picture=self._curve())

    def _curve(self) -> Any:
        """log tau of problems in a row, in their order."""
        if np.ndim(self.tau) != 1:
            return None
        return cards.curve(np.arange(np.size(self.tau)), self.log_tau, label="Times", across="problem", up="log tau")


def hitting_time(
    problem: LearningProblem,
    z0: Any,
    *,
    tolerance: Any = None,
    tau_max: float | None = None,
    backend: str | None = None,
) -> HittingTime:
    """The learning time the flow takes from ``z0`` to the target (theory.md §4).

    Parameters
    ----------
    problem : LearningProblem
        One problem, or many in arrays.
    z0 : float or array
        Where learning starts, on either side of the target; broadcast against the problem.
    tolerance : float or array, optional
        Stop where ``|h - h*| <= tolerance h*``, with ``h = -T log phi``: the time scale is then right to that relative
        tolerance. Losses that are smooth at their least value never arrive and need one, in (0, 1).
    tau_max : float, optional
        Learning time at hand; arrivals past it get the status "time limit".
    backend : {"auto", "numpy", "compiled"}, optional
        "compiled" is a kernel in C, made from the gate's formula on its first use on a machine, some five times as fast
        as NumPy where the profile has a closed inverse and a hundred times where it has none. "auto" takes it for many
        problems, where there is a compiler. By default ``GATEFLOW_BACKEND`` in the environment, where "compiled" is a
        wish for few problems too, else "auto".

    Raises
    ------
    InvalidArgument
        z0 is not a finite number, a tolerance is missing or out of range, tau_max is not above 0, or the gate is none.
    NoCompiler
        "compiled" is asked for and cannot be had: no compiler, a gate without a form in C, or a loss other than the
        absolute one.

    Examples
    --------
    Sigmoid with T = 1 has the closed form e^z + 2z - e^-z = c tau + const.

    >>> problem = LearningProblem("sigmoid", horizon=1, gap=0.01)
    >>> time = hitting_time(problem, 0.0)
    >>> z = problem.z_star
    >>> bool(abs(time.tau / (np.exp(z) + 2 * z - np.exp(-z)) - 1) < 1e-13)
    True
    >>> hitting_time(LearningProblem("fast", horizon=1e6, gap=1e-12), [-50.0, 0.0, 3.0]).status.tolist()
    [<Status.REACHED: 'reached'>, <Status.REACHED: 'reached'>, <Status.REACHED: 'reached'>]
    """
    if not isinstance(problem, LearningProblem):
        raise InvalidArgument(f"hitting_time takes a LearningProblem; got {type(problem).__name__}")
    if tau_max is not None:
        tau_max = one("tau_max", tau_max, lambda v: v > 0, "above 0")
    if tolerance is not None:
        tolerance = number("tolerance", tolerance, lambda v: (v > 0) & (v < 1), "in (0, 1)")
    z0 = positions(z0, "z0")
    problem.shape_with(z0=z0, **({} if tolerance is None else {"tolerance": tolerance}))
    found = hitting_times(
        problem.gate, problem.horizon, problem.target_decay, z0, problem.scale, problem.loss, tau_max, tolerance,
        backend=backend,
    )  # fmt: skip
    return _judged(refined(problem, z0, found) if tolerance is None else found)


def _judged(found: HittingTime) -> HittingTime:
    """The same, with arrivals of whose time not one digit is known called so; the claimed errors stay."""
    timed = np.isin(np.asarray(found.status, dtype=object), (Status.REACHED, Status.TIME_LIMIT))
    unknown = timed & np.isfinite(found.log_tau) & ~(np.asarray(found.error) < 1)
    if not unknown.any():
        return found
    status = np.array(found.status, dtype=object)
    status[unknown] = Status.UNRESOLVED
    return replace(found, status=status[()])


def hitting_times(
    gate: Gate,
    horizon: Any,
    target: Decay,
    z0: Any,
    scale: Any = 1.0,
    loss: Loss | None = None,
    tau_max: float | None = None,
    tolerance: Any = None,
    end: Decay | None = None,
    backend: str | None = None,
) -> HittingTime:
    """The kernel of :func:`hitting_time`: all arguments broadcast, none is checked.

    ``end`` is a decay on the way to the target, to stop at in its stead.
    """
    loss = loss or ABSOLUTE
    if not loss.arrives and tolerance is None and end is None:
        raise InvalidArgument(
            f"the {loss.name} loss is smooth at its least value, so its flow never arrives there: give a tolerance"
        )
    stop = target if end is None else end
    inputs = (horizon, target.h, target.log, stop.h, stop.log, 0.0 if tolerance is None else tolerance, z0, scale)
    arrays = [np.asarray(array, dtype=np.float64) for array in np.broadcast_arrays(*inputs)]
    shape, count = arrays[0].shape, arrays[0].size
    log_tau, error = np.empty(count), np.empty(count)
    code, evaluations = np.empty(count, dtype=np.int8), np.empty(count, dtype=np.int64)
    solver = gate.within_bounds(lambda: _Solver(gate, loss), "learning times")
    kernel = None if tolerance is not None else solver.kernel(backend, count)
    solve = solver.solve if kernel is None else partial(solver.solve_compiled, kernel)

    def fill(part: slice) -> None:
        with np.errstate(all="ignore"):
            found = solve(*(_part(array, part) for array in arrays))
            log_tau[part], code[part], error[part], evaluations[part] = found

    spread(fill, count, CHUNK if kernel is None else COMPILED_CHUNK, 1 if kernel is None else None)
    with np.errstate(all="ignore"):
        tau = np.exp(log_tau)
        hidden = _leaves_what_is_known(gate, *(arrays[k].reshape(-1) for k in (0, 3, 4, 6)))
        error[hidden & np.isfinite(log_tau)] = np.inf
    if tau_max is not None:
        code[(code == CODE[Status.REACHED]) & (tau > tau_max)] = CODE[Status.TIME_LIMIT]
    status = np.array(BY_CODE, dtype=object)[code].reshape(shape)
    results = [plain(array.reshape(shape)) for array in (tau, log_tau, error, evaluations)]
    name = "numpy" if kernel is None else "compiled"
    return HittingTime(results[0], results[1], status[()], results[2], results[3], name)


def _leaves_what_is_known(gate: Gate, horizon: Array, h_stop: Array, log_h_stop: Array, z0: Array) -> Any:
    """Which paths go where the formula may change quickly unseen (:mod:`gateflow.flows.features`)."""
    known = features(gate).known
    if known == np.inf:
        return np.full(z0.shape, False)
    low, high = gate.float64.u(np.array([-known, known]))
    u0, u_end = gate.float64.u(z0), profile_of_decay(horizon, np.log(horizon), Decay(h_stop, log_h_stop))
    return (np.minimum(u0, u_end) < low) | (np.maximum(u0, u_end) > high)


def _part(array: Array, part: slice) -> Array:
    """A part of an array in one row, without the rest of it."""
    return array.reshape(-1)[part] if array.flags.c_contiguous else np.ascontiguousarray(array.flat[part])


class _Solver:
    """The panel method for one gate and one loss."""

    def __init__(self, gate: Gate, loss: Loss, *, is_about: bool = False) -> None:
        refuse_if_no_gate(gate)
        self.is_about = is_about
        self.gate, self.float64, self.loss = gate, gate.float64, loss
        dip = dips(gate)
        self.dips = dip
        self.flat_u, self.pointed_u, self.unsure_u = (
            np.sort(np.asarray(self.float64.u(np.asarray(at, dtype=np.float64))))
            for at in (dip.flat, dip.pointed, dip.unsure)
        )
        own = np.asarray(
            self.float64.u(np.asarray([*gate.kinks, *dip.narrow, *dip.flat, *dip.pointed], dtype=np.float64))
        )
        self.own_marks = own[np.isfinite(own)]
        self.marks = np.unique(np.concatenate([STRAIGHT, self.own_marks]))
        self.bounded = bool(np.isfinite(reach(gate)[1]))
        self.by_decay = goes_by_decay(gate)
        self.cuts = np.empty(0) if self.by_decay else cuts(gate)
        self.rounding = rounding(gate)

    def kernel(self, backend: str | None, count: int) -> Kernel | None:
        """The compiled kernel, where it is the one to use for so many problems."""
        wanted = wanted_backend(backend)
        if wanted == "numpy" or (wanted == "auto" and (self.loss != ABSOLUTE or count < LEAST[self.by_decay])):
            return None
        blocks = np.concatenate([self.flat_u, self.pointed_u, self.unsure_u])
        found = kernel_of(self.gate, tuple(self.own_marks), tuple(blocks))
        if self.loss != ABSOLUTE:
            found = NoCompiler(f"the {self.loss.name} loss has no compiled kernel; use backend='numpy'")
        if isinstance(found, NoCompiler) and backend == "compiled":
            raise NoCompiler(*found.args)
        return found if isinstance(found, Kernel) else None

    def solve_compiled(self, kernel: Kernel, *inputs: Array) -> tuple[Any, ...]:
        """The same as :meth:`solve` by the kernel, and by NumPy what the kernel leaves to it."""
        horizon, _, _, h_stop, log_h_stop, _, z0, scale = inputs
        log_tau, error, evaluations = kernel(horizon, Decay(h_stop, log_h_stop), z0, scale)
        code = np.full(z0.size, CODE[Status.REACHED], dtype=np.int8)
        left = np.flatnonzero(np.isnan(log_tau))
        for start in range(0, left.size, CHUNK):
            part = left[start : start + CHUNK]
            found = self.solve(*(array[part] for array in inputs))
            log_tau[part], code[part], error[part], evaluations[part] = found
        return log_tau, code, error, evaluations

    def solve(
        self, horizon: Array, h_star: Array, log_h_star: Array, h_stop: Array, log_h_stop: Array, tolerance: Array,
        z0: Array, scale: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """log tau, status code, relative error, evaluations."""
        log_horizon = np.log(horizon)
        u0 = np.asarray(self.float64.u(z0))
        setting = Setting(self.float64, self.loss, horizon, log_horizon, Decay(h_star, log_h_star))
        start = decay_of_profile(horizon, log_horizon, u0)
        end = _near_target(start, Decay(h_stop, log_h_stop), tolerance)
        u_end = np.where(np.isneginf(end.log), np.inf, profile_of_decay(horizon, log_horizon, end))
        code = self._codes(setting, start, end, z0, u0, u_end)
        there = self._is_there(z0, u0, u_end)
        unknown = there & np.isfinite(u0 + u_end)
        if np.any(tolerance > 0):
            within = log_distance(start, setting.target) <= np.log(tolerance) + log_h_star
            there, unknown = there | within, unknown & ~within
        code[there] = CODE[Status.REACHED]
        log_tau = np.where(there, -np.inf, np.inf)
        unknown |= code == CODE[Status.UNDECIDED]
        error, evaluations = np.where(unknown, np.inf, 0.0), np.ones(z0.size, dtype=np.int64)
        crossing = (
            (code == CODE[Status.REACHED])
            & ~there
            & _meets(self.pointed_u, np.minimum(u0, u_end), np.maximum(u0, u_end))
        )
        if crossing.any() and not self.is_about:
            inputs = (horizon, h_star, log_h_star, h_stop, log_h_stop, tolerance, z0, scale)
            for k in np.flatnonzero(crossing):
                found = self._solved_about(u0[k], u_end[k], *(array[k : k + 1] for array in inputs))
                log_tau[k], code[k], error[k], evaluations[k] = found
            there |= crossing
        todo = np.flatnonzero((code == CODE[Status.REACHED]) & ~there)
        for part, integrals in self._parts(todo, start, log_h_star, tolerance):
            found = integrals(
                Setting(self.float64, self.loss, horizon[part], log_horizon[part], setting.target.take(part)),
                start.take(part), end.take(part), z0[part], u0[part], u_end[part], tolerance[part],
            )  # fmt: skip
            log_tau[part], error[part], evaluations[part] = found[0] - np.log(scale[part]), found[1], found[2]
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

    def _solved_about(self, u0: float, u_end: float, *inputs: Array) -> tuple[Any, ...]:
        """The same for one path through a point that only the formula written about it resolves."""
        at = np.asarray(self.dips.pointed)
        u = np.asarray(self.float64.u(at))
        at = at[(u >= min(u0, u_end)) & (u <= max(u0, u_end))]
        moved = written_about(self.gate, float(at[0])) if at.size == 1 else None
        if moved is None:
            return np.inf, CODE[Status.UNDECIDED], np.inf, 1
        gate, point = moved
        *rest, z0, scale = inputs
        t0 = np.array([float(Fraction(float(z0[0])) - point)])
        solve: Any = _Solver(gate, self.loss, is_about=True).solve
        return tuple(part[0] for part in solve(*rest, t0, scale))

    def _past_floats(self, error: Array, u_end: Array) -> Any:
        """Where no digit of tau is right: z ends past the last float, or where the gate is nearly 0 or 1."""
        past = error > 1
        if past.any() and not np.any(np.isfinite(reach(self.gate))):
            past[past] = np.isinf(z_of_u(self.gate, u_end[past]))
        return past

    def _parts(self, todo: Any, start: Decay, log_h_star: Array, tolerance: Array) -> Iterator[tuple[Any, Any]]:
        """The problems to integrate, each part with its way to do so."""
        smooth = np.full(todo.size, not self.loss.arrives) & (tolerance[todo] > 0) & np.isfinite(log_h_star[todo])
        below = start.log[todo] > log_h_star[todo]
        ways = (
            (~smooth, self._integrals),
            (smooth & below, partial(self._in_two_parts, FromBelow())),
            (smooth & ~below, partial(self._in_two_parts, FromAbove())),
        )
        yield from ((todo[mask], way) for mask, way in ways if mask.any())

    def _codes(self, setting: Setting, start: Decay, end: Decay, z0: Array, u0: Array, u_end: Array) -> Any:
        """What becomes of each flow, by number."""
        code = np.full(z0.size, CODE[Status.REACHED], dtype=np.int8)
        if not self.bounded:
            code[np.isneginf(end.log)] = CODE[Status.ASYMPTOTIC]
        low, high = np.minimum(u0, u_end), np.maximum(u0, u_end)
        blocked = _meets(self.flat_u, low, high)
        code[blocked] = CODE[Status.STUCK]
        for k in np.flatnonzero(~blocked & _meets(self.unsure_u, low, high)):
            code[k] = CODE[self._beyond_doubt(z0[k], u0[k], u_end[k])]
        code[is_outside(self.gate, u_end)] = CODE[Status.OUTSIDE]
        for k in np.flatnonzero(~np.isfinite(u0) | np.isnan(u_end) | np.isposinf(start.h)):
            code[k] = CODE[Status.STUCK if self._is_outside(z0[k]) else Status.OVERFLOW]
        return code

    def _beyond_doubt(self, z0: float, u0: float, u_end: float) -> Status:
        """What becomes of a flow past points at which the slope may be 0: the nearest are looked at closely."""
        at = np.asarray(self.dips.unsure)
        u = np.asarray(self.float64.u(at))
        at = at[(u >= min(u0, u_end)) & (u <= max(u0, u_end))]
        at = at[np.argsort(np.abs(at - z0), kind="stable")]
        for point in at[:LOOKED_AT].tolist():
            kind = zero_near(self.gate, point)[1]
            if kind != "narrow":
                return Status.STUCK if kind == "flat" else Status.UNDECIDED
        return Status.REACHED if at.size <= LOOKED_AT else Status.UNDECIDED

    def _is_outside(self, z: float) -> bool:
        """Whether the gate is exactly 0 or 1 at z, rather than too close to it for floats.

        Only a formula with branches can be: an analytic one is constant nowhere.
        """
        if self.gate.is_profile or not self.gate.expr.has(sp.Piecewise, sp.Abs, sp.sign):
            return False
        numbers = self.gate.at(30)
        big = numbers.arithmetic
        inside = big.isfinite(numbers.log_phi(big.lift(z))) & big.isfinite(numbers.log_phi_c(big.lift(z)))
        return not bool(inside)

    def _is_there(self, z0: Array, u0: Array, u_star: Array) -> Any:
        """Starts on the target: equal to z* as floats."""
        there = (u0 == u_star) & self.bounded
        near = np.flatnonzero(np.abs(u0 - u_star) <= 1e-12 * (1 + np.abs(u_star)))
        if near.size:
            there[near] = np.abs(z_of_u(self.gate, u_star[near]) - z0[near]) <= 4 * EPS * np.abs(z0[near])
        return there

    def _integrals(
        self, setting: Setting, start: Decay, end: Decay, z0: Array, u0: Array, u_end: Array, _: Array,
        z_end: Any = None,
    ) -> tuple[Any, ...]:  # fmt: skip
        """log of the integral, its relative error, evaluations."""
        upward = start.log > end.log
        low = Decay(np.where(upward, end.h, start.h), np.where(upward, end.log, start.log))
        high = Decay(np.where(upward, start.h, end.h), np.where(upward, start.log, end.log))
        if self.by_decay:
            grids = self._decay_grids(setting, low, high)
        else:
            z_end = z_of_u(self.gate, u_end) if z_end is None else z_end
            ends = np.where(upward, z_end, z0), np.where(upward, z0, z_end)
            grids = self._position_grids(setting, low, high, *ends)
            if self.is_about:
                grids = _about_zero(grids[0][1])
        pieces, (at_low, at_high), spent = _first_panels(setting, grids, self.gate.kinks)
        sums = self._integrated(setting, pieces, z0.size)
        if self.is_about:
            sums = _with_rest(setting, grids, sums)
        at_start, at_end = np.where(upward, at_high, at_low), np.where(upward, at_low, at_high)
        ends = at_start - sums.log_total, at_end - sums.log_total
        error = sums.error + self._end_errors(setting, start, z0, u0, *ends)
        if not self.by_decay:
            moved = self._end_rounding(z_end, u_end)
            error += np.where(moved > 0, np.exp(ends[1]) * moved, 0.0)
        return sums.log_total, error, sums.evaluations + spent

    def _end_rounding(self, z_end: Array, u_end: Array) -> Array:
        """What rounding of the end to a float does to it, as a relative error of the decay there."""
        slope = np.exp(np.minimum(self.float64.log_du(z_end), 700.0))
        moved = EPS * np.abs(z_end) * slope
        if self.rounding is not None:
            moved = moved + self.rounding.profile_at(z_end)
        return np.nan_to_num(moved / (1 + np.maximum(-u_end, 0.0)), nan=0.0, posinf=0.0)

    def _in_two_parts(
        self, coordinate: FromBelow | FromAbove, setting: Setting, start: Decay, end: Decay, z0: Array, u0: Array,
        u_end: Array, tolerance: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The way to a smooth target: up to the last cut by position, and from there, where it is smooth, by decay."""
        inputs = (start, end, z0, u0, u_end, tolerance)
        if self.by_decay or not self.cuts.size:
            return self._approaching(coordinate, setting, *inputs)
        z_end = z_of_u(self.gate, u_end)
        last = _last_between(self.cuts, z0, z_end)
        cut = np.isfinite(last)
        out = tuple(np.zeros(z0.size) for _ in range(3))
        for mask in (cut, ~cut):
            if mask.any():
                part = replace(
                    setting,
                    horizon=setting.horizon[mask],
                    log_horizon=setting.log_horizon[mask],
                    target=setting.target.take(mask),
                )
                rest: list[Any] = [x.take(mask) if isinstance(x, Decay) else x[mask] for x in inputs]
                found = (
                    self._approaching(coordinate, part, *rest)
                    if mask is not cut
                    else self._joined(coordinate, part, last[mask], *rest)
                )
                for array, values in zip(out, found, strict=True):
                    array[mask] = values
        return out[0], out[1], out[2].astype(np.int64)

    def _joined(
        self, coordinate: FromBelow | FromAbove, setting: Setting, z: Array, start: Decay, end: Decay, z0: Array,
        u0: Array, u_end: Array, tolerance: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """Both parts, joined at positions z; the distance to the target is there a difference that loses digits."""
        u = np.broadcast_to(np.asarray(self.float64.u(z)), z.shape)
        middle = decay_of_profile(setting.horizon, setting.log_horizon, u)
        near = self._approaching(coordinate, setting, middle, end, z, u, u_end, tolerance)
        far = self._integrals(setting, start, middle, z0, u0, u, tolerance, z)
        total = np.logaddexp(near[0], far[0])
        size = np.maximum(middle.log, setting.target.log) - log_distance(middle, setting.target)
        lost = EPS * (8 + 4 * np.abs(u) + 2 * np.abs(setting.target.log)) * np.exp(size)
        shares = (np.where(np.isneginf(part[0]), 0.0, np.exp(part[0] - total) * part[1]) for part in (near, far))
        return total, sum(shares) + lost, near[2] + far[2]

    def _approaching(
        self, coordinate: FromBelow | FromAbove, setting: Setting, start: Decay, end: Decay, z0: Array, u0: Array,
        u_end: Array, tolerance: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The same for a loss smooth at its least value, from one side, up to the tolerance.

        The density is level in ``log |h - h*|`` near the target, and bends where ``|h - h*|`` is of the order of h*.
        """
        goal = Decay(setting.target.h[:, None], setting.target.log[:, None])
        last = Decay(end.h[:, None], end.log[:, None], goal.log + np.log(tolerance)[:, None])
        bottom = coordinate.at_decay(last, goal)
        top = coordinate.at_decay(Decay(start.h[:, None], start.log[:, None]), goal)
        marks = decay_of_profile(setting.horizon[:, None], setting.log_horizon[:, None], self.marks)
        near = [
            coordinate.at_decay(part, goal) for part in (Decay(log=goal.log + BENDS, apart=goal.log + BENDS), marks)
        ]
        inner = np.concatenate([*near, top - _offsets(top), 0 * top + BENDS], axis=1)
        grids: list[tuple[Coordinate, Array]] = [
            (coordinate, _edges(bottom, top, np.where(np.isnan(inner), bottom, inner)))
        ]
        pieces, (_, at_start), spent = _first_panels(setting, grids)
        sums = self._integrated(setting, pieces, z0.size)
        moved = at_start - sums.log_total
        error = sums.error + self._end_errors(setting, start, z0, u0, moved, moved)
        return sums.log_total, error, sums.evaluations + spent

    def _integrated(self, setting: Setting, pieces: list[Panels], count: int) -> Sums:
        """The integrals; where the gate's formula loses digits, their error with those of each panel by its share."""
        if self.rounding is None:
            return integrate(setting, pieces, count)
        sums = integrate(setting, pieces, count, self._middles)
        shares = np.exp(sums.log_panel - sums.log_total[sums.owner])
        lost = 2 * self.rounding.density_at(sums.middle) * np.nan_to_num(shares)
        return replace(sums, error=sums.error + np.bincount(sums.owner, lost, count))

    def _middles(self, setting: Setting, panels: Panels) -> Array:
        """The middle of each panel: its profile, or its position where the gate's numbers are functions of that."""
        v, coordinate = panels.middles()[:, None], panels.coordinate
        if isinstance(coordinate, Position):
            return coordinate.position(v)[:, 0]
        u = coordinate.profile(setting.take(panels.owner), v)
        return (u if self.by_decay else np.asarray(self.float64.z_of_u(u)))[:, 0]

    def _decay_grids(self, setting: Setting, low: Decay, high: Decay) -> list[tuple[Coordinate, Array]]:
        """Edges in log h up to the cut and in h above it, one row a problem."""
        marks = decay_of_profile(setting.horizon[:, None], setting.log_horizon[:, None], self.marks)
        grids: list[tuple[Coordinate, Array]] = []
        if np.any(low.log < CUT):
            bottom, top = low.log[:, None], np.maximum(low.log, np.minimum(high.log, CUT))[:, None]
            grids.append((LogDecay(), _edges(bottom, top, bottom + _offsets(bottom), marks.log)))
        if np.any(high.log > CUT):
            top = high.h[:, None]
            bottom = np.minimum(high.h, np.maximum(low.h, np.exp(CUT)))[:, None]
            grids.append((PlainDecay(), _edges(bottom, top, top - _offsets(top), marks.h)))
        return grids

    def _position_grids(
        self, setting: Setting, low: Decay, high: Decay, z_low: Array, z_high: Array
    ) -> list[tuple[Coordinate, Array]]:
        """The same edges in one row, turned into positions by the inverse; z falls as h grows."""
        horizon, log_horizon = setting.horizon[:, None], setting.log_horizon[:, None]
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
        return [(Place(), np.concatenate([first, -np.sort(-z, axis=1), last], axis=1))]

    def _end_errors(
        self, setting: Setting, start: Decay, z0: Array, u0: Array, at_start: Array, at_target: Array
    ) -> Array:
        """What rounding of the start and of the target does to tau; ``at_...`` is log(dtau/dlog h / tau) there.

        A path measured in z starts at z0 itself; one measured in the decay starts at the rounded decay of z0.
        """
        slope = np.exp(np.minimum(self.float64.log_du(z0), 700.0))
        steep = np.where(start.h > 0, setting.horizon * np.exp(-np.logaddexp(0.0, u0)) / start.h, 1.0)
        moved = EPS * np.minimum(steep, 1.0) * np.abs(z0) * slope
        if self.by_decay:
            lost = 0.0 if self.rounding is None else self.rounding.profile_at(u0)
            size = EPS * np.abs(u0) + lost
            moved = moved + np.minimum(steep, 1.0) * size + EPS * (1 + np.abs(setting.log_horizon))
        start_error = np.exp(at_start) * moved
        size = np.abs(setting.target.log)
        target_error = np.exp(at_target) * EPS * (2 + np.where(np.isfinite(size), size, 0.0))
        return np.nan_to_num(start_error + target_error, nan=0.0, posinf=np.inf)


def _about_zero(edges: Array) -> list[tuple[Coordinate, Array]]:
    """The edges of a path through 0, which fall, in ``log |z|`` on either side."""
    grids: list[tuple[Coordinate, Array]] = []
    for side in (1.0, -1.0):
        far = np.maximum(side * edges, 0.0)
        logs = np.log(np.maximum(far, np.exp(LADDER[0])))
        top = logs.max(axis=1, keepdims=True)
        logs = np.sort(np.concatenate([logs, np.minimum(LADDER, top)], axis=1), axis=1)
        grids.append((Approach(0.0, side), logs[:, ::-1] if side > 0 else logs))
    return grids


def _with_rest(setting: Setting, grids: list[tuple[Coordinate, Array]], sums: Sums) -> Sums:
    """With what lies nearer to 0 than the ladder: there the density is a power of z."""
    everyone = setting.take(np.arange(setting.horizon.size))
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
    setting: Setting, grids: list[tuple[Coordinate, Array]], kinks: tuple[float, ...] = ()
) -> tuple[list[Panels], tuple[Array, Array], int]:
    """The panels that can matter, and the density per log h at the lower and the upper end (in h) of each path."""
    everyone = setting.take(np.arange(setting.horizon.size))
    values = [coordinate.log_density(everyone, edges) for coordinate, edges in grids]
    best = np.full(setting.horizon.size, -np.inf)
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
        if isinstance(coordinate, Place):  # at a kink the value is that of one side
            at_ends[np.isin(np.stack([edges[owner, column], edges[owner, column + 1]]), kinks)] = np.nan
        pieces.append(Panels(coordinate, owner, edges[owner, column], edges[owner, column + 1], at_ends))
    spent = sum(edges.shape[1] for _, edges in grids)
    return pieces, _end_densities(everyone, grids, values), spent


def _end_densities(
    everyone: Setting, grids: list[tuple[Coordinate, Array]], values: list[Array]
) -> tuple[Array, Array]:
    """log of dtau/dlog h at the first and the last edge of each path."""
    coordinate, edges = grids[0]
    first = (values[0][:, :1] - coordinate.log_pace(everyone, edges[:, :1]))[:, 0]
    last = (values[0][:, -1:] - coordinate.log_pace(everyone, edges[:, -1:]))[:, 0]
    for (coordinate, edges), value in zip(grids[1:], values[1:], strict=True):
        further = (value[:, -1:] - coordinate.log_pace(everyone, edges[:, -1:]))[:, 0]
        last = np.where(edges[:, -1] > edges[:, 0], further, last)
    return first, last


def _near_target(start: Decay, target: Decay, tolerance: Array) -> Decay:
    """Where a flow from ``start`` is within the relative tolerance of the target; the target itself where that is 0."""
    side = np.where(start.log > target.log, tolerance, -tolerance)
    return Decay(target.h * (1 + side), target.log + np.log1p(side))


def refuse_if_no_gate(gate: Gate) -> None:
    """Complain about a formula that leaves (0, 1) or falls."""
    if gate._stray is not None or gate._falls is not None:
        gate.inverse(0.5)
