"""Gates from formulas: what is recognised, what is refused, what is measured."""

from __future__ import annotations

import math
import pickle
import re
import sys
import time

import mpmath
import numpy as np
import pytest
import sympy as sp

from gateflow.asymptotics.membership import membership
from gateflow.errors import Exceeded, FormulaError, GateflowError, InvalidArgument, UnknownName
from gateflow.gates.gate import GATES, Gate, gate
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
@pytest.mark.sampled(3)
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
@pytest.mark.sampled(2)
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


def test_tails_of_unequal_weight_are_added_from_the_heavier() -> None:
    """1 - phi = erfc(z)/4 + sigmoid(-2 z)/2, of which the second is all there is far out."""
    chosen = Gate("1/2 + (tanh(z) + erf(z))/4")
    z = np.array([1e10, 1e60, 1e300])
    assert np.allclose(chosen.log_phi_c(z), -2 * z - np.log(2), rtol=1e-15, atol=0)
    assert (chosen.phi_c(z) == 0).all()
    assert (chosen.log_phi(-z) == chosen.log_phi_c(z)).all()


def test_a_flat_point_at_the_end_of_a_logarithm_is_flat() -> None:
    """u = z log(1 + z^2) has u' = 3 z^2 + O(z^4)."""
    chosen = Gate("sigmoid(z*log(1+z**2))")
    assert chosen.dphi(0.0) == chosen.du(0.0) == chosen.d2phi(0.0) == 0
    z = np.array([1e-20, 1e-100, 1e-150])
    assert np.allclose(chosen.log_dphi(z), np.log(3) - 2 * np.log(2) + 2 * np.log(z), rtol=1e-14, atol=0)


@pytest.mark.parametrize("text", ["exp(-softplus(-z)**2)", "exp(-softplus(-z)**3)"])
def test_a_probability_near_one_keeps_its_logarithm_where_the_rest_underflows(text: str) -> None:
    """log(1 - phi) is -n z there, but for terms of size exp(-z)."""
    n = int(text[-2])
    z = np.array([300.0, 710.3, 5000.0])
    assert np.allclose(Gate(text).log_phi_c(z), -n * z, rtol=1e-15, atol=0)


def test_a_hyperbolic_tangent_written_out_keeps_its_digits() -> None:
    z = np.array([-1e5, -700.3, -20.0, 0.3, 20.0, 1e5])
    assert (Gate("(1+sinh(z)/cosh(z))/2").phi_c(z) == Gate("sigmoid(2*z)").phi_c(z)).all()


def test_a_case_may_be_a_single_point() -> None:
    for text in ("where(z == 0, 1/2, sigmoid(z**3))", "where(z != 0, sigmoid(z**3), 1/2)"):
        assert (Gate(text).phi([-1.0, 0.0, 1.0]) == Gate("sigmoid(z**3)").phi([-1.0, 0.0, 1.0])).all()


def test_an_expression_is_a_formula_like_any_other() -> None:
    z, k = sp.symbols("z k")
    made = Gate(1 / (1 + sp.exp(-k * z)), parameters={"k": 2})
    assert made.phi(0.7) == Gate("sigmoid(2*z)").phi(0.7)
    assert pickle.loads(pickle.dumps(made)) == made
    left_open = Gate(1 / (1 + sp.exp(-k * z)))
    assert dict(left_open.parameters) == {"k": "real"}
    with pytest.raises(GateflowError, match="k"):
        left_open.phi(0.7)
    assert Gate(profile=sp.sinh(z), inverse=sp.asinh(sp.Symbol("u"))).inverse(0.5) == 0


def test_numbers_of_a_gate_without_values_are_refused() -> None:
    with pytest.raises(InvalidArgument, match="alpha has no value"):
        gate("fast", alpha="positive").phi(1.0)
    with pytest.raises(InvalidArgument, match="a gate takes real numbers"):
        gate("fast").phi([[1.0], [1.0, 2.0]])


