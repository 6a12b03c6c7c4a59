"""Random gates against big floats: does any verdict of `order` contradict what the numbers do at huge z?

    python benchmarks/order_fuzz.py 10000

Profiles are drawn from a grammar of increasing germs; f and g are compared far out, for rescalings a on both sides of
the threshold. Numbers such as exp(exp(exp(1e300))) are held by the logarithm of their logarithm, so nothing overflows;
a comparison that cancels past the working digits is counted as "not seen", never as agreement.
"""

from __future__ import annotations

import argparse
import random
import time
from collections import Counter
from dataclasses import dataclass
from functools import reduce
from typing import Any

import mpmath
import sympy as sp

from gateflow.asymptotics.order import Order, order_of_germs
from gateflow.formula.vocabulary import Z

mp = mpmath.mp
DIGITS = 700
PLAIN = 10**6  # the logarithm of a number held as a big float is below this


class Unseen(Exception):
    """The difference lies past the working digits."""


@dataclass(frozen=True)
class Huge:
    """``sign * exp(log)`` where log is itself large: a big float or a `Huge`."""

    sign: int
    log: Any


def log_abs(x):
    return x.log if isinstance(x, Huge) else mp.log(abs(x))


def sign_of(x):
    return x.sign if isinstance(x, Huge) else int(mp.sign(x))


def exponential(log, sign=1):
    if isinstance(log, Huge) or abs(log) > PLAIN:
        return Huge(sign, log)
    return sign * mp.exp(log)


def negated(x):
    return Huge(-x.sign, x.log) if isinstance(x, Huge) else -x


