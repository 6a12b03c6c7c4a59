"""Exact real constants: the coefficients and exponents of a multiseries.

A constant is an ``int`` or ``Fraction`` where it is rational (fast, and nothing to decide), else a SymPy
expression. Whether an expression is zero is undecidable in general, so the tests here answer, or raise `Undecided`;
they never guess. A numeric value away from zero proves "not zero"; a numeric value of zero proves nothing and is
followed by exact simplification.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp

from gateflow.arithmetic.enclosed import accurate, arb, enclosed, precisions, rational, sign_of
from gateflow.errors import GateflowError
from gateflow.formula.vocabulary import Expr, expm1, log1p, logit, sigmoid, softplus, softsign

Number = Any  # int | Fraction | Expr; a proper union makes every arithmetic line a cast


class Undecided(GateflowError):
    """The question was not answered within its budget, or has no single answer.

    Attributes
    ----------
    reason : str
        One line.
    condition : sympy.Expr or None
        A constant whose sign decides the question, where parameters are left open.
    """

    exit_code = 3

    def __init__(self, reason: str, condition: Expr | None = None) -> None:
        super().__init__(reason)
        self.reason, self.condition = reason, condition


class OpenConstant(Undecided):
    """Whether a constant is zero, or its sign, is not known: it depends on a parameter, or no proof was found."""


def number(x: Any) -> Number:
    """``x`` as a Python rational where it is one, else as a SymPy expression.

    Examples
    --------
    >>> number(sp.Rational(3, 6)), number(sp.Integer(2)), number(sp.pi)
    (Fraction(1, 2), 2, pi)
    """
    if isinstance(x, int | Fraction):
        return x.numerator if x.denominator == 1 else x
    if x.is_Rational:
        return int(x.p) if x.q == 1 else Fraction(int(x.p), int(x.q))
    if x.is_Float:
        return number(sp.Rational(x))
    return x


def as_expr(x: Number) -> Expr:
    """The constant as a SymPy expression."""
    if isinstance(x, sp.Expr):
        return x
    return sp.Integer(x) if isinstance(x, int) else sp.Rational(x.numerator, x.denominator)


def plus(x: Number, y: Number) -> Number:
    """``x + y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return number(as_expr(x) + as_expr(y))
    return x + y


def times(x: Number, y: Number) -> Number:
    """``x * y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        # a polynomial in the same few constants stays short when multiplied out, and cancels at once
        return number(sp.expand_mul(as_expr(x) * as_expr(y)))
    return x * y


def over(x: Number, y: Number) -> Number:
    """``x / y``; rational stays rational."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return number(as_expr(x) / as_expr(y))
    return number(Fraction(x) / y)


def power(x: Number, y: Number) -> Number:
    """``x ** y`` for x > 0, or y an integer."""
    if isinstance(y, int) and not isinstance(x, sp.Expr):
        return number(Fraction(x) ** y)
    return number(as_expr(x) ** as_expr(y))


_MOST_BITS = 1 << 14
"""Of the whole part of a constant that is put into an exponential: SymPy works out as many digits, in one step."""


def exponential(x: Number) -> Number:
    """``exp(x)``.

    Raises
    ------
    Undecided
        The constant is so large that its digits are out of reach.
    """
    if not isinstance(x, sp.Expr):
        return 1 if x == 0 else number(sp.exp(as_expr(x)))
    if not _within_reach(x):
        raise Undecided("a constant on the way is too large to be worked out")
    return number(sp.exp(x))


@lru_cache(maxsize=1024)
def _within_reach(x: Expr) -> bool:
    """Whether no more than `_MOST_BITS` stand before the point, as far as ball arithmetic knows the constant."""
    ball = None if x.free_symbols else enclosed(x, 80)
    return ball is None or bool(ball.is_finite() and abs(ball) < arb(2) ** _MOST_BITS)


def logarithm(x: Number) -> Number:
    """``log(x)`` for x > 0."""
    return 0 if not isinstance(x, sp.Expr) and x == 1 else number(sp.log(as_expr(x)))


