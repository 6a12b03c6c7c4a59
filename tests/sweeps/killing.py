"""Sweeps of 100,000 problems that are killed on the way, by the command and on a Dask cluster.

Used by the slow tests of ``test_resume.py`` and ``test_cluster.py``, and by ``benchmarks/sweep_killed.py``.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.runs import parts
from gateflow.sweeps import sweep

GATES = ["fast", "sigmoid", "softsign", "erf"]
AXES = {"horizon": "1:1e6:50:log", "gap": "1e-16:1e-2:50:log", "z0": "-3:6:10"}
CHUNK = 500
CHUNKS = 200


def there(out: Path) -> int:
    """How many chunks of the sweep to a file are there."""
    return len(list(parts.folder_of(out).glob("*.npz")))


# --- on one machine ---------------------------------------------------------------------------------------------------


def commanded(out: Path, jobs: int, **streams: Any) -> subprocess.Popen[bytes]:
    """The command in a session of its own, so that its processes can be told from others."""
    axes = [word for name, text in AXES.items() for word in (f"--{name}", text)]
    sizes = ["--chunk", str(CHUNK), "--jobs", str(jobs)]
    call = [sys.executable, "-m", "gateflow", "sweep", *GATES, *axes, *sizes, "--out", str(out)]
    return subprocess.Popen(call, start_new_session=True, stdout=subprocess.DEVNULL, **streams)


def killed_at_random(out: Path, *, times: int, jobs: int, seed: int) -> list[int]:
    """Begin the sweep and kill it, so often: while it starts, computes or writes. The chunks there after each kill."""
    random, counts = np.random.default_rng(seed), [0]
    for _ in range(times):
        starting = random.random() < 0.3
        process, wanted = (
            commanded(out, jobs, stderr=subprocess.DEVNULL),
            counts[-1] + (0 if starting else random.integers(1, CHUNKS // times)),
        )
        while there(out) < wanted:
            assert process.poll() is None, "it was over before it could be killed"
            time.sleep(0.005)
        time.sleep(random.uniform(0, 1.0 if starting else 0.02))
        assert process.poll() is None, "it was over before it could be killed"
        process.kill()
        assert process.wait() == -signal.SIGKILL
        assert_gone(process.pid)
        counts.append(there(out))
    assert not out.exists()
    return counts[1:]


def assert_gone(group: int) -> None:
    """No process of the group is left, some seconds after its leader was killed."""
    for _ in range(300):
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    raise AssertionError("processes are left behind")


# --- on a cluster -----------------------------------------------------------------------------------------------------


@contextmanager
def cluster(workers: int):
    """A scheduler and so many worker processes."""
    import distributed

    options = {"threads_per_worker": 1, "processes": True, "dashboard_address": ":0", "silence_logs": 60}
    with distributed.LocalCluster(n_workers=workers, **options) as running:
        yield running


def pids(running: Any) -> list[int]:
    """The worker processes of a cluster."""
    import distributed

    with distributed.Client(running, set_as_default=False) as client:
        return list(client.run(os.getpid).values())


def killed_once_begun(pid: int, out: Path, wanted: int) -> tuple[threading.Thread, list[int]]:
    """A thread that kills a process as soon as so many chunks are there, and how many there were."""
    counts: list[int] = []

    def watch():
        while there(out) < wanted:
            time.sleep(0.002)
        counts.append(there(out))
        os.kill(pid, signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread, counts


def swept_with_a_worker_killed(out: Path, inputs: dict[str, Any], *, workers: int, wanted: int) -> int:
    """Sweep on a cluster one worker of which is killed; the chunks there at that moment."""
    with cluster(workers) as running:
        victim = pids(running)[0]
        killer, counts = killed_once_begun(victim, out, wanted)
        sweep(**inputs, out=out, scheduler=running.scheduler_address)
        killer.join(timeout=5)
        assert not killer.is_alive()
        assert victim not in pids(running)
    return counts[0]
