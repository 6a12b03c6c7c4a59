"""Gradient noise against closed forms, runs of descent, and PyTorch."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import special, stats

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.errors import InvalidArgument, NotReached, UnknownName
from gateflow.flows import LearningProblem, hitting_time
from gateflow.noise import Diffusion, Law, NoisyDescent, Passage, Samples, Unresolved, law
from gateflow.noise.elements import Elements, resolved
from gateflow.noise.steady import settled

P = np.array([1e-6, 0.01, 0.3, 0.5, 0.9, 0.999])


def constant(value):
    return lambda z: np.full_like(z, value)


# --- closed forms ---


def test_about_a_kink_the_law_is_laplace():
    """dz = -b sign(z - m) dtau + sqrt(v) dW settles to a density proportional to exp(-2 b |z - m|/v)."""
    found = Diffusion(lambda z: -3 * np.sign(z - 1), constant(0.5), -4.0, 6.0, kinks=[1.0]).stationary()
    exact = stats.laplace(1.0, 0.5 / 6)
    np.testing.assert_allclose(found.quantile(P), exact.ppf(P), atol=1e-8)
    np.testing.assert_allclose(found.cdf([0.9, 1.3]), exact.cdf([0.9, 1.3]), atol=1e-9)
    assert found.deviation == pytest.approx(exact.std(), rel=1e-9)


def test_in_a_quadratic_valley_it_is_normal():
    found = Diffusion(lambda z: -2 * (z - 1), constant(0.3), -6.0, 8.0).stationary()
    exact = stats.norm(1, np.sqrt(0.3 / 4))
    np.testing.assert_allclose(found.quantile(P), exact.ppf(P), atol=1e-8)
    z = np.linspace(0, 2, 7)
    np.testing.assert_allclose(found.pdf(z), exact.pdf(z), atol=1e-8)


@pytest.mark.parametrize("variance", [1.0, 0.01])
@pytest.mark.sampled(2)
def test_first_passage_at_constant_speed_is_inverse_gaussian(variance):
    law_ = Passage(Diffusion(constant(1.0), constant(variance), -40.0, 2.0), 0.0, 1.0)
    exact = stats.invgauss(variance, scale=1 / variance)
    tau = np.array([0.5, 0.8, 1.0, 1.3, 3.0])
    np.testing.assert_allclose(law_.cdf(tau), exact.cdf(tau), atol=1e-8)
    np.testing.assert_allclose(law_.quantile([0.05, 0.5, 0.95]), exact.ppf([0.05, 0.5, 0.95]), rtol=1e-7)
    assert law_.mean == pytest.approx(1.0, rel=1e-10)


def test_where_noise_is_small_the_first_part_of_the_way_has_the_cumulants_of_its_law():
    law_ = Passage(Diffusion(constant(1.0), constant(1e-3), -1.0, 2.0), 0.0, 1.0)
    exact = stats.invgauss(1e-3, scale=1e3)
    tau = np.array([0.9, 0.97, 1.0, 1.03, 1.1])
    np.testing.assert_allclose(law_.cdf(tau), exact.cdf(tau), atol=1e-5)
    assert law_.elements.edges[0] > 0.5  # there is such a part


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.sampled(2)
def test_first_passage_of_an_ornstein_uhlenbeck_process_to_its_mean(side):
    """P = erfc(|z0|/sqrt(exp(2 tau) - 1)) for unit rate and noise, from either side."""
    law_ = Passage(Diffusion(lambda z: -z, constant(1.0), -12.0, 12.0), side, 0.0)
    tau = np.array([0.1, 0.5, 1.0, 2.0, 5.0])
    np.testing.assert_allclose(law_.cdf(tau), special.erfc(1 / np.sqrt(np.expm1(2 * tau))), atol=1e-8)


def test_the_mean_passage_through_a_reflected_interval():
    """Without drift, reflected at 0: E tau from z to 1 is (1 - z^2)/v."""
    law_ = Passage(Diffusion(constant(0.0), constant(0.5), 0.0, 1.0), 0.25, 1.0)
    assert law_.mean == pytest.approx((1 - 0.25**2) / 0.5, rel=1e-10)


def test_a_narrow_feature_is_not_stepped_over():
    """A bump that no node of the first pieces sees is found by the points between them."""

    def bump(z):
        return 1 + np.exp(-(((z - 0.4137) / 4e-3) ** 2))

    parts = resolved(bump, [0.0, 1.0])
    assert parts.integral(bump(parts.nodes))[-1, -1] == pytest.approx(1 + 4e-3 * np.sqrt(np.pi), rel=1e-12)


# --- moments of the gradient ---


def kept(gate, z, horizon):
    return gate.phi(z) ** horizon


@pytest.mark.parametrize("name", ["sigmoid", "softsign", "fast"])
@pytest.mark.parametrize("loss", ["absolute", "squared"])
def test_drift_and_variance_are_those_of_drawn_samples(name, loss):
    """Gradients of 100,000 samples, by the formula for one: mean and variance within their standard errors."""
    problem = LearningProblem(name, horizon=10, target=0.5, loss=loss)
    gate, generator = problem.gate, np.random.default_rng(1)
    z = np.array([0.5, 1.5, 2.5])
    wanted = stats.beta(8, 4).rvs(100_000, random_state=generator)[:, None]
    c = generator.normal(1, 0.5, (100_000, 1))
    value = kept(gate, z, 10)
    inner = 10 * gate.phi(z) ** 9 * gate.dphi(z)
    slope = np.sign(value - wanted) if loss == "absolute" else 2 * (value - wanted)
    drawn = c * slope * inner
    noisy = NoisyDescent(problem, Samples(target=stats.beta(8, 4), scale="normal(1, 0.5)", batch=7), lr=0.3)
    error = drawn.std(axis=0) / np.sqrt(len(drawn))
    assert np.all(np.abs(noisy.gradient(z) - drawn.mean(axis=0)) < 5 * error)
    square = 0.3 / 7 * drawn.var(axis=0)
    np.testing.assert_allclose(noisy.variance(z), square, rtol=0.04)


def test_a_random_lag_weighs_every_lag():
    problem = LearningProblem("sigmoid", horizon=10, timescale=20)
    noisy = NoisyDescent(problem, Samples(horizon="steps(1, 40)"), lr=0.1)
    lags, z = np.arange(1, 41), 1.3
    phi = 1 / (1 + np.exp(-z))
    slopes = -lags * phi ** (lags - 1) * phi * (1 - phi)  # below the time constant of 20: all lags pull up
    assert noisy.gradient(z) == pytest.approx(slopes.mean(), rel=1e-12)
    assert noisy.variance(z) == pytest.approx(0.1 * slopes.var(), rel=1e-12)


def test_noise_that_nearly_all_samples_agree_on_keeps_its_digits():
    """Deep on the plateau the share of targets below is 1e-22: the variance is 4 F (1 - F) of the slope's square."""
    problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    noisy = NoisyDescent(problem, Samples(target="beta(8, 4)"), lr=1.0)
    share = stats.beta(8, 4).cdf(2.0**-10)
    slope = 10 * 0.5**9 * 0.25
    assert noisy.variance(0.0) == pytest.approx(4 * share * slope**2, rel=1e-6)


