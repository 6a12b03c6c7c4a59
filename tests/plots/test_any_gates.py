"""Figures of gates of one's own: their numbers, their laws, lines told apart, and gates that cannot be drawn."""

from __future__ import annotations

import csv
import json
from itertools import combinations

import mpmath
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gateflow.asymptotics.rate import rate
from gateflow.cli import main
from gateflow.errors import InvalidArgument
from gateflow.formula import parse
from gateflow.gates.gate import gate
from gateflow.plots import FIGURES, figures
from gateflow.plots._gates import log_law, named
from gateflow.plots._style import STROKES, Looks
from gateflow.plots.learning import TEX
from gateflow.plots.slope import LAWS
from tests.plots.tables import IN_ONE_PROCESS
from tests.plots.test_figure_looks import drawn_texts

pytestmark = IN_ONE_PROCESS

OWN = "sigmoid(where(z<0, z, 2*z))"
MINE = ("fast", "sigmoid(z+z**3)", OWN)
TAKING = sorted(name for name in FIGURES if FIGURES[name].gates)


def test_those_that_take_gates():
    assert set(TAKING) >= {"gates", "slope", "learning", "times", "timescales", "barrier"}


@pytest.mark.parametrize("name", TAKING)
def test_they_show_the_gates_asked_for_with_names_that_fit(name):
    numbers = FIGURES[name].compute(MINE)
    assert list(dict.fromkeys(numbers["gate"])) == list(MINE)
    picture = FIGURES[name].picture(numbers)
    FigureCanvasAgg(picture)
    texts = drawn_texts(picture)
    assert set(MINE) <= {word for word, _ in texts}
    width, height = picture.canvas.get_width_height()
    assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for _, box in texts)
    assert not [(a, b) for (a, p), (b, q) in combinations(texts, 2) if p.padded(-1).overlaps(q.padded(-1))]
    assert FIGURES[name].tell is None or all(one in FIGURES[name].told(numbers) for one in MINE)


def test_numbers_of_ones_own_gate_are_its_formulas():
    numbers = FIGURES["slope"].compute([OWN]).rows(gate=OWN)
    loss = numbers["loss"]
    np.testing.assert_allclose(numbers["slope"][1:], 2 * (loss * (1 - loss))[1:], rtol=1e-13)  # but for the kink
    values = FIGURES["gates"].compute({"mine": OWN}).rows(gate="mine")
    z = np.where(values["z"] < 0, 1, 2) * values["z"]
    np.testing.assert_allclose(values["phi"], 1 / (1 + np.exp(-z)), rtol=1e-14)
    steps = FIGURES["timescales"].compute([OWN])["time_constant"]
    wanted = [float(mpmath.log(1 / mpmath.expm1(1 / mpmath.mpf(x)))) / 2 for x in steps]
    np.testing.assert_allclose(FIGURES["timescales"].compute([OWN])["z"], wanted, rtol=1e-12)
    times = FIGURES["times"].compute([OWN])
    late = times["gap"] < 1e-9
    np.testing.assert_allclose(times["speed_up"][late], 4, rtol=1e-6)  # the time is proportional to 1/phi'^2


def test_a_flow_ends_up_on_the_law_drawn_beside_it():
    part = FIGURES["learning"].compute(["sigmoid(z+z**3)"]).rows(horizon=10.0)
    late = part["tau"] > 1e6
    off = np.abs(np.log(part["loss"][late] / part["law"][late]))
    assert np.all(np.diff(off) < 0)
    assert off[-1] < 0.3


@pytest.mark.parametrize(
    ("text", "law"),
    [
        ("softsign", lambda tau, T: T * (3 * T * tau) ** (-1 / 3)),
        ("sigmoid", lambda tau, T: 1 / tau),
        ("fast", lambda tau, T: 1 / (tau * np.log(tau) ** 2)),
        ("erf", lambda tau, T: 1 / (4 * tau * np.log(tau))),
    ],
)
def test_laws_are_those_by_hand(text, law):
    tau = np.array([1e3, 1e9, 1e200])
    np.testing.assert_allclose(log_law(gate(text), np.log(tau), horizon=7), np.log(law(tau, 7)), rtol=1e-14)


