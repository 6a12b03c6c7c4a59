"""Hitting times against mpmath, closed forms and limits."""

from __future__ import annotations

import importlib.util
import json
import math
import sys
from pathlib import Path

import mpmath
import numpy as np
import pytest

from gateflow.errors import InvalidArgument, NotReached
from gateflow.flows import HittingTime, LearningProblem, Status, Target, flow, hitting_time, hitting_times
from gateflow.flows.batch import ProblemBatch
from gateflow.losses import LOSSES, Decay

HERE = Path(__file__).parent


def _script(name: str):
    """A neighbour of this file, as a module of its own."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    spec = importlib.util.find_spec(name)
    assert spec is not None
    return importlib.import_module(name)


make_oracle = _script("make_oracle")
CASES = json.loads((HERE / "oracle.json").read_text())


def _miss(case: dict, log_tau: float) -> float:
    """Relative error of tau against the oracle's 30 digits."""
    with mpmath.workdps(40):
        return abs(float(mpmath.expm1(mpmath.mpf(log_tau) - mpmath.mpf(case["log_tau"]))))


def _problem(case: dict) -> LearningProblem:
    return LearningProblem(case["gate"], horizon=case["horizon"], gap=case["gap"])


def test_the_grid_is_whole():
    expected = len({case["gate"] for case in CASES}) * 3 * 5 * 2
    skipped = [case for case in CASES if case["gate"] in ("log-slow", "cubic")]
    assert expected - len(CASES) <= 60 - len(skipped) + 20
    assert len(CASES) > 250


@pytest.mark.parametrize("name", sorted({case["gate"] for case in CASES}))
@pytest.mark.sampled(5)
def test_hitting_times_agree_with_mpmath_to_1e_12(name):
    for case in (case for case in CASES if case["gate"] == name):
        problem = _problem(case)
        found = hitting_time(problem, case["z0"])
        if found.status is Status.OVERFLOW:
            assert name == "log-slow"
            assert np.isinf(problem.z_star)
            assert float(case["log_tau"]) > 1e14
            continue
        assert found.status is Status.REACHED
        if found.log_tau > 1e12:  # one ulp of log tau is more than tau: its logarithm is all that can be right
            assert found.log_tau == pytest.approx(float(case["log_tau"]), rel=3e-15)
            continue
        miss, size = (
            _miss(case, found.log_tau),
            abs(found.log_tau),
        )  # log tau is a float; where it is large, one ulp of it or of u* is much
        assert miss < max(1e-12, 3e-15 * size), (case, found)
        assert miss <= found.error < max(1e-8, 1e-14 * size), (case, found)


@pytest.mark.parametrize("case", CASES[7::53], ids=lambda case: f"{case['gate']}-{case['horizon']:g}-{case['gap']:g}")
@pytest.mark.sampled(4)
def test_the_oracle_file_is_what_mpmath_computes(case):
    again = make_oracle.log_tau(case["gate"], case["horizon"], case["gap"], case["z0"])
    with mpmath.workdps(40):
        assert abs(again - mpmath.mpf(case["log_tau"])) < mpmath.mpf(10) ** -25 * abs(again)


def test_mpmath_quad_agrees_with_the_oracle():
    """The oracle's own quadrature against mpmath's tanh-sinh, in the dl form of theory.md §4."""
    with mpmath.workdps(40):
        z0, gap, horizon = mpmath.mpf(0.3), mpmath.mpf("0.01"), 3

        # fast gate: h(l) = phi' = cosh(z) l (1 - l), with sinh(z) = log((1 - l)/l)
        def integrand(left):
            slope = mpmath.cosh(mpmath.asinh(mpmath.log((1 - left) / left))) * left * (1 - left)
            return 1 / (horizon * (1 - left) ** (horizon - 1) * slope**2)

        start = 1 / (1 + mpmath.exp(mpmath.sinh(z0)))
        end = 1 - (1 - gap) ** (mpmath.mpf(1) / horizon)
        reference = mpmath.quad(integrand, mpmath.linspace(end, start, 40))
        ours = make_oracle.oracle.hitting_time("fast", horizon, gap, z0, digits=30)
        assert abs(ours / reference - 1) < mpmath.mpf(10) ** -27