def holds(condition: Any, sign_of: Callable[[Expr], int]) -> bool:
    """Whether a condition is true, where ``sign_of`` gives the sign of the difference of two sides."""
    if condition in (sp.true, sp.false):
        return condition == sp.true
    if isinstance(condition, sp.Not):
        return not holds(condition.args[0], sign_of)
    if isinstance(condition, sp.And | sp.Or):
        parts = (holds(part, sign_of) for part in condition.args)
        return all(parts) if isinstance(condition, sp.And) else any(parts)
    if not isinstance(condition, sp.core.relational.Relational):
        raise Undecided(f"the condition {condition} is not a comparison")
    s = sign_of(condition.lhs - condition.rhs)
    return {">": s > 0, ">=": s >= 0, "<": s < 0, "<=": s <= 0, "==": s == 0, "!=": s != 0}[condition.rel_op]


def sign(x: Number) -> int:
    """-1, 0 or 1.

    Raises
    ------
    Undecided
        The sign depends on a parameter, or the constant looks like zero and nothing proves it.

    Examples
    --------
    >>> sign(sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6))), sign(sp.pi - sp.Rational(355, 113))
    (0, -1)
    """
    if not isinstance(x, sp.Expr):
        return (x > 0) - (x < 0)
    return _sign(x)


def compare(x: Number, y: Number) -> int:
    """The sign of ``x - y``."""
    if isinstance(x, sp.Expr) or isinstance(y, sp.Expr):
        return 0 if x == y else sign(plus(x, times(-1, y)))
    return (x > y) - (x < y)


def below(x: Any, y: Any) -> bool:
    """Whether ``x < y``, for real numbers or infinities, of Python's or SymPy's; may raise `Undecided`.

    SymPy's own comparison raises a TypeError where it takes more digits than it looks at.

    Examples
    --------
    >>> below(sp.erf(216), 1), below(sp.tanh(1000), sp.erf(216)), below(sp.pi, sp.oo)
    (True, True, True)
    """
    x, y = sp.sympify(x, strict=True), sp.sympify(y, strict=True)
    if (x.is_Rational and y.is_Rational) or x.is_Float or y.is_Float or x.is_infinite or y.is_infinite:
        return bool(x < y)
    return compare(number(x), number(y)) < 0


def is_zero(x: Number) -> bool:
    """Whether the constant is zero; may raise `Undecided`."""
    if not isinstance(x, sp.Expr):
        return x == 0
    if _plain_sign(x) or _sign_beside_bound(x):
        return False
    return _reduces_to_zero(x) or (x.is_zero is not False and _sign(x) == 0)


@lru_cache(maxsize=8192)
def _plain_sign(x: Expr) -> int:
    """The sign where one look by ball arithmetic proves it, which is quicker than SymPy's assumptions; else 0."""
    ball = None if x.free_symbols else enclosed(x, 80)
    return 0 if ball is None or not ball.is_finite() else (ball > 0) - (ball < 0)


def is_real(x: Expr) -> bool:
    """Whether a constant is seen to be a real number: by ball arithmetic, else by what SymPy knows.

    Examples
    --------
    >>> is_real(sp.sqrt(2) - 1), is_real(sp.sqrt(1 - sp.sqrt(2)))
    (True, False)
    """
    return is_enclosed(x) or bool(x.is_finite and x.is_real)


@lru_cache(maxsize=1024)
def is_enclosed(x: Expr) -> bool:
    """Whether ball arithmetic gives the constant a finite ball, so that it is a real number."""
    ball = None if x.free_symbols else enclosed(x, 80)
    return ball is not None and ball.is_finite()


def is_infinite(x: Expr) -> bool:
    """Whether a limit is oo or -oo."""
    return not is_enclosed(x) and bool(x.is_infinite)


@lru_cache(maxsize=8192)
def _sign(x: Expr) -> int:
    known = _plain_sign(x) or _sign_beside_bound(x)
    if known:
        return known
    if _reduces_to_zero(x):
        return 0
    if known := _sign_beside_root(x):
        return known
    known = _known_sign(x)
    if known is not None:
        return known or sign_of(x)  # SymPy says 0 of what it does not tell from 0: balls may
    pair = _pair(x)
    if pair is not None:
        side, a, b = pair
        return side * compare(a, b)
    if x.free_symbols:
        return _sign_with_parameters(x)
    found = _numeric_sign(x)
    if found:
        return found
    if _proved_zero(x):
        return 0
    found = sign_of(x, precisions(x)[3:])
    if found:
        return found
    raise OpenConstant(f"it is not decided whether the constant {x} is zero")


