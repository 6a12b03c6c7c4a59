"""The numbers of every figure, against closed forms, big floats, quadrature and a plain loop."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest

from gateflow.plots import FIGURES
from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS

MP = mpmath.MPContext()
MP.dps = 40

GATES = ("softsign", "sigmoid", "fast")

PROFILES = {
    "softsign": lambda z: MP.sign(z) * MP.log(1 + abs(z)),
    "sigmoid": lambda z: z,
    "fast": MP.sinh,
}
"""u(z) of theory.md §2."""

SLOPES = {"softsign": lambda z: 1 / (1 + abs(z)), "sigmoid": lambda z: MP.one, "fast": MP.cosh}
"""u'(z)."""


def phi(gate, z):
    return 1 / (1 + MP.exp(-PROFILES[gate](MP.mpf(z))))


def dphi(gate, z):
    value = phi(gate, z)
    return SLOPES[gate](MP.mpf(z)) * value * (1 - value)


def speed(gate, z, horizon):
    """v = |dL/dz| for c = 1 (eq. 15)."""
    return horizon * phi(gate, z) ** (horizon - 1) * dphi(gate, z)


def position(gate, complement):
    """z with 1 - phi(z) = complement."""
    u = MP.log((1 - complement) / complement)
    return {"softsign": MP.sign(u) * MP.expm1(abs(u)), "sigmoid": u, "fast": MP.asinh(u)}[gate]


def flow_time(gate, horizon, kept):
    """tau from z = 0 to phi^T = kept: the integral of dz/v, cut into e-foldings so that quadrature is sharp."""
    end = position(gate, -MP.expm1(MP.log(kept) / horizon))
    cuts = [MP.zero, *(end * MP.mpf(2) ** k for k in range(-6, 1))]
    return MP.quad(lambda z: 1 / speed(gate, z, horizon), cuts)


def few(part, count=5):
    """The positions of a few rows, the first and the last among them."""
    return np.unique(np.linspace(0, len(part) - 1, count).astype(int))


@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.sampled(2)
def test_every_number_is_finite_and_every_column_explained(name):
    numbers = table(name)
    assert len(numbers) > 15
    for column, values in numbers.columns.items():
        assert numbers.meaning[column]
        assert values.ndim == 1
        assert values.dtype.kind == "U" or np.isfinite(values).all()


@pytest.mark.parametrize("gate", GATES)
def test_gates_are_their_definitions(gate):
    part = table("gates").rows(gate=gate)
    for k in few(part, 25):
        z = part["z"][k]
        assert part["phi"][k] == pytest.approx(float(phi(gate, z)), rel=1e-14)
        assert part["dphi"][k] == pytest.approx(float(dphi(gate, z)), rel=1e-14)


def test_slope_is_its_closed_form():
    loss = table("slope").rows(gate="sigmoid")["loss"]
    forms = {
        "softsign": loss**2,
        "sigmoid": loss * (1 - loss),
        "fast": loss * (1 - loss) * np.sqrt(1 + np.log((1 - loss) / loss) ** 2),
    }
    for gate, form in forms.items():
        np.testing.assert_allclose(table("slope").rows(gate=gate)["slope"], form, rtol=1e-14)


@pytest.mark.parametrize("gate", GATES)
def test_timescales_are_the_time_constants_at_their_z(gate):
    part = table("timescales").rows(gate=gate)
    assert {10.0, 100.0, 1000.0} <= set(part["time_constant"])
    for k in few(part, 20):
        z, steps = part["z"][k], part["time_constant"][k]
        # z is rounded, which moves the time constant by z u' of an ulp
        moved = 4e-16 * float(abs(z) * SLOPES[gate](MP.mpf(z))) + 4e-16
        assert float(-1 / MP.log(phi(gate, z))) == pytest.approx(steps, rel=moved + 1e-15)


def test_learning_of_sigmoid_at_one_step_is_its_closed_form():
    part = table("learning").rows(gate="sigmoid", horizon=1.0)
    z = np.log((1 - part["loss"]) / part["loss"])
    np.testing.assert_allclose(part["tau"], np.exp(z) + 2 * z - np.exp(-z), rtol=1e-13)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("horizon", [1, 10, 30])
