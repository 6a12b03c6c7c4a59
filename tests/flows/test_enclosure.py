"""Certified times hold the true value: mpmath's, computed without any of the package's code."""

from __future__ import annotations

import importlib
import json
import math
import sys
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import mpmath
import pytest
import sympy as sp
from mpmath import mpf

from gateflow import losses
from gateflow.errors import InvalidArgument
from gateflow.flows import Enclosure, LearningProblem, Status, enclose, hitting_time
from gateflow.losses.mixed_horizon import MixedHorizon
from gateflow.losses.random_horizon import RandomHorizon

pytest.importorskip("flint")
sys.path.insert(0, str(Path(__file__).parent))
oracle = importlib.import_module("flow_oracle")
CASES = json.loads((Path(__file__).parent / "oracle.json").read_text())


def _misses(ball: Enclosure, log_tau: str) -> bool:
    """Whether a value known to 28 digits of its logarithm is surely outside the ball."""
    with mpmath.workdps(60):
        mid, radius = mpf(ball.mid), mpf(ball.radius)
        slack = mpf(10) ** -28 * abs(mpf(log_tau))
        return abs(mpmath.expm1(mpmath.log(mid) - mpf(log_tau))) > radius / mid * (1 + mpf(10) ** -10) + slack


REACHED = [case for case in CASES if case["gate"] not in ("erf", "log-slow")]


@pytest.mark.parametrize("case", REACHED[::3], ids=lambda c: f"{c['gate']}-{c['horizon']:g}-{c['gap']:g}-{c['side']}")
@pytest.mark.sampled(7)
def test_seventeen_digits_of_the_grid(case):
    problem = LearningProblem(case["gate"], horizon=case["horizon"], gap=case["gap"])
    ball = enclose(problem, case["z0"], 17)
    assert (ball.status, ball.digits) == (Status.REACHED, 17)
    assert not _misses(ball, case["log_tau"])
    assert Fraction(ball.radius) < Fraction(ball.mid) / 10**17
    assert hitting_time(problem, case["z0"]).log_tau == pytest.approx(ball.log_tau, abs=1e-11)


def test_the_check_of_containment_can_fail():
    case = REACHED[0]
    ball = enclose(LearningProblem(case["gate"], horizon=case["horizon"], gap=case["gap"]), case["z0"], 17)
    assert _misses(ball, str(float(case["log_tau"]) + 1e-15 * 8))


SOME = [
    ("fast", 100.0, 0.01, -0.5),
    ("softsign", 7.0, 1e-6, 3.0),
    ("sigmoid", 1e4, 1e-12, 9.5),
    ("arctan", 3.0, 0.1, 0.5),
]


@pytest.mark.parametrize(
    ("case", "digits"),
    [
        pytest.param(case, digits, marks=[] if k + n == 1 and 0 < k < 3 else pytest.mark.slow, id=f"{case[0]}-{digits}")
        for k, case in enumerate(SOME)
        for n, digits in enumerate([52, 32])
    ],
)
def test_more_digits(case, digits):
    gate, horizon, gap, z0 = case
    ball = enclose(LearningProblem(gate, horizon=horizon, gap=gap), z0, digits)
    true = oracle.hitting_time(gate, horizon, gap, z0, digits=digits + 6)
    with mpmath.workdps(digits + 20):
        assert abs(true - mpf(ball.mid)) <= mpf(ball.radius) + abs(true) * mpf(10) ** -(digits + 4)
        assert mpf(ball.radius) < mpf(ball.mid) * mpf(10) ** -digits
    assert ball.digits == digits


@pytest.mark.parametrize("number", ["0.01", Fraction(1, 100), Decimal("0.01")])
def test_a_decimal_is_not_a_double(number):
    """Sigmoid, T = 1: c tau = e^z + 2z - e^-z with z* = log 99 for the gap 1/100, not for the float 0.01."""
    with mpmath.workdps(50):
        form = lambda z: mpmath.exp(z) + 2 * z - mpmath.exp(-z)  # noqa: E731
        exact = mpmath.nstr(form(mpmath.log(mpf(99))), 45)
        binary = mpmath.nstr(form(mpmath.log((1 - mpf(0.01)) / mpf(0.01))), 45)
    assert exact in enclose(LearningProblem("sigmoid", horizon=1, gap=number), 0, 40)
    assert binary not in enclose(LearningProblem("sigmoid", horizon=1, gap=number), 0, 40)
    assert binary in enclose(LearningProblem("sigmoid", horizon=1, gap=0.01), 0, 40)


