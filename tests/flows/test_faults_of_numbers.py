"""Times that were wrong once, or claimed an error that they did not have; what is right is from big floats."""

from __future__ import annotations

import itertools
import math
from decimal import Decimal
from fractions import Fraction

import ball_cases
import ball_oracle
import mpmath
import numpy as np
import pytest
import sympy

from gateflow.codegen.compiler import available
from gateflow.errors import InvalidArgument, NotReached
from gateflow.flows import LearningProblem, Status, enclose, flow, hitting_time
from gateflow.flows.features import features
from gateflow.gates.gate import Gate, gate
from tests.gates.saturating import EXPONENTIALS, POWERS

COMPILED = pytest.mark.skipif(available() is None, reason="no compiler")
BACKENDS = ["numpy", pytest.param("compiled", marks=COMPILED)]
HERE = ["numpy", *(["compiled"] if available() else [])]
"""The same for tests of one problem, which is made once for both."""


def by_both(texts, few):
    """Each by NumPy; compiled, for which each takes a second of the compiler, the first few, and the rest if slow."""
    slow = [[] if k < few else [pytest.mark.slow] for k in range(len(texts))]
    compiled = [pytest.param(text, "compiled", marks=[COMPILED, *more]) for text, more in zip(texts, slow, strict=True)]
    return [*((text, "numpy") for text in texts), *compiled]


TEN = {"horizon": 10, "gap": 0.01}

# formula, z0, log tau: T = 10, gap 0.01. Each was computed apart from gateflow, and again by mpmath with 40 digits as
# tau = integral of (1 + e^u) (1 + e^-u)^T / T over dz/u'(z), up to u* = -log expm1(-log1p(-gap)/T), so:
# row 1 over u, where dz/u' = du/u'^2, from 0 to 1, to 1 + 1e-6 and to u*;
# row 2 over z, cut at 0.4, 0.77 +- 0.02, at every 3e-4 within 6e-3 of 0.77, at 2 and 4;
# rows 3 and 4 (one formula in two spellings) over w, z = sign(w) w^2, where dz/u' = 4/3 dw, cut at 0;
# rows 5 and 6 over t, z - c = b sinh t with b = sqrt(1e-60/3), where dz/u' = 1e60 b dt/cosh t, in 120 parts;
# rows 7 and 8, dips narrower than the spacing of floats, over z, cut at p = 1/3 or sqrt(2) and p +- 10^-k, k to 25.
RIGHT = {
    "sigmoid(where(z<1, z, where(z<101, 1+1e-8*(z-1), z-100+1e-6)))": (0.0, math.log(85274680825.503717)),
    "sigmoid(z+tanh(1e4*(z-0.77)))": (0.0, math.log(10329.79236195077)),
    "sigmoid(sign(z)*abs(z)**1.5)": (-1.0, math.log(5585.1640397630061)),
    "sigmoid(where(z<0, -(-z)**1.5, z**1.5))": (-1.0, math.log(5585.1640397630061)),
    "sigmoid(z**3 + 1e-60*z)": (-1.0, 74.995010424502068),
    "sigmoid((z-3)**3 + 1e-60*(z-3))": (-1.0, 627.65451657781313),
    "sigmoid((z-1/3)**3+1e-40*z)": (0.0, 51.96915949456161),
    "sigmoid((z-sqrt(2))**3+1e-40*z)": (0.0, 51.969159494561642),
}


# T = 1, gap 0.01, from 0, over w: z - p = sign(w) |w|^(1/(2 - q)), dz/u' = dw/(q (2 - q)), cut at 0; 40 digits
THROUGH = {
    "sigmoid(sign(z-1/3)*abs(z-1/3)**1.5)": ("1/3", "1.5"),
    "sigmoid((z-sqrt(2))*abs(z-sqrt(2))**0.9)": ("sqrt(2)", "1.9"),
    "sigmoid(where(z<2/7, -(2/7-z)**1.25, (z-2/7)**1.25))": ("2/7", "1.25"),
}


@pytest.mark.parametrize("text", THROUGH)
def test_a_flow_passes_where_the_slope_is_0_at_a_point_that_is_no_float(text):
    """At a zero of the slope like that of abs(z - p)**q with 1 < q < 2 the time is finite."""
    p, q = (mpmath.mpf(sympy.N(sympy.sympify(number, rational=True), 40)) for number in THROUGH[text])
    with mpmath.workdps(40):
        power, u_star = q / (2 - q), mpmath.log(mpmath.mpf(0.01) ** -1 - 1)
        ends = [-(p ** (2 - q)), 0, *(u_star ** ((2 - q) / q) * mpmath.mpf(k) / 8 for k in range(1, 9))]
        tau = mpmath.quad(lambda w: (2 + 2 * mpmath.cosh(abs(w) ** power)) / (q * (2 - q)), ends)
    found = hitting_time(LearningProblem(text, horizon=1, gap=0.01), 0.0)
    assert found.status is Status.REACHED
    assert abs(found.tau / tau - 1) <= found.error < 1e-13


