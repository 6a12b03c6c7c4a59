"""Descent: what optimisers do step by step, against plain loops and PyTorch, and what is predicted of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.descents.optimizers.momentum import cycle
from gateflow.descents.precision import FORMATS
from gateflow.descents.simulation import Status, descent
from gateflow.errors import InvalidArgument, UnknownName
from gateflow.flows import LearningProblem
from gateflow.gates.gate import gate

PROFILES = {
    "sigmoid": (float, lambda z: 1.0),
    "fast": (math.sinh, math.cosh),
    "softsign": (lambda z: math.copysign(math.log1p(abs(z)), z), lambda z: 1 / (1 + abs(z))),
}
"""u and u' by hand (theory.md §2)."""


def gradient_by_hand(name, horizon, z_star):
    """dL/dz straight from eq. 15."""
    u, du = PROFILES[name]

    def gradient(z):
        value = 1 / (1 + math.exp(-u(z)))
        return math.copysign(horizon * value ** (horizon - 1) * du(z) * value * (1 - value), z - z_star)

    return gradient


def loop(name, horizon, z_star, z, lr, optimizer, **hyper):
    """Steps to cross the target from below, by a plain loop over Python floats, and where they lead."""
    gradient = gradient_by_hand(name, horizon, z_star)
    m = s = 0.0
    steps = 0
    while z < z_star:
        g, steps = gradient(z), steps + 1
        if optimizer == "sgd":
            z -= lr * g
        elif optimizer == "momentum":
            m = hyper["beta"] * m + g
            z -= lr * m
        elif optimizer == "rmsprop":
            s = hyper["alpha"] * s + (1 - hyper["alpha"]) * g * g
            z -= lr * g / (math.sqrt(s) + 1e-8)
        else:
            m = hyper["beta1"] * m + (1 - hyper["beta1"]) * g
            s = hyper["beta2"] * s + (1 - hyper["beta2"]) * g * g
            corrected = math.sqrt(s / (1 - hyper["beta2"] ** steps))
            z -= lr * m / (1 - hyper["beta1"] ** steps) / (corrected + 1e-8)
    return steps, z


SETTINGS = [
    ("sgd", 0.02, {}),
    ("momentum", 0.004, {"beta": 0.8}),
    ("adam", 0.003, {"beta1": 0.9, "beta2": 0.99}),
    ("rmsprop", 0.004, {"alpha": 0.95}),
]


@pytest.mark.parametrize(("optimizer", "lr", "hyper"), SETTINGS, ids=[name for name, *_ in SETTINGS])
@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.sampled(5)
def test_descent_is_what_a_plain_loop_gives(name, optimizer, lr, hyper):
    problem = LearningProblem(name, horizon=20, gap=0.2)
    lr *= 50 if name == "softsign" else 1
    steps, z = loop(name, 20, problem.z_star, 0.5, lr, optimizer, **hyper)
    found = descent(problem, 0.5, optimizer, lr=lr, steps=100_000, **hyper)
    assert found.status == Status.REACHED
    assert found.steps == steps
    assert found.z == pytest.approx(z, rel=1e-10)


def random_problems(count, seed, *, gaps=(1e-4, 0.5), horizons=(1.0, 1e4)):
    """Random problems of three gates; a third of them start above the target."""
    rng = np.random.default_rng(seed)
    for k, name in enumerate(PROFILES):
        part = count // 3 + (k < count % 3)
        horizon = np.exp(rng.uniform(math.log(horizons[0]), math.log(horizons[1]), part))
        gap = np.exp(rng.uniform(math.log(gaps[0]), math.log(gaps[1]), part))
        h_star = -np.log1p(-gap)
        h0 = np.where(
            rng.random(part) < 1 / 3, h_star * rng.uniform(0.05, 0.9, part), h_star + rng.uniform(0.05, 7, part)
        )
        z0 = gate(name).float64.z_of_u(-np.log(np.expm1(h0 / horizon)))
        yield LearningProblem(name, horizon=horizon, gap=gap), z0, rng


