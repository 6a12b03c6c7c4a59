"""Folders that gateflow fills by itself: those of runs, and of the parts of a sweep.

Such a folder has a marker, ``.gateflow``: what the folder is, what it belongs to, and a digest over both. Without it
nothing in the folder is touched. With it, files of exact names are gateflow's, and all others are not. A lock beside
the marker keeps other processes out; it is never written to, and removed only with the folder or by the process that
made it for nothing.
"""

from __future__ import annotations

import json
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from gateflow.errors import Busy, InvalidArgument
from gateflow.files.lock import Lock, lock, same_file
from gateflow.files.oneline import one_line
from gateflow.files.place import Place, named_kind, spare_name
from gateflow.files.read import from_json
from gateflow.files.seal import is_sealed, sealed

MARKER = ".gateflow"
LOCK = ".gateflow-lock"
SMALL = 1 << 20

REMOVES_OPEN = os.name == "posix"
"""Whether a file can be removed while it is open."""


class Held:
    """A folder of ours, or an empty one, that this process has locked.

    Attributes
    ----------
    place : Place
    facts : dict or None
        What the marker says; None where there is none yet.
    """

    def __init__(self, place: Place, kind: str) -> None:
        self.place, self.kind, self.ended = place, kind, False
        self.facts = _marked(place, kind)

    @property
    def path(self) -> Path:
        return self.place.path

    def mark(self, facts: dict[str, Any]) -> None:
        """Write the marker; from now on files of exact names in the folder are ours."""
        text = json.dumps(sealed({"gateflow": self.kind, "facts": facts}), sort_keys=True)
        self.place.write(MARKER, f"{text}\n".encode())
        self.facts = facts

    def look(self, names: Iterable[str]) -> None:
        """See, before anything is removed or written under these exact names, that it can be.

        Raises
        ------
        InvalidArgument
            A link, a folder, a pipe or a device has one of them.
        """
        for name in names:
            found = self.place.stat(name)
            if found is not None and not stat.S_ISREG(found.st_mode):
                path = self.path / name
                raise InvalidArgument(
                    f"{path} is {named_kind(found)}, which is neither removed nor replaced; move it away"
                )

    def remove(self, names: Iterable[str]) -> None:
        """Remove files of these exact names, and what a killed process left of them."""
        for name in names:
            self.place.remove(name)
            self.place.swept(spare_name(name))

    def gone(self, names: Iterable[str]) -> None:
        """Remove files of these exact names, the marker and the lock, and the folder if nothing else is in it."""
        self.remove([*names, MARKER])
        self.facts, self.ended = None, True
        if REMOVES_OPEN:
            self.unlock()

    def unlock(self) -> None:
        """Remove the lock, and the folder if nothing else is in it."""
        self.place.remove(LOCK)  # last: once it is away, the folder may be another's
        with suppress(OSError):
            if self.ended and same_file(os.lstat(self.path), self.place.stat()):
                os.rmdir(self.path)


@contextmanager
def alone(path: Path) -> Iterator[Place]:
    """A folder, made if need be, in which one process at a time is at work; the others wait.

    Raises
    ------
    InvalidArgument
        It cannot be used.
    """
    with one_line("write to", path):
        path.mkdir(parents=True, exist_ok=True)
        with Place(path) as place:
            handle = place.regular(LOCK, os.O_RDWR | os.O_CREAT)
            try:
                while lock(handle) is Lock.TAKEN:
                    time.sleep(0.05)
                yield place
            finally:
                os.close(handle)


@contextmanager
def held(
    path: Path,
    kind: str,
    *,
    busy: str,
    refused: str,
    follow: bool = True,
    adopted: Callable[[], bool] = lambda: False,
) -> Iterator[Held]:
    """Hold a folder against other processes: one with our marker, or an empty one, or one that is made now.

    A folder that has no marker in the end is left as it was, and one that was made is removed.

    Parameters
    ----------
    path : Path
    kind : str
        What the folder is for; a marker of another kind is none.
    busy : str
        What to say where another process holds it.
    refused : str
        What to say of a folder of others, with ``{name}`` for what is in it.
    follow : bool
        Whether the path may be a link to a folder.
    adopted : callable
        Whether a folder without a marker proves to be ours in another way.

    Raises
    ------
    InvalidArgument
        As ``busy`` and ``refused`` say, or the folder cannot be used. Nothing has been changed then.
    """
    with ExitStack() as stack:
        try:
            found = _taken(stack, path, kind, busy, refused, follow, adopted)
        except InvalidArgument:
            raise
        except (OSError, ValueError) as problem:
            raise InvalidArgument(_unusable(path, problem, follow)) from None
        yield found