def loss_slope(name, u, horizon):
    """dl/du by hand, c = 1, far below the target: of lags from U(0, T) and of log h."""
    y = np.logaddexp(0, -u)
    h, dh = horizon * y, -horizon / (1 + np.exp(u))
    return {"(1-exp(-s))/s": (1 - (1 + h) * np.exp(-h)) / h**2, "log-decay": 1 / h}[name] * dh


@pytest.mark.parametrize("loss", ["(1-exp(-s))/s", "log-decay"])
def test_losses_that_do_not_fade_on_a_plateau_have_gradients_there(loss):
    """At u = -60 with T = 10 the kept value is exp(-600): the slope is not, and neither are mean and variance nan."""
    problem = LearningProblem("sigmoid", horizon=10, target=0.5, loss=loss)
    noisy = NoisyDescent(problem, Samples(scale="normal(2, 3)"), lr=0.1)
    z = np.array([-60.0, -5.0, 0.0])
    slope = loss_slope(loss, z, 10)
    np.testing.assert_allclose(noisy.gradient(z), 2 * slope, rtol=1e-9)
    np.testing.assert_allclose(noisy.variance(z), 0.1 * 9 * slope**2, rtol=1e-9)


@pytest.mark.parametrize("loss", ["log-decay", pytest.param("(1-exp(-s))/s", marks=pytest.mark.slow)])
def test_runs_on_a_plateau_of_losses_that_do_not_fade_arrive_when_predicted(loss):
    """The slope of the second is found in big floats, point by point: that takes a quarter of a minute."""
    problem = LearningProblem("sigmoid", horizon=10, target=0.5, loss=loss)
    noisy = NoisyDescent(problem, Samples(scale="normal(2, 3)"), lr=0.1)
    low, high = noisy.steps(0.0, [0.05, 0.95], 8.0)
    seen = noisy.paths(0.0, 500, seed=1).arrivals(float(problem.gate.inverse_c(-np.expm1(-1 / 8))), int(2 * high))
    assert np.mean((seen >= low - 1) & (seen <= high + 1)) > 0.9 - 4 * np.sqrt(0.09 / 500)


