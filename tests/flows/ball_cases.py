"""Generated problems with their gates written twice: as a formula for the package, and as pieces for the oracle."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
from ball_oracle import Case, Piece, log, root
from flint import acb, arb, fmpq

TOGETHER = 8
"""Problems of one formula, one loss and one way to name a target; they differ in all else."""
LOSSES = ("absolute", "absolute", "absolute", "log-decay", "random-horizon", "mixed-horizon", "squared")
WAYS = ("gap", "gap", "gap", "log_gap", "decay", "target")


def number(x: float) -> tuple[str, Any, float]:
    """A number of few digits as text, as a ball and as a float."""
    text = f"{x:.3g}"
    exact = Fraction(text)
    return text, _ball(exact), float(exact)


def _ball(x: Fraction) -> Any:
    """An exact number: it becomes a ball where it meets one, in the precision of that moment."""
    return fmpq(x.numerator, x.denominator)


def log_uniform(rng: Any, low: float, high: float) -> float:
    return float(10 ** rng.uniform(low, high))


def _lines(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    """Straight pieces with slopes from 1e-200 to 1e3, kinks from ulps to tens apart."""
    count = int(rng.integers(1, 5))
    kinks = [float(f"{rng.uniform(-3, 3):.4g}")]
    for _ in range(count - 1):
        last = kinks[-1]
        gap = rng.choice([4 * np.spacing(abs(last) + 0.1), log_uniform(rng, -9, 0), rng.uniform(0.1, 30)])
        kinks.append(max(float(last + gap), float(np.nextafter(last, np.inf))))
    slopes = []
    for k in range(count + 1):
        plateau = 0 < k < count and rng.random() < 0.5
        slopes.append(log_uniform(rng, *(rng.choice([(-12, -6), (-60, -12), (-200, -60)]) if plateau else (-1.5, 1.5))))
    texts = [f"{s:.3g}" for s in slopes]
    exact = [Fraction(t) for t in texts]
    cut = [Fraction(k) for k in kinks]
    base = Fraction(f"{rng.uniform(-2, 2):.3g}")
    values = [base]
    for k in range(1, count):
        values.append(values[-1] + exact[k] * (cut[k] - cut[k - 1]))
    # a plateau's rise is far below the floats: its height is told apart from what follows
    pieces, parts = [], []
    for k in range(count + 1):
        anchor = max(k - 1, 0)
        pieces.append(
            _line(cut[k - 1] if k else None, cut[k] if k < count else None, exact[k], cut[anchor], values[anchor])
        )
        height = _sum_text(base, exact, cut, anchor)
        parts.append(f"{height} + {texts[k]}*(z - {_exact_text(cut[anchor])})")
    text = parts[-1]
    for k in range(count - 1, -1, -1):
        text = f"where(z < {_exact_text(cut[k])}, {parts[k]}, {text})"
    return f"sigmoid({text})", tuple(pieces), kinks


def _exact_text(x: Fraction) -> str:
    return f"({x.numerator}/{x.denominator})" if x.denominator != 1 else f"({x.numerator})"


def _sum_text(base: Fraction, slopes: list[Fraction], cut: list[Fraction], anchor: int) -> str:
    total = base
    for k in range(1, anchor + 1):
        total += slopes[k] * (cut[k] - cut[k - 1])
    return _exact_text(total)


def _line(left: Any, right: Any, slope: Fraction, at: Fraction, height: Fraction) -> Piece:
    return Piece(left, right, lambda z: _ball(height) + _ball(slope) * (z - _ball(at)), lambda z: acb(_ball(slope)))


def _steps(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    """A line and narrow steps of tanh, some of them close together."""
    count = int(rng.integers(1, 4))
    slope, width = number(log_uniform(rng, -0.7, 0.7)), []
    parts, terms, marks = [f"{slope[0]}*z"], [], []
    centre = rng.uniform(-2, 3)
    for _ in range(count):
        width = number(log_uniform(rng, -6, 0))
        c = float(f"{centre:.8g}")
        cut, height = Fraction(f"{c:.8g}"), number(log_uniform(rng, -3, 0.3))
        parts.append(f"{height[0]}*tanh((z - {_exact_text(cut)})/{width[0]})")
        terms.append((height[1], _ball(cut), width[1]))
        marks += [c + s * width[2] * k for s in (-1, 1) for k in (1, 3, 8, 20, 45, 100)] + [c]
        centre = centre + rng.choice([rng.uniform(-1, 1), 5 * width[2]])

    def u(z: Any) -> Any:
        return slope[1] * z + sum(h * ((z - c) / w).tanh() for h, c, w in terms)

    def du(z: Any) -> Any:
        return slope[1] + sum(h / w * (1 - ((z - c) / w).tanh() ** 2) for h, c, w in terms)

    return f"sigmoid({' + '.join(parts)})", (Piece(None, None, u, du, tuple(marks)),), list(marks)


def _bumps(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    """A Gaussian bump, or dip, in the slope."""
    slope, width = number(log_uniform(rng, -0.7, 0.7)), number(log_uniform(rng, -6, 0))
    c = float(f"{rng.uniform(-2, 3):.8g}")
    cut = Fraction(f"{c:.8g}")
    share = number(rng.choice([rng.uniform(0.1, 0.99), -log_uniform(rng, -2, 3)]))
    # slope (1 - share exp(-x^2)), x = (z - c)/w
    text = f"sigmoid({slope[0]}*(z - ({share[0]})*{width[0]}*sqrt(pi)/2*erf((z - {_exact_text(cut)})/{width[0]})))"

    def u(z: Any) -> Any:
        x = (z - _ball(cut)) / width[1]
        return slope[1] * (z - share[1] * width[1] * arb.pi().sqrt() / 2 * x.erf())

    def du(z: Any) -> Any:
        x = (z - _ball(cut)) / width[1]
        return slope[1] * (1 - share[1] * (-x * x).exp())

    marks = [c + s * width[2] * k for s in (-1, 1) for k in (0.5, 1, 2, 3, 5, 7, 10)] + [c]
    return text, (Piece(None, None, u, du, tuple(marks)),), [c]


def _powers(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    """Two powers that meet where both are flat; other factors on either side."""
    p, q = (number(rng.uniform(1.1, 1.95)) for _ in range(2))
    a, b = number(log_uniform(rng, -1, 1)), number(log_uniform(rng, -1, 1))
    at = Fraction(str(rng.choice(["0", "0", "1", "-0.5", "0.3"])))
    shift = f"(z - {_exact_text(at)})" if at else "z"

    def power(side: int, c: Any, n: Any, size: int) -> Any:
        return lambda z: size * c * (n * log(side * (z - _ball(at)))).exp()

    def slope(side: int, c: Any, n: Any) -> Any:
        return lambda z: c * n * ((n - 1) * log(side * (z - _ball(at)))).exp()

    left = Piece(None, at, power(-1, a[1], p[1], -1), slope(-1, a[1], p[1]), (), at, Fraction(p[0]))
    right = Piece(at, None, power(1, b[1], q[1], 1), slope(1, b[1], q[1]), (), at, Fraction(q[0]))
    text = f"sigmoid(where({shift} < 0, -{a[0]}*(-{shift})**{p[0]}, {b[0]}*{shift}**{q[0]}))"
    return text, (left, right), [float(at)]


def _waves(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    share, fast = number(rng.uniform(0.1, 0.95)), number(log_uniform(rng, -0.3, 2))
    scale = number(log_uniform(rng, -0.5, 0.5))
    text = f"sigmoid({scale[0]}*(z + {share[0]}*sin({fast[0]}*z)/{fast[0]}))"
    piece = Piece(
        None,
        None,
        lambda z: scale[1] * (z + share[1] * (fast[1] * z).sin() / fast[1]),
        lambda z: scale[1] * (1 + share[1] * (fast[1] * z).cos()),
    )
    return text, (piece,), [0.0]


def _whole(u: Any, du: Any) -> tuple[Piece, ...]:
    return (Piece(None, None, u, du),)


def _value_gate(log_phi: Any, log_rest: Any, dphi: Any) -> tuple[Piece, ...]:
    """A gate by phi: ``u' = phi'/(phi (1 - phi))``."""
    return _whole(lambda z: log_phi(z) - log_rest(z), lambda z: dphi(z) * (-log_phi(z)).exp() * (-log_rest(z)).exp())


CATALOGUE: dict[str, tuple[Piece, ...]] = {
    "sigmoid": _whole(lambda z: z, lambda z: acb(1)),
    "scaled-tanh": _whole(lambda z: 2 * z, lambda z: acb(2)),
    "fast": _whole(lambda z: z.sinh(), lambda z: z.cosh()),
    "iterated-sinh": _whole(lambda z: z.sinh().sinh(), lambda z: z.sinh().cosh() * z.cosh()),
    "linear-cubic": _whole(lambda z: z + z**3, lambda z: 1 + 3 * z * z),
    "asinh": _whole(lambda z: log(z + root(1 + z * z)), lambda z: 1 / root(1 + z * z)),
    "algebraic": _whole(lambda z: 2 * log(z + root(1 + z * z)), lambda z: 2 / root(1 + z * z)),
    "exp-square": _whole(lambda z: z * (z * z).exp(), lambda z: (1 + 2 * z * z) * (z * z).exp()),
    "softsign": (
        Piece(None, Fraction(0), lambda z: -log(1 - z), lambda z: 1 / (1 - z)),
        Piece(Fraction(0), None, lambda z: log(1 + z), lambda z: 1 / (1 + z)),
    ),
    "log-slow": (
        Piece(
            None,
            Fraction(0),
            lambda z: -log(1 + log(1 - z)),
            lambda z: 1 / ((1 - z) * (1 + log(1 - z))),
            chart=(lambda u: -(-u).exp(), lambda v: -log(-v), lambda v: -v * (-2 * (v + 1)).exp()),
        ),
        Piece(
            Fraction(0),
            None,
            lambda z: log(1 + log(1 + z)),
            lambda z: 1 / ((1 + z) * (1 + log(1 + z))),
            chart=(lambda u: u.exp(), log, lambda v: v * (2 * (v - 1)).exp()),
        ),
    ),
    "erf": _value_gate(
        lambda z: log((-z).erfc() / 2), lambda z: log(z.erfc() / 2), lambda z: (-z * z).exp() / arb.pi().sqrt()
    ),
    "cloglog": _whole(lambda z: log(-(-z.exp()).expm1()) + z.exp(), lambda z: -z.exp() / (-z.exp()).expm1()),
    "gompertz": _whole(
        lambda z: -(-z).exp() - log(-(-(-z).exp()).expm1()), lambda z: -(-z).exp() / (-(-z).exp()).expm1()
    ),
    "gudermannian": _value_gate(
        lambda z: log(2 * z.exp().atan() / arb.pi()),
        lambda z: log(2 * (-z).exp().atan() / arb.pi()),
        lambda z: 1 / (arb.pi() * z.cosh()),
    ),
}


def _catalogue(rng: Any) -> tuple[str, tuple[Piece, ...], list[float]]:
    name = str(rng.choice(list(CATALOGUE)))
    return name, CATALOGUE[name], [0.0]


FAMILIES = {
    "catalogue": _catalogue,
    "lines": _lines,
    "steps": _steps,
    "bumps": _bumps,
    "powers": _powers,
    "waves": _waves,
}


def family(number_: int) -> str:
    """Which family the problem with a number is of."""
    return list(FAMILIES)[number_ // TOGETHER % len(FAMILIES)]


def case(number_: int, seed: int = 1) -> Case:
    """The problem with a number, but for its start."""
    group = number_ // TOGETHER
    kind = family(number_)
    shared = np.random.default_rng([seed, group, 7])
    text, pieces, places = FAMILIES[kind](shared)
    way, loss = str(shared.choice(WAYS)), str(shared.choice(LOSSES))
    rng = np.random.default_rng([seed, number_])
    horizon = float(f"{log_uniform(rng, 0, 6) if rng.random() < 0.8 else log_uniform(rng, 0, 0.3):.3g}")
    gap = log_uniform(rng, *((-300, -8) if rng.random() < 0.3 else (-8, -0.1)))
    value = {"gap": gap, "log_gap": math.log(gap), "decay": gap, "target": max(1 - gap, 0.05)}[way]
    value = float(f"{value:.6g}")
    value = min(value, 0.999999) if way == "target" else value
    tolerance = float(f"{log_uniform(rng, -6, -0.3):.3g}") if loss == "squared" else None
    start = str(rng.choice(["near 0", "near 0", "far", "place", "near the target", "ulps", "above"]))
    extra = {"start": start, "places": places, "rng": rng}
    return Case(text, pieces, max(horizon, 1.0), way, value, 0.0, loss, tolerance, kind, extra)


def started(one: Case, z_star: float) -> Case:
    """The case with its start, which may lie by the target as the package finds it."""
    rng, places = one.extra["rng"], one.extra["places"]
    side = float(rng.choice([-1.0, 1.0]))
    inside = z_star if math.isfinite(z_star) and abs(z_star) < 1e150 else 0.0
    z0 = {
        "near 0": lambda: rng.normal() * 2,
        "far": lambda: -log_uniform(rng, 0, 1.5),
        "place": lambda: float(rng.choice(places)),
        "near the target": lambda: inside + side * (1 + abs(inside)) * log_uniform(rng, -12, 0),
        "ulps": lambda: inside + side * int(rng.integers(0, 40)) * float(np.spacing(abs(inside))),
        "above": lambda: inside + abs(rng.normal()) * (1 + abs(inside) * 0.1),
    }[one.extra["start"]]()
    return replace(one, z0=float(z0), extra={})
