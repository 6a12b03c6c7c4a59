"""Forged certificates, digests computed anew, so that only the mathematics can refuse them: is any false one verified?

    python benchmarks/forgeries.py 300 --out results/forgeries.txt

Two sorts of forgery: one field of a true certificate is altered; or a false statement is put into a certificate in
which all hangs together, its chain answered as the statement needs it. A forgery that is verified is a fault unless its
statement is true: the same facts as before in other words, by big floats, or a z0 further out than one that holds.
"""

from __future__ import annotations

import argparse
import contextlib
import copy
import itertools
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from gateflow.asymptotics.certificates import (
    certificate,
    membership_certificate,
    ranking_certificate,
    rate_certificate,
    seal,
)
from gateflow.asymptotics.proofs import checker, outline, statements, witnesses
from gateflow.asymptotics.proofs.checker import verify
from gateflow.asymptotics.proofs.mrv import Unproved
from gateflow.asymptotics.proofs.statements import digest_of
from gateflow.errors import GateflowError
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Z, derivative, logit, sigmoid, softplus, softsign
from gateflow.gates.gate import gate

Certificate = dict[str, Any]


class Forgery(NamedTuple):
    """A certificate, what was done to it, and the true one it is compared with (None: the statement is false)."""

    kind: str
    told: str
    certificate: Certificate
    true: Certificate | None


# --- what is true, by hand --------------------------------------------------------------------------------------------

ORDERS = [
    ("sigmoid(sinh(z))", "sigmoid(z)"),
    ("sigmoid(z**3)", "sigmoid(z)"),
    ("sigmoid(2*z)", "sigmoid(z)"),
    ("1/2 + atan(z)/pi", "(1 + softsign(z))/2"),
    ("sigmoid(z)", "sigmoid(z**3 + z)"),
]
MEMBERS = {
    "sigmoid(z)": 0.0,
    "sigmoid(sinh(z))": 0.949,
    "sigmoid(z**3)": 1.0695,
    "(1 + erf(z))/2": 0.0,
    "sigmoid(z)**2": 0.6931,
    "sigmoid(z + abs(z - 1)*(z - 1))": 1.38,
    "where(z < 2, sigmoid(z), where(z == 2, 1 - sigmoid(-2), sigmoid(z)))": 0.0,
}
"""Gates in class F, with a number below which phi'' > 0 somewhere near (0: nowhere)."""

OUTSIDE = [
    "sigmoid(z**3 - z)",
    "sigmoid(z + 0.9*sin(z))",
    "0.05 + 0.9*sigmoid(z)",
    "sigmoid(z + 1 - sign(z)**2)",
    "sigmoid(z + abs(z)/2)",
    "sigmoid(where(z**3 + z < 3, z, 4*z))",
    "where(z < -1, 0, where(z > 1, 1, (1 + z)/2))",
    "tanh(z)",
]
"""Not in class F: they fall, bend for ever, keep away from 0 and 1, jump, have a kink, are flat, are negative."""

RATES = [("sigmoid(z)", "right"), ("sigmoid(sinh(z))", "right"), ("(1 + softsign(z))/2", "left")]
RANKED = ["sigmoid(sinh(z))", "sigmoid(z)", "sigmoid(2*z)", "(1 + softsign(z))/2"]

NEAR_MEMBERS = [
    "sign(z)**2*sigmoid(z)",
    "where(z == 0, 7, sigmoid(z))",
    "where(z == 0, 1/2 + 10**-30, sigmoid(z))",
    "where(z == 1, 1/2, sigmoid(z))",
    "sigmoid(z)*abs(sign(z))",
    "sigmoid(z + 1 - sign(z)**2)",
    "sigmoid(z + 10**-30*sign(z))",
    "sigmoid(z + 10**-30*abs(z))",
    "sigmoid(z + 10**-9*abs(z - 3))",
    "(1 - 10**-20)*sigmoid(z)",
    "10**-25 + (1 - 10**-25)*sigmoid(z)",
    "sigmoid(z**3 - 10**-30*z)",
    "sigmoid(z**3 - 3*z**2 + (3 - 10**-20)*z)",
    "sigmoid(z - 12/10*exp(-(z - 30)**2))",
    "sigmoid(z - 12/1000*exp(-((z - 3)*100)**2))",
    "sigmoid(z - 1/z)",
    "sigmoid(z + (z - 2)/(z - 3)/10**6)",
    "sigmoid(z**2)",
    "sigmoid(-z)",
    "sigmoid(z + 9/10*sin(z))",
    "tanh(z)",
    "sigmoid(where(z < 0, z, 2*z))",
    "sigmoid(where(z < 0, z, z + 1))",
    "sigmoid(where(z < 1, z, where(z < 2, 1, z - 1)))",
    "sigmoid(z + loggamma(sqrt(1 + z**2)/10**5))",
    "sigmoid(z + tan(z)/10**9)",
    "sigmoid(sign(z)*abs(z)**(9/10))",
    "sigmoid(z + 10**-9*abs(z - sqrt(2)))",
    "sigmoid(where(z < 3, z, z + 10**-30))",
    "where(z == sqrt(2), 1/2, sigmoid(z))",
    "where(z**3 == 2, 1/2, sigmoid(z))",
    "where((z - 1)**2 > 0, sigmoid(z), 1/3)",
    "where(abs(z) <= 1, where(z == 1, 1/2, sigmoid(z)), sigmoid(z))",
    "sigmoid(z + abs(abs(z) - 1)/9)",
    "sigmoid(z + 10**-40*(1 - sign(z - 1/3)**2))",
    "(10**30*acosh(1 + 10**-60) - 1)*0 + sigmoid((1 - 10**30*acosh(1 + 10**-60))*z)",
]
"""Not in class F, some by very little."""