def test_a_start_from_which_a_step_leads_to_other_noise_is_refused():
    """The slope of log-slow is many times larger at 0 than at 3.6, and a step is about 12 long there."""
    problem, samples = LearningProblem("log-slow", horizon=10, target=0.5), Samples(scale="normal(1, 3)")
    lr = 3 / abs(float(NoisyDescent(problem, samples, lr=1.0).gradient(3.6)))
    with pytest.raises(Unresolved, match="within it gradients change"):
        NoisyDescent(problem, samples, lr).arrival(3.6, 8.0)


# --- against runs ---


@pytest.mark.parametrize("name", ["sigmoid", "softsign", "fast"])
@pytest.mark.sampled(3)
def test_runs_arrive_when_predicted(name):
    """The whole law, by the distance of Kolmogorov and Smirnov at the one per cent level.

    Runs are looked at once a step, and overstep a level by .5826 deviations of a step on average (Broadie, Glasserman
    and Kou, Mathematical Finance 7, 1997): they arrive when a diffusion arrives so much further on.
    """
    problem = LearningProblem(name, horizon=10, target=0.5)
    noisy = NoisyDescent(problem, Samples(scale="normal(1, 3)"), lr=0.02)
    level = float(problem.gate.inverse_c(-np.expm1(-1 / 8)))
    step = float(np.sqrt(noisy.lr * noisy.variance(level)))
    further = float(-1 / problem.gate.log_phi(level + 0.5826 * step))
    arrival = noisy.arrival(1.0, further)
    last = int(arrival.quantile(0.98) / noisy.lr)
    seen = np.sort(noisy.paths(1.0, 2000, seed=5).arrivals(level, last))
    seen = seen[seen >= 0]
    law_ = arrival.cdf(seen * noisy.lr)
    count = np.arange(seen.size)
    assert max(np.max(law_ - count / 2000), np.max((count + 1) / 2000 - law_)) < 1.63 / np.sqrt(2000)
    assert seen.size == pytest.approx(0.98 * 2000, abs=4 * np.sqrt(0.02 * 0.98 * 2000))


@pytest.mark.parametrize("name", ["sigmoid", "softsign", "fast"])
@pytest.mark.sampled(3)
def test_little_noise_leaves_the_steps_of_descent(name):
    """The steps of a loop, the last one in part; the flow without the drift's second order is off by one to three."""
    problem = LearningProblem(name, horizon=10, timescale=8.0)
    level, z, steps, lr = float(problem.z_star), 0.0, 0, 0.2
    while True:
        after = z + lr * 10 * float(problem.gate.phi(z)) ** 9 * float(problem.gate.dphi(z))
        if after >= level:
            break
        z, steps = after, steps + 1
    looped = steps + (level - z) / (after - z)
    further = LearningProblem(name, horizon=10, target=0.5)
    noisy = NoisyDescent(further, Samples(scale="normal(1, 0.1)"), lr=lr)
    assert noisy.arrival(0.0, 8.0).mean / lr == pytest.approx(looped, abs=0.25)
    assert abs(float(hitting_time(problem, 0.0).tau) / lr - looped) > 1


@pytest.mark.parametrize("horizon", [55, 60, 100, 300])
@pytest.mark.sampled(4)
def test_a_plateau_takes_the_time_of_the_flow(horizon):
    """From phi = 1/2 the way is 2^T long, and noise of a step's size is nothing beside it."""
    problem = LearningProblem("sigmoid", horizon=horizon, target=0.5)
    noisy = NoisyDescent(problem, Samples(scale="normal(1, 3)"), lr=0.01)
    flow = float(hitting_time(problem, 0.0).tau)
    np.testing.assert_allclose(noisy.arrival(0.0).quantile([0.05, 0.5, 0.95]), flow, rtol=1e-5)


