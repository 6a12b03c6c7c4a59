"""A parameter fitted to a purpose: optima that are known by formula, by theorem, or by trying everything."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow import fit
from gateflow.descents.fitting import Steps
from gateflow.errors import GateflowError, InvalidArgument
from gateflow.flows import LearningProblem, hitting_time


def test_a_known_optimum_is_recovered():
    """From 1/2 with T = 1 sigmoid(k z) takes (e^z + 2 z - e^-z)/k^2, with e^z = 99; the wanted time is 10."""
    once = 99 + 2 * math.log(99) - 1 / 99

    def off(gate):
        tau = hitting_time(LearningProblem(gate, horizon=1, gap=0.01), 0.0).tau
        return (math.log(tau) - math.log(10)) ** 2

    found = fit("sigmoid(k*z)", off)
    assert found.value == pytest.approx(math.sqrt(once / 10), rel=1e-6)
    assert not found.at_bound
    assert found.parameter == "k"
    assert float(found.gate.phi(1 / found.value)) == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-12)


@pytest.mark.parametrize(("starts", "value"), [((20.0, 200.0), 0.5), ((400.0, 4000.0), 2.0)], ids=["below", "above"])
@pytest.mark.sampled(2)
def test_by_the_theorem_the_best_gate_is_at_an_end_of_the_range(starts, value):
    found = fit("fast(alpha)", Steps((100.0, 1000.0), starts), within=(0.5, 2.0))
    assert found.value == value
    assert found.at_bound


@pytest.mark.parametrize("within", [(0.1, 0.7), (-3.0, 0.3)], ids=["logarithmic", "linear"])
@pytest.mark.parametrize("side", [0, 1])
def test_an_end_of_the_range_is_found_exactly_and_told(within, side):
    """exp(log(0.1)) is not 0.1: the ends are those that were given."""
    found = fit("sigmoid(z + (k + 4)*z**3)", lambda gate: float(gate.phi(1.0)) * (1, -1)[side], within=within)
    assert found.value == within[side]
    assert found.at_bound


@pytest.mark.parametrize("text", ["sigmoid(1e3*k*z)", "sigmoid(k*1E+2*z + 0*π)", "σ(k*z*(2 + sin(1)))", "fast( k )"])
def test_exponents_constants_and_functions_are_no_parameters(text):
    text = text.replace("k", "alpha") if text.startswith("fast") else text
    assert fit(text, lambda gate: 0.0).parameter == ("alpha" if text.startswith("fast") else "k")


def test_between_both_directions_there_is_a_best_gate_inside():
    """Half of the units come from below, half from above: the best alpha beats every one of a grid."""
    purpose = Steps((100.0, 100.0), (20.0, 150.0))
    found = fit("fast(alpha)", purpose, within=(0.05, 20.0))
    tried = [purpose(_fast(alpha)) for alpha in np.geomspace(0.05, 20, 12)]
    assert found.least <= min(tried) + 1e-12


def _fast(alpha):
    from gateflow.gates.gate import gate

    return gate("fast", alpha=float(alpha))


@pytest.mark.parametrize(
    ("text", "within", "message"),
    [
        ("fast(beta)", (0.1, 1), "gate 'fast' has no parameter beta; it has alpha"),
        ("sigmoid(a*z + b*z**3)", (0.1, 1), "one open parameter; .* has a and b"),
        ("sigmoid(2*z)", (0.1, 1), "one open parameter; .* has none"),
        ("fast", (0.1, 1), r"one open parameter, such as 'fast\(alpha\)'; fast has none"),
        ("fast(alpha=2)", (0.1, 1), r"one open parameter, such as 'fast\(alpha\)'; .* has none"),
        ("erf", (0.1, 1), "one open parameter; erf has none"),
        ("sigmoid(k(z))", (0.1, 1), "^unknown function 'k'"),
        ("sigmoid(1e3*a*z + b)", (0.1, 1), "has a and b$"),
        ("fast(alpha)", (2, 1), "within must be two numbers, the lower first"),
        ("fast(alpha)", (1,), "within must be two numbers, the lower first"),
    ],
)
def test_what_cannot_be_fitted_is_refused_in_one_line(text, within, message):
    with pytest.raises(GateflowError, match=message):
        fit(text, lambda gate: 0.0, within=within)


def test_an_objective_that_is_finite_nowhere_is_refused():
    with pytest.raises(InvalidArgument, match="the objective is finite nowhere for k from 1 to 2"):
        fit("sigmoid(k*z)", lambda gate: math.nan, within=(1, 2))


@pytest.mark.parametrize(
    ("timescales", "starts", "message"),
    [
        ((), None, "^timescales must be one time constant or more"),
        ("ab", None, "^timescales must be a real number; got 'ab'$"),
        ((100.0, -1.0), None, "^timescales must be finite and above 0; got -1$"),
        ((100.0,), (), "^starts must be one time constant or more"),
        ((100.0, 10.0), (1.0, 2.0, 3.0), "^starts must be one, or one for each of the 2 timescales; got 3$"),
    ],
)
def test_a_purpose_without_time_constants_is_refused_in_one_line(timescales, starts, message):
    with pytest.raises(InvalidArgument, match=message):
        Steps(timescales, starts)


@pytest.mark.parametrize("text", ["sigmoid(k*z)", "softsign(sharpness)"])
@pytest.mark.sampled(2)
def test_a_scale_of_z_makes_no_difference(text):
    """Steps at a step size of one's own do not know the unit of z."""
    found = fit(text, Steps((100.0, 1000.0)))
    assert found.flat
    assert found.where == "as good as any other in the range"
    assert not fit("fast(alpha)", Steps((100.0, 1000.0)), within=(0.5, 2.0)).flat
