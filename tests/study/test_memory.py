"""Rung 2: units that learn from samples follow the prediction, and noise takes them from it."""

import math

import numpy as np
import pytest

from gateflow.errors import InvalidArgument
from gateflow.study.memory import memory


def by_hand(wanted, lr, steps, c):
    """Gradient descent on c |sigmoid(z)^T - 1/e| for one unit, straight from eq. 15, from a time constant of 5."""
    f = math.exp(-1 / 5)
    z = math.log(f / (1 - f))
    for _ in range(steps):
        f = 1 / (1 + math.exp(-z))
        z -= lr * math.copysign(c * wanted * f**wanted * (1 - f), f**wanted - math.exp(-1))
    return -1 / math.log(1 / (1 + math.exp(-z)))


def test_the_prediction_is_that_of_a_plain_loop():
    found = memory("sigmoid", "sgd", wanted=[12.0], at=[40])
    assert found.scale[0] == pytest.approx(math.sqrt(2 / math.pi), rel=0.04)  # 4096 samples of |s|
    assert found.predicted[0, 0] == pytest.approx(by_hand(12, found.lr, 40, found.scale[0]), rel=1e-9)


@pytest.mark.parametrize("gate", ["sigmoid", "fast", "softsign"])
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_units_that_learn_from_samples_reach_what_was_predicted(gate, optimizer):
    found = memory(gate, optimizer, at=[100, 300])
    last = found.agreement()[-1]
    assert last.median < 0.03
    assert last.rank > 0.99
    assert np.ptp(np.log(found.reached[-1])) > 0.1  # they have moved


def test_noise_takes_the_units_from_the_prediction():
    clean, noisy = (memory("sigmoid", "adam", wanted=[10, 20, 40], noise=sigma, at=[400]) for sigma in (0.0, 0.3))
    assert noisy.agreement()[0].median > 3 * clean.agreement()[0].median


def test_a_seed_is_a_run():
    first, again, other = (memory("fast", "sgd", wanted=[10, 20], at=[20], seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.reached, again.reached)
    assert not np.array_equal(first.reached, other.reached)


@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"noise": -1.0}, {"at": [5, 3]}, {"start": 0.0}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(InvalidArgument):
        memory("fast", "sgd", **bad)
