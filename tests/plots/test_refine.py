"""The figure of the refine plane: its field and flows against the equation, its curves against laws, its files."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from gateflow.flows import LearningProblem, hitting_time
from gateflow.plots import FIGURES, figures
from gateflow.plots.refine import STARTS
from tests.plots import tables

pytestmark = tables.IN_ONE_PROCESS

table = partial(tables.table, "refine")


def gate(z, w):
    f, r = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-w))
    return r * (1 - (1 - f) ** 2) + (1 - r) * f**2


def test_the_field_is_the_slope_of_the_gate_turned_towards_the_target():
    part = table().rows(part="field")
    z, w, step = part["z"], part["w"], 1e-5
    along = np.array([gate(z + step, w) - gate(z - step, w), gate(z, w + step) - gate(z, w - step)])
    side = np.sign(0.999**0.1 - gate(z, w))
    exact = side * along / np.hypot(*along)
    usable = np.hypot(*along) > 1e-8  # where the difference has digits
    assert usable.sum() > 1000
    assert np.abs(np.array([part["dz"], part["dw"]]) - exact)[:, usable].max() < 1e-3


def test_the_level_is_the_target():
    part = table().rows(part="level")
    assert gate(part["z"], part["w"]) == pytest.approx(0.999**0.1, rel=1e-13)
    assert np.ptp(part["w"]) > 12


@pytest.mark.parametrize("start", STARTS)
def test_flows_run_along_the_field_to_the_target(start):
    part = table().rows(part="flow", name=f"{start[0]:g} {start[1]:g}")
    z, w = part["z"], part["w"]
    assert (z[0], w[0]) == pytest.approx(start)
    assert gate(z[-1], w[-1]) == pytest.approx(0.999**0.1, rel=1e-13)
    f, r = 1 / (1 + np.exp(-z)), 1 / (1 + np.exp(-w))
    slope = r * (1 - r) / (f * (1 - r) + r * (1 - f))  # dw/dz = g_w/g_z
    moved = np.cumsum(np.diff(z) * (slope[1:] + slope[:-1]) / 2)
    assert moved == pytest.approx(w[1:] - w[0], abs=0.01)


@pytest.mark.parametrize("name", ["sigmoid", "fast"])
def test_plain_curves_are_hitting_times(name):
    part = table().rows(part="curve", name=name)
    some = slice(60, 200, 20)
    decay = -np.log1p(-1e-12 - part["loss"][some])
    exact = hitting_time(LearningProblem(name, horizon=10, decay=decay), 0.0).tau
    assert exact == pytest.approx(part["tau"][some], rel=1e-6)


def test_refinement_halves_the_loss_of_sigmoid_and_leaves_that_of_fast():
    for name, wanted in (("sigmoid", 0.5), ("fast", 1.0)):
        plain, refined = (table().rows(part="curve", name=name + more)["loss"] for more in ("", " refined"))
        late = (plain < 1e-6) & (plain > 1e-9)
        assert np.median(refined[late] / plain[late]) == pytest.approx(wanted, abs=0.1)


def test_it_is_drawn_to_the_same_bytes_twice(tmp_path, monkeypatch):
    shown = replace(FIGURES["refine"], compute=table)  # the numbers are held to those of the repository
    monkeypatch.setattr(FIGURES.module("refine"), "FIGURE", shown)
    first, second = (figures("refine", out=tmp_path / run, formats="svg") for run in "ab")
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
