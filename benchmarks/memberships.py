"""Gates that are in class F, or are not, by the way they are made: does `membership` ever say otherwise?

    python benchmarks/memberships.py 2000 --out results/memberships.txt

Each family makes gates of which the answer is known before anything is asked: a dip of a known depth, a jump of a known
size, a value at a break that is moved by a known amount, a limit that is off, a discriminant of a known sign. What has
been asked is kept beside the output until all is done, so a run that was stopped goes on where it was; each answer is
kept with the commit it was asked of, and the head of the report counts them.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import multiprocessing
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from gateflow.asymptotics.membership import membership
from gateflow.gates.gate import Gate
from gateflow.record import source


class Case(NamedTuple):
    """A gate, whether it is in class F, the family it comes from, and whether it has a floor, as a mixture with 1."""

    text: str
    member: bool
    family: str

    @property
    def has_floor(self) -> bool:
        """Whether it is made as a gate of class F that is lifted off 0 and goes to 1 still."""
        return self.family == "limits" and "*(1 - (" in self.text


Draw = random.Random

PROFILES = ["{z}", "2*{z}", "{z} + {z}**3", "sinh({z})", "{z} + tanh({z})/2", "asinh({z})", "{z} + atan({z})"]
"""Profiles that increase and whose gates are in class F."""

GATES = [
    *(f"sigmoid({profile})" for profile in PROFILES),
    "(1 + erf({z}))/2",
    "1/2 + atan({z})/pi",
    "(1 + tanh({z}))/2",
    "exp(-exp(-({z})))",
]


def tiny(rng: Draw) -> str:
    """A positive number down to 1e-30."""
    return f"{rng.choice([1, 2, 3, 7])}*10**-{rng.randint(1, 30)}"


def place(rng: Draw) -> str:
    """A rational point, near 0 or far from it."""
    return rng.choice(["0", "1", "-1", "1/3", "-5/2", "7/2", "12", "-30", "100", "2/7", str(rng.randint(-9, 9))])


def rough_place(rng: Draw) -> str:
    """A point that may not be rational."""
    return rng.choice([place(rng), "sqrt(2)", "-sqrt(3)/2", "pi", "log(2)", "exp(1)", "2**(1/3)", "-pi/3"])


def gate(rng: Draw) -> str:
    """A gate of class F, perhaps shifted and rescaled."""
    scale, shift = rng.choice(["", "", "2*", "1/3*"]), rng.choice(["", "", " + 1", " - 2/3"])
    return rng.choice(GATES).replace("{z}", f"({scale}z{shift})")


def profile(rng: Draw) -> str:
    return rng.choice(PROFILES).replace("{z}", "z")


def plain(rng: Draw) -> tuple[str, bool]:
    return gate(rng), True


def falling(rng: Draw) -> tuple[str, bool]:
    return f"1 - ({gate(rng)})", False


def limits(rng: Draw) -> tuple[str, bool]:
    """A gate moved off 0 or off 1."""
    d, g = tiny(rng), gate(rng)
    return rng.choice([f"(1 - {d})*({g})", f"({g}) + {d}*(1 - ({g}))", f"(1 + {d})*({g})", f"({g}) - {d}"]), False


def value_at_break(rng: Draw) -> tuple[str, bool]:
    """The value at one point, right or moved."""
    c, g = rough_place(rng), gate(rng)
    there = g.replace("z", f"({c})")
    moved = rng.random() < 0.6
    value = f"{there} + {rng.choice(['', '-'])}{tiny(rng)}" if moved else there
    shape = rng.choice(
        [
            "where(z == {c}, {v}, {g})",
            "where(z != {c}, {g}, {v})",
            "where(z < {c}, {g}, where(z > {c}, {g}, {v}))",
            "({g}) + (1 - sign(z - ({c}))**2)*(({v}) - ({g}))",
            "where(abs(z - ({c})) <= 0, {v}, {g})",
        ]
    )
    return shape.format(c=c, g=g, v=value), not moved


def value_at_root(rng: Draw) -> tuple[str, bool]:
    """Another value where an equation holds."""
    equation = rng.choice(
        ["z**3 == 2", "cosh(z) == 2", "erf(z) == 1/2", "exp(z) == 3", "z**5 - z - 1 == 0", "abs(z) == 3"]
    )
    return f"where({equation}, {rng.choice(['1/2', '0', '1/7', '5'])}, {gate(rng)})", False


def jump(rng: Draw) -> tuple[str, bool]:
    c, d = rough_place(rng), rng.choice([tiny(rng), "1", "1/2"])
    shape = rng.choice(
        [
            "sigmoid({p} + {d}*sign(z - ({c})))",
            "sigmoid(where(z < {c}, {p}, {p} + {d}))",
            "sigmoid(where(z <= {c}, {p}, {p} - {d}))",
        ]
    )
    return shape.format(p=profile(rng), d=d, c=c), False


def kink(rng: Draw) -> tuple[str, bool]:
    """A slope that jumps; the same square is smooth."""
    c, d, p = rough_place(rng), rng.choice([tiny(rng), "1/2"]), profile(rng)
    if rng.random() < 0.5:
        return f"sigmoid({p} + {d}*abs(z - ({c})))", False
    return f"sigmoid({p} + {d}*(z - ({c}))*abs(z - ({c})))", True


def smooth_join(rng: Draw) -> tuple[str, bool]:
    """Two formulas that meet with one value; with one slope or not."""
    c, k = place(rng), rng.choice(["1", "1/4", "3"])
    power = rng.choice([1, 2, 3])
    return f"sigmoid(where(z < {c}, z, z + {k}*(z - ({c}))**{power}))", power > 1


def equal_branches(rng: Draw) -> tuple[str, bool]:
    """Branches that can never be taken, or are written twice."""
    c, g = rough_place(rng), gate(rng)
    shape = rng.choice(
        [
            "where(z < {c}, {g}, where(z < {c}, 5, {g}))",
            "where(z < {c}, where(z < {c}, {g}, 7), {g})",
            "where(z >= {c}, {g}, where(z > {c}, 0, {g}))",
            "where(z**2 < -1, 0, {g})",
        ]
    )
    return shape.format(c=c, g=g), True


def dip(rng: Draw) -> tuple[str, bool]:
    """``z - A exp(-((z - c)/w)^2)`` falls where ``A sqrt(2/e) > w``."""
    w = rng.choice(["1", "1/10", "1/1000", "10", "10**-6", "1000", "3"])
    ratio = rng.choice([0.3, 0.7, 0.9, 0.99, 1.01, 1.1, 2.0, 10.0])
    height = round(ratio * math.sqrt(math.e / 2), 6)
    sign = rng.choice(["+", "-"])
    return f"sigmoid(z {sign} {height}*({w})*exp(-((z - ({place(rng)}))/({w}))**2))", ratio < 1


def step(rng: Draw) -> tuple[str, bool]:
    """``z + k w tanh((z - c)/w)`` falls where k < -1, and stands still in one point where k = -1."""
    k = rng.choice(["-2", "-11/10", "-1", "-99/100", "-1/2", "3"])
    w = rng.choice(["1", "1/10", "1/1000", "10", "10**-6"])
    return f"sigmoid(z + ({k})*({w})*tanh((z - ({place(rng)}))/({w})))", k not in ("-2", "-11/10")


def cubic(rng: Draw) -> tuple[str, bool]:
    """The sign of a discriminant: ``(z - c)^3 + d z`` falls somewhere for d < 0."""
    c, d = rng.choice([1, 2, -3, 10]), rng.choice([tiny(rng), f"-{tiny(rng)}", "0"])
    text = f"z**3 - {3 * c}*z**2 + ({3 * c * c} + {d})*z".replace("- -", "+ ")
    return f"sigmoid({text})", not d.startswith("-")


def even_power(rng: Draw) -> tuple[str, bool]:
    n = rng.randint(1, 9)
    return f"sigmoid((z - ({place(rng)}))**{n})", n % 2 == 1


def root_power(rng: Draw) -> tuple[str, bool]:
    """``sign(z) |z|^p`` has a vertical tangent for p < 1."""
    p, c = rng.choice(["1/2", "2/3", "9/10", "3/2", "5/4", "2", "7/3"]), place(rng)
    return f"sigmoid(sign(z - ({c}))*abs(z - ({c}))**({p}))", p not in ("1/2", "2/3", "9/10")


def oscillating(rng: Draw) -> tuple[str, bool]:
    """``z + k sin z``: phi'' has the sign of ``-k sin t - (1 + k cos t)^2`` for large z, and must keep it."""
    k = rng.choice([0.1, 0.3, 0.5, 0.9, 1.5, -0.2, -0.5, -0.95])
    most = max(-k * math.sin(t) - (1 + k * math.cos(t)) ** 2 for t in (2 * math.pi * i / 5000 for i in range(5000)))
    assert abs(most) > 0.02
    return f"sigmoid(z + ({k})*sin(z))", abs(k) < 1 and most < 0


def pole(rng: Draw) -> tuple[str, bool]:
    c = place(rng)
    return rng.choice(
        [f"sigmoid(z - 1/(z - ({c})))", f"sigmoid(z + log(abs(z - ({c}))))", f"sigmoid(log(z - ({c})))"]
    ), False


def plateau(rng: Draw) -> tuple[str, bool]:
    """Flat on an interval: with corners, and with none."""
    c, w = rng.randint(-5, 5), rng.choice(["1", "10**-9", "1/3", "50"])
    if rng.random() < 0.5:
        return f"sigmoid(where(z < {c}, z, where(z < {c} + {w}, {c}, z - {w})))", False
    return f"sigmoid(where(z < {c}, -(z - ({c}))**2, where(z < {c} + {w}, 0, (z - ({c}) - {w})**2)))", False


def removable(rng: Draw) -> tuple[str, bool]:
    """A hole that is filled, by its limit or by another value; the sine's quotient has a slope below 0.44."""
    c, right = place(rng), rng.random() < 0.5
    value = "1" if right else f"1 + {tiny(rng)}"
    return f"sigmoid(z + z**3 + where(z == {c}, {value}, sin(z - ({c}))/(z - ({c})))/4)", right