@pytest.mark.sampled(4)
def test_learning_agrees_with_quadrature(gate, horizon):
    part = table("learning").rows(gate=gate, horizon=float(horizon))
    escaped = np.flatnonzero(part["loss"] < 0.9)  # on the plateau the time is not a function of the loss in floats
    for k in escaped[[0, escaped.size // 4, -1]]:
        kept = 1 - MP.mpf(part["loss"][k])
        assert part["tau"][k] == pytest.approx(float(flow_time(gate, horizon, kept)), rel=1e-11)


@pytest.mark.parametrize("horizon", [1, 10, 30])
def test_learning_tends_to_the_laws(horizon):
    off = {}
    for gate in GATES:
        part = table("learning").rows(gate=gate, horizon=float(horizon))
        late = part["tau"] > 1e12
        off[gate] = np.abs(np.log(part["loss"][late] / part["law"][late]))
        assert late.sum() > 10
    assert off["sigmoid"][-1] < 1e-4
    assert off["softsign"][-1] < 1e-2
    assert np.all(np.diff(off["fast"]) < 0)


@pytest.mark.parametrize("horizon", [1, 10, 30])
def test_learning_of_the_fast_gate_follows_its_law_to_next_order(horizon):
    """``tau loss u^2 = 1 + 2/u + 5/u^2 + ...`` with ``u = log(T/loss)``: expand the integral of dl/(l^2 (1 + u^2))."""
    part = table("learning").rows(gate="fast", horizon=float(horizon))
    late = part["tau"] > 1e12
    u = np.log(horizon / part["loss"][late])
    scaled = part["tau"][late] * part["loss"][late] * u**2
    assert np.all(np.abs(scaled - 1 - 2 / u - 5 / u**2) < 30 / u**3)


@pytest.mark.parametrize("gate", GATES)
@pytest.mark.sampled(3)
def test_times_agree_with_quadrature_and_grow_as_the_gap_closes(gate):
    part = table("times").rows(gate=gate)
    assert np.all(np.diff(part["gap"]) < 0)
    assert np.all(np.diff(part["tau"]) > 0)
    for k in few(part, 2):
        exact = flow_time(gate, 10, 1 - MP.mpf(part["gap"][k]))
        assert part["tau"][k] == pytest.approx(float(exact), rel=1e-12)


def test_speed_up_is_ordered_like_saturation():
    speed_up = {gate: table("times").rows(gate=gate)["speed_up"] for gate in GATES}
    assert np.all(speed_up["sigmoid"] == 1)
    assert np.all(speed_up["softsign"] < 1)
    assert np.all(speed_up["fast"] > 1)
    assert np.all(np.diff(speed_up["fast"]) > 0)
    gap = table("times").rows(gate="fast")["gap"]
    late = gap < 1e-8
    off = np.abs(np.log(speed_up["fast"][late] / np.log(10 / gap[late]) ** 2))
    assert np.all(np.diff(off) < 0)
    assert off[-1] < 0.1


def runs():
    numbers = table("discrete")
    return [
        (gate, stiffness, numbers.rows(gate=gate, stiffness=stiffness))
        for gate in GATES
        for stiffness in np.unique(numbers["stiffness"])
    ]


def test_descent_arrives_within_a_step_of_the_prediction():
    for gate, _, part in runs():
        z_star = position(gate, -MP.expm1(MP.log(MP.mpf(0.9)) / 10))
        half_log = MP.log(speed(gate, z_star, 10) / speed(gate, 0, 10)) / 2
        predicted = float(flow_time(gate, 10, MP.mpf(0.9)) / MP.mpf(part["step_size"][0]) + half_log)
        assert part["kept"][-1] >= 0.9 > part["kept"][-2]
        assert abs(part["step"][-1] - predicted) <= 1


def test_the_lag_of_descent_is_predicted_to_first_order_in_the_step():
    error = {(gate, kappa): np.max(np.abs(part["lag"] - part["predicted_lag"])) for gate, kappa, part in runs()}
    for gate in GATES:
        fine, coarse = sorted(kappa for name, kappa in error if name == gate)
        assert error[gate, coarse] < 0.2
        assert error[gate, fine] / error[gate, coarse] == pytest.approx(fine / coarse, rel=0.25)


@pytest.mark.parametrize("gate", GATES)
def test_descent_is_what_a_plain_loop_gives(gate):
    u = {"softsign": math.log1p, "sigmoid": float, "fast": math.sinh}[gate]
    slope = {"softsign": lambda z: 1 / (1 + z), "sigmoid": lambda z: 1.0, "fast": math.cosh}[gate]
    part = table("discrete").rows(gate=gate, stiffness=0.25)
    wanted = dict(zip(part["step"], part["z"], strict=True))
    z, eta = 0.0, part["step_size"][0]
    for k in range(int(part["step"][-1]) + 1):
        if k in wanted:
            assert wanted[k] == pytest.approx(z, rel=1e-10, abs=1e-300)
        value = 1 / (1 + math.exp(-u(z)))
        z += eta * 10 * value**10 * slope(z) * (1 - value)