# T = 10, gap 0.01, from 1, over phi: phi' = (1 - phi)^3/(2 phi), and dz/phi' = dphi/phi'^2
def test_a_gate_with_values_on_a_half_line_is_solved_there_and_refused_elsewhere():
    problem = LearningProblem("sqrt(z)/(1+sqrt(z))", **TEN)
    with mpmath.workdps(40):
        end = (1 - mpmath.mpf(0.01)) ** mpmath.mpf("0.1")
        tau = mpmath.quad(lambda p: 4 * p**-7 / (1 - p) ** 6 / 10, [0.5, 0.9, 0.99, end])
    found = hitting_time(problem, 1.0)
    assert abs(found.tau / tau - 1) <= found.error < 1e-12
    assert hitting_time(problem, 0.0).status is Status.STUCK  # the factor phi^9 of the speed is 0
    for solve in (hitting_time, flow):
        with pytest.raises(InvalidArgument, match=r"has no value at z0 = -1"):
            solve(problem, -1.0)


@pytest.mark.parametrize("text", ["sigmoid(z - 1/z)", "sigmoid(z + where(z < 1, 0, -1))"])
def test_a_formula_that_falls_over_a_pole_or_a_jump_is_no_gate(text):
    with pytest.raises(InvalidArgument, match="phi falls between z = "):
        hitting_time(LearningProblem(text, **TEN), -1.0)


@pytest.mark.parametrize(("text", "backend"), by_both(RIGHT, few=3))
@pytest.mark.sampled(4)
def test_what_is_narrow_is_not_missed(text, backend):
    z0, log_tau = RIGHT[text]
    found = hitting_time(LearningProblem(text, **TEN), z0, backend=backend)
    assert found.status is Status.REACHED
    assert abs(found.log_tau - log_tau) <= found.error + 2e-16 * abs(log_tau)
    assert found.error < 1e-12


# formula, z0, log tau by the same integral over z, with u' written out by hand; cut at 0, 1/3 and beside
HOLES = {
    "sigmoid(2*z+tanh(z)/z)": (-1.0, 9.2048513577229927986),
    "sigmoid(z+sin(z)/z-1)": (-1.0, 9.8636934222234710446),
    "sigmoid(2*z+(exp(z-1/3)-1)/(z-1/3))": (-1.0, 10.862799926554346373),
    "sigmoid(z*exp(-1/z**2)+z)": (-1.0, 10.459037673276442021),
    "sigmoid(z+z*exp(-25*z**2))": (-6.0, 55.425089230290474932),
    "sigmoid(2*z+log(cosh(z)+2*cosh(2*z)))": (0.0, 2.0558640180965694),
}


@pytest.mark.parametrize(("text", "backend"), by_both(HOLES, few=1))
@pytest.mark.sampled(5)
def test_a_path_crosses_where_a_part_of_the_formula_is_0_over_0(text, backend):
    """A hole, a flat exponential of a pole, a bump of exponentials, the logarithm of a sum of them."""
    z0, log_tau = HOLES[text]
    found = hitting_time(LearningProblem(text, **TEN), z0, backend=backend)
    assert found.status is Status.REACHED
    assert abs(found.log_tau - log_tau) <= found.error < 1e-13


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("text", "z0"), [("sigmoid(z+sinh(z)/(3+cosh(z)))", 0.0), ("sigmoid(2*z+log(cosh(z)+2*cosh(2*z)))", -60.0)]
)
@pytest.mark.sampled(3)
def test_where_floats_find_no_slope_nothing_is_said_to_be_flat(text, z0, backend):
    """u' is above 0 everywhere: inf/inf past 710 in the first, lost to cancellation below -36 in the second."""
    problem = LearningProblem(text, horizon=10, log_gap=-800)
    found = hitting_time(problem, z0, backend=backend)
    assert found.status in (Status.OVERFLOW, Status.UNDECIDED, Status.UNRESOLVED)
    assert found.error == math.inf


# formula, log tau as in row 2 above with 60 digits, cut at each kink r or step and at r +- 10^k, k from -40 to 2
BETWEEN_FLOATS = {
    "sigmoid(where(z<1/3, z, where(z<1/3+1e-17, 1/3+1e-30*(z-1/3), z-1e-17+1e-47)))": 33.9077157708456774,
    "sigmoid(where(z<1, z, where(z<1+2**-53, 1+1e-30*(z-1), z-2**-53+1e-30*2**-53)))": 34.4840456898508448,
    "sigmoid(where(z<1/3, z, where(z<1/3+1e-12, 1/3+1e-9*(z-1/3), z-1e-12+1e-21)))": 5.08268401030445699,
    "sigmoid(where(z<sqrt(2), z, sqrt(2)+1e-9*(z-sqrt(2))"
    "+where(z<sqrt(2)+1e-12, 0, z-sqrt(2)-1e-12)))": 5.08238188763729614,
    "sigmoid(z-(1-1e-20)*1e-17*tanh(1e17*(z-1/3)))": 5.08235403044938283,
}


@pytest.mark.parametrize(("text", "backend"), by_both(BETWEEN_FLOATS, few=1))
def test_what_lies_between_two_floats_is_in_the_error(text, backend):
    """A kink that is no float, a plateau and a dip narrower than the spacing of floats."""
    found = hitting_time(LearningProblem(text, **TEN), 0.0, backend=backend)
    assert abs(found.log_tau - BETWEEN_FLOATS[text]) <= found.error
    assert found.status is (Status.REACHED if found.error < 1 else Status.UNRESOLVED)


