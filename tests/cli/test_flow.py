"""``gateflow flow``: its path against a closed form and a plain integration, its keys and exit codes."""

import json
import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

TEN = ("--horizon", "10", "--gap", "0.1")


@pytest.fixture
def followed(gateflow):
    """The exit code and the answer of ``gateflow flow ... --json``."""

    def call(*arguments):
        code, out, err = gateflow("flow", *arguments, "--json")
        assert err == ""
        return code, json.loads(out)

    return call


def test_the_path_of_sigmoid_over_one_step_keeps_its_closed_form(followed):
    """``e^z + 2z - e^-z = c tau + const`` at every node (theory.md §4)."""
    code, answer = followed("sigmoid", "--horizon", "1", "--gap", "0.01", "--z0", "-1", "--scale", "2")
    tau, z = (np.array(answer["points"][name]) for name in ("tau", "z"))

    def passed(z):
        return np.exp(z) + 2 * z - np.exp(-z)

    assert (code, answer["status"], z[0]) == (0, "reached", -1)
    assert z[-1] == pytest.approx(answer["z_star"], abs=1e-12) == pytest.approx(math.log(99), rel=1e-12)
    assert passed(z) - passed(-1.0) == pytest.approx(2 * tau, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("method", ["exact", "lsoda", "radau"])
def test_the_state_at_given_times_agrees_with_the_equation_integrated_as_it_stands(method, followed):
    """dz/dtau = c T phi^(T-1) phi', far from the kink, by scipy on the formula typed out."""
    wanted = [0.5, 2.0, 8.0]
    times = [repr(tau) for tau in wanted]
    _, answer = followed("fast", "--horizon", "3", "--gap", "1e-3", "--z0", "0.2", "--at", *times, "--method", method)

    def slope(_, z):
        phi = 1 / (1 + np.exp(-np.sinh(z)))
        return 3 * phi**2 * phi * (1 - phi) * np.cosh(z)

    plain = solve_ivp(slope, (0, 8), [0.2], t_eval=wanted, rtol=1e-11, atol=1e-13, method="DOP853")
    assert answer["points"]["tau"] == wanted
    assert answer["points"]["z"] == pytest.approx(plain.y[0], rel=1e-8)


def test_the_keys(followed):
    _, answer = followed("fast", *TEN)
    inputs = {"gate", "horizon", "gap", "scale", "z0"}
    assert set(answer) == inputs | {"method", "rtol", "status", "z_star", "evaluations", "check", "points"}
    assert list(answer["points"]) == ["tau", "log_tau", "z", "loss", "log_gap"]
    assert len({len(column) for column in answer["points"].values()}) == 1
    assert answer["check"] < 1e-12


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("fast", *TEN), 0, "reached"),
        (("fast", "--horizon", "10", "--gap", "0"), 3, "asymptotic"),
        (("cubic", *TEN, "--z0", "-2"), 3, "stuck"),
        (("fast", *TEN, "--tau-max", "3"), 3, "time limit"),
    ],
)
def test_the_exit_code_tells_whether_the_target_is_reached(arguments, code, status, followed, gateflow):
    assert (followed(*arguments)[0], followed(*arguments)[1]["status"]) == (code, status)
    told = gateflow("flow", *arguments)
    assert told.code == code
    assert f"status   {status}: " in told.out


def test_the_table_runs_from_the_start_to_the_end(gateflow, followed):
    points = followed("sigmoid", *TEN)[1]["points"]
    rows = [line.split() for line in gateflow("flow", "sigmoid", *TEN).out.rpartition("log_gap\n")[2].splitlines()]
    assert len(rows) <= 13
    first, last = ([f"{float(points[name][i]):.6g}" for name in ("z", "loss", "log_gap")] for i in (0, -1))
    assert (rows[0][1:], rows[-1][1:]) == (first, last)


def test_an_unknown_method_is_one_line(gateflow):
    code, _, err = gateflow("flow", "fast", *TEN, "--method", "lsda")
    assert (code, err.count("\n")) == (2, 1)
    assert "did you mean 'lsoda'?" in err


@pytest.mark.parametrize(
    ("gate", "gap", "said"), [("log-slow", "1e-4", "past the floats"), ("sigmoid(atan(z))", "1e-3", "outside the gate")]
)
def test_a_flow_that_ends_nowhere_is_not_reached(gate, gap, said, gateflow):
    """The same exit code as ``gateflow time`` where that has no answer."""
    code, out, err = gateflow("flow", gate, "--horizon", "10", "--gap", gap)
    assert (code, out) == (3, "")
    assert said in err


def test_a_formula_of_s_is_a_loss(gateflow):
    """1/(1 + s) over T steps is the geometric law: the same path as by its name."""
    arguments = ("flow", "fast", "--horizon", "10", "--gap", "0.1", "--at", "1", "20", "--json", "--loss")
    ours, theirs = (json.loads(gateflow(*arguments, loss).out) for loss in ("1/(1 + s)", "random-horizon"))
    assert (ours.pop("loss"), theirs.pop("loss")) == ("1/(1 + s)", "random-horizon")
    assert ours["points"]["z"] == pytest.approx(theirs["points"]["z"], rel=1e-13)
    assert ours["status"] == theirs["status"] == "reached"


def test_a_smooth_loss_within_the_tolerance_asked_for_is_success(gateflow):
    """The learning time up to there is that of ``gateflow time``; short of it, or unasked, the flow has not arrived."""
    squared = ("erf", *TEN, "--loss", "squared")
    within = ("--tolerance", "1e-3")
    code, out, _ = gateflow("flow", *squared, *within)
    assert code == 0
    assert "left off  where |h - h*| = 0.001 h*" in out
    tau = json.loads(gateflow("flow", *squared, *within, "--json").out)["points"]["tau"][-1]
    assert tau == pytest.approx(json.loads(gateflow("time", *squared, *within, "--json").out)["tau"], rel=1e-12)
    assert gateflow("flow", *squared, *within, "--tau-max", str(tau / 2)).code == 3
    assert gateflow("flow", *squared).code == 3


def test_advice_that_leads_into_a_trap_is_no_success(gateflow):
    arguments = ("recommend", "--timescale", "1000", "--gates", "fast")
    assert gateflow(*arguments, "--lr", "0.01").code == 0
    code, out, _ = gateflow(*arguments, "--lr", "1")
    assert code == 3
    assert "saturation trap" in out
