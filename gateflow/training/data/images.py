"""Images as bytes: the IDX format of MNIST, and the binary version of CIFAR-10.

What a file claims about its size is compared with the size it has before memory is given to it.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gateflow import files
from gateflow.errors import InvalidArgument
from gateflow.training.data.files import DEFLATE, opened, up_to


def idx(path: Path, ndim: int) -> np.ndarray:
    """The bytes of an IDX file as an array of ``ndim`` dimensions, mapped from the disk unless it is compressed.

    Raises
    ------
    InvalidArgument
        It is no IDX file of bytes, has other dimensions, or is shorter or longer than it says.

    Notes
    -----
    Two zeros, the type (8: unsigned bytes), the number of dimensions, the dimensions as big-endian 32-bit numbers, the
    numbers in C order.
    """
    with opened(path) as stream:
        head = stream.read(4 + 4 * ndim)
        if len(head) < 4 or head[:3] != b"\0\0\x08":
            raise InvalidArgument(f"{path} is no IDX file of bytes: it begins with {head[:4].hex() or 'nothing'}")
        if head[3] != ndim or len(head) < 4 + 4 * ndim:
            raise InvalidArgument(f"{path} has {head[3]} dimensions where {ndim} are needed, or ends in its head")
        shape = tuple(int(n) for n in np.frombuffer(head, ">u4", offset=4))
        count = int(np.prod(np.array(shape, dtype=object)))
        size = path.stat().st_size
        claim = f"{path} says it holds {' x '.join(map(str, shape))} bytes"
        if path.suffix != ".gz":
            if size - len(head) != count:
                raise InvalidArgument(f"{claim}, but holds {size - len(head)}: it is cut short or not what it says")
            return np.memmap(stream, np.uint8, "r", len(head), shape) if count else np.zeros(shape, np.uint8)
        if count > min(DEFLATE * size, files.unpacked_most(size)):
            raise InvalidArgument(f"{claim}, more than its {size} bytes can unpack to")
        content = up_to(stream, count + 1)
        if len(content) != count:
            raise InvalidArgument(f"{claim}, but holds {'more' if len(content) > count else len(content)}")
        return np.frombuffer(content, np.uint8).reshape(shape)


def cifar(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Labels, (n,), and images, (n, 3, 32, 32), of one file of CIFAR-10's binary version."""
    record = 1 + 3 * 32 * 32
    with opened(path) as stream:
        if path.suffix == ".gz":
            content = np.frombuffer(up_to(stream, 60_000 * record + 1), np.uint8)
        else:
            content = np.memmap(stream, np.uint8, "r") if path.stat().st_size else np.zeros(0, np.uint8)
    if not len(content) or len(content) % record:
        raise InvalidArgument(
            f"{path} has {len(content)} bytes, no multiple of {record}: not CIFAR-10's binary version"
        )
    content = content.reshape(-1, record)
    return content[:, 0], content[:, 1:].reshape(-1, 3, 32, 32)
