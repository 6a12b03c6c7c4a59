"""Files of any kind: opened with plain words where they cannot be, and known by their digests."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gateflow import files
from gateflow.errors import InvalidArgument


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A regular file for reading, decompressed where its name ends in .gz; what is wrong with it is one line.

    A compressed file unpacks to :func:`gateflow.files.unpacked_most` bytes at most.
    """
    try:
        with files.opened(path) as stream:
            if path.suffix != ".gz":
                yield stream
                return
            most = files.unpacked_most(os.fstat(stream.fileno()).st_size)
            with gzip.open(stream) as unpacked, io.BufferedReader(_Bounded(unpacked, path, most)) as bounded:
                yield bounded
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArgument(f"{path} cannot be read: {reason}") from None


class _Bounded(io.RawIOBase):
    """What a stream yields, up to a number of bytes."""

    def __init__(self, stream: io.BufferedIOBase, path: Path, most: int) -> None:
        self.stream, self.path, self.most, self.left = stream, path, most, most

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        block = self.stream.read(len(into))
        self.left -= len(block)
        if self.left < 0:
            raise InvalidArgument(f"{self.path} unpacks to more than {self.most} bytes; unpack it to have it read")
        into[: len(block)] = block
        return len(block)


# The most that deflate can expand: 258 bytes from two bits.
DEFLATE = 1032


def up_to(stream: IO[bytes], most: int) -> bytes:
    """What is left of a file, ``most`` bytes of it; memory is taken for what is there, not for what is asked."""
    blocks: list[bytes] = []
    while most > 0 and (block := stream.read(min(most, 1 << 20))):
        blocks.append(block)
        most -= len(block)
    return b"".join(blocks)


def digest(path: Path) -> str:
    """SHA-256 of a file, uncompressed."""
    total = hashlib.sha256()
    with opened(path) as stream:
        while block := stream.read(1 << 20):
            total.update(block)
    return total.hexdigest()


def fingerprint(paths: Sequence[Path]) -> str:
    """SHA-256 of the files one after another, uncompressed."""
    return hashlib.sha256("".join(digest(path) for path in paths).encode()).hexdigest()
