"""``gateflow time``: its keys, its numbers against closed forms, its exit codes."""

import json
import math

import mpmath
import pytest

TEN = ("--horizon", "10", "--gap", "0.1")


@pytest.fixture
def timed(gateflow):
    """The exit code and the answer of ``gateflow time ... --json``."""

    def call(*arguments):
        code, out, err = gateflow("time", *arguments, "--json")
        assert err == ""
        return code, json.loads(out)

    return call


def test_the_keys_are_the_answer_and_the_inputs(timed):
    code, answer = timed("fast", "--horizon", "100", "--gap", "0.01", "--z0", "0.5", "--scale", "2")
    assert code == 0
    assert {key: answer[key] for key in ("gate", "horizon", "gap", "z0", "scale")} == {
        "gate": "fast",
        "horizon": 100,
        "gap": 0.01,
        "z0": 0.5,
        "scale": 2,
    }
    assert set(answer) == {"gate", "horizon", "gap", "z0", "scale", "z_star", "tau", "log_tau", "status", "error"}
    assert answer["status"] == "reached"
    assert answer["log_tau"] == pytest.approx(math.log(answer["tau"]), rel=1e-14)
    assert 0 < answer["error"] < 1e-9


@pytest.mark.parametrize("z0", [-3.0, 9.0])
def test_sigmoid_over_one_step_takes_its_closed_form(z0, timed):
    """``e^z + 2z - e^-z = c tau + const`` (theory.md §4, T = 1), from either side."""
    gap, scale = 2.0**-10, 3.0
    _, answer = timed("sigmoid", "--horizon", "1", "--gap", str(gap), "--z0", str(z0), "--scale", str(scale))
    with mpmath.workdps(40):
        end = mpmath.log(mpmath.mpf(1) / gap - 1)

        def passed(z):
            return mpmath.exp(z) + 2 * z - mpmath.exp(-z)

        exact = abs(passed(end) - passed(mpmath.mpf(z0))) / scale
        assert abs(answer["tau"] / exact - 1) < 1e-12


def test_softsign_takes_the_integral_over_its_own_output(timed):
    """tau = int phi^(1-T) (1-phi)^-4 / (c T) dphi for z >= 0 (numerics.md), by quadrature in big floats."""
    horizon, gap = 20, 1e-3
    _, answer = timed("softsign", "--horizon", str(horizon), "--gap", str(gap), "--z0", "0")
    with mpmath.workdps(30):
        end = (1 - mpmath.mpf(gap)) ** (mpmath.mpf(1) / horizon)
        exact = mpmath.quad(lambda p: p ** (1 - horizon) * (1 - p) ** -4 / horizon, [0.5, 0.6, 0.8, 0.99, end])
        assert abs(answer["tau"] / exact - 1) < 1e-12


@pytest.mark.parametrize(
    ("arguments", "code", "status"),
    [
        (("fast", *TEN), 0, "reached"),
        (("fast", "--horizon", "10", "--gap", "0"), 3, "asymptotic"),
        (("cubic", *TEN, "--z0", "-2"), 3, "stuck"),
        (("fast", *TEN, "--tau-max", "0.001"), 3, "time limit"),
    ],
)
def test_the_exit_code_tells_whether_the_target_is_reached(arguments, code, status, timed, gateflow):
    assert (timed(*arguments)[0], timed(*arguments)[1]["status"]) == (code, status)
    told = gateflow("time", *arguments)
    assert told.code == code
    assert f"status   {status}: " in told.out


def test_infinities_are_strings(timed):
    _, answer = timed("fast", "--horizon", "10", "--gap", "0")
    assert (answer["tau"], answer["log_tau"]) == ("inf", "inf")


def test_where_tau_overflows_its_logarithm_tells_it(timed, gateflow):
    plateau = ("sigmoid", "--horizon", "1e6", "--gap", "1e-12", "--z0", "-3")
    code, answer = timed(*plateau)
    assert (code, answer["tau"], answer["status"]) == (0, "inf", "reached")
    # On the plateau the loss keeps phi^T of its slope: log tau is T softplus(3), to leading order.
    assert answer["log_tau"] == pytest.approx(1e6 * math.log1p(math.exp(3)), rel=1e-4)
    assert "tau      exp(3048" in gateflow("time", *plateau).out


@pytest.mark.parametrize("z0", [("--z0", "-3"), ("--z0=-3",), ("--z0", "-3.0"), ("--z0", "-.3e1"), ("--z0", "-30e-1")])
def test_negative_numbers_are_values(z0, timed):
    assert timed("fast", *TEN, *z0)[1]["z0"] == -3


def test_a_target_may_be_given_in_five_ways(timed):
    ways = {"gap": 0.01, "target": 0.99, "log-gap": math.log(0.01), "decay": -math.log(0.99)}
    ways["timescale"] = 50 / ways["decay"]
    taus = [timed("fast", "--horizon", "50", f"--{way}", repr(value))[1]["tau"] for way, value in ways.items()]
    assert taus == pytest.approx([taus[0]] * 5, rel=1e-12)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("fast", "sigmoid(sinh(z))"),
        ("fast(alpha=2)", "sigmoid(sinh(2*z)/2)"),
        ("fast; alpha=1/2", "sigmoid(2*sinh(a*z)); a=0.5"),
        ("sigmoid(2)", "sigmoid(2*z)"),
        ("gompertz", "exp(-exp(-z))"),
        ("sigmoid", "-sigmoid(-z) + 1"),
    ],
)
def test_a_gate_is_a_name_or_a_formula_with_parameters(one, other, timed):
    assert timed(one, *TEN)[1]["log_tau"] == pytest.approx(timed(other, *TEN)[1]["log_tau"], rel=1e-11)


def test_a_random_horizon_takes_the_integral_of_its_own_slope(timed):
    """M(s) = 1/(1+s) over T = 1, sigmoid: tau = int (1+h)^2 e^h/(c q^2) dh, by quadrature in big floats."""
    arguments = ("sigmoid", "--horizon", "1", "--gap", "0.125", "--z0", "-1", "--loss", "1/(1 + s)")
    code, answer = timed(*arguments)
    with mpmath.workdps(30):
        h_star, h0 = -mpmath.log1p(-mpmath.mpf("0.125")), mpmath.log1p(mpmath.e)
        tau = mpmath.quad(lambda h: (1 + h) ** 2 / mpmath.expm1(-h) ** 2, mpmath.linspace(h_star, h0, 6))
        assert abs(answer["tau"] / tau - 1) < 1e-13
    assert (code, answer["loss"]) == (0, "1/(1 + s)")


def test_a_tolerance_stops_early(timed):
    early, late = (timed("fast", *TEN, "--loss", "squared", "--tolerance", t)[1] for t in ("1e-2", "1e-4"))
    assert early["tau"] < late["tau"]
    assert early["tolerance"] == 1e-2


def test_a_time_past_the_floats_is_no_answer(timed):
    """log-slow needs z = exp(exp(1e5)) for this."""
    code, answer = timed("log-slow", "--horizon", "10", "--gap", "1e-300")
    assert (code, answer["status"]) == (3, "overflow")


def test_a_gate_whose_numbers_pass_the_floats_has_an_answer(timed):
    """``z*1e990`` is no float anywhere but at 0, where it is infinity times 0."""
    code, answer = timed("sigmoid(z*1e990)", *TEN)
    assert (code, answer["status"]) == (3, "overflow")
