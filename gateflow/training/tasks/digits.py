"""Handwritten digits of 8 x 8 pixels, which scikit-learn brings along (Alpaydin and Kaynak 1998)."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from gateflow.errors import MissingExtra
from gateflow.training.task import Split
from gateflow.training.tasks._images import Images, ImageSet
from gateflow.training.tasks._rows import order

TEST = 360


@dataclass(frozen=True)
class Digits(Images):
    """1,797 digits, 64 pixels one after another, row by row, scaled to [0, 1]: real data without a download.

    A fixed shuffle deals out 360 for the test and ``valid`` for validation.

    Parameters
    ----------
    per_step : int
        Pixels a step, a divisor of 64: 8 reads a row of the image a step.
    permutation : int, optional
        The seed of a fixed order of the pixels; row by row by default.
    valid : int
        How many digits are for validation.

    Notes
    -----
    E. Alpaydin, C. Kaynak, Optical recognition of handwritten digits (UCI machine learning repository, 1998), the test
    part, as scikit-learn's ``load_digits`` has it.
    """

    per_step: int = 8
    valid: int = 180

    side: ClassVar[int] = 8
    source: ClassVar[str] = "Alpaydin and Kaynak 1998, UCI; as in scikit-learn"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 64,
        "optimizer": "adam",
        "lr": 5e-3,
        "schedule": "cosine",
        "batch": 32,
        "steps": 2000,
        "clip": 1.0,
    }

    @cached_property
    def parts(self) -> dict[Split, ImageSet]:
        try:
            from sklearn.datasets import load_digits
        except ImportError:
            raise MissingExtra("the digits task", "nn") from None
        images, labels = load_digits(return_X_y=True)
        shuffle = order(0, 0, len(labels))
        images, labels = images[shuffle].astype(np.uint8), labels[shuffle].astype(np.uint8)
        cut = len(labels) - TEST
        return self.divide(ImageSet([images[:cut]], labels[:cut]), ImageSet([images[cut:]], labels[cut:]))

    def features(self, images: np.ndarray) -> np.ndarray:
        return images[..., None].astype(np.float32) / 16

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for part in self.parts.values():
            digest.update(part.images[0].tobytes() + part.labels.tobytes())
        return digest.hexdigest()


TASK = Digits
