"""Learning times by ball arithmetic, straight from theory.md §4; shares no code with the package.

``tau = int phi dz / (c T phi' |dL/dh|)``, ``h = -T log phi``, between the kinks of a gate that is written down here as
analytic pieces, each a function of a ball (python-flint). The end z* is enclosed between two points on either side of
it. Nothing that is small is found as a difference, so that few digits do; and no more are asked for than a claimed
error needs, which makes a time cost some milliseconds.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import flint
from flint import acb, arb, ctx

BITS = (150, 300, 1300)
"""Working precisions, one after the other, until the answer is good enough."""
FINEST = 2.0**-58
"""Relative error of a true time, at best."""
LIMIT = 100_000
"""Evaluations of one panel, at most."""
FAR = 2.0**11
"""|z| from which on an integral goes over its logarithm."""
NOTHING = acb("nan")


class State:
    """Whether an integrand must be analytic on the ball that it is given."""

    analytic = False


def log(x: Any) -> Any:
    """The logarithm; no number on a ball that meets its branch cut, where that matters."""
    return acb(x).log(analytic=State.analytic)


def log1p(x: Any) -> Any:
    """``log(1 + x)`` for small x too, likewise."""
    if State.analytic and not (bool((1 + x).real > 0) or bool(x.imag > 0) or bool(x.imag < 0)):
        return NOTHING
    return acb(x).log1p()


def root(x: Any) -> Any:
    """The square root, likewise."""
    return acb(x).sqrt(analytic=State.analytic)


class NoTruth(Exception):
    """The integral was not enclosed well enough."""


def ball(x: Any) -> Any:
    """A number as the fraction that it is."""
    exact = Fraction(x)
    return arb(flint.fmpq(exact.numerator, exact.denominator))


@dataclass(frozen=True)
class Piece:
    """A gate between two kinks, as its profile u and the slope of that.

    ``marks`` are places near which it changes quickly. At ``point``, an end of the piece, the slope is 0 as in
    ``|u| = c |z - point|^power`` exactly. ``chart`` is a coordinate v for targets too far out for a position: v of u,
    u of v, and ``dz/du dz/dv`` at v.
    """

    left: Fraction | None
    right: Fraction | None
    u: Callable[[Any], Any]
    du: Callable[[Any], Any]
    marks: tuple[float, ...] = ()
    point: Fraction | None = None
    power: Any = 1
    chart: tuple[Callable[[Any], Any], Callable[[Any], Any], Callable[[Any], Any]] | None = None

    def holds(self, z: Any) -> bool:
        """Whether a point is surely on it."""
        return (self.left is None or bool(z >= ball(self.left))) and (self.right is None or bool(z <= ball(self.right)))


@dataclass(frozen=True)
class Case:
    """A gate as text and as pieces, and a problem of it."""

    text: str
    pieces: tuple[Piece, ...]
    horizon: float
    way: str
    value: float
    z0: float
    loss: str = "absolute"
    tolerance: float | None = None
    family: str = ""
    extra: dict[str, Any] = field(default_factory=dict)

    def piece(self, z: Any) -> Piece:
        """The piece that a point is on."""
        for piece in self.pieces:
            if piece.holds(z):
                return piece
        raise NoTruth("no piece")

    def u(self, z: Any) -> Any:
        """The profile at a point."""
        piece = self.piece(z)
        if piece.point is not None and bool(z == ball(piece.point)):
            return arb(0)
        return piece.u(acb(z)).real


def log_tau(case: Case, error: float = FINEST) -> Any:
    """log of the time as a ball, whose radius is at most ``error``; minus infinity where the start is an arrival."""
    before = ctx.prec
    error = max(error, FINEST)
    try:
        for bits in BITS:
            ctx.prec = bits
            try:
                tau = _Time(case, error / 4).tau()
            except NoTruth:
                if bits == BITS[-1]:
                    raise
                continue
            if tau.is_zero():
                return arb("-inf")
            found = tau.log()
            if found.is_finite() and bool(found.rad() <= error):
                return found
        raise NoTruth(case.text)
    finally:
        ctx.prec = before


class _Time:
    """One time in one precision."""

    def __init__(self, case: Case, error: float) -> None:
        self.case, self.error = case, error
        self.horizon, self.z0 = ball(case.horizon), ball(case.z0)
        value = ball(case.value)
        self.h_star = {
            "target": lambda: -value.log(),
            "gap": lambda: -(-value).log1p(),
            "log_gap": lambda: -(-value.exp()).log1p(),
            "decay": lambda: value,
            "timescale": lambda: self.horizon / value,
        }[case.way]()
        self.slope = SLOPES[case.loss]

    def tau(self) -> Any:
        """The time."""
        end = self.end(self.profile(self.h_star))
        below = self.is_below(end)
        if self.case.tolerance is not None:  # the flow ends on its own side of the target, or has arrived
            end = self.end(self.profile(self.h_star * (1 + (1 if below else -1) * ball(self.case.tolerance))))
            if self.is_below(end) is not below:
                return arb(0)
        low, high = (self.z0, end.mid()) if below else (end.mid(), self.z0)
        cuts = sorted({c for piece in self.case.pieces for c in (piece.left, piece.right) if c is not None})
        inner = [ball(c) for c in cuts if bool(ball(c) > low) and bool(ball(c) < high)]
        parts = []
        for a, b in itertools.pairwise([low, *inner, high]):
            parts += self.parts(self.case.piece((a + b) / 2), a, b)
        rough = max((part.rough for part in parts), default=arb(0))
        total = sum((part.integral(rough, self.error / len(parts)) for part in parts), arb(0))
        piece = self.case.piece(end.mid())
        at_end = abs(self.density(piece, acb(end)).real).upper() * end.rad()
        return total + arb(0, 1) * at_end

    def profile(self, h: Any) -> Any:
        """The profile u at a decay."""
        return -(h / self.horizon).expm1().log()

    def is_below(self, end: Any) -> bool:
        """Whether the start is below the end, which must be sure."""
        if not (bool(self.z0 < end) or bool(self.z0 > end)):
            raise NoTruth("the start is not told from the end")
        return bool(self.z0 < end)

    def end(self, u_star: Any) -> Any:
        """The position of a profile: by bisection and Newton's method, enclosed by points on either side of it."""
        low, high, case = arb(-1), arb(1), self.case
        for _ in range(70):
            if bool(case.u(low) <= u_star):
                break
            low = 2 * low if low > -FAR else -low * low
        for _ in range(70):
            if bool(case.u(high) >= u_star):
                break
            high = 2 * high if high < FAR else high * high
        for _ in range(1300):
            if bool(low * high > 0):  # by the order of magnitude
                middle = (low * high).sqrt().mid() * (1 if high > 0 else -1)
            elif low.is_zero() or high.is_zero():
                middle = (low + high) * 2.0**-30
            else:
                middle = arb(0) if bool(high - low < 4) else arb(-1) if bool(low < -1) else arb(1)
            found = case.u(middle)
            if bool(found <= u_star):
                low = middle
            elif bool(found >= u_star):
                high = middle
            else:
                break
            if bool(high - low < abs(high) * 2.0**-26):
                break
        z = ((low + high) / 2).mid()
        for _ in range(6):
            piece = case.piece(z)
            found = (z - (piece.u(acb(z)).real - u_star) / piece.du(acb(z)).real).mid()
            if not (bool(found >= low) and bool(found <= high)):
                break
            z = found
        size = abs(z)
        for lost in (12, 40, 80, ctx.prec - 20, None):
            step = (high - low).mid() if lost is None else size.mid() * arb(2) ** (lost - ctx.prec)
            below, above = ((z - step).mid(), (z + step).mid()) if lost is not None else (low, high)
            if bool(case.u(below) <= u_star) and bool(case.u(above) >= u_star):
                return below.union(above)
        raise NoTruth("the end is not enclosed")

    def density(self, piece: Piece, z: Any) -> Any:
        """dtau/dz."""
        return self.weight(piece.u(z)) / piece.du(z)

    def weight(self, u: Any) -> Any:
        """The same over dz/du, a function of the profile."""
        up = u.exp()
        if self.case.loss == "log-decay":
            return _log_decay(1 / up)
        return (1 + up) * self.slope(self.horizon * log1p(1 / up), self.h_star) / self.horizon

    def parts(self, piece: Piece, a: Any, b: Any) -> list[_Part]:
        """A piece in parts: about a point of a power and far from 0 over logarithms."""
        if piece.point is not None:
            return self.about(piece, a, b)
        if piece.chart is not None and bool(abs(a) + abs(b) > FAR):
            v_of_u, u_of_v, pace = piece.chart
            return self.between(u_of_v, pace, *(v_of_u(piece.u(acb(z)).real) for z in (a, b)))
        found = []
        edges = [c for c in (arb(-FAR), arb(FAR)) if bool(c > a) and bool(c < b)]
        for left, right in itertools.pairwise([a, *edges, b]):
            if bool(right <= -FAR):
                found += self.over_logarithm(piece, arb(0), -1, (-right).log(), (-left).log())
            elif bool(left >= FAR):
                found += self.over_logarithm(piece, arb(0), 1, left.log(), right.log())
            else:
                found += self.between(piece.u, lambda z: 1 / piece.du(z), left, right, piece.marks)
        return found

    def over_logarithm(self, piece: Piece, point: Any, side: int, a: Any, b: Any) -> list[_Part]:
        """Over ``s = log |z - point|``, from a to b, which are balls."""

        def at(s: Any) -> Any:
            return point + side * s.exp()

        return self.between(lambda s: piece.u(at(s)), lambda s: s.exp() / piece.du(at(s)), a, b, unit=4.0)

    def between(self, u: Any, pace: Any, a: Any, b: Any, marks: Any = (), unit: float = 1.0) -> list[_Part]:
        """An integral between balls, over a coordinate in which ``dz/u'`` is ``pace``."""
        part = _Part(self.weight, u, pace, a.mid(), b.mid(), marks, unit)
        edges = [
            abs(part.density(acb(edge)).real) * edge.rad() * arb(0, 1) for edge in (a, b) if not edge.rad().is_zero()
        ]
        return [part, *(_Known(edge) for edge in edges)]

    def about(self, piece: Piece, a: Any, b: Any) -> list[_Part]:
        """Beside a point of a power; where the profile is next to 0 the integral is that of the power, and closed."""
        point, power = ball(piece.point), ball(piece.power)
        side = 1 if bool((a + b) / 2 > point) else -1
        near, far = (a, b) if side > 0 else (b, a)
        top = abs(far - point).log()
        if bool(abs(near - point) > 0):
            return self.over_logarithm(piece, point, side, abs(near - point).log(), top)
        small = math.log(self.error / (8 * self.case.horizon + 8))
        scale = abs(piece.u(acb(point + side)).real).log()
        bottom = arb(min(float(((small - scale) / power).mid()), float(top.mid()) - 1))
        size = bottom.exp()
        edge = acb(point + side * size)
        reached = abs(piece.u(edge).real).upper()
        rest = self.weight(acb(arb(0, reached))).real * size / piece.du(edge).real / (2 - power)
        return [*self.over_logarithm(piece, point, side, bottom, top), _Known(rest)]


