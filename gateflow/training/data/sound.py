"""Sound: PCM WAV files, and folders of them, one folder a class."""

from __future__ import annotations

import hashlib
import wave
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gateflow import files
from gateflow.errors import InvalidArgument

LARGEST = 1 << 30
"""Bytes of a recording."""


def wav(path: Path) -> tuple[int, np.ndarray]:
    """Sampling rate, and samples in [-1, 1) as (time, channels) float32, of a PCM WAV file of 8 to 32 bits."""
    try:
        with files.opened(path, LARGEST) as stream, wave.open(stream) as sound:
            rate, channels, width, frames = (
                sound.getframerate(),
                sound.getnchannels(),
                sound.getsampwidth(),
                sound.getnframes(),
            )
            if frames * channels * width > path.stat().st_size:
                raise InvalidArgument(f"{path} says it holds {frames} samples, more than its size: it is cut short")
            content = sound.readframes(frames)
    except (wave.Error, EOFError, OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or "it ends too early"
        raise InvalidArgument(f"{path} cannot be read as PCM WAV: {reason}") from None
    if width not in (1, 2, 3, 4) or rate < 1:
        raise InvalidArgument(f"{path} cannot be read as PCM WAV: {8 * width} bits a sample, {rate} samples a second")
    whole = len(content) // (width * channels) * channels
    return rate, _samples(content[: whole * width], width).reshape(-1, channels)


def _samples(content: bytes, width: int) -> np.ndarray:
    octets = np.frombuffer(content, np.uint8).reshape(-1, width)
    if width == 1:  # the only width without a sign
        return octets[:, 0].astype(np.float32) / 128 - 1
    wide = np.zeros((len(octets), 4), np.uint8)
    wide[:, 4 - width :] = octets
    return (wide.view("<i4")[:, 0] * 2.0**-31).astype(np.float32)


LISTS = {"valid": "validation_list.txt", "test": "testing_list.txt"}


class Recordings:
    """A folder with a folder of WAV files for each class, as in Speech Commands; a recording is read when asked for.

    Folders whose names begin with "_" or "." are no classes: ``_background_noise_`` is not one.

    Parameters
    ----------
    root : Path
    classes : sequence of str, optional
        The classes to keep; all of them by default.

    Attributes
    ----------
    labels : list of str
        The class of each recording.
    listed : dict
        Where the folder has lists for validation and test: the split to the rows that its list names.
    rate : int
        Samples a second, of the first recording and so of all.
    """

    def __init__(self, root: Path, classes: Sequence[str] | None = None) -> None:
        self.root = root
        folders = sorted(folder for folder in root.iterdir() if folder.is_dir() and folder.name[0] not in "._")
        kept = [folder for folder in folders if classes is None or folder.name in classes]
        self.names = [f"{folder.name}/{file.name}" for folder in kept for file in _wavs(folder)]
        if not self.names:
            raise InvalidArgument(f"{root} has no folders of WAV files, one a class")
        self.labels = [name.split("/", 1)[0] for name in self.names]
        self.listed = self._lists()
        self.rate = wav(root / self.names[0])[0]

    def _lists(self) -> dict[str, list[int]]:
        there = {split: self.root / name for split, name in LISTS.items() if (self.root / name).is_file()}
        if len(there) == 1:
            raise InvalidArgument(f"{self.root} must have both of {' and '.join(LISTS.values())}, or neither")
        return {split: _rows_in(path, self.names) for split, path in there.items()}

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, row: int) -> np.ndarray:
        path = self.root / self.names[row]
        rate, samples = wav(path)
        if rate != self.rate:
            raise InvalidArgument(f"{path} has {rate} samples a second where {self.names[0]} has {self.rate}")
        if samples.shape[1] != 1:
            raise InvalidArgument(f"{path} has {samples.shape[1]} channels; recordings must have one")
        return samples

    def fingerprint(self) -> str:
        """A digest of the recordings' names and sizes; their samples are not read for it."""
        lines = (f"{name} {(self.root / name).stat().st_size}\n" for name in self.names)
        return hashlib.sha256("".join(lines).encode()).hexdigest()


def _rows_in(path: Path, names: Sequence[str]) -> list[int]:
    """Which of the names are lines of a list."""
    with files.one_line("read", path):
        text = files.read_bytes(path).decode("utf-8", "replace")
    lines = {line.strip() for line in text.splitlines()}
    return [row for row, name in enumerate(names) if name in lines]


def _wavs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.iterdir() if file.suffix.lower() == ".wav")
