"""Growth at infinity: limits, leading terms, signs and comparisons, each exact or honestly undecided.

The engine is `multiseries` (the algebra of germs) and `expansions` (the functions); this module is its public face.
Every call is bounded in time and in terms, and ends in an answer or in `Undecided` with the reason.

Examples
--------
>>> from gateflow.formula.vocabulary import Z
>>> limit(sp.exp(Z + sp.exp(-Z)) - sp.exp(Z) - 1)
0
>>> leading_term(sp.exp(Z + sp.exp(-Z)) - sp.exp(Z) - 1)
exp(-z)/2
>>> compare(sp.log(sp.cosh(Z)), Z)
GrowthComparison(relation='~', constant=1)
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

import sympy as sp

from gateflow.asymptotics.limits import constants as k
from gateflow.asymptotics.limits import multiseries as ms
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.expansions import Expander
from gateflow.asymptotics.limits.multiseries import SearchBudget
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.errors import Exceeded
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Expr, Z, expression
from gateflow.guards import bounded
from gateflow.guards.bounded import Stopped

T = TypeVar("T")

GRACE = 0.25
"""Seconds past a limit, for a search to end by itself: then it says where it was."""

SOLVING = 3.0
"""Seconds of the processor for one equation in a parameter."""

_BRANCHING = (sp.Abs, sp.sign, sp.Piecewise, sp.Max, sp.Min)


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
        self.expander = Expander(z, self.budget)

    def _ask(self, question: Callable[[ms.Series], T], expr: Expr) -> T:
        try:
            return question(self.expander.germ(expr))
        except RecursionError:
            raise Undecided("the formula is nested too deeply") from None
        except Stopped:  # what was stopped in the midst is not asked again
            self.budget.end()
            raise

    def limit(self, expr: Expr) -> Expr:
        """The limit at +infinity: an exact constant, oo or -oo."""
        return self._ask(ms.limit, expr)

    def sign(self, expr: Expr) -> int:
        """The sign for all large z; 0 only for a germ that vanishes."""
        return self._ask(ms.sign, expr)

    def is_zero(self, expr: Expr) -> bool:
        """Whether the germ vanishes for all large z."""
        return self._ask(ms.is_zero, expr)

    def leading_term(self, expr: Expr) -> Expr:
        """An expression equivalent to ``expr``: their ratio tends to 1."""
        return self.expander.outward(self._ask(ms.leading_expr, expr))

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

    def terms(self, expr: Expr, count: int) -> list[Expr]:
        """The first terms of the expansion in the fastest element, coefficients exact."""

        def question(x: ms.Series) -> list[Expr]:
            if x.top is None:
                return [k.as_expr(x.value)]
            found: list[Expr] = []
            i = 0
            while len(found) < count and (term := x.term(i)) is not None:
                if not ms.is_zero(term[1]):
                    found.append(term[1].expr * x.top.expr ** k.as_expr(term[0]))
                i += 1
            return found

        return [self.expander.outward(t) for t in self._ask(question, expr)]


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


class Germ:
    """An expression together with its expansion at +infinity.

    Examples
    --------
    >>> germ = expand(sp.log(1 + Z))
    >>> germ.limit, germ.leading_term, germ.terms(3)
    (oo, log(z), [log(z), 1/z, -1/(2*z**2)])
    """

    def __init__(self, expr: Expr, field: Field) -> None:
        self.expr, self.field = expression(expr), field

    @property
    def limit(self) -> Expr:
        """See `Field.limit`."""
        return self.field.limit(self.expr)

    @property
    def sign(self) -> int:
        """See `Field.sign`."""
        return self.field.sign(self.expr)

    @property
    def leading_term(self) -> Expr:
        """See `Field.leading_term`."""
        return self.field.leading_term(self.expr)

    def terms(self, count: int) -> list[Expr]:
        """See `Field.terms`."""
        return self.field.terms(self.expr, count)

    def __repr__(self) -> str:
        return f"Germ({self.expr})"


def expand(expr: Expr, z: sp.Symbol = Z, budget: SearchBudget | float = 10.0) -> Germ:
    """The germ of ``expr`` at +infinity; terms are computed when asked for."""
    return Germ(expr, Field(z, budget))


def limit(expr: Expr, z: sp.Symbol = Z, budget: float = 10.0) -> Expr:
    """The limit of ``expr`` as z tends to +infinity.

    Bounded oscillation is put between its bounds: the limit of ``sin(z)/z`` is 0.

    Raises
    ------
    Undecided
        No answer within the budget, no limit (oscillation), or one that depends on a parameter.
    """
    try:
        return _by_strategies(lambda field, form: field.limit(form(expr)), z, budget)
    except Undecided:
        between = _squeeze(expression(expr), z, budget / 4)
        if between is None:
            raise
        return between


def leading_term(expr: Expr, z: sp.Symbol = Z, budget: float = 10.0) -> Expr:
    """The leading term: ``expr`` divided by it tends to 1."""
    return _by_strategies(lambda field, form: field.leading_term(form(expr)), z, budget)


def sign_at_infinity(expr: Expr, z: sp.Symbol = Z, budget: float = 10.0) -> int:
    """-1, 0 or 1: the sign for all large z."""
    return _by_strategies(lambda field, form: field.sign(form(expr)), z, budget)


def compare(f: Expr, g: Expr, z: sp.Symbol = Z, budget: float = 10.0) -> GrowthComparison:
    """``('<', None)``, ``('~', C)`` or ``('>', None)``: the growth of f against g (both nonzero)."""
    return _by_strategies(lambda field, form: field.compare(form(f), form(g)), z, budget)


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
    if open_form.has(sp.sin, sp.cos) and any(oscillating(a) for a in open_form.atoms(sp.sin, sp.cos)):
        return False
    return all(sp.expand(open_form.diff(s, 2)) == 0 for s in stand_in.values())


def _squeeze(expr: Expr, z: sp.Symbol, budget: float) -> Expr | None:
    """The limit of an expression that is affine in bounded sin and cos, where all its bounds share it."""
    nodes = oscillating(expr, z)
    if not nodes or len(nodes) > 4 or not affine_in(expr, nodes):
        return None
    field = Field(z, budget)
    corners = itertools.product((-1, 1), repeat=len(nodes))
    limits = {field.limit(expr.xreplace(dict(zip(nodes, corner, strict=True)))) for corner in corners}
    return limits.pop() if len(limits) == 1 else None


def _forms() -> Iterator[Callable[[Expr], Expr]]:
    """The expression as given, then rewritten: a hidden zero may hide in one form only."""
    yield lambda e: expression(e)
    yield lambda e: sp.expand(expression(e), log=False)
    yield lambda e: sp.powsimp(sp.together(expression(e)), deep=True)


def _by_strategies(question: Callable[[Field, Callable], T], z: sp.Symbol, budget: float) -> T:
    """Try the forms in turn, each with its share of the time; the first reason is the one reported."""
    first: Undecided | None = None
    for i, form in enumerate(_forms()):
        share = budget * (0.5 if i == 0 else 0.25)
        try:
            return bounded.call(
                lambda f=form, s=share: question(Field(z, SearchBudget(s)), f), share + GRACE, error=Undecided
            )
        except Undecided as error:
            if error.condition is not None:
                raise
            first = first or error
    assert first is not None
    raise first


# --- parameters -----------------------------------------------------------------------------------------------------


class Case(NamedTuple):
    """One part of a parameter's range, with the answer there."""

    condition: sp.Basic
    answer: object


