"""``order``, ``rank``, ``rate``: what they print of the proofs."""

import json
import math

import pytest

from gateflow.formula import parse


@pytest.fixture
def answered(gateflow):
    def call(*arguments):
        code, out, err = gateflow(*arguments, "--json")
        assert err == ""
        return code, json.loads(out)

    return call


def test_order_has_the_keys_that_scripts_read(answered):
    code, answer = answered("order", "fast", "sigmoid(z**3)")
    assert {"verdict", "threshold", "exponent", "ratio", "convex", "seconds"} <= set(answer)
    assert (code, answer["verdict"], answer["convex"], answer["threshold"]) == (0, "higher", True, None)
    assert answer["gates"] == ["fast", "sigmoid(z**3)"]


@pytest.mark.parametrize(("one", "other", "verdict"), [("fast", "sigmoid", "higher"), ("sigmoid", "fast", "lower")])
def test_order_tells_its_verdict_and_its_limits(one, other, verdict, gateflow):
    code, out, _ = gateflow("order", one, other)
    assert code == 0
    assert out.startswith(f"{one} against {other}: {verdict}\n")
    assert "limit" in out


def test_gates_of_equal_order_have_a_threshold(answered, gateflow):
    _, answer = answered("order", "sigmoid(2*z)", "sigmoid")
    assert (answer["verdict"], answer["threshold"]) == ("equal", "2")
    assert gateflow("order", "sigmoid(k*z); k=positive", "sigmoid").out.count("threshold  k\n") == 1
    assert "a^* = 2" in gateflow("order", "sigmoid(2*z)", "sigmoid", "--latex").out


def test_a_gate_with_parameters_is_called_what_it_was_called(answered):
    assert answered("order", "sigmoid(sharpness=3)", "sigmoid")[1]["gates"] == ["sigmoid(sharpness=3)", "sigmoid"]


def test_what_is_left_undecided_has_exit_code_3(gateflow, answered):
    """A gate that does not tend to 1 has no order of saturation."""
    code, answer = answered("order", "sigmoid(sin(z))", "fast")
    assert (code, answer["verdict"]) == (3, "undecided")


def test_rank_puts_equal_gates_together_and_faster_ones_above(gateflow, answered):
    assert gateflow("rank", "fast", "sigmoid", "softsign", "sigmoid(2*z)").out == (
        "1. softsign\n2. sigmoid = sigmoid(2*z)\n3. fast\n"
    )
    code, answer = answered("rank", "fast", "sigmoid")
    assert (code, answer["classes"], answer["covers"], answer["open"]) == (0, [["sigmoid"], ["fast"]], [[0, 1]], [])


def test_rank_refuses_two_gates_of_one_name(gateflow):
    code, _, err = gateflow("rank", "fast", "fast")
    assert (code, err) == (2, "gateflow: error: two of the gates are called fast; write one of them as a formula\n")


def test_a_rate_is_a_formula_that_the_parser_reads_back(answered, gateflow):
    code, answer = answered("rate", "fast")
    assert code == 0
    assert {"rate", "kappa", "implicit"} <= set(answer)
    law = parse(answer["rate"], variables=("tau", "c", "T"))
    at = {symbol: {"tau": 1000, "c": 2, "T": 3}[symbol.name] for symbol in law.free_symbols}
    assert float(law.subs(at)) == pytest.approx(1 / (2 * 3 * 1000 * math.log(1000) ** 2))  # theory.md §4
    assert "kappa" in gateflow("rate", "fast").out


def test_no_law_no_answer(gateflow):
    code, out, err = gateflow("rate", "sigmoid(z + 0.9*sin(z))")
    assert (code, out, err.count("\n")) == (3, "", 1)