BUMP = "sigmoid(z + tanh(10*(z - 20))/20)"
"""In class F, but phi'' > 0 near 19.95."""

REWRITTEN = [
    "sigmoid(z)",
    "where(z == 0, 1/2 - z, sigmoid(z))",
    "where(z == sqrt(2), sigmoid(2*sqrt(2) - z), sigmoid(z))",
]
"""The sigmoid, in pieces whose formal derivatives are wrong at one point."""


@cache
def order_of(phi: str, psi: str) -> Certificate:
    """The true order; made once, and never changed."""
    return certificate(gate(phi), gate(psi))


@cache
def rate_of(name: str, tail: str) -> Certificate:
    """The true rate, likewise."""
    return rate_certificate(gate(name), tail)


@cache
def ranking_of(*names: str) -> Certificate:
    """The true ranking, likewise."""
    return ranking_certificate([gate(name) for name in names])


def true_certificates() -> Iterator[tuple[str, Certificate]]:
    """One of each kind and statement."""
    for phi, psi in ORDERS:
        yield "order", order_of(phi, psi)
    for name, tail in RATES:
        yield "rate", rate_of(name, tail)
    for name in MEMBERS:
        yield "membership", membership_certificate(gate(name))
    for name in OUTSIDE:
        yield "refutation", membership_certificate(gate(name))
    yield "ranking", ranking_of(*RANKED)


# --- one field altered ------------------------------------------------------------------------------------------------


