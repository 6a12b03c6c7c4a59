"""Values at break points, constants that are zero, and bounds with their domains: known by construction."""

from __future__ import annotations

import re
from contextlib import suppress

import mpmath
import pytest
import sympy as sp

from gateflow.arithmetic.enclosed import enclosed, sign_of
from gateflow.arithmetic.intervals import Intervals
from gateflow.asymptotics.limits import constants
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.membership import _Case
from gateflow.asymptotics.membership import membership as decided
from gateflow.asymptotics.signs import pieces
from gateflow.asymptotics.signs.pieces import break_points, real_zeros, value_at
from gateflow.asymptotics.signs.tails import Clock, HalfLine, LimitCache, X
from gateflow.errors import GateflowError
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z, logit, sigmoid, softplus
from gateflow.gates.gate import Gate


def membership(gate: Gate):
    """With time enough on a busy machine: the limit that users have is one of the wall clock."""
    return decided(gate, 120.0)


def clause_of(text: str, name: str):
    """What is found of one clause, without the time that the others take."""
    return _Case(Gate(text), 120.0)._clause(name)


TORN = [
    "where(z == 1, 0, sigmoid(z))",
    "where(z != 1, sigmoid(z), 0)",
    "sign(z)**2*sigmoid(z)",
    "sigmoid(z)*abs(sign(z))",
    "sigmoid(z + 1 - sign(z)**2)",
    "where(z < 0, sigmoid(z), where(z > 0, sigmoid(z), 1/3))",
    "where(z == 0, 7, sigmoid(z))",
    "where(z == sqrt(2), 1/2, sigmoid(z))",
    "where(z**3 == 2, 1/2, sigmoid(z))",
    "where(z**5 - z - 1 == 0, 1/2, sigmoid(z))",
    "where(cosh(z) == 2, 1/2, sigmoid(z))",
    "where(erf(z) == 1/2, 1/2, sigmoid(z))",
    "where(exp(z) == 2, 0, sigmoid(z))",
    "where(abs(z - 1) == 0, 0, sigmoid(z))",
    "where(abs(z) == 1, sigmoid(z) + 1e-30, sigmoid(z))",
    "sigmoid(z + 10**-30*(1 - abs(sign(z - 3))))",
    "sigmoid(where(z == 1, 1 + 10**-30, z))",
    "where(1/(z - 1) > 0, sigmoid(z), sigmoid(z)/2)",
]
"""phi(z) is not its own limit at some z, so phi is not continuous."""


@pytest.mark.parametrize("text", TORN)
def test_the_value_at_a_break_is_part_of_the_function(text):
    clause = clause_of(text, "differentiable")
    assert clause.verdict == "refuted", str(clause)
    assert "jump" in clause.reason


WHOLE = [
    "where(z == 0, 1/2 - z, sigmoid(z))",
    "where(z == 1, sigmoid(1), sigmoid(z))",
    "where(z == 1, sigmoid(2*z - 1), sigmoid(z))",
    "where(z < 1, sigmoid(z), where(z == 1, 1 - sigmoid(-1), sigmoid(z)))",
    "where(z < sqrt(5 + 2*sqrt(6)), sigmoid(z), where(z < sqrt(2) + sqrt(3), 0, sigmoid(z)))",
    "sigmoid(where(z == 0, 1, sinh(z)/z)/4 + 2*z + sinh(z))",
    "where(z < 0, where(z < 0, sigmoid(z), 5), where(z >= 0, sigmoid(z), 7))",
    "sigmoid(z*abs(z) + z)",
    "sigmoid(2*z + abs(z)*tanh(z))",
    "sigmoid(z + (sqrt(1 + sinh(z)**2) - cosh(z))*exp(z**4))",
    "sigmoid(z + (erf(z) + erfc(z) - 1)*exp(z**2))",
]
"""Written in pieces or with a zero in it, and a gate in class F all the same."""


