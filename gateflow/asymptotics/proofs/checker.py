"""Certificates re-checked: nothing here imports what searched (`limits`, `signs` and the verdicts).

A certificate is plain JSON: the statement with the gates as formulas, germs (what -log(1 - phi) comes to for large z),
the chain of limits that proves the statement, and a digest. `verify` goes through it as a reader would:

1. *Digest.* SHA-256 over everything else, as JSON with sorted keys and no blanks: any altered field shows. This alone
   protects what carries no mathematics (``made``: versions, seconds, the gates' display names). A digest can be
   computed anew, so the rest does not lean on it.
2. *Re-derived.* From the statement alone, `outline` and `witnesses` say which limit must come next, and what expression
   it is of; the certificate's step must say the same, no step may be missing or left over, and the verdict, threshold,
   exponent and ratio that follow from the limits must be those claimed.
3. *Proved.* Each limit is found anew by `mrv`, another algorithm than the search's. Where it cannot, the certificate
   is reported as *open*, neither verified nor refuted.
4. *Numeric.* Each expression is evaluated in big floats at several z so large that f is 10, 100, ... 1e256 (digits are
   raised until two evaluations agree). Convergence may be as slow as 1/log z, so the test is of the trend: the error
   must fall along the last points or be within a hundredth, or an infinite limit grow on the right side. This proves
   nothing; it is there to catch a wrong step in 2 and 3 that went the same way in both. Where nothing can be evaluated,
   or the numbers do not go to a limit that is proved, the certificate is open: some turn to it past all points only.

A certificate that a gate is *not* in class F holds a witness instead of a chain: a point where phi is smooth and its
slope negative, two points with one value, a value outside (0, 1), limits other than 0 and 1, a point at which phi is
not its own limit or its difference quotients have two limits, or two phases at which phi'' has opposite signs for
ever. It is enclosed, or its limits and signs are proved, anew.

A certificate that a gate *is* in class F claims three limits, ``phi(-oo) = 0`` (or a floor a in (0, 1), which its
verdict says: ``in F on (a, 1)``), ``phi(oo) = 1`` and that of ``z phi''/phi'``, which is negative: so phi' decreases
for all large z. That phi is differentiable and increases on the whole line is proved by `halflines`, box by box between
the points where its branches change, at which its parts must meet; and so is that phi' decreases beyond the claimed z0.
Where the boxes come to a stop on the way to infinity the certificate is *open*: points, however many, prove nothing.

A certificate of a ranking holds as its chain the certificates of the orders it rests on: of neighbours in a class,
which are equal, and of the first gates of neighbouring classes. The rest follows, as the order is transitive.

There are no certificates of incomparable gates, nor of orders decided between the bounds of an oscillating profile.

What is proved, then, is the statement, given the theorems of docs/theory.md as `outline` and `witnesses` write them,
the correctness of `mrv` and `enclosures`, and SymPy's algebra. With the search the checker has in common the outlines
of an order and of a rate (which limits to take, and what follows), the parser and SymPy; no limit, sign or bound of
the search is used. A limit that the search finds wrongly is found again by another algorithm. A wrong line in an
outline would mislead both; tests hold the outline against the definition of the order, in big floats.
"""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sympy as sp

from gateflow.asymptotics.proofs.mrv import Gruntz, Unproved
from gateflow.asymptotics.proofs.numbers import (
    enclosed_trend,
    far_points,
    numbers_text,
    same_formula,
    stable_number,
    trend,
)
from gateflow.asymptotics.proofs.outline import Prover, decide_order, prove_germ, prove_rate
from gateflow.asymptotics.proofs.statements import (
    FORMAT,
    Check,
    Refuted,
    constant,
    differ,
    digest_of,
    formula,
    require_fields,
    same,
    sign,
)
from gateflow.asymptotics.proofs.witnesses import check_membership, prove_membership, prove_refutation
from gateflow.errors import GateflowError, InvalidArgument, cut, shown
from gateflow.files import one_line, read_json
from gateflow.formula.vocabulary import Expr, Z
from gateflow.guards import bounded
from gateflow.notebook.cards import counts, facts, folded, framed, listed
from gateflow.results.byvalue import by_value


