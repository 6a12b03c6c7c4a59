"""Bounds on half-lines hold at points far and near, for random formulas and every rule."""

from __future__ import annotations

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from gateflow.arithmetic.intervals import Intervals
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.signs.tails import Clock, HalfLine, LimitCache, X
from gateflow.codegen import rewrite
from gateflow.formula.vocabulary import expm1, log1p, logit, sigmoid, softplus, softsign

BALL = Intervals()


def written_out(expr):
    for node in (sigmoid, softplus, softsign, logit):
        expr = expr.replace(node, node.written_out)
    expr = expr.replace(log1p, lambda g: sp.log(1 + g)).replace(expm1, lambda g: sp.exp(g) - 1)
    return expr.replace(rewrite.erfc, sp.erfc).replace(rewrite.acot, lambda g: sp.pi / 2 - sp.atan(g))


def contains_samples(expr, start):
    """``expr(x) exp(-log_size(x))`` stays in the factor at points from x0 to far out."""
    c, d = HalfLine(start, BALL, LimitCache(Clock(20))).bound(expr)
    low, high = (mp.make_mpf(e) for e in (c.lo, c.hi))
    f, size = (sp.lambdify(X, written_out(e), "mpmath") for e in (expr, d))
    with mp.workdps(400):
        for step in (0, "0.01", "0.3", 1, 3, 9):
            x = mpf(int(sp.Rational(start).p)) / int(sp.Rational(start).q) + mpf(step)
            ratio = mpmath.re(f(x)) * mpmath.exp(-size(x))
            slack = mpf("1e-18") * (1 + abs(ratio))
            assert low - slack <= ratio <= high + slack, f"{expr} at {x}: {mpmath.nstr(ratio, 15)} not in {c}"


RULES = [
    *(sp.sinh(X), sp.cosh(X), sp.sinh(-X), sp.tanh(X**2), sp.asinh(X), sp.asinh(-sp.sinh(X)), sp.atan(X), sp.erf(X)),
    *(rewrite.erfc(X), sp.erfc(2 * X), rewrite.acot(X), rewrite.acot(-X), sp.loggamma(X), softsign(X)),
    *(sigmoid(X), sigmoid(-X), sigmoid(-sp.sinh(X)), softplus(X), softplus(-X), softplus(1 / X), logit(sigmoid(-X))),
    *(log1p(X), log1p(sp.exp(-X)), log1p(log1p(X)), sp.log(1 + sp.log(1 + X)), expm1(X), expm1(-X)),
    *(
        sp.exp(X + sp.exp(-X)),
        sp.exp(-sp.exp(X)),
        X**2 * sp.exp(-X) + 3 / X,
        sp.sqrt(1 + X**2),
        (1 + X**3) ** sp.Rational(1, 3),
    ),
    *(
        sp.Abs(1 - X**2),
        sp.sign(X - 9 * sp.exp(X)),
        sp.sinh(sp.sinh(X)) / X,
        sp.polygamma(0, X),
        sp.polygamma(1, 1 + X),
    ),
    sp.Piecewise((sp.exp(X), X > 1), (X, True)),
]


@pytest.mark.parametrize("expr", RULES, ids=str)
@pytest.mark.parametrize("start", [4, 16])
def test_rule_contains_its_values(expr, start):
    contains_samples(expr, start)


pieces = st.sampled_from([X, 1 / X, sp.exp(X), sp.exp(-X), sp.log(1 + X), sp.sinh(X), sp.sqrt(X), sp.atan(X), 1 + X**2])


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(-4, 4), pieces, pieces), min_size=1, max_size=4), st.sampled_from([1, 2, 4]))
def test_sums_of_products_contain_their_values(terms, start):
    expr = sp.Add(*[c * a * b for c, a, b in terms])
    if expr.has(X):
        try:
            contains_samples(expr, start)
        except Undecided:
            return


def test_signs_are_proved_where_they_hold_and_only_there():
    def sign(expr, start):
        return HalfLine(start, BALL, LimitCache(Clock(10))).sign(expr)

    fast = sp.sinh(X) - sp.cosh(X) ** 2 * sp.tanh(sp.sinh(X) / 2)
    assert sign(fast, 2) == -1
    assert sign(fast, sp.Rational(1, 2)) == 0  # positive at 1/2, negative further out
    assert sign(X - 10, 8) == 0
    assert sign(sp.exp(X) - X**4, 16) == 1
    assert sign(sp.exp(X) - X**4, 4) == 0
