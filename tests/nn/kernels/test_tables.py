"""Gates in layers against big floats, relative to their own size: values, complements, slopes, over the float range."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from mpmath import mpf

from gateflow.codegen import compiler as compiled
from gateflow.gates.gate import GATES, Gate
from gateflow.gates.gate import gate as named_gate
from gateflow.nn.functional import gate_function
from gateflow.nn.kernels import tables
from tests.gates.oracle import Oracle
from tests.gates.ulps import arguments
from tests.nn.formulas import SHAPES, generated
from tests.nn.kernels import through

BACKENDS = ("reference", "torch", *(("native",) if compiled.available() else ()))
QUANTITIES = ("phi", "phi_c", "dphi")


def off(found: float, truth: mpf, scale: float = 1.0) -> float:
    """In ulps of float32, of the one that subnormal numbers have below the smallest normal one."""
    exponent = max(int(mpmath.mag(truth)), -125) if truth else -125
    return float(abs(mpf(float(found)) / scale - truth) * mpf(2) ** (24 - exponent))


def worst(
    gate: Gate, z: np.ndarray, backends: tuple[str, ...] = BACKENDS
) -> dict[tuple[str, str], tuple[float, float]]:
    """The largest error of each quantity in each backend, and where."""
    oracle, found = Oracle(gate), {backend: through.numbers(gate, z, backend) for backend in backends}
    errors = {(backend, what): (0.0, 0.0) for backend in backends for what in QUANTITIES}
    for i, x in enumerate(z.tolist()):
        truth = oracle(x)
        for backend, what in errors:
            if what in truth:
                error = off(found[backend][what][i], truth[what], through.LARGE if what == "dphi" else 1.0)
                errors[backend, what] = max(errors[backend, what], (error, x))
    return errors


def points(gate: Gate, count: int, seed: int = 0) -> np.ndarray:
    """Of every size, about octaves' edges, and where the gate saturates; without kinks, which have two slopes."""
    rng = np.random.default_rng(seed)
    edges = 2.0 ** rng.integers(-20, 20, count // 4) * rng.choice([-1.0, 1.0], count // 4)
    near = np.nextafter(
        edges.astype(np.float32), rng.choice([-1, 0, 1], count // 4).astype(np.float32) * np.float32(9e9)
    )
    all_points = arguments(gate, np.float32, count, seed)
    chosen = rng.choice(all_points, min(count, len(all_points)), replace=False)
    return np.setdiff1d(np.concatenate([chosen, near, edges.astype(np.float32)]), np.array(gate.kinks, np.float32))


@pytest.mark.parametrize("name", GATES)
@pytest.mark.sampled(11)
def test_every_gate_is_within_four_ulps(name: str) -> None:
    errors = worst(named_gate(name), points(named_gate(name), 24))
    assert all(error <= 4 for error, _ in errors.values()), errors


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(("gate", "z", "slope"), [("sigmoid(3*z)", 7.1, 3), ("sigmoid", 21.3, 1), ("sigmoid", 95.0, 1)])
def test_a_slope_near_saturation_is_no_zero(gate: str, z: float, slope: float, backend: str) -> None:
    at = float(np.float32(z))
    e = mpmath.exp(-mpf(at) * slope)
    found = through.numbers(gate, np.array([z], np.float32), backend)
    assert off(found["dphi"][0], slope * e / (1 + e) ** 2, through.LARGE) <= 4
    assert off(found["phi_c"][0], e / (1 + e)) <= 4


@pytest.mark.parametrize(
    "seed", [*range(len(SHAPES)), *(pytest.param(n, marks=pytest.mark.slow) for n in range(len(SHAPES), 200))]
)
@pytest.mark.sampled(13)
def test_generated_formulas_are_within_four_ulps(seed: int) -> None:
    gate = named_gate(generated(seed))
    errors = worst(gate, points(gate, 8, seed), BACKENDS[-1:])
    assert all(error <= 4 for error, _ in errors.values()), (generated(seed), errors)


@pytest.mark.parametrize("text", ["0.01 + 0.98*sigmoid(z)", "1/2 + sigmoid(3*z)/2", "0.01 + 0.98*sigmoid(sinh(z))"])
@pytest.mark.sampled(3)
def test_gates_with_a_floor_or_a_ceiling_are_within_four_ulps(text: str) -> None:
    """Where the value has come to its floor, its slope still falls by all orders."""
    gate = named_gate(text)
    z = np.concatenate([points(gate, 12), np.array([-103, -87, -30, -5, 5, 30, 87, 103], np.float32)])
    errors = worst(gate, z, BACKENDS[-1:])
    assert all(error <= 4 for error, _ in errors.values()), errors


@pytest.mark.parametrize("name", ["fast", "softsign", "hard-sigmoid"])
def test_a_table_says_its_error(name: str) -> None:
    table = tables.table(gate_function(name), torch.float32)
    assert max(table.error, table.slope_error) < 4 * 2.0**-24


HEAVY = {
    "arctan": lambda z: (mpmath.atan(1 / z) / mpmath.pi, 1 / mpmath.pi / (1 + z * z)),
    "softsign": lambda z: (1 / (2 + z), 1 / (2 + z) ** 2),
}
"""1 - phi and phi' for z > 0, of gates whose tails are as powers; phi is symmetric."""


@pytest.mark.skipif(not compiled.available(), reason="no compiler")
@pytest.mark.parametrize("name", HEAVY)
def test_a_heavy_tail_keeps_its_digits_in_float64(name: str) -> None:
    """Its slope is below the floats from 1e162 on, its value not before 1e308."""
    z = 10.0 ** np.random.default_rng(3).uniform(0, 307.9, 400)
    z = np.concatenate([z, 10.0 ** np.arange(140, 190), [1.6e178]])
    up, down = (through.numbers(name, x, "native") for x in (z, -z))
    stated = tables.table(gate_function(name), torch.float64)
    assert max(stated.error, stated.slope_error) < 2e-13
    with mpmath.workdps(50):
        for i, x in enumerate(z.tolist()):
            value, slope = HEAVY[name](mpf(x))
            for found in (up["phi_c"][i], down["phi"][i]):
                assert abs(mpf(float(found)) - value) <= 2 * stated.error * value + tables.FORMATS[torch.float64].spare
            for found in (up["dphi"][i], down["dphi"][i]):
                miss = abs(mpf(float(found)) / through.LARGE - slope)
                assert miss <= 2 * stated.slope_error * slope + tables.FORMATS[torch.float64].spare


@pytest.mark.parametrize("zero", [0.0, -0.0])
@pytest.mark.parametrize(("comparison", "slope"), [("<", 0.5), ("<=", 0.25)])
def test_a_kink_has_the_slope_that_its_formula_says(comparison: str, slope: float, zero: float) -> None:
    formula = f"where(z {comparison} 0, sigmoid(z), sigmoid(2*z))"
    found = {b: through.numbers(formula, np.array([zero], np.float32), b)["dphi"][0] / through.LARGE for b in BACKENDS}
    assert set(found.values()) == {slope}, found
