"""Short formulas that cost much: does every command end in time and within its memory?

    python -m benchmarks.bounded [--cases 20000] [--first 0] [--seed 0] > results/bounded.txt
    python -m benchmarks.bounded --journal bounded.jsonl    goes on where a run with this journal was stopped

Each case draws a formula of at most 300 parts: powers of powers, pieces within pieces, large constants, absurd
exponents, narrow dips, oscillations that run away, long sums and products. It goes through parse, show, check, order,
rate and time, with ``--seconds 3``; to end with an answer, or with one line that says why there is none, within 6
seconds and 1 GiB is right. Every case has a forked process of its own, of which the largest memory is read from the
system after each command; what takes thirty times too long is killed, and counted. The first command of a process
derives what the others share, so each is the first in its turn. Linux only.

Several runs may share the machine, each with its own ``--first``; then the seconds of the processor tell more than
those of the clock. Both are printed, and a call is over the limit where both are.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import random
import resource
import select
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gateflow.__main__ import prepare

SECONDS = 3.0
"""The time that each command is given, unless told otherwise."""
MOST_SECONDS = 6.0
MOST_MEMORY = 2**30
KILLED = 180.0
"""Seconds after which a command is killed."""
SPARE = 3 * 2**30
"""Bytes that a case may take beyond what its process has at first: past them it fails, and the machine does not."""

PROBLEM = ["--horizon", "10", "--gap", "0.01"]
COMMANDS: dict[str, Callable[[str], list[str]]] = {
    "show": lambda f: ["show", f],
    "check": lambda f: ["check", f, "--seconds"],
    "order": lambda f: ["order", f, "sigmoid", "--seconds"],
    "rate": lambda f: ["rate", f, "--seconds"],
    "time": lambda f: ["time", f, *PROBLEM],
}
"""Parse is measured apart: every command begins with it. What ends in ``--seconds`` is given the time."""


def arguments(command: str, text: str, seconds: float) -> list[str]:
    made = COMMANDS[command](text)
    return [*made, f"{seconds:g}"] if made[-1] == "--seconds" else made


# --- formulas ---------------------------------------------------------------------------------------------------------


def number(r: random.Random) -> str:
    """A constant: small, large, a fraction, with many digits, or absurd."""
    kinds = (
        lambda: str(r.randint(1, 9)),
        lambda: f"{r.uniform(0, 3):.2f}",
        lambda: str(10 ** r.randint(2, 9)),
        lambda: f"{r.randint(1, 99)}/{r.randint(2, 99)}",
        lambda: f"1e-{r.randint(1, 300)}",
        lambda: f"1e{r.randint(10, 900)}",
        lambda: "".join(r.choice("123456789") for _ in range(r.randint(20, 300))),
        lambda: r.choice(("pi", "e", "sqrt(2)", "log(3)", "exp(2)")),
    )
    return r.choices(kinds, weights=(9, 4, 3, 3, 2, 1, 1, 2))[0]()


UNARY = (
    *("exp", "log", "sinh", "cosh", "tanh", "asinh", "atan", "erf", "sin", "cos", "abs", "sqrt", "sigmoid", "softplus"),
)
RARE = ("tan", "acosh", "atanh", "erfc", "loggamma", "sign", "softsign", "logit")


def tree(r: random.Random, size: int) -> str:
    """A random formula of about this many parts."""
    if size <= 1:
        return r.choices(("z", number(r)), weights=(3, 1))[0]
    kind = r.random()
    if kind < 0.35:
        name = r.choice(UNARY if r.random() < 0.85 else RARE)
        return f"{name}({tree(r, size - 1)})"
    left = r.randint(1, size - 1)
    a, b = tree(r, left), tree(r, size - left)
    if kind < 0.85:
        return f"({a}{r.choice('++--**/')}{b})"
    if kind < 0.95:
        power = r.choice(("2", "3", "1/2", "-1", "5/3", "7", "40", "999", "1/7", "z"))
        return f"({tree(r, size - 1)})**({power})"
    return f"where({a} {r.choice(('<', '<=', '>', '==', '!='))} {tree(r, 2)}, {b}, {tree(r, 3)})"


def nested(r: random.Random, names: tuple[str, ...], depth: int, inner: str = "z") -> str:
    for _ in range(depth):
        inner = f"{r.choice(names)}({inner})"
    return inner


def dip(r: random.Random) -> str:
    width, at = 10 ** r.randint(0, 12), r.choice((0, 1, 3, 7.5, 1000, 10**6, 10**9))
    return f"z {r.choice('+-')} {number(r)}*exp(-{width}*(z-{at})**{r.choice((2, 4))})"


def cases_of(r: random.Random) -> str:
    """where in where, with conditions that are polynomials."""
    text = "z"
    for _ in range(r.randint(1, 12)):
        test = r.choice(("z", "z**2", "z**3 - z", "z**5 - z - 1", "abs(z) - z**2", "sinh(z)", f"z - {number(r)}"))
        text = f"where({test} < {number(r)}, {r.choice(('z', '2*z', 'z**3', 'sin(z)', number(r)))}, {text})"
    return text


def family(r: random.Random) -> dict[str, Callable[[], str]]:
    """Formulas of one kind each."""
    n = r.randint(2, 12)
    far = 10 ** r.randint(1, 9)
    return {
        "tree": lambda: tree(r, r.randint(3, 14)),
        "large tree": lambda: tree(r, r.randint(15, 70)),
        "tower": lambda: "**".join(["z", *(r.choice("23579z") for _ in range(r.randint(2, 5)))]),
        "powers of powers": lambda: "(" * n + "z" + "".join(f"**{r.choice(('2', '3', '9', '1/3'))})" for _ in range(n)),
        "large power": lambda: f"({tree(r, r.randint(4, 9))})**{r.choice((15, 40, 99, 1000, 9999))}",
        "sum of cases": lambda: " + ".join(f"where(z < {i}, z, {r.choice((i, number(r)))}*z)" for i in range(1, n + 3)),
        "product of cases": lambda: "*".join(f"where(z < {i}, z, {i}*z)" for i in range(1, n)),
        "nested cases": lambda: cases_of(r),
        "roots": lambda: " + ".join(f"abs(z)**(1/{i})" for i in r.sample(range(2, 30), min(n, 9))),
        "exponentials": lambda: nested(r, ("exp", "sinh", "cosh", "softplus", "exp"), r.randint(2, 20)),
        "logarithms": lambda: nested(r, ("log", "asinh", "sqrt", "atan"), r.randint(2, 12), "1 + z**2"),
        "wild sine": lambda: f"z + sin({nested(r, ('exp', 'sinh', 'cosh'), r.randint(1, 4))})/{number(r)}",
        "sines": lambda: "*".join(f"sin({i}*z + {number(r)})" for i in range(1, n + 8)),
        "sum of sines": lambda: "z + " + " + ".join(f"cos({number(r)}*z)/{i}" for i in range(1, n + 8)),
        "dip": lambda: dip(r),
        "shifted": lambda: f"log(1+exp(z-{far}))*2+z/{far}",
        "difference": lambda: f"exp({far}*z)-exp(-{far}*z)",
        "hidden zero": lambda: f"z+(sqrt(1+sinh(z)**2)-cosh(z))*exp(z**{n})",
        "gamma": lambda: f"loggamma({r.choice(('z**2 + 1', f'{far} + z**2', 'cosh(z)', 'exp(exp(z))'))}) - {number(r)}",
        "large constants": lambda: f"z*{number(r)}/{number(r)} + {number(r)}*tanh(z/{number(r)})**3",
        "hidden powers": lambda: f"z*log({n})*{number(r)} + {number(r)}*log({r.choice((3, '5/7', 'z**2 + 2'))})",
        "brackets": lambda: "1+(" * (3 * n) + "z" + ")*z" * (3 * n),
        "absolute values": lambda: "abs(" * n + "z" + f"-{number(r)})" * n,
        "polynomial in exp": lambda: " + ".join(f"{number(r)}*exp({i * r.randint(1, 9)}*z)" for i in range(1, n + 6)),
        "polynomial": lambda: " + ".join(f"{r.choice('123456789')}*z**{r.randint(1, 9 * n)}" for _ in range(n + 4)),
        "long sum": lambda: " + ".join(f"{r.choice(UNARY)}({i}*z)" for i in range(1, r.randint(10, 60))),
        "long product": lambda: "*".join(f"(z+{i})" for i in range(1, r.randint(8, 60))),
        "quotients": lambda: "1/(1+" * n + r.choice(("z**2", "exp(z)", "abs(z)")) + ")" * n,
        "root of polynomial": lambda: f"z + abs(z**{n}-z-{number(r)})/(2+z**{2 * n})/10",
    }


def formula(n: int, seed: int) -> tuple[str, str]:
    """The kind and the text of one case, as phi itself or as the profile of one."""
    r = random.Random(f"{seed}-{n}")
    kinds = family(r)
    kind = r.choice(tuple(kinds))
    text = kinds[kind]()
    shape = r.choices(("sigmoid({})", "{}", "1/2 + atan({})/pi", "(1+tanh({}))/2"), weights=(14, 3, 1, 2))[0]
    return kind, shape.format(text)[:2000]


# --- one case, in a process of its own --------------------------------------------------------------------------------


def largest_memory() -> int:
    """The most memory that this process has held since `forget_largest`, in bytes."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def forget_largest() -> None:
    Path("/proc/self/clear_refs").write_text("5")


