"""Pairs of gates whose order is certified by their making: phi = psi(w(z)) with a convex w of positive parts.

All is written out by hand in NumPy, for many pairs side by side; nothing of gateflow is used.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PROFILES = ("z", "sinh(z)", "sign(z)*log(1 + abs(z))")
"""Profiles of psi, by number."""


@dataclass(frozen=True)
class Pairs:
    """Pairs of gates; arrays of one length.

    w is ``a z + b (exp(c z) - 1)/c + d log(1 + exp(z - m))``, with no part negative.
    """

    kind: np.ndarray
    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    d: np.ndarray
    m: np.ndarray

    @classmethod
    def drawn(cls, count: int, seed: int) -> Pairs:
        """Random pairs, none of them nearly one gate twice."""
        rng = np.random.default_rng(seed)
        ranges = ((0.2, 2), (0.1, 1), (0.05, 1))
        a, b, d = (np.round(np.exp(rng.uniform(np.log(low), np.log(high), count)), 2) for low, high in ranges)
        return cls(
            rng.integers(3, size=count), a, b, rng.choice([0.5, 1.0], count), d, rng.integers(-1, 4, count) / 1.0
        )

    def w(self, z):
        """w(z)."""
        return self.a * z + self.b * np.expm1(self.c * z) / self.c + self.d * np.logaddexp(0, z - self.m)

    def dw(self, z):
        """w'(z)."""
        return self.a + self.b * np.exp(self.c * z) + self.d / (1 + np.exp(self.m - z))

    def unw(self, y):
        """z where w is y, by bisection."""
        low, high = np.full(y.shape, -60.0), np.full(y.shape, 60.0)
        for _ in range(80):
            z = (low + high) / 2
            above = self.w(z) > y
            low, high = np.where(above, low, z), np.where(above, z, high)
        return (low + high) / 2

    def u(self, y):
        """The profile of psi."""
        tame = np.clip(y, -30, 30)
        return np.choose(self.kind, [y, np.sinh(tame), np.sign(y) * np.log1p(np.abs(y))])

    def du(self, y):
        """Its slope."""
        tame = np.clip(y, -30, 30)
        return np.choose(self.kind, [np.ones(y.shape), np.cosh(tame), 1 / (1 + np.abs(y))])

    def unu(self, u):
        """Its inverse."""
        return np.choose(self.kind, [u, np.arcsinh(u), np.sign(u) * np.expm1(np.abs(u))])

    def formulas(self, i: int) -> tuple[str, str]:
        """phi and psi of one pair as formulas."""
        a, b, c, d, m = (repr(float(part[i])) for part in (self.a, self.b, self.c, self.d, self.m))
        w = f"({a}*z + {b}*(exp({c}*z) - 1)/{c} + {d}*softplus(z - {m}))"
        profile = PROFILES[self.kind[i]]
        return f"sigmoid({profile.replace('(z)', '(Z)').replace('z', 'Z').replace('Z', w)})", f"sigmoid({profile})"


@dataclass(frozen=True)
class Ways:
    """For each pair a horizon, and a target and a start as total decays."""

    horizon: np.ndarray
    target: np.ndarray
    start: np.ndarray

    @classmethod
    def drawn(cls, count: int, seed: int, side: str) -> Ways:
        """Random ways that come to their target from ``below`` or ``above``."""
        rng = np.random.default_rng(seed)
        target = np.exp(rng.uniform(np.log(0.01), np.log(2), count))
        part = rng.uniform(1.5, 4, count) if side == "below" else rng.uniform(0.1, 0.6, count)
        return cls(np.exp(rng.uniform(0, np.log(1000), count)), target, np.minimum(target * part, target + 3))

    def profile(self, decay):
        """The logit where the total decay is so much."""
        return -np.log(np.expm1(decay / self.horizon))


def steps(pairs: Pairs, ways: Ways, delta: float, optimizer: str) -> np.ndarray:
    """Steps to the target of phi and of psi, shape (2, n), each with the step size that moves log(1 - phi) by delta."""
    y_star, y = (pairs.unu(ways.profile(decay)) for decay in (ways.target, ways.start))
    z_star, z = pairs.unw(y_star), pairs.unw(y)
    at, goal = np.array([z, y]), np.array([z_star, y_star])
    up = np.where(at < goal, 1.0, -1.0)

    def speeds(at):
        place = np.array([pairs.w(at[0]), at[1]])
        u = pairs.u(place)
        steep = pairs.du(place) * np.array([pairs.dw(at[0]), np.ones(at[1].shape)])
        rest = 1 / (1 + np.exp(np.clip(u, -700, 700)))
        return ways.horizon * np.exp(-ways.horizon * np.logaddexp(0, -u)) * rest * steep, steep * (1 - rest)

    v_star, k_star = speeds(goal)
    lr = delta / k_star if optimizer == "adam" else delta / (k_star * v_star)
    m, s, k = np.zeros(at.shape), np.zeros(at.shape), 0
    found = np.zeros(at.shape, dtype=int)
    while np.any(found == 0):
        k += 1
        v = speeds(at)[0]
        if optimizer == "adam":
            m, s = 0.5 * m + 0.5 * v, 0.9 * s + 0.1 * v * v
            step = m / (1 - 0.5**k) / np.sqrt(s / (1 - 0.9**k))
        else:
            m = step = 0.5 * m + v if optimizer == "momentum" else v
        at = np.where(found == 0, at + up * lr * step, at)
        found = np.where((found == 0) & (up * (at - goal) >= 0), k, found)
    return found
