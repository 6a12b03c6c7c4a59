"""Bounds that hold on a whole half-line ``x >= x0``: where an eventual sign gets its number.

A germ says "for all large z", never from where on. Here every sub-expression f is enclosed as ``f(x) = c(x) exp(D(x))``
with D an exact expression (the logarithm of a monomial, 0 where f stays bounded) and c(x) inside one interval C for
all ``x >= x0``. A sum is divided by its fastest monomial; the others become boxes ``[0, eps]``, since their ratio to it
falls for ``x >= x0`` -- which is the sign of a derivative, proved by the same means one exponential lower. Nothing of
the form oo - oo is ever formed: one box proves the fast gate's ``phi'' < 0`` for ``z >= 2``.

Oscillating sin and cos are given values from outside: an interval of the phase, or all of [-1, 1].

Source: the idea of interval-valued leading terms is in M. Eberl, *Verified Real Asymptotics in Isabelle/HOL* (2019).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import sympy as sp

from gateflow.arithmetic.intervals import Interval, Intervals
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Field, SearchBudget
from gateflow.codegen import Tape, rewrite
from gateflow.errors import GateflowError
from gateflow.formula.vocabulary import Expr, expm1, expression, log1p, logit, sigmoid, softplus, softsign

X = sp.Symbol("x", positive=True)
"""The variable of a half-line."""


class Clock:
    """A deadline that is looked at wherever work may pile up."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self.end = seconds, time.monotonic() + seconds
        self._most: float | None = None

    @property
    def left(self) -> float:
        """Seconds left."""
        return max(0.0, self.end - time.monotonic())

    def allow(self, seconds: float) -> None:
        """From now on no more seconds of the processor are left than these, for this thread."""
        self._most = time.thread_time() + seconds

    @property
    def allowed(self) -> float | None:
        """How many of them are left; None where there is no such limit."""
        return None if self._most is None else max(0.0, self._most - time.thread_time())

    def budget(self, most: float) -> SearchBudget:
        """A budget of some seconds, or of those that are left."""
        left = self.left
        return SearchBudget(most) if most < left else SearchBudget(left, asked=self.seconds)

    def check(self) -> None:
        """Raise `Undecided` once time is up."""
        if time.monotonic() > self.end or self.allowed == 0.0:
            raise Undecided(f"no answer within {self.seconds:g} s")