@pytest.mark.parametrize("text", WHOLE)
@pytest.mark.sampled(5)
def test_pieces_that_fit_are_no_obstacle(text):
    result = membership(Gate(text))
    assert result.verdict == "in F", str(result)


MADE_OF_A_GATE = [
    "sin(pi/2*sigmoid(z))",
    "1 - cos(pi/2*sigmoid(z))",
    "sigmoid(logit(1/2 + atan(z)/pi))",
    "sigmoid(log(sinh(z) + sqrt(1 + sinh(z)**2)))",
]
"""An increasing function of a gate, from (0, 1) onto (0, 1); the last two undo what they do."""


@pytest.mark.parametrize("text", MADE_OF_A_GATE)
@pytest.mark.sampled(2)
def test_increasing_functions_of_a_gate_are_gates(text):
    result = membership(Gate(text))
    assert result.verdict == "in F", str(result)


@pytest.mark.parametrize("text", ["sin(z)", "tan(z)", "tanh(z)", "atan(z)", "erf(z)"])
def test_odd_functions_of_what_vanishes_hold_their_values(text):
    """``f(exp(-x))`` on x >= 1, against mpmath."""
    expr = parse(text).subs(Z, sp.exp(-X))
    factor, log_size = HalfLine(sp.S.One, Intervals(), LimitCache(Clock(20))).bound(expr)
    low, high = factor.ends
    assert log_size == -X
    assert low > 0
    for x in (1, 2, 10, 300):
        ratio = sp.lambdify(X, expr, "mpmath")(mpmath.mpf(x)) * mpmath.exp(x)
        assert low * (1 - 1e-14) <= ratio <= high * (1 + 1e-14)


def test_a_profile_that_falls_close_to_the_end_of_an_interval_has_a_witness():
    """``u' = (z^2 - 10^-22) ((z - 1)^2 + 1)`` is negative within 10^-11 of 0."""
    d = "1/10**22"
    u = f"z**5/5 - z**4/2 + (2 - {d})*z**3/3 + {d}*z**2 - 2*{d}*z"
    found = clause_of(f"sigmoid({u})", "increasing")
    assert found.verdict == "refuted", str(found)
    assert 0 < abs(found.witness["z"]) < 1e-11


KINKED = [
    "sigmoid(z + sqrt(z**2 - 2*z + 1)/2)",
    "sigmoid(z + acosh(1 + (z - 1)**2)/9)",
    "sigmoid(z + abs(erf(z) - 1/2)/9)",
    "sigmoid(z + abs(sinh(z) - 1)/9)",
    "sigmoid(z + abs(abs(z) - 1)/9)",
]


@pytest.mark.parametrize("text", KINKED)
@pytest.mark.sampled(2)
def test_kinks_are_found_wherever_they_hide(text):
    clause = clause_of(text, "differentiable")
    assert clause.verdict == "refuted", str(clause)
    assert "kink" in clause.reason


def test_a_kink_does_not_hide_a_jump_from_the_other_clauses():
    assert clause_of("sigmoid(where(z < 1, z, where(z < 2, 2*z - 1, 2*z)))", "onto").verdict == "refuted"


def test_edges_that_have_poles_are_cut_there():
    with suppress(GateflowError):
        assert clause_of("where(tan(z) > 0, sigmoid(z), sigmoid(z)/2)", "increasing").verdict != "proved"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("(1 - 10**-20)*sigmoid(z)", "phi(oo) = 1e-20 below 1"),
        ("sigmoid(z) + 10**-25*sigmoid(-z)", "phi(-oo) = 1e-25"),
        ("sigmoid(z + sign(z)*10**-30)", "by 5e-31, from 0.5"),
        ("where(z == 0, 1/2 + 10**-40, sigmoid(z))", "1e-40 above 1/2"),
    ],
)
def test_reasons_say_a_difference_that_rounding_would_hide(text, words):
    assert words in str(membership(Gate(text)))


