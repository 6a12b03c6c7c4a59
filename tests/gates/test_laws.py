"""Laws that every gate of the catalogue is held to; a new file in gateflow/gates/catalogue is found by them itself."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from gateflow.errors import GateflowError
from gateflow.gates.gate import GATES, Gate, gate
from tests.gates.ulps import FUNCTIONS, arguments, measure

SECOND_SETTINGS: dict[str, list[dict[str, Any]]] = {
    "fast": [{"alpha": 2}],
    "sigmoid": [{"sharpness": 0.5}],
    "softsign": [{"sharpness": 2}],
    "iterated-sinh": [{"depth": 0}, {"depth": 1}, {"depth": 3}],
    "student-t": [{"df": 2}, {"df": 6}],
}
"""Further settings of the parameterised gates."""

SETTINGS = [(name, setting) for name in GATES for setting in ({}, *SECOND_SETTINGS.get(name, []))]
IDS = [name + "".join(f",{key}={value}" for key, value in setting.items()) for name, setting in SETTINGS]

Z_FUNCTIONS = ("u", "phi", "phi_c", "log_phi", "log_phi_c", "du", "dphi", "log_dphi", "d2phi")
INVERSES = ("inverse", "inverse_c", "slope_at")

MOST_ULPS = 4
"""What "a few ulps" means here."""

EVERYWHERE = np.array(
    [
        *(0.0, 5e-324, 1e-310, 2.3e-308, 1e-200, 1e-20, 1e-3, 0.5, 1.0, 3.0, 7.0, 30.0, 37.0, 100.0, 710.0, 746.0),
        *(1e4, 1e10, 1e20, 1e100, 1e154, 1.4e154, 1e200, 1e300, 8e307, 1.7976931348623157e308, np.inf),
    ]
)
EVERYWHERE = np.concatenate([-EVERYWHERE[::-1], EVERYWHERE])


def in_class_f(name: str) -> bool:
    """Whether the gate's file says that it is in class F, which is so unless it says otherwise."""
    return getattr(GATES.module(name), "IN_CLASS_F", True)


@pytest.fixture(params=SETTINGS, ids=IDS, scope="module")
def any_gate(request: pytest.FixtureRequest) -> Gate:
    name, setting = request.param
    return gate(name, **setting)


@pytest.fixture(params=[s for s in SETTINGS if in_class_f(s[0])], scope="module", ids=lambda s: f"{s[0]}{s[1] or ''}")
def f_gate(request: pytest.FixtureRequest) -> Gate:
    name, setting = request.param
    return gate(name, **setting)


@pytest.mark.sampled(3)
def test_phi_never_falls(any_gate: Gate) -> None:
    z = np.sort(np.concatenate([arguments(any_gate, np.float64, 300), EVERYWHERE]))
    assert (np.diff(any_gate.phi(z)) >= 0).all()
    assert (np.diff(any_gate.phi_c(z)) <= 0).all()
    assert (np.diff(any_gate.u(z)[np.isfinite(any_gate.u(z))]) >= 0).all()


@pytest.mark.sampled(3)
def test_the_slope_of_a_gate_in_f_is_positive(f_gate: Gate) -> None:
    z = f_gate.inverse(np.linspace(0.2, 0.8, 200))
    assert (f_gate.dphi(z) > 0).all()
    assert (f_gate.du(z) > 0).all()


def test_onto(f_gate: Gate) -> None:
    assert f_gate.phi(-np.inf) == 0 == f_gate.phi_c(np.inf)
    assert f_gate.phi(np.inf) == 1 == f_gate.phi_c(-np.inf)
    edge = np.finfo(float).max
    assert f_gate.log_phi(-edge) < -6
    assert f_gate.log_phi_c(edge) < -6


def test_a_gate_outside_f_is_flat_somewhere_or_falls() -> None:
    outside = [name for name in GATES if not in_class_f(name)]
    assert outside
    for name in outside:
        z = np.linspace(-20, 20, 4001)
        assert (gate(name).dphi(z) <= 0).any(), name


