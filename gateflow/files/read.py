"""Reading within bounds: regular files only, no longer than they may be, JSON and TOML no deeper and no wider."""

from __future__ import annotations

import errno
import json
import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import NoneType
from typing import IO, Any

from gateflow.errors import shown
from gateflow.files.place import NONBLOCK

TEXT = 1 << 24
"""Bytes of a file of settings, a certificate, a result."""

DEEP = 64
"""Brackets within brackets."""

DOTS = 256
"""Dots in a line of TOML."""

LARGEST = 2**63
"""Whole numbers are below this."""

UNPACKED = 1 << 28
"""Bytes that any compressed file may unpack to."""

RATIO = 64
"""Bytes that one byte of a larger compressed file may unpack to."""


def opened(path: Path, most: int | None = None) -> IO[bytes]:
    """A regular file, open for reading.

    Raises
    ------
    OSError
        It is a pipe, a device or a folder, which are not waited for; or it has more than ``most`` bytes.
    """
    handle = os.open(path, os.O_RDONLY | NONBLOCK | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        found = os.fstat(handle)
        if not stat.S_ISREG(found.st_mode):
            code = errno.EISDIR if stat.S_ISDIR(found.st_mode) else errno.EINVAL
            why = "Is a directory" if stat.S_ISDIR(found.st_mode) else "it is no regular file"
            raise OSError(code, why, str(path))
        if most is not None and found.st_size > most:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, and at most {most} are read", str(path))
        return open(handle, "rb")
    except BaseException:
        os.close(handle)
        raise


def read_bytes(path: Path, most: int = TEXT) -> bytes:
    """All of a regular file of at most ``most`` bytes; errors as :func:`opened`."""
    with opened(path, most) as file:
        return file.read(most + 1)[:most]


def read_text(path: Path, most: int = TEXT) -> str:
    """The same as text in UTF-8.

    Raises
    ------
    ValueError
        It is no UTF-8.
    """
    return read_bytes(path, most).decode("utf-8-sig")


def read_json(path: Path, most: int = TEXT) -> Any:
    """A JSON file; errors as :func:`opened` and :func:`from_json`."""
    return from_json(read_bytes(path, most))


def read_toml(path: Path, most: int = TEXT) -> dict[str, Any]:
    """A TOML file; errors as :func:`opened` and :func:`from_toml`."""
    return from_toml(read_text(path, most))


def from_toml(text: str) -> dict[str, Any]:
    """The values of a TOML text.

    Raises
    ------
    ValueError
        It is no TOML, nests too deep, or holds a whole number of over 18 digits.
    """
    if any(line.count(".") > DOTS for line in text.splitlines()):
        raise ValueError(f"a line has over {DOTS} dots")  # tomllib takes the square of their number
    try:
        found = tomllib.loads(text)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    return _bounded(found)


def is_unicode(text: str) -> bool:
    """Whether a text can be written in UTF-8; half a surrogate pair, as of a name in other bytes, cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def from_json(data: str | bytes) -> Any:
    """The value of a JSON text.

    Raises
    ------
    ValueError
        It is no JSON, nests too deep, holds a whole number of over 18 digits, or a name twice in one object: readers
        do not agree on which of the two counts.

    Examples
    --------
    >>> from_json('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> from_json("[" * 100_000)
    Traceback (most recent call last):
    ValueError: it nests too deep
    """
    try:
        found = json.loads(data, object_pairs_hook=_once)
    except RecursionError:
        raise ValueError("it nests too deep") from None
    return _bounded(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))
        raise ValueError(f"the name {shown(twice)} stands twice in one object")
    return found


def _bounded(found: Any) -> Any:
    layer, depth = [found], 0
    while layer:
        if depth > DEEP:
            raise ValueError("it nests too deep")
        if any(type(each) is int and not -LARGEST < each < LARGEST for each in layer):
            raise ValueError("it holds a whole number of over 18 digits")
        lists = (each.values() if isinstance(each, dict) else each for each in layer if isinstance(each, (dict, list)))
        layer, depth = [part for each in lists for part in each], depth + 1
    return found


def fits(found: Any, shape: Any) -> bool:
    """Whether a value read from JSON has a shape.

    Parameters
    ----------
    found
    shape
        A type; a tuple of shapes, any of which will do; a list of one shape, for a list of such; a mapping from names
        to shapes, for an object that has these names at least; a mapping from ``str`` to a shape, for an object of
        such.

    Examples
    --------
    >>> fits({"step": 3, "best": {"loss": 0.5}}, {"step": int, "best": {str: float}})
    True
    >>> fits({"step": "3"}, {"step": int}), fits([1, True], [int])
    (False, False)
    """
    if shape is None:
        shape = NoneType
    if isinstance(shape, tuple):
        return any(fits(found, each) for each in shape)
    if isinstance(shape, list):
        return isinstance(found, list) and all(fits(each, shape[0]) for each in found)
    if isinstance(shape, Mapping):
        if not isinstance(found, dict):
            return False
        if list(shape) == [str]:
            return all(fits(each, shape[str]) for each in found.values())
        return all(name in found and fits(found[name], each) for name, each in shape.items())
    if shape is Any:
        return True
    if shape is float:
        return type(found) in (int, float)
    return type(found) is shape


def unpacked_most(size: int) -> int:
    """Bytes that a compressed file of a given size may unpack to here.

    Examples
    --------
    >>> unpacked_most(3_000_000) // 2**20, unpacked_most(100_000_000) // 2**20
    (256, 6103)
    """
    return max(UNPACKED, RATIO * size)