def test_witnesses_keep_what_floats_lose():
    """The slope is about -exp(-8000) where the profile falls; and the other falls only within 1e-20 of 1."""
    steep = clause_of("sigmoid(1000*(z - 3*exp(-(z - 10)**2)))", "increasing").reason
    assert re.search(r"phi'\([\d.]+\) = -\d\.\d+e-\d{4}$", steep), steep
    narrow = clause_of("sigmoid(z**3 - 3*z**2 + (3 - 10**-40)*z)", "increasing").reason
    assert narrow.startswith("phi' < 0 for z = 1: phi'(1) = -1.96612e-41")  # 10^-40 sigmoid(1) sigmoid(-1)


def test_a_jump_far_out_is_seen_in_the_profile():
    """phi(100) and its limit are both within exp(-10^6) of 1."""
    result = membership(Gate("sigmoid(z + z**3 + where(z == 100, 10**-11, 0))"))
    assert result.verdict == "not in F"
    assert "less than 1e-2000 above 1" in result.clause("increasing").reason


def test_isolated_zeros_of_the_slope_are_named_only_where_there_can_be_any():
    assert clause_of("sigmoid(z)", "increasing").reason == "phi' > 0"
    assert "except possibly at isolated points" in clause_of("sigmoid(z**3)", "increasing").reason


@pytest.mark.parametrize(("d", "at"), [("10**-40", "1"), ("10**-28", "1/3")])
@pytest.mark.sampled(2)
def test_a_discriminant_decides_however_near_it_is_to_zero(d, at):
    """The slope of the profile ``(z - c)^3 + d z`` is ``3 (z - c)^2 + d``."""
    falls = clause_of(f"sigmoid((z - ({at}))**3 - {d}*z)", "increasing")
    assert falls.verdict == "refuted", str(falls)
    assert falls.witness["slope"][1] < 0
    assert f"phi'({at})" in falls.reason or abs(falls.witness["z"] - float(sp.Rational(at))) < 0.1
    assert membership(Gate(f"sigmoid((z - ({at}))**3 + {d}*z)")).verdict == "in F"
    assert membership(Gate(f"sigmoid((z - ({at}))**3)")).verdict == "in F"


WAVES = [
    ("z - {}*sin(z)", "1e-200"),
    ("z - {}*sin(z)", "1e-30"),
    ("z**3/3 + z - {}*sin(z**3/3 + z)", "1e-30"),
    ("z - {}*(sin(z)/2 + sin(2*z)/4)", "1e-30"),
    ("z - {}*(z/2 + sin(2*z)/4)", "1e-30"),
    ("sinh(z) - {}*(cosh(z)*sin(z) + sinh(z)*cos(z))/2", "1e-30"),
]
"""Profiles whose slope is a positive factor of ``1 - q w(z)``, where the largest w is 1, at z = 0; and 1 - q."""


@pytest.mark.parametrize(("text", "eps"), WAVES)
@pytest.mark.sampled(3)
def test_a_number_that_outweighs_waves_by_a_hair_decides(text, eps):
    """The least of ``1 - q w`` is 1 - q, where q is the factor in front."""
    assert clause_of(f"sigmoid({text.format(f'(1 - {eps})')})", "increasing").verdict == "proved"
    falls = clause_of(f"sigmoid({text.format(f'(1 + {eps})')})", "increasing")
    assert falls.verdict != "proved", str(falls)
    if eps == "1e-30":
        assert falls.verdict == "refuted", str(falls)
        assert falls.witness["slope"][1] < 0


ZERO = "(softplus(z) - z - softplus(-z))"


@pytest.mark.parametrize("rest", [f"2 - cos({ZERO}) - cos(2*{ZERO})", f"1 - cos({ZERO})", f"{ZERO}**2"])
def test_what_may_be_flat_throughout_is_not_proved_to_rise(rest):
    """``softplus(z) - z = softplus(-z)``: phi is 1/2 for all z >= 0."""
    assert clause_of(f"sigmoid(where(z < 0, -z**2, z*({rest})))", "increasing").verdict != "proved"