def at_largest_lr(problem, z0, optimizer):
    return descent(problem, z0, optimizer, lr=1.0, steps=1).predicted.largest_lr


def test_gradient_descent_takes_the_predicted_steps_within_one_in_1000_random_runs():
    """1,000 runs inside the validity flag, none more than one step off (the claim of numerics.md)."""
    valid = 0
    for problem, z0, rng in random_problems(1800, seed=1):
        lr = at_largest_lr(problem, z0, "sgd") * np.exp(rng.uniform(np.log(1e-3), np.log(3), z0.size))
        found = descent(problem, z0, lr=lr, steps=20_000)
        usable = found.predicted.valid & (found.predicted.steps < 20_000)
        valid += usable.sum()
        assert np.all(found.status[usable] == Status.REACHED)
        assert np.max(np.abs(found.steps - found.predicted.steps)[usable]) <= 1
    assert valid >= 1000


def test_momentum_takes_the_predicted_steps_within_one_inside_its_flag():
    valid = 0
    for problem, z0, rng in random_problems(600, seed=2):
        beta = 0.8
        lr = at_largest_lr(problem, z0, "momentum") * np.exp(rng.uniform(np.log(1e-2), np.log(3), z0.size))
        found = descent(problem, z0, "momentum", lr=lr, steps=10_000, beta=beta)
        usable = found.predicted.valid & (found.predicted.steps < 10_000)
        valid += usable.sum()
        assert np.all(found.status[usable] != Status.STEP_LIMIT)
        assert np.max(np.abs(found.steps - found.predicted.steps)[usable]) <= 1
    assert valid >= 100


@pytest.mark.parametrize("count", [6, pytest.param(840, marks=pytest.mark.slow)])
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.sampled(4)
def test_normalised_optimisers_take_the_predicted_steps_to_three_percent(optimizer, count):
    valid = 0
    for problem, z0, rng in random_problems(count, seed=3, gaps=(1e-2, 0.5), horizons=(1.0, 1e3)):
        lr = at_largest_lr(problem, z0, optimizer) * np.exp(rng.uniform(np.log(1e-2), 0.0, z0.size))
        found = descent(problem, z0, optimizer, lr=lr, steps=3_000)
        usable = found.predicted.valid & (found.predicted.steps < 3_000)
        valid += usable.sum()
        assert np.all(found.status[usable] != Status.STEP_LIMIT)
        assert np.all(np.abs(found.steps - found.predicted.steps)[usable] <= found.predicted.error[usable])
    assert valid >= count / 3


def test_the_time_scale_under_adam_grows_no_faster_than_its_memory_fades():
    """N = 2 log(v_max/v*)/|log beta2| where v falls by many factors of e in a way of few step sizes (numerics.md)."""
    problem = LearningProblem("fast", horizon=10, gap=1e-100)
    found = descent(problem, 1.5, "adam", lr=0.3, beta1=0.0, beta2=0.9, eps=0.0)
    log_v = problem.log_abs_grad(np.linspace(1.5, problem.z_star, 1000))
    bound = 2 * (np.max(log_v) - log_v[-1]) / -math.log(0.9)
    assert abs(problem.z_star - 1.5) / 0.3 < bound / 20
    assert found.steps == pytest.approx(bound, rel=0.05)
    assert found.predicted.steps == pytest.approx(found.steps, rel=0.02)


def test_rmsprop_with_a_constant_gradient_takes_its_closed_form():
    """(2/a) log cosh(a d/(2 eta) + ...) - 1/2, rounded up: on a short path v is nearly constant."""
    a = -math.log(0.99)
    problem = LearningProblem("sigmoid", horizon=2, timescale=5.0)
    for lr in (1e-6, 1e-7, 1e-8):
        found = descent(problem, problem.z_star - 1e-4, "rmsprop", lr=lr)
        inside = a * 1e-4 / (2 * lr) + math.atanh(math.sqrt(-math.expm1(-a * 1.4603545088**2 / 4)))
        exact = 2 / a * math.log(math.cosh(inside)) - 0.5
        assert 0 <= found.steps - exact <= 1.2
        assert 0 <= found.predicted.steps - exact <= 1.2


