"""Locks between processes; the system lets go of one when its process ends, however that happens."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable


def _by_flock(handle: int) -> bool:
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: nothing is told of other processes
        return True
    return True


def _by_msvcrt(handle: int) -> bool:
    import msvcrt

    try:
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    except OSError:
        return False
    return True


lock: Callable[[int], bool] = _by_msvcrt if sys.platform == "win32" else _by_flock
"""Lock an open file until it is closed; False where another process holds it."""


def same_file(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether two looks at a file saw the same one."""
    return other is not None and os.path.samestat(one, other)
