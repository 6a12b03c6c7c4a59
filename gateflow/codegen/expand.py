"""Expanding, factoring and folding what is small enough: of a short text, SymPy would make millions of terms."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from functools import partial

import sympy as sp

from gateflow.errors import Exceeded
from gateflow.formula.vocabulary import Expr
from gateflow.guards import bounded

MOST_TERMS = 1000
"""Terms that an expression, or any part of it, may have when expanded; the gates of the catalogue have below fifty."""

MOST_DEGREE = 200
"""Degree up to which an expression is factored; the gates of the catalogue stay below fifty."""

MOST_BITS = 20_000
"""Degree times bits of the largest number, up to which an expression is factored: it runs in C, and is not stopped."""

MOST_BITS_OF_SEVERAL = 200
"""Bits of the largest number where there are several generators: SymPy then looks for a prime that is larger still."""

MOST_GENERATORS = 12
"""Generators up to which more than common factors is looked for: with twenty it takes seconds, in vain."""

MOST_BRANCHES = 64
"""Cases up to which sums and products of cases are folded into one."""

HIGH = 24
"""Powers up to which a factorisation is quick."""

FACTORING = 1.0
"""Seconds of the processor for one factorisation."""


def expand(expr: Expr) -> Expr:
    """``sympy.expand``, or the expression as it is where that would take too long.

    An exponential stays one: of ``exp(-z**2)*exp(6*z)*exp(-9)`` parts overflow where ``exp(-(z - 3)**2)`` does not.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> expand((1 + Z) ** 2), expand((1 + Z) ** 5000), expand(Z * (1 + sp.exp(-((Z - 3) ** 2))))
    (z**2 + 2*z + 1, (z + 1)**5000, z*exp(-z**2 + 6*z - 9) + z)
    """
    return sp.expand(expr, power_exp=False) if terms(expr) <= MOST_TERMS else expr


def expand_products(expr: Expr) -> Expr:
    """Products of sums alone multiplied out, no powers; or the expression as it is where that would take too long.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> expand_products(Z * (1 + Z) / (2 + Z) ** 2 + (1 + Z) ** 2)
    z**2/(z + 2)**2 + z/(z + 2)**2 + (z + 1)**2
    """
    return sp.expand_mul(expr) if terms(expr) <= MOST_TERMS else expr


def factor(expr: Expr) -> Expr:
    """``sympy.factor``, or the expression as it is where that would take too long.

    SymPy takes ``exp(0.3215 z)`` for the power 643 of ``exp(z/2000)``, and ``exp(-z**2)`` for one over ``exp(z**2)``:
    the numerator of a sum overflows where the sum does not. Here exponentials are powers of symbols.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> factor(Z + Z**2), factor(Z + Z * sp.exp(Z / 10**9) * sp.exp(3 * Z))
    (z*(z + 1), z*exp(3000000001*z/1000000000) + z)
    >>> factor(1 - 2 * Z * sp.exp(-(Z**2))), sp.factor(1 - 2 * Z * sp.exp(-(Z**2)))
    (-2*z*exp(-z**2) + 1, -(2*z - exp(z**2))*exp(-z**2))
    """
    bits = _bits(expr)
    if terms(expr) > MOST_TERMS or degree(expr) > MOST_DEGREE or degree(expr) * bits > MOST_BITS:
        return expr
    stand_in, meaning = _exponentials(expr)
    plain = expr.xreplace(stand_in)
    generators = len({*plain.free_symbols, *plain.atoms(sp.Function)})
    several = generators > 1
    try:
        found = _without_common(plain)
        if found is None:
            if several and bits > MOST_BITS_OF_SEVERAL:
                return expr
            if generators > MOST_GENERATORS:
                parts = [common_factors_out(part) if part.is_Add else part for part in sp.Mul.make_args(plain)]
                return sp.Mul(*parts).xreplace(meaning)
            found = bounded.call(partial(sp.factor, plain), FACTORING, processor=True)
    except Exceeded:
        return expr
    return found.xreplace(meaning)


def too_long_to_factor(expr: Expr) -> bool:
    """Whether SymPy would look for a prime larger than a bound: of several generators, with many bits or high powers.

    Roots of one symbol are several generators too, and ``x**(1/7) + x**(1/16)`` has powers of 16 of one.
    """
    several = len({*expr.free_symbols, *expr.atoms(sp.Function)}) > 1
    roots = any(node.exp.is_Rational and not node.exp.is_Integer for node in expr.atoms(sp.Pow))
    return (several and _bits(expr) > MOST_BITS_OF_SEVERAL) or (roots and degree(expr) > MOST_DEGREE)


def common_unit(rates: Iterable[Expr]) -> Expr:
    """The largest rational of which rationals are whole multiples.

    Examples
    --------
    >>> common_unit([sp.Integer(2), sp.Rational(-3, 2), sp.Rational(1, 3)])
    1/6
    """
    numbers = list(rates)
    return sp.Rational(math.gcd(*(int(q.p) for q in numbers)), math.lcm(*(int(q.q) for q in numbers)))


def _exponentials(expr: Expr) -> tuple[dict[Expr, Expr], dict[Expr, Expr]]:
    """Each exponential as a power of a symbol, and what the symbols stand for."""
    powers: dict[Expr, dict[Expr, Expr]] = {}
    for node in sorted(expr.atoms(sp.exp), key=sp.default_sort_key):
        exponent, generator = node.args[0].as_coeff_Mul()
        if not exponent.is_Rational:
            exponent, generator = sp.S.One, node.args[0]
        powers.setdefault(-generator if exponent < 0 else generator, {})[node] = abs(exponent)
    stand_in: dict[Expr, Expr] = {}
    meaning: dict[Expr, Expr] = {}
    for generator, exponents in powers.items():
        unit, symbol = common_unit(exponents.values()), sp.Dummy(positive=True)
        meaning[symbol] = sp.exp(unit * generator)
        stand_in |= {node: symbol ** (exponent / unit) for node, exponent in exponents.items()}
    return stand_in, meaning


def _without_common(expr: Expr) -> Expr | None:
    """A sum as what its terms share times the rest, where that plainly has no factors; None where it may have some.

    It has none where a generator stands in one term alone, linearly: in ``g a + b`` a factor without g divides both,
    and a is one term.
    """
    if not expr.is_Add:
        return None
    powers: dict[Expr, list[Expr]] = {}
    for term in expr.args:
        own = dict(part.as_base_exp() for part in sp.Mul.make_args(term) if not part.is_Rational)
        if any(base.is_Add or not exponent.is_Rational or exponent <= 0 for base, exponent in own.items()):
            return None
        for base, exponent in own.items():
            powers.setdefault(base, []).append(exponent)
    if not any(base.free_symbols and len(seen) == 1 and seen[0].p == 1 for base, seen in powers.items()):
        return None
    common = [base ** min(seen) for base, seen in powers.items() if len(seen) == len(expr.args)]
    content, rest = expr.primitive()
    inner = sp.Add(*(term / sp.Mul(*common) for term in rest.args)) if common else rest
    return sp.Mul(content, *common, inner, evaluate=bool(common) or content == 1)


def common_factors_out(expr: Expr) -> Expr:
    """A sum as what all its terms share, as they stand, times the rest.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> common_factors_out(6 * Z**3 * (1 + Z) + 4 * Z**2 * (1 + Z) * sp.exp(Z))
    2*z**2*(z + 1)*(3*z + 2*exp(z))
    """
    content, rest = expr.primitive()
    shared: dict[Expr, Expr] | None = None
    for term in sp.Add.make_args(rest):
        own = dict(part.as_base_exp() for part in sp.Mul.make_args(term) if part.free_symbols)
        own = {base: power for base, power in own.items() if power.is_Rational and power > 0}
        if shared is not None:
            own = {base: min(power, own[base]) for base, power in shared.items() if base in own}
        shared = own
    common = [base**power for base, power in (shared or {}).items()]
    return sp.Mul(content, *common, sp.Add(*(sp.Mul(term, *(1 / part for part in common)) for term in rest.args)))


def quick_factor(expr: Expr, by: Callable[[Expr], Expr] = factor, most: int = 10) -> Expr:
    """``by`` where that is quick; else with the functions as letters, or with common terms taken out only.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> quick_factor(Z * sp.exp(2000 * Z) + Z**2 * sp.exp(2000 * Z))
    z*(z + 1)*exp(2000*z)
    """
    if is_quick_to_factor(expr, most):
        return by(expr)
    functions = sorted(expr.atoms(sp.Function), key=sp.default_sort_key)
    outer = [node for node in functions if not any(other != node and other.has(node) for other in functions)]
    letters = {node: sp.Dummy("f", positive=node.is_positive) for node in outer}
    plain = expr.xreplace(letters)
    found = by(plain) if is_quick_to_factor(plain, most) else sp.factor_terms(plain)
    return found.xreplace({letter: node for node, letter in letters.items()})


def is_quick_to_factor(expr: Expr, most: int = 10) -> bool:
    """Few generators and low degrees: to SymPy exp(1000 z) is a power of exp(z), and z one of z**(1/1000)."""
    degrees = [max(abs(p.exp.p), p.exp.q) for p in expr.atoms(sp.Pow) if p.exp.is_Rational]
    for node in expr.atoms(sp.exp):
        if sp.count_ops(node.args[0]) > 60:
            return False
        rates = [term.as_coeff_Mul()[0] for term in sp.Add.make_args(expand(node.args[0]))]
        degrees += [max(abs(rate.p), rate.q) for rate in rates if rate.is_Rational]
    return len(expr.atoms(sp.Function)) <= most and max(degrees, default=0) <= HIGH


def _bits(expr: Expr) -> int:
    """Bits of the largest number in an expression."""
    return max((int(n.p).bit_length() + int(n.q).bit_length() for n in expr.atoms(sp.Rational)), default=0)


def folded(expr: Expr) -> Expr:
    """``sympy.piecewise_fold``, or the expression as it is where there would be too many cases.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> cases = [sp.Piecewise((Z, Z < i), (i * Z, True)) for i in range(2, 20)]
    >>> len(folded(cases[0] + cases[1]).args), folded(sp.Add(*cases)) == sp.Add(*cases)
    (4, True)
    """
    return sp.piecewise_fold(expr) if branches(expr) <= MOST_BRANCHES else expr


def branches(expr: Expr) -> int:
    """How many cases the expression has when it is folded into one; at most."""
    if not expr.args:
        return 1
    if isinstance(expr, sp.Piecewise):
        return sum(branches(value) for value, _ in expr.args)
    return min(math.prod(branches(arg) for arg in expr.args), 10 * MOST_BRANCHES)


def degree(expr: Expr) -> int:
    """The largest degree in any generator of the polynomial that SymPy makes of the expression; at most.

    Roots of a generator are integer powers of a smaller one, and so are exponentials.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> degree(Z**7 + sp.exp(Z / 9)), degree(sp.sqrt(Z) + Z ** sp.Rational(2, 3)), degree(sp.exp(-1000 * (Z - 3) ** 2))
    (7, 4, 9000)
    """
    exponents: dict[Expr, list[Expr]] = {}
    for node in expr.atoms(sp.Pow, sp.exp):
        if isinstance(node, sp.exp):
            for term in sp.Add.make_args(expand(node.args[0])):
                exponent, generator = term.as_coeff_Mul()
                exponents.setdefault(sp.exp(generator), []).append(exponent)
        elif node.exp.is_Rational:
            exponents.setdefault(node.base, []).append(node.exp)
    return max((_common_degree(powers) for powers in exponents.values()), default=1)


def _common_degree(powers: list[Expr]) -> int:
    """The largest of the powers, in units of the smallest fraction that they all are multiples of."""
    unit = math.lcm(*(int(power.q) for power in powers if power.is_Rational))
    return max((abs(int(power.p)) * (unit // int(power.q)) for power in powers if power.is_Rational), default=1)


def terms(expr: Expr) -> int:
    """How many terms the expression, or the largest of its parts, has when expanded; at least.

    Examples
    --------
    >>> from gateflow.formula.vocabulary import Z
    >>> terms(sp.atan((1 + Z + sp.exp(Z)) ** 3))
    10
    """
    return _counted(expr)[1]


def _counted(expr: Expr) -> tuple[int, int]:
    """Terms of the expression when expanded, and the most of any part of it."""
    parts = [_counted(arg) for arg in expr.args]
    if expr.is_Add:
        own = sum(count for count, _ in parts)
    elif expr.is_Mul:
        own = math.prod(count for count, _ in parts)
    elif expr.is_Pow and expr.exp.is_Integer and (count := parts[0][0]) > 1:
        n = min(abs(int(expr.exp)), 10 * MOST_TERMS)
        own = math.comb(n + min(count, n) - 1, n) if n else 1
    else:
        own = 1
    own = min(own, 10 * MOST_TERMS)
    return own, max([own, *(most for _, most in parts)])