def plateau(u, log_width, log_slope):
    """log tau of a way that is nearly all spent where the profile is u: ``dz/dtau = T phi^T (1 - phi) u'``, T = 10."""
    return log_width - log_slope - math.log(10) + 10 * math.log1p(math.exp(-u)) + math.log1p(math.exp(u))


FAR_BETWEEN = {
    "sigmoid(where(z<1/3, z, where(z<1/3+1e-15, 1/3+exp(-705)*(z-1/3), z-1e-15)))": plateau(
        1 / 3, math.log(1e-15), -705
    ),
    "sigmoid(where(z<1/3, z, where(z<1/3+1e-15, 1/3+exp(-720)*(z-1/3), z-1e-15)))": plateau(
        1 / 3, math.log(1e-15), -720
    ),
    "sigmoid(z + where(z<7/3, 0, where(z<7/3+1e-17, (1e-30-1)*(z-7/3), (1e-30-1)*1e-17))"
    " + abs(sin(27*where(z<2, z, 2)))/1000)": plateau(7 / 3 + abs(math.sin(54)) / 1000, 13 * math.log(10), 0),
}


@pytest.mark.parametrize(("text", "backend"), by_both(FAR_BETWEEN, few=1))
def test_slopes_past_the_floats_and_a_plateau_behind_many_kinks_are_in_the_error(text, backend, monkeypatch):
    monkeypatch.setattr("gateflow.gates.once.DERIVING", 60)  # 34 places take over 3 s of a slow processor
    found = hitting_time(LearningProblem(text, **TEN), 0.0, backend=backend)
    assert abs(found.log_tau - FAR_BETWEEN[text]) <= found.error
    assert found.status is (Status.REACHED if found.error < 1 else Status.UNRESOLVED)


def test_steep_places_at_which_no_slope_dips_cost_no_digit_and_little_work():
    """Bounds of the slope show it, where integrals in big floats would take most of a minute."""
    smooth = "2*z + sin(z)/9 + loggamma(z**2 + 1)*erf(z)/1000"
    found = hitting_time(LearningProblem(f"sigmoid({smooth} + 1e-13*tanh(1e12*sin(z)))", **TEN), 0.0)
    expected = hitting_time(LearningProblem(f"sigmoid({smooth})", **TEN), 0.0)
    assert found.log_tau == pytest.approx(expected.log_tau, abs=1e-13)
    assert found.error < 1e-13
    assert found.status is Status.REACHED


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_kink_that_is_a_float_or_of_no_weight_costs_no_digit(backend):
    """For T = 1 tau is the integral of ``(2 + 2 cosh(u))/u'^2`` over u: slope 1 up to the kink, 3 past it."""
    for kink in (Fraction(1), Fraction(1, 3)):
        text = f"sigmoid(where(z<{kink}, z, 3*z-2*{kink}))"
        found = hitting_time(LearningProblem(text, horizon=1, gap=0.01), 0.0, backend=backend)
        first, last = (
            2 * (u + mpmath.sinh(u)) for u in (mpmath.mpf(kink.numerator) / kink.denominator, mpmath.log(99))
        )
        assert abs(found.log_tau - float(mpmath.log(first + (last - first) / 9))) <= found.error < 2e-14


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_path_from_a_hole_and_one_that_ends_in_it(backend):
    """tau = integral of (1 + e^u)(1 + e^-u) over dz/u', u = 2z + tanh(z)/z: from 0 up, and from -1 to u = 1 at 0."""
    text = "sigmoid(2*z+tanh(z)/z)"
    gap = float(1 / (1 + mpmath.e))
    problem = LearningProblem(text, horizon=1, gap=[0.01, gap])
    found = hitting_time(problem, [0.0, -1.0], backend=backend)

    def density(z):
        u = 2 * z + (mpmath.tanh(z) / z if z else 1)
        slope = 2 + ((z * mpmath.sech(z) ** 2 - mpmath.tanh(z)) / z**2 if z else 0)
        return (1 + mpmath.exp(u)) * (1 + mpmath.exp(-u)) / slope

    with mpmath.workdps(30):
        end = mpmath.findroot(lambda z: 2 * z + mpmath.tanh(z) / z - mpmath.log(99), 2)
        true = [mpmath.quad(density, [0, 1, end]), mpmath.quad(density, [-1, 0])]
    assert np.all(np.abs(found.log_tau - [float(mpmath.log(x)) for x in true]) <= found.error)
    assert np.all(found.error < 1e-13)


# formula, T, log tau from 0 to gap 0.01, by mpmath with 40 digits as in row 2, cut at c +- 10^k, k from -18 to 0; the
# third again over t, z - 1 = 1e-12 sinh t, in 100 parts: the same.
STEPS = {
    "sigmoid(z + 0.3*atan((z-0.7)/1e-12))": (1, 4.661181082907343237),
    "sigmoid(z + 0.3*atan((z-0.7)/1e-13))": (1, 4.6611811362433721841),
    "sigmoid(z + softsign((z-1)/1e-12))": (10, 9.2509636796052073598),
    "sigmoid(z + softsign((z-1)/1e-13))": (10, 9.2509637010449498951),
}


