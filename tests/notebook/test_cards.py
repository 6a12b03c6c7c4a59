"""Objects show themselves: well-formed, escaped, in words that are true, with curves that go through the numbers."""

from xml.etree import ElementTree

import numpy as np
import pytest

import gateflow
from gateflow.asymptotics.certificates import certificate
from gateflow.asymptotics.saturation import saturation_order
from gateflow.descents.recommendation import recommend
from gateflow.descents.simulation import descent
from gateflow.flows import flow
from gateflow.gates.gate import Gate
from gateflow.notebook import cards
from gateflow.notebook.html import GREY
from gateflow.plots import FIGURES

HOSTILE = "<script>alert('&')</script>"


def shown(thing):
    """What a notebook gets, as a tree; it complains about what is not well-formed."""
    return ElementTree.fromstring(thing._repr_html_())


def words(thing):
    return " ".join("".join(shown(thing).itertext()).split())


def fact(thing, name):
    """The value beside a name."""
    rows = [["".join(cell.itertext()) for cell in row] for row in shown(thing).iter("tr")]
    return next(row[1] for row in rows if row[0] == name)


def problem(**changed):
    return gateflow.LearningProblem("fast", **{"horizon": 10, "gap": 1e-6, **changed})


def objects():
    """One of each."""
    yield "problem", problem()
    yield "problems", problem(horizon=np.array([1.0, 10.0]))
    yield "time", gateflow.hitting_time(problem(), 0.0)
    yield "times", gateflow.hitting_time(problem(), np.linspace(-3, 3, 5))
    yield "trajectory", gateflow.flow(problem(), 0.0)
    yield "descent", descent(problem(gap=0.1), 0.0, lr=0.1)
    yield "descents", descent(problem(gap=0.1), [0.0, 1.0], lr=0.1)
    yield "recommendation", recommend(1000, gates=["fast", "sigmoid"])
    yield "advice", recommend(1000, gates=["fast", "sigmoid"]).best
    yield "step size", gateflow.step_size(problem(gap=0.1), 0.0)
    yield "step sizes", gateflow.step_size(problem(gap=0.1), [0.0, 1.0])
    yield "crossover", gateflow.crossover("fast", "sigmoid", problem(gap=0.1))
    yield "fit", gateflow.fit("fast(alpha)", gateflow.descents.Steps((100.0,)), within=(0.5, 2.0))
    yield "trajectories", flow(problem(horizon=np.array([1.0, 10.0])), 0.0)
    yield "membership", gateflow.membership("fast")
    yield "order", gateflow.order("fast", "sigmoid")
    yield "ranking", gateflow.rank(["fast", "sigmoid", "erf", "sigmoid(2*z)"])
    yield "saturation order", saturation_order("softsign")
    yield "rate", gateflow.rate("fast")
    yield "verification", gateflow.verify(certificate("fast", "sigmoid"))
    yield "names", gateflow.GATES
    yield "numbers of a figure", FIGURES["gates"].compute()
    yield "comparison", gateflow.compare(["fast", "sigmoid"], gaps=[1e-2, 1e-4])


@pytest.fixture(scope="module")
def made():
    return dict(objects())


def test_every_object_has_a_card_in_one_style(made):
    for name, thing in made.items():
        tree = shown(thing)
        assert tree.attrib["class"] == "gateflow-card", name
        assert tree.findtext(".//strong"), name
        for picture in tree.iter("svg"):
            assert picture.attrib["role"] == "img"
            assert picture.findtext("title")
            assert picture.findtext("desc")


def test_colours_are_the_pages_own(made):
    for thing in made.values():
        colours = {element.attrib.get(key) for element in shown(thing).iter() for key in ("stroke", "fill")}
        assert colours <= {None, "none", "currentColor", GREY}


def test_the_status_is_said_in_words(made):
    assert "the target is reached" in words(made["time"])
    assert fact(made["times"], "status") == "reached: 5"
    assert "the target is reached" in words(made["trajectory"])
    assert "in F" in words(made["membership"])
    assert "fast against sigmoid: higher" in words(made["order"])
    assert "softsign" not in words(made["saturation order"])


