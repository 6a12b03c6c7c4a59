"""Gates from formulas: what is recognised, what is refused, what is measured."""

from __future__ import annotations

import numpy as np
import pytest

from gateflow.errors import FormulaError, GateflowError, InvalidArgument, UnknownName
from gateflow.gate import Gate, gate
from tests.gates.oracle import Oracle
from tests.gates.ulps import in_ulps

ALIKE = {
    "1/2*(1+z/(1+abs(z)))": "1/2 + softsign(z)/2",
    "(1+z/(abs(z)+1))/2": "1/2 + softsign(z)/2",
    "(1+3*z/(2+3*abs(z)))/2": "1/2 + softsign(1.5*z)/2",
    "0.5*(tanh(z)+1)": "sigmoid(2*z)",
    "1-1/(1+exp(z))": "sigmoid(z)",
    "1/(1+3*exp(-z))": "sigmoid(z - log(3))",
    "exp(z)/(exp(z)+exp(-z))": "sigmoid(2*z)",
    "1/(1+exp(-z)**2)": "sigmoid(2*z)",
    "1-exp(-log(1+exp(z)))": "sigmoid(z)",
    "1-exp(-softplus(z))": "sigmoid(z)",
    "(1+tanh(sinh(z)))/2": "sigmoid(2*sinh(z))",
    "(1+2/pi*atan(z))/2": "1/2 + atan(z)/pi",
    "z/sqrt(1+z**2)/2+0.5": "(1 + z/sqrt(1 + z**2))/2",
    "1/2 + sin(atan(z))/2": "(1 + z/sqrt(1 + z**2))/2",
    "erfc(-z)/2": "(1 + erf(z))/2",
    "atan(sinh(z))/pi+1/2": "2*atan(exp(z))/pi",
}
"""Formulas as users write them, and the catalogue's way to write the same gate."""


@pytest.mark.parametrize("text", ALIKE)
def test_the_same_gate_in_other_words_has_the_same_digits(text: str) -> None:
    z = np.concatenate([np.linspace(-40, 40, 161), [-300.0, 300.0]])
    for what in ("phi", "phi_c", "log_phi_c", "dphi"):
        found, expected = getattr(Gate(text), what)(z), getattr(Gate(ALIKE[text]), what)(z)
        assert np.allclose(found, expected, rtol=1e-15, atol=5e-324), what
    assert Gate(text).digits_lost == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "where(z > 0, 1 - 1/2*exp(-z), exp(z)/2)",
        "(tanh(z) + erf(z) + 2)/4",
        "1/2 + tanh(z)/4 + tanh(z)**3/4",
        "sigmoid(z)/3 + 2*sigmoid(sinh(z))/3",
    ],
)
def test_shapes_beyond_the_catalogue_keep_their_digits(text: str) -> None:
    chosen = Gate(text)
    oracle = Oracle(chosen)
    for z in (-30.0, -3.0, 0.25, 3.0, 21.0, 41.0):
        truth = oracle(z)
        assert in_ulps(chosen.phi_c(z), truth["phi_c"]) <= 1
        assert in_ulps(chosen.phi(z), truth["phi"]) <= 1
    assert chosen.digits_lost == 0.0
    assert "keep their digits" in chosen.digits_sentence


def test_a_formula_without_a_rule_says_how_many_digits_it_loses() -> None:
    chosen = Gate("1/2 + tanh(z)*erf(z)**2/2")
    assert 15 < chosen.digits_lost <= 16
    start = chosen.digits_lost_from
    assert start is not None
    truth = Oracle(chosen)
    assert in_ulps(chosen.phi_c(start), truth(start)["phi_c"]) > 10
    assert in_ulps(chosen.phi_c(start / 3), truth(start / 3)["phi_c"]) <= 1
    assert f"{start:.2g}" in chosen.digits_sentence


def test_no_gate_but_still_a_function() -> None:
    tanh = Gate("tanh(z)")
    assert tanh.phi(-1.0) == pytest.approx(np.tanh(-1.0), rel=1e-15)
    assert tanh.phi_c(-1.0) == pytest.approx(1 - np.tanh(-1.0), rel=1e-15)
    assert tanh.dphi(1.0) == pytest.approx(1 / np.cosh(1.0) ** 2, rel=1e-15)
    for what in ("log_phi", "log_phi_c", "u", "du", "inverse", "inverse_c", "slope_at"):
        with pytest.raises(InvalidArgument, match=r"tanh\(z\) has no .*: it leaves \(0, 1\)"):
            getattr(tanh, what)(0.5)


def test_a_gate_that_falls_has_values_but_no_inverse() -> None:
    bowl = Gate("sigmoid(z**2)")
    assert bowl.phi(-2.0) == bowl.phi(2.0) == pytest.approx(1 / (1 + np.exp(-4.0)), rel=1e-15)
    assert bowl.dphi(-2.0) == -bowl.dphi(2.0) < 0
    for what in ("inverse", "inverse_c", "slope_at"):
        with pytest.raises(InvalidArgument, match="has no inverse: phi falls at z = -"):
            getattr(bowl, what)(0.7)


def test_a_gate_that_is_not_onto_has_part_of_an_inverse() -> None:
    short = Gate("0.9*sigmoid(z)")
    assert short.inverse(0.45) == pytest.approx(0, abs=1e-15)
    with pytest.raises(InvalidArgument, match=r"inverse\(0.95\) was not found; is phi onto"):
        short.inverse(0.95)


@pytest.mark.parametrize(
    ("text", "name", "parameters"),
    [
        ("fast(alpha=2)", "fast", {"alpha": 2}),
        ("fast(2)", "fast", {"alpha": 2}),
        (" Fast ( 0.5 ) ", "fast", {"alpha": 0.5}),
        ("sigmoid(2)", "sigmoid", {"sharpness": 2}),
        ("student-t(6)", "student-t", {"df": 6}),
        ("student_t(df=6)", "student-t", {"df": 6}),
        ("iterated-sinh(depth=3)", "iterated-sinh", {"depth": 3}),
        ("arctan()", "arctan", {}),
    ],
)
def test_a_name_with_parameters(text: str, name: str, parameters: dict[str, float]) -> None:
    assert gate(text) == gate(name, **parameters)


@pytest.mark.parametrize(
    "text", ["softsign(z)/2 + 1/2", "sigmoid(z)", "sigmoid(2*z)", "erf(z)/2 + 1/2", "sigmoid(sinh(z))"]
)
def test_a_formula_is_not_taken_for_a_name(text: str) -> None:
    assert gate(text).text == text


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("fast(beta=2)", InvalidArgument, "no parameter 'beta'; it has alpha"),
        ("fast(1, 2)", InvalidArgument, "too many parameters; it has alpha"),
        ("fast(1, alpha=2)", InvalidArgument, "too many parameters"),
        ("arctan(2)", InvalidArgument, "too many parameters; it has none"),
        ("fast(alpha=z)", FormulaError, "alpha needs a number"),
        ("fast(alpha=True)", FormulaError, "alpha needs a number"),
        ("fast(1e999)", InvalidArgument, "must be a finite number; got inf"),
        ("student-t(5)", InvalidArgument, "even whole number"),
        ("fast(alpha=__import__('os'))", FormulaError, ""),
        ("fast(**{'alpha': 2})", GateflowError, ""),
        ("fast(alpha=2", FormulaError, ""),
        ("fsat", UnknownName, "did you mean 'fast'"),
        ("fast(alpha=0)", GateflowError, ""),
    ],
)
def test_refusals_are_one_line(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        gate(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
