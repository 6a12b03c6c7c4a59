"""Learning times of every loss against mpmath quadrature, by the integral and by the stiff solvers."""

from __future__ import annotations

import importlib
import itertools
import math
import pickle
import sys
import time
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import mpmath
import numpy as np
import pytest
import sympy as sp
from mpmath import mpf

from gateflow.errors import Exceeded, FormulaError, GateflowError, InvalidArgument, UnknownName
from gateflow.flows import LearningProblem, Status, flow, hitting_time
from gateflow.flows.enclosure import enclose
from gateflow.losses import H_STAR, LOSSES, Decay, H
from gateflow.losses import loss as named
from gateflow.losses.mixed_horizon import MixedHorizon
from gateflow.losses.random_horizon import RandomHorizon

sys.path.insert(0, str(Path(__file__).parent))
oracle = importlib.import_module("flow_oracle")

TOLERANCE = 1e-3


def _slope(name):
    """|dL/dh| written out by hand, as a function of h and h*."""
    e = mpmath.exp
    by_hand = {
        "absolute": lambda h, s: e(-h),
        "squared": lambda h, s: 2 * e(-h) * abs(e(-h) - e(-s)),
        "kullback-leibler": lambda h, s: abs(e(-s) - e(-h)) / (1 - e(-h)),
        "log-decay": lambda h, s: 1 / h,
        "random-horizon": lambda h, s: (1 + h) ** -2,
        "random-horizon(2.5)": lambda h, s: (1 + h / mpf(2.5)) ** mpf(-3.5),
        "laplace": lambda h, s: e(-h),
        "exp(-sqrt(s))": lambda h, s: e(-mpmath.sqrt(h)) / (2 * mpmath.sqrt(h)),
        "(1-exp(-s))/s": lambda h, s: (-mpmath.expm1(-h) - h * e(-h)) / h**2,
        "(1+s/k)**(-k); k=0.3": lambda h, s: (1 + h / mpf("0.3")) ** mpf("-1.3"),
        "mixed-horizon": lambda h, s: (mpf(0.1) * e(-mpf(0.1) * h) + mpf(1.9) * e(-mpf(1.9) * h)) / 2,
    }
    return by_hand.get(name) or _slope_of_its_branches(name)


def _slope_of_its_branches(name):
    """For a loss that is new here: |dL/dh| from what it declares, none of its own numbers."""
    slopes = {branch.name: sp.lambdify((H, H_STAR), branch.slope, "mpmath") for branch in _loss(name).branches}
    return lambda h, s: abs(slopes.get("below" if h > s else "above", next(iter(slopes.values())))(h, s))


def _loss(name):
    return named(name)


LAWS = ("exp(-sqrt(s))", "(1-exp(-s))/s", "(1+s/k)**(-k); k=0.3")
"""Laplace transforms: a stable law without a mean, an even one from 0 to T, a gamma law."""

NAMES = (*LOSSES, "random-horizon(2.5)", *LAWS)


def _log_tau(gate, name, horizon, gap, z0, tolerance):
    """log of ``int dh / (|dL/dh| (dh/dz)^2)`` from ``h* (1 +- tolerance)`` to ``h0``, by mpmath in ``log |h - h*|``."""
    with mpmath.workdps(36):
        gate, horizon, slope = oracle.GATES[gate], mpf(horizon), _slope(name)
        h_star, h0 = -mpmath.log1p(-mpf(gap)), -horizon * gate.log_phi(mpf(z0))
        side = mpmath.sign(h0 - h_star)

        def rate(s):
            h = h_star + side * mpmath.exp(s)
            z = oracle.position_of_decay(gate, horizon, h)
            pace = horizon * gate.dphi(z) * mpmath.exp(h / horizon)
            return mpmath.exp(s) / (slope(h, h_star) * pace**2)

        last = mpmath.log(h_star * mpf(tolerance)) if tolerance else mpmath.log(h_star) - 40
        first = mpmath.log(abs(h0 - h_star))
        # the profile bends where u is of order 1
        marks = [
            mpmath.log(abs(horizon * mpmath.log1p(mpmath.exp(-mpf(u))) - h_star)) for u in (-4, -2, -1, 0, 1, 2, 4)
        ]
        steps = [first - k * mpf("0.5") for k in range(1, int((first - last) * 2) + 1)]
        near = [first - mpf(2) ** -k for k in range(2, 12)]
        points = sorted({last, first, *(p for p in (*marks, *steps, *near) if last < p < first)})
        nodes = oracle._gauss(20)
        total = sum(w * (b - a) * rate(a + (b - a) * x) for a, b in itertools.pairwise(points) for x, w in nodes)
        return float(mpmath.log(total))


