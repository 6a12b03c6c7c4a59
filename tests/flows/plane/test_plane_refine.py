"""The refine gate's plane against mpmath: digits, slopes, its flow as written in time, and cases of one parameter."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest

from gateflow.errors import InvalidArgument, NotReached
from gateflow.flows import LearningProblem, hitting_time
from gateflow.flows.plane import RefineProblem, Status, flow, portrait
from gateflow.flows.trajectory import follow as scalar_flow

MP = mpmath.MPContext()
MP.dps = 30

PROFILES = {
    "sigmoid": lambda _, z: z,
    "fast": lambda context, z: context.sinh(z),
    "softsign": lambda context, z: context.sign(z) * context.log1p(abs(z)),
}
METHODS = ("lsoda", "radau", "bdf", "dop853")


def refined(context, f, r):
    """g as the source writes it (arXiv 1910.09890)."""
    return r * (1 - (1 - f) ** 2) + (1 - r) * f**2


def value(context, gate, refine, z, w):
    f, r = (1 / (1 + context.exp(-PROFILES[name](context, context.mpf(x)))) for name, x in ((gate, z), (refine, w)))
    return refined(context, f, r)


# --- digits ---

POINTS = [
    (0.0, 0.0),
    (-2.0, 3.0),
    (5.0, -1.0),
    (36.0, 40.0),
    (300.0, 380.0),
    (344.0, 700.0),
    (690.0, -5.0),
    (-345.0, -3.0),
]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(("z", "w"), POINTS)
def test_the_gate_and_its_complement_keep_their_digits_down_to_1e_300(z, w, sign):
    """The formula of the source in 700 digits, where nothing cancels past recovery."""
    big = mpmath.MPContext()
    big.dps = 700
    z, w = sign * z, sign * w
    problem = RefineProblem(horizon=10, gap=0.1)
    g = value(big, "sigmoid", "sigmoid", z, w)
    exact = {"phi": g, "phi_c": 1 - g, "log_phi": big.log(g), "log_phi_c": big.log(1 - g)}
    for name, truth in exact.items():
        if abs(truth) > 1e-306:
            assert float(abs(getattr(problem, name)(z, w) / truth - 1)) < 2e-15, name
    assert problem.profile(z, w) == pytest.approx(float(big.log(g / (1 - g))), rel=2e-15, abs=2e-15)


def test_the_smallest_complement_checked_is_near_1e_300():
    problem = RefineProblem(horizon=10, gap=0.1)
    assert problem.phi_c(344.0, 700.0) < 1e-298
    assert problem.phi_c(690.0, -5.0) < 1e-298


def test_logarithms_go_on_where_the_numbers_underflow():
    problem = RefineProblem("fast", "sigmoid", horizon=10, gap=0.1)
    assert problem.phi_c(8.0, 0.0) == 0.0
    assert problem.log_phi_c(8.0, 0.0) == pytest.approx(-np.sinh(8.0), rel=1e-15)  # r = 1/2: g = f
    assert problem.log_phi_c(8.0, 2000.0) == pytest.approx(
        -2 * np.sinh(8.0) + np.log1p(2 * np.exp(np.sinh(8.0) - 2000))
    )


def test_the_plane_is_odd():
    problem = RefineProblem("fast", "softsign", horizon=10, gap=0.1)
    z, w = np.random.default_rng(1).normal(scale=3, size=(2, 50))
    assert np.allclose(problem.profile(z, w), -problem.profile(-z, -w), rtol=1e-13)
    assert np.allclose(problem.weight(z, w), problem.weight(-z, -w), rtol=1e-13)


@pytest.mark.parametrize(("gate", "refine"), [("sigmoid", "sigmoid"), ("fast", "softsign")])
@pytest.mark.parametrize(("z", "w"), [(0.5, -0.3), (3.0, 2.0), (-2.5, 4.0), (2.0, -6.0)])
def test_the_force_is_minus_the_gradient(gate, refine, z, w):
    problem = RefineProblem(gate, refine, horizon=7, gap=0.01, scale=3)

    def loss(z, w):
        return 3 * abs(value(MP, gate, refine, z, w) ** 7 - (1 - MP.mpf("0.01")))

    force = problem.force(z, w)
    found = np.array([force.first, force.second]) * np.exp(force.log_scale)
    exact = [-float(MP.diff(loss, (z, w), n)) for n in ((1, 0), (0, 1))]
    assert found == pytest.approx(exact, rel=1e-12)
    assert problem.loss_at(z, w) == pytest.approx(float(loss(z, w)), rel=1e-12)


def test_z_moves_by_no_more_than_without_refinement():
    problem = RefineProblem(horizon=10, gap=0.1)
    z, w = np.random.default_rng(2).normal(scale=20, size=(2, 2000))
    along_z = problem._slopes_at(z, w).log_z
    assert along_z.min() > -1e-15
    assert along_z.max() <= np.log(2.0)


def test_the_level_is_where_the_target_is():
    problem = RefineProblem(horizon=10, gap=1e-3)
    z = np.linspace(4.7, 9.8, 60)
    w = problem.level(z)
    assert np.allclose(problem.log_phi(z, w), np.log1p(-1e-3) / 10, rtol=1e-11)
    assert np.isnan(problem.level([4.0, 11.0])).all()
    assert problem.level(1.0, profile=problem.profile(1.0, -2.0)) == pytest.approx(-2.0, rel=1e-14)


# --- the flow, as written ---


def slopes(context, horizon, z, w):
    """``T g^(T-1) grad g`` for two sigmoid gates, typed out."""
    f, r = 1 / (1 + context.exp(-z)), 1 / (1 + context.exp(-w))
    pull = horizon * refined(context, f, r) ** (horizon - 1)
    return [pull * (2 * r * (1 - f) + 2 * (1 - r) * f) * f * (1 - f), pull * 2 * f * (1 - f) * r * (1 - r)]


def runge_kutta(horizon, start, tau, steps, side=1):
    """``d(z, w)/dtau = -grad L`` by classical Runge-Kutta steps in 20 digits."""
    big = mpmath.MPContext()
    big.dps = 20

    def slope(z, w):
        return [side * x for x in slopes(big, horizon, z, w)]

    z, w, step = big.mpf(start[0]), big.mpf(start[1]), big.mpf(tau) / steps
    for _ in range(steps):
        a = slope(z, w)
        b = slope(z + step / 2 * a[0], w + step / 2 * a[1])
        c = slope(z + step / 2 * b[0], w + step / 2 * b[1])
        d = slope(z + step * c[0], w + step * c[1])
        z, w = (x + step / 6 * (p + 2 * q + 2 * s + t) for x, p, q, s, t in zip((z, w), a, b, c, d, strict=True))
    return z, w


def extrapolated(*arguments, steps, **options):
    """Richardson's step from fourth to sixth order, and how far it went."""
    rough, fine = (runge_kutta(*arguments, steps=n, **options) for n in (steps, 2 * steps))
    best = [b + (b - a) / 15 for a, b in zip(rough, fine, strict=True)]
    return np.array([float(x) for x in best]), max(float(abs(b - a)) for a, b in zip(rough, fine, strict=True))


