"""Language modelling by characters: which one comes next in a text file? (Sutskever et al. 2011; Graves 2013)."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateflow.training.tasks._text import UNKNOWN, TextTask

STRANGE = "\N{REPLACEMENT CHARACTER}"
"""What a character that has no number is written as."""


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
    unit: ClassVar[str] = "character"

    @staticmethod
    def cut(texts: Iterable[str], options: Mapping[str, Any]) -> Iterator[str]:
        return iter(texts)

    @staticmethod
    def joined(tokens: Iterable[str]) -> str:
        return "".join(STRANGE if token == UNKNOWN else token for token in tokens)

    @staticmethod
    def scored(loss: float) -> float:
        return loss / math.log(2)

    def chosen(self, counts: Counter[str]) -> list[str]:
        return sorted(counts)


TASK = Characters
