"""Jobs on a Dask cluster that is already there.

Dask moves work as pickles: whoever controls a scheduler or can reach its port can run code in this process and in
every worker. An address is therefore taken only as the user gave it, and only of another process.
"""

from __future__ import annotations

import itertools
import re
import time
from typing import Any

from gateflow.errors import InvalidArgument, MissingExtra, cut
from gateflow.progress import beat, silence
from gateflow.runs.jobs import Ended, Job, Stop, Work, WorkersLost, attempt, never

PATIENCE = 10
"""Seconds to wait for the scheduler to answer."""

WINDOW = 1000
"""Jobs handed to the scheduler at a time, so that its memory stays small however many there are."""

GLANCE = 0.05
"""Seconds between two looks at what is done."""

ADDRESS = re.compile(r"((tcp|tls|ucx|ws|wss)://)?[^/\s:]+:\d+/?|((tcp|tls|ucx|ws|wss)://)\S+")


def distributed() -> Any:
    """The module."""
    try:
        import distributed
    except ImportError:
        raise MissingExtra("a Dask cluster", "sweep") from None
    return distributed


def check_address(scheduler: str) -> None:
    """Refuse what is no address of another process, before anything is written."""
    if not isinstance(scheduler, str) or not ADDRESS.fullmatch(scheduler.strip()):
        raise InvalidArgument(
            f"no Dask scheduler answers at {cut(str(scheduler), 60)}; an address is such as tcp://host:8786"
        )


def client(scheduler: str) -> Any:
    """A client of the scheduler at an address, to be used in a ``with``.

    Raises
    ------
    InvalidArgument
        It is no address of another process, or nobody answers there.
    """
    module = distributed()
    check_address(scheduler)
    try:
        return module.Client(scheduler.strip(), timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, KeyError, RuntimeError, ImportError) as problem:
        said = "" if isinstance(problem, OSError) else f": {' '.join(str(problem).split())[:120]}"
        raise InvalidArgument(f"no Dask scheduler answers at {scheduler}{said}") from None


def on_cluster(work: Work, jobs: list[Job], stop: Stop, scheduler: str) -> Ended:
    """The jobs as the workers behind ``scheduler`` deliver them.

    A job of a worker that is gone is given to another by the scheduler; the callable is a task of its own, so that a
    worker takes it from another, and it is made anew where all that had it are gone. Asked to stop, what is not begun
    is taken back.
    """
    with client(scheduler) as there:
        shared = there.submit(_same, work, pure=False)
        todo, lost = iter(jobs), False
        running: dict[Any, Job] = {}
        while not stop():
            handed = itertools.islice(todo, WINDOW - len(running))
            running |= {there.submit(_called, shared, job, pure=False): job for job in handed}
            if not running:
                break
            for future in [each for each in running if each.done()]:
                job = running.pop(future)
                try:
                    value = future.result()
                except _losses():
                    lost = True
                    continue
                yield job, value
            beat()
            time.sleep(GLANCE)
        there.cancel(list(running))
        if lost and not stop():
            raise WorkersLost


def _same(work: Work) -> Work:
    return work


def _called(work: Work, job: Job) -> Any:
    with silence():
        return attempt(work, job, never)


def _losses() -> tuple[type[BaseException], ...]:
    """What a job ends in when workers go."""
    module = distributed()
    return (module.KilledWorker, module.CancelledError, module.comm.CommClosedError)