def limit_memory() -> None:
    """Let this process have `SPARE` more bytes of addresses than it has."""
    with open("/proc/self/statm") as file:
        now = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (now + SPARE, resource.RLIM_INFINITY))


def measured(work: Callable[[], str]) -> dict[str, Any]:
    forget_largest()
    wall, processor = time.monotonic(), time.process_time()
    said = work()
    wall, processor = time.monotonic() - wall, time.process_time() - processor
    return {"said": said, "wall": wall, "processor": processor, "memory": largest_memory()}


def parsed(text: str) -> str:
    from gateflow.errors import FormulaError
    from gateflow.formula import parse

    try:
        parse(text)
    except FormulaError as refusal:
        return f"refused: {str(refusal)[:60]}"
    return "answer"


def ran(arguments: list[str]) -> str:
    """What a command came to: an answer, undecided, a refusal in one line, or a fault."""
    from gateflow.cli import main

    out, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(errors):
        code = main(arguments)
    said = errors.getvalue().splitlines()
    if code == 0:
        return "answer"
    if code in (2, 3):
        lines = [line for line in said if not line.startswith("    ")]
        if len(lines) == 1:
            return f"one line: {said[0][:110]}"
        return "undecided" if out.getvalue() else f"fault: {said[:3]}"
    return f"fault: {said[:1]}"