@pytest.mark.parametrize(("text", "backend"), by_both(STEPS, few=1))
@pytest.mark.sampled(2)
def test_a_dip_of_the_density_beside_a_cut_is_not_missed(text, backend):
    """Far from a steep step the slope falls like a power: the density dips over 3e-7, between a cut and the nodes."""
    horizon, log_tau = STEPS[text]
    found = hitting_time(LearningProblem(text, horizon=horizon, gap=0.01), 0.0, backend=backend)
    assert abs(found.log_tau - log_tau) <= found.error + 2e-16 * abs(log_tau)
    assert abs(found.log_tau - log_tau) < 1e-13


def _arrival(u: float) -> float:
    """e^u + 2u - e^-u: tau of a profile of slope 1 for T = 1, from the profile where it is 0."""
    return math.exp(u) + 2 * u - math.exp(-u)


@pytest.mark.parametrize(("width", "backend"), by_both(["1e-13", "1e-12", "1e-9"], few=1))
def test_a_ramp_takes_no_time_and_costs_no_digits(width, backend):
    """u rises from 1 to 2 over the width, in a time of its square; what its formula loses is lost there only."""
    w = float(width)
    text = f"sigmoid(where(z<1, z, where(z<1+{width}, 1+(z-1)/{width}, 2+(z-1-{width}))))"
    found = hitting_time(LearningProblem(text, horizon=1, gap=0.01), 0.0, backend=backend)
    tau = _arrival(math.log(99)) - _arrival(2.0) + _arrival(1.0) + w * w * (_arrival(2.0) - _arrival(1.0))
    assert abs(found.log_tau - math.log(tau)) <= found.error
    assert found.error < 1e-13


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_profile_that_cancels_at_the_target_is_claimed_to_be_off(backend):
    """u = z - 1e-9 below the kinks, as a difference of thousands: it is off by 1e-13, and so is the way of 1e-9."""
    text = "sigmoid(z + 1000*abs(z-1) - 1000*abs(z-1-1e-12))"
    found = hitting_time(LearningProblem(text, horizon=1, gap=0.5), 0.0, backend=backend)
    miss = abs(found.log_tau - math.log(4e-9))
    assert miss <= found.error < 1e-2


@pytest.mark.parametrize("text", [*RIGHT, *STEPS])
@pytest.mark.sampled(4)
def test_balls_cross_what_is_narrow_and_what_is_flat(text):
    horizon, z0, log_tau = (STEPS[text][0], 0.0, STEPS[text][1]) if text in STEPS else (10, *RIGHT[text])
    found = enclose(LearningProblem(text, horizon=horizon, gap=0.01), z0, 20)
    assert abs(found.log_tau - log_tau) < 1e-15 * max(1.0, log_tau)
    assert found.digits == 20


@pytest.mark.parametrize(
    ("name", "u", "du"),
    [
        ("exp-square", lambda z: z * mpmath.exp(z * z), lambda z: (1 + 2 * z * z) * mpmath.exp(z * z)),
        (
            "iterated-sinh",
            lambda z: mpmath.sinh(mpmath.sinh(z)),
            lambda z: mpmath.cosh(mpmath.sinh(z)) * mpmath.cosh(z),
        ),
    ],
)
def test_balls_hold_profiles_of_exponentials(name, u, du):
    problem = LearningProblem(name, **TEN)
    with mpmath.workdps(30):
        end = mpmath.findroot(lambda z: u(z) - _end_of(10, -mpmath.log1p(-mpmath.mpf(0.01))), problem.z_star)
        true = _log_of_integral(lambda z: (1 + mpmath.exp(u(z))) / 10 / du(z), 10, u, [0, end / 4, end / 2, end])
    found = enclose(problem, 0.0, 20)
    assert abs(found.log_tau - true) < 1e-14
    assert found.digits == 20


def test_balls_cross_a_flat_point_towards_a_smooth_target():
    """|dL/dh| = 2 e^-h (e^-h* - e^-h); the same integral in w = |z|^(1/2), by mpmath."""
    text, within = "sigmoid(where(z<0, -(-z)**1.5, z**1.5))", mpmath.mpf(1) / 1000
    problem = LearningProblem(text, loss="squared", **TEN)
    with mpmath.workdps(30):
        h_star = -mpmath.log1p(-mpmath.mpf(0.01))

        def density(w):
            u = mpmath.sign(w) * abs(w) ** 3
            h = 10 * mpmath.log1p(mpmath.exp(-u))
            return (1 + mpmath.exp(u)) / 10 * 4 / 3 * mpmath.exp(h) / 2 / (mpmath.exp(-h_star) - mpmath.exp(-h))

        end = mpmath.cbrt(_end_of(10, h_star * (1 + within)))
        true = float(mpmath.log(mpmath.quad(density, [-1, -0.5, 0, 1, 1.5, 1.8, 1.88, end])))
    assert abs(enclose(problem, -1, 20, tolerance="0.001").log_tau - true) < 1e-13
    found = hitting_time(problem, -1.0, tolerance=1e-3)
    assert abs(found.log_tau - true) <= found.error + 1e-15 * true < 1e-11