@pytest.mark.parametrize("scale", [1.0, 0.3, 7.0])
@pytest.mark.parametrize("z0", [-30.0, -2.0, 0.0, 3.0, 4.5, 6.0, 40.0])
def test_sigmoid_with_horizon_1_has_a_closed_form(z0, scale):
    """e^z + 2z - e^-z = c tau + const, and its mirror above the target."""
    problem = LearningProblem("sigmoid", horizon=1, gap=0.01, scale=scale)
    with mpmath.workdps(40):
        form = lambda z: mpmath.exp(z) + 2 * z - mpmath.exp(-z)  # noqa: E731
        z_star = mpmath.log(mpmath.mpf(1) - mpmath.mpf(0.01)) - mpmath.log(mpmath.mpf(0.01))
        tau = abs(form(z_star) - form(mpmath.mpf(z0))) / mpmath.mpf(scale)
        assert abs(hitting_time(problem, z0).tau / float(tau) - 1) < 1e-12


def _softsign_form(phi, horizon):
    return phi ** (1 - horizon) / (horizon * (1 - phi) ** 4)


def _algebraic_form(phi, horizon):
    return phi ** (-horizon - 2) * (1 - phi) ** -3 / (16 * horizon)


@pytest.mark.parametrize(("name", "form"), [("softsign", _softsign_form), ("algebraic", _algebraic_form)])
@pytest.mark.parametrize("horizon", [1.0, 2.5, 40.0, 3000.0])
@pytest.mark.sampled(4)
def test_closed_integrands_of_numerics_md(name, form, horizon):
    problem = LearningProblem(name, horizon=horizon, gap=0.02)
    z0 = 0.5 * problem.z_star
    with mpmath.workdps(30):
        phi0, phi1 = mpmath.mpf(problem.gate.phi(z0)), (1 - mpmath.mpf(0.02)) ** (1 / mpmath.mpf(horizon))
        log0, log1 = mpmath.log(1 - phi0), mpmath.log(1 - phi1)
        tau = mpmath.quad(lambda t: form(1 - mpmath.exp(t), horizon) * mpmath.exp(t), mpmath.linspace(log1, log0, 30))
        found = hitting_time(problem, z0)
        # phi0 is rounded to a float here, which moves tau by about T eps
        assert abs(found.tau / float(tau) - 1) < 1e-12 * (1 + horizon)


def test_arrays_broadcast_and_agree_with_single_calls():
    horizon, gap = np.array([[1.0], [100.0], [1e5]]), np.array([0.3, 1e-5, 1e-30])
    many = hitting_time(LearningProblem("fast", horizon=horizon, gap=gap, scale=2.0), 0.7)
    assert many.tau.shape == many.log_tau.shape == many.status.shape == many.error.shape == (3, 3)
    for (i, j), log_tau in np.ndenumerate(many.log_tau):
        one = hitting_time(LearningProblem("fast", horizon=horizon[i, 0], gap=gap[j], scale=2.0), 0.7)
        assert one.log_tau == pytest.approx(log_tau, rel=1e-13, abs=1e-13)
        assert isinstance(one.status, Status)
        assert one.status is many.status[i, j]


def test_more_problems_than_a_chunk_come_out_the_same_and_in_order():
    z0 = np.linspace(-3, 3.1, 1000)
    problem = LearningProblem("softsign", horizon=10, gap=0.05)
    whole, some = hitting_time(problem, z0), hitting_time(problem, z0[600:610])
    assert np.array_equal(whole.log_tau[600:610], some.log_tau)
    assert np.all(np.diff(whole.log_tau[z0 < problem.z_star - 0.01]) < 0)


def test_a_start_exactly_on_the_target_takes_no_time():
    found = hitting_time(LearningProblem("sigmoid", horizon=1, target=0.5), 0.0)
    assert (found.tau, found.log_tau, found.status, found.error) == (0.0, -math.inf, Status.REACHED, 0.0)


@pytest.mark.parametrize("name", ["fast", "erf", "softsign", "linear-cubic"])
def test_a_start_on_the_rounded_target_takes_the_time_of_the_rounding(name):
    """|z* - z0| over the speed T phi^T phi'/phi, both in big floats."""
    problem = LearningProblem(name, horizon=50, gap=1e-3)
    found = hitting_time(problem, problem.z_star)
    oracle = make_oracle.oracle
    one = oracle.GATES[name]
    with mpmath.workdps(50):
        z0 = mpmath.mpf(problem.z_star)
        apart = abs(oracle.target_position(one, 50, mpmath.mpf(1e-3)) - z0)
        tau = apart / (50 * mpmath.exp(49 * one.log_phi(z0)) * one.dphi(z0))
        assert found.status is Status.REACHED
        assert abs(found.log_tau - mpmath.log(tau)) <= found.error < 1e-11


