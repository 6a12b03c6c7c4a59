"""Recommendations: ranked by steps that simulations confirm, with floors and traps that are there."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gateflow.descents.precision import FORMATS
from gateflow.descents.recommendation import edge_of_plateau, recommend
from gateflow.descents.simulation import Status, descent
from gateflow.errors import InvalidArgument, UnknownName
from gateflow.flows import LearningProblem

THREE = ("softsign", "sigmoid", "fast")


@pytest.mark.parametrize(("optimizer", "lr"), [("sgd", 1e-2), ("momentum", 1e-3), ("adam", 1e-3), ("rmsprop", 1e-3)])
@pytest.mark.sampled(4)
def test_the_ranking_is_that_of_simulated_runs(optimizer, lr):
    advice = recommend(300, optimizer, lr, "float64", gates=("sigmoid", "fast", "erf"), horizon=100)
    taken = []
    for one in advice:
        problem = LearningProblem(one.gate, horizon=100, timescale=300)
        run = descent(problem, one.bias, optimizer, lr=lr)
        assert run.status == Status.REACHED
        assert abs(run.steps - one.steps) <= max(1, one.error)
        assert one.target == problem.z_star
        taken.append(run.steps)
    assert taken == sorted(taken)
    assert advice.best.gate.name == "fast"


@pytest.mark.parametrize("timescale", [100, 10_000])
def test_at_step_sizes_of_their_own_the_order_is_the_reverse_and_loops_confirm_it(timescale):
    """Steps and chatter by plain loops over formulas by hand, at each gate's own step size."""
    inverses = {"sigmoid": float, "fast": math.asinh, "softsign": lambda u: math.copysign(math.expm1(abs(u)), u)}
    profiles = {
        "sigmoid": (float, lambda z: 1.0),
        "fast": (math.sinh, math.cosh),
        "softsign": (lambda z: math.copysign(math.log1p(abs(z)), z), lambda z: 1 / (1 + abs(z))),
    }
    advice = recommend(timescale, dtype="float64", gates=THREE)
    assert [one.gate.name for one in advice] == ["softsign", "sigmoid", "fast"]
    at_one = recommend(timescale, lr=1e-4, dtype="float64", gates=THREE)
    assert [one.gate.name for one in at_one] == ["fast", "sigmoid", "softsign"]
    for one in advice:
        u, du = profiles[one.gate.name]
        z = inverses[one.gate.name](-math.log(math.expm1(1 / advice.start)))
        z_star = inverses[one.gate.name](-math.log(math.expm1(1 / timescale)))
        constants, steps = [], 0
        for k in range(1000):
            h = timescale * math.log1p(math.exp(-u(z)))
            side = math.copysign(1, z_star - z)
            z += side * one.own_lr * timescale * math.exp(-h) / (1 + math.exp(u(z))) * du(z)
            steps = k + 1 if not steps and z >= z_star else steps
            constants.append(1 / math.log1p(math.exp(-u(z))))
        assert abs(steps - one.own_steps) <= 1
        assert np.all(np.abs(timescale / np.array(constants[steps:]) - 1) <= 0.05)


def test_both_columns_are_said_in_words():
    advice = recommend(10_000, gates=("softsign", "sigmoid", "fast", "iterated-sinh"))
    assert advice.in_words.startswith("Tuned gate by gate, softsign needs the fewest steps")
    assert "with lr 0.001 for all, iterated-sinh does" in advice.in_words
    assert "only training shows which column counts" in advice.in_words
    assert advice.warnings[0].startswith("lr 0.001 is above the largest that keeps the time scale within 5 %, for iter")
    assert recommend(10_000, gates="fast").in_words == ""


def test_every_gate_starts_from_the_same_time_constant_where_the_slope_is_a_tenth_of_its_largest():
    advice = recommend(1000, gates=THREE)
    h = 1000 / advice.start
    assert h * math.exp(1 - h) == pytest.approx(0.1, rel=1e-12)
    for one in advice:
        assert -1 / one.gate.log_phi(one.bias) == pytest.approx(advice.start, rel=1e-9)
        assert -1 / one.gate.log_phi(one.target) == pytest.approx(1000, rel=1e-9)


@pytest.mark.parametrize(("timescale", "horizon"), [(10, 1), (1e3, 1e3), (1e3, 1e5), (1e200, 1e250)])
def test_the_edge_of_the_plateau_solves_its_equation(timescale, horizon):
    h, highest = horizon / edge_of_plateau(timescale, horizon), max(1.0, horizon / timescale)
    assert h >= highest
    if highest < 1e10:
        assert math.log(h / highest) - (h - highest) == pytest.approx(math.log(0.1), rel=1e-9)


def test_the_largest_useful_steps_are_those_of_theory():
    """sigmoid: e/c; fast: e/(c (1 + log(T)^2)) (numerics.md), where the way passes h = 1."""
    found = {one.gate.name: one.largest_lr for one in recommend(1e6, gates=("sigmoid", "fast"), horizon=9e5, scale=2.0)}
    assert found["sigmoid"] == pytest.approx(math.e / 2, rel=0.02)
    assert found["fast"] == pytest.approx(math.e / 2 / (1 + math.log(1e6) ** 2), rel=0.05)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16", "float32"])
