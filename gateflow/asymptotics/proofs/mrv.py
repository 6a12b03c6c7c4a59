"""Limits by Gruntz' algorithm: the checker's own, so that it shares nothing with the search.

The search (`growth`) expands lazily in a basis that it builds as it goes. Here the algorithm of the thesis is followed
instead: find the set of most rapidly varying subexpressions, write everything in one of them, omega, as a truncated
series, and recurse into the leading coefficient. It is slower and knows less, which is why it is short; what it cannot
do ends in `Unproved`.

What it takes for granted: that a formula without oscillation has a sign for large z (Hardy), and that a coefficient
which is not zero at one point is not the zero function (formulas are analytic past their last branch). That a
coefficient *is* zero is only believed after an exact simplification.

Source: D. Gruntz, *On Computing Gruntz in a Symbolic Manipulation System*, thesis, ETH Zurich (1996), ch. 3.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import sympy as sp

from gateflow.asymptotics.proofs.enclosures import Unproved, sign_of
from gateflow.formula.vocabulary import Expr, Z, expression, logit, sigmoid, softplus, softsign

X = sp.Symbol("x", positive=True)
"""The variable while it is worked on; large, so that signs are known to SymPy."""

TERMS = (2, 4, 8, 16)
"""Lengths of the truncated series tried, one after the other."""

_POINTS = tuple(sp.Rational(*q) for q in ((271, 100), (1237, 200), (613, 400), (4001, 130)))
_NUMBERS = tuple(sp.Rational(*q) for q in ((37, 23), (101, 61), (7, 19), (211, 97)))


class _TooShort(Exception):
    """All terms kept have cancelled: longer series are needed."""


# --- functions known by an asymptotic series at infinity --------------------------------------------------------------


class _Scaled(sp.Function):
    """A function with an asymptotic series in 1/u; ``coefficient(k)`` belongs to ``u^-k``."""

    nargs = 1

    @staticmethod
    def coefficient(k: int) -> Expr:
        raise AssertionError


class Erfcx(_Scaled):
    """``sqrt(pi) u exp(u^2) erfc(u)``, which tends to 1 (DLMF 7.12.1)."""

    @staticmethod
    def coefficient(k: int) -> Expr:
        return sp.S.Zero if k % 2 else (-1) ** (k // 2) * sp.factorial2(k - 1) / sp.Integer(2) ** (k // 2)

    def fdiff(self, argindex: int = 1) -> Expr:
        u = self.args[0]
        return self / u + 2 * u * self - 2 * u

    def _eval_evalf(self, prec: int) -> Any:
        u = self.args[0]
        return (sp.sqrt(sp.pi) * u * sp.exp(u**2) * sp.erfc(u))._eval_evalf(prec)


class Stirling(_Scaled):
    """``loggamma(u) - (u - 1/2) log u + u - log(2 pi)/2`` (DLMF 5.11.1)."""

    @staticmethod
    def coefficient(k: int) -> Expr:
        return sp.bernoulli(k + 1) / (k * (k + 1)) if k % 2 else sp.S.Zero

    def fdiff(self, argindex: int = 1) -> Expr:
        u = self.args[0]
        return StirlingSlope(u) - 1 / (2 * u) + 1 / (2 * u)

    def _eval_evalf(self, prec: int) -> Any:
        u = self.args[0]
        return (sp.loggamma(u) - (u - sp.Rational(1, 2)) * sp.log(u) + u - sp.log(2 * sp.pi) / 2)._eval_evalf(prec)


class StirlingSlope(_Scaled):
    """The derivative of `Stirling`: ``digamma(u) - log u + 1/(2 u)`` (DLMF 5.11.2)."""

    @staticmethod
    def coefficient(k: int) -> Expr:
        return -sp.bernoulli(k) / k if k and k % 2 == 0 else sp.S.Zero

    def fdiff(self, argindex: int = 1) -> Expr:
        raise Unproved("higher derivatives of digamma")

    def _eval_evalf(self, prec: int) -> Any:
        u = self.args[0]
        return (sp.digamma(u) - sp.log(u) + 1 / (2 * u))._eval_evalf(prec)


# --- truncated series -------------------------------------------------------------------------------------------------


class TruncatedSeries(NamedTuple):
    """``sum c omega^p`` over `terms`, p rising, up to ``O(omega^bound)``; bound None: exactly."""

    terms: tuple[tuple[Expr, Expr], ...]
    bound: Expr | None


def _constant_sign(c: Expr) -> int:
    known = 1 if c.is_positive else -1 if c.is_negative else 0
    found = known or (0 if c.is_Rational or c.free_symbols else sign_of(c))
    if found or c.is_zero:  # the signs first: SymPy says 0 of what it does not tell from 0
        return found
    if sp.simplify(c) == 0:
        return 0
    raise Unproved(f"the sign of the constant {c}")


class Gruntz:
    """Limits at +infinity, within a time.

    Parameters
    ----------
    seconds : float
        For all questions together.

    Examples
    --------
    >>> limits = Gruntz()
    >>> limits.limit(sp.exp(Z + sp.exp(-Z)) - sp.exp(Z)), limits.limit(Z * sp.erfc(Z) * sp.exp(Z**2))
    (1, 1/sqrt(pi))
    """

    def __init__(self, seconds: float = 30.0) -> None:
        self.end = time.monotonic() + seconds
        self._limits: dict[Expr, Expr] = {}
        self._mrv: dict[Expr, tuple[Expr, ...]] = {}
        self._zeros: dict[Expr, bool] = {}

    def limit(self, expr: Expr) -> Expr:
        """The limit of ``expr`` as z tends to +infinity: a constant, oo or -oo.

        Raises
        ------
        Unproved
            It was not found.
        """
        try:
            return sp.simplify(self._limit(self._tame(expression(expr).xreplace({Z: X}))))
        except RecursionError:
            raise Unproved("the formula is nested too deeply") from None

    def sign(self, expr: Expr) -> int:
        """The sign of ``expr`` for all large z."""
        return self._sign(self._tame(expression(expr).xreplace({Z: X})))

    def _tick(self) -> None:
        if time.monotonic() > self.end:
            raise Unproved("no proof within the time allowed")

    # --- the algorithm ---

    def _limit(self, e: Expr) -> Expr:
        if e == X or not e.has(X):
            return sp.oo if e == X else e
        if e not in self._limits:
            self._tick()
            c, p = self._leading(e)
            side = 0 if c == 0 else _constant_sign(p)
            if c == 0 or side > 0:
                self._limits[e] = sp.S.Zero
            else:
                self._limits[e] = self._sign(c) * sp.oo if side < 0 else self._limit(c)
        return self._limits[e]

    def _sign(self, e: Expr) -> int:
        if e == X or not e.has(X):
            return 1 if e == X else _constant_sign(e)
        return self._sign(self._leading(e)[0])

    def _leading(self, e: Expr) -> tuple[Expr, Expr]:
        """``(c, p)`` with ``e ~ c omega^p``; c varies less than omega, and is 0 for a germ that vanishes."""
        fastest = self._fastest(e)
        while X in fastest:  # nothing is faster than x: take exp(x) for x, which moves no limit
            up = {X: sp.exp(X)}
            e, fastest = e.subs(up), tuple(node.subs(up) for node in fastest)
        exponent = min(fastest, key=sp.count_ops).args[0]
        log_omega = -exponent if self._limit(exponent) == sp.oo else exponent
        for count in TERMS:
            try:
                series = _Expansion(self, log_omega, count).of(e)
            except _TooShort:
                continue
            if series.terms:
                return series.terms[0][1], series.terms[0][0]
            if series.bound is None:
                return sp.S.Zero, sp.S.Zero
        if not self._seen_nonzero(e) and self._shown_zero(e):
            return sp.S.Zero, sp.S.Zero
        raise Unproved("a cancellation is too deep")

    def _fastest(self, e: Expr) -> tuple[Expr, ...]:
        """The most rapidly varying subexpressions: x, or exponentials (thesis, sec. 3.3.1)."""
        if not e.has(X):
            return ()
        if e == X:
            return (X,)
        if e not in self._mrv:
            inner = reduce(self._faster, (self._fastest(a) for a in e.args), ())
            if isinstance(e, sp.exp) and self._limit(e.args[0]).is_infinite:
                inner = self._faster((e,), inner)
            self._mrv[e] = inner
        return self._mrv[e]

    def _faster(self, a: tuple[Expr, ...], b: tuple[Expr, ...]) -> tuple[Expr, ...]:
        if not a or not b:
            return a or b
        if set(a) & set(b):
            return tuple(dict.fromkeys(a + b))
        ratio = self._limit(_log(a[0]) / _log(b[0]))
        return b if ratio == 0 else a if ratio.is_infinite else tuple(dict.fromkeys(a + b))

    def is_zero(self, c: Expr) -> bool:
        """Whether a coefficient vanishes: not, if a number shows it; yes, if algebra does."""
        if c.is_Rational:
            return c == 0
        if c not in self._zeros:
            self._tick()
            self._zeros[c] = not self._seen_nonzero(c) and self._shown_zero(c)
        return self._zeros[c]

    @staticmethod
    def _seen_nonzero(c: Expr) -> bool:
        others = sorted(c.free_symbols - {X}, key=str)
        for x in _POINTS:
            at = dict(zip(others, _NUMBERS, strict=False)) | {X: x}
            try:
                value = c.xreplace(at).evalf(15, maxn=150)
            except (OverflowError, ValueError, MemoryError):
                continue
            if value.is_Float and value._prec > 10 and abs(value) > sp.Float(10) ** -60:
                return True
        return False

    def _split(self, x: Expr) -> Expr:
        """``log x`` as a sum over the factors of x, all of them made positive."""
        parts = [factor.as_base_exp() for factor in sp.Mul.make_args(sp.factor_terms(x))]
        if any(isinstance(b, sp.exp) for b, _ in parts):
            return _log(x)
        return sp.Add(*(e * _log(self._sign(b) * b) for b, e in parts))

    def _shown_zero(self, c: Expr) -> bool:
        forms: tuple[Callable[[Expr], Expr], ...] = (
            sp.expand,
            lambda y: sp.expand(y.replace(sp.log, self._split)),
            lambda y: sp.expand(sp.expand_log(sp.powsimp(y))),
            lambda y: sp.expand(sp.together(sp.expand_log(y))),
            sp.simplify,
        )
        if any(form(c) == 0 for form in forms):
            return True
        raise Unproved(f"whether {c} is zero")

    # --- into exp, log, powers and the scaled functions ---

    def _tame(self, e: Expr) -> Expr:
        if not e.args:
            return e
        if isinstance(e, sp.Piecewise):
            return self._tame(next(value for value, condition in e.args if self._holds(condition)))
        args = [self._tame(a) for a in e.args]
        if e.is_Pow and args[1].has(X):
            return sp.exp(args[1] * sp.log(args[0]))
        if isinstance(e, sp.log):
            return _log(args[0])
        rule = _WORDS.get(e.func)
        if rule is not None:
            return self._tame(rule(*args))
        if not e.has(X) or isinstance(e, sp.Add | sp.Mul | sp.Pow | sp.exp | sp.log | _Scaled):
            return e.func(*args)
        if isinstance(e, sp.Abs | sp.sign):
            up = self._sign(args[0])
            return sp.Integer(up) * (args[0] if isinstance(e, sp.Abs) else 1)
        return self._special(e.func, args)

    def _holds(self, condition: Any) -> bool:
        if condition in (sp.true, sp.false):
            return bool(condition)
        side = self._sign(self._tame(condition.lhs - condition.rhs))
        return bool(condition.func(side, 0))

    def _special(self, func: Any, args: list[Expr]) -> Expr:
        u = args[-1]
        end = self._limit(u)
        if end.is_finite and func in (sp.erfc, sp.erf, sp.atan, sp.sin, sp.cos, sp.tan, sp.loggamma, sp.polygamma):
            return func(*args)
        if func is sp.erf:
            return 1 - self._special(sp.erfc, args)
        if func is sp.erfc:
            return _erfc(u) if end == sp.oo else 2 - _erfc(-u)
        if func is sp.atan:
            return (sp.pi if end == sp.oo else -sp.pi) / 2 - sp.atan(1 / u)
        if func is sp.loggamma and end == sp.oo:
            return (u - sp.Rational(1, 2)) * sp.log(u) - u + sp.log(2 * sp.pi) / 2 + Stirling(u)
        if func is sp.polygamma and end == sp.oo and args[0] == 0:
            return sp.log(u) - 1 / (2 * u) + StirlingSlope(u)
        raise Unproved(f"{func.__name__} at {end}")


def _log(x: Expr) -> Expr:
    """``log x`` where all is real for large x, which SymPy does not always know."""
    return x.args[0] if isinstance(x, sp.exp) else sp.expand_log(sp.log(x))


def _erfc(u: Expr) -> Expr:
    return sp.exp(-(u**2)) / (sp.sqrt(sp.pi) * u) * Erfcx(u)


_WORDS: dict[Any, Callable[..., Expr]] = {
    sigmoid: lambda u: 1 / (1 + sp.exp(-u)),
    softplus: lambda u: sp.log(1 + sp.exp(u)),
    softsign: lambda u: u / (1 + sp.Abs(u)),
    logit: lambda u: sp.log(u) - sp.log(1 - u),
    sp.sinh: lambda u: (sp.exp(u) - sp.exp(-u)) / 2,
    sp.cosh: lambda u: (sp.exp(u) + sp.exp(-u)) / 2,
    sp.tanh: lambda u: 1 - 2 / (sp.exp(2 * u) + 1),
    sp.asinh: lambda u: sp.log(u + sp.sqrt(u**2 + 1)),
    sp.acosh: lambda u: sp.log(u + sp.sqrt(u**2 - 1)),
    sp.atanh: lambda u: (sp.log(1 + u) - sp.log(1 - u)) / 2,
}


class _Expansion:
    """Series in one omega, none longer than `count` terms."""

    def __init__(self, limits: Gruntz, log_omega: Expr, count: int) -> None:
        self.limits, self.log_omega, self.count = limits, log_omega, count
        self._flat: dict[Expr, bool] = {}
        self._known: dict[Expr, TruncatedSeries] = {}

    def of(self, e: Expr) -> TruncatedSeries:
        """The series of ``e``."""
        if e not in self._known:
            self.limits._tick()
            self._known[e] = self._of(e)
        return self._known[e]

    def _of(self, e: Expr) -> TruncatedSeries:
        if self.flat(e):
            return TruncatedSeries((), None) if self.limits.is_zero(e) else TruncatedSeries(((sp.S.Zero, e),), None)
        if e.is_Add:
            return reduce(self.plus, (self.of(a) for a in e.args))
        if e.is_Mul:
            return reduce(self.times, (self.of(a) for a in e.args))
        if e.is_Pow:
            return self.power(self.of(e.base), e.exp)
        if isinstance(e, sp.exp):
            return self.exponential(self.of(e.args[0]))
        if isinstance(e, sp.log):
            return self.logarithm(self.of(e.args[0]))
        return self.function(e.func, e.args)

    def flat(self, e: Expr) -> bool:
        """Whether nothing in ``e`` varies as fast as omega."""
        if not e.has(X) or e == X:
            return True
        if e not in self._flat:
            inner = all(self.flat(a) for a in e.args)
            if inner and isinstance(e, sp.exp):
                inner = self.limits._limit(e.args[0] / self.log_omega) == 0
            self._flat[e] = inner
        return self._flat[e]

    # --- arithmetic ---

    def cut(self, terms: dict[Expr, Expr], bound: Expr | None) -> TruncatedSeries:
        """In order, without zeros, and no longer than allowed."""
        kept: list[tuple[Expr, Expr]] = []
        for p in _rising(terms):
            if bound is not None and _constant_sign(p - bound) >= 0:
                break
            if self.limits.is_zero(terms[p]):
                continue
            if len(kept) == self.count:
                bound = p
                break
            kept.append((p, terms[p]))
        return TruncatedSeries(tuple(kept), bound)

    def plus(self, a: TruncatedSeries, b: TruncatedSeries) -> TruncatedSeries:
        """The sum."""
        terms = dict(a.terms)
        for p, c in b.terms:
            terms[p] = terms[p] + c if p in terms else c
        return self.cut(terms, _lesser(a.bound, b.bound))

    def times(self, a: TruncatedSeries, b: TruncatedSeries) -> TruncatedSeries:
        """The product."""
        terms: dict[Expr, Expr] = {}
        for p, c in a.terms:
            for q, d in b.terms:
                terms[p + q] = terms.get(p + q, sp.S.Zero) + c * d
        bounds = [x.bound + _start(y) for x, y in ((a, b), (b, a)) if x.bound is not None]
        return self.cut(terms, reduce(_lesser, bounds, None))

    def scaled(self, a: TruncatedSeries, c: Expr, p: Expr = sp.S.Zero) -> TruncatedSeries:
        """``c omega^p a``."""
        bound = None if a.bound is None else a.bound + p
        return TruncatedSeries(tuple((q + p, c * d) for q, d in a.terms), bound)

    def split(self, a: TruncatedSeries) -> tuple[Expr, Expr, TruncatedSeries]:
        """``c omega^p (1 + r)``."""
        if not a.terms:
            if a.bound is None:
                raise Unproved("a division by zero, or a logarithm of it")
            raise _TooShort
        p, c = a.terms[0]
        return c, p, self.scaled(a._replace(terms=a.terms[1:]), 1 / c, -p)

    def composed(self, coefficient: Callable[[int], Expr], r: TruncatedSeries) -> TruncatedSeries:
        """``sum coefficient(k) r^k`` for an infinitesimal r."""
        total = self.cut({sp.S.Zero: coefficient(0)}, None)
        if not r.terms and r.bound is None:
            return total
        power = TruncatedSeries(((sp.S.Zero, sp.S.One),), None)
        step = _start(r)
        for k in range(1, self.count + 1):
            power = self.times(power, r)
            total = self.plus(
                total, self.scaled(power, coefficient(k)) if coefficient(k) != 0 else TruncatedSeries((), None)
            )
        return self.cut(dict(total.terms), _lesser(total.bound, step * (self.count + 1)))

    def power(self, a: TruncatedSeries, exponent: Expr) -> TruncatedSeries:
        """``a^exponent`` with a constant exponent."""
        c, p, r = self.split(a)
        return self.scaled(self.composed(lambda k: sp.binomial(exponent, k), r), c**exponent, p * exponent)

    def logarithm(self, a: TruncatedSeries) -> TruncatedSeries:
        """``log a``."""
        c, p, r = self.split(a)
        head = sp.Add(*(self.log_of_factor(a) for a in sp.Mul.make_args(c))) + p * self.log_omega
        rest = self.composed(lambda k: sp.S.Zero if k == 0 else sp.Rational((-1) ** (k + 1), k), r)
        return self.plus(self.cut({sp.S.Zero: sp.expand(head)}, None), rest)

    def log_of_factor(self, a: Expr) -> Expr:
        """``log`` of a factor of a positive coefficient; signs cancel in the product, so each goes by its size."""
        base, exponent = a.as_base_exp() if a.is_Pow and not isinstance(a, sp.exp) else (a, sp.S.One)
        side = self.limits._sign(base) if base.has(X) else _constant_sign(base)
        return exponent * _log(side * base)

    def exponential(self, a: TruncatedSeries) -> TruncatedSeries:
        """``exp a``; what is faster than omega cannot occur."""
        at_zero, rest = self.finite_part(a)
        share = self.limits._limit(at_zero / self.log_omega)
        if share.is_infinite:
            raise Unproved("the order of growth was misjudged")
        factor = sp.exp(sp.expand(at_zero - share * self.log_omega))
        return self.scaled(self.composed(lambda k: 1 / sp.factorial(k), rest), factor, share)

    def finite_part(self, a: TruncatedSeries) -> tuple[Expr, TruncatedSeries]:
        """The coefficient of omega^0, and what tends to 0 faster than it varies."""
        if a.terms and _constant_sign(a.terms[0][0]) < 0:
            raise Unproved("the order of growth was misjudged")
        if a.bound is not None and _constant_sign(a.bound) <= 0:
            raise _TooShort
        at_zero = a.terms[0][1] if a.terms and a.terms[0][0] == 0 else sp.S.Zero
        return at_zero, TruncatedSeries(tuple(t for t in a.terms if t[0] != 0), a.bound)

    def function(self, func: Any, args: tuple[Expr, ...]) -> TruncatedSeries:
        """A function by its series at infinity, or by Taylor's formula."""
        a = self.of(args[-1])
        if issubclass(func, _Scaled) and a.terms and _constant_sign(a.terms[0][0]) < 0:
            return self.composed(func.coefficient, self.power(a, sp.S.NegativeOne))
        at_zero, rest = self.finite_part(a)
        t = sp.Dummy("t", positive=True)
        whole = func(*args[:-1], t)
        return self.composed(lambda k: (whole.diff(t, k) / sp.factorial(k)).subs(t, at_zero), rest)


def _rising(terms: dict[Expr, Expr]) -> list[Expr]:
    from functools import cmp_to_key

    return sorted(terms, key=cmp_to_key(lambda p, q: _constant_sign(p - q)))


def _lesser(a: Expr | None, b: Expr | None) -> Expr | None:
    if a is None or b is None:
        return b if a is None else a
    return a if _constant_sign(a - b) < 0 else b


def _start(a: TruncatedSeries) -> Expr:
    """A power that no term is below."""
    if a.terms:
        return a.terms[0][0]
    return sp.S.Zero if a.bound is None else a.bound