@pytest.mark.parametrize("way", ["target", "gap", "log_gap", "decay", "timescale"])
def test_every_way_to_give_a_target(way):
    with mpmath.workdps(60):
        value = mpf("0.125")
        log_kept = {
            "target": mpmath.log(value),
            "gap": mpmath.log1p(-value),
            "log_gap": mpmath.log1p(-mpmath.exp(-value)),
            "decay": -value,
            "timescale": -1 / value,
        }[way]
        z = -mpmath.log(mpmath.expm1(-log_kept))
        form = lambda z: mpmath.exp(z) + 2 * z - mpmath.exp(-z)  # noqa: E731
        exact = mpmath.nstr(abs(form(z) - form(mpf("0.5"))) / 3, 50)
    given = {way: -0.125 if way == "log_gap" else 0.125}
    assert exact in enclose(LearningProblem("sigmoid", horizon=1, scale="3", **given), "0.5", 40)


def _slope(name, h, h_star):
    """|dL/dh| of a loss, as its definition reads."""
    e = mpmath.exp
    return {
        "squared": lambda: 2 * e(-h) * abs(e(-h) - e(-h_star)),
        "kullback-leibler": lambda: abs(e(-h_star) - (1 - e(-h_star)) * e(-h) / (1 - e(-h))),
        "log-decay": lambda: 1 / h,
        "absolute": lambda: e(-h),
        "random-horizon": lambda: (1 + h / mpf(0.75)) ** (-mpf(0.75) - 1),
        "mixed-horizon": lambda: mpf(0.25) * mpf(0.1) * e(-mpf(0.1) * h) + mpf(0.75) * 2 * e(-2 * h),
    }[name]()


LOSSES = {
    "absolute": "absolute",
    "squared": "squared",
    "kullback-leibler": "kullback-leibler",
    "log-decay": "log-decay",
    "random-horizon": RandomHorizon(0.75),
    "mixed-horizon": MixedHorizon((0.25, 0.75), (0.1, 2.0)),
}


@pytest.mark.parametrize("z0", ["-0.5", "7.25"])
@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.sampled(7)
def test_every_loss_is_enclosed(name, z0):
    """Softsign, T = 3, gap 1/8, up to |h - h*| = h*/64: quadrature in h by mpmath, dz/du and q written out."""
    problem = LearningProblem("softsign", horizon=3, gap=0.125, scale=2, loss=LOSSES[name])
    ball = enclose(problem, z0, 30, tolerance=Fraction(1, 64))
    with mpmath.workdps(50):
        h_star = -mpmath.log1p(-mpf(1) / 8)
        u0 = mpmath.sign(mpf(z0)) * mpmath.log1p(abs(mpf(z0)))
        start = 3 * mpmath.log1p(mpmath.exp(-u0))
        end = h_star * (1 + mpf(1) / 64 * mpmath.sign(start - h_star))

        def density(h):
            y = h / 3
            u = -mpmath.log(mpmath.expm1(y))
            return mpmath.exp(2 * abs(u)) / (_slope(name, h, h_star) * (-3 * mpmath.expm1(-y)) ** 2)

        kink = 3 * mpmath.log(2)
        points = sorted({start, end, *([kink] if min(start, end) < kink < max(start, end) else [])})
        tau = mpmath.quad(density, mpmath.linspace(points[0], points[1], 9), maxdegree=10)
        if len(points) > 2:
            tau += mpmath.quad(density, mpmath.linspace(points[1], points[2], 9), maxdegree=10)
        assert abs(tau / 2 - mpf(ball.mid)) <= mpf(ball.radius) + tau * mpf(10) ** -36
        assert mpf(ball.radius) < mpf(ball.mid) * mpf(10) ** -30
    assert ball.digits == 30


@pytest.mark.parametrize("name", LOSSES)
def test_the_reciprocal_slope_is_one_over_the_slope(name):
    loss = LOSSES[name] if not isinstance(LOSSES[name], str) else losses.LOSSES[name]
    for branch in loss.branches:
        with_values = branch.reciprocal_slope.subs({losses.H: 2, losses.H_STAR: sp.Rational(1, 3)})
        assert (
            abs(sp.N(with_values * branch.slope.subs({losses.H: 2, losses.H_STAR: sp.Rational(1, 3)}), 30) - 1) < 1e-25
        )


@pytest.mark.parametrize(
    ("text", "z0"), [("sigmoid(z + abs(z)/2)", -1.0), ("sigmoid(where(z < 1, z, 2*z - 1))", 0.0), ("hard-sigmoid", 0.0)]
)
def test_kinks_on_the_way(text, z0):
    """u has slopes a and b on the two sides of its kink: tau adds up from closed forms."""
    problem = LearningProblem(text, horizon=1, gap=0.0625)
    ball = enclose(problem, z0, 30)
    assert ball.digits == 30
    with mpmath.workdps(40):
        form = lambda u: mpmath.exp(u) + 2 * u - mpmath.exp(-u)  # noqa: E731
        end = mpmath.log(mpf(15))
        if text == "hard-sigmoid":
            # phi' = 1/6, T = 1: c tau = 36 (phi* - phi0)
            true = 36 * (1 - mpf("0.0625") - mpf("0.5"))
        elif "abs" in text:
            true = (form(mpf(0)) - form(mpf(-0.5))) / mpf("0.25") + (form(end) - form(mpf(0))) / mpf("2.25")
        else:
            true = form(mpf(1)) - form(mpf(0)) + (form(end) - form(mpf(1))) / 4
        assert mpmath.nstr(true, 36) in ball


