"""A sweep: its numbers against closed forms and single problems, its labels, its file."""

from __future__ import annotations

import json
import shlex
import sys

import mpmath
import numpy as np
import pytest

import gateflow
from gateflow.cli import main
from gateflow.errors import GateflowError, InvalidArgument, MissingExtra, UnknownName
from gateflow.flows import LearningProblem, Status, hitting_time
from gateflow.sweeps import Sweep, sweep

xarray = pytest.importorskip("xarray")

SMALL = {"horizon": "1:1e3:4:log", "gap": "1e-9:0.1:5:log", "z0": "-3:3:3", "scale": [1, 2]}


def test_the_package_is_the_function():
    data = gateflow.sweep("fast", horizon=10, gap=0.1)
    assert dict(data.sizes) == {"gate": 1, "horizon": 1, "gap": 1, "z0": 1, "scale": 1}


def test_sigmoid_over_one_step_takes_its_closed_form():
    """``e^z + 2z - e^-z = c tau + const`` (theory.md §4, T = 1)."""
    gaps = [2.0**-k for k in (1, 5, 20, 50)]
    data = sweep("sigmoid", horizon=1, gap=gaps, z0=[-2, 0.5, 3], scale=[1, 4])
    with mpmath.workdps(40):
        for gap in gaps:
            for z0 in (-2, 0.5, 3):
                for scale in (1, 4):
                    end = mpmath.log(1 / mpmath.mpf(gap) - 1)
                    passed = [mpmath.exp(z) + 2 * z - mpmath.exp(-z) for z in (mpmath.mpf(z0), end)]
                    tau = data.tau.sel(horizon=1, gap=gap, z0=z0, scale=scale).item()
                    assert tau == pytest.approx(float(abs(passed[1] - passed[0]) / scale), rel=1e-12)


def test_every_cell_is_the_problem_its_labels_say():
    data = sweep(["softsign", "fast", "sigmoid(z + z**3)"], **SMALL, chunk=7)
    assert data.log_tau.dims == ("gate", "horizon", "gap", "z0", "scale")
    random = np.random.default_rng(4)
    for _ in range(25):
        cell = {name: data[name].values[random.integers(size)] for name, size in data.sizes.items()}
        found = data.sel(cell)
        problem = LearningProblem(cell["gate"], horizon=cell["horizon"], gap=cell["gap"], scale=cell["scale"])
        alone = hitting_time(problem, cell["z0"])
        assert found.log_tau.item() == pytest.approx(alone.log_tau, rel=1e-14, abs=1e-14)
        assert tuple(Status)[found.status.item()] == alone.status


@pytest.mark.parametrize("way", ["target", "gap", "log_gap", "decay", "timescale"])
def test_the_target_may_be_given_in_five_ways(way):
    value = {"target": 0.99, "gap": 0.01, "log_gap": np.log(0.01), "decay": -np.log(0.99)}
    value["timescale"] = 20 / value["decay"]
    data = sweep("fast", horizon=20, **{way: value[way]})
    assert data[way].item() == value[way]
    alone = hitting_time(LearningProblem("fast", horizon=20, gap=0.01), 0.0)
    assert data.tau.item() == pytest.approx(alone.tau, rel=1e-12)


def test_statuses_are_numbers_that_the_attributes_explain():
    data = sweep(["fast", "cubic"], horizon=10, gap=[0, 0.1], z0=-2)
    words = data.status.attrs["flag_meanings"].split()
    assert data.status.attrs["flag_values"].tolist() == list(range(len(words)))
    assert data.status.dtype == data.status.attrs["flag_values"].dtype == np.int8
    for gate, gap, word in [("fast", 0, "asymptotic"), ("fast", 0.1, "reached"), ("cubic", 0.1, "stuck")]:
        assert words[data.status.sel(gate=gate, gap=gap).item()] == word
    assert data.log_tau.sel(gate="cubic").isin([np.inf]).all()


def test_everything_has_a_long_name_and_numbers_have_a_unit():
    data = sweep("fast", horizon=10, timescale=[10, 100])
    for name, variable in {**data.coords, **data.data_vars}.items():
        assert variable.attrs["long_name"], name
        if name not in ("gate", "formula", "status"):
            assert variable.attrs["units"], name
    assert data.horizon.attrs["units"] == data.timescale.attrs["units"] == "steps"


def test_gates_are_labelled_as_they_were_written_and_carry_their_formula():
    steep = gateflow.Gate("sigmoid(k*z)", parameters={"k": 2})
    data = sweep({"plain": "sigmoid", "steep": steep, "fast(alpha=2)": "fast(alpha=2)"}, horizon=10, gap=0.1)
    assert data.gate.values.tolist() == ["plain", "steep", "fast(alpha=2)"]
    assert data.formula.sel(gate="steep").item() == "sigmoid(k*z); k=2"
    assert data.log_tau.sel(gate="steep").item() != data.log_tau.sel(gate="plain").item()


