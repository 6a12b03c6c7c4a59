"""Growth at infinity: limits, leading terms, signs and comparisons, each exact or honestly undecided.

The engine is `multiseries` (the algebra of germs) and `expansions` (the functions); this module is its public face.
A search is bounded in time and in terms, and ends in an answer or in `Undecided` with the reason.

Examples
--------
>>> from gateflow.formula.vocabulary import Z
>>> Field().limit(sp.exp(Z + sp.exp(-Z)) - sp.exp(Z) - 1)
0
>>> Field().leading_term(sp.exp(Z + sp.exp(-Z)) - sp.exp(Z) - 1)
exp(-z)/2
>>> Field().compare(sp.log(sp.cosh(Z)), Z)
GrowthComparison(relation='~', constant=1)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import sympy as sp

from gateflow.asymptotics.limits import constants as k
from gateflow.asymptotics.limits import multiseries as ms
from gateflow.asymptotics.limits import plain
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.expansions import Expander
from gateflow.asymptotics.limits.multiseries import SearchBudget
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Expr, Z, expression
from gateflow.guards.bounded import Stopped

T = TypeVar("T")

GRACE = 0.25
"""Seconds past a limit, for a search to end by itself: then it says where it was."""

_BRANCHING = (sp.Abs, sp.sign, sp.Piecewise, sp.Max, sp.Min)


class _NotFound(NamedTuple):
    """A question that was not answered: why, and within how many seconds and terms; infinite where more do not help."""

    why: Undecided
    seconds: float
    terms: float

    def raise_unless_more_than(self, budget: SearchBudget) -> None:
        """Raise again what was raised, where no more time and terms are left than there were."""
        if self.seconds == math.inf:
            raise type(self.why)(self.why.reason, self.why.condition)
        if budget.seconds_left <= MORE * self.seconds and budget.left <= MORE * self.terms:
            raise budget.out_of_time() if budget.deadline else Undecided(self.why.reason)


KEPT = 2048
"""Answers that are kept."""

MORE = 1.2
"""How many times the seconds, or the terms, in which nothing was found there must be for another search."""

_answers: dict[Any, Any] = {}
"""By question, variable and expression: the answer, in a tuple, or `_NotFound`. The answer is that of the mathematics,
whatever was asked before; it is the same for every search."""


def _keep(key: Any, found: Any) -> None:
    if len(_answers) >= KEPT:
        _answers.clear()
    _answers[key] = found


class GrowthComparison(NamedTuple):
    """``f < g`` for f = o(g), ``~`` for f/g -> constant, ``>`` for g = o(f)."""

    relation: str
    constant: Expr | None


class Field:
    """Germs that share one basis and one budget: the place to ask several related questions.

    Parameters
    ----------
    z : sympy.Symbol
        The variable that tends to +infinity.
    budget : SearchBudget or float
        Seconds for all questions together, or a `SearchBudget`.

    Examples
    --------
    >>> field = Field()
    >>> field.limit(Z * sp.erfc(Z) * sp.exp(Z**2)), field.sign(Z - sp.log(Z))
    (1/sqrt(pi), 1)
    """

    def __init__(self, z: sp.Symbol = Z, budget: SearchBudget | float = 10.0) -> None:
        self.z = z
        self.budget = budget if isinstance(budget, SearchBudget) else SearchBudget(budget)
        self._ends = self.budget.deadline
        self.expander = Expander(z, self.budget)

    def _ask(self, question: Callable[[ms.Series], T], expr: Expr) -> T:
        try:
            return question(self.expander.germ(expr))
        except RecursionError:
            raise Undecided("the formula is nested too deeply") from None
        except Stopped:  # what was stopped in the midst is not asked again
            self.budget.end()
            raise

    def _ask_once(self, question: Callable[[ms.Series], T], expr: Expr) -> T:
        """As `_ask`; answers are kept, and so is what was not found within some time: it takes more to try again."""
        key = (question, self.z, expr)
        known = _answers.get(key)
        if isinstance(known, _NotFound):
            known.raise_unless_more_than(self.budget)
        elif known is not None:
            return known[0]
        allowed, left = self.budget.seconds_left, self.budget.left
        try:
            found: Any = (self._ask(question, expr),)
        except Undecided as why:
            if not self.budget.exhausted:
                found = _NotFound(why, math.inf, math.inf)
            else:
                found = _NotFound(why, allowed, left)
            _keep(key, found)
            raise
        except Stopped:
            if time.monotonic() >= self._ends:  # for its time, not for memory
                _keep(key, _NotFound(self.budget.out_of_time(), allowed, left))
            raise
        _keep(key, found)
        return found[0]

    def limit(self, expr: Expr) -> Expr:
        """The limit at +infinity: an exact constant, oo or -oo."""
        found = self._plain_limit(expression(expr))
        return self._ask_once(ms.limit, expr) if found is None else found

    def _plain_limit(self, expr: Expr) -> Expr | None:
        """The limit where it is 0 or infinite and needs no series; None elsewhere."""
        try:
            if plain.is_softplus_beside_its_argument(expr, self.z):
                return sp.S.Zero
            found = plain.limit(expr, self.z)
        except plain.TooLarge:
            return None
        except RecursionError:
            raise Undecided("the formula is nested too deeply") from None
        return found if found is not None and (found.is_infinite or found == 0) else None

    def sign(self, expr: Expr) -> int:
        """The sign for all large z; 0 only for a germ that vanishes."""
        return self._ask_once(ms.sign, expr)

    def is_zero(self, expr: Expr) -> bool:
        """Whether the germ vanishes for all large z."""
        return self._ask_once(ms.is_zero, expr)

    def leading_term(self, expr: Expr) -> Expr:
        """An expression equivalent to ``expr``: their ratio tends to 1."""
        return self.expander.outward(self._ask_once(ms.leading_expr, expr))

    def compare(self, f: Expr, g: Expr) -> GrowthComparison:
        """How f grows against g."""
        other = self._ask(lambda y: y, g)
        order, ratio = self._ask(lambda x: ms.compare_growth(x, other), f)
        return GrowthComparison("<~>"[order + 1], k.as_expr(ratio) if order == 0 else None)

    def resolve(self, expr: Expr) -> Expr:
        """The expression with abs, sign, where, min and max replaced by the branch they take for large z.

        Examples
        --------
        >>> Field().resolve(sp.sign(Z) * sp.log(1 + sp.Abs(3 - Z)))
        log(z - 2)
        """
        inner = expr.xreplace({self.z: self.expander.x})
        while True:
            nodes = [n for n in sp.preorder_traversal(inner) if isinstance(n, _BRANCHING) and n.has(self.expander.x)]
            if not nodes:
                return self.expander.outward(inner)
            node = min(nodes, key=sp.count_ops)
            inner = inner.xreplace({node: self._ask(lambda _, n=node: self._branch(n), sp.S.Zero)})

    def _branch(self, node: Expr) -> Expr:
        at = self.expander
        if isinstance(node, sp.Piecewise):
            return next((value for value, condition in node.args if at.holds(condition)), sp.nan)
        if isinstance(node, sp.Abs | sp.sign):
            up = ms.sign(at.series(node.args[0]))
            return sp.Integer(up) if isinstance(node, sp.sign) else up * node.args[0]
        best = node.args[0]
        for other in node.args[1:]:
            up = ms.sign(at.series(other - best))
            best = other if (up > 0) == isinstance(node, sp.Max) else best
        return best


class Chain(list[dict[str, str]]):
    """The limits that prove a statement, in turn: answers the questions of `proofs.outline` with this engine.

    Each entry (``name``, ``statement``, ``expr``, ``limit``) can be checked by itself.
    """

    def __init__(self, field: Field, *, readable: bool = False) -> None:
        """Where ``readable``, limits are simplified, and a formula without words in the language is refused."""
        super().__init__()
        self.field, self.readable = field, readable

    def ask(self, name: str, sentence: str, expr: Expr) -> Expr:
        """The limit of ``expr`` at +infinity, noted under its name and sentence.

        Raises
        ------
        FormulaError
            The chain is to be readable, and the formula language has no word for some function.
        """
        text = unparse(expr) if self.readable else text_of(expr)
        value = self.field.limit(expr)
        value = sp.simplify(value) if self.readable else value
        self.append({"name": name, "statement": sentence, "expr": text, "limit": text_of(value)})
        return value

    def sign(self, constant: Expr, /) -> int:
        """The sign of a constant."""
        return self.field.sign(constant)


# --- bounded oscillation ---------------------------------------------------------------------------------------------


def oscillating(f: Expr, z: sp.Symbol = Z) -> list[Expr]:
    """The sin and cos nodes of ``f`` whose argument does not settle.

    Examples
    --------
    >>> oscillating(Z + sp.sin(Z) + sp.cos(1 / Z))
    [sin(z)]
    """
    found = []
    for node in sorted(f.atoms(sp.sin, sp.cos), key=str):
        try:
            settles = Field(z, 1.0).limit(node.args[0]).is_finite
        except Undecided:
            settles = False
        if not settles and node.has(z):
            found.append(node)
    return found


def affine_in(u: Expr, nodes: Sequence[Expr]) -> bool:
    """Whether u is affine in each of the nodes, and oscillates through nothing else."""
    stand_in = {node: sp.Dummy() for node in nodes}
    open_form = u.xreplace(stand_in)
    if any(part.has(*stand_in.values()) for part in open_form.atoms(sp.Function)):
        return False
    if open_form.has(sp.sin, sp.cos) and any(oscillating(a) for a in open_form.atoms(sp.sin, sp.cos)):
        return False
    return all(sp.expand(open_form.diff(s, 2)) == 0 for s in stand_in.values())


__all__ = [
    "Chain",
    "Field",
    "GrowthComparison",
    "SearchBudget",
    "Undecided",
]