class LimitCache:
    """Limits at infinity of differences of log-monomials, each asked once."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self._known: dict[Expr, Expr] = {}

    def __call__(self, expr: Expr) -> Expr:
        """The limit of ``expr`` in `X`."""
        if not expr.has(X):
            return expr
        if expr not in self._known:
            self.clock.check()
            self._known[expr] = Field(X, self.clock.budget(3.0)).limit(expr)
        return self._known[expr]


class Bound(NamedTuple):
    """``f(x)`` in ``factor * exp(log_size(x))`` for all x >= x0."""

    factor: Interval
    log_size: Expr


class HalfLine:
    """Enclosures that hold for all ``x >= start``.

    Parameters
    ----------
    start : int, float or sympy Rational
        x0 > 0.
    ball : Intervals
    limits : LimitCache
    phases : mapping, optional
        Intervals for symbols that stand for oscillating terms.

    Examples
    --------
    >>> half = HalfLine(2, Intervals(), LimitCache(Clock(10)))
    >>> half.sign(sp.sinh(X) - sp.cosh(X) ** 2 * sp.tanh(sp.sinh(X) / 2))
    -1
    """

    def __init__(
        self, start: Any, ball: Intervals, limits: LimitCache, phases: Mapping[sp.Symbol, Interval] | None = None
    ) -> None:
        self.start, self.ball, self.limits = expression(start), ball, limits
        self.phases = dict(phases or {})
        self._bounds: dict[Expr, Bound] = {}
        self._values: dict[Expr, Interval] = {}
        self._depth = 0

    # --- questions ---

    def sign(self, expr: Expr) -> int:
        """1 or -1 where the sign on the whole half-line is proved; 0 where this enclosure does not show it."""
        try:
            found = self.bound(expr).factor.sign
            return found or (_shared_sign([self.bound(a).factor for a in expr.args]) if expr.is_Add else 0)
        except GateflowError:
            self.limits.clock.check()
            return 0

    def values(self, expr: Expr) -> Interval:
        """An interval that holds ``expr(x)`` for all x >= x0."""
        c, d = self.bound(expr)
        return c if d == 0 else c * self._exp_range(d)

    def bound(self, expr: Expr) -> Bound:
        """The enclosure of ``expr``."""
        if expr not in self._bounds:
            self.limits.clock.check()
            self._depth += 1
            try:
                if self._depth > 120:
                    raise Undecided("the formula is nested too deeply")
                found = self._bound(expr)
            finally:
                self._depth -= 1
            if not found.factor.valid:
                raise Undecided(f"{expr} leaves its domain for x >= {self.start}")
            self._bounds[expr] = found
        return self._bounds[expr]

    # --- monomials ---

    def at_start(self, expr: Expr) -> Interval:
        """The value at x0."""
        value = Tape([expr], [X])(self.ball, self.ball.constant(self.start))[0]
        if not value.valid:
            raise Undecided(f"{expr} is not defined at {self.start}")
        return value

    def _exp_range(self, d: Expr) -> Interval:
        """``exp(d)`` over the half-line."""
        return self.ball.exp(self.range(d))

    def range(self, d: Expr) -> Interval:
        """A log-monomial over the half-line: monotone, from its value at x0 to its limit."""
        if d not in self._values:
            self._values[d] = self._range(d)
        return self._values[d]

    def _range(self, d: Expr) -> Interval:
        if not d.has(X):
            return self.ball.constant(d)
        limit = self.limits(d)
        if limit.is_finite is False or not d.has(sp.exp, sp.log):
            first, last = self.at_start(d), self.ball.constant(limit)
            if self._is_monotone(d):
                return self.ball.hull(first, last)
            raise Undecided(f"{d} is not monotone for x >= {self.start}")
        return self.values(d)

    def _is_monotone(self, d: Expr) -> bool:
        if _is_iterated_logarithm(d.as_coeff_Mul()[1]):
            return True
        return self.bound(sp.expand(d.diff(X))).factor.sign != 0

    def _ratio(self, d: Expr, best: Expr) -> Interval:
        """``exp(d - best)`` over the half-line, where it does not grow."""
        gap = sp.expand(d - best)
        return self.ball.lift(1) if gap == 0 else self._exp_range(gap)

    # --- rules ---

    def _bound(self, expr: Expr) -> Bound:
        if expr in self.phases:
            return Bound(self.phases[expr], sp.S.Zero)
        if not expr.free_symbols:
            return Bound(self.ball.constant(expr), sp.S.Zero)
        if _is_iterated_logarithm(expr):
            if not self.at_start(expr).positive:
                raise Undecided(f"{expr} is not positive at {self.start}")
            return Bound(self.ball.lift(1), sp.log(expr))
        if expr.is_Add:
            return self._sum([self.bound(a) for a in expr.args])
        if expr.is_Mul:
            parts = [self.bound(a) for a in expr.args]
            factor = parts[0].factor
            for part in parts[1:]:
                factor = factor * part.factor
            return Bound(factor, sp.expand(sp.Add(*[p.log_size for p in parts])))
        if isinstance(expr, sp.exp):
            return self._exponential(expr.args[0])
        if expr.is_Pow:
            return self._power(*expr.args)
        if expr.is_Piecewise:
            return self._cases(expr)
        rule = _RULES.get(expr.func)
        if rule is None:
            raise Undecided(f"no bound on a half-line is known for {expr.func.__name__}")
        return rule(self, *expr.args)

    def _sum(self, parts: list[Bound]) -> Bound:
        best = parts[0].log_size
        for part in parts[1:]:
            if part.log_size != best and self.limits(sp.expand(part.log_size - best)) == sp.oo:
                best = part.log_size
        total = self.ball.lift(0)
        for size in dict.fromkeys(p.log_size for p in parts):
            same = [p.factor for p in parts if p.log_size == size]
            coefficient = same[0]
            for other in same[1:]:
                coefficient = coefficient + other
            total = total + coefficient * self._ratio(size, best)
        return Bound(total, best)

    def _exponential(self, g: Expr) -> Bound:
        """exp of the exact growing part is a monomial; what oscillates or stays bounded is an interval."""
        loose = [t for t in sp.Add.make_args(g) if t.free_symbols - {X}]
        rest = sp.expand(g - sp.Add(*loose)) if loose else sp.expand(g)
        factor = self.ball.lift(1)
        for term in loose:
            factor = factor * self.ball.exp(self.values(term))
        if rest.has(X) and self.limits(rest).is_finite is False:
            return Bound(factor, _in_logs(rest))
        return Bound(factor * self.ball.exp(self.values(rest)), sp.S.Zero)

    def _power(self, base: Expr, n: Expr) -> Bound:
        if n.free_symbols:
            return self.bound(sp.exp(n * sp.log(base)))
        c, d = self.bound(base)
        if n.is_Integer:
            return Bound(self.ball.integer_power(c, int(n)), sp.expand(n * d))
        if not c.positive:
            raise Undecided(f"a root of {base}, whose sign is not known")
        factor = self.ball.sqrt(c) if n == sp.S.Half else self.ball.power(c, self.ball.constant(n))
        return Bound(factor, sp.expand(n * d))

    def _cases(self, expr: sp.Piecewise) -> Bound:
        for value, condition in expr.args:
            if condition in (sp.true, sp.false):
                holds: bool = condition == sp.true
            elif isinstance(condition, sp.core.relational.Relational):
                s = self.sign(condition.lhs - condition.rhs)
                if not s:
                    raise Undecided(f"{condition} is not settled for x >= {self.start}")
                holds = (s > 0) == (condition.rel_op in (">", ">="))
            else:
                raise Undecided(f"the condition {condition} is not a comparison")
            if holds:
                return self.bound(value)
        raise Undecided(f"no branch of {expr} holds")

    # --- helpers of the function rules ---

    def direction(self, g: Expr) -> int:
        """Where g goes: 1 to oo, -1 to -oo, 0 if it stays bounded (or oscillates)."""
        _, d = self.bound(g)
        if d == 0 or self.limits(d) != sp.oo:
            return 0
        return self.bound(g).factor.sign

    def plain(self, name: str, g: Expr) -> Bound:
        """A function of the interval that holds g."""
        return Bound(getattr(self.ball, name)(self.values(g)), sp.S.Zero)


def _shared_sign(terms: list[Interval]) -> int:
    """Of a sum whose terms may vanish but never have the other sign, where one is sure not to vanish."""
    for side in (1, -1):
        turned = [term if side > 0 else -term for term in terms]
        if any(term.positive for term in turned) and all(term.ends[0] >= 0 for term in turned):
            return side
    return 0


def _is_iterated_logarithm(expr: Expr) -> bool:
    while isinstance(expr, sp.log):
        expr = expr.args[0]
    return expr == X


def _in_logs(d: Expr) -> Expr:
    """The exponent of a monomial, with logarithms of products taken apart (all factors are positive)."""
    return sp.expand(sp.expand_log(d))


def _log(at: HalfLine, g: Expr) -> Bound:
    c, d = at.bound(g)
    if not c.positive:
        raise Undecided(f"the logarithm of {g}, whose sign is not known for x >= {at.start}")
    constant = Bound(at.ball.log(c), sp.S.Zero)
    return constant if d == 0 else at._sum([constant, at.bound(d)])


def _log1p(at: HalfLine, g: Expr) -> Bound:
    """``g`` times ``log(1 + g)/g``, which falls from 1, where g is small and positive; else the logarithm of 1 + g."""
    c, d = at.bound(g)
    if d == 0 or not c.positive or at.limits(d) != -sp.oo:
        return at.bound(sp.log(1 + g))
    largest = at.values(g)
    end = at.ball.made(largest.hi, largest.hi)
    return Bound(c * at.ball.hull(at.ball.log1p(end) / end, at.ball.lift(1)), d)


def _hyperbolic(sign: int) -> Callable[[HalfLine, Expr], Bound]:
    def rule(at: HalfLine, g: Expr) -> Bound:
        way = at.direction(g)
        if not way:
            return at.plain("sinh" if sign < 0 else "cosh", g)
        rest = at.ball.lift(1) + at.ball.exp(at.values(-2 * way * g)) * at.ball.lift(sign)
        c, d = at.bound(sp.exp(way * g))
        half = at.ball.constant(sp.S.Half) * at.ball.lift(way if sign < 0 else 1)
        return Bound(c * rest * half, d)

    return rule


def _settling(name: str, far: Callable[[HalfLine, Expr, int], Bound | None]) -> Callable[[HalfLine, Expr], Bound]:
    """A rule for growing arguments, and the plain interval function otherwise."""

    def rule(at: HalfLine, g: Expr) -> Bound:
        way = at.direction(g)
        found = far(at, g, way) if way else None
        return at.plain(name, g) if found is None else found

    return rule


def _odd(name: str, slope: Expr) -> Callable[[HalfLine, Expr], Bound]:
    """A rule for an odd f with ``f'(0) = slope``: where g tends to 0, g times ``f(g)/g``, monotone in ``|g| < 3/2``."""

    def rule(at: HalfLine, g: Expr) -> Bound:
        c, d = at.bound(g)
        if d == 0 or at.limits(d) != -sp.oo:
            return at.plain(name, g)
        largest = at.ball.abs(at.values(g))
        end = at.ball.made(largest.hi, largest.hi)
        if not (end.positive and (at.ball.constant(sp.Rational(3, 2)) - end).positive):
            return at.plain(name, g)
        return Bound(c * at.ball.hull(getattr(at.ball, name)(end) / end, at.ball.constant(slope)), d)

    return rule