@pytest.mark.sampled(3)
def test_phi_and_its_complement_add_up_to_one(any_gate: Gate) -> None:
    z = np.concatenate([arguments(any_gate, np.float64, 300), EVERYWHERE])
    assert np.abs(any_gate.phi(z) + any_gate.phi_c(z) - 1).max() <= np.finfo(float).eps


@pytest.mark.sampled(3)
def test_logarithms_are_logarithms(any_gate: Gate) -> None:
    z = arguments(any_gate, np.float64, 300)
    for value, log_value in ((any_gate.phi, any_gate.log_phi), (any_gate.phi_c, any_gate.log_phi_c)):
        here = value(z) > 1e-300
        assert np.allclose(log_value(z)[here], np.log(value(z)[here]), rtol=1e-13, atol=1.2e-16)
    slope = any_gate.dphi(z)
    here = slope > 1e-300
    assert np.allclose(any_gate.log_dphi(z)[here], np.log(slope[here]), rtol=1e-13, atol=1e-15)


@pytest.mark.sampled(3)
def test_symmetry_where_claimed_and_only_there(f_gate: Gate) -> None:
    z = arguments(f_gate, np.float64, 200)
    for what, mirror in (("phi", "phi_c"), ("log_phi", "log_phi_c"), ("dphi", "dphi")):
        mirrored = np.array_equal(getattr(f_gate, what)(-z), getattr(f_gate, mirror)(z))
        assert mirrored == f_gate.odd or (f_gate.odd is False and what == "dphi"), what


@pytest.mark.sampled(3)
def test_the_inverse_of_the_value(f_gate: Gate) -> None:
    z = arguments(f_gate, np.float64, 200)
    size = f_gate.phi_c(z)
    here = (size > 1e-300) & (size < 0.5) & (f_gate.dphi(z) > 0)
    # one rounding of phi_c moves z by eps phi_c/phi'
    slack = 4e-16 * np.abs(z[here]) + 3e-16 * size[here] / f_gate.dphi(z[here])
    assert (np.abs(f_gate.inverse_c(size[here]) - z[here]) <= slack).all()


@pytest.mark.sampled(3)
def test_the_value_of_the_inverse(f_gate: Gate) -> None:
    p = np.concatenate([np.exp(np.linspace(-700, -1, 50)), np.linspace(0.01, 0.99, 50)])
    for inverse, value, log_slope in (
        (f_gate.inverse, f_gate.phi, lambda z: f_gate.du(z) * f_gate.phi_c(z)),
        (f_gate.inverse_c, f_gate.phi_c, lambda z: f_gate.du(z) * f_gate.phi(z)),
    ):
        z = inverse(p)
        here = np.isfinite(z)
        with np.errstate(all="ignore"):
            slack = 3e-16 + 3e-16 * np.abs(z * log_slope(z))
        assert (np.abs(value(z) / p - 1)[here] <= slack[here]).all()


@pytest.mark.sampled(3)
def test_ends_of_the_inverse(f_gate: Gate) -> None:
    assert f_gate.inverse(0.0) == -np.inf == f_gate.inverse_c(1.0)
    assert f_gate.inverse(1.0) == np.inf == f_gate.inverse_c(0.0)
    assert f_gate.slope_at(0.0) == 0 == f_gate.slope_at(1.0)
    for wrong in (-0.1, 1.5):
        with pytest.raises(GateflowError, match=r"must lie in \[0, 1\]"):
            f_gate.inverse(wrong)


@pytest.mark.sampled(3)
def test_slope_at_is_the_slope_at_the_inverse(f_gate: Gate) -> None:
    loss = np.exp(np.linspace(-600, -0.1, 60))
    z = f_gate.inverse_c(loss)
    here = np.isfinite(z)
    # one rounding of z moves log phi' by eps z phi''/phi'
    with np.errstate(all="ignore"):
        slack = 1e-15 + 4e-16 * np.abs(z * f_gate.d2phi(z) / f_gate.dphi(z))
        error = np.abs(f_gate.slope_at(loss) / f_gate.dphi(z) - 1)
    normal = here & (f_gate.dphi(z) > 1e-300)
    assert (error[normal] <= slack[normal]).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.sampled(5)
