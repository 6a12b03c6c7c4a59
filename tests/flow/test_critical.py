"""Flat points and dips of the slope: a true zero is told from a tiny slope, wherever it lies."""

from __future__ import annotations

import math

import pytest

from gateflow.flow.critical import dips, goes_by_decay, reach
from gateflow.gate import Gate, gate

FLAT = {
    "sigmoid(z**3)": (0.0,),
    "sigmoid((z - 3)**3)": (3.0,),
    "sigmoid((z - 1000)**3)": (1000.0,),
    "sigmoid(z**3 - 3*sqrt(2)*z**2 + 6*z)": (math.sqrt(2),),
    "sigmoid(z**5/5 - 2*z**3/3 + z)": (-1.0, 1.0),
    "sigmoid(z**3 + z/10**20)": (),
    "sigmoid(z + 0.999*sin(z))": (),
    "sigmoid(z)": (),
    "sigmoid(sinh(sinh(z)))": (),
    "1/2 + atan(z)/pi": (),
    "(1 + erf(z))/2": (),
}


@pytest.mark.parametrize("text", FLAT)
def test_flat_points_of_known_gates(text):
    found = dips(Gate(text)).flat
    assert len(found) == len(FLAT[text])
    assert all(abs(a - b) <= 4e-16 * abs(b) for a, b in zip(found, FLAT[text], strict=True))


def test_flat_points_of_a_wave_are_the_odd_multiples_of_pi():
    found = [z for z in dips(Gate("sigmoid(z + sin(z))")).flat if 0 < z < 40]
    assert found == pytest.approx([math.pi * k for k in (1, 3, 5, 7, 9, 11)], rel=4e-16)


def test_narrow_dips_are_kept_as_such():
    found = dips(Gate("sigmoid(z + 0.999999*sin(z))")).narrow
    assert min(abs(z - math.pi) for z in found) < 1e-6


def test_only_branches_cut_a_gate_off():
    assert reach(gate("hard-sigmoid")) == (-3.0, 3.0)
    for name in ("sigmoid", "fast", "softsign", "iterated-sinh", "erf", "log-slow"):
        assert reach(gate(name)) == (-math.inf, math.inf)


def test_which_gates_go_by_decay():
    assert goes_by_decay(gate("fast"))
    assert not goes_by_decay(gate("cubic"))
    assert not goes_by_decay(gate("hard-sigmoid"))
    assert not goes_by_decay(gate("erf"))
