"""The engine of every grid: laws that hold whoever does the jobs, and whatever kills them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jobs_of_tests as work
import numpy as np
import pytest

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.runs import parts
from gateflow.runs.grid import product, run
from gateflow.runs.jobs import Job

HERE = Path(__file__).parent
JOBS = product(n=range(30))

COMMAND = """
import sys
sys.path.insert(0, sys.argv[2])
import jobs_of_tests as work
from gateflow.runs.grid import product, run

if __name__ == "__main__":
    run(work.root, product(n=range(40), pause=[0.01]), out=sys.argv[1], processes=int(sys.argv[3]))
"""


@pytest.fixture(autouse=True)
def found_by_workers(monkeypatch):
    """Processes that are spawned find the jobs of tests."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(HERE), os.environ.get("PYTHONPATH", "")]))


def there(out: Path) -> int:
    return len(list(parts.folder_of(out).glob("*.json")))


# --- who does them ----------------------------------------------------------------------------------------------------


def test_in_turn_in_processes_and_on_a_cluster_the_bytes_are_the_same(tmp_path):
    distributed = pytest.importorskip("distributed")
    found = [run(work.root, JOBS, out=tmp_path / "turn.json")]
    found.append(run(work.root, JOBS, out=tmp_path / "processes.json", processes=2))
    options = {"n_workers": 1, "threads_per_worker": 2, "processes": False, "dashboard_address": None}
    with distributed.LocalCluster(**options, protocol="tcp", host="127.0.0.1") as cluster:
        address = cluster.scheduler_address
        found.append(run(work.root, JOBS, out=tmp_path / "cluster.json", scheduler=address))
    assert found[0] == found[1] == found[2] == run(work.root, JOBS)
    assert found[0].whole
    assert found[0].values["n=9"]["root"] == 3.0
    files = {(tmp_path / f"{name}.json").read_bytes() for name in ("turn", "processes", "cluster")}
    assert len(files) == 1
    assert len(list(tmp_path.iterdir())) == 3  # no parts are left


def test_a_whole_file_is_read_and_nothing_is_done_again(tmp_path, monkeypatch):
    first = run(work.root, JOBS, out=tmp_path / "a.json")
    monkeypatch.setattr("gateflow.runs.grid.ended", None)
    assert run(work.root, JOBS, out=tmp_path / "a.json") == first


