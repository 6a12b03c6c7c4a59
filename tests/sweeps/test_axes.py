"""Axes: exact points, and one line for anything else."""

from __future__ import annotations

from fractions import Fraction

import mpmath
import numpy as np
import pytest

from gateflow.errors import InvalidArgument
from gateflow.sweeps import axis


def test_a_linear_range_holds_the_floats_nearest_to_its_points():
    values = axis("z0", "-3:3:61").values
    assert values.tolist() == [float(Fraction(k, 10)) for k in range(-30, 31)]
    assert not np.array_equal(values, np.linspace(-3, 3, 61))  # NumPy's own are not those


def test_a_logarithmic_range_holds_the_floats_nearest_to_its_points():
    values = axis("gap", "1e-300:0.5:301:log").values
    with mpmath.workdps(60):
        first, last = mpmath.mpf("1e-300"), mpmath.mpf("0.5")
        exact = [float(first * (last / first) ** (mpmath.mpf(k) / 300)) for k in range(301)]
    assert values.tolist() == exact


@pytest.mark.parametrize("power", range(1, 13))
def test_powers_of_ten_are_what_one_types(power):
    assert axis("horizon", f"1:1e{power}:{power + 1}:log").values.tolist() == [
        float(f"1e{k}") for k in range(power + 1)
    ]
    falling = axis("gap", f"1e-1:1e-{power + 1}:{power + 1}:log").values
    assert falling.tolist() == [float(f"1e-{k}") for k in range(1, power + 2)]


@pytest.mark.parametrize(
    ("given", "values"),
    [
        (3, [3.0]),
        ("3", [3.0]),
        ("1, 10 ,100", [1.0, 10.0, 100.0]),
        ("3:-3:3", [3.0, 0.0, -3.0]),
        ([2, 1], [2.0, 1.0]),
        (np.arange(3), [0.0, 1.0, 2.0]),
        ("-.5,+1e+2,5.", [-0.5, 100.0, 5.0]),
    ],
)
def test_an_axis_is_a_number_a_list_or_a_text(given, values):
    assert axis("z0", given).values.tolist() == values


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("", "z0 takes a number"),
        ("1:2", "z0 takes a number"),
        ("1:2:3:lin", "z0 takes a number"),
        ("1:2:3:log:log", "z0 takes a number"),
        ("1:2:x", "z0 takes a number"),
        ("1,,2", "z0 takes a number"),
        ("nan", "z0 takes a number"),
        ("__import__('os')", "z0 takes a number"),
        ("1:2:1", "2 to 1000000 points; got 1"),
        ("1:2:999999999", "2 to 1000000 points"),
        ("0:2:3:log", "lies above 0"),
        ("1:1:3", "z0 holds 1 twice"),
        ([1.0, 2.0, 1.0], "z0 holds 1 twice"),
        ([], "at least one"),
        ([[1.0, 2.0]], "at least one"),
        (["1", "2"], "real number"),
        (None, "real number"),
        ([0.0, float("nan")], "z0 must be a number; got nan"),
        (np.arange(1e6 + 1), "at most 1000000"),
    ],
)
def test_what_is_no_axis_is_refused_in_one_line(given, said):
    with pytest.raises(InvalidArgument, match=said) as refused:
        axis("z0", given)
    assert "\n" not in str(refused.value)


def test_a_long_axis_is_told_in_short():
    assert axis("z0", np.arange(1e5)).text == "<100000 values>"


@pytest.mark.parametrize("text", ["1e-400", "0.1,1e-400", "1e-400:1:5:log"])
def test_a_gap_below_the_floats_is_not_read_as_0(text):
    with pytest.raises(InvalidArgument, match="below the smallest float; give its logarithm, log_gap"):
        axis("gap", text)
    assert axis("gap", "0,1").values.tolist() == [0.0, 1.0]
