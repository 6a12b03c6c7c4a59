"""Files of any kind: opened with plain words where they cannot be, and known by their digests."""

from __future__ import annotations

import gzip
import hashlib
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gateflow.errors import InvalidArgument


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """A file for reading, decompressed where its name ends in .gz; what the disk or gzip object to is one line."""
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            yield stream  # type: ignore[misc]
    except (OSError, EOFError, zlib.error) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidArgument(f"{path} cannot be read: {reason}") from None


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