@pytest.mark.parametrize(
    ("horizon", "start", "tau", "side"),
    [(3, (0.3, -0.5), 8.0, 1), (1, (-2.0, 1.0), 30.0, 1), (4, (7.0, 3.0), 40.0, -1)],
)
@pytest.mark.sampled(3)
def test_the_state_in_time_agrees_with_the_equation_in_20_digits(horizon, start, tau, side):
    exact, went = extrapolated(horizon, start, tau, steps=400, side=side)
    assert went < 1e-7
    path = flow(RefineProblem(horizon=horizon, gap=1e-4 if side > 0 else 0.5), start, rtol=1e-12)
    state = path.at(tau)
    assert [state.z, state.w] == pytest.approx(exact, rel=1e-10)


def test_a_hitting_time_agrees_with_taylor_series_in_time():
    horizon, gap, start = 2, 0.3, (-0.5, 0.5)
    big = mpmath.MPContext()
    big.dps = 20
    solution = big.odefun(lambda _, x: slopes(big, horizon, *x), 0, [big.mpf(x) for x in start])

    def miss(tau):
        return value(big, "sigmoid", "sigmoid", *solution(tau)) ** horizon - (1 - big.mpf(gap))

    found = flow(RefineProblem(horizon=horizon, gap=gap), start, rtol=1e-12)
    exact = big.findroot(miss, (found.tau[-1] * 0.999, found.tau[-1] * 0.9999), tol=1e-26)
    assert found.tau[-1] == pytest.approx(float(exact), rel=1e-11)
    assert found.points[-1] == pytest.approx([float(x) for x in solution(exact)], rel=1e-11)
    assert (found.status, found.loss[-1]) == (Status.REACHED, 0.0)


