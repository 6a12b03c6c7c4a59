"""``gateflow step-size``, ``sensitivities``, ``fit`` and ``descent``: numbers, keys, exit codes, mistakes."""

import json
import math
import re

import pytest

from gateflow.codegen.compiler import available


@pytest.fixture
def answered(gateflow):
    """The exit code and the answer of ``gateflow ... --json``."""

    def call(*arguments):
        code, out, err = gateflow(*arguments, "--json")
        assert err == ""
        return code, json.loads(out)

    return call


def test_a_step_size_is_the_tolerance_over_the_slope_of_the_log_time_constant(answered):
    """theory.md §6: ``delta/(k*^2 |Lambda'|)`` for the sigmoid with h* = 1, T large, c = 3."""
    z0 = -math.log(math.expm1(1 / 2e5))
    arguments = ("sigmoid", "--horizon", "1e6", "--timescale", "1e6", "--scale", "3", "--z0", repr(z0))
    code, answer = answered("step-size", *arguments, "--tolerance", "1e-3")
    assert (code, answer["by_target"], answer["optimizer"]) == (0, True, {"name": "sgd"})
    assert answer["lr"] == pytest.approx(1e-3 / (3 * math.exp(-1)), rel=2e-3)
    assert answer["steps"] == pytest.approx(answer["by_integral"], rel=0.02)


def test_a_step_size_is_printed_with_its_steps(gateflow, answered):
    arguments = ("step-size", "fast", "--horizon", "100", "--timescale", "100", "--z0", "1.81")
    answer = answered(*arguments)[1]
    rows = dict(line.split("  ", 1) for line in gateflow(*arguments).out.splitlines())
    assert rows["steps"].strip() == f"{answer['steps']:g}"
    assert rows["largest lr"].strip() == f"{answer['lr']:.6g}"
    assert rows["set by"].strip() == "the target"
    assert "not simulated" in gateflow(*arguments, "--most", "10").out


def test_hyperparameters_reach_the_step_size(answered):
    arguments = ("step-size", "sigmoid", "--horizon", "100", "--timescale", "100", "--z0", "2.97")
    slow, fast = (answered(*arguments, "--optimizer", "momentum", "--beta", beta)[1] for beta in ("0.5", "0.95"))
    assert (slow["optimizer"], fast["optimizer"]) == tuple({"name": "momentum", "beta": beta} for beta in (0.5, 0.95))
    assert fast["lr"] < slow["lr"]


def test_sensitivities_are_those_of_the_closed_form(answered, gateflow):
    """tau = (e^z + 2 z - e^-z between the ends)/c for the sigmoid and T = 1; z* = log((1 - gap)/gap)."""
    z = math.log(99)
    span = 2 * (math.sinh(z) + z - math.sinh(0.3) - 0.3)
    arguments = ("sensitivities", "sigmoid", "--horizon", "1", "--gap", "0.01", "--z0", "0.3", "--scale", "4")
    code, answer = answered(*arguments)
    assert (code, answer["gap"], answer["z0"]) == (0, 0.01, 0.3)
    assert answer["log_tau"] == pytest.approx(math.log(span / 4), rel=1e-12)
    derivatives = answer["derivatives"]
    assert derivatives["scale"] == pytest.approx(-1 / 4, rel=1e-12)
    assert derivatives["z0"] == pytest.approx(-(2 + 2 * math.cosh(0.3)) / span, rel=1e-11)
    assert derivatives["target"] == pytest.approx(-(2 + 2 * math.cosh(z)) / (0.01 * 0.99) / span, rel=1e-11)
    assert list(derivatives["parameters"]) == ["sharpness"]
    assert answer["by_log"]["target"] == 0.01 * derivatives["target"]
    names = [line.split()[0] for line in gateflow(*arguments).out.partition("by its logarithm\n")[2].splitlines()]
    assert names == ["horizon", "gap", "z0", "scale", "sharpness"]


def test_a_count_past_the_floats_is_an_answer(gateflow, answered):
    arguments = ("step-size", "sigmoid", "--horizon", "7000", "--timescale", "7000")
    code, out, _ = gateflow(*arguments)
    assert code == 0
    assert "by the integral  exp(4837.73)\n" in out
    assert "next             gateflow recommend --timescale 7000 --horizon 7000 --gates sigmoid (" in out
    assert "inf" not in out
    assert answered(*arguments)[1]["log_by_integral"] == pytest.approx(4837.73, rel=1e-6)
    code, out, _ = gateflow("order", "fast", "sigmoid", "--horizon", "7000", "--timescale", "7000")
    assert code == 0
    assert re.search(r"fast takes about \d\.\d+e\+210\d steps", out)


