"""The table of published decays, against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow.cli import main
from gateflow.descents.decays import decays, longest
from gateflow.descents.precision import FORMATS
from gateflow.errors import UnknownName
from gateflow.gates.published import DECAYS


@pytest.fixture(scope="module")
def table():
    return decays()


def only(table, model, gate):
    (row,) = [row for row in table.rows if row.model == model and gate in row.gate]
    return row


def test_every_learned_decay_but_one_is_of_one_class_with_the_sigmoid(table):
    assert {row.model for row in table.rows} == set(DECAYS)
    others = [row for row in table.rows if row.membership.startswith("in F") and "sinh" not in row.gate]
    assert {(row.against_sigmoid, row.against_fast) for row in others} == {("equal", "lower")}
    fast = only(table, "s4d", "sinh")
    assert (fast.against_sigmoid, fast.against_fast) == ("higher", "equal")
    assert [row.gate for row in table.rows if row.membership == "not in F"] == ["sigmoid(z)/(sigmoid(z) + i); i=1/2"]
    assert only(table, "hgrn", "low").membership == "in F on (1/2, 1)"


def test_starts_and_slopes_are_those_of_the_closed_forms(table):
    for model, medians in {
        "mamba": 100,  # dt is 0.01
        "s4d": 200,
        "lru": 2 / math.log(2),
        "gla": 16 / math.log(2),
        "hgrn": -1 / math.log(0.75),
        "mingru": 1 / math.log(2),
        "xlstm": 1 / math.log1p(math.exp(-4.5)),
        "rg-lru": -1 / (4 * math.log(math.sqrt((0.9**2 + 0.999**2) / 2))),
    }.items():
        row = next(row for row in table.rows if row.model == model)
        assert row.start[1] == pytest.approx(medians, rel=1e-12)
    slopes = {"mingru": 0.25, "hgrn": 0.125, "gla": 0.5 ** (1 / 16) / 32, "s4d": math.exp(-0.005) * 0.005}
    for model, slope in slopes.items():
        assert next(row for row in table.rows if row.model == model).slope == pytest.approx(slope, rel=1e-12)


def test_equal_orders_take_about_equal_steps_and_dt_fast_turns_them_round(table):
    sigmoid, fast = only(table, "mingru", "sigmoid"), only(table, "s4d", "sinh")
    assert sigmoid.own_lr == table.lr
    assert sigmoid.common_steps == sigmoid.own_steps
    assert fast.common_steps < sigmoid.common_steps / 5
    assert fast.own_steps > 1.5 * sigmoid.own_steps


@pytest.mark.parametrize("form", ["float32", "bfloat16"])
def test_the_longest_time_constants_are_those_of_the_last_floats_below_1_and_above_0(form):
    last = 1 - 2.0 ** -FORMATS[form].bits
    assert FORMATS[form].round(last) == last
    assert FORMATS[form].round((3 * last + 1) / 4) != (3 * last + 1) / 4
    assert longest("a", FORMATS[form]) == pytest.approx(-1 / math.log(last), rel=1e-12)
    least = np.finfo(np.float32).tiny  # bfloat16 has the exponents of float32
    assert longest("log a", FORMATS[form]) == 1 / float(least)


def test_the_command_shows_the_table(capsys):
    assert main(["decays", "lru", "retnet"]) == 0
    shown = capsys.readouterr().out
    assert "not learned" in shown
    assert "sqrt(1 - a**2)" in shown
    assert main(["decays", "lur"]) == 2
    assert "did you mean 'lru'" in capsys.readouterr().err
    with pytest.raises(UnknownName):
        decays(["lur"])
