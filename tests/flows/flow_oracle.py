"""Hitting times by mpmath, straight from theory.md §4 in its dz form; shares no code with the package.

``tau = int dz / (c T phi^(T-1) phi')`` by Gauss-Legendre between break points that follow the integrand. The gates are
written out by hand below, as ``phi``, ``phi'`` and the inverse of the logit profile.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
from mpmath import mp, mpf


@dataclass(frozen=True)
class MpGate:
    """log phi, phi' as functions of z, and z as a function of the profile ``u = log(phi/(1 - phi))``."""

    u: Callable[[Any], Any]
    dphi: Callable[[Any], Any]
    z_of_u: Callable[[Any], Any]

    def log_phi(self, z: Any) -> Any:
        return -mpmath.log1p(mpmath.exp(-self.u(z)))


def logistic(u: Callable[[Any], Any], du: Callable[[Any], Any], z_of_u: Callable[[Any], Any]) -> MpGate:
    def dphi(z: Any) -> Any:
        size = mpmath.exp(-abs(u(z)))
        return du(z) * size / (1 + size) ** 2

    return MpGate(u, dphi, z_of_u)


def solved(f: Callable[[Any], Any], df: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """The inverse of an increasing function by bisection and Newton steps."""

    def inverse(u: Any) -> Any:
        low, high = mpf(-1), mpf(1)
        while f(low) > u:
            low *= 2
        while f(high) < u:
            high *= 2
        for _ in range(60):
            middle = (low + high) / 2
            low, high = (middle, high) if f(middle) < u else (low, middle)
        z = (low + high) / 2
        for _ in range(4):
            z -= (f(z) - u) / df(z)
        return z

    return inverse


def _sign(z: Any) -> Any:
    return mpmath.sign(z)


def _erf_u(z: Any) -> Any:
    return mpmath.log(mpmath.erfc(-z) / mpmath.erfc(z))


def _erf_dphi(z: Any) -> Any:
    return mpmath.exp(-z * z) / mpmath.sqrt(mpmath.pi)


def _erf_du(z: Any) -> Any:
    return 4 * _erf_dphi(z) / (mpmath.erfc(-z) * mpmath.erfc(z))


def _arctan_u(z: Any) -> Any:
    return mpmath.sign(z) * mpmath.log(mpmath.pi / mpmath.atan2(1, abs(z)) - 1)


def _sinh_sinh(z: Any) -> Any:
    return mpmath.sinh(mpmath.sinh(z))


GATES: dict[str, MpGate] = {
    "sigmoid": logistic(lambda z: z, lambda z: mpf(1), lambda u: u),
    "fast": logistic(mpmath.sinh, mpmath.cosh, mpmath.asinh),
    "iterated-sinh": logistic(
        _sinh_sinh, lambda z: mpmath.cosh(mpmath.sinh(z)) * mpmath.cosh(z), lambda u: mpmath.asinh(mpmath.asinh(u))
    ),
    "softsign": MpGate(
        lambda z: _sign(z) * mpmath.log1p(abs(z)),
        lambda z: 1 / (2 + abs(z)) ** 2,
        lambda u: _sign(u) * mpmath.expm1(abs(u)),
    ),
    "algebraic": logistic(
        lambda z: 2 * mpmath.asinh(z), lambda z: 2 / mpmath.sqrt(1 + z * z), lambda u: mpmath.sinh(u / 2)
    ),
    "arctan": MpGate(
        _arctan_u,
        lambda z: 1 / (mpmath.pi * (1 + z * z)),
        lambda u: _sign(u) * mpmath.cot(mpmath.pi / (1 + mpmath.exp(abs(u)))),
    ),
    "erf": MpGate(_erf_u, _erf_dphi, solved(_erf_u, _erf_du)),
    "cubic": logistic(lambda z: z**3, lambda z: 3 * z * z, lambda u: _sign(u) * mpmath.cbrt(abs(u))),
    "linear-cubic": logistic(
        lambda z: z + z**3, lambda z: 1 + 3 * z * z, solved(lambda z: z + z**3, lambda z: 1 + 3 * z * z)
    ),
    "log-slow": logistic(
        lambda z: _sign(z) * mpmath.log1p(mpmath.log1p(abs(z))),
        lambda z: 1 / ((1 + mpmath.log1p(abs(z))) * (1 + abs(z))),
        lambda u: _sign(u) * mpmath.expm1(mpmath.expm1(abs(u))),
    ),
}


def target_position(gate: MpGate, horizon: Any, gap: Any) -> Any:
    """z* with ``phi(z*)^T = 1 - gap``, in as many digits as that takes."""
    with mp.workdps(mp.dps + max(0, -int(mpmath.log10(mpf(gap)))) + 20):
        log_phi = mpmath.log1p(-mpf(gap)) / mpf(horizon)
        return +gate.z_of_u(-mpmath.log(mpmath.expm1(-log_phi)))


def position_of_decay(gate: MpGate, horizon: Any, h: Any) -> Any:
    """z where ``-T log phi = h``."""
    return gate.z_of_u(-mpmath.log(mpmath.expm1(mpf(h) / mpf(horizon))))


def hitting_time(name: str, horizon: Any, gap: Any, z0: Any, scale: Any = 1, digits: int = 30) -> Any:
    """The learning time from z0 to the target, right to about ``digits`` digits."""
    gate = GATES[name]
    with mp.workdps(digits + 15):
        horizon, z0 = mpf(horizon), mpf(z0)
        z_star = target_position(gate, horizon, gap)
        low_z, high_z = min(z0, z_star), max(z0, z_star)

        def rate(z: Any) -> Any:
            return horizon * mpmath.exp((horizon - 1) * gate.log_phi(z)) * gate.dphi(z)

        points = _break_points(gate, horizon, low_z, high_z, digits)
        nodes = _gauss(digits)

        def panel(a: Any, b: Any) -> Any:
            return sum(w / rate(a + (b - a) * x) for x, w in nodes) * (b - a)

        whole = [(a, b, panel(a, b)) for a, b in itertools.pairwise(points)]
        tolerance = sum(value for *_, value in whole) * mpf(10) ** -digits
        return sum(_refined(panel, a, b, value, tolerance, 40) for a, b, value in whole) / mpf(scale)


def _refined(panel: Callable[[Any, Any], Any], a: Any, b: Any, value: Any, tolerance: Any, depth: int) -> Any:
    """The integral over a panel, halved until halving changes nothing."""
    if value < tolerance or depth == 0:
        return value
    middle = (a + b) / 2
    left, right = panel(a, middle), panel(middle, b)
    if abs(left + right - value) < tolerance:
        return left + right
    return _refined(panel, a, middle, left, tolerance, depth - 1) + _refined(
        panel, middle, b, right, tolerance, depth - 1
    )


def _break_points(gate: MpGate, horizon: Any, low_z: Any, high_z: Any, digits: int) -> list[Any]:
    """Where h grows by sqrt 2 (below 1) or by 1/2 (above), and the profile by 1/2, as far as the integrand counts."""
    h_high, h_low = (-horizon * gate.log_phi(z) for z in (low_z, high_z))
    far = mpf(3 * digits)
    decays = [h_low * mpf(2) ** (mpf(k) / 2) for k in range(int(8 * far))]
    decays = [h for h in decays if h < min(h_high, 1)][: int(3 * far)]
    above = [h_high - mpf(k) / 2 for k in range(1, int(2 * far))]
    decays += [h for h in above if h > max(1, h_low)]
    marks = [gate.z_of_u(mpf(u) / 2) for u in range(-16, 17)]
    inner = [z for z in (*(position_of_decay(gate, horizon, h) for h in decays), *marks, mpf(0)) if low_z < z < high_z]
    return sorted({low_z, high_z, *inner})


_NODES: dict[int, list[tuple[Any, Any]]] = {}


def _gauss(digits: int) -> list[tuple[Any, Any]]:
    """Gauss-Legendre nodes and weights on [0, 1] by Newton's method on the Legendre recurrence."""
    if digits not in _NODES:
        n = digits + 6
        nodes = []
        for k in range(1, n + 1):
            x = mpmath.cos(mpmath.pi * (mpf(k) - mpf(1) / 4) / (n + mpf(1) / 2))
            for _ in range(8):
                p, slope = _legendre(n, x)
                x -= p / slope
            _, slope = _legendre(n, x)
            nodes.append(((1 + x) / 2, 1 / ((1 - x * x) * slope**2)))
        _NODES[digits] = nodes
    return _NODES[digits]


def _legendre(n: int, x: Any) -> tuple[Any, Any]:
    before, now = mpf(1), x
    for k in range(2, n + 1):
        before, now = now, ((2 * k - 1) * x * now - (k - 1) * before) / k
    return now, n * (x * now - before) / (x * x - 1)
