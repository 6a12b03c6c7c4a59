"""From SymPy expressions to multiseries: one short rule for each word of the formula language.

Everything elementary is written in exp, log and powers. The special functions have a Taylor series at a finite
limit and an asymptotic series at infinity (NIST DLMF 4.24, 5.11, 7.12); `Taylor.at` composes either with a germ.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import sympy as sp

from gateflow.asymptotics.limits import constants as k
from gateflow.asymptotics.limits import multiseries as ms
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.multiseries import Basis, Series, Taylor, exp_of
from gateflow.formula.functions import Node, written_out
from gateflow.formula.vocabulary import Expr, expm1, expression, log1p, logit, sigmoid, softplus, softsign

_T = sp.Dummy("t", positive=True)


class Expander:
    """Expands expressions over one shared basis, each sub-expression once.

    Parameters
    ----------
    z : sympy.Symbol
        The variable that tends to +infinity; inside it is a positive symbol.
    budget : SearchBudget
    """

    def __init__(self, z: sp.Symbol, budget: ms.SearchBudget) -> None:
        self.z, self.x = z, sp.Symbol(z.name, positive=True)
        self.basis = Basis(self.x, budget)
        self.known: dict[Expr, Series] = {}

    def germ(self, expr: Expr) -> Series:
        """The germ of ``expr`` in the caller's variable."""
        return self.series(expression(expr).xreplace({self.z: self.x}))

    def outward(self, expr: Expr) -> Expr:
        """An expression of the inside, in the caller's variable."""
        return expr.xreplace({self.x: self.z})

    def series(self, expr: Expr) -> Series:
        """The germ of an expression in the inner variable."""
        found = self.known.get(expr)
        if found is None:
            self.basis.budget.tick()
            found = self.known[expr] = self._expand(expr)
        return found

    def _expand(self, expr: Expr) -> Series:
        if not expr.has(self.x):
            return ms.constant(self.basis, k.number(_constant_rules(expr)))
        if expr == self.x:
            return ms.monomial(self.basis, self.basis.elements[self._z_position()])
        if expr.is_Add:
            return ms.add(self.basis, [self.series(a) for a in expr.args])
        if expr.is_Mul:
            result = self.series(expr.args[0])
            for factor in expr.args[1:]:
                result = ms.mul(result, self.series(factor))
            return result
        if expr.is_Pow:
            return self._power(expr.base, expr.exp)
        if isinstance(expr, sp.Piecewise):
            return self._piecewise(expr)
        rule = RULES.get(expr.func)
        if rule is None:
            raise Undecided(f"no expansion at infinity is known for {expr.func.__name__}")
        return rule(self, *expr.args)

    def _z_position(self) -> int:
        return next(e.position for e in self.basis.elements if e.expr == self.x)

    def _power(self, base: Expr, exponent: Expr) -> Series:
        if not exponent.has(self.x):
            return ms.power(self.series(base), k.number(exponent))
        return ms.exponential(ms.mul(self.series(exponent), ms.logarithm(self.series(base))))

    def _piecewise(self, expr: sp.Piecewise) -> Series:
        for value, condition in expr.args:
            if self.holds(condition):
                return self.series(value)
        raise Undecided(f"no branch of {self.outward(expr)} holds for large z")

    def holds(self, condition: sp.Basic) -> bool:
        """Whether a condition is true for all large z."""
        return k.holds(condition, lambda difference: ms.sign(self.series(difference)))


def _constant_rules(expr: Expr) -> Expr:
    """Our own nodes at a constant, in elementary functions."""
    if expr.has(Node, log1p, expm1):
        expr = written_out(expr).replace(log1p, lambda x: sp.log(1 + x)).replace(expm1, lambda x: sp.exp(x) - 1)
    return expr


# --- rules: each takes the expander and the arguments of the node ---------------------------------------------------


def _through(build: Callable[[Expr], Expr]) -> Callable[[Expander, Expr], Series]:
    """A rule that only rewrites."""
    return lambda at, x: at.series(build(x))


def _abs(at: Expander, x: Expr) -> Series:
    series = at.series(x)
    return ms.scale(series, -1) if ms.sign(series) < 0 else series