def leaves(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(data, dict | list) and data:
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from leaves(data[key], (*path, key))
    else:
        yield path


def near(value: Any) -> list[Any]:
    """Other values in place of a leaf."""
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    if value is None or isinstance(value, dict | list):
        return ["1", {"f": "z"}]
    words = {"higher": "lower", "lower": "equal", "equal": "higher", "oo": "-oo", "right": "left", "left": "right"}
    scaled = [words[value]] if value in words else [f"({value})*(1 + 10**-6)", f"2*({value})", f"{value} + 10**-9"]
    return [*scaled, "0", "1"]


def altered(rng: random.Random, kind: str, true: Certificate) -> Forgery:
    """One leaf that carries mathematics, changed."""
    forged = copy.deepcopy(true)
    path = rng.choice(
        [p for p in leaves(true) if p[0] not in ("made", "digest", "format") and "digest" not in p and "made" not in p]
    )
    place = forged
    for key in path[:-1]:
        place = place[key]
    before = place[path[-1]]
    place[path[-1]] = rng.choice([value for value in near(before) if value != before])
    for part in forged["chain"] if kind == "ranking" else []:
        part["digest"] = digest_of(part)
    told = f"{'.'.join(map(str, path))}: {before} -> {place[path[-1]]}"
    return Forgery(kind, told, resealed(forged), true)


def resealed(certificate: Certificate) -> Certificate:
    return {**certificate, "digest": digest_of(certificate)}


# --- false statements in which all hangs together ---------------------------------------------------------------------


class Obliging:
    """A prover that answers each question as the forger needs it, and notes the chain."""

    sign = staticmethod(statements.sign)

    def __init__(self, answers: Callable[[str], str]) -> None:
        self.answers, self.chain = answers, []

    def ask(self, name: str, sentence: str, expr: Any) -> Any:
        limit = self.answers(name)
        self.chain.append({"name": name, "statement": sentence, "expr": unparse(expr), "limit": limit})
        return constant(limit)


constant = lru_cache(maxsize=64)(statements.constant)


def member(text: str, z0: str | None) -> Certificate:
    """A claim that a gate is in class F."""
    phi = statements.formula(text)
    slope = None if z0 is None else str(witnesses.slope_at(phi, sp.Rational(z0)).evalf(20))
    value = str(phi.subs(Z, statements.MARK).evalf(20))
    statement = {"kind": "membership", "gate": text, "verdict": "in F", "value": value, "z0": z0, "slope": slope}
    obliging = Obliging({"left end": "0", "right end": "1", "bend": "-oo"}.__getitem__)
    witnesses.prove_membership(statement, obliging)
    return seal(statement, {}, obliging.chain, {})


def outsider(text: str, clause: str, witness: dict[str, str]) -> Certificate:
    """A claim that a gate is not in class F."""
    value = str(statements.formula(text).subs(Z, statements.MARK).evalf(20))
    statement = {"kind": "refutation", "gate": text, "value": value, "clause": clause, "witness": witness}
    known = {"left end": "left", "right end": "right", "from the left": "left", "from the right": "right"}
    obliging = Obliging(lambda name: witness[known[name]])
    with contextlib.suppress(statements.Refuted):  # the checker may see it before any limit is asked for
        witnesses.prove_refutation(statement, obliging)
    return seal(statement, {}, obliging.chain, {})


Maker = Callable[[], Forgery]
"""Makes a forgery when it is wanted: some take a while."""


def false_members() -> Iterator[Maker]:
    claims = [(text, z0) for text in NEAR_MEMBERS for z0 in (None, "0", "50")]
    claims += [
        (text, str(sp.Rational(repr(round(least * part, 4)))))
        for text, least in MEMBERS.items()
        if least
        for part in (0.5, 0.9, 0.99)
    ]
    claims += [(BUMP, z0) for z0 in ("1", "10", "15", "19", "399/20")]
    for text, z0 in claims:
        yield lambda text=text, z0=z0: Forgery("membership", f"{text} with z0 = {z0}", member(text, z0), None)


def false_outsiders() -> Iterator[Maker]:
    for text in [*REWRITTEN, *MEMBERS, "sigmoid(z*abs(z) + z)", "sigmoid(z + z*abs(z)**3)"]:
        phi = statements.formula(text)
        for clause, witness in false_witnesses(phi):
            told = f"{text}: {clause}, {witness}"
            yield lambda text=text, clause=clause, witness=witness, told=told: Forgery(
                "refutation", told, outsider(text, clause, witness), None
            )


def false_witnesses(phi: Any) -> Iterator[tuple[str, dict[str, str]]]:
    """Clauses with witnesses that break none of them, as phi is in class F."""
    for z in ("0", "sqrt(2)", "-3"):
        at = str(phi.subs(Z, statements.constant(z)).evalf(20))
        slope = str(derivative(phi).subs(Z, statements.constant(z)).evalf(20))
        yield from (("increasing", {"kind": "slope", "z": z, "value": value}) for value in (slope, "-1"))
        yield "onto", {"kind": "value", "z": z, "value": at}
        for kind, left, right in (("jump", "1/3", "1/2"), ("jump", at, at), ("kink", "oo", "oo"), ("kink", "0", "1/4")):
            yield "differentiable", {"kind": kind, "z": z, "at": at, "left": left, "right": right}
    for low, high in (("-1", "1"), ("-2", "-1"), ("1", "2"), ("1/10**20", "1")):
        yield "differentiable", {"kind": "break", "from": low, "to": high}
    yield "increasing", {"kind": "flat", "from": "2", "to": "3", "phi": str(phi.subs(Z, 2).evalf(20))}
    for left, right in (("0", "99/100"), ("1/10**20", "1"), ("1", "1"), ("0", "1")):
        yield "onto", {"kind": "limits", "left": left, "right": right}


def false_order(statement: dict[str, Any], true: Certificate, known: dict[str, str]) -> Forgery:
    """The statement, with the answers that lead to it."""
    f, g = (statements.formula(true["germs"][letter]) for letter in "fg")
    obliging = Obliging(lambda name: known.get(name) or ("oo" if "infinite" in name else "1"))
    checker.check_order(statement, f, g, obliging)
    told = ", ".join(str(statement[key]) for key in ("phi", "psi", "verdict", "threshold", "exponent", "ratio"))
    return Forgery("order", told, seal(statement, true["germs"], obliging.chain, {}), true)


def false_orders() -> Iterator[Maker]:
    """Every verdict that some answers to the questions lead to."""
    for phi, psi in ORDERS:
        true = order_of(phi, psi)
        for facts, known in decisions():
            said = {"kind": "order", "phi": phi, "psi": psi, **facts}
            yield lambda said=said, true=true, known=known: false_order(said, true, known)


@cache
def decisions() -> list[tuple[dict[str, Any], dict[str, str]]]:
    """What any answers lead to, each once, with the first answers that do; of no gates in particular."""
    choices = {
        "p": ("oo", "0", "1", "2"),
        "gap": ("oo", "-oo", "0", "1"),
        "rho": ("0", "1", "3"),
        "gamma": ("0", "oo", "1", "2", "1/2"),
        "shift": ("0", "1", "oo", "-oo"),
    }
    told = {}
    for swap, *values in itertools.product((False, True), *choices.values()):
        known = dict(zip(choices, values, strict=True))
        found = outline.decide_order(Z, Z, Obliging(known.__getitem__))
        found = found.swapped() if swap else found
        facts: dict[str, Any] = {"verdict": found.verdict, "swapped": swap}
        for key in ("threshold", "exponent", "ratio"):
            claimed = getattr(found, key)
            facts[key] = None if claimed is None else unparse(claimed)
        facts["convex"] = found.convex
        told.setdefault(str(facts), (facts, known))
    return list(told.values())


def false_rates() -> Iterator[Maker]:
    """Each fact of a rate, off by a little or by much."""
    for name, tail in RATES:
        true = rate_of(name, tail)
        for key in ("rate", "distance", "slope", "h", "hitting_time", "kappa", "next_order"):
            for change in ("({})*(1 + 10**-6)", "2*({})", "({})**2"):
                if true["statement"][key] is not None:
                    yield lambda true=true, key=key, change=change: false_rate(true, key, change)


def false_rate(true: Certificate, key: str, change: str) -> Forgery:
    """One fact changed, and the limits answered as before."""
    statement = {**true["statement"], key: change.format(true["statement"][key])}
    answers = {step["name"]: step["limit"] for step in true["chain"]} | {"kappa": statement["kappa"]}
    obliging = Obliging(answers.__getitem__)
    outline.prove_rate(statement, statements.formula(true["germs"]["f"]), obliging)
    told = f"{statement['gate']}, {statement['tail']}: {key} {statement[key]}"
    return Forgery("rate", told, seal(statement, true["germs"], obliging.chain, {}), true)


def false_rankings() -> Iterator[Maker]:
    """Classes in another order, with the orders of a true ranking; and false orders as rankings of two."""
    true = ranking_of(*RANKED)
    classes, parts = true["statement"]["classes"], true["chain"]
    for order in itertools.permutations(range(len(classes))):
        said = {"kind": "ranking", "classes": [classes[i] for i in order]}
        for chain in (parts, parts[::-1], parts[:-1], parts + parts[-1:]):
            yield lambda said=said, chain=chain: Forgery("ranking", str(said), seal(said, {}, chain, {}), true)
    merged = {"kind": "ranking", "classes": [[name for members in classes for name in members]]}
    yield lambda: Forgery("ranking", "one class", seal(merged, {}, parts, {}), true)
    for maker in false_orders():
        yield lambda maker=maker: ranking_of_two(maker())


def ranking_of_two(order: Forgery) -> Forgery:
    """A ranking that rests on one false order."""
    said = order.certificate["statement"]
    pair = [[said["psi"]], [said["phi"]]] if said["verdict"] == "higher" else [[said["phi"], said["psi"]]]
    whole = seal({"kind": "ranking", "classes": pair}, {}, [order.certificate], {})
    agrees = order.true is not None and said["verdict"] == order.true["statement"]["verdict"]
    return Forgery("ranking", f"of {order.told}", whole, whole if agrees else None)


# --- truth ------------------------------------------------------------------------------------------------------------


def number(text: Any, z: Any = None) -> Any:
    """A formula's value in 50 digits, by mpmath; letters have fixed values."""
    if text in ("oo", "-oo"):
        return mpmath.mpf(text.replace("oo", "inf"))
    expr = statements.formula(text)
    for node in (sigmoid, softplus, softsign, logit):
        expr = expr.replace(node, node.written_out)
    letters = sorted(expr.free_symbols, key=str)
    with mpmath.workdps(50):
        return sp.lambdify(letters, expr, "mpmath")(
            *(mpmath.mpf(z or 3) + i / mpmath.mpf(7) for i, _ in enumerate(letters))
        )


def same(a: Any, b: Any) -> bool:
    """Whether two fields say the same, to 30 digits."""
    if a == b:
        return True
    if not isinstance(a, str) or not isinstance(b, str):
        return False
    try:
        pairs = [(number(a, z), number(b, z)) for z in (3, mpmath.mpf(17) / 3)]
        return all(x == y or abs(x - y) <= abs(y) * mpmath.mpf(10) ** -30 for x, y in pairs)
    except (GateflowError, ValueError, TypeError, ZeroDivisionError, OverflowError):
        return False


def stays_true(forgery: Forgery) -> bool:
    """Whether the forged statement is true all the same, decided without the checker."""
    said = forgery.certificate["statement"]
    if forgery.true is None:
        return False
    known = forgery.true["statement"]
    if said.get("kind") != known["kind"]:
        return False
    if said["kind"] == "membership":
        further = said["z0"] is None or number(said["z0"]) >= number(known["z0"])
        return same(said["gate"], known["gate"]) and said["verdict"] == "in F" and further
    if said["kind"] == "refutation":
        return same(said["gate"], known["gate"]) and said["clause"] == known["clause"]
    if said["kind"] == "ranking":
        return [sorted(members) for members in said["classes"]] == [sorted(members) for members in known["classes"]]
    return all(_facts_agree(said[key], known[key]) for key in known if key not in ("swapped",))


def _facts_agree(a: Any, b: Any) -> bool:
    if isinstance(b, dict):
        return isinstance(a, dict) and all(same(a.get(key), b[key]) for key in b)
    return same(a, b)


def forgeries(count: int, seed: int = 1) -> Iterator[Forgery]:
    """``count`` of them, of every kind; about two in five have one field altered."""
    rng = random.Random(seed)
    true = list(true_certificates())
    made = {"membership": false_members, "refutation": false_outsiders, "order": false_orders}
    made |= {"rate": false_rates, "ranking": false_rankings}
    makers = {kind: rng.sample(all_of, len(all_of)) for kind, all_of in ((k, list(f())) for k, f in made.items())}
    for i in range(count):
        kind = list(makers)[i % len(makers)]
        forgery = None
        while i // len(makers) % 5 > 1 and makers[kind] and forgery is None:
            try:
                forgery = makers[kind].pop()()
            except (statements.Refuted, Unproved, GateflowError, KeyError, TypeError):
                continue  # the walk itself refuses it: it cannot even be written
        yield forgery or altered(rng, *rng.choice([one for one in true if one[0] == kind]))


def outcome(forgery: Forgery, seconds: float = 20.0) -> str:
    """refuted, open, true (verified, rightly) or ACCEPTED."""
    try:
        status = verify(forgery.certificate, seconds).status
    except GateflowError:
        return "refuted"
    if status != "verified":
        return status
    return "true" if stays_true(forgery) else "ACCEPTED"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("count", type=int, nargs="?", default=300)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    rows, start = [], time.monotonic()
    for done, forgery in enumerate(forgeries(options.count, options.seed), 1):
        rows.append((forgery, outcome(forgery)))
        rest = (time.monotonic() - start) / done * (options.count - done)
        print(f"\r{done}/{options.count}, {rest / 60:.1f} min left ", end="", file=sys.stderr, flush=True)
    print(file=sys.stderr)
    words = ("refuted", "open", "true", "ACCEPTED")
    counts = Counter(said for _, said in rows)
    lines = [f"$ python benchmarks/forgeries.py {options.count} --seed {options.seed}"]
    lines.append(
        f"{len(rows)} forgeries: {counts['ACCEPTED']} accepted, {counts['refuted']} refuted, {counts['open']} left open"
    )
    lines += [
        f"{counts['true']} verified whose statement stays true",
        "",
        f"{'kind':<14}" + "".join(f"{word:>10}" for word in words),
    ]
    for kind in ("order", "rate", "membership", "refutation", "ranking"):
        own = Counter(said for forgery, said in rows if forgery.kind == kind)
        lines.append(f"{kind:<14}" + "".join(f"{own[word]:>10}" for word in words))
    for word in ("ACCEPTED", "true", "open"):
        some = [forgery.told for forgery, said in rows if said == word]
        lines += ["", f"{word}:"] * bool(some) + [f"  {told[:110]}" for told in some]
    text = "\n".join(lines) + "\n"
    print(text)
    if options.out:
        options.out.write_text(text)


if __name__ == "__main__":
    main()
