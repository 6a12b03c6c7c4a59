"""Locks between processes; the system lets go of one when its process ends, however that happens."""

from __future__ import annotations

import os
from enum import Enum


class Lock(Enum):
    """What became of asking for a lock."""

    OURS = "this process has it"
    TAKEN = "another process has it"
    NONE = "the file system has no locks, so nothing is known of other processes"


def lock(handle: int) -> Lock:
    """Lock an open file until it is closed, without waiting."""
    from filelock import lock_descriptor

    try:
        return Lock.OURS if lock_descriptor(handle, blocking=False) else Lock.TAKEN
    except OSError:
        return Lock.NONE


def same_file(one: os.stat_result, other: os.stat_result | None) -> bool:
    """Whether two looks at a file saw the same one."""
    return other is not None and os.path.samestat(one, other)