def test_outweighed_sums_are_no_more_than_they_are():
    x, q = pieces.X, sp.Rational(10**40 - 1, 10**40)
    assert pieces.outweighed(1 - q * sp.cos(x) ** 2) == (1, True)
    assert pieces.outweighed(q * sp.cos(x) ** 2 * sp.tanh(x) - 1) == (-1, True)
    assert pieces.outweighed(sp.cos(x) ** 2 * 3 + sp.Rational(1, 10**40)) == (1, True)
    assert pieces.outweighed(1 - sp.cos(x)) == (1, False)
    for open_one in (1 - sp.cos(x) / q, q - sp.cos(x) ** 2, 1 - x * sp.cos(x), sp.sqrt(2) - sp.cos(x), 1 - sp.cosh(x)):
        assert pieces.outweighed(open_one) is None


def slow(value):
    return pytest.param(value, marks=pytest.mark.slow)


@pytest.mark.parametrize("w", ["1/1000", slow("1"), slow("100")])
@pytest.mark.parametrize("c", ["3", "10**6", slow("0"), slow("1000")])
@pytest.mark.sampled(2)
def test_narrow_dips_are_found_and_shallow_ones_are_not(c, w):
    """``z - A exp(-((z - c)/w)^2)`` falls exactly where ``A sqrt(2/e) > w``, and sqrt(e/2) is 1.1658."""
    for height, verdict in ((12, "refuted"), (11, "proved")):
        clause = clause_of(f"sigmoid(z - {height}/10*({w})*exp(-((z - {c})/({w}))**2))", "increasing")
        assert clause.verdict == verdict, str(clause)


@pytest.mark.parametrize(
    "text", ["sigmoid(z + abs(z**5 - z - 1)/9)", "sigmoid(z + where(z**5 - z - 1 < 0, 0, z**5 - z - 1))"]
)
def test_joins_at_roots_that_have_no_formula_are_settled_exactly(text):
    """Both meet in one value, with two slopes."""
    clause = clause_of(text, "differentiable")
    assert clause.verdict == "refuted"
    assert "kink" in clause.reason


@pytest.mark.parametrize(
    ("text", "member"),
    [
        ("sigmoid(z + loggamma(z**2 + 3)/100)", False),
        ("sigmoid(10*z + loggamma(z**2 + 3)/100)", False),
        ("sigmoid(z**3 + z + loggamma(z**2 + 3)/100)", True),
    ],
)
@pytest.mark.sampled(3)
def test_clause_four_knows_the_polygammas(text, member):
    """``2 z digamma(z^2 + 3)/100`` is about ``z log(z^2)/50``, which outgrows any constant, but not ``3 z^2 + 1``."""
    assert clause_of(text, "monotone_slope").verdict == "proved"
    assert clause_of(text, "increasing").verdict == ("proved" if member else "refuted")


# --- exact constants --------------------------------------------------------------------------------------------------

r = sp.Rational
ZEROS = [
    sigmoid(sp.S(1)) + sigmoid(sp.S(-1)) - 1,
    4 * sp.atan(r(1, 5)) - sp.atan(r(1, 239)) - sp.pi / 4,
    sp.log(2 + sp.sqrt(3)) / sp.acosh(2) - 1,
    sp.sin(1) ** 2 + sp.cos(1) ** 2 - 1,
    sp.erf(1) + sp.erfc(1) - 1,
    softplus(sp.S(2)) - softplus(-sp.S(2)) - 2,
    sp.log(2) + sp.log(3) - sp.log(6),
    sp.log(2 + sp.sqrt(3)) + sp.log(2 - sp.sqrt(3)),
    sp.sqrt(2) + sp.sqrt(3) - sp.sqrt(5 + 2 * sp.sqrt(6)),
    sp.tanh(1) - 1 + 2 / (sp.exp(2) + 1),
    logit(r(3, 4)) - sp.log(3),
    sp.sqrt(1 + sp.sinh(1) ** 2) - sp.cosh(1),
    2 * sp.atan(r(1, 2)) - sp.atan(r(4, 3)),
    sp.atanh(r(1, 2)) - sp.log(3) / 2,
    sp.cos(2) - 2 * sp.cos(1) ** 2 + 1,
    12 * sp.atan(r(1, 18)) + 8 * sp.atan(r(1, 57)) - 5 * sp.atan(r(1, 239)) - sp.pi / 4,  # Gauss
]


