"""Quantities of sweeps: each number is that of a single call, and laws that hold for every file of the folder."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

from gateflow import LearningProblem, descent, order
from gateflow.cli import main
from gateflow.errors import InvalidArgument, UnknownName
from gateflow.sweeps import QUANTITIES, sweep

xarray = pytest.importorskip("xarray")

TRAINED = {"task": "adding(held_out=8)", "horizon": [5, 6], "hidden": 3, "batch": 4, "steps": 4}


@pytest.mark.parametrize("name", QUANTITIES)
def test_a_quantity_names_all_that_it_takes_and_yields_once(name):
    kind = QUANTITIES[name]
    names = ["gate", "formula", *kind.variables, *kind.inputs, *kind.settings]
    assert len(set(names)) == len(names)
    for each in (*kind.variables.values(), *kind.inputs.values()):
        assert each.attributes["long_name"]
        assert {"units", "flag_meanings"} & set(each.attributes) or getattr(each, "text", False)


def test_steps_of_optimisers_are_those_of_single_descents(monkeypatch):
    monkeypatch.setenv("GATEFLOW_BACKEND", "numpy")
    axes = {"horizon": [5, 10], "gap": 0.1, "z0": [0, 1], "lr": [0.05, 0.1], "optimizer": "sgd, adam"}
    data = sweep(["fast", "sigmoid"], quantity="descent-steps", **axes, chunk=16)
    words = [word.replace("_", " ") for word in data.status.attrs["flag_meanings"].split()]
    for gate, T, z0, lr, name in [("fast", 5, 0, 0.1, "adam"), ("sigmoid", 10, 1, 0.05, "sgd")]:
        found = data.sel(gate=gate, horizon=T, z0=z0, lr=lr, optimizer=name).squeeze()
        alone = descent(LearningProblem(gate, horizon=T, gap=0.1), z0, name, lr=lr, backend="numpy")
        assert found.steps.item() == alone.steps
        assert found.z.item() == alone.z
        assert words[found.status.item()] == alone.status
        if alone.predicted.valid:
            assert found.predicted.item() == pytest.approx(float(alone.predicted.steps), rel=1e-9)
        else:
            assert np.isnan(found.predicted.item())


def test_orders_are_the_proved_verdicts():
    data = sweep(["fast", "softsign"], quantity="order", against=["sigmoid", "fast"])
    words = data.verdict.attrs["flag_meanings"].split()
    for gate in ("fast", "softsign"):
        for other in ("sigmoid", "fast"):
            assert words[data.verdict.sel(gate=gate, against=other).item()] == order(gate, other).verdict


def test_results_of_training_are_those_of_single_runs(tmp_path):
    from gateflow.training import train

    data = sweep(["fast", "sigmoid(2*z)"], quantity="trained", **TRAINED, seed=[0, 1])
    settings = {"hidden": 3, "batch": 4, "steps": 4, "device": "cpu"}
    for gate, T, seed in [("fast", 5, 1), ("sigmoid(2*z)", 6, 0)]:
        alone = train(f"adding(held_out=8, horizon={T})", **settings, forget_gate=gate, seed=seed)
        found = data.sel(gate=gate, horizon=T, seed=seed).squeeze()
        assert found.score.item() == alone.test["loss"]
        assert (found.steps_made.item(), found.status.item()) == (4, 0)
        assert np.isnan(found.solved_at.item())


@pytest.mark.slow  # by default hitting times are computed in processes
@pytest.mark.parametrize(
    ("quantity", "given"), [("order", {"against": ["sigmoid", "erf"], "chunk": 1}), ("trained", TRAINED)]
)
def test_processes_change_no_byte_of_any_quantity(quantity, given, tmp_path):
    pytest.importorskip("h5netcdf")
    for jobs in (1, 2):
        sweep("fast", quantity=quantity, **given, out=tmp_path / f"{jobs}.nc", jobs=jobs)
    assert (tmp_path / "1.nc").read_bytes() == (tmp_path / "2.nc").read_bytes()


def test_the_command_of_any_quantity_makes_the_same_file(tmp_path, monkeypatch):
    pytest.importorskip("h5netcdf")
    monkeypatch.chdir(tmp_path)
    for name, given in {
        "descent-steps": {"horizon": 10, "gap": 0.1, "lr": [0.05, 0.1], "optimizer": "sgd,adam"},
        "trained": TRAINED,
    }.items():
        data = sweep("fast", quantity=name, **given)
        program, *words = shlex.split(json.loads(data.attrs["record"])["command"])
        assert program == "gateflow"
        assert main([*words, "--out", f"{name}.nc"]) == 0
        again = xarray.load_dataset(f"{name}.nc", engine="h5netcdf")
        xarray.testing.assert_identical(again.drop_attrs(), data.drop_attrs())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"quantity": "order"}, "against must be a text, or several; got none"),
        ({"quantity": "order", "against": "fsat"}, "unknown gate 'fsat'"),
        ({"quantity": "order", "against": "fast,fast"}, "against holds 'fast' twice"),
        ({"quantity": "order", "against": "fast", "horizon": 3}, "order takes no horizon; it takes against"),
        ({"quantity": "descent-steps", "horizon": 3, "gap": 0.1}, "lr must be a number, or several; got none"),
        ({"quantity": "descent-steps", "horizon": 3, "gap": 0.1, "lr": -1}, "lr must be finite and above 0; got -1"),
        ({"quantity": "descent-steps", "horizon": 3, "gap": 0.1, "lr": 1, "optimizer": "sdg"}, "unknown optimi"),
        ({"quantity": "trained"}, "trained needs a task"),
        ({"quantity": "trained", "task": "adding", "hidden": 0}, "hidden must be at least 1; got 0"),
        ({"quantity": "trained", "task": "adding", "seed": 0.5}, "seed takes a whole number; got 0.5"),
        ({"quantity": "trained", "task": "addin"}, "unknown task 'addin'"),
        ({"quantity": "trained", "task": "adding", "steps": 1, "init": ["a"]}, "a sweep takes its init as a text"),
    ],
)
def test_inputs_that_do_not_fit_are_one_line_before_any_work(given, said, tmp_path):
    with pytest.raises((InvalidArgument, UnknownName), match=said) as refused:
        sweep("fast", **given, out=tmp_path / "a.nc")
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []
