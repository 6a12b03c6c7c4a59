"""A sweep on a real Dask cluster, one worker of which is killed on the way."""

from __future__ import annotations

import os
import signal
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateflow.errors import InvalidArgument
from gateflow.sweep import Plan, parts, sweep
from gateflow.sweep import cluster as cluster_engine

distributed = pytest.importorskip("distributed")
pytest.importorskip("h5netcdf")


@contextmanager
def cluster(workers: int):
    """A scheduler and so many worker processes."""
    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": None, "silence_logs": 60}
    with distributed.LocalCluster(n_workers=workers, **options) as running:
        yield running


def pids(running) -> list[int]:
    with distributed.Client(running, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def kill_once_begun(pid: int, folder: Path, wanted: int) -> threading.Thread:
    """A thread that kills a process as soon as so many chunks are there."""

    def watch():
        while len(list(folder.glob("*.npz"))) < wanted:
            time.sleep(0.002)
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def swept_with_a_worker_killed(out: Path, inputs: dict, *, workers: int, wanted: int) -> None:
    with cluster(workers) as running:
        victim = pids(running)[0]
        killer = kill_once_begun(victim, parts.folder_of(out), wanted)
        sweep(**inputs, out=out, scheduler=running.scheduler_address)
        killer.join(timeout=5)
        assert not killer.is_alive()
        assert victim not in pids(running)


def test_a_killed_worker_costs_nothing(tmp_path):
    inputs = {"gates": ["fast", "softsign"], "horizon": "1:1e4:20:log", "gap": "1e-12:0.1:20:log", "z0": "-2:2:10"}
    inputs["chunk"] = 100
    sweep(**inputs, out=tmp_path / "here.nc")
    swept_with_a_worker_killed(tmp_path / "there.nc", inputs, workers=2, wanted=15)
    assert (tmp_path / "there.nc").read_bytes() == (tmp_path / "here.nc").read_bytes()


def test_a_worker_with_other_packages_is_refused(monkeypatch):
    plan = Plan.of("fast", "hitting_time", 4, horizon=10, gap=0.1, z0=0, scale=1)
    assert cluster_engine._values(plan, 0)["status"].tolist() == [0]
    monkeypatch.setattr(cluster_engine, "versions", lambda: {**plan.definition["versions"], "numpy": "1.0"})
    with pytest.raises(InvalidArgument, match=r"a worker has numpy 1\.0, and this process "):
        cluster_engine._values(plan, 0)


@pytest.mark.slow
def test_a_killed_worker_costs_nothing_in_a_large_sweep(tmp_path):
    inputs = {"gates": ["fast", "sigmoid", "softsign", "erf"], "horizon": "1:1e6:50:log", "gap": "1e-16:1e-2:50:log"}
    inputs |= {"z0": "-3:6:10", "chunk": 500}
    data = sweep(**inputs, out=tmp_path / "here.nc")
    assert data.log_tau.size == 100_000
    swept_with_a_worker_killed(tmp_path / "there.nc", inputs, workers=3, wanted=60)
    assert (tmp_path / "there.nc").read_bytes() == (tmp_path / "here.nc").read_bytes()
