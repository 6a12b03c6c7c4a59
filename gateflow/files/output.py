"""The one convention for outputs that are there already.

What proves to be ours is replaced: a certificate or a report whose digest fits, figures as their record says. So is a
file that has the very bytes to be written. Anything else is refused in one line, before the work where that can be
known, unless ``--force`` was given; then a file is replaced as a file. A link, a folder, a pipe or a device is never
replaced.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from gateflow.errors import InvalidArgument, shown
from gateflow.files.oneline import one_line
from gateflow.files.place import Place, Standing, encoded
from gateflow.files.read import read_bytes

MOST = 1 << 28
"""Bytes of a file that may prove to be ours."""


def file_path(path: str | os.PathLike[str]) -> Path:
    """A path to a file; complains of one whose last sign says that it is a folder, which a `Path` forgets.

    Examples
    --------
    >>> file_path("slope.svg/")
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: slope.svg/ names a folder; give the file to write
    """
    text = os.fspath(path)
    if not isinstance(path, Path) and os.path.basename(text) in ("", ".", ".."):
        raise InvalidArgument(f"{shown(text).strip(QUOTES)} names a folder; give the file to write")
    return Path(text)


QUOTES = "'\""


class Output:
    """A file that a command writes.

    Parameters
    ----------
    path : path
        In a folder that is there.
    force : bool
        Whether another file may be replaced.
    ours : callable, optional
        Whether these bytes prove to be ours.
    what : str
        What ours would be, for the message.
    early : bool
        Refuse now what does not prove to be ours, without waiting for the new bytes, which might be the same.

    Raises
    ------
    InvalidArgument
        Nothing can or may be written there.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        force: bool = False,
        ours: Callable[[bytes], bool] = lambda _: False,
        what: str = "",
        early: bool = False,
    ) -> None:
        self.path, self.force, self.ours, self.what = file_path(path), force, ours, what
        found = _replaceable(self.path)
        if early and found is not None and not force and not self._is_ours():
            raise self._refused()

    def check(self, data: bytes) -> os.stat_result | None:
        """What is there and may be replaced by these bytes, if anything.

        Raises
        ------
        InvalidArgument
            It may not.
        """
        found = _replaceable(self.path)
        if found is not None and not self.force and not self._holds(data, found) and not self._is_ours():
            raise self._refused()
        return found

    def write(self, data: bytes | str) -> Path:
        """Write the file whole or not at all; its path."""
        whole = encoded(data) if isinstance(data, str) else data
        found = self.check(whole)
        if found is not None and self._holds(whole, found):
            return self.path
        with one_line("write", self.path), Place(self.path.parent) as place:
            place.write(self.path.name, whole, Standing(found))
        return self.path

    def _is_ours(self) -> bool:
        with suppress(OSError, ValueError):
            return self.ours(read_bytes(self.path, MOST))
        return False

    def _holds(self, data: bytes, found: os.stat_result) -> bool:
        with suppress(OSError):
            return found.st_size == len(data) and read_bytes(self.path, len(data)) == data
        return False

    def _refused(self) -> InvalidArgument:
        why = f"and is no {self.what}" if self.what else "already"
        return InvalidArgument(f"{self.path} is there {why}; choose another file, or give --force to replace it")


def write_all(files: Iterable[tuple[Output, bytes | str]]) -> list[Path]:
    """Write several files; where one of them may not be replaced, none is written. Their paths.

    Raises
    ------
    InvalidArgument
        One may not be replaced, or cannot be written.
    """
    whole = [(each, encoded(data) if isinstance(data, str) else data) for each, data in files]
    for each, data in whole:
        each.check(data)
    return [each.write(data) for each, data in whole]


def _replaceable(path: Path) -> os.stat_result | None:
    """A look at a file that may be replaced, None where there is none; complains of anything else."""
    with one_line("write", path, form="path"):
        try:
            found = os.lstat(path)
        except FileNotFoundError:
            found = None
            if not path.parent.is_dir():
                raise InvalidArgument(f"cannot write {path}: there is no folder {path.parent}") from None
    if found is None or stat.S_ISREG(found.st_mode):
        return found
    if stat.S_ISDIR(found.st_mode):
        raise InvalidArgument(f"cannot write {path}: Is a directory")
    if stat.S_ISLNK(found.st_mode):
        raise InvalidArgument(f"{path} is a link; give the file itself")
    raise InvalidArgument(f"{path} is no regular file; give another")


def folder_for(path: str | os.PathLike[str]) -> Path:
    """A folder to write to, made if there is none.

    Raises
    ------
    InvalidArgument
        It cannot be made, or is a file.
    """
    with one_line("write to", path, form="path"):
        Path(path).mkdir(parents=True, exist_ok=True)
    return Path(path)
