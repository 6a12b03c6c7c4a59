"""Where the results of jobs wait until all are there: one file a job, each written whole or not at all.

Next to ``times.nc`` stands the folder ``times.nc.parts`` with what is done so far; its marker holds the definition of
the whole (:mod:`gateflow.files`). Whatever kills the work, what is in there is right, and the same call again does
only what is missing.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.files import Held, from_json, held, is_sealed
from gateflow.runs.jobs import Job

MOST = 2**31
"""Jobs of one grid."""

ABSENT = object()
"""In place of a result that is not there."""

REMEDY = "choose another file, or restart (--restart) to drop what is there"


class Codec(Protocol):
    """How the result of a job is kept as bytes, and known again."""

    ending: str
    """Of the names of files, such as ``.json``."""

    def encode(self, job: Job, value: Any) -> bytes:
        """The bytes, with a digest over the value and what it belongs to."""
        ...

    def decode(self, job: Job, data: bytes) -> Any:
        """The value, or `ABSENT` where these are not the bytes of this job."""
        ...

    def longest(self, job: Job) -> int:
        """How many bytes it can be."""
        ...


class Json:
    """Results that JSON can hold, each with the arguments of its job."""

    ending = ".json"

    def encode(self, job: Job, value: Any) -> bytes:
        """A sealed object."""
        line = {"job": job.name, "arguments": dict(job.arguments), "value": value}
        return record.to_json_line(record.sealed(line)).encode()

    def decode(self, job: Job, data: bytes) -> Any:
        """The value of the object, if it is sealed and of this job."""
        try:
            found = from_json(data)
        except ValueError:
            return ABSENT
        line = found if is_sealed(found) else {}
        same = line.get("job") == job.name and line.get("arguments") == from_json(record.to_json_line(job.arguments))
        return line["value"] if same else ABSENT

    def longest(self, job: Job) -> int:
        """As much as gateflow reads of any file."""
        return 1 << 26


class Parts:
    """Results in a folder, one file a job; made by :func:`opened` only, which holds the lock."""

    def __init__(self, found: Held, jobs: list[Job], codec: Codec) -> None:
        self.held, self.jobs, self.codec = found, jobs, codec
        self.names = {job.name: name_of(k, codec) for k, job in enumerate(jobs)}

    @property
    def folder(self) -> Path:
        """Where they are."""
        return self.held.path

    def missing(self) -> list[Job]:
        """Jobs whose results are not there, or not as they were written, as a failing disk may leave them."""
        return [job for job in self.jobs if self._read(job) is ABSENT]

    def write(self, job: Job, value: Any) -> None:
        """Keep a result."""
        self.held.place.write(self.names[job.name], self.codec.encode(job, value), lasting=False)  # damage is reported

    def found(self) -> Iterator[tuple[Job, Any]]:
        """The results that are there."""
        pairs = ((job, self._read(job)) for job in self.jobs)
        return ((job, value) for job, value in pairs if value is not ABSENT)

    def whole(self) -> Iterator[tuple[Job, Any]]:
        """All results.

        Raises
        ------
        InvalidArgument
            One has gone since.
        """
        for job in self.jobs:
            value = self._read(job)
            if value is ABSENT:
                lost = self.folder / self.names[job.name]
                raise InvalidArgument(f"{lost} has gone or is damaged; the same command computes it again")
            yield job, value

    def gone(self) -> None:
        """Remove the files and their folder; files of others in it stay, and so does the folder then."""
        self.held.gone(self.names.values())

    def _read(self, job: Job) -> Any:
        try:
            with open(self.held.place.regular(self.names[job.name], os.O_RDONLY), "rb") as file:
                return self.codec.decode(job, file.read(self.codec.longest(job)))
        except OSError:
            return ABSENT


def name_of(k: int, codec: Codec) -> str:
    """The name of the file of job number ``k``."""
    return f"{k:08d}{codec.ending}"


def folder_of(out: Path) -> Path:
    """The folder of parts of the file ``out``."""
    return out.with_name(f"{out.name}.parts")


@contextmanager
def opened(
    out: Path, kind: str, definition: dict[str, Any], jobs: list[Job], codec: Codec, *, restart: bool
) -> Iterator[Parts]:
    """The parts of the file ``out``, locked; a folder without any is removed in the end.

    Parameters
    ----------
    out : Path
    kind : str
        What is made, in a word: "sweep".
    definition : dict
        All that decides the results, as JSON can hold it.
    jobs : list of Job
    codec : Codec
    restart : bool
        Drop the parts of other jobs; without, they are an error.
    """
    folder = folder_of(out)
    busy = f"another process is at work on {out}"
    refused = f"{folder} is not the folder of a {kind}: it holds {{name}}; choose another file"
    with held(folder, kind, busy=busy, refused=refused, follow=False) as found:
        found.look(_names_here(found, jobs, codec))
        facts = found.facts or {}
        if facts.get("definition") != definition:
            there = _there(found, codec)
            if there and not restart:
                raise InvalidArgument(f"{folder} holds a {kind} with {_difference(facts, definition)}; {REMEDY}")
            found.remove(there)
            found.mark({"definition": definition, "chunks": len(jobs)})
        parts = Parts(found, jobs, codec)
        try:
            yield parts
        finally:
            if found.facts is not None and not _there(found, codec):
                parts.gone()


def _there(found: Held, codec: Codec) -> list[str]:
    """The names of results in the folder, of the jobs that its marker names."""
    count = (found.facts or {}).get("chunks")
    names = {name_of(k, codec) for k in range(count)} if isinstance(count, int) and 0 <= count <= MOST else set()
    return [name for name in found.place.names() if name in names]


def _names_here(found: Held, jobs: list[Job], codec: Codec) -> list[str]:
    """The names in the folder that results have, of the jobs that its marker names or of these."""
    ours = {name_of(k, codec) for k in range(len(jobs))}.union(_there(found, codec))
    return [name for name in found.place.names() if name in ours]


def _difference(facts: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Which inputs are not the same, in words."""
    found = facts.get("definition")
    found = found if isinstance(found, dict) else {}
    names = [name for name in dict.fromkeys([*wanted, *found]) if found.get(name) != wanted.get(name)]
    return f"other {' and '.join(names)}"


def swept_up(out: Path, kind: str, definition: dict[str, Any], jobs: list[Job], codec: Codec) -> None:
    """Remove the parts of what was killed between writing its file and removing them."""
    if not os.path.lexists(folder_of(out)):
        return
    with suppress(InvalidArgument), opened(out, kind, definition, jobs, codec, restart=False) as parts:
        parts.gone()
