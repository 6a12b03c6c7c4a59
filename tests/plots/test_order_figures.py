"""The figures of orders and of the barrier, against a table by hand and against quadrature in big floats."""

import mpmath
import numpy as np
import pytest

from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS

MP = mpmath.MPContext()
MP.dps = 25


BY_HAND = [
    {"log-slow"},
    {"softsign", "arctan", "asinh"},
    {"algebraic"},
    {"student-t"},
    {"sigmoid", "scaled-tanh", "gudermannian", "gompertz", "tied-refine"},
    {"erf"},
    {"cubic", "linear-cubic"},
    {"fast", "cloglog"},
    {"exp-square"},
    {"iterated-sinh"},
]
"""Classes of equal order, lowest first, from the leading terms of 1 - phi."""

RATES = {
    "softsign": lambda tau: (3 * tau) ** (-1 / 3),
    "algebraic": lambda tau: (32 * tau) ** (-1 / 2),
    "scaled-tanh": lambda tau: 1 / (4 * tau),
    "erf": lambda tau: 1 / (4 * tau * np.log(tau)),
    "cubic": lambda tau: 1 / (9 * tau * np.log(tau) ** (4 / 3)),
    "fast": lambda tau: 1 / (tau * np.log(tau) ** 2),
    "iterated-sinh": lambda tau: 1 / (tau * np.log(tau) ** 2 * np.log(np.log(tau)) ** 2),
}


def test_the_ladder_is_the_one_by_hand():
    numbers = table("orders")
    found = [set(numbers.rows(rung=float(k))["gate"]) for k in range(len(BY_HAND))]
    assert found == BY_HAND
    assert len(numbers) == sum(map(len, BY_HAND))


@pytest.mark.parametrize("gate", RATES)
def test_the_laws_beside_it_are_those_by_hand(gate):
    from gateflow.formula import parse

    text = table("orders").rows(gate=gate)["rate"][0]
    law = parse(text, variables=("tau",))
    (tau,) = law.free_symbols
    for value in (1e5, 1e9):
        assert float(law.subs(tau, value)) == pytest.approx(RATES[gate](value), rel=1e-12)


def profile(gate):
    """z of u, and du/dz."""
    return {
        "sigmoid": (lambda u: u, lambda z: MP.one),
        "fast": (MP.asinh, MP.cosh),
        "iterated-sinh": (lambda u: MP.asinh(MP.asinh(u)), lambda z: MP.cosh(MP.sinh(z)) * MP.cosh(z)),
    }[gate]


@pytest.mark.parametrize("gate", ["sigmoid", "fast", "iterated-sinh"])
@pytest.mark.sampled(2)
def test_barrier_curves_are_the_flow_by_quadrature(gate):
    """log tau, as the integral of dz/phi' for T = 1 in big floats."""
    part = table("barrier").rows(gate=gate)
    z_of_u, slope = profile(gate)
    for k in (0, 25):
        far = -part["log_loss"][k]
        end = z_of_u(MP.log(MP.expm1(MP.mpf(far))))

        def inverse_slope(w, end=end):  # z = end - w
            z = end - w
            u = {"sigmoid": lambda: z, "fast": lambda: MP.sinh(z), "iterated-sinh": lambda: MP.sinh(MP.sinh(z))}[gate]()
            return (1 + MP.exp(u)) * (1 + MP.exp(-u)) / slope(z)

        cuts = [0, *(end / slope(end) * MP.mpf(2) ** j for j in range(-2, 40) if MP.mpf(2) ** j < slope(end)), end]
        tau = MP.quad(inverse_slope, cuts)
        assert float(MP.log(tau)) == pytest.approx(part["log_tau"][k], rel=1e-12)


@pytest.mark.parametrize("gate", ["sigmoid", "linear-cubic", "fast", "iterated-sinh", "iterated-sinh(3)"])
@pytest.mark.sampled(2)
def test_barrier_curves_tend_to_their_laws(gate):
    part = table("barrier").rows(gate=gate)
    late = part["log_tau"] > 1e6  # before, two corrections of opposite sign may cross
    off = np.abs(np.log(part["scaled"][late] / part["law"][late]))
    assert late.sum() > 30
    assert np.all(np.diff(off) < 0) or off.max() < 1e-9
    assert off[-1] < {"iterated-sinh": 0.1, "iterated-sinh(3)": 0.7}.get(gate, 1e-3)


def test_every_gate_has_left_the_shaded_region_by_the_right_edge():
    numbers = table("barrier")
    for gate in set(numbers["gate"]):
        part = numbers.rows(gate=gate)
        edge = np.log(part["log_tau"]) ** (-2 - numbers.parameters["extra"])
        assert part["scaled"][-1] > edge[-1]
    assert np.any(numbers.rows(gate="iterated-sinh(3)")["scaled"][:3] < 0.02)  # it had been inside
