"""Gates whose domain ends at a finite z, which the target approaches: there z* rounds to the end itself."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from gateflow.codegen.compiler import available
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem, Status, hitting_time
from gateflow.flows.batch import ProblemBatch
from gateflow.flows.enclosure import enclose
from gateflow.flows.features import features
from gateflow.flows.panels import Panels
from gateflow.gates.gate import gate
from gateflow.gates.inversion import increasing_root


def logistic(u):
    return 1 / (1 + mpmath.exp(-u))


GATES = {
    "sigmoid(atanh(z))": (mpmath.tanh, lambda u: mpmath.sech(u) ** 2, "0", mpmath.atanh),
    "sigmoid(8*atanh(z))": (
        lambda u: mpmath.tanh(u / 8),
        lambda u: mpmath.sech(u / 8) ** 2 / 8,
        "0.25",
        lambda z: 8 * mpmath.atanh(z),
    ),
    "sigmoid(atanh(2*z - 1))": (
        lambda u: (1 + mpmath.tanh(u)) / 2,
        lambda u: mpmath.sech(u) ** 2 / 2,
        "0.5",
        lambda z: mpmath.atanh(2 * z - 1),
    ),
    "sigmoid(logit(z))": (
        logistic,
        lambda u: logistic(u) * logistic(-u),
        "0.5",
        lambda z: mpmath.log(z / (1 - z)),
    ),
    "sigmoid(4*logit((z + 3)/7))": (
        lambda u: 7 * logistic(u / 4) - 3,
        lambda u: 7 * logistic(u / 4) * logistic(-u / 4) / 4,
        "0.5",
        lambda z: 4 * mpmath.log((z + 3) / (4 - z)),
    ),
    "sigmoid(sinh(2*logit(z)))": (
        lambda u: logistic(mpmath.asinh(u) / 2),
        lambda u: logistic(mpmath.asinh(u) / 2) * logistic(-mpmath.asinh(u) / 2) / 2 / mpmath.sqrt(1 + u * u),
        "0.5",
        lambda z: mpmath.sinh(2 * mpmath.log(z / (1 - z))),
    ),
    "sigmoid(exp(atanh(z)) - 2)": (
        lambda u: mpmath.tanh(mpmath.log(u + 2)),
        lambda u: mpmath.sech(mpmath.log(u + 2)) ** 2 / (u + 2),
        "0",
        lambda z: mpmath.exp(mpmath.atanh(z)) - 2,
    ),
    "sigmoid(atanh(sqrt(z)))": (
        lambda u: mpmath.tanh(u) ** 2,
        lambda u: 2 * mpmath.tanh(u) * mpmath.sech(u) ** 2,
        "0.25",
        lambda z: mpmath.atanh(mpmath.sqrt(z)),
    ),
}
"""z as a function of the profile u, its derivative, a start, and u as a function of z."""

GAPS = ("1e-5", "1e-12", "1e-14", "1e-20", "1e-100")


def log_tau(name: str, gap: str, horizon: int = 10):
    """``tau = int (dz/du)^2 (1 + exp(u)) / (T phi^T) du``, from u(z0) to u*: nothing of it is close to an end."""
    _, slope, start, profile = GATES[name]
    with mpmath.workdps(140):
        kept = mpmath.log1p(-mpf(float(gap))) / horizon
        end, first = -mpmath.log(mpmath.expm1(-kept)), profile(mpf(start))
    with mpmath.workdps(30):

        def density(u):
            return slope(u) ** 2 * (1 + mpmath.exp(u)) / (horizon * logistic(u) ** horizon)

        marks = [first, *(mpf(k) for k in (1, 2, 4, 8, 12, 16, 20, 24, 32, 48, 64, 96, 128, 192) if first < k < end)]
        marks += [end - k for k in (16, 8, 4, 2, 1) if end - k > marks[-1]]
        return mpmath.log(mpmath.quad(density, [*marks, end]))


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("name", GATES)
def test_times_are_right_and_known_to_be_and_the_same_in_c(name, gap):
    problem, expected = LearningProblem(name, horizon=10, gap=float(gap)), log_tau(name, gap)
    start = float(GATES[name][2])
    for backend in ("numpy", "compiled") if available() else ("numpy",):
        found = hitting_time(problem, start, backend=backend)
        assert found.status is Status.REACHED
        assert found.error < 1e-12
        assert abs(mpmath.expm1(found.log_tau - expected)) <= found.error


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("name", [name for name in GATES if gate(name).formulas.inverse is not None])
def test_times_are_enclosed(name, gap):
    found = enclose(LearningProblem(name, horizon=10, gap=float(gap)), GATES[name][2], digits=20)
    with mpmath.workdps(40):
        tau = mpmath.exp(log_tau(name, gap))
        assert found.digits >= 20
        assert abs(mpf(found.mid) - tau) <= mpf(found.radius) + tau * mpf(10) ** -24


class Falling:
    """A density that is ``exp(-v)`` up to a point, and 0 in floats from there on."""

    def __init__(self, last):
        self.last = last

    def log_density(self, _, v):
        return np.where(v < self.last, -v, -np.inf)


@pytest.mark.parametrize("last", [0.0, 1.5, 3.5])
def test_a_density_of_0_beside_an_edge_is_known_there(last):
    batch = ProblemBatch.of(LearningProblem("sigmoid", horizon=10, gap=[0.1]), 0.0).rows()
    panels = Panels(Falling(last), np.array([0]), np.array([1.0]), np.array([3.0]), np.array([[-1.0], [-np.inf]]))
    if last < 1:
        panels.at_ends = np.full((2, 1), -np.inf)
    log, error = panels.log_sums(batch)
    assert not np.isnan(log).any()
    assert not np.isnan(error).any()
    assert (log[0] == -np.inf) == (last < 1)


def test_an_inverse_does_not_stop_where_the_slope_is_infinite():
    """The bisection begins at 0, from where Newton's steps are 0."""
    u = np.array([0.2, 0.5, 1.0, 5.0, 10.0])
    found = increasing_root(lambda z: np.arctanh(np.sqrt(z)), lambda z: -np.log(z) / 2 - np.log(1 - z) - np.log(2), u)
    np.testing.assert_allclose(found, np.tanh(u) ** 2, rtol=1e-14)
    problem = LearningProblem("sigmoid(atanh(sqrt(z)))", horizon=1, gap=0.1)
    assert problem.z_star == pytest.approx(np.tanh(np.log(9)) ** 2, rel=1e-14)


@pytest.mark.parametrize("name", ["sigmoid(sinh(logit(z)))", "sigmoid(logit(z)**3)", "sigmoid(sinh(3*atanh(z)))"])
def test_outside_of_its_domain_a_formula_hides_nothing(name):
    assert features(gate(name)).known == np.inf


@pytest.mark.parametrize(
    "name", ["sigmoid(log(z))", "sigmoid(tan(z))", "sigmoid(z/(1 - z**2))", "sigmoid(-log(1 - z))"]
)
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_formulas_that_go_on_falling_beyond_are_no_gates_for_either(name, backend):
    with pytest.raises(InvalidArgument, match=r"phi (falls between|has no value at) z ="):
        hitting_time(LearningProblem(name, horizon=10, gap=1e-5), 0.5, backend=backend)