def test_numbers_are_those_of_the_object(made):
    assert float(fact(made["time"], "tau")) == pytest.approx(made["time"].tau, rel=1e-14)
    assert float(fact(made["problem"], "z*")) == pytest.approx(made["problem"].z_star, rel=1e-9)
    # h* is -log(1 - 1e-6), so that the time constant is T/h*, as good as ten million
    assert float(fact(made["problem"], "time constant there").split()[0]) == pytest.approx(1e7, rel=1e-4)
    assert fact(made["problems"], "horizon T") == "1 to 10"
    assert int(fact(made["descent"], "steps")) == made["descent"].steps


def test_what_was_checked_is_counted_and_told(made):
    checks = made["verification"].checks
    assert fact(made["verification"], "checks") == f"held: {len(checks)}"
    forged = certificate("fast", "sigmoid")
    forged["statement"]["verdict"] = "lower"
    assert words(gateflow.verify(forged)).startswith("refuted: sigmoid(sinh(z)) against sigmoid(z): lower")


def test_a_registry_lists_its_names(made):
    rows = [["".join(cell.itertext()) for cell in row] for row in shown(made["names"]).iter("tr")][1:]
    assert [row[0] for row in rows] == list(gateflow.GATES)
    assert all(row[1] for row in rows)


def test_numbers_of_a_figure_show_their_ends(made):
    table, text = made["numbers of a figure"], words(made["numbers of a figure"])
    assert fact(table, "rows") == str(len(table))
    for name, column in table.columns.items():
        assert name in text
        assert str(column[0]) in text or cards.number(column[0]) in text
        assert str(column[-1]) in text or cards.number(column[-1]) in text


def test_the_curve_of_a_law_goes_through_its_numbers(made):
    law = made["rate"]  # l ~ 1/(tau (log tau)^2)
    (line,) = shown(law).iter("polyline")
    points = np.array([pair.split(",") for pair in line.attrib["points"].split()], dtype=float)
    log_tau = np.linspace(10, 70, len(points))
    expected = -log_tau - 2 * np.log(log_tau)
    assert np.allclose(law.log_distance(log_tau), expected, rtol=1e-14)
    slope, shift = np.polyfit(expected, points[:, 1], 1)
    assert slope < 0
    assert np.allclose(slope * expected + shift, points[:, 1], atol=0.11)


def test_formulas_are_latex(made):
    assert r"$l(\tau) \sim \frac{1}{T c \tau" in words(made["rate"])
    assert r"$O\left(\frac{1}{z}\right)$" in words(made["saturation order"])
    assert r"\succ" in words(made["order"])


def test_gates_of_equal_order_stand_on_one_rung(made):
    rungs = [["".join(cell.itertext()) for cell in row] for row in shown(made["ranking"]).iter("tr")]
    assert rungs[1:] == [["1", "fast"], ["2", "erf"], ["3", "sigmoid, sigmoid(2*z)"]]


def test_an_overflow_is_told_by_its_logarithm():
    time = gateflow.hitting_time(gateflow.LearningProblem("sigmoid", horizon=1e6, gap=1e-3), 0.0)
    assert fact(time, "tau") == "overflows"
    assert float(fact(time, "log tau")) > 1e5


def test_a_problem_without_a_minimiser_is_not_drawn():
    endless = problem(gap=None, target=1.0)
    assert shown(endless).find(".//svg") is None
    assert fact(endless, "z*") == "inf"


def test_hostile_names_are_text():
    gate = Gate("sigmoid(z)", name=HOSTILE)
    for thing in (
        gateflow.LearningProblem(gate, horizon=1, gap=0.1),
        gateflow.order(gate, "fast"),
        gateflow.rate(gate),
    ):
        assert "<script" not in thing._repr_html_()
        assert HOSTILE in "".join(shown(thing).itertext())


