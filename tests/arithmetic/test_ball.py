"""Intervals contain the true value: every operation against mpmath at random points of random intervals."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from gateflow.arithmetic import FUNCTIONS, OPERATIONS, BigFloat
from gateflow.arithmetic.ball import Intervals
from gateflow.emit import Tape
from gateflow.errors import InvalidArgument
from gateflow.vocabulary import Z, sigmoid

BIG = BigFloat(60)
BACKENDS = [Intervals(64), Intervals(64, flint=False)]
numbers = st.floats(-30, 30) | st.sampled_from([0.0, 1.0, -1.0, 0.5, 1.5, 1e-9, -1e-9, 700.0])
shares = st.floats(0, 1)


def big(name, x):
    with np.errstate(all="ignore"):
        return getattr(BIG, name)(BIG.lift(np.array([x]))).values[0]


def holds(box, value):
    """Whether the mpmath number lies in the box, up to the 60 digits it is known to."""
    if mpmath.isinf(value):
        return True
    low, high = (mp.make_mpf(e) for e in (box.lo, box.hi))
    slack = abs(value) * mpf("1e-55")
    return low <= value + slack and value - slack <= high


@pytest.mark.parametrize("ball", BACKENDS, ids=lambda b: b.name)
@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=15, deadline=None)
@given(a=numbers, b=numbers, share=shares)
def test_function_of_an_interval_contains_its_values(ball, name, a, b, share):
    low, high = min(a, b), max(a, b)
    inside = min(max(low + share * (high - low), low), high)
    box = getattr(ball, name)(ball.interval(low, high))
    with mp.workdps(70):
        for x in (low, inside, high):
            value = big(name, x)
            if mpmath.isnan(value):
                assert not box.valid
            elif box.valid:
                assert holds(box, value), f"{name}({x}) = {value} is not in {box}"


@pytest.mark.parametrize("ball", BACKENDS, ids=lambda b: b.name)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_point_gives_a_narrow_interval(ball, name):
    box = getattr(ball, name)(ball.lift(0.8125) if name != "acosh" else ball.lift(1.8125))
    assert box.valid
    width = mp.make_mpf(box.hi) - mp.make_mpf(box.lo)
    assert 0 <= width <= mpf(2) ** -58


@given(st.lists(numbers, min_size=4, max_size=4), shares, shares)
def test_arithmetic_contains_its_values(ends, s, t):
    ball = BACKENDS[0]
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    x, y = (min(max(low + share * (high - low), low), high) for low, high, share in ((a, b, s), (c, d, t)))
    p, q = ball.interval(a, b), ball.interval(c, d)
    exact = sp.Rational(x), sp.Rational(y)
    results = [(p + q, exact[0] + exact[1]), (p - q, exact[0] - exact[1]), (p * q, exact[0] * exact[1])]
    results += [(ball.integer_power(p, 2), exact[0] ** 2), (ball.integer_power(p, 3), exact[0] ** 3)]
    results += [(ball.maximum(p, q), max(exact)), (ball.minimum(p, q), min(exact))]
    if (p / q).valid and exact[1] != 0:
        results.append((p / q, exact[0] / exact[1]))
    for box, value in results:
        with mp.workdps(70):
            assert holds(box, mpf(int(value.p)) / int(value.q))


def test_half_lines_have_limits_and_poles_have_infinite_ends():
    ball = BACKENDS[0]
    assert ball.exp(ball.interval(-np.inf, 0)).ends == (0.0, 1.0)
    assert ball.atan(ball.interval(0, np.inf)).ends[1] == pytest.approx(np.pi / 2)
    assert (1 / ball.interval(0, 2)).ends == (0.5, np.inf)
    assert not (1 / ball.interval(-1, 1)).valid
    assert not (ball.everything - ball.everything).positive
    assert ball.sinh(ball.lift(1e300)).ends[1] == np.inf


def test_comparisons_are_unknown_where_intervals_overlap():
    ball = BACKENDS[0]
    x, y = ball.interval(0, 2), ball.interval(1, 3)
    assert ball.less(x, y).value is None
    assert ball.less(x, ball.lift(5)).value is True
    assert ball.less(y, ball.lift(1)).value is False
    assert ball.where(ball.less(x, y), ball.lift(1), ball.lift(4)).ends == (1.0, 4.0)
    assert not (ball.less(x, y) | ball.less(ball.nothing, x))


def test_a_tape_runs_over_intervals():
    ball = BACKENDS[0]
    box = Tape([sigmoid(sp.sinh(Z)) * sigmoid(-sp.sinh(Z))])(ball, ball.interval(-1, 1))[0]
    assert 0.25 in box
    assert box.positive
    assert all(hasattr(ball, name) for name in (*FUNCTIONS, *OPERATIONS, "lift", "constant", "round"))


def test_precision_out_of_range_is_refused():
    with pytest.raises(InvalidArgument, match="prec = 3"):
        Intervals(3)