@pytest.mark.parametrize("zero", ZEROS, ids=str)
@pytest.mark.sampled(2)
def test_identities_of_constants_are_proved_and_their_neighbours_are_not_zero(zero):
    assert constants.sign(zero) == 0
    assert constants.sign(zero + r(1, 10**60)) == 1
    assert constants.sign(zero - r(1, 10**60)) == -1


def test_what_is_zero_to_many_digits_is_not_called_zero():
    reflection = sp.loggamma(r(1, 3)) + sp.loggamma(r(2, 3)) - sp.log(2 * sp.pi / sp.sqrt(3))  # it is 0 (DLMF 5.5.3)
    with pytest.raises(Undecided):
        constants.sign(reflection + sp.exp(-sp.exp(9)))


@pytest.mark.parametrize(
    "text",
    [
        "erf(1/3)",
        "erfc(5)",
        "loggamma(7/2)",
        "acosh(3/2)",
        "sigmoid(-7)",
        "log(2)**(1/3)",
        "tan(1)",
        "softplus(-3)",
        "atanh(1/3)",
        "2**(-1/2)",
        "abs(-pi)",
        "erf(1)**-3",
    ],
)
def test_balls_hold_the_constant(text):
    c = parse(text, variables=())
    plain = c.replace(sigmoid, sigmoid.written_out).replace(softplus, softplus.written_out)
    with mpmath.workdps(80):
        value = sp.lambdify((), plain, "mpmath")()
        ball = enclosed(c, 100)
        middle, radius = (
            mpmath.mpf(e.p) / e.q for e in map(sp.Rational, (str(ball.mid().fmpq()), str(ball.rad().fmpq())))
        )
        assert abs(value - middle) <= radius < 1e-25
    assert sign_of(c) == mpmath.sign(value)


def test_a_ball_that_is_too_wide_says_nothing():
    assert sign_of(sp.exp(sp.S(10) ** -30) - 1 - sp.S(10) ** -30, (60,)) == 0


# --- break points -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "roots"),
    [
        ("abs(z**2 - 2)", [-(2**0.5), 2**0.5]),
        ("sign(cosh(z) - 2)", [-mpmath.acosh(2), mpmath.acosh(2)]),
        ("abs(exp(2*z) - 3*exp(z) + 2)", [0, mpmath.log(2)]),
        ("sign(1/(z - 3))", [3]),
        ("abs(erf(z) - 1/2)", [mpmath.erfinv(0.5)]),
        ("abs(abs(z - 1) - 2)", [-1, 1, 3]),
        ("where(log(z**2) > 0, z, 2*z)", [-1, 0, 1]),
        ("abs(sqrt(1 + z**2) - 2)", [-(3**0.5), 3**0.5]),
        ("abs(cos(z) - 2) + sign(3 + 2*sin(z**2))", []),
        ("abs(z**5 - z - 1)", [mpmath.findroot(lambda x: x**5 - x - 1, 1.1)]),
        ("where(z < sinh(z), 1, 2) + sign(tanh(z) - z) + abs(atan(z) - z) + sign(z - sin(z))", [0]),
        ("abs(exp(z) - 1 - z) + sign(exp(z) - z) + sign(z*exp(-z) - 1)", [0]),
        ("sign(z*exp(-z) - 1/e) + abs(2*cos(z) - 2 + z**2) + sign(log(1 + exp(z)) - z)", [0, 1]),
        ("sign(log(1 + z**2) - z) + abs((z - 3)*(cosh(z) - 1 - z**2/2))", [0, 3]),
    ],
)
def test_break_points_are_all_found(text, roots):
    found = break_points(parse(text))
    assert [float(b) for b in found] == pytest.approx([float(b) for b in roots], abs=1e-12)