class _Part:
    """An integral between exact ends, and about how large it is."""

    def __init__(self, weight: Any, u: Any, pace: Any, a: Any, b: Any, marks: Any, unit: float) -> None:
        self.weight, self.u, self.pace, self.a, self.b = weight, u, pace, a, b
        self.edges = self._edges(marks, unit)
        self.at_edges = [(self.u(acb(edge)).real, self.density(acb(edge)).real) for edge in self.edges]
        self.rough = arb(0)
        for (left, right), (one, two) in zip(self.panels(), itertools.pairwise(self.at_edges), strict=True):
            here = ((right - left) * min(one[1].mid(), two[1].mid())).mid()
            self.rough = max(self.rough, here) if here.is_finite() else self.rough

    def density(self, x: Any) -> Any:
        """The integrand."""
        return self.weight(self.u(x)) * self.pace(x)

    def panels(self) -> Any:
        """Pairs of edges."""
        return itertools.pairwise(self.edges)

    def _edges(self, marks: Any, unit: float) -> list[Any]:
        """Closer and closer towards both ends, at powers of 2 and at the marks."""
        low, high = float(self.a), float(self.b)
        span = high - low
        if not 0 < span < math.inf:
            apart = self.b - self.a
            inner = [(self.a + apart * 2.0**-k).mid() for k in range(40, 0, -4)]
            inner += [(self.b - apart * 2.0**-k).mid() for k in range(4, 36, 4)]
        else:
            places = {float(m) for m in marks}
            for k in range(2, 44, 3):
                places |= {low + span * 2.0**-k, high - span * 2.0**-k}
            for k in range(-2, 11, 2):
                places |= {s * 2.0**k * unit for s in (-1, 1)}
            inner = [arb(m) for m in sorted(places) if low < m < high]
        return [self.a, *(m for m in inner if bool(m > self.a) and bool(m < self.b)), self.b]

    def integral(self, rough: Any, error: float) -> Any:
        """Enclosed; what is far below ``rough`` coarsely."""
        absolute = rough * error / len(self.edges) / 8
        total = arb(0)
        for (left, right), (one, two) in zip(self.panels(), itertools.pairwise(self.at_edges), strict=True):
            most = self.bound(left, right, one[0], two[0])
            if bool(most < absolute):
                total += arb(0, 1) * most
            else:
                total += acb.integral(
                    self._call, acb(left), acb(right), rel_tol=arb(error / 8), abs_tol=absolute, eval_limit=LIMIT
                ).real
        return total

    def bound(self, left: Any, right: Any, low: Any, high: Any) -> Any:
        """Of the integral over a panel whose profile goes from low to high: the parts of the weight are monotone there,
        or convex; infinite where the pace is not bounded."""
        pace = self.pace(acb(left.union(right))).real
        if not pace.is_finite():
            return arb("inf")
        ends = [self.weight(acb(end)).real / (1 + end.exp()) for end in (low, high)]
        largest = max(end.upper() if end.is_finite() else arb("inf") for end in ends)
        return (1 + high.exp()) * largest * abs(pace).upper() * (right - left)

    def _call(self, x: Any, analytic: bool) -> Any:
        """The integrand as the quadrature calls it."""
        State.analytic = analytic
        try:
            return acb(self.density(x))
        finally:
            State.analytic = False


