"""Runs a sweep, from wherever it was left."""

from __future__ import annotations

import os
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from gateflow.errors import InvalidArgument
from gateflow.files import Standing, file_path
from gateflow.runs.jobs import Failure, Job, Workers, ended, never, refuse_failures, tracked
from gateflow.runs.parts import REMEDY, Parts, opened, swept_up
from gateflow.runs.workers import workers
from gateflow.sweeps import dataset
from gateflow.sweeps.chunks import Arrays, Sweep, Values, values


def sweep(
    gates: Any,
    *,
    horizon: Any = None,
    target: Any = None,
    gap: Any = None,
    log_gap: Any = None,
    decay: Any = None,
    timescale: Any = None,
    z0: Any = None,
    scale: Any = None,
    loss: Any = None,
    tolerance: float | None = None,
    quantity: str = "hitting_time",
    out: str | os.PathLike[str] | None = None,
    jobs: int = 1,
    scheduler: str | None = None,
    chunk: int | None = None,
    restart: bool = False,
    **more: Any,
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
        Where learning starts, by default 0, and c, by default 1.
    loss : str, optional
        A name, or a formula in s, as :func:`gateflow.losses.loss` takes it; by default the absolute loss.
    tolerance : float, optional
        Where to stop, as in :func:`gateflow.flows.hitting_time`; losses that are smooth at the target need one.
    quantity : str
        A name in :data:`gateflow.sweeps.QUANTITIES`: learning times, steps of an optimiser, orders of saturation,
        results of training.
    out : path, optional
        The netCDF file to write. Until it is whole, chunks of results wait in the folder ``out.parts``, and the same
        call goes on from them. A file that holds the whole of this sweep already is read.
    jobs : int
        Processes on this machine; 0 for one a processor. In a script, more than one need the
        ``if __name__ == "__main__"`` of :mod:`multiprocessing`.
    scheduler : str, optional
        The address of a Dask scheduler, whose workers then compute.
    chunk : int
        Problems computed together, and lost when killed; by default as the quantity says.
    restart : bool
        Drop another sweep that ``out`` or its parts hold; without, that is an error.
    **more
        Further inputs of the quantity, each an axis, and its settings; texts along an axis of texts.

    Returns
    -------
    xarray.Dataset
        One dimension an axis, the gate first. For hitting times, the variables are ``log_tau``, ``tau``, ``status``
        (its attributes name the numbers), ``error`` and ``evaluations``. The attribute ``record`` says, as JSON, how
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
    >>> steps = sweep("fast", quantity="descent-steps", horizon=10, gap=0.1, lr=[0.05, 0.1], optimizer="sgd,adam")
    >>> steps.steps.sel(optimizer="sgd", lr=0.05).item()
    995.0
    """
    dataset.xarray(file=out is not None)  # refused now rather than when all is computed
    by = workers(jobs, scheduler)
    goal = {"target": target, "gap": gap, "log_gap": log_gap, "decay": decay, "timescale": timescale}
    given = {"horizon": horizon, **goal, "z0": z0, "scale": scale, "loss": loss, "tolerance": tolerance}
    plan = Sweep.of(gates, quantity, chunk, **given, **more)
    if out is None:
        return dataset.dataset(plan, _filled(plan, None, by))
    file = file_path(out)
    if file.suffix not in (".nc", ".nc4"):
        raise InvalidArgument(f"{out} should end in .nc: what is written is netCDF")
    return _to_file(plan, file, by, restart=restart)


def _to_file(plan: Sweep, out: Path, by: Workers, *, restart: bool) -> Any:
    made = ("sweep", plan.definition, plan.jobs, Arrays(plan))
    try:
        if _is_there(out, plan, restart=restart):
            swept_up(out, *made)
        else:
            before = Standing(os.lstat(out) if os.path.lexists(out) else None)
            with opened(out, *made, restart=restart) as parts:
                dataset.write(dataset.dataset(plan, _filled(plan, parts, by)), out, before)
                parts.gone()
    except OSError as problem:
        raise InvalidArgument(f"cannot write {out}: {problem.strerror or problem}") from None
    return dataset.read(out)


def _is_there(out: Path, plan: Sweep, *, restart: bool) -> bool:
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


def _filled(plan: Sweep, parts: Parts | None, by: Workers) -> Values:
    """All numbers: what is kept, and what is missing from the workers."""
    jobs = plan.jobs if parts is None else parts.missing()
    arrays, failures = plan.empty(), {}

    def put(job: Job, found: Values) -> None:
        for name, array in found.items():
            arrays[name][plan.part(job.arguments["k"])] = array

    with closing(tracked(ended(partial(values, plan), jobs, by, never), len(jobs), "chunks")) as found:
        for job, value in found:
            if isinstance(value, Failure):
                failures[job.name] = value
            else:
                (put if parts is None else parts.write)(job, value)
    refuse_failures(failures, len(jobs))
    if parts is not None:
        for job, value in parts.whole():
            put(job, value)
    return arrays