@pytest.mark.parametrize(
    ("varies", "lr"),
    [({"target": "beta(8, 4)"}, 0.02), ({"scale": "normal(1, 2.4)"}, 0.01), ({"scale": "normal(1, 6)"}, 0.01)],
    ids=["smooth", "kink, at the limit", "kink"],
)
@pytest.mark.sampled(2)
def test_runs_settle_to_the_law(varies, lr):
    """Also where the law is not much wider than a step: the diffusion's own was up to 15 per cent too narrow there."""
    noisy = NoisyDescent(LearningProblem("fast", horizon=10, target=0.5), Samples(**varies), lr=lr)
    found = noisy.stationary()
    z = noisy.paths(float(found.mean), 5000, seed=2).run(1500).z
    assert stats.kstest(z, found.cdf).statistic < 1.63 / np.sqrt(5000)


def test_steps_about_a_kink_settle_as_far_from_it_as_they_must():
    """x - m sign(x) + q xi keeps its mean square: E|x| = (m^2 + q^2)/(2 m); the diffusion's is q^2/(2 m)."""
    m, q = 0.3, 0.7
    wide = Diffusion(lambda z: -m * np.sign(z - 1), constant(q**2), -40.0, 42.0, kinks=[1.0]).stationary()
    found = settled(wide, lambda z: -m * np.sign(z - 1), constant(q), (1.0,))
    assert found.expected(lambda z: np.abs(z - 1)) == pytest.approx((m**2 + q**2) / (2 * m), rel=1e-9)
    assert wide.expected(lambda z: np.abs(z - 1)) == pytest.approx(q**2 / (2 * m), rel=1e-9)


def test_momentum_narrows_the_law_as_in_a_valley():
    """In a valley of curvature k it has the variance V (1 + e k (1 - beta)/(2 (1 + beta)) + ...), e = lr/(1 - beta).

    Here V = e/4 and k = 2 g^2, g the slope of phi^T at the target. What bends the valley adds as much for every beta.
    """
    problem, e = LearningProblem("sigmoid", horizon=10, target=0.5), 0.02
    z = problem.z_star
    k = 2 * float(10 * 0.5 * problem.gate.dphi(z) / problem.gate.phi(z)) ** 2
    more = {}
    for beta in (0.0, 0.8):
        one = NoisyDescent(problem, Samples(target="uniform(0, 1)"), e * (1 - beta), OPTIMIZERS["momentum"](beta=beta))
        more[beta] = (one.stationary().deviation ** 2 / (e / 4) - 1) / e
    assert more[0.0] - more[0.8] == pytest.approx(k / 2 - k / 18, rel=0.01)


def test_runs_are_the_same_in_any_portions():
    problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    noisy = NoisyDescent(problem, Samples(scale="normal(1, 3)"), lr=0.1)
    whole = noisy.paths(0.5, 100, seed=3).run(60).z
    assert np.array_equal(whole, noisy.paths(0.5, 100, seed=3).run(1).run(42).run(17).z)
    assert not np.array_equal(whole, noisy.paths(0.5, 100, seed=4).run(60).z)


THREE = [(name, lr) for name in ("sigmoid", "softsign", "fast") for lr in (0.05, 0.02, 0.01)]


