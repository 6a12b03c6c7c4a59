"""Rung 2: units that learn from samples follow the prediction, and noise takes them from it."""

import math

import numpy as np
import pytest
from scipy import stats

from gateflow.errors import InvalidArgument
from gateflow.study.memory import memory
from gateflow.study.noisy_units import moments

WANTED = tuple(range(8, 40, 2))


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
@pytest.mark.sampled(5)
def test_units_that_learn_from_samples_reach_what_was_predicted(gate, optimizer):
    found = memory(gate, optimizer, at=[100, 300])
    last = found.agreement()[-1]
    assert last.median < 0.03
    assert last.rank > 0.99
    assert np.ptp(np.log(found.reached[-1])) > 0.1  # they have moved


def test_noise_takes_the_units_from_the_prediction():
    clean, noisy = (memory("sigmoid", "adam", wanted=[10, 20, 40], noise=sigma, at=[100]) for sigma in (0.0, 0.3))
    assert noisy.agreement()[0].median > 3 * clean.agreement()[0].median


def test_the_theory_of_noise_predicts_them_within_chance():
    """Medians far closer than the mean loss without noise tells, and shares that are spread evenly over (0, 1)."""
    found = [memory("sigmoid", optimizer, wanted=WANTED, noise=0.3, at=[100]) for optimizer in ("sgd", "adam")]
    for run in found:
        error = np.abs(np.log(run.reached / run.typical))
        assert np.median(error) < run.agreement()[0].median / 5
    shares = np.concatenate([run.share.ravel() for run in found])
    assert stats.kstest(shares, "uniform").pvalue > 0.01
    assert np.mean((shares > 0.05) & (shares < 0.95)) > 0.9 - 4 * np.sqrt(0.09 / shares.size)


def test_the_gradient_of_a_unit_with_noise_is_that_of_drawn_samples():
    """By autograd over 200,000 samples at f = .9, T = 5: mean and variance within their standard errors."""
    torch = pytest.importorskip("torch")
    drawn = torch.Generator().manual_seed(0)
    log_f = torch.full((200_000,), math.log(0.9), dtype=torch.float64, requires_grad=True)
    signal = torch.randn(200_000, generator=drawn, dtype=torch.float64)
    h = torch.exp(5 * log_f) * signal
    for j in range(5):
        h = h + 0.3 * torch.exp(j * log_f) * torch.randn(200_000, generator=drawn, dtype=torch.float64)
    (h - math.exp(-1) * signal).abs().sum().backward()
    slopes = log_f.grad.numpy()
    mean, variance = moments(np.array([math.log(9.0)]), 5, 0.3)
    assert slopes.mean() == pytest.approx(mean[0], abs=4 * slopes.std() / math.sqrt(200_000))
    assert slopes.var() == pytest.approx(variance[0], rel=0.02)


def test_a_unit_that_has_not_moved_says_nothing_of_chance():
    found = memory("sigmoid", "sgd", wanted=[10.0, 400.0], at=[5])
    assert 0 < found.share[0, 0] < 1
    assert np.isnan(found.share[0, 1])


def test_a_seed_is_a_run():
    first, again, other = (memory("fast", "sgd", wanted=[10, 20], at=[20], seed=s) for s in (1, 1, 2))
    assert np.array_equal(first.reached, again.reached)
    assert not np.array_equal(first.reached, other.reached)


@pytest.mark.parametrize("bad", [{"lr": 0.0}, {"noise": -1.0}, {"at": [5, 3]}, {"start": 0.0}])
def test_numbers_out_of_range_are_refused(bad):
    with pytest.raises(InvalidArgument):
        memory("fast", "sgd", **bad)
