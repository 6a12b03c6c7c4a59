"""Source printed for NumPy and PyTorch, run here, against the gates and against its own gradient."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import sympy as sp

from gateflow.arithmetic import BigFloat, doubledouble, float64
from gateflow.codegen import Tape, source
from gateflow.errors import InvalidArgument
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z
from gateflow.gates.gate import GATES, gate

NAMES = ("phi", "phi_c", "dphi")


def compiled(expr: Any, dialect: str) -> Any:
    """The printed function; the text is ours, made from a catalogue gate."""
    scope: dict[str, Any] = {}
    exec(compile(source(expr, dialect, "printed"), "printed", "exec"), scope)
    return scope["printed"]


def formula(name: str, what: str) -> Any:
    return getattr(gate(name).formulas, what)


def points(name: str) -> np.ndarray:
    """Pre-activations within reach of plain float64: values from 1e-280 to 1 - 1e-280, off the kinks."""
    ends = (
        gate(name).float64.inverse(np.array([1e-100, 1 - 1e-16])) if name != "hard-sigmoid" else np.array([-2.9, 2.9])
    )
    low, high = np.clip(ends, -1e4, 1e4)
    return np.concatenate([np.linspace(low, high, 101), np.linspace(-1, 1, 40)]) + 1e-7


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("name", list(GATES))
@pytest.mark.sampled(2)
def test_numpy_source_agrees_with_the_gate(name: str, what: str) -> None:
    z = points(name)
    found = np.broadcast_to(compiled(formula(name, what), "numpy")(z), z.shape)
    with np.errstate(all="ignore"):
        expected = getattr(gate(name), what)(z)
        # an error of one ulp in u, or in another logarithm, is |log| ulps in the value
        slack = 1e-12 + 4e-16 * np.abs(gate(name).u(z)) * np.maximum(1, np.abs(z))
    assert (np.abs(found - expected) <= slack * np.abs(expected)).all()


@pytest.mark.parametrize("what", NAMES)
@pytest.mark.parametrize("name", list(GATES))
def test_torch_source_agrees_with_the_gate(name: str, what: str) -> None:
    torch = pytest.importorskip("torch")
    z = points(name)
    found = compiled(formula(name, what), "torch")(torch.tensor(z))
    found = np.broadcast_to(np.asarray(found), z.shape)
    expected = getattr(gate(name), what)(z)
    slack = 1e-12 + 4e-16 * np.abs(gate(name).u(z)) * np.maximum(1, np.abs(z))
    assert (np.abs(found - expected) <= slack * np.abs(expected)).all()


@pytest.mark.parametrize("name", list(GATES))
def test_torch_differentiates_the_source(name: str) -> None:
    torch = pytest.importorskip("torch")
    z = np.linspace(-2, 2, 41) + 1e-3
    x = torch.tensor(z, requires_grad=True)
    compiled(gate(name).formulas.phi, "torch")(x).sum().backward()
    expected, phi_c = gate(name).dphi(z), gate(name).phi_c(z)
    # torch differentiates sigmoid as s (1 - s), which has eps/(1 - s) of error
    error = np.abs(x.grad.numpy() - expected)
    assert (error <= (1e-12 + 3e-16 * np.abs(gate(name).u(z)) + 3e-16 / phi_c) * expected).all()


@pytest.mark.parametrize("name", list(GATES))
def test_a_tape_plays_over_every_arithmetic(name: str) -> None:
    formulas = gate(name).formulas
    tape = Tape([formulas.phi, formulas.log_phi, formulas.dphi], [Z])
    z = np.array([-2.5, -0.75, 0.3, 1.1, 2.7])
    played = []
    for arithmetic in (float64, doubledouble, BigFloat(50)):
        outputs = tape(arithmetic, arithmetic.lift(z))
        played.append(np.array([np.broadcast_to(arithmetic.round(out), z.shape) for out in outputs]))
    plain, double, big = played
    assert np.allclose(plain, big, rtol=1e-11, atol=0)
    assert np.allclose(double, big, rtol=3e-16, atol=0)


def test_common_subexpressions_are_computed_once() -> None:
    tape = Tape([sp.sinh(Z) + sp.exp(sp.sinh(Z)), sp.sinh(Z)], [Z])
    assert [op.name for op in tape.operations].count("sinh") == 1


POWERS = {"(z**3)**(1/3)": 8.0, "where(z < 0, (-z)**(1/3), z)": -8.0, "((1 + z)**3)**z": 2.0, "2**(z**3)": 1.5}
"""Powers of powers and of negatives, which need their brackets in Python, with a point to look at."""


@pytest.mark.parametrize("dialect", ["numpy", "torch"])
@pytest.mark.parametrize("text", POWERS)
def test_powers_keep_their_brackets(text: str, dialect: str) -> None:
    expr, z = parse(text), np.array([POWERS[text]])
    x = z if dialect == "numpy" else pytest.importorskip("torch").tensor(z)
    found = np.asarray(compiled(expr, dialect)(x))
    assert np.allclose(found, float(expr.subs(Z, sp.Rational(str(z[0]))).evalf(30)), rtol=1e-14, atol=0)


def test_refusals_are_one_line() -> None:
    with pytest.raises(InvalidArgument, match="unknown dialect 'cobol'; known: numpy, torch"):
        source(Z, "cobol")
    with pytest.raises(InvalidArgument, match="is no name"):
        source(Z, "numpy", "two words")
