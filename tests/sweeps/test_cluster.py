"""A sweep on a real Dask cluster, one worker of which is killed on the way."""

from __future__ import annotations

import importlib.util

import killing
import pytest

from gateflow.errors import InvalidArgument
from gateflow.sweeps import Sweep, chunks, sweep

there = all(map(importlib.util.find_spec, ("distributed", "h5netcdf")))  # imported by the one process that needs them
pytestmark = pytest.mark.skipif(not there, reason="distributed or h5netcdf is not installed")


@pytest.mark.slow
def test_a_killed_worker_costs_nothing(tmp_path):
    inputs = {"gates": ["fast", "softsign"], "horizon": "1:1e4:20:log", "gap": "1e-12:0.1:20:log", "z0": "-2:2:3"}
    inputs["chunk"] = 50
    sweep(**inputs, out=tmp_path / "here.nc")
    killing.swept_with_a_worker_killed(tmp_path / "there.nc", inputs, workers=2, wanted=15)
    assert (tmp_path / "there.nc").read_bytes() == (tmp_path / "here.nc").read_bytes()


def test_a_worker_with_other_packages_is_refused(monkeypatch):
    plan = Sweep.of("fast", "hitting_time", 4, horizon=10, gap=0.1, z0=0, scale=1)
    assert chunks.values(plan, 0)["status"].tolist() == [0]
    monkeypatch.setattr(chunks, "versions", lambda kind: {**plan.definition["versions"], "numpy": "1.0"})
    with pytest.raises(InvalidArgument, match=r"a worker has numpy 1\.0, and this process "):
        chunks.values(plan, 0)


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_a_killed_worker_costs_nothing_in_a_large_sweep(tmp_path, monkeypatch, backend):
    monkeypatch.setenv("GATEFLOW_BACKEND", backend)
    inputs = {"gates": killing.GATES, **killing.AXES, "chunk": killing.CHUNK}
    data = sweep(**inputs, out=tmp_path / "here.nc")
    assert data.log_tau.size == 100_000
    killing.swept_with_a_worker_killed(tmp_path / "there.nc", inputs, workers=3, wanted=60)
    assert (tmp_path / "there.nc").read_bytes() == (tmp_path / "here.nc").read_bytes()