@pytest.mark.parametrize("z0", [0.0, 6.0])
def test_the_curve_of_a_trajectory_goes_through_its_numbers(z0):
    path = gateflow.flow(problem(gap=1e-3), z0)
    (line,) = shown(path).iter("polyline")
    points = np.array([pair.split(",") for pair in line.attrib["points"].split()], dtype=float)
    seen = np.isfinite(path.log_tau) & (path.loss > 0)
    for drawn, numbers, sign in ((points[:, 0], path.log_tau[seen], 1), (points[:, 1], np.log10(path.loss[seen]), -1)):
        slope, shift = np.polyfit(numbers, drawn, 1)
        assert np.sign(slope) == sign
        assert np.allclose(slope * numbers + shift, drawn, atol=0.11)


def test_a_curve_breaks_where_there_is_no_number():
    drawn = ElementTree.fromstring(cards.curve([0, 1, 2, 3, 4], [1, 2, np.nan, 3, 4], label="x", across="a", up="b"))
    assert len(list(drawn.iter("polyline"))) == 2
    assert cards.curve([1.0], [1.0], label="x", across="a", up="b") is None


def test_a_sweep_has_a_card():
    pytest.importorskip("xarray")
    from gateflow.sweeps import card, sweep

    data = sweep(["fast", "sigmoid"], horizon=[1, 10, 100], gap=0.01, z0=0.0)
    tree = ElementTree.fromstring(card(data)._repr_html_())
    text = " ".join(tree.itertext())
    assert "fast, sigmoid" in text
    assert "reached: 6" in text
    alone = ElementTree.fromstring(card(data.sel(gate=["fast"])))
    (line,) = alone.iter("polyline")
    assert len(line.attrib["points"].split()) == 3


def test_an_enclosure_has_a_card():
    pytest.importorskip("flint")
    from gateflow.flows import enclose

    ball = enclose(problem(gap="0.01"), 0, digits=20)
    assert fact(ball, "tau") == ball.mid
    assert fact(ball, "radius") == ball.radius


def test_a_training_run_has_a_card():
    pytest.importorskip("torch")
    from gateflow.training.loop import train

    result = train("adding(horizon=5)", steps=4, hidden=4, evaluate_every=2)
    assert words(result).startswith("adding(horizon=5)")
    assert fact(result, "status") == "finished"
    assert float(fact(result, "loss, test")) == pytest.approx(result.test["loss"], rel=1e-5)
    (line,) = shown(result).iter("polyline")
    assert len(line.attrib["points"].split()) == 3


def test_a_memory_of_many_time_scales_has_a_card():
    pytest.importorskip("torch")
    from gateflow.study.memory import memory

    found = memory("fast", "adam", wanted=[10, 20], at=[5, 50])
    rows = [["".join(cell.itertext()) for cell in row] for row in shown(found).iter("tr")]
    assert [row[0] for row in rows[-2:]] == ["5", "50"]
    assert rows[-1][1] == cards.number(found.reached[-1], 3)


def test_the_curves_of_a_run_are_arrays():
    pytest.importorskip("torch")
    from gateflow.errors import InvalidArgument
    from gateflow.training.loop import train

    result = train("adding(horizon=5)", steps=4, hidden=4, evaluate_every=2)
    steps, loss = result.curve("loss")
    assert steps.tolist() == [0, 2, 4]
    assert loss.tolist() == [line["loss"] for line in result.metrics if line["kind"] == "valid"]
    with pytest.raises(InvalidArgument, match="no 'accuracy' was recorded under 'valid'"):
        result.curve("accuracy")


def test_tables_of_runs_and_experiments_have_cards(tmp_path):
    pytest.importorskip("torch")
    from gateflow.training.grid import experiment
    from gateflow.training.results import runs, table
    from gateflow.training.timescales import of_run

    base = {"task": "adding(horizon=5)", "steps": 2, "hidden": 4, "evaluate_every": 1}
    done = experiment(base, seeds=2, out=tmp_path / "runs")
    assert "2 of 2 runs have ended" in words(done)
    assert "Runs: 2, configurations: 1; judged by loss" in words(table(tmp_path / "runs"))
    first = runs(tmp_path / "runs")[0]
    assert fact(first, "status") == "finished"
    assert "median" in words(of_run(first.path))