CASES = [
    ("fast", 100.0, 1e-2, -0.5),
    ("sigmoid", 1.0, 0.3, 4.0),
    ("softsign", 1e4, 1e-6, 30.0),
    ("algebraic", 30.0, 1e-3, 1e4),
]


@pytest.mark.parametrize(
    ("name", "case"),
    [  # every loss at one of the four; all, if slow
        pytest.param(name, case, marks=[] if (k + n) % 4 == 1 else pytest.mark.slow, id=f"{name}-{case[0]}")
        for k, name in enumerate(NAMES)
        for n, case in enumerate(CASES)
    ],
)
@pytest.mark.sampled(7)
def test_times_of_every_loss_agree_with_mpmath(name, case):
    gate, horizon, gap, z0 = case
    loss = _loss(name)
    problem = LearningProblem(gate, horizon=horizon, gap=gap, loss=loss, scale=3.0)
    tolerance = None if loss.arrives else TOLERANCE
    found = hitting_time(problem, z0, tolerance=tolerance)
    expected = _log_tau(gate, name, horizon, gap, z0, tolerance) - math.log(3.0)
    assert found.status is Status.REACHED
    assert abs(math.expm1(found.log_tau - expected)) < 2e-12
    assert abs(math.expm1(found.log_tau - expected)) <= found.error < 1e-10


@pytest.mark.parametrize("method", ["exact", pytest.param("radau", marks=pytest.mark.slow), "bdf", "lsoda", "dop853"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "(1-exp(-s))/s"])  # in big floats, one at a time
@pytest.mark.sampled(11)
def test_every_method_follows_every_loss(name, method):
    """The flow to the end takes the time of the integral; slopes of the dense output are the gradient."""
    problem = LearningProblem("fast", horizon=5, gap=0.05, loss=_loss(name))
    smooth = {} if problem.loss.arrives else {"tolerance": TOLERANCE}
    path = flow(problem, -0.5, method=method, **smooth)
    assert path.log_tau[-1] == pytest.approx(hitting_time(problem, -0.5, **smooth).log_tau, rel=1e-9)
    assert path.check < 1e-9
    tau = path.tau[-1] * np.linspace(0.05, 0.9, 5)
    step = 1e-4 * tau
    slope = (path.at(tau + step).z - path.at(tau - step).z) / (2 * step)
    assert np.allclose(slope, -problem.grad(path.at(tau).z), rtol=1e-4, atol=0)


@pytest.mark.parametrize("name", [name for name in LOSSES if not LOSSES[name].arrives])
@pytest.mark.parametrize("z0", [-0.5, 4.0])
@pytest.mark.sampled(2)
def test_a_smooth_loss_is_approached_exponentially(name, z0):
    """Near its least value L = (a/2)(h - h*)^2, so the decay falls to h* like exp(-a c (dh/dz)^2 tau)."""
    problem = LearningProblem("fast", horizon=20, gap=0.05, loss=name)
    loose, tight = (hitting_time(problem, z0, tolerance=t) for t in (1e-7, 1e-9))
    z, h = problem.z_star, problem.h_star
    put = {H: sp.Float(h, 40), H_STAR: sp.Float(h, 40)}
    bow = float(sp.diff(problem.loss.branches[0].slope, H).subs(put))
    pace = 20 * problem.gate.dphi(z) / problem.gate.phi(z)
    assert tight.tau - loose.tau == pytest.approx(math.log(100) / (bow * pace**2), rel=1e-5)
    path = flow(problem, z0)
    assert path.status is Status.ASYMPTOTIC
    assert path.log_gap[-1] == pytest.approx(math.log(1e-12 * h), abs=1e-6)
    further = flow(problem, z0, tau_max=10 * path.tau[-1])
    assert further.log_gap[-1] < path.log_gap[-1] - 100
    assert further.check < 1e-9


