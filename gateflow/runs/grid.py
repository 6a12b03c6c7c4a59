"""A grid of jobs with results that JSON can hold: done by any workers, killed without loss, written as one file."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import Output, digest, file_path, from_json, is_sealed, read_json
from gateflow.runs.jobs import Failure, Job, Stop, Work, Workers, ended, never, refuse_failures, tracked
from gateflow.runs.parts import Json, Parts, opened, swept_up
from gateflow.runs.workers import workers

MOST = 1 << 30
"""Bytes of a file of results."""


@dataclass(frozen=True)
class Outcomes:
    """What became of jobs.

    Parameters
    ----------
    values : dict
        What each returned, by its name.
    failures : dict
        What each failed of.
    missing : tuple of str
        Jobs that were not begun, or were stopped.
    """

    values: dict[str, Any]
    failures: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all are done."""
        return not self.failures and not self.missing

    def refuse_failures(self) -> None:
        """Complain of the jobs that failed, if there are any.

        Raises
        ------
        GateflowError
            In one line.
        """
        total = len(self.values) + len(self.failures) + len(self.missing)
        refuse_failures({name: Failure(said) for name, said in self.failures.items()}, total)


def product(**axes: Iterable[Any]) -> list[Job]:
    """A job for each point of a grid, the last axis running fastest.

    Examples
    --------
    >>> [job.name for job in product(gate=["fast", "sigmoid"], T=[10, 20])]
    ['gate=fast,T=10', 'gate=fast,T=20', 'gate=sigmoid,T=10', 'gate=sigmoid,T=20']
    """
    points = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    return [Job(",".join(f"{name}={value}" for name, value in point.items()), point) for point in points]


def run(
    work: Work,
    jobs: Iterable[Job],
    *,
    out: str | Path | None = None,
    processes: int = 1,
    scheduler: str | None = None,
    restart: bool = False,
    stop: Stop = never,
) -> Outcomes:
    """Do jobs, from wherever an earlier call was left.

    Parameters
    ----------
    work : callable
        A function of a module, or a ``functools.partial`` of one; called with the arguments of each job, and returns
        what JSON can hold. One that takes ``stop`` is asked to stop by it (:mod:`gateflow.runs.jobs`).
    jobs : iterable of Job
        No two of one name; :func:`product` makes them from axes.
    out : path, optional
        The file to write, JSON. Until all are done, results wait in the folder ``out.parts``.
    processes, scheduler
        See :func:`gateflow.runs.workers.workers`.
    restart : bool
        Drop the results of other jobs that ``out.parts`` holds; without, that is an error.
    stop : callable, optional
        Asked between jobs whether to stop.

    Raises
    ------
    InvalidArgument
        Two jobs have one name, or the file or folder is of something else.

    Notes
    -----
    Neither who does the jobs nor any interruption changes a bit of the file. It is written when every job is done; what
    failed is reported, and tried again by the next call.

    Examples
    --------
    >>> import math
    >>> run(math.comb, [Job("a", {"n": 4})]).failures
    {'a': 'TypeError: ...'}
    """
    made = list(jobs)
    if len({job.name for job in made}) < len(made):
        raise InvalidArgument("two jobs have one name")
    by, codec = workers(processes, scheduler), Json()
    if out is None:
        return _done(work, made, by, stop, None)
    out = file_path(out)
    definition = _definition(work, made)
    if (values := _whole(out, definition)) is not None:
        swept_up(out, "grid", definition, made, codec)
        return Outcomes(values)
    file = Output(out, ours=lambda data: is_sealed(from_json(data)), what="result", early=True)
    with opened(out, "grid", definition, made, codec, restart=restart) as parts:
        found = _done(work, made, by, stop, parts)
        if found.whole:
            file.write(record.to_json(record.sealed({"definition": definition, "values": found.values})))
            parts.gone()
    return found


def _done(work: Work, jobs: list[Job], by: Workers, stop: Stop, parts: Parts | None) -> Outcomes:
    """What is there already, and what is done now."""
    todo = jobs if parts is None else parts.missing()
    left, failures, values = {job.name for job in todo}, {}, {}
    found = tracked(ended(work, todo, by, stop), len(todo), "jobs")
    with closing(found):
        for job, value in found:
            plain = value if isinstance(value, Failure) else _plain(value)
            left.discard(job.name)
            if isinstance(plain, Failure):
                failures[job.name] = plain.said
            elif parts is None:
                values[job.name] = plain
            else:
                parts.write(job, plain)
    if parts is not None:
        values = {job.name: value for job, value in parts.found()}
    order = [job.name for job in jobs]
    values, failures = ({name: each[name] for name in order if name in each} for each in (values, failures))
    return Outcomes(values, failures, tuple(name for name in order if name in left))


def _plain(value: Any) -> Any:
    """A value as it is read back from JSON; a `Failure` where that cannot hold it."""
    try:
        return from_json(record.to_json_line(value))
    except (TypeError, ValueError) as problem:
        return Failure(f"what it returns is nothing that JSON can hold: {problem}")


def _definition(work: Work, jobs: list[Job]) -> dict[str, Any]:
    """All that decides the results, except the text of the callable."""
    inner = work.func if isinstance(work, partial) else work
    given = [work.args, work.keywords] if isinstance(work, partial) else []
    listed = [[job.name, dict(job.arguments)] for job in jobs]
    return {
        "work": f"{inner.__module__}.{inner.__qualname__}",
        "jobs": digest(record.to_json_line([given, listed]).encode()),
        "versions": record.versions(),
    }


def _whole(out: Path, definition: dict[str, Any]) -> dict[str, Any] | None:
    """The values that a file of these very jobs holds, if it is one."""
    try:
        found = read_json(out, MOST)
    except (OSError, ValueError):
        return None
    return found["values"] if is_sealed(found) and found.get("definition") == definition else None
