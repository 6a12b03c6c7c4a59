"""The texts of a certificate: its formulas and constants, its digest, and when two constants are the same."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import sympy as sp

from gateflow.asymptotics.proofs import enclosures
from gateflow.errors import FormulaError
from gateflow.formula import parse, unparse
from gateflow.formula.functions import written_out
from gateflow.formula.powers import text_with_powers
from gateflow.formula.vocabulary import Expr, Z

FORMAT = 2
C, T = sp.symbols("c T", positive=True)
TAU, GAP, L, A = sp.symbols("tau gap l a", positive=True)
_PARAMETERS = {str(s): "positive" for s in (C, T, TAU, GAP, L)}


class Refuted(Exception):
    """The certificate says something that is not so."""


@dataclass(frozen=True)
class Check:
    """One thing looked at: what, how (digest, re-derived, proved, numeric), whether it held."""

    what: str
    how: str
    ok: bool | None
    detail: str = ""


def differ(a: Expr, b: Expr) -> bool:
    """Whether two constants are shown to differ."""
    if a.is_infinite or b.is_infinite:
        return a != b
    return enclosures.sign_of(a - b) != 0


MARK = sp.Rational(1, 3)
"""Where statements hold the value of phi, so that no other gate of which they are true can be put in its place."""

ENDS = (("left", -Z), ("right", Z))


def agree(value: Expr, claimed: Any) -> None:
    """A claimed value is right to 12 digits."""
    said = constant(claimed)
    if not same(value, said) and enclosures.sign_of(sp.Abs(value - said) - sp.Rational(1, 10**12) * sp.Abs(value)) >= 0:
        raise Refuted("the value at the witness is another")


def same(a: Expr, b: Expr) -> bool:
    """Whether two constants are shown to be the same."""
    if a == b:
        return True
    return bool(a.is_finite and b.is_finite) and not differ(a, b) and _is_zero(a - b)


def sign(c: Expr) -> int:
    """The sign of a constant, by enclosures, and by exact forms where it is 0.

    Raises
    ------
    Unproved
        Neither shows it.
    """
    side = enclosures.sign_of(c)
    if not side and not _is_zero(c):
        raise enclosures.Unproved(f"the sign of {c}")
    return side


def _is_zero(c: Expr) -> bool:
    return c == 0 or any(form(c) == 0 for form in _FORMS)


_FORMS: tuple[Callable[[Expr], Expr], ...] = (
    lambda c: sp.expand(sp.numer(sp.together(_in_exponentials(c)))),
    sp.simplify,
    lambda c: sp.minimal_polynomial(c, Z) - Z if c.is_algebraic and sp.count_ops(c) <= 60 else sp.S.One,
)
"""Ways to see that a constant is 0."""


def _in_exponentials(c: Expr) -> Expr:
    return written_out(c).replace(sp.acosh, lambda a: sp.log(a + sp.sqrt(a**2 - 1))).rewrite(sp.exp)


def formula(text: Any) -> Expr:
    """A formula of a certificate, in z and the letters c, T, tau, gap and l."""
    return parse(text, parameters=_PARAMETERS)


def constant(text: Any) -> Expr:
    """A limit: a constant, or ``oo`` or ``-oo``."""
    if text in ("oo", "-oo"):
        return sp.oo if text == "oo" else -sp.oo
    return parse(text, variables=(), parameters=_PARAMETERS)


@lru_cache(maxsize=4096)
def text_of(expr: Expr) -> str:
    """A formula readable by `gateflow.formula.parse`; ``oo`` and ``-oo`` stand for the infinities."""
    if expr in (sp.oo, -sp.oo):
        return str(expr)
    try:
        return unparse(expr)
    except FormulaError:  # digamma has no word in the formula language, nor has a number of very many digits
        return text_with_powers(expr)


def on_interval(floor: str) -> str:
    """The verdict on a gate of class F on (a, 1), with the floor a as a text.

    Examples
    --------
    >>> on_interval("0"), on_interval("exp(-5)")
    ('in F', 'in F on (exp(-5), 1)')
    """
    return "in F" if floor == "0" else f"in F on ({floor}, 1)"


def floor_of(verdict: Any) -> Expr:
    """The floor a that a verdict claims.

    Raises
    ------
    Refuted
        It is no such verdict, or its floor is not shown to be in [0, 1).
    """
    if verdict == on_interval("0"):
        return sp.S.Zero
    said = re.fullmatch(r"in F on \((.+), 1\)", verdict) if isinstance(verdict, str) else None
    if said is None:
        raise Refuted("the verdict must be in F, or in F on (a, 1)")
    floor = constant(said[1])
    if floor.free_symbols or enclosures.sign_of(floor) <= 0 or enclosures.sign_of(floor - 1) >= 0:
        raise Refuted("the floor is not shown to lie between 0 and 1")
    return floor


def digest_of(certificate: Mapping[str, Any]) -> str:
    """SHA-256 over all fields but the digest, as JSON with sorted keys and no blanks."""
    rest = {key: value for key, value in certificate.items() if key != "digest"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def require_fields(part: Any, wanted: set[str], where: str) -> None:
    if not isinstance(part, dict) or set(part) != wanted:
        raise Refuted(f"{where} must have exactly the fields {', '.join(sorted(wanted))}")
