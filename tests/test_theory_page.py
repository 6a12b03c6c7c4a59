"""docs/theory.md: every theorem has a proof and a command, and what T1 to T8 say is seen in numbers."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from pathlib import Path

import mpmath
import numpy as np
import pytest

PAGE = Path(__file__).resolve().parents[1] / "docs" / "theory.md"
TEXT = PAGE.read_text(encoding="utf-8")
PARTS = {part.partition("\n")[0]: part for part in re.split(r"^###? ", TEXT, flags=re.MULTILINE)[1:]}


@pytest.mark.parametrize("number", range(1, 9))
def test_every_theorem_has_a_proof_and_a_command(number):
    (part,) = [text for title, text in PARTS.items() if title.startswith(f"T{number}:")]
    assert "**Theorem.**" in part
    assert "*Proof.*" in part
    assert "∎" in part
    assert "$ gateflow" in part


def test_the_prior_art_is_named():
    assert "Siegel" in TEXT
    assert "Wojtowytsch" in TEXT
    assert "2210.01348" in TEXT


def descent_lengths(v, rest, steps, eta=1.0, z=2.0):
    """Losses and steps of gradient descent, eta = 1, from z = 2."""
    losses, lengths = [], []
    for _ in range(steps):
        losses.append(rest(z))
        lengths.append(eta * v(z))
        z += lengths[-1]
    return np.array(losses), np.array(lengths)


def test_dyadic_pieces_of_the_path_are_below_the_barrier():
    """The inequality in the proof of T7 (and T2), for sigmoid and softsign, T = 1."""
    gates = (
        (lambda z: 1 / (2 + math.exp(z) + math.exp(-z)), lambda z: 1 / (1 + math.exp(z))),
        (lambda z: 1 / (2 + z) ** 2, lambda z: 1 / (2 + z)),
    )
    for v, rest in gates:
        losses, lengths = descent_lengths(v, rest, 2**14)
        assert np.all(losses[:-1] - losses[1:] >= lengths[1:] ** 2)
        for k in range(1, 13):
            assert lengths[2**k + 1 : 2 ** (k + 1) + 1].sum() <= math.sqrt(2**k * losses[2**k])


def test_one_more_sinh_is_sooner_by_more_and_more():
    """T4 for sigmoid, in closed form, and the fast gate, by its integral in big floats."""

    def time_of_fast(far):
        return mpmath.quad(lambda z: (2 + 2 * mpmath.cosh(z)) / (1 + z * z), mpmath.linspace(0, far, 20))

    ratios = [time_of_fast(far) / (2 * far + 2 * mpmath.sinh(far)) for far in (5, 10, 20, 40, 80)]
    assert all(b < a / 2 for a, b in pairwise(ratios))
    assert ratios[-1] * 80**2 == pytest.approx(1, rel=0.1)


def test_a_gate_of_class_f_dips_below_any_bound():
    """The construction of T5 with b = tau^-5, far below the barrier, T = c = 1: speeds fall, paths add up."""
    time, speeds, times = mpmath.mpf(0), [mpmath.mpf(1) / 8], [mpmath.mpf(0)]
    for _ in range(6):
        time += 1 / speeds[-1] + 1
        times.append(time)
        speeds.append(min(speeds[-1] / 2, time**-5 / 4))
    falls = [r + (r * r + r * s + s * s) / 3 for r, s in pairwise(speeds)]  # the integral of v^2, stage by stage
    losses = [mpmath.fsum(falls[n:]) + 4 * speeds[-1] for n in range(len(falls))]  # what is left is at most 4 r_n
    assert losses[0] < 1
    assert all(s < r for r, s in pairwise(speeds))
    assert all(loss <= 4 * r for loss, r in zip(losses, speeds, strict=False))
    assert all(loss <= t**-5 for loss, t in list(zip(losses, times, strict=False))[1:])


def heavy_ball(speed, z, target, eta, beta):
    """Steps of the heavy ball from z until it is at the target or past it."""
    upward, m, steps = z < target, 0.0, 0
    while (z < target) if upward else (z > target):
        m, steps = beta * m + speed(z), steps + 1
        z += eta * m if upward else -eta * m
    return steps


@pytest.mark.parametrize("beta", [0.0, 0.5])
@pytest.mark.parametrize(("start", "order"), [(0.7, 1), (0.99, -1)], ids=["below", "above"])
def test_the_convex_gate_is_later_from_below_and_sooner_from_above_at_large_steps_too(beta, start, order):
    """T8 is exact: here at large steps, fast (w = sinh) against sigmoid, up to the bound of its condition."""
    horizon, target = 20, 0.96

    def slope(u):
        return horizon / (1 + math.exp(-u)) ** horizon / (1 + math.exp(u))

    def logit(p):
        return math.log(p / (1 - p))

    way = np.linspace(logit(start), logit(target), 2001)
    falls = -np.diff([slope(u) for u in way]) / np.diff(way) * np.sign(way[-1] - way[0])
    most = (1 - math.sqrt(beta)) ** 2 * (min(1.0, 1 / falls.max()) if start < target else 0.5)
    sigmoid = heavy_ball(slope, logit(start), logit(target), most, beta)
    steep = math.cosh(math.asinh(logit(target)))
    fast = heavy_ball(
        lambda z: slope(math.sinh(z)) * math.cosh(z),
        math.asinh(logit(start)), math.asinh(logit(target)), most / steep**2, beta,
    )  # fmt: skip
    assert 5 < sigmoid < 400
    assert order * (fast - sigmoid) >= 1


def test_a_plateau_keeps_the_slope_at_its_start_and_random_lags_a_mean_of_slopes():
    """The two laws of section 6 from sigma(1), by their integrals in the value p of the gate."""
    from scipy.integrate import quad
    from scipy.special import erfinv

    start, horizon = 1 / (1 + math.exp(-1)), 1000
    profiles = {"sigmoid": lambda u: 1.0, "fast": lambda u: math.hypot(1, u), "softsign": lambda u: math.exp(-abs(u))}

    def slope(gate, rest):
        if gate == "erf":
            return math.exp(-(erfinv(1 - 2 * rest) ** 2)) / math.sqrt(math.pi)
        return rest * (1 - rest) * profiles[gate](math.log((1 - rest) / rest))

    def fixed(gate):
        def density(far):  # far = log of the growth of p^T along the plateau
            rest = -math.expm1(math.log(start) + far / horizon)
            return math.exp(-far) * (1 - rest) ** 2 / slope(gate, rest) ** 2

        top = -1 - horizon * math.log(start)
        return quad(density, 0, 40)[0] + quad(density, 40, top)[0]

    def random(gate):
        def density(x):
            rest = math.exp(-x)
            return (1 - rest) * math.log1p(-rest) ** 2 / slope(gate, rest) ** 2 * rest

        return quad(density, -math.log(1 - start), 34)[0]

    for gate, ratio in (("fast", 0.5), ("erf", 0.1775), ("softsign", math.e**2)):
        assert fixed(gate) / fixed("sigmoid") == pytest.approx(ratio, rel=0.01)
    for gate, ratio in (("fast", 0.2624), ("erf", 0.1422)):
        assert random(gate) / random("sigmoid") == pytest.approx(ratio, rel=1e-3)
