"""Where the results of a sweep wait until all are there: one file a chunk, each written whole or not at all.

Next to ``times.nc`` stands the folder ``times.nc.parts`` with the chunks done so far; its marker holds the definition
of the sweep (:mod:`gateflow.files`). Whatever kills a sweep, what is in there is right, and the same sweep begun again
computes only what is missing.
"""

from __future__ import annotations

import hashlib
import io
import os
import zipfile
import zlib
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gateflow.errors import InvalidArgument
from gateflow.files import Held, held
from gateflow.sweeps.plan import MOST, Plan

Values = dict[str, np.ndarray]
Results = Generator[tuple[int, Values], None, None]
"""Chunks with their numbers, as they are done."""


class Store(Protocol):
    """Keeps the numbers of chunks."""

    def missing(self) -> list[int]:
        """Chunks still to be computed."""
        ...

    def write(self, k: int, values: Values) -> None:
        """Keep chunk ``k``."""
        ...

    def whole(self) -> Values:
        """All numbers, in the shape of the sweep."""
        ...


class Memory:
    """Numbers kept in memory, for a sweep without a file."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self._arrays = plan, _empty(plan)

    def missing(self) -> list[int]:
        """All chunks."""
        return list(range(self.plan.chunks))

    def write(self, k: int, values: Values) -> None:
        """Put chunk ``k`` in its place."""
        for name, array in values.items():
            self._arrays[name][self.plan.part(k)] = array

    def whole(self) -> Values:
        """All numbers, in the shape of the sweep."""
        return {name: array.reshape(self.plan.shape) for name, array in self._arrays.items()}


class Parts:
    """Numbers kept in a folder, one file a chunk; made by :func:`opened` only, which holds the lock."""

    def __init__(self, plan: Plan, found: Held) -> None:
        self.plan, self.held, self.folder = plan, found, found.path

    def missing(self) -> list[int]:
        """Chunks not there, or not as they were written, as a failing disk may leave them."""
        return [k for k in range(self.plan.chunks) if self._read(k) is None]

    def write(self, k: int, values: Values) -> None:
        """Write chunk ``k``."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **values, **{SEAL: np.array(self._seal(k, values))})
        self.held.place.write(name_of(k), file.getvalue(), lasting=False)  # its digest tells damage

    def whole(self) -> Values:
        """All numbers, in the shape of the sweep."""
        memory = Memory(self.plan)
        for k in range(self.plan.chunks):
            values = self._read(k)
            if values is None:
                raise InvalidArgument(
                    f"{self.folder / name_of(k)} has gone or is damaged; the same command computes it again"
                )
            memory.write(k, values)
        return memory.whole()

    def gone(self) -> None:
        """Remove the parts and their folder; files of others in it stay, and so does the folder then."""
        self.held.gone(map(name_of, range(self.plan.chunks)))

    def _read(self, k: int) -> Values | None:
        """Chunk ``k``, or None; each file carries a digest of its numbers and of what they belong to."""
        part = self.plan.part(k)
        count = part.stop - part.start
        most = 4096 + sum(512 + count * np.dtype(kept.dtype).itemsize for kept in self.plan.kind.variables.values())
        try:
            with (
                open(self.held.place.regular(name_of(k), os.O_RDONLY), "rb") as file,
                np.load(io.BytesIO(file.read(most)), allow_pickle=False) as found,
            ):
                values = {name: found[name] for name in self.plan.kind.variables}
                seal = str(found[SEAL])
        except (OSError, ValueError, KeyError, EOFError, NotImplementedError, zlib.error, zipfile.BadZipFile):
            return None
        right = all(
            values[name].shape == (count,) and values[name].dtype == np.dtype(kept.dtype)
            for name, kept in self.plan.kind.variables.items()
        )
        return values if right and seal == self._seal(k, values) else None

    def _seal(self, k: int, values: Values) -> str:
        return digest_of(values, f"{self.plan.digest} {k}")


SEAL = "digest"
"""The name of the digest among the arrays of a chunk."""


def digest_of(values: Mapping[str, np.ndarray], what: str) -> str:
    """A digest of numbers and of what they belong to, in 64 characters."""
    found = hashlib.sha256(what.encode())
    for name, array in sorted(values.items()):
        data = np.ascontiguousarray(array)
        found.update(f"{name} {data.dtype.newbyteorder('<').str} {data.shape}".encode())
        found.update(data.astype(data.dtype.newbyteorder("<"), copy=False).tobytes())
    return found.hexdigest()


def name_of(k: int) -> str:
    """The name of the file of chunk ``k``."""
    return f"{k:08d}.npz"


def _empty(plan: Plan) -> Values:
    return {name: np.empty(plan.size, dtype=kept.dtype) for name, kept in plan.kind.variables.items()}


# --- the folder -----------------------------------------------------------------------------------------------------


def folder_of(out: Path) -> Path:
    """The folder of parts of the file ``out``."""
    return out.with_name(f"{out.name}.parts")


@contextmanager
def opened(plan: Plan, out: Path, *, restart: bool) -> Iterator[Parts]:
    """The parts of a sweep to the file ``out``, locked; a folder without any is removed in the end."""
    folder = folder_of(out)
    busy = f"another process is sweeping to {out}"
    refused = f"{folder} is not the folder of a sweep: it holds {{name}}; choose another file"
    with held(folder, "sweep", busy=busy, refused=refused, follow=False) as found:
        facts = found.facts or {}
        if facts.get("definition") != plan.definition:
            there = _parts_in(found)
            if there and not restart:
                raise InvalidArgument(f"{folder} holds a sweep with {_difference(facts, plan.definition)}; {REMEDY}")
            found.remove(there)
            found.mark({"definition": plan.definition, "chunks": plan.chunks})
        parts = Parts(plan, found)
        try:
            yield parts
        finally:
            if found.facts is not None and not _parts_in(found):
                parts.gone()


def _parts_in(found: Held) -> list[str]:
    """The names of chunks in the folder, of the sweep that its marker tells of."""
    chunks = (found.facts or {}).get("chunks")
    names = {name_of(k) for k in range(chunks)} if isinstance(chunks, int) and 0 <= chunks <= MOST else set()
    return [name for name in found.place.names() if name in names]


REMEDY = "choose another file, or restart (--restart) to drop what is there"


def _difference(facts: dict[str, Any], wanted: dict[str, Any]) -> str:
    """Which inputs are not the same, in words."""
    found = facts.get("definition")
    found = found if isinstance(found, dict) else {}
    names = [name for name in dict.fromkeys([*wanted, *found]) if found.get(name) != wanted.get(name)]
    return f"other {' and '.join(names)}"


def swept_up(plan: Plan, out: Path) -> None:
    """Remove the parts of a sweep that was killed between writing its file and removing them."""
    if not os.path.lexists(folder_of(out)):
        return
    with suppress(InvalidArgument), opened(plan, out, restart=False) as parts:
        parts.gone()
