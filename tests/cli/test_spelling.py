"""Gates with parameters in one argument."""

from fractions import Fraction

import pytest

from gateflow.cli._options import gate_of
from gateflow.errors import FormulaError, GateflowError, InvalidArgument
from gateflow.formula.spelling import spelled
from gateflow.gates.gate import GATES, Gate, gate


@pytest.mark.parametrize(
    ("text", "head", "in_order", "by_name"),
    [
        ("fast", "fast", [], {}),
        ("fast;", "fast", [], {}),
        ("fast()", "fast", [], {}),
        (" fast ( alpha = 2 ) ", "fast", [], {"alpha": 2}),
        ("fast(-1.5e-3)", "fast", [-0.0015], {}),
        ("fast;alpha=1/3", "fast", [], {"alpha": Fraction(1, 3)}),
        ("fast(alpha=positive)", "fast", [], {"alpha": "positive"}),
        ("student-t(6)", "student-t", [6], {}),
        ("sigmoid(2)", "sigmoid", [2], {}),
        ("sigmoid(z)", "sigmoid(z)", [], {}),
        ("erf(z)", "erf(z)", [], {}),
        ("sigmoid(a*z + b) ; a=2, b = -1", "sigmoid(a*z + b)", [], {"a": 2, "b": -1}),
        ("sigmoid(λ*z); λ=.5", "sigmoid(λ*z)", [], {"λ": 0.5}),
    ],
)
def test_a_text_is_taken_apart(text, head, in_order, by_name):
    assert spelled(text, GATES) == (head, in_order, by_name)


@pytest.mark.parametrize("form", ["sigmoid(k*z); k={}", "fast(alpha={})"])
@pytest.mark.parametrize("fault", ["1+1", "nan", "1e9999", "1/0", "9" * 5000, "two", "²", "1/3/3", "0x10", "1_000"])
def test_a_value_that_is_no_number_is_pointed_at(form, fault):
    text = form.format(fault)
    with pytest.raises(FormulaError) as caught:
        gate_of(text)
    assert text[caught.value.start : caught.value.end] == fault
    assert "\n" not in str(caught.value)


def test_a_parameter_given_twice_is_refused():
    with pytest.raises(FormulaError, match="k is given twice"):
        gate_of("sigmoid(k*z); k=1, k=2")


def test_one_gate_however_it_is_spelled():
    assert gate_of("fast(alpha=2)") == gate_of("fast(2)") == gate_of("fast; alpha=2") == gate("fast", alpha=2)
    assert gate_of("sigmoid(k*z); k=1/2") == Gate("sigmoid(k*z)", parameters={"k": 0.5})


@pytest.mark.parametrize("name", GATES)
def test_a_gate_is_found_again_by_its_name(name):
    assert gate_of(gate(name).name) == gate(name)


@pytest.mark.parametrize("text", ["student-t(6)", "iterated-sinh(3)"])
def test_the_name_of_a_gate_with_parameters_finds_it_again(text):
    assert gate_of(gate_of(text).name) == gate_of(text)


@pytest.mark.parametrize("text", ["fast(beta=1)", "fast(1, 2)", "cubic(3)", "cubic; k=3", "sigmoid(z); q=2"])
def test_parameters_that_a_gate_does_not_have_are_refused(text):
    with pytest.raises(InvalidArgument):
        gate_of(text)


def test_a_symbol_is_for_verbs_that_need_no_numbers():
    assert gate_of("sigmoid(k*z); k=positive", numeric=False).parameters == {"k": "positive"}
    assert gate_of("fast(alpha=positive)", numeric=False).parameters == {"alpha": "positive"}
    with pytest.raises(InvalidArgument, match="k needs a number here, not 'positive'"):
        gate_of("sigmoid(k*z); k=positive")


@pytest.mark.parametrize(
    "text", ["", " ", ";", "()", "fast(", "fast)", "2", ";;", "fast;;", "(", "fast(alpha=1)(2)", "=", "-"]
)
def test_odds_and_ends_are_refused_in_one_line(text):
    with pytest.raises(GateflowError) as caught:
        gate_of(text)
    assert "\n" not in str(caught.value)