def cases(question: Callable[[Expr], T], parameter: sp.Symbol, depth: int = 6) -> list[Case]:
    """Split the range of a real parameter at the values where the answer changes.

    Parameters
    ----------
    question : callable
        Takes the parameter (a symbol, or the expression that stands for it) and answers, or raises `Undecided` with the
        condition on which it depends.
    parameter : sympy.Symbol
        Real or positive; its assumptions give the range.
    depth : int
        How many times an interval may be split.

    Examples
    --------
    >>> a = sp.Symbol("a", positive=True)
    >>> for case in cases(lambda value: limit(Z**value / Z), a):
    ...     print(case.condition, case.answer)
    (0 < a) & (a < 1) 0
    Eq(a, 1) 1
    (1 < a) & (a < oo) oo
    """
    low = sp.S.Zero if parameter.is_nonnegative else -sp.oo
    return list(_cases_between(question, parameter, low, sp.oo, depth))


def _cases_between(question: Callable, parameter: sp.Symbol, low: Expr, high: Expr, depth: int) -> Iterator[Case]:
    t = sp.Dummy("t", positive=True)
    value = _inside(low, high, t)
    here = sp.And(sp.Lt(low, parameter, evaluate=False), sp.Lt(parameter, high, evaluate=False), evaluate=False)
    try:
        answer = question(value)
    except Undecided as error:
        if error.condition is None or depth == 0:
            raise
        cut = _cut(error.condition, value, t, low, high)
        if cut is None:
            raise
    else:
        yield Case(here, _in_parameter(answer, t, value, parameter))
        return
    yield from _cases_between(question, parameter, low, cut, depth - 1)
    yield Case(sp.Eq(parameter, cut, evaluate=False), question(cut))
    yield from _cases_between(question, parameter, cut, high, depth - 1)


def _in_parameter(answer: Any, t: sp.Symbol, value: Expr, parameter: sp.Symbol) -> Any:
    """An answer found with t, in terms of the parameter; answers that hold expressions are dataclasses."""
    if isinstance(answer, sp.Basic):
        if not answer.has(t):
            return answer
        solve = lambda: sp.simplify(answer.subs(t, sp.solve(value - parameter, t)[0]))  # noqa: E731
        return bounded.call(solve, SOLVING, processor=True, error=Undecided)
    if not dataclasses.is_dataclass(answer) or isinstance(answer, type):
        return answer
    fields = {f.name: getattr(answer, f.name) for f in dataclasses.fields(answer)}
    changed = {n: _in_parameter(v, t, value, parameter) for n, v in fields.items() if isinstance(v, sp.Basic)}
    return dataclasses.replace(answer, **changed)


def _inside(low: Expr, high: Expr, t: sp.Symbol) -> Expr:
    """The interval (low, high) as the image of t > 0, so that SymPy's assumptions know the range."""
    if low.is_finite and high.is_finite:
        return (low + high * t) / (1 + t)
    if low.is_finite:
        return low + t
    if high.is_finite:
        return high - t
    return sp.log(t)


def _cut(condition: Expr, value: Expr, t: sp.Symbol, low: Expr, high: Expr) -> Expr | None:
    """A value of the parameter inside the interval where the condition is zero."""
    try:
        roots = bounded.call(lambda: sp.solve(condition, t), SOLVING, processor=True)
    except (NotImplementedError, Exceeded):
        return None
    for root in roots:
        if root.is_positive and root.is_finite:
            found = sp.simplify(value.subs(t, root))
            if found.is_real and (found - low).is_extended_positive and (high - found).is_extended_positive:
                return found
    return None


__all__ = [
    "Case",
    "Chain",
    "Field",
    "Germ",
    "GrowthComparison",
    "SearchBudget",
    "Undecided",
    "cases",
    "compare",
    "expand",
    "leading_term",
    "limit",
    "sign_at_infinity",
]
