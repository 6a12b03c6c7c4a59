"""Sequential CIFAR-10: small photographs pixel by pixel, in colour or grey (Krizhevsky 2009)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from gateflow.training import data
from gateflow.training.tasks._images import FileImages, ImageSet, check_labels

# Rec. ITU-R BT.601: what grey an eye sees in red, green and blue.
LUMA = np.array([0.299, 0.587, 0.114], dtype=np.float32)


@dataclass(frozen=True)
class SequentialCIFAR(FileImages):
    """The photographs of CIFAR-10, 1,024 pixels one after another, row by row, scaled to [-1, 1].

    Parameters
    ----------
    grey : bool
        One number a pixel, its luma, instead of red, green and blue.
    per_step : int
        Pixels a step, a divisor of 1,024.
    permutation : int, optional
        The seed of a fixed order of the pixels; row by row by default.
    valid : int
        How many of the 50,000 training images, the last ones, are for validation.
    data_dir : str, optional
        The folder with the six ``.bin`` files, or with a folder ``cifar`` or ``cifar-10-batches-bin`` that has them.

    Notes
    -----
    As a sequence: A. Gu et al., Improving the gating mechanism of recurrent neural networks (ICML 2020), in colour;
    Y. Tay et al., Long range arena (ICLR 2021), in grey.

    Examples
    --------
    >>> SequentialCIFAR().input_size, SequentialCIFAR(grey=True).input_size
    (3, 1)
    """

    grey: bool = False

    side: ClassVar[int] = 32
    testing: ClassVar[int] = 1
    files: ClassVar[data.DataSet] = data.CIFAR10
    names: ClassVar[tuple[str, ...]] = (
        "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
    )  # fmt: skip
    source: ClassVar[str] = (
        "Gu et al. 2020 (arXiv 1910.09890); Tay et al. 2021 (arXiv 2011.04006); data: Krizhevsky 2009"
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 256,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 50,
        "steps": 90_000,
        "clip": 1.0,
        "init": "chrono",
    }

    @property
    def channels(self) -> int:
        return 1 if self.grey else 3

    def read(self, paths: Sequence[Path]) -> ImageSet:
        labels, images = zip(*map(data.cifar, paths), strict=True)
        return check_labels(ImageSet(images, np.concatenate(labels)), paths[0].parent)

    def features(self, images: np.ndarray) -> np.ndarray:
        planes = images.reshape(-1, 3, self.pixels).astype(np.float32) / 127.5 - 1
        return (LUMA @ planes)[..., None] if self.grey else planes.transpose(0, 2, 1)


TASK = SequentialCIFAR
