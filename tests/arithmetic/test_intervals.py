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
from gateflow.arithmetic.intervals import Intervals
from gateflow.codegen import Tape
from gateflow.errors import InvalidArgument
from gateflow.formula.vocabulary import Z, sigmoid

BIG = BigFloat(60)
INTERVALS = Intervals(64)
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


@pytest.mark.parametrize("name", FUNCTIONS)
@settings(max_examples=15, deadline=None)
@given(a=numbers, b=numbers, share=shares)
@pytest.mark.sampled(5)
def test_function_of_an_interval_contains_its_values(name, a, b, share):
    low, high = min(a, b), max(a, b)
    inside = min(max(low + share * (high - low), low), high)
    box = getattr(INTERVALS, name)(INTERVALS.interval(low, high))
    with mp.workdps(70):
        for x in (low, inside, high):
            value = big(name, x)
            if mpmath.isnan(value):
                assert not box.valid
            elif box.valid:
                assert holds(box, value), f"{name}({x}) = {value} is not in {box}"


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_point_gives_a_narrow_interval(name):
    box = getattr(INTERVALS, name)(INTERVALS.lift(0.8125) if name != "acosh" else INTERVALS.lift(1.8125))
    assert box.valid
    width = mp.make_mpf(box.hi) - mp.make_mpf(box.lo)
    assert 0 <= width <= mpf(2) ** -58


@given(st.lists(numbers, min_size=4, max_size=4), shares, shares)
def test_arithmetic_contains_its_values(ends, s, t):
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    x, y = (min(max(low + share * (high - low), low), high) for low, high, share in ((a, b, s), (c, d, t)))
    p, q = INTERVALS.interval(a, b), INTERVALS.interval(c, d)
    exact = sp.Rational(x), sp.Rational(y)
    results = [(p + q, exact[0] + exact[1]), (p - q, exact[0] - exact[1]), (p * q, exact[0] * exact[1])]
    results += [(INTERVALS.integer_power(p, 2), exact[0] ** 2), (INTERVALS.integer_power(p, 3), exact[0] ** 3)]
    results += [(INTERVALS.maximum(p, q), max(exact)), (INTERVALS.minimum(p, q), min(exact))]
    if (p / q).valid and exact[1] != 0:
        results.append((p / q, exact[0] / exact[1]))
    for box, value in results:
        with mp.workdps(70):
            assert holds(box, mpf(int(value.p)) / int(value.q))


def test_half_lines_have_limits_and_poles_have_infinite_ends():
    assert INTERVALS.exp(INTERVALS.interval(-np.inf, 0)).ends == (0.0, 1.0)
    assert INTERVALS.atan(INTERVALS.interval(0, np.inf)).ends[1] == pytest.approx(np.pi / 2)
    assert (1 / INTERVALS.interval(0, 2)).ends == (0.5, np.inf)
    assert not (1 / INTERVALS.interval(-1, 1)).valid
    assert not (INTERVALS.everything - INTERVALS.everything).positive
    assert INTERVALS.sinh(INTERVALS.lift(1e300)).ends[1] == np.inf


def test_comparisons_are_unknown_where_intervals_overlap():
    x, y = INTERVALS.interval(0, 2), INTERVALS.interval(1, 3)
    assert INTERVALS.less(x, y).value is None
    assert INTERVALS.less(x, INTERVALS.lift(5)).value is True
    assert INTERVALS.less(y, INTERVALS.lift(1)).value is False
    assert INTERVALS.where(INTERVALS.less(x, y), INTERVALS.lift(1), INTERVALS.lift(4)).ends == (1.0, 4.0)
    assert not (INTERVALS.less(x, y) | INTERVALS.less(INTERVALS.nothing, x))


def test_a_tape_runs_over_intervals():
    box = Tape([sigmoid(sp.sinh(Z)) * sigmoid(-sp.sinh(Z))])(INTERVALS, INTERVALS.interval(-1, 1))[0]
    assert 0.25 in box
    assert box.positive
    assert all(hasattr(INTERVALS, name) for name in (*FUNCTIONS, *OPERATIONS, "lift", "constant", "round"))


def test_precision_out_of_range_is_refused():
    with pytest.raises(InvalidArgument, match="prec = 3"):
        Intervals(3)
