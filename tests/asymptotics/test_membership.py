"""Class membership: every verdict and every witness checked against mpmath, which shares no code with the proofs."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import mpmath
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp, mpf

from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.membership import CLAUSES
from gateflow.asymptotics.membership import membership as decided
from gateflow.asymptotics.signs.smoothness import from_to
from gateflow.asymptotics.signs.tails import Clock, LimitCache, X
from gateflow.cli import main
from gateflow.errors import UnknownName
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z, logit, sigmoid, softplus, softsign
from gateflow.gates.gate import GATES, Gate, gate


def membership(gate: Any, seconds: float = 120.0) -> Any:
    """With time enough on a busy machine: the limit that users have is one of the wall clock."""
    return decided(gate, seconds)


def value_of(g: Gate) -> Any:
    """phi as an mpmath function, from the declaration written out in elementary functions."""
    phi = {"phi": lambda e: e, "profile": sigmoid, "complement": lambda e: 1 - e}[g.declared](g.expr)
    for node in (sigmoid, softplus, softsign, logit):
        phi = phi.replace(node, node.written_out)
    return sp.lambdify(Z, phi, "mpmath")


def slope_of(g: Gate, z: Any, order: int = 1) -> Any:
    """A derivative of phi by mpmath's differences in many digits; past 0 from phi - 1, which does not round to 0."""
    profile = g.expr if g.declared == "profile" else g.expr.args[0] if isinstance(g.expr, sigmoid) else None
    if profile is not None and z > 0:
        u = sp.lambdify(Z, profile, "mpmath")
        function = lambda x: -1 / (1 + mpmath.exp(u(x)))  # noqa: E731
    else:
        function = value_of(g)
    with mp.workdps(300):
        return mpmath.diff(function, mpf(z), order)


@pytest.fixture
def only(monkeypatch):
    """``only("onto")``: what is asked of a gate is no more than these clauses; others take what time they are given."""
    return lambda *names: monkeypatch.setattr(
        "gateflow.asymptotics.membership.CLAUSES", {name: CLAUSES[name] for name in names}
    )


CATALOGUE = [
    *[n for n in GATES if n != "hard-sigmoid"],
    *("fast(alpha=0.1)", "fast(alpha=3)", "sigmoid(sharpness=0.25)", "softsign(sharpness=10)"),
    *("iterated-sinh(1)", "iterated-sinh(3)", "student-t(2)", "student-t(6)"),
]


@pytest.mark.parametrize("name", CATALOGUE)
@pytest.mark.sampled(11)
def test_every_catalogue_gate_is_in_F_from_a_z0_that_holds(name):
    result = membership(gate(name))
    assert result.verdict == "in F", str(result)
    assert {c.verdict for c in result.clauses} == {"proved"}
    for z0, side in ((result.z0, 1), (result.z0_left, -1)):
        assert z0 is not None
        assert 0 <= z0 <= 3
        for step in (1e-3, 0.1, 0.5, 1.0):
            bend = slope_of(gate(name), side * (mpf(z0) + step), 2) * side
            assert bend < 0, f"phi'' has the wrong sign {step} past z0 = {z0}"


def test_z0_of_the_fast_gate_lies_just_past_the_last_zero_of_its_second_derivative():
    zero = mpmath.findroot(lambda z: mpmath.sinh(z) - mpmath.cosh(z) ** 2 * mpmath.tanh(mpmath.sinh(z) / 2), 0.9)
    assert zero <= membership(gate("fast")).z0 <= zero + 0.02


def test_cubic_is_in_F_and_warns_that_its_slope_vanishes():
    result = membership(Gate("sigmoid(z**3)"))
    assert result.verdict == "in F"
    assert any("vanishes at z = 0" in w and "never crosses" in w for w in result.warnings)
    shifted = membership(Gate("sigmoid((z - 1)**3)"))
    assert shifted.verdict == "in F"
    assert any("vanishes at z = 1" in w for w in shifted.warnings)
    assert not membership(gate("linear-cubic")).warnings


BESIDE = {
    "sigmoid(z - atanh(1 - 10**-30)*tanh(z))": "increasing",  # atanh is 34.9: the slope at 0 is below 0
    "sigmoid(z - 2*atanh(1 - 10**-30)*exp(-(z - 3)**2))": "increasing",
    "sigmoid(z**3 + loggamma(1 + 10**-40)*z)": "increasing",  # -5.8e-41
    "sigmoid(z) + acosh(1 + 10**-60)": "onto",  # 1.4e-30
    "sigmoid(z) + logit(1/2 + 10**-60)": "onto",  # 4e-60
    "(1 + loggamma(1 + 10**-30))*sigmoid(z)": "onto",
    "sigmoid(z + acosh(1 + 10**-60)*abs(z))": "differentiable",
    "where(z < 1, sigmoid(z), sigmoid(z) + acosh(1 + 10**-60)*(1 - sigmoid(z)))": "differentiable",
    "sigmoid(z + abs(tanh(z) - 1 + 10**-30)/100)": "differentiable",  # a kink at 34.9, where tanh is 1 - 1e-30
    "where(tanh(z) == 1 - 10**-30, 1/3, sigmoid(z))": "differentiable",
}
"""What is not in F by a constant beside the zero or the pole of a function, where SymPy sees 0 or infinity."""


