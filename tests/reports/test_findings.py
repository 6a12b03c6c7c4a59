"""What a report tells is true: held against closed forms and against what the theory says of the gates."""

import mpmath
import numpy as np
import pytest

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.gates.gate import gate
from gateflow.reports.findings import catalogue_classes, findings, learning_times
from gateflow.results.status import Status


@pytest.mark.parametrize("gap", [1e-2, 1e-8])
def test_learning_starts_at_the_time_constant_of_the_horizon(gap):
    """For sigmoid and T = 1, tau is the rise of e^z + 2 z - e^-z, from phi = 1/e to phi = 1 - gap."""
    with mpmath.workdps(30):
        ends = [mpmath.log(phi / (1 - phi)) for phi in (mpmath.exp(-1), 1 - mpmath.mpf(gap))]
        low, high = (mpmath.exp(z) + 2 * z - mpmath.exp(-z) for z in ends)
        wanted = float(mpmath.log(high - low))
    found = learning_times(gate("sigmoid"), [1.0, 10.0], [gap])
    assert found.log_tau[0, 0] == pytest.approx(wanted, abs=1e-13)
    assert np.all(found.status == Status.REACHED)


def test_the_classes_of_the_catalogue_are_those_of_theory_section_3_and_5():
    places = {name: i for i, names in enumerate(reversed(catalogue_classes())) for name in names}
    climbing = ["softsign", "sigmoid", "erf", "cubic", "fast", "iterated-sinh"]
    assert [places[name] for name in climbing] == sorted({places[name] for name in climbing})
    assert places["softsign"] == places["arctan"]
    assert places["sigmoid"] == places["scaled-tanh"]


def test_each_gate_is_told_of_with_its_own_verdicts(three):
    fast, formula, hard = three.found.gates
    assert [one.membership.verdict for one in three.found.gates] == ["in F", "in F", "not in F"]
    against = {found.names[1]: found.verdict for found in formula.against}
    assert against["fast"] == "lower"
    assert against["linear-cubic"] == "equal"
    assert against["erf"] == "higher"
    assert fast.law.rate == "1/(c*T*tau*log(tau)**2)"
    assert "reaches 1 at a finite z" in hard.law.reason
    assert [found.verdict for found in three.found.among] == ["higher", "undecided", "undecided"]


def test_sigmoid_is_there_to_be_measured_by(three):
    assert {one.gate.name for one in three.found.advice} >= {"fast", "sigmoid", "hard-sigmoid"}


def test_a_gate_that_is_none_is_told_of_and_left_out():
    found = findings([gate("tanh(z)")], command="test")
    (one,) = found.gates
    assert one.membership.verdict == "not in F"
    assert "leaves (0, 1)" in one.times
    assert list(found.left_out) == ["tanh(z)"]
    assert [advice.gate.name for advice in found.advice] == ["sigmoid"]
    assert found.to_json()["gates"][0]["log_tau"] is None


@pytest.mark.parametrize(
    ("gates", "options", "said"),
    [
        ([], {}, "one to 8 gates"),
        (["fast"] * 9, {}, "one to 8 gates"),
        (["fast", "fast"], {}, "two of the gates are called fast"),
        (["fast(alpha=positive)"], {}, "an open parameter"),
        (["fast"], {"horizons": []}, "at least one horizon"),
        (["fast"], {"horizons": [0.5]}, "horizon must be finite and at least 1"),
        (["fast"], {"gaps": [1.0]}, "gap must be in"),
        (["fast"], {"timescale": 1.0}, "timescale must be from 2"),
        (["fast"], {"gaps": [float("nan")]}, "gap must be in"),
    ],
)
def test_bad_input_is_one_line(gates, options, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        findings([gate(text) for text in gates], **options)
    assert isinstance(caught.value, GateflowError)
    assert "\n" not in str(caught.value)
