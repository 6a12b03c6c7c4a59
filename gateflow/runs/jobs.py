"""Jobs: one callable with many arguments, done wherever there are workers, reported one by one as they end.

1. A job is a name and arguments that JSON can hold. The callable is shipped once to each worker, and its arguments with
   each job; so both can be pickled.
2. Whoever does a job does the same. Order, number and kind of workers change no result.
3. A job that fails stops no other. Its error is reported with its name; asked for again, it is done again.
4. A job that is lost with its worker is handed out anew, as long as workers deliver anything at all.
5. A callable with an argument ``stop`` is given a function that says whether to stop, and the time to leave what it can
   go on from. Any other is ended at once when this process is, and between two jobs when it is asked to stop.
6. What is done is kept by the caller as it comes (:mod:`gateflow.runs.parts`), or by the job itself. So a grid of jobs
   that is killed at any moment goes on with what is missing.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

from gateflow.errors import GateflowError, InvalidArgument
from gateflow.progress import Meter

Work = Callable[..., Any]
Stop = Callable[[], bool]


@dataclass(frozen=True)
class Job:
    """One thing to do: a name, like that of no other, and the arguments of the callable."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Failure:
    """What a job failed of, in one line, and the exit code of that error."""

    said: str
    exit_code: int = 2


Ended = Generator[tuple[Job, Any], None, None]
"""Jobs with what they returned, or their `Failure`, as they end."""

Workers = Callable[[Work, list[Job], Stop], Ended]
"""Does jobs; raises `WorkersLost` where some were lost."""

ROUNDS = 3
"""How often all workers may be lost without one job done before the rest is given up."""


class WorkersLost(Exception):
    """Processes or machines that were at work have gone; what they had not delivered is to be done again."""


def never() -> bool:
    """For whoever is not asked to stop."""
    return False


def ended(work: Work, jobs: Iterable[Job], by: Workers, stop: Stop = never) -> Ended:
    """Each job as it ends; those of workers that were lost are handed out again.

    Raises
    ------
    GateflowError
        Workers are lost again and again, and none delivers anything.
    """
    todo, idle = {job.name: job for job in jobs}, 0
    while todo:
        before = len(todo)
        try:
            with closing(by(work, list(todo.values()), stop)) as found:
                for job, value in found:
                    del todo[job.name]
                    yield job, value
            return
        except WorkersLost:
            if stop():
                return
            idle = idle + 1 if len(todo) == before else 0
            if idle == ROUNDS:
                raise GateflowError(_GIVEN_UP) from None


_GIVEN_UP = (
    "the worker processes die before they deliver anything: too little memory for a job? "
    'In a script, is the call under if __name__ == "__main__"?'
)


def tracked(found: Ended, total: int, what: str, done: int = 0) -> Ended:
    """The same, with a bar that names the last one."""
    with closing(found), Meter(what, total, done) as meter:
        for number, (job, value) in enumerate(found, done + 1):
            yield job, value
            meter.update(number, job.name)


def attempt(work: Work, job: Job, stop: Stop) -> Any:
    """Do a job; what it returns, or its `Failure`."""
    try:
        return work(**job.arguments, **({"stop": stop} if listens(work) else {}))
    except GateflowError as problem:
        return Failure(str(problem), problem.exit_code)
    except Exception as problem:  # whatever a callable of others raises
        return Failure(" ".join(f"{type(problem).__name__}: {problem}".split()))


def listens(work: Work) -> bool:
    """Whether a callable takes ``stop``."""
    return "stop" in inspect.signature(work).parameters


def refuse_failures(failures: Mapping[str, Failure], total: int) -> None:
    """Complain of the jobs that failed, if there are any, those alike together; a single job in its own words.

    Raises
    ------
    GateflowError
        With the exit code of the first.

    Examples
    --------
    >>> refuse_failures({"a": Failure("no such file"), "c": Failure("no such file")}, 3)
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: 2 of 3 failed, and are tried again by the same call. a and 1 more: no such file
    """
    if not failures:
        return
    alike: dict[str, list[str]] = {}
    for name, each in failures.items():
        alike.setdefault(each.said, []).append(name)
    said = [f"{names[0]}{f' and {len(names) - 1} more' * (len(names) > 1)}: {what}" for what, names in alike.items()]
    said[SHOWN:] = [f"and {len(said) - SHOWN} more"] if len(said) > SHOWN else []
    many = f"{len(failures)} of {total} failed, and are tried again by the same call. {'; '.join(said)}"
    code = next(iter(failures.values())).exit_code
    kind = InvalidArgument if code == InvalidArgument.exit_code else GateflowError
    problem = kind(many if total > 1 else next(iter(alike)))
    problem.exit_code = code
    raise problem


SHOWN = 3
"""Kinds of failures that one line explains."""