def test_a_whole_number_may_be_a_float() -> None:
    assert gate("student-t", df=6.0) == gate("student-t", df=6)


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(z)**200",
        "sigmoid((z + 1)**3001)",
        "sigmoid((((z + 1)**9 + z)**9 + z)**9)",
        "1/2 + atan((1 + z)**40 - (1 - z)**40)/pi",
        "1/2 + erf((1 + z + exp(z) + sinh(z) + cosh(z) + tanh(z))**9)/2",
    ],
)
def test_a_short_formula_is_derived_in_a_moment(text: str) -> None:
    """Each takes SymPy minutes or more where it is expanded or factored."""
    start = time.process_time()
    assert 0 <= Gate(text).phi(0.25) <= 1
    assert time.process_time() - start < 30  # half a second here; expanded or factored, minutes at the least


LONG = {
    "powers of powers": "1/2 + atan(z**5**2)/pi",
    "one power": "1/2 + atan(z**81)/pi",
    "product": f"sigmoid({'*'.join(f'(z + {i})' for i in range(1, 48))})",
    "product in atan": f"1/2 + atan({'*'.join(f'(z + {i}/7)' for i in range(1, 40))})/pi",
    "rising product": f"1/2 + atan(z*{'*'.join(f'(1 + z**2/{i})' for i in range(1, 18))})/pi",
    "sines": f"sigmoid({'*'.join(f'sin({i}*z + {i * i})' for i in range(1, 16))})",
    "sum": "1/2 + atan(sinh(z) + asinh(3*z) + atan(4*z) + erf(5*z) + tanh(6*z) + sigmoid(7*z) + softplus(8*z)"
    " + sin(z)/9 + cos(2*z)/9 + tanh(9*z) + atan(11*z) + erf(12*z) + sigmoid(13*z) + softplus(14*z) + asinh(15*z))/pi",
}
"""Formulas whose derivatives SymPy makes long, or whose slope has a denominator of a high degree."""


@pytest.mark.parametrize("name", LONG)
def test_long_formulas_have_values_and_slopes_with_all_digits(name: str) -> None:
    """Against Taylor triples of the declared formula, in big floats."""
    made, z = Gate(LONG[name]), np.array([-9.5, -3.3, -1.7, -0.6, 0.07, 0.45, 0.98, 1.3, 2.6, 12.0])
    truth, compared = Oracle(made), 0
    for what in ("phi", "phi_c", "log_phi_c", "dphi", "log_dphi"):
        for x, value in zip(z, getattr(made, what)(z), strict=True):
            true = truth(x)
            if what in true and 1e-300 < abs(true[what]) < 1e300:
                assert in_ulps(value, true[what]) <= 1, (what, x)
                compared += 1
    assert compared > 10


def test_a_sine_with_a_large_phase_has_its_digits() -> None:
    """4 z is lost in ``4*z + 1e842``, and 1e842 is no float."""
    made = Gate("sigmoid(z + sin(4*z + 1e842) - cos(7 - 1e40 - z/3))")
    for z in (-5.0, -2.0, 0.0, 1.0):
        with mpmath.workdps(900):
            first, second = 4 * mpmath.mpf(z) + mpmath.mpf(10) ** 842, 7 - mpmath.mpf(10) ** 40 - mpmath.mpf(z) / 3
            u = z + mpmath.sin(first) - mpmath.cos(second)
            du = 1 + 4 * mpmath.cos(first) - mpmath.sin(second) / 3
        assert made.u(z) == pytest.approx(float(u), rel=4e-16)
        assert made.du(z) == pytest.approx(float(du), rel=4e-16)


def test_an_inverse_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidArgument, match="the inverse given is not that of u"):
        Gate(profile="sinh(z)", inverse="u").inverse(0.9)
    assert Gate(profile="2*z", inverse="u/2").inverse_c(0.5) == 0


def test_where_double_double_finds_no_number_big_floats_do() -> None:
    mixture = Gate("1/2 + (tanh(z) + erf(z))/4")
    with mpmath.workdps(60):
        exact = [
            mpmath.sech(z) ** 2 / 4 + mpmath.exp(-(mpmath.mpf(z) ** 2)) / (2 * mpmath.sqrt(mpmath.pi)) for z in (-30, 3)
        ]
    assert mixture.dphi(np.array([-30.0, 3.0])) == pytest.approx([float(x) for x in exact], rel=1e-15)
    assert Gate("z**3/(1 + abs(z)**3)/2 + 1/2").phi(np.array([1e120, -1e300])).tolist() == [1.0, 0.0]


