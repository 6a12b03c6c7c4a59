"""An open folder, and files written in it: whole or not at all, and on the disk before the old one goes.

What is done in an open folder by name stays in that folder, even where another program puts a link in place of its
path in the meantime.

A file is written under the spare name of its own, ``.gateflow-DIGEST.part``, with a digest of the name that it is to
have. So a file of that exact name, locked by nobody, is what a killed process left, and the next one to write the same
file removes it; no other file is ever taken for one. Where the file system has no locks it stays. The file that takes
the name is the one that was written: if another has its spare name by then, nothing is renamed.
"""

from __future__ import annotations

import atexit
import errno
import hashlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

from gateflow.files.lock import Lock, lock, same_file

SPARES = 100
"""Processes that may write one file at once."""

_AT = os.open in os.supports_dir_fd
"""Whether files are opened in open folders; else by their paths."""

NOFOLLOW = getattr(os, "O_NOFOLLOW", 0)
NONBLOCK = getattr(os, "O_NONBLOCK", 0)
_OWN = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)


class Standing:
    """What stands under a name before something is written there: by which a later look sees whether it has changed."""

    def __init__(self, found: os.stat_result | None) -> None:
        self.found = found

    def is_still(self, now: os.stat_result | None) -> bool:
        if self.found is None or now is None:
            return self.found is now
        names = ("st_dev", "st_ino", "st_size", "st_mtime_ns")
        return all(getattr(self.found, name) == getattr(now, name) for name in names)


@dataclass(frozen=True)
class Draft:
    """A file that is being written."""

    file: IO[bytes]

    def flush(self) -> None:
        """See that what is written so far is on the disk."""
        self.file.flush()
        os.fsync(self.file.fileno())


