"""Learning times by ball arithmetic, straight from theory.md §4; shares no code with the package.

``tau = int phi dz / (c T phi' |dL/dh|)``, ``h = -T log phi``, between the kinks of a gate that is written down here as
analytic pieces, each a function of a ball (python-flint). The end z* is found by bisection on exact midpoints.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import flint
from flint import acb, arb, ctx

GOOD = 60
"""Bits that a true value has right."""
LIMIT = 60_000
"""Evaluations of one panel, at most."""


class State:
    """Whether an integrand must be analytic on the ball that it is given."""

    analytic = False


def log(x: Any) -> Any:
    """The logarithm; no number on a ball that meets its branch cut, where that matters."""
    return acb(x).log(analytic=State.analytic)


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
    """A gate between two kinks: ``parts(z)`` gives log phi, log(1 - phi) and log of phi'/phi as analytic functions.

    ``point`` is where the slope is 0 like a power at an end of the piece; the density is then integrated in log |z -
    point|.
    """

    left: Fraction | None
    right: Fraction | None
    u: Callable[[Any], Any]
    du: Callable[[Any], Any]
    marks: tuple[float, ...] = ()
    point: Fraction | None = None
    power: float = 1.0


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
    expected: str = "reached"
    family: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


def log_tau(case: Case) -> Any:
    """log of the time as a ball."""
    before = ctx.prec
    try:
        for bits in (_bits(case), 2 * _bits(case)):
            ctx.prec = bits
            tau = _tau(case)
            if tau.is_finite() and tau.rel_accuracy_bits() > GOOD:
                return tau.log()
        raise NoTruth(case.text)
    finally:
        ctx.prec = before


def _bits(case: Case) -> int:
    small = {"gap": lambda v: -flint.arb(v).log(), "log_gap": lambda v: -v, "decay": lambda v: -flint.arb(v).log()}
    lost = small.get(case.way, lambda v: 0)(case.value)
    return 220 + int(max(0.0, float(lost)) * 3.5) + case.extra.get("bits", 0)


def _decay(case: Case) -> Any:
    value = ball(case.value)
    return {
        "target": lambda: -value.log(),
        "gap": lambda: -(-value).log1p(),
        "log_gap": lambda: -(-value.exp()).log1p(),
        "decay": lambda: value,
        "timescale": lambda: ball(case.horizon) / value,
    }[case.way]()


def _piece(case: Case, z: Any) -> Piece:
    for piece in case.pieces:
        if (piece.left is None or bool(z >= ball(piece.left))) and (
            piece.right is None or bool(z <= ball(piece.right))
        ):
            return piece
    raise NoTruth("no piece")


def _end(case: Case, u_star: Any) -> Any:
    """z* by bisection, then Newton's method on its piece."""
    low, high = arb(-1), arb(1)
    while not bool(_u(case, low) <= u_star):
        low = low * 2 if low > -(10**6) else -(low * low)
    while not bool(_u(case, high) >= u_star):
        high = high * 2 if high < 10**6 else high * high
        if high > arb(10) ** 400:
            raise NoTruth("far")
    for _ in range(ctx.prec * 2):
        middle = ((low + high) / 2).mid()
        found = _u(case, middle)
        if bool(found <= u_star):
            low = middle
        elif bool(found >= u_star):
            high = middle
        else:
            break
        if bool((high - low) < arb(2) ** (-ctx.prec + 40) * abs(high)):
            break
    return low.union(high)


def _u(case: Case, z: Any) -> Any:
    return _piece(case, z).u(acb(z)).real


def _tau(case: Case) -> Any:
    horizon, z0 = ball(case.horizon), ball(case.z0)
    h_star = _decay(case)
    stop = h_star
    u0 = _u(case, z0)
    if case.tolerance is not None:
        side = 1 if bool(u0 < -(h_star / horizon).expm1().log()) else -1
        stop = h_star * (1 + side * ball(case.tolerance))
    end = _end(case, -(stop / horizon).expm1().log())
    slope = SLOPES[case.loss]

    def rate(piece: Piece) -> Callable[[Any], Any]:
        def density(z: Any) -> Any:
            u, du = piece.u(z), piece.du(z)
            rest = (-u).exp()
            h = horizon * log(1 + rest)
            return (1 + u.exp()) / du * slope(h, acb(h_star)) / horizon

        return density

    below = bool(z0 < end)
    ends = (z0, end) if below else (end, z0)
    cuts = sorted({c for piece in case.pieces for c in (piece.left, piece.right) if c is not None})
    inner = [ball(c) for c in cuts if bool(ball(c) > ends[0]) and bool(ball(c) < ends[1])]
    total, spread = arb(0), arb(0)
    points = [ends[0].mid(), *inner, ends[1].mid()]
    for a, b in itertools.pairwise(points):
        piece = _piece(case, (a + b) / 2)
        total += _integral(rate(piece), piece, a, b, case, horizon)
    at = rate(_piece(case, end.mid()))(acb(end.mid())).real
    spread = arb(0, 1) * (end.rad() * abs(at).upper() * 4).upper()
    return total + spread


