"""Jobs on this machine: one after another, or in several processes."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
from collections.abc import Iterable
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait as wait_for
from typing import Any

from gateflow.progress import beat, silence
from gateflow.runs import signals
from gateflow.runs.jobs import Ended, Job, Stop, Work, WorkersLost, attempt, listens

AHEAD = 3
"""Jobs handed out per process, so that none waits for the next."""

GLANCE = 0.2
"""Seconds between two looks at whether to stop."""


def in_turn(work: Work, jobs: Iterable[Job], stop: Stop) -> Ended:
    """The jobs one after another, in this process."""
    for job in jobs:
        if stop():
            return
        yield job, attempt(work, job, stop)


def in_processes(work: Work, jobs: list[Job], stop: Stop, count: int) -> Ended:
    """The jobs as they are done by ``count`` processes.

    The processes are spawned, not forked: threads of numerical libraries do not survive a fork. They end with this
    one, even when it is killed, and learn that they are to stop when the other end of a pipe closes.
    """
    signals.spare_helpers()
    context, count = multiprocessing.get_context("spawn"), min(count, len(jobs))
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_settle, initargs=(work, reader))
    todo: Iterable[Job] = iter(jobs)
    running: dict[Future[Any], Job] = {}
    try:
        while True:
            room = 0 if writer.closed else count * AHEAD - len(running)
            running |= {pool.submit(_called, job): job for job in itertools.islice(todo, room)}
            if not running:
                return
            done, _ = wait(running, timeout=GLANCE, return_when=FIRST_COMPLETED)
            beat()
            for future in done:
                job, answer = running.pop(future), future.result()
                if answer is not None:  # a process that was asked to stop begins nothing
                    yield job, answer[0]
            if stop() and not writer.closed:
                writer.close()
                running = {future: job for future, job in running.items() if not future.cancel()}
    except BrokenProcessPool:
        if not writer.closed:
            raise WorkersLost from None
    finally:
        if running:  # interrupted: nobody waits for the jobs under way
            writer.close()
        pool.shutdown(wait=True, cancel_futures=True)
        writer.close()
        reader.close()


# --- in each process ------------------------------------------------------------------------------------------------

_work: Work | None = None
_stopped = threading.Event()
_busy = threading.Lock()


def _settle(work: Work, parent: Any) -> None:
    """What each process does first."""
    global _work
    _work = work
    signals.leave_to_parent()
    threading.Thread(target=_follow, args=(parent, listens(work)), daemon=True).start()


def _follow(parent: Any, patient: bool) -> None:
    """End this process when it is asked to stop, or its parent has gone; a job that listens ends by itself before."""
    alive = multiprocessing.parent_process()
    gone = [] if alive is None else [alive.sentinel]
    wait_for([parent, *gone])
    _stopped.set()
    if patient:
        wait_for(gone)
        _busy.acquire()
    os._exit(1)


def _called(job: Job) -> tuple[Any] | None:
    """What a job returns, or its failure; None where this process has been asked to stop before."""
    assert _work is not None
    with _busy:
        if _stopped.is_set():
            return None
        with silence():
            return (attempt(_work, job, _stopped.is_set),)