class Place:
    """An open folder.

    Parameters
    ----------
    path : Path
    follow : bool
        Whether the path itself may be a link to a folder.

    Raises
    ------
    OSError
        There is no such folder.
    """

    def __init__(self, path: Path, *, follow: bool = True) -> None:
        self.path = path
        self.fd: int | None = None
        if _AT:
            flags = os.O_RDONLY | os.O_DIRECTORY | _OWN | (0 if follow else NOFOLLOW)
            self.fd = os.open(path, flags)
        elif not path.is_dir() or (path.is_symlink() and not follow):
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(path))

    def __enter__(self) -> Place:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the folder."""
        if self.fd is not None:
            os.close(self.fd)
            self.fd = None

    # --- what is in it ---

    def names(self) -> list[str]:
        """The names in it, sorted."""
        return sorted(os.listdir(self.path if self.fd is None else self.fd))

    def stat(self, name: str | None = None) -> os.stat_result | None:
        """A look at what has the name, itself and not what it links to; None where there is nothing."""
        if name is None:
            return os.stat(self.path) if self.fd is None else os.fstat(self.fd)
        with suppress(FileNotFoundError):
            return os.stat(self._at(name), dir_fd=self.fd, follow_symlinks=False)
        return None

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        """Open a file by name; never through a link, never waiting for the other end of a pipe."""
        return os.open(self._at(name), flags | NOFOLLOW | NONBLOCK | _OWN, mode, dir_fd=self.fd)

    def regular(self, name: str, flags: int) -> int:
        """Open a regular file by name.

        Raises
        ------
        OSError
            It is a link, a folder, a pipe or a device.
        """
        handle = self._naming_errors(name, lambda: self.open(name, flags))
        if not stat.S_ISREG(os.fstat(handle).st_mode):
            os.close(handle)
            raise OSError(errno.EINVAL, "it is no regular file", str(self.path / name))
        return handle

    def private(self) -> bool:
        """Whether the folder is ours and nobody else may write to it."""
        found = self.stat()
        return found is not None and is_private(found)

    # --- changing it ---

    def remove(self, *names: str) -> None:
        """Remove regular files by name; what is not there, or is something else, stays."""
        for name in names:
            found = self.stat(name)
            if found is not None and stat.S_ISREG(found.st_mode):
                with suppress(FileNotFoundError):
                    os.unlink(self._at(name), dir_fd=self.fd)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name, over what has it."""
        os.replace(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd)

    def link(self, old: str, new: str) -> None:
        """Give a file a second name, which must be free."""
        more = {"follow_symlinks": False} if os.link in os.supports_follow_symlinks else {}
        os.link(self._at(old), self._at(new), src_dir_fd=self.fd, dst_dir_fd=self.fd, **more)

    def sync(self) -> None:
        """See that names are on the disk."""
        if self.fd is not None:
            with suppress(OSError):  # some file systems cannot
                os.fsync(self.fd)

    def write(self, name: str, data: bytes, over: Standing | None = None, *, lasting: bool = True) -> None:
        """Write a file whole or not at all, over nothing or a regular file; over this ``Standing`` only, if given.

        What is not ``lasting`` is not waited for until it is on the disk: after a power cut it may be damaged.
        """
        with self.draft(name, over, lasting=lasting) as draft:
            draft.file.write(data)

    @contextmanager
    def draft(self, name: str, over: Standing | None = None, *, lasting: bool = True) -> Iterator[Draft]:
        """A file to write to, which in the end is flushed to the disk and takes the name.

        Raises
        ------
        FileExistsError
            What has the name is not what ``over`` says, or is no regular file.
        """
        spare, handle = self._naming_errors(name, lambda: self._begun(name))
        try:
            made, opened = os.fstat(handle), open(handle, "wb")  # noqa: SIM115
        except BaseException:  # Ctrl-C
            self._given_up(spare, handle)
            raise
        try:
            with opened as file:
                try:
                    draft = Draft(file)
                    yield draft
                    self._settle_mode(file.fileno(), self.stat(name))
                    file.flush()
                    if lasting:
                        os.fsync(file.fileno())
                    if not _AT:  # such systems rename and remove no open file
                        file.close()
                    self._put(spare, made, name, over)
                except BaseException:
                    if not _AT:
                        file.close()
                    if same_file(made, self.stat(spare)):
                        self.remove(spare)
                    raise
        except OSError as problem:
            raise _named(problem, self.path / name) from None
        if lasting:
            self.sync()

    def keep_as(self, name: str, other: str) -> None:
        """Let a file have another name as well, over what has that; at no moment does either lack a whole file."""
        spare = spare_name(other)
        self.swept(spare)
        try:
            self.link(name, spare)
        except OSError:  # a file system without second names
            with open(self.regular(name, os.O_RDONLY), "rb") as file:
                data = file.read()
            self.write(other, data)
            return
        found = self.stat(name)
        self._check_spare(spare, found)
        self.rename(spare, other)
        if found is not None and same_file(found, self.stat(spare)):  # a rename of one file to itself leaves both
            self.remove(spare)
        self.sync()

    # --- parts ---

    def _at(self, name: str) -> str:
        return name if self.fd is not None else str(self.path / name)

    def _naming_errors(self, name: str, action: Any) -> Any:
        """The answer of ``action``; its errors name the file."""
        try:
            return action()
        except OSError as problem:
            raise _named(problem, self.path / name) from None

    def _begun(self, name: str) -> tuple[str, int]:
        """A new file under a spare name, locked; what a killed process left under it is removed."""
        found = self.stat(name)
        if found is not None and not stat.S_ISREG(found.st_mode):
            raise FileExistsError(errno.EEXIST, _no_file(found))
        for k in range(SPARES):
            spare = spare_name(name, k)
            for _ in range(3):
                try:
                    handle = self.open(spare, os.O_RDWR | os.O_CREAT | os.O_EXCL)
                except FileExistsError:
                    if not self.swept(spare):
                        break
                    continue
                except BaseException:  # Ctrl-C, which comes when the file is there and nobody has it yet
                    self.swept(spare)
                    raise
                try:
                    if lock(handle) is not Lock.TAKEN and same_file(os.fstat(handle), self.stat(spare)):
                        return spare, handle
                except BaseException:
                    self._given_up(spare, handle)
                    raise
                os.close(handle)
        raise OSError(errno.EBUSY, "too many processes write it, or have left files .gateflow-*.part")

    def _given_up(self, spare: str, handle: int) -> None:
        """Remove a file that nobody will write to."""
        with suppress(OSError):  # it may be closed already
            os.close(handle)
        self.swept(spare)

    def swept(self, spare: str) -> bool:
        """Whether a file under a spare name was left by a killed process, and is removed now."""
        try:
            handle = self.open(spare, os.O_RDWR)
        except OSError:
            return False
        try:
            found = os.fstat(handle)
            ours = stat.S_ISREG(found.st_mode) and _is_mine(found) and lock(handle) is Lock.OURS
            if not ours or not same_file(found, self.stat(spare)):
                return False
            if _AT:
                self.remove(spare)
        finally:
            os.close(handle)
        if not _AT:  # such systems remove no open file, and so none that another process has opened since
            with suppress(PermissionError):
                self.remove(spare)
        return True

    def _settle_mode(self, handle: int, old: os.stat_result | None) -> None:
        """Nobody may read or write the new file who could not the old one."""
        if old is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, os.fstat(handle).st_mode & old.st_mode & 0o777)

    def _check_spare(self, spare: str, made: os.stat_result | None) -> None:
        """Complain where another file than the one that was made has its spare name by now."""
        if made is None or not same_file(made, self.stat(spare)):
            raise FileExistsError(errno.EEXIST, "another process has taken its spare name while it was written")

    def _put(self, spare: str, made: os.stat_result, name: str, over: Standing | None) -> None:
        self._check_spare(spare, made)
        now = self.stat(name)
        if now is not None and not stat.S_ISREG(now.st_mode):
            raise FileExistsError(errno.EEXIST, _no_file(now))
        if over is not None and not over.is_still(now):
            raise FileExistsError(errno.EEXIST, "another program has written it in the meantime")
        if over is not None and now is None:
            try:
                self.link(spare, name)
            except FileExistsError:
                raise FileExistsError(errno.EEXIST, "another program has written it in the meantime") from None
            except OSError:  # a file system without second names
                self.rename(spare, name)
            else:
                self.remove(spare)
            return
        self.rename(spare, name)


