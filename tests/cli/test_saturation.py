"""``check``, ``order``, ``rank``, ``rate``, ``compare``, ``verify``: what they print of the proofs."""

import json
import math
from pathlib import Path

import mpmath
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
        "Order of saturation, highest first\n1. fast\n2. sigmoid = sigmoid(2*z)\n3. softsign\n"
    )
    code, answer = answered("rank", "fast", "sigmoid")
    assert (code, answer["classes"], answer["covers"], answer["open"]) == (0, [["fast"], ["sigmoid"]], [[0, 1]], [])


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
    wavy = ("rate", "sigmoid(z + 0.9*sin(z))")
    code, out, err = gateflow(*wavy)
    assert (code, err, out.splitlines()[0]) == (3, "", "sigmoid(z + 0.9*sin(z)), right tail: undecided")
    assert "oscillates" in out
    code, out, err = gateflow(*wavy, "--json")
    found = json.loads(out)
    assert (code, err, found["verdict"], found["rate"], found["certificate"]) == (3, "", "undecided", None, None)


def test_a_rate_says_how_near_its_law_is(answered, gateflow):
    """In the logit u of the fast gate tau is the integral of (2 + exp u + exp -u)/(1 + u^2), in closed form."""

    def time(u):
        grown, shrunk = (mpmath.im(mpmath.exp(1j) * mpmath.ei(side - 1j)) for side in (u, -u))
        return 2 * mpmath.atan(u) + grown - shrunk

    _, answer = answered("rate", "fast")
    assert [one["l"] for one in answer["over_law"]] == [1e-16, 1e-64, 1e-256]
    for one, digits in zip(answer["over_law"], (16, 64, 256), strict=True):
        with mpmath.workdps(30):
            far = digits * mpmath.log(10)
            tau = time(far + mpmath.log1p(-mpmath.exp(-far))) - time(mpmath.log(99))
            assert one["ratio"] == pytest.approx(float(tau * mpmath.exp(-far) * mpmath.log(tau) ** 2), rel=1e-9)
    assert "0.9605 at l = 1e-256" in gateflow("rate", "fast").out


@pytest.mark.parametrize("arguments", [("hard-sigmoid",), ("sigmoid", "--tail", "left")])
def test_where_no_law_is_beside_the_times_nothing_is_said_of_it(arguments, answered):
    assert answered("rate", *arguments)[1]["over_law"] is None


def test_the_left_tail_is_told_in_its_own_words(answered):
    assert "log(phi(-z))" in answered("rate", "softsign", "--tail", "left")[1]["steps"][0]["statement"]
    assert answered("rate", "sigmoid(z**2)", "--tail", "left")[1]["reason"] == "phi does not tend to 0 from above"


def test_rate_carries_its_certificate(answered):
    _, answer = answered("rate", "sigmoid")
    assert answer["certificate"]["statement"]["rate"] == answer["rate"]


def test_check_has_a_verdict_for_the_class_and_for_each_clause(answered, gateflow):
    code, answer = answered("check", "sigmoid(z**3 - z)")
    verdicts = {clause["clause"]: clause["verdict"] for clause in answer["clauses"]}
    assert (code, answer["verdict"], verdicts["increasing"], verdicts["onto"]) == (0, "not in F", "refuted", "proved")
    assert answer["gate"] == "sigmoid(z**3 - z)"
    told = gateflow("check", "fast")
    assert told.out.startswith("fast: in F\n")
    assert gateflow("check", "fast", "--latex").out.startswith(r"\text{fast} \in \mathcal{F}")


def test_a_certificate_is_verified_and_an_altered_one_is_not(gateflow, tmp_path):
    file = Path(tmp_path) / "order.json"
    assert gateflow("order", "fast", "sigmoid", "--certificate", str(file)).code == 0
    assert gateflow("verify", str(file)).code == 0
    file.write_text(file.read_text().replace("higher", "lower"))
    code, out, err = gateflow("verify", str(file))
    assert (code, err) == (3, "")
    assert out.startswith("refuted: ")


def test_a_ranking_is_certified(gateflow, tmp_path):
    file = Path(tmp_path) / "ranking.json"
    assert gateflow("rank", "fast", "sigmoid", "sigmoid(2*z)", "--certificate", str(file)).code == 0
    code, out, err = gateflow("verify", str(file))
    assert (code, err) == (0, "")
    assert out.startswith("verified: sigmoid(z) = sigmoid(2*z) < sigmoid(sinh(z))")


@pytest.mark.parametrize(("gate", "told"), [("fast", "is in class F"), ("sigmoid(z**2)", "is not in class F")])
def test_membership_is_certified_either_way(gate, told, gateflow, tmp_path):
    file = Path(tmp_path) / "member.json"
    assert gateflow("check", gate, "--certificate", str(file)).code == 0
    code, out, err = gateflow("verify", str(file))
    assert (code, err) == (0, "")
    assert out.startswith("verified: ")
    assert told in out.splitlines()[0]
    file.write_text(file.read_text().replace("sigmoid(", "sigmoid(2*"))
    assert gateflow("verify", str(file)).out.startswith("refuted: ")


@pytest.mark.parametrize(
    "verb",
    [
        ("check", "sigmoid(z + 0.5*sin(z))"),
        ("order", "sigmoid(sin(z))", "fast"),
        ("order", "sigmoid(k*z); k=positive", "sigmoid"),
    ],
)
def test_what_is_not_certified_is_said_in_a_line(verb, gateflow, tmp_path):
    file = Path(tmp_path) / "none.json"
    code, _, err = gateflow(*verb, "--certificate", str(file))
    assert (code, err.count("\n")) == (3, 1)
    assert not file.exists()


@pytest.mark.parametrize("text", [None, "no json", "{}"])
def test_what_is_no_certificate_is_told_in_a_line(text, gateflow, tmp_path):
    file = tmp_path / "some.json"
    if text is not None:
        file.write_text(text)
    code, out, err = gateflow("verify", str(file))
    assert (code, out, err.count("\n")) == (2, "", 1) or (code, err) == (3, "")


def test_compare_shows_ratios_that_tend_to_those_of_the_laws(answered):
    """Sigmoid over fast, T = 1: the laws give (log 1/gap)^2; the exact times are quadratures of theory.md §4."""
    code, answer = answered("compare", "fast", "sigmoid")
    assert (code, answer["orders"][0]["verdict"]) == (0, "higher")
    ladder = answer["ladder"]
    for row in ladder:
        assert row["log_ratio_by_law"]["sigmoid"] == pytest.approx(2 * math.log(-math.log(row["gap"])), rel=1e-12)
        end = mpmath.log(1 / mpmath.mpf(row["gap"]) - 1)
        assert row["log_tau"]["sigmoid"] == pytest.approx(float(mpmath.log(2 * mpmath.sinh(end) + 2 * end)), rel=1e-13)
    off = [abs(row["log_ratio"]["sigmoid"] - row["log_ratio_by_law"]["sigmoid"]) for row in ladder[1:]]
    assert off == sorted(off, reverse=True)
    assert off[-1] < 0.01


def test_compare_prints_one_line_a_gap(gateflow):
    code, out, _ = gateflow("compare", "softsign", "fast", "erf")
    assert code == 0
    heading, *rows = out.rpartition("\n\n")[2].splitlines()
    assert " ".join(heading.split()) == "gap tau of softsign fast / softsign by law erf / softsign by law"
    assert len(rows) == 10
    assert all(len(row.split()) == 6 for row in rows)


def test_compare_takes_other_losses(gateflow, answered):
    code, out, _ = gateflow("compare", "fast", "sigmoid", "--loss", "squared", "--tolerance", "1e-3", "--gaps", "0.1")
    assert code == 0
    assert "squared; the laws are those of the absolute loss" in out
    code, answer = answered("compare", "fast", "sigmoid", "--loss", "1/(1 + s)", "--gaps", "1e-9")
    assert (answer["loss"], answer["pull"]) == ("1/(1 + s)", 1.0)
    code, out, err = gateflow("compare", "fast", "sigmoid", "--gaps", "0.1", "1e-400")
    assert (code, out) == (2, "")
    assert "--gaps 1e-400 is below the smallest float" in err


def test_a_formula_that_is_no_gate_is_said_to_be_none(gateflow):
    """Only the tail of erf(z) is that of a gate; a gate with an open parameter is not judged."""
    for arguments in (("rate", "erf(z)"), ("order", "erf(z)", "sigmoid")):
        assert "erf(z) is no gate: phi(-30) = -1 lies outside (0, 1)" in gateflow(*arguments).out
        assert "is no gate" in json.loads(gateflow(*arguments, "--json").out)["beware"]
    assert "beware" not in json.loads(gateflow("rate", "fast", "--json").out)
    assert "beware" not in gateflow("order", "sigmoid(k*z); k=positive", "sigmoid").out
