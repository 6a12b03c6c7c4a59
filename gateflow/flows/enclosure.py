"""Certified convergence times: a ball that holds the true value, by python-flint's rigorous quadrature.

``acb.integral`` (Johansson, Numerical integration in arbitrary-precision ball arithmetic, 2018) encloses the integral
of a function of complex balls. It is given the flow in z, straight from theory.md §4,

    tau = int phi dz / (c T phi' |dL/dh|),    h = -T log phi

on the panels of :mod:`gateflow.flows.time`, cut at the kinks of the gate; with the absolute loss ``|dL/dh| = exp(-h)``.
A gate given by its profile has ``phi/phi' = (1 + exp(u))/u'``. The end z* is enclosed by an interval Newton step.
A kink that is no float is a ball: the panels on its sides meet in the middle of it, and what the integral may be off by
is its radius times the integrands of both sides over it.

Balls of complex numbers are rectangles, and that of ``exp(-u)`` over a wide one holds zero: a quotient by it knows no
bound, and the panel is halved again and again. Written as products, integrands take a fifth of the evaluations.
"""

from __future__ import annotations

import itertools
import math
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache, partial
from typing import Any

import flint
import numpy as np
import sympy as sp

from gateflow.arithmetic.enclosed import enclosed, rational
from gateflow.codegen import Tape
from gateflow.codegen.expand import expand, factor
from gateflow.errors import InvalidArgument, shown
from gateflow.flows.balls import BallTape, ComplexBalls
from gateflow.flows.critical import cuts, reach, slope_minima, z_of_u
from gateflow.flows.density import decay_of_profile, profile_of_decay
from gateflow.flows.integral import MARKS
from gateflow.flows.problem import WAYS, LearningProblem, check_problem
from gateflow.flows.time import hitting_time
from gateflow.formula.vocabulary import Expr, U, Z, sigmoid, softsign
from gateflow.gates.gate import Gate
from gateflow.gates.kinks import branch_at, real_roots_of, switches
from gateflow.guards.arguments import NumberTooLong, fraction
from gateflow.losses import H_STAR, Decay, H, Loss
from gateflow.notebook.cards import facts, framed, number
from gateflow.results.byvalue import by_value
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended

APART = 400
"""Bits in which two places where a formula changes branch are told apart."""
SAME_ROOT = 1e-12
"""Relative distance up to which two floats stand for one root of a polynomial, if no other is so near."""
MOST_DIGITS = 1000
TRIES = 4
"""Precisions tried, each half as much again as the one before."""
MOST = 150_000
"""Evaluations after which the work is given up."""
NEVER = (Status.ASYMPTOTIC, Status.STUCK, Status.OUTSIDE)
"""What says that the time is infinite; other ends without a time say that none was found."""
SPARE = 8
"""Bits of tolerance beyond those asked for."""
FAR = 8.0
"""|z| past which a panel may be measured in log |z|."""
BESIDE_AN_END = 30.0
"""log u' past which the target lies so near an end of the domain that z is to have the more digits."""
STEEP = 8.0
"""z u' up to which it is: the profile grows by so much while z grows by a factor of e."""


@by_value
@dataclass(frozen=True)
class Enclosure(Ended, columns=("mid", "radius", "log_tau", "digits", "status"), plots=(None, ["log_tau"])):
    """A learning time in a ball.

    Parameters
    ----------
    mid, radius : str
        The true tau is within ``radius`` of ``mid``, both exact decimals; "inf" and "0" where it is not reached.
    log_tau : float
        log of the middle.
    digits : int
        Decimal digits that the ball fixes; fewer than asked for where the work allowed did not suffice.
    evaluations : int
        Evaluations of the integrand, on complex balls.
    status : Status
        Whether the target is reached, as :func:`gateflow.flows.hitting_time` finds.
    """

    mid: str
    radius: str
    log_tau: float
    digits: int
    evaluations: int
    status: Status

    def __contains__(self, value: Any) -> bool:
        """Whether a number lies in the ball: compared exactly, so give a Fraction, a Decimal or a decimal text."""
        if self.mid == "inf":
            return str(value) == "inf"
        return abs(exact("value", value) - Fraction(self.mid)) <= Fraction(self.radius)

    def __repr__(self) -> str:
        return f"<Enclosure tau = {self.mid} +/- {self.radius}; {self.status.sentence}>"

    def _repr_html_(self) -> str:
        about = [
            ("tau", self.mid),
            ("radius", self.radius),
            ("log tau", number(self.log_tau)),
            ("digits", self.digits),
            ("evaluations", self.evaluations),
        ]
        return framed(f"Learning time in a ball: {self.status.sentence}", facts(about))