def _bell(z):
    """exp of minus the square."""
    return mpmath.exp(-(z**2))


def _slope_of_a_wave(z):
    return 1 + _bell(z) * (mpmath.sech(z) ** 2 - 2 * z * mpmath.tanh(z)) / 4


@pytest.mark.parametrize(
    ("text", "du"),
    [
        ("sigmoid(z + exp(-z**2)/2)", lambda z: 1 - z * _bell(z)),
        (
            "sigmoid(z + tanh(z)*exp(-z**2)/4)",
            lambda z: 1 + _bell(z) * (mpmath.sech(z) ** 2 - 2 * z * mpmath.tanh(z)) / 4,
        ),
        ("sigmoid(2*z + exp(-5*z)/(1 + exp(-5*z)))", lambda z: 2 - 5 * mpmath.sech(5 * z / 2) ** 2 / 4),
        ("sigmoid(z + exp(-(z - 3)**2/4)/3)", lambda z: 1 - (z - 3) * mpmath.exp(-((z - 3) ** 2) / 4) / 6),
        ("sigmoid(z + z*exp(-1/z**2))", lambda z: 1 + mpmath.exp(-1 / z**2) * (1 + 2 / z**2)),
    ],
)
def test_far_from_a_bump_of_exponentials_its_slope_is_gone(text, du):
    """A common denominator of these is ``exp(z**2)``, which is infinite past 27."""
    z = np.array([-300.0, -30.0, -3.0, -0.03, -1e-5, 1e-5, 0.03, 3.0, 30.0, 300.0])
    one, expected = Gate(text), np.array([float(mpmath.log(du(mpmath.mpf(x)))) for x in z])
    assert one.float64.log_du(z) == pytest.approx(expected, abs=1e-13)
    assert one.log_dphi(z) - one.log_phi(z) - one.log_phi_c(z) == pytest.approx(expected, abs=1e-13)


def test_a_slope_is_not_gone_where_the_profile_is_no_number_in_floats():
    """cosh(20 z)/cosh(21 z) is exp(-|z|) far out, by inf/inf."""
    gate = Gate("sigmoid(z + cosh(20*z)/cosh(21*z)/30)")
    assert gate.log_dphi(np.array([-60.0, 60.0, 300.0])) == pytest.approx([-60.0, -60.0, -300.0], rel=1e-15)
    assert gate.d2phi(60.0) == pytest.approx(-math.exp(-60), rel=1e-14)


@pytest.mark.parametrize("z", [-3.0, -1.0, -0.25, 0.5, 2.0])
@pytest.mark.parametrize(
    ("text", "u"),
    [
        ("sigmoid(where(z < 0, -log(1 - z), log(1 + z)))", lambda z: math.copysign(math.log1p(abs(z)), z)),
        ("sigmoid(where(z < 0, -(-z)**1.5, z**1.5))", lambda z: math.copysign(abs(z) ** 1.5, z)),
        ("sigmoid(where(z < 0, -sqrt(-z), where(z < 1, z, sqrt(z))))",
         lambda z: z if 0 <= z < 1 else math.copysign(abs(z) ** 0.5, z)),
    ],
)  # fmt: skip
@pytest.mark.sampled(4)
def test_a_root_on_a_branch_that_is_not_taken_does_no_harm(text, u, z: float) -> None:
    numbers = gate(text)
    assert numbers.u(z) == pytest.approx(u(z), rel=1e-15)
    assert numbers.phi(z) == pytest.approx(1 / (1 + math.exp(-u(z))), rel=1e-15)
    assert np.isfinite([numbers.dphi(z), numbers.log_dphi(z), numbers.d2phi(z)]).all()
    assert np.isnan(gate("sigmoid(where(z < -2, sqrt(z), z))").phi([-3.0, -1.0])).tolist() == [True, False]


