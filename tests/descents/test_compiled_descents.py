"""Descents in C: the same as in NumPy, which tests/flows/test_descent.py holds against loops by hand and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

from gateflow.codegen.compiler import available
from gateflow.descents import step_size
from gateflow.descents.optimizers import OPTIMIZERS, Optimizer
from gateflow.descents.simulation import Status, descent
from gateflow.errors import NoCompiler
from gateflow.flows import LearningProblem
from gateflow.gates.gate import gate

needs_compiler = pytest.mark.skipif(available() is None, reason="no C compiler here")
GATES = ("sigmoid", "fast", "softsign", "erf", "sigmoid(z + z**3)")


def problems(name, count, seed):
    """Random problems with starts on either side, and a step size for some thousands of steps or far fewer."""
    rng = np.random.default_rng(seed)
    horizon, decay = np.exp(rng.uniform(0, 7, count)), np.exp(rng.uniform(-5, 0.7, count))
    start = decay * np.where(rng.random(count) < 0.3, rng.uniform(0.1, 0.9, count), rng.uniform(1.1, 6, count))
    u = -np.log(np.expm1(start / horizon))
    return LearningProblem(name, horizon=horizon, decay=decay), gate(name).float64.z_of_u(u), rng


@needs_compiler
@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize("name", [GATES[1], *(pytest.param(one, marks=pytest.mark.slow) for one in GATES)])
@pytest.mark.sampled(2)
def test_the_kernel_takes_the_steps_that_numpy_takes(name, optimizer):
    problem, z0, rng = problems(name, 150, seed=1)
    slope = np.exp(problem.log_abs_grad(problem.z_star))
    lr = np.exp(rng.uniform(-7, 0, z0.size)) * np.abs(problem.z_star - z0)
    lr = lr if optimizer in ("adam", "rmsprop") else lr / slope / (10 if optimizer == "momentum" else 1)
    here, there = (descent(problem, z0, optimizer, lr=lr, steps=3000, backend=one) for one in ("numpy", "compiled"))
    assert (here.backend, there.backend) == ("numpy", "compiled")
    assert np.array_equal(here.status, there.status)
    assert np.array_equal(here.steps, there.steps)
    assert np.sum(here.status == Status.REACHED) > 50
    assert there.z == pytest.approx(here.z, rel=1e-9, abs=1e-9)
    # around a kink a last bit may decide on which side of it a step begins, and where the run goes from there
    settled = np.isfinite(here.chatter) & (here.chatter > 0)
    assert np.array_equal(settled, np.isfinite(there.chatter) & (there.chatter > 0))
    off = np.abs(there.chatter[settled] / here.chatter[settled] - 1)
    assert np.median(off) < 1e-9
    assert np.mean(off < 0.01) > 0.9
    assert np.median(np.abs(there.overshoot - here.overshoot)) < 1e-12


@needs_compiler
@pytest.mark.parametrize("start", [0.0, -0.5, 1.0])
@pytest.mark.sampled(3)
def test_a_descent_through_a_hole_takes_the_steps_of_the_same_gate_written_without(start):
    """sin(z)/z is a product of cosines (Viete): cos(z/2) cos(z/4) ... to 2e-16."""
    product = "*".join(f"cos(z/{2**k})" for k in range(1, 27))
    problems = [LearningProblem(f"sigmoid(z + {part})", horizon=4, gap=0.2) for part in ("sin(z)/z", product)]
    runs = [descent(one, start, "sgd", lr=0.05, steps=2000, backend="compiled") for one in problems[:1]]
    runs += [descent(one, start, "sgd", lr=0.05, steps=2000, backend="numpy") for one in problems]
    assert {int(run.steps) for run in runs} == {int(runs[0].steps)}
    assert runs[0].steps > 5
    assert [float(run.z) for run in runs[1:]] == pytest.approx([float(runs[0].z)] * 2, rel=1e-12)


@needs_compiler
def test_a_problem_does_not_know_its_neighbours():
    problem, z0, _ = problems("fast", 37, seed=2)
    many = descent(problem, z0, "adam", lr=1e-3, steps=500, backend="compiled")
    one = LearningProblem("fast", horizon=problem.horizon[20], decay=problem.target.value[20])
    alone = descent(one, z0[20], "adam", lr=1e-3, steps=500, backend="compiled")
    assert (alone.steps, alone.z, alone.status) == (many.steps[20], many.z[20], many.status[20])


@needs_compiler
def test_starts_on_the_target_and_targets_at_infinity():
    problem = LearningProblem("sigmoid", horizon=10, gap=np.array([0.1, 0.0, 0.1]))
    z0 = np.array([problem.z_star[0], 0.0, 800.0])
    found = descent(problem, z0, lr=0.1, steps=300, backend="compiled")
    assert list(found.status) == list(descent(problem, z0, lr=0.1, steps=300, backend="numpy").status)
    assert found.steps[0] == 0
    assert found.chatter[0] == 0


@needs_compiler
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_own_step_sizes_are_simulated_alike(optimizer, monkeypatch):
    problem = LearningProblem("fast", horizon=np.array([50.0, 100.0]), timescale=np.array([60.0, 300.0]))
    steps = []
    for backend in ("numpy", "compiled"):
        monkeypatch.setenv("GATEFLOW_BACKEND", backend)
        steps.append(step_size(problem, 1.8, 0.05, optimizer).steps)
    assert np.array_equal(*steps)
    assert np.all(np.isfinite(steps))


@pytest.mark.parametrize("keywords", [{"dtype": "float32"}, {"gradient": "naive"}])
def test_what_the_kernel_cannot_do_is_said_where_it_is_asked_for(keywords):
    problem = LearningProblem("sigmoid", horizon=10, gap=0.1)
    with pytest.raises(NoCompiler, match=r"compiled descents are in float64|compiler"):
        descent(problem, 0.0, lr=0.1, backend="compiled", **keywords)
    with pytest.raises(NoCompiler, match=r"loss have no compiled kernel|compiler"):
        descent(LearningProblem("sigmoid", horizon=10, gap=0.1, loss="log-decay"), 0.0, lr=0.1, backend="compiled")


def test_an_optimiser_without_a_form_in_c_goes_on_in_numpy(monkeypatch):
    monkeypatch.setattr("gateflow.descents.simulation.PAYS", 0.0)

    class Plain(type(OPTIMIZERS["sgd"]())):
        UPDATE_C = ""

    found = descent(LearningProblem("sigmoid", horizon=10, gap=0.1), 0.0, Plain(), lr=0.1)
    assert isinstance(Plain(), Optimizer)
    assert found.backend == "numpy"
    assert found.status == Status.REACHED


def test_predictions_are_made_when_they_are_asked_for(monkeypatch):
    calls = []
    original = OPTIMIZERS["sgd"].predict
    monkeypatch.setattr(OPTIMIZERS["sgd"], "predict", lambda *given: calls.append(1) or original(*given))
    run = descent(LearningProblem("fast", horizon=10, gap=0.1), 0.0, lr=0.05, steps=2000)
    assert not calls
    assert run.predicted.steps == run.steps
    assert len(calls) == 1
