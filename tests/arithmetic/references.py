"""What the functions should be, by mpmath called on the defining formula with digits to spare; and where to ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np

MP = mpmath.MPContext()

DEFINITIONS: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "sign": MP.sign,
    "sqrt": MP.sqrt,
    "exp": MP.exp,
    "expm1": lambda x: MP.exp(x) - 1,
    "log": MP.log,
    "log1p": lambda x: MP.log(1 + x),
    "sin": MP.sin,
    "cos": MP.cos,
    "tan": MP.tan,
    "sinh": lambda x: (MP.exp(x) - MP.exp(-x)) / 2,
    "cosh": lambda x: (MP.exp(x) + MP.exp(-x)) / 2,
    "tanh": lambda x: (MP.exp(2 * x) - 1) / (MP.exp(2 * x) + 1),
    "asinh": lambda x: MP.sign(x) * MP.log(abs(x) + MP.sqrt(x * x + 1)),
    "acosh": lambda x: MP.log(x + MP.sqrt(x * x - 1)),
    "atanh": lambda x: MP.log((1 + x) / (1 - x)) / 2,
    "atan": MP.atan,
    "acot": lambda x: MP.pi / 2 - MP.atan(x),
    "erf": MP.erf,
    "erfc": MP.erfc,
    "log_erfc": lambda x: MP.log(MP.erfc(x)),
    "erfcx": lambda x: MP.exp(x * x) * MP.erfc(x),
    "log_erfcx": lambda x: MP.log(MP.erfc(x)) + x * x,
    "loggamma": MP.loggamma,
    "digamma": MP.digamma,
    "trigamma": lambda x: MP.psi(1, x),
    "sigmoid": lambda x: 1 / (1 + MP.exp(-x)),
    "softplus": lambda x: MP.log(1 + MP.exp(x)),
    "softsign": lambda x: x / (1 + abs(x)),
    "logit": lambda p: MP.log(p / (1 - p)),
    "log_cosh": lambda x: MP.log((MP.exp(x) + MP.exp(-x)) / 2),
    "log1mexp": lambda x: MP.log(1 - MP.exp(-x)),
    "log_expm1": lambda x: MP.log(abs(MP.exp(x) - 1)),
    "log_hypot": lambda x: MP.log(1 + x * x) / 2,
    "log_softplus": lambda x: MP.log(MP.log(1 + MP.exp(x))),
    "log_cloglog": lambda x: MP.log(1 - MP.exp(-MP.exp(x))),
    "log_atan_exp": lambda x: MP.log(MP.atan(MP.exp(x))),
    "log_atan_ratio": lambda x: MP.log(MP.atan(MP.exp(x))) - x,
}

EXPONENTIAL = {"softplus", "log1mexp", "log_cosh", "tanh", "log_erfc", "log_expm1", "log_softplus", "log_cloglog"}
"""Functions whose definition cancels by a factor exp(|x|)."""


ABSOLUTE = {"log_expm1", "log_softplus", "log_atan_exp", "log_atan_ratio"}
"""Functions with a zero that is no special point of theirs: near it they are right to so much of 1."""


def reference(name: str, hi: float, lo: float = 0.0) -> Any:
    """The function at ``hi + lo``, to at least 200 bits whatever cancels in its definition."""
    magnitude = abs(hi)
    spare = 2.1 * abs(float(np.log2(magnitude))) if magnitude else 0.0
    if name in EXPONENTIAL:
        spare += 3.0 * min(magnitude, 1500.0)
    MP.prec = int(330 + spare)
    return DEFINITIONS[name](MP.mpf(hi) + MP.mpf(lo))


def spread(rng: np.random.Generator, low: float, high: float, size: int) -> np.ndarray:
    """Log-uniform magnitudes."""
    return np.exp(rng.uniform(np.log(low), np.log(high), size))


def around(rng: np.random.Generator, centre: float, size: int) -> np.ndarray:
    """Points that close in on ``centre`` from both sides."""
    return centre + centre * rng.choice([-1.0, 1.0], size) * spread(rng, 1e-16, 0.2, size)


FAINT = 1e-270
"""Below this the low part of a double-double meets underflow."""


def arguments(name: str, rng: np.random.Generator, n: int) -> np.ndarray:
    """Arguments over the whole range where the function neither under- nor overflows, thick near its special points."""

    def spans(*ranges: tuple[float, float]) -> np.ndarray:
        return np.concatenate([np.sign(a) * spread(rng, abs(a), abs(b), n) for a, b in ranges])

    def symmetric(*ranges: tuple[float, float]) -> np.ndarray:
        x = spans(*ranges)
        return x * rng.choice([-1.0, 1.0], x.size)

    def near(*centres: float) -> np.ndarray:
        return np.concatenate([around(rng, c, n // 2) for c in centres])

    match name:
        case "abs" | "sign" | "asinh" | "atan" | "softsign":
            return symmetric((FAINT, 1e300), (1e-6, 1e3))
        case "acot":
            return symmetric((FAINT, 1e270), (1e-6, 1e3))
        case "log_hypot":
            return symmetric((1e-130, 1e300), (1e-6, 1e3))
        case "erfcx":
            return np.concatenate([spans((FAINT, 200), (0.01, 40)), near(27.0)])
        case "log_erfcx":
            return np.concatenate([spans((-FAINT, -30), (FAINT, 200), (0.01, 40)), near(0.5)])
        case "log_expm1" | "log_softplus" | "log_atan_exp" | "log_atan_ratio":
            return symmetric((FAINT, 600), (0.01, 60))
        case "log_cloglog":
            return spans((-FAINT, -600), (-0.01, -60), (FAINT, 1))
        case "sqrt":
            return spans((1e-290, 1e300))
        case "exp" | "expm1":
            return np.concatenate([symmetric((FAINT, 600), (1e-8, 1e-3), (1e-3, 10)), spans((1, 709))])
        case "log":
            return np.concatenate([spans((FAINT, 1e300)), near(1.0, 2.0, 0.7071, 1.4142)])
        case "log1p":
            return np.concatenate([spans((FAINT, 1e300), (-FAINT, -0.999999)), near(-0.29, 0.41)])
        case "sin" | "cos" | "tan":
            return np.concatenate([symmetric((FAINT, 1e15), (0.1, 10)), np.rint(spans((1, 1e14))) * (np.pi / 2)])
        case "sinh" | "cosh":
            return symmetric((FAINT, 710), (1e-8, 1e-3), (0.01, 10))
        case "tanh":
            return symmetric((FAINT, 700), (1e-8, 1e-3), (0.01, 20))
        case "acosh":
            return np.concatenate([1 + spans((1e-15, 1e300), (0.01, 10))])
        case "atanh":
            return np.concatenate([symmetric((FAINT, 0.9)), 1 - spans((1e-15, 1))])
        case "erf":
            return symmetric((FAINT, 30), (0.01, 6))
        case "erfc":
            return np.concatenate([spans((-FAINT, -30), (FAINT, 25), (0.01, 25), (20, 25)), near(0.25)])
        case "log_erfc":
            return np.concatenate([spans((-FAINT, -30), (FAINT, 200), (0.01, 40)), near(0.5)])
        case "loggamma":
            return np.concatenate([spans((FAINT, 1e290), (0.1, 40)), near(1.0, 2.0, 0.5)])
        case "digamma":
            return spans((FAINT, 1e300), (0.01, 1.3), (1.6, 100))
        case "trigamma":
            return spans((1e-130, 1e250), (0.1, 40))
        case "sigmoid" | "softplus":
            return np.concatenate([spans((-FAINT, -600), (FAINT, 1000)), symmetric((0.01, 60))])
        case "logit":
            return np.concatenate([spans((FAINT, 0.9)), near(0.5, 0.25, 0.75), 1 - spans((1e-15, 0.5))])
        case "log_cosh":
            return symmetric((1e-130, 1000), (1e-8, 1e-3), (0.01, 30))
        case "log1mexp":
            return np.concatenate([spans((FAINT, 600), (0.01, 60)), near(0.6931)])
    raise AssertionError(name)
