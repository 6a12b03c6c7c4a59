"""``compare``: theorem 4.4 beside the numbers, both against closed forms."""

import json
import math

import mpmath
import pytest

from gateflow.descents.comparison import GAPS, compare
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem, hitting_time
from gateflow.notebook.cards import exponential


@pytest.fixture(scope="module")
def three():
    return compare(["fast", "sigmoid", "softsign"], horizon=1)


def log_time(gate, gap):
    """log tau from z = 0 at T = 1, c = 1: theory.md §4 integrated in closed form."""
    gap = mpmath.mpf(gap)
    end = mpmath.log(1 / gap - 1)
    return {
        "sigmoid": lambda: mpmath.log(2 * mpmath.sinh(end) + 2 * end),
        "softsign": lambda: mpmath.log((gap**-3 - 8) / 3),
    }[gate]()


@pytest.mark.parametrize("gate", ["sigmoid", "softsign"])
def test_times_are_the_closed_forms(gate, three):
    for rung in three.ladder:
        assert rung.log_tau[gate] == pytest.approx(float(log_time(gate, rung.gap)), rel=1e-12)
        assert rung.log_ratio[gate] == rung.log_tau[gate] - rung.log_tau["fast"]


def test_a_higher_order_learns_faster_by_more_and_more_and_as_the_laws_say(three):
    assert [found.verdict for found in three.orders] == ["higher", "higher"]
    assert [rung.gap for rung in three.ladder] == list(GAPS)
    for gate, law in {
        "sigmoid": lambda w: 2 * math.log(w),
        "softsign": lambda w: 2 * w + 2 * math.log(w) - math.log(3),
    }.items():
        ratios = [rung.log_ratio[gate] for rung in three.ladder]
        assert ratios == sorted(ratios)
        off = []
        for rung in three.ladder:
            assert rung.log_ratio_by_law[gate] == pytest.approx(law(-math.log(rung.gap)), rel=1e-12)
            off.append(abs(rung.log_ratio[gate] - rung.log_ratio_by_law[gate]))
        assert off[1:] == sorted(off[1:], reverse=True)
        assert off[-1] < 0.01


def test_equal_orders_have_the_ratio_of_their_threshold():
    """sigma(2 z) against sigma(z): R jumps at a* = 2, and the times tend to a*^-2 = 1/4 of the other."""
    found = compare(["sigmoid", "scaled-tanh"], gaps=(1e-50, 1e-300))
    assert found.orders[0].verdict == "equal"
    assert found.ladder[-1].log_ratio["scaled-tanh"] == pytest.approx(-2 * math.log(2), abs=1e-10)


def test_the_horizon_enters_the_law():
    found = compare(["sigmoid", "softsign"], horizon=100, gaps=(1e-200,))
    (rung,) = found.ladder
    assert rung.log_ratio["softsign"] == pytest.approx(rung.log_ratio_by_law["softsign"], abs=1e-6)


def test_it_prints_as_text_json_latex_and_html(three):
    text = str(three)
    assert text.startswith("fast against sigmoid: higher\n")
    assert len(text.splitlines()) == 2 + 3 + 1 + 1 + len(GAPS)
    assert "from z0 0 for every gate: a time constant of 1.443" in text
    data = json.loads(json.dumps(three.to_json()))
    assert set(data) == {"horizon", "z0", "orders", "crossings", "laws", "ladder"}
    assert data["laws"]["fast"]["rate"] == "1/(c*T*tau*log(tau)**2)"
    assert three.latex().count(r"\\") == 2 + 1 + len(GAPS)
    assert three._repr_html_().rpartition("<table")[2].count("<tr>") == 1 + len(GAPS)


def test_gates_start_from_one_value_and_targets_are_time_constants():
    """From a time constant of 20 to one of 100: each z by its own inverse, the times those of the flow."""
    found = compare(["fast", "sigmoid"], horizon=100, timescales=[100.0, 1000.0], start=20.0)
    u = -math.log(math.expm1(1 / 20))
    assert found.starts == pytest.approx((math.asinh(u), u), rel=1e-12)
    assert [rung.timescale for rung in found.ladder] == [100, 1000]
    for name, z0 in (("fast", math.asinh(u)), ("sigmoid", u)):
        problem = LearningProblem(name, horizon=100, timescale=100)
        assert found.ladder[0].log_tau[name] == pytest.approx(float(hitting_time(problem, z0).log_tau), abs=1e-12)
    assert found.crossings[0].reverses == "always"
    assert "from a time constant of 20 for every gate: z0 1.809 for fast, 2.971 for sigmoid" in str(found)
    assert found.table()[0][0] == "time constant"


def test_a_start_is_given_in_one_way():
    with pytest.raises(InvalidArgument, match=r"^give z0 or start, not both$"):
        compare(["fast", "sigmoid"], z0=1.0, start=20.0)


def test_a_gate_without_a_law_says_why():
    found = compare(["sigmoid", "hard-sigmoid"], gaps=(0.1,))
    assert found.laws["hard-sigmoid"].verdict == "undecided"
    assert found.rate_of("hard-sigmoid") == found.laws["hard-sigmoid"].reason != ""
    assert found.ladder[0].log_ratio_by_law["hard-sigmoid"] is None
    assert found.to_json()["laws"]["hard-sigmoid"]["rate"] is None


