"""Flat points and dips of the slope: a true zero is told from a tiny slope, wherever it lies."""

from __future__ import annotations

import math

import mpmath
import pytest

from gateflow.flows import LearningProblem, hitting_time
from gateflow.flows.critical import goes_by_decay, reach, slope_minima, zero_near
from gateflow.gates.gate import Gate, gate

FLAT = {
    "sigmoid(z**3)": (0.0,),
    "sigmoid((z - 3)**3)": (3.0,),
    "sigmoid((z - 1000)**3)": (1000.0,),
    "sigmoid(z**3 - 3*sqrt(2)*z**2 + 6*z)": (math.sqrt(2),),
    "sigmoid(z**5/5 - 2*z**3/3 + z)": (-1.0, 1.0),
    "sigmoid(z**3 + z/10**20)": (),
    "sigmoid(z + 0.999*sin(z))": (),
    "sigmoid(z)": (),
    "sigmoid(sinh(sinh(z)))": (),
    "1/2 + atan(z)/pi": (),
    "(1 + erf(z))/2": (),
}


@pytest.mark.parametrize("text", FLAT)
def test_flat_points_of_known_gates(text):
    found = slope_minima(Gate(text)).flat
    assert len(found) == len(FLAT[text])
    assert all(abs(a - b) <= 4e-16 * abs(b) for a, b in zip(found, FLAT[text], strict=True))


def test_flat_points_of_a_wave_are_the_odd_multiples_of_pi():
    found = [z for z in slope_minima(Gate("sigmoid(z + sin(z))")).flat if 0 < z < 40]
    assert found == pytest.approx([math.pi * k for k in (1, 3, 5, 7, 9, 11)], rel=4e-16)


def test_narrow_dips_are_kept_as_such():
    found = slope_minima(Gate("sigmoid(z + 0.999999*sin(z))")).narrow
    assert min(abs(z - math.pi) for z in found) < 1e-6


def test_only_branches_cut_a_gate_off():
    assert reach(gate("hard-sigmoid")) == (-3.0, 3.0)
    for name in ("sigmoid", "fast", "softsign", "iterated-sinh", "erf", "log-slow"):
        assert reach(gate(name)) == (-math.inf, math.inf)


def test_which_gates_go_by_decay():
    assert goes_by_decay(gate("fast"))
    assert not goes_by_decay(gate("cubic"))
    assert not goes_by_decay(gate("hard-sigmoid"))
    assert not goes_by_decay(gate("erf"))


@pytest.mark.parametrize(
    "profile",
    [
        *("z*log(1+z**2)", "sinh(z)-z", "z*log(1+z**4)", "z-atan(z)", "z-asinh(z)", "log(1+z**2)*sign(z)"),
        *("z*sigmoid(log(abs(z)))", "z-sin(z)+z**3", "z*abs(z)", "z-tanh(z)"),
    ],
)
def test_a_slope_of_zero_stops_the_flow_whatever_float64_makes_of_it(profile):
    problem = LearningProblem(f"sigmoid({profile})", horizon=10, gap=0.1)
    assert hitting_time(problem, [-1.0, 0.0, 0.3]).status.tolist() == ["stuck", "stuck", "reached"]


def test_a_zero_of_power_below_one_is_crossed_in_the_time_of_its_integral():
    """u = z |z|^(1/2): dz/dtau is c T phi^(T-1) phi phi_c u', and 1/u' is integrable at 0."""
    time = hitting_time(LearningProblem("sigmoid(z*sqrt(abs(z)))", horizon=10, gap=0.1), -0.5)

    def density(z):
        u = z * mpmath.sqrt(abs(z))
        phi = 1 / (1 + mpmath.exp(-u))
        return 1 / (10 * phi**10 * (1 - phi) * mpmath.mpf(3) / 2 * mpmath.sqrt(abs(z)))

    with mpmath.workdps(30):
        u_star = -mpmath.log(mpmath.expm1(-mpmath.log(mpmath.mpf("0.9")) / 10))
        exact = mpmath.quad(density, [mpmath.mpf("-0.5"), 0, u_star ** (mpmath.mpf(2) / 3)])
    assert time.status == "reached"
    assert abs(time.tau / float(exact) - 1) < 1e-7


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid((z - sqrt(2))*exp(-1/(z - sqrt(2))**2))",
        "sigmoid((z - sqrt(2))*exp(-1/abs(z - sqrt(2))))",
        "sigmoid(where(z < sqrt(2), -(sqrt(2) - z)**1.4, (z - sqrt(2))**2))",
    ],
)
def test_a_zero_of_no_one_power_is_found_from_afar(text):
    """A Newton step for one power ends too far from it for the power to say how far."""
    point, kind = zero_near(Gate(text), 1.4142135)
    assert (point, kind) == (pytest.approx(math.sqrt(2), rel=4e-16), "flat")


@pytest.mark.parametrize("text", ["sigmoid(z**3**5**2**z)", "sigmoid(z**2**9**2**z**3)"])
def test_a_zero_of_a_power_that_changes_on_the_way_to_it_is_flat(text):
    """Its power grows without end in steps that each lead nearer; the limit of the powers at 0 is far above 1."""
    assert zero_near(Gate(text), 1e-6) == (0.0, "flat")