@pytest.mark.parametrize(
    ("loss", "formula"),
    [
        ("squared", lambda kept, lam: (kept - lam) ** 2),
        ("kullback-leibler", lambda k, lam: lam * np.log(lam / k) + (1 - lam) * np.log((1 - lam) / (1 - k))),
        ("log-decay", lambda k, lam: abs(np.log(np.log(k) / np.log(lam)))),
    ],
)
@pytest.mark.sampled(2)
def test_other_losses_agree_with_a_plain_integration_in_time(loss, formula):
    """The gradient by complex steps on the formula, in time, by another solver."""
    from scipy.integrate import solve_ivp

    def slope(_, point):
        moved = [np.array(point, dtype=complex) + 1e-30j * np.eye(2)[k] for k in range(2)]
        pulls = []
        for z, w in moved:
            f, r = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-w))
            kept = refined(None, f, r) ** 3
            inner = np.log(np.log(kept) / np.log(0.9)) if loss == "log-decay" else formula(kept, 0.9)
            pulls.append(-inner.imag / 1e-30)
        return pulls

    plain = solve_ivp(slope, (0, 2.5), [-0.5, 0.8], t_eval=[0.7, 2.5], method="DOP853", rtol=1e-12, atol=1e-13)
    path = flow(RefineProblem(horizon=3, gap=0.1, loss=loss), (-0.5, 0.8), rtol=1e-12)
    assert path.at([0.7, 2.5]).points == pytest.approx(plain.y.T, rel=1e-9)


def test_smooth_losses_are_left_off_at_their_tolerance():
    problem = RefineProblem(horizon=3, gap=0.1, loss="squared")
    path = flow(problem, (0.0, 0.0), tolerance=1e-6)
    assert path.status is Status.ASYMPTOTIC
    h_star = -np.log(0.9)
    assert -3 * problem.log_phi(*path.points[-1]) == pytest.approx(h_star * (1 + 1e-6), rel=1e-11)
    assert path.loss[-1] == pytest.approx((0.9 * h_star * 1e-6) ** 2, rel=1e-5)


# --- cases of one parameter ---


@pytest.mark.parametrize(
    ("horizon", "gap", "z0"), [(1, 0.1, 0.0), (10, 1e-3, -3.0), (1e3, 1e-12, 2.0), (1e6, 1e-16, 0.0), (10, 0.1, 12.0)]
)
@pytest.mark.parametrize(
    ("w0", "alone"), [(60.0, {"complement": "sigmoid(-z)**2"}), (-60.0, {"phi": "sigmoid(z)**2"})], ids=["r=1", "r=0"]
)
@pytest.mark.sampled(4)
def test_with_its_refine_gate_saturated_it_is_a_gate_of_one_parameter(horizon, gap, z0, w0, alone):
    """w stays put; across plateaus up to a learning time of ``exp(1.4e6)``."""
    from gateflow.gates.gate import Gate

    path = flow(
        RefineProblem(horizon=horizon, gap=gap), (z0, w0), rtol=1e-11, method="dop853" if horizon > 1e5 else "lsoda"
    )
    problem = LearningProblem(Gate(**alone), horizon=horizon, gap=gap)
    exact = hitting_time(problem, z0)
    assert path.log_tau[-1] == pytest.approx(exact.log_tau, rel=1e-14, abs=1e-10)
    assert path.z[-1] == pytest.approx(problem.z_star, rel=1e-11)
    assert path.w[-1] == pytest.approx(w0, abs=1e-12)


@pytest.mark.parametrize("gate", ["sigmoid", "fast", "softsign"])
@pytest.mark.sampled(3)
def test_with_a_refine_gate_that_does_not_answer_it_is_the_gate_itself(gate):
    """r = 1/2: g = f."""
    for horizon in (100, 3):
        one = LearningProblem(gate, horizon=horizon, gap=1e-2)
        path = flow(RefineProblem(gate, "sigmoid(1e-9*z)", horizon=horizon, gap=1e-2), (-0.5, 0.0), rtol=1e-11)
        assert path.log_tau[-1] == pytest.approx(hitting_time(one, -0.5).log_tau, abs=1e-10)
    times = path.tau[-1] * np.array([0.01, 0.3, 0.99])
    assert path.at(times).z == pytest.approx(scalar_flow(one, -0.5).at(times).z, rel=1e-9)


def test_refinement_halves_the_time_of_sigmoid_in_the_end():
    """Where both saturate, with ``rho = (1 - r)/(1 - f)``: ``W = (1 + 2 rho)^2/(4 (1 + 2 rho + 2 rho^2))``, which tends
    to 1/2, since the curve keeps ``rho + log rho - z``."""
    path = flow(RefineProblem(horizon=10, gap=0), (0.0, 0.0), tau_max=1e30)
    state = path.at(log_tau=np.log([1e20, 1e25, 1e30]))
    rho = np.exp(state.z - state.w)
    weight = path.problem.weight(state.z, state.w)
    assert weight == pytest.approx((1 + 2 * rho) ** 2 / (4 * (1 + 2 * rho + 2 * rho**2)), rel=1e-7)
    assert np.ptp(rho + np.log(rho) - state.z) < 1e-6
    assert np.all(np.diff(np.abs(weight - 0.5)) < 0)
    assert path.status is Status.TIME_LIMIT