def add(x, y):
    """x + y; raises `Unseen` where it cancels past the working digits."""
    if sign_of(x) == 0 or sign_of(y) == 0:
        return y if sign_of(x) == 0 else x
    if not isinstance(x, Huge) and not isinstance(y, Huge):
        total = x + y
        if abs(total) < max(abs(x), abs(y)) * mp.mpf(10) ** (-DIGITS // 2):
            raise Unseen
        return total
    gap = add(log_abs(x), negated(log_abs(y)))
    if sign_of(gap) < 0:
        x, y, gap = y, x, negated(gap)
    if isinstance(gap, Huge) or gap > PLAIN:
        return x
    ratio = mp.exp(-gap) * sign_of(x) * sign_of(y)
    return exponential(add_small(log_abs(x), mp.log1p(ratio)), sign_of(x))


def add_small(x, y):
    return x if isinstance(x, Huge) or y == 0 else x + y


def times(x, y):
    if not isinstance(x, Huge) and not isinstance(y, Huge):
        product = x * y
        return (
            product if product == 0 or abs(mp.log(abs(product))) < PLAIN else Huge(sign_of(product), log_abs(product))
        )
    if sign_of(x) == 0 or sign_of(y) == 0:
        return mp.mpf(0)
    return exponential(add(log_abs(x), log_abs(y)), sign_of(x) * sign_of(y))


def power(x, p):
    if sign_of(x) <= 0:
        raise Unseen
    return exponential(times(log_abs(x), p))


def value(expr, point):
    """The expression, increasing and positive, at a big float."""
    if expr == Z:
        return point
    if expr.is_number:
        return mp.mpf(expr.p) / expr.q if expr.is_Rational else mp.mpf(str(expr.evalf(DIGITS)))
    if expr.is_Add or expr.is_Mul:
        return reduce(add if expr.is_Add else times, [value(a, point) for a in expr.args])
    if expr.is_Pow:
        return power(value(expr.base, point), value(expr.exp, point))
    x = value(expr.args[0], point)
    if isinstance(expr, sp.Abs):
        return x
    if isinstance(expr, sp.exp):
        return exponential(x)
    if isinstance(expr, sp.log):
        return log_abs(x)
    if isinstance(expr, sp.sinh):
        return times(exponential(x), mp.mpf(1) / 2 if isinstance(x, Huge) or x > PLAIN else -mp.expm1(-2 * x) / 2)
    if isinstance(expr, sp.asinh):
        return add(log_abs(x), mp.log(2)) if isinstance(x, Huge) else mp.asinh(x)
    raise NotImplementedError(expr)


# --- the grammar ------------------------------------------------------------------------------------------------------

R = sp.Rational


def germ(rng, depth):
    """A germ that increases to infinity."""
    if depth == 0:
        return rng.choice(
            [Z, Z, rng.choice([R(1, 2), 2, 3]) * Z, Z ** rng.choice([2, 3, R(1, 2), R(3, 2)]), sp.log(1 + Z)]
        )
    kind = rng.choice(["sum", "sum", "product", "power", "log", "exp", "sinh", "asinh", "compose", "leaf"])
    inner = germ(rng, depth - 1)
    if kind == "sum":
        return inner + rng.choice([1, 1, 2, R(1, 3)]) * germ(rng, depth - 1)
    if kind == "product":
        return inner * germ(rng, depth - 1)
    if kind == "power":
        return inner ** rng.choice([2, R(1, 2), R(4, 3)])
    if kind == "compose":
        return germ(rng, depth - 1).xreplace({Z: inner})
    shapes = {"log": lambda x: sp.log(1 + x), "exp": sp.exp, "sinh": sp.sinh, "asinh": sp.asinh}
    return shapes[kind](inner) if kind in shapes and height(inner) < 3 else inner


def height(expr):
    below = max((height(a) for a in expr.args), default=0)
    return below + isinstance(expr, sp.exp | sp.sinh)


def pair(rng):
    """Two germs; every other time close relatives, since those are the hard ones."""
    f = germ(rng, rng.choice([1, 2, 2, 3]))
    if rng.random() < 0.5:
        return f, germ(rng, rng.choice([1, 2, 2, 3]))
    g = f.xreplace({Z: rng.choice([2, R(1, 3)]) * Z}) if rng.random() < 0.5 else f
    return (f, g + germ(rng, 1)) if rng.random() < 0.5 else (f, g * (1 + 1 / Z) + rng.choice([0, 1, sp.log(1 + Z)]))


# --- the check --------------------------------------------------------------------------------------------------------


def contradicts(f, g, found: Order, exponent):
    """Whether the numbers at ``z = 10**exponent`` contradict the verdict; raises `Unseen` where they do not show it."""
    z = mp.mpf(10) ** exponent

    def log_ratio(a):
        return add(value(g.xreplace({Z: a * Z}), z), negated(value(f, z)))

    if found.verdict == "equal" and found.threshold is None:
        seen = log_ratio(1)
        return isinstance(seen, Huge) or abs(seen - value(sp.log(found.ratio), z)) > mp.mpf(1) / 10
    threshold = R(1) if found.threshold is None else sp.Rational(str(found.threshold.evalf(30)))
    below = found.verdict in ("higher", "equal") and sign_of(log_ratio(threshold / 2)) > 0
    above = found.verdict in ("lower", "equal") and sign_of(log_ratio(threshold * 2)) < 0
    return below or above


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pairs", type=int, nargs="?", default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    rng, counts, seconds = random.Random(options.seed), Counter(), 0.0
    mp.dps = DIGITS
    for _ in range(options.pairs):
        f, g = pair(rng)
        start = time.process_time()
        found = order_of_germs(f, g)
        seconds += time.process_time() - start
        counts[found.verdict] += 1
        if found.verdict == "undecided":
            print(f"undecided: {f} | {g}: {found.reason}")
            continue
        try:
            wrong = [contradicts(f, g, found, e) for e in (300, 3000)]
        except (Unseen, NotImplementedError):
            counts["not seen"] += 1
            continue
        if all(wrong):
            counts["CONTRADICTION"] += 1
            print(f"contradiction: {f} | {g}: {found}")
        elif wrong[1]:
            counts["late"] += 1
    verdicts = ", ".join(f"{verdict} {counts[verdict]}" for verdict in ("higher", "equal", "lower", "undecided"))
    print(f"{verdicts}; {100 * counts['undecided'] / options.pairs:.2f} % undecided")
    print(f"contradictions {counts['CONTRADICTION']}; {counts['not seen']} pairs differ past the digits")
    print(f"{1000 * seconds / options.pairs:.2f} ms of CPU a pair")


if __name__ == "__main__":
    main()