_BOUNDED: dict[Any, tuple[Expr, Expr]] = {
    sigmoid: (sp.S.Zero, sp.S.One),
    sp.tanh: (sp.S.NegativeOne, sp.S.One),
    sp.erf: (sp.S.NegativeOne, sp.S.One),
    sp.atan: (-sp.pi / 2, sp.pi / 2),
}
"""Of functions that increase on the whole line, the bounds that they never reach."""


def _terms_of_one(x: Expr) -> tuple[Any, list[tuple[Expr, Expr]], Expr] | None:
    """One of these functions, its coefficients and arguments in a sum, and what is left; None without any."""
    terms = [(*term.as_coeff_Mul(), term) for term in sp.Add.make_args(x)]
    function = next((node.func for _, node, _ in terms if node.func in _BOUNDED), None)
    if function is None:
        return None
    own = [(c, node.args[0]) for c, node, _ in terms if isinstance(node, function)]
    return function, own, sp.Add(*(term for _, node, term in terms if not isinstance(node, function)))


def _sign_beside_bound(x: Expr) -> int:
    """The sign of ``c (f(a) - end)`` for a bound of f, which no number a reaches, be it beyond all digits; else 0."""
    found = None if x.free_symbols else _terms_of_one(x)
    if found is None or len(found[1]) != 1:
        return 0
    function, ((c, a),), rest = found
    low, high = _BOUNDED[function]
    side = 1 if rest == -c * low else -1 if rest == -c * high else 0
    if not side or not is_real(a):
        return 0
    return side * (1 if c > 0 else -1)


def _pair(x: Expr) -> tuple[int, Number, Number] | None:
    """A sign, a and b where x has this sign times that of ``f(a) - f(b)``, which may be far too small for any digits.

    Examples
    --------
    >>> sign(sp.tanh(9000) - sp.tanh(10000)), sign(sp.Rational(1, 2) - sigmoid(sp.Integer(-90000)))
    (-1, 1)
    """
    found = _terms_of_one(x)
    if found is None:
        return None
    function, own, rest = found
    if function == sigmoid and len(own) == 1 and rest == -own[0][0] / 2:
        own, rest = [own[0], (-own[0][0], sp.S.Zero)], sp.S.Zero
    if len(own) != 2 or rest != 0:
        return None
    (c, a), (d, b) = own
    if c == d and function != sigmoid:
        d, b = -d, -b
    if c != -d or not all(is_real(y) or y.free_symbols for y in (a, b)):
        return None
    return (1 if c > 0 else -1), number(a), number(b)


def _sign_beside_root(x: Expr) -> int:
    """The sign of a multiple of a real root of a polynomial plus a rational, by counting roots below; else 0.

    Examples
    --------
    >>> t = sp.Symbol("t")
    >>> root = sp.CRootOf(t**8 - t - sp.Rational(1, 10**107), 0)
    >>> sign(root), sign(root + sp.Rational(2, 10**107))
    (-1, 1)
    """
    level, rest = x.as_coeff_Add()
    c, root = rest.as_coeff_Mul()
    if not isinstance(root, sp.CRootOf) or not root.is_real or not (level.is_Rational and c.is_Rational):
        return 0
    at = -level / c
    if root.poly.eval(at) == 0:
        return 0
    below = root.poly.count_roots(None, at) > root.index
    return (-1 if below else 1) * (1 if c > 0 else -1)


def _known_sign(x: Expr) -> int | None:
    if x.is_zero:
        return 0
    return 1 if x.is_positive else -1 if x.is_negative else None


def _sign_with_parameters(x: Expr) -> int:
    condition = x
    for form in (sp.expand, sp.factor, lambda y: sp.factor(sp.expand_log(y, factor=True))):
        condition = form(condition)
        known = _known_sign(condition)
        if known is not None:
            return known
    signs = [_known_sign(factor) for factor in sp.Mul.make_args(condition)]
    open_factors = [a for a, s in zip(sp.Mul.make_args(condition), signs, strict=True) if s is None]
    if len(open_factors) == 1 and not open_factors[0].free_symbols:
        return int(sp.prod([s for s in signs if s is not None])) * _sign(open_factors[0])
    condition = sp.Mul(*open_factors) if open_factors else condition
    raise OpenConstant(f"the answer depends on the sign of {condition}", condition)


