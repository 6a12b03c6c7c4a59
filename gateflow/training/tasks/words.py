"""Language modelling by words: which one comes next in a text file? (Mikolov et al. 2010)."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from gateflow.training.tasks._text import TextTask

END = "<eos>"
_PIECES = re.compile(r"<\w+>|\w+(?:['’-]\w+)*|[^\w\s]")


@dataclass(frozen=True)
class Words(TextTask):
    """What stands between spaces, with ``<eos>`` for the end of a line, and ``<unk>`` for words out of the vocabulary.

    Parameters
    ----------
    text, valid_text, test_text, window
        As for characters. The parts of the Penn Treebank as they are handed on can be given just so.
    vocabulary : int, optional
        How many words, the most frequent of the training part; all of them by default.
    punctuation : bool
        Cut punctuation marks off the words: for texts that are not prepared for language modelling.

    Notes
    -----
    T. Mikolov et al., Recurrent neural network based language model (Interspeech 2010). Perplexity is the exponential
    of the mean loss; it depends on the vocabulary, since ``<unk>`` is easy to guess.
    """

    window: int = 70
    vocabulary: int | None = 10_000
    punctuation: bool = False

    source: ClassVar[str] = "Mikolov et al. 2010; Zaremba, Sutskever and Vinyals 2014 (arXiv 1409.2329)"
    defaults: ClassVar[Mapping[str, Any]] = {
        "hidden": 256,
        "optimizer": "adam",
        "lr": 2e-3,
        "batch": 20,
        "steps": 10_000,
        "clip": 0.25,
    }
    score: ClassVar[str] = "perplexity"
    unit: ClassVar[str] = "word"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.vocabulary is not None:
            self.whole("vocabulary", 1)

    @staticmethod
    def cut(texts: Iterable[str], options: Mapping[str, Any]) -> Iterator[list[str]]:
        punctuation, rest = options.get("punctuation", False), ""
        for block in texts:
            # What follows the last space may go on in the next block.
            text, space, rest = _cut(rest + block)
            yield _split(text + space, punctuation)
        yield _split(rest, punctuation)

    @staticmethod
    def joined(tokens: Iterable[str]) -> str:
        lines: list[list[str]] = [[]]
        for token in tokens:
            if token == END:
                lines.append([])
            else:
                lines[-1].append(token)
        return "\n".join(map(" ".join, lines))

    @staticmethod
    def scored(loss: float) -> float:
        return math.exp(loss) if loss < 700 else math.inf

    def prepares(self) -> dict[str, Any]:
        return {**super().prepares(), "punctuation": self.punctuation}

    def chosen(self, counts: Counter[str]) -> list[str]:
        ranked = sorted(counts, key=lambda word: (-counts[word], word))
        return ranked[: self.vocabulary]


def _split(text: str, punctuation: bool) -> list[str]:
    text = text.replace("\n", f" {END} ")
    return _PIECES.findall(text) if punctuation else text.split()


def _cut(text: str) -> tuple[str, str, str]:
    """A text at its last white space."""
    end = max(text.rfind(space) for space in " \n\t")
    return text[: max(end, 0)], text[max(end, 0) : end + 1], text[end + 1 :]


TASK = Words
