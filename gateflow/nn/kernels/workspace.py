"""Memory for passes over whole sequences, used again from step to step.

A training step asks for the same few hundred megabytes as the one before. Fresh from the system every page of them
costs a fault, a third of the time of a layer; so blocks come back here when the last tensor in them has gone.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import threading
import weakref
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

KEPT = 1 << 30
"""Bytes of free blocks that are kept for later; a block alone may be larger."""

PAGE = 1 << 21
"""Blocks are multiples of a large page."""

SMALL = 1 << 20
"""Bytes below which PyTorch's own memory will do, as a block is a page at least."""

NUMPY = {torch.float32: np.float32, torch.float64: np.float64, torch.bfloat16: np.int16}
"""Types of NumPy of the same size."""

_free: list[mmap.mmap] = []
_lock = threading.RLock()  # a tensor's end may come at any time, in the midst of an allocation too


class NoMemory(MemoryError, RuntimeError):
    """There is no such block; PyTorch raises RuntimeError where its own is not to be had."""


def tensor(shape: Sequence[int], dtype: torch.dtype) -> Tensor:
    """A contiguous tensor of this shape, whatever is in it.

    Raises
    ------
    NoMemory
        There is no such block.

    Examples
    --------
    >>> tensor((10, 3), torch.float32).shape
    torch.Size([10, 3])
    """
    size = math.prod(shape) * dtype.itemsize
    if size < SMALL or dtype not in NUMPY:
        return torch.empty(*shape, dtype=dtype, device="cpu")
    size = -(-size // PAGE) * PAGE
    block = _take(size) or _map(size)
    array = np.frombuffer(block, dtype=NUMPY[dtype], count=math.prod(shape))
    # the tensor holds the array, and the array's end gives the block back
    weakref.finalize(array, _give_back, block).atexit = False
    return torch.from_numpy(array.reshape(shape)).view(dtype)


def clear() -> None:
    """Give all free blocks back to the system."""
    with _lock:
        _free.clear()


def free_bytes() -> int:
    """Bytes in free blocks."""
    with _lock:
        return sum(map(len, _free))


def _take(size: int) -> mmap.mmap | None:
    """The smallest free block that is large enough and not much larger."""
    with _lock:
        fitting = [block for block in _free if size <= len(block) <= 2 * size]
        if not fitting:
            return None
        best = min(fitting, key=len)
        _free.remove(best)
        return best


def _map(size: int) -> mmap.mmap:
    # shared, as is the default, a process and its fork would write to the same memory, and pages would be small
    private = {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS} if hasattr(mmap, "MAP_PRIVATE") else {}
    try:
        block = mmap.mmap(-1, size, **private)
    except (OSError, OverflowError):
        raise NoMemory(f"a recurrent layer needs {size / 2**30:.1f} GiB at once, which there are not") from None
    if hasattr(mmap, "MADV_HUGEPAGE"):
        with contextlib.suppress(OSError):
            block.madvise(mmap.MADV_HUGEPAGE)
    return block


def _give_back(block: mmap.mmap) -> None:
    with _lock:
        while _free and sum(map(len, _free)) + len(block) > KEPT:
            _free.pop(0)
        _free.append(block)


def is_dense(t: Tensor) -> bool:
    """Whether its memory holds its numbers, in order."""
    return t.is_contiguous() and not t.is_neg() and not t._is_zerotensor()


def dense(t: Tensor | None) -> Tensor | None:
    """The numbers themselves, in order: a tensor may be a view, one yet to be negated, or zeros without memory."""
    if t is None or is_dense(t):
        return t
    return t.detach().clone(memory_format=torch.contiguous_format).resolve_neg()
