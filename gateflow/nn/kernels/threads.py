"""The threads among which a pass is shared: of the OpenMP in the process, as a rule PyTorch's, else of a pool.

After PyTorch's operations its OpenMP threads spin for some milliseconds, waiting for more work. Other threads would
have to share the processors with them.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

SYMBOLS = ("GOMP_parallel", "omp_get_thread_num", "omp_get_num_threads")
"""GNU's names, which Intel's and LLVM's libraries have too on Linux; as in the structure Team of gates.h."""

_HOME = os.getpid()


class Team(ctypes.Structure):
    """Entries of an OpenMP library."""

    _fields_ = [(name, ctypes.c_void_p) for name in SYMBOLS]


def team() -> Team | None:
    """The OpenMP that is loaded in this process; None where there is none, or in a fork, which its threads are not in.

    A fork that imports this module first is not recognised; as PyTorch does there, it needs
    ``torch.set_num_threads(1)``.

    Examples
    --------
    >>> team() is team()
    True
    """
    return _load() if os.getpid() == _HOME else None


@lru_cache(maxsize=1)
def _load() -> Team | None:
    try:
        everything = ctypes.CDLL(None)
        return Team(*(ctypes.cast(getattr(everything, name), ctypes.c_void_p) for name in SYMBOLS))
    except (AttributeError, OSError, TypeError):  # TypeError: Windows has no name for all of a process
        return None


def in_pool(work: Callable[[int, int, int], None], cuts: Sequence[int]) -> None:
    """``work(first, last, number)`` for each share of ``cuts``, the first of them in this thread."""
    jobs = list(zip(cuts[:-1], cuts[1:], range(len(cuts) - 1), strict=True))
    others = [_pool(os.getpid(), len(jobs)).submit(work, *job) for job in jobs[1:]]
    work(*jobs[0])
    for other in others:
        other.result()


@lru_cache(maxsize=4)
def _pool(_: int, size: int) -> ThreadPoolExecutor:
    """Threads of this process."""
    return ThreadPoolExecutor(size, thread_name_prefix="gateflow")
