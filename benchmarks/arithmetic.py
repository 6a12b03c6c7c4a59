"""Accuracy and speed of the double-double and float64 arithmetics: ``python benchmarks/arithmetic.py``.

The default tests ask the same questions at fewer points. Columns: the worst relative error of double-double as a power
of two, the worst error of the float64 arithmetic in ulps, and nanoseconds an element on 100,000 elements.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "arithmetic"))
from references import MP, arguments, reference

from gateflow.arithmetic import FUNCTIONS, doubledouble, float64


def worst_errors(name: str, points: int, rng: np.random.Generator) -> tuple[float, float]:
    """The largest log2 relative error of double-double and the largest error of float64 in ulps."""
    x = arguments(name, rng, points)
    lo = np.spacing(x) * rng.uniform(-0.5, 0.5, x.shape)
    y, plain = getattr(doubledouble, name)(doubledouble.DD(x, lo)), getattr(float64, name)(x)
    bits, ulps = -math.inf, 0.0
    for hi, low, found, rest, single in zip(x, lo, y.hi, y.lo, plain, strict=True):
        wanted = reference(name, hi, low)
        error = abs((MP.mpf(found) + MP.mpf(rest) - wanted) / wanted)
        bits = max(bits, float(MP.log(error, 2)) if error else bits)
        wanted = reference(name, hi)
        ulps = max(ulps, float(abs(MP.mpf(float(single)) - wanted) / np.spacing(abs(float(wanted)))))
    return bits, ulps


def nanoseconds(arithmetic: Any, name: str, size: int = 100_000) -> float:
    """The best of five runs, an element."""
    x = arithmetic.lift(np.random.default_rng(0).uniform(0.01, 0.99, size) + (name == "acosh"))
    function = getattr(arithmetic, name)
    function(x)
    runs = []
    for _ in range(5):
        start = time.perf_counter()
        function(x)
        runs.append(time.perf_counter() - start)
    return min(runs) / size * 1e9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--points", type=int, default=500, help="arguments in each range")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    print(f"{'function':10} {'dd error':>10} {'float64 ulps':>13} {'dd ns':>7} {'float64 ns':>11}")
    for name in FUNCTIONS:
        if name in ("abs", "sign"):
            continue
        bits, ulps = worst_errors(name, options.points, rng)
        dd, plain = nanoseconds(doubledouble, name), nanoseconds(float64, name)
        print(f"{name:10} {f'2^{bits:.1f}':>10} {ulps:13.2f} {dd:7.0f} {plain:11.1f}", flush=True)


if __name__ == "__main__":
    main()