@pytest.mark.parametrize("name", ["sigmoid", "fast", "softsign", "erf", "iterated-sinh", "student-t"])
def test_gap_0_is_never_reached(name):
    found = hitting_time(LearningProblem(name, horizon=10, gap=0), [-1.0, 2.0])
    assert list(found.status) == [Status.ASYMPTOTIC] * 2
    assert np.all(found.tau == np.inf)
    assert not found.overflowed.any()


@pytest.mark.parametrize("z0", [-50.0, -600.0])
@pytest.mark.parametrize("name", ["sigmoid", "fast", "softsign", "erf", "arctan"])
def test_a_start_far_on_the_wrong_side_has_a_finite_log_tau(name, z0):
    """log tau is then h0 = T softplus(-u0) and a few logarithms: to 1e-6 of it here."""
    problem = LearningProblem(name, horizon=1e6, gap=1e-6)
    found = hitting_time(problem, z0)
    h0 = problem.total_decay(z0).h
    assert found.status is Status.REACHED
    assert found.tau == np.inf
    assert found.overflowed
    assert abs(found.log_tau / h0 - 1) < 1e-4
    assert found.error >= 1e-16 * h0


def test_a_profile_past_the_floats_says_so():
    found = hitting_time(LearningProblem("iterated-sinh", horizon=100, gap=0.1), [-50.0, 50.0])
    assert list(found.status) == [Status.OVERFLOW] * 2
    assert np.all(np.isinf(found.log_tau))


@pytest.mark.parametrize("z0", [-3.0, -1e-9, 0.0])
def test_cubic_never_crosses_its_flat_point(z0):
    found = hitting_time(LearningProblem("cubic", horizon=10, gap=0.1), z0)
    assert (found.status, found.tau) == (Status.STUCK, np.inf)


def test_cubic_started_past_its_flat_point_arrives():
    assert hitting_time(LearningProblem("cubic", horizon=10, gap=0.1), 1e-9).status is Status.REACHED


def test_flat_points_are_told_from_small_slopes():
    """u' = 1 + cos z is 0 at pi; 1 + 0.999999 cos z is not."""
    assert hitting_time(LearningProblem("sigmoid(z + sin(z))", horizon=2, gap=1e-3), 2.0).status is Status.STUCK
    assert hitting_time(LearningProblem("sigmoid(z + sin(z))", horizon=2, gap=1e-3), 3.2).status is Status.REACHED
    found = hitting_time(LearningProblem("sigmoid(z + 0.999999*sin(z))", horizon=2, gap=1e-3), 2.0)
    with mpmath.workdps(30):
        ratio = mpmath.mpf(0.999999)
        u_star = mpmath.log((1 - mpmath.mpf(1e-3)) ** 0.5 / (1 - (1 - mpmath.mpf(1e-3)) ** 0.5))
        z_star = mpmath.findroot(lambda z: z + ratio * mpmath.sin(z) - u_star, 7.5)

        def rate(z):
            phi = 1 / (1 + mpmath.exp(-(z + ratio * mpmath.sin(z))))
            return 2 * phi**2 * (1 - phi) * (1 + ratio * mpmath.cos(z))

        points = [2, *(mpmath.pi + s * mpmath.mpf(10) ** -k for k in (0, 1, 2, 3) for s in (-1, 1)), mpmath.pi, z_star]
        tau = mpmath.quad(lambda z: 1 / rate(z), sorted(points))
    # float64 loses six digits of this slope in 1 + 0.999999 cos z, and the error says so
    miss = abs(found.tau / float(tau) - 1)
    assert miss < 1e-9
    assert miss <= found.error < 1e-8