def test_no_nan_and_no_warning_at_any_float(any_gate: Gate, dtype: type) -> None:
    with np.errstate(over="ignore"):
        z = np.unique(np.concatenate([EVERYWHERE, arguments(any_gate, dtype, 100)]).astype(dtype))
    for what in Z_FUNCTIONS:
        values = getattr(any_gate, what)(z)
        assert not np.isnan(values).any(), (what, z[np.isnan(values)])
        assert np.isnan(getattr(any_gate, what)(dtype(np.nan)))
    assert ((any_gate.phi(z) >= 0) & (any_gate.phi(z) <= 1)).all()
    assert (any_gate.log_phi_c(z) <= 0).all()
    assert (any_gate.dphi(z) >= 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.sampled(5)
def test_no_nan_from_the_inverse(f_gate: Gate, dtype: type) -> None:
    p = np.array([0, 5e-324, 1e-45, 1e-310, 1e-38, 1e-10, 0.3, 0.5, 0.7, 1 - 2**-24, 1 - 2**-53, 1]).astype(dtype)
    for what in INVERSES:
        assert not np.isnan(getattr(f_gate, what)(p)).any(), what
        assert np.isnan(getattr(f_gate, what)(dtype(np.nan)))


@pytest.mark.parametrize("what", [*Z_FUNCTIONS, *INVERSES])
@pytest.mark.sampled(7)
def test_shapes_and_types(f_gate: Gate, what: str) -> None:
    f = getattr(f_gate, what)
    whole = f(np.array([0.125, 0.25, 0.625]))
    assert whole.dtype == np.float64
    assert f(np.array([0.125, 0.25], dtype=np.float32)).dtype == np.float32
    assert type(f(0.125)) is np.float64
    assert type(f(np.float32(0.125))) is np.float32
    assert type(f(np.array(0.125))) is np.float64
    assert type(f(1)) is np.float64
    assert f(np.empty((0, 3))).shape == (0, 3)
    grid = np.full((3, 4, 2), 0.25)
    grid[1] = 0.625
    assert f(grid).shape == (3, 4, 2)
    assert np.array_equal(f(grid[::2, ::-1].T), f(grid[::2, ::-1].T.copy()))
    assert np.array_equal(f(np.array([0.125, 0.25, 0.625])[::-1]), whole[::-1])
    for wrong in ("one", 1j, None):
        with pytest.raises(GateflowError, match="real numbers"):
            f(wrong)


def test_pickling(any_gate: Gate) -> None:
    again = pickle.loads(pickle.dumps(any_gate))
    assert again == any_gate
    assert hash(again) == hash(any_gate)
    assert again.reference == any_gate.reference
    assert again.phi_c(1.25) == any_gate.phi_c(1.25)


def test_a_gate_does_not_change(any_gate: Gate) -> None:
    with pytest.raises(AttributeError, match="does not change"):
        any_gate.name = "other"  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(AttributeError, match="does not change"):
        del any_gate.expr
    with pytest.raises(TypeError):
        any_gate.parameters["alpha"] = 3  # type: ignore[index]


def test_every_gate_names_its_source(any_gate: Gate) -> None:
    assert any_gate.reference


@pytest.mark.sampled(3)
def test_no_catalogue_gate_loses_digits(f_gate: Gate) -> None:
    assert f_gate.digits_lost == 0.0
    assert f_gate.digits_lost_from is None


@pytest.mark.parametrize(
    ("dtype", "count"),
    [
        (np.float32, 6),
        (np.float64, 6),
        *(pytest.param(t, 80, marks=pytest.mark.slow) for t in (np.float32, np.float64)),
    ],
)
@pytest.mark.sampled(7)
def test_a_few_ulps_of_the_truth(any_gate: Gate, dtype: type, count: int) -> None:
    inverses = in_class_f(any_gate.name.partition("(")[0])
    worst = measure(any_gate, dtype, count, inverses=inverses)
    assert {what: w for what, w in worst.items() if w.ulps > MOST_ULPS} == {}
    assert all(worst[what].points for what in (FUNCTIONS if inverses else Z_FUNCTIONS))