@pytest.mark.parametrize(
    "text", ["sin(z)", "tan(z)", "z - cos(z)", "sin(1/z) - z", "exp(z) - 3*z", "exp(z) + z", "z - sin(z)*sinh(z)"]
)
def test_zeros_that_are_not_all_found_are_undecided(text):
    with pytest.raises(Undecided):
        real_zeros(parse(text))


def test_values_at_a_point_are_those_of_the_branch_that_holds_there():
    assert value_at(parse("where(z == 1, 5, 1/(z - 1))"), sp.S.One) == 5
    assert value_at(parse("1/(1 + 1/z)"), sp.S.Zero) is None
    assert value_at(parse("sqrt(z)"), sp.S.Zero) == 0
    assert value_at(parse("sign(z)**2 + abs(sign(z - 1))"), sp.S.One) == 1
    assert value_at(Z * sp.log(sp.Abs(Z)), sp.S.Zero) is None


# --- bounds with their domains ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("small", ["1/100000", "1", "1000"])
@pytest.mark.parametrize("name", ["loggamma", "polygamma0", "polygamma1", "polygamma2", "polygamma3", "polygamma5"])
def test_bounds_of_the_gamma_functions_hold_from_the_smallest_argument_on(name, small):
    u = sp.Rational(small) * X
    expr = sp.loggamma(u) if name == "loggamma" else sp.polygamma(int(name[-1]), u)
    function = mpmath.loggamma if name == "loggamma" else lambda x: mpmath.psi(int(name[-1]), x)
    for start in (sp.Integer(2), sp.Integer(4)):
        half = HalfLine(start, Intervals(), LimitCache(Clock(20)))
        factor, log_size = half.bound(expr)
        with mpmath.workdps(40):
            for step in (0, mpmath.mpf(10) ** -9, 1, 1000, mpmath.mpf(10) ** 9):
                x = mpmath.mpf(start.p) / start.q + step
                size = mpmath.exp(sp.lambdify(X, log_size, "mpmath")(x))
                ratio = function(mpmath.mpf(u.coeff(X).p) / u.coeff(X).q * x) / size
                low, high = factor.ends
                assert low - abs(low) * 1e-15 <= ratio <= high + abs(high) * 1e-15


@pytest.mark.parametrize("k", [10, 145])
def test_a_gate_with_a_small_argument_of_loggamma_is_not_called_increasing(k):
    clause = clause_of(f"sigmoid(z + {k}*loggamma(sqrt(1 + z**2)/10**5))", "increasing")
    assert clause.verdict == "refuted", str(clause)
    at = mpmath.mpf(clause.witness["z"])
    assert mpmath.diff(lambda z: z + k * mpmath.loggamma(mpmath.sqrt(1 + z * z) / 10**5), at) < 0


def test_a_sum_of_squares_in_a_gate_is_the_constant_it_is():
    assert membership(Gate("erf(z)/2 + (sin(1)**2 + cos(1)**2)/2")).verdict == "in F"


LOWS = ["0", "1/3", "sqrt(2)", "-sqrt(3)", "10**12", "10**30 + sqrt(2)", "-10**100 - pi", "log(7)"]


@pytest.mark.parametrize("low", LOWS)
@pytest.mark.parametrize("exponent", [0, 5, 28, 31, 100, 300])
def test_a_number_between_two_breaks_is_between_them(low, exponent):
    """By mpmath with 700 digits; widths far below the digits of the breaks, and irrational ones."""
    low = parse(low)
    high = low + sp.sqrt(5) / sp.Integer(10) ** exponent
    between = pieces._between(low, high)
    with mpmath.workdps(700):
        first, last = (mpmath.mpf(sp.N(end, 700)) for end in (low, high))
        assert between.is_Rational
        assert first < mpmath.mpf(between.p) / between.q < last