NARROW = [
    "sigmoid(z + tanh((z-1)/{w}))",
    "sigmoid(z + erf((z-0.3)/{w}))",
    "sigmoid(z + sqrt((z-1)**2+({w})**2)*0.999)",
    "sigmoid(where(z<1, z, where(z<1+{w}, 1+(z-1)/{w}, 2+(z-1-{w}))))",
    "sigmoid(where(z<1, z, where(z<1+{w}, 1+1e-6*(z-1), 1+1e-6*{w}+(z-1-{w}))))",
    "sigmoid(z - abs(z-1)*0.4999 + abs(z-1-{w})*0.4999)",
    "1/(1+exp(-z-tanh((z-1)/{w})/2))",
    "sigmoid(z + ({w})*softsign((z-1)/{w}))",
    *(text.replace("1e-12", "{w}") for text in STEPS if "1e-12" in text),
]


@pytest.mark.skipif(available() is None, reason="no compiler")
@pytest.mark.parametrize(
    "text", [pytest.param(text, marks=[pytest.mark.slow] * (k % 2)) for k, text in enumerate(NARROW)]
)
@pytest.mark.sampled(4)
def test_both_backends_claim_the_same(text):
    """Starts below, on, within and above a feature 1e-12 wide: the errors are within a factor 4, the times agree."""
    problem = LearningProblem(text.format(w="1e-12"), horizon=[[1], [10]], gap=0.01)
    one, two = (hitting_time(problem, [0.0, 1.0, 1 + 5e-13, 3.0], backend=backend) for backend in ("numpy", "compiled"))
    finite = np.isfinite(one.error) & np.isfinite(two.error)
    assert np.array_equal(one.status, two.status)
    assert np.array_equal(np.isfinite(one.error), np.isfinite(two.error))
    assert np.all(np.abs(one.log_tau - two.log_tau)[finite] <= (one.error + two.error)[finite])
    assert np.all(np.abs(np.log(one.error / two.error))[finite] < math.log(4))


@pytest.mark.parametrize(("slope", "backend"), by_both(["1e-17", "1e-200"], few=1))
def test_a_plateau_takes_its_length_over_its_slope(slope, backend):
    """All of the time passes on it: tau = (1 + e^u)/(T u' phi^T) times its length, at u = 1."""
    text = f"sigmoid(where(z<1, z, where(z<101, 1+{slope}*(z-1), z-100+100*{slope})))"
    found = hitting_time(LearningProblem(text, **TEN), 0.0, backend=backend)
    expected = math.log(100 * (1 + math.e) / 10) + 10 * math.log1p(math.exp(-1)) - math.log(float(slope))
    assert abs(found.log_tau - expected) <= 2 * found.error + 1e-15 * abs(expected) + 1e-14


@pytest.mark.parametrize("slope", ["1e-17", "1e-100"])
def test_a_plateau_on_the_way_to_a_smooth_target(slope):
    """As above, with |dL/dh| = 2 e^-h (e^-h* - e^-h) at u = 1."""
    text = f"sigmoid(where(z<1, z, where(z<101, 1+{slope}*(z-1), z-100+100*{slope})))"
    found = hitting_time(LearningProblem(text, loss="squared", **TEN), 0.0, tolerance=1e-3)
    h = 10 * math.log1p(math.exp(-1))
    slope_of_loss = 2 * math.exp(-h) * (0.99 - math.exp(-h))
    expected = math.log(100 * (1 + math.e) / 10 / slope_of_loss) - math.log(float(slope))
    assert abs(found.log_tau - expected) <= 2 * found.error + 1e-15 * abs(expected) + 1e-14


@pytest.mark.parametrize(
    ("powers", "backend"), by_both([("1.99", "1.1", "1"), ("1.5", "1.5", "0"), ("1.2", "1.9", "(3/10)")], few=1)
)
@pytest.mark.sampled(4)
def test_a_flat_crossing_of_two_powers(powers, backend):
    """In w = t^(2-p) the integrand is smooth: dt/t^(p-1) = dw/(2-p)."""
    import mpmath

    (p, q, at), a, b = powers, 2, 0.5
    text = f"sigmoid(where(z<{at}, -{a}*({at}-z)**{p}, {b}*(z-{at})**{q}))"
    found = hitting_time(LearningProblem(text, **TEN), -1.0, backend=backend)
    with mpmath.workdps(30):
        point = mpmath.mpf(3) / 10 if "/" in at else mpmath.mpf(at)
        u_star = -mpmath.log(mpmath.expm1(-mpmath.log1p(-mpmath.mpf(0.01)) / 10))

        def side(sign, n, c, far):
            def density(w):
                u = sign * c * w ** (n / (2 - n))
                kept = mpmath.exp(10 * mpmath.log1p(mpmath.exp(-u)))
                return (1 + mpmath.exp(u)) * kept / 10 / (c * n) / (2 - n)

            top = far ** (2 - n)
            return mpmath.quad(density, [0, *(top * mpmath.mpf(2) ** -k for k in range(12, -1, -1))])

        end = (u_star / b) ** (1 / mpmath.mpf(q))
        tau = side(-1, mpmath.mpf(p), mpmath.mpf(a), point + 1) + side(1, mpmath.mpf(q), mpmath.mpf(b), end)
        miss = abs(float(mpmath.expm1(mpmath.mpf(found.log_tau) - mpmath.log(tau))))
    assert miss <= 2 * found.error < 1e-12


