"""Language modelling by characters: which one comes next in a text file? (Sutskever et al. 2011; Graves 2013)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from gateflow.training.tasks._text import TextTask, read


@dataclass(frozen=True)
class Characters(TextTask):
    """The characters of the training part, in order of their code points, and one number for all others.

    Notes
    -----
    I. Sutskever, J. Martens, G. Hinton, Generating text with recurrent neural networks (ICML 2011); A. Graves,
    Generating sequences with recurrent neural networks (2013). Bits per character are the mean loss over log 2.

    Examples
    --------
    >>> Characters()
    Traceback (most recent call last):
    gateflow.errors.InvalidArgument: a text is needed: --text FILE, any text in UTF-8
    """

    source: ClassVar[str] = "Sutskever, Martens and Hinton 2011; Graves 2013 (arXiv 1308.0850)"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 256,
        "optimizer": "adam",
        "lr": 2e-3,
        "batch": 50,
        "steps": 5000,
        "clip": 1.0,
    }
    score: ClassVar[str] = "bits_per_character"

    def blocks(self, path: Path) -> Iterator[str]:
        return read(path)

    def chosen(self, counts: Counter[str]) -> list[str]:
        return sorted(counts)

    def summarise(self, means: Mapping[str, float]) -> dict[str, float]:
        return dict(means) | {"bits_per_character": means["loss"] / math.log(2)}


TASK = Characters
