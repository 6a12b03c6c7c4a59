"""``gateflow sweep``: its file, its summary, its refusals."""

import json
from pathlib import Path

import pytest

from gateflow.flows import LearningProblem, hitting_time
from gateflow.sweeps import Sweep, sweep

xarray = pytest.importorskip("xarray")
pytest.importorskip("h5netcdf")


@pytest.fixture
def swept(gateflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        code, out, err = gateflow("sweep", *arguments, "--json")
        assert (code, err) == (0, "")
        return json.loads(out)

    return call


@pytest.mark.parametrize("z0", [("--z0", "-3:3:7"), ("--z0=-3:3:7",), ("--z0", "-3,-2,-1,0,1,2,3")])
def test_the_file_holds_the_product_of_the_axes(z0, swept):
    answer = swept("fast", "sigmoid(2*z)", "--horizon", "1:1e4:5:log", "--gap", "1e-3,1e-6", *z0, "-o", "a.nc")
    assert answer["out"] == "a.nc"
    assert answer["problems"] == 140
    assert answer["axes"] == {"gate": 2, "horizon": 5, "gap": 2, "z0": 7, "scale": 1}
    assert answer["status"] == {"reached": 140}
    data = xarray.load_dataset("a.nc", engine="h5netcdf")
    assert data.gate.values.tolist() == ["fast", "sigmoid(2*z)"]
    assert data.z0.values.tolist() == [-3, -2, -1, 0, 1, 2, 3]
    found = data.sel(gate="sigmoid(2*z)", horizon=100, gap=1e-6, z0=-2, scale=1)
    alone = hitting_time(LearningProblem("sigmoid(2*z)", horizon=100, gap=1e-6), -2.0)
    assert found.log_tau.item() == pytest.approx(alone.log_tau, rel=1e-14)


def test_the_command_writes_the_bytes_of_the_call(swept):
    swept("fast", "sigmoid", "--horizon", "10,100", "--gap", "0.1", "--z0", "0,0.5", "-o", "command.nc")
    sweep(["fast", "sigmoid"], horizon=[10, 100], gap=0.1, z0=[0.0, 0.5], out="call.nc")
    assert Path("command.nc").read_bytes() == Path("call.nc").read_bytes()


def test_gates_may_have_parameters_after_a_semicolon(swept):
    swept("sigmoid(k*z); k=2", "sigmoid(k*z); k=3", "--horizon", "10", "--timescale", "100")
    data = xarray.load_dataset("times.nc", engine="h5netcdf")
    assert data.gate.values.tolist() == ["sigmoid(k*z); k=2", "sigmoid(k*z); k=3"]
    assert data.log_tau[0].item() != data.log_tau[1].item()


def test_a_human_is_told_what_was_computed(gateflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = gateflow("sweep", "fast", "cubic", "--horizon", "10", "--gap", "0,0.1", "--z0", "-2")
    assert (code, err) == (0, "")
    lines = [line.split(maxsplit=1) for line in out.splitlines()]
    assert dict(lines)["file"] == "times.nc"
    assert dict(lines)["status"] == "reached 1, asymptotic 1, stuck 2"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("fast", "--horizon", "1:2", "--gap", "0.1"), "horizon takes a number, numbers with commas"),
        (("fast", "--horizon", "10"), "give exactly one of"),
        (("fast", "fast", "--horizon", "10", "--gap", "0.1"), "the gate fast is given twice"),
        (("fast", "--horizon", "10", "--gap", "0.1", "--jobs", "-2"), "jobs must be"),
        (("fast", "--horizon", "10", "--gap", "0.1", "--quantity", "speed"), "unknown quantity 'speed'"),
        (("fast", "--horizon", "10", "--gap", "0.1", "--out", "."), "names a folder; give the file to write"),
        (("sigmoid(z); k=1", "--horizon", "10", "--gap", "0.1"), "there is no k"),
    ],
)
def test_bad_input_is_one_line_and_code_2(arguments, said, gateflow, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, out, err = gateflow("sweep", *arguments)
    assert (code, out) == (2, "")
    assert err.startswith("gateflow: error: ")
    assert err.count("\n") == 1
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_interrupted_it_tells_where_the_results_are(gateflow, tmp_path, monkeypatch):
    genuine = Sweep.values

    def interrupted(self, k):
        if k == 2:
            raise KeyboardInterrupt
        return genuine(self, k)

    monkeypatch.chdir(tmp_path)
    arguments = ("sweep", "fast", "--horizon", "10", "--gap", "0.1,0.2,0.3", "--chunk", "1")
    with monkeypatch.context() as patched:
        patched.setattr(Sweep, "values", interrupted)
        code, out, err = gateflow(*arguments)
    assert (code, out) == (130, "")
    assert "what is done is kept in times.nc.parts; the same command goes on from there" in err
    assert len(list((tmp_path / "times.nc.parts").glob("*.npz"))) == 2
    assert gateflow(*arguments).code == 0
