"""The chunks of a sweep on this machine: one after another, or in several processes."""

from __future__ import annotations

import multiprocessing
import os
import threading
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from gateflow.runs import signals
from gateflow.sweeps.parts import Results, Values
from gateflow.sweeps.plan import Plan

AHEAD = 3
"""Chunks handed out per process, so that none waits for the next."""


class WorkerLost(Exception):
    """Processes or machines that were computing have gone; what they had not delivered is to be computed again."""


def in_turn(plan: Plan, missing: list[int]) -> Results:
    """The chunks one after another."""
    for k in missing:
        yield k, plan.values(k)


def in_processes(plan: Plan, missing: list[int], jobs: int) -> Results:
    """The chunks as they are done by ``jobs`` processes.

    The processes are spawned, not forked: threads of numerical libraries do not survive a fork. They end with this
    one, even when it is killed: each waits for the other end of a pipe to close.
    """
    signals.spare_helpers()
    context, jobs = multiprocessing.get_context("spawn"), min(jobs, len(missing))
    reader, writer = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(jobs, mp_context=context, initializer=_settle, initargs=(plan, reader))
    todo, running = iter(missing), {}
    try:
        _fill(pool, todo, running, jobs * AHEAD)
        while running:
            done, _ = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield running.pop(future), future.result()
            _fill(pool, todo, running, jobs * AHEAD)
    except BrokenProcessPool:
        raise WorkerLost from None
    finally:
        if running:  # interrupted: nobody waits for the chunks under way
            writer.close()
        pool.shutdown(wait=True, cancel_futures=True)
        writer.close()
        reader.close()


def _fill(pool: ProcessPoolExecutor, todo: Iterator[int], running: dict[Future[Values], int], room: int) -> None:
    while len(running) < room and (k := next(todo, None)) is not None:
        running[pool.submit(_values, k)] = k


_plan: Plan | None = None


def _settle(plan: Plan, parent: Any) -> None:
    """What each process does first."""
    global _plan
    _plan = plan
    signals.leave_to_parent()
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: Any) -> None:
    """End this process when the other end of the pipe is closed."""
    parent.poll(None)
    os._exit(1)


def _values(k: int) -> Values:
    assert _plan is not None
    return _plan.values(k)
