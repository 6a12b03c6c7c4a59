"""Formulas on the page say what the text says: read back by a reader of its own, they give the same numbers."""

from xml.etree import ElementTree

import mpmath
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from gateflow.asymptotics.order import order
from gateflow.asymptotics.proofs.statements import text_of
from gateflow.asymptotics.rate import rate
from gateflow.asymptotics.saturation import saturation_order
from gateflow.errors import FormulaError
from gateflow.formula import parse
from gateflow.reports.mathml import formula, relation

from .mathml_reader import value

AT = {"z": 1.7, "tau": 4.3e5, "c": 1.3, "T": 7.0, "gap": 3e-3, "l": 2e-2, "a": 0.6}
SHOWN = {"tau": "τ"}
WITH = {name: "positive" for name in AT if name != "z"}


def same(text):
    """The text's own number, by SymPy and mpmath, against that of the formula on the page."""
    expr = parse(text, variables=("z",), parameters=WITH)
    with mpmath.workdps(30):
        told = value(formula(text), **{SHOWN.get(name, name): x for name, x in AT.items()})
        wanted = expr.subs({s: sp.Float(AT[s.name], 30) for s in expr.free_symbols}).evalf(25)
        # where all cancels, 30 digits of terms of size 1 leave less than 1e-25
        return abs(told - mpmath.mpf(str(wanted))) < 1e-15 * max(abs(wanted), 1e-10)


TEXTS = [
    "1/(c*T*tau*log(tau)**2)", "(3*c*T*tau)**(-1/3)", "1/c/gap/log(1/gap)**2", "T**2/3/c/gap**3", "-z**2",
    "-(z + 1)**2*3", "2*-z", "1 - (z - 2) - (3 - z)", "z/(2/(3*z))", "z/2*3", "2/3*z*4/5", "(1/2)**z", "2**3**(1/2)",
    "(2**3)**2", "-2*log(-2*log(cosh(z)) + z**9) + 2*log(cosh(z)) - sinh(z)", "log(tau)*sinh(z)*z", "z*3", "3*4*z",
    "exp(-z)*cosh(z)/exp(z**2)", "exp(-4*log(log(c*T*tau))/log(c*T*tau))", "exp(-exp(z)/2)", "sqrt(z)/sqrt(1 + z**2)",
    "abs(z - 3)*2", "1e-3*z + 2.5e4", "log(z)**2/log(tau)**(4/3)", "sinh(z)/cosh(z)/tanh(z)", "z**-2", "1*z", "z/1",
    "sinh(sinh(sinh(z/9)))", "log(sqrt(z)*2)", "(-z)**2", "-(-z)", "-z/2 - -z/3", "erfc(z)*exp(2*z**2)/2",
    "-2*sigmoid(2*asinh(z/2))**3 + 3*sigmoid(2*asinh(z/2))**2", "atan(z)*pi*z", "(z + 1)*(z + 2)/(z*(z + 3))",
    "2*3", "z*(3*z**2 + 1)", "(-1)**2*z", "tanh(z)**(-1)", "softplus(log(abs(z) + 1)*sign(z))", "z**(1/3)/3**z",
]  # fmt: skip


@pytest.mark.parametrize("text", TEXTS)
def test_a_formula_reads_back_as_what_it_says(text):
    assert same(text)


@pytest.mark.parametrize("name", ["fast", "erf", "softsign", "student-t", "iterated-sinh", "log-slow", "cubic"])
def test_all_that_is_said_of_the_catalogue_reads_back(name):
    law = rate(name)
    said = [law.rate, law.next_order, law.distance, law.slope, law.h, law.hitting_time, *law.implicit.values()]
    steps = [step["expr"] for step in [*law.steps, *order(name, "sigmoid").steps]]
    texts = [*said, text_of(saturation_order(name).g), *steps]
    assert [text for text in texts if text and "polygamma" not in text and not same(text)] == []


LEAVES = st.sampled_from(["z", "tau", "2", "3", "c", "pi"])
FORMULAS = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["+", "-", "*", "/"]), inner).map(lambda p: f"({p[0]}){p[1]}({p[2]})"),
        st.tuples(st.sampled_from(["atan", "log", "asinh", "abs", "sigmoid", "sqrt"]), inner).map(
            lambda p: f"{p[0]}(2 + abs({p[1]}))"
        ),
        inner.map(lambda p: f"-({p})"),
        st.tuples(inner, st.sampled_from(["2", "3", "(1/2)", "(-1)"])).map(lambda p: f"(1 + abs({p[0]}))**{p[1]}"),
    ),
    max_leaves=9,
)


@given(FORMULAS)
def test_any_formula_reads_back(text):
    try:
        expr = parse(text, variables=("z",), parameters=WITH)
    except FormulaError:  # a division by zero never reaches the page
        return
    if expr.has(sp.zoo, sp.nan) or abs(expr.subs({s: AT[s.name] for s in expr.free_symbols}).evalf()) < 1e-9:
        return
    assert same(text)


def test_branches_stand_in_one_brace():
    tree = ElementTree.fromstring(formula("where(z <= -3, 0, where(z >= 3, 1, z/6 + 1/2))"))
    rows = ["".join(row.itertext()) for row in tree.iter("mtr")]
    assert rows == ["0for\u00a0z≤−3", "1for\u00a0z≥3", "z6+12else"]


@pytest.mark.parametrize("text", ["a < b <script>", "<script>alert(1)</script>", "z &amp; 1", "'<b>'", "[z]", ""])
def test_what_is_no_formula_is_shown_as_text(text):
    tree = ElementTree.fromstring(formula(text))
    assert (tree.tag, tree.text or "") == ("code", text)
    assert not list(tree)


def test_every_formula_says_its_text_to_those_who_do_not_see_it():
    tree = ElementTree.fromstring(formula("1/tau", left="l(τ) ~"))
    assert tree.attrib["alttext"] == "l(τ) ~ 1/tau"


def test_the_left_side_is_set_in_mathematics_too():
    assert "<msup><mi>a</mi><mo>*</mo></msup>" in relation("a* =")
    assert relation("alpha =") == "<mi>α</mi><mo>=</mo>"
