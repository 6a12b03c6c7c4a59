"""What follows a slider: numbers known otherwise, hostile formulas that cost nothing, lines that give the same."""

import json
import shlex
import time
from itertools import islice

import numpy as np
import pytest

from gateflow.cli import main
from gateflow.descents.simulation import descent
from gateflow.errors import InvalidArgument
from gateflow.explorer.answers import GRID, WAY, answers, problem_of, start_of
from gateflow.explorer.asked import CONTROLS, MOST_GATES, Asked
from gateflow.explorer.theory import theory
from gateflow.flows.problem import LearningProblem
from gateflow.flows.time import hitting_time
from gateflow.gates.gate import Gate

HOSTILE = [
    "9**9**9*z",
    "__import__('os').system('true')",
    "(" * 5000 + "z" + ")" * 5000,
    "z" + "+z" * 5000,
    "sigmoid(" * 40 + "z" + ")" * 40,
    "().__class__.__bases__[0]",
    "lambda: z",
    "sigmoid(z)\x00",
    "sigmoid(z**(10**9))",
    "exp(exp(exp(exp(999999999))))*z",
    "<script>alert(1)</script>",
    "",
]


def parts(asked, of=answers):
    return [part for part in of(asked) if part is not None]


def test_learning_times_are_those_of_the_closed_form():
    """For the sigmoid and T = 1, tau is e^z + 2 z - e^-z between start and target, and dphi is phi (1 - phi)."""
    (gate,) = parts(Asked(gates=("sigmoid",), horizon=1.0, gap=0.01, start=0.3))[0]["gates"]
    flow = gate["flow"]

    def primitive(z):
        return np.exp(z) + 2 * z - np.exp(-z)

    start, target = np.log(0.3 / 0.7), np.log(99.0)
    assert flow["z0"] == pytest.approx(start)
    assert flow["z_star"] == pytest.approx(target)
    assert flow["tau"] == pytest.approx(primitive(target) - primitive(start), rel=1e-12)
    to_go = np.log(0.99 / 0.3) * WAY
    z = -np.log(np.expm1(-np.log(0.99) + to_go))
    tau = primitive(z[1:]) - primitive(start)
    assert 10.0 ** np.array(flow["log_tau"][40:], dtype=float) == pytest.approx(tau[39:], rel=1e-4)
    assert 10.0 ** np.array(flow["log_loss"][:-1]) == pytest.approx(0.99 * -np.expm1(-to_go[:-1]), rel=1e-4)
    assert gate["phi"] == pytest.approx(1 / (1 + np.exp(-GRID)), rel=1e-5)
    assert gate["dphi"] == pytest.approx(np.exp(-GRID) / (1 + np.exp(-GRID)) ** 2, rel=1e-5)


@pytest.mark.parametrize(("gate", "start"), [("erf", 0.5), ("erf", 0.01), ("sigmoid(z + z**3)", 0.99), ("lru", 0.6)])
def test_a_target_is_sought_once_for_all_parts(monkeypatch, gate, start):
    """In double-double it costs more than all of the curve, for a gate without a closed inverse."""
    sought = []
    inverted = Gate._inverted
    monkeypatch.setattr(Gate, "_inverted", lambda self, x, what: sought.append(what) or inverted(self, x, what))
    start_of(gate, start)  # where it starts is kept while the horizon is slid
    problem_of.cache_clear()
    for horizon in (12.25, 37.5):
        sought.clear()
        asked = Asked(gates=(gate,), horizon=horizon, gap=0.01, start=start)
        assert [part["part"] for part in parts(asked)] == ["picture", "steps", "own", "done"]
        assert sought == ["inverse_c"]


@pytest.mark.parametrize("gate", ["fast", "erf", "softsign", "cubic"])
@pytest.mark.parametrize("start", [0.3, 0.9, 0.98999999, float(np.nextafter(0.99, 1))])
def test_the_time_is_that_of_the_command(gate, start):
    """Also where the target is so near that the way to it is a difference of big floats."""
    flow = parts(Asked(gates=(gate,), horizon=1.0, gap=0.01, start=start))[0]["gates"][0]["flow"]
    alone = hitting_time(LearningProblem(gate, horizon=1.0, gap=0.01), flow["z0"], backend="numpy")
    assert flow["status"] == alone.status.sentence
    if alone.success:
        assert flow["tau"] == pytest.approx(alone.tau, rel=1e-14)
        assert flow["relative_error"] == pytest.approx(alone.error, rel=0.1)


def test_from_above_the_target_too():
    (gate,) = parts(Asked(gates=("sigmoid",), horizon=10.0, gap=0.5, start=0.999))[0]["gates"]
    assert gate["flow"]["z0"] > gate["flow"]["z_star"]
    assert gate["flow"]["status"] == "the target is reached"
    taus = [x for x in gate["flow"]["log_tau"] if x is not None]
    assert taus == sorted(taus)