@pytest.mark.parametrize("chunk", [1, 3, 15, 10_000])
def test_chunks_cover_all_problems_once_and_hold_one_gate_each(chunk):
    plan = Sweep.of(["fast", "sigmoid"], "hitting_time", chunk, horizon=[1, 10, 100], gap=[0.1], z0=[0, 1, 2, 3, 4])
    parts = [plan.part(k) for k in range(plan.chunks)]
    assert [i for part in parts for i in range(part.start, part.stop)] == list(range(plan.size))
    assert all(part.start // 15 == (part.stop - 1) // 15 for part in parts)
    assert all(1 <= part.stop - part.start <= chunk for part in parts)


def test_the_file_is_the_data_set(tmp_path):
    out = tmp_path / "deep" / "times.nc"
    from_file, in_memory = sweep(["fast", "sigmoid"], **SMALL, out=out), sweep(["fast", "sigmoid"], **SMALL)
    assert from_file.identical(xarray.load_dataset(out, engine="h5netcdf"))
    xarray.testing.assert_equal(from_file, in_memory)
    assert from_file.attrs == in_memory.attrs
    assert {name: from_file[name].dtype for name in from_file} == {name: in_memory[name].dtype for name in in_memory}
    assert [path.name for path in out.parent.iterdir()] == ["times.nc"]


def test_the_record_tells_a_command_that_makes_the_same_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = sweep(["fast", "sigmoid(z**3 + z)"], **SMALL, out="one.nc", chunk=50)
    made = json.loads(data.attrs["record"])
    assert made["problems"] == data.log_tau.size
    assert {"gateflow", "numpy", "python"} <= set(made["versions"])
    program, *arguments = shlex.split(made["command"])
    assert program == "gateflow"
    assert main([*arguments, "--out", "two.nc"]) == 0
    again = xarray.load_dataset("two.nc", engine="h5netcdf")
    xarray.testing.assert_identical(again.drop_attrs(), data.drop_attrs())
    assert json.loads(again.attrs["record"])["digest"] == made["digest"]


def test_two_processes_write_the_same_bytes_as_one(tmp_path):
    for jobs in (1, 2):
        sweep(["fast", "sigmoid"], **SMALL, out=tmp_path / f"{jobs}.nc", jobs=jobs, chunk=16)
    assert (tmp_path / "1.nc").read_bytes() == (tmp_path / "2.nc").read_bytes()


# --- refusals -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "error", "said"),
    [
        ({"horizon": 0.5}, InvalidArgument, "horizon must be finite and at least 1; got 0.5"),
        ({"gap": "0.1,1"}, InvalidArgument, r"gap must be in \[0, 1\); got 1"),
        ({"gap": None}, InvalidArgument, "exactly one of"),
        ({"decay": 1}, InvalidArgument, "exactly one of"),
        ({"z0": "1e999"}, InvalidArgument, "z0 must be finite"),
        ({"scale": [1, 0]}, InvalidArgument, "scale must be finite and above 0"),
        ({"gates": []}, InvalidArgument, "at least one gate"),
        ({"gates": 7}, InvalidArgument, "gates must be names"),
        ({"gates": ["fast", "fast"]}, InvalidArgument, "two gates are labelled 'fast'"),
        ({"gates": ["fsat"]}, GateflowError, "fast"),
        ({"gates": ["fast", "tanh(z)"]}, InvalidArgument, r"gate tanh\(z\): "),
        ({"gates": ["sigmoid(z**2)"]}, InvalidArgument, r"gate sigmoid\(z\*\*2\): .* falls"),
        ({"quantity": "hitting"}, UnknownName, "did you mean 'hitting-time'"),
        ({"chunk": 0}, InvalidArgument, "chunk must be"),
        ({"chunk": 1.5}, InvalidArgument, "chunk must be"),
        ({"jobs": -1}, InvalidArgument, "jobs must be"),
        ({"jobs": 2, "scheduler": "tcp://127.0.0.1:1"}, InvalidArgument, "not both"),
        ({"horizon": np.arange(1, 1e5), "z0": np.arange(1e5)}, InvalidArgument, "too many for one sweep"),
    ],
)
def test_bad_input_is_refused_in_one_line_before_any_work(changes, error, said, tmp_path):
    out = tmp_path / "times.nc"
    with pytest.raises(error, match=said) as refused:
        sweep(**{"gates": "fast", "horizon": 10, "gap": 0.1, "out": out, **changes})
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_no_scheduler_is_one_line(tmp_path, monkeypatch):
    pytest.importorskip("distributed")
    monkeypatch.setattr("gateflow.runs.cluster.PATIENCE", 0.5)
    with pytest.raises(InvalidArgument, match=r"no Dask scheduler answers at tcp://127\.0\.0\.1:9$"):
        sweep("fast", horizon=10, gap=0.1, out=tmp_path / "times.nc", scheduler="tcp://127.0.0.1:9")
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra_it_says_what_to_install(monkeypatch, tmp_path):
    for package, extras in (("xarray", {}), ("h5netcdf", {"out": tmp_path / "times.nc"})):
        with monkeypatch.context() as patched:
            patched.setitem(sys.modules, package, None)
            with pytest.raises(MissingExtra, match=r"a sweep needs the extra 'sweep': python -m pip install xarray "):
                sweep("fast", horizon=10, gap=0.1, **extras)


def test_a_sweep_of_another_loss_is_that_of_its_problems():
    """By name with a tolerance, and by the Laplace transform of the horizon; the record's command says both."""
    for loss, tolerance in (("squared", 1e-3), ("(1 + s/2)**(-2)", None)):
        data = sweep(["fast", "erf"], horizon=[10, 100], gap=0.01, loss=loss, tolerance=tolerance)
        for gate in ("fast", "erf"):
            problem = LearningProblem(gate, horizon=[10.0, 100.0], gap=0.01, loss=loss)
            expected = hitting_time(problem, 0.0, tolerance=tolerance).log_tau
            assert np.allclose(data.log_tau.sel(gate=gate).values.reshape(-1), expected, rtol=1e-12)
        command = json.loads(data.attrs["record"])["command"]
        assert "--loss" in command
        assert ("--tolerance" in command) is (tolerance is not None)


def test_a_smooth_loss_wants_a_tolerance_also_in_a_sweep():
    with pytest.raises(InvalidArgument, match="give a tolerance"):
        sweep("fast", horizon=10, gap=0.01, loss="squared")