@pytest.mark.parametrize("name", PROFILES)
def test_gradient_descent_chatters_by_eta_v_star(name):
    problem = LearningProblem(name, horizon=50, gap=0.1)
    lr = {"sigmoid": 0.05, "fast": 0.01, "softsign": 1e3}[name]
    found = descent(problem, problem.z_star - 0.5, lr=lr)
    step = lr * math.exp(problem.log_abs_grad(problem.z_star))
    assert found.predicted.chatter == pytest.approx(step, rel=1e-9)
    assert found.chatter == pytest.approx(step, rel=0.02)
    assert 0 <= found.overshoot <= step * (1 + 1e-6)


@pytest.mark.parametrize(("beta", "n"), [(0.0, 1), (0.5, 3), (0.9, 7), (0.99, 24)])
def test_the_largest_cycle_of_a_heavy_ball_is_one_a_plain_loop_stays_in(beta, n):
    """A constant force towards 0: after a long swing the ball stays in a cycle of 2 n steps, none larger."""
    z, m, sizes = 1000.0, 0.0, []
    for _ in range(60_000):
        m = beta * m + math.copysign(1.0, z)
        z -= m
        sizes.append((z, abs(m)))
    tail = sizes[-20 * n :]
    assert np.mean([size for _, size in tail]) <= cycle(beta) * (1 + 1e-9)
    terminal = (1 - beta**n) / ((1 - beta) * (1 + beta**n))
    assert 2 * terminal > n or n == 1
    larger = (1 - beta ** (n + 1)) / ((1 - beta) * (1 + beta ** (n + 1)))
    assert 2 * larger <= n + 1
    states = []  # the cycle itself, started on its orbit
    z, m = -(n - 2 * beta * terminal) / (1 - beta) / 2, -terminal
    for _ in range(4 * n):
        m = beta * m - math.copysign(1.0, z)
        z += m
        states.append((z, abs(m)))
    assert np.mean([size for _, size in states]) == pytest.approx(cycle(beta), rel=1e-9)


def test_kappa_tells_a_step_that_runs_through_the_target():
    """1 and below never traps; a step 8 times the largest useful one lands past the target in u, for many steps."""
    problem = LearningProblem("fast", horizon=1000, timescale=2e4)
    z0 = float(gate("fast").float64.z_of_u(np.array(math.log(1000 / 1.2))))
    useful = float(at_largest_lr(problem, z0, "sgd"))
    assert useful == pytest.approx(math.e / (1 + math.log(1000) ** 2), rel=0.05)
    tame = descent(problem, z0, lr=useful * np.array([0.1, 0.5, 1.0]))
    assert np.all(tame.status == Status.REACHED)
    wild = descent(problem, z0, lr=8 * useful, steps=2000)
    assert wild.predicted.longest_step == pytest.approx(8, rel=1e-9)
    assert not wild.predicted.valid
    assert wild.status == Status.TRAPPED
    assert 3 <= wild.overshoot_u <= 15


def test_sigmoid_has_the_largest_useful_step_e_over_c():
    problem = LearningProblem("sigmoid", horizon=1000, gap=1e-3, scale=[0.5, 4.0])
    np.testing.assert_allclose(at_largest_lr(problem, 3.0, "sgd") * [0.5, 4.0], math.e, rtol=2e-3)


# --- precision ---


@pytest.mark.parametrize("name", ["float16", "float32"])
def test_rounding_is_that_of_numpy(name):
    x = floats()
    with np.errstate(over="ignore"):
        expected = x.astype(name).astype(np.float64)
    np.testing.assert_array_equal(FORMATS[name].round(x), expected)
    finite = expected[np.abs(expected) < FORMATS[name].largest]
    with np.errstate(over="ignore"):
        np.testing.assert_array_equal(FORMATS[name].spacing(finite), np.spacing(np.abs(finite).astype(name)))


def test_rounding_to_bfloat16_is_that_of_pytorch():
    torch = pytest.importorskip("torch")
    x = floats().astype(np.float32)
    expected = torch.from_numpy(x).to(torch.bfloat16).to(torch.float64).numpy()
    np.testing.assert_array_equal(FORMATS["bfloat16"].round(x), expected)