def _sigmoid_far(at: HalfLine, g: Expr, way: int) -> Bound | None:
    if way > 0:
        return None
    c, d = at.bound(sp.exp(g))
    return Bound(c / (at.ball.lift(1) + at.ball.exp(at.values(g))), d)


def _softplus_far(at: HalfLine, g: Expr, way: int) -> Bound:
    if way > 0:
        return at._sum([at.bound(g), _softplus_far(at, -g, -1)])
    c, d = at.bound(sp.exp(g))
    w = at.ball.exp(at.values(g))
    end = at.ball.made(w.hi, w.hi)
    return Bound(c * at.ball.hull(at.ball.log1p(end) / end, at.ball.lift(1)), d)


def _asinh_far(at: HalfLine, g: Expr, way: int) -> Bound:
    """``asinh g = log g + log(1 + sqrt(1 + 1/g^2))`` for g > 0."""
    if way < 0:
        c, d = _asinh_far(at, -g, 1)
        return Bound(-c, d)
    tail = at.ball.sqrt(at.ball.lift(1) + at.ball.integer_power(at.values(g), -2))
    return at._sum([_log(at, g), Bound(at.ball.log(at.ball.lift(1) + tail), sp.S.Zero)])


def _acot_far(at: HalfLine, g: Expr, way: int) -> Bound | None:
    if way < 0:
        return None
    c, d = at.bound(1 / g)
    w = at.values(1 / g)
    end = at.ball.made(w.hi, w.hi)
    return Bound(c * at.ball.hull(at.ball.atan(end) / end, at.ball.lift(1)), d)


