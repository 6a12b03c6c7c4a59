"""Writers of small files in the formats that tasks read."""

from __future__ import annotations

import gzip
import struct
import wave
from pathlib import Path

import numpy as np

TRAIN, TEST = 60, 25


def write_idx(path: Path, array: np.ndarray) -> None:
    head = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def write_images28(folder: Path, ending: str, seed: int) -> None:
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for part, count in (("train", TRAIN), ("t10k", TEST)):
        write_idx(folder / f"{part}-images-idx3-ubyte{ending}", rng.integers(256, size=(count, 28, 28)))
        write_idx(folder / f"{part}-labels-idx1-ubyte{ending}", rng.integers(10, size=count))


def write_cifar(folder: Path) -> None:
    folder.mkdir()
    rng = np.random.default_rng(2)
    for name, count in [(f"data_batch_{n}.bin", TRAIN // 5) for n in range(1, 6)] + [("test_batch.bin", TEST)]:
        records = rng.integers(256, size=(count, 3073)).astype(np.uint8)
        records[:, 0] %= 10
        (folder / name).write_bytes(records.tobytes())


def write_wav(path: Path, samples: np.ndarray, width: int = 2, rate: int = 100) -> None:
    """Integers as PCM; (time,) or (time, channels)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wide = samples.astype("<i4").reshape(-1, 1).view(np.uint8)
    octets = (samples + 128).astype(np.uint8).tobytes() if width == 1 else wide[:, :width].tobytes()
    with wave.open(str(path), "wb") as sound:
        sound.setparams((1 if samples.ndim == 1 else samples.shape[1], width, rate, 0, "NONE", ""))
        sound.writeframes(octets)


def write_ts(path: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    lines = ["#made", "@problemName tiny", "@timeStamps false", "@classLabel true a b c", "@data"]
    for row in range(count):
        channels = rng.normal(size=(2, rng.integers(3, 9))).round(4)
        lines.append(":".join([*(",".join(map(str, channel)) for channel in channels.tolist()), "abc"[row % 3]]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
