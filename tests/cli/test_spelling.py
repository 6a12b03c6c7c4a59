"""Gates with parameters in one text, the same on the command line and in Python."""

from fractions import Fraction

import pytest

from gateflow.errors import FormulaError, GateflowError, InvalidArgument
from gateflow.gate import GATES, Gate, gate
from gateflow.spelling import spelled


@pytest.mark.parametrize(
    ("text", "head", "in_order", "by_name"),
    [
        ("fast", "fast", [], {}),
        (" fast ( alpha = 2 ) ", "fast", [], {"alpha": 2}),
        ("fast(-1.5e-3)", "fast", [-0.0015], {}),
        ("fast;alpha=1/3", "fast", [], {"alpha": Fraction(1, 3)}),
        ("fast(alpha=positive)", "fast", [], {"alpha": "positive"}),
        ("fast()", "fast", [], {}),
        ("student-t(6)", "student-t", [6], {}),
        ("sigmoid(2)", "sigmoid", [2], {}),
        ("sigmoid(z)", "sigmoid(z)", [], {}),
        ("erf(z)", "erf(z)", [], {}),
        ("sigmoid(a*z + b); a=2, b=-1", "sigmoid(a*z + b)", [], {"a": 2, "b": -1}),
        ("sigmoid(λ*z); λ=.5", "sigmoid(λ*z)", [], {"λ": 0.5}),
    ],
)
def test_a_text_is_taken_apart(text, head, in_order, by_name):
    assert spelled(text, GATES) == (head, in_order, by_name)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fast(alpha=two)", "two"),
        ("sigmoid(k*z); k=1+1", "1+1"),
        ("sigmoid(k*z); k=nan", "nan"),
        ("sigmoid(k*z); k=1e9999", "1e9999"),
        ("sigmoid(k*z); k=1/0", "1/0"),
        ("sigmoid(k*z); k=" + "9" * 5000, "9"),
        ("sigmoid(k*z); k=__import__('os')", "__import__('os')"),
    ],
)
def test_a_value_that_is_no_number_is_pointed_at(text, fault):
    with pytest.raises(FormulaError) as caught:
        gate(text)
    assert text[caught.value.start :].startswith(fault)
    assert "\n" not in str(caught.value)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(FormulaError, match="alpha is given twice"):
        gate("fast(alpha=1); alpha=2")


def test_one_gate_however_it_is_spelled():
    assert gate("fast(alpha=2)") == gate("fast(2)") == gate("fast; alpha=2") == gate("fast", alpha=2)
    assert gate("sigmoid(k*z); k=1/2") == Gate("sigmoid(k*z)", parameters={"k": 0.5})


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_found_again_by_its_name(name):
    assert gate(gate(name).name) == gate(name)


def test_names_given_by_parameterised_gates_are_found_again():
    for text in ("student-t(6)", "iterated-sinh(3)"):
        assert gate(text).name == text


@pytest.mark.parametrize("text", ["fast(beta=1)", "fast(1, 2)", "cubic(3)", "sigmoid(z); 2", "sigmoid(z); q=2"])
def test_parameters_that_a_gate_does_not_have_are_refused(text):
    with pytest.raises(InvalidArgument):
        gate(text)


@pytest.mark.parametrize(
    "text", ["", " ", ";", "()", "fast(", "fast)", "z", "2", ";;", "fast;;", "(", "fast(alpha=1)(2)", "=", "-"]
)
def test_odds_and_ends_are_refused_in_one_line(text):
    with pytest.raises(GateflowError) as caught:
        gate(text)
    assert "\n" not in str(caught.value)
