"""Values of formulas at large z in big floats: they prove nothing, and catch a wrong step (see `checker`)."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import mpmath
import sympy as sp

from gateflow.asymptotics.proofs import enclosures
from gateflow.asymptotics.proofs.mrv import Unproved
from gateflow.asymptotics.proofs.statements import C, T, formula
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Expr, Z, logit, sigmoid, softplus, softsign

_LEVELS = (10, 30, 100, 300, 1000, 10**4, *(10**digits for digits in (8, 16, 32, 64, 128, 256)))
_DIGITS = 700
"""No evaluation takes more digits than this; points that would are left out."""

_HUGE = mpmath.mpf(10) ** 500
"""Exponentials of more than this are not formed: their exponents are the size of books."""


def _refuse_huge(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def evaluated(x: Any) -> Any:
        if abs(x) > _HUGE:
            raise OverflowError
        return function(x)

    return evaluated


def _exp(x: Any) -> Any:
    if x < -_HUGE:
        return mpmath.mpf(0)
    return _refuse_huge(mpmath.exp)(x)


_NUMERIC: dict[Any, Callable[..., Any]] = {
    sp.exp: _exp,
    sp.log: mpmath.log,
    sp.sin: _refuse_huge(mpmath.sin),
    sp.cos: _refuse_huge(mpmath.cos),
    sp.tan: _refuse_huge(mpmath.tan),
    sp.sinh: _refuse_huge(mpmath.sinh),
    sp.cosh: _refuse_huge(mpmath.cosh),
    sp.tanh: lambda x: mpmath.sign(x) if abs(x) > _HUGE else mpmath.tanh(x),
    sp.asinh: mpmath.asinh,
    sp.acosh: mpmath.acosh,
    sp.atanh: mpmath.atanh,
    sp.atan: mpmath.atan,
    sp.erf: _refuse_huge(mpmath.erf),
    sp.erfc: _refuse_huge(mpmath.erfc),
    sp.loggamma: _refuse_huge(mpmath.loggamma),
    sp.Abs: abs,
    sp.sign: mpmath.sign,
    sp.polygamma: mpmath.psi,
    softplus: lambda x: max(x, mpmath.mpf(0)) + mpmath.log1p(_exp(-abs(x))),
    sigmoid: lambda x: mpmath.mpf(0) if x < -_HUGE else 1 / (1 + _exp(-x)),
    softsign: lambda x: x / (1 + abs(x)),
    logit: lambda p: mpmath.log(p / (1 - p)),
}

_RESTS: dict[Any, tuple[Expr, Callable[[Expr], Expr]]] = {
    sigmoid: (sp.S.One, lambda u: sigmoid(-u)),
    sp.erf: (sp.S.One, sp.erfc),
    sp.tanh: (sp.S.One, lambda u: 2 * sigmoid(-2 * u)),
    sp.atan: (sp.pi / 2, lambda u: sp.atan(1 / u)),
}
"""The limit of a function, and what is left to it (where u > 0): without it 1 - phi takes a digit for each zero."""


def _rest(e: Expr, z: Any) -> Any:
    """A limit less its function, such as ``1 - sigmoid(u)``, without the difference; None where the sum is no such."""
    constant, rest = e.as_independent(Z, as_Add=True)
    factor, function = rest.as_independent(Z, as_Add=False)
    if function.is_Pow and constant + factor == 0:
        below = number(1 - function.base, z)
        return factor * mpmath.expm1(number(function.exp, z) * mpmath.log1p(-below)) if 0 < below < 1 else None
    if function.func not in _RESTS:
        return None
    limit, left = _RESTS[function.func]
    u = function.args[0]
    if constant + factor * limit != 0 or number(u, z) <= 0:
        return None
    return -number(factor * left(u), z)


def number(e: Expr, z: Any) -> Any:
    """The expression at z in mpmath's working precision."""
    if e == Z:
        return z
    if e.is_Symbol:
        return mpmath.mpf({C: 2, T: 3}[e])
    if e.is_Rational:
        return mpmath.mpf(e.p) / e.q
    if not e.args:
        return {sp.pi: mpmath.pi, sp.E: mpmath.e}[e] + mpmath.mpf(0)
    if isinstance(e, sp.Piecewise):
        return next(number(v, z) for v, condition in e.args if _holds(condition, z))
    if isinstance(e, sp.log):
        return _logarithm(e.args[0], z)
    if e.is_Add and (rest := _rest(e, z)) is not None:
        return rest
    values = [number(a, z) for a in e.args]
    if e.is_Add:
        return _sum(values)
    if e.is_Mul:
        return mpmath.fprod(values)
    if e.is_Pow:
        return values[0] ** (int(e.exp) if e.exp.is_Integer else values[1])
    return _NUMERIC[e.func](*values)


