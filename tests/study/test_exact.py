"""Rung 1: the learning problem as a PyTorch model takes the predicted steps."""

import pytest

from gateflow.errors import InvalidArgument
from gateflow.gates.gate import GATES
from gateflow.study.exact import exact

UNREACHED = {"log-slow"}
"""Its z for these starts are past the floats."""


EVERY = ["sigmoid(k*z); k=2", *sorted(set(GATES) - UNREACHED), "sigmoid(z+z**3)"]


@pytest.mark.parametrize(
    "gate", [pytest.param(gate, marks=[pytest.mark.slow] * (k % 12 > 0)) for k, gate in enumerate(EVERY)]
)
def test_gradient_descent_is_right_to_a_step_and_adam_to_its_error_for_every_gate(gate):
    from gateflow.cli._options import gate_of

    found = exact(gate_of(gate), ["sgd", "adam"], horizons=[10])
    assert len(found.runs) == 4
    assert len(found.valid) >= 3
    assert found.holds, [run for run in found.valid if not run.agrees]
    for run in found.valid:
        if run.optimizer == "sgd":
            assert abs(run.steps - run.predicted) <= 1


def test_momentum_and_rmsprop_are_right_as_well():
    found = exact("fast", ["momentum", "rmsprop"], horizons=[10])
    assert len(found.valid) == 4
    assert found.holds


def test_what_has_no_place_in_floats_is_refused():
    with pytest.raises(InvalidArgument, match="log-slow has no z"):
        exact("log-slow", ["sgd"], horizons=[1000])
