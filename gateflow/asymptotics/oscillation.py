"""Profiles that oscillate as z grows: germs between which they stay, and curvature (theory.md §3)."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from functools import cmp_to_key
from typing import Any

import sympy as sp
from sympy.simplify.fu import TR8

from gateflow.arithmetic.intervals import Interval, Intervals
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.limits.growth import Field, affine_in, oscillating
from gateflow.asymptotics.proofs.outline import slope
from gateflow.codegen import Tape
from gateflow.codegen.expand import MOST_TERMS, factor, terms
from gateflow.formula import unparse
from gateflow.formula.vocabulary import Expr, U, Z, softplus


def profile_of(f: Expr) -> Expr | None:
    """u where f = softplus(u)."""
    return f.args[0] if isinstance(f, softplus) else None


def bounds(f: Expr) -> tuple[Expr, Expr, bool]:
    """Germs below and above f, and whether f touches both again and again.

    Each oscillating node may take any value in [-1, 1]. Where the profile is affine in each of them, or monotone in the
    only one, its extremes are at the corners; these are germs, so one is the largest and one the smallest for large z.
    Else the terms that oscillate are put between two numbers.
    """
    if not oscillating(f):
        return f, f, True
    u = profile_of(f)
    back: Callable[[Expr], Expr] = softplus if u is not None else lambda germ: germ
    u = _waves_apart(f if u is None else u)
    nodes = oscillating(u)
    if not (affine_in(u, nodes) or _monotone(u, nodes)):
        low, high = _beside_what_waves(u, nodes)
        return back(low), back(high), False
    if len(nodes) > MOST_CORNERS:
        low, high = _ends_of_linear(u, nodes)
        return back(low), back(high), False
    ends = [u.xreplace(dict(zip(nodes, c, strict=True))) for c in itertools.product((-1, 1), repeat=len(nodes))]
    hardy = Field(Z, 2.0)
    low = high = ends[0]
    for end in ends[1:]:
        low = end if hardy.sign(end - low) < 0 else low
        high = end if hardy.sign(end - high) > 0 else high
    return back(low), back(high), len(nodes) == 1 and _runs_off(nodes[0].args[0])


def _ends_of_linear(u: Expr, nodes: Sequence[Expr]) -> tuple[Expr, Expr]:
    """Germs below and above a sum in which no two of the many nodes are multiplied, each at one of its ends."""
    letters = {node: sp.Dummy("s", real=True) for node in nodes}
    open_form = u.xreplace(letters)
    slopes = {letter: open_form.diff(letter) for letter in letters.values()}
    if any(c.has(*slopes) for c in slopes.values()):
        raise Undecided(f"more than {MOST_CORNERS} sines that are multiplied by each other")
    hardy = Field(Z, 2.0)
    up = {letter: hardy.sign(c) for letter, c in slopes.items()}
    return open_form.xreplace({letter: sp.Integer(-s) for letter, s in up.items()}), open_form.xreplace(
        {letter: sp.Integer(s) for letter, s in up.items()}
    )


def _waves_apart(u: Expr) -> Expr:
    """Logarithms of positive products as sums, and products of sines and cosines as sums of them.

    Examples
    --------
    >>> _waves_apart(Z + sp.sin(Z) ** 2), _waves_apart(-sp.log((2 + sp.sin(Z)) * sp.exp(-Z)))
    (z - cos(2*z)/2 + 1/2, z - log(sin(z) + 2))
    """
    apart = sp.expand_mul(u.replace(sp.log, _log_of_product))
    return TR8(apart) if sp.count_ops(apart) <= _LARGEST_WAVES else apart


MOST_CORNERS = 6
"""Oscillating nodes up to which every corner of their cube is looked at."""

_LARGEST_WAVES = 200
"""Operations of the largest formula whose products of sines are written as sums."""


def _log_of_product(x: Expr) -> Expr:
    factors = sp.Mul.make_args(x)
    waves = [factor for factor in factors if factor.has(sp.sin, sp.cos)]
    if len(factors) == 1 or not all(_positive_whatever_the_phase(factor) for factor in waves):
        return sp.log(x)
    return sp.expand_log(sp.log(x / sp.Mul(*waves))) + sp.Add(*map(sp.log, waves))


def _positive_whatever_the_phase(wave: Expr) -> bool:
    found = _range_of_waves(wave, list(wave.atoms(sp.sin, sp.cos)))
    return found is not None and found.positive


def _range_of_waves(wave: Expr, nodes: Sequence[Expr]) -> Interval | None:
    """Where the values lie if each node may be anything in [-1, 1]; None where z has a say besides."""
    letters = {node: sp.Dummy("s", real=True) for node in nodes}
    open_form = wave.xreplace(letters)
    if open_form.free_symbols - set(letters.values()):
        return None
    ball = Intervals()
    found = Tape([open_form], letters.values())(ball, *[ball.interval(-1, 1) for _ in letters])[0]
    return found if found.bounded else None


def _beside_what_waves(u: Expr, nodes: Sequence[Expr]) -> tuple[Expr, Expr]:
    """Germs below and above ``u = steady + waves``, where the waves have bounds."""
    waves = [term for term in sp.Add.make_args(u) if term.has(*nodes)]
    found = _range_of_waves(sp.Add(*waves), nodes)
    if found is None:
        raise Undecided(f"{unparse(nodes[0])} oscillates as z grows")
    steady = u - sp.Add(*waves)
    low, high = (steady + sp.Rational(end) for end in found.ends)
    return low, high


def _monotone(u: Expr, nodes: Sequence[Expr]) -> bool:
    """Whether u is eventually monotone in the value of its only oscillating node."""
    if len(nodes) > 1:
        return False
    value = sp.Dummy("s", real=True)
    sensitivity = u.xreplace({nodes[0]: value}).diff(value)
    if sensitivity.has(sp.Derivative, sp.Subs):  # a node whose derivative is not known
        return False
    return circle_sign(sensitivity.xreplace({value: nodes[0]})) in (-1, 1)


def _runs_off(argument: Expr) -> bool:
    """Whether the argument of sin or cos tends to infinity, so that every value in [-1, 1] is met for ever."""
    try:
        return bool(Field(Z, 1.0).limit(argument).is_infinite)
    except Undecided:
        return False


def is_convex(upper: Expr, lower: Expr, inverse_upper: Expr | None, inverse_lower: Expr | None) -> bool | None:
    """Whether ``w = v^-1(u(z))`` is eventually convex, u and v the profiles of the higher and the lower gate.

    Where v oscillates its inverse has no formula; then the inverse function ``u^-1(v(z))`` must be concave.
    """
    u, v = profile_of(upper), profile_of(lower)
    if u is None or v is None:
        return None
    try:
        if not oscillating(v):
            w = _through_inverse(u, v, inverse_lower)
            curvature = None if w is None else slope(slope(w))
        else:
            w = _through_inverse(v, u, inverse_upper)
            curvature = None if w is None else -slope(slope(w))
        found = None if curvature is None else circle_sign(curvature)
    except Undecided:
        return None
    return None if found is None else found > 0


def _through_inverse(u: Expr, v: Expr, inverse: Expr | None) -> Expr | None:
    """``v^-1(u(z))`` for large z, v free of oscillation."""
    if v == Z:
        return u
    x = sp.Symbol("z", positive=True)
    if inverse is not None and not inverse.has(sp.Abs, sp.sign):
        return inverse.xreplace({U: u})
    if oscillating(v):
        return None
    y = sp.Dummy("y", positive=True)
    try:
        roots = sp.solve(Field(Z, 1.0).resolve(v).xreplace({Z: x}) - y, x)
    except NotImplementedError:
        return None
    return roots[0].xreplace({y: u}) if len(roots) == 1 else None


def circle_sign(expr: Expr) -> int | None:
    """The eventual sign of an expression in z and in sin and cos of one growing argument.

    1 or -1 where it is constant, 0 where both signs are met for ever, None where that is not decided. The pair
    (cos, sin) runs round the unit circle for ever, so only its values there matter, uniformly.
    """
    if not oscillating(expr):
        return Field(Z, 2.0).sign(expr)
    if expr.is_Pow and expr.exp.is_rational:
        base = circle_sign(expr.base)
        return 1 if base == 1 or (base == -1 and expr.exp.is_even) else base if expr.exp.is_odd else None
    if isinstance(expr, sp.exp):
        return 1
    factored = factor(sp.together(expr)) if not expr.is_Mul else expr
    if factored.is_Mul:
        signs = [circle_sign(factor) for factor in factored.args]
        return None if None in signs or signs.count(0) > 1 else int(sp.prod(signs))
    return _sum_circle_sign(expr)


def _sum_circle_sign(expr: Expr) -> int | None:
    nodes = oscillating(expr)
    arguments = {node.args[0] for node in nodes}
    argument = arguments.pop()
    if arguments or not _runs_off(argument):
        return None
    hardy = Field(Z, 2.0)
    met = [{sp.sin(argument): s, sp.cos(argument): c} for s, c in ((0, 1), (1, 0), (0, -1), (-1, 0))]
    if {-1, 1} <= {hardy.sign(expr.xreplace(values)) for values in met}:
        return 0
    s, c = sp.Dummy("s"), sp.Dummy("c")
    open_form = expr.xreplace({sp.sin(argument): s, sp.cos(argument): c})
    if terms(open_form) > MOST_TERMS:
        return None
    open_form = sp.expand(open_form)
    if not open_form.is_polynomial(s, c):
        return None
    parts = sp.Poly(open_form, s, c).terms()
    size = max((coefficient for _, coefficient in parts), key=_Growth(hardy))
    form = sp.Add(*[hardy.limit(coefficient / size) * s**i * c**j for (i, j), coefficient in parts])
    return _sign_on_circle(form, s, c, hardy.sign(size))


class _Growth:
    """A sort key: the faster germ is the larger."""

    def __init__(self, hardy: Field) -> None:
        self.hardy = hardy

    def __call__(self, expr: Expr) -> Any:
        return cmp_to_key(lambda x, y: "<~>".index(self.hardy.compare(x, y).relation) - 1)(expr)


def _sign_on_circle(form: Expr, s: Expr, c: Expr, up: int) -> int | None:
    """The sign of a polynomial in s, c on the circle; the point (-1, 0) is missed by the parametrisation."""
    t = sp.Dummy("t", real=True)
    numer = sp.numer(sp.together(form.xreplace({s: 2 * t / (1 + t**2), c: (1 - t**2) / (1 + t**2)})))
    last = form.xreplace({s: sp.S.Zero, c: sp.S.NegativeOne})
    polynomial = sp.Poly(numer, t)
    if not all(a.is_rational for a in polynomial.all_coeffs()) or last == 0:
        return None
    roots = sp.real_roots(polynomial, multiple=False)
    if any(multiplicity % 2 for _, multiplicity in roots):
        return 0
    if roots:
        return None
    return up * int(sp.sign(last))