@by_value
@dataclass(frozen=True)
class Verification:
    """The outcome of `verify`.

    Attributes
    ----------
    status : str
        ``verified``; ``refuted``: some check failed; ``open``: nothing failed, but a limit could not be proved anew, or
        its numbers do not show it.
    statement : str
    checks : list of Check
    """

    status: str
    statement: str
    checks: list[Check] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """Whether every check held."""
        return self.status == "verified"

    @property
    def reason(self) -> str:
        """The first check that failed, or that was left open."""
        for wanted in (False, None):
            for check in self.checks:
                if check.ok is wanted:
                    return f"{check.how}: {check.what}" + (f" ({check.detail})" if check.detail else "")
        return ""

    def to_json(self) -> dict[str, Any]:
        """The outcome as plain data."""
        return {
            "status": self.status,
            "statement": self.statement,
            "reason": self.reason,
            "checks": [vars(check) for check in self.checks],
        }

    def __repr__(self) -> str:
        return f"<Verification {cut(str(self))}; {len(self.checks)} checks>"

    def __str__(self) -> str:
        return f"{self.status}: {self.statement}" + (f"; {self.reason}" if self.reason else "")

    def _repr_html_(self) -> str:
        words = {True: "held", False: "failed", None: "open"}
        rows = [[words[check.ok], check.how, check.what, check.detail] for check in self.checks]
        counted = facts([("checks", counts([words[check.ok] for check in self.checks])), ("note", self.reason)])
        table = folded("one by one", listed(("outcome", "how", "what", "detail"), rows))
        return framed(f"{self.status}: {self.statement}", counted, table)


def ranking_pairs(classes: list[list[str]]) -> Iterator[tuple[str, str, str]]:
    """phi, psi and verdict of each order that a ranking rests on; classes from the lowest up."""
    for members in classes:
        yield from ((phi, psi, "equal") for phi, psi in itertools.pairwise(members))
    yield from ((upper[0], lower[0], "higher") for lower, upper in itertools.pairwise(classes))