def _numeric_sign(x: Expr) -> int:
    """The sign where ball arithmetic proves it; of what it does not know, by SymPy's numbers, which track accuracy."""
    found = sign_of(x)
    if found or enclosed(x, 80) is not None:
        _refuse_nonsense(x)
        return found
    for digits in (15, 60):
        try:
            value = x.evalf(digits, maxn=4 * digits)
        except ValueError as problem:  # a power of something that may be 0
            raise Undecided(f"the constant {x} has no digits that are known") from problem
        if value.has(sp.I) or not value.is_number:
            real, imaginary = value.as_real_imag()
            if imaginary != 0 and getattr(imaginary, "_prec", 0) > 1:
                raise Undecided(f"the constant {x} is not real")
            value = real
        if value in (sp.nan, sp.zoo, sp.oo, -sp.oo):
            raise Undecided(f"the constant {x} has no finite value")
        if value.is_Float and value._prec > 10 and abs(value) > sp.Float(10) ** (-3 * digits):
            return 1 if value > 0 else -1
    return 0


def _refuse_nonsense(x: Expr) -> None:
    ball = enclosed(x, 80)
    if not ball.is_finite() and not enclosed(x, 1280).is_finite():
        raise Undecided(f"the constant {x} has no finite value")


_LARGEST = 300
"""Operations of the largest constant that is put to exact algebra."""

_SMALL, _LONG = 80, 300
"""Operations, and bits of a number, of the largest that is simplified or whose minimal polynomial is taken."""


def _proved_zero(x: Expr) -> bool:
    """Whether algebra shows the constant to be exactly 0."""
    if sp.count_ops(x) > _LARGEST:
        return False
    plain = _in_elementary_words(_with_roots_reduced(x))
    if plain == 0:
        return True
    forms = (sp.expand, lambda y: sp.expand(sp.expand_log(y, factor=True)), _numerator)
    if any(form(plain) == 0 for form in forms):
        return True
    if _is_zero_of_arctangents(plain) or _is_zero_of_logarithms(plain):
        return True
    if sp.count_ops(x) <= _SMALL and longest_number(x) <= _LONG and sp.simplify(x) == 0:
        return True
    return _is_algebraic_zero(x)


def longest_number(x: Expr) -> int:
    """Bits of the longest whole number in an expression."""
    return max((max(abs(q.p).bit_length(), q.q.bit_length()) for q in x.atoms(sp.Rational)), default=0)


def _is_algebraic_zero(x: Expr) -> bool:
    """By the minimal polynomial."""
    if not x.is_algebraic or sp.count_ops(x) > _SMALL or longest_number(x) > _LONG:
        return False
    return sp.minimal_polynomial(x, sp.Dummy("t")).is_Symbol


_WORDS: dict[Any, Callable[[Expr], Expr]] = {
    **{node: node.written_out for node in (sigmoid, softplus, softsign, logit)},
    **{node: lambda c, node=node: node(c).rewrite(sp.log) for node in (sp.asinh, sp.acosh, sp.atanh)},
    sp.erfc: lambda c: 1 - sp.erf(c),
    expm1: lambda c: sp.exp(c) - 1,
    log1p: lambda c: sp.log(1 + c),
}


def _in_elementary_words(x: Expr) -> Expr:
    for node, words in _WORDS.items():
        x = x.replace(node, words)
    return x


def _with_roots_reduced(x: Expr) -> Expr:
    """Rational functions of a root of a polynomial as polynomials in it of lower degree, so that equals look equal."""
    roots = sorted(x.atoms(sp.CRootOf), key=sp.default_sort_key)
    for root in roots:
        t = sp.Dummy("t")
        modulus = sp.Poly(root.poly.as_expr().xreplace({root.poly.gen: t}), t)
        x = _modulo(x.xreplace({root: t}), t, modulus).xreplace({t: root})
    return x


