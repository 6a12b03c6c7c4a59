"""Texts as a trained network reads them: the numbers of their tokens, and what it expected in place of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gateflow.errors import InvalidArgument
from gateflow.results.byvalue import by_value
from gateflow.training.tasks._text import UNKNOWN, TextTask, read


@by_value
@dataclass(frozen=True, repr=False)
class Vocabulary:
    """The tokens of a language model by number, and how a text is cut into them.

    Parameters
    ----------
    kind : type
        The task, which cuts texts: into characters or words.
    tokens : tuple of str
        In the order of their numbers; ``<unk>`` stands for all that are not there.
    options : mapping
        Of the task; ``punctuation`` says how words are cut.

    Examples
    --------
    >>> from gateflow.training import TASKS
    >>> words = Vocabulary(TASKS["words"], ("the", "gate", "<eos>", "<unk>"))
    >>> numbers = words.encode("the old gate\\n")
    >>> numbers.tolist(), words.decode(numbers)
    ([0, 3, 1, 2], 'the <unk> gate\\n')
    """

    kind: type[TextTask]
    tokens: tuple[str, ...]
    options: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.tokens)

    def __repr__(self) -> str:
        return f"<Vocabulary of {len(self)} {self.unit}s>"

    @property
    def unit(self) -> str:
        """What a token is called: character or word."""
        return self.kind.unit

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {token: number for number, token in enumerate(self.tokens)}

    def encode(self, text: str) -> Tensor:
        """The numbers of a text's tokens, (tokens,) of int64, cut as the text of the training was.

        What the vocabulary does not have gets the number of ``<unk>``.
        """
        if not isinstance(text, str):
            raise InvalidArgument(f"a text must be a str; got {type(text).__name__}")
        return self._encoded([text.replace("\r\n", "\n").replace("\r", "\n")])[0]

    def decode(self, numbers: Tensor | np.ndarray | Sequence[int]) -> str:
        """The text of numbers: characters one after another, words with a space or a line's end between.

        ``<unk>`` is the replacement character U+FFFD among characters. Encoded, the text gives the same numbers.
        """
        return self.kind.joined(self.tokens[number] for number in self.checked(numbers).tolist())

    def read(self, path: Path) -> tuple[Tensor, Counter[str]]:
        """The numbers of the tokens of a file, UTF-8, plain or .gz; and how often it has those that have none."""
        if not path.is_file():
            raise InvalidArgument(f"there is no text file {path}")
        return self._encoded(read(path))

    def checked(self, numbers: Any) -> Tensor:
        """Numbers of tokens, held to be some of these.

        Raises
        ------
        InvalidArgument
            They are no whole numbers from 0 to below the number of tokens, in one dimension.
        """
        try:
            found = np.asarray(numbers.cpu() if isinstance(numbers, Tensor) else numbers)
        except (TypeError, ValueError, RuntimeError):
            found = np.empty((0, 0))
        empty = found.ndim == 1 and not len(found)
        whole = found.ndim == 1 and found.dtype.kind in "iu"
        if not empty and not (whole and found.min() >= 0 and found.max() < len(self)):
            raise InvalidArgument(f"tokens must be whole numbers from 0 to {len(self) - 1}, one after another")
        return torch.from_numpy(found.astype(np.int64))

    def _encoded(self, texts: Iterable[str]) -> tuple[Tensor, Counter[str]]:
        numbers, strange = self._numbers, Counter[str]()
        blocks = [np.empty(0, dtype=np.int64)]
        for block in self.kind.cut(texts, self.options):
            coded = np.fromiter((numbers.get(token, -1) for token in block), np.int64, len(block))
            strange.update(block[place] for place in np.flatnonzero(coded < 0).tolist())
            blocks.append(np.where(coded < 0, numbers[UNKNOWN], coded))
        return torch.from_numpy(np.concatenate(blocks)), strange


@by_value
@dataclass(frozen=True, repr=False)
class PredictedText:
    """How likely the tokens of a text were, each after all before it, and what was expected in place of each.

    Parameters
    ----------
    vocabulary : Vocabulary
    tokens : array (n,) of int
        The text.
    losses : array (n - 1,)
        Nats of each token after the first: ``-log p``.
    guesses : array (n, k) of int
        The likeliest tokens after each one, the likeliest first; row ``n - 1`` is for after the end of the text.
    probabilities : array (n, k)
        Theirs.
    unknown : mapping
        How often a file has each token that the vocabulary does not have, the most frequent first.
    """

    vocabulary: Vocabulary
    tokens: np.ndarray
    losses: np.ndarray
    guesses: np.ndarray
    probabilities: np.ndarray
    unknown: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        measures = ", ".join(f"{name} {value:.4g}" for name, value in self.measures.items())
        return f"<PredictedText of {len(self.tokens)} {self.vocabulary.unit}s: {measures}>"

    @property
    def loss(self) -> float:
        """The mean loss of a token in nats."""
        return float(self.losses.mean())

    @property
    def accuracy(self) -> float:
        """The share of tokens that were the likeliest."""
        return float((self.guesses[:-1, 0] == self.tokens[1:]).mean())

    @property
    def measures(self) -> dict[str, float]:
        """The measures of the task: ``loss``, ``accuracy``, and ``bits_per_character`` or ``perplexity``."""
        kind = self.vocabulary.kind
        return {"loss": self.loss, kind.score: kind.scored(self.loss), "accuracy": self.accuracy}

    def expected(self, n: int) -> dict[str, float]:
        """The likeliest tokens after token ``n``, from 0, with their probabilities; ``-1`` is for after the end."""
        tokens, chances = self.guesses[n].tolist(), self.probabilities[n].tolist()
        return {self.vocabulary.tokens[token]: chance for token, chance in zip(tokens, chances, strict=True)}
