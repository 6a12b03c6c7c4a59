"""T8 (theory.md §6): the convex gate needs more steps from below and fewer from above, each at its own step size."""

from __future__ import annotations

import numpy as np
import pytest

from gateflow.descents import step_size
from gateflow.flows import LearningProblem
from tests.descents.pairs import Pairs, Ways, steps

OPTIMIZERS = ("sgd", "momentum", "adam")


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("side", "order"), [("below", 1), ("above", -1)])
@pytest.mark.parametrize("count", [40, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.sampled(5)
def test_pairs_of_certified_convexity_obey_the_theorem(count, side, order, optimizer):
    pairs, ways = Pairs.drawn(count, seed=1), Ways.drawn(count, 2, side)
    of_phi, of_psi = steps(pairs, ways, 0.005 if count == 40 else 0.002, optimizer)
    assert of_psi.min() > 20
    assert np.all(order * (of_phi - of_psi) >= 0)
    assert np.mean(order * (of_phi - of_psi) > 0) > 0.9


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(("side", "order"), [("below", 1), ("above", -1)])
@pytest.mark.parametrize("count", [1, pytest.param(20, marks=pytest.mark.slow)])
@pytest.mark.sampled(7)
def test_step_sizes_of_their_own_obey_it_too(count, side, order, optimizer):
    """By gateflow's own step sizes and simulations of the same pairs, given as formulas.

    For Adam the theorem is a limit: steps are so many that its memory of ten is short beside them.
    """
    tolerance = 2e-4 if optimizer == "adam" else 0.02
    hyper = {"sgd": {}, "momentum": {"beta": 0.5}, "adam": {"beta1": 0.5, "beta2": 0.9, "eps": 0.0}}[optimizer]
    pairs, ways = Pairs.drawn(count, seed=3), Ways.drawn(count, 4, side)
    y0 = pairs.unu(ways.profile(ways.start))
    z0 = pairs.unw(y0)
    for i in range(count):
        found = []
        for text, start in zip(pairs.formulas(i), (z0[i], y0[i]), strict=True):
            problem = LearningProblem(text, horizon=ways.horizon[i], decay=ways.target[i])
            found.append(step_size(problem, start, tolerance, optimizer, **hyper))
        of_phi, of_psi = found
        assert order * (of_phi.steps - of_psi.steps) >= 0
        assert order * (of_phi.by_integral - of_psi.by_integral) > 0
