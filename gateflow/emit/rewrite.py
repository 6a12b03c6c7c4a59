"""Rewriting a formula so that nothing cancels, and taking logarithms without forming what would underflow.

``1 - erf(x)`` becomes ``erfc(x)``, ``1 + tanh(x)`` becomes ``2 sigmoid(2x)``, ``pi/2 - atan(x)`` becomes ``acot(x)``.
The rules look at the expression tree, so they hold for users' formulas as for the catalogue's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import sympy as sp

from gateflow.vocabulary import Expr, Z, expm1, log1p, sigmoid, softplus, softsign


class erfc(sp.Function):
    """``1 - erf(x)``; SymPy's own node turns ``erfc(-x)`` into ``2 - erfc(x)``, which cancels."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return -2 / sp.sqrt(sp.pi) * sp.exp(-(self.args[0] ** 2))


class acot(sp.Function):
    """Inverse cotangent with values in (0, pi): ``pi/2 - atan(x)`` without the cancellation."""

    is_positive = True

    def fdiff(self, argindex: int = 1) -> Expr:
        return -1 / (1 + self.args[0] ** 2)


class log_erfc(sp.Function):
    """``log(erfc(x))``, finite where ``erfc(x)`` underflows."""


class log_cosh(sp.Function):
    """``log(cosh(x))``, finite where ``cosh(x)`` overflows."""


class log1mexp(sp.Function):
    """``log(1 - exp(-x))`` for x > 0."""


class log_cloglog(sp.Function):
    """``log(1 - exp(-exp(x)))``, which tends to x where ``exp(x)`` underflows."""


class log_softplus(sp.Function):
    """``log(log(1 + exp(x)))``, which tends to x where ``exp(x)`` underflows."""


def stable(expr: Expr) -> Expr:
    """The same function, written so that nothing cancels where a rule is known.

    Examples
    --------
    >>> stable(1 - sigmoid(Z)), stable(sp.S.Half + sp.erf(Z) / 2), stable(1 - sp.exp(-sp.exp(Z)))
    (sigmoid(-z), erfc(-z)/2, -expm1(-exp(z)))
    """
    return _stable(expr)


@cache
def _stable(expr: Any) -> Any:
    if not expr.args:
        return expr
    expr = expr.func(*(_stable(arg) for arg in expr.args))
    if isinstance(expr, sp.erfc):
        return erfc(expr.args[0])
    if isinstance(expr, acot) and isinstance(expr.args[0], sp.exp):
        return sp.atan(sp.exp(-expr.args[0].args[0]))
    if expr.is_Add:
        return _stable_sum(expr)
    if expr.is_Pow and expr.exp.is_Integer and expr.exp < 0:
        return _stable_reciprocal(expr)
    if expr.is_Mul:
        return _stable_product(expr)
    if isinstance(expr, sp.log):
        return log_of(expr.args[0])
    return expr


def _complements(term: Expr) -> Iterator[tuple[Expr, Expr]]:
    """For a term ``k F(x)``: each constant that may cancel it, with their sum written stably."""
    k, node = term.as_independent(*term.free_symbols, as_Add=False)
    x = node.args[0] if node.args else sp.S.Zero
    if isinstance(node, sigmoid):
        yield -k, -k * sigmoid(-x)
    elif isinstance(node, sp.exp):
        yield -k, k * expm1(x)
    elif isinstance(node, erfc):
        yield -k, -k * sp.erf(x)
        yield -2 * k, -k * erfc(-x)
    elif isinstance(node, sp.atan) and isinstance(x, sp.exp):
        yield -k * sp.pi / 2, -k * sp.atan(sp.exp(-x.args[0]))
    elif isinstance(node, acot):
        yield -k * sp.pi, -k * acot(-x)
    for limit, rest in _odd_complement(node):
        yield -k * limit, -k * rest(1)
        yield k * limit, k * rest(-1)