def _erfc_far(at: HalfLine, g: Expr, way: int) -> Bound | None:
    """``1 - 1/(2 g^2) < sqrt(pi) g exp(g^2) erfc(g) < 1`` (DLMF 7.8.2 and 7.12.1)."""
    if way < 0:
        return None
    c, d = at.bound(sp.exp(-sp.expand(g**2)) / g)
    one = at.ball.lift(1)
    w = at.ball.integer_power(at.values(g), -2) * at.ball.constant(sp.S.Half)
    return Bound(c * at.ball.hull(one - w, one) / at.ball.constant(sp.sqrt(sp.pi)), d)


def _stirling(at: HalfLine, g: Expr, way: int) -> Bound | None:
    """DLMF 5.11.1: what is left lies between 0 and ``1/(12 g)`` for all g > 0 (5.11(ii))."""
    if way < 0:
        return None
    main = at.bound((g - sp.S.Half) * sp.log(g) - g + sp.log(2 * sp.pi) / 2)
    rest = at.bound(1 / g)
    if not rest.factor.positive:
        raise Undecided(f"loggamma of {g}, whose sign is not known")
    return at._sum([main, Bound(at.ball.interval(0, 1) * rest.factor / at.ball.lift(12), rest.log_size)])


def _polygamma(at: HalfLine, n: Expr, g: Expr) -> Bound:
    """``log g - 1/g < digamma g < log g - 1/(2 g)`` for g > 0; and for n >= 1, up to the sign ``(-1)^(n+1)``,
    ``(n-1)!/g^n + n!/(2 g^(n+1)) < |psi^(n)(g)| < (n-1)!/g^n + n!/g^(n+1)`` (DLMF 5.15 and 25.11.12, by integrals).
    """
    inverse = at.bound(1 / g)
    if not inverse.factor.positive:
        raise Undecided(f"polygamma of {g}, whose sign is not known")
    if n == 0:
        rest = at.ball.interval(-1, sp.Rational(-1, 2))
        return at._sum([at.bound(sp.log(g)), Bound(rest * inverse.factor, inverse.log_size)])
    sign = (-1) ** (int(n) + 1)
    main = at.bound(sign * sp.factorial(n - 1) * g**-n)
    rest = at.bound(sign * sp.factorial(n) * g ** (-n - 1))
    return at._sum([main, Bound(at.ball.interval(sp.S.Half, 1) * rest.factor, rest.log_size)])


