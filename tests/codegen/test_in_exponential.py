"""Rational functions of one exponential as polynomials, against values in big floats."""

from __future__ import annotations

import random
from typing import Any

import mpmath
import pytest
import sympy as sp

from gateflow.asymptotics.proofs import halflines
from gateflow.asymptotics.proofs.enclosures import Box, X
from gateflow.codegen.exponentials import in_exponential
from gateflow.formula.vocabulary import sigmoid


def drawn(rng: random.Random, depth: int = 2) -> Any:
    """A rational function of exponentials of small multiples of x, by the words that users have for them."""
    if depth == 0:
        rate = sp.Rational(rng.choice([1, -1, 2, -3, 1, 1]), rng.choice([1, 1, 2]))
        return rng.choice([sp.exp, sp.tanh, sp.cosh, sp.sinh, sigmoid])(rate * X)
    a, b = drawn(rng, depth - 1), drawn(rng, depth - 1)
    share = sp.Rational(rng.randint(-5, 5), rng.randint(1, 4))
    return rng.choice([a + share * b, a * b, a + share, share - a, a / (b**2 + 1)])


def in_big_floats(expr: Any) -> Any:
    return sp.lambdify(X, expr.replace(sigmoid, lambda g: 1 / (1 + sp.exp(-g))), "mpmath")


@pytest.mark.parametrize("seed", range(40))
def test_the_polynomial_has_the_sign_of_the_expression(seed: int) -> None:
    expr = drawn(random.Random(seed))
    found = in_exponential(expr, X)
    if found is None:
        assert not expr.has(X) or sp.count_ops(expr) > 40
        return
    polynomial, rate = found
    of_x = in_big_floats(expr)
    with mpmath.workdps(60):
        for n in range(1, 30):
            x = mpmath.mpf(n) / 7
            value = of_x(x)
            w = mpmath.exp(-x * mpmath.mpf(rate.p) / rate.q)
            other = mpmath.polyval([mpmath.mpf(int(c.p)) / int(c.q) for c in polynomial.all_coeffs()], w)
            assert abs(value) < 1e-50 or mpmath.sign(value) == mpmath.sign(other)


@pytest.mark.parametrize("expr", [X + sp.exp(X), sp.exp(sp.sqrt(2) * X) - sp.exp(X), sp.exp(X**2), sp.exp(X + 1) - 1])
def test_what_is_no_such_function_with_rational_numbers_is_left_alone(expr: Any) -> None:
    assert in_exponential(expr, X) is None


@pytest.mark.parametrize("seed", range(40))
def test_descartes_rule_claims_no_wrong_sign_on_a_half_line(seed: int) -> None:
    rng = random.Random(seed)
    expr, low = drawn(rng), sp.Rational(rng.randint(0, 12), 4)
    claimed = halflines._sign_by_descartes(expr, Box(low, sp.oo))
    if claimed:
        of_x = in_big_floats(expr)
        with mpmath.workdps(60):
            values = [of_x(mpmath.mpf(int(low.p)) / int(low.q) + mpmath.mpf(n) / 9) for n in range(1, 60)]
        assert all(abs(value) < 1e-40 or mpmath.sign(value) == claimed for value in values)


def test_descartes_rule_finds_the_sign_from_the_last_root_on() -> None:
    expr = 2 - sp.exp(X)  # changes at log 2 = .693
    assert halflines._sign_by_descartes(expr, Box(sp.Rational(7, 10), sp.oo)) == -1
    assert halflines._sign_by_descartes(expr, Box(sp.Rational(69, 100), sp.oo)) == 0
    assert halflines._sign_by_descartes(-expr, Box(sp.Integer(3), sp.oo)) == 1
    assert halflines._sign_by_descartes(expr, Box(sp.Integer(3), sp.Integer(4))) == 0  # of half-lines only