def identity(rng: Draw) -> tuple[str, bool]:
    """One, written at length, and perhaps moved."""
    one = rng.choice(
        [
            "(sin(1)**2 + cos(1)**2)",
            "(4*(4*atan(1/5) - atan(1/239))/pi)",
            "(log(2 + sqrt(3))/acosh(2))",
            "(sigmoid(1) + sigmoid(-1))",
            "(cosh(2)**2 - sinh(2)**2)",
            "(erf(1) + erfc(1))",
            "((sqrt(2) + sqrt(3))/sqrt(5 + 2*sqrt(6)))",
        ]
    )
    moved = rng.random() < 0.4
    return f"{one}*({gate(rng)})" if not moved else f"({one} - {tiny(rng)})*({gate(rng)})", not moved


def bump_on_phi(rng: Draw) -> tuple[str, bool]:
    """``sigmoid(z) + d w exp(-((z - c)/w)^2)``: the slopes are at most 1/4 and ``d sqrt(2/e)`` in size."""
    c, w = rng.randint(-6, 6), rng.choice([1.0, 0.1, 0.001])
    least = math.exp(-abs(c) - 8 * w) / (1 + math.exp(-abs(c) - 8 * w)) ** 2
    small = rng.random() < 0.5
    d = 0.4 * least if small else 0.6
    return f"sigmoid(z) + {d:.9f}*{w}*exp(-((z - ({c}))/{w})**2)", small


