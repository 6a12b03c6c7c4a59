"""What there is after ``import gateflow``: names, help, displays, pickles, equality; and lists that import little."""

import copy
import inspect
import multiprocessing
import pickle
import pydoc
import subprocess
import sys
import types
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpydoc.docscrape import FunctionDoc

import gateflow
import gateflow.nn
from gateflow import registry as registries
from gateflow.flows.plane import NoisyProblem, RefineProblem, SharedProblem, flow, portrait
from gateflow.guards.calls import option_defaults
from gateflow.nn.linear import LINEAR
from gateflow.results.byvalue import same
from gateflow.training.network import LAYOUT, cell_options
from tests.notebook.test_cards import objects

LONGEST = 600
"""Characters of a display."""


@pytest.fixture(scope="module")
def made():
    refine = RefineProblem(horizon=1, gap=0.1)
    return {
        **dict(objects()),
        "refine": refine,
        "shared": SharedProblem("sigmoid", inputs=[0.0, 1.0], horizon=10, gap=0.1),
        "noisy": NoisyProblem(horizon=10, gap=0.1),
        "planar": flow(refine, (0.0, 0.0)),
        "portrait": portrait(refine, count=3),
        "settings": gateflow.training.Settings(task="adding"),
        "batch": gateflow.training.Batch(torch.zeros(2, 3, 1), torch.tensor([0.0, float("nan")])),
        "gate": gateflow.gate("fast(alpha=2)"),
        "loss": gateflow.losses.loss("squared"),
    }


def test_everything_has_an_equal_after_a_pickle_and_a_copy(made):
    for name, thing in made.items():
        for again in (pickle.loads(pickle.dumps(thing)), copy.copy(thing), copy.deepcopy(thing)):
            assert (again == thing) is True, name
            assert (again != thing) is False, name
            assert hash(again) == hash(thing), name
        assert (thing == 3) is False, name
        assert (thing is None or thing == None) is False, name  # noqa: E711
    distinct = {id(thing): thing for thing in made.values()}
    assert len({*distinct.values()}) == len(distinct)


def test_what_differs_in_one_number_is_not_equal(made):
    times = made["times"]
    other = replace(times, tau=np.where(np.arange(5) == 4, 2 * times.tau, times.tau))
    assert (times == other) is False
    assert (replace(times, tau=times.tau[:4]) == times) is False
    first, second = (gateflow.LearningProblem("fast", horizon=np.array([1.0, far]), gap=0.1) for far in (10.0, 10.5))
    assert (first == second) is False


def test_a_set_and_a_mapping_hold_results(made):
    again = pickle.loads(pickle.dumps(made))
    assert {made[name]: name for name in made} == {again[name]: name for name in again}


@pytest.mark.parametrize(
    ("first", "second", "equal"),
    [
        (np.array([1.0, np.nan]), np.array([1.0, np.nan]), True),
        (np.array([1, 2]), np.array([1.0, 2.0]), True),
        (np.array([[1.0, 2.0]]), np.array([1.0, 2.0]), False),
        (np.array([0.0]), np.array([-0.0]), True),
        (np.array(["a", None], dtype=object), np.array(["a", None], dtype=object), True),
        (np.array([1.0]), [1.0], False),
        (torch.tensor([1.0]), torch.tensor([2.0]), False),
        ([np.zeros(2)], [np.zeros(3)], False),
        ({"a": np.zeros(2)}, {"a": np.zeros(2)}, True),
        ({"a": 1}, {"b": 1}, False),
        (float("nan"), float("nan"), True),
    ],
)
def test_sameness(first, second, equal):
    assert same(first, second) is equal
    assert same(second, first) is equal


def test_everything_shows_itself_in_a_few_words(made):
    for name, thing in made.items():
        shown = repr(thing)
        assert len(shown) <= LONGEST, (name, len(shown))
        assert "\n" not in shown, name
        assert "array(" not in shown, name
    assert repr(made["order"]).startswith("<Order fast against sigmoid: higher")
    assert repr(made["ranking"]) == "<Ranking, highest first: fast; erf; sigmoid = sigmoid(2*z)>"
    assert str(made["comparison"]).count("\n") >= 4


def test_every_public_function_can_be_sent_to_another_process():
    for package in (gateflow, gateflow.nn, gateflow.training):
        for name in package.__all__:
            thing = getattr(package, name)
            if isinstance(thing, types.ModuleType):
                continue
            assert pickle.loads(pickle.dumps(thing)) == thing, name