def _odd_complement(node: Expr) -> Iterator[tuple[Expr, Callable[[int], Expr]]]:
    """For odd F with limit A: A, and the sign-dependent ``A - F(sign x)`` written stably."""
    x = node.args[0] if node.args else sp.S.Zero
    if isinstance(node, sp.tanh):
        yield sp.S.One, lambda sign: 2 * sigmoid(-2 * sign * x)
    elif isinstance(node, sp.erf):
        yield sp.S.One, lambda sign: erfc(sign * x)
    elif isinstance(node, sp.atan):
        yield sp.pi / 2, lambda sign: acot(sign * x)
    elif isinstance(node, softsign):
        yield sp.S.One, lambda sign: 2 * sigmoid(-sign * _softsign_profile(x))
    elif (root := _algebraic_argument(node)) is not None:
        m, y = root
        yield m, lambda sign: 2 * m * sigmoid(-2 * sign * sp.asinh(y))


def _softsign_profile(x: Expr) -> Expr:
    """u with ``sigmoid(u) = (1 + softsign(x))/2``."""
    return sp.sign(x) * log1p(2 * sp.Abs(x))


def _algebraic_argument(node: Expr) -> tuple[Expr, Expr] | None:
    """``(m, y)`` with ``node = m y/sqrt(1 + y**2)`` and y linear in z, or None."""
    powers = [arg for arg in sp.Mul.make_args(node) if arg.is_Pow and arg.exp == -sp.S.Half]
    if len(powers) != 1:
        return None
    numerator = sp.cancel(node * sp.sqrt(powers[0].base))
    radicand = sp.Poly(powers[0].base, Z) if powers[0].base.is_polynomial(Z) else None
    if radicand is None or radicand.degree() != 2 or sp.cancel(numerator / Z).has(Z):
        return None
    a, b, c = radicand.all_coeffs()
    if b != 0 or not (a.is_positive and c.is_positive):
        return None
    return sp.sqrt(1 / a) * numerator / Z, sp.sqrt(a / c) * Z


def _stable_sum(expr: Expr) -> Expr:
    """Pair the constant of a sum with a saturating term that would cancel it."""
    if any(term.has(sp.Piecewise) for term in expr.args):
        folded = sp.piecewise_fold(expr)
        return _stable(folded) if folded.is_Piecewise else expr
    whole = _polynomial_in_sigmoid(expr)
    if whole is not None:
        return whole
    constant, rest = expr.as_coeff_Add()
    terms = list(sp.Add.make_args(rest))
    symbolic = [t for t in terms if not t.free_symbols]
    constant, terms = constant + sp.Add(*symbolic), [t for t in terms if t.free_symbols]
    if constant == 0:
        return expr
    for i, term in enumerate(terms):
        for limit, together in _complements(term):
            if sp.simplify(limit - constant) == 0:
                return _stable(sp.Add(together, *terms[:i], *terms[i + 1 :]))
    return expr


def _polynomial_in_sigmoid(expr: Expr) -> Expr | None:
    """``1 - p(s)`` with p(1) = 1, rewritten in t = 1 - s, where its constant term vanishes; and factored."""
    nodes = expr.atoms(sigmoid)
    if len(nodes) != 1 or expr.as_coeff_Add()[0] == 0:
        return None
    node, s, t = nodes.pop(), sp.Dummy("s"), sp.Dummy("t")
    poly = expr.subs(node, s)
    if poly.free_symbols != {s} or not poly.is_polynomial(s) or sp.degree(poly, s) < 2:
        return None
    reflected = sp.factor(sp.expand(poly.subs(s, 1 - t)))
    return reflected.subs(t, sigmoid(-node.args[0])) if reflected.subs(t, 0) == 0 else None


