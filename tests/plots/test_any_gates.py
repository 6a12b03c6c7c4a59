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
from gateflow.plots._gates import named
from gateflow.plots._laws import log_law, loss_in_tex, tex_of
from gateflow.plots._style import STROKES, LineStyles
from tests.plots.tables import IN_ONE_PROCESS, table
from tests.plots.test_figure_layout import drawn_texts

pytestmark = IN_ONE_PROCESS

OWN = "sigmoid(where(z<0, z, 2*z))"
MINE = ("fast", "sigmoid(z+z**3)", OWN)
TAKING = sorted(name for name in FIGURES if FIGURES[name].gates)


def test_those_that_take_gates():
    assert set(TAKING) >= {"gates", "slope", "learning", "times", "timescales", "barrier"}


@pytest.mark.parametrize("name", TAKING)
@pytest.mark.sampled(5)
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
    assert FIGURES[name].describe is None or all(one in FIGURES[name].description(numbers) for one in MINE)


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


@pytest.mark.parametrize(
    ("name", "h", "loss"),
    [
        ("softsign", "l^{2}", r"T^{2/3}(3\tau)^{-1/3}"),
        ("sigmoid", "l", r"\tau^{-1}"),
        ("fast", r"l\,\log(1/l)", r"\tau^{-1}(\log\,\tau)^{-2}"),
    ],
)
def test_words_beside_the_lines_are_what_is_proved(name, h, loss):
    """The laws by hand, as they are set beside their lines, and as they are drawn."""
    assert tex_of(rate(name).h) == h
    assert loss_in_tex(name) == loss
    for figure, law in (("slope", h), ("learning", loss)):
        picture = FIGURES[figure].picture(table(figure))
        assert f"{name}, ${law}$" in [text.get_text() for text in picture.axes[0].texts]
    by_hand = {
        "softsign": lambda tau: 7 ** (2 / 3) * (3 * tau) ** (-1 / 3),
        "sigmoid": lambda tau: 1 / tau,
        "fast": lambda tau: 1 / (tau * np.log(tau) ** 2),
    }[name]
    tau = np.array([1e4, 1e11])
    np.testing.assert_allclose(np.exp(log_law(gate(name), np.log(tau), horizon=7)), by_hand(tau), rtol=1e-12)


def test_the_speed_up_of_fast_is_drawn_beside_the_square_of_the_ratio_of_slopes():
    """What is gained by one step size: ds = dz/phi', so the times go as h(l)^-2, at l = (1 - lambda*)/T."""
    (law,) = [line for line in FIGURES["times"].picture(table("times")).axes[1].lines if line.get_linestyle() == "--"]
    gap, drawn = law.get_data()
    ratio = parse(f"({rate('fast').h})/({rate('sigmoid').h})", variables=("l",))
    (distance,) = ratio.free_symbols
    slopes = [float(ratio.subs(distance, one / 10)) for one in gap]
    np.testing.assert_allclose(drawn, np.square(slopes), rtol=1e-12)


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
    styles = LineStyles(["a", "fast", "b", "sigmoid", *"cdefg"], legend=True)
    for part in ("colour", "marker"):
        assert len({getattr(style, part) for style in styles.values()}) == len(styles) == len(STROKES)
    assert len({str(style.dashes) for style in styles.values()}) == len(styles)
    assert styles["fast"].marker == LineStyles(["fast"], legend=False)["fast"].marker


@pytest.mark.parametrize("name", sorted({*TAKING} - {"crossover"}))  # whose regions bear names
@pytest.mark.sampled(4)
def test_lines_of_every_figure_have_marks_so_that_grey_tells_them_apart(name):
    """By its marker each line is known where there is no colour: none is without, and none has another's."""
    picture = FIGURES[name].picture(table(name))
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