@pytest.mark.parametrize(
    ("name", "lr", "count"),
    [("fast", 0.05, 300), *(pytest.param(*one, 1000, marks=pytest.mark.slow) for one in THREE)],
)
def test_stochastic_gradient_descent_of_pytorch_is_within_the_band(name, lr, count):
    """One unit asked for random targets: real samples, autograd, torch.optim; as many are in the band as predicted."""
    torch = pytest.importorskip("torch")
    from gateflow.nn.functional import gate_function

    gate = LearningProblem(name, horizon=10, target=0.5).gate
    z0, level = (float(gate.inverse_c(-np.expm1(-1 / constant))) for constant in (3.0, 8.0))
    noisy = NoisyDescent(LearningProblem(name, horizon=10, target=0.5), Samples(target="uniform(0, 1)"), lr)
    low, high = noisy.steps(z0, [0.05, 0.95], 8.0)
    drawn, phi = torch.Generator().manual_seed(11), gate_function(gate)
    z = torch.full((count,), z0, dtype=torch.float64, requires_grad=True)
    seen, descending = np.zeros(count), torch.optim.SGD([z], lr=lr)
    for step in range(1, int(2 * high)):
        wanted = torch.rand(count, generator=drawn, dtype=torch.float64)
        descending.zero_grad()
        (phi(z) ** 10 - wanted).abs().sum().backward()
        descending.step()
        seen[(seen == 0) & (z.detach().numpy() >= level)] = step
        if (seen > 0).all():
            break
    assert (seen > 0).all()
    first, last = np.floor(low), np.ceil(high)
    inside = np.diff(noisy.reached(z0, [first - 1, last], 8.0))[0]
    assert inside < 0.97
    assert np.mean((seen >= first) & (seen <= last)) == pytest.approx(
        inside, abs=4 * np.sqrt(inside * (1 - inside) / count)
    )


# --- laws, refusals, command line ---


def noisy_sigmoid():
    return NoisyDescent(LearningProblem("sigmoid", horizon=10, target=0.5), Samples(scale="normal(1, 3)"), lr=0.1)