def test_a_smooth_loss_wants_a_tolerance():
    problem = LearningProblem("fast", horizon=20, gap=0.05, loss="squared")
    with pytest.raises(InvalidArgument, match=r"smooth at its least value.*give a tolerance"):
        hitting_time(problem, 0.0)
    for bad in (0.0, 1.0, -1e-3, math.nan):
        with pytest.raises(InvalidArgument, match=r"tolerance must be in \(0, 1\)"):
            hitting_time(problem, 0.0, tolerance=bad)
        with pytest.raises(InvalidArgument, match=r"tolerance must be in \(0, 1\)"):
            flow(problem, 0.0, tolerance=bad)
    with pytest.raises(InvalidArgument, match="it needs no tolerance"):
        flow(LearningProblem("fast", horizon=20, gap=0.05), 0.0, tolerance=1e-3)


@pytest.mark.parametrize("name", LOSSES)
def test_tolerances_in_arrays_from_either_side(name):
    problem = LearningProblem("softsign", horizon=[[10.0], [1e4]], gap=1e-3, loss=name)
    tolerance = np.array([0.5, 1e-2, 1e-6])
    for z0 in (2.0, 1e9):
        many = hitting_time(problem, z0, tolerance=tolerance)
        assert many.tau.shape == (2, 3)
        assert np.all(np.diff(many.log_tau, axis=1) >= -1e-13)
        one = LearningProblem("softsign", horizon=1e4, gap=1e-3, loss=name)
        assert hitting_time(one, z0, tolerance=1e-2).log_tau == pytest.approx(many.log_tau[1, 1], rel=1e-13)


@pytest.mark.parametrize("name", LOSSES)
def test_a_start_within_the_tolerance_takes_no_time(name):
    problem = LearningProblem("fast", horizon=20, decay=0.1, loss=name)
    z = problem.gate.inverse(math.exp(-0.1005 / 20))
    assert hitting_time(problem, z, tolerance=1e-2).log_tau == -math.inf
    assert hitting_time(problem, z, tolerance=1e-3).log_tau > -math.inf


def test_the_tolerance_of_an_arriving_loss_only_stops_early():
    problem = LearningProblem("sigmoid", horizon=1, gap=0.01)
    form = lambda z: math.exp(z) + 2 * z - math.exp(-z)  # noqa: E731
    h_end = problem.h_star * (1 + 0.25)
    z_end = -math.log(math.expm1(h_end))
    assert hitting_time(problem, 0.0, tolerance=0.25).tau == pytest.approx(form(z_end), rel=1e-12)


@pytest.mark.parametrize("name", ["squared", "kullback-leibler"])
@pytest.mark.sampled(2)
def test_smooth_losses_of_gates_without_closed_inverse(name):
    problem = LearningProblem("linear-cubic", horizon=9, gap=0.1, loss=name)
    expected = _log_tau("linear-cubic", name, 9.0, 0.1, 0.0, TOLERANCE)
    assert hitting_time(problem, 0.0, tolerance=TOLERANCE).log_tau == pytest.approx(expected, abs=2e-12)


@pytest.mark.parametrize("method", ["exact", "bdf", "lsoda", "dop853"])
@pytest.mark.parametrize("z0", [-0.5, 4.0])
@pytest.mark.sampled(3)
def test_every_method_nears_the_target_of_a_smooth_loss_without_closed_inverse(z0, method):
    """Far below the spacing of z about the target; the distance h - h* held against big floats at the position."""
    problem = LearningProblem("sigmoid(z + z**3)", horizon=9, gap=0.1, loss="squared")
    path = flow(problem, z0, method=method, tolerance=1e-20)
    assert path.log_tau[-1] == pytest.approx(hitting_time(problem, z0, tolerance=1e-20).log_tau, rel=1e-9)
    assert path.check < 1e-9
    assert path.log_gap[-1] == pytest.approx(math.log(1e-20 * problem.h_star), rel=1e-12)
    with mpmath.workdps(60):
        coordinate, by_hand = path._path.coordinate, oracle.GATES["linear-cubic"]
        point = mpf(coordinate.point)
        for v in np.linspace(path._path.start, path._path.end, 9)[1:]:
            z = point + coordinate.side * mpmath.exp(mpf(v))
            true = mpmath.log(9 * abs(by_hand.log_phi(z) - by_hand.log_phi(point)))
            assert path._path.decay(np.array([v])).apart[0] == pytest.approx(float(true), abs=2e-13)