@pytest.mark.parametrize("z0", [-2.9, -1.0, 0.0, 2.0])
@pytest.mark.parametrize("gap", [0.0, 1e-12, 0.1])
@pytest.mark.sampled(4)
def test_the_hard_sigmoid_arrives_even_at_1(z0, gap):
    """phi = z/6 + 1/2 and phi' = 1/6: c tau = 36/(T (T - 2)) [phi^(2 - T)]; outside its slope it stays."""
    horizon = 10
    found = hitting_time(LearningProblem("hard-sigmoid", horizon=horizon, gap=gap), z0)
    start, end = z0 / 6 + 0.5, (1 - gap) ** (1 / horizon)
    tau = 36 / (horizon * (horizon - 2)) * (start ** (2 - horizon) - end ** (2 - horizon))
    assert found.status is Status.REACHED
    assert abs(found.tau / tau - 1) < 1e-13 + 1e-15 * (z0 == -2.9) * 100
    outside = hitting_time(LearningProblem("hard-sigmoid", horizon=horizon, gap=0.1), [-3.0, -4.0, 3.5])
    assert list(outside.status) == [Status.STUCK] * 3


def test_a_level_stretch_inside_stops_the_flow():
    text = "sigmoid(where(z < 1, z - 1, where(z < 2, 0, z - 2)))"
    crossing = hitting_time(LearningProblem(text, horizon=2, gap=0.01), [0.0, 1.5])
    assert list(crossing.status) == [Status.STUCK] * 2
    beyond = hitting_time(LearningProblem(text, horizon=2, gap=0.01), 2.5)
    assert beyond.tau == pytest.approx(
        hitting_time(LearningProblem("sigmoid", horizon=2, gap=0.01), 0.5).tau, rel=1e-13
    )


def test_arrivals_past_the_learning_time_at_hand():
    problem = LearningProblem("sigmoid", horizon=1, gap=0.01)
    found = hitting_time(problem, [0.0, 4.5], tau_max=50.0)
    assert list(found.status) == [Status.TIME_LIMIT, Status.REACHED]
    assert np.all(np.isfinite(found.tau))


def test_a_million_steps_and_beyond():
    """For h << 1 << T only T phi' counts: sigmoid's c tau is (1/h* - 1/h0)(1 + O(h0))/1, whatever T."""
    for horizon in (1e6, 1e9, 1e12):
        found = hitting_time(LearningProblem("sigmoid", horizon=horizon, decay=1e-9), math.log(horizon) + math.log(1e6))
        assert abs(found.tau / (1e9 - 1e6 + math.log(1e3)) - 1) < 1e-9


@pytest.mark.parametrize("name", ["sigmoid", "fast"])
def test_gaps_below_the_smallest_float(name):
    deep = hitting_time(LearningProblem(name, horizon=10, log_gap=-2000.0), 1.0)
    assert deep.tau == np.inf
    if name == "sigmoid":
        assert deep.log_tau == pytest.approx(2000.0, abs=1e-9)
    else:
        assert 2000 - 2 * math.log(2010) < deep.log_tau < 2000 - 2 * math.log(1990)


def test_ways_to_give_one_target_agree():
    horizon, gap = 100.0, 1e-3
    decay = -math.log1p(-gap)
    ways = {"target": 1 - gap, "gap": gap, "log_gap": math.log(gap), "decay": decay, "timescale": horizon / decay}
    taus = [hitting_time(LearningProblem("fast", horizon=horizon, **{way: v}), 0.0).tau for way, v in ways.items()]
    assert np.allclose(taus, taus[1], rtol=1e-12, atol=0)
    again = hitting_time(LearningProblem("fast", horizon=horizon, target=Target(gap=gap)), 0.0)
    assert again.tau == taus[1]


def test_the_kernel_takes_decays_and_starts_in_arrays():
    gate = LearningProblem("fast", horizon=1, gap=0.1).gate
    decays = Decay(h=np.array([0.1, 0.2]))
    batch = ProblemBatch.broadcast(gate, LOSSES["absolute"], np.array([1.0, 10.0]), decays, 3.0, np.array([0.0, 5.0]))
    found = hitting_times(batch)
    assert isinstance(found, HittingTime)
    one = hitting_time(LearningProblem(gate, horizon=10, decay=0.2, scale=3.0), 5.0)
    assert found.log_tau[1] == one.log_tau


def test_scale_only_divides():
    taus = [hitting_time(LearningProblem("arctan", horizon=9, gap=0.1, scale=c), 0.0).tau for c in (1.0, 8.0, 1e-200)]
    assert taus[0] == pytest.approx(8 * taus[1], rel=1e-14)
    assert taus[0] == pytest.approx(1e-200 * taus[2], rel=1e-12)


