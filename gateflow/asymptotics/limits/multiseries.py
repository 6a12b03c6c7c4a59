"""Germs at +infinity as lazy multiseries over an asymptotic basis that grows as it is needed.

A basis is a list of germs b_1, b_2, ... that tend to +infinity with log b_i = o(log b_(i+1)): iterated logarithms
of z, z itself, and exponentials of germs. A `Series` is either a constant or a lazy sum of terms c b^e, with b its
top element, e real constants that strictly decrease, and c series in the elements below b. A series that lacks b is
a coefficient of b^0, so no series ever has to be lifted when a new element is inserted anywhere in the list.

Sums may cancel for ever (a hidden zero). A term that cancels stays in the stream with coefficient zero: its exponent
bounds what follows, so only a question that needs the leading term has to go on. Each series knows the SymPy expression
it expands, built only when asked; after some cancellations in a row the remainder is tested as an expression, and the
stream ends where that is proved zero. What is never proved goes on until the budget ends.

Sources: D. Gruntz, *On Computing Limits in a Symbolic Manipulation System* (1996); B. Salvy and J. Shackell, *Symbolic
asymptotics: multiseries of inverse functions* (1999); M. Eberl, *Verified Real Asymptotics in Isabelle/HOL* (2019).
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from math import comb, factorial
from typing import Any

import sympy as sp

from gateflow.arithmetic.enclosed import enclosed
from gateflow.asymptotics.limits import constants as k
from gateflow.asymptotics.limits.constants import Number, Undecided
from gateflow.formula.vocabulary import Expr

Thunk = Callable[[], Expr]
Term = tuple[Number, "Series"]


class SearchBudget:
    """Time and work allowed for one question; every inner loop calls `tick`.

    Parameters
    ----------
    seconds : float
        Wall-clock limit.
    steps : int
        Limit on the terms formed, so that memory is bounded too.
    asked : float, optional
        The limit that the reason names, where these seconds are what is left of it.
    """

    def __init__(self, seconds: float = 10.0, steps: int = 400_000, asked: float | None = None) -> None:
        self.seconds, self.steps, self.asked = seconds, steps, seconds if asked is None else asked
        self.deadline, self.left = time.monotonic() + seconds, steps
        self.exhausted = False

    @property
    def seconds_left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self.deadline - time.monotonic())

    def end(self) -> None:
        """Use it up: what was stopped in the midst is not asked again."""
        self.left, self.deadline, self.exhausted = 0, 0.0, True

    def tick(self) -> None:
        """Count one step.

        Raises
        ------
        Undecided
            Time or steps are used up.
        """
        self.left -= 1
        if self.left < 0 and self.deadline:
            self.exhausted = True
            raise Undecided(f"no answer within {self.steps} terms (a hidden zero, or a very deep expansion)")
        if (self.left & 31 == 0 or self.left < 0) and time.monotonic() > self.deadline:
            self.exhausted = True
            raise self.out_of_time()

    def out_of_time(self) -> Undecided:
        """What is raised past the deadline."""
        return Undecided(f"no answer within {self.asked:g} s")


class Element:
    """One member of the basis: a germ that tends to +infinity, with its logarithm in the elements below it."""

    __slots__ = ("expr", "log", "position")

    def __init__(self, expr: Expr, log: Series | None) -> None:
        self.expr, self.log, self.position = expr, log, 0


class Basis:
    """The ordered list of elements, slowest first, and the budget that all series over it share."""

    def __init__(self, z: sp.Symbol, budget: SearchBudget) -> None:
        self.z, self.budget = z, budget
        self.elements = [Element(z, None)]
        self._tested: dict[Expr, bool] = {}

    def insert(self, element: Element, position: int) -> Element:
        """Put ``element`` at ``position``; the order of the others stays, so series in use stay valid."""
        self.elements.insert(position, element)
        for i, other in enumerate(self.elements):
            other.position = i
        return element

    def proved_zero(self, expr: Expr) -> bool:
        """See `proved_zero`; each expression is tested once."""
        if expr not in self._tested:
            self._tested[expr] = proved_zero(expr, self.z)
        return self._tested[expr]

    def log_of(self, element: Element) -> Series:
        """The logarithm of an element; below the last iterated logarithm the next one is created."""
        if element.log is None:
            lower = self.insert(Element(sp.log(element.expr), None), 0)
            element.log = monomial(self, lower)
        return element.log


class Series:
    """A constant (``top`` is None) or a lazy sum of terms ``coefficient * top**exponent``, exponents decreasing."""

    __slots__ = ("_expr", "_failure", "_lead", "_source", "_terms", "basis", "top", "value")

    def __init__(
        self, basis: Basis, top: Element | None, source: Iterator[Term] | None, expr: Thunk, value: Number = 0
    ):
        self.basis, self.top, self.value = basis, top, value
        self._source: Iterator[Term] | None = source
        self._terms: list[Term] = []
        self._failure: Exception | None = None
        self._lead: tuple[int, Number, list[tuple[Element, Number]]] | None = None
        self._expr: Thunk | Expr = expr

    def term(self, i: int) -> Term | None:
        """The i-th term of a series that is no constant, or None past the last.

        A coefficient may be zero (what cancelled leaves its exponent as a bound for the rest), or not known to differ
        from it; `leading` finds the first that is not.
        """
        while len(self._terms) <= i:
            if self._source is None:
                return None
            if self._failure is not None:
                raise self._failure
            try:
                self.basis.budget.tick()
                found = next(self._source, None)
            except Exception as error:  # a generator that raised would look exhausted, the rest of the series zero
                self._failure = error
                raise
            except BaseException:  # stopped in the midst
                self._failure = Undecided("the expansion was broken off")
                raise
            if found is None:
                self._source = None
            else:
                self._terms.append(found)
        return self._terms[i]

    @property
    def expr(self) -> Expr:
        """The exact expression that this series expands."""
        if not isinstance(self._expr, sp.Basic):
            self._expr = self._expr()
        return self._expr


def exp_of(x: Expr) -> Expr:
    """``exp(x)``: as SymPy has it, but without its search for logarithms in an exponent that has none.

    Examples
    --------
    >>> z = sp.Symbol("z", positive=True)
    >>> exp_of(sp.sinh(z) - 2) == sp.exp(sp.sinh(z) - 2), exp_of(2 * sp.log(z))
    (True, z**2)
    """
    return sp.exp(x) if x.is_number or x.has(sp.log) else sp.exp(x, evaluate=False)


# --- building blocks ------------------------------------------------------------------------------------------------


def constant(basis: Basis, value: Number) -> Series:
    """The constant germ."""
    return Series(basis, None, None, lambda: k.as_expr(value), value)


def monomial(basis: Basis, element: Element, exponent: Number = 1, coefficient: Series | None = None) -> Series:
    """``coefficient * element**exponent``."""
    c = constant(basis, 1) if coefficient is None else coefficient
    return Series(basis, element, iter([(exponent, c)]), lambda: c.expr * element.expr ** k.as_expr(exponent))


def is_zero(x: Series) -> bool:
    """Whether the germ vanishes for all large z; raises `Undecided` where that is not known."""
    return k.is_zero(leading(x)[0])


def _surely_zero(x: Series) -> bool:
    """Whether x is the constant zero, as far as a look shows."""
    if x.top is not None:
        return False
    try:
        return k.is_zero(x.value)
    except k.OpenConstant:
        return False


def _vanishes(x: Series, effort: int = 6) -> bool | None:
    """Whether x is zero; None where a few terms do not decide, so that no endless cancellation holds up the others."""
    if x.top is None:
        try:
            return k.is_zero(x.value)
        except k.OpenConstant:
            return None
    for i in range(effort):
        found = x.term(i)
        if found is None:
            return True
        state = _vanishes(found[1], effort)
        if state is not True:
            return state
    return None


def add(basis: Basis, parts: list[Series]) -> Series:
    """The sum of series.

    Terms of equal exponent are gathered; their coefficients are summed one level down.
    """
    parts = [x for x in parts if x.top is not None or not (isinstance(x.value, int) and x.value == 0)]
    if not parts:
        return constant(basis, 0)
    if len(parts) == 1:
        return parts[0]
    top = _highest(parts)
    if top is None:
        total: Number = 0
        for x in parts:
            total = k.plus(total, x.value)
        return constant(basis, total)
    expr = lambda: sp.Add(*[x.expr for x in parts])  # noqa: E731
    return Series(basis, top, _gather(basis, top, _merge(parts, top), expr), expr)


def scale(x: Series, factor: Number) -> Series:
    """``factor * x`` for a nonzero constant."""
    return x if isinstance(factor, int) and factor == 1 else mul(x, constant(x.basis, factor))


def subtract(x: Series, y: Series) -> Series:
    """``x - y``."""
    return add(x.basis, [x, scale(y, -1)])


def mul(x: Series, y: Series) -> Series:
    """The product of two series."""
    basis = x.basis
    if x.top is None and y.top is None:
        return constant(basis, k.times(x.value, y.value))
    if _surely_zero(x) or _surely_zero(y):
        return constant(basis, 0)
    top = _highest([x, y])
    assert top is not None
    expr = lambda: x.expr * y.expr  # noqa: E731
    if x.top is not top:
        return Series(basis, top, _scaled(y, x), expr)
    if y.top is not top:
        return Series(basis, top, _scaled(x, y), expr)
    return Series(basis, top, _gather(basis, top, _products(x, y), expr), expr)


def _highest(parts: list[Series]) -> Element | None:
    best = None
    for x in parts:
        if x.top is not None and (best is None or x.top.position > best.position):
            best = x.top
    return best


def _scaled(x: Series, factor: Series, shift: Number = 0, skip: int = 0) -> Iterator[Term]:
    """The terms of ``factor * x * top**shift`` from the ``skip``-th on, for a nonzero factor below top."""
    i = skip
    while (found := x.term(i)) is not None:
        yield k.plus(found[0], shift), mul(factor, found[1])
        i += 1


def _leading(terms: list[tuple[Number, Any, Any]]) -> tuple[Number, list[tuple[Number, Any, Any]]]:
    """The largest exponent, and the terms that have it."""
    best = terms[0][0]
    for exponent, _, _ in terms[1:]:
        if k.compare(exponent, best) > 0:
            best = exponent
    return best, [term for term in terms if term[0] is best or k.compare(term[0], best) == 0]


def _merge(parts: list[Series], top: Element) -> Iterator[tuple[Number, list[Series]]]:
    """Terms of a sum, grouped by exponent."""
    own = [x for x in parts if x.top is top]
    lower = [x for x in parts if x.top is not top]
    at = [0] * len(own)
    rest = add(parts[0].basis, lower) if lower else None
    while True:
        heads = [(x.term(i), j) for j, (x, i) in enumerate(zip(own, at, strict=True))]
        found = [(t[0], t[1], j) for t, j in heads if t is not None]
        if rest is not None:
            found.append((0, rest, -1))
        if not found:
            return
        best, group = _leading(found)
        for _, _, j in group:
            if j >= 0:
                at[j] += 1
            else:
                rest = None
        yield best, [c for _, c, _ in group]


def _products(x: Series, y: Series) -> Iterator[tuple[Number, list[Series]]]:
    """Terms of a product, grouped by exponent: a frontier of index pairs."""
    frontier: list[tuple[Number, int, int]] = []
    fresh = [(0, 0)]
    while True:
        for i, j in fresh:
            s, t = x.term(i), y.term(j)
            if s is not None and t is not None:
                frontier.append((k.plus(s[0], t[0]), i, j))
        if not frontier:
            return
        best, group = _leading(frontier)
        frontier = [p for p in frontier if p not in group]
        yield best, [mul(x.term(i)[1], y.term(j)[1]) for _, i, j in group]  # pyright: ignore[reportOptionalSubscript]
        fresh = [(i, j + 1) for _, i, j in group] + [(i + 1, 0) for _, i, j in group if j == 0]


def _gather(basis: Basis, top: Element, groups: Iterator[tuple[Number, list[Series]]], expr: Thunk) -> Iterator[Term]:
    """Sum each group; end a stream whose remainder is proved zero."""
    in_a_row, test_at = 0, 3
    given: list[Term] = []
    for exponent, parts in groups:
        basis.budget.tick()
        total = parts[0] if len(parts) == 1 else add(basis, parts)
        if _vanishes(total) if len(parts) > 1 else _surely_zero(total):
            total = constant(basis, 0)
            in_a_row += 1
            if in_a_row == test_at:
                test_at *= 3
                if basis.proved_zero(expr() - sp.Add(*[c.expr * top.expr ** k.as_expr(e) for e, c in given])):
                    return
        else:
            in_a_row = 0
            given.append((exponent, total))
        yield exponent, total


# --- zero test of an expression -------------------------------------------------------------------------------------


def proved_zero(expr: Expr, z: sp.Symbol) -> bool:
    """Whether ``expr`` is proved to vanish identically; False means only "not proved".

    A numeric value away from zero saves the search for a proof.

    Examples
    --------
    >>> x = sp.Symbol("x", positive=True)
    >>> proved_zero(sp.exp(x) / (1 + sp.exp(x)) - 1 / (1 + sp.exp(-x)), x)
    True
    """
    if expr == 0:
        return True
    if _larger_than(expr, 400):
        return False
    expr = expr.rewrite(sp.exp) if expr.has(sp.sinh, sp.cosh, sp.tanh) else expr
    expr = sp.expand_func(expr) if expr.has(sp.loggamma, sp.polygamma) else expr
    if _larger_than(expr, 400) or _numerically_nonzero(expr, z):
        return False
    if sp.expand(expr) == 0:
        return True
    combined = sp.together(sp.expand(expr, power_exp=True, log=False))
    if sp.expand(sp.numer(combined)) == 0:
        return True
    return not _larger_than(expr, 150) and sp.simplify(expr) == 0


def _larger_than(expr: Expr, nodes: int) -> bool:
    """Whether the expression has more nodes; shared parts count each time, so the walk must not be finished."""
    return next(itertools.islice(sp.preorder_traversal(expr), nodes, None), None) is not None


def _numerically_nonzero(expr: Expr, z: sp.Symbol) -> bool:
    others = {s: sp.Rational(7 + 3 * i, 11) for i, s in enumerate(sorted(expr.free_symbols - {z}, key=str))}
    for point in (sp.Rational(23, 10), sp.Rational(31, 7)):
        for bits in (80, 640):
            ball = enclosed(expr, bits, {z: point, **others})
            if ball is None or ball > 0 or ball < 0:
                return ball is not None
    return False


# --- leading behaviour ----------------------------------------------------------------------------------------------


def leading(x: Series) -> tuple[Number, list[tuple[Element, Number]]]:
    """The leading term: its constant, and the powers of basis elements from the fastest down (zero powers left out).

    Raises
    ------
    Undecided
        It is not known which term is the first that does not vanish.
    """
    _, c, powers = _lead(x)
    return c, powers


def _lead(x: Series) -> tuple[int, Number, list[tuple[Element, Number]]]:
    """Like `leading`, with the place of the first term that does not vanish."""
    if x._lead is None:
        x._lead = _find_lead(x)
    return x._lead


def _find_lead(x: Series) -> tuple[int, Number, list[tuple[Element, Number]]]:
    if x.top is None:
        return (0, 0, []) if k.is_zero(x.value) else (0, x.value, [])
    i = 0
    while (found := x.term(i)) is not None:
        c, powers = leading(found[1])
        if not (isinstance(c, int) and c == 0):
            own = [] if k.is_zero(found[0]) else [(x.top, found[0])]
            return i, c, own + powers
        i += 1
    return i, 0, []


def leading_expr(x: Series) -> Expr:
    """The leading term as an expression."""
    c, powers = leading(x)
    return k.as_expr(c) * sp.Mul(*[b.expr ** k.as_expr(e) for b, e in powers])


def sign(x: Series) -> int:
    """The sign of the germ: that of its leading constant, since all basis elements are positive."""
    return k.sign(leading(x)[0])


def limit(x: Series) -> Expr:
    """The limit at +infinity: a real constant, oo or -oo.

    A negative exponent ends the search, whatever its coefficient: no zero test of the rest is needed.
    """
    if x.top is None:
        return k.as_expr(x.value)
    i = 0
    while (found := x.term(i)) is not None:
        order = k.sign(found[0])
        if order < 0:
            break
        if order == 0:
            return limit(found[1])
        up = sign(found[1])
        if up:
            return sp.oo if up > 0 else -sp.oo
        i += 1
    return sp.S.Zero


def compare_growth(x: Series, y: Series) -> tuple[int, Number]:
    """-1, 0 or 1 as x = o(y), x ~ C y or y = o(x), with C (0 where there is none)."""
    cx, px = leading(x)
    cy, py = leading(y)
    if (isinstance(cx, int) and cx == 0) or (isinstance(cy, int) and cy == 0):
        raise Undecided("a germ that vanishes has no growth to compare")
    i = j = 0
    while i < len(px) or j < len(py):
        a, b = (px[i] if i < len(px) else None), (py[j] if j < len(py) else None)
        if b is None or (a is not None and a[0].position > b[0].position):
            assert a is not None
            return k.sign(a[1]), 0
        if a is None or b[0].position > a[0].position:
            return -k.sign(b[1]), 0
        order = k.compare(a[1], b[1])
        if order:
            return order, 0
        i, j = i + 1, j + 1
    return 0, k.over(cx, cy)


# --- exp, log, powers, composition ----------------------------------------------------------------------------------


def reciprocal(x: Series) -> Series:
    """``1/x``."""
    return power(x, -1)


def power(x: Series, p: Number) -> Series:
    """``x**p`` for a constant p: leading term to the p, times a binomial series.

    Raises
    ------
    Undecided
        x is zero with p < 0, or x is negative and p no integer.
    """
    basis = x.basis
    if isinstance(p, int) and p in (0, 1):
        return x if p else constant(basis, 1)
    side = sign(x)
    if side == 0:
        if k.sign(p) > 0:
            return constant(basis, 0)
        raise Undecided("division by a germ that is zero")
    if side < 0:
        if not isinstance(p, int):
            raise Undecided(f"a root of a germ that is negative for large z: {x.expr}")
        whole = power(scale(x, -1), p)
        return whole if p % 2 == 0 else scale(whole, -1)
    if x.top is None:
        return constant(basis, k.power(x.value, p))
    e, c, r = _leading_and_rest(x)
    head = monomial(basis, x.top, k.times(e, p), power(c, p))
    if r is None:
        return head
    exact = isinstance(p, int) and p > 0
    binomials = _Binomials(p)
    small = compose(
        lambda n: None if exact and n > p else constant(basis, binomials(n)), r, lambda: (1 + r.expr) ** k.as_expr(p)
    )
    return _times_monomial(head, small, lambda: x.expr ** k.as_expr(p))


class _Binomials:
    """``binomial(p, n)`` for a fixed real p, one after the other."""

    def __init__(self, p: Number) -> None:
        self.p, self.known = p, [1]

    def __call__(self, n: int) -> Number:
        while len(self.known) <= n:
            i = len(self.known) - 1
            self.known.append(k.over(k.times(self.known[-1], k.plus(self.p, -i)), i + 1))
        return self.known[n]


def _times_monomial(head: Series, x: Series, expr: Thunk) -> Series:
    """The product with a single term, which shifts exponents and cancels nothing."""
    found = head.term(0)
    assert found is not None
    return Series(head.basis, head.top, _scaled(x, found[1], found[0]), expr)


def _leading_and_rest(x: Series) -> tuple[Number, Series, Series | None]:
    """x = c b^e (1 + r): returns e, c and r (None where r is zero)."""
    i = _lead(x)[0]
    found = x.term(i)
    assert found is not None
    assert x.top is not None
    e, c = found
    if x.term(i + 1) is None:
        return e, c, None
    head = lambda: c.expr * x.top.expr ** k.as_expr(e)  # noqa: E731  # pyright: ignore[reportOptionalMemberAccess]
    minus_e = k.times(-1, e)
    return e, c, Series(x.basis, x.top, _scaled(x, reciprocal(c), minus_e, i + 1), lambda: x.expr / head() - 1)


def logarithm(x: Series) -> Series:
    """``log(x)`` of a germ that is positive for large z."""
    basis = x.basis
    if sign(x) <= 0:
        raise Undecided(f"the logarithm of a germ that is not positive for large z: {x.expr}")
    if x.top is None:
        return constant(basis, k.logarithm(x.value))
    e, c, r = _leading_and_rest(x)
    parts = [logarithm(c)]
    if not k.is_zero(e):
        parts.insert(0, scale(basis.log_of(x.top), e))
    if r is not None:
        parts.append(log1p_small(r))
    return add(basis, parts)


def log1p_small(r: Series) -> Series:
    """``log(1 + r)`` where all exponents of r are negative."""
    coefficients = lambda n: constant(r.basis, k.over((-1) ** (n + 1), n) if n else 0)  # noqa: E731
    return compose(coefficients, r, lambda: sp.log(1 + r.expr))


def exponential(x: Series) -> Series:
    """``exp(x)``.

    The infinitely large part of x goes into the basis, the constant part is a factor, the small part a Taylor series: a
    basis element is the exponential of a purely large germ, so that exp(z + exp(-z)) and exp(z) share one.
    """
    basis = x.basis
    if x.top is None:
        return constant(basis, k.exponential(x.value))
    large: list[Term] = []
    i, middle = 0, None
    while (found := x.term(i)) is not None:
        order = k.sign(found[0])
        if order < 0:
            break
        if order == 0:
            middle = found[1]
        elif not _surely_zero(found[1]):
            large.append(found)
        i += 1
    result = constant(basis, 1) if middle is None else exponential(middle)
    if large:
        result = mul(_exp_of_large(_finite(x.basis, x.top, large)), result)
    if x.term(i) is not None:
        small = _tail(x, i)
        series = compose(lambda n: constant(basis, k.over(1, factorial(n))), small, lambda: sp.exp(small.expr))
        result = mul(result, series)
    return result


def _finite(basis: Basis, top: Element, terms: list[Term]) -> Series:
    return Series(basis, top, iter(terms), lambda: sp.Add(*[c.expr * top.expr ** k.as_expr(e) for e, c in terms]))


def _tail(x: Series, start: int) -> Series:
    """x without its first ``start`` terms."""
    top = x.top
    assert top is not None

    def source() -> Iterator[Term]:
        i = start
        while (found := x.term(i)) is not None:
            yield found
            i += 1

    def expr() -> Expr:
        return x.expr - sp.Add(*[c.expr * top.expr ** k.as_expr(e) for e, c in x._terms[:start]])

    return Series(x.basis, top, source(), expr)


def _exp_of_large(h: Series) -> Series:
    """``exp(h)`` for h -> +-oo: a power of an element times a slower exponential, or a new element."""
    basis = h.basis
    if is_zero(h):
        return constant(basis, 1)
    position = len(basis.elements) - 1
    while position >= 0:
        basis.budget.tick()
        element = basis.elements[position]
        order, ratio = compare_growth(h, basis.log_of(element))
        position = element.position  # log_of may have inserted an element below
        if order == 0:
            rest = subtract(h, scale(basis.log_of(element), ratio))
            return mul(monomial(basis, element, ratio), exponential(rest))
        if order > 0:
            break
        position -= 1
    up = sign(h)
    exponent = h if up > 0 else scale(h, -1)
    return monomial(basis, basis.insert(Element(exp_of(exponent.expr), exponent), position + 1), up)


def compose(coefficient: Callable[[int], Series | None], r: Series, expr: Thunk) -> Series:
    """``sum a_n r^n`` where all exponents of r are negative.

    Parameters
    ----------
    coefficient : callable
        ``n`` to a_n, a series below the top of r; None ends the sum.
    """
    top = r.top
    assert top is not None
    return Series(r.basis, top, _gather(r.basis, top, _powers(coefficient, r), expr), expr)


def _powers(coefficient: Callable[[int], Series | None], r: Series) -> Iterator[tuple[Number, list[Series]]]:
    """Terms of a composition, grouped by exponent; the n-th power is formed once its leading exponent is due."""
    basis = r.basis
    first = r.term(0)
    step = first[0] if first is not None else None
    active: list[list] = []  # [coefficient, power, index]
    power_n, n, ended = constant(basis, 1), 0, False
    while True:
        basis.budget.tick()
        best = None
        for _, x, i in active:
            found = x.term(i) if x.top is not None else ((0, x) if i == 0 else None)
            if found is not None and (best is None or k.compare(found[0], best) > 0):
                best = found[0]
        active = [t for t in active if (t[1].term(t[2]) if t[1].top is not None else (t[2] == 0 or None)) is not None]
        if not ended and (best is None or k.compare(k.times(n, step) if step is not None else 0, best) >= 0):
            a = coefficient(n)
            ended = a is None or (n == 0 and step is None)
            if a is not None and not _surely_zero(a):
                active.append([a, power_n, 0])
            if not ended:
                power_n = r if n == 0 else mul(power_n, r)
            n += 1
            continue
        if best is None:
            return
        group = []
        for t in active:
            a, x, i = t
            e, c = x.term(i) if x.top is not None else (0, x)
            if k.compare(e, best) == 0:
                group.append(mul(a, c))
                t[2] += 1
        yield best, group


class Taylor:
    """A formal power series: exact coefficients and the function it belongs to.

    Parameters
    ----------
    coefficient : callable
        ``n`` to the constant a_n.
    closed : sympy.Expr
        The function of ``t`` that the series expands at 0 (it may diverge: an asymptotic series).
    t : sympy.Symbol
    """

    def __init__(self, coefficient: Callable[[int], Number], closed: Expr, t: sp.Symbol) -> None:
        self.coefficient, self.closed, self.t = coefficient, closed, t

    def derivative(self, n: int) -> Taylor:
        """The n-th derivative over n!."""
        a = self.coefficient
        closed = self.closed.diff(self.t, n) / factorial(n)
        return Taylor(lambda i: k.times(comb(i + n, n), a(i + n)), closed, self.t)

    def at(self, y: Series) -> Series:
        """The series at a germ y that tends to 0; the part of y below its top element is expanded first."""
        basis = y.basis
        if y.top is None:
            return constant(basis, self.coefficient(0))
        i = 0
        while (first := y.term(i)) is not None and k.sign(first[0]) > 0:
            i += 1  # y tends to 0, so these coefficients vanish
        if first is None:
            return constant(basis, self.coefficient(0))
        expr = lambda: self.closed.subs(self.t, y.expr)  # noqa: E731
        if k.sign(first[0]) < 0:
            return compose(lambda n: constant(basis, self.coefficient(n)), _tail(y, i) if i else y, expr)
        lower = first[1]
        if y.term(i + 1) is None:
            return self.at(lower)
        return compose(lambda n: self.derivative(n).at(lower), _tail(y, i + 1), expr)


__all__ = [
    "Basis",
    "Element",
    "SearchBudget",
    "Series",
    "Taylor",
    "add",
    "compare_growth",
    "constant",
    "exp_of",
    "exponential",
    "is_zero",
    "leading",
    "leading_expr",
    "limit",
    "logarithm",
    "monomial",
    "mul",
    "power",
    "proved_zero",
    "reciprocal",
    "scale",
    "sign",
    "subtract",
]