def test_another_loss_takes_its_times_and_its_factor_in_the_laws():
    """Horizons of T/10 and 2 T: |dL/dh| is 1.05 at phi = 1, where the absolute loss has 1. T = 1, W = 1, z0 = 0."""
    found = compare(["sigmoid", "softsign"], gaps=(1e-3, 1e-300), loss="exp(-s/10)/2 + exp(-2*s)/2")
    for rung in found.ladder:
        with mpmath.workdps(30):
            near, far = -mpmath.log1p(-mpmath.mpf(rung.gap)), mpmath.log(2)
            edges = [near * 10**k for k in range(35) if near * 10**k < far]  # past 10^34 near there is 1e-34 of it
            edges += [far] if len(edges) < 35 else []

            def pace(h):
                return 1 / (mpmath.expm1(-h) ** 2 * (mpmath.exp(-h / 10) / 20 + mpmath.exp(-2 * h)))

            true = mpmath.log(mpmath.quad(pace, edges))
        assert rung.log_tau["sigmoid"] == pytest.approx(float(true), abs=1e-12)
    last = found.ladder[-1]
    assert last.log_tau["sigmoid"] == pytest.approx(-math.log(1.05 * 1e-300), abs=1e-9)
    assert last.log_ratio["softsign"] == pytest.approx(last.log_ratio_by_law["softsign"], abs=1e-9)
    assert found.about_the_loss == "exp(-s/10)/2 + exp(-2*s)/2; the laws are those of the absolute loss, c times 1.05"
    assert found.to_json()["pull"] == 1.05


def test_a_loss_whose_pull_fades_or_grows_at_the_target_has_no_law():
    for loss, tolerance in (("log-decay", None), ("squared", 1e-3), ("kullback-leibler", 1e-3)):
        found = compare(["sigmoid", "fast"], gaps=(1e-9,), loss=loss, tolerance=tolerance)
        assert found.ladder[0].log_ratio["fast"] < 0
        assert found.ladder[0].log_ratio_by_law["fast"] is None
        assert "say nothing of its times" in str(found)
        assert loss in found._repr_html_()
    with pytest.raises(InvalidArgument, match="give a tolerance"):
        compare(["sigmoid", "fast"], loss="squared")


def test_gates_that_are_both_stuck_have_no_ratio():
    (rung,) = compare(["cubic", "sigmoid(z**5)"], gaps=(0.1,), z0=-1.0).ladder
    assert math.isnan(rung.log_ratio["sigmoid(z**5)"])
    assert exponential(rung.log_ratio["sigmoid(z**5)"]) == ""


@pytest.mark.parametrize(
    ("gates", "gaps", "message"),
    [
        (["fast"], GAPS, "two gates or more"),
        (["fast", "fast"], GAPS, "two of the gates are called fast"),
        (["fast", "erf"], (0.5, 2.0), "between 0 and 1; got 2"),
        (["fast", "erf"], (), "between 0 and 1"),
    ],
)
def test_bad_input_is_one_clear_line(gates, gaps, message):
    with pytest.raises(InvalidArgument, match=message):
        compare(gates, gaps=gaps)


def test_huge_and_tiny_numbers_are_written_out():
    assert exponential(5000.0) == "2.9676e+2171"
    assert exponential(-5000.0) == "3.3697e-2172"
    assert exponential(math.inf) == "inf"


def test_the_gap_from_which_the_order_holds_stands_beside_the_ladder():
    """README's example: the ratio passes 1 between the gaps on either side of the crossing."""
    found = compare(["fast", "sigmoid(z + z**3)", "sigmoid"], horizon=10, gaps=[1e-6, 2e-10, 1e-10])
    crossed, always = found.crossings
    assert [rung.log_ratio["sigmoid(z + z**3)"] > 0 for rung in found.ladder] == [False, False, True]
    assert 1e-10 < math.exp(crossed.log_gap) < 2e-10
    assert always.target.verdict == "always"
    headings = [heading for heading, _ in found.crossing_lines()]
    assert sum(heading.endswith("at their own step sizes") for heading in headings) == 2
    smooth = compare(["fast", "sigmoid"], gaps=[1e-2], loss="squared", tolerance=1e-3)
    assert "smooth at its least value" in smooth.crossings[0]


@pytest.mark.parametrize("flat", ["0.5 + 1e-20*tanh(z)", "where(z < 0, 0, 1)"])
def test_a_gate_that_takes_none_of_the_values_on_the_way_is_compared_in_words(flat):
    """It never leaves 1/2 in floats, or is 1 at the start: the sigmoid alone has times, and nothing crosses."""
    found = compare([flat, "sigmoid"], horizon=10, gaps=[1e-3])
    (rung,) = found.ladder
    assert rung.log_ratio["sigmoid"] == -math.inf
    said = dict(found.crossing_lines())
    assert "below lambda* = 1" in said["crossing"] if "crossing" in said else "undecided" in said["from other starts"]
    assert not [line for line in said.values() if "nan" in line]
    assert found.about_the_starts.startswith("z0 0 for every gate: a time constant of ")


def test_laws_are_asked_about_small_gaps_only():
    """To a time constant of T the gap is 1 - 1/e, where the laws would have the sigmoid ahead of fast."""
    first, second = compare(["fast", "sigmoid"], horizon=100, timescales=[100, 1000], start=20).ladder
    assert first.log_ratio["sigmoid"] > 0
    assert first.log_ratio_by_law["sigmoid"] is None
    assert second.gap < 0.1
    assert second.log_ratio_by_law["sigmoid"] > 0