OUT_OF_REACH = {
    "sigmoid(exp(z))": ({"horizon": 1, "timescale": 1e-300}, 1e-16, -math.inf),
    "0.05+0.9*sigmoid(z)": ({"horizon": 1e6, "gap": 0}, 0.5, math.inf),
    "sigmoid(5*z/sqrt(1+z**2))": ({"horizon": 10, "gap": 1e-6}, 0.0, math.inf),
    "sigmoid(atan(z))": ({"horizon": 1, "target": 0.1}, 0.0, -math.inf),
    "sigmoid(tanh(sinh(z)))": ({"horizon": 1, "target": 0.9}, 0.0, math.inf),
}


@pytest.mark.parametrize("text", OUT_OF_REACH)
def test_targets_outside_the_range_of_a_gate_are_said_to_be_so(text):
    task, z0, z_star = OUT_OF_REACH[text]
    problem = LearningProblem(text, **task)
    found = hitting_time(problem, [z0, -3.0])
    assert list(found.status) == [Status.OUTSIDE] * 2
    assert np.all(found.tau == np.inf)
    assert problem.z_star == z_star
    with pytest.raises(NotReached, match="outside the gate's range"):
        flow(problem, z0)


def test_targets_inside_a_bounded_range_are_reached():
    """phi = a + b sigma(z) is a sigmoid between a and a + b: T = 1, c tau = int dz/(b sigma'(z))."""
    found = hitting_time(LearningProblem("0.05+0.9*sigmoid(z)", horizon=1, target=0.9), 0.0)
    p = (0.9 - 0.05) / 0.9
    z = math.log(p / (1 - p))
    assert found.tau == pytest.approx((math.exp(z) + 2 * z - math.exp(-z)) / 0.9, rel=1e-12)


@pytest.mark.parametrize("text", ["tanh(z)", "sigmoid(z**2)", "sigmoid(z + 2*sin(z))"])
def test_a_formula_that_is_no_gate_is_one_line(text):
    with pytest.raises(InvalidArgument, match="has no inverse"):
        hitting_time(LearningProblem(text, horizon=10, gap=0.1), 0.0)


@pytest.mark.parametrize("z0", [math.nan, math.inf, -math.inf, "0", None, [1.0, math.nan], 1j, "x" * 1000])
def test_a_start_that_is_no_number_is_one_line(z0):
    with pytest.raises(InvalidArgument) as caught:
        hitting_time(LearningProblem("fast", horizon=1, gap=0.1), z0)
    message = str(caught.value)
    assert "z0 must be" in message
    assert "\n" not in message
    assert len(message) < 200


@pytest.mark.parametrize(
    ("name", "log_weight"),
    [
        ("softsign", lambda u: 2 * abs(u)),
        ("log-slow", lambda u: 2 * (abs(u) + mpmath.expm1(abs(u)))),
        ("algebraic", lambda u: 2 * mpmath.log(mpmath.cosh(u / 2)) - mpmath.log(4)),
        ("fast", lambda u: -mpmath.log1p(u * u)),
        ("iterated-sinh", lambda u: -mpmath.log1p(u * u) - mpmath.log1p(mpmath.asinh(u) ** 2)),
    ],
)
def test_the_weight_keeps_its_digits_where_z_overflows(name, log_weight):
    """W of numerics.md in the profile, also where z is past the floats (softsign past u = 709, log-slow past 6.6)."""
    numbers = LearningProblem(name, horizon=1, gap=0.1).gate.float64
    largest = 600.0 if name == "log-slow" else 1e300
    u = np.concatenate([[0.0], np.geomspace(1e-12, largest, 80)])
    for sign in (-1, 1):
        found = numbers.log_weight(sign * u)
        with mpmath.workdps(40):
            expected = np.array([float(log_weight(mpf_u)) for mpf_u in map(mpmath.mpf, (sign * u).tolist())])
        assert np.allclose(found, expected, rtol=2e-15, atol=4e-16)


def test_a_softsign_far_past_the_floats_of_z():
    """T = 1, log gap = -1000: z* = e^1000 is no float, but softsign's tau = int dphi/(1-phi)^4 = (l*^-3 - l0^-3)/3."""
    found = hitting_time(LearningProblem("softsign", horizon=1, log_gap=-1000.0), 0.0)
    assert found.status is Status.REACHED
    assert found.log_tau == pytest.approx(3000 - math.log(3), rel=1e-14)