def _logarithm(e: Expr, z: Any) -> Any:
    """``log e``, without forming an e that is too large."""
    if isinstance(e, sp.exp):
        return number(e.args[0], z)
    if isinstance(e, sp.sinh | sp.cosh):
        u = number(e.args[0], z)
        if u > 1:
            return u + mpmath.log1p((-1 if isinstance(e, sp.sinh) else 1) * _exp(-2 * u)) - mpmath.log(2)
    if isinstance(e, sp.log) and isinstance(e.args[0], sp.exp | sp.sinh | sp.cosh):
        try:
            return mpmath.log(number(e, z))
        except OverflowError:  # log log sinh u = log(u - log 2), and u is past _HUGE
            if mpmath.mp.dps > 450:
                raise
            return _logarithm(e.args[0].args[0], z)
    if e.is_Mul and e.has(sp.exp):
        inner = [a for a in e.args if isinstance(a, sp.exp)]
        return mpmath.fsum([number(a.args[0], z) for a in inner] + [mpmath.log(number(e / sp.Mul(*inner), z))])
    return mpmath.log(number(e, z))


def _sum(values: list[Any]) -> Any:
    """The sum, where some of its digits are left."""
    total = mpmath.fsum(values)
    if abs(total) <= max(map(abs, values)) * mpmath.eps * 1000:
        raise ValueError("all digits cancelled")
    return total


def _holds(condition: Any, z: Any) -> bool:
    if condition in (sp.true, sp.false):
        return bool(condition)
    return bool(condition.func(sp.Integer(int(mpmath.sign(number(condition.lhs - condition.rhs, z)))), 0))


class FarPoint(NamedTuple):
    """A large z; the digits that the germs take there; those that 1 - phi takes where it is formed as written; and the
    digits before the point of the largest germ."""

    z: Any
    digits: int
    saturated: int
    size: int = 0


