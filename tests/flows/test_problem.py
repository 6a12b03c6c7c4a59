"""The learning problem: loss, gradient, curvature and minimiser against big floats; bad input."""

from __future__ import annotations

import math
import time
from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.flows import LearningProblem, Target
from gateflow.flows.enclosure import exact
from gateflow.losses import H_STAR, LOSSES, Decay, H

SIGMOID = "sigmoid"


def _mp_loss(horizon, gap, scale):
    def loss(z):
        return scale * ((1 / (1 + mpmath.exp(-mpmath.sinh(z)))) ** horizon - (1 - mpmath.mpf(gap)))

    return loss


@pytest.mark.parametrize("horizon", [1, 100, 1e6])
@pytest.mark.parametrize("gap", [0.5, 1e-6, 1e-16])
@pytest.mark.parametrize("z", [-1.0, 0.5, 2.5, 3.4, 3.9])
@pytest.mark.sampled(4)
def test_loss_gradient_and_curvature_of_the_fast_gate(horizon, gap, z):
    problem = LearningProblem("fast", horizon=horizon, gap=gap, scale=2.5)
    with mpmath.workdps(120):
        signed = _mp_loss(horizon, gap, mpmath.mpf(2.5))
        value, slope, bend = (mpmath.diff(signed, mpmath.mpf(z), k) if k else signed(mpmath.mpf(z)) for k in range(3))
        side = int(mpmath.sign(value))
        expected = [float(abs(value)), float(side * slope), float(side * bend)]
    # conditioning: loss and gradient change by T phi' dz and more for dz = eps z
    slack = 1e-13 * (1 + horizon * problem.gate.phi_c(z) * math.cosh(z))
    assert problem.loss_at(z) == pytest.approx(expected[0], rel=1e-13, abs=2e-16 * abs(float(slope)) * abs(z) + 1e-300)
    assert problem.grad(z) == pytest.approx(expected[1], rel=slack, abs=1e-300)
    assert problem.curvature(z) == pytest.approx(expected[2], rel=40 * slack, abs=1e-300)
    assert problem.side(z) == side


def test_grad_is_the_derivative_of_the_loss_on_either_side():
    problem = LearningProblem("linear-cubic", horizon=7.5, gap=0.2, scale=3.0)
    for z in (-0.7, 0.2, 2.0):
        step = 1e-6
        assert problem.grad(z) == pytest.approx(
            (problem.loss_at(z + step) - problem.loss_at(z - step)) / (2 * step), rel=1e-7
        )
        difference = (problem.grad(z + step) - problem.grad(z - step)) / (2 * step)
        assert problem.curvature(z) == pytest.approx(difference, rel=1e-7)


def test_the_gradient_on_a_plateau_keeps_its_logarithm():
    problem = LearningProblem(SIGMOID, horizon=1e6, gap=0.5)
    assert problem.grad(-5.0) == 0.0 or problem.grad(-5.0) < 0
    assert problem.log_abs_grad(-5.0) == pytest.approx(-problem.total_decay(-5.0).h, rel=1e-4)


@pytest.mark.parametrize("gap", [0.5, 1e-3, 1e-12, 1e-100, 1e-300])
@pytest.mark.parametrize("horizon", [1, 10.5, 1e6, 1e12])
def test_the_minimiser_of_sigmoid_fast_and_softsign(gap, horizon):
    with mpmath.workdps(700):
        rest = -mpmath.expm1(mpmath.log1p(-mpmath.mpf(gap)) / mpmath.mpf(horizon))
        u = mpmath.log((1 - rest) / rest)
        inverse = {
            "sigmoid": u,
            "fast": mpmath.asinh(u),
            "softsign": mpmath.sign(u) * mpmath.expm1(abs(u)),
        }
        inverse = {name: float(z) for name, z in inverse.items()}
        u_star, log_h_star = float(u), float(mpmath.log(-mpmath.log1p(-mpmath.mpf(gap))))
    for name, z in inverse.items():
        problem = LearningProblem(name, horizon=horizon, gap=gap)
        assert problem.z_star == pytest.approx(z, rel=2e-13 if name == "softsign" else 4e-16, abs=1e-16)
        assert problem.u_star == pytest.approx(u_star, rel=4e-16, abs=2e-16)
        assert problem.log_h_star == pytest.approx(log_h_star, rel=4e-16)


def test_a_target_of_1_has_no_minimiser():
    problem = LearningProblem("fast", horizon=10, target=1.0)
    assert problem.z_star == math.inf
    assert problem.u_star == math.inf
    assert problem.h_star == 0.0
    assert problem.loss_at(30.0) == 0.0
    assert problem.log_distance(30.0) < -1e12


def test_distances_below_every_float():
    problem = LearningProblem(SIGMOID, horizon=10, log_gap=-1e5)
    assert problem.log_distance(50.0) == pytest.approx(math.log(10) - 50, abs=1e-13)
    assert problem.side(50.0) < 0
    assert problem.z_star == pytest.approx(1e5 + math.log(10), rel=1e-15)


