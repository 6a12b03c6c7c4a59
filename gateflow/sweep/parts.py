"""Where the results of a sweep wait until all are there: one file a chunk, each written whole or not at all.

Next to ``times.nc`` stands the folder ``times.nc.parts`` with the definition of the sweep, a lock, and the chunks done
so far. Whatever kills a sweep, what is in there is right, and the same sweep begun again computes only what is missing.
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from gateflow import record
from gateflow.errors import InvalidArgument
from gateflow.sweep.plan import Plan

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

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan, self.folder = plan, folder

    def missing(self) -> list[int]:
        """Chunks not there, or not as they were written, as a failing disk may leave them."""
        return [k for k in range(self.plan.chunks) if self._read(k) is None]

    def write(self, k: int, values: Values) -> None:
        """Write chunk ``k``."""
        file = io.BytesIO()
        np.savez(file, allow_pickle=False, **values)
        record.write_bytes(self._path(k), file.getvalue())

    def whole(self) -> Values:
        """All numbers, in the shape of the sweep."""
        memory = Memory(self.plan)
        for k in range(self.plan.chunks):
            values = self._read(k)
            if values is None:
                raise InvalidArgument(f"{self._path(k)} has gone or is damaged; the same command computes it again")
            memory.write(k, values)
        return memory.whole()

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:08d}.npz"

    def _read(self, k: int) -> Values | None:
        """Chunk ``k``, or None; each array in the file carries a checksum."""
        try:
            with np.load(io.BytesIO(self._path(k).read_bytes()), allow_pickle=False) as file:
                values = {name: file[name] for name in self.plan.kind.variables}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        part = self.plan.part(k)
        right = all(
            values[name].shape == (part.stop - part.start,) and values[name].dtype == np.dtype(kept.dtype)
            for name, kept in self.plan.kind.variables.items()
        )
        return values if right else None


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
    with _locked(folder, out):
        definition = folder / "definition.json"
        found = _definition(definition)
        if found != plan.definition and _holds_parts(folder) and not restart:
            raise InvalidArgument(f"{folder} holds a sweep with {_difference(found, plan.definition)}; {REMEDY}")
        if found != plan.definition:
            _emptied(folder, keep="lock")
            record.write_text(definition, json.dumps(plan.definition))
        try:
            yield Parts(plan, folder)
        finally:
            if not _holds_parts(folder):
                gone(folder)


def _holds_parts(folder: Path) -> bool:
    return any(folder.glob("*.npz"))


REMEDY = "choose another file, or restart (--restart) to drop what is there"


def _definition(path: Path) -> Any:
    """The definition in the folder; None where there is none that can be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _difference(found: Any, wanted: dict[str, Any]) -> str:
    """Which inputs are not the same, in words."""
    found = found if isinstance(found, dict) else {}
    names = [name for name in dict.fromkeys([*wanted, *found]) if found.get(name) != wanted.get(name)]
    return f"other {' and '.join(names)}"


def gone(folder: Path) -> None:
    """Remove the folder of parts; files in it that are not of a sweep stay, and so does the folder then."""
    with suppress(OSError):
        _emptied(folder)
        folder.rmdir()


def swept_up(plan: Plan, out: Path) -> None:
    """Remove the parts of a sweep that was killed between writing its file and removing them."""
    folder = folder_of(out)
    if _definition(folder / "definition.json") == plan.definition:
        with suppress(InvalidArgument), opened(plan, out, restart=False):
            gone(folder)


def _emptied(folder: Path, keep: str = "") -> None:
    """Remove what a sweep writes, temporary files of :func:`gateflow.record.write_bytes` too.

    The lock goes last: once it is away, the folder may be another's.
    """
    ours = ("lock", "definition.json", "whole.nc")
    names = [path.name for path in folder.iterdir()]
    for name in sorted(names, key=lambda name: (name == "lock", name)):
        if name != keep and (name in ours or name.endswith(".npz") or name.startswith(".")):
            (folder / name).unlink(missing_ok=True)


@contextmanager
def _locked(folder: Path, out: Path) -> Iterator[None]:
    """Hold the folder against other processes; the system lets go of it when this one ends, however that happens."""
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            file = open(folder / "lock", "ab")  # noqa: SIM115
        except FileNotFoundError:  # a sweep that has just ended took the folder away
            continue
        with file:
            if not _lock(file.fileno()):
                raise InvalidArgument(f"another process is sweeping to {out}")
            if not _is_still(file.fileno(), folder / "lock"):
                continue
            yield
            return


def _is_still(handle: int, path: Path) -> bool:
    """Whether the open file is the one at ``path``, not one removed in the meantime."""
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _lock_by_flock(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: two sweeps at once write the same bytes, so nothing is lost
        return True
    return True


def _lock_by_msvcrt(handle: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


_lock: Callable[[int], bool] = _lock_by_msvcrt if sys.platform == "win32" else _lock_by_flock
