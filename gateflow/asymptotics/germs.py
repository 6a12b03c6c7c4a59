"""The germ ``-log(1 - phi)`` of a gate, as a formula in z for large z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sympy as sp

from gateflow.arithmetic.enclosed import sign_of
from gateflow.asymptotics.limits import plain as plainly
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Chain, Field
from gateflow.asymptotics.signs.smoothness import without_hidden_zeros
from gateflow.formula.vocabulary import FUNCTIONS, Expr, Z, softplus
from gateflow.notebook.cards import code, folded, listed
from gateflow.notebook.html import Html


def plain_germ(germ: Expr, field: Field) -> Expr:
    """The germ without abs, sign and where; ``softplus(u)`` gives way to u, as the difference tends to 0."""
    plain = field.resolve(germ)
    return plain.args[0] if isinstance(plain, softplus) else plain


def simplify_germ(letter: str, gate: str, germ: Expr, chain: Chain, tail: str = "right") -> Expr:
    """`plain_germ`, proved to tend to infinity and to differ from ``germ`` by what tends to 0.

    Raises
    ------
    Undecided
        It does not tend to +infinity.
    """
    bound, rest = ("1", f"1 - {gate}") if tail == "right" else ("0", f"{gate}(-z)")
    plain = plain_germ(germ, chain.field)
    if plain.is_infinite or plain is sp.nan:
        raise Undecided(f"{gate} reaches {bound} at a finite z: there is no saturation to compare")
    if chain.ask(f"{letter} is infinite", f"{letter} = -log({rest}) tends to infinity", plain) != sp.oo:
        raise Undecided(_no_limit(gate, tail))
    if plain != germ:
        chain.ask(f"{letter} is the gate's", f"{letter} in a simpler form: the difference tends to 0", germ - plain)
    return plain


def refuse_other_limits(gate: Any, name: str = "phi", tail: str = "right") -> None:
    """Stop where a gate plainly does not tend to 1 (on the left, to 0): it has no order and no rate to look for.

    Raises
    ------
    Undecided
        It tends to another number or off to infinity, or it is a formula in sines of straight lines alone, which come
        back to where they were.
    """
    side, bound = (1, sp.S.One) if tail == "right" else (-1, sp.S.Zero)
    wanted = side * sp.oo if gate.declared == "profile" else 1 - bound if gate.declared == "complement" else bound
    expr = gate.expr.xreplace({Z: side * Z})
    try:
        found = plainly.limit(expr, Z)
    except (plainly.TooLarge, RecursionError):
        return
    if found is None and _recurs(expr):
        raise Undecided(f"{_no_limit(name, tail)}: it oscillates as z grows")
    if found is not None and _differ(found, wanted):
        raise Undecided(_no_limit(name, tail))


def _no_limit(name: str, tail: str) -> str:
    return f"{name} does not tend to 1 from below" if tail == "right" else f"{name} does not tend to 0 from above"


def _differ(a: Expr, b: Expr) -> bool:
    """Whether two limits are shown to differ, at one look."""
    if a.is_infinite or b.is_infinite:
        return a != b
    return not a.free_symbols and bool(sign_of(a - b))


def _recurs(expr: Expr) -> bool:
    """Whether z stands in sines and cosines of straight lines alone: together they return, for ever and as near as one
    likes, to the values that they have at any point.
    """
    waves = [node for node in expr.atoms(sp.sin, sp.cos) if node.has(Z)]
    if not waves or expr.xreplace({node: sp.Dummy() for node in waves}).has(Z):
        return False
    return all(node.args[0].is_polynomial(Z) and sp.degree(node.args[0], Z) == 1 for node in waves)


def folded_steps(steps: Sequence[dict[str, str]]) -> Html | None:
    """A chain of limits, folded; None for an empty one."""
    rows = [[step["statement"], code(step["expr"]), step["limit"]] for step in steps]
    return folded("the limits that prove it", listed(("limit", "of", "is"), rows)) if rows else None


def germ_of(gate: Any) -> Expr:
    """``-log(1 - phi)`` of a gate, as a formula in z for large z.

    Examples
    --------
    >>> from gateflow.gates.gate import Gate
    >>> germ_of(Gate("sigmoid(z**3)")), germ_of(Gate(complement="erfc(z)/2"))
    (softplus(z**3), -log(erfc(z)) + log(2))
    """
    expr = without_hidden_zeros(gate.expr)
    return _tail_germ(gate, "log_phi_c", 1, lambda: -sp.log(expr if gate.declared == "complement" else 1 - expr))


def left_germ_of(gate: Any) -> Expr:
    """``-log phi(-z)``: the gate's other tail, where it forgets, turned to +infinity."""
    expr = without_hidden_zeros(gate.expr)

    def declared() -> Expr:
        return -sp.log(1 - expr if gate.declared == "complement" else expr).xreplace({Z: -Z})

    return _tail_germ(gate, "log_phi", -1, declared)


def _tail_germ(gate: Any, formula: str, side: int, declared: Callable[[], Expr]) -> Expr:
    """The gate's stable formula where all its nodes have words in the formula language, else its declaration."""
    if gate.declared == "profile":
        return softplus(side * without_hidden_zeros(gate.expr).xreplace({Z: side * Z}))
    found = _in_words(without_hidden_zeros(-getattr(gate.formulas, formula)).xreplace({Z: side * Z}))
    return declared() if found is None else found


@lru_cache(maxsize=256)
def _in_words(expr: Expr) -> Expr | None:
    """A stable formula in the words of the formula language, with its branches for large z; None where a word lacks."""
    for name, words in _WORDS.items():
        expr = expr.replace(lambda node, name=name: node.func.__name__ == name, lambda node, w=words: w(*node.args))
    known = {*FUNCTIONS.values(), sp.Abs, sp.sign, sp.Piecewise}
    if any(node.func not in known for node in expr.atoms(sp.Function)):
        return None
    try:
        return expr if isinstance(expr, softplus) else Field(Z, 5.0).resolve(expr)
    except Undecided:
        return None


def _acot(x: Expr) -> Expr:
    """``pi/2 - atan(x)`` without cancellation where x is positive for large z."""
    try:
        return sp.atan(1 / x) if Field(Z, 1.0).sign(x) > 0 else sp.pi / 2 - sp.atan(x)
    except Undecided:
        return sp.pi / 2 - sp.atan(x)


_WORDS: dict[str, Callable[..., Expr]] = {
    "erfc": sp.erfc,
    "acot": _acot,
    "log_add": lambda x, y: sp.log(sp.exp(x) + sp.exp(y)),
    "log_erfc": lambda x: sp.log(sp.erfc(x)),
    "log_erfcx": lambda x: sp.log(sp.erfc(x)) + x**2,
    "log_atan_exp": lambda x: sp.log(sp.atan(sp.exp(x))),
    "log_atan_ratio": lambda x: sp.log(sp.atan(sp.exp(x))) - x,
    "log_cosh": lambda x: sp.log(sp.cosh(x)),
    "log1mexp": lambda x: sp.log(1 - sp.exp(-x)),
    "log_cloglog": lambda x: sp.log(1 - sp.exp(-sp.exp(x))),
    "log_softplus": lambda x: sp.log(softplus(x)),
    "log_expm1": lambda x: sp.log(sp.exp(x) - 1),
    "log1p": lambda x: sp.log(1 + x),
    "expm1": lambda x: sp.exp(x) - 1,
}
"""Nodes that keep floating-point digits, in the words of the formula language; exact arithmetic needs no more."""
