"""The panel rule against integrals known in closed form, and its honesty about error."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow.flows.batch import ProblemBatch
from gateflow.flows.density import DecayCoordinate, PlainDecay, Position, WholePath, log_softplus
from gateflow.flows.panels import Panels, integrate
from gateflow.gates.gate import gate
from gateflow.losses import LOSSES, Decay


class _Given:
    """A density given outright."""

    def __init__(self, log_density):
        self._log_density = log_density

    def log_density(self, batch, v):
        return self._log_density(v)


def _batch(horizon=10.0, name="fast"):
    T = np.array([horizon])
    return ProblemBatch.broadcast(gate(name), LOSSES["absolute"], T, Decay(0.1, np.log(0.1)), 1.0, 0.0)


def _integral(log_density, a, b):
    with np.errstate(divide="ignore"):
        sums = integrate(_batch(), [Panels(_Given(log_density), np.array([0]), np.array([a]), np.array([b]))])
    return sums.log_total[0], sums.error[0], sums.evaluations[0]


KNOWN = {
    "exponential over 700 factors": (lambda v: v, 0.0, 700.0, 700.0),
    "falling over 700 factors": (lambda v: -v, 0.0, 700.0, 0.0),
    "beyond the floats": (lambda v: 1e4 + v, 0.0, 5.0, 1e4 + math.log(math.expm1(5.0))),
    "a kink off the middle": (lambda v: -np.abs(v - 0.3), 0.0, 1.0, math.log(2 - math.exp(-0.3) - math.exp(-0.7))),
    "a pole near by": (lambda v: -np.log(v * v + 1e-6), -1.0, 1.0, math.log(2e3 * math.atan(1e3))),
    "a root": (lambda v: 0.5 * np.log(v), 0.0, 1.0, math.log(2 / 3)),
    "an integrable singularity": (lambda v: -0.5 * np.log(v), 0.0, 1.0, math.log(2.0)),
    "backwards": (lambda v: v, 2.0, 0.0, math.log(math.expm1(2.0))),
}


@pytest.mark.parametrize("name", KNOWN)
def test_integrals_known_in_closed_form(name):
    log_density, a, b, expected = KNOWN[name]
    found, error, _ = _integral(log_density, a, b)
    miss = abs(found - expected)
    assert miss < 1e-12 * max(1.0, abs(expected) / 100)
    assert miss <= error + 1e-14 * (1 + abs(expected))


def test_a_divergent_integral_does_not_hang():
    """1/v on (0, 1): halved down to the spacing of floats and left there."""
    found, _, evaluations = _integral(lambda v: -np.log(v), 0.0, 1.0)
    assert found > math.log(40)
    assert evaluations < 10_000


@pytest.mark.parametrize("name", ["fast", "softsign", "erf", "algebraic"])
@pytest.mark.parametrize("horizon", [1.0, 100.0, 1e6])
def test_all_coordinates_carry_one_density(name, horizon):
    """dtau is the same in log h, h, h + log h and asinh z: densities differ by the derivatives between them."""
    batch = _batch(horizon, name).at_nodes(np.array([0]))
    h = np.array([[1e-3, 0.1, 1.0, 3.0, 20.0]])
    log_density = DecayCoordinate().log_density(batch, np.log(h))
    assert np.allclose(PlainDecay().log_density(batch, h) + np.log(h), log_density, rtol=0, atol=1e-12)
    whole = WholePath()
    v = whole.at_decay(Decay(h=h))
    assert np.allclose(whole.decay(batch, v).h, h, rtol=1e-14, atol=0)
    assert np.allclose(whole.log_density(batch, v) + np.log1p(h), log_density, rtol=0, atol=1e-12)
    numbers = gate(name).float64
    zeta = np.arcsinh(np.asarray(numbers.z_of_u(DecayCoordinate().profile(batch, np.log(h)).ravel()))).reshape(h.shape)
    step = 1e-6
    log_h = [np.log(Position().decay(batch, zeta + s).h) for s in (-step, step)]
    slope = np.log(np.abs(log_h[1] - log_h[0]) / (2 * step))
    assert np.allclose(Position().log_density(batch, zeta), log_density + slope, rtol=0, atol=1e-6)


def test_log_softplus_over_the_whole_range():
    t = np.array([-1e300, -1000.0, -40.0, -1.0, 0.0, 1e-9, 30.0, 1e300])
    near = [t[0], t[1], -40 + math.log(math.log1p(math.exp(-40)) / math.exp(-40)), math.log(math.log1p(math.exp(-1)))]
    far = [
        math.log(math.log(2)),
        math.log(math.log(2) + 5e-10),
        math.log(30 + math.log1p(math.exp(-30))),
        math.log(1e300),
    ]
    assert np.allclose(log_softplus(t), [*near, *far], rtol=4e-16, atol=0)
