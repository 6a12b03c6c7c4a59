"""What tasks of symbols share: sequences as rows of numbers; and both copying tasks, an alphabet, a blank, a signal."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from gateflow.errors import InvalidArgument, shown
from gateflow.training.data.series import fields_of, lines
from gateflow.training.task import NewData
from gateflow.training.tasks._answers import Choice
from gateflow.training.tasks._rows import Drawn


class SymbolRows(Drawn, Choice):
    """Tasks whose inputs are numbers, one feature each, of which a sequence itself says what is to be answered."""

    @staticmethod
    @abstractmethod
    def asked(row: Sequence[int], kinds: int) -> tuple[list[int], list[int]]:
        """The steps of a sequence at which an answer counts, and the right answers, as many as it tells."""

    @classmethod
    def read_new(cls, path: Path, facts: Mapping[str, Any], *, labelled: bool) -> NewData | None:
        """A sequence a line, its numbers with commas between, as the network was given them in training."""
        if path.name.removesuffix(".gz").rpartition(".")[2] not in ("csv", "tsv", "txt"):
            return None
        kinds = facts["input_size"]
        series, asked, given = [], [], []
        for line, text in lines(path):
            between = next((mark for mark in ",\t;" if mark in text), None)
            row = [_symbol(path, line, field, kinds) for field in fields_of(path, line, text, between)]
            steps, answers = cls.asked(row, kinds)
            if labelled and len(steps) != len(answers):
                raise InvalidArgument(
                    f"{path}, line {line}: asks for {len(steps)} answers and tells {len(answers)} of them; "
                    "--unlabelled compares none"
                )
            if not steps:
                raise InvalidArgument(f"{path}, line {line}: asks for no answer")
            series.append(np.eye(kinds)[row])
            asked.append(steps)
            given += map(str, answers)
        if not series:
            raise InvalidArgument(f"{path} holds no sequences")
        names = tuple(f"series {n}" for n in range(1, len(series) + 1))
        return NewData(series, names, tuple(given) if labelled else (), tuple(asked))


def _symbol(path: Path, line: int, field: str, kinds: int) -> int:
    text = field.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < kinds):
        raise InvalidArgument(f"{path}, line {line}: {shown(text)} is no whole number from 0 to {kinds - 1}")
    return int(text)


@dataclass(frozen=True)
class Symbols(SymbolRows):
    """Symbols to be kept over ``horizon`` steps.

    Parameters
    ----------
    horizon : int
        T; what it counts, each task says.
    symbols, alphabet : int
        How many symbols, and out of how many kinds.
    held_out : int
        Rows of the validation and of the test split.
    """

    horizon: int = 100
    symbols: int = 10
    alphabet: int = 8
    held_out: int = 1000

    every_step: ClassVar[bool] = True

    def __post_init__(self) -> None:
        self.whole("horizon", 1)
        self.whole("symbols", 1)
        self.whole("alphabet", 2, 2**16)
        self.whole("held_out", 1)

    @property
    def blank(self) -> int:
        return self.alphabet

    @property
    def signal(self) -> int:
        return self.alphabet + 1

    @property
    def input_size(self) -> int:
        return self.alphabet + 2

    def shown(self, tokens: np.ndarray) -> Tensor:
        """Tokens as the network is given them: one feature a token."""
        return one_hot(torch.from_numpy(tokens), self.input_size).float()