def _sign(at: Expander, x: Expr) -> Series:
    return ms.constant(at.basis, ms.sign(at.series(x)))


def _softplus(at: Expander, x: Expr) -> Series:
    if ms.limit(at.series(x)) == sp.oo:
        return at.series(x + sp.log(1 + exp_of(-x)))
    return at.series(sp.log(1 + exp_of(x)))


def _sigmoid(at: Expander, x: Expr) -> Series:
    if ms.limit(at.series(x)) == -sp.oo:
        return at.series(exp_of(x) / (1 + exp_of(x)))
    return at.series(1 / (1 + exp_of(-x)))


def _tanh(at: Expander, x: Expr) -> Series:
    if ms.sign(at.series(x)) < 0:
        return at.series((exp_of(2 * x) - 1) / (1 + exp_of(2 * x)))
    return at.series((1 - exp_of(-2 * x)) / (1 + exp_of(-2 * x)))


def _asinh(at: Expander, x: Expr) -> Series:
    if isinstance(x, sp.sinh):
        return at.series(x.args[0])
    if ms.sign(at.series(x)) < 0:
        return ms.scale(at.series(sp.log(sp.sqrt(x**2 + 1) - x)), -1)
    return at.series(sp.log(sp.sqrt(x**2 + 1) + x))


def _extremum(largest: bool) -> Callable[..., Series]:
    def rule(at: Expander, *args: Expr) -> Series:
        best = at.series(args[0])
        for other in args[1:]:
            candidate = at.series(other)
            if (ms.sign(ms.subtract(candidate, best)) > 0) == largest:
                best = candidate
        return best

    return rule


def _at_finite_limit(function: Callable[[Expr], Expr], series: Series, point: Expr) -> Series:
    """``function`` of a germ with a finite limit, where the function is analytic."""
    closed = function(point + _T)
    derivatives = [closed]

    def coefficient(n: int) -> k.Number:
        while len(derivatives) <= n:
            derivatives.append(derivatives[-1].diff(_T))
        value = derivatives[n].subs(_T, 0)
        if value.has(sp.nan, sp.zoo, sp.oo):
            raise Undecided(f"{closed.func.__name__} is singular at the limit {point} of its argument")
        return k.over(k.number(_constant_rules(value)), factorial(n))

    small = ms.subtract(series, ms.constant(series.basis, k.number(point)))
    return Taylor(coefficient, closed, _T).at(small)


def _analytic(function: Callable[[Expr], Expr], at_infinity: Callable[[Expander, Expr, int], Series] | None):
    """A rule for a function analytic on the line, with another rule for arguments that tend to +-oo."""

    def rule(at: Expander, x: Expr) -> Series:
        series = at.series(x)
        point = ms.limit(series)
        if point.is_infinite:
            if at_infinity is None:
                raise Undecided(f"{at.outward(function(x))} oscillates as z grows")
            return at_infinity(at, x, 1 if point > 0 else -1)
        return _at_finite_limit(function, series, point)

    return rule


def _atan_far(at: Expander, x: Expr, up: int) -> Series:
    return at.series(up * sp.pi / 2 - sp.atan(1 / x))


def _erf_far(at: Expander, x: Expr, up: int) -> Series:
    tail = ms.scale(_erfc_of_large(at, ms.scale(at.series(x), up), up * x), -up)
    return ms.add(at.basis, [ms.constant(at.basis, up), tail])


def _erfc_far(at: Expander, x: Expr, up: int) -> Series:
    tail = _erfc_of_large(at, ms.scale(at.series(x), up), up * x)
    return tail if up > 0 else ms.add(at.basis, [ms.constant(at.basis, 2), ms.scale(tail, -1)])


def _erfc_of_large(at: Expander, y: Series, expr: Expr) -> Series:
    """DLMF 7.12.1: erfc y = exp(-y^2)/(y sqrt(pi)) sum (-1)^n (1/2)_n y^(-2n); SymPy itself turns erfc(-x) round."""
    closed = sp.sqrt(sp.pi) * sp.exp(1 / _T) * sp.erfc(1 / sp.sqrt(_T)) / sp.sqrt(_T)
    tail = Taylor(lambda n: k.number(sp.rf(sp.S.Half, n) * (-1) ** n), closed, _T).at(ms.power(y, -2))
    return ms.mul(at.series(sp.exp(-(expr**2)) / (expr * sp.sqrt(sp.pi))), tail)


