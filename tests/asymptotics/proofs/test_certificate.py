"""Certificates: what was decided is written so that other code can check it, and any alteration shows."""

import ast
import copy
import json
import time
from functools import partial
from pathlib import Path

import mpmath
import pytest
import sympy as sp

from benchmarks.forgeries import Obliging
from gateflow.asymptotics.certificates import (
    certificate,
    gate_text,
    membership_certificate,
    ranking_certificate,
    rate_certificate,
    refutation_certificate,
    seal,
    write,
)
from gateflow.asymptotics.limits.constants import Undecided
from gateflow.asymptotics.proofs import checker, enclosures, halflines, mrv, numbers, outline, statements, witnesses
from gateflow.asymptotics.proofs.checker import verify
from gateflow.asymptotics.proofs.statements import digest_of
from gateflow.errors import InvalidArgument
from gateflow.formula import parse
from gateflow.formula.vocabulary import Z as z
from gateflow.formula.vocabulary import derivative, sigmoid, softplus
from gateflow.gates.gate import GATES, Gate, gate

IN_F = [name for name in GATES if name != "hard-sigmoid"]
PAIRS = [
    ("fast", "sigmoid"),  # higher, decided at the first level
    ("softsign", "arctan"),  # equal, power tails
    ("log-slow", "softsign"),  # lower, power tails
    ("scaled-tanh", "sigmoid"),  # equal, threshold 2
    ("exp-square", "iterated-sinh"),  # logarithms are taken
    ("sigmoid(z**3 + 2*z)", "cubic"),
]
RATES = [("fast", "right"), ("softsign", "left"), ("erf", "right")]


MAKERS = {f"{a} against {b}": partial(certificate, a, b) for a, b in PAIRS}
MAKERS |= {f"rate of {name}, {tail}": partial(rate_certificate, name, tail) for name, tail in RATES}


class Written(dict):
    """Certificates of each kind, each made when it is first asked for."""

    def __missing__(self, case):
        return self.setdefault(case, MAKERS[case]())


@pytest.fixture(scope="module")
def written():
    return Written()


NOT_IN_F = {
    "sigmoid(z**3 - z)": "increasing",
    "sigmoid(z + 1.01*sin(z))": "increasing",
    "sigmoid(z + 0.9*sin(z))": "monotone_slope",
    "0.05 + 0.9*sigmoid(z)": "onto",
    "hard-sigmoid": "increasing",
    "tanh(z)": "onto",
    "sigmoid(z**2)": "increasing",
}


@pytest.mark.parametrize("text", NOT_IN_F)
@pytest.mark.sampled(5)
def test_what_is_not_in_class_f_has_a_witness_that_is_checked_again(text):
    certificate = membership_certificate(gate(text))
    assert certificate["statement"]["clause"] == NOT_IN_F[text]
    assert verify(certificate).ok
    for path in leaves(certificate):
        for value in alterations(holder(certificate, path)[path[-1]]):
            changed = altered(certificate, path, value)
            assert changed["digest"] != digest_of(changed)
            if not informational(path) and path[-1] not in ("from", "to"):  # another flat point is a witness as good
                assert verify(resealed(changed)).status == "refuted", (path, value)


@pytest.mark.parametrize("text", ["fast", "sigmoid(z**3)", "sigmoid(z + 0.5*sin(z))"])
def test_a_gate_in_class_f_is_not_certified_to_be_outside(text):
    with pytest.raises(Undecided):
        refutation_certificate(gate(text))


@pytest.mark.parametrize("name", IN_F)
@pytest.mark.sampled(11)
def test_every_gate_of_class_f_is_certified_to_be_in_it_with_nothing_left_to_numbers(name):
    certificate = membership_certificate(gate(name))
    found = verify(certificate)
    assert found.ok, found
    assert certificate["statement"]["z0"] is not None
    assert [check.how for check in found.checks[-4:]] == ["proved"] * 4
    assert found.checks[-1].detail == "by boxes to infinity"


@pytest.mark.parametrize("name", ["fast", "log-slow", "cubic", "0.3 + 0.7*sigmoid(z)", "exp(-5*sigmoid(-z))"])
@pytest.mark.sampled(5)
def test_any_altered_field_of_a_membership_is_refuted_under_a_new_digest(name):
    certificate = membership_certificate(gate(name))
    for path in leaves(certificate):
        for value in alterations(holder(certificate, path)[path[-1]]):
            changed = altered(certificate, path, value)
            assert changed["digest"] != digest_of(changed)
            if not informational(path):
                assert verify(resealed(changed)).status == "refuted", (path, value)