def test_problems_can_be_arrays():
    problem = LearningProblem("fast", horizon=np.array([1.0, 10.0, 100.0]), gap=1e-3)
    one = LearningProblem("fast", horizon=10.0, gap=1e-3)
    assert problem.z_star.shape == (3,)
    assert problem.z_star[1] == one.z_star
    assert problem.loss_at(0.3)[1] == one.loss_at(0.3)


def test_a_problem_is_immutable():
    problem = LearningProblem("fast", horizon=1, gap=0.1)
    with pytest.raises(AttributeError):
        problem.horizon = 2  # type: ignore[misc]


def test_gates_by_name_formula_or_object():
    by_name = LearningProblem("fast", horizon=3, gap=0.1)
    by_formula = LearningProblem("sigmoid(sinh(z))", horizon=3, gap=0.1)
    by_object = LearningProblem(by_name.gate, horizon=3, gap=0.1)
    assert by_name.z_star == pytest.approx(by_formula.z_star, rel=1e-15)
    assert by_name.z_star == by_object.z_star
    assert repr(by_name) == "LearningProblem('fast', horizon=3, gap=0.1, scale=1)"


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"horizon": 0.5, "gap": 0.1}, "horizon must be finite and at least 1; got 0.5"),
        ({"horizon": math.inf, "gap": 0.1}, "horizon must be finite and at least 1; got inf"),
        ({"horizon": math.nan, "gap": 0.1}, "horizon must be finite and at least 1; got nan"),
        ({"horizon": "ten", "gap": 0.1}, "horizon must be a real number; got 'ten'"),
        ({"horizon": True, "gap": 0.1}, "horizon must be a real number; got 'True'"),
        ({"horizon": [1, "a"], "gap": 0.1}, "horizon must be a real number"),
        ({"horizon": 10**400, "gap": 0.1}, "horizon is past the largest float; got a whole number of about 400 digits"),
        ({"horizon": Fraction(10**400), "gap": 0.1}, "is past the largest float"),
        ({"horizon": "1e400", "gap": 0.1}, "horizon is past the largest float; got 1E+400"),
        ({"horizon": "1e999999999", "gap": 0.1}, "horizon is past the largest float; got 1E+999999999"),
        ({"horizon": Decimal("1e999999999"), "gap": 0.1}, "horizon is past the largest float; got 1E+999999999"),
        ({"horizon": "1e9999999999999999999999", "gap": 0.1}, "horizon '1e9999999999999999999999' is out of range"),
        ({"horizon": "1/" + "1" * 100_000, "gap": 0.1}, "is out of range: it has over 100000 digits"),
        ({"horizon": "inf", "gap": 0.1}, "horizon must be finite and at least 1; got inf"),
        ({"horizon": Decimal("0." + "9" * 40), "gap": 0.1}, "horizon must be finite and at least 1; got 0.99"),
        ({"horizon": 1, "gap": "1/0"}, "gap must be a real number; got '1/0'"),
        ({"horizon": 1, "timescale": Decimal("1e999")}, "timescale is past the largest float; got 1E+999"),
        ({"horizon": 1, "log_gap": "-1e999"}, "log_gap is past the largest float; got -1E+999"),
        ({"horizon": 1, "log_gap": Decimal("-1e-999")}, "log_gap is below the smallest float; got -1E-999"),
        ({"horizon": 1, "target": "1e-999"}, "target is below the smallest float; got 1E-999"),
        ({"horizon": 1, "target": Fraction(10**30 + 1, 10**30)}, "target must be in (0, 1]; got 100000"),
        ({"horizon": 1, "gap": "-1e-999"}, "gap must be in [0, 1); got -1E-999"),
        ({"horizon": 1, "gap": 0.1, "scale": "1e-999999999"}, "scale is below the smallest float; got 1E-999999999"),
        ({"horizon": 1, "gap": 1}, "gap must be in [0, 1); got 1"),
        ({"horizon": 1, "gap": -1e-9}, "gap must be in [0, 1); got -1e-09"),
        ({"horizon": 1, "gap": math.nan}, "gap must be in [0, 1); got nan"),
        ({"horizon": 1, "target": 0}, "target must be in (0, 1]; got 0"),
        ({"horizon": 1, "target": 1.5}, "target must be in (0, 1]; got 1.5"),
        ({"horizon": 1, "log_gap": 0.0}, "log_gap must be below 0; got 0"),
        ({"horizon": 1, "decay": -1}, "decay must be at least 0; got -1"),
        ({"horizon": 1, "timescale": 0}, "timescale must be above 0; got 0"),
        ({"horizon": 1}, "none was given"),
        ({"horizon": 1, "gap": 0.1, "target": 0.9}, "got target and gap"),
        ({"horizon": 1, "gap": 0.1, "target": Target(gap=0.1)}, "give the target once"),
        ({"horizon": 1, "gap": 0.1, "scale": 0}, "scale must be finite and above 0; got 0"),
        ({"horizon": 1, "gap": 0.1, "scale": math.inf}, "scale must be finite and above 0; got inf"),
        ({"horizon": 1, "gap": 0.1, "scale": 2j}, "scale must be a real number"),
        ({"horizon": 1, "gap": 0.1, "loss": "squard"}, "unknown loss"),
    ],
)
def test_bad_problems_are_one_line(given, said):
    with pytest.raises(GateflowError) as caught:
        LearningProblem("fast", **given)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("way", ["gap", "decay"])