def test_a_run_and_the_table_of_runs_are_results_too(tmp_path):
    from gateflow.training.results import table

    tiny = {"hidden": 2, "steps": 2, "batch": 4, "evaluate_every": 1}
    found = gateflow.training.train("adding(horizon=5, held_out=16)", out=tmp_path / "run", **tiny)
    for thing in (found, table(tmp_path), table(tmp_path).groups[0], table(tmp_path).groups[0].runs[0]):
        again = pickle.loads(pickle.dumps(thing))
        assert (again == thing) is True
        assert hash(again) == hash(thing)
        assert len(repr(thing)) < LONGEST
    assert repr(found).startswith("<Result of adding(horizon=5, held_out=16): finished at step 2; loss ")


def test_a_pool_makes_gates():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.map(gateflow.gate, ["fast", "sigmoid"]) == [gateflow.gate("fast"), gateflow.gate("sigmoid")]


def test_arguments_may_be_named_everywhere():
    numbers = gateflow.gate("sigmoid").float64
    assert numbers.phi(z=0.0) == 0.5
    assert numbers.inverse(p=0.5) == 0.0


def test_modules_are_reached_and_dir_tells_what_is_public():
    program = "import gateflow; print(gateflow.nn.__name__, gateflow.plots.FIGURES.kind, gateflow.errors.__name__)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["gateflow.nn", "figure", "gateflow.errors"]
    for package, more in ((gateflow, {"nn", "plots", "errors"}), (gateflow.nn, set())):
        names = {*dir(package)}
        assert names >= {*package.__all__, *more}
        assert not names & {"Any", "TYPE_CHECKING", "importlib", "annotations", "sys", "find_spec"}
        assert not [name for name in names if name.startswith("_") and name != "__version__"]
        assert all(hasattr(package, name) for name in names)
    assert {"certificate", "verify"} <= {*dir(gateflow)}


def functions(*packages):
    """Every public function."""
    named = {name: getattr(package, name) for package in packages for name in package.__all__}
    return [pytest.param(thing, id=name) for name, thing in named.items() if inspect.isfunction(thing)]


@pytest.mark.parametrize("function", functions(gateflow, gateflow.nn, gateflow.training))
def test_help_shows_how_a_function_is_called(function):
    text = " ".join(pydoc.plain(pydoc.render_doc(function)).split())
    parts, arguments = FunctionDoc(function), inspect.signature(function).parameters
    assert f"{function.__name__}({next(iter(arguments))}" in text
    assert " ".join(" ".join(parts["Summary"]).split()) in text
    assert "(*args, **keywords)" not in text
    described = {name.strip(" *") for part in parts["Parameters"] for name in part.name.split(",")}
    assert described == {*arguments}
    assert ">>> " in "".join(parts["Examples"])


def test_every_method_of_a_public_class_says_what_it_does():
    packages = (gateflow, gateflow.nn, gateflow.training)
    public = [getattr(package, name) for package in packages for name in package.__all__]
    for each in filter(inspect.isclass, public):
        assert inspect.getdoc(each), each
        for name, part in vars(each).items():
            if not name.startswith("_") and (inspect.isfunction(part) or hasattr(part, "__get__")):
                assert inspect.getdoc(getattr(each, name) if inspect.isfunction(part) else part), (each, name)


HEAVY = ("torch", "scipy.stats", "matplotlib", "xarray")


@pytest.mark.parametrize(
    ("line", "heavy"), [("train --list", HEAVY), ("experiment list", (*HEAVY, "sympy", "scipy", "gateflow.flows"))]
)
def test_lists_import_little(line, heavy):
    program = f"""
import sys
import types
from gateflow.cli import main
code = main({[*line.split(), "--json"]})
print(code, *(name for name in {heavy} if name in sys.modules), file=sys.stderr)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stderr.split() == ["0"]


REGISTRIES = {
    "tasks": (gateflow.training.TASKS, option_defaults),
    "initialisers": (gateflow.nn.INITS, option_defaults),
    "cells": (gateflow.nn.CELLS, None),
    "layers with a linear state": (LINEAR, None),
}


@pytest.mark.parametrize("kind", REGISTRIES)
def test_options_that_are_read_are_those_that_python_knows(kind):
    registry, asked = REGISTRIES[kind]
    for name in registry:
        read = registries.options(registry.home(name), registry.attribute)
        known = cell_options(name) if asked is None else asked(registry[name])
        besides = LAYOUT if asked is None else ()
        assert [(key, value) for key, value in read.items() if key not in besides] == list(known.items()), name
        assert registries.attribute(registry.home(name), registry.attribute, "source") == getattr(
            registry[name], "source", None
        )