def test_steps_and_noise_come_in_parts_of_their_own():
    found = parts(Asked(gates=("sigmoid", "nonsense(z)"), horizon=10.0, gap=0.5, lr=0.05, noise=3.0))
    assert [part["part"] for part in found] == ["picture", "steps", "own", "noise", "done"]
    steps = found[1]["gates"]
    assert steps[1] is None
    run = descent(LearningProblem("sigmoid", horizon=10.0, gap=0.5), 0.0, lr=0.05)  # step by step
    assert abs(steps[0]["steps"] - run.steps) <= 1
    assert found[2]["gates"][0]["steps"] > 0
    assert len(found[3]["gates"][0]["timescale"]) == 3


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_formula_is_one_line(text):
    """And its neighbour is answered all the same."""
    begun = time.process_time()
    picture = parts(Asked.of({"gates": [text, "sigmoid"]}))[0]
    assert time.process_time() - begun < 20  # the parser's own tests hold it to far less
    refused, fine = picture["gates"]
    assert refused["error"]
    assert "\n" not in refused["error"]
    assert "fault of gateflow" not in refused["error"]
    assert fine["flow"]["tau"] > 0
    json.dumps(picture, allow_nan=False)


def test_the_place_of_a_fault_is_pointed_at():
    (found,) = parts(Asked(gates=("sinhh(z)",)))[0]["gates"]
    assert found["error"] == "unknown function 'sinhh'; did you mean 'sinh'?"
    assert found["pointed"].splitlines() == ["    sinhh(z)", "    ^^^^^"]


@pytest.mark.parametrize(
    "numbers", [{"horizon": 1e12, "gap": 1e-300}, {"start": 1e-9, "lr": 1e6}, {"gap": 0.999, "start": 0.9999}]
)
def test_what_is_no_gate_or_does_not_arrive_is_told_in_words(numbers):
    texts = ["sigmoid(-z)", "2*sigmoid(z)", "0.9*sigmoid(z)", "1/2", "sigmoid(k*z)", "hgrn(low=0.9)"]
    found = parts(Asked.of({"gates": texts, **numbers}))
    for gate in found[0]["gates"]:
        assert gate.get("error") or gate["flow"].get("error") or gate["flow"]["status"]
    assert "fault of gateflow" not in json.dumps(found, allow_nan=False)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ([], "a request is a JSON object"),
        ({"gates": "fast"}, "gates must be a list of texts"),
        ({"gates": []}, "the page shows one to 6 gates; got 0"),
        ({"gates": ["fast"] * (MOST_GATES + 1)}, "the page shows one to 6 gates; got 7"),
        ({"gates": ["z" * 10**6]}, "a formula has at most 20000 characters here"),
        ({"gates": [3]}, "gates must be a list of texts"),
        ({"horizon": "1"}, "horizon must be a number"),
        ({"horizon": True}, "horizon must be a number"),
        ({"horizon": 1e13}, "horizon must be from 1 to"),
        ({"gap": float("nan")}, "gap must be from"),
        ({"optimizer": "adamw"}, "optimizer must be one of sgd"),
        ({"code": 1}, "a request has no"),
    ],
)
def test_what_else_is_asked_is_refused(data, said):
    with pytest.raises(InvalidArgument, match=said):
        Asked.of(data)


def test_what_is_first_on_the_page_is_first_in_a_request():
    assert Asked.of({}) == Asked()
    assert all(control.low <= control.slid[0] < control.slid[1] <= control.high for control in CONTROLS)


def test_class_order_and_crossing_are_proved():
    found = parts(Asked(gates=("fast", "sigmoid", "sinhh(z)"), horizon=10, gap=1e-6), theory)
    assert [part["part"] for part in found] == ["about", "about", "order", "crossing", "proved"]
    assert found[0]["verdict"] == "in F"
    assert {clause["verdict"] for clause in found[0]["clauses"]} == {"proved"}
    assert found[2]["verdict"] == "higher"
    assert found[3]["lines"][0][0] == "at one small step size"


@pytest.mark.parametrize(("gates", "pairs"), [("abc", ["ab", "ac", "bc"]), ("abcd", ["ab", "ac", "ad"])])
def test_few_gates_cross_in_pairs_and_more_with_the_first(monkeypatch, gates, pairs):
    monkeypatch.setattr("gateflow.explorer.theory._is_gate", lambda _: True)
    for part in ("_about", "_order", "_crossing"):
        monkeypatch.setattr(f"gateflow.explorer.theory.{part}", lambda *_: {})
    found = parts(Asked(gates=tuple(gates)), theory)
    assert ["".join(part["gates"]) for part in found if part["part"] == "crossing"] == pairs


def test_the_lines_give_the_numbers_of_the_page(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("gateflow.explore", lambda *_: None)
    asked = Asked(gates=("fast", "sigmoid(2*z)"), horizon=5.0, gap=0.1, start=0.4, noise=2.0, lr=0.05)
    picture, _, own_steps = islice(filter(None, answers(asked)), 3)  # noise comes after them
    tau = [one["flow"]["tau"] for one in picture["gates"]]
    exec(picture["lines"]["python"], {})
    said = capsys.readouterr().out
    for value, own in zip(tau, own_steps["gates"], strict=True):
        assert f"tau = {value:.12g}"[:14] in said
        assert f"{own['lr']:.4g}" in said
    shell = picture["lines"]["shell"].splitlines()
    assert [line.split()[1] for line in shell] == ["check"] * 2 + ["rank"] + ["flow", "step-size", "noise"] * 2 + [
        "explore"
    ]
    for line in shell[:-1]:
        if " noise " not in line:
            assert main(shlex.split(line)[1:]) == 0, line
    assert "reached" in capsys.readouterr().out


def test_the_formula_of_a_gate_shows_the_values_of_its_parameters():
    named, formula = (parts(Asked(gates=(one,)))[0]["gates"][0]["markup"] for one in ("fast", "sigmoid(sinh(z))"))
    assert named == formula
