"""The operators that exported gates are made of, over the whole line; `test_onnx` runs them in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import special

from gateflow.gates.gate import GATES, gate
from gateflow.nn.exporting import ExportedArithmetic, _gate


@pytest.mark.parametrize("name", GATES)
def test_gates_in_plain_operators_have_values_on_the_whole_line(name):
    """Far out, at 0 and at -0, where a formula may be inf - inf or turn by the sign of 0; against double-double."""
    z = torch.tensor([-1e4, -300.0, -30.0, -3.0, -0.0, 0.0, 1e-3, 3.0, 30.0, 300.0, 1e4])
    np.testing.assert_allclose(_gate(z, name, "phi"), gate(name).phi(z.double().numpy()), rtol=1e-5, atol=1e-6)


def test_erfcx_in_plain_operators_is_that_of_scipy():
    x = torch.linspace(-5, 50, 1000, dtype=torch.float64)
    np.testing.assert_allclose(ExportedArithmetic(x.dtype).erfcx(x), special.erfcx(x.numpy()), rtol=1e-5)


def test_acot_is_from_0_to_pi_and_a_right_angle_at_0():
    x = torch.tensor([-1e30, -1.0, -0.0, 0.0, 1.0, 1e30], dtype=torch.float64)
    expected = [np.pi, 3 * np.pi / 4, np.pi / 2, np.pi / 2, np.pi / 4, 1e-30]
    np.testing.assert_allclose(ExportedArithmetic(x.dtype).acot(x), expected, rtol=1e-6)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("what", ["log_phi", "log_phi_c"])
def test_logarithms_in_plain_operators_are_those_of_the_gate(name, what):
    """Against double-double; up to where float64 has no more of a probability, whose logarithm some formulas are of."""
    z = torch.tensor([-5.0, -1.0, -0.5, 0.0, 0.5, 1.0, 5.0], dtype=torch.float64)
    if gate(name).value_outside is None:
        np.testing.assert_allclose(_gate(z, name, what), getattr(gate(name), what)(z.numpy()), rtol=2e-5, atol=1e-6)