def _unusable(path: Path, problem: Exception, follow: bool) -> str:
    """What is wrong with a path that is no folder to work in, and what to do."""
    if path.is_symlink() and not follow:
        return f"{path} is a link, and files of others may be where it leads: remove the link, or choose another name"
    if os.path.lexists(path) and not path.is_dir():
        return f"{path} is in the way, and is no folder: move it, or choose another name"
    return f"cannot write to {path}: {getattr(problem, 'strerror', None) or problem}"


def _taken(
    stack: ExitStack, path: Path, kind: str, busy: str, refused: str, follow: bool, adopted: Callable[[], bool]
) -> Held:
    """The folder, open and locked until the stack closes."""
    while True:
        with ExitStack() as tried:
            found = tried.enter_context(_entered(path, kind, follow))
            _check(found, refused, adopted)
            try:
                tried.enter_context(_locked(found, busy))
            except FileNotFoundError:  # a process that has just ended took the folder away
                continue
            found.facts = _marked(found.place, kind)
            _check(found, refused, adopted)
            stack.push(tried.pop_all())
            return found


def _check(found: Held, refused: str, adopted: Callable[[], bool]) -> None:
    """Complain of a folder without our marker that holds anything."""
    if found.facts is None:
        names = [name for name in found.place.names() if name not in (LOCK, spare_name(MARKER))]
        if names and not adopted():
            first = min(names, key=lambda name: name.startswith("."))  # a name that its owner knows, if there is one
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            raise InvalidArgument(refused.replace("{name}", f"{first}{more}"))


@contextmanager
def _entered(path: Path, kind: str, follow: bool) -> Iterator[Held]:
    """The open folder, made if need be; what was made and is not used is removed."""
    missing = [each for each in (path, *path.parents) if not os.path.lexists(each)]
    found = None
    try:
        path.mkdir(parents=True, exist_ok=True)
        with Place(path, follow=follow) as place:
            found = Held(place, kind)
            yield found
    finally:
        if found is None or found.facts is None:
            _unmade(missing)


@contextmanager
def _locked(found: Held, busy: str) -> Iterator[None]:
    """The folder locked; a lock that was made for nothing is removed."""
    handle, fresh = _lock(found.place, busy)
    try:
        yield
    finally:
        ours = found.facts is None and (fresh or found.ended) and same_file(os.fstat(handle), found.place.stat(LOCK))
        if ours and REMOVES_OPEN:
            found.unlock()
        os.close(handle)
        if ours and not REMOVES_OPEN:
            with suppress(PermissionError):  # another process has opened it since
                found.unlock()


def _unmade(folders: list[Path]) -> None:
    """Remove folders that are empty, the innermost first."""
    with suppress(OSError):
        for each in folders:
            os.rmdir(each)


def _marked(place: Place, kind: str) -> dict[str, Any] | None:
    """What our marker in a folder says; None where there is none, or none of ours."""
    try:
        with open(place.regular(MARKER, os.O_RDONLY), "rb") as file:
            found = from_json(file.read(SMALL))
    except (OSError, ValueError):
        return None
    ours = is_sealed(found) and found.get("gateflow") == kind and isinstance(found.get("facts"), dict)
    return found["facts"] if ours else None


def _lock(place: Place, busy: str) -> tuple[int, bool]:
    """The lock of a folder, open and held, and whether it was made now.

    Raises
    ------
    FileNotFoundError
        The folder has gone.
    """
    while True:
        fresh = True
        try:
            handle = place.open(LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            fresh = False
            try:
                handle = place.regular(LOCK, os.O_RDWR)
            except FileNotFoundError:
                continue
        if lock(handle) is Lock.TAKEN:
            os.close(handle)
            raise Busy(busy)
        if same_file(os.fstat(handle), place.stat(LOCK)):
            return handle, fresh
        os.close(handle)