def claimed_member(text, z0=None):
    """A certificate of membership in which all hangs together, the limits those of any gate in F."""
    phi = statements.formula(text)
    z0 = None if z0 is None else sp.Rational(z0)
    slope = None if z0 is None else str(witnesses.slope_at(phi, z0).evalf(20))
    value = str(phi.subs(z, statements.MARK).evalf(20))
    statement = {"kind": "membership", "gate": text, "verdict": "in F", "value": value}
    statement |= {"z0": None if z0 is None else str(z0), "slope": slope}
    obliging = Obliging({"left end": "0", "right end": "1", "bend": "-oo"}.__getitem__)
    witnesses.prove_membership(statement, obliging)
    return seal(statement, {}, obliging.chain, {})


NO_MEMBERS = [
    *(text for text in NOT_IN_F if text != "hard-sigmoid"),
    "sigmoid(-z)",
    "sigmoid(z - 1/z)",
    "sigmoid(z + (z - 2)/(z - 3)/1000)",  # has a pole
    "sigmoid(where(z < 0, z, 1 + z))",  # jumps
    "sigmoid(where(z < 0, z, 2*z))",  # has a kink
    "sigmoid(z**3 - z**2/10)",
]


@pytest.mark.parametrize("text", NO_MEMBERS)
@pytest.mark.sampled(3)
def test_a_forged_membership_is_never_verified(text):
    assert verify(claimed_member(text)).status != "verified"


@pytest.mark.parametrize(
    "floor", ["1/4", "0", "-3/10", "1", "2", "3/10 + l", "6/20 + 1e-40", "oo", "3/10, 1) or (0", "3/10 +", ""]
)
@pytest.mark.sampled(7)
def test_a_forged_floor_is_never_verified(floor):
    true = membership_certificate(gate("0.3 + 0.7*sigmoid(z)"))
    assert true["statement"]["verdict"] == "in F on (3/10, 1)"
    assert verify(true).ok
    forged = altered(true, ("statement", "verdict"), f"in F on ({floor}, 1)")
    step = next(step for step in forged["chain"] if step["name"] == "left end")
    for limit in ("3/10", floor):  # the chain as it was, and forged with the verdict
        step["limit"], step["statement"] = limit, f"lim phi at the left end = {floor}"
        assert verify(resealed(forged)).status == "refuted", limit


def test_a_gate_of_the_class_has_no_certificate_of_a_floor_nor_one_with_a_floor_of_the_class():
    for text, verdict in (("sigmoid(z)", "in F on (3/10, 1)"), ("0.3 + 0.7*sigmoid(z)", "in F")):
        forged = altered(membership_certificate(gate(text)), ("statement", "verdict"), verdict)
        assert verify(resealed(forged)).status == "refuted"


def test_limits_of_a_gate_with_a_floor_do_not_refute_it():
    true = membership_certificate(gate("0.05 + 0.9*sigmoid(z)"))
    text = "0.3 + 0.7*sigmoid(z)"
    forged = copy.deepcopy(true)
    value = str(statements.formula(text).subs(z, statements.MARK).evalf(20))
    forged["statement"] |= {"gate": text, "value": value}
    forged["statement"]["witness"] |= {"left": "3/10", "right": "1"}
    for step, (_, way), limit in zip(forged["chain"], statements.ENDS, ("3/10", "1"), strict=True):
        step |= {"expr": statements.text_of(statements.formula(text).xreplace({z: way})), "limit": limit}
    found = verify(resealed(forged))
    assert found.status == "refuted"
    assert "floor" in found.reason


@pytest.mark.parametrize(
    ("text", "z0"), [("sigmoid(z**3)", "1"), ("sigmoid(sinh(z))", "0.9"), ("sigmoid(z)**2", "1/2")]
)
@pytest.mark.sampled(3)
def test_a_z0_that_is_too_small_is_not_verified(text, z0):
    """phi'' changes sign at 1.07, 0.95 and log 2 = 0.69."""
    assert verify(claimed_member(text)).ok
    assert not verify(claimed_member(text, z0)).ok


@pytest.mark.parametrize("text", ["sigmoid(z + 0.5*sin(z))", "sigmoid(k*z); k=positive"])
def test_a_membership_beyond_the_checker_is_not_certified(text):
    with pytest.raises(Undecided):
        membership_certificate(gate(text))


