"""Rung 3, unit by unit: a path that is a flow is predicted; one that is none shows which law it keeps to."""

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp
from scipy.special import expit

from gateflow.errors import InvalidArgument
from gateflow.study.units import units

T = 20
SCALES = np.array([0.3, 1.0, 2.0, -0.5])
STEPS = np.arange(0, 100, 10)


def fast_path(z0, steps=STEPS):
    """z of units that flow with different c, straight from eq. 15, by SciPy."""

    def velocity(_, z):
        f = expit(np.sinh(z))
        return SCALES * T * f**T * (1 - f) * np.cosh(z)

    found = solve_ivp(velocity, (0, steps[-1]), np.full(len(SCALES), z0), t_eval=steps, rtol=1e-11, atol=1e-12)
    return found.y.T


def run(z):
    """The metrics of a run whose units have these mean pre-activations, with inputs that do not matter."""
    constants = 1 / np.log1p(np.exp(-np.sinh(z)))
    return [
        {"kind": "gates", "step": int(n), "layers": [{"units": {"z": list(row), "timescale": list(tau)}}]}
        for n, row, tau in zip(STEPS, z, constants, strict=True)
    ]


def test_units_that_flow_end_where_the_flow_says_whatever_their_scale():
    found = units(run(fast_path(1.5)), "fast", T)
    assert found.steps == (30, 90)
    errors = found.errors()
    assert errors["flow"] < 1e-7
    assert errors["constant speed"] > 1e-2
    assert np.log(found.predicted["flow"] / found.measured) == pytest.approx(0, abs=1e-7)  # those that fall, too


def test_units_at_a_constant_speed_keep_it():
    speeds = np.array([0.01, 0.02, -0.01])
    found = units(run(1.5 + STEPS[:, None] * speeds), "fast", T)
    errors = found.errors()
    assert errors["constant speed"] < 1e-12
    assert errors["flow"] > 1e-2


def test_units_at_rest_are_told_by_every_law():
    errors = units(run(np.full((10, 3), 1.5)), "fast", T).errors()
    assert max(errors.values()) < 1e-12


def test_the_time_to_a_time_scale_is_ranked_as_the_flow_ranks_it():
    path = fast_path(1.0)
    found = units(run(path), "fast", T)
    assert np.isinf(found.soon[3])  # it falls
    assert np.isinf(found.predicted_soon[3])
    assert found.rank() > 0.9  # two arrive between the same evaluations
    aim = math.sqrt(T / math.log1p(math.exp(-math.sinh(1.0))))
    fine = np.linspace(0, STEPS[-1], 9001)
    constants = 1 / np.log1p(np.exp(-np.sinh(fast_path(1.0, fine))))
    assert found.predicted_soon[:3] == pytest.approx(fine[(constants[:, :3] >= aim).argmax(axis=0)], abs=0.011)


def test_a_run_that_recorded_no_units_is_refused():
    with pytest.raises(InvalidArgument, match="record_units"):
        units([{"kind": "gates", "step": 0, "layers": [{}]}], "fast", T)