@pytest.mark.parametrize("text", BESIDE)
@pytest.mark.sampled(3)
def test_constants_beside_a_zero_or_a_pole_are_what_they_are(text):
    found = membership(Gate(text))
    assert found.verdict == "not in F", str(found)
    assert found.clause(BESIDE[text]).verdict == "refuted", str(found)


def test_a_condition_on_such_a_constant_is_decided():
    assert membership(Gate("where(acosh(1 + 10**-20) > 0, sigmoid(z), 1/2)")).verdict == "in F"
    assert membership(Gate("where(z < atanh(1 - 10**-30), sigmoid(z), sigmoid(2*z))")).verdict == "not in F"


@pytest.mark.parametrize("power", [3, 5])
def test_a_break_that_is_very_far_out_is_found(power, only):
    """z = sqrt(exp(10^5) - 1), a number of 21,715 digits: SymPy asked whether it is prime for every logarithm."""
    only("differentiable")
    found = membership(Gate(f"where(log(1 + z**2) < 10**{power}, sigmoid(z), sigmoid(2*z))"))
    clause = found.clause("differentiable")
    assert clause.verdict == "refuted", str(clause)
    assert clause.reason.endswith("by less than 1e-2000 upward, from almost 0")


CANCELLING = [
    "(z + sqrt(1 + z**2))/(1 + z + sqrt(1 + z**2))",
    "(z + sqrt(4 + z**2))**2/(1 + (z + sqrt(4 + z**2))**2)",
    "(1 - exp(-exp(z)))**2/((1 - exp(-exp(z)))**2 + exp(-2*exp(z)))",
    "sigmoid(log(1 - exp(-exp(z))) + z)",
]
"""p/(1 + p), p a positive function that rises from 0: its terms cancel on the left, as in z + sqrt(1 + z^2)."""


@pytest.mark.parametrize("text", CANCELLING)
@pytest.mark.sampled(2)
def test_terms_that_cancel_far_out_are_put_in_another_form(text):
    found = membership(Gate(text))
    assert found.verdict == "in F", str(found)


@pytest.mark.parametrize("wave", ["tanh({})**2", "(1 - exp({}))**2"])
def test_a_conjugate_that_is_0_is_no_other_form(wave):
    """z - 5 - |z - 5| is 0 above 5 and 2 (z - 5) below; its conjugate is 0 there, and u falls from 19.3 to 15.8."""
    hidden = "(z - 5 - sqrt(z**2 - 10*z + 25))"
    found = membership(Gate(profile=f"3*z + 10*{wave.format(hidden)}")).clause("increasing")
    assert found.verdict == "refuted", str(found)


def test_terms_that_cancel_to_a_sign_that_is_wrong_are_refuted():
    """p = z + sqrt(z^2 - z) falls from 1/2 on the left; exp(-z) - exp(-2 z) is below 0 there."""
    falling = membership(Gate("where(z < 0, z + sqrt(z**2 - z), 1)*sigmoid(10*z + 40)"))
    assert falling.clause("increasing").verdict == "refuted", str(falling)
    below = membership(Gate("sigmoid(z) + (exp(-z) - exp(-2*z))*exp(-z**4)"))
    assert below.verdict == "not in F", str(below)


DYING = [
    "sigmoid(z) + exp(-z**2/2)*sin(50*z)/10**3",
    "1/2 + atan(z)/pi + sin(z)/(100*(1 + z**2)**2)",
    "where(z == 0, 1/2, sigmoid(z + sin(z)/z - 1))",
    "1 - sigmoid(-z)*(1 + sin(z)*sigmoid(z)*49/100)",
    "1/2 + erf(z + sin(z)/2)/2",
]
"""What oscillates less and less: the slope without it is larger than that of the rest, and the limits are 0 and 1."""


@pytest.mark.parametrize("text", DYING)
@pytest.mark.sampled(2)
def test_oscillations_that_die_away_leave_the_limits(text):
    found = membership(Gate(text))
    assert found.verdict == "in F", str(found)
    phi = value_of(Gate(text))
    with mp.workdps(60):
        assert all(phi(mpf(z) + mpf(1) / 7) < phi(mpf(z) + mpf(1) / 2) for z in range(-8, 8))
        assert phi(mpf(-(10**6))) < mpf(10) ** -6
        assert 1 - phi(mpf(10) ** 6) < mpf(10) ** -6


@pytest.mark.parametrize("text", ["sigmoid(z)*(1 + sin(z)/10)", "1/2 + atan(z + 2*sin(z))/pi", "sigmoid(sin(z)*z)"])
def test_oscillations_that_do_not_are_refuted(text):
    assert membership(Gate(text)).verdict == "not in F"