def test_a_fit_says_what_it_starts_from_and_names_the_gate_to_copy(gateflow):
    one = gateflow("fit", "sigmoid(k*z + 1)", "--timescales", "100,1000", "--starts", "20", "--within", "1", "2").out
    assert "from   a time constant of 20 for each time scale\n" in one
    assert one.startswith("gate   sigmoid(k*z + 1); k=")


def test_by_the_theorem_the_gate_that_fits_from_below_saturates_slowest(answered, gateflow):
    """theory.md §6, T8: from below the fewest steps are at the lower end of the range, from above at the upper."""
    arguments = ("fit", "fast(alpha)", "--timescales", "100,1000", "--within", "0.5", "2")
    code, answer = answered(*arguments, "--starts", "20", "200")
    assert (code, answer["parameter"], answer["value"], answer["at_bound"]) == (0, "alpha", 0.5, True)
    assert answered(*arguments, "--starts", "400", "4000")[1]["value"] == 2
    out = gateflow(*arguments, "--starts", "400", "4000").out
    assert "alpha  2, at an end of the range 0.5 to 2" in out
    assert out.startswith("gate   fast(alpha=2.0)\n")


@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_a_descent_tells_the_backend_that_was_asked_for(backend, answered):
    """The loop by hand: z <- z + lr T phi^(T-1) phi' for the sigmoid until phi^T passes 0.9."""
    if backend == "compiled" and available() is None:
        pytest.skip("there is no C compiler here")
    arguments = ("descent", "sigmoid", "--horizon", "10", "--gap", "0.1", "--lr", "0.5", "--z0", "1")
    code, answer = answered(*arguments, "--backend", backend)
    z, steps = 1.0, 0
    while (phi := 1 / (1 + math.exp(-z))) ** 10 < 0.9:
        z += 0.5 * 10 * phi**10 * (1 - phi)
        steps += 1
    assert (code, answer["backend"], answer["steps"]) == (0, backend, steps)
    assert answer["z"] == pytest.approx(z, rel=1e-12)


TEN = ("--horizon", "10", "--gap", "0.1")
NOISE = ("--horizon", "10", "--target", "0.5", "--target-law", "uniform(0, 1)", "--lr", "0.01")


@pytest.mark.parametrize(
    "arguments",
    [
        ("step-size", "fast", "--horizon", "10", "--gap", "0"),
        ("sensitivities", "fast", "--horizon", "10", "--gap", "0"),
        ("sensitivities", "cubic", *TEN, "--z0", "-2"),
    ],
)
def test_a_target_that_is_not_reached_has_exit_code_3(arguments, gateflow):
    code, out, err = gateflow(*arguments)
    assert (code, err) == (3, "")
    assert "nan" not in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("step-size", "fast", *TEN, "--beta", "0.9"), "optimizer 'sgd' does not take beta"),
        (("step-size", "fast", *TEN, "--tolerance", "1"), "tolerance must be in (0, 1); got 1"),
        (("step-size", "fast", *TEN, "--most", "2.5"), "--most takes a whole number; got '2.5'"),
        (("sensitivities", "fast", *TEN, "--loss", "squared"), "sensitivities are those of the absolute loss"),
        (("sensitivities", "sigmoid(k*z); k=positive", *TEN), "k needs a number here"),
        (("fit", "fast(alpha)"), "--timescales is missing"),
        (("fit", "fast(beta)", "--timescales", "100"), "gate 'fast' has no parameter beta; it has alpha"),
        (("fit", "sigmoid(a*z + b)", "--timescales", "100"), "has a and b"),
        (("fit", "fast(alpha)", "--timescales", "100", "--within", "3"), "--within takes two numbers"),
        (("fit", "fast(alpha)", "--timescales", "100,ten"), "--timescales takes a number; got 'ten'"),
        (("fit", "fast(alpha)", "--timescales", "10,20", "--starts", "1,2,3"), "timescales"),
        (("compare", "fast", "sigmoid", "--z0", "1", "--start", "2"), "give --z0 or --start, not both"),
        (("compare", "fast", "sigmoid", "--gaps", "0.1", "--timescale", "2"), "give --gaps or --timescale, not both"),
        (("noise", "fast", *NOISE, "--to", "-5"), "--to must be finite and above 0; got -5"),
        (("noise", "fast", *NOISE, "--paths", "-1"), "--paths must be a whole number from 0"),
        (("noise", "hard-sigmoid", *NOISE, "--z0", "4"), "the gate is saturated at z0 = 4"),
        (("noise", "fast", *NOISE, "--lr", "1e308"), "at an lr of 1e+308 steps are longer than floats hold"),
        (("descent", "fast", *TEN, "--lr", "1", "--backend", "cuda"), "--backend must be one of"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, gateflow):
    code, out, err = gateflow(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