def enclose(problem: LearningProblem, z0: Any, digits: int = 30, *, tolerance: Any = None) -> Enclosure:
    """Enclose the learning time from ``z0`` to the target: the true value is never outside.

    Parameters
    ----------
    problem : LearningProblem
        One problem. A float is its exact binary value; Fractions, Decimals and decimal texts such as ``gap="0.01"``
        are what they say.
    z0 : float, Fraction, Decimal or str
        Where learning starts.
    digits : int
        Decimal digits wanted, 1 to 1000.
    tolerance : float, Fraction, Decimal or str, optional
        Stop where ``|h - h*| = tolerance h*``, as in :func:`gateflow.flows.hitting_time`; the losses that are smooth at
        their least value need one.

    Returns
    -------
    Enclosure

    Raises
    ------
    InvalidArgument
        An argument is out of range, or the formula has a part that ball arithmetic cannot follow.

    Examples
    --------
    >>> enclose(LearningProblem("sigmoid", horizon=1, gap="0.01"), 0, digits=20)
    <Enclosure tau = 108.1801386901681697526948 +/- 4.59e-23; the target is reached>
    """
    check_problem("enclose", problem)
    start = exact("z0", z0)
    if not abs(start) <= sys.float_info.max:
        raise InvalidArgument("z0 must lie within the floats")
    if isinstance(digits, bool) or not isinstance(digits, int) or not 1 <= digits <= MOST_DIGITS:
        raise InvalidArgument(f"digits must be a whole number from 1 to {MOST_DIGITS}; got {shown(digits)}")
    if any(np.ndim(part) for part in (problem.horizon, problem.target.value, problem.scale)):
        raise InvalidArgument("an enclosure is of one problem and one start; hitting_time takes arrays")
    within = Fraction(0) if tolerance is None else exact("tolerance", tolerance)
    rough = hitting_time(problem, float(start), tolerance=None if tolerance is None else within)
    if rough.status in NEVER:
        return Enclosure("inf", "0", math.inf, digits, 0, rough.status)
    if not np.isfinite(rough.log_tau) and rough.status is not Status.REACHED:
        raise InvalidArgument(f"there is no estimate of the time to start from: {Status(rough.status).sentence}")
    if rough.log_tau == -math.inf or abs(float(start) - float(problem.z_star)) <= 2.0**-50 * abs(float(start)):
        raise InvalidArgument(
            "z0 and the target agree in all 16 digits: there is no estimate of the time to start from"
        )
    if not np.isfinite(problem.z_star):
        raise InvalidArgument("the target lies past the largest float: there is no estimate of it to start from")
    return _Ball(problem, start, digits, rough.log_tau, within).enclosure()