def test_a_logarithm_of_a_negative_number_is_no_number() -> None:
    values = Gate("sigmoid(log(z))").phi(np.array([-2.0, 0.0, 2.0]))
    assert np.isnan(values[0])
    assert values[1:] == pytest.approx([0.0, 2 / 3])


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("where(z <= -3, 0, where(z >= 3, 1, z/6 + 1/2))", True),
        ("where(z < -1, 0, where(z > 1, 1, (1 + z)/2))", True),
        ("where(z < -1, 0, where(z > 2, 1, (1 + z)/3))", False),
        ("where(z < 0, 1/(2*(1 - z)), 1 - 1/(2*(1 + z)**2))", False),
        ("where(z < 0, 1/(2*(1 - z)), 1 - 1/(2*(1 + z)))", True),
        ("sigmoid(where(z < 1, z, 2*z - 1))", False),
    ],
)
def test_gates_in_pieces_know_whether_they_are_odd(text, odd):
    assert Gate(text).odd is odd


@pytest.mark.parametrize(
    ("text", "kinks"),
    [
        ("sigmoid(z + abs(exp(z) - 2)/9)", [math.log(2)]),
        ("sigmoid(where(sinh(z) < 1, z, 2*z - asinh(1)))", [math.asinh(1)]),
        ("(1 + softsign(sinh(z) - 1))/2", [math.asinh(1)]),
        ("sigmoid(2*z + abs(sin(z)))", [k * math.pi for k in range(-9, 10)]),
        ("sigmoid(z + abs(z**3 - z)/9)", [-1.0, 0.0, 1.0]),
        ("sigmoid(z + abs(z**5 - z - 1)/9)", [1.1673039782614187]),  # no form in radicals
        (
            "sigmoid(z + abs(z**3 - 3*z + 1)/9)",
            [-1.8793852415718168, 0.34729635533386070, 1.5320888862379561],
        ),  # complex radicals
        ("sigmoid(z + abs((z**4 - z - 1)*(z - 40)**3)/9)", [-0.7244919590005156, 1.2207440846057596, 40.0]),
    ],
)
def test_changes_of_branch_are_found_where_they_are(text, kinks):
    assert Gate(text).kinks == pytest.approx(kinks, rel=3e-16, abs=1e-300)


def test_a_difference_with_z_is_a_formula():
    assert gate("z-1").phi(0.25) == -0.75
    assert gate("0.5-z").text == "0.5-z"


def test_gates_with_other_inverses_are_not_equal():
    plain, told = Gate("sigmoid(z**3)"), Gate("sigmoid(z**3)", inverse="sign(u)*abs(u)**(1/3)")
    assert plain != told
    assert hash(plain) != hash(told)
    assert told == Gate("sigmoid(z**3)", inverse="sign(u)*abs(u)**(1/3)")


@pytest.mark.parametrize(
    ("formula", "node"),
    [
        ("sigmoid(cosh(acosh(z)))", "acosh(z) has no value at z = 0"),
        ("sigmoid(tanh(atanh(z)))", "atanh(z) has no value at z = -1.5"),
        ("sigmoid(sqrt(z)**2)", "sqrt(z) has no value at z = -0.1"),
        ("sigmoid(exp(log(z)))", "log(z) has no value at z = -0.1"),
        ("sigmoid(exp(3*log(z)))", "log(z) has no value at z = -0.1"),
        ("sigmoid(z**0.5*z**0.5)", "z**0.5 has no value at z = -0.1"),
        ("sigmoid(z**2/z)", "there is a division by z at z = 0"),
        ("sigmoid(where(z < 0, exp(log(z)), z))", "log(z) has no value at z = -0.1"),
    ],
)
def test_a_domain_that_sympy_simplifies_away_is_told(formula, node):
    assert Gate(formula).lost_domain.startswith(f"{node}; it is read as sigmoid(")
    assert Gate(formula).lost_domain in membership(formula).warnings


@pytest.mark.parametrize(
    "formula",
    [
        *("sigmoid(log(z))", "sigmoid(1/z)", "sigmoid(sinh(z)/z)", "sigmoid(sqrt(z**2)*z)", "sigmoid(acosh(1 + z**2))"),
        *("sigmoid(where(z > 0, exp(log(z)), z))", "1/(1 + exp(-z))", "sigmoid(k*log(z)); k=2", *GATES),
    ],
)
def test_a_formula_that_is_read_as_written_is_not_warned_of(formula):
    assert gate(formula).lost_domain is None