def test_a_ranking_is_certified_by_its_orders_and_alterations_are_refuted():
    certificate = ranking_certificate([gate(name) for name in ("fast", "softsign", "sigmoid", "scaled-tanh")])
    assert verify(certificate).ok
    assert [len(members) for members in certificate["statement"]["classes"]] == [1, 2, 1]
    for path in leaves({"statement": certificate["statement"]}):
        for value in alterations(holder(certificate, path)[path[-1]]):
            assert verify(resealed(altered(certificate, path, value))).status == "refuted", (path, value)
    for path in list(leaves({"chain": certificate["chain"][:1]})):
        assert verify(resealed(altered(certificate, path, "7/3"))).status == "refuted", path
    for chain in (certificate["chain"][1:], certificate["chain"][::-1], []):
        assert verify(resealed({**certificate, "chain": chain})).status == "refuted"


def test_a_ranking_that_is_no_chain_is_not_certified():
    with pytest.raises(Undecided, match="no chain"):
        ranking_certificate([gate("sigmoid(z + 0.9*z*sin(z))"), gate("sigmoid")])


BOXES = [(sp.Integer(0), sp.Rational(1, 8)), (sp.Rational(1, 2), sp.Rational(3, 2)), (sp.Integer(2), sp.Integer(40))]


@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize(
    "text",
    [
        "exp(-x) - cosh(x)/3",
        "sin(3*x)*cos(x) + x**2",
        "erfc(x - 1) - erf(x)",
        "atan(x)**3/(1 + x)**2",
        "tanh(x - 1)**2",
        "log(1 + x)*sqrt(2 + x) - asinh(x)",
        "softplus(-x) + sigmoid(x - 3)",
        "(x - 3)**-3 * (1 - x)**4",
    ],
)
@pytest.mark.sampled(5)
def test_enclosures_hold_the_values_on_a_box(text, box):
    e = parse(text, variables=("x",)).subs(sp.Symbol("x", real=True), halflines.X)
    try:
        low, high = halflines.enclosure(e, halflines.Box(*box))
    except halflines.Undefined:
        assert box[0] < 3 < box[1]
        return
    with mpmath.workdps(60):
        for k in range(1, 33):
            value = mpmath.mpf(sp.N(e.subs(halflines.X, box[0] + (box[1] - box[0]) * k / 32), 60))
            assert low <= value <= high


@pytest.mark.parametrize("name", IN_F)
@pytest.mark.sampled(5)
def test_slopes_on_half_lines_agree_with_differences(name):
    phi = statements.formula(gate_text(gate(name)))
    for side in (1, -1):
        half = halflines.stretches(phi)[0 if side < 0 else -1].formula
        for x in (sp.Rational(1, 7), sp.Rational(6, 5)):
            near = [half.subs(halflines.X, x + h).evalf(50) for h in (sp.Rational(-1, 10**12), sp.Rational(1, 10**12))]
            difference = (near[1] - near[0]) * 10**12 / 2
            assert abs(halflines.slope(half).subs(halflines.X, x).evalf(30) / difference - 1) < 1e-20


CASES = list(MAKERS)


def leaves(data, path=()):
    """Every place in a JSON value that holds no further places."""
    if isinstance(data, dict | list) and data:
        for key in data if isinstance(data, dict) else range(len(data)):
            yield from leaves(data[key], (*path, key))
    else:
        yield path


def holder(data, path):
    for key in path[:-1]:
        data = data[key]
    return data


def alterations(value):
    """Other values in place of a leaf: near ones and rude ones."""
    if isinstance(value, bool):
        return [not value, None, 1 if value else 0]
    if isinstance(value, int | float):
        return [value + 1, str(value)]
    if value is None:
        return ["1", True]
    if isinstance(value, str):
        near = {"higher": "lower", "lower": "equal", "equal": "higher", "oo": "-oo", "right": "left", "left": "right"}
        return [near.get(value, f"7/3 + 2*({value})"), f"{value} + 1", "", None]
    return [1]


def altered(certificate, path, value):
    changed = copy.deepcopy(certificate)
    holder(changed, path)[path[-1]] = value
    return changed


def resealed(certificate):
    return {**certificate, "digest": digest_of(certificate)}


def informational(path):
    """``made`` carries no mathematics and is kept by the digest alone; the digest is what is computed anew."""
    return path[0] in ("made", "digest")


@pytest.mark.parametrize("case", CASES)
@pytest.mark.sampled(7)
def test_what_was_written_is_verified_after_a_trip_through_a_file(case, written, tmp_path):
    write(written[case], tmp_path / "it.json")
    found = verify(tmp_path / "it.json")
    assert found.ok, found
    assert {check.how for check in found.checks} == {"digest", "re-derived", "proved", "numeric"}
    assert json.loads((tmp_path / "it.json").read_text()) == written[case]