def test_breaks_that_nearly_cancel_are_told_apart():
    """sqrt(2) and the decimal just above it, of 150 digits: their difference has no digit in 100."""
    with mpmath.workdps(400):
        above = int(mpmath.floor(mpmath.sqrt(2) * mpmath.mpf(10) ** 150)) + 1
        between = pieces._between(sp.sqrt(2), sp.Rational(above, 10**150))
        assert mpmath.sqrt(2) < mpmath.mpf(between.p) / between.q < mpmath.mpf(above) / mpmath.mpf(10) ** 150


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("sigmoid(z - 12/10*1e-30*exp(-1e60*(z - 1/3)**2))", "refuted"),
        ("sigmoid(z - 11/10*1e-30*exp(-1e60*(z - 1/3)**2))", "proved"),
        ("sigmoid(z - tanh(1e40*(z - pi))*(1e-40 + 1e-75))", "refuted"),
        ("sigmoid(z - tanh(1e40*(z - pi))*(1e-40 - 1e-75))", "proved"),
    ],
)
@pytest.mark.sampled(2)
def test_dips_narrower_than_floats_are_decided(text, verdict):
    """``z - A exp(-((z - c)/w)^2)`` falls where ``A sqrt(2/e) > w``; ``z - A tanh((z - c)/w)`` where ``A > w``."""
    clause = clause_of(text, "increasing")
    assert clause.verdict == verdict, str(clause)


EDGES = {
    "z + exp(z) - 3": lambda z: z + mpmath.exp(z) - 3,
    "sinh(z) + z - 3": lambda z: mpmath.sinh(z) + z - 3,
    "z + cos(z)/2 - 1": lambda z: z + mpmath.cos(z) / 2 - 1,
}

UNSOLVED = {
    "sigmoid(where(z + exp(z) < 3, z, 2*z))": ("jump", "z + exp(z) - 3"),
    "sigmoid(where(z + cos(z)/2 < 1, z, z + 1e-9))": ("jump", "z + cos(z)/2 - 1"),
    "where(z + exp(z) < 3, 1/2 + atan(z)/pi, sigmoid(z))": ("jump", "z + exp(z) - 3"),
    "sigmoid(z + abs(sinh(z) + z - 3)/9)": ("kink", "sinh(z) + z - 3"),
    "sigmoid(where(sinh(z) + z < 3, z, 2*z + sinh(z) - 3))": ("kink", "sinh(z) + z - 3"),
}


@pytest.mark.parametrize("text", UNSOLVED)
@pytest.mark.sampled(2)
def test_a_jump_or_a_kink_at_a_point_without_a_closed_form_is_found(text):
    kind, edge = UNSOLVED[text]
    clause = clause_of(text, "differentiable")
    assert clause.verdict == "refuted"
    assert clause.witness["kind"] == kind
    low, high = (float(sp.Rational(end)) for end in clause.witness["between"])
    assert low < mpmath.findroot(EDGES[edge], 1) < high < low + 1e-5


def test_a_jump_smaller_than_floats_is_told_as_that():
    """phi goes from 1 - exp(-69) to 1 - exp(-138), where z + exp(z) is 1e30 + 3."""
    clause = clause_of("sigmoid(where(z + exp(z) < 3 + 1e30, z, 2*z))", "differentiable")
    assert clause.reason == "jump near z = 69.0776: by less than floats tell, from 1"


@pytest.mark.parametrize(
    "text",
    [
        "sigmoid(where(z + exp(z) < 3, z, z))",
        "sigmoid(where(z + exp(z) < 3, z, z + (z + exp(z) - 3)**2))",
        "sigmoid(z + abs(sinh(z) + z - 3)**3/99)",
        "sigmoid(where(z + exp(z) == 3, 5, z))",
        "sigmoid(where((z + exp(z) - 3)**2 < 0, 5, z))",
    ],
)
@pytest.mark.sampled(2)
def test_what_is_not_seen_to_be_torn_is_not_refuted(text):
    """All but the fourth are differentiable; its one point no enclosure sees."""
    assert decided(Gate(text), 5).clause("differentiable").verdict != "refuted"