@pytest.mark.parametrize(
    ("number", "log"),
    [
        ("1e-400", -400 * mpmath.log(10)),
        ("2.5e-100000", mpmath.log(2.5) - 10**5 * mpmath.log(10)),
        ("1e-99999999", -99999999 * mpmath.log(10)),
        (Decimal("7e-999999999"), mpmath.log(7) - 999999999 * mpmath.log(10)),
        (Fraction(7, 10**1_000_000), mpmath.log(7) - 10**6 * mpmath.log(10)),
        (Fraction(3**700_000, 2**2_000_000), 700_000 * mpmath.log(3) - 2_000_000 * mpmath.log(2)),
        ("1/" + "3" * 10_000, mpmath.log(3) - 10_000 * mpmath.log(10)),
        ("0." + "0" * 299_999 + "3", mpmath.log(3) - 300_000 * mpmath.log(10)),
    ],
)
def test_exact_gaps_of_any_size_are_not_written_out(way, number, log):
    """Their logarithm comes from the exponent; the number itself, of millions of digits, is never made."""
    problem = LearningProblem("fast", horizon=10, **{way: number})
    assert problem.log_h_star == pytest.approx(float(log), rel=1e-15)
    with pytest.raises(InvalidArgument, match="no number to enclose by") if log < -230_259 else nullcontext():
        exact(way, number)


def test_a_position_that_is_no_number_is_refused_everywhere():
    problem = LearningProblem("fast", horizon=1, gap=0.1)
    for method in (problem.loss_at, problem.grad, problem.curvature, problem.side, problem.log_distance):
        with pytest.raises(InvalidArgument, match="z must be finite; got nan"):
            method(math.nan)


@pytest.mark.parametrize("name", sorted(LOSSES))
def test_losses_have_the_numbers_of_their_formulas(name):
    """Value, slope and curvature of every loss against its SymPy branches in 40 digits."""
    loss = LOSSES[name]
    for h, h_star in ((0.3, 0.1), (0.1, 0.3), (5.0, 1e-3), (1e-9, 2e-9), (30.0, 29.0)):
        (branch,) = [
            b for b in loss.branches if len(loss.branches) == 1 or b.name == ("below" if h > h_star else "above")
        ]
        put = {H: sp.Float(h, 60), H_STAR: sp.Float(h_star, 60)}
        at, goal = Decay(h=h), Decay(h=h_star)
        slope = branch.slope.subs(put)
        assert loss.value(at, goal) == pytest.approx(float(branch.expression.subs(put)), rel=1e-12)
        assert loss.log_slope(at, goal) == pytest.approx(float(sp.log(sp.Abs(slope))), rel=1e-12, abs=1e-12)
        assert loss.relative_curvature(at, goal) == pytest.approx(
            float(sp.diff(branch.slope, H).subs(put) / slope), rel=1e-11
        )


def test_the_branches_of_the_absolute_loss_meet_at_its_kink():
    loss = LOSSES["absolute"]
    (kink,) = loss.kinks
    assert [branch.expression.subs(H, kink) for branch in loss.branches] == [0, 0]
    assert loss.branches[0].slope == -loss.branches[1].slope


@pytest.mark.parametrize("text", ["1e-" + "9" * 50, "1/" + "9" * 200_000, "1e999999999", "1e" + "9" * 50])
def test_a_text_that_would_be_written_out_in_a_billion_digits_is_refused(text):
    start = time.process_time()
    with pytest.raises(InvalidArgument, match=r"gap .*(out of range|past the largest float)"):
        LearningProblem("fast", horizon=10, gap=text)
    with pytest.raises(InvalidArgument, match=r"gap .* is no number to enclose by"):
        exact("gap", text)
    assert time.process_time() - start < 2


def test_a_gate_whose_floor_is_above_one_half_has_targets_above_its_floor_only():
    """``exp(-c sigma(-z))`` is inverted by hand."""
    h = np.array([1.0, 1e-3, 1e-20, 50.0])
    problem = LearningProblem("exp(-0.4*sigmoid(-z))", horizon=100, decay=h)
    s = h / 100 / 0.4
    with np.errstate(invalid="ignore"):
        z = np.log1p(-s) - np.log(s)
    np.testing.assert_allclose(problem.z_star[:3], z[:3], rtol=1e-14)
    assert problem.z_star[3] == -np.inf
