"""Generated formulas of gates: heavy and light tails, steep and flat, shifted, mixed, in pieces."""

from __future__ import annotations

import random

SHAPES = (
    "sigmoid({a}*z)",
    "sigmoid({a}*z + {b})",
    "sigmoid({a}*z**3 + {c}*z)",
    "sigmoid({a}*z**3)",
    "sigmoid({a}*z**5 + {c}*z)",
    "sigmoid({a}*sinh({c}*z))",
    "sigmoid({a}*asinh({c}*z))",
    "1/2 + atan({a}*z)/pi",
    "1/2 + atan({a}*z + {c}*z**3)/pi",
    "1/2 + erf({a}*z)/2",
    "1/2 + tanh({a}*z + {b})/2",
    "exp(-exp({b} - {a}*z))",
    "1 - exp(-exp({a}*z + {b}))",
    "1/2 + softsign({a}*z)/2",
    "{p}*sigmoid({a}*z) + (1 - {p})*(1/2 + atan({c}*z)/pi)",
    "{p}*sigmoid({a}*z) + (1 - {p})*sigmoid({c}*z + {b})",
    "where(z < {b}, sigmoid({a}*(z - {b})), sigmoid({c}*(z - {b})))",
    "where(z < 0, sigmoid({a}*z), 1/2 + softsign({c}*z)/2)",
    "where(z <= 0, sigmoid({a}*z), 1/2 + softsign({c}*z)/2)",
    "where({c}*z < -1/2, 0, where({c}*z < 1/2, {c}*z + 1/2, 1))",
    "where(z < 1, sigmoid({a}*(z - 1)), where(z < 1.001, 1/2 + {c}*(z - 1), 1/2 + {c}/1000 + softsign(z - 1.001)/100))",
    "sigmoid({a}*z + {c}*z*exp(z**2))",
    "sigmoid({a}*log(1 + {c}*abs(z))*sign(z))",
    "1/2 + {a}*z/(2*sqrt(1 + ({a}*z)**2))",
)


def generated(seed: int) -> str:
    """A formula; the first seeds go through all shapes."""
    rng = random.Random(f"formula-{seed}")
    word = lambda low, high: f"{10 ** rng.uniform(low, high):.3g}"  # noqa: E731
    parts = {"a": word(-1.5, 1.5), "b": f"({rng.uniform(-4, 4):.2g})", "c": word(-1, 1), "p": f"{rng.random():.2f}"}
    return SHAPES[seed % len(SHAPES)].format(**parts)