FLOORS = {
    "0.3 + 0.7*sigmoid(z)": ("3/10", lambda: mpf(3) / 10),
    "exp(-5*sigmoid(-z))": ("exp(-5)", lambda: mpmath.exp(-5)),
    "1/4 + 3/4*sigmoid(sinh(z))": ("1/4", lambda: mpf(1) / 4),
    "sigmoid(exp(z))": ("1/2", lambda: mpf(1) / 2),
    "1 - 1e-30*sigmoid(-z)": (f"{10**30 - 1}/{10**30}", lambda: 1 - mpf(10) ** -30),
}


@pytest.mark.parametrize("text", FLOORS)
@pytest.mark.sampled(2)
def test_a_gate_with_a_floor_is_in_F_from_there_on(text):
    floor, value = FLOORS[text]
    result = membership(gate(text))
    assert result.verdict == f"in F on ({floor}, 1)"
    assert result.floor == floor
    assert result.clause("onto").statement == f"phi is onto ({floor}, 1)"
    assert {c.verdict for c in result.clauses} == {"proved"}
    with mp.workdps(60):
        assert 0 <= value_of(gate(text))(mpf(-100)) - value() < mpf(10) ** -40
    assert r"\in \mathcal{F}\left(" in result.latex()
    assert result.to_json()["clauses"][2]["statement"].startswith("phi is onto (")


@pytest.mark.parametrize("text", ["0.3 + 0.7*sigmoid(z - 2*tanh(z))", "0.3 + 0.7*sigmoid(-z)", "-0.1 + 1.1*sigmoid(z)"])
@pytest.mark.sampled(2)
def test_a_floor_does_not_make_up_for_the_rest(text):
    """The first falls on the way, the second everywhere, the third has its floor below 0."""
    assert membership(gate(text)).verdict == "not in F"


# --- refutations, each witness checked --------------------------------------------------------------------------------


def check_negative_slope(g, witness):
    low, high = witness["interval"]
    assert low <= witness["z"] <= high
    slope = slope_of(g, witness["z"])
    assert slope < 0
    assert witness["slope"][0] <= slope <= witness["slope"][1]
    points = [low + (high - low) * i / 7 for i in range(1, 7)] if high < mpmath.inf else [low + i for i in range(1, 7)]
    assert all(slope_of(g, z) < 0 for z in points)


def check_oscillation(g, witness):
    """phi'' has both signs at the points named, and at the same phases further out."""
    assert slope_of(g, witness["positive"], 2) > 0 > slope_of(g, witness["negative"], 2)
    if witness["base"] == "z":
        for k in (5, 60):
            for key, sign in (("positive", 1), ("negative", -1)):
                assert slope_of(g, witness["phases"][key] + 2 * mp.pi * k, 2) * sign > 0


def check_limits(g, witness):
    with mp.workdps(30):
        for z, key in ((-(mpf(10) ** 20), "left"), (mpf(10) ** 20, "right")):
            assert abs(value_of(g)(z) - witness[key]) < 1e-15


def check_value(g, witness):
    value = value_of(g)(mpf(witness["z"]))
    assert not 0 < value < 1
    assert witness["phi"][0] <= value <= witness["phi"][1]


def check_flat(g, witness):
    low, high = witness["interval"]
    inside = [max(low, -50) + 0.1, min(high, 50) - 0.1]
    assert value_of(g)(mpf(inside[0])) == value_of(g)(mpf(inside[1]))


def check_kink(g, witness):
    z, phi, h = mpf(witness["z"]), value_of(g), mpf("1e-12")
    with mp.workdps(40):
        left, right = (phi(z) - phi(z - h)) / h, (phi(z + h) - phi(z)) / h
    assert abs(left - witness["left"]) < 1e-9
    assert abs(right - witness["right"]) < 1e-9
    assert abs(left - right) > 1e-3


def check_jump(g, witness):
    z, phi, h = mpf(witness["z"]), value_of(g), mpf("1e-12")
    assert abs(phi(z - h) - witness["left"]) < 1e-9
    assert abs(phi(z + h) - witness["right"]) < 1e-9
    assert abs(witness["left"] - witness["right"]) > 1e-3


def check_vertical(g, witness):
    h = mpf("1e-12")
    assert abs(value_of(g)(witness["z"] + h) - value_of(g)(mpf(witness["z"]))) > 1e4 * h


def check_range(g, witness):
    low, high = witness["interval"]
    values = [value_of(g)(mpf(i) / 7) for i in range(-500, 500)]
    assert all(low <= v <= high for v in values)
    assert low > 0 or high < 1


CHECKS = {name.removeprefix("check_"): function for name, function in globals().items() if name.startswith("check_")}

