"""Closed streams, broken pipes, full disks, and signals: commands end as their help promises."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import pytest

from gateflow.cli import main

pytestmark = pytest.mark.skipif(os.name != "posix", reason="streams and signals as Unix has them")

COMMAND = f"{sys.executable} -m gateflow"
PROBLEM = "--horizon 10 --gap 0.1"
SLOW = pytest.mark.slow


def shell(line: str, **more) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, timeout=120, check=False, **more)


CLOSED = """
import os, sys
from gateflow.cli import main
if sys.stdout is None and main(["show", "fast"]) != 0:  # as in a program without a console
    os._exit(8)
from gateflow.__main__ import open_streams
closed = sys.stdout is None
open_streams()
for words in (["gates"], ["show", "fast"], ["order", "fast", "sigmoid", "--certificate", "order.json"], ["time", "no"],
              ["flow", "fast", "--horizon", "10", "--gap", "0.1", "--figure", "flow.svg"], ["gates", "--json"]):
    expected = 2 if closed or words == ["time", "no"] else 0  # a lost answer is an error
    if main(words) != expected:
        os._exit(9)
    if closed:  # anew
        os.close(1)
        open_streams()
os._exit(0)
"""


@pytest.mark.parametrize("closed", ["<&- >&- 2>&-", pytest.param("2>&-", marks=SLOW)])
def test_closed_streams_change_no_file(closed, tmp_path):
    """The files that are opened then do not take the numbers of the streams, where C code writes its warnings."""
    (tmp_path / "closed.py").write_text(CLOSED)
    done = shell(f"{sys.executable} closed.py {closed}", cwd=tmp_path)
    assert done.returncode == 0
    assert "Traceback" not in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["closed.py", "flow.svg", "order.json"]


def test_an_answer_that_is_lost_is_an_error(tmp_path, gateflow):
    """As with a full disk; what is written to files is written all the same."""
    done = shell(f"{COMMAND} order fast sigmoid --certificate order.json >&-", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "gateflow: error: standard output is closed\n")
    assert gateflow("verify", str(tmp_path / "order.json")).out.startswith("verified")
    bound = shell(f"{COMMAND} gates | (exec <&-; sleep 1)", cwd=tmp_path)  # the reader of a pipe has gone: no error
    assert bound.stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no such device here")
def test_a_full_disk_behind_standard_output_is_one_line(tmp_path):
    done = shell(f"{COMMAND} gates > /dev/full", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (2, "gateflow: error: No space left on device\n")


def limited(cases, told: Path) -> None:
    """Commands of a process whose files may be so large: what they say on standard error, and their exit codes."""
    import resource

    import torch

    torch.set_num_threads(1)  # threads of OpenMP do not live on in a fork
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    os.environ |= {"GATEFLOW_CACHE": str(told.parent / "cache"), "GATEFLOW_COMPILER": "none"}
    os.chdir(told.parent)
    with told.open("w", buffering=1) as sys.stderr, open(os.devnull, "w") as sys.stdout:
        for size, words in cases:
            resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            with warnings.catch_warnings(action="ignore"):
                code = main(words)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100_000_000, resource.RLIM_INFINITY))
            sys.stderr.write(f"{code}\n")


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_full_disk_is_one_line_and_leaves_nothing_half_written(tmp_path):
    """By a limit on the size of files, which fails as a full disk does."""
    for needed in ("h5netcdf", "torch", "matplotlib.figure"):  # once for all tests, and not what is limited
        pytest.importorskip(needed)
    tiny = ["train", "adding(horizon=5, held_out=16)", "--hidden", "4", "--steps", "2", "-o", "run"]
    sweep = ["sweep", "fast", *PROBLEM.split(), "-o", "t.nc"]
    cases = [
        (100, ["order", "fast", "sigmoid", "--certificate", "order.json"]),
        (100, ["flow", "fast", *PROBLEM.split(), "--figure", "flow.svg"]),
        (100, ["figures", "slope", "-o", "drawn", "--format", "svg"]),
        (2000, sweep),
        (2000, tiny),
        (100_000_000, tiny),
        (100_000_000, sweep),
    ]
    told = tmp_path / "told"
    child = os.fork()
    if child == 0:
        try:
            limited(cases, told)
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    lines = told.read_text().splitlines()
    assert lines[1::2][:5] == ["2"] * 5, lines
    assert all("File too large" in line for line in lines[0:10:2])
    assert lines[10:] == ["0", "0"]
    left = {path.name for path in tmp_path.iterdir()} - {"cache", "told"}
    assert left == {"drawn", "run", "t.nc"}
    assert not list(tmp_path.rglob("*.part"))


def begun(arguments: str, cwd: Path, until: str) -> subprocess.Popen[str]:
    """A command in a process of its own, once it has made a file."""
    words = [sys.executable, "-m", "gateflow", *arguments.split()]
    process = subprocess.Popen(words, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 240
    while not any(cwd.glob(until)) and time.monotonic() < deadline:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
    return process


TRAIN = "train adding --horizon 50 --hidden 8 --steps 1000000 --save-every 0 -o run"
SWEEP = "sweep fast sigmoid --horizon 1:1e6:200:log --gap 1e-9:0.1:200:log --chunk 20 -o t.nc"


@pytest.mark.parametrize(
    ("command", "until", "signals", "said"),
    [
        (TRAIN, "run/checkpoint.previous.safetensors", ["SIGINT", "SIGINT", "SIGINT"], "goes on from"),
        (SWEEP, "t.nc.parts/*.npz", ["SIGTERM"], "what is done is kept in t.nc.parts; the same command goes on"),
        (TRAIN, "run/checkpoint.previous.safetensors", ["SIGHUP"], "goes on from there"),
        (SWEEP, "t.nc.parts/*.npz", ["SIGHUP"], "what is done is kept in t.nc.parts"),
    ],
)
@pytest.mark.sampled(4)
def test_a_signal_ends_a_command_as_its_help_promises(command, until, signals, said, tmp_path):
    pytest.importorskip("h5netcdf")
    with begun(command, tmp_path, until) as process:
        for name in signals:
            process.send_signal(getattr(signal, name))
            time.sleep(0.05)
        try:
            _, err = process.communicate(timeout=120)
        finally:
            process.kill()
    assert "Traceback" not in err
    assert process.returncode in (130, -signal.SIGINT)  # a third one may come when all is said
    assert said in err
    assert not list(tmp_path.rglob("*.part")) or len(signals) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGTERM", "SIGHUP"])
def test_a_signal_to_all_processes_of_an_experiment_ends_it_in_one_line(name, tmp_path):
    """As a batch system, or a terminal that is closed, sends it."""
    words = [sys.executable, "-m", "gateflow", *TRAIN.split(), "--seeds", "2", "--jobs", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "start_new_session": True}
    with subprocess.Popen(words, cwd=tmp_path, **pipes) as process:
        deadline = time.monotonic() + 120
        while not any(tmp_path.glob("run/*/checkpoint.previous.safetensors")) and time.monotonic() < deadline:
            time.sleep(0.05)
        os.killpg(process.pid, getattr(signal, name))
        _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert err == "gateflow: interrupted: 0 of 2 runs have ended; the same command goes on from there\n"
