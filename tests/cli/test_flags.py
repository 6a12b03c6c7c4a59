"""Flags: short names, the last of several, and lists that need a value; what a listing says of a loss or a kink."""

import json
import math

import pytest

TIME = ("time", "sigmoid", "--horizon", "1", "--gap", "0.25")


def answer(outcome):
    assert (outcome.code, outcome.err) == (0, "")
    return json.loads(outcome.out)


@pytest.mark.parametrize(
    "line",
    [
        ("time", "fast", "--gap", "0.1"),
        ("flow", "fast", "--gap", "0.1", "--at", "1"),
        ("compare", "fast", "sigmoid", "--gaps", "0.1"),
        ("recommend", "--timescale", "100", "--gates", "fast"),
        ("plane", "refine", "--gap", "0.1"),
    ],
)
def test_the_horizon_is_t(line, gateflow):
    short, long = (gateflow(*line, flag, "10", "--json") for flag in ("-T", "--horizon"))
    short, long = answer(short), answer(long)
    for order in (*short.get("orders", ()), *long.get("orders", ())):
        order.pop("seconds")
    assert short == long


def test_of_a_flag_given_twice_the_last_wins(gateflow):
    found = answer(gateflow(*TIME, "--z0", "1", "--json", "--gap", "0.125", "--json", "--z0", "-1", "-T", "1"))
    assert (found["gap"], found["z0"], found["horizon"]) == (0.125, -1, 1)
    assert answer(gateflow("flow", "fast", "-T", "10", "--gap", "0.1", "--at", "1", "--at", "2", "--json"))["points"][
        "tau"
    ] == [1, 2]


@pytest.mark.parametrize("gates", [("fast", "sigmoid(k*z); k=2"), ("fast,sigmoid(k*z); k=2",), ("fast, sigmoid(2*z)",)])
def test_several_values_are_separated_by_blanks_or_commas(gates, gateflow):
    found = answer(gateflow("recommend", "--timescale", "100", "--gates", *gates, "--json"))
    assert len(found["gates"]) == 2
    points = [answer(gateflow("show", "fast", "--z", *z, "--json"))["values"] for z in (("-1", "2"), ("-1,2",))]
    assert points[0] == points[1]
    assert [row["z"] for row in points[0]] == [-1, 2]


def test_the_target_stands_beside_the_time(gateflow):
    """sigmoid(z*) = 1 - 1/4, so z* = log 3."""
    assert answer(gateflow(*TIME, "--json"))["z_star"] == pytest.approx(math.log(3), rel=1e-14)


def test_no_two_losses_are_listed_with_one_formula(gateflow):
    rows = answer(gateflow("losses", "--json"))["losses"]
    formulas = {row["name"]: row["formula"] for row in rows}
    assert len(set(formulas.values())) == len(formulas)
    assert "M(" in formulas["laplace"]


def test_a_kink_is_a_place_and_no_count(gateflow):
    (line,) = [line for line in gateflow("show", "sigmoid(z + abs(z)/2)").out.splitlines() if line.startswith("kinks")]
    assert line.split(maxsplit=1) == ["kinks", "z = 0"]
    assert "kinks" not in gateflow("show", "fast").out


def test_gates_are_ranked_highest_first_in_print_and_as_data(gateflow):
    """The tails exp(-z) and 1/z: the first is smaller at every multiple of z."""
    printed = gateflow("rank", "softsign", "sigmoid").out.splitlines()
    assert printed == ["Order of saturation, highest first", "1. sigmoid", "2. softsign"]
    assert answer(gateflow("rank", "softsign", "sigmoid", "--json"))["classes"] == [["sigmoid"], ["softsign"]]