REFUTED = [
    ("sigmoid(z**3 - z)", {"increasing"}),
    ("sigmoid(z + 1.01*sin(z))", {"increasing", "monotone_slope"}),
    ("sigmoid(z + 0.9*sin(z))", {"monotone_slope"}),
    ("sigmoid(2*z - 1.9*cos(z))", {"monotone_slope"}),
    ("sigmoid(z - sin(z))", {"monotone_slope"}),
    ("0.05 + 0.9*sigmoid(z)", {"onto"}),
    ("0.5 + 0.45*erf(z)", {"onto"}),
    ("hard-sigmoid", {"differentiable", "increasing", "onto"}),
    ("tanh(z)", {"onto"}),
    ("sigmoid(z**2)", {"increasing", "onto"}),
    ("sigmoid(-z)", {"increasing"}),
    ("sigmoid(sin(z))", {"increasing", "onto", "monotone_slope"}),
    ("sigmoid(abs(z))", {"differentiable", "increasing", "onto"}),
    ("sigmoid(sign(z)*sqrt(abs(z)))", {"differentiable"}),
    ("where(z < 0, sigmoid(z), sigmoid(2*z))", {"differentiable"}),
    ("where(z < 0, sigmoid(z), sigmoid(1 + z))", {"differentiable", "onto"}),
    ("sigmoid(z + 1.2*exp(-(z - 5)**2))", {"increasing"}),
    ("sigmoid(z - 1.1*tanh(z))", {"increasing"}),
    ("sigmoid(z/(1 + z**2))", {"increasing", "onto"}),
]


@pytest.mark.parametrize(("text", "clauses"), REFUTED)
@pytest.mark.sampled(7)
def test_what_is_not_in_F_is_refuted_by_the_right_clause_with_a_true_witness(text, clauses):
    g = gate(text)
    result = membership(g)
    assert result.verdict == "not in F"
    assert {c.name for c in result.clauses if c.verdict == "refuted"} == clauses, str(result)
    assert {c.verdict for c in result.clauses if c.name not in clauses} == {"proved"}, str(result)
    for name in clauses:
        witness = result.clause(name).witness
        assert witness is not None
        CHECKS[witness["kind"]](g, witness)


@pytest.mark.parametrize("count", [40, pytest.param(200, marks=pytest.mark.slow)])
def test_half_the_oscillation_leaves_the_slope_monotone(count):
    result = membership(Gate("sigmoid(z + 0.5*sin(z))"))
    assert result.verdict == "in F"
    for i in range(count):
        assert slope_of(Gate("sigmoid(z + 0.5*sin(z))"), result.z0 + 1e-3 + i * 34 / count, 2) < 0


def test_left_tail_that_oscillates_is_reported_but_not_asked_for():
    result = membership(Gate("where(z < 0, sigmoid(z + 0.9*sin(z)), sigmoid(1.9*z))"))
    assert result.verdict == "in F"
    assert result.z0_left is None
    assert any("on the left" in w for w in result.warnings)


def test_a_sign_that_is_0_does_not_hide_a_division_by_0():
    """z^2 sign(z)/|z| is 0/0 at z = 0, and z elsewhere."""
    found = membership(Gate("sigmoid(z**2/abs(z)*sign(z))"))
    assert found.verdict == "in F"
    assert "no value at z = 0; it is read as its limit there" in " ".join(found.warnings)


def test_a_plateau_that_floats_do_not_resolve_is_a_place():
    found = membership(Gate("where(z < 1, sigmoid(z), where(z < 1 + 10**-25, sigmoid(1), sigmoid(z - 10**-25)))"))
    assert found.clause("increasing").reason == "flat for z beside 1.0"


def test_undefined_points_are_never_passed_over():
    pole = membership(Gate("sigmoid(-1/z)"))
    assert pole.clause("differentiable").verdict == pole.clause("increasing").verdict == "refuted"
    assert membership(Gate("sigmoid(log(z))")).clause("differentiable").verdict == "refuted"
    within = membership(Gate("sigmoid(atanh(sigmoid(1/z)))"))  # u = log(1 + 2*exp(1/z))/2 falls on both sides of 0
    assert "jump at z = 0: from 1/2 to 1" in within.clause("differentiable").reason
    assert within.clause("increasing").verdict == "refuted"
    logarithm = membership(Gate("sigmoid(3*z + z**3*log(abs(z)))"))
    assert logarithm.verdict == "undecided"
    assert "no value at z = 0" in logarithm.clause("differentiable").reason


@pytest.mark.parametrize(
    ("text", "hole"), [("sigmoid(sinh(z)**2/z)", "0"), ("sigmoid(z + z**3 + sin(z - 3)/(z - 3)/4)", "3")]
)
@pytest.mark.sampled(2)
def test_a_quotient_that_is_0_over_0_is_read_as_its_limit_and_said_to_be(text, hole):
    """Its value is the limit in numbers too: sinh(z)^2/z is z to first order; and sin(w)/w is 1 at w = 0."""
    found = membership(Gate(text))
    assert found.verdict == "in F", str(found)
    assert f"no value at z = {hole}; it is read as its limit there" in " ".join(found.warnings)
    u = 0.0 if hole == "0" else 3 + 27 + 1 / 4
    assert float(Gate(text).u(float(hole))) == pytest.approx(u, abs=1e-15)