def spare_name(name: str, k: int = 0) -> str:
    """The name under which a file is written before it has its own; the ``k``-th that is tried.

    Examples
    --------
    >>> spare_name("slope.pdf").startswith(".gateflow-"), spare_name("a") == spare_name("b")
    (True, False)
    """
    digest = hashlib.sha256(b"gateflow\0%d\0%s" % (k, os.fsencode(name))).hexdigest()
    return f".gateflow-{digest[:32]}.part"


def is_private(found: os.stat_result) -> bool:
    """Whether a file or folder is ours and nobody else may write to it."""
    return _is_mine(found) and not (os.name == "posix" and found.st_mode & 0o022)


def _is_mine(found: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or found.st_uid == os.geteuid()


def _no_file(found: os.stat_result) -> str:
    """What stands in the way of a file, in words."""
    return f"it is {named_kind(found)}{'; give the file itself' if stat.S_ISLNK(found.st_mode) else ''}"


def named_kind(found: os.stat_result) -> str:
    """What is no regular file, in words."""
    if stat.S_ISLNK(found.st_mode):
        return "a link"
    return "a folder" if stat.S_ISDIR(found.st_mode) else "no regular file"


def _named(problem: OSError, path: Path) -> OSError:
    """The same error, of this file."""
    return OSError(problem.errno, problem.strerror, str(path))


@lru_cache(maxsize=1)
def temporary() -> Path:
    """A folder of ours alone that ends with this process."""
    path = Path(tempfile.mkdtemp(prefix="gateflow-"))
    atexit.register(shutil.rmtree, path, ignore_errors=True)
    return path


def private_or_temporary(path: Path) -> Path:
    """The folder, made if need be, where it is ours and nobody else may write to it; else a temporary one."""
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with Place(path, follow=False) as place:
            if place.private():
                return path
    except OSError:
        pass
    return temporary()


def write_bytes(path: Path, data: bytes, over: Standing | None = None) -> None:
    """Write a file whole or not at all, in a folder that is there; see :meth:`Place.write`."""
    with Place(path.parent) as place:
        place.write(path.name, data, over)


def write_text(path: Path, text: str, over: Standing | None = None) -> None:
    """The same for a text, in UTF-8; half a surrogate pair, which has no UTF-8, is written as an escape."""
    write_bytes(path, encoded(text), over)


def encoded(text: str) -> bytes:
    """A text in UTF-8, with escapes for what has none."""
    return text.encode("utf-8", "backslashreplace")