def exact(name: str, value: Any) -> Fraction:
    """A number as the fraction it is; a float is its binary value, a text the decimal it shows.

    Examples
    --------
    >>> exact("gap", "0.1"), exact("gap", 0.25)
    (Fraction(1, 10), Fraction(1, 4))
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        if isinstance(value, str | int | float | Fraction | Decimal):
            return fraction(value)
        return Fraction(float(value)) if isinstance(value, np.floating) else Fraction(int(value))
    except NumberTooLong as problem:
        raise InvalidArgument(f"{name} {shown(value)} is no number to enclose by: {problem}") from None
    except (TypeError, ValueError, OverflowError):
        raise InvalidArgument(f"{name} must be a finite real number; got {shown(value)}") from None


class _Ball:
    """One problem in ball arithmetic."""

    def __init__(
        self, problem: LearningProblem, start: Fraction, digits: int, log_tau: float, tolerance: Fraction
    ) -> None:
        self.problem, self.start, self.digits, self.log_tau = problem, start, digits, log_tau
        self.gate, self.tolerance, self.evaluations = problem.gate, tolerance, 0
        self.inverse = _inverse(self.gate)
        self.given = {name: exact(name, value) for name, value in problem.given.items()}
        self.below = bool(problem.side(float(start)) < 0)
        self.cuts = _cuts(self.gate)
        self.pointed = slope_minima(self.gate).pointed if self.gate.is_profile else ()
        self.slope = _reciprocal_slope(problem.loss, self.below)
        self.bits = math.ceil(digits * math.log2(10)) + 2
        far = abs(float(np.asarray(self.gate.float64.u(np.asarray(float(start)))))) + abs(problem.u_star)
        self.guard = 30 + math.ceil(math.log2(1 + problem.horizon * (1 + min(far, 1e300)))) + self._cancelled()

    def _cancelled(self) -> int:
        """Bits lost beside the least value of a smooth loss, beside the point where a gate becomes 1, and beside an end
        of its domain."""
        near_one = self.problem.u_star if np.isfinite(reach(self.gate)[1]) else 0.0
        near_target = 0.0 if self.problem.loss.arrives else -math.log2(self.tolerance)
        near_end = 0.0
        if self.inverse is not None:
            log_du = -float(self.gate.float64.log_weight(np.asarray(self.problem.u_star))) / 2
            near_end = log_du if BESIDE_AN_END < log_du < math.inf else 0.0
        return math.ceil((max(near_one, 0.0) + near_end) / math.log(2) + near_target)

    def enclosure(self) -> Enclosure:
        context = flint.ctx
        before = context.prec
        try:
            for attempt in range(TRIES):
                context.prec = math.ceil((self.bits + self.guard) * 1.5**attempt)
                tau = self._tau()
                reached = tau.rel_accuracy_bits() if tau.is_finite() else 0
                if reached >= self.bits - 2:
                    break
            return self._rounded(tau, reached)
        finally:
            context.prec = before

    def _rounded(self, tau: Any, bits: int) -> Enclosure:
        if bits < 1:
            raise InvalidArgument("no enclosure was found: the formula spreads too much in ball arithmetic")
        text = tau.str(self.digits + 5, more=True).strip("[]")
        mid, _, radius = text.partition(" +/- ")
        digits = min(self.digits, math.floor((bits + 2) / math.log2(10)))
        return Enclosure(mid, radius or "0", float(tau.log().mid()), digits, self.evaluations, Status.REACHED)

    # --- the integral ---

    def _tau(self) -> Any:
        arb = flint.arb
        self.horizon, scale = self._number("horizon"), self._number("scale")
        self.players: dict[Any, BallTape] = {}
        self.breaks = [cut.ball(self.gate) for cut in self.cuts]
        self.h_star = -self.horizon * self._log_kept()
        first, last = self._rational(self.start), self._target()
        edges = self._edges(first, last)
        tolerance = (arb(self.log_tau) + scale.log()).exp() * arb(2) ** (-self.bits - SPARE) / len(edges)
        total = arb(0)
        for a, b in itertools.pairwise(edges):
            total += abs(self._panel(a, b, tolerance))
        for end in (end for end in (first, last) if not end.rad().is_zero()):
            for side in (end.lower(), end.upper()):
                rate = self._rate(self._branch(side))
                total += arb(0, 1) * (end.rad() * abs(rate(flint.acb(end), False)).upper()).upper()
        return (total + self._unsplit(first, last)) / scale

    def _unsplit(self, first: Any, last: Any) -> Any:
        """What the integral is off by, as it is split in the middle of a ball that holds where the formula changes."""
        arb, total = flint.arb, flint.arb(0)
        way = first.union(last)
        for point in self.breaks:
            if point.rad().is_zero() or not way.overlaps(point):
                continue
            around = point
            for end in (first, last):
                around = around.union(end) if end.overlaps(point) else around
            rates = [abs(self._rate(tape)(flint.acb(around), False)).upper() for tape in self._branches(around)]
            total += arb(0, 1) * (2 * around.rad() * sum(rates, arb(0))).upper()
        return total

    def _panel(self, a: Any, b: Any, tolerance: Any) -> Any:
        arb, acb = flint.arb, flint.acb
        relative = arb(2) ** (-self.bits - SPARE)
        for point, away in ((a, 1), (b, -1)):
            if float(point) in self.pointed:
                return self._beside(float(point), away, b - a, relative, tolerance)
        rate = self._narrower(a, b)
        if not self._has_power_tail(float(a), float(b)):
            return acb.integral(rate, acb(a), acb(b), rel_tol=relative, abs_tol=tolerance).real
        sign = 1 if a > 0 else -1

        def by_logarithm(x: Any, analytic: bool) -> Any:
            size = x.exp()
            return rate(sign * size, analytic) * size

        ends = [(sign * end).log() for end in (a, b)]
        total = acb.integral(by_logarithm, *(acb(x.mid()) for x in ends), rel_tol=relative, abs_tol=tolerance).real
        for x in ends:
            total += arb(0, 1) * (x.rad() * abs(by_logarithm(acb(x), False)).upper()).upper()
        return total

    def _narrower(self, a: Any, b: Any) -> Callable[[Any, bool], Any]:
        """The rate on a panel, of its two forms the one that spreads less over the middle of it."""
        middle = (a + b) / 2
        around = flint.acb(middle + (b - a) / 16 * flint.arb(0, 1))
        rates = [self._rate(self._branch(middle, form)) for form in (_as_product, _plainly)]
        balls = [rate(around, False) for rate in rates]
        spreads = [float(ball.real.rad()) if ball.is_finite() else math.inf for ball in balls]
        return rates[spreads[1] < spreads[0]]

    def _beside(self, point: float, away: int, length: Any, relative: Any, tolerance: Any) -> Any:
        """A panel from a point where ``u' = t^q (C + ...)`` in the distance t, 0 < q < 1: over log t.

        Nearest to the point the integral is that of ``t^-q``, times a ball of all that varies there.
        """
        arb, acb = flint.arb, flint.acb
        sides = tuple(bool(away > 0) if float(cut) == point else point > float(cut) for cut in self.cuts)
        tape, powers = _about(self.gate, sides, exact("point", point), away)
        least = min(powers)
        bits = self.bits + SPARE + math.log2(1 + self.problem.horizon)
        falls = [
            (1 + least, Fraction(1)),
            *((p - least, size / powers[least]) for p, size in powers.items() if p > least),
        ]
        logs = [-(bits * math.log(2) + float(self._rational(abs(size)).log())) / float(p) for p, size in falls]
        bottom = min((length / 2).log().mid(), arb(min(logs)))
        near, one = bottom.exp(), arb(0).union(arb(1))
        varies = sum(
            self._rational(size) * (one * near ** self._rational(power - least) if power > least else 1)
            for power, size in powers.items()
        )
        rate = self._rate(tape)
        there, *_, at_point = (part.real for part in self._player(tape, False)(acb(near)))
        weight = self._weight(acb(at_point.union(there)), False).real
        share = self._rational(1 - least)
        total = weight / varies * near**share / share

        def by_logarithm(x: Any, analytic: bool) -> Any:
            size = x.exp()
            return rate(size, analytic) * size

        top = length.log()
        total += acb.integral(by_logarithm, acb(bottom), acb(top.mid()), rel_tol=relative, abs_tol=tolerance).real
        return total + arb(0, 1) * (top.rad() * abs(by_logarithm(acb(top), False)).upper()).upper()

    def _has_power_tail(self, a: float, b: float) -> bool:
        """Whether a panel is better measured in log |z|: where the profile grows by little while z doubles."""
        if min(abs(a), abs(b)) <= FAR or a * b < 0:
            return False
        ends = np.array([a, b])
        with np.errstate(all="ignore"):
            return bool(np.all(np.abs(ends) * np.exp(self.gate.float64.log_du(ends)) < STEEP))

    def _rate(self, tape: Tape) -> Callable[[Any, bool], Any]:
        """``phi/(T phi' |dL/dh|)`` as a function of complex balls, on the branches of a tape.

        Written without a quotient by what is not zero itself, such as ``exp(-u)``: a ball of it may hold zero.
        """
        plays = {analytic: self._player(tape, analytic) for analytic in (False, True)}
        slopes = {analytic: self._player(self.slope, analytic) for analytic in (False, True)}
        profile, horizon, h_star = self.gate.is_profile, self.horizon, flint.acb(self.h_star)

        def rate(z: Any, analytic: bool) -> Any:
            self.evaluations += 1
            if self.evaluations > MOST:
                raise InvalidArgument(f"no enclosure was found within {MOST} evaluations")
            arithmetic = plays[analytic].arithmetic
            if profile:
                u, _, pace, *_ = plays[analytic](z)
                return pace * self._weight(u, analytic)
            phi, _, rest, pace = plays[analytic](z)
            log_phi = arithmetic.log1p(-rest) if abs(rest).upper() < 0.5 else arithmetic.log(phi)
            h, pace = -horizon * log_phi, pace * phi
            return pace * slopes[analytic](h, h_star)[0] / horizon

        return rate

    def _player(self, tape: Tape, analytic: bool) -> BallTape:
        if (tape, analytic) not in self.players:
            self.players[tape, analytic] = BallTape(tape, ComplexBalls(analytic))
        return self.players[tape, analytic]

    def _weight(self, u: Any, analytic: bool) -> Any:
        """``(1 + exp(u))/(T |dL/dh|)``: what is a function of the profile alone."""
        player = self._player(self.slope, analytic)
        h = self.horizon * player.arithmetic.log1p((-u).exp())
        return (1 + u.exp()) * player(h, flint.acb(self.h_star))[0] / self.horizon

    def _branch(self, z: Any, form: Callable[[Expr], Expr] | None = None) -> Tape:
        """The formulas on the branch that holds at the exact number z, or left of it if it is a cut."""
        return _tape(self.gate, tuple(bool(z > point) for point in self.breaks), form or _as_product)

    def _branches(self, around: Any) -> list[Tape]:
        """The formulas on every branch that may hold somewhere in a ball."""
        sides = [(False, True) if around.overlaps(point) else (bool(around > point),) for point in self.breaks]
        return [_tape(self.gate, each, _as_product) for each in itertools.product(*sides)]

    def _edges(self, first: Any, last: Any) -> list[Any]:
        """The ends, and between them panels by the scales of the density, and the kinks, exactly."""
        p, arb = self.problem, flint.arb
        horizon, log_horizon = np.float64(p.horizon), np.float64(p.log_horizon)
        h0 = decay_of_profile(horizon, log_horizon, np.asarray(self.gate.float64.u(np.asarray(float(self.start)))))
        low, high = sorted((float(h0.log), float(p.log_h_star)))
        size = 2.31 * self.digits + 30
        steps = np.array([1.5 * 1.8**k for k in range(30)])
        steps = steps[steps < 2 * size]
        top = np.exp(high)
        marks = [u for mark in MARKS for u in (mark, -mark)]
        logs = [*(low + steps), *np.log(np.maximum(top - steps[top > steps], 1e-300) if top > 1 else [])]
        if not p.loss.arrives:
            away = np.exp(np.arange(math.log(self.tolerance), 1.0))
            logs += [*(p.log_h_star + np.log1p(away if self.below else -away[away < 1]))]
        u = [*profile_of_decay(horizon, log_horizon, Decay(log=np.asarray(logs))), *marks]
        with np.errstate(all="ignore"):
            inner = [float(z) for z in z_of_u(self.gate, np.asarray(u)) if np.isfinite(z)]
        ends = sorted((float(first), float(last)))
        exact_ends = (first.mid(), last.mid())
        inner = [arb(z) for z in {*inner, *cuts(self.gate).tolist()} if ends[0] < z < ends[1]]
        left, right = exact_ends if exact_ends[0] < exact_ends[1] else exact_ends[::-1]
        edges = sorted(z for z in (*inner, *(point.mid() for point in self.breaks)) if left < z < right)
        return [left, *(z for z, before in zip(edges, [left, *edges], strict=False) if z != before), right]

    # --- exact numbers ---

    def _rational(self, value: Fraction) -> Any:
        return flint.arb(flint.fmpq(value.numerator, value.denominator))

    def _number(self, name: str) -> Any:
        return self._rational(self.given[name])

    def _log_kept(self) -> Any:
        """``log lambda* / T``, the logarithm of the gate's value at the target."""
        way, horizon = next(way for way in WAYS if way in self.given), self._number("horizon")
        value = self._number(way)
        return {
            "target": lambda: value.log() / horizon,
            "gap": lambda: (-value).log1p() / horizon,
            "log_gap": lambda: (-value.exp()).log1p() / horizon,
            "decay": lambda: -value / horizon,
            "timescale": lambda: -1 / value,
        }[way]()

    def _target(self) -> Any:
        """z* in a ball, or where the tolerance is met: Newton steps from a float, and an interval one as a proof."""
        arb = flint.arb
        side = self.tolerance if self.below else -self.tolerance
        log_kept = self._log_kept() * self._rational(1 + side)
        for cut, point in zip(self.cuts, self.breaks, strict=True):
            values = [self._missed(tape, point, log_kept)[0] for tape in self._branches(point)]
            if any(value < 0 for value in values) and any(value > 0 for value in values):
                raise InvalidArgument(f"the target lies in a jump of {self.gate.name}, at z = {float(cut):.6g}")
        z = self._rough_ball(log_kept) or arb(self._rough_end(float(side)))
        for _ in range(3 + math.ceil(math.log2(max(flint.ctx.prec / 40, 2)))):
            value, slope = self._miss(z, z, log_kept)
            z = (z - value / slope).mid()
        for width in sorted({8 - self._cancelled(), 8, 16, 32, flint.ctx.prec // 2}):
            around = z + arb(0, 1) * (abs(z) + arb(2) ** -60) * arb(2) ** (width - flint.ctx.prec + self.guard)
            value, _ = self._miss(z, z, log_kept)
            slopes = [self._miss(side, around, log_kept)[1] for side in (around.lower(), around.upper())]
            slope = slopes[0].union(slopes[1])
            step = z - value / slope
            if any(around.overlaps(point) and self._jumps(point, log_kept) for point in self.breaks):
                continue
            if step.is_finite() and around.contains_interior(step):
                return step
        raise InvalidArgument("no enclosure of the target was found: the formula spreads too much in ball arithmetic")

    def _jumps(self, point: Any, log_kept: Any) -> bool:
        """Whether the formulas on both sides of a break are seen to differ there."""
        values = [self._missed(tape, point, log_kept)[0] for tape in self._branches(point)]
        return any(not one.overlaps(other) for one, other in itertools.combinations(values, 2))

    def _miss(self, middle: Any, z: Any, log_kept: Any) -> tuple[Any, Any]:
        """What vanishes at the target, and its derivative, on the branch that holds at ``middle``."""
        return self._missed(self._branch(middle), z, log_kept)

    def _missed(self, tape: Tape, z: Any, log_kept: Any) -> tuple[Any, Any]:
        """The same on a branch: in u, or in ``log phi`` or ``log(1 - phi)``."""
        out = [part.real for part in self._player(tape, False)(flint.acb(z))]
        if self.gate.is_profile:
            return out[0] + (-log_kept).expm1().log(), out[1]
        phi, dphi, rest, _ = out
        if float(log_kept) < -0.7:
            return phi.log() - log_kept, dphi / phi
        if np.isfinite(reach(self.gate)[1]):
            return -log_kept.expm1() - rest, dphi
        return (-log_kept.expm1()).log() - rest.log(), dphi / rest

    def _rough_ball(self, log_kept: Any) -> Any:
        """The end by the closed inverse, in more digits than a float has; None where there is none."""
        if self.inverse is None:
            return None
        u = -(-log_kept).expm1().log()
        found = self._player(self.inverse, False)(flint.acb(u))[0].real
        return found.mid() if found.is_finite() else None

    def _rough_end(self, side: float) -> float:
        p = self.problem
        if side == 0:
            return float(p.z_star)
        end = Decay(h=p.h_star * (1 + side), log=p.log_h_star + math.log1p(side))
        return float(z_of_u(self.gate, np.atleast_1d(profile_of_decay(p.horizon, p.log_horizon, end)))[0])


# --- formulas on one side of every kink ---


@dataclass(frozen=True)
class Cut:
    """Where a formula changes branch: a number with a closed form, or the one root beside ``root`` of a polynomial.

    Parameters
    ----------
    root : sympy.Expr or float
    edge : sympy.Poly
        Of which it is a root.
    """

    root: Any
    edge: sp.Poly

    def __float__(self) -> float:
        return float(self.root)

    def ball(self, gate: Gate) -> Any:
        """A ball that holds it, in the precision of the context; exact for a number that is exact in binary."""
        if not isinstance(self.root, float):
            if self.root.is_Rational:
                return flint.arb(flint.fmpq(int(self.root.p), int(self.root.q)))
            found = enclosed(self.root, flint.ctx.prec)
        else:
            whole = flint.fmpz_poly([int(c) for c in self.edge.clear_denoms(convert=True)[1].all_coeffs()[::-1]])
            balls = [ball.real for ball, _ in whole.complex_roots() if ball.imag == 0]  # type: ignore[attr-defined]
            near = [ball for ball in balls if abs(float(ball) - self.root) <= SAME_ROOT * abs(self.root)]
            found = near[0] if len(near) == 1 else None
        if found is None or not found.is_finite():
            raise InvalidArgument(f"{gate.name} changes branch beside z = {float(self)}, which is not enclosed")
        return found

    def same(self, other: Cut) -> bool:
        """Whether two are seen to be one number."""
        if not (isinstance(self.root, float) and isinstance(other.root, float)):
            return bool(self.root == other.root)
        common = sp.gcd(self.edge, other.edge)
        roots = [float(root) for root in real_roots_of(common) or []]
        return any(abs(root - self.root) <= SAME_ROOT * abs(self.root) for root in roots)


@lru_cache(maxsize=256)
def _cuts(gate: Gate) -> tuple[Cut, ...]:
    """Where the formula changes branch, ascending; complains where not all of that is known."""
    found: list[Cut] = []
    for formula in _formulas(gate):
        for edge in map(partial(sp.Poly, gens=[Z]), _edges_of(formula)):
            roots = real_roots_of(edge)
            if roots is None:
                raise InvalidArgument(
                    f"{gate.name} changes branch where {edge.as_expr()} is 0: not all of these z are known"
                )
            each = (Cut(root, edge) for root in roots)
            found += [cut for cut in each if not any(cut.same(other) for other in found)]
    with flint.ctx.workprec(APART):
        balls = {cut: cut.ball(gate) for cut in found}
        for one, other in itertools.combinations(found, 2):
            if balls[one].overlaps(balls[other]):
                raise InvalidArgument(
                    f"{gate.name} changes branch beside z = {float(one)} at places too near to tell apart"
                )
        return tuple(sorted(found, key=lambda cut: balls[cut].mid()))


def _formulas(gate: Gate) -> list[Expr]:
    """u and u', or phi, phi' and 1 - phi."""
    f = gate.formulas
    return [f.u, f.du] if gate.is_profile else [f.phi, f.dphi, f.phi_c]


def _as_product(expr: Expr) -> Expr:
    """``1/expr`` as a product, with ``1 + exp(-x)`` for 1/sigmoid(x): narrower but where polynomials cancel."""
    return _plainly(expr if expr.has(sp.Piecewise) else factor(expr))


def _plainly(expr: Expr) -> Expr:
    """``1/expr`` as it stands."""
    return 1 / expr.replace(sigmoid, lambda x: 1 / (1 + sp.exp(-x)))


@lru_cache(maxsize=64)
def _reciprocal_slope(loss: Loss, below: bool) -> Tape:
    """``1/|dL/dh|`` in h and h*, on the branch from which the target is approached."""
    wanted = "below" if below else "above"
    branch = next((part for part in loss.branches if part.name == wanted), loss.branches[0])
    return Tape([branch.reciprocal_slope], [H, H_STAR])


def _edges_of(formula: Expr) -> set[Expr]:
    for condition in formula.atoms(sp.core.relational.Relational):
        if not (condition.lhs - condition.rhs).is_polynomial(Z):
            raise InvalidArgument(f"enclosures need conditions that are polynomial in z; got {condition}")
    return {edge for edge in switches(formula) if edge.is_polynomial(Z)}


@lru_cache(maxsize=256)
def _inverse(gate: Gate) -> Tape | None:
    """z as a function of the profile, where it has a closed form."""
    closed = gate.formulas.inverse if gate.is_profile else None
    return None if closed is None else Tape([closed], [U])


@lru_cache(maxsize=1024)
def _tape(gate: Gate, sides: tuple[bool, ...], reciprocal: Callable[[Expr], Expr]) -> Tape:
    """The formulas on the interval between two neighbouring cuts, where they are analytic, and 1 over their slope."""
    formulas = _on_branch(gate, sides)
    return Tape([*formulas, reciprocal(formulas[1])], [Z])


def _on_branch(gate: Gate, sides: tuple[bool, ...]) -> list[Expr]:
    with flint.ctx.workprec(APART):
        cuts, count = [rational(cut.ball(gate)) for cut in _cuts(gate)], sum(sides)
    left = cuts[count - 1] if count else (cuts[0] - 2 if cuts else sp.S.Zero)
    right = cuts[count] if count < len(cuts) else left + 2
    return [_resolved(formula, (left + right) / 2) for formula in _formulas(gate)]


@lru_cache(maxsize=64)
def _about(gate: Gate, sides: tuple[bool, ...], point: Fraction, away: int) -> tuple[Tape, dict[Fraction, Fraction]]:
    """The formulas on one side of a point in the distance from it; the factors of the powers that its slope is of."""
    distance = sp.Symbol("t", positive=True)
    at = sp.Rational(point.numerator, point.denominator) + away * distance
    u, du = (expand(formula.subs(Z, at)) for formula in _on_branch(gate, sides))
    powers: dict[Fraction, Fraction] = {}
    for term in sp.Add.make_args(du):
        size, power = term.as_coeff_exponent(distance)
        if not (size.is_Rational and power.is_Rational):
            raise InvalidArgument(f"enclosures cross a point of slope 0 by powers of the distance only; got {term}")
        powers[Fraction(int(power.p), int(power.q))] = Fraction(int(size.p), int(size.q))
    return Tape([u, du, 1 / du, u.subs(distance, 0)], [distance]), powers


def _resolved(formula: Expr, middle: Expr) -> Expr:
    """The formula on the branch that holds at ``middle``."""

    def side(edge: Expr) -> int:
        return 1 if edge.subs(Z, middle) > 0 else -1

    def polynomial(node: Expr) -> bool:
        return bool(node.args[0].is_polynomial(Z) and node.args[0].has(Z))

    formula = branch_at(formula, middle).replace(
        lambda node: isinstance(node, softsign) and polynomial(node),
        lambda node: node.args[0] / (1 + side(node.args[0]) * node.args[0]),
    )
    formula = formula.replace(
        lambda node: isinstance(node, sp.Abs) and polynomial(node), lambda node: side(node.args[0]) * node.args[0]
    )
    return formula.replace(
        lambda node: isinstance(node, sp.sign) and polynomial(node), lambda node: sp.Integer(side(node.args[0]))
    )