@pytest.mark.parametrize("case", CASES)
@pytest.mark.sampled(4)
def test_any_altered_field_breaks_the_digest(case, written):
    paths = list(leaves(written[case]))
    assert len(paths) > 20
    for path in paths:
        for value in alterations(holder(written[case], path)[path[-1]]):
            changed = altered(written[case], path, value)
            assert changed["digest"] != digest_of(changed), path


@pytest.mark.parametrize("most", [1, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.sampled(7)
def test_any_altered_statement_formula_or_limit_is_refuted_under_a_new_digest(case, most, written):
    for path in leaves(written[case]):
        if informational(path):
            continue
        values = alterations(holder(written[case], path)[path[-1]])
        for value in values[: 1 if "erf" in case else most]:  # its limits take seconds
            found = verify(resealed(altered(written[case], path, value)))
            assert found.status == "refuted", (path, value, found)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.sampled(4)
def test_steps_removed_repeated_or_exchanged_are_refuted(case, written):
    chain = written[case]["chain"]
    for i in range(len(chain)):
        for other in (
            chain[:i] + chain[i + 1 :],
            chain[: i + 1] + chain[i:],
            chain[:i] + chain[:i:-1] + chain[i : i + 1],
        ):
            if other != chain:
                assert verify(resealed({**written[case], "chain": other})).status == "refuted"


def test_a_consistent_forgery_is_refuted_by_the_limits_themselves(written):
    """All that hangs together is changed, digest too: only the mathematics is left to object."""
    forged = copy.deepcopy(written["scaled-tanh against sigmoid"])
    forged["statement"]["threshold"] = "3"
    step = next(step for step in forged["chain"] if step["name"] == "gamma")
    step["limit"] = "3"
    found = verify(resealed(forged))
    assert found.status == "refuted"
    failed = {check.how for check in found.checks if check.ok is False}
    assert failed == {"proved", "numeric"}


def test_a_rate_with_a_wrong_constant_is_refuted_by_proof_and_by_numbers(written):
    forged = copy.deepcopy(written["rate of erf, right"])
    forged["statement"]["rate"] = "1/(5*c*T*tau*log(tau))"
    forged["statement"]["next_order"] = None
    obliging = Obliging({step["name"]: step["limit"] for step in forged["chain"]}.__getitem__)
    outline.prove_rate(forged["statement"], statements.formula(forged["germs"]["f"]), obliging)
    found = verify(resealed({**forged, "chain": obliging.chain}))
    failed = {check.how for check in found.checks if check.ok is False}
    assert (found.status, failed) == ("refuted", {"proved", "numeric"})


@pytest.mark.parametrize("text", ["[]", "{}", "3", "null", '{"statement": {"kind": "order"}}', '{"format": 2}'])
def test_what_is_no_certificate_is_refuted_in_one_line(text, tmp_path):
    (tmp_path / "it.json").write_text(text)
    found = verify(tmp_path / "it.json")
    assert found.status == "refuted"
    assert "\n" not in str(found)


def test_what_is_no_json_is_an_error(tmp_path):
    (tmp_path / "it.json").write_text("{")
    with pytest.raises(InvalidArgument, match="is no certificate: "):
        verify(tmp_path / "it.json")
    with pytest.raises(InvalidArgument, match="cannot read"):
        verify(tmp_path / "none.json")


def test_text_of_a_certificate_is_never_run(written):
    for text in ("__import__('os').system('true')", "z.__class__", "(lambda: 1)()", "9**9**9**9"):
        forged = altered(written["fast against sigmoid"], ("statement", "phi"), text)
        assert verify(resealed(forged)).status == "refuted"


def test_nothing_undecided_is_certified():
    with pytest.raises(Undecided):
        certificate(Gate("sigmoid(z + 0.9*sin(z))"), Gate("sigmoid(z**3 + sin(z)*z**3)"))


@pytest.mark.parametrize("name", IN_F)
@pytest.mark.sampled(13)
def test_every_rate_of_the_catalogue_is_certified(name):
    assert verify(rate_certificate(gate(name))).ok


def test_what_proves_imports_nothing_of_what_searches():
    """The package of the checker imports nothing else of asymptotics: no limits, signs or verdicts of the search."""
    for path in Path(checker.__file__).parent.glob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        names = [f"{n.module}.{a.name}" for n in nodes if isinstance(n, ast.ImportFrom) for a in n.names]
        names += [a.name for n in nodes if isinstance(n, ast.Import) for a in n.names]
        home = ("gateflow.asymptotics.proofs.",)
        assert [name for name in names if name.startswith("gateflow.asymptotics") and not name.startswith(home)] == []


KNOWN_LIMITS = [
    (sp.exp(z + sp.exp(-z)) - sp.exp(z) - 1, 0),
    (sp.exp(z) * (sp.exp(z + sp.exp(-z)) - sp.exp(z) - 1), sp.Rational(1, 2)),
    (sp.exp(sp.exp(z)) / sp.exp(sp.exp(z - sp.exp(-sp.exp(z)))), 1),  # thesis, (8.2)
    (sp.log(sp.log(z + sp.log(z))) - sp.log(sp.log(z)), 0),
    (z**2 * (1 - z * sp.exp(z**2) * sp.erfc(z) * sp.sqrt(sp.pi)), sp.Rational(1, 2)),
    ((sp.loggamma(z + 1) - sp.loggamma(z)) / sp.log(z), 1),
    (z**3 * (sp.pi / 2 - sp.atan(z) - 1 / z), sp.Rational(-1, 3)),
    (sp.exp(z) * (softplus(z) - z), 1),
    (sp.Abs(3 - z) - z, -3),
    (z ** sp.sqrt(2) / z**2, 0),
    (sp.log(z) ** 100 / z ** sp.Rational(1, 100), 0),
    (sp.exp(sp.sqrt(sp.log(z))) / z, 0),
    ((sp.log(sp.sinh(sp.sinh(z))) - sp.sinh(z)) * 2, -2 * sp.log(2)),
]


@pytest.mark.parametrize(("expr", "limit"), KNOWN_LIMITS)
def test_limits_of_the_checker_against_known_ones(expr, limit):
    assert sp.simplify(mrv.Gruntz(10).limit(expr) - limit) == 0


@pytest.mark.parametrize("expr", [sp.sin(z), z * sp.cos(z), sp.sin(z) / (2 + sp.cos(z))])
def test_oscillation_is_not_proved(expr):
    with pytest.raises(mrv.Unproved):
        mrv.Gruntz(5).limit(expr)


@pytest.mark.parametrize("name", ["Erfcx", "Stirling", "StirlingSlope"])
def test_asymptotic_series_agree_with_big_floats(name):
    func = getattr(mrv, name)
    u = sp.Integer(60)
    with mpmath.workdps(40):
        series = sum(mpmath.mpf(sp.N(func.coefficient(k), 40)) / 60**k for k in range(24))
        exact = mpmath.mpf(sp.N(func(u), 40))
        assert abs(series - exact) < mpmath.mpf(10) ** -24


def test_lost_digits_are_noticed():
    """1 - phi formed as written is 0 in 40 digits: that is no value."""
    naive = 1 - 1 / (1 + sp.exp(-z))
    far = numbers.FarPoint(mpmath.mpf(400), 40, 40)
    assert numbers.stable_number(naive, far) is None
    with mpmath.workdps(30):
        enough = numbers.stable_number(naive, numbers.FarPoint(mpmath.mpf(400), 40, 240))
        assert abs(enough * mpmath.exp(400) - 1) < 1e-9


@pytest.mark.parametrize(
    ("values", "limit", "outcome"),
    [
        ((0.5, 0.25, 0.125), 0, True),
        ((1.5, 1.25, 1.125), 0, False),
        ((1.0, 2.0, 3.0), sp.oo, True),
        ((1.0, 2.0, 3.0), -sp.oo, False),
        ((3.0, 2.0, 1.0), sp.oo, False),
        ((1.0, 1.0, 1.0), 1, True),
        ((1.0, 1.0), 1, None),
        ((0.002, 0.0025, 0.0019), 0, True),
        ((1.19, 1.21, 1.217), 1, False),
        ((0.002, 0.0025, 0.019), 0, False),
        ((1.015, 1.015, 1.015), 1, False),
        ((0.0099, 0.0099, 0.0099), 0, False),
    ],
)
def test_trend(values, limit, outcome):
    assert numbers.trend([mpmath.mpf(v) for v in values], sp.sympify(limit)) is outcome


@pytest.mark.parametrize(
    "e",
    [
        1 - sigmoid(z),
        2 - 2 * sigmoid(z) ** 3,
        (1 - sp.erf(z / 30)) / 2,
        1 - 2 * sp.atan(sp.exp(z / 3)) / sp.pi,
        sp.Rational(1, 2) - sp.tanh(z) / 2,
        1 - sigmoid(-z),
        1 - z**2,
        1 - (1 - sp.exp(-z)) ** 3,
    ],
    ids=str,
)
def test_what_is_left_to_a_limit_needs_no_digits_of_the_limit(e):
    """At z = 300, in 30 digits, against the formula as it is written in 300."""
    written = sp.lambdify(z, e.replace(sigmoid, lambda u: 1 / (1 + sp.exp(-u))), "mpmath")
    with mpmath.workdps(300):
        exact = written(mpmath.mpf(300))
    with mpmath.workdps(30):
        assert abs(numbers.number(e, mpmath.mpf(300)) / exact - 1) < mpmath.mpf(10) ** -25


def test_a_law_whose_next_term_turns_late_is_verified():
    """(f + log l_next)/(f + log l_hat) changes its sign near f = 1e40, and turns to 0 only after that."""
    assert verify(rate_certificate("sigmoid(z*asinh(z))")).status == "verified"


def test_numbers_alone_never_refute_what_is_proved(written, monkeypatch):
    monkeypatch.setattr(checker, "_evaluate", lambda sentence, *_: checker.Check(sentence, "numeric", False, "1, 2, 3"))
    assert verify(written["fast against sigmoid"]).status == "open"


# --- values at breaks, formal derivatives, points that are no proof ---------------------------------------------------


@pytest.mark.parametrize("text", ["sign(z)**2*sigmoid(z)", "where(z == 0, 7, sigmoid(z))", "sigmoid(z)*abs(sign(z))"])
def test_the_checker_looks_at_the_value_at_zero(text):
    """phi(0) is 0, 7 and 0; the halves meet in 1/2."""
    found = verify(claimed_member(text))
    assert found.status != "verified"
    assert "one value" in found.reason
    assert found.reason.endswith("not seen at z = 0)")


JOINED = [
    "sigmoid(z + abs(z - 1)*(z - 1))",
    "sigmoid(where(z < -sqrt(2), z, z + (z + sqrt(2))**3))",
    "where(z < 2, sigmoid(z), where(z == 2, 1 - sigmoid(-2), sigmoid(z)))",
    "where(z < sqrt(5 + 2*sqrt(6)), sigmoid(z), where(z < sqrt(2) + sqrt(3), 0, sigmoid(z)))",
    "sigmoid(sign(z - 3)*abs(z - 3)**3)",
    "sigmoid(z + z*sign(abs(z) - 1)*(abs(z) - 1)**2/9)",
]
"""In class F: the parts meet with one value and one slope."""

TORN = [
    "sigmoid(z + abs(z - sqrt(2))*10**-9)",
    "where(z == sqrt(2), 1/2, sigmoid(z))",
    "where(z**3 == 2, 1/2, sigmoid(z))",
    "where((z - 1)**2 > 0, sigmoid(z), 1/3)",
    "sigmoid(where(z < 3, z, z + 10**-30))",
    "sigmoid(z + abs(abs(z) - 1)/9)",
    "sigmoid(z + 10**-40*(1 - sign(z - 1/3)**2))",
    "where(abs(z) <= 1, where(z == 1, 1/2, sigmoid(z)), sigmoid(z))",
    "sigmoid(where(z < 1, z, where(z <= 2, 1, z - 1)))",
]
"""A jump, a kink, a value of its own at one point, or flat between two."""


@pytest.mark.parametrize("text", JOINED)
@pytest.mark.sampled(7)
def test_a_gate_of_class_f_with_breaks_anywhere_is_certified(text):
    certificate = membership_certificate(gate(text))
    assert certificate["statement"]["verdict"] == "in F"
    assert verify(certificate).ok, verify(certificate)


@pytest.mark.parametrize("text", TORN)
@pytest.mark.sampled(5)
def test_parts_that_do_not_fit_are_never_verified(text):
    assert verify(claimed_member(text)).status != "verified"


@pytest.mark.parametrize(
    "profile",
    [
        "z - {}*sin(z)",
        "z - {}*(sin(z)/2 + sin(2*z)/4)",
        "sinh(z) - {}*(cosh(z)*sin(z) + sinh(z)*cos(z))/2",
    ],
)
def test_waves_that_a_number_outweighs_by_a_hair_rise_and_others_do_not(profile):
    """The slope is ``1 - q`` times a positive factor at z = 0, and nowhere less."""
    for side in (1, -1):
        for factor, far in (("(1 - 1e-30)", sp.oo), ("(1 - 1e-300)", sp.oo), ("1", sp.oo), ("(1 + 1e-30)", 0)):
            phi = statements.formula(f"sigmoid({profile.format(factor)})")
            assert halflines.rises(phi, side, time.monotonic() + 30) == far


def test_a_wave_that_no_number_outweighs_is_not_verified_as_a_member():
    """Their slopes are negative at z = 0, by 1e-30 times phi(0) phi(0)."""
    for profile in ("z - {}*sin(z)", "sinh(z) - {}*(cosh(z)*sin(z) + sinh(z)*cos(z))/2"):
        assert not verify(claimed_member(f"sigmoid({profile.format('(1 + 1e-30)')})", "3")).ok


@pytest.mark.parametrize("z0", ["2", *(pytest.param(z0, marks=pytest.mark.slow) for z0 in ("0", "1", "21/10"))])
def test_a_z0_before_a_part_that_bends_up_is_not_verified(z0):
    """phi'' > 0 at 2.3, past the break at 2; by big floats."""
    text = "sigmoid(where(z < 2, z, z + (z - 2)**3))"
    assert mpmath.diff(lambda x: 1 / (1 + mpmath.exp(-x - (x - 2) ** 3)), 2.3, 2) > 0
    assert verify(claimed_member(text)).ok
    assert verify(claimed_member(text, z0)).status != "verified"


def test_a_slope_that_turns_up_again_past_the_boxes_is_not_verified():
    """phi''(19.95) > 0, by big floats; the boxes from z0 = 1 stop before, and points may jump over the bump."""
    text = "sigmoid(z + tanh(10*(z - 20))/20)"
    with mpmath.workdps(40):
        assert mpmath.diff(lambda x: -1 / (1 + mpmath.exp(x + mpmath.tanh(10 * (x - 20)) / 20)), 19.95, 2) > 0
    found = verify(claimed_member(text, "1"))
    assert found.status == "open"
    assert not any(check.how == "numeric" and "decreases" in check.what for check in found.checks)


def refuting(text, clause, witness):
    """A certificate of non-membership in which all but the mathematics hangs together."""
    value = str(statements.formula(text).subs(z, statements.MARK).evalf(20))
    statement = {"kind": "refutation", "gate": text, "value": value, "clause": clause, "witness": witness}
    return seal(statement, {}, [], {})


@pytest.mark.parametrize(
    ("text", "point"),
    [
        ("where(z == 0, 1/2 - z, sigmoid(z))", "0"),
        ("where(z == sqrt(2), sigmoid(2*sqrt(2) - z), sigmoid(z))", "sqrt(2)"),
    ],
)
def test_a_formal_derivative_at_a_break_is_no_witness(text, point):
    """Both are the sigmoid, written in pieces."""
    slope = derivative(statements.formula(text)).subs(z, statements.constant(point)).evalf(20)
    assert slope < 0
    found = verify(refuting(text, "increasing", {"kind": "slope", "z": point, "value": str(slope)}))
    assert found.status == "refuted"
    assert "formal derivative" in found.reason


@pytest.mark.parametrize("text", ["erf(acosh(1 + exp(z)))", "1 - exp(-acosh(1 + exp(z)))", "erf(loggamma(2 + exp(z)))"])
def test_a_value_that_is_lost_beside_1_is_not_0(text):
    """SymPy takes acosh(1 + exp(-200)) for 0; it is sqrt(2) exp(-100) to first order, and loggamma is .4 exp(-200)."""
    value = statements.formula(text).subs(z, -200)
    assert 0 < value.evalf(20) < sp.Rational(1, 10**40)
    found = verify(refuting(text, "onto", {"kind": "value", "z": "-200", "value": "0"}))
    assert found.status == "refuted"


JUMPS = ["sigmoid(z + 1 - sign(z)**2)", "where(z == sqrt(2), 1/3, sigmoid(z))", "sigmoid(z + sign(z)*10**-30)"]
KINKS = ["sigmoid(z + abs(z - sqrt(2))/2)", "sigmoid(sign(z)*sqrt(abs(z)))"]


@pytest.mark.parametrize(("text", "kind"), [(t, "jump") for t in JUMPS] + [(t, "kink") for t in KINKS])
@pytest.mark.sampled(4)
def test_jumps_and_kinks_are_certified_by_limits(text, kind):
    certificate = membership_certificate(gate(text))
    assert certificate["statement"]["witness"]["kind"] == kind
    assert verify(certificate).ok, verify(certificate)
    for path in leaves({"statement": certificate["statement"]}):
        for value in alterations(holder(certificate, path)[path[-1]]):
            assert verify(resealed(altered(certificate, path, value))).status != "verified", (path, value)


BREAKS = [
    "sigmoid(where(z**3 + z < 3, z, 4*z))",
    "sigmoid(4*(z**3 + z) + abs(z**3 + z - 3))",
    "sigmoid(where(z < 0, z, z + sign(z**5 - z - 1) + 1))",
]


@pytest.mark.parametrize("text", BREAKS)
@pytest.mark.sampled(2)
def test_jumps_and_kinks_at_roots_without_a_closed_form_are_certified_by_enclosures(text):
    certificate = membership_certificate(gate(text))
    assert certificate["statement"]["witness"]["kind"] == "break"
    assert verify(certificate).ok, verify(certificate)
    for path in leaves({"statement": certificate["statement"]}):
        if path[-1] not in ("from", "to"):  # other points around the break are witnesses as good
            for value in alterations(holder(certificate, path)[path[-1]]):
                assert verify(resealed(altered(certificate, path, value))).status != "verified", (path, value)


@pytest.mark.parametrize(
    ("text", "low", "high", "why"),
    [
        ("sigmoid(z)", "1", "2", "no branch is seen to change"),
        ("sigmoid(where(z**3 + z < 3, z, 4*z))", "2", "3", "no branch is seen to change"),
        ("sigmoid(where(z**3 + z < 3, z, 4*z))", "2", "1", "in order"),
        ("sigmoid(where(z**3 + z < 3, z, 4*z))", "1", "sqrt(2)", "rational"),
        ("sigmoid(where(z**3 + z < 3, z, z))", "1", "2", "no branch is seen to change"),
        ("sigmoid(where(z**3 + z < 3, z, z + (z**3 + z - 3)**2))", "1", "2", "differ in value or in slope"),
        ("sigmoid(where(z**3 < 1, z, 1))", "-1/2", "1/2", "no branch is seen to change"),
        ("sigmoid(where((z - 1)**2 <= 0, z, 4*z))", "0", "2", "vanish once"),
        ("sigmoid(where((z - 1)**2 < 10**-12, 4*z, z))", "1/2", "3/2", "vanish once"),
        ("sigmoid(where(z < 1, z, where(z < 1 + 10**-9, 2*z - 1, z)))", "1/2", "3/2", "more than one branch"),
        ("sigmoid(z*exp(where(1/z < 0, 1, 2)))", "-1", "1", "vanish once"),
        ("sigmoid(where(1/z < 3, z, 4*z))", "0", "1", "vanish once"),
        ("sigmoid(where(sqrt(z) + exp(z) < 3, z, 2*z))", "-1", "2", "vanish once"),
        ("sigmoid(z + abs(z - 1)**3)", "1/2", "3/2", "differ in value or in slope"),
    ],
)
def test_what_is_not_torn_between_two_points_has_no_such_witness(text, low, high, why):
    found = verify(refuting(text, "differentiable", {"kind": "break", "from": low, "to": high}))
    assert found.status == "refuted"
    assert why in found.reason, found.reason


@pytest.mark.parametrize("text", ["sigmoid(where(z + exp(z) < 3, z, 2*z))", "sigmoid(z + abs(sinh(z) + z - 3)/9)"])
def test_a_break_at_a_point_that_only_an_enclosure_knows_is_verified(text):
    """z + exp(z) = 3 at z = .792..., and sinh(z) + z = 3 at z = 1.30...: neither has a closed form."""
    found = verify(refuting(text, "differentiable", {"kind": "break", "from": "3/4", "to": "7/8"}))
    wider = verify(refuting(text, "differentiable", {"kind": "break", "from": "5/4", "to": "11/8"}))
    assert {found.status, wider.status} == {"verified", "refuted"}


def test_a_check_with_nothing_evaluated_has_not_held():
    """The term is below 1e-43429 wherever it is looked at, and its exponent is out of reach."""
    check = checker._evaluate("it", sp.exp(sp.exp(sp.exp(sp.exp(sp.exp(z))))), sp.oo, [z])
    assert check.ok is not True


@pytest.mark.parametrize("name", ["acosh", "loggamma", "tan", "atanh"])
def test_signs_of_constants_hold_where_sympys_numbers_fail(name):
    tiny = sp.Rational(1, 10**60)
    c, sign = {
        "acosh": (10**30 * sp.acosh(1 + tiny) - 1, 1),  # sqrt(2) - 1
        "loggamma": (-sp.loggamma(1 + tiny) / tiny - sp.Rational(1, 2), 1),  # Euler's constant - 1/2
        "tan": (sp.tan(10**23), -1),
        "atanh": (sp.atanh(1 - tiny) - 69, 1),  # (log 2 + 60 log 10)/2
    }[name]
    with mpmath.workdps(200):
        assert mpmath.sign(sp.lambdify((), c, "mpmath")()) == sign
    assert enclosures.sign_of(c) == sign