def check_ranking(certificate: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """Each order of a ranking, by its own certificate, up to one that is refuted."""
    classes, parts = certificate["statement"]["classes"], certificate["chain"]
    if not all(classes):
        raise Refuted("a class is empty")
    pairs = list(ranking_pairs(classes))
    if not pairs or len(pairs) != len(parts):
        raise Refuted(f"the ranking rests on {len(pairs)} orders, and {len(parts)} are certified")
    for (phi, psi, verdict), part in zip(pairs, parts, strict=True):
        said = part["statement"]
        if (said["kind"], said["phi"], said["psi"], said["verdict"]) != ("order", phi, psi, verdict):
            raise Refuted(f"the next order must be {phi} against {psi}: {verdict}")
    end = time.monotonic() + seconds
    for part in parts:
        found = verify(part, max(end - time.monotonic(), 0.0))
        yield Check(found.statement, "proved", {"verified": True, "refuted": False}.get(found.status), found.reason)
        if found.status == "refuted":
            return


class ClaimedChain:
    """Answers the questions of `outline` with what a certificate claims: each must be its next step."""

    sign = staticmethod(sign)

    def __init__(self, chain: list[Any]) -> None:
        self.chain = list(chain)
        self.read: list[tuple[str, Expr, Expr]] = []

    def ask(self, name: str, sentence: str, expr: Expr) -> Expr:
        """The limit that the certificate claims, once the step is found to be the right one."""
        place = len(self.read)
        if place == len(self.chain):
            raise Refuted(f"the chain ends before: {sentence}")
        step = self.chain[place]
        require_fields(step, {"name", "statement", "expr", "limit"}, f"step {place + 1}")
        if (step["name"], step["statement"]) != (name, sentence):
            raise Refuted(f"step {place + 1} must be: {sentence}")
        if not same_formula(step["expr"], expr):
            raise Refuted(f"step {place + 1}: the expression is not that of: {sentence}")
        self.read.append((sentence, expr, constant(step["limit"])))
        return self.read[-1][2]

    def finish(self) -> list[tuple[str, Expr, Expr]]:
        """The claims read; nothing may be left over."""
        if len(self.read) != len(self.chain):
            raise Refuted(f"the chain has {len(self.chain) - len(self.read)} steps too many")
        return self.read


def _prove(sentence: str, expr: Expr, limit: Expr, limits: Gruntz) -> Check:
    try:
        found = limits.limit(expr)
    except Unproved as why:
        return Check(sentence, "proved", None, str(why))
    if same(found, limit):
        return Check(sentence, "proved", True, str(found))
    parameters = (found - limit).free_symbols if found.is_finite and limit.is_finite else set()
    if not parameters and not differ(found, limit):
        return Check(sentence, "proved", None, f"whether {found} is {limit}")
    return Check(sentence, "proved", False, f"the limit is {found}, not {limit}")


def _evaluate(sentence: str, expr: Expr, limit: Expr, germs: list[Expr]) -> Check:
    """The last three numbers on a ladder go to the limit; one ladder may be too short to show it, not all."""
    seen: list[tuple[bool | None, str]] = []
    for ladder in far_points(sp.log(Z)) if sentence.startswith("the power of") else far_points(*germs):
        found = (stable_number(expr, point) for point in reversed(ladder))
        values = list(itertools.islice((v for v in found if v is not None), 3))[::-1]
        seen.append((trend(values, limit), numbers_text(values)))
        if seen[-1][0]:
            break
    ok, shown = min(seen, key=lambda one: (not one[0], one[0] is None))
    if ok is None and limit.is_finite:
        ok, shown = enclosed_trend(expr, limit)
    if ok is None:
        return Check(sentence, "numeric", None, "out of reach of big floats")
    return Check(sentence, "numeric", ok, shown if ok else f"the numbers {shown} do not go to {limit}")


_STATEMENT = {
    "refutation": {"kind", "gate", "value", "clause", "witness"},
    "membership": {"kind", "gate", "verdict", "value", "z0", "slope"},
    "ranking": {"kind", "classes"},
    "order": {"kind", "phi", "psi", "verdict", "threshold", "exponent", "ratio", "convex", "swapped"},
    "rate": {
        "kind",
        "gate",
        "tail",
        "rate",
        "next_order",
        "implicit",
        "distance",
        "slope",
        "h",
        "kappa",
        "logarithms",
        "hitting_time",
    },
}


def verify(source: str | Path | Mapping[str, Any], seconds: float = 60.0) -> Verification:
    """Check a certificate: its digest, that each step is the one the statement asks for, and each limit anew.

    Parameters
    ----------
    source : path or dict
    seconds : float
        Time for the proofs; what is not proved by then leaves the outcome *open*.

    Raises
    ------
    InvalidArgument
        The file cannot be read, or is not JSON.

    Examples
    --------
    >>> from gateflow.asymptotics.certificates import certificate
    >>> from gateflow.gates.gate import gate
    >>> proof = certificate(gate("fast"), gate("sigmoid"))
    >>> print(verify(proof))
    verified: sigmoid(sinh(z)) against sigmoid(z): higher
    >>> proof["statement"]["verdict"] = "lower"
    >>> verify(proof).status
    'refuted'
    """
    if not isinstance(source, (str, Path, Mapping)):
        raise InvalidArgument(f"a certificate is a file or what was read from one; got {shown(source)}")
    seconds = bounded.checked(seconds)
    certificate = source if isinstance(source, Mapping) else _read(Path(source))
    checks: list[Check] = []
    sentence = "no statement"
    try:
        require_fields(certificate, {"format", "statement", "germs", "chain", "made", "digest"}, "a certificate")
        sentence = _sentence(certificate["statement"])
        same = certificate["digest"] == digest_of(certificate)
        checks.append(Check("the fields are those that were written", "digest", same))
        bounded.call(
            lambda: checks.extend(_check_mathematics(certificate, seconds)), seconds + 1, error=Unproved, asked=seconds
        )
    except Unproved as why:
        checks.append(Check(f"not proved here: {why}", "proved", None))
    except Refuted as why:
        checks.append(Check(str(why), "re-derived", False))
    except (GateflowError, KeyError, TypeError, ValueError, AttributeError) as why:
        checks.append(Check(f"the certificate is malformed: {why}", "re-derived", False))
    held = [check.ok for check in checks]
    status = "refuted" if False in held else "open" if None in held else "verified"
    return Verification(status, sentence, checks)


def _check_mathematics(certificate: Mapping[str, Any], seconds: float) -> Iterator[Check]:
    """The checks of the mathematics, one after the other; the latter are left out where one has failed."""
    germs, claims = _read_claims(certificate)
    yield Check("each step is the one that the statement asks for", "re-derived", True)
    limits, failed = Gruntz(seconds), False
    for claim in claims:
        proof, numbers = _prove(*claim, limits), _evaluate(*claim, germs)
        if proof.ok and numbers.ok is False:
            numbers = dataclasses.replace(numbers, ok=None)
        for check in (proof, numbers):
            failed = failed or check.ok is False
            yield check
    if certificate["statement"]["kind"] == "ranking":
        yield from check_ranking(certificate, seconds)
    if certificate["statement"]["kind"] == "membership" and not failed:
        yield from check_membership(certificate["statement"], seconds)


def _read(path: Path) -> dict[str, Any]:
    with one_line("read", path, form="certificate"):
        return read_json(path)


def _sentence(statement: Any) -> str:
    if not isinstance(statement, dict) or statement.get("kind") not in _STATEMENT:
        raise Refuted("the statement must be of a known kind: " + ", ".join(_STATEMENT))
    require_fields(statement, _STATEMENT[statement["kind"]], "the statement")
    if statement["kind"] == "order":
        return f"{statement['phi']} against {statement['psi']}: {statement['verdict']}"
    if statement["kind"] == "refutation":
        return f"{statement['gate']} is not in class F: {statement['clause']} fails"
    if statement["kind"] == "ranking":
        return " < ".join(" = ".join(members) for members in statement["classes"])
    if statement["kind"] == "membership":
        beyond = "" if statement["z0"] is None else f", with z0 = {statement['z0']}"
        return f"{statement['gate']} is {str(statement['verdict']).replace('in F', 'in class F', 1)}{beyond}"
    return f"{statement['gate']}, {statement['tail']} end: l ~ {statement['rate'] or 'the implicit pair'}"


_GERMS: dict[str, set[str]] = {
    "order": {"f", "g"},
    "rate": {"f"},
    "refutation": set(),
    "membership": set(),
    "ranking": set(),
}


def _read_claims(certificate: Mapping[str, Any]) -> tuple[list[Expr], list[tuple[str, Expr, Expr]]]:
    """The germs, and each limit that is claimed, once the chain is found to be the one that the statement needs."""
    if certificate["format"] != FORMAT or certificate["format"] is True:
        raise Refuted(f"only format {FORMAT} is read: have the certificate written anew")
    statement, germs = certificate["statement"], certificate["germs"]
    require_fields(germs, _GERMS[statement["kind"]], "the germs")
    read = [formula(germs[letter]) for letter in sorted(germs)]
    if statement["kind"] == "ranking":  # its chain is of certificates
        return [Z], []
    claimed = ClaimedChain(certificate["chain"])
    if statement["kind"] == "refutation":
        prove_refutation(statement, claimed)
    elif statement["kind"] == "membership":
        prove_membership(statement, claimed)
    elif statement["kind"] == "order":
        check_order(statement, read[0], read[1], claimed)
    else:
        if statement["tail"] not in ("right", "left"):
            raise Refuted("the tail must be right or left")
        if type(statement["logarithms"]) is not int or statement["logarithms"] < 0:
            raise Refuted("logarithms must be a whole number")
        require_fields(statement["implicit"], {"s", "l"}, "the implicit form")
        prove_rate(statement, read[0], claimed)
    return read or [Z], claimed.finish()


def check_order(statement: Mapping[str, Any], f: Expr, g: Expr, prover: Prover) -> None:
    """That the limits which ``prover`` answers give what the statement says of two gates."""
    prove_germ("f", formula(statement["phi"]), f, prover)
    prove_germ("g", formula(statement["psi"]), g, prover)
    if type(statement["swapped"]) is not bool:
        raise Refuted("swapped must be true or false")
    found = decide_order(g, f, prover).swapped() if statement["swapped"] else decide_order(f, g, prover)
    if found.verdict != statement["verdict"]:
        raise Refuted(f"the limits say {found.verdict}, not {statement['verdict']}")
    for name in ("threshold", "exponent", "ratio"):
        claimed, limit = None if statement[name] is None else constant(statement[name]), getattr(found, name)
        if (claimed is None) != (limit is None) or (claimed is not None and not same(claimed, limit)):
            raise Refuted(f"the limits give {name} {limit}, not {statement[name]}")
    if statement["convex"] is not found.convex:
        right = {True: "true", False: "false", None: "null"}[found.convex]
        raise Refuted(f"convex must be {right}: true where the order is strict, and null where it is equal")
