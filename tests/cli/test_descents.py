"""``gateflow step-size``, ``sensitivities``, ``fit`` and ``descent``: numbers, keys, exit codes, mistakes."""

import json
import math

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
    names = [line.split()[0] for line in gateflow(*arguments).out.partition("d log tau\n")[2].splitlines()]
    assert names == ["horizon", "gap", "z0", "scale", "sharpness"]


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
        (("descent", "fast", *TEN, "--lr", "1", "--backend", "cuda"), "--backend must be one of"),
    ],
)
def test_a_mistake_is_one_line(arguments, said, gateflow):
    code, out, err = gateflow(*arguments)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert said in err