def _stable_reciprocal(expr: Expr) -> Expr:
    """``1/(1 + exp(x))**n`` as a power of the logistic function; ``1/cosh(x)`` stays."""
    base, n = expr.args
    if base.is_Add and len(base.args) == 2 and sp.S.One in base.args:
        other = base.args[1] if base.args[0] == 1 else base.args[0]
        if isinstance(other, sp.exp):
            return sigmoid(-other.args[0]) ** (-n)
    return expr


def _stable_product(expr: Expr) -> Expr:
    """``exp(x) sigmoid(-x)`` is ``sigmoid(x)``."""
    exps = {arg.args[0]: arg for arg in expr.args if isinstance(arg, sp.exp)}
    for arg in expr.args:
        if isinstance(arg, sigmoid) and -arg.args[0] in exps:
            return sp.Mul(sigmoid(-arg.args[0]), *(a for a in expr.args if a not in (arg, exps[-arg.args[0]])))
    return expr


def log_of(expr: Expr) -> Expr:
    """``log(abs(expr))``, without forming what may underflow or overflow.

    Examples
    --------
    >>> log_of(3 * sp.cosh(Z) * sigmoid(-Z))
    log_cosh(z) - softplus(z) + log(3)
    >>> log_of(1 + 3 * Z**2)
    softplus(2*log(Abs(z)) + log(3))
    """
    expr = _stable(expr) if not isinstance(expr, sp.log) else expr
    if not expr.free_symbols:
        return sp.log(sp.Abs(expr)) if expr != 0 else sp.S.NegativeInfinity
    if expr.is_Mul:
        return sp.Add(*(log_of(factor) for factor in expr.args))
    if isinstance(expr, sp.exp):
        return expr.args[0]
    if expr.is_Pow:
        return expr.exp * log_of(expr.base)
    if expr.is_Piecewise:
        return sp.Piecewise(*((log_of(value), condition) for value, condition in expr.args))
    if expr.is_Add:
        return _log_of_sum(expr)
    x = expr.args[0] if expr.args else None
    rules: dict[Any, Callable[[Any], Expr]] = {
        sp.Abs: log_of,
        sigmoid: lambda x: -softplus(-x),
        softplus: log_softplus,
        sp.cosh: log_cosh,
        erfc: log_erfc,
        expm1: _log_of_expm1,
    }
    return rules[expr.func](x) if expr.func in rules else _plain_log(expr)


def _plain_log(expr: Expr) -> Expr:
    return sp.log(expr if expr.is_positive else sp.Abs(expr))


def _log_of_expm1(x: Expr) -> Expr:
    """``log(1 - exp(x))`` where x is known to be negative."""
    if isinstance(-x, sp.exp):
        return log_cloglog((-x).args[0])
    return log1mexp(-x) if x.is_negative else _plain_log(expm1(x))


def _log_of_sum(expr: Expr) -> Expr:
    """Common factors leave first; a sum of positive terms is then added up in logarithms, so that none overflows."""
    factored = sp.factor_terms(sp.factor(expr)) if expr.is_polynomial(*_generators(expr)) else sp.factor_terms(expr)
    if factored.is_Pow or (factored.is_Mul and not factored.as_coeff_Mul()[1].is_Add):
        return log_of(factored)
    constant, rest = expr.as_coeff_Add()
    if constant == 1 and isinstance(rest, sp.exp):
        return softplus(rest.args[0])
    if constant == 1 and rest.is_nonnegative and not rest.has(sp.Pow):
        return log1p(rest)
    terms = sorted(expr.args, key=lambda term: (bool(term.free_symbols), term.sort_key()))
    if not (terms[0].is_positive and all(term.is_nonnegative for term in terms)):
        return _plain_log(expr)
    total = log_of(terms[0])
    for term in terms[1:]:
        total = total + softplus(log_of(term) - total)
    return total


def _generators(expr: Expr) -> tuple[Expr, ...]:
    """The innermost variables of a sum: functions of the symbols, or the symbols themselves."""
    return tuple(expr.atoms(sp.Function)) or tuple(expr.free_symbols)