def stable_number(e: Expr, point: FarPoint) -> Any:
    """The expression to some ten digits, or None: two evaluations, one in twice the digits, must agree."""
    for digits in sorted({40, point.digits, point.saturated}):
        if digits <= _DIGITS and 2 * digits > point.size + 10:  # with fewer, two evaluations may lose the same terms
            values = [_value(e, point.z, d) for d in (digits, 2 * digits)]
            if all(v is not None and v != 0 for v in values):  # a zero may be lost digits
                small = mpmath.mpf(10) ** (-digits // 3)
                if abs(values[1] - values[0]) <= max(abs(values[1]) * mpmath.mpf(10) ** -10, small):
                    return values[1]
    return None


def _value(e: Expr, z: Any, digits: int) -> Any:
    try:
        with mpmath.workdps(digits):
            value = mpmath.fsum(number(a, +z) for a in e.args) if e.is_Add else number(e, +z)
    except (ZeroDivisionError, OverflowError, ValueError, MemoryError):
        return None
    return value if isinstance(value, mpmath.mpf) and mpmath.isfinite(value) else None


def far_points(*germs: Expr) -> list[list[FarPoint]]:
    """For each germ, numbers z at which it is about 10, 100, ... 1e256, found by bisection in log z."""
    found = [[_at_level_of(f, level) for level in _LEVELS] for f in germs]
    return [[_far_point(z, germs) for z in zs if z is not None] for zs in found]


@functools.lru_cache(maxsize=1024)
def _at_level_of(f: Expr, level: int) -> Any:
    a, b = mpmath.log(2), mpmath.mpf(10) ** 80
    high = b
    while b / a > 1 + mpmath.mpf(10) ** -6:
        middle = mpmath.sqrt(a * b)
        a, b = (a, middle) if _beyond(f, middle, level) else (middle, b)
    with mpmath.workdps(300):  # no integer: mpmath's exponential of one is a power, digit by digit
        return mpmath.exp(b) if b < high else None


def _far_point(z: Any, germs: tuple[Expr, ...]) -> FarPoint:
    sizes = [_value(f, z, 40) for f in germs]
    top = max((abs(f) for f in sizes if f is not None), default=mpmath.mpf(1))
    size = int(mpmath.log10(top + 1))
    return FarPoint(z, 40 + 2 * size, 40 + int(min(top / 2, _DIGITS)), size)


def _beyond(f: Expr, log_z: Any, level: int) -> bool:
    """Whether f is past a level; what overflows is."""
    try:
        with mpmath.workdps(30 + len(str(level))):
            value = number(f, mpmath.exp(log_z))
    except (OverflowError, MemoryError, ValueError, ZeroDivisionError):
        return True
    return not mpmath.isfinite(value) or value > level


def trend(values: list[Any], limit: Expr) -> bool | None:
    """Whether three values go to the limit; None for too few of them.

    The last two move within a hundredth of a finite limit, or the distance falls; and where the values settle (the last
    step at most half of the one before, the distance not yet a quarter), what Aitken extrapolates them to must be
    nearer to the limit than they are.
    """
    if len(values) < 3:
        return None
    if limit.is_infinite:
        side = 1 if limit == sp.oo else -1
        return bool(0 < side * values[0] < side * values[1] < side * values[2])
    goal = mpmath.mpf(sp.N(limit.xreplace({C: sp.Integer(2), T: sp.Integer(3)}), 30))
    errors = [value - goal for value in values]
    if abs(errors[2]) <= mpmath.mpf(10) ** -9 * (1 + abs(goal)):
        return True
    moves = abs(errors[2] - errors[1]) > 0.1 * abs(errors[2])  # what stands still beside the limit does not go to it
    if moves and max(abs(errors[1]), abs(errors[2])) <= 0.01 * (
        1 + abs(goal)
    ):  # iterated logarithms may turn once more
        return True
    if not (abs(errors[0]) > abs(errors[1]) > abs(errors[2]) and abs(errors[2]) < 0.97 * abs(errors[0])):
        return False
    first, second = errors[1] - errors[0], errors[2] - errors[1]
    if abs(second) > 0.5 * abs(first) or abs(errors[2]) < 0.25 * abs(errors[1]):
        return True
    return bool(abs(errors[2] - second**2 / (second - first)) <= 0.8 * abs(errors[2]))


def numbers_text(values: list[Any]) -> str:
    try:
        return ", ".join(mpmath.nstr(v, 6) for v in values)
    except ValueError:  # an exponent of thousands of digits
        return "of huge exponents"


def enclosed_trend(expr: Expr, limit: Expr) -> tuple[bool | None, str]:
    """The same by enclosures, which have a value where all digits cancel or an exponential leaves the big floats."""
    at = expr.xreplace({C: sp.Integer(2), T: sp.Integer(3), Z: enclosures.X})
    values = []
    for k in range(1, 5):
        z = sp.Integer(10) ** k
        try:
            low, high = enclosures.enclosure(at, enclosures.Box(z, z), 80)
        except (enclosures.Undefined, Unproved, OverflowError):
            continue
        if high - low < mpmath.mpf(10) ** -15 * (1 + abs(low)):
            values.append((low + high) / 2)
    return trend(values[-3:], limit), numbers_text(values[-3:])


def same_formula(text: Any, expr: Expr) -> bool:
    if text == unparse(expr):
        return True
    written = formula(text)
    points = [FarPoint(mpmath.mpf(p) / 16, 60, 600) for p in (21, 37, 53, 85)]
    pairs = [(stable_number(written, z), stable_number(expr, z)) for z in points]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    return len(known) >= 2 and all(abs(a - b) <= abs(b) * mpmath.mpf(10) ** -9 for a, b in known)