@pytest.mark.parametrize("name", ["sigmoid", "fast"])
def test_a_stable_step_is_lost_past_the_floor_and_not_before(name, dtype):
    advice = recommend(50, "sgd", 0.5, dtype, gates=name).best
    assert 50 < advice.floor < 1e12
    fmt = FORMATS[dtype]
    for factor, lost in ((0.97, False), (1.03, True)):
        z = float(advice.gate.float64.z_of_u(np.array(-math.log(math.expm1(1 / (factor * advice.floor))))))
        step = 0.5 * math.exp(LearningProblem(name, horizon=50, decay=0.0).log_abs_grad(z))
        assert (step < float(fmt.spacing(z)) / 2) == lost


def test_a_format_too_narrow_is_warned_of():
    assert "bfloat16 holds time scales up to 256 " in recommend(1000, dtype="bfloat16", gates=THREE).warnings[0]
    assert recommend(1000, dtype="float32", gates=THREE).warnings == ()
    found = {one.gate.name: one for one in recommend(1e4, lr=1.0, dtype="bfloat16", gates=("sigmoid",), horizon=100)}
    assert found["sigmoid"].steps == np.inf
    assert found["sigmoid"].reason.startswith("stalls at z = ")


def test_a_saturation_trap_is_warned_of_and_there_is_one():
    """The steps are too large for the fast gate only; its run from the edge of the trap does not come back."""
    advice = recommend(2e4, lr=1.0, dtype="float64", gates=("sigmoid", "fast"), horizon=1000, start=800)
    assert [one.gate.name for one in advice] == ["sigmoid", "fast"]
    last = advice.advice[-1]
    assert last.trapped
    assert last.reason.startswith("saturation trap")
    above, trap = advice.warnings
    assert above.startswith("lr 1 is above the largest that keeps the time scale within 5 %, for sigmoid (")
    assert trap == "the step is past the largest useful one: saturation trap for fast"
    run = descent(LearningProblem("fast", horizon=1000, timescale=2e4), last.bias, lr=1.0)
    assert run.status == Status.TRAPPED
    assert run.overshoot_u <= last.trap.past * (1 + 1e-9)


def test_a_step_past_the_end_of_a_hard_gate_is_told_without_infinities():
    (one,) = recommend(1000, lr=1.0, gates=["hard-sigmoid"])
    assert one.trapped
    assert "where the gate is 1 and its slope 0" in one.reason


def test_a_start_on_the_plateau_is_warned_of():
    (warning,) = recommend(1000, gates="fast", start=20).warnings
    assert "each unit of h above a few costs gradient descent a factor e in steps" in warning
    assert "h = T/start = 50" in warning


def test_the_resolution_is_how_far_the_time_scale_moves_in_half_an_ulp():
    one = recommend(1000, dtype="bfloat16", gates="sigmoid").best
    z = float(FORMATS["bfloat16"].round(one.target))
    moved = [-1 / one.gate.log_phi(z + side * float(FORMATS["bfloat16"].spacing(z)) / 2) for side in (-1, 1)]
    assert math.log(moved[1] / moved[0]) / 2 == pytest.approx(one.resolution, rel=0.01)


FIVE = ("fast", "sigmoid", "softsign", "hard-sigmoid", "iterated-sinh")


@pytest.mark.parametrize("gates", [{"gates": FIVE}, pytest.param({}, marks=pytest.mark.slow)], ids=["five", "all"])
def test_the_whole_catalogue_gets_advice(gates):
    advice = recommend(1000, "adam", 1e-3, **gates)
    names = [one.gate.name for one in advice]
    assert set(FIVE) <= set(names)
    assert gates or "log-slow" in names  # which takes longest
    assert names.index("iterated-sinh") < names.index("fast") < names.index("sigmoid") < names.index("softsign")
    assert all(one.reason for one in advice)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"timescale": 1}, "timescale must be from 2 to 1e250; got 1"),
        ({"timescale": 1e3, "horizon": 0.5}, "horizon must be from 1 to 1e250; got 0.5"),
        ({"timescale": 1e3, "lr": -1}, "lr must be finite and above 0; got -1"),
        ({"timescale": 1e3, "gates": []}, "gates must name at least one gate"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(keywords, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        recommend(**keywords)


def test_unknown_names_are_refused():
    with pytest.raises(UnknownName, match="did you mean 'fast'"):
        recommend(1000, gates=["fsat"])


def test_the_command_line_prints_the_same_numbers(capsys):
    from gateflow.cli import main

    line = "recommend --timescale 1000 --optimizer adam --lr 1e-3 --gates sigmoid fast --json"
    assert main(line.split()) == 0
    answer = json.loads(capsys.readouterr().out)
    advice = recommend(1000, "adam", 1e-3, gates=("sigmoid", "fast"))
    assert [one["gate"] for one in answer["gates"]] == ["fast", "sigmoid"]
    assert [one["steps"] for one in answer["gates"]] == [one.steps for one in advice]
    line = "recommend --timescale 1e4 --horizon 100 --lr 1e-3 --dtype bfloat16 --gates sigmoid"
    assert main(line.split()) == 3
    assert "stalls at z" in capsys.readouterr().out


def test_descent_on_the_command_line_says_how_it_ended(capsys):
    from gateflow.cli import main

    line = "descent fast --horizon 10 --gap 0.1 --lr 0.05"
    assert main([*line.split(), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["steps"] == answer["predicted"]["steps"] == 995
    assert answer["predicted"]["valid"] is True
    assert main([*line.split(), "--steps", "5"]) == 3
    assert "not reached in the steps given" in capsys.readouterr().out
    assert main([*line.split(), "--beta", "0.5"]) == 2
    assert "does not take beta" in capsys.readouterr().err
