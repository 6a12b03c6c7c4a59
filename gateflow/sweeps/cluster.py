"""The chunks of a sweep on a Dask cluster that is already there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.runs import cluster
from gateflow.sweeps.local import WorkerLost
from gateflow.sweeps.parts import Results, Values
from gateflow.sweeps.plan import Plan, versions

WINDOW = 1000
"""Chunks handed to the scheduler at a time, so that its memory stays small however large the sweep."""


def on_cluster(plan: Plan, missing: list[int], scheduler: str) -> Results:
    """The chunks as the workers behind ``scheduler`` deliver them.

    A chunk of a worker that is gone is given to another by the scheduler; the plan is a task of its own, so that a
    worker takes it from another, and it is made anew where all that had it are gone.
    """
    distributed = cluster.distributed()
    with cluster.client(scheduler) as client:
        shared = client.submit(_same, plan, pure=False)
        todo = iter(missing)
        running = {future.key: (future, k) for future, k in _handed(client, shared, todo, WINDOW)}
        stream = distributed.as_completed([future for future, _ in running.values()], loop=client.loop)
        lost = False
        for future in stream:
            k = running.pop(future.key)[1]
            try:
                values = future.result()
            except GateflowError:
                raise
            except _losses(distributed):
                lost = True
                continue
            yield k, values
            for new, k in _handed(client, shared, todo, 1):
                running[new.key] = new, k
                stream.add(new)
        if lost:
            raise WorkerLost


def _handed(client: Any, shared: Any, todo: Iterator[int], count: int) -> Iterator[tuple[Any, int]]:
    for _ in range(count):
        if (k := next(todo, None)) is None:
            return
        yield client.submit(_values, shared, k, pure=False), k


def _same(plan: Plan) -> Plan:
    return plan


def _values(plan: Plan, k: int) -> Values:
    """Chunk ``k``, on a worker that has what the sweep was begun with."""
    here = versions()
    for package, version in plan.definition["versions"].items():
        if here.get(package) != version:
            raise InvalidArgument(f"a worker has {package} {here.get(package)}, and this process {version}")
    return plan.values(k)


def _losses(distributed: Any) -> tuple[type[BaseException], ...]:
    """What a chunk ends in when workers go."""
    from distributed.scheduler import KilledWorker

    return (KilledWorker, distributed.CancelledError, distributed.comm.CommClosedError)