def one_case(text: str, commands: Sequence[str], seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each command with what it took; the caller has forked."""
    yield "parse", measured(lambda: parsed(text))
    for name in commands:
        yield name, measured(lambda n=name: ran(arguments(n, text, seconds)))


def in_own_process(text: str, commands: Sequence[str], seconds: float) -> dict[str, dict[str, Any]]:
    """The measurements of one formula; a command that is killed is found as such."""
    inward, outward = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(inward)
        limit_memory()
        with os.fdopen(outward, "w") as pipe:
            for name, found in one_case(text, commands, seconds):
                pipe.write(json.dumps([name, found]) + "\n")
                pipe.flush()
        os._exit(0)
    os.close(outward)
    found: dict[str, dict[str, Any]] = {}
    with os.fdopen(inward, "rb", buffering=0) as pipe:
        rest, names = b"", ["parse", *commands]
        while True:
            ready = select.select([pipe], [], [], KILLED)[0]
            if not ready:
                os.kill(child, signal.SIGKILL)
            data = pipe.read(65536) if ready else b""
            if not data:
                break
            *lines, rest = (rest + data).split(b"\n")
            found.update(json.loads(line) for line in lines)
    usage = os.wait4(child, 0)[2]
    lost = next((name for name in names if name not in found), None)
    if lost is not None:
        spent = {"wall": KILLED, "processor": usage.ru_utime + usage.ru_stime, "memory": usage.ru_maxrss * 1024}
        found[lost] = {"said": "fault: killed, or died", **spent}
    return found


def cases(numbers: Sequence[int], options: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """What each case gave, those in the journal first; those that are new go there."""
    journal, seed = options.journal, options.seed
    lines = journal.read_text(encoding="utf-8").splitlines(keepends=True) if journal and journal.exists() else []
    known = {
        one["case"]: one
        for one in map(json.loads, (line for line in lines if line.endswith("\n")))
        if one["seed"] == seed
    }
    yield from (known[n] for n in numbers if n in known)
    left = [n for n in numbers if n not in known]
    start = time.monotonic()
    for done, n in enumerate(left):
        kind, text = formula(n, seed)
        turn = n // (options.one_in or 1) % len(COMMANDS)
        commands = [*COMMANDS][turn:] + [*COMMANDS][:turn]
        if options.one_in:
            commands = [] if n % options.one_in else commands[:1]
        found = in_own_process(text, commands, options.seconds) if commands else dict(one_case(text, [], 0.0))
        one = {"case": n, "seed": seed, "kind": kind, "text": text, "found": found}
        if journal:
            with journal.open("a", encoding="utf-8") as file:
                file.write(json.dumps(one) + "\n")
        spent = time.monotonic() - start
        eta = spent / (done + 1) * (len(left) - done - 1)
        print(f"\r{done + 1}/{len(left)} cases, {eta / 60:.0f} min left ", end="", file=sys.stderr, flush=True)
        yield one
    print(file=sys.stderr)


# --- the print --------------------------------------------------------------------------------------------------------


def over(found: dict[str, Any]) -> str:
    """What is wrong with a measurement; empty where nothing is."""
    if found["said"].startswith("fault"):
        return found["said"]
    if min(found["wall"], found["processor"]) > MOST_SECONDS:
        return f"{found['wall']:.1f} s, {found['processor']:.1f} s of the processor"
    if found["memory"] > MOST_MEMORY:
        return f"{found['memory'] / 2**20:.0f} MiB"
    return ""


def summary(found: list[tuple[dict[str, Any], str, dict[str, Any]]]) -> Iterator[str]:
    """One line a command: how many ended how, and the worst."""
    for command in ("parse", *COMMANDS):
        rows = [(one, f) for one, name, f in found if name == command]
        if not rows:
            continue
        said = Counter(f["said"].partition(":")[0] for _, f in rows)
        walls, processors, memories = (max(f[key] for _, f in rows) for key in ("wall", "processor", "memory"))
        yield (
            f"{command}: {len(rows)} calls; {', '.join(f'{k} {v}' for k, v in sorted(said.items()))}; worst "
            f"{walls:.1f} s, {processors:.1f} s of the processor, {memories / 2**20:.0f} MiB"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--only", type=int, nargs="+", help="these numbers, as those that failed before")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--journal", type=Path)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--one-in", type=int, help="one command, by turns, for one formula in so many; all are parsed")
    options = parser.parse_args()
    prepare()
    for command in COMMANDS:  # the imports, which no case is to pay
        ran(arguments(command, "sigmoid(z**3)", SECONDS))
    rows, wrong, count = [], 0, 0
    for one in cases(options.only or range(options.first, options.first + options.cases), options):
        count += 1
        for name, found in one["found"].items():
            rows.append((one, name, found))
            if said := over(found):
                wrong += 1
                print(f"case {one['case']}, {name}, {one['kind']}: {said}: {one['text'][:300]}", flush=True)
    print(f"{count} formulas, seed {options.seed}: {wrong} calls over {MOST_SECONDS:g} s or 1 GiB, or without a line")
    print(*summary(rows), sep="\n")
    print(f"{sum(found['processor'] for _, _, found in rows):.0f} seconds of the processor in all")
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