@COMPILED
@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(where(z<1, -2*(1-z)**1.99, 0.5*(z-1)**1.1))",
        pytest.param("sigmoid(sign(z)*abs(z)**1.5)", marks=pytest.mark.slow),
        pytest.param("sigmoid(z**3 + 1e-60*z)", marks=pytest.mark.slow),
    ],
)
def test_a_flat_crossing_is_one_piece_of_code_for_both_backends(text):
    """The kernel hands every path over such a point to NumPy: the same bits; a path beside it is the kernel's own."""
    problem = LearningProblem(text, horizon=[[1], [10], [1000]], gap=[0.3, 0.01, 1e-9])
    one, two = (hitting_time(problem, -1.0, backend=backend) for backend in ("numpy", "compiled"))
    assert np.array_equal(one.log_tau, two.log_tau)
    assert np.array_equal(one.error, two.error)
    assert np.array_equal(one.evaluations, two.evaluations)
    assert np.all(one.error < 1e-10)
    beside = [hitting_time(problem, 1.25, backend=backend) for backend in ("numpy", "compiled")]
    assert np.any(beside[0].evaluations != beside[1].evaluations)


def _end_of(horizon, h):
    """The profile where the total decay is h."""
    return -mpmath.log(mpmath.expm1(h / horizon))


def _log_of_integral(factor, horizon, u, edges):
    """log of the integral of ``factor(z) (1 + e^-u)^T``, with 30 digits."""
    with mpmath.workdps(30):
        return float(
            mpmath.log(mpmath.quad(lambda z: factor(z) * mpmath.exp(horizon * mpmath.log1p(mpmath.exp(-u(z)))), edges))
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_gap_next_to_1_keeps_its_digits(backend):
    """1 - exp(-1e-10) = 9.9999999995e-11 is what is kept: h* = 23.02585093."""
    assert LearningProblem("sigmoid", horizon=10, log_gap=-1e-10).z_star == pytest.approx(
        -2.1972245773417749, rel=1e-15
    )
    kept = LearningProblem("sigmoid", horizon=10, log_gap=-1e-17)
    assert kept.h_star == pytest.approx(17 * math.log(10), rel=1e-15)
    assert hitting_time(kept, 0.3, backend=backend).status is Status.REACHED
    found = hitting_time(LearningProblem("sigmoid", horizon=10, log_gap=-1e-10), 0.3, backend=backend)
    edges = [_end_of(10, -mpmath.log(-mpmath.expm1(-mpmath.mpf(1e-10)))), -1, 0, 0.3]
    true = _log_of_integral(lambda z: (1 + mpmath.exp(z)) / 10, 10, lambda z: z, edges)
    assert abs(found.log_tau - true) <= found.error < 1e-12


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("gap", ["1e-400", Fraction(1, 10**400), Decimal("1e-400")])
def test_exact_gaps_below_the_floats(gap, backend):
    """Sigmoid, T = 1: tau is 1/gap to leading order."""
    found = hitting_time(LearningProblem("sigmoid", horizon=1, gap=gap), 0.0, backend=backend)
    assert found.log_tau == pytest.approx(921.03403719762, rel=1e-13)
    many = LearningProblem("sigmoid", horizon=1, gap=[Fraction(1, 10**400), Fraction(1, 4)])
    assert many.h_star[1] == pytest.approx(math.log(4 / 3), rel=1e-15)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["sigmoid(z)**2", "sigmoid"])