# --- kills ------------------------------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")
@pytest.mark.parametrize("processes", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_at_random_moments_it_ends_in_the_same_bytes(tmp_path, processes):
    whole, killed = tmp_path / "whole.json", tmp_path / "killed.json"
    jobs = product(n=range(40), pause=[0.01])
    random, counts = np.random.default_rng(3), [0]

    def begun() -> subprocess.Popen:
        call = [sys.executable, "-c", COMMAND, str(killed), str(HERE), str(processes)]
        return subprocess.Popen(call, start_new_session=True, stderr=subprocess.DEVNULL)

    for _ in range(4):
        process, wanted = begun(), min(counts[-1] + random.integers(1, 9), 38)
        while there(killed) < wanted:
            assert process.poll() is None
            time.sleep(0.001)
        time.sleep(random.uniform(0, 0.01))
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert_gone(process.pid)
        counts.append(there(killed))
        assert not killed.exists()
    assert counts == sorted(counts)
    assert begun().wait() == 0
    run(work.root, jobs, out=whole)
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.json", "whole.json"]


def assert_gone(group: int) -> None:
    """No process of the group is left, some seconds after its leader was killed."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("processes are left behind")


def test_a_part_that_is_damaged_is_done_again(tmp_path):
    asked = iter(range(100))
    out = tmp_path / "a.json"
    found = run(work.root, JOBS, out=out, stop=lambda: next(asked) >= 5)
    assert (len(found.values), len(found.missing)) == (5, 25)
    path = parts.folder_of(out) / "00000003.json"
    path.write_text(path.read_text().replace('"n": 3', '"n": 4'))
    assert there(out) == 5
    assert list(run(work.root, JOBS, out=out, stop=lambda: True).values) == ["n=0", "n=1", "n=2", "n=4"]
    assert run(work.root, JOBS, out=out).values == run(work.root, JOBS).values


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")
def test_a_process_that_dies_is_replaced_and_its_jobs_are_done(tmp_path):
    found = run(work.dies_once, product(n=range(4), mark=[str(tmp_path / "mark")]), processes=2)
    assert (tmp_path / "mark").exists()
    assert list(found.values.values()) == [0, 1, 2, 3]


@pytest.mark.slow
def test_workers_that_always_die_are_given_up():
    with pytest.raises(GateflowError, match="die before they deliver anything"):
        run(work.dies, product(n=range(2)), processes=2)


# --- failures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("processes", [1, 2])
def test_a_job_that_fails_stops_no_other_and_is_tried_again_when_asked(tmp_path, processes):
    out, mends = tmp_path / "a.json", tmp_path / "mended"
    jobs = product(n=range(6), mends=[str(mends)])
    found = run(work.sometimes, jobs, out=out, processes=processes)
    assert {job.arguments["n"] for job in jobs if job.name in found.failures} == {1, 3, 5}
    assert next(iter(found.failures.values())) == "ValueError: 1 is odd, and that is all"
    assert not found.whole
    assert not out.exists()
    with pytest.raises(InvalidArgument, match=r"^3 of 6 failed, and are tried again by the same call\. [^\n]*$"):
        found.refuse_failures()
    mends.touch()
    again = run(work.sometimes, jobs, out=out, processes=processes)
    assert again.whole
    assert list(again.values.values()) == [0, 1, 2, 3, 4, 5]
    again.refuse_failures()


def test_what_json_cannot_hold_is_a_failure_and_none_is_a_result(tmp_path):
    found = run(work.unwritable, product(n=[1]), out=tmp_path / "a.json")
    assert "nothing that JSON can hold" in found.failures["n=1"]
    found = run(work.nothing, product(n=[1, 2]), out=tmp_path / "b.json")
    assert found.values == {"n=1": None, "n=2": None}


# --- stops ------------------------------------------------------------------------------------------------------------


def test_jobs_that_listen_are_given_the_time_to_stop(tmp_path):
    jobs = product(n=range(8), folder=[str(tmp_path)])

    def begun() -> bool:
        return len(list(tmp_path.glob("begun-*"))) == 2

    found = run(work.patient, jobs, processes=2, stop=begun)
    assert set(found.values.values()) <= {"stopped"}
    assert len(list(tmp_path.glob("stopped-*"))) == len(list(tmp_path.glob("begun-*"))) == 2
    assert len(found.values) + len(found.missing) == 8


# --- refusals ---------------------------------------------------------------------------------------------------------


def test_results_of_other_jobs_do_not_mix(tmp_path):
    out = tmp_path / "a.json"
    asked = iter(range(100))
    run(work.root, JOBS, out=out, stop=lambda: next(asked) >= 3)
    with pytest.raises(InvalidArgument, match=r"holds a grid with other jobs; .* \(--restart\)"):
        run(work.root, JOBS[:9], out=out)
    assert run(work.root, JOBS[:9], out=out, restart=True).whole
    mine = tmp_path / "mine.json"
    mine.write_text("two years of work")
    with pytest.raises(InvalidArgument, match="is there and is no result"):
        run(work.root, JOBS, out=mine)
    assert mine.read_text() == "two years of work"


def test_what_is_no_grid_is_one_line():
    with pytest.raises(InvalidArgument, match="two jobs have one name"):
        run(work.root, [Job("a", {"n": 1}), Job("a", {"n": 2})])
    with pytest.raises(InvalidArgument, match="jobs must be a whole number from 0 to 1024; got -1"):
        run(work.root, JOBS, processes=-1)
    with pytest.raises(InvalidArgument, match="not both"):
        run(work.root, JOBS, processes=2, scheduler="tcp://127.0.0.1:1")


def test_the_file_says_what_made_it(tmp_path):
    run(work.root, JOBS[:2], out=tmp_path / "a.json")
    found = json.loads((tmp_path / "a.json").read_text())
    assert found["definition"]["work"] == "jobs_of_tests.root"
    assert found["definition"]["versions"]["gateflow"]
    assert list(found["values"]) == ["n=0", "n=1"]
