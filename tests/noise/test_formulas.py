"""Closed forms of noise against the quadrature and the equation, where steps are so small that the rest is little."""

from __future__ import annotations

import numpy as np
import pytest

from gateflow.descents.optimizers import OPTIMIZERS
from gateflow.errors import InvalidArgument
from gateflow.flows import LearningProblem
from gateflow.noise import NoisyDescent, Samples
from gateflow.noise.formulas import arrival_law, arrives, settles


def noisy(name="fast", optimizer="sgd", lr=1e-5, loss="absolute", scale=1.0, **varies):
    problem = LearningProblem(name, horizon=10, target=0.5, loss=loss, scale=scale)
    return NoisyDescent(problem, Samples(**varies), lr, optimizer)


@pytest.mark.parametrize("name", ["softsign", "fast"])
@pytest.mark.parametrize(
    ("optimizer", "varies"),
    [
        ("sgd", {"target": "beta(2, 3)", "batch": 4, "scale": 2.0}),
        (OPTIMIZERS["momentum"](beta=0.7), {"target": "beta(2, 3)"}),
        (OPTIMIZERS["rmsprop"](alpha=0.999), {"target": "beta(2, 3)", "batch": 4, "scale": 2.0, "lr": 1e-7}),
        ("sgd", {"scale_law": "normal(2, 40)", "batch": 2}),
        (OPTIMIZERS["momentum"](beta=0.5), {"scale_law": "normal(2, 20)"}),
    ],
    ids=["target", "target-momentum", "target-rmsprop", "scale", "scale-momentum"],
)
def test_deviations_about_the_target_are_those_of_the_quadrature(name, optimizer, varies):
    given = dict(varies)
    law = {"scale": given.pop("scale_law")} if "scale_law" in given else {}
    lr, scale = given.pop("lr", 1e-5), given.pop("scale", 1.0)
    problem = LearningProblem(name, horizon=10, target=0.5, scale=scale)
    one = NoisyDescent(problem, Samples(**given, **law), lr, optimizer)
    assert settles(one).value == pytest.approx(one.stationary().deviation, rel=0.01)


@pytest.mark.parametrize("name", ["fast", pytest.param("softsign", marks=pytest.mark.slow)])
def test_the_law_of_arrival_with_a_random_scale_is_inverse_gaussian_whatever_the_gate(name):
    problem = LearningProblem(name, horizon=10, timescale=8.0)
    one = NoisyDescent(problem, Samples(scale="normal(2, 6)", batch=3), 1e-3)
    further = NoisyDescent(LearningProblem(name, horizon=10, target=0.5), one.samples, 1e-3)
    formula = arrives(one, 1.0)
    law = arrival_law(formula)
    assert law.std() == pytest.approx(formula.value, rel=1e-9)
    shares = np.array([0.05, 0.5, 0.95])
    found = further.arrival(1.0, 8.0).quantile(shares) / 1e-3
    np.testing.assert_allclose(found, law.ppf(shares), rtol=0.01)


def test_a_formula_says_what_it_is_made_of():
    text = str(settles(noisy(target="beta(2, 2)", lr=4e-4)))
    formula, numbers = "sqrt(c)*sqrt(eta)/(2*sqrt(B)*sqrt(d))", "B = 1, c = 1, d = 1.5, eta = 0.0004"
    assert text == f"{formula} = 0.008165, normal, to first order ({numbers})"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"target": "values(0.3, 0.6)"}, "they have no density"),
        ({"horizon": "steps(1, 20)"}, "where the target or the scale varies"),
        ({"target": "beta(2, 2)", "scale": 1.0, "loss": "squared"}, "of the absolute loss; this is squared"),
    ],
)
def test_without_a_closed_form_it_is_said(given, message):
    with pytest.raises(InvalidArgument, match=message):
        settles(noisy(**given))
