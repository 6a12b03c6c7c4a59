"""The map of speed-ups: its numbers against quadrature in big floats, its two laws, and the files in the repository."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import mpmath
import numpy as np
import pytest

from gateflow.plots import FIGURES
from tests.plots import tables

pytestmark = tables.IN_ONE_PROCESS

table = partial(tables.table, "phase")

KEPT = Path(__file__).parents[2] / "figures"

MP = mpmath.MPContext()
MP.dps = 20


def learning_time(weight, horizon, gap, h_start):
    """``int e^h W(u)/q^2 dh`` between h* and the start (numerics.md), in log h, cut so that each rule converges."""
    horizon, low, high = MP.mpf(horizon), MP.log(-MP.log1p(-MP.mpf(gap))), MP.log(h_start)

    def density(log_h):
        h = MP.exp(log_h)
        u = -MP.log(MP.expm1(h / horizon))
        return MP.exp(h) * weight(u) / (horizon * MP.expm1(-h / horizon)) ** 2 * h

    pieces = int(MP.ceil((high - low) / 3))
    edges = [low + (high - low) * k / pieces for k in range(pieces + 1)]
    return MP.quad(density, edges, method="gauss-legendre")


@pytest.mark.parametrize("start", ["half", "constant"])
def test_speed_ups_agree_with_quadrature(start):
    part = table().rows(start=start)
    for k in np.random.default_rng(3).integers(0, len(part), 2):
        horizon, gap = part["horizon"][k], part["gap"][k]
        h_start = horizon * MP.log(2) if start == "half" else MP.one
        times = [learning_time(w, horizon, gap, h_start) for w in (lambda u: MP.one, lambda u: 1 / (1 + u * u))]
        assert part["speed_up"][k] == pytest.approx(float(times[0] / times[1]), rel=1e-11)


def test_past_the_end_of_the_plateau_neither_gate_is_faster():
    part = table().rows(start="half")
    plateau = 2.0 ** (part["horizon"] + 2) / part["horizon"] ** 2
    long = part["horizon"] > 20
    waiting, arriving = long & (plateau > 3e3 / part["gap"]), long & (plateau < 1e-6 / part["gap"])
    assert waiting.sum() > 100
    assert arriving.sum() > 100
    assert part["speed_up"][waiting].max() < 1.1
    assert part["speed_up"][arriving].min() > 300


def test_from_the_time_constant_the_speed_up_tends_to_the_square_of_the_logarithm():
    part = table().rows(start="constant")
    off = np.abs(np.log(part["speed_up"] / np.log(part["horizon"] / part["gap"]) ** 2))
    for horizon in np.unique(part["horizon"]):
        along = off[part["horizon"] == horizon][20:]
        assert np.all(np.diff(along) < 0)
        assert along[-1] < 0.05


def test_the_repository_holds_this_map():
    head, *lines = (KEPT / "phase.csv").read_text().splitlines()
    assert head == "start,horizon,gap,speed_up"
    cells = [line.split(",") for line in lines]
    assert [row[0] for row in cells] == table()["start"].tolist()
    for i, name in enumerate(["horizon", "gap", "speed_up"], 1):
        np.testing.assert_allclose([float(row[i]) for row in cells], table()[name], rtol=1e-9)
    assert json.loads((KEPT / "phase.json").read_text())["caption"] == FIGURES.about("phase")
    assert all((KEPT / f"phase.{form}").stat().st_size > 5000 for form in ("svg", "pdf", "png"))