def test_a_gate_without_a_law_is_drawn_without_one():
    found = log_law(gate("hard-sigmoid"), np.array([1.0, 10.0]))
    assert np.isnan(found).all()


@pytest.mark.parametrize("name", LAWS)
def test_words_beside_the_lines_are_what_is_proved(name):
    """TeX of the figures, read back into the formula language by hand, against what `rate` derives."""
    h = {"$l^2$": "l**2", "$l$": "l", r"$l\,\log(1/l)$": "l*log(1/l)"}[LAWS[name]]
    assert parse(rate(name).h, variables=("l",)) == parse(h, variables=("l",))
    loss = {
        r", $T^{2/3}(3\tau)^{-1/3}$": lambda tau: 7 ** (2 / 3) * (3 * tau) ** (-1 / 3),
        r", $\tau^{-1}$": lambda tau: 1 / tau,
        r", $\tau^{-1}(\log\,\tau)^{-2}$": lambda tau: 1 / (tau * np.log(tau) ** 2),
    }[TEX[name]]
    tau = np.array([1e4, 1e11])
    np.testing.assert_allclose(np.exp(log_law(gate(name), np.log(tau), horizon=7)), loss(tau), rtol=1e-12)


def test_what_cannot_be_drawn_is_left_out_with_its_reason():
    numbers = FIGURES["timescales"].compute(["fast", "z**2"])
    assert set(numbers["gate"]) == {"fast"}
    assert set(numbers.parameters["left_out"]) == {"z**2"}
    with pytest.raises(InvalidArgument, match="nothing to draw"):
        FIGURES["timescales"].compute(["z**2"])


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ([], "one to 9 gates; got 0"),
        ([f"sigmoid({k}*z)" for k in range(1, 11)], "one to 9 gates; got 10"),
        (["fast", " fast"], "two of the gates are called fast"),
        (["fast(alpha=positive)"], "open parameter"),
    ],
)
def test_gates_that_no_figure_can_show_are_refused(wrong, message):
    with pytest.raises(InvalidArgument, match=message):
        named(wrong)


def test_every_line_has_colour_marker_and_dashes_of_its_own():
    looks = Looks(["a", "fast", "b", "sigmoid", *"cdefg"], legend=True)
    for part in ("colour", "marker"):
        assert len({getattr(look, part) for look in looks.values()}) == len(looks) == len(STROKES)
    assert len({str(look.dashes) for look in looks.values()}) == len(looks)
    assert looks["fast"].marker == Looks(["fast"], legend=False)["fast"].marker


@pytest.mark.parametrize("name", TAKING)
def test_lines_of_every_figure_have_marks_so_that_grey_tells_them_apart(name):
    """By its marker each line is known where there is no colour: none is without, and none has another's."""
    picture = FIGURES[name].picture()
    thick = [line for line in picture.axes[0].lines if line.get_linewidth() > 1]
    markers = [line.get_marker() for line in thick]
    assert len(set(markers)) == len(markers) >= 3
    assert not {"None", "", None} & set(markers)


def test_the_command_writes_them_with_the_command_that_makes_them_again(tmp_path, capsys):
    out = str(tmp_path)
    assert main(["figures", "timescales", "--gates", "fast", OWN, "-o", out, "--format", "svg", "--json"]) == 0
    made = json.loads((tmp_path / "timescales.json").read_text())
    assert made["command"] == f"gateflow figures timescales --gates fast '{OWN}'"
    with (tmp_path / "timescales.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["gate"] for row in rows} == {"fast", OWN}


def test_a_figure_of_something_else_refuses_gates_and_names_those_that_take_them(tmp_path):
    with pytest.raises(InvalidArgument, match=r"^training does not take gates; those that do: .*gates, .*slope"):
        figures(["training", "slope"], out=tmp_path, gates=["fast"])
    assert not list(tmp_path.iterdir())


def test_the_command_says_which_gates_it_leaves_out(tmp_path, capsys):
    assert main(["figures", "timescales", "--gates", "fast", "z**2", "-o", str(tmp_path), "--format", "svg"]) == 0
    assert capsys.readouterr().err.startswith("gateflow: timescales leaves out z**2: ")