# --- solvers and stops ---


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.sampled(5)
def test_the_solvers_agree(method):
    problem = RefineProblem("fast", "sigmoid", horizon=10, gap=1e-8)
    path = flow(problem, (0.5, -1.0), method=method, rtol=1e-8)
    best = flow(problem, (0.5, -1.0), method="dop853", rtol=1e-12)
    assert path.log_tau[-1] == pytest.approx(best.log_tau[-1], abs=2e-8)
    assert path.points[-1] == pytest.approx(best.points[-1], rel=1e-8)
    assert path.check < 2e-8


def test_the_end_is_on_the_target_and_points_are_on_their_level():
    problem = RefineProblem(horizon=10, gap=1e-3)
    path = flow(problem, (0.0, 0.0))
    assert problem.log_phi(*path.points[-1]) == pytest.approx(np.log1p(-1e-3) / 10, rel=1e-13)
    middle = path.at(path.tau[-1] * np.linspace(0.01, 0.99, 7))
    assert middle.loss == pytest.approx(problem.loss_at(*middle.points.T), rel=1e-11)
    assert np.all(np.diff(path.loss) < 0)
    assert np.all(np.diff(path.log_tau[1:]) > 0)


def test_past_the_arrival_it_rests_and_past_tau_max_it_is_not_known():
    problem = RefineProblem(horizon=10, gap=1e-3)
    path = flow(problem, (0.0, 0.0))
    assert path.at(1e9).points.tolist() == path.points[-1].tolist()
    short = flow(problem, (0.0, 0.0), tau_max=40.0)
    assert (short.status, short.tau[-1]) == (Status.TIME_LIMIT, pytest.approx(40.0, rel=1e-14))
    assert short.points[-1] == pytest.approx(path.at(40.0).points, rel=1e-9)
    with pytest.raises(InvalidArgument, match="tau must be at most 40"):
        short.at(41.0)


def test_a_start_on_the_target_rests():
    problem = RefineProblem(horizon=10, gap=1e-3)
    w = problem.level(6.0)
    on_target = flow(problem, (6.0, w))
    assert on_target.status is Status.REACHED
    assert on_target.tau[-1] < 1e-8


def test_the_portrait_points_along_the_flow():
    problem = RefineProblem(horizon=10, gap=1e-3)
    made = portrait(problem, (-2, 8), (-3, 3), 9)
    force = problem.force(made.first[3], made.second[5])
    assert [made.across[5, 3], made.up[5, 3]] == pytest.approx([force.first / force.size, force.second / force.size])
    assert np.hypot(made.across, made.up) == pytest.approx(1.0)
    assert made.loss[5, 3] == problem.loss_at(made.first[3], made.second[5])


def test_a_notebook_shows_the_sentence_and_a_sketch():
    html = flow(RefineProblem(horizon=10, gap=1e-3), (0.0, 0.0))._repr_html_()
    assert "the target is reached" in html
    assert "<svg" in html


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), 3.0), "start must be a pair of numbers"),
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), (0.0, 1.0, 2.0)), "start must be a pair of numbers"),
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), (0.0, np.nan)), "start must be a pair of finite numbers"),
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), (0, 0), method="euler"), "unknown method 'euler'"),
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), (0, 0), tau_max=0), "tau_max must be finite and above 0"),
        (lambda: flow(RefineProblem(horizon=10, gap=0.1), (0, 0), tolerance=0.1), "needs no tolerance"),
        (lambda: flow(LearningProblem("fast", horizon=10, gap=0.1), (0, 0)), "flow takes a planar problem"),
        (lambda: RefineProblem(horizon=0, gap=0.1), "horizon must be finite and at least 1"),
        (lambda: RefineProblem(horizon=10, gap=np.nan), r"gap must be in \[0, 1\)"),
        (lambda: RefineProblem(horizon=[10, 20], gap=0.1), "one problem"),
        (lambda: RefineProblem("hard-sigmoid", horizon=10, gap=0.1), "not onto"),
        (lambda: RefineProblem("cubic", horizon=10, gap=0.1), "slope 0 at 0"),
        (lambda: portrait(RefineProblem(horizon=10, gap=0.1), (1, 0)), "bounds must increase"),
    ],
)
def test_bad_inputs_are_one_line(make, said):
    with pytest.raises(InvalidArgument, match=said) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_a_solver_that_needs_too_long_says_so(monkeypatch):
    monkeypatch.setattr("gateflow.flows.solvers._swapped.MOST", 50)
    with pytest.raises(NotReached, match="lsoda needs over 50 evaluations near"):
        flow(RefineProblem(horizon=10, gap=0.1), (0.0, 0.0))