def test_a_power_of_what_may_be_0_at_an_edge_leaves_the_rest_to_be_said():
    """phi' at the edge 0 has a power of log(1) there, of which SymPy knows no digits."""
    found = membership(Gate("(1+tanh(log(atan(sqrt(sqrt(log(1 + z**2)))))))/2"))
    assert found.verdict == "not in F", str(found)
    assert found.clause("increasing").verdict == "refuted"


def test_a_value_that_is_not_real_is_no_jump():
    """log(-2) and logit(-125) have no digits to print as where phi goes from or to."""
    for value in (sp.log(-2), logit(-125)):
        with pytest.raises(Undecided, match="not seen to be real"):
            from_to(value, sp.S.One)


def test_a_branch_that_is_not_real_is_told_where_it_begins():
    """log(-6) is no real number; that phi falls is seen on the other branch."""
    found = membership(Gate("z/log(where(log(6) <= (70/30*z), z, ((z-6)-z)))"))
    assert found.verdict == "not in F", str(found)
    assert found.clause("increasing").verdict == "refuted"


@pytest.mark.parametrize("rate", ["1/1e895", "exp(-1000)"])
def test_what_bends_past_the_floats_bends_for_all_large_z(rate):
    """phi'' is that of a tanh cubed whose unit of z is beyond the floats: it changes sign there, and no more."""
    monotone = membership(Gate(f"z*0.33/5 + 1e237*tanh(z*({rate}))**3")).clause("monotone_slope")
    assert monotone.verdict == "proved"
    assert (rate == "exp(-1000)") or ("past the floats" in monotone.reason and monotone.witness["kind"] == "germ")


NEAR_A_LIMIT = {
    "sigmoid(z + log(cosh(z)))": "in F on (1/3, 1)",
    "sigmoid(pi*z/2 + z*atan(z) - log(1 + z**2)/2)": "in F",
    "sigmoid(z + z*erf(z) + exp(-z**2)/sqrt(pi))": "in F on (1/2, 1)",
}


@pytest.mark.parametrize("text", NEAR_A_LIMIT)
@pytest.mark.sampled(2)
def test_a_slope_that_is_what_is_left_of_a_function_to_its_limit_has_a_sign(text):
    """u' is 1 + tanh z, pi/2 + atan z, and 1 + erf z."""
    found = membership(Gate(text))
    assert found.verdict == NEAR_A_LIMIT[text], str(found)
    for step in (1e-3, 0.1, 1.0, 30.0):
        assert slope_of(Gate(text), mpf(found.z0) + step, 2) < 0


@pytest.mark.parametrize("size", ["1.21", "1.23"])
def test_a_sign_is_found_beside_a_point_where_an_exponential_of_a_pole_is_flat(size, only):
    """u' = 1 - 2 c exp(-1/x^2)/x^3 at z = -x is least at x^2 = 2/3, and positive if c < e^(3/2) (2/3)^(3/2)/2."""
    only("differentiable", "increasing", "onto")
    largest = mpmath.exp(1.5) * mpf(2) ** 1.5 / mpf(3) ** 1.5 / 2
    found = membership(Gate(f"sigmoid(z + {size}*exp(-1/z**2))")).clause("increasing")
    assert found.verdict == ("proved" if mpf(size) < largest else "refuted"), str(found)


ENDLESS = [
    "sigmoid(tan(z))",
    "sigmoid(z + tan(z)/10**9)",
    "sigmoid(z + abs(sin(z))/2)",
    "where(sin(z) > 0, sigmoid(z), sigmoid(2*z))",
    "sigmoid(z + 1/(2 + 3*cos(z)))",
    "sigmoid(z + sign(2*sin(3*z) - 1)*10**-30)",
    "sigmoid(z + abs(cos(z)**2 - 1/4)/9)",
    "sqrt(z)/(1 + sqrt(z))",
    "sigmoid(z + sqrt(z - 1)*sqrt(z - 2)/9)",
]
"""Poles and breaks without end, and roots of negative numbers whose product is real."""


@pytest.mark.parametrize("text", ENDLESS)
@pytest.mark.sampled(3)
def test_one_fault_of_many_is_enough(text, only):
    only("differentiable")
    clause = membership(Gate(text)).clause("differentiable")
    assert clause.verdict == "refuted", str(clause)
    assert re.search("jump|kink|not defined|no value", clause.reason)


def test_points_without_end_that_are_no_faults_refute_nothing(only):
    """``|sin z| sin z`` has a slope everywhere."""
    only("differentiable")
    text = "sigmoid(z + 3*abs(sin(z))*sin(z)/10)"
    assert membership(Gate(text)).clause("differentiable").verdict != "refuted"


# --- tools ------------------------------------------------------------------------------------------------------------


def test_result_is_plain_data_and_readable():
    result = membership(Gate("0.05 + 0.9*sigmoid(z)"))
    data = json.loads(json.dumps(result.to_json()))
    assert data["verdict"] == "not in F"
    assert [c["clause"] for c in data["clauses"]] == list(CLAUSES)
    assert "phi(oo) = 19/20" in str(result)
    assert r"\notin" in result._repr_latex_()
    assert "<table" in result._repr_html_()