def mixture(rng: Draw) -> tuple[str, bool]:
    """Two gates, mixed: their slopes fall beyond the larger z0."""
    share = rng.choice(["1/2", "1/3", "10**-20", "9/10"])
    pair = rng.sample(["sigmoid(z)", "sigmoid(2*z - 1)", "(1 + erf(z))/2", "1/2 + atan(z)/pi", "sigmoid(z + z**3)"], 2)
    return f"{share}*({pair[0]}) + (1 - {share})*({pair[1]})", True


FAMILIES: dict[str, Callable[[Draw], tuple[str, bool]]] = {
    f.__name__: f
    for f in (
        *(plain, falling, limits, value_at_break, value_at_root, jump, kink, smooth_join, equal_branches, dip, step),
        *(cubic, even_power, root_power, oscillating, pole, plateau, removable, identity, bump_on_phi, mixture),
    )
}


def cases(count: int, seed: int = 1) -> Iterator[Case]:
    """The first ``count`` gates, all different, one family after the other."""
    rng, names, seen = random.Random(seed), itertools.cycle(FAMILIES), set()
    for name in names:
        case = Case(*FAMILIES[name](rng), name)
        if case.text not in seen:
            seen.add(case.text)
            yield case
        if len(seen) == count:
            return


def asked(case: Case, seconds: float = 20.0) -> dict[str, Any]:
    """What `membership` says of it."""
    start = time.process_time()
    try:
        verdict = membership(Gate(case.text), seconds).verdict
    except Exception as problem:  # any exception is a fault, and is counted as one
        verdict = f"{type(problem).__name__}: {problem}"
    spent = round(time.process_time() - start, 2)
    told = {"verdict": verdict, "seconds": spent, "commit": source()[:9] + source()[40:]}
    return {**case._asdict(), "floor": case.has_floor, **told}


