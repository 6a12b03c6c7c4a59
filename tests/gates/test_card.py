"""The card of a gate: well-formed, escaped, told to those who cannot see it, and drawn where the numbers say."""

import re
from xml.etree import ElementTree

import mpmath
import pytest

from gateflow.gates.card import POINTS, REACH, card, sketch
from gateflow.gates.gate import GATES, Gate, gate


def parsed(chosen):
    return ElementTree.fromstring(card(chosen))


def curves(chosen):
    """The points of each polyline, as numbers."""
    return [
        [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]
        for line in parsed(chosen).iter("polyline")
    ]


def levels(chosen):
    """The heights of the lines 0 and 1, read off the frame of the picture."""
    first, second, *_ = parsed(chosen).iter("path")
    return [float(re.match(r"M[\d.]+ ([\d.]+)L", path.attrib["d"])[1]) for path in (first, second)]


@pytest.mark.parametrize("name", GATES)
@pytest.mark.sampled(4)
def test_every_gate_of_the_catalogue_has_a_card(name):
    tree = parsed(gate(name))
    picture = tree.find(".//svg")
    _, _, width, height = map(float, picture.attrib["viewBox"].split())
    assert picture.attrib["role"] == "img"
    assert name in picture.attrib["aria-label"]
    assert tree.findtext(".//desc")
    assert tree.findtext(".//strong").startswith(name)
    for x, y in (point for curve in curves(gate(name)) for point in curve):
        assert 0 <= x <= width
        assert 0 <= y <= height


def test_the_curves_are_phi_and_its_derivative():
    value, slope = curves(gate("fast"))
    zero, one = levels(gate("fast"))
    assert len(value) == len(slope) == POINTS
    for i in (0, 40, 60, 75, POINTS - 1):
        z = mpmath.mpf(2 * REACH * i) / (POINTS - 1) - REACH
        phi = 1 / (1 + mpmath.exp(-mpmath.sinh(z)))
        assert (value[i][1] - zero) / (one - zero) == pytest.approx(float(phi), abs=1e-3)
        wanted = phi * (1 - phi) * mpmath.cosh(z)
        assert (slope[i][1] - zero) / (one - zero) == pytest.approx(float(wanted), abs=1e-3)


def test_the_alternative_text_says_what_the_picture_shows():
    told = parsed(gate("sigmoid")).find(".//svg").attrib["aria-label"]
    assert "phi rises from 0.00247 at z = -6 to 0.998 at z = 6; its slope is at most 0.25 here" in told


def test_names_and_formulas_are_escaped():
    hostile = Gate("where(z < 0, 1/(2 - z), 1 - 1/(2 + z))", name="<script>alert('&')</script>")
    text = card(hostile)
    assert "<script" not in text
    assert parsed(hostile).findtext(".//strong") == hostile.name
    assert "z &lt; 0" in text


def test_parameters_stand_beside_the_name_and_the_formula_is_latex():
    tree = parsed(gate("fast(alpha=2)"))
    assert tree.findtext(".//strong") == "fast(alpha=2)"
    assert tree.findtext(".//div/div").startswith(r"$\phi(z) = \sigma\left(")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("fast", "fast"),
        ("fast(alpha=1)", "fast"),
        ("fast(alpha=1/3)", "fast(alpha=1/3)"),
        ("student-t(6)", "student-t(6)"),
        ("sigmoid(z)", "sigmoid(z)"),
        ("sigmoid(z*k); k=2", "sigmoid(z*k), k = 2"),
    ],
)
def test_a_label_tells_what_it_takes_to_make_the_gate(text, told):
    assert gate(text).label == told


def test_colours_are_the_pages_own():
    """No colour but the page's text colour and a half-transparent grey: readable on white and on black."""
    colours = re.findall(r'(?:stroke|fill)="([^"]+)"|(?:color|border):([^;"]+)', card(gate("fast")))
    assert {a or b for a, b in colours} <= {
        "none",
        "currentColor",
        "rgba(128,128,128,.5)",
        "1px solid rgba(128,128,128,.5)",
    }


def test_a_break_in_the_slope_breaks_the_line():
    """A derivative without a finite value at a point is left out there, not drawn through."""
    steep = Gate(profile="sign(z)*sqrt(abs(z))", name="steep")
    value, *slope = curves(steep)
    assert len(value) == POINTS
    assert [len(run) for run in slope] == [POINTS // 2, POINTS // 2]


def test_a_gate_with_a_symbol_for_a_parameter_has_a_card_without_numbers():
    tree = parsed(Gate(profile="sinh(alpha*z)", parameters={"alpha": "positive"}))
    assert tree.find(".//svg") is None
    assert r"\alpha" in tree.findtext(".//div/div")


@pytest.mark.parametrize("name", GATES)
@pytest.mark.sampled(4)
def test_the_sketch_has_a_dot_in_every_column_at_the_height_of_phi(name):
    width, height = 24, 5
    *lines, _ = [line[2:] for line in sketch(gate(name), width, height).splitlines()]
    assert [len(line) for line in lines] == [width] * height
    for x in range(2 * width):
        z = REACH * (2 * x / (2 * width - 1) - 1)
        row = round((4 * height - 1) * (1 - float(gate(name).phi(z))))
        character = ord(lines[row // 4][x // 2]) - 0x2800
        assert character & [[1, 8], [2, 16], [4, 32], [64, 128]][row % 4][x % 2]


def test_notebooks_show_the_card():
    assert gate("fast")._repr_html_() == card(gate("fast"))