def test_open_parameters_are_settled_for_all_values_or_left_undecided():
    a = sp.Symbol("a", positive=True)
    assert membership(Gate(profile=a * Z)).verdict == "in F"
    assert membership(Gate(profile=Z**3 - (a - 1) * Z)).clause("increasing").verdict == "undecided"


NASTY = [
    "sigmoid(sinh(sinh(sinh(sinh(sinh(sinh(z)))))))",
    "sigmoid(exp(z + exp(-z)) - exp(z) - 1 + z)",
    "sigmoid(z + abs(sin(z))/2)",
    "sigmoid(tan(z))",
    "sigmoid(z + sin(z)*sin(sqrt(2)*z)/3)",
    "sigmoid(z + sin(exp(z))/10)",
    "sigmoid(z + sin(1/z))",
    "sigmoid(log(log(log(z**2 + 20))) * z)",
    "sigmoid(z**999)",
    "softplus(softplus(softplus(z)))/(1 + softplus(softplus(softplus(z))))",
]


@pytest.mark.parametrize("seconds", [0.2, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 3))])
@pytest.mark.parametrize("text", NASTY)
@pytest.mark.sampled(4)
def test_nasty_formulas_end_in_time(text, seconds):
    start = time.thread_time()  # a busy machine is no fault of theirs
    result = membership(Gate(text), seconds)
    assert time.thread_time() - start < seconds + 5
    assert all(c.reason for c in result.clauses if c.verdict != "proved")


# --- agreement with sampling ------------------------------------------------------------------------------------------

coefficients = st.integers(-6, 6)


@st.composite
def polynomials(draw):
    """Odd-degree polynomials with a positive leading coefficient."""
    degree = draw(st.sampled_from([1, 3, 5]))
    lower = [draw(coefficients) for _ in range(degree)]
    return sp.Poly([draw(st.integers(1, 4)), *lower], Z).as_expr()


@settings(max_examples=5, deadline=None)
@given(polynomials())
def test_polynomial_profiles_are_decided_as_their_real_roots_say(u):
    """u' >= 0 exactly if no real root of u' has odd multiplicity: algebra, not intervals."""
    slope = sp.Poly(u.diff(Z), Z)
    roots = sp.real_roots(slope) if slope.degree() > 0 else []
    increasing = all(roots.count(r) % 2 == 0 for r in set(roots))
    result = membership(Gate(profile=u))
    assert result.clause("increasing").verdict == ("proved" if increasing else "refuted")
    assert result.clause("onto").verdict == result.clause("monotone_slope").verdict == "proved"
    assert bool(result.warnings) == (increasing and bool(roots))


@settings(max_examples=10, deadline=None)
@given(
    st.sampled_from(["sigmoid(z)", "(1 + erf(z))/2", "1/2 + atan(z)/pi", "exp(-exp(-z))", "(1 + tanh(z))/2"]),
    st.integers(-3, 3),
    st.integers(1, 8),
    st.integers(-4, 4),
)
def test_scaled_and_shifted_gates_are_onto_only_if_they_end_in_1_and_begin_in_0_or_above(base, low, height, shift):
    text = f"{low}/4 + {height}/4*({base.replace('z', f'(z + {shift})')})"
    result = membership(Gate(text))
    onto = low >= 0 and low + height == 4
    assert result.clause("onto").verdict == ("proved" if onto else "refuted"), str(result)
    assert result.floor == str(sp.Rational(low, 4) if onto else 0)
    assert result.clause("increasing").verdict == "proved", str(result)


@settings(max_examples=10, deadline=None)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(-2, 2), st.integers(-2, 2))
def test_joined_gates_are_differentiable_only_if_values_and_slopes_agree(a, b, c, at):
    text = f"where(z < {at}, sigmoid({a}*z), sigmoid({b}*z + {c}))"
    result = membership(Gate(text))
    gap = b * at + c - a * at
    expected = "proved" if gap == 0 and a == b else "refuted"
    assert result.clause("differentiable").verdict == expected, str(result)
    assert result.clause("increasing").verdict == ("refuted" if gap < 0 else "proved"), str(result)
    onto = ("proved",) if gap == 0 else ("refuted",) if gap > 0 else ("proved", "undecided")
    assert result.clause("onto").verdict in onto, str(result)


TERMS = st.lists(
    st.sampled_from(["z", "tanh(3*z)", "sin(2*z)", "z**3", "sinh(z)", "exp(-z**2)", "atan(z)"]), min_size=2
)
WEIGHTS = st.lists(st.integers(-5, 5), min_size=6, max_size=6)


@pytest.mark.parametrize("count", [5, pytest.param(40, marks=pytest.mark.slow)])
def test_no_verdict_on_monotonicity_is_contradicted_by_sampling(count):
    settings(max_examples=count, deadline=None)(given(TERMS, WEIGHTS)(is_not_contradicted))()