class _Known(_Part):
    """A part whose integral is known."""

    def __init__(self, value: Any) -> None:
        self.value, self.rough = value, arb(0)

    def integral(self, rough: Any, error: float) -> Any:
        """That."""
        return self.value


def _mixed(h: Any) -> Any:
    return 1 / sum(arb(w) * arb(r) * (-arb(r) * h).exp() for w, r in ((0.5, 0.1), (0.5, 1.9)))


SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "absolute": lambda h, _: h.exp(),
    "log-decay": lambda h, _: h,
    "random-horizon": lambda h, _: (1 + h) ** 2,
    "mixed-horizon": lambda h, _: _mixed(h),
    "squared": lambda h, h_star: h.exp() / (2 * _apart(h_star, h)),
}
"""1 over |dL/dh|."""


def _log_decay(x: Any) -> Any:
    """``(1 + x) log(1 + x)/x``, which is by less than x off 1."""
    size = abs(x).upper()
    return 1 + acb(arb(0, size), arb(0, size)) if bool(size < 2.0**-80) else (1 + 1 / x) * log1p(x)


def _apart(h_star: Any, h: Any) -> Any:
    """``|exp(-h*) - exp(-h)|`` on one side of the target."""
    gap = (-h_star).exp() * (h_star - h).expm1()
    return -gap if bool(gap.real < 0) else gap