@pytest.mark.parametrize("tolerance", [0.9, 1e-3, 1e-300])
@pytest.mark.sampled(2)
def test_any_tolerance_ends_a_path_where_it_says(tolerance):
    problem = LearningProblem("erf", horizon=9, gap=0.1, loss="squared")
    for z0 in (-0.5, 3.0):
        path = flow(problem, z0, tolerance=tolerance)
        assert path.log_gap[-1] == pytest.approx(math.log(tolerance) + problem.log_h_star, rel=1e-12)
        assert path.at(path.tau[-1]).z == path.z[-1]


@pytest.mark.parametrize("name", ["squared", "kullback-leibler", "random-horizon", "mixed-horizon"])
def test_a_target_of_1_is_never_reached_by_other_losses(name):
    problem = LearningProblem("fast", horizon=9, gap=0, loss=name)
    tolerance = None if problem.loss.arrives else 1e-3
    assert hitting_time(problem, 0.0, tolerance=tolerance).status is Status.ASYMPTOTIC
    path = flow(problem, 0.0)
    assert path.status is Status.ASYMPTOTIC
    assert path.check < 1e-9


def test_a_random_horizon_is_its_laplace_transform():
    """E phi^T over a gamma law by quadrature over T, and the constant horizon as the limit of large shapes."""
    shape, mean, phi = 3.0, 50.0, 0.99
    with mpmath.workdps(30):
        density = lambda t: t ** (shape - 1) * mpmath.exp(-t * shape / mean) * (shape / mean) ** shape / 2  # noqa: E731
        kept = mpmath.quad(lambda t: mpf(phi) ** t * density(t), [0, 50, 100, 500, mpmath.inf])
    loss = RandomHorizon(shape)
    assert 1 - loss.value(Decay(h=-mean * math.log(phi)), Decay(h=0.0)) == pytest.approx(float(kept), rel=1e-12)
    taus = [
        hitting_time(LearningProblem("fast", horizon=50, gap=0.05, loss=loss), 0.0).tau
        for loss in (RandomHorizon(1e9), LOSSES["absolute"])
    ]
    assert taus[0] == pytest.approx(taus[1], rel=1e-6)


def test_a_mixture_of_one_horizon_is_that_horizon():
    """T and the target's decay both doubled by the ratio 2."""
    one = LearningProblem("fast", horizon=50, decay=0.05, loss=MixedHorizon((1.0,), (2.0,)))
    other = LearningProblem("fast", horizon=100, decay=0.1)
    assert hitting_time(one, 0.0).tau == pytest.approx(hitting_time(other, 0.0).tau, rel=1e-12)


@pytest.mark.parametrize(
    "make",
    [
        lambda: RandomHorizon(0.0),
        lambda: RandomHorizon(math.nan),
        lambda: RandomHorizon("2"),  # type: ignore[arg-type]
        lambda: MixedHorizon((1.0,), (1.0, 2.0)),
        lambda: MixedHorizon((), ()),
        lambda: MixedHorizon((-1.0,), (1.0,)),
        lambda: MixedHorizon(("a",), (1.0,)),  # type: ignore[arg-type]
    ],
)
def test_bad_parameters_of_losses_are_one_line(make):
    with pytest.raises(InvalidArgument) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [name for name in NAMES if name != "log-decay"])
def test_values_near_the_target_do_not_cancel(name):
    """Against 60 digits where h and h* agree to ten digits."""
    loss = _loss(name)
    for h, h_star in ((0.1 * (1 + 1e-10), 0.1), (20.0, 20.000000003), (1e-9, 1e-9 * (1 + 1e-8))):
        (branch,) = [
            b for b in loss.branches if len(loss.branches) == 1 or b.name == ("below" if h > h_star else "above")
        ]
        expected = float(branch.expression.subs({H: sp.Float(h, 80), H_STAR: sp.Float(h_star, 80)}))
        log_apart = math.log(abs(h - h_star))
        assert loss.value(Decay(h=h, apart=log_apart), Decay(h=h_star)) == pytest.approx(expected, rel=1e-13)


def test_a_law_by_its_formula_is_the_law_by_its_name():
    """The same numbers along two ways: written for the one, derived from the formula for the other."""
    h, h_star = np.geomspace(1e-30, 1e4, 69), 0.3
    pairs = [("(1 + s/2)**(-2)", RandomHorizon(2.0)), ("exp(-s/10)/2 + exp(-19*s/10)/2", MixedHorizon())]
    for text, loss in [*pairs, ("exp(-s)", LOSSES["absolute"])]:
        for what in ("value", "log_slope", "relative_curvature"):
            ours, theirs = (getattr(one, what)(Decay(h=h), Decay(h=h_star)) for one in (named(text), loss))
            assert np.allclose(ours, theirs, rtol=3e-13, atol=1e-13), (text, what)