def is_not_contradicted(terms, weights):
    u = " + ".join(f"({w})*{t}" for w, t in zip(weights, terms, strict=False)) + " + z/9"
    result = membership(Gate(f"sigmoid({u})"), seconds=1).clause("increasing")
    slope = sp.lambdify(Z, Gate(f"sigmoid({u})").formulas.du, "mpmath")
    samples = [slope(mpf(i) / 16) for i in range(-160, 161)]
    if result.verdict == "proved":
        assert min(samples) > -1e-12
    elif result.verdict == "refuted":
        assert slope(mpf(result.witness["z"])) < 0


def test_an_unknown_clause_is_an_error():
    with pytest.raises(UnknownName, match="unknown clause 'onot'; did you mean 'onto'"):
        membership("fast").clause("onot")


def test_what_is_left_of_a_limit_is_told_as_the_limit():
    """Of 0.2 s nothing may be left, and "no answer within 0 s" tells nobody what to change."""
    clock = Clock(0.2)
    time.sleep(0.25)
    left = clock.budget(5.0)
    for question in (lambda: [left.tick() for _ in range(100)], lambda: LimitCache(clock)(sp.exp(X) + 1)):
        with pytest.raises(Undecided, match=r"no answer within 0\.2 s"):
            question()


def test_a_break_of_many_digits_is_no_fault():
    """Its root, of 391 digits, is irrational: no floor of it is needed to find a number beyond."""
    found = membership(Gate("where(z**2 < 1e781, sigmoid(z)/2, sigmoid(z))"))
    assert found.verdict == "not in F"


TEN = mpf(10)
DIPS = [
    ("sigmoid(z+1/(1e30*(z-5)**2+1e-30))", lambda z: z + 1 / (TEN**30 * (z - 5) ** 2 + 1 / TEN**30)),
    ("sigmoid(z-2e-10*exp(-(z-3)**2*1e20))", lambda z: z - 2 * mp.exp(-((z - 3) ** 2) * TEN**20) / TEN**10),
    ("sigmoid(z-2e-10*exp(-(z+7)**2*1e20))", lambda z: z - 2 * mp.exp(-((z + 7) ** 2) * TEN**20) / TEN**10),
    ("sigmoid(z-tanh(1e9*(z-pi))*2e-9)", lambda z: z - 2 * mp.tanh(TEN**9 * (z - mp.pi)) / TEN**9),
    ("sigmoid((z-1/3)**3-1e-28*z)", lambda z: (z - mpf(1) / 3) ** 3 - z / TEN**28),
    ("sigmoid((z-1/7)**3-1e-40*z)", lambda z: (z - mpf(1) / 7) ** 3 - z / TEN**40),
    ("sigmoid(z+1.01*sin(z))", lambda z: z + mpf(101) / 100 * mp.sin(z)),
]


@pytest.mark.parametrize(("text", "u"), DIPS)
@pytest.mark.sampled(5)
def test_the_number_that_is_printed_is_a_witness_itself(text, u, only):
    """The profile falls at it, and at both ends of the interval, in big floats; the slope of phi is the one printed."""
    only("differentiable", "increasing")
    reason = membership(Gate(text), 8.0).clause("increasing").reason
    found = re.fullmatch(r"phi' < 0 for z (?:in \[(.*), (.*)\]|= (.*)): phi'\((.*)\) = (.*)", reason)
    assert found, reason
    with mp.workdps(200):
        phi = lambda z: 1 / (1 + mp.exp(-u(z)))  # noqa: E731
        for written in filter(None, found.groups()[:4]):
            top, _, bottom = written.partition("/")
            slope = mp.diff(phi, mpf(top) / mpf(bottom or 1), h=TEN**-80)
            assert slope < 0, (written, mp.nstr(slope, 6))
        assert abs(slope / mpf(found[5]) - 1) < 1e-5


def test_a_value_outside_is_printed_at_a_point_where_it_is_taken():
    """Within 1e-10 of 5/8, where a sample lies, the value is past 1; three digits away it is not."""
    reason = membership(Gate("1/2+tanh(z)/2+10*exp(-1e20*(z-0.62500000001)**2)")).clause("onto").reason
    z, phi = re.fullmatch(r"phi\((.*)\) = (.*) is not in \(0, 1\)", reason).groups()
    with mp.workdps(60):
        value = mpf(1) / 2 + mp.tanh(mpf(z)) / 2 + 10 * mp.exp(-(TEN**20) * (mpf(z) - mpf("0.62500000001")) ** 2)
        assert value >= 1
        assert abs(value / mpf(phi) - 1) < 1e-5


@pytest.mark.parametrize("text", ["sigmoid(z+tanh(10*(z-20))/20)", "sigmoid(z+abs(z-sqrt(2))**3)", "fast"])
@pytest.mark.sampled(2)
def test_the_z0_that_is_printed_is_no_smaller_than_the_one_found(text, capsys):
    main(["check", text, "--json"])
    z0 = json.loads(capsys.readouterr().out)["z0"]
    main(["check", text])
    shown = capsys.readouterr().out
    main(["check", text, "--latex"])
    said = [
        re.search(r"^z0 +(\S+)$", shown, re.MULTILINE)[1],
        re.search(r"phi' decreases for z >= ([^\s,]+)", shown)[1],
        re.search(r"z_0 = (\S+)$", capsys.readouterr().out)[1],
    ]
    assert len(set(said)) == 1
    assert z0 <= mpf(said[0]) < z0 * (1 + 2e-5)


