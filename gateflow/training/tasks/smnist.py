"""Sequential MNIST: handwritten digits pixel by pixel (Le, Jaitly and Hinton 2015)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateflow.training import data
from gateflow.training.tasks._images import Images28


@dataclass(frozen=True)
class SequentialMNIST(Images28):
    """The digits of MNIST, 784 pixels in [0, 1] one after another, row by row.

    Parameters
    ----------
    per_step : int
        Pixels a step, a divisor of 784: 28 reads a row of the image a step.
    permutation : int, optional
        The seed of a fixed order of the pixels; row by row by default.
    valid : int
        How many of the 60,000 training images, the last ones, are for validation.
    data_dir : str, optional
        The folder with MNIST's four IDX files, plain or .gz, or with a folder ``mnist`` that has them.

    Notes
    -----
    Q. V. Le, N. Jaitly, G. E. Hinton, A simple way to initialize recurrent networks of rectified linear units (2015).

    Examples
    --------
    >>> SequentialMNIST(per_step=28).length
    28
    """

    files: ClassVar[data.DataSet] = data.MNIST
    source: ClassVar[str] = "Le, Jaitly and Hinton 2015 (arXiv 1504.00941); data: LeCun, Cortes and Burges 1998"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 128,
        "optimizer": "adam",
        "lr": 1e-3,
        "batch": 100,
        "steps": 5500,
        "clip": 1.0,
        "init": "chrono",
    }


TASK = SequentialMNIST