def test_digits_that_a_formula_loses_are_found_again():
    """(1 - exp(-s))/s cancels near 0: a horizon even from 0 to T has the slope 1/2 - s/3 + s^2/8 there."""
    s = np.array([1e-250, 1e-100, 1e-20, 1e-9, 1e-4])
    slope = np.exp(named("(1-exp(-s))/s").log_slope(Decay(h=s), Decay(h=0.0)))
    assert np.allclose(slope, 0.5 - s / 3 + s * s / 8, rtol=1e-12, atol=0)


def test_losses_are_pickled_by_what_they_say():
    for name in NAMES:
        again = pickle.loads(pickle.dumps(named(name)))
        assert (again.name, again.branches) == (named(name).name, named(name).branches)


@pytest.mark.parametrize(
    ("text", "error", "said"),
    [
        ("sqared", UnknownName, "did you mean 'squared'"),
        ("squared(2)", InvalidArgument, "too many parameters; it has none"),
        ("random-horizon(k=2)", InvalidArgument, "no parameter 'k'; it has shape"),
        ("random-horizon(-1)", InvalidArgument, "shape must be"),
        ("2*exp(-s)", InvalidArgument, "it is 2 at s = 0, not 1"),
        ("exp(s)", InvalidArgument, "it does not fall at s = 1e-06"),
        ("exp(-s**2)", InvalidArgument, "it is not convex at s"),
        ("1 - s", InvalidArgument, "it is not convex at s"),
        ("exp(-z)", FormulaError, "unknown symbol 'z'; known: s"),
        ("exp(-k*s); k=real", InvalidArgument, "k needs a number"),
        ("exp(-s); 2", FormulaError, "has a name"),
        ("3", InvalidArgument, "no s in 3"),
        (3, InvalidArgument, "not int"),
    ],
)
def test_losses_that_are_none_are_refused_in_one_line(text, error, said):
    with pytest.raises(GateflowError, match=said) as caught:
        LearningProblem("fast", horizon=10, gap=0.1, loss=text)
    assert caught.type is error
    assert "\n" not in str(caught.value)


def test_a_transform_with_large_numbers_is_bounded():
    """The inverse Gaussian law of small variance: E exp(-s X) tends to exp(-s), and so does the loss."""
    start = time.process_time()
    found = named("exp((1-sqrt(1+2*v*s))/v); v=1e-9")
    assert time.process_time() - start < 20  # without a bound it does not end
    assert float(found.value(Decay(h=2.0), Decay(h=0.0))) == pytest.approx(1 - math.exp(-2), rel=1e-8)


def test_a_transform_that_is_too_involved_is_refused(monkeypatch):
    monkeypatch.setattr("gateflow.losses.laplace.SECONDS", 0.001)
    with pytest.raises(Exceeded, match="too involved for a Laplace transform"):
        named("exp(-s/7)*" + "*".join(f"(1 + s/{k})**(-{k})" for k in range(2, 9)))  # half a second's work


SHAPES = {
    "small decimal": Decimal("1e-99999999"),
    "small fraction": Fraction(1, 10**1_000_000),
    "large decimal": Decimal("1e999999999"),
    "large number": 10**400,
    "very large number": 10**1_000_000,
}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=list(SHAPES))
def test_a_shape_that_is_no_float_is_refused_in_one_line(shape):
    """It is neither written out nor kept as it is."""
    with pytest.raises(InvalidArgument, match=r"shape is (below the smallest|past the largest) float"):
        RandomHorizon(shape)
    assert type(RandomHorizon(Fraction(1, 2)).shape) is float
    with pytest.raises(InvalidArgument, match="finite numbers above 0"):
        MixedHorizon((1.0,), (shape,))


def test_an_exact_tolerance_past_the_floats_is_refused_by_enclose():
    problem = LearningProblem("fast", horizon=10, gap=0.1, loss="squared")
    for tolerance in (10**400, "1e400"):
        with pytest.raises(InvalidArgument, match=r"tolerance is past the largest float"):
            enclose(problem, 0, tolerance=tolerance)
