"""Results as tables and pictures: what a table says is what the attributes say, row by row."""

from __future__ import annotations

import builtins
from functools import cache

import numpy as np
import pytest

import gateflow
from gateflow.descents.fitting import Steps
from gateflow.errors import MissingExtra
from gateflow.flows.plane import RefineProblem
from gateflow.flows.plane import flow as planar_flow
from gateflow.noise import Diffusion, NoisyDescent, Passage, Samples
from gateflow.results.status import Status
from gateflow.results.tabulated import Ended, Tabulated

pytestmark = pytest.mark.xdist_group("tabulated")  # each result is made once, in one process

PROBLEM = gateflow.LearningProblem("fast", horizon=10.0, gap=0.1)
GRID = gateflow.LearningProblem("fast", horizon=[[5.0], [10.0]], gap=[0.3, 0.2, 0.1])


HALF = gateflow.LearningProblem("sigmoid", horizon=10, target=0.5)
NOISY = NoisyDescent(HALF, Samples(scale="normal(1, 0.5)"), lr=0.01)
STILL = Diffusion(lambda z: -z, np.ones_like, -8.0, 8.0)
PLANE = RefineProblem(horizon=10, gap=1e-3)

MAKERS = {
    "time": lambda: gateflow.hitting_time(PROBLEM, 0.0),
    "times": lambda: gateflow.hitting_time(GRID, 0.0),
    "trajectory": lambda: gateflow.flow(PROBLEM, 0.0),
    "state": lambda: result("trajectory").at([1.0, 2.0]),
    "descent": lambda: gateflow.descent(PROBLEM, 0.0, lr=0.05),
    "descents": lambda: gateflow.descent(PROBLEM, 0.0, lr=[0.05, 0.1]),
    "step size": lambda: gateflow.step_size(PROBLEM, 0.0),
    "crossover": lambda: gateflow.crossover("fast", "sigmoid", PROBLEM),
    "sensitivities": lambda: gateflow.sensitivities(GRID, 0.0),
    "fit": lambda: gateflow.fit("fast(alpha)", Steps((100.0,)), within=(0.5, 2.0)),
    "planar trajectory": lambda: planar_flow(PLANE, (0.0, 0.0)),
    "planar state": lambda: result("planar trajectory").at([0.0, 1.0]),
    "stationary law": STILL.stationary,
    "passage": lambda: Passage(STILL, 0.0, 1.0),
    "runs": lambda: NOISY.paths(0.0, 3, seed=1).run(5),
}


@cache
def result(name):
    """One result of each class."""
    return MAKERS[name]()


@pytest.mark.parametrize("name", MAKERS)
def test_every_result_is_a_table_and_a_picture(name):
    found = result(name)
    assert isinstance(found, Tabulated)
    frame = found.to_frame()
    columns = found.columns()
    assert list(frame.columns) == list(columns)
    assert len(frame) == next(iter(columns.values())).size > 0
    axes = found.plot()
    assert axes.lines
    assert found.plot(axes) is axes


def test_rows_are_the_problems_in_their_order():
    times = result("times")
    frame = times.to_frame()
    assert frame.loc[(1, 2), "log_tau"] == times.log_tau[1, 2]
    assert frame["status"].tolist() == times.status.ravel().tolist()
    lines = times.plot().lines
    assert np.array_equal(lines[0].get_ydata(), times.log_tau.ravel())


def test_parameters_have_columns_of_their_own():
    found = result("sensitivities")
    assert np.array_equal(found.to_frame()["alpha"], found.parameters["alpha"].ravel())
    plane = result("planar trajectory")
    assert np.array_equal(plane.to_frame()["w"], plane.w)
    assert plane.plot().get_xlabel() == "z"


def test_success_is_the_target_reached():
    assert result("time").success is True
    assert gateflow.hitting_time(PROBLEM, 0.0, tau_max=1e-3).success is False
    both = gateflow.hitting_time(gateflow.LearningProblem("cubic", horizon=1, gap=0.1), [-1.0, 1.0])
    assert both.status.tolist() == [Status.STUCK, Status.REACHED]
    assert both.success.tolist() == [False, True]
    ended = [found for found in map(result, MAKERS) if isinstance(found, Ended)]
    assert ended
    assert all(np.all(found.success) for found in ended)


def test_without_pandas_a_table_says_what_to_install(monkeypatch):
    real = builtins.__import__

    def without(name, *rest, **more):
        if name == "pandas":
            raise ImportError(name)
        return real(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingExtra, match=r"a data frame needs the extra 'sweep': python -m pip install"):
        result("time").to_frame()
