"""Runs of noisy descents: against PyTorch's optimisers, the two backends against each other, any portions of a run."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from gateflow.codegen.compiler import available
from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.errors import InvalidArgument, NoCompiler
from gateflow.flows import LearningProblem
from gateflow.noise import NoisyDescent, Samples
from gateflow.noise.paths import normal

needs_compiler = pytest.mark.skipif(available() is None, reason="no C compiler here")
EVERY = ("sgd", "momentum", "adam", "rmsprop")


def noisy(name="sigmoid", optimizer="sgd", lr=0.02, **varies):
    return NoisyDescent(
        LearningProblem(name, horizon=10, target=0.5), Samples(**varies or {"scale": "normal(1, 3)"}), lr, optimizer
    )


def test_the_numbers_drawn_are_normal_and_of_no_other_run_or_step():
    drawn = np.array([normal(7, step, 20_000) for step in range(1, 6)])
    assert stats.kstest(drawn.ravel(), "norm").pvalue > 1e-3
    assert drawn.var() == pytest.approx(1, abs=4 * np.sqrt(2 / drawn.size))
    assert np.max(np.abs(np.corrcoef(drawn) - np.eye(5))) < 4 / np.sqrt(20_000)
    assert np.array_equal(normal(7, 3, 5), drawn[2, :5])
    assert not np.any(normal(8, 3, 100) == drawn[2, :100])


@pytest.mark.parametrize("optimizer", EVERY)
def test_runs_take_the_steps_of_pytorch(optimizer):
    """Gradients by hand, with the law of targets in closed form; steps by ``torch.optim``; 60 of them."""
    torch = pytest.importorskip("torch")
    lr = {"sgd": 0.5, "momentum": 0.05}.get(optimizer, 0.02)
    runs = noisy(optimizer=optimizer, lr=lr, target="beta(2, 1)").paths(0.8, 5, seed=3)
    z = torch.full((5,), 0.8, dtype=torch.float64, requires_grad=True)
    kind, more = {
        "sgd": (torch.optim.SGD, {}),
        "momentum": (torch.optim.SGD, {"momentum": 0.9}),
        "adam": (torch.optim.Adam, {}),
        "rmsprop": (torch.optim.RMSprop, {}),
    }[optimizer]
    descending = kind([z], lr=lr, **more)
    for step in range(1, 61):
        at = z.detach()
        kept = torch.sigmoid(at) ** 10
        slope = 10 * kept * torch.sigmoid(-at)
        below = kept**2  # of beta(2, 1): the share of targets that are smaller
        drawn = torch.from_numpy(normal(3, step, 5))
        z.grad = slope * (2 * below - 1 + 2 * torch.sqrt(below * (1 - below)) * drawn)
        descending.step()
    np.testing.assert_allclose(runs.run(60).z, z.detach().numpy(), atol=2e-6)
    assert np.ptp(runs.z) > 0.01


@needs_compiler
@pytest.mark.parametrize("optimizer", [EVERY[2], *(pytest.param(one, marks=pytest.mark.slow) for one in EVERY)])
@pytest.mark.parametrize("name", ["fast", pytest.param("softsign", marks=pytest.mark.slow)])
def test_both_backends_make_the_same_runs(name, optimizer):
    one = noisy(name, optimizer, 0.002)
    here, there = (one.paths(0.5, 37, seed=3, backend=backend) for backend in ("numpy", "compiled"))
    assert (here.backend, there.backend) == ("numpy", "compiled")
    np.testing.assert_allclose(here.run(50).run(50).z, there.run(33).run(67).z, rtol=1e-12)
    level = float(np.quantile(here.z, 0.7))
    seen = [runs.arrivals(level, 40) for runs in (here, there)]
    assert np.array_equal(*seen)
    assert 0 < np.sum(seen[0] > 100) < 37


@pytest.mark.parametrize("backend", ["numpy", pytest.param("compiled", marks=needs_compiler)])
def test_runs_are_the_same_in_any_portions_and_from_a_state_that_was_kept(backend):
    one = noisy("fast", "adam", 0.01)
    whole = one.paths(0.5, 100, seed=3, backend=backend).run(60)
    parts = one.paths(0.5, 100, seed=3, backend=backend).run(1).run(42)
    resumed = one.paths(0.0, 100, seed=9, backend=backend).resume(parts.state).run(17)
    assert np.array_equal(whole.z, parts.run(17).z)
    assert np.array_equal(whole.z, resumed.z)
    assert not np.array_equal(whole.z, one.paths(0.5, 100, seed=4, backend=backend).run(60).z)
    assert np.array_equal(whole.z[:7], one.paths(0.5, 7, seed=3, backend=backend).run(60).z)


@pytest.mark.parametrize("backend", ["numpy", pytest.param("compiled", marks=needs_compiler)])
@pytest.mark.parametrize(("name", "lr", "edge"), [("hard-sigmoid", 5.0, 3.0), ("exp-square", 20.0, 27.0)])
@pytest.mark.sampled(3)
def test_a_run_that_left_the_gate_stays_where_it_is(name, lr, edge, backend):
    """Beyond the edge the gate is 0 or 1 and its slope 0: no number drawn moves a run of gradient descent there."""
    runs = noisy(name, lr=lr).paths(0.0, 200, seed=1, backend=backend).run(50)
    before = runs.z.copy()
    out = np.abs(before) > edge
    assert out.sum() > 20
    assert np.isfinite(before).all()
    assert np.array_equal(runs.run(50).z[out], before[out])


def test_a_gate_without_a_form_in_c_goes_on_in_numpy():
    problem = LearningProblem("sigmoid(loggamma(exp(z) + 2))", horizon=10, target=0.5)
    one = NoisyDescent(problem, Samples(scale="normal(1, 1)"), 0.01)
    assert one.paths(1.0, 3).run(2).backend == "numpy"
    with pytest.raises(NoCompiler):
        one.paths(1.0, 3, backend="compiled")


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({}, "a state has z, m, s, step and seed"),
        (3, "a state has z, m, s, step and seed"),
        ({"z": [0.0], "m": [0.0], "s": [0.0], "step": 1, "seed": 1}, "not of 2 runs"),
        ({"z": [0, 0], "m": [0, 0], "s": [0, 0], "step": -1, "seed": 1}, "step must be a whole number"),
    ],
)
def test_what_is_no_state_is_refused(state, message):
    with pytest.raises(InvalidArgument, match=message):
        noisy().paths(0.0, 2).resume(state)


# --- what optimisers make of noise ---


def test_momentum_settles_to_the_law_of_its_limit():
    """To first order z is normal with the variance ``eta/(4 (1 - beta) f(m))`` for every gate: theory.md section 6.

    The median of beta(2, 2) is 1/2, where its density f is 3/2; at this step size the second order is 1 per cent.
    """
    for name in ("sigmoid", "fast"):
        found = noisy(name, OPTIMIZERS["momentum"](beta=0.8), 2e-5, target="beta(2, 2)").stationary()
        assert found.deviation == pytest.approx(np.sqrt(2e-5 / (4 * 0.2 * 1.5)), rel=0.01)


@pytest.mark.parametrize(
    ("optimizer", "lr"),
    [
        (OPTIMIZERS["momentum"](beta=0.8), 4e-4),
        (OPTIMIZERS["adam"](beta1=0.5, beta2=0.95), 1e-3),
        (OPTIMIZERS["rmsprop"](alpha=0.95), 1e-3),
    ],
    ids=["momentum", "adam", "rmsprop"],
)
@pytest.mark.sampled(3)
def test_optimisers_arrive_when_predicted(optimizer, lr):
    """Quantiles of the steps by the equation and by 4,000 runs: the median to 1 per cent, the spread to 8."""
    one = noisy("fast", optimizer, lr)
    level = float(one.problem.gate.inverse_c(-np.expm1(-1 / 8)))
    low, middle, high = one.steps(1.0, [0.05, 0.5, 0.95], 8.0)
    seen = one.paths(1.0, 4000, seed=5).arrivals(level, int(3 * high))
    assert (seen > 0).all()
    assert np.median(seen) == pytest.approx(middle, rel=0.01)
    assert np.ptp(np.quantile(seen, [0.05, 0.95])) == pytest.approx(high - low, rel=0.08)


def test_a_way_that_is_short_beside_the_memory_is_refused():
    from gateflow.noise import Unresolved

    with pytest.raises(Unresolved, match="mean square of the gradient lags behind"):
        noisy("fast", "adam", 1e-3).arrival(1.0, 8.0)
    with pytest.raises(InvalidArgument, match=r"mean squares that decay by 0.9 or more; got 0.5"):
        noisy("fast", OPTIMIZERS["adam"](beta2=0.5), 1e-3).arrival(1.0, 8.0)


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize("name", ["sigmoid", "softsign", "fast"])
def test_a_hundred_thousand_runs_are_within_sampling_error_of_the_equation(name):
    """The distance of Kolmogorov and Smirnov at the one per cent level; steps are small, so only sampling is left."""
    one = noisy(name, lr=2e-2 if name == "softsign" else 1e-3, scale="normal(1, 10)")
    level = float(one.problem.gate.inverse_c(-np.expm1(-1 / 8)))
    further = level + 0.5826 * float(np.sqrt(one.lr * one.variance(level)))
    arrival = one.arrival(1.0, float(-1 / one.problem.gate.log_phi(further)))
    last = int(arrival.quantile(0.9) / one.lr)
    count = 100_000
    seen = np.sort(one.paths(1.0, count, seed=5).arrivals(level, last))
    seen = seen[seen >= 0]
    law, k = arrival.cdf(seen * one.lr), np.arange(seen.size)
    assert max(np.max(law - k / count), np.max((k + 1) / count - law)) < 1.63 / np.sqrt(count)
