"""Figures of registered experiments, on made-up runs: they draw what the analysis says, and nothing is cut."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import pytest

from gateflow.plots._study import arrivals, contrasts, pictures
from gateflow.study.analysis import analyse
from gateflow.study.experiments import EXPERIMENTS
from tests.plots.tables import IN_ONE_PROCESS
from tests.plots.test_figure_layout import drawn_texts
from tests.study.test_registered import made_up, write_runs

pytestmark = IN_ONE_PROCESS


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Analyses and plans of part A, part C and the bridge, with few seeds."""
    results = tmp_path_factory.mktemp("results")
    made = {}
    for name, factors in {
        "study-slopes": {"fast": 0.5, "sigmoid": 1, "softsign": 6},
        "study-start": {"": 2},
        "study-bridge": {"rung": 1},
    }.items():
        plan = replace(EXPERIMENTS[name], seeds=8 if name != "study-bridge" else 2)
        steps = (lambda arm, seed, plan=plan: plan.predicted[arm]) if plan.predicted else made_up(factors, 0.5)
        write_runs(plan, results, name, steps)
        made[name] = analyse(name, plan, results), plan
    return made


@pytest.mark.parametrize("name", ["study-slopes", "study-start", "study-bridge"])
def test_no_text_is_cut_or_overlaps(found, name):
    for picture in pictures(*found[name]).values():
        texts = drawn_texts(picture)
        width, height = picture.canvas.get_width_height()
        assert len(texts) > 6
        assert all(box.x0 >= 0 and box.y0 >= 0 and box.x1 <= width and box.y1 <= height for _, box in texts)
        assert not [(a, b) for (a, p), (b, q) in combinations(texts, 2) if p.padded(-1).overlaps(q.padded(-1))]


def test_the_curve_of_an_arm_is_the_share_that_arrived(found):
    analysis, _ = found["study-slopes"]
    flat, steep = arrivals(analysis).axes
    assert (flat.get_title(), steep.get_title()) == ("slope 1", "slope 3.11")
    line = next(line for line in flat.lines if line.get_label() == "fast")
    runs = analysis.arrivals["fast, slope 1"]
    for step, share in list(zip(*line.get_data(), strict=True))[:-1]:
        assert share == pytest.approx(sum(run.arrived and run.step <= step for run in runs) / len(runs))


def test_a_contrast_shows_its_interval_and_whether_it_is_rejected(found):
    analysis, _ = found["study-slopes"]
    axes = contrasts(analysis).axes[0]
    marks = [line for line in axes.lines if line.get_marker() == "o"]
    assert [line.get_markerfacecolor() == "black" for line in marks] == [each.differs for each in analysis.answers]
    assert [line.get_xdata()[0] for line in marks] == [each.ratio for each in analysis.answers]
    assert axes.get_xlim()[0] < min(each.low for each in analysis.answers)


def test_the_bridge_shows_every_cell_and_marks_where_theory_stops(found):
    (picture,) = pictures(*found["study-bridge"]).values()
    panels = picture.axes
    assert len(panels) == 6
    for axes in panels:
        points = [line for line in axes.lines if len(line.get_xdata()) == 1]
        assert len(points) == 18
        assert all(p.get_ydata()[0] == pytest.approx(p.get_xdata()[0], rel=0.12) for p in points)
        assert not axes.get_title().startswith("(")
