"""What a figure must be to stand in a paper: one column wide, nothing cut or overlapping, told apart in grey."""

from __future__ import annotations

from itertools import combinations

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.text import Text

from gateflow.plots import FIGURES
from gateflow.plots._style import GATE_STYLES
from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS


def drawn_texts(picture):
    canvas = FigureCanvasAgg(picture)
    canvas.draw()
    texts = [text for text in picture.findobj(Text) if text.get_text() and text.get_visible()]
    shown = [text for text in texts if text.get_window_extent().width > 0 and not is_tick_outside(text)]
    return [(text.get_text(), text.get_window_extent()) for text in shown]


def is_tick_outside(text):
    """Matplotlib keeps labels for ticks past the limits of an axis; they are never drawn."""
    for axes in text.figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in [*axis.get_major_ticks(), *axis.get_minor_ticks()]:
                if text in (tick.label1, tick.label2):
                    return not low <= tick.get_loc() <= high
    return False


@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.sampled(2)
def test_one_column_wide_with_no_text_cut_or_overlapping(name):
    picture = FIGURES[name].picture(table(name))
    assert picture.get_figwidth() == 3.35
    texts = drawn_texts(picture)
    width, height = picture.canvas.get_width_height()
    assert len(texts) > 8
    for word, box in texts:
        assert box.x0 >= 0, word
        assert box.y0 >= 0, word
        assert box.x1 <= width, word
        assert box.y1 <= height, word
    # boxes hold a pixel of air around the ink, and labels of two axes may share that at a corner
    touching = [(a, b) for (a, p), (b, q) in combinations(texts, 2) if p.padded(-1).overlaps(q.padded(-1))]
    assert not touching


def test_a_gate_of_higher_order_of_saturation_is_darker():
    grey = [
        sum(c * w for c, w in zip(to_rgb(style.colour), (0.299, 0.587, 0.114), strict=True))
        for style in GATE_STYLES.values()
    ]
    assert list(GATE_STYLES) == ["softsign", "sigmoid", "fast"]
    assert grey[0] - grey[1] > 0.15
    assert grey[1] - grey[2] > 0.15
    assert len({style.marker for style in GATE_STYLES.values()}) == 3


def in_grey(line):
    """What is left of a line where colours are printed in grey: its mark and its dashes, if it is no thin guide."""
    mark = line.get_marker() if line.get_markersize() else None
    return (
        None if mark in ("None", "", None) else mark,
        line.get_linestyle(),
        tuple(line._unscaled_dash_pattern[1] or ()),
    )


@pytest.mark.parametrize("name", list(FIGURES))
@pytest.mark.sampled(2)
def test_lines_of_a_panel_differ_in_grey_by_mark_or_dash(name):
    """Thin lines go with the line of their gate, which they end in, or only guide the eye."""
    picture = FIGURES[name].picture(table(name))
    for panel in picture.axes:
        seen = {}
        for line in panel.get_lines():
            if line.get_linewidth() > 0.5 or line.get_marker() not in ("None", ""):
                colours = seen.setdefault(in_grey(line), set())
                colours.add(to_rgb(line.get_color()))
        assert all(len(colours) == 1 for colours in seen.values()), seen