def _integral(density: Callable[[Any], Any], piece: Piece, a: Any, b: Any, case: Case, horizon: Any) -> Any:
    if piece.point is not None:
        return _about(density, piece, a, b)
    marks = {float(m) for m in piece.marks if float(a) < float(m) < float(b)}
    low, high = float(a), float(b)
    span = high - low
    for k in range(2, 44, 3):
        step = span * 2.0**-k
        marks |= {low + step, high - step}
    for k in range(-4, 11, 2):
        marks |= {s * 2.0**k for s in (-1, 1) if low < s * 2.0**k < high}
    inner = [arb(m) for m in sorted(marks) if low < m < high]
    edges = [a, *(m for m in inner if bool(m > a) and bool(m < b)), b]
    parts = []
    rough = arb(0)
    for left, right in itertools.pairwise(edges):
        top = abs(density(acb((left + right) / 2)).real) + abs(density(acb(left)).real) + abs(density(acb(right)).real)
        rough = rough if bool(rough > top * (right - left)) else (top * (right - left)).mid()
    for left, right in itertools.pairwise(edges):
        parts.append(
            acb.integral(
                _flagged(density),
                acb(left),
                acb(right),
                rel_tol=arb(2) ** -90,
                abs_tol=rough * arb(2) ** -90,
                eval_limit=LIMIT,
            ).real
        )
    return sum(parts, arb(0))


def _flagged(density: Callable[[Any], Any]) -> Callable[[Any, bool], Any]:
    """The integrand as the quadrature calls it."""

    def call(z: Any, analytic: bool) -> Any:
        State.analytic = analytic
        try:
            return acb(density(z))
        finally:
            State.analytic = False

    return call


def _about(density: Callable[[Any], Any], piece: Piece, a: Any, b: Any) -> Any:
    """In ``s = log |z - point|``; what lies nearer than the last s is a power of the distance."""
    point = ball(piece.point)
    side = 1 if bool((a + b) / 2 > point) else -1
    far = abs((b if side > 0 else a) - point)
    near = abs((a if side > 0 else b) - point)
    fall = 2 - piece.power
    top = far.log().mid()
    reach = max(70.0 / fall, 70.0) + 10
    bottom = near.log().mid() if bool(near > 0) else (top - reach).mid()
    edges = [top]
    while bool(edges[-1] - 8 > bottom):
        edges.append((edges[-1] - 8).mid())
    edges = [*edges, bottom][::-1]

    def by_logarithm(s: Any) -> Any:
        size = s.exp()
        return density(acb(point) + side * size) * size

    total = arb(0)
    for left, right in itertools.pairwise(edges):
        total += acb.integral(
            _flagged(by_logarithm), acb(left), acb(right), rel_tol=arb(2) ** -90, eval_limit=LIMIT
        ).real
    if not bool(near > 0):
        total += by_logarithm(acb(bottom)).real / arb(fall) * (1 + arb(0, 1) * arb(2) ** -70)
    return total


def _mixed(h: Any) -> Any:
    return 1 / sum(arb(w) * arb(r) * (-arb(r) * h).exp() for w, r in ((0.5, 0.1), (0.5, 1.9)))


SLOPES: dict[str, Callable[[Any, Any], Any]] = {
    "absolute": lambda h, _: h.exp(),
    "log-decay": lambda h, _: h,
    "random-horizon": lambda h, _: (1 + h) ** 2,
    "mixed-horizon": lambda h, _: _mixed(h),
    "squared": lambda h, h_star: h.exp() / (2 * abs_of(h_star, h)),
}
"""1 over |dL/dh|."""


def abs_of(h_star: Any, h: Any) -> Any:
    """``|exp(-h*) - exp(-h)|`` on one side of the target."""
    gap = (-h_star).exp() * (-(h_star - h).expm1())
    return gap if bool(gap.real > 0) else -gap