@pytest.mark.parametrize("z0", [0.5, 1.0])
def test_a_gate_that_is_undefined_below_0_has_the_times_of_its_odd_extension(z0):
    """From a start above 0 both are one function; the time by mpmath's quadrature of ``dz/(c T phi^(T-1) phi')``."""
    problem = LearningProblem("sigmoid(z**1.5)", horizon=10, gap=0.01)
    with mpmath.workdps(30):
        kept = mpmath.mpf("0.99") ** (mpmath.mpf(1) / 10)
        end = mpmath.log(kept / (1 - kept)) ** (mpmath.mpf(2) / 3)

        def rate(z):
            phi = 1 / (1 + mpmath.exp(-(z**1.5)))
            return 1 / (10 * phi**9 * phi * (1 - phi) * mpmath.mpf(3) / 2 * mpmath.sqrt(z))

        true = mpmath.quad(rate, mpmath.linspace(z0, end, 9))
    found = hitting_time(problem, z0)
    assert abs(found.tau - true) <= 2 * found.error * true
    assert abs(mpmath.mpf(enclose(problem, z0, 12).mid) - true) < 1e-11 * true


def test_where_no_time_was_found_no_ball_is_claimed(monkeypatch):
    """A ball of infinity says that the time is infinite, and that is not known."""
    lost = SimpleNamespace(status=Status.OVERFLOW, log_tau=math.inf)
    monkeypatch.setattr("gateflow.flows.enclosure.hitting_time", lambda *_, **__: lost)
    with pytest.raises(InvalidArgument, match="no estimate of the time to start from"):
        enclose(LearningProblem("sigmoid", horizon=10, gap=0.01), 0.0)


def test_flows_that_do_not_arrive_say_so():
    ball = enclose(LearningProblem("sigmoid", horizon=1, gap=0), 0.0)
    assert (ball.mid, ball.radius, ball.status) == ("inf", "0", Status.ASYMPTOTIC)
    assert enclose(LearningProblem("cubic", horizon=1, gap=0.1), -1.0).status is Status.STUCK
    assert enclose(LearningProblem("sigmoid(atan(z))", horizon=1, gap=1e-3), -1.0).status is Status.OUTSIDE


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: enclose(p, "nought"), "z0 must be a finite real number"),
        (lambda p: enclose(p, math.nan), "z0 must be"),
        (lambda p: enclose(p, None), "z0 must be"),
        (lambda p: enclose(p, 0, 0), "digits must be a whole number"),
        (lambda p: enclose(p, 0, 1.5), "digits must be a whole number"),
        (lambda p: enclose(p, p.z_star), "agree in all 16 digits"),
        (lambda p: enclose(LearningProblem(p.gate, horizon=[1, 2], gap=0.1), 0), "one problem and one start"),
        (lambda p: enclose(LearningProblem(p.gate, horizon=1, gap=0.1, loss="squared"), 0), "give a tolerance"),
        (lambda p: enclose(p, 0, tolerance="wide"), "tolerance must be"),
        (lambda p: enclose(p, 0, tolerance=2), "tolerance must be in"),
        (lambda p: enclose(LearningProblem("log-slow", horizon=10, gap=0.01), 0), "past the largest float"),
        (
            lambda p: enclose(LearningProblem("sigmoid(where(z < sqrt(2), z, z + 1))", horizon=1, gap="0.16"), 0),
            r"the target lies in a jump of .*, at z = 1\.41421",
        ),
        (
            lambda p: enclose(LearningProblem("sigmoid(where(z < 1/2, z, z + 1))", horizon=1, gap="0.3"), 0),
            r"the target lies in a jump of .*, at z = 0\.5",
        ),
        (
            lambda p: enclose(LearningProblem("sigmoid(z+2*z**5+abs(z**5-pi*z-1)/9)", horizon=10, gap="0.01"), 0.1),
            "not all of these z are known",
        ),
    ],
)
def test_bad_questions_are_one_line(make, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        make(LearningProblem("fast", horizon=1, gap=0.1))
    assert "\n" not in str(caught.value)


def test_the_verb_takes_its_numbers_as_the_decimals_they_show(capsys):
    """Sigmoid, T = 1, gap 0.01: z* = log 99 exactly."""
    from gateflow.cli._options import ProblemOptions
    from gateflow.cli.time import run

    assert run("sigmoid", given=ProblemOptions(horizon=1, gap=0.01), digits=25, json=True) == 0
    ball = json.loads(capsys.readouterr().out)["enclosure"]
    with mpmath.workdps(40):
        z = mpmath.log(mpf(99))
        true = mpmath.exp(z) + 2 * z - mpmath.exp(-z)
        assert abs(true - mpf(ball["mid"])) <= mpf(ball["radius"]) < mpf(10) ** -22
    assert ball["digits"] == 25