def test_only_what_was_refused_for_its_time_on_the_processor_is_refused_for_good(monkeypatch):
    module = sys.modules["gateflow.gates.once"]
    monkeypatch.setattr(module, "DERIVING", 0.1)

    class Tried:
        name, tries, within_bounds = "tried", 0, Gate.within_bounds

        @module.derived_once
        def dear(self):
            self.tries += 1
            while True:
                pass

        @module.derived_once
        def large(self):
            self.tries += 1
            if self.tries == 1:
                raise MemoryError
            return "found"

    dear, large = Tried(), Tried()
    for _ in range(3):
        with pytest.raises(Exceeded, match=r"within 0\.1 s"):
            _ = dear.dear
    assert dear.tries == 1
    with pytest.raises(Exceeded, match="not enough memory"):
        _ = large.large
    assert large.large == large.large == "found"
    assert large.tries == 2


@pytest.mark.parametrize(("text", "phi"), [("1.0000001*sigmoid(z)", 1.0000001), ("(1+3e-9)*sigmoid(z)", 1 + 3e-9)])
def test_a_value_outside_is_said_with_the_digits_that_show_it(text, phi):
    with pytest.raises(InvalidArgument, match=r"leaves \(0, 1\), phi\(") as told:
        Gate(text).u(0.0)
    z, value = re.search(r"phi\((.*)\) = (.*)", str(told.value)).groups()
    assert float(value) > 1
    assert phi / (1 + math.exp(-float(z))) > 1


def test_a_fall_is_said_at_a_number_where_phi_falls():
    """``z - sin(50 z)`` falls where ``50 cos(50 z) > 1``."""
    with pytest.raises(InvalidArgument, match="phi falls at z = ") as told:
        Gate("sigmoid(z-sin(50*z)/10)").inverse(0.5)
    z = float(str(told.value).rpartition(" ")[2])
    assert 5 * math.cos(50 * z) > 1


@pytest.mark.parametrize("text", ["sigmoid(log(z))", "sigmoid(z + log(z))", "sigmoid(z + loggamma(z) + log(z))"])
def test_where_a_gate_has_no_value_it_is_not_said_to_fall(text):
    """Below 0 the logarithm has no value; that of abs(z), which is computed with, falls."""
    with pytest.raises(InvalidArgument, match="phi has no value at z = -") as told:
        Gate(text).inverse(0.5)
    assert np.isnan(Gate(text).phi(float(str(told.value).rpartition(" ")[2])))


OUTSIDE = {
    "sigmoid(z**(z**2+2)**0.5)": -1.0,
    "sigmoid(z**sqrt(2))": -0.5,
    "sigmoid((z-1)**pi)": 0.5,
    "sigmoid(acosh(z))": 0.5,
    "sigmoid(atanh(z))": 2.0,
    "sigmoid(z**2*log(z))": 0.0,
    "sigmoid(z*log(abs(z)))": 0.0,
    "1/2+atan(acosh(z))/pi": 0.0,
}


@pytest.mark.parametrize("text", OUTSIDE)
@pytest.mark.sampled(4)
def test_where_the_formula_has_no_value_nothing_that_is_derived_has_one(text):
    found = gate(text)
    for what in ("u", "phi", "phi_c", "log_phi", "log_phi_c", "du", "dphi", "log_dphi", "d2phi"):
        assert math.isnan(getattr(found, what)(OUTSIDE[text])), what
        assert math.isfinite(getattr(found, what)(1.5 if "atanh" not in text else 0.5)), what