def test_a_start_beside_the_target_of_an_exact_gap_is_off_by_what_its_logarithm_was_rounded_by(name, backend):
    """1e-9 above it: the way over the speed of phi = s^n, in big floats."""
    problem = LearningProblem(name, horizon=1000, gap="1e-400")
    z0 = problem.z_star + 1e-9
    found = hitting_time(problem, z0, backend=backend)
    n = 2 if "2" in name else 1
    with mpmath.workdps(450):
        goal = mpmath.log1p(-(mpmath.mpf(10) ** -400)) / (1000 * n)  # log s at the target
        z_star = -mpmath.log(mpmath.expm1(-goal))
        rest = 1 / (1 + mpmath.exp(mpmath.mpf(z0)))  # dz/dtau = T n (1 - s) s^(T n); s is 1 to 400 digits
        true = mpmath.log((mpmath.mpf(z0) - z_star) / (1000 * n * rest))
    assert abs(found.log_tau - float(true)) <= found.error < 1e-2


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_start_at_ulps_from_the_target(backend):
    """erf, T = 3, gap 1e-100, five ulps below: 2.7e84 in big floats."""
    problem = LearningProblem("erf", horizon=3, gap=1e-100)
    z0 = problem.z_star - 5 * np.spacing(problem.z_star)
    found = hitting_time(problem, z0, backend=backend)
    assert found.error > 0
    assert abs(found.tau / 2.7378e84 - 1) < 1e-3 or found.error == math.inf


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["softsign", "student-t", "fast", "erf"])
@pytest.mark.sampled(5)
def test_a_start_on_the_rounded_target_is_never_infinite(name, backend):
    rng = np.random.default_rng(5)
    problem = LearningProblem(name, horizon=10 ** rng.uniform(0, 6, 60), gap=10 ** rng.uniform(-16, -1, 60))
    found = hitting_time(problem, problem.z_star, backend=backend)
    assert (found.status == "reached").all()
    assert (found.log_tau < np.inf).all()
    assert (found.error > 0).all()


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("name", ["softsign", "fast", "erf"])
def test_the_time_from_the_rounded_target_is_right(name, backend):
    """T = 1, gap 1e-10; what z* was rounded by is known in balls."""
    problem = LearningProblem(name, horizon=1, gap=1e-10)
    found = hitting_time(problem, problem.z_star, backend=backend)
    case = ball_oracle.Case(name, ball_cases.CATALOGUE[name], 1.0, "gap", 1e-10, problem.z_star)
    true = ball_oracle.log_tau(case, 1e-15)
    assert abs(found.log_tau - float(true.mid())) <= found.error < 1e-9


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("horizon", [1.0, 1000.0])
@pytest.mark.sampled(3)
def test_the_time_of_student_t_from_the_rounded_target_is_right(horizon, backend):
    """phi is the distribution of Student's t with 4 degrees of freedom, by the incomplete beta function; gap 1e-10."""
    problem = LearningProblem("student-t", horizon=horizon, gap=1e-10)
    found = hitting_time(problem, problem.z_star, backend=backend)
    with mpmath.workdps(50):
        t = mpmath.mpf(horizon)
        goal = -mpmath.expm1(mpmath.log1p(-mpmath.mpf(1e-10)) / t)
        rest = lambda z: mpmath.betainc(2, 0.5, 0, 4 / (4 + z * z), regularized=True) / 2  # noqa: E731
        density = lambda z: (1 + z * z / 4) ** mpmath.mpf(-2.5) * 3 / 8  # noqa: E731
        z0 = mpmath.mpf(problem.z_star)
        z_star = mpmath.findroot(lambda z: rest(z) / goal - 1, (z0, z0 * (1 + mpmath.mpf(10) ** -12)))
        middle = (z0 + z_star) / 2  # the way is 1e-16 long: the integrand is what it is in the middle to 1e-30
        true = mpmath.log(abs(z_star - z0) / (t * (1 - rest(middle)) ** (t - 1) * density(middle)))
    assert abs(found.log_tau - float(true)) <= found.error < 1e-6


def test_every_dip_on_the_way_is_looked_at():
    """1 + cos z is 0 at 79 pi = 248.2."""
    problem = LearningProblem("sigmoid((z+sin(z))/100)", **TEN)
    for backend in HERE:
        assert hitting_time(problem, 250.0, backend=backend).status is Status.STUCK, backend


def test_an_error_is_never_nan():
    # phi = s^(1/4), so tau is the integral of 4/T (1 + e^z)(1 + e^-z)^(T/4); it falls over 1/12500 behind z = 0
    edges = [0, *(2.0**k for k in range(-15, 7, 2)), _end_of(1e5, -mpmath.log1p(-mpmath.mpf(1e-30)) * 4)]
    true = _log_of_integral(lambda z: 4 / mpmath.mpf(1e5) * (1 + mpmath.exp(z)), 2.5e4, lambda z: z, edges)
    for backend in HERE:
        found = hitting_time(LearningProblem("sigmoid(z)**0.25", horizon=1e5, gap=1e-30), 0.0, backend=backend)
        assert abs(found.log_tau - true) <= found.error < 1e-9, backend


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_cancelled_slope_takes_bounded_work(backend):
    text = "sigmoid(z - (1-1e-12)*1e-5*tanh((z-1.0037)/1e-5))"
    found = hitting_time(LearningProblem(text, **TEN), 0.0, backend=backend)
    assert found.evaluations < 200_000
    # by mpmath with 40 digits, over t in x = (z - 1.0037)/1e-5 = 1e-6 sinh t, as u' is 1e-12 + x^2 about x = 0;
    # in 120 parts and in 200, cut at 0: the same
    miss = abs(found.log_tau - 6.0570632649387343)
    assert miss <= found.error + 1e-15
    assert found.error < 1e-4


def test_past_the_known_features_the_error_is_infinite():
    """The waves nearest to 0 are cut one by one; beyond the last cut something may be hidden."""
    text = "sigmoid((z + 0.9999*sin(z))/1e6)"
    problem = LearningProblem(text, horizon=1, gap=[0.4, 0.01])
    assert problem.z_star[0] < features(gate(text)).known < problem.z_star[1]
    for backend in HERE:
        found = hitting_time(problem, problem.z_star - 100, backend=backend)
        assert found.error[0] < 1e-8, backend
        assert found.error[1] == math.inf, backend


