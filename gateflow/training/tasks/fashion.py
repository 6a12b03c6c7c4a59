"""Sequential Fashion-MNIST: clothes pixel by pixel (Xiao, Rasul and Vollgraf 2017)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateflow.training import data
from gateflow.training.tasks._images import Images28
from gateflow.training.tasks.smnist import SequentialMNIST


@dataclass(frozen=True)
class SequentialFashion(Images28):
    """The ten kinds of clothes of Fashion-MNIST, with the options of sequential MNIST.

    Its files have the names of MNIST's; a data folder that holds both has them in ``mnist`` and ``fashion``.

    Notes
    -----
    H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms
    (2017).
    """

    files: ClassVar[data.DataSet] = data.FASHION
    names: ClassVar[tuple[str, ...]] = (
        "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
    )  # fmt: skip
    source: ClassVar[str] = "Xiao, Rasul and Vollgraf 2017 (arXiv 1708.07747)"
    defaults: ClassVar[Mapping[str, Any]] = SequentialMNIST.defaults


TASK = SequentialFashion