def _abs(at: HalfLine, g: Expr) -> Bound:
    c, d = at.bound(g)
    return Bound(at.ball.abs(c), d)


def _sign(at: HalfLine, g: Expr) -> Bound:
    return Bound(at.ball.sign(at.bound(g).factor), sp.S.Zero)


_RULES: dict[Any, Callable[..., Bound]] = {
    sp.log: _log,
    log1p: _log1p,
    expm1: lambda at, g: at.plain("expm1", g) if at.direction(g) <= 0 else at.bound(sp.exp(g) - 1),
    sp.sinh: _hyperbolic(-1),
    sp.cosh: _hyperbolic(1),
    sp.tanh: _odd("tanh", sp.S.One),
    sp.atan: _odd("atan", sp.S.One),
    sp.erf: _odd("erf", 2 / sp.sqrt(sp.pi)),
    sp.atanh: lambda at, g: at.plain("atanh", g),
    sp.sin: _odd("sin", sp.S.One),
    sp.cos: lambda at, g: at.plain("cos", g),
    sp.tan: _odd("tan", sp.S.One),
    sp.acosh: lambda at, g: at.plain("acosh", g),
    softsign: lambda at, g: at.plain("softsign", g),
    logit: lambda at, g: at.bound(sp.log(g) - sp.log(1 - g)),
    sigmoid: _settling("sigmoid", _sigmoid_far),
    softplus: _settling("softplus", _softplus_far),
    sp.asinh: _settling("asinh", _asinh_far),
    rewrite.acot: _settling("acot", _acot_far),
    rewrite.erfc: _settling("erfc", _erfc_far),
    sp.erfc: _settling("erfc", _erfc_far),
    sp.loggamma: _settling("loggamma", _stirling),
    sp.polygamma: _polygamma,
    sp.Abs: _abs,
    sp.sign: _sign,
}


def in_words(expr: Expr) -> Expr:
    """The nodes that keep floating-point digits, in functions whose germs are known."""
    for node, words in _WORDS.items():
        expr = expr.replace(node, words)
    return expr


_WORDS: dict[Any, Callable[[Any], Expr]] = {
    rewrite.erfc: sp.erfc,
    rewrite.acot: lambda g: sp.pi / 2 - sp.atan(g),
    log1p: lambda g: sp.log(1 + g),
    expm1: lambda g: sp.exp(g) - 1,
}

__all__ = ["Bound", "Clock", "HalfLine", "LimitCache", "X", "in_words"]