def test_features_are_found_where_they_are():
    assert features(gate("erf")).cuts == features(Gate("(1 + erf(z))/2")).cuts
    narrow = features(Gate("sigmoid(z + 1e-5*tanh((z - 0.3)/1e-9))")).cuts
    assert min(abs(z - 0.3) for z in narrow) < 2e-8
    assert max(b - a for a, b in itertools.pairwise(narrow) if b > 0.3 - 1e-9 and a < 0.3 + 1e-9) < 2e-8


NARROW = [text for text in RIGHT if "1e-40" in text]


@pytest.mark.parametrize("text", NARROW)
def test_a_flow_whose_time_lies_between_two_floats_is_refused_in_bounded_work(text):
    problem = LearningProblem(text, **TEN)
    with pytest.raises(NotReached, match="floats along it do not tell one digit"):
        flow(problem, 0.0)
    many = flow(LearningProblem(text, horizon=10, gap=[0.01, 0.02]), 0.0)
    assert np.isnan(many.at(1e10).z).all()
    before = flow(LearningProblem(text, horizon=10, gap=[0.01, 0.7]), 2.0)  # neither way passes the point
    assert np.isfinite(before.at(0.1).z).all()


@pytest.mark.parametrize("text", [text for text in RIGHT if "60" not in text and text not in NARROW])
def test_a_trajectory_s_own_check_agrees(text):
    z0, log_tau = RIGHT[text]
    path = flow(LearningProblem(text, **TEN), z0)
    assert path.check < 1e-9
    assert path.log_tau[-1] == pytest.approx(log_tau, rel=1e-9)


# u' is 1e-6 over a width of 1e-12: floats there tell neither u nor its slope
BLURRED = "sigmoid(z - sqrt((z-1)**2 + (1e-12)**2)*0.999999)"


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_time_without_a_known_digit_is_unresolved(backend):
    """One problem and many, also where the learning time at hand is less; the claimed error stays."""
    one = hitting_time(LearningProblem(BLURRED, horizon=1, gap=0.01), 0.0, backend=backend)
    assert one.status is Status.UNRESOLVED
    assert one.error >= 1
    many = hitting_time(LearningProblem(BLURRED, horizon=1, gap=[0.01, 0.6]), [0.0, -1.0], tau_max=1e5, backend=backend)
    assert many.status.tolist() == [Status.UNRESOLVED, Status.REACHED]
    assert many.error[1] < 1 <= many.error[0]


def test_a_flow_whose_times_are_unresolved_is_not_followed():
    with pytest.raises(NotReached, match="not one digit"):
        flow(LearningProblem(BLURRED, horizon=1, gap=0.01), 0.0)


def test_a_place_so_flat_that_no_float_holds_the_time_through_it(capsys):
    from gateflow.cli import main

    text = "sigmoid(abs(sinh(softplus(z*(z + 1000000000)))) + 10000000)"
    assert main(["time", text, "--horizon", "10", "--gap", "0.01"]) == 2
    assert "was not found" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["time", "flow"])
def test_the_command_line_has_no_answer_to_an_unresolved_time(command, capsys):
    from gateflow.cli import main

    assert main([command, BLURRED, "--horizon", "1", "--gap", "0.01"]) == 3
    printed = capsys.readouterr()
    assert "not one digit" in " ".join((printed.out + printed.err).split())


SATURATING = {**POWERS, **EXPONENTIALS}


@pytest.mark.parametrize(("text", "backend"), by_both([t for t in SATURATING if "1+sqrt(abs" not in t], few=2))
@pytest.mark.parametrize(("horizon", "gap", "z0"), [(1, 0.1, 0.125), (50, 1e-12, 1.0), (50, 1e-15, 1.0)])
@pytest.mark.sampled(5)
def test_times_of_formulas_whose_complement_cancels_as_written(text, backend, horizon, gap, z0):
    """tau is the integral of 1/(T phi^(T - 1) phi') over z, to where phi^T is 1 - gap."""
    value, rest, slope = SATURATING[text]
    with mpmath.workdps(50):
        left = -mpmath.expm1(mpmath.log1p(-mpmath.mpf(gap)) / horizon)
        low, high = mpmath.mpf(z0), mpmath.mpf(1)
        while rest(high) > left:
            high *= 2
        for _ in range(180):
            middle = (low + high) / 2
            low, high = (middle, high) if rest(middle) > left else (low, middle)
        ends = [mpmath.mpf(z0)]
        while ends[-1] < high:
            ends.append(min(ends[-1] + (ends[-1] / 2 if text in POWERS else 1), high))
        tau = mpmath.quad(lambda z: 1 / (horizon * value(z) ** (horizon - 1) * slope(z)), ends)
    found = hitting_time(LearningProblem(text, horizon=horizon, gap=gap), z0, backend=backend)
    assert found.status is Status.REACHED
    assert abs(found.log_tau - mpmath.log(tau)) <= found.error < 1e-12


def test_an_enclosure_of_a_sum_of_exponentials_holds_the_time():
    problem = LearningProblem("1/(1+exp(-z)+exp(-2*z))", horizon=5, gap=1e-3)
    ball = enclose(problem, 0.5, 20)
    assert ball.status is Status.REACHED
    assert hitting_time(problem, 0.5).log_tau == pytest.approx(ball.log_tau, abs=1e-13)
