"""Who does jobs: this process, several on this machine, or a Dask cluster."""

from __future__ import annotations

import os
from functools import partial

import numpy as np

from gateflow.errors import InvalidArgument, shown
from gateflow.runs import cluster, local
from gateflow.runs.jobs import Workers


def workers(processes: int = 1, scheduler: str | None = None) -> Workers:
    """Who does the jobs.

    Parameters
    ----------
    processes : int
        On this machine; 0 for one a processor, 1 for this process. In a script, more than one need the
        ``if __name__ == "__main__"`` of :mod:`multiprocessing`.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers then do all.

    Raises
    ------
    InvalidArgument
        The number is none, or both are given.
    """
    if isinstance(processes, bool) or not isinstance(processes, (int, np.integer)) or not 0 <= processes <= 1024:
        raise InvalidArgument(f"jobs must be a whole number from 0 to 1024; got {shown(processes)}")
    if scheduler is not None:
        if processes != 1:
            raise InvalidArgument("give jobs or a scheduler, not both: the workers of a scheduler are its own")
        cluster.check_address(scheduler)
        return partial(cluster.on_cluster, scheduler=scheduler)
    count = int(processes) or os.cpu_count() or 1
    return local.in_turn if count == 1 else partial(local.in_processes, count=count)