def test_poles_of_a_tangent_that_its_product_has_not_are_read_as_limits_and_said_to_be():
    """tan(z) cos(z) is sin(z) where it has a value."""
    found = membership(Gate("sigmoid(3*z + tan(z)*cos(z)*exp(-z**2))"))
    assert found.verdict == "in F", str(found)
    assert [w for w in found.warnings if "has no value where a tangent in it has none" in w]
    assert membership(Gate("sigmoid(3*z + tan(z)*exp(-z**2))"), seconds=3.0).verdict != "in F"


def test_once_a_clause_is_refuted_the_others_take_little_time(monkeypatch):
    def for_ever(case):
        while True:
            case.tools.clock.check()

    monkeypatch.setattr("gateflow.asymptotics.membership._Case._monotone_slope", for_ever)
    found = membership(Gate("sigmoid(z**3 - z)"), seconds=3.0)
    assert found.verdict == "not in F"
    assert str(found.clause("monotone_slope")).endswith("undecided (not pursued: another clause is refuted)")
    assert found.clause("onto").verdict == "proved"


def test_a_point_at_which_a_formula_has_roots_of_polynomials_is_settled_by_their_arithmetic():
    """The two sides meet at the root r of z^5 - z - 1, with slopes 1 and 1 + (5 r^4 - 1)/9."""
    smooth, kinked = (f"sigmoid(where(z**5 - z - 1 < 0, z, z + (z**5 - z - 1){power}/9))" for power in ("**2", ""))
    assert membership(Gate(smooth)).clause("differentiable").verdict == "proved"
    assert membership(Gate(kinked)).clause("differentiable").verdict == "refuted"


def test_a_profile_that_falls_where_phi_is_beyond_all_numbers_is_a_witness():
    """u' = 1 - 2e-20 z past 0, and phi' = sigmoid'(u) u' has its sign: at 5e19 it is of the size of exp(-2.5e19)."""
    found = membership(Gate("sigmoid(z - 10**-20*z**2*sign(z))")).clause("increasing")
    assert found.verdict == "refuted", str(found)
    assert int(found.witness["point"]) > 5 * 10**19
    with mp.workdps(60):
        assert mpf(re.search(r"u'\((\S+)\)", found.reason)[1]) > mpf(5) * 10**19


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(z + sin(cosh(exp(cosh(cosh(z)))))/2)",
        "sigmoid(" + "*".join(f"(z+{i})" for i in range(1, 48)) + ")",
        "sigmoid(1+(1+(1+(1+(1+(1+(1+(1+(1+(z)*z)*z)*z)*z)*z)*z)*z)*z)*z)",
        "sigmoid(" + "*".join(f"sin({i}*z + {i * i})" for i in range(1, 14)) + ")",
    ],
    ids=["wild sine", "long product", "brackets", "sines"],
)
def test_long_or_fast_profiles_fall_where_it_is_said(text, only):
    """The slope of the profile at the point that is named, in 400 digits by mpmath's differences."""
    only("differentiable", "increasing")
    clause = membership(text).clause("increasing")
    assert clause.verdict == "refuted"
    at = sp.Rational(clause.witness.get("point", clause.witness["z"]))
    profile = sp.lambdify(Z, Gate(text).expr.args[0], "mpmath")
    with mp.workdps(400):
        assert mpmath.diff(profile, mpf(at.p) / at.q, h=mpf(10) ** -150) < 0


@pytest.mark.parametrize(
    ("text", "logarithm"),
    [
        ("(1+tanh(exp(cosh(exp(cosh(softplus(sinh(z))))))))/2", lambda: mpmath.log(2) + mpmath.cosh(mpmath.e)),
        ("sigmoid(exp(exp(exp(z)) + 3))", lambda: mpf(4)),
    ],
)
def test_a_floor_too_near_to_1_for_digits_is_one(text, logarithm, only):
    """The logarithm of the profile at -oo is that of its limit, so phi(-oo) is neither 0 nor 1."""
    only("differentiable", "onto")
    clause = membership(text).clause("onto")
    assert (clause.verdict, clause.witness["kind"]) == ("proved", "floor")
    floor = sp.lambdify([], sp.log(parse(clause.witness["floor"]).args[0]), "mpmath")
    with mp.workdps(30):
        assert mpmath.almosteq(floor(), logarithm(), mpf(10) ** -25)


def test_large_constants_do_not_hide_a_slope_whose_terms_are_positive(only):
    only("increasing", "onto")
    for sign, verdict in (("+", "proved"), ("-", "refuted")):
        found = membership(f"(1+tanh(z*6/80/19 {sign} 1e113*tanh(z/1000000000)**3))/2")
        assert found.clause("increasing").verdict == verdict
