"""The germ ``-log(1 - phi)`` of a gate, as a formula in z for large z."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import sympy as sp

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
    bound, rest, side = ("1", f"1 - {gate}", "below") if tail == "right" else ("0", f"{gate}(-z)", "above")
    plain = plain_germ(germ, chain.field)
    if plain.is_infinite or plain is sp.nan:
        raise Undecided(f"{gate} reaches {bound} at a finite z: there is no saturation to compare")
    if chain.ask(f"{letter} is infinite", f"{letter} = -log({rest}) tends to infinity", plain) != sp.oo:
        raise Undecided(f"{gate} does not tend to {bound} from {side}")
    if plain != germ:
        chain.ask(f"{letter} is the gate's", f"{letter} in a simpler form: the difference tends to 0", germ - plain)
    return plain


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
    declared = -sp.log(expr if gate.declared == "complement" else 1 - expr)
    return _tail_germ(gate, "log_phi_c", 1, declared)


def left_germ_of(gate: Any) -> Expr:
    """``-log phi(-z)``: the gate's other tail, where it forgets, turned to +infinity."""
    expr = without_hidden_zeros(gate.expr)
    declared = -sp.log(1 - expr if gate.declared == "complement" else expr)
    return _tail_germ(gate, "log_phi", -1, declared.xreplace({Z: -Z}))


def _tail_germ(gate: Any, formula: str, side: int, declared: Expr) -> Expr:
    """The gate's stable formula where all its nodes have words in the formula language, else its declaration."""
    if gate.declared == "profile":
        return softplus(side * without_hidden_zeros(gate.expr).xreplace({Z: side * Z}))
    found = _in_words(without_hidden_zeros(-getattr(gate.formulas, formula)).xreplace({Z: side * Z}))
    return declared if found is None else found


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