def test_laws_of_text():
    assert law("uniform(2, 4)").moments() == pytest.approx((3, 1 / 3))
    assert law("gamma(3, 6)").moments() == pytest.approx((6, 12))
    assert law("steps(1, 3)").moments() == pytest.approx((2, 2 / 3))
    assert law("values(0.2, 0.4, 0.4)").moments()[0] == pytest.approx(1 / 3)
    assert law(stats.poisson(5)).moments() == pytest.approx((5, 5), rel=1e-9)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: law("cauchy(0, 1)"), "unknown law 'cauchy'"),
        (lambda: law("__import__('os')"), "reads like"),
        (lambda: law("normal(1)"), r"write normal\(mean, deviation\)"),
        (lambda: law("normal(1, x)"), "are numbers"),
        (lambda: law("beta(-1, 2)"), "out of range"),
        (lambda: law("normal(1, 1e300)"), "below 1e100"),
        (lambda: law("values(1e308, 1e308)"), "below 1e100"),
        (lambda: law([1.0, 1e200]), "below 1e100"),
        (lambda: law(stats.norm(1, 1e200)), "from 1e100 on"),
        (lambda: law(stats.cauchy()), "no finite variance"),
        (lambda: law("steps(1, 1e9)"), "at most"),
        (lambda: law(object()), "is a distribution"),
        (lambda: law([np.nan]), "finite numbers"),
        (lambda: law("steps(1.5, 3.5)"), "whole numbers"),
        (lambda: law(stats.randint(1, 100_001)), "more than 20000"),
        (lambda: law(stats.norm([0, 1], [1, 2])), "one distribution"),
        (lambda: law("uniform(" + " " * 50_000 + "x"), "reads like"),
        (lambda: Law(), "values with weights"),
        (lambda: Diffusion(1, 2, 0.0, 1.0), "are functions"),
        (lambda: Diffusion(np.sin, np.cos, "a", 1.0), "low"),
        (lambda: Passage(None, 0, 1), "of a Diffusion"),
        (lambda: NoisyDescent("sigmoid", Samples(scale=[1, 2]), lr=0.1), "LearningProblem"),
        (lambda: noisy_sigmoid().drift("x"), "z must be"),
        (lambda: noisy_sigmoid().drift(np.nan), "z must be finite"),
        (lambda: noisy_sigmoid().paths(0.0, 3).run(2.5), "steps must be a whole number"),
        (lambda: noisy_sigmoid().paths(0.0, 3).arrivals("x", 3), "level"),
        (lambda: noisy_sigmoid().arrival(0.0, 8.0).quantile(2), "between 0 and 1"),
        (lambda: Samples(), "what varies"),
        (lambda: Samples(target="beta(1, 1)", horizon="steps(1, 2)"), "not both"),
        (lambda: Samples(target="uniform(0, 2)"), "must lie in"),
        (lambda: Samples(scale="normal(-1, 1)"), "mean above 0"),
        (lambda: Samples(scale="normal(1, 1)", batch=0), "batch"),
    ],
)
def test_what_is_no_law_is_refused_in_one_line(make, message):
    with pytest.raises((InvalidArgument, UnknownName), match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_law_narrower_than_a_step_is_not_told_as_if_it_were_one():
    problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    with pytest.raises(Unresolved, match="leaps to and fro"):
        NoisyDescent(problem, Samples(scale="normal(1, 0.1)", batch=32), lr=0.1).stationary()


@pytest.mark.parametrize("text", ["gamma(1e-3, 1)", "gamma(1e-12, 1)", "lognormal(1, 4)", "normal(1, 1e3)"])
@pytest.mark.sampled(4)
def test_noise_of_any_size_is_answered_or_refused_within_bounds(text):
    """Scales that are nearly always 0 and seldom huge made a grid that filled all memory."""
    problem, refused = LearningProblem("sigmoid", horizon=10, target=0.5), ""
    try:
        arrival = NoisyDescent(problem, Samples(scale=text), lr=0.05).arrival(0.0, 8.0)
        pieces, found = arrival.elements.half.size, arrival.quantile([0.05, 0.5])
    except Unresolved as why:
        refused, pieces, found = str(why), 0, [1.0, 1.0]
    assert "step" in refused or "grid" in refused or not refused
    assert pieces < 10_000
    assert 1 < found[0] / 0.05 <= found[1] / 0.05


TARGETS = [
    # two of three samples want 0.001, so descent settles at phi = 0.001^(1/10), a time constant of 1.45
    ("values(0.001,0.001,0.9)", NotReached, 3, "turns it back from z = 0.0048"),
    ("beta(1e-9,1e-9)", Unresolved, 2, "not resolved to .* less so, or values"),
    ("lognormal(1,4)", InvalidArgument, 2, r"in \(0, 1\); got 0 to inf: take uniform"),
    ("values(0.5,0.6)", Unresolved, 2, "hardly differ .* without noise"),
]


@pytest.mark.parametrize(("text", "kind", "code", "message"), TARGETS)
def test_a_law_of_targets_is_refused_for_what_it_is(text, kind, code, message, capsys):
    from gateflow.cli import main

    problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    with pytest.raises(kind, match=message) as caught:
        NoisyDescent(problem, Samples(target=text), lr=0.05).steps(0.0, 0.5, 8.0)
    assert caught.value.exit_code == code
    line = ["noise", "sigmoid", "--horizon", "10", "--target", "0.5", "--target-law", text, "--lr", "0.05", "--to", "8"]
    assert main(line) == code
    assert str(caught.value) in capsys.readouterr().err.replace("\n", " ")


def test_a_weak_drift_counts_by_its_integral():
    """Free of drift but for rounding, reflected at 0: E tau from z to 1 is (1 - z^2)/v."""
    noise = np.random.default_rng(3)
    law_ = Passage(Diffusion(lambda z: 1e-12 * noise.normal(size=z.shape), constant(0.5), 0.0, 1.0), 0.25, 1.0)
    assert law_.mean == pytest.approx((1 - 0.25**2) / 0.5, rel=1e-9)


def test_without_noise_there_is_no_law():
    problem = LearningProblem("sigmoid", horizon=10, target=0.5)
    with pytest.raises(InvalidArgument, match="no noise"):
        NoisyDescent(problem, Samples(scale=[2.0]), lr=0.1).stationary()
    with pytest.raises(InvalidArgument, match="not arrays"):
        NoisyDescent(LearningProblem("sigmoid", horizon=[1, 2], target=0.5), Samples(scale=[1, 2]), lr=0.1)


def test_pieces_hold_a_function_between_their_nodes():
    parts = Elements(np.linspace(-1, 2, 4))
    x = np.linspace(-1, 2, 50)
    np.testing.assert_allclose(parts.at(x, np.exp(parts.nodes)), np.exp(x), rtol=1e-12)


def test_the_command_predicts_and_simulates(capsys):
    from gateflow.cli import main

    line = ["noise", "sigmoid", "--horizon", "10", "--target", "0.5", "--scale-law", "normal(1, 3)", "--lr", "0.2"]
    assert main([*line, "--z0", "1", "--to", "8", "--paths", "400", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["to"] == pytest.approx(8)
    assert found["simulated"][2] == pytest.approx(found["steps"][2], rel=0.1)
    assert found["timescale"][0] < 10 / np.log(2) < found["timescale"][-1]