def _loggamma_far(at: Expander, x: Expr, up: int) -> Series:
    """DLMF 5.11.1 (Stirling)."""
    if up < 0:
        raise Undecided("loggamma has poles at negative arguments")

    def coefficient(n: int) -> k.Number:
        return k.number(sp.bernoulli(n + 1) / (n * (n + 1))) if n % 2 else 0

    closed = sp.loggamma(1 / _T) - (1 / _T - sp.S.Half) * sp.log(1 / _T) + 1 / _T - sp.log(2 * sp.pi) / 2
    tail = Taylor(coefficient, closed, _T).at(at.series(1 / x))
    return ms.add(at.basis, [at.series((x - sp.S.Half) * sp.log(x) - x + sp.log(2 * sp.pi) / 2), tail])


def _polygamma(at: Expander, order: Expr, x: Expr) -> Series:
    """DLMF 5.11.2 and its derivatives 5.15.8."""
    if not (order.is_Integer and order >= 0):
        raise Undecided("polygamma of an order that is no whole number")
    m = int(order)
    series = at.series(x)
    point = ms.limit(series)
    if point.is_finite:
        return _at_finite_limit(lambda t: sp.polygamma(m, t), series, point)
    if point < 0:
        raise Undecided("polygamma has poles at negative arguments")

    def coefficient(n: int) -> k.Number:
        if n == 0:
            return factorial(m - 1) if m else 0
        if n == 1:
            return k.over(factorial(m), 2)
        return 0 if n % 2 else k.number(sp.bernoulli(n) * factorial(n + m - 1) / sp.factorial(n))

    up = (-1) ** (m + 1)
    closed = up * _T**-m * sp.polygamma(m, 1 / _T) + (0 if m else sp.log(1 / _T))
    tail = ms.mul(at.series(up * x**-m), Taylor(coefficient, closed, _T).at(at.series(1 / x)))
    return tail if m else ms.add(at.basis, [at.series(sp.log(x)), tail])


RULES: dict[type, Callable[..., Series]] = {
    sp.exp: lambda at, x: ms.exponential(at.series(x)),
    sp.log: lambda at, x: ms.logarithm(at.series(x)),
    expm1: _through(lambda x: exp_of(x) - 1),
    log1p: _through(lambda x: sp.log(1 + x)),
    sp.sinh: _through(lambda x: (exp_of(x) - exp_of(-x)) / 2),
    sp.cosh: _through(lambda x: (exp_of(x) + exp_of(-x)) / 2),
    sp.sech: _through(lambda x: 2 / (exp_of(x) + exp_of(-x))),
    sp.csch: _through(lambda x: 2 / (exp_of(x) - exp_of(-x))),
    sp.tanh: _tanh,
    sp.coth: _through(lambda x: 1 / sp.tanh(x)),
    sp.asinh: _asinh,
    sp.acosh: _through(lambda x: sp.log(x + sp.sqrt(x - 1) * sp.sqrt(x + 1))),
    sp.atanh: _through(lambda x: (sp.log(1 + x) - sp.log(1 - x)) / 2),
    softplus: _softplus,
    sigmoid: _sigmoid,
    softsign: _through(softsign.written_out),
    logit: _through(lambda x: sp.log(x) - sp.log(1 - x)),
    sp.Abs: _abs,
    sp.sign: _sign,
    sp.Max: _extremum(True),
    sp.Min: _extremum(False),
    sp.sin: _analytic(sp.sin, None),
    sp.cos: _analytic(sp.cos, None),
    sp.tan: _through(lambda x: sp.sin(x) / sp.cos(x)),
    sp.atan: _analytic(sp.atan, _atan_far),
    sp.erf: _analytic(sp.erf, _erf_far),
    sp.erfc: _analytic(sp.erfc, _erfc_far),
    sp.loggamma: _analytic(sp.loggamma, _loggamma_far),
    sp.gamma: _through(lambda x: sp.exp(sp.loggamma(x))),
    sp.polygamma: _polygamma,
}
