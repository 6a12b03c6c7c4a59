"""Runs a sweep, from wherever it was left."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from gateflow.errors import GateflowError, InvalidArgument, shown
from gateflow.files import Standing
from gateflow.progress import track
from gateflow.sweeps import dataset, local
from gateflow.sweeps.parts import REMEDY, Memory, Results, Store, Values, opened, swept_up
from gateflow.sweeps.plan import Plan

CHUNK = 4096
"""Problems a chunk, by default: what a kill can cost, some tenths of a second."""

ROUNDS = 3
"""How often all workers may be lost without one chunk done before the sweep gives up."""

Engine = Callable[[Plan, list[int]], Results]


def sweep(
    gates: Any,
    *,
    horizon: Any,
    target: Any = None,
    gap: Any = None,
    log_gap: Any = None,
    decay: Any = None,
    timescale: Any = None,
    z0: Any = 0.0,
    scale: Any = 1.0,
    loss: Any = None,
    tolerance: float | None = None,
    quantity: str = "hitting_time",
    out: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    chunk: int = CHUNK,
    restart: bool = False,
) -> Any:
    """Compute a quantity over the product of axes.

    Parameters
    ----------
    gates : str, Gate, sequence of them, or mapping of str to them
        Names, formulas or gates; the keys of a mapping are their labels.
    horizon : axis
        T, in steps. An axis is a number, a list of numbers, or a text: ``"1,10,100"``, ``"-3:3:7"`` or
        ``"1:1e6:61:log"``, which has both ends in it.
    target, gap, log_gap, decay, timescale : axis
        The target, in exactly one way (:class:`gateflow.flows.Target`).
    z0, scale : axis
        Where learning starts, and c.
    loss : str, optional
        A name, or a formula in s, as :func:`gateflow.losses.loss` takes it; by default the absolute loss.
    tolerance : float, optional
        Where to stop, as in :func:`gateflow.flows.hitting_time`; losses that are smooth at the target need one.
    quantity : str
        A name in :data:`gateflow.sweeps.QUANTITIES`.
    out : path, optional
        The netCDF file to write. Until it is whole, chunks of results wait in the folder ``out.parts``, and the same
        call goes on from them. A file that holds the whole of this sweep already is read.
    jobs : int
        Processes on this machine; 0 for one a processor. In a script, more than one need the
        ``if __name__ == "__main__"`` of :mod:`multiprocessing`.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers then compute.
    chunk : int
        Problems computed together, and lost when killed.
    restart : bool
        Drop another sweep that ``out`` or its parts hold; without, that is an error.

    Returns
    -------
    xarray.Dataset
        One dimension an axis, the gate first. For hitting times, the variables are ``log_tau``, ``tau``, ``status``
        (its attributes name the numbers), ``error`` and ``evaluations``. The attribute ``record`` tells, as JSON, how
        it was made.

    Raises
    ------
    InvalidArgument
        An axis, or the file, is not as it should be.
    MissingExtra
        The extra ``sweep`` is not installed.

    Notes
    -----
    Neither ``jobs`` nor ``scheduler`` nor any interruption changes a bit of the result.

    Examples
    --------
    >>> data = sweep(["fast", "sigmoid"], horizon=[10, 100], gap="1e-4:1e-1:4:log")
    >>> dict(data.sizes)
    {'gate': 2, 'horizon': 2, 'gap': 4, 'z0': 1, 'scale': 1}
    >>> speed_up = data.log_tau.sel(gate="sigmoid") - data.log_tau.sel(gate="fast")
    >>> bool((speed_up > 0).all())
    True
    """
    dataset.xarray(file=out is not None)  # told now rather than when all is computed
    engine = _engine(jobs, scheduler)
    goal = {"target": target, "gap": gap, "log_gap": log_gap, "decay": decay, "timescale": timescale}
    axes = {"horizon": horizon, **goal, "z0": z0, "scale": scale}
    plan = Plan.of(gates, quantity, chunk, loss=loss, tolerance=tolerance, **axes)
    if out is not None and Path(out).suffix not in (".nc", ".nc4"):
        raise InvalidArgument(f"{out} should end in .nc: what is written is netCDF")
    if out is not None:
        return _to_file(plan, Path(out), engine, restart=restart)
    return dataset.dataset(plan, _filled(plan, Memory(plan), engine))


def _engine(jobs: int, scheduler: str | None) -> Engine:
    if isinstance(jobs, bool) or not isinstance(jobs, (int, np.integer)) or not 0 <= jobs <= 1024:
        raise InvalidArgument(f"jobs must be a whole number from 0 to 1024; got {shown(jobs)}")
    if scheduler is not None:
        if jobs != 1:
            raise InvalidArgument("give jobs or a scheduler, not both: the workers of a scheduler are its own")
        from gateflow.sweeps.cluster import on_cluster

        return partial(on_cluster, scheduler=scheduler)
    count = int(jobs) or os.cpu_count() or 1
    return local.in_turn if count == 1 else partial(local.in_processes, jobs=count)


def _to_file(plan: Plan, out: Path, engine: Engine, *, restart: bool) -> Any:
    try:
        if _is_there(out, plan, restart=restart):
            swept_up(plan, out)
        else:
            before = Standing(os.lstat(out) if os.path.lexists(out) else None)
            with opened(plan, out, restart=restart) as parts:
                dataset.write(dataset.dataset(plan, _filled(plan, parts, engine)), out, before)
                parts.gone()
    except OSError as problem:
        raise InvalidArgument(f"cannot write {out}: {problem.strerror or problem}") from None
    return dataset.read(out)


def _is_there(out: Path, plan: Plan, *, restart: bool) -> bool:
    """Whether the file is this very sweep; complains if it is another and may not be dropped."""
    if not os.path.lexists(out):
        return False
    if out.is_file() and not out.is_symlink() and not os.path.getsize(out):
        if not restart:
            raise InvalidArgument(f"{out} is there, and empty; choose another file, or give --restart to replace it")
        return False
    same = dataset.digest_in(out) == plan.digest
    if not same and not restart:
        raise InvalidArgument(f"{out} holds another sweep; {REMEDY}")
    return same


def _filled(plan: Plan, store: Store, engine: Engine) -> Values:
    """All numbers: what the store has, and what is missing from the engine."""
    missing = store.missing()
    with closing(_completed(plan, missing, engine)) as completed:
        for k, values in track(completed, "chunks", len(missing)):
            store.write(k, values)
    return store.whole()


def _completed(plan: Plan, missing: list[int], engine: Engine) -> Results:
    """The missing chunks as they are done; those of lost workers are handed out again."""
    todo, idle = dict.fromkeys(missing), 0
    while todo:
        before = len(todo)
        try:
            with closing(engine(plan, list(todo))) as completed:
                for k, values in completed:
                    del todo[k]
                    yield k, values
        except local.WorkerLost:
            idle = idle + 1 if len(todo) == before else 0
            if idle == ROUNDS:
                raise GateflowError(_GIVEN_UP) from None


_GIVEN_UP = (
    "the worker processes die before they deliver anything: too little memory for a chunk? "
    'In a script, is the call under if __name__ == "__main__"?'
)
