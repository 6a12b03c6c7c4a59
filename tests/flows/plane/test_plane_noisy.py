"""Noisy hard gates: the expected loss against quadrature in big floats and against drawn noise, and its flow."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
from scipy.integrate import solve_ivp

from gateflow.errors import InvalidArgument
from gateflow.flows.plane import NoisyProblem, Status, flow

MP = mpmath.MPContext()
MP.dps = 20


def gate(z, p, noise, alpha=1.1, amplitude=0.15):
    """The noisy gate as the source has it."""
    z, p = MP.mpf(z), MP.mpf(p)
    u = z / 4 + MP.mpf(1) / 2
    h = min(max(u, 0), 1)
    spread = amplitude * (1 / (1 + MP.exp(-p * (h - u))) - MP.mpf(1) / 2) ** 2
    direction = -MP.sign(z) * (1 if alpha <= 1 else -1)
    return alpha * h + (1 - alpha) * u + direction * spread * noise


def expected(function, goal_noise, half_normal=True):
    """The mean over the noise, cut at its kinks."""
    inner = sorted(x for x in goal_noise if abs(x) < 12)
    cuts = sorted({*(x for x in inner if not half_normal or x > 0), *range(0 if half_normal else -12, 13, 3)})
    density = MP.sqrt(2 / MP.pi) if half_normal else 1 / MP.sqrt(2 * MP.pi)
    return MP.quad(lambda e: function(e) * density * MP.exp(-e * e / 2), cuts)


def held(z, p, horizon, gap, power, half_normal=True, alpha=1.1):
    lam = 1 - MP.mpf(gap)
    m, s = gate(z, p, 0, alpha), gate(z, p, 1, alpha) - gate(z, p, 0, alpha)
    kinks = [(x * lam ** (MP.one / horizon) - m) / s for x in (1, -1)]
    return expected(lambda e: abs((m + s * e) ** horizon - lam) ** power, kinks, half_normal)


POINTS = [(6.0, 1.0), (-6.0, 2.0), (3.0, -4.0), (2.5, 9.0)]


@pytest.mark.parametrize(("z", "p"), POINTS)
@pytest.mark.parametrize(("loss", "power"), [("absolute", 1), ("squared", 2)])
@pytest.mark.sampled(3)
def test_the_expected_loss_of_held_noise_is_its_integral(z, p, loss, power):
    for horizon, half_normal in ((1, True), (5, True), (40, False)):
        problem = NoisyProblem(horizon=horizon, gap=0.1, loss=loss, half_normal=half_normal)
        exact = held(z, p, horizon, 0.1, power, half_normal)
        assert problem.loss_at(z, p) == pytest.approx(float(exact), rel=1e-12)


@pytest.mark.parametrize(("z", "p"), POINTS)
def test_the_expected_loss_of_fresh_noise_is_its_double_integral(z, p):
    problem = NoisyProblem(horizon=2, gap=0.1, loss="squared", noise="fresh")
    m, s = gate(z, p, 0), gate(z, p, 1) - gate(z, p, 0)
    powers = [expected(lambda e, n=n: (m + s * e) ** n, []) for n in range(3)]
    # E (g1 g2 - lambda)^2, term by term over independent draws
    exact = powers[2] ** 2 - 2 * MP.mpf("0.9") * powers[1] ** 2 + MP.mpf("0.81")
    assert problem.loss_at(z, p) == pytest.approx(float(exact), rel=1e-11)


@pytest.mark.parametrize("options", [{}, {"loss": "squared"}, {"loss": "squared", "noise": "fresh"}, {"alpha": 0.9}])
@pytest.mark.parametrize(("z", "p"), POINTS)
def test_the_force_is_minus_the_gradient(z, p, options):
    """Sixth-order differences of the loss, which other tests hold against big floats."""
    problem = NoisyProblem(horizon=7, gap=0.05, scale=2, **options)
    force = problem.force(z, p)
    found = np.array([force.first, force.second]) * math.exp(force.log_scale)

    def slope(dz, dp, step=1e-2):
        at = [problem.loss_at(z + k * step * dz, p + k * step * dp) for k in (-3, -2, -1, 1, 2, 3)]
        return np.dot([-1, 9, -45, 45, -9, 1], at) / (60 * step)

    assert found == pytest.approx([-slope(1, 0), -slope(0, 1)], rel=2e-5, abs=1e-8 * np.abs(found).max())


@pytest.mark.parametrize(
    "options",
    [
        {"horizon": 5},
        {"horizon": 5, "half_normal": False, "alpha": 0.9},
        {"horizon": 3, "loss": "squared"},
        {"horizon": 8, "loss": "squared", "noise": "fresh", "amplitude": 0.4},
    ],
)
def test_drawn_noise_agrees_within_four_standard_errors(options):
    problem = NoisyProblem(gap=0.1, **options)
    z, p = np.array(POINTS).T
    drawn = problem.monte_carlo(z, p, samples=20_000, seed=5)
    assert np.all(np.abs(drawn.loss - problem.loss_at(z, p)) < 4 * drawn.loss_error)
    force = problem.force(z, p)
    exact = -np.stack([force.first, force.second], axis=-1) * np.exp(force.log_scale)[:, None]
    assert np.all(np.abs(drawn.grad - exact) < 4 * drawn.grad_error)
    assert np.all(drawn.loss_error < 0.05 * drawn.loss + 1e-3)  # the band says something


def test_standard_errors_are_those_of_means_in_numpy():
    """Over blocks and at once."""
    problem = NoisyProblem(horizon=4, gap=0.1, loss="squared", noise="fresh")
    noise = np.abs(np.random.default_rng(3).standard_normal((500, 4)))
    m, s = float(gate(6, 1, 0)), float(gate(6, 1, 1) - gate(6, 1, 0))
    losses = (np.prod(m + s * noise, axis=1) - 0.9) ** 2
    drawn = problem.monte_carlo(6.0, 1.0, samples=500, seed=3)
    assert drawn.loss == pytest.approx(losses.mean(), rel=1e-12)
    assert drawn.loss_error == pytest.approx(losses.std(ddof=1) / math.sqrt(500), rel=1e-12)


def test_blocks_of_draws_make_no_difference(monkeypatch):
    problem = NoisyProblem(horizon=4, gap=0.1)
    at_once = problem.monte_carlo(6.0, 1.0, samples=700, seed=3)
    monkeypatch.setattr("gateflow.flows.plane.noisy.BLOCK", 64)
    in_blocks = problem.monte_carlo(6.0, 1.0, samples=700, seed=3)
    assert in_blocks.loss == pytest.approx(at_once.loss, rel=1e-13)
    assert in_blocks.grad_error == pytest.approx(at_once.grad_error, rel=1e-11)


def test_a_seed_makes_the_draws():
    problem = NoisyProblem(horizon=4, gap=0.1)
    same = [problem.monte_carlo(6.0, 1.0, samples=100, seed=s).loss for s in (1, 1, 2)]
    assert same[0] == same[1] != same[2]


# --- the flow ---


@pytest.mark.parametrize(("horizon", "gap", "z0"), [(5, 0.1, -1.0), (1, 0.3, 0.0), (30, 1e-6, 1.0), (5, 0.0, 0.5)])
def test_between_the_edges_there_is_no_noise_and_a_closed_form(horizon, gap, z0):
    """``dz/dtau = T u^(T-1)/4`` with ``u = z/4 + 1/2``: tau is an integral of ``16 u^(1-T)/T``."""
    problem = NoisyProblem(horizon=horizon, gap=gap)
    path = flow(problem, (z0, 1.5))
    low, high = MP.mpf(z0) / 4 + MP.mpf(1) / 2, (1 - MP.mpf(gap)) ** (MP.one / horizon)
    tau = 16 / MP.mpf(horizon) * MP.quad(lambda u: u ** (1 - horizon), [low, high])
    assert path.tau[-1] == pytest.approx(float(tau), rel=1e-9)
    assert path.z[-1] == pytest.approx(float(4 * high - 2), rel=1e-13)
    assert (path.status, path.p[-1]) == (Status.REACHED, pytest.approx(1.5, abs=1e-14))


def test_a_plateau_of_the_hard_gate_is_crossed():
    """From u = 1/100 at T = 200: tau is ``16/(T (T-2)) 100^(T-2)``, 1e392."""
    path = flow(NoisyProblem(horizon=200, gap=0.1), (-1.96, 1.0))
    assert path.log_tau[-1] == pytest.approx(math.log(16 / (200 * 198)) + 198 * math.log(100), rel=1e-11)
    assert path.status is Status.REACHED


@pytest.mark.parametrize("options", [{}, {"loss": "squared", "noise": "fresh"}])
@pytest.mark.sampled(2)
def test_the_state_in_time_agrees_with_a_plain_integration(options):
    """In time, by another solver, with the gradient from a rule of 80 nodes on plain formulas."""
    x, weights = np.polynomial.legendre.leggauss(80)
    t, lam = 5, 0.9

    def slope(_, point):
        z, p = point
        slack = 1 - (z / 4 + 0.5)
        m, s = 1.1 - 0.1 * (z / 4 + 0.5), 0.15 * (np.tanh(p * slack / 2) / 2) ** 2
        turn = 0.15 * np.tanh(p * slack / 2) / 4 / np.cosh(p * slack / 2) ** 2
        s_z, s_p = -turn * p / 4, turn * slack
        if options:
            one, two = math.sqrt(2 / math.pi), m * m + 2 * m * s * math.sqrt(2 / math.pi) + s * s
            first = m + s * one
            pulls = []
            for dm, ds in ((-0.025, s_z), (0.0, s_p)):
                d_first, d_two = dm + ds * one, 2 * m * dm + 2 * one * (dm * s + m * ds) + 2 * s * ds
                pulls.append(-t * two ** (t - 1) * d_two + 2 * lam * t * first ** (t - 1) * d_first)
            return pulls
        cut = min(max((lam ** (1 / t) - m) / s, 0.0), 10.0)
        total = np.zeros(2)
        for a, b in ((0.0, cut), (cut, 10.0)):
            e = a + (b - a) * (x + 1) / 2
            g = m + s * e
            share = (b - a) / 2 * weights * math.sqrt(2 / math.pi) * np.exp(-e * e / 2)
            front = share * np.sign((a + b) / 2 * s + m - lam ** (1 / t)) * t * g ** (t - 1)
            total += [front @ (-0.025 + s_z * e), front @ (s_p * e)]
        return -total

    plain = solve_ivp(slope, (0, 12), [6.0, 1.0], t_eval=[5.0, 12.0], method="DOP853", rtol=1e-11, atol=1e-12)
    path = flow(NoisyProblem(horizon=t, gap=0.1, **options), (6.0, 1.0), tau_max=12.0)
    assert path.at([5.0, 12.0]).points == pytest.approx(plain.y.T, rel=1e-8)


def test_the_noise_dies_out_in_the_valley_of_the_absolute_loss():
    problem = NoisyProblem(horizon=5, gap=0.1)
    path = flow(problem, (6.0, 1.0))
    assert path.status is Status.QUIET
    assert path.phi[-1] == pytest.approx(0.9**0.2, abs=1e-5)
    assert np.all(np.diff(path.loss) < 0)
    assert path.loss[-1] < 1e-4


def test_a_gate_below_its_lower_edge_creeps_up_to_it():
    """For alpha < 1 the mean gate there rises to 0 with z, and the slope of its power falls to 0 with it."""
    path = flow(NoisyProblem(horizon=5, gap=0.1, alpha=0.9), (-6.0, 1.0))
    assert path.status is Status.ASYMPTOTIC
    assert path.z[-1] == pytest.approx(-2.0, abs=2e-6)


def test_one_that_leans_back_runs_on_to_the_other_solution():
    """For alpha > 1 the mean gate below its lower edge rises as z falls, to the target at ``z = -2 - 40 phi*``."""
    path = flow(NoisyProblem(horizon=5, gap=0.1), (-6.0, 1.0))
    assert path.status is Status.QUIET
    assert path.z[-1] == pytest.approx(-2 - 40 * 0.9**0.2, abs=1e-3)


def test_an_edge_that_is_the_target_is_rested_on_and_one_on_the_way_is_crossed():
    rests = flow(NoisyProblem(horizon=5, gap=0.0), (6.0, 3.0))
    assert (rests.status, rests.loss[-1]) == (Status.REACHED, 0.0)
    assert rests.z[-1] == pytest.approx(2.0, abs=1e-14)
    crosses = flow(NoisyProblem(horizon=5, gap=0.1, alpha=0.9), (3.0, 1.0))
    assert [turn.what for turn in crosses.turns] == ["z crosses the edge at 2"]
    assert (crosses.status, crosses.z[-1]) == (Status.REACHED, pytest.approx(4 * 0.9**0.2 - 2, rel=1e-12))


@pytest.mark.parametrize(
    ("task", "said"),
    [
        ({"horizon": 2.5, "gap": 0.1}, "horizon must be a whole number of steps"),
        ({"horizon": 5, "gap": 0.1, "noise": "loud"}, "unknown noise 'loud'; known: held, fresh"),
        ({"horizon": 5, "gap": 0.1, "loss": "log-decay"}, "unknown loss 'log-decay'; known: absolute, squared"),
        ({"horizon": 5, "gap": 0.1, "noise": "fresh"}, "formula for the squared loss only"),
        ({"horizon": 5, "gap": 0.1, "amplitude": -1}, "amplitude must be at least 0"),
        ({"horizon": 5, "gap": 0.1, "alpha": math.nan}, "alpha must be finite"),
        ({"horizon": [5, 6], "gap": 0.1}, "one problem"),
    ],
)
def test_bad_inputs_are_one_line(task, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        NoisyProblem(**task)
    assert "\n" not in str(caught.value)


def test_bad_draws_are_one_line():
    problem = NoisyProblem(horizon=5, gap=0.1)
    with pytest.raises(InvalidArgument, match="samples must be a whole number from 2; got 1"):
        problem.monte_carlo(0.0, 1.0, samples=1)
    with pytest.raises(InvalidArgument, match="seed must be a whole number from 0; got -1"):
        problem.monte_carlo(0.0, 1.0, seed=-1)
