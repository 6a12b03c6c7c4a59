"""Locks between processes; the system lets go of one when its process ends, however that happens."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from enum import Enum


class Lock(Enum):
    """What became of asking for a lock."""

    OURS = "this process has it"
    TAKEN = "another process has it"
    NONE = "the file system has no locks, so nothing is known of other processes"


def _by_flock(handle: int) -> Lock:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return Lock.TAKEN
    except OSError:
        return Lock.NONE
    return Lock.OURS


def _by_msvcrt(handle: int) -> Lock:
    import msvcrt

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError as problem:
        return Lock.TAKEN if problem.errno in (errno.EACCES, errno.EDEADLK) else Lock.NONE
    return Lock.OURS


lock: Callable[[int], Lock] = _by_msvcrt if sys.platform == "win32" else _by_flock
"""Lock an open file until it is closed, without waiting."""


def same_file(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether two looks at a file saw the same one."""
    return other is not None and os.path.samestat(one, other)
