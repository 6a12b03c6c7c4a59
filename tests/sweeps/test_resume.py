"""A sweep goes on where it was: killed, interrupted, damaged, or beside another."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import killing
import numpy as np
import pytest

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.runs import local, parts
from gateflow.runs.jobs import WorkersLost
from gateflow.sweeps import Sweep, sweep
from gateflow.sweeps import chunks as chunks_module

pytest.importorskip("h5netcdf")

SMALL = {"horizon": "1:1e3:4:log", "gap": "1e-9:0.1:5:log", "z0": "-3:3:3", "chunk": 8}


def killed_ten_times(out: Path, inputs: dict, seed: int) -> list[int]:
    """Make the file by a fork that is killed ten times; how many chunks were there after each."""
    random, counts = np.random.default_rng(seed), []

    def begun() -> int:
        child = os.fork()
        if child == 0:
            try:
                sweep(**inputs, out=out)
                os._exit(0)
            finally:
                os._exit(1)
        return child

    for _ in range(10):
        child, wanted = begun(), killing.there(out) + random.integers(1, 9)
        while killing.there(out) < wanted:
            assert os.waitpid(child, os.WNOHANG) == (0, 0), "it was over before it could be killed"
            time.sleep(0.001)
        time.sleep(random.random() * 0.01)
        os.kill(child, signal.SIGKILL)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        counts.append(killing.there(out))
        assert not out.exists()
    assert os.waitpid(begun(), 0)[1] == 0
    return counts


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")
@pytest.mark.parametrize("starts", [10, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_ten_times_it_ends_in_the_same_bytes(tmp_path, starts):
    inputs = {"gates": ["fast", "softsign"], "horizon": "1:1e4:20:log", "gap": "1e-12:0.1:20:log"}
    inputs |= {"z0": f"-2:2:{starts}", "chunk": 5 * starts}
    whole, killed = tmp_path / "whole.nc", tmp_path / "killed.nc"
    data = sweep(**inputs, out=whole)
    assert data.log_tau.size == 800 * starts
    counts = killed_ten_times(killed, inputs, seed=1)
    assert counts == sorted(counts)
    assert 10 <= counts[-1] < 160
    assert killed.read_bytes() == whole.read_bytes()
    assert not parts.folder_of(killed).exists()


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as Unix does")
@pytest.mark.parametrize("backend", ["numpy", "compiled"])
def test_the_command_killed_ten_times_at_random_ends_in_the_same_bytes(tmp_path, monkeypatch, backend):
    """100,000 problems in two processes: killed while it starts, computes, or writes; no process is left behind."""
    monkeypatch.setenv("GATEFLOW_BACKEND", backend)
    whole, killed = tmp_path / "whole.nc", tmp_path / "killed.nc"
    assert killing.commanded(whole, jobs=1).wait() == 0
    counts = killing.killed_at_random(killed, times=10, jobs=2, seed=9)
    assert 0 < counts[-1] < killing.CHUNKS
    assert killing.commanded(killed, jobs=2).wait() == 0
    assert killed.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["killed.nc", "whole.nc"]


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="sends signals as Unix does")
@pytest.mark.usefixtures("hears_ctrl_c")
def test_control_c_loses_nothing_and_says_so_in_one_line(tmp_path):
    """As a terminal sends it: to the command and its processes alike."""
    out = tmp_path / "times.nc"
    process = killing.commanded(out, jobs=2, stderr=subprocess.PIPE)
    while len(list(parts.folder_of(out).glob("*.npz"))) < 10:
        assert process.poll() is None
        time.sleep(0.005)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130
    told = f"what is done is kept in {out}.parts; the same command goes on from there\ngateflow: interrupted\n"
    assert err.decode() == told
    killing.assert_gone(process.pid)
    assert len(list(parts.folder_of(out).glob("*.npz"))) >= 10


@pytest.fixture
def begun(tmp_path, monkeypatch):
    """A sweep to ``times.nc`` that was interrupted after five of eight chunks, and what an undisturbed one writes."""
    out, whole = tmp_path / "times.nc", tmp_path / "whole.nc"
    sweep("fast", **SMALL, out=whole)
    interrupted(out, monkeypatch)
    return out, whole.read_bytes()


def interrupted(out, monkeypatch, after=5):
    genuine = parts.Parts.write

    def write(self, job, values):
        genuine(self, job, values)
        if len(list(self.folder.glob("*.npz"))) == after:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(parts.Parts, "write", write)
        with pytest.raises(KeyboardInterrupt):
            sweep("fast", **SMALL, out=out)


def computed(monkeypatch):
    """The chunks computed from now on."""
    genuine, found = Sweep.values, []

    def values(self, k):
        found.append(k)
        return genuine(self, k)

    monkeypatch.setattr(Sweep, "values", values)
    return found


def test_only_what_is_missing_is_computed(begun, monkeypatch):
    out, whole = begun
    done = computed(monkeypatch)
    sweep("fast", **SMALL, out=out)
    assert done == [5, 6, 7]
    assert out.read_bytes() == whole


def test_a_whole_file_is_read(begun, monkeypatch):
    out, _ = begun
    first = sweep("fast", **SMALL, out=out)
    done = computed(monkeypatch)
    assert sweep("fast", **SMALL, out=out).identical(first)
    assert done == []


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 cut off", "flip", "shape", "numbers"])
@pytest.mark.sampled(3)
def test_a_damaged_part_is_computed_again(begun, damage, monkeypatch):
    out, whole = begun
    part = parts.folder_of(out) / "00000002.npz"
    data = bytearray(part.read_bytes())
    if damage == "flip":
        data[len(data) // 3] ^= 0x10
        part.write_bytes(data)
    elif damage == "shape":
        np.savez(part, **{name: array[:3] if array.ndim else array for name, array in np.load(part).items()})
    elif damage == "numbers":
        np.savez(part, **{name: array + 1 if name == "log_tau" else array for name, array in np.load(part).items()})
    else:
        part.write_bytes(damage)
    done = computed(monkeypatch)
    sweep("fast", **SMALL, out=out)
    assert done == [2, 5, 6, 7]
    assert out.read_bytes() == whole


def test_another_sweep_does_not_mix_with_what_is_there(begun):
    out, _ = begun
    before = sorted(path.name for path in parts.folder_of(out).iterdir())
    with pytest.raises(InvalidArgument, match=r"times.nc.parts holds a sweep with other z0; .* \(--restart\)"):
        sweep("fast", **SMALL | {"z0": "-3:3:4"}, out=out)
    with pytest.raises(InvalidArgument, match="with other gates and chunk; "):
        sweep("fast(alpha=2)", **SMALL | {"chunk": 9}, out=out)
    assert sorted(path.name for path in parts.folder_of(out).iterdir()) == before


def test_results_of_other_versions_do_not_mix(begun, monkeypatch):
    out, _ = begun
    here = chunks_module.versions
    monkeypatch.setattr(chunks_module, "versions", lambda kind: {**here(kind), "gateflow": "9.9"})
    with pytest.raises(InvalidArgument, match="with other versions; "):
        sweep("fast", **SMALL, out=out)


def test_restart_drops_another_sweep_and_keeps_its_own(begun, monkeypatch):
    out, whole = begun
    done = computed(monkeypatch)
    sweep("fast", **SMALL, out=out, restart=True)
    assert done == [5, 6, 7]
    other = sweep("fast", horizon=10, gap=0.1, out=out, restart=True)
    assert other.log_tau.size == 1
    with pytest.raises(InvalidArgument, match=r"times.nc holds another sweep; .* \(--restart\)"):
        sweep("fast", **SMALL, out=out)
    sweep("fast", **SMALL, out=out, restart=True)
    assert out.read_bytes() == whole


def test_a_file_that_is_no_sweep_is_never_overwritten(tmp_path):
    out = tmp_path / "thesis.nc"
    out.write_bytes(b"two years of work")
    with pytest.raises(InvalidArgument, match="holds no sweep; choose another file"):
        sweep("fast", **SMALL, out=out, restart=True)
    assert out.read_bytes() == b"two years of work"
    assert list(tmp_path.iterdir()) == [out]


def test_a_file_with_altered_numbers_is_refused(begun):
    import h5py

    out, whole = begun
    out.write_bytes(whole)
    with h5py.File(out, "r+") as file:
        file["log_tau"][0, 0, 0, 0, 0] += 1e-9
    altered = out.read_bytes()
    for restart in (False, True):
        with pytest.raises(InvalidArgument, match="was altered: its digest does not fit; choose another file"):
            sweep("fast", **SMALL, out=out, restart=restart)
    assert out.read_bytes() == altered


def test_an_empty_file_that_a_full_disk_left_is_no_hindrance_to_a_restart(begun):
    out, whole = begun
    out.write_bytes(b"")
    with pytest.raises(InvalidArgument, match=r"is there, and empty; .* --restart"):
        sweep("fast", **SMALL, out=out)
    sweep("fast", **SMALL, out=out, restart=True)
    assert out.read_bytes() == whole


def test_two_at_once_do_not_write_one_file(begun):
    out, _ = begun
    plan = Sweep.of("fast", "hitting_time", 8, **{key: SMALL[key] for key in ("horizon", "gap", "z0")}, scale=1.0)
    made = ("sweep", plan.definition, plan.jobs, chunks_module.Arrays(plan))
    busy = pytest.raises(InvalidArgument, match="another process is at work on")
    with parts.opened(out, *made, restart=False), busy:
        sweep("fast", **SMALL, out=out)


def test_parts_left_by_a_kill_at_the_very_end_are_removed(begun):
    out, whole = begun
    out.write_bytes(whole)
    sweep("fast", **SMALL, out=out)
    assert not parts.folder_of(out).exists()


def test_files_of_others_in_the_folder_stay(begun):
    out, _ = begun
    note = parts.folder_of(out) / "note.txt"
    note.write_text("mine")
    sweep("fast", **SMALL, out=out)
    assert [path.name for path in parts.folder_of(out).iterdir()] == ["note.txt"]


def test_a_full_disk_is_one_line_and_loses_nothing(begun, monkeypatch):
    out, whole = begun

    def full(place, name, data, **_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("gateflow.files.Place.write", full)
        with pytest.raises(InvalidArgument, match=r"cannot write .*times.nc: No space left on device"):
            sweep("fast", **SMALL, out=out)
    sweep("fast", **SMALL, out=out)
    assert out.read_bytes() == whole


def mortal(work, jobs, stop, deliver):
    """Workers that are all lost after so many chunks."""
    for job in jobs[:deliver]:
        yield job, work(**job.arguments)
    if len(jobs) > deliver:
        raise WorkersLost


def test_lost_workers_are_replaced_as_long_as_they_deliver(monkeypatch):
    whole = sweep("fast", **SMALL)
    monkeypatch.setattr(local, "in_turn", partial(mortal, deliver=1))
    assert sweep("fast", **SMALL).identical(whole)


def test_workers_that_deliver_nothing_are_not_replaced_for_ever(monkeypatch):
    monkeypatch.setattr(local, "in_turn", partial(mortal, deliver=0))
    with pytest.raises(GateflowError, match="die before they deliver anything"):
        sweep("fast", **SMALL)


@pytest.mark.slow
def test_a_killed_process_of_several_is_replaced(begun, monkeypatch):
    """The first chunk kills the process that computes it, once."""
    out, whole = begun
    monkeypatch.setattr(local, "_called", DiesOnce(str(out.with_name("mark"))))
    sweep("fast", **SMALL, out=out, jobs=2)
    assert out.with_name("mark").exists()
    assert out.read_bytes() == whole


class DiesOnce:
    """Computes a chunk; the first process that is asked to kills itself instead."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, job):
        try:
            open(self.mark, "x").close()
        except FileExistsError:
            return local._called(job)  # the genuine one: nothing is patched in the processes
        return os.kill(os.getpid(), signal.SIGKILL)