@lru_cache(maxsize=1024)
def _reduces_to_zero(x: Expr) -> bool:
    """Whether a constant with roots of polynomials is seen to be 0 by their arithmetic."""
    return x.has(sp.CRootOf) and sp.count_ops(x) <= _LARGEST and sp.expand(_with_roots_reduced(x)) == 0


def _modulo(e: Expr, t: sp.Symbol, modulus: Any) -> Expr:
    if not e.has(t) or not e.args:
        return e
    if e.free_symbols == {t} and e.is_rational_function(t):
        top, bottom = (sp.Poly(part, t) for part in sp.fraction(sp.together(e)))
        if all(c.is_Rational for c in (*top.all_coeffs(), *bottom.all_coeffs())):
            return (top * sp.invert(bottom, modulus)).rem(modulus).as_expr()
    return e.func(*(_modulo(a, t, modulus) for a in e.args))


def _numerator(x: Expr) -> Expr:
    """What must vanish of a sum of fractions in exponentials, sines and cosines among them."""
    circular = x.has(sp.sin, sp.cos, sp.tan, sp.sinh, sp.cosh, sp.tanh)
    return sp.expand(sp.numer(sp.together(x.rewrite(sp.exp) if circular else x)))


def _combination(x: Expr, of: Any) -> dict[Expr, Fraction] | None:
    """A sum of rational multiples of one function's values, and perhaps of pi, by argument; pi stands for itself."""
    found: dict[Expr, Fraction] = {}
    for term in sp.Add.make_args(sp.expand(x)):
        c, node = term.as_coeff_Mul()
        if node != sp.pi and not isinstance(node, of):
            return None
        key = node if node == sp.pi else node.args[0]
        found[key] = found.get(key, Fraction(0)) + Fraction(int(c.p), int(c.q))
    return found


_LONGEST = 20_000
"""Bits of the largest exact product that is formed."""


def _is_zero_of_arctangents(x: Expr) -> bool:
    """``sum n_i atan(q_i) + m pi = 0``, as with Machin's formula.

    The product of the ``(1 + i q_i)^n_i`` is real exactly where the sum of the ``n_i atan(q_i)`` is a multiple of pi;
    which multiple, its value says.
    """
    x = sp.numer(sp.together(x))
    parts = _combination(x, sp.atan)
    if parts is None or not all(key == sp.pi or key.is_Rational for key in parts):
        return False
    scale = math.lcm(*(c.denominator for c in parts.values()))
    parts = {key: c * scale for key, c in parts.items()}
    size = sum(
        abs(int(c)) * (int(key.p).bit_length() + int(key.q).bit_length()) for key, c in parts.items() if key != sp.pi
    )
    if size > _LONGEST or abs(parts.get(sp.pi, 0)) > 10**6:
        return False
    real, imaginary = 1, 0
    for key, c in parts.items():
        if key == sp.pi:
            continue
        p, q = int(key.p) * (1 if c > 0 else -1), int(key.q)
        for _ in range(abs(int(c))):
            real, imaginary = real * q - imaginary * p, real * p + imaginary * q
    if imaginary:
        return False
    ball = enclosed(scale * x, 200)
    return ball is not None and bool(abs(ball) < 3)


def _is_zero_of_logarithms(x: Expr) -> bool:
    """``sum n_i log(a_i) + r = 0`` for positive a_i, which says that a product of powers is ``exp(-r)``."""
    rational, rest = sp.expand(x).as_coeff_Add()
    parts = _combination(rest, sp.log)
    if parts is None or sp.pi in parts or not all(key.is_positive for key in parts):
        return False
    scale = math.lcm(*(c.denominator for c in parts.values()))
    powers = {key: int(c * scale) for key, c in parts.items()}
    if sum(map(abs, powers.values())) > 64 or len(powers) > 12:
        return False
    difference = sp.Mul(sp.exp(scale * rational), *(key**n for key, n in powers.items())) - 1
    return _numerator(difference) == 0 or _is_algebraic_zero(sp.expand(difference))


def integer_above(number: Expr) -> Expr:
    """An integer above; by at least 1, and by more than a rounding to 30 digits."""
    ball = None if number.is_Rational or number.free_symbols else accurate(number, 80)
    near = sp.Integer(sp.ceiling(sp.N(number, 30) if ball is None else rational(ball)))
    return near + 1 + abs(near) // 10**20