@pytest.mark.parametrize(
    ("text", "z", "slope"),
    [
        ("sigmoid(z**sqrt(2))", 0.0, 0.0),
        ("sigmoid((z-1)**pi)", 1.0, 0.0),
        ("sigmoid(z*abs(z)**0.3)", 0.0, 0.0),
        ("sigmoid(z+z*abs(z)**0.3)", 0.0, 0.25),
        ("sigmoid(z+z**sqrt(2))", 0.0, 0.25),
        ("sigmoid(2*z+sign(z)*abs(z)**sqrt(2))", 0.0, 0.5),
        ("1/2+z*abs(z)**0.5/9", 0.0, 0.0),
    ],
)
def test_slopes_at_zeros_of_powers_are_those_of_the_power_rule(text, z, slope):
    """``g^a`` has the slope ``a g^(a - 1) g'``, which is 0 where g is 0 and a > 1; the rest adds its own."""
    assert Gate(text).dphi(z) == slope


S1 = 1 / (1 + math.exp(-1.0))
"""sigmoid(1)."""

LIMITS = [
    ("sigmoid(log(z))", "dphi", 0.0, 1.0),  # phi is z/(1 + z)
    ("sigmoid(log(z))", "d2phi", 0.0, -2.0),
    ("sigmoid(log(z))", "phi", -1e-300, math.nan),
    ("sigmoid(loggamma(z))", "dphi", 0.0, -1.0),  # 1/(1 + z/Gamma(1 + z))
    ("sigmoid(loggamma(z))", "phi", -0.5, math.nan),
    ("sqrt(z)/(1 + sqrt(z))", "dphi", 0.0, math.inf),
    ("sigmoid(sign(z)*sqrt(abs(z)))", "dphi", 0.0, math.inf),
    ("sigmoid(log(abs(z)))", "dphi", 0.0, math.nan),  # -1 and 1
    ("sigmoid(sin(z)/z)", "phi", 0.0, S1),
    ("sigmoid(sin(z)/z)", "dphi", 1e-300, -1e-300 / 3 * S1 * (1 - S1)),
    ("sigmoid(z + sin(z)/z)", "dphi", 0.0, S1 * (1 - S1)),
    ("sigmoid(z + sin(z)/z)", "dphi", -1e-300, S1 * (1 - S1)),
    ("sigmoid(z + (1 - cos(z))/z)", "dphi", 0.0, 3 / 8),  # z + z/2
    ("sigmoid((exp(z - 2) - 1)/(z - 2))", "phi", 2.0, S1),
    ("sigmoid(z*abs(z)**1e-20)", "dphi", 0.0, 0.0),
    ("z**(z**2 + 2)**0.5", "dphi", 0.0, 0.0),  # 0 < z^(sqrt(2) - 1) -> 0
]


@pytest.mark.parametrize(("text", "what", "z", "value"), LIMITS)
@pytest.mark.sampled(3)
def test_where_a_part_of_the_formula_is_infinite_or_0_over_0_there_are_limits_or_nothing(text, what, z, value):
    assert getattr(Gate(text), what)(z) == pytest.approx(value, rel=4e-16, nan_ok=True)


@pytest.mark.parametrize(("p", "q"), [(1, 16), (5, 2), (1, 3)])
def test_powers_of_the_sigmoid_keep_the_digits_of_the_rest(p, q):
    """In plain floats, as layers compute: 1 - (1 + exp(-z))**-p is about p exp(-z)."""
    found = Gate(f"sigmoid(z)**({p}/{q})").float64.phi_c(np.array([-3.0, 3.0, 40.0, 300.0]))
    with mpmath.workdps(200):
        exact = [1 - (1 + mpmath.exp(-z)) ** (-mpmath.mpf(p) / q) for z in (-3, 3, 40, 300)]
    assert found == pytest.approx([float(x) for x in exact], rel=1e-13)


def test_the_second_derivative_is_infinite_where_its_limit_is():
    """Of z + |z|^(3/2) it goes to infinity at 0 like 3/(16 sqrt|z|); of z sqrt|z| to both infinities."""
    rough = Gate("sigmoid(z + abs(z)**(3/2))")
    assert rough.d2phi(0.0) == math.inf
    assert rough.d2phi(1e-12) == pytest.approx(3 / 16 * 1e6, rel=1e-9)
    assert math.isnan(Gate("sigmoid(z*sqrt(abs(z)))").d2phi(0.0))
    assert Gate("sigmoid(z**3 + z)").d2phi(0.0) == 0
