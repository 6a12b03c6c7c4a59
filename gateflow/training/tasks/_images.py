"""Images read pixel by pixel, and classified at the end."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from gateflow.errors import InvalidArgument
from gateflow.training import data
from gateflow.training.task import Batch, Split
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import Rows, order


class ImageSet:
    """The images of one split, left in their files until they are asked for.

    Parameters
    ----------
    images : sequence of arrays of bytes
        One a file, (n, ...) each.
    labels : array of bytes
        (sum of n,), all files one after another.
    rows : range, optional
        Which of them are this split's; all by default.
    """

    def __init__(self, images: Sequence[np.ndarray], labels: np.ndarray, rows: range | None = None) -> None:
        self.images, self.labels = images, labels
        self.rows = range(len(labels)) if rows is None else rows
        self.ends = np.cumsum([len(file) for file in images])

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        rows = rows + self.rows.start
        files = np.searchsorted(self.ends, rows, side="right")
        first = np.concatenate([[0], self.ends])[files]
        images = np.stack([self.images[file][row] for file, row in zip(files, rows - first, strict=True)])
        return images, self.labels[rows].astype(np.int64)


@dataclass(frozen=True)
class Images(Rows, Choice):
    """Images of ten classes as sequences, ``per_step`` pixels a step, row by row or in one fixed random order.

    Parameters
    ----------
    per_step : int
        Pixels a step.
    permutation : int, optional
        The seed of a fixed order of the pixels; row by row by default.
    valid : int
        How many of the training images, the last ones, are for validation.
    """

    per_step: int = 1
    permutation: int | None = None
    valid: int = 5000

    side: ClassVar[int]
    names: ClassVar[tuple[str, ...]] = tuple("0123456789")

    def __post_init__(self) -> None:
        self.whole("valid", 1)
        self.whole("per_step", 1)
        if self.pixels % self.per_step:
            raise InvalidArgument(f"per_step must divide the {self.pixels} pixels of an image; got {self.per_step}")
        if self.permutation is not None:
            self.whole("permutation", 0)

    @property
    @abstractmethod
    def parts(self) -> dict[Split, ImageSet]:
        """The images of each split."""

    @abstractmethod
    def features(self, images: np.ndarray) -> np.ndarray:
        """Images as they were stored to (n, pixels, channels) of float32."""

    @property
    def channels(self) -> int:
        return 1

    @property
    def pixels(self) -> int:
        return self.side**2

    @property
    def input_size(self) -> int:
        return self.per_step * self.channels

    @property
    def output_size(self) -> int:
        return 10

    @property
    def length(self) -> int:
        return self.pixels // self.per_step

    @property
    def chance(self) -> float:
        return math.log(self.output_size)  # the classes are about as many as each other

    @property
    def reading(self) -> np.ndarray:
        """The pixels in the order in which they are read."""
        return np.arange(self.pixels) if self.permutation is None else order(self.permutation, 0, self.pixels)

    def prepares(self) -> dict[str, Any]:
        return {"classes": list(self.names)}

    def rows(self, split: Split) -> int:
        return len(self.parts[split])

    def take(self, split: Split, rows: np.ndarray, seed: int) -> Batch:
        images, labels = self.parts[split][rows]
        inputs = self.features(images)[:, self.reading].reshape(len(rows), self.length, self.input_size)
        return Batch(torch.from_numpy(inputs), torch.from_numpy(labels))

    def divide(self, train: ImageSet, test: ImageSet) -> dict[Split, ImageSet]:
        """The splits, the last ``valid`` images of the training part being the validation part."""
        count = len(train)
        if self.valid >= count:
            raise InvalidArgument(f"valid must leave some of the {count} training images; got {self.valid}")
        cut = count - self.valid
        return {
            "train": ImageSet(train.images, train.labels, range(cut)),
            "valid": ImageSet(train.images, train.labels, range(cut, count)),
            "test": test,
        }


@dataclass(frozen=True)
class FileImages(Images):
    """Images that the user has in files.

    Parameters
    ----------
    data_dir : str, optional
        The folder with the files of the data set, or a folder of data sets; see :mod:`gateflow.training.data`.
    """

    data_dir: str | None = None

    files: ClassVar[data.DataSet]
    testing: ClassVar[int]  # how many of the files, the last ones, are the test part

    @abstractmethod
    def read(self, paths: Sequence[Path]) -> ImageSet:
        """The part that these files hold."""

    @cached_property
    def paths(self) -> list[Path]:
        return list(data.locate(self.files, self.data_dir).values())

    @cached_property
    def parts(self) -> dict[Split, ImageSet]:
        return self.divide(self.read(self.paths[: -self.testing]), self.read(self.paths[-self.testing :]))

    def fingerprint(self) -> str:
        return data.fingerprint(self.paths)


@dataclass(frozen=True)
class Images28(FileImages):
    """What MNIST and the data sets made like it share: IDX files, 28 x 28 grey pixels, scaled to [0, 1]."""

    side: ClassVar[int] = 28
    testing: ClassVar[int] = 2

    def read(self, paths: Sequence[Path]) -> ImageSet:
        images, labels = data.idx(paths[0], 3), data.idx(paths[1], 1)
        if images.shape[1:] != (28, 28):
            raise InvalidArgument(f"{paths[0]} holds images of {images.shape[1]} x {images.shape[2]}, not 28 x 28")
        return check_labels(ImageSet([images], labels), paths[1])

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.reshape(-1, self.pixels, 1).astype(np.float32) / 255


def check_labels(part: ImageSet, path: Path) -> ImageSet:
    """A part whose labels are as many as its images, and name ten classes."""
    images = int(part.ends[-1])
    if images != len(part.labels) or not images:
        raise InvalidArgument(f"{path} holds {len(part.labels)} labels for {images} images")
    if part.labels.max() > 9:
        raise InvalidArgument(f"{path} holds the label {part.labels.max()}, but the ten classes are 0 to 9")
    return part