def test_rounding_to_bfloat16_is_to_the_nearest_of_8_bits_ties_to_even():
    grid = FORMATS["bfloat16"].round
    np.testing.assert_array_equal(grid([257.0, 259.0, 1 + 2.0**-8, 1 + 3 * 2.0**-8]), [256, 260, 1, 1 + 2.0**-6])
    np.testing.assert_array_equal(
        grid([1e39, -1e39, 2.0**-134, 3 * 2.0**-134, -0.0]), [np.inf, -np.inf, 0, 2.0**-132, 0]
    )
    assert np.isnan(grid(np.nan))


def floats():
    rng = np.random.default_rng(0)
    usual = rng.standard_normal(20_000) * 10.0 ** rng.uniform(-46, 40, 20_000)
    ties = rng.integers(-(2**16), 2**16, 10_000) / 256
    with np.errstate(over="ignore"):
        usual = usual.astype(np.float32).astype(np.float64)
    return np.concatenate([usual, ties, [0.0, -0.0, np.inf, -np.inf, np.nan, 65504, 65519.9, 65520]])


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
def test_float32_steps_are_those_of_pytorch(optimizer):
    """The same gradients in: PyTorch's own optimisers in float32 stay within a few ulps of z."""
    torch = pytest.importorskip("torch")
    horizon, steps = 20, 200
    problem = LearningProblem("sigmoid", horizon=horizon, gap=1e-5)
    makers = {
        "sgd": lambda p: torch.optim.SGD(p, lr=0.05),
        "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9),
        "adam": lambda p: torch.optim.Adam(p, lr=0.01),
        "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    }
    z = torch.zeros(1, dtype=torch.float32, requires_grad=True)
    step = makers[optimizer]([z])
    gradient = gradient_by_hand("sigmoid", horizon, problem.z_star)
    for _ in range(steps):
        z.grad = torch.tensor([gradient(float(z.detach()))], dtype=torch.float32)
        step.step()
    lr = 0.05 if optimizer in ("sgd", "momentum") else 0.01
    found = descent(problem, 0.0, optimizer, lr=lr, steps=steps, dtype="float32")
    assert found.status == Status.STEP_LIMIT
    assert found.z == pytest.approx(float(z.detach()), rel=4e-6)
    assert np.float32(found.z) == found.z


@pytest.mark.parametrize(("dtype", "held"), [("bfloat16", 2.0**8), ("float16", 2.0**11)])
@pytest.mark.parametrize("name", ["sigmoid", "fast"])
def test_naive_gradients_stall_where_the_gate_rounds_to_one(name, dtype, held):
    """Time scale 2^p, whatever the gate; stable gradients go past it."""
    problem = LearningProblem(name, horizon=10, timescale=1e9)
    z0 = float(gate(name).float64.z_of_u(np.array(math.log(held / 8))))
    v0 = math.exp(problem.log_abs_grad(z0))
    lr = 0.3 / (v0 * PROFILES[name][1](z0))
    naive = descent(problem, z0, lr=lr, steps=3000, dtype=dtype, gradient="naive")
    stable = descent(problem, z0, lr=lr, steps=3000, dtype=dtype)
    reached = [float(-1 / gate(name).log_phi(run.z)) for run in (naive, stable)]
    assert naive.status == Status.STALLED
    assert held / 2 <= reached[0] <= 4 * held
    assert reached[1] > reached[0]


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_stable_gradients_stall_where_a_step_is_below_half_an_ulp(dtype):
    problem = LearningProblem("sigmoid", horizon=10, timescale=1e8)
    predicted = descent(problem, 4.0, lr=1.0, steps=1, dtype=dtype).predicted.stalls_at
    found = descent(
        problem, predicted - min(1.0, 300 * float(FORMATS[dtype].spacing(predicted))), lr=1.0, steps=3000, dtype=dtype
    )
    assert found.status == Status.STALLED
    assert found.predicted.reason == "a step on the way is below half an ulp of z"
    assert abs(found.z - predicted) <= 2 * float(FORMATS[dtype].spacing(predicted)) + 0.002
    step = math.exp(problem.log_abs_grad(found.z))
    assert step <= float(FORMATS[dtype].spacing(found.z)) / 2


# --- the rest ---


def test_arrays_broadcast_and_single_problems_are_their_elements():
    problem = LearningProblem("fast", horizon=[[5.0], [10.0]], gap=0.1)
    many = descent(problem, [0.5, 1.0, 2.5], lr=0.02)
    assert many.steps.shape == many.predicted.steps.shape == (2, 3)
    one = descent(LearningProblem("fast", horizon=10.0, gap=0.1), 1.0, lr=0.02)
    assert np.ndim(one.steps) == 0
    assert one.steps == many.steps[1, 1]
    assert one.z == many.z[1, 1]
    assert one.predicted.steps == many.predicted.steps[1, 1]
    assert one.chatter == many.chatter[1, 1]
    assert repr(many) == "<Descent of 6 problems by GradientDescent in float64; reached: 6>"


def test_a_start_on_the_target_takes_no_steps():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    found = descent(problem, problem.z_star, lr=0.1)
    assert (found.steps, found.status, found.predicted.steps) == (0, Status.REACHED, 0)


def test_a_target_at_infinity_is_never_reached_nor_predicted_to_be():
    found = descent(LearningProblem("sigmoid", horizon=10, gap=0.0), 0.0, lr=1.0, steps=50)
    assert found.status == Status.STEP_LIMIT
    assert found.predicted.steps == np.inf
    assert found.predicted.reason == "the flow never reaches the target"


def test_a_plateau_stalls_at_once():
    found = descent(LearningProblem("sigmoid", horizon=1e6, gap=0.1), 0.0, lr=1.0)
    assert found.status == Status.STALLED
    assert found.z == found.predicted.stalls_at == 0.0


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimiser_declares_its_formulas(name):
    module = OPTIMIZERS.module(name)
    assert "Prediction" in module.__doc__
    assert OPTIMIZERS[name]().memory >= 1


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"lr": 0.0}, "lr must be finite and above 0; got 0"),
        ({"lr": 0.1, "steps": 0}, "steps must be a whole number from 1; got 0"),
        ({"lr": 0.1, "gradient": "exact"}, "gradient must be 'stable' or 'naive'; got 'exact'"),
        ({"lr": 0.1, "beta": 0.5}, "optimizer 'sgd' does not take beta; it has none besides lr"),
        ({"lr": 0.1, "optimizer": "momentum", "beta": 1.0}, r"beta must be in \[0, 1\); got 1"),
        ({"lr": 0.1, "optimizer": "adam", "beta1": [0.1]}, r"beta1 must be one number, not an array of shape \(1,\)"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(keywords, message):
    with pytest.raises(InvalidArgument, match=f"^{message}$"):
        descent(LearningProblem("fast", horizon=10, gap=0.1), 0.0, **keywords)


def test_unknown_names_are_refused():
    problem = LearningProblem("fast", horizon=10, gap=0.1)
    with pytest.raises(UnknownName, match="did you mean 'adam'"):
        descent(problem, 0.0, "adan", lr=0.1)
    with pytest.raises(UnknownName, match="unknown dtype 'float8'"):
        descent(problem, 0.0, lr=0.1, dtype="float8")


@pytest.mark.parametrize("optimizer", ["sgd", "momentum", "adam", "rmsprop"])
@pytest.mark.parametrize(("text", "z0"), [("cubic", 0.0), ("cubic", -1.0), ("sigmoid(z)/2", 0.0)])
def test_where_the_flow_never_arrives_no_number_of_steps_bounds_the_error(text, z0, optimizer):
    """From a flat point, towards one, and to a target outside the range: infinitely many steps, off by any number."""
    found = descent(LearningProblem(text, horizon=10, gap=0.1), z0, optimizer, lr=0.05, steps=10)
    assert found.predicted.steps == found.predicted.error == np.inf