def outcome(row: dict[str, Any]) -> str:
    """right, wrong, undecided or error."""
    said = "in F on" if row["verdict"].startswith("in F on (") else row["verdict"]
    if said not in ("in F", "in F on", "not in F"):
        return said if said == "undecided" else "error"
    return "right" if said == ("in F" if row["member"] else "in F on" if row["floor"] else "not in F") else "wrong"


def report(rows: list[dict[str, Any]]) -> str:
    counts = Counter(map(outcome, rows))
    said = ", ".join(f"{counts[word]} {word}" for word in ("right", "wrong", "undecided", "error"))
    commits = Counter(row["commit"] for row in rows)
    lines = [f"{len(rows)} memberships known by construction: {said}"]
    lines += [", ".join(f"{count} asked of {commit}" for commit, count in commits.items()), ""]
    lines.append(
        f"{'family':<16}{'gates':>6}{'right':>7}{'wrong':>7}{'undecided':>11}{'error':>7}{'CPU s':>9}{'most':>9}"
    )
    for family in FAMILIES:
        own = [row for row in rows if row["family"] == family]
        c, spent = Counter(map(outcome, own)), [row["seconds"] for row in own] or [0.0]
        numbers = f"{len(own):>6}{c['right']:>7}{c['wrong']:>7}{c['undecided']:>11}{c['error']:>7}"
        lines.append(f"{family:<16}{numbers}{sum(spent) / len(spent):>9.2f}{max(spent):>9.2f}")
    for word in ("wrong", "error", "undecided"):
        some = [row for row in rows if outcome(row) == word]
        lines += ["", f"{word}:"] * bool(some) + [f"  {row['text']}   ({row['verdict']})" for row in some[:40]]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=200)
    parser.add_argument("--skip", type=int, default=0, help="of the first so many nothing is asked")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=20.0, help="allowed for each, by the clock on the wall")
    parser.add_argument("--out", type=Path, help="where the report goes; beside it, what a stopped run goes on from")
    options = parser.parse_args()
    wanted = list(cases(options.count, options.seed))[options.skip :]
    kept = options.out.with_suffix(".jsonl") if options.out else None
    lines = kept.read_text().splitlines() if kept and kept.exists() else []
    known = {row["text"]: row for row in map(json.loads, lines)}
    rows = list(known.values())
    left, start = [case for case in wanted if case.text not in known], time.monotonic()
    with multiprocessing.Pool(options.jobs) as pool:
        for done, row in enumerate(pool.imap_unordered(partial(asked, seconds=options.seconds), left), 1):
            rows.append(row)
            if kept:
                with kept.open("a") as file:
                    file.write(json.dumps(row) + "\n")
            rest = (time.monotonic() - start) / done * (len(left) - done)
            print(f"\r{done}/{len(left)}, {rest / 60:.1f} min left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    asked_for = f"{options.count} --skip {options.skip} --seed {options.seed} --seconds {options.seconds:g}"
    text = f"$ python benchmarks/memberships.py {asked_for}\n" + report(rows)
    print(text)
    if options.out and kept:
        options.out.write_text(text)
        kept.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
