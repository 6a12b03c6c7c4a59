"""Rewriting a formula so that nothing cancels, and taking logarithms without forming what would underflow.

``1 - erf(x)`` becomes ``erfc(x)``, ``1 + tanh(x)`` becomes ``2 sigmoid(2x)``, ``pi/2 - atan(x)`` becomes ``acot(x)``.
The rules look at the expression tree, so they hold for users' formulas as for the catalogue's.
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import sympy as sp

from gateflow.arithmetic.enclosed import sign_of as sign_of_constant
from gateflow.codegen.expand import common_factors_out, expand, expand_products, factor, folded
from gateflow.formula.functions import (
    acot,
    erfc,
    expm1,
    log1mexp,
    log1p,
    log_add,
    log_atan_exp,
    log_atan_ratio,
    log_cloglog,
    log_cosh,
    log_erfc,
    log_erfcx,
    log_expm1,
    log_hypot,
    log_softplus,
    sigmoid,
    softplus,
    softsign,
)
from gateflow.formula.vocabulary import Expr, Z

HIGHEST = 40
"""Degree of the polynomials in a logistic function that are rewritten: they are factored, which takes its time."""


MOST_SUMS = 60
"""Sums within sums of which SymPy takes out common factors, of each: thousands of them take seconds."""

MOST_FUNCTIONS = 30
"""Functions in a sum of logarithms whose arguments are expanded too."""

MOST_ADDED = 4
"""Sums of logarithms that are written out in their quotient; each doubles what stands in it."""


def stable(expr: Expr) -> Expr:
    """The same function, written so that nothing cancels where a rule is known.

    Examples
    --------
    >>> stable(1 - sigmoid(Z)), stable(sp.S.Half + sp.erf(Z) / 2), stable(1 - sp.exp(-sp.exp(Z)))
    (sigmoid(-z), erfc(-z)/2, -expm1(-exp(z)))
    >>> stable(1 - 1 / (1 + sp.exp(-Z) + sp.exp(-3 * Z))), stable(Z**4 / sp.sqrt(1 + Z**8))
    (sigmoid(log_add(-3*z, -z)), exp(-softplus(-8*log(Abs(z)))/2))
    """
    return _without_overflow(_stable(expr))


def stable_sums(expr: Expr) -> Expr:
    """The same, but with quotients of powers as they stand, for a factorisation to find: they may overflow."""
    return _stable(expr)


@cache
def _stable(expr: Any) -> Any:
    if not expr.args:
        return expr
    expr = expr.func(*(_stable(arg) for arg in expr.args))
    if isinstance(expr, sp.erfc):
        return erfc(expr.args[0])
    if isinstance(expr, sp.exp) and (power := _softplus_factor(expr.args[0])) is not None:
        return _stable(power)
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


def _softplus_factor(exponent: Expr) -> Expr | None:
    """``exp(k softplus(x))`` is ``sigmoid(-x)**-k``."""
    k, node = exponent.as_coeff_Mul()
    return sigmoid(-node.args[0]) ** -k if isinstance(node, softplus) and k.is_Integer else None


def _complements(term: Expr) -> Iterator[tuple[Expr, Expr]]:
    """For a term ``k F(x)``: each constant that may cancel it, with their sum written stably."""
    k, node = term.as_independent(*term.free_symbols, as_Add=False)
    x = node.args[0] if node.args else sp.S.Zero
    if isinstance(node, sigmoid):
        yield -k, -k * sigmoid(-x)
        yield -k / 2, k / 2 * sp.tanh(x / 2)
    elif node.is_Pow and isinstance(node.base, sigmoid):
        yield -k, k * expm1(-node.exp * softplus(-node.base.args[0]))
    elif (shifted := _shifted_power(node)) is not None:
        limit, rest = shifted
        yield -k * limit, k * rest
    elif isinstance(node, sp.exp):
        yield -k, k * expm1(x)
    elif isinstance(node, erfc):
        yield -k, -k * sp.erf(x)
        yield -2 * k, -k * erfc(-x)
    elif isinstance(node, sp.atan) and isinstance(x, sp.exp):
        yield -k * sp.pi / 2, -k * sp.atan(sp.exp(-x.args[0]))
        yield -k * sp.pi / 4, k * sp.atan(sp.tanh(x.args[0] / 2))
    elif isinstance(node, acot):
        yield -k * sp.pi, -k * acot(-x)
    for limit, rest in _odd_complement(node):
        yield -k * limit, -k * rest(1)
        yield k * limit, k * rest(-1)
    if (root := _saturating_root(node)) is not None and not root.odd:
        yield -k * root.limit, k * root.limit * expm1(-root.size)


def _shifted_power(node: Expr) -> tuple[Expr, Expr] | None:
    """For ``(c + g)**n`` with c and g positive: ``c**n``, and the difference from it; n is no whole number above 0."""
    if not node.is_Pow or isinstance(node, sp.exp) or not node.base.is_Add or not node.exp.is_number:
        return None
    c, rest = node.base.as_coeff_Add()
    if not (c.is_positive and fixed_sign(rest) > 0):
        return None
    if node.exp.is_positive and (node.exp.is_Integer or _even_powers(node.base) is not None):
        return None  # sqrt(1 + z**8) - 1 has a zero at 0, and stays
    if node.exp == -1:
        share = _share_of_exponentials(node)
        if share is None:
            return (1 / c, -rest / node.base / c) if _overflow_is_avoided(rest / node.base) else None
        outer = next(part for part in sp.Mul.make_args(share) if isinstance(part, sigmoid))
        return 1 / c, -sigmoid(-outer.args[0]) / c
    return c**node.exp, c**node.exp * expm1(node.exp * log_of(1 + rest / c))


def _odd_complement(node: Expr) -> Iterator[tuple[Expr, Callable[[int], Expr]]]:
    """For odd F with limit A: A, and the sign-dependent ``A - F(sign x)`` written stably."""
    x = node.args[0] if node.args else sp.S.Zero
    if isinstance(node, sp.tanh):
        yield sp.S.One, lambda sign: 2 * sigmoid(-2 * sign * x)
    elif isinstance(node, sp.erf):
        yield sp.S.One, lambda sign: erfc(sign * x)
    elif isinstance(node, sp.atan):
        whole = isinstance(x, sp.sinh)
        yield sp.pi / 2, lambda sign: 2 * sp.atan(sp.exp(-sign * x.args[0])) if whole else acot(sign * x)
    elif isinstance(node, softsign):
        yield sp.S.One, lambda sign: 2 * sigmoid(-sign * _softsign_profile(x))
    elif (root := _algebraic_argument(node)) is not None:
        m, y = root
        yield m, lambda sign: 2 * m * sigmoid(-2 * sign * sp.asinh(y))
    elif (found := _saturating_root(node)) is not None and found.odd:
        yield found.limit, lambda sign: found.limit * _rest_of_root(found, sign)


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
        whole = folded(expr)
        return _stable(whole) if whole.is_Piecewise else expr
    whole = _polynomial_in_sigmoid(expr)
    if whole is not None:
        return whole
    balanced = _balanced_sigmoids(expr)
    if balanced is not None:
        return _stable(balanced)
    constant, rest = expr.as_coeff_Add()
    terms = list(sp.Add.make_args(rest))
    symbolic = [t for t in terms if not t.free_symbols]
    constant, terms = constant + sp.Add(*symbolic), [t for t in terms if t.free_symbols]
    if constant == 0:
        return expr
    for i, term in enumerate(terms):
        for limit, together in _complements(term):
            if _is_zero(limit - constant):
                return _stable(sp.Add(together, *terms[:i], *terms[i + 1 :]))
    if (whole := _over_one_divisor(constant, terms)) is not None:
        return whole
    return _stable_mixture(expr, constant, terms)


def _is_zero(constant: Expr) -> bool:
    return constant == 0 or (not constant.is_Rational and not sign_of_constant(constant) and sp.simplify(constant) == 0)


def _stable_mixture(expr: Expr, constant: Expr, terms: list[Expr]) -> Expr:
    """The constant shared out among several saturating terms, as in ``1/2 + (tanh(z) + erf(z))/4``."""
    options = [list(_complements(term)) for term in terms]
    if not 2 <= len(terms) <= 4 or not all(options):
        return expr
    for choice in itertools.product(*options):
        if expand(sp.Add(*(limit for limit, _ in choice)) - constant) == 0:
            return sp.Add(*(_stable(together) for _, together in choice))
    return expr


def _balanced_sigmoids(expr: Expr) -> Expr | None:
    """``k sigmoid(x) - k sigmoid(-x)`` is ``k tanh(x/2)``."""
    for term in expr.args:
        nodes = [factor for factor in sp.Mul.make_args(term) if isinstance(factor, sigmoid)]
        for node in nodes:
            k, x = term / node, node.args[0]
            partner = -k * sigmoid(-x)
            if partner in expr.args:
                return expr - term - partner + k * sp.tanh(x / 2)
    return None


def _over_one_divisor(constant: Expr, terms: list[Expr]) -> Expr | None:
    """``(c d + n)/d`` for ``c + n/d``, where the numerator has one sign once what cancels in it is gone.

    With ``abs(z)`` in it that is asked on either side of 0.
    """
    powers = [{part for part in sp.Mul.make_args(term) if _is_divisor(part)} for term in terms]
    for divisor in sorted(set.intersection(*powers) if powers else (), key=sp.default_sort_key):
        above, one = sp.Add(*(term / divisor for term in terms)), 1 / divisor
        if fixed_sign(constant) * fixed_sign(above) > 0 or above.has(divisor.base):
            continue  # nothing cancels
        left = expand(constant * expand(one) + expand(above))
        left = _halves(left) if left.has(sp.Abs(Z)) or left.has(sp.sign(Z)) else _stable(left)
        if fixed_sign(left) and _overflow_is_avoided(left * divisor):
            return left * divisor
    return None


def _is_divisor(part: Expr) -> bool:
    """Whether it is ``1/d**n`` of a positive sum d and a whole n."""
    return bool(
        part.is_Pow
        and not isinstance(part, sp.exp)
        and part.exp.is_Integer
        and -4 <= part.exp < 0
        and part.base.is_Add
        and fixed_sign(part.base) > 0
    )


def _halves(expr: Expr) -> Expr:
    """An expression in z, ``abs(z)`` and ``sign(z)`` as that in ``abs(z)`` on either side of 0."""
    size = sp.Dummy(positive=True)
    sides = [expand(expr.subs({Z: side * size})).subs(size, sp.Abs(Z)) for side in (1, -1)]
    above, below = _stable(sides[0]), _stable(sides[1])
    if expr.has(sp.sign(Z)) and (at_0 := expr.subs(Z, 0)) != below.subs(Z, 0):
        return sp.Piecewise((above, Z > 0), (below, Z < 0), (at_0, True))
    return sp.Piecewise((above, Z > 0), (below, True))


BOUNDED_ON_THE_LINE = (sp.tanh, sp.atan, sp.erf, softsign, sp.sign, sigmoid, erfc, acot)

NO_FASTER = (sp.Abs, softplus, log1p, sp.asinh)
"""Functions that grow no faster than their argument."""


def _growth(expr: Expr) -> float:
    """A degree of growth that an expression does not exceed: at most 1, and no float overflows in it."""
    if not expr.free_symbols or isinstance(expr, BOUNDED_ON_THE_LINE):
        return 0.0
    if expr == Z:
        return 1.0
    if isinstance(expr, NO_FASTER):
        return _growth(expr.args[0])
    if expr.is_Add:
        return max(_growth(term) for term in expr.args)
    if expr.is_Mul:
        return sum(_growth(part) for part in expr.args)
    if expr.is_Piecewise:
        return max(_growth(value) for value, _ in expr.args)
    if expr.is_Pow and not isinstance(expr, sp.exp) and expr.exp.is_Rational and expr.exp > 0:
        return float(expr.exp) * _growth(expr.base)
    return math.inf


def _overflow_is_avoided(quotient: Expr) -> bool:
    """Whether nothing overflows in a quotient as it is written in the end."""
    divisor, left = _divided(quotient)
    if divisor is None:
        return _growth(quotient) <= 1
    if not _may_be_no_number(left, divisor):
        return True
    root = _quotient_of_powers(quotient)
    return (root is not None and root.rest == 1) or _share_of_sum(quotient) is not None


def _may_be_no_number(left: Expr, divisor: Expr) -> bool:
    """Whether both sides of a quotient may overflow."""
    return _growth(left) > 0 and max(_growth(left), _growth(1 / divisor)) > 1


def _divided(quotient: Expr) -> tuple[Expr | None, Expr]:
    """The divisor ``1/d**n`` of a product, if it has just one, and what it divides."""
    found = [part for part in sp.Mul.make_args(quotient) if _is_divisor(part)]
    return (found[0], quotient / found[0]) if len(found) == 1 else (None, quotient)


@cache
def _share_of_sum(quotient: Expr) -> Expr | None:
    """``c l/(l + m)`` of one sign as ``c sigmoid(log(l/m))``; None where nothing overflows, or they do."""
    divisor, left = _divided(quotient)
    if divisor is None or not (sign := fixed_sign(left)) or not _may_be_no_number(left, divisor):
        return None
    if halves := [part for part in sp.Mul.make_args(left) if part.is_Piecewise]:
        if len(halves) > 1:
            return None
        outside = sp.Mul(*(other for other in sp.Mul.make_args(quotient) if other != halves[0]))
        sides = [(value * outside, condition) for value, condition in halves[0].args]
        if not all(_overflow_is_avoided(value) for value, _ in sides):
            return None
        return sp.Piecewise(*((_without_overflow(value), condition) for value, condition in sides))
    total, part = expand(1 / divisor), expand(sign * left)
    whole = dict(total.as_coefficients_dict())
    scale = sp.S.Zero
    for term, k in part.as_coefficients_dict().items():
        if term not in whole:
            logs = log_of(part), log_of(divisor)
            return None if any(_overflows_in_logarithm(log) for log in logs) else sign * sp.exp(logs[0] + logs[1])
        scale = sp.Max(scale, k / whole[term])
    other = expand(scale * total - part)
    if other == 0 or fixed_sign(other) <= 0:
        return None
    logs = log_of(part), log_of(other)
    return sign * scale * sigmoid(logs[0] - logs[1]) if not any(_overflows_in_logarithm(log) for log in logs) else None


def _overflows_in_logarithm(expr: Expr) -> bool:
    """Whether a logarithm is taken of what may overflow first."""
    return any(_growth(node.args[0]) > 1 for node in expr.atoms(sp.log, log1p))


SIGNED_AS_THEY_ARGUE = (expm1, log1p, sp.sinh, sp.tanh, sp.atan, sp.asinh, sp.erf, softsign, sp.sign)
"""Functions with the sign of their argument."""

POSITIVE = (sp.exp, sp.cosh, sp.Abs, sigmoid, softplus, erfc, sp.erfc, acot)


@cache
def fixed_sign(expr: Expr) -> int:
    """1 where an expression is seen to be nowhere negative, -1 where it is nowhere positive; 0 says nothing.

    Examples
    --------
    >>> fixed_sign(1 + sp.exp(Z) * Z**2), fixed_sign(-sp.sqrt(Z**2 + 1)), fixed_sign(Z)
    (1, -1, 0)
    """
    if isinstance(expr, POSITIVE):
        return 1
    if expr.is_Add:
        found = {fixed_sign(term) for term in expr.args}
        return found.pop() if len(found) == 1 else 0
    if expr.is_Mul:
        return math.prod(fixed_sign(part) for part in expr.args)
    if expr.is_Piecewise:
        found = {fixed_sign(value) for value, _ in expr.args}
        return found.pop() if len(found) == 1 else 0
    if isinstance(expr, SIGNED_AS_THEY_ARGUE):
        return fixed_sign(expr.args[0])
    if expr.is_Pow and not expr.exp.is_even:
        below = fixed_sign(expr.base)
        return below if expr.exp.is_odd else int(below > 0)
    return 1 if expr.is_nonnegative else -1 if expr.is_nonpositive else 0


def _polynomial_in_sigmoid(expr: Expr) -> Expr | None:
    """A polynomial in one ``sigmoid(x)`` with a zero at 1 or 1/2, in powers of ``sigmoid(-x)`` or ``tanh(x/2)``."""
    nodes = expr.atoms(sigmoid)
    if len(nodes) != 1 or expr.as_coeff_Add()[0] == 0:
        return None
    node, s, t = nodes.pop(), sp.Dummy("s"), sp.Dummy("t")
    if not node.free_symbols or not _is_polynomial_of(node, expr):
        return None
    x, poly = node.args[0], expr.xreplace({node: s})
    if not 2 <= sp.degree(poly, s) <= HIGHEST:
        return None
    for shifted, variable in ((1 - t, sigmoid(-x)), ((1 + t) / 2, sp.tanh(x / 2))):
        moved = factor(expand(poly.subs(s, shifted)))
        if moved.subs(t, 0) == 0:
            return moved.subs(t, variable)
    return None


def _is_polynomial_of(node: Expr, expr: Expr) -> bool:
    """Whether ``expr`` is made of ``node`` and numbers by sums, products and positive integer powers."""
    if expr == node or not expr.free_symbols:
        return True
    if expr.is_Pow:
        return expr.exp.is_Integer and expr.exp > 0 and _is_polynomial_of(node, expr.base)
    return (expr.is_Add or expr.is_Mul) and all(_is_polynomial_of(node, arg) for arg in expr.args)


def _stable_reciprocal(expr: Expr) -> Expr:
    """``1/(a exp(x) + b exp(y))**n`` as a power of the logistic function; ``1/cosh(x)`` stays."""
    base, n = expr.args
    parts = [_exponential(term) for term in sp.Add.make_args(base)]
    if len(parts) != 2 or any(part is None for part in parts):
        return expr
    (a, x), (b, y) = sorted(parts, key=lambda part: (part[1] != 0, sp.default_sort_key(part[1])))  # type: ignore[index]
    return _stable_product(sp.Mul(a**n, sp.exp(n * x), sigmoid(x - y + sp.log(a / b)) ** -n))


def _exponential(term: Expr) -> tuple[Expr, Expr] | None:
    """``(a, x)`` with ``term = a exp(x)`` and a > 0, or None."""
    a, node = term.as_coeff_Mul()
    if a.is_positive and node == 1:
        return a, sp.S.Zero
    return (a, node.args[0]) if a.is_positive and isinstance(node, sp.exp) else None


def _share_of_exponentials(expr: Expr) -> Expr | None:
    """``exp(x)/(exp(x) + exp(y) + exp(w) + ...)`` as a logistic function, and so for powers of it; else None."""
    factors = sp.Mul.make_args(expr)
    for divisor in factors:
        if not (
            divisor.is_Pow and not isinstance(divisor, sp.exp) and divisor.base.is_Add and len(divisor.base.args) > 2
        ):
            continue
        n = -divisor.exp
        parts = [_exponential(term) for term in divisor.base.args]
        if not (n.is_Integer and n > 0) or any(part is None for part in parts):
            continue
        exps = [part for part in factors if isinstance(part, sp.exp)]
        x = sp.Add(*(part.args[0] for part in exps)) / n
        for own in parts:
            if expand(own[1] - x) == 0:  # type: ignore[index]
                a, x = own  # type: ignore[misc]
                others = [expand(y - x) + sp.log(b / a) for b, y in parts if y != x]  # type: ignore[misc]
                total = functools.reduce(_log_add, sorted(others, key=sp.default_sort_key))
                rest = [part for part in factors if part is not divisor and part not in exps]
                return sp.Mul(a**-n, sigmoid(-total) ** n, *rest)
    return None


@dataclass(frozen=True)
class _Root:
    """``limit sign(base) exp(-size)``, without the sign if not odd: what a quotient of powers of a base comes to."""

    limit: Expr
    base: Expr
    size: Expr
    odd: bool
    rest: Expr


def _rest_of_root(root: _Root, sign: int) -> Expr:
    """1 less ``sign`` times the root over its limit, by the sign of its base."""
    near, far = -expm1(-root.size), 1 + sp.exp(-root.size)
    return sp.Piecewise((near if sign > 0 else far, root.base > 0), (far if sign > 0 else near, True))


def _log_sum(x: Expr, y: Expr) -> Expr:
    return log_add(x, y)


def _saturating_root(node: Expr) -> _Root | None:
    """A quotient such as ``z**3/(1 + z**4)**(3/4)`` that has limits, and nothing beside it."""
    root = _quotient_of_powers(node)
    return root if root is not None and root.rest == 1 else None


@cache
def _quotient_of_powers(expr: Expr) -> _Root | None:
    """Of ``x**m/(c + b |x|**q + ...)**n`` the part ``(|x|**q/(c + b |x|**q + ...))**k`` with k the less of m/q and n.

    That is ``exp(-k log(b (1 + g)))`` of a g that vanishes for large x, whose logarithm is a number where powers
    overflow.
    """
    factors = list(sp.Mul.make_args(expr))
    for divisor in factors:
        if not divisor.is_Pow or isinstance(divisor, sp.exp) or not divisor.exp.is_negative:
            continue
        if (found := _even_powers(divisor.base)) is None:
            continue
        x, powers = found
        q, n = _degree(powers), -divisor.exp
        own = [part for part in factors if part != divisor and _power_of(part, x) is not None]
        degrees = [_power_of(part, x) for part in own]
        m, odd = sp.Add(*(d for d, _ in degrees)), sum(o for _, o in degrees) % 2  # type: ignore[misc]
        if not m.is_positive or not _may_overflow(q, n, len(powers)):
            continue
        k = n if (m / q - n).is_nonnegative else m / q
        b, log_x = powers.pop(q), log_of(sp.Abs(x))
        total = functools.reduce(_log_sum, [sp.log(a / b) - (q - d) * log_x for d, a in powers.items()])
        rest = [part for part in factors if part != divisor and part not in own]
        rest += [sp.Abs(x) ** (m - k * q), divisor.base ** (k - n)]
        return _Root(b**-k, x, k * softplus(total), bool(odd), sp.Mul(*rest))
    return None


def _degree(powers: dict[Expr, Expr]) -> Expr:
    """The highest of some powers, of which the others but 0 are numbers."""
    return max(powers, key=lambda q: (bool(q.free_symbols), float(q) if q.is_number else 0.0))


def powers_gathered(expr: Expr) -> Expr | None:
    """A sum of terms with fractional powers of ``c + b |x|**q + ...`` as the lowest of these times a sum without them.

    None where there is no such power, or another function, or their powers differ by fractions. A derivative is
    written so, and its sums are not taken apart into factors, as ``1 + z**6`` could be.
    """
    if any(not isinstance(node, sp.Abs | sp.sign) for node in expr.atoms(sp.Function)):
        return None
    roots = (node.base for node in expr.atoms(sp.Pow) if not isinstance(node, sp.exp) and not node.exp.is_Integer)
    bases = sorted({base for base in roots if _even_powers(base) is not None}, key=sp.default_sort_key)
    terms, outside = sp.Add.make_args(expand_products(expr)), sp.S.One
    for base in bases:
        powers = [term.as_powers_dict().get(base, sp.S.Zero) for term in terms]
        if not all((power - powers[0]).is_Integer for power in powers):
            return None
        lowest = powers[0] + min(power - powers[0] for power in powers)
        terms = sp.Add.make_args(expand(sp.Add(*(term / base**lowest for term in terms))))
        outside *= base**lowest
    rest = sp.Add(*terms)
    return outside * (rest if fixed_sign(rest) else factor(rest)) if bases else None


def _may_overflow(q: Expr, n: Expr, terms: int) -> bool:
    """Whether a quotient of powers is written in logarithms: not ``z/sqrt(1 + z**2)``, nor low rational ones."""
    if (q, n, terms) == (2, sp.S.Half, 2):
        return False
    return not n.is_Integer or not q.is_Integer or bool(q > 2)


def _even_powers(total: Expr) -> tuple[Expr, dict[Expr, Expr]] | None:
    """``x, {0: c, q: b, ...}`` of ``c + b |x|**q + ...`` with positive coefficients and one constant; else None."""
    if not total.is_Add:
        return None
    base: Expr | None = None
    powers: dict[Expr, Expr] = {}
    for term in total.args:
        b, node = term.as_independent(*term.free_symbols & {Z}, as_Add=False) if term.has(Z) else (term, sp.S.One)
        if not b.is_positive:
            return None
        if node == 1:
            powers[sp.S.Zero] = powers.get(sp.S.Zero, sp.S.Zero) + b
            continue
        inner = next(iter(sp.Mul.make_args(node))).as_base_exp()[0]
        inner = inner.args[0] if isinstance(inner, sp.Abs) else inner
        base = inner if base is None else base
        found = [_power_of(part, base) for part in sp.Mul.make_args(node)]
        if any(part is None for part in found) or sum(odd for _, odd in found) % 2:  # type: ignore[misc]
            return None
        q = sp.Add(*(degree for degree, _ in found))  # type: ignore[misc]
        if not q.is_positive or q in powers:
            return None
        powers[q] = b
    if base is None or sp.S.Zero not in powers or (len(powers) > 2 and not all(q.is_Rational for q in powers)):
        return None
    return base, powers


def _power_of(part: Expr, x: Expr) -> tuple[Expr, int] | None:
    """``(m, 1)`` of ``x**m`` with odd m, and of ``sign(x)``; ``(m, 0)`` of even m, and of ``abs(x)**m``; else None."""
    if part == sp.sign(x):
        return sp.S.Zero, 1
    base, m = (part, sp.S.One) if isinstance(part, sp.exp) else part.as_base_exp()
    if base == sp.Abs(x) and not m.has(Z):
        return m, 0
    return (m, int(m % 2)) if base == x and m.is_Integer else None


@cache
def _without_overflow(expr: Expr) -> Expr:
    """Quotients of powers that have a value where the powers overflow, by logarithms."""
    if not expr.args or not any(node.base.is_Add for node in expr.atoms(sp.Pow) if not isinstance(node, sp.exp)):
        return expr
    if (share := _share_of_exponentials(expr)) is not None:
        return _without_overflow(share)
    root = _quotient_of_powers(expr) if expr.is_Mul else None
    if expr.is_Mul and (root is None or root.rest != 1) and (share := _share_of_sum(expr)) is not None:
        return share
    if root is not None and _algebraic_argument(expr) is None:
        sign = sp.sign(root.base) if root.odd else sp.S.One
        return sp.Mul(root.limit, sign, sp.exp(-root.size), _without_overflow(root.rest))
    if expr.is_Pow and not expr.exp.is_Integer and expr.exp > -1 and expr.exp < 0:
        found = _even_powers(expr.base)
        if found is not None and _may_overflow(_degree(found[1]), sp.S.One, 2):
            return sp.exp(expr.exp * log_of(expr.base))
    return expr.func(*(_without_overflow(arg) for arg in expr.args))


def _stable_product(expr: Expr) -> Expr:
    """Products that are one function.

    ``exp(x) sigmoid(-x)`` is ``sigmoid(x)``, and so for powers of both, ``exp(x) sigmoid(-2 x)`` is ``1/(2 cosh(x))``,
    ``exp(x)/cosh(x)`` is ``2 sigmoid(2 x)``, ``sinh(x)/cosh(x)`` is ``tanh(x)``, ``x/(1 + |x|)`` is ``softsign(x)``.
    """
    factors = list(sp.Mul.make_args(expr))
    exps = [arg for arg in factors if isinstance(arg, sp.exp)]
    for arg in factors:
        base, n = arg.as_base_exp() if arg.is_Pow and not isinstance(arg, sp.exp) else (arg, sp.S.One)
        if isinstance(base, sigmoid) and n.is_Integer and n > 1:
            for e in exps:
                if expand(e.args[0] + n * base.args[0]) == 0:
                    return sp.Mul(sigmoid(-base.args[0]) ** n, *(a for a in factors if a not in (arg, e)))
        if arg.is_Pow and isinstance(arg.base, sp.cosh) and arg.exp == -1:
            x = arg.base.args[0]
            if sp.sinh(x) in factors:
                return sp.Mul(sp.tanh(x), *(a for a in factors if a not in (arg, sp.sinh(x))))
            for e in exps:
                if e.args[0] in (x, -x):
                    return sp.Mul(2, sigmoid(2 * e.args[0]), *(a for a in factors if a not in (arg, e)))
        if isinstance(arg, sigmoid):
            for e in exps:
                rest = [a for a in factors if a not in (arg, e)]
                if expand(e.args[0] + arg.args[0]) == 0:
                    return sp.Mul(sigmoid(-arg.args[0]), *rest)
                if expand(2 * e.args[0] + arg.args[0]) == 0:
                    return sp.Mul(sp.S.Half, 1 / sp.cosh(e.args[0]), *rest)
        found = _softsign_factor(arg)
        if found is not None and found[0] in factors:
            x, a, b = found
            rest = [other for other in factors if other not in (arg, x)]
            return sp.Mul(softsign(b / a * x) / b, *rest)
    return expr


def _softsign_factor(factor: Expr) -> tuple[Expr, Expr, Expr] | None:
    """``(x, a, b)`` with ``factor = 1/(a + b |x|)`` and a, b > 0, or None."""
    if not (factor.is_Pow and factor.exp == -1 and factor.base.is_Add):
        return None
    a, rest = factor.base.as_coeff_Add()
    b, node = rest.as_coeff_Mul()
    if not (a.is_positive and b.is_positive and isinstance(node, sp.Abs)):
        return None
    return node.args[0], a, b


def log_of(expr: Expr) -> Expr:
    """``log(abs(expr))``, without forming what may underflow or overflow.

    Examples
    --------
    >>> log_of(3 * sp.cosh(Z) * sigmoid(-Z))
    log_cosh(z) - softplus(z) + log(3)
    >>> log_of(1 + 3 * Z**2)
    softplus(2*log(Abs(z)) + log(3))
    """
    expr = stable(expr) if not isinstance(expr, sp.log) else expr
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
        sp.atan: _log_of_atan,
        sp.sinh: lambda x: sp.Abs(x) + log1mexp(2 * sp.Abs(x)) - sp.log(2),
        erfc: log_erfc,
        expm1: _log_of_expm1,
    }
    return rules[expr.func](x) if expr.func in rules else _plain_log(expr)


def _plain_log(expr: Expr) -> Expr:
    return sp.log(expr if expr.is_positive else sp.Abs(expr))


def _log_of_atan(x: Expr) -> Expr:
    return log_atan_exp(x.args[0]) if isinstance(x, sp.exp) else _plain_log(sp.atan(x))


def _log_of_expm1(x: Expr) -> Expr:
    """``log(abs(exp(x) - 1))``."""
    if isinstance(-x, sp.exp):
        return log_cloglog((-x).args[0])
    # through log(-x), for -x may underflow where its logarithm is an ordinary number
    if x.is_negative:
        return log_cloglog(log_of(x))
    return x + log_cloglog(log_of(x)) if x.is_positive and x.has(softplus) else log_expm1(x)


def _log_of_sum(expr: Expr) -> Expr:
    """Common factors leave first; a sum of positive terms is then added up in logarithms, so that none overflows."""
    if _sums(expr) > MOST_SUMS:
        factored = common_factors_out(expr)
    else:
        factored = sp.factor_terms(factor(expr)) if expr.is_polynomial(*_generators(expr)) else sp.factor_terms(expr)
    apart = factored.is_Pow or (factored.is_Mul and not factored.as_coeff_Mul()[1].is_Add)
    # but a sum of positive terms is not taken apart into factors such as z**4 - z**2 + 1
    if apart and (not fixed_sign(expr) or all(fixed_sign(part) for part in sp.Mul.make_args(factored))):
        return log_of(factored)
    constant, rest = expr.as_coeff_Add()
    if constant == 1 and isinstance(rest, sp.exp):
        return softplus(rest.args[0])
    if constant == 1 and all(_exponential(term) is not None for term in sp.Add.make_args(rest)):
        return softplus(log_of(rest))
    if constant == 1 and rest.is_nonnegative and not rest.has(sp.Pow):
        return log1p(rest)
    terms = sorted(expr.args, key=lambda term: (bool(term.free_symbols), term.sort_key()))
    if not (terms[0].is_positive and all(term.is_nonnegative for term in terms)):
        return _plain_log(expr)
    total = log_of(terms[0])
    for term in terms[1:]:
        total = _log_add(total, log_of(term))
    return total


def _sums(expr: Expr) -> int:
    """How many sums stand in an expression, as often as each does, up to one too many."""
    return sum(1 for _ in itertools.islice((n for n in sp.preorder_traversal(expr) if n.is_Add), MOST_SUMS + 1))


def _log_add(x: Expr, y: Expr) -> Expr:
    return log_add(x, y) if x.free_symbols else x + softplus(y - x)


def _generators(expr: Expr) -> tuple[Expr, ...]:
    """The innermost variables of a sum: functions of the symbols, or the symbols themselves."""
    return tuple(expr.atoms(sp.Function)) or tuple(expr.free_symbols)


def sign_of(expr: Expr) -> Expr:
    """An expression with the sign of ``expr``, left without the factors that are positive and may under- or overflow.

    Examples
    --------
    >>> sign_of(-2 * Z * sp.exp(-(Z**2)) / sp.pi)
    -sign(z)
    """
    sign = sp.S.One
    for part in sp.Mul.make_args(expr):
        if part.is_positive or (part.is_Pow and part.exp.is_even):
            continue
        odd = part.is_Pow and not isinstance(part, sp.exp) and part.exp.is_odd
        sign *= sp.sign(part.base if odd else part)
    return sign


def log_composed(expr: Expr) -> Expr:
    """A logarithm of a slope at an inverse, freed of functions that undo each other, and of what cancels where the
    inverse nears an end of the domain.

    Examples
    --------
    >>> log_composed(log_cosh(sp.asinh(Z))), log_composed(softplus(2 * sp.log(sp.Abs(sp.sinh(Z)))))
    (log_hypot(z), 2*log_cosh(z))
    >>> log_composed(sp.log(sp.Abs(3 * sp.tanh(Z) - 3)))
    -softplus(2*z) + log(6)
    """
    before = None
    while before != expr:
        before = expr
        expr = expr.replace(lambda node: isinstance(node, (log_cosh, softplus, log1p, sp.log, sp.atanh)), _composed)
    return expr


def _composed(node: Expr) -> Expr:
    x = node.args[0]
    if isinstance(node, sp.atanh):
        return x.args[0] if isinstance(x, sp.tanh) else node
    if isinstance(node, sp.log):
        size = x.args[0] if isinstance(x, sp.Abs) else x
        if isinstance(size, sigmoid):
            return -softplus(-size.args[0])
        bounded = size.is_Add and size.has(*BOUNDED)
        return log_of(size) if bounded and not _stable(size).is_Add else node
    if isinstance(node, log_cosh):
        return log_hypot(x.args[0]) if isinstance(x, sp.asinh) else node
    if isinstance(node, log1p):
        size = x.args[0] if isinstance(x, sp.Abs) else x
        factors = [factor for factor in sp.Mul.make_args(size) if not isinstance(factor, sp.sign)]
        inner = factors[0].args[0] if len(factors) == 1 and isinstance(factors[0], sp.Abs) else factors[0]
        whole = len(factors) == 1 and isinstance(inner, expm1) and _is_at_least_0(inner.args[0])
        return inner.args[0] if whole else node
    if x.is_Mul and len(x.args) == 2 and x.args[0] == 2 and isinstance(x.args[1], sp.log):
        size = x.args[1].args[0]
        size = size.args[0] if isinstance(size, sp.Abs) else size
        return 2 * log_cosh(size.args[0]) if isinstance(size, sp.sinh) else 2 * log_hypot(size)
    return node


BOUNDED = (sp.tanh, sigmoid, softsign)
"""Functions whose difference to a limit cancels."""


def _is_at_least_0(x: Expr) -> bool:
    return bool(x.is_nonnegative) or (isinstance(x, expm1) and _is_at_least_0(x.args[0]))


def log_ratio(log_slope: Expr, log_size: Expr) -> Expr:
    """``log_slope - log_size`` for two large logarithms with the same leading term, which leaves before numbers come.

    Meant for the logarithms of ``phi'`` and of a probability, in the tail where the latter is small.

    Examples
    --------
    >>> log_ratio(-(Z**2), log_erfc(Z))
    -log_erfcx(z)
    """
    split: dict[Any, Callable[..., Expr]] = {
        log_add: lambda x, y: x + softplus(y - x),
        log_erfc: lambda x: log_erfcx(x) - x**2,
        log_atan_exp: lambda x: log_atan_ratio(x) + x,
        log_cosh: lambda x: softplus(2 * x) - x - sp.log(2),
    }
    expr = log_slope - log_size
    if expr.has(sp.Piecewise) or len(expr.atoms(log_add)) > MOST_ADDED:
        return expr
    for function, parts in split.items():
        if expr.has(function):
            expr = expr.replace(function, parts)
    return _reflected(_expanded_outside(expr))


def _expanded_outside(expr: Expr) -> Expr:
    """Expanded, the arguments of functions too where they are few."""
    functions = expr.atoms(sp.Function)
    if len(functions) <= MOST_FUNCTIONS:
        return expand(expr)
    inner = {node for each in functions for node in each.atoms(sp.Function) if node != each}
    letters = {node: sp.Dummy(real=True) for node in functions - inner}
    return expand(expr.xreplace(letters)).xreplace({letter: node for node, letter in letters.items()})


def _reflected(expr: Expr) -> Expr:
    """``softplus(x) - x`` is ``softplus(-x)``."""
    for term in sp.Add.make_args(expr):
        k, node = term.as_coeff_Mul()
        if isinstance(node, softplus):
            linear = sp.Add.make_args(expand(k * node.args[0]))
            if all(-part in sp.Add.make_args(expr) for part in linear):
                return _reflected(expr - term + sp.Add(*linear) + k * softplus(-node.args[0]))
    return expr
