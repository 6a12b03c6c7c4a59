"""Figures of step sizes and crossovers: their numbers against formulas by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from scipy.integrate import quad

from gateflow.plots import FIGURES
from gateflow.plots._table import FigureTable
from gateflow.plots.crossover import HORIZON, MEANING, SCALES, STARTS, leads
from tests.plots.tables import IN_ONE_PROCESS, table

pytestmark = IN_ONE_PROCESS


def test_the_order_at_own_step_sizes_is_the_reverse_of_that_at_one():
    found = table("step-sizes")
    own = [found.rows(gate=name)["own_steps"] for name in ("softsign", "sigmoid", "fast")]
    common = [found.rows(gate=name)["steps"] for name in ("softsign", "sigmoid", "fast")]
    assert np.all(np.diff(own, axis=0) > 0)
    assert np.all(np.diff(common, axis=0) < 0)


def test_the_sigmoids_own_step_size_is_the_tolerance_over_the_slope():
    """Far out dz is the relative change of the time constant, and the slope at h* = 1 is 1/e."""
    part = FIGURES["step-sizes"].compute(["sigmoid"])
    assert part["own_lr"][-1] == pytest.approx(0.05 * math.e, rel=0.06)


@pytest.mark.parametrize(
    ("start", "scale", "first"), [(20, -1, "fast"), (20, 15, "linear-cubic"), (0, -1, "linear-cubic")]
)
def test_the_first_gate_is_that_of_the_shorter_integral(start, scale, first):
    profiles = {"fast": (np.arcsinh, np.cosh), "linear-cubic": (_cubic_root, lambda z: 1 + 3 * z * z)}
    begin, end = (-math.log(math.expm1(1 / x)) for x in (STARTS[start], SCALES[scale]))

    def log_time(name):
        inverse, slope = profiles[name]

        def log_density(u):
            return (HORIZON + 1) * np.logaddexp(0, -u) + u - 2 * np.log(slope(inverse(u)))

        top = max(log_density(begin), log_density(end))
        pieces = np.linspace(begin, end, 12)
        return top + math.log(sum(quad(lambda u: math.exp(log_density(u) - top), a, b)[0] for a, b in pairwise(pieces)))

    names = ["fast", "linear-cubic"]
    lead = leads(FIGURES["crossover"].compute(names), names)[names.index(first), start, scale]
    other = names[1 - names.index(first)]
    assert lead > 0
    assert lead == pytest.approx(log_time(other) - log_time(first), rel=1e-5)


def test_a_region_of_any_gate_bears_its_name_and_the_legend_has_its_shade():
    figure = FIGURES["crossover"]
    start, scale = (x.ravel() for x in np.meshgrid(STARTS, SCALES, indexing="ij"))
    ahead = np.where(scale > 1e9, 1.0, -1.0)  # the softsign above, erf below; the sigmoid nowhere
    log_tau = {"softsign": -ahead, "sigmoid": np.full_like(ahead, 2.0), "erf": ahead}
    blocks = [{"gate": name, "start": start, "timescale": scale, "log_tau": tau} for name, tau in log_tau.items()]
    axes = figure.picture(FigureTable.of(blocks, {"gate": "gate", **MEANING}), legend=True).axes[0]
    places = {text.get_text(): text.get_position() for text in axes.texts}
    assert set(places) == {"softsign", "erf"}
    assert places["softsign"][1] > 1e9 > places["erf"][1]
    shades = [tuple(map(float, patch.get_facecolor()[0])) for patch in axes.get_legend_handles_labels()[0]]
    assert len(set(shades)) == 3


def _cubic_root(u):
    """z where z + z^3 is u."""
    roots = np.roots([1, 0, 1, -u])
    return float(roots[np.argmin(np.abs(roots.imag))].real)
